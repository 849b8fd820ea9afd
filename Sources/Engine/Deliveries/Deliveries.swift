// What webhooks are to be told next, read from where it stands: the inbox of an agent, the outbox of a tenant.

internal import Access
internal import Addresses
public import Base
internal import Documents
internal import Events
internal import Hashing
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs
public import Outbox

/// Dead letters of a lane, as listings have them.
public struct DeadLetterPage: Sendable {
    public let letters: [(number: UInt64, letter: DeadLetter)]
    /// How many there are.
    public let total: Int
    public let hasMore: Bool
}

/// The deliveries of a store.
public final class StoredDeliveries: DeliverySource {
    private weak let database: Database?
    /// nil: all there are.
    private let tenant: TenantID?

    public init(_ database: Database, tenant: TenantID? = nil) {
        self.database = database
        self.tenant = tenant
    }

    private func open() throws(ContexError) -> Database {
        guard let database else { throw ContexError(.stopping, "The server is stopping") }
        return database
    }

    private func tenants(of database: Database) -> [TenantID] { tenant.map { [$0] } ?? database.tenants.numbers }

    public func lanes() async throws -> [(lane: DeliveryLane, target: DeliveryTarget)] {
        let database = try open()
        var lanes: [(lane: DeliveryLane, target: DeliveryTarget)] = []
        for tenant in tenants(of: database) { lanes += try await database.deliveryLanes(tenant) }
        return lanes
    }

    /// Their numbers are drawn at random, out of 63 bits, over all tenants.
    public func endpoints() async throws -> [WebhookEndpoint] {
        let database = try open()
        var endpoints: [WebhookEndpoint] = []
        for tenant in tenants(of: database) { endpoints += try await database.endpoints(tenant) }
        return endpoints
    }

    public func next(_ lane: DeliveryLane, limit: Int, bytesMax: Int) async throws -> DeliveryBatch? {
        try await open().nextDeliveries(lane, limit: limit, bytesMax: bytesMax)
    }
    public func note(_ notes: [DeliveryNote], of tenant: TenantID) async throws { try await open().note(notes, of: tenant) }
}

extension Database {
    /// Every agent that is told by webhook, and every endpoint.
    func deliveryLanes(_ tenant: TenantID) async throws -> [(lane: DeliveryLane, target: DeliveryTarget)] {
        try await readHeavily { view in
            var lanes: [(lane: DeliveryLane, target: DeliveryTarget)] = []
            for entry in try AgentDirectory(tenant: tenant).entries(in: view) {
                let scope = TenantScope(tenant: tenant, project: entry.project)
                guard let agent = try NeedStore(scope: scope).agent(entry.agent, in: view), agent.delivery == .webhook,
                    try DeliveryLedger(scope: scope, lane: UInt64(agent.inbox)).state(in: view) != nil
                else { continue }
                lanes.append((DeliveryLane(tenant: tenant, .agent(entry.agent, project: entry.projectName)), DeliveryTarget(agent, entry.projectName)))
            }
            for endpoint in try EventOutbox(tenant: tenant).endpoints(in: view) {
                lanes.append((DeliveryLane(tenant: tenant, .endpoint(endpoint.number)), DeliveryTarget(endpoint, at: .init(rawValue: 0))))
            }
            return lanes
        }
    }

    func note(_ notes: [DeliveryNote], of tenant: TenantID) async throws {
        _ = try await submit(.noteDeliveries(.init(tenant: tenant, notes: notes, time: now())))
    }

    /// - Parameters:
    ///   - limit: messages at most.
    ///   - bytesMax: of their data, but for one.
    func nextDeliveries(_ lane: DeliveryLane, limit: Int, bytesMax: Int) async throws -> DeliveryBatch? {
        switch lane.subject {
        case .endpoint(let number):
            let time = now()
            return try await read { view in try Self.nextEvents(of: number, lane.tenant, limit: limit, at: time, in: view) }
        case .agent(let name, let project):
            func next(isHeavy: Bool) async throws -> DeliveryBatch? {
                let body: @Sendable (borrowing TransactionView) throws -> AgentDeliveries.Found = { [self] view in
                    try AgentDeliveries(self, lane.tenant, project, name, limit: limit, bytesMax: bytesMax).next(isHeavy: isHeavy, in: view)
                }
                switch isHeavy ? try await readHeavily(body) : try await read(body) {
                case .nothing: return nil
                case .batch(let batch): return batch
                // The search of a context with many needs keeps no question waiting.
                case .isHeavy: return try await next(isHeavy: true)
                }
            }
            return try await next(isHeavy: false)
        }
    }

