public import Base
public import KeySpace
public import LMDB

/// Agents, their standing needs, and which documents each agent is following, of one project.
///
/// Equal needs of several agents are one, with a number of its own; NeedTable.swift has the index by which a publish finds the few that it may
/// concern. An agent follows a document while one of its nodes matches one of the agent's needs. The relation is kept both ways:
/// by agent with the nodes (what the agent has), by document without (whom to tell).
public struct NeedStore: Sendable {
    public let scope: TenantScope

    public init(scope: TenantScope) { self.scope = scope }

    // MARK: - Agents

    public func agent(_ name: Name, in view: borrowing TransactionView) throws -> AgentRecord? {
        guard let bytes = try view.loadBytes(scope.key(.agent, text: name.text)) else { return nil }
        let agent = try AgentRecord.decode(bytes)
        guard agent.name == name else {
            throw ContexError.invalid(
                field: "agent_id", kind: "value_error", message: "Value error, this long name collides with another; choose a different one")
        }
        return agent
    }

    /// All agents of the project, in the order of registration.
    public func agents(in view: borrowing TransactionView) throws -> [AgentRecord] {
        var found: [AgentRecord] = []
        try view.scanRecords(prefix: scope.key(.agent)) { _, payload in
            found.append(try AgentRecord.decode(Array(payload)))
            return .onward
        }
        return found.sorted { $0.number < $1.number }
    }

    /// How many agents there are.
    public func count(in view: borrowing TransactionView) throws -> Int {
        var count = 0
        try view.scanRecords(prefix: scope.key(.agent)) { _, _ in
            count += 1
            return .onward
        }
        return count
    }

    /// The names of all agents, in the order of registration; one record is held at a time.
    public func names(in view: borrowing TransactionView) throws -> [Name] {
        var found: [(number: UInt32, name: Name)] = []
        try view.scanRecords(prefix: scope.key(.agent)) { _, payload in
            let agent = try AgentRecord.decode(Array(payload))
            found.append((agent.number, agent.name))
            return .onward
        }
        return found.sorted { $0.number < $1.number }.map(\.name)
    }

    /// The number that the next registration takes. Numbers are not reused.
    /// - Throws: `.limited` when the project has used up its numbers.
    public func nextNumber(in view: borrowing TransactionView) throws -> UInt32 {
        let last = try state(in: view).lastNumber
        guard last < .max else { throw ContexError(.numbersExhausted, "the project has had \(UInt32.max) registrations, the most there can be") }
        guard try view.get(scope.key(.agentNeeds, last + 1)) == nil else {
            throw ContexError.damaged("the next registration would get number \(last + 1), which another one has: run 'contex check'")
        }
        return last + 1
    }

    /// Enters an agent with its needs; whatever was registered under the name goes first.
    public func register(_ agent: AgentRecord, needs: [NeedRecord], in transaction: inout WriteTransaction) throws {
        try remove(agent.name, in: &transaction)
        var state = try state(in: transaction.view)
        precondition(agent.number > state.lastNumber, "agent number \(agent.number) was given before")
        state.lastNumber = agent.number
        try store(state, in: &transaction)
        try update(agent, in: &transaction)
        try enter(needs, of: agent.number, agent.name, in: &transaction)
    }

    /// The needs of an agent that has none yet.
    private func enter(_ needs: [NeedRecord], of agent: UInt32, _ name: Name, in transaction: inout WriteTransaction) throws {
        var numbers: [UInt32] = []
        for need in needs {
            let number = try self.number(of: need.standing, in: &transaction)
            try enter(agent, asking: number, as: need.index, in: &transaction)
            numbers.append(number)
        }
        try transaction.store(scope.key(.agentNeeds, agent), AgentNeeds(name: name, numbers: numbers).encode())
    }

    /// One more agent asks a need.
    func enter(_ agent: UInt32, asking number: UInt32, as index: UInt32, in transaction: inout WriteTransaction) throws {
        var place = ByteWriter(capacity: 8)
        place.varint(UInt64(index))
        try transaction.store(scope.key(.needFollower, Self.pair(number, agent)), place.bytes)
    }

