internal import Base
public import KeySpace
public import LMDB

/// What is known of the deliveries to one receiver: its state, its dead letters, and of an endpoint its last tries.
///
/// What is to be delivered stands elsewhere, in the agent's inbox or in the tenant's outbox; this is a reader of it, with its cursor.
public struct DeliveryLedger: Sendable {
    /// A project of an agent, the tenant's own level of an endpoint.
    public let scope: TenantScope
    /// The agent's inbox, or the endpoint's number.
    public let lane: UInt64

    public init(scope: TenantScope, lane: UInt64) {
        self.scope = scope
        self.lane = lane
    }

    private var stateKey: [UInt8] { scope.key(.deliveryState, lane) }
    private func letterKey(_ number: UInt64) -> [UInt8] { scope.key(.deadLetter, lane, number) }
    private func recordKey(_ number: UInt64) -> [UInt8] { scope.key(.deliveryAttempt, lane, number) }

    /// nil when nothing is delivered there.
    public func state(in view: borrowing TransactionView) throws -> DeliveryState? {
        try view.loadBytes(stateKey).map { try DeliveryState.decode($0) }
    }

    public func store(_ state: DeliveryState, in transaction: inout WriteTransaction) throws {
        try transaction.store(stateKey, state.encode())
    }

    /// Every receiver of a scope.
    public static func lanes(_ scope: TenantScope, in view: borrowing TransactionView) throws -> [UInt64] {
        var lanes: [UInt64] = []
        try view.scanRecords(prefix: scope.key(.deliveryState)) { key, _ in
            lanes.append(UInt64(lastOf: key))
            return .onward
        }
        return lanes
    }

    // MARK: - Dead letters

    public func letter(_ number: UInt64, in view: borrowing TransactionView) throws -> DeadLetter? {
        try view.loadBytes(letterKey(number)).map { try Self.letter($0) }
    }

    /// After a number, oldest first.
    public func forEachLetter(
        after number: UInt64 = 0, in view: borrowing TransactionView, _ body: (UInt64, DeadLetter) throws -> TransactionView.Step
    ) throws {
        guard number < .max else { return }
        try view.scanRecords(prefix: scope.key(.deadLetter, lane), from: letterKey(number + 1)) { key, payload in
            try body(UInt64(lastOf: key), try Self.letter(Array(payload)))
        }
    }

    private static func letter(_ bytes: [UInt8]) throws -> DeadLetter {
        var reader = ByteReader(bytes)
        let letter = try DeadLetter.read(&reader)
        try reader.end()
        return letter
    }

    /// Puts a letter under the next number; of more than `max` the oldest goes.
    public func bury(_ letter: DeadLetter, max: Int, _ state: inout DeliveryState, in transaction: inout WriteTransaction) throws {
        guard state.lastDead < .max else { throw ContexError.damaged("a webhook has had more dead letters than there can be") }
        state.lastDead += 1
        state.dead &+= 1
        try put(letter, state.lastDead, in: &transaction)
        guard state.dead > UInt64(max) else { return }
        var oldest: UInt64?
        try forEachLetter(in: transaction.view) { number, _ in
            oldest = number
            return .stop
        }
        if let oldest { try remove(oldest, &state, in: &transaction) }
    }

    /// Says of a letter whether it is to be sent again, and why it did not go.
    /// - Returns: false when it is not there.
    @discardableResult
    public func change(
        _ number: UInt64, _ state: inout DeliveryState, in transaction: inout WriteTransaction, _ body: (inout DeadLetter) -> Void
    ) throws -> Bool {
        guard var letter = try letter(number, in: transaction.view) else { return false }
        let was = letter.isQueued
        body(&letter)
        if letter.isQueued, !was { state.queued &+= 1 }
        if !letter.isQueued, was { state.queued -= min(1, state.queued) }
        try put(letter, number, in: &transaction)
        return true
    }

    private func put(_ letter: DeadLetter, _ number: UInt64, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 128)
        letter.write(to: &writer)
        try transaction.store(letterKey(number), writer.bytes)
    }

    /// - Returns: false when it is not there.
    @discardableResult
    public func remove(_ number: UInt64, _ state: inout DeliveryState, in transaction: inout WriteTransaction) throws -> Bool {
        guard let letter = try letter(number, in: transaction.view) else { return false }
        try transaction.delete(letterKey(number))
        state.dead -= min(1, state.dead)
        if letter.isQueued { state.queued -= min(1, state.queued) }
        return true
    }

    // MARK: - Tries

    /// Keeps a try; of more than `max` the oldest goes.
    public func record(_ attempt: DeliveryAttempt, max: Int, _ state: inout DeliveryState, in transaction: inout WriteTransaction) throws {
        guard state.lastRecord < .max else { throw ContexError.damaged("a webhook has had more tries than there can be") }
        state.lastRecord += 1
        var writer = ByteWriter(capacity: 128)
        attempt.write(to: &writer)
        try transaction.store(recordKey(state.lastRecord), writer.bytes)
        if state.lastRecord > UInt64(max) { try transaction.delete(recordKey(state.lastRecord - UInt64(max))) }
    }

    /// Newest first.
    public func attempts(limit: Int, in view: borrowing TransactionView) throws -> [DeliveryAttempt] {
        var attempts: [DeliveryAttempt] = []
        try view.scanRecords(prefix: scope.key(.deliveryAttempt, lane)) { _, payload in
            var reader = ByteReader(Array(payload))
            attempts.append(try DeliveryAttempt.read(&reader))
            try reader.end()
            return .onward
        }
        return Array(attempts.reversed().prefix(limit))
    }

    /// The receiver is gone.
    public func removeAll(in transaction: inout WriteTransaction) throws {
        try transaction.deleteAll(prefix: scope.key(.deadLetter, lane))
        try transaction.deleteAll(prefix: scope.key(.deliveryAttempt, lane))
        try transaction.delete(stateKey)
    }

    /// Dead letters against the state; each finding is a sentence.
    /// - Parameter end: of what it reads: its inbox's last entry, the outbox's last event.
    public func findings(end: UInt64, in view: borrowing TransactionView) throws -> [String] {
        guard let state = try state(in: view) else { return ["webhook \(lane) has dead letters or tries and no state"] }
        var findings: [String] = []
        var (count, queued, last) = (UInt64(0), UInt64(0), UInt64(0))
        try forEachLetter(in: view) { number, letter in
            count += 1
            if letter.isQueued { queued += 1 }
            last = number
            return .onward
        }
        if count != state.dead { findings.append("webhook \(lane) has \(count) dead letters, its state says \(state.dead)") }
        if queued != state.queued { findings.append("webhook \(lane) is to send \(queued) dead letters again, its state says \(state.queued)") }
        if last > state.lastDead { findings.append("webhook \(lane) has dead letter \(last), its state says that \(state.lastDead) is the last") }
        if state.settled > end { findings.append("webhook \(lane) is at \(state.settled), there is nothing after \(end)") }
        if state.missedAfter > state.missedTo { findings.append("webhook \(lane) has missed less than nothing") }
        return findings
    }
}