    private static func nextEvents(
        of number: UInt64, _ tenant: TenantID, limit: Int, at time: Timestamp, in view: borrowing TransactionView
    ) throws -> DeliveryBatch? {
        let outbox = EventOutbox(tenant: tenant)
        let ledger = DeliveryLedger(scope: outbox.scope, lane: number)
        guard let endpoint = try outbox.endpoint(number, in: view), let state = try ledger.state(in: view) else { return nil }
        var batch = DeliveryBatch(target: DeliveryTarget(endpoint, at: time), registration: 0, epoch: 0)
        guard !batch.target.isDisabled else { return batch }
        func message(_ event: OutboxEvent, letter: UInt64? = nil, id: String? = nil) -> DeliveryMessage {
            DeliveryMessage(
                item: .event(event.number), letter: letter, id: id ?? MessageID.text(of: endpoint, event),
                content: .event(event, id: MessageID.event(event, tenant)))
        }
        if state.queued > 0 {
            try ledger.forEachLetter(in: view) { number, letter in
                if letter.isQueued, let event = letter.event { batch.messages.append(message(event, letter: number, id: letter.id)) }
                return batch.messages.count < limit ? .onward : .stop
            }
            batch.hasMore = true
            return batch
        }
        batch.attempts = Int(state.attempts)
        batch.nextAttempt = state.nextAttempt
        let first = try outbox.state(in: view).first
        if first > 0, state.settled < first - 1 { batch.lost = Int(clamping: first - 1 - state.settled) }
        let filter = endpoint.filter
        var looked = 0
        try outbox.forEach(after: state.settled, in: view) { event in
            guard batch.messages.count < limit, looked < Limits.outboxScan else {
                batch.hasMore = true
                return .stop
            }
            looked += 1
            if filter.passes(event) { batch.messages.append(message(event)) }
            batch.passed = .event(event.number)
            return .onward
        }
        return batch
    }

    // MARK: - Dead letters

    /// Oldest first.
    /// - Throws: `.notFound` for an agent that is told by no webhook, and for an endpoint that is not there.
    public func deadLetters(_ lane: DeliveryLane, after number: UInt64, limit: Int) async throws -> DeadLetterPage {
        try await read { view in
            guard let ledger = try Applier.ledger(of: lane.subject, lane.tenant, in: view), let state = try ledger.state(in: view) else {
                throw lane.notFound
            }
            var letters: [(number: UInt64, letter: DeadLetter)] = []
            var hasMore = false
            try ledger.forEachLetter(after: number, in: view) { number, letter in
                guard letters.count < limit else {
                    hasMore = true
                    return .stop
                }
                letters.append((number, letter))
                return .onward
            }
            return DeadLetterPage(letters: letters, total: Int(clamping: state.dead), hasMore: hasMore)
        }
    }

    /// Sends dead letters again, each once; none named: all.
    /// - Returns: how many.
    public func replayLetters(_ lane: DeliveryLane, _ numbers: [UInt64]) async throws -> Int { try await change(lane, .replay, numbers) }

    /// Throws dead letters away; none named: all.
    public func removeLetters(_ lane: DeliveryLane, _ numbers: [UInt64]) async throws -> Int { try await change(lane, .remove, numbers) }

    private func change(_ lane: DeliveryLane, _ change: Command.ChangeLetters.Change, _ numbers: [UInt64]) async throws -> Int {
        let outcome = try await submit(.changeLetters(.init(tenant: lane.tenant, lane: lane.subject, change: change, numbers: numbers, time: now())))
        guard case .removed(let count) = outcome else { throw outcome.mismatch }
        return count
    }

    /// How the deliveries of an agent go, by the store; nil when it is told by no webhook.
    static func deliveryStatus(of agent: AgentRecord, _ scope: TenantScope, in view: borrowing TransactionView) throws -> DeliveryStatus? {
        guard agent.delivery == .webhook, let state = try DeliveryLedger(scope: scope, lane: UInt64(agent.inbox)).state(in: view) else { return nil }
        let missed = state.missedTo.rawValue - min(state.missedTo, state.missedAfter).rawValue
        var waiting = Int(min(missed, UInt64(Limits.countedDeliveries))) + (state.greeting == nil ? 0 : 1)
        try Inbox(scope: scope, number: agent.inbox).forEach(after: Sequence(rawValue: state.settled), in: view) { _ in
            waiting += 1
            return waiting < Limits.countedDeliveries ? .onward : .stop
        }
        return DeliveryStatus(state, pending: waiting)
    }
}

