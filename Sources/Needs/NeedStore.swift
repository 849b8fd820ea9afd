public import Base
public import KeySpace
public import LMDB

/// Agents, their standing needs, and which documents each agent is following, of one project.
///
/// An agent follows a document while one of its nodes matches one of the agent's needs. The relation is kept both ways:
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
        return last + 1
    }

    /// Counts registrations and removals, so that whoever keeps needs in memory knows when to read them again.
    public func generation(in view: borrowing TransactionView) throws -> UInt64 { try state(in: view).generation }

    /// Enters an agent with its needs; whatever was registered under the name goes first.
    public func register(_ agent: AgentRecord, needs: [NeedRecord], in transaction: inout WriteTransaction) throws {
        try remove(agent.name, in: &transaction)
        var state = try state(in: transaction.view)
        precondition(agent.number > state.lastNumber, "agent number \(agent.number) was given before")
        state.lastNumber = agent.number
        state.generation &+= 1
        try store(state, in: &transaction)
        try update(agent, in: &transaction)
        for need in needs { try put(need, in: &transaction) }
    }

    /// Enters a need of an agent, or gives it another vector (of another model).
    public func put(_ need: NeedRecord, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: need.vector.count * 4 + need.text.utf8.count + 16)
        writer.text(need.text)
        writer.varint(UInt64(need.vector.count))
        writer.floats(need.vector)
        try transaction.store(scope.key(.need, Self.pair(need.agent, need.index)), writer.bytes)
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
        try transaction.deleteAll(prefix: scope.key(.need, agent.number))
        try transaction.delete(scope.key(.agent, text: name.text))
        var state = try state(in: transaction.view)
        state.generation &+= 1
        try store(state, in: &transaction)
        return true
    }

    // MARK: - Needs

    /// Every standing need of the project.
    public func needs(in view: borrowing TransactionView) throws -> [NeedRecord] {
        var found: [NeedRecord] = []
        try view.scanRecords(prefix: scope.key(.need)) { key, payload in
            let (agent, index) = Self.pair(ofKey: key)
            var reader = ByteReader(Array(payload))
            let text = try reader.text()
            let vector = try reader.floats(try reader.count(limit: reader.remaining / 4))
            try reader.end()
            found.append(NeedRecord(agent: agent, index: index, text: text, vector: vector))
            return .onward
        }
        return found
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

    private static func nodes(_ bytes: [UInt8]) throws -> [NodeID] {
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

    // MARK: - State and check

    private struct State {
        var lastNumber: UInt32 = 0
        var generation: UInt64 = 0
    }

    private func state(in view: borrowing TransactionView) throws -> State {
        guard let bytes = try view.loadBytes(scope.key(.needState)) else { return State() }
        var reader = ByteReader(bytes)
        let state = State(lastNumber: try reader.u32(), generation: try reader.u64())
        try reader.end()
        return state
    }

    private func store(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.u32(state.lastNumber)
        writer.u64(state.generation)
        try transaction.store(scope.key(.needState), writer.bytes)
    }

    private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    private static func pair(ofKey key: [UInt8]) -> (first: UInt32, second: UInt32) {
        let pair = UInt64(lastOf: key)
        return (UInt32(truncatingIfNeeded: pair >> 32), UInt32(truncatingIfNeeded: pair))
    }

    /// Agents against needs, needs against agents, and follows against each other and against `nodes`, the nodes that exist
    /// and their documents. Each finding is a sentence.
    /// - Complexity: O(agents + needs + follows).
    public func findings(nodes: [NodeID: DocumentID], in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let agents = try agents(in: view)
        let needs = try needs(in: view)
        let lastNumber = try state(in: view).lastNumber
        let needsByAgent = Dictionary(grouping: needs, by: \.agent)
        var names: [UInt32: Name] = [:]
        for agent in agents {
            if agent.number > lastNumber { findings.append("agent '\(agent.name)' has number \(agent.number), the last one given is \(lastNumber)") }
            if let other = names.updateValue(agent.name, forKey: agent.number) {
                findings.append("agents '\(other)' and '\(agent.name)' both have number \(agent.number)")
            }
            let own = needsByAgent[agent.number] ?? []
            let inOrder = own.enumerated().allSatisfy { place, need in need.index == place }
            if !inOrder || own.map({ ExactText($0.text) }) != agent.needs.map({ ExactText($0) }) {
                findings.append("agent '\(agent.name)': \(own.count) need records for \(agent.needs.count) needs, or not the same ones")
            }
        }
        for need in needs where names[need.agent] == nil {
            findings.append("need '\(need.text)' belongs to agent number \(need.agent), which is not there")
        }
        try view.scanRecords(prefix: scope.key(.agentMatch)) { key, payload in
            let (number, document) = Self.pair(ofKey: key)
            let agent = names[number].map { "agent '\($0)'" } ?? "agent number \(number)"
            let matched = try Self.nodes(Array(payload))
            if names[number] == nil { findings.append("\(agent) follows document \(document), but is not there") }
            if try view.load(scope.key(.agentMatchByDocument, Self.pair(document, number))) == nil {
                findings.append("\(agent) follows document \(document), which does not know it")
            }
            if matched.isEmpty { findings.append("\(agent) follows document \(document) without a node") }
            for node in matched where nodes[node] != DocumentID(rawValue: document) {
                findings.append("\(agent) holds node \(node.rawValue) of document \(document), which is not there")
            }
            return .onward
        }
        try view.scanRecords(prefix: scope.key(.agentMatchByDocument)) { key, _ in
            let (document, agent) = Self.pair(ofKey: key)
            if try view.load(scope.key(.agentMatch, Self.pair(agent, document))) == nil {
                findings.append("document \(document) names agent number \(agent) as its follower, which does not know it")
            }
            return .onward
        }
        return findings
    }
}
