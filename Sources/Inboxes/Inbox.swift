public import Base
public import KeySpace
public import LMDB

/// What concerned one agent, in the order of the log: written by the transaction that made it so, read by whoever was away.
///
/// An entry names an event; what the event says is in the log. An inbox belongs to the agent's id in the project: a registration that takes
/// the place of another keeps it.
public struct Inbox: Sendable {
    public let scope: TenantScope
    /// Of the agent: `AgentRecord.inbox`.
    public let number: UInt32

    public init(scope: TenantScope, number: UInt32) {
        self.scope = scope
        self.number = number
    }

    /// What is known of an inbox beside its entries.
    public struct State: Sendable, Equatable {
        /// Entries that are there.
        public var count: UInt64 = 0
        /// The last event that concerned the agent.
        public var last = Sequence.zero
        /// The last event whose entry the agent has let go.
        public var acknowledged = Sequence.zero
        /// The last event whose entry went because it was old: who has not read so far has missed something.
        public var expired = Sequence.zero

        public init() {}
    }

    private var prefix: [UInt8] { scope.key(.inboxEntry, number) }
    private var stateKey: [UInt8] { scope.key(.inboxState, number) }
    private func key(_ sequence: Sequence) -> [UInt8] { scope.key(.inboxEntry, number, sequence.rawValue) }
    private func matchesKey(_ sequence: Sequence) -> [UInt8] { scope.key(.inboxMatches, number, sequence.rawValue) }

    public func state(in view: borrowing TransactionView) throws -> State {
        guard let bytes = try view.loadBytes(stateKey) else { return State() }
        var reader = ByteReader(bytes)
        var state = State()
        state.count = try reader.u64()
        state.last = Sequence(rawValue: try reader.u64())
        state.acknowledged = Sequence(rawValue: try reader.u64())
        state.expired = Sequence(rawValue: try reader.u64())
        try reader.end()
        return state
    }

    private func store(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 32)
        writer.u64(state.count)
        writer.u64(state.last.rawValue)
        writer.u64(state.acknowledged.rawValue)
        writer.u64(state.expired.rawValue)
        try transaction.store(stateKey, writer.bytes)
    }

    /// Enters an event.
    /// - Parameter matches: of the entry's needs.
    /// - Throws: `.damaged` when the inbox has one that is as new.
    /// - Complexity: three puts, two when nothing matches.
    public func append(_ entry: InboxEntry, matches: [InboxMatch] = [], in transaction: inout WriteTransaction) throws {
        var state = try state(in: transaction.view)
        guard entry.sequence > state.last, state.count < .max else {
            throw ContexError.damaged("inbox \(number) has event \(state.last) already, and was to get event \(entry.sequence)")
        }
        try transaction.store(key(entry.sequence), entry.encode())
        if !matches.isEmpty { try transaction.store(matchesKey(entry.sequence), InboxMatch.encode(matches)) }
        state.count += 1
        state.last = entry.sequence
        try store(state, in: &transaction)
    }

    /// nil when the inbox does not have it, or no longer.
    public func entry(_ sequence: Sequence, in view: borrowing TransactionView) throws -> InboxEntry? {
        try view.loadBytes(key(sequence)).map { try InboxEntry.decode($0, sequence: sequence) }
    }

    /// What an entry's needs matched and how; none of an entry that matched nothing new, or that was made before inboxes kept it.
    public func matches(of sequence: Sequence, in view: borrowing TransactionView) throws -> [InboxMatch] {
        try view.loadBytes(matchesKey(sequence)).map { try InboxMatch.decode($0) } ?? []
    }

    /// Entries after an event, oldest first.
    public func forEach(
        after sequence: Sequence, in view: borrowing TransactionView, _ body: (InboxEntry) throws -> TransactionView.Step
    ) throws {
        guard sequence.rawValue < .max else { return }
        try view.scanRecords(prefix: prefix, from: key(sequence.next)) { key, payload in
            try body(try InboxEntry.decode(Array(payload), sequence: Sequence(rawValue: UInt64(lastOf: key))))
        }
    }

    /// Lets the entries up to an event go.
    /// - Parameter isRead: the agent says that it has them; else they are too old.
    /// - Returns: how many there were.
    /// - Complexity: O(those).
    @discardableResult
    public func remove(upTo last: Sequence, isRead: Bool, in transaction: inout WriteTransaction) throws -> Int {
        var gone: [Sequence] = []
        try forEach(after: .zero, in: transaction.view) { entry in
            guard entry.sequence <= last else { return .stop }
            gone.append(entry.sequence)
            return .onward
        }
        for sequence in gone {
            try transaction.delete(key(sequence))
            try transaction.delete(matchesKey(sequence))
        }
        var state = try state(in: transaction.view)
        state.count -= min(state.count, UInt64(gone.count))
        if isRead { state.acknowledged = max(state.acknowledged, last) } else if let newest = gone.last { state.expired = max(state.expired, newest) }
        try store(state, in: &transaction)
        return gone.count
    }

    /// Forgets everything: the agent is gone, or the log is.
    public func removeAll(in transaction: inout WriteTransaction) throws {
        try transaction.deleteAll(prefix: prefix)
        try transaction.deleteAll(prefix: scope.key(.inboxMatches, number))
        try transaction.delete(stateKey)
    }

    /// Entries against the state, the log and each other; each finding is a sentence.
    /// - Parameter head: the end of the log.
    /// - Complexity: O(entries).
    public func findings(head: Sequence, in view: borrowing TransactionView) throws -> [String] {
        let state = try state(in: view)
        var findings: [String] = []
        var (count, last) = (UInt64(0), Sequence.zero)
        var needs: [Sequence: [UInt32]] = [:]
        try forEach(after: .zero, in: view) { entry in
            count += 1
            last = entry.sequence
            needs[entry.sequence] = entry.needs
            if entry.sequence <= max(state.acknowledged, state.expired) { findings.append("inbox \(number) has event \(entry.sequence), which it let go") }
            return .onward
        }
        if count != state.count { findings.append("inbox \(number) has \(count) entries, its state says \(state.count)") }
        if count > 0, last != state.last { findings.append("inbox \(number) ends with event \(last), its state says \(state.last)") }
        if state.last > head { findings.append("inbox \(number) names event \(state.last), the log ends at \(head)") }
        try view.scanRecords(prefix: scope.key(.inboxMatches, number)) { key, payload in
            let sequence = Sequence(rawValue: UInt64(lastOf: key))
            let matched = try InboxMatch.decode(Array(payload)).map(\.need)
            if needs[sequence] != matched { findings.append("inbox \(number) says how needs \(matched) match event \(sequence), its entry does not") }
            return .onward
        }
        return findings
    }

    /// Every inbox of a project that has a state.
    public static func numbers(_ scope: TenantScope, in view: borrowing TransactionView) throws -> [UInt32] {
        var numbers: [UInt32] = []
        try view.scanRecords(prefix: scope.key(.inboxState)) { key, _ in
            numbers.append(UInt32(lastOf: key))
            return .onward
        }
        return numbers
    }
}
