public import Base
public import KeySpace
public import LMDB

/// Something of which endpoints are told.
public struct OutboxEvent: Sendable, Equatable {
    /// In its tenant's outbox.
    public let number: UInt64
    public let kind: EventKind
    public let time: Timestamp
    /// Empty for what is the tenant's.
    public let project: String
    /// The one endpoint that it is for; 0: all whose filters it passes.
    public let endpoint: UInt64
    /// JSON, compact: an object.
    public let data: [UInt8]

    public init(number: UInt64, kind: EventKind, time: Timestamp, project: String, endpoint: UInt64 = 0, data: [UInt8]) {
        self.number = number
        self.kind = kind
        self.time = time
        self.project = project
        self.endpoint = endpoint
        self.data = data
    }

    public func write(to writer: inout ByteWriter) {
        writer.u64(number)
        writer.u8(kind.rawValue)
        writer.i64(time.rawValue)
        writer.text(project)
        writer.u64(endpoint)
        writer.blob(data)
    }

    public static func read(_ reader: inout ByteReader) throws -> OutboxEvent {
        let number = try reader.u64()
        guard let kind = EventKind(rawValue: try reader.u8()) else { throw ByteError.malformed(at: reader.offset) }
        return OutboxEvent(
            number: number, kind: kind, time: Timestamp(rawValue: try reader.i64()), project: try reader.text(), endpoint: try reader.u64(),
            data: Array(try reader.blob()))
    }
}

/// The events of one tenant that endpoints are told of, written by the transaction that made them so. The oldest go, once they are more
/// than `Limits.outboxEvents`: an endpoint that has not got so far has missed them, and its state says so.
public struct EventOutbox: Sendable {
    public let scope: TenantScope

    public init(tenant: TenantID) { scope = TenantScope(tenant: tenant, project: .tenantLevel) }

    public struct State: Sendable, Equatable {
        /// The oldest that is there, and the last that was given; none are there when the last is less.
        public var first: UInt64 = 1
        public var last: UInt64 = 0
        /// The kinds that some endpoint wants.
        public var wanted: UInt32 = 0

        public init() {}
    }

    public func state(in view: borrowing TransactionView) throws -> State {
        guard let bytes = try view.loadBytes(scope.key(.outboxState)) else { return State() }
        var reader = ByteReader(bytes)
        var state = State()
        state.first = try reader.u64()
        state.last = try reader.u64()
        state.wanted = try reader.u32()
        try reader.end()
        return state
    }