/// What one agent is to be told next.
private struct AgentDeliveries {
    enum Found {
        case nothing
        case batch(DeliveryBatch)
        case isHeavy
    }

    private let database: Database
    private let tenant: TenantID
    private let project: Name
    private let name: Name
    private let limit: Int
    private let bytesMax: Int
    /// Needs that are searched about as quickly as a question is.
    private static let lightNeeds = 4

    init(_ database: Database, _ tenant: TenantID, _ project: Name, _ name: Name, limit: Int, bytesMax: Int) {
        self.database = database
        self.tenant = tenant
        self.project = project
        self.name = name
        self.limit = limit
        self.bytesMax = bytesMax
    }

    func next(isHeavy: Bool, in view: borrowing TransactionView) throws -> Found {
        guard let scope = try Database.scope(tenant, project, view), let agent = try NeedStore(scope: scope).agent(name, in: view),
            agent.delivery == .webhook, let state = try DeliveryLedger(scope: scope, lane: UInt64(agent.inbox)).state(in: view)
        else { return .nothing }
        var batch = DeliveryBatch(target: DeliveryTarget(agent, project), registration: state.registration, epoch: state.epoch)
        batch.target.isDisabled = state.isDisabled
        guard !batch.target.isDisabled else { return .batch(batch) }
        let log = EventLog(scope: scope)

        func greeting(letter: UInt64? = nil, id: String? = nil) throws -> DeliveryMessage? {
            guard isHeavy || agent.needs.count <= Self.lightNeeds else { return nil }
            return DeliveryMessage(
                item: .greeting, letter: letter, id: id ?? MessageID.text(of: agent, .greeting, tenant, project, epoch: state.epoch),
                content: .notification(try context(of: agent, state.greeting ?? .init(), scope, in: view)))
        }
        func message(_ item: DeliveryItem, letter: UInt64? = nil, id: String? = nil) throws -> DeliveryMessage? {
            guard let event = try log.event(Sequence(rawValue: item.number), in: view) else { return nil }
            return DeliveryMessage(
                item: item, letter: letter, id: id ?? MessageID.text(of: agent, item, tenant, project, epoch: state.epoch),
                content: .notification(try notification(item, event, agent, scope, in: view)))
        }

        if state.queued > 0 {
            var queued: [(number: UInt64, letter: DeadLetter)] = []
            try DeliveryLedger(scope: scope, lane: UInt64(agent.inbox)).forEachLetter(in: view) { number, letter in
                if letter.isQueued { queued.append((number, letter)) }
                return queued.count < min(limit, 8) ? .onward : .stop
            }
            for (number, letter) in queued {
                if letter.item == .greeting {
                    guard let message = try greeting(letter: number, id: letter.id) else { return .isHeavy }
                    batch.messages.append(message)
                } else if let message = try message(letter.item, letter: number, id: letter.id) {
                    batch.messages.append(message)
                }
            }
            batch.hasMore = true
            return .batch(batch)
        }
        batch.attempts = Int(state.attempts)
        batch.nextAttempt = state.nextAttempt
        if state.greeting != nil {
            guard let message = try greeting() else { return .isHeavy }
            batch.messages = [message]
            batch.hasMore = true
            return .batch(batch)
        }
        if state.hasMissed {
            for event in try log.events(after: state.missedAfter, count: limit, bytesMax: bytesMax, in: view) where event.sequence <= state.missedTo {
                if let message = try message(.missed(event.sequence)) { batch.messages.append(message) }
            }
            batch.hasMore = true
            return .batch(batch)
        }
        var bytes = 0
        var entries: [InboxEntry] = []
        try Inbox(scope: scope, number: agent.inbox).forEach(after: Sequence(rawValue: state.settled), in: view) { entry in
            guard entries.count < limit else {
                batch.hasMore = true
                return .stop
            }
            entries.append(entry)
            return .onward
        }
        for entry in entries {
            guard batch.messages.isEmpty || bytes < bytesMax else {
                batch.hasMore = true
                break
            }
            guard let message = try message(.entry(entry.sequence)) else {
                throw ContexError.damaged("the inbox of agent '\(name)' names event \(entry.sequence), which is not there: run 'contex check'")
            }
            batch.messages.append(message)
            if case .notification(let notification) = message.content { bytes += notification.dataBytes }
        }
        return .batch(batch)
    }