    /// One less; what nobody asks any more is gone.
    func leave(_ agent: UInt32, _ number: UInt32, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.needFollower, Self.pair(number, agent)))
        if try !hasFollower(need: number, in: transaction.view) { try removeNeed(number, in: &transaction) }
    }

    /// Rewrites an agent's own record; name and number stay.
    public func update(_ agent: AgentRecord, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.agent, text: agent.name.text), agent.encode())
    }

    /// Removes agent, needs and follows; false when it was not there.
    @discardableResult
    public func remove(_ name: Name, in transaction: inout WriteTransaction) throws -> Bool {
        guard let agent = try agent(name, in: transaction.view) else { return false }
        for document in try followed(by: agent.number, in: transaction.view).keys {
            try transaction.delete(scope.key(.agentMatchByDocument, Self.pair(document.rawValue, agent.number)))
        }
        try transaction.deleteAll(prefix: scope.key(.agentMatch, agent.number))
        for number in try agentNeeds(agent.number, in: transaction.view)?.numbers ?? [] {
            try leave(agent.number, number, in: &transaction)
        }
        try transaction.delete(scope.key(.agentNeeds, agent.number))
        try transaction.delete(scope.key(.agent, text: name.text))
        return true
    }

    // MARK: - Needs

    /// Every standing need of the project, agent by agent.
    /// - Complexity: O(needs), all in memory: for checks.
    public func needs(in view: borrowing TransactionView) throws -> [NeedRecord] {
        var found: [NeedRecord] = []
        for (number, agent) in try allAgentNeeds(in: view) {
            for (index, asked) in agent.numbers.enumerated() {
                guard let standing = try need(asked, in: view) else {
                    throw ContexError.damaged("agent '\(agent.name)' has need number \(asked), which is not there: run 'contex check'")
                }
                found.append(NeedRecord(agent: number, index: UInt32(index), standing))
            }
        }
        return found
    }

    /// The vectors of an agent's needs, in their order.
    public func vectors(of agent: UInt32, in view: borrowing TransactionView) throws -> [[Float]] {
        try (agentNeeds(agent, in: view)?.numbers ?? []).map { number in
            guard let standing = try need(number, in: view) else {
                throw ContexError.damaged("agent number \(agent) has need number \(number), which is not there: run 'contex check'")
            }
            return standing.vector
        }
    }

    /// The agents that ask a need, by number, and which of theirs it is.
    public func followers(ofNeed need: UInt32, in view: borrowing TransactionView) throws -> [(agent: UInt32, index: UInt32)] {
        var found: [(agent: UInt32, index: UInt32)] = []
        try view.scanRecords(prefix: scope.key(.needFollower, need)) { key, payload in
            var reader = ByteReader(Array(payload))
            found.append((UInt32(lastOf: key), UInt32(try reader.count(limit: Int(UInt32.max)))))
            try reader.end()
            return .onward
        }
        return found
    }

    private func hasFollower(need: UInt32, in view: borrowing TransactionView) throws -> Bool {
        var has = false
        try view.scan(prefix: scope.key(.needFollower, need)) { _, _ in
            has = true
            return .stop
        }
        return has
    }

    /// Whose number it is; nil for nobody's.
    public func agentName(_ number: UInt32, in view: borrowing TransactionView) throws -> Name? { try agentNeeds(number, in: view)?.name }

    /// What an agent's number stands for.
    struct AgentNeeds {
        let name: Name
        /// Of its needs, in their order.
        let numbers: [UInt32]

        func encode() -> [UInt8] {
            var writer = ByteWriter(capacity: name.text.utf8.count + 4 * numbers.count + 8)
            writer.text(name.text)
            for number in numbers { writer.u32(number) }
            return writer.bytes
        }

        init(name: Name, numbers: [UInt32]) {
            self.name = name
            self.numbers = numbers
        }

        init(_ bytes: [UInt8]) throws {
            var reader = ByteReader(bytes)
            name = Name(stored: try reader.text())
            var numbers: [UInt32] = []
            while reader.remaining > 0 { numbers.append(try reader.u32()) }
            self.numbers = numbers
        }
    }

    func agentNeeds(_ number: UInt32, in view: borrowing TransactionView) throws -> AgentNeeds? {
        try view.loadBytes(scope.key(.agentNeeds, number)).map { try AgentNeeds($0) }
    }

    func allAgentNeeds(in view: borrowing TransactionView) throws -> [(agent: UInt32, needs: AgentNeeds)] {
        var found: [(agent: UInt32, needs: AgentNeeds)] = []
        try view.scanRecords(prefix: scope.key(.agentNeeds)) { key, payload in
            found.append((UInt32(lastOf: key), try AgentNeeds(Array(payload))))
            return .onward
        }
        return found
    }

    // MARK: - Anew

    /// Forgets every need, of this format or of format 1; the agents stay, without needs, until `renew`.
    public func removeAllNeeds(in transaction: inout WriteTransaction) throws {
        let last = try lastNumber(in: transaction.view)
        for kind in [KeyKind.need, .agentNeeds, .needFollower, .needByText, .needTerm, .needLimits, .needCodes] {
            try transaction.deleteAll(prefix: scope.key(kind))
        }
        if let last { try store(State(lastNumber: last), in: &transaction) }
    }

    /// Enters the needs of an agent that `removeAllNeeds` left without.
    public func renew(_ agent: AgentRecord, needs: [NeedRecord], in transaction: inout WriteTransaction) throws {
        try enter(needs, of: agent.number, agent.name, in: &transaction)
    }

    // MARK: - Follows

    /// The documents an agent follows, and the nodes that matched.
    public func followed(by agent: UInt32, in view: borrowing TransactionView) throws -> [DocumentID: [NodeID]] {
        var found: [DocumentID: [NodeID]] = [:]
        try view.scanRecords(prefix: scope.key(.agentMatch, agent)) { key, payload in
            let document = DocumentID(rawValue: UInt32(lastOf: key))
            found[document] = try Self.nodes(Array(payload))
            return .onward
        }
        return found
    }

    /// The nodes of one document that match an agent's needs, none when it does not follow it.
    public func followedNodes(by agent: UInt32, document: DocumentID, in view: borrowing TransactionView) throws -> [NodeID] {
        guard let bytes = try view.loadBytes(scope.key(.agentMatch, Self.pair(agent, document.rawValue))) else { return [] }
        return try Self.nodes(bytes)
    }

    static func nodes(_ bytes: [UInt8]) throws -> [NodeID] {
        var reader = ByteReader(bytes)
        var nodes: [NodeID] = []
        while reader.remaining > 0 { nodes.append(NodeID(rawValue: try reader.u32())) }
        return nodes
    }

    /// The agents that follow a document, by number.
    public func followers(of document: DocumentID, in view: borrowing TransactionView) throws -> [UInt32] {
        var found: [UInt32] = []
        try view.scanRecords(prefix: scope.key(.agentMatchByDocument, document.rawValue)) { key, _ in
            found.append(UInt32(lastOf: key))
            return .onward
        }
        return found
    }

    /// Sets the nodes of a document that match an agent's needs; none means that the agent no longer follows it.
    public func setFollow(
        agent: UInt32, document: DocumentID, nodes: [NodeID], in transaction: inout WriteTransaction
    ) throws {
        let forward = scope.key(.agentMatch, Self.pair(agent, document.rawValue))
        let backward = scope.key(.agentMatchByDocument, Self.pair(document.rawValue, agent))
        if nodes.isEmpty {
            try transaction.delete(forward)
            try transaction.delete(backward)
        } else {
            var writer = ByteWriter(capacity: nodes.count * 4)
            for node in nodes { writer.u32(node.rawValue) }
            try transaction.store(forward, writer.bytes)
            try transaction.store(backward, [])
        }
    }

    // MARK: - State

    struct State: Equatable {
        var lastNumber: UInt32 = 0
        /// Numbers of needs that were ever given at once: those of the index are below.
        var slots: UInt32 = 0
        /// One more than the number that the next need takes of those that were given back; 0 for none.
        var free: UInt32 = 0
        /// Needs that there are.
        var count: UInt32 = 0
        /// Dimensions of a code; 0 before the first.
        var padded: UInt16 = 0
    }

    /// Bytes of the state in format 1.
    private static let bytesOfFormat1 = 12

    func state(in view: borrowing TransactionView) throws -> State {
        guard let bytes = try view.loadBytes(scope.key(.needState)) else { return State() }
        guard bytes.count != Self.bytesOfFormat1 else {
            throw ContexError(.reindexNeeded, "the needs of a project are in format 1, this build reads format 2: make them anew with 'contex reindex'")
        }
        var reader = ByteReader(bytes)
        let state = State(
            lastNumber: try reader.u32(), slots: try reader.u32(), free: try reader.u32(), count: try reader.u32(), padded: try reader.u16())
        try reader.end()
        return state
    }

    /// Of either format.
    private func lastNumber(in view: borrowing TransactionView) throws -> UInt32? {
        guard let bytes = try view.loadBytes(scope.key(.needState)) else { return nil }
        var reader = ByteReader(bytes)
        return try reader.u32()
    }

    func store(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.u32(state.lastNumber)
        writer.u32(state.slots)
        writer.u32(state.free)
        writer.u32(state.count)
        writer.u16(state.padded)
        try transaction.store(scope.key(.needState), writer.bytes)
    }

    static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    static func pair(ofKey key: [UInt8]) -> (first: UInt32, second: UInt32) {
        let pair = UInt64(lastOf: key)
        return (UInt32(truncatingIfNeeded: pair >> 32), UInt32(truncatingIfNeeded: pair))
    }
}