    public func store(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 20)
        writer.u64(state.first)
        writer.u64(state.last)
        writer.u32(state.wanted)
        try transaction.store(scope.key(.outboxState), writer.bytes)
    }

    /// Enters an event under the next number.
    /// - Returns: nil when no endpoint wants its kind.
    public func append(
        _ kind: EventKind, project: String, endpoint: UInt64 = 0, data: () -> [UInt8], at time: Timestamp, max: Int,
        in transaction: inout WriteTransaction
    ) throws -> OutboxEvent? {
        var state = try state(in: transaction.view)
        guard endpoint != 0 || state.wanted & kind.bit != 0 else { return nil }
        guard state.last < .max - 1 else { throw ContexError.damaged("the outbox has had more events than there can be") }
        state.last += 1
        let event = OutboxEvent(number: state.last, kind: kind, time: time, project: project, endpoint: endpoint, data: data())
        var writer = ByteWriter(capacity: 64 + event.data.count)
        event.write(to: &writer)
        try transaction.store(scope.key(.outboxEvent, event.number), writer.bytes)
        // One more than came, so that a bound that was lowered is reached.
        for _ in 0..<2 where state.first < state.last && state.last - state.first >= UInt64(max) {
            try transaction.delete(scope.key(.outboxEvent, state.first))
            state.first += 1
        }
        try store(state, in: &transaction)
        return event
    }

    /// Events after a number, oldest first.
    public func forEach(
        after number: UInt64, in view: borrowing TransactionView, _ body: (OutboxEvent) throws -> TransactionView.Step
    ) throws {
        guard number < .max else { return }
        try view.scanRecords(prefix: scope.key(.outboxEvent), from: scope.key(.outboxEvent, number + 1)) { _, payload in
            var reader = ByteReader(Array(payload))
            let event = try OutboxEvent.read(&reader)
            try reader.end()
            return try body(event)
        }
    }

    /// Takes away what events say, and whom they are for: nobody is told of them any more. Their numbers stay.
    /// - Returns: how many there were.
    /// - Complexity: O(events).
    @discardableResult
    public func erase(where isMeant: (OutboxEvent) throws -> Bool, in transaction: inout WriteTransaction) throws -> Int {
        var meant: [OutboxEvent] = []
        try forEach(after: 0, in: transaction.view) { event in
            if try isMeant(event) { meant.append(event) }
            return .onward
        }
        for event in meant {
            let blank = OutboxEvent(number: event.number, kind: event.kind, time: event.time, project: "", endpoint: .max, data: Array("{}".utf8))
            var writer = ByteWriter(capacity: 64)
            blank.write(to: &writer)
            try transaction.store(scope.key(.outboxEvent, event.number), writer.bytes)
        }
        for lane in try DeliveryLedger.lanes(scope, in: transaction.view) {
            let ledger = DeliveryLedger(scope: scope, lane: lane)
            guard var state = try ledger.state(in: transaction.view) else { continue }
            var letters: [UInt64] = []
            try ledger.forEachLetter(in: transaction.view) { number, letter in
                if let event = letter.event, try isMeant(event) { letters.append(number) }
                return .onward
            }
            for number in letters { try ledger.remove(number, &state, in: &transaction) }
            if !letters.isEmpty { try ledger.store(state, in: &transaction) }
        }
        return meant.count
    }

    // MARK: - Endpoints

    public func endpoint(_ number: UInt64, in view: borrowing TransactionView) throws -> WebhookEndpoint? {
        try view.loadBytes(scope.key(.webhookEndpoint, number)).map { try WebhookEndpoint.decode($0, number: number) }
    }

    /// By the time at which they were made.
    public func endpoints(in view: borrowing TransactionView) throws -> [WebhookEndpoint] {
        var endpoints: [WebhookEndpoint] = []
        try view.scanRecords(prefix: scope.key(.webhookEndpoint)) { key, payload in
            endpoints.append(try WebhookEndpoint.decode(Array(payload), number: UInt64(lastOf: key)))
            return .onward
        }
        return endpoints.sorted { ($0.createdAt.rawValue, $0.number) < ($1.createdAt.rawValue, $1.number) }
    }

    public func put(_ endpoint: WebhookEndpoint, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.webhookEndpoint, endpoint.number), endpoint.encode())
        try renewWanted(in: &transaction)
    }

    public func remove(_ number: UInt64, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.webhookEndpoint, number))
        try DeliveryLedger(scope: scope, lane: number).removeAll(in: &transaction)
        try renewWanted(in: &transaction)
    }

    private func renewWanted(in transaction: inout WriteTransaction) throws {
        var state = try state(in: transaction.view)
        state.wanted = try endpoints(in: transaction.view).reduce(0) { $0 | $1.kinds }
        try store(state, in: &transaction)
    }

    /// Each finding is a sentence.
    public func findings(in view: borrowing TransactionView) throws -> [String] {
        let state = try state(in: view)
        var findings: [String] = []
        var next = state.first
        try forEach(after: 0, in: view) { event in
            if event.number != next { findings.append("the outbox has event \(event.number) where \(next) should be") }
            next = event.number &+ 1
            return findings.count > 20 ? .stop : .onward
        }
        if next != state.last &+ 1, findings.isEmpty { findings.append("the outbox ends before event \(next), its state says \(state.last)") }
        let endpoints = try endpoints(in: view)
        let wanted = endpoints.reduce(UInt32(0)) { $0 | $1.kinds }
        if wanted != state.wanted { findings.append("the outbox takes kinds \(state.wanted), its endpoints want \(wanted)") }
        let lanes = Set(try DeliveryLedger.lanes(scope, in: view))
        for endpoint in endpoints where !lanes.contains(endpoint.number) { findings.append("endpoint \(endpoint.id) has no state of its deliveries") }
        let numbers = Set(endpoints.map(\.number))
        for lane in lanes.sorted() {
            if !numbers.contains(lane) { findings.append("webhook \(lane) belongs to no endpoint") }
            findings += try DeliveryLedger(scope: scope, lane: lane).findings(end: state.last, in: view)
        }
        return findings
    }
}