    private func notification(
        _ item: DeliveryItem, _ event: EventRecord, _ agent: AgentRecord, _ scope: TenantScope, in view: borrowing TransactionView
    ) throws -> Notification {
        var provenance = Provenance(event)
        var message = Notification.Message.event(event)
        if case .entry = item {
            for match in try Inbox(scope: scope, number: agent.inbox).matches(of: event.sequence, in: view) {
                guard agent.needs.indices.contains(Int(match.need)) else { continue }
                provenance.matches.append((agent.needs[Int(match.need)], Double(match.similarity)))
            }
            // Of what was erased since it is only known that it is gone.
            message =
                event.kind == .deleted || event.kind == .erased
                ? .deletion(sequence: event.sequence, key: event.key) : .update(sequence: event.sequence, key: event.key, data: event.data)
        }
        return Notification(tenant: tenant, project: project, agent: agent, message: message, provenance: provenance)
    }

    /// The context as it is now: what has changed since the registration is in it.
    private func context(
        of agent: AgentRecord, _ wishes: DeliveryState.Greeting, _ scope: TenantScope, in view: borrowing TransactionView
    ) throws -> Notification {
        var command = RegisterCommand(
            project: project, agent: name, needs: agent.needs, delivery: .webhook, responseFormat: agent.responseFormat)
        command.maxTokens = wishes.tokensMax.map { Int($0) }
        command.diversity = wishes.diversity
        command.pinned = wishes.pinned
        let search = NeedSearch(
            tenant: tenant, project: project, needs: agent.needs, vectors: try NeedStore(scope: scope).vectors(of: agent.number, in: view),
            dimension: database.models.dimension, database.configuration, own: agent.settings,
            packing: ContextSettings(command, database.configuration, countTokens: database.models.countTokens))
        let found = try search.run(filterRecordsMax: .max, in: view)
        var provenance = Provenance()
        provenance.sequence = found.head
        return Notification(tenant: tenant, project: project, agent: agent, message: .initialContext(found.context), provenance: provenance)
    }
}

/// Ids of messages: of what they stand for, so that a message has the same one in every try and after every start.
enum MessageID {
    static func text(of agent: AgentRecord, _ item: DeliveryItem, _ tenant: TenantID, _ project: Name, epoch: UInt32) -> String {
        var writer = ByteWriter(capacity: 128)
        writer.u32(tenant.rawValue)
        writer.text(project.text)
        writer.text(agent.name.text)
        writer.u32(agent.number)
        writer.i64(agent.registeredAt.rawValue)
        writer.u32(epoch)
        item.write(to: &writer)
        return "msg_" + digest(writer)
    }

    static func text(of endpoint: WebhookEndpoint, _ event: OutboxEvent) -> String {
        var writer = ByteWriter(capacity: 64)
        writer.u64(endpoint.number)
        writer.i64(endpoint.createdAt.rawValue)
        writer.u64(event.number)
        writer.i64(event.time.rawValue)
        return "msg_" + digest(writer)
    }

    static func event(_ event: OutboxEvent, _ tenant: TenantID) -> String {
        var writer = ByteWriter(capacity: 64)
        writer.u32(tenant.rawValue)
        writer.u64(event.number)
        writer.i64(event.time.rawValue)
        writer.u8(event.kind.rawValue)
        return "evt_" + digest(writer)
    }

    private static func digest(_ writer: ByteWriter) -> String { String(SHA256.digest(writer.bytes).hex.prefix(32)) }
}

extension DeliveryTarget {
    init(_ agent: AgentRecord, _ project: Name) {
        self.init(
            url: agent.webhookURL ?? "", secrets: agent.webhookSecret.map { [$0] } ?? [], project: project, key: agent.registrant?.keyID)
    }

    public init(_ endpoint: WebhookEndpoint, at time: Timestamp) {
        self.init(url: endpoint.url, secrets: endpoint.secrets(at: time))
        timeout = .seconds(Int64(endpoint.timeoutSeconds))
        attemptsMax = max(1, Int(endpoint.retriesMax))
        isDisabled = !endpoint.isActive
    }
}

extension DeliveryLane {
    var notFound: ContexError {
        switch subject {
        case .agent: ContexError(.deliveryNotFound, "Nothing is delivered to a webhook of this agent")
        case .endpoint(let number): ContexError(.endpointNotFound, "Endpoint '\(WebhookEndpoint.id(of: number))' not found")
        }
    }
}

extension Notification {
    fileprivate var dataBytes: Int {
        switch message {
        case .update(_, _, let data): data.count
        case .event(let event): event.byteCount
        case .initialContext, .deletion: 0
        }
    }
}
