// Agents: register, look up, unregister.
//
// A registration searches on a snapshot, outside the writer, because it may have a thousand needs; the command then only
// writes, and is refused as stale before its first write when the project's log has grown since the snapshot. After
// `snapshotTries` such refusals it searches inside its own transaction, so that a busy project cannot starve it.

public import Base
internal import Documents
internal import Events
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

extension Database {
    /// Missed events sent at a registration.
    static let catchUpMax = 100
    private static let snapshotTries = 3

    /// Registers an agent, replacing what was under its id in the project; sends initial context and missed events.
    ///
    /// - Throws: `.invalid` (too many needs), `.unavailable`, `.storageFull`, `.damaged`.
    public func register(_ tenant: TenantID, _ command: RegisterCommand) async throws -> Registration {
        let needs = try Self.distinctNeeds(of: command)
        let searching = searching(tenant, command, needs, vectors: needs.isEmpty ? [] : try await models.embed(needs))
        let time = now()
        for _ in 0..<Self.snapshotTries {
            let found = try await read { try searching.run(in: $0) }
            do {
                return try await writer.submit { [self] transaction, effects in
                    guard try searching.head(in: transaction.view) == found.head else { throw ContexError(.conflict, "stale registration") }
                    return try enter(tenant, command, searching, found, at: time, in: &transaction, &effects)
                }
            } catch let error as ContexError where error.category == .conflict {
                continue
            }
        }
        return try await writer.submit { [self] transaction, effects in
            let found = try searching.run(in: transaction.view)
            return try enter(tenant, command, searching, found, at: time, in: &transaction, &effects)
        }
    }

    /// Registers many agents in their order, each by itself: what refuses one leaves the others.
    ///
    /// A round of `roundAgents` is embedded at once, searched on one snapshot and committed as a group, since a commit for each would
    /// make ten thousand agents wait for ten thousand fsyncs. Order decides who holds an id that comes twice, so a search that the
    /// project's log has outgrown is done again where it stands, inside the transaction, and not after the others.
    public func register(_ tenant: TenantID, _ commands: [RegisterCommand]) async -> [Result<Registration, ContexError>] {
        var outcomes: [Result<Registration, ContexError>] = []
        while outcomes.count < commands.count {
            var round: [RegisterCommand] = []
            var needCount = 0
            for command in commands[outcomes.count...] {
                needCount += command.needs.count
                if round.count == Self.roundAgents || !round.isEmpty && needCount > Limits.needsPerAgent { break }
                round.append(command)
            }
            do {
                outcomes += try await registerRound(tenant, round)
            } catch {
                let failure = ContexError(anyError: error)
                outcomes += round.map { _ in .failure(failure) }
            }
        }
        return outcomes
    }

    private static let roundAgents = 256

    private func registerRound(_ tenant: TenantID, _ commands: [RegisterCommand]) async throws -> [Result<Registration, ContexError>] {
        var needs: [Result<[String], ContexError>] = []
        var texts: [String] = []
        for command in commands {
            do throws(ContexError) {
                let distinct = try Self.distinctNeeds(of: command)
                needs.append(.success(distinct))
                texts += distinct
            } catch {
                needs.append(.failure(error))
            }
        }
        var vectors = (texts.isEmpty ? [] : try await models.embed(texts))[...]
        var searches: [(command: RegisterCommand, search: NeedSearch)] = []
        for (command, needs) in zip(commands, needs) {
            guard case .success(let needs) = needs else { continue }
            searches.append((command, searching(tenant, command, needs, vectors: Array(vectors.prefix(needs.count)))))
            vectors = vectors.dropFirst(needs.count)
        }
        let time = now()
        let wanted = searches.map(\.search)
        let found = try await read { view in
            var found: [NeedSearch.Found] = []
            for search in wanted { found.append(try search.run(in: view)) }
            return found
        }
        var entries: [@Sendable (inout WriteTransaction, inout Effects) throws -> Registration] = []
        for (place, ((command, search), found)) in zip(searches, found).enumerated() {
            // Agents are listed by the time of registration: no two of a round share it.
            let time = Timestamp(rawValue: time.rawValue + Int64(place))
            entries.append { [self] transaction, effects in
                let isStale = try search.head(in: transaction.view) != found.head
                let current = isStale ? try search.run(in: transaction.view) : found
                return try enter(tenant, command, search, current, at: time, in: &transaction, &effects)
            }
        }
        var answered = await writer.submit(entries).makeIterator()
        return needs.map { needs -> Result<Registration, ContexError> in
            if case .failure(let refusal) = needs { return .failure(refusal) }
            return answered.next() ?? .failure(ContexError(.bug, "a registration without an outcome"))
        }
    }

    /// Duplicates collapse. - Throws: `.invalid` for too many.
    private static func distinctNeeds(of command: RegisterCommand) throws(ContexError) -> [String] {
        guard command.needs.count <= Limits.needsPerAgent else {
            throw ContexError.invalid(
                field: "data_needs", kind: "too_long",
                message: "List should have at most \(Limits.needsPerAgent) items after validation, not \(command.needs.count)")
        }
        var seen: Set<[UInt8]> = []
        return command.needs.filter { seen.insert(Array($0.utf8)).inserted }
    }

    private func searching(_ tenant: TenantID, _ command: RegisterCommand, _ needs: [String], vectors: [[Float]]) -> NeedSearch {
        NeedSearch(
            tenant: tenant, project: command.project, needs: needs, vectors: vectors, dimension: models.dimension, configuration,
            packing: ContextSettings(command, configuration, countTokens: models.countTokens))
    }

    private func enter(
        _ tenant: TenantID, _ command: RegisterCommand, _ searching: NeedSearch, _ found: NeedSearch.Found, at time: Timestamp,
        in transaction: inout WriteTransaction, _ effects: inout Effects
    ) throws -> Registration {
        let scope = try ProjectRegistry(tenant: tenant).scopeCreating(command.project, at: time, in: &transaction)
        let store = NeedStore(scope: scope)
        let agent = AgentRecord(
            name: command.agent, number: try store.nextNumber(in: transaction.view), needs: searching.needs, delivery: command.delivery,
            responseFormat: command.responseFormat, channel: command.channel ?? "agent:\(command.agent):updates",
            webhookURL: command.webhookURL, webhookSecret: command.webhookSecret, lastSequence: found.head, registeredAt: time)
        try store.register(
            agent,
            needs: zip(searching.needs, searching.vectors).enumerated().map { index, need in
                NeedRecord(agent: agent.number, index: UInt32(index), text: need.0, vector: need.1)
            },
            in: &transaction)
        try found.setFollows(of: agent.number, store, in: &transaction)
        try AgentDirectory(tenant: tenant).put(
            .init(agent: command.agent, project: scope.project, projectName: command.project, registeredAt: time), in: &transaction)
        let missed = try EventLog(scope: scope).events(after: command.lastSeen, count: Self.catchUpMax, in: transaction.view)
        for message in [.initialContext(found.context)] + missed.map({ Notification.Message.event($0) }) {
            effects.notifications.append(Notification(tenant: tenant, project: command.project, agent: agent, message: message))
        }
        return Registration(
            project: command.project, agent: command.agent, caughtUpEvents: missed.count, currentSequence: found.head,
            matchedNeeds: found.context.needs.map { ($0.need, $0.matches.count) }, channel: agent.channel)
    }

    /// The agents of one project, or of all projects of the tenant, in the order of registration.
    public func agents(_ tenant: TenantID, project: Name?) async throws -> [AgentStatus] {
        try await read { view in
            let entries = try AgentDirectory(tenant: tenant).entries(in: view)
            return try entries.filter { project == nil || $0.projectName == project }.map { try Self.status(tenant, $0, in: view) }
        }
    }

    /// The registrations under one agent id, oldest first; of one project when it is named.
    public func agent(_ tenant: TenantID, _ agent: Name, project: Name?) async throws -> [AgentStatus] {
        try await read { view in
            let entries = try AgentDirectory(tenant: tenant).entries(agent, in: view)
            return try entries.filter { project == nil || $0.projectName == project }.map { try Self.status(tenant, $0, in: view) }
        }
    }

    private static func status(
        _ tenant: TenantID, _ entry: AgentDirectory.Entry, in view: borrowing TransactionView
    ) throws -> AgentStatus {
        let scope = TenantScope(tenant: tenant, project: entry.project)
        let store = NeedStore(scope: scope)
        guard let record = try store.agent(entry.agent, in: view) else {
            throw ContexError.damaged("agent '\(entry.agent)' is in the directory but is not there")
        }
        let documents = DocumentStore(scope: scope)
        let nodes = try store.followed(by: record.number, in: view).values.joined().sorted()
        let keys = try nodes.map { id in
            guard let node = try documents.node(id, in: view) else {
                throw ContexError.damaged("agent '\(entry.agent)' holds node \(id.rawValue), which is not there")
            }
            return node.nodeKey
        }
        return AgentStatus(project: entry.projectName, record: record, nodeKeys: keys)
    }

    /// Removes registrations of an agent in the projects given; returns how many there were.
    @discardableResult
    public func unregister(_ tenant: TenantID, _ agent: Name, projects: [Name]) async throws -> Int {
        try await writer.submit { transaction, _ in
            var removed = 0
            for project in projects {
                guard let scope = try Self.scope(tenant, project, transaction.view),
                    try NeedStore(scope: scope).agent(agent, in: transaction.view) != nil
                else { continue }
                try NeedStore(scope: scope).remove(agent, in: &transaction)
                try AgentDirectory(tenant: tenant).remove(agent, project: scope.project, in: &transaction)
                removed += 1
            }
            return removed
        }
    }
}

/// The search for the needs of one registration.
struct NeedSearch: Sendable {
    let tenant: TenantID
    let project: Name
    let needs: [String]
    let vectors: [[Float]]
    let dimension: Int
    let mode: SearchMode
    let threshold: Double
    let matchesMax: Int
    let settings: ContextSettings?

    /// - Parameter settings: nil when nobody is told: then the context is empty.
    init(
        tenant: TenantID, project: Name, needs: [String], vectors: [[Float]], dimension: Int, _ configuration: DatabaseConfiguration,
        packing settings: ContextSettings?
    ) {
        self.tenant = tenant
        self.project = project
        self.needs = needs
        self.vectors = vectors
        self.dimension = dimension
        self.settings = settings
        mode = configuration.mode
        threshold = configuration.threshold
        matchesMax = configuration.matchesMax
    }

    struct Found: Sendable {
        let head: Sequence
        let context: InitialContext
        /// Of all that matches, also of what the context had no room for: the agent needs to hear of its changes all the same.
        let nodes: [DocumentID: Set<NodeID>]

        /// Lets the agent follow what was found.
        func setFollows(of agent: UInt32, _ store: NeedStore, in transaction: inout WriteTransaction) throws {
            for (document, nodes) in nodes.sorted(by: { $0.key < $1.key }) {
                try store.setFollow(agent: agent, document: document, nodes: nodes.sorted(), in: &transaction)
            }
        }
    }

    func head(in view: borrowing TransactionView) throws -> Sequence {
        guard let scope = try Database.scope(tenant, project, view) else { return .zero }
        return try EventLog(scope: scope).head(in: view).sequence
    }

    func run(in view: borrowing TransactionView) throws -> Found {
        guard let scope = try Database.scope(tenant, project, view) else {
            return Found(head: .zero, context: InitialContext(needs: needs.map { ($0, []) }), nodes: [:])
        }
        let search = NodeSearch(scope: scope, dimension: dimension, mode: mode, threshold: threshold)
        let questions = zip(needs, vectors).map { Question(text: $0, vector: $1) }
        var matched: [(need: String, matches: [Match])] = []
        for question in questions { matched.append((question.text, try search.matches(question, count: matchesMax, in: view))) }
        var context = InitialContext(needs: [])
        if let settings {
            let pinned = try settings.pinned(for: questions, search, in: view)
            context = try settings.pack(matched, pinned: pinned, VectorIndex(scope: scope, dimension: dimension), in: view)
        }
        var nodes: [DocumentID: Set<NodeID>] = [:]
        for match in matched.flatMap(\.matches) { nodes[match.document, default: []].insert(match.node) }
        return Found(head: try EventLog(scope: scope).head(in: view).sequence, context: context, nodes: nodes)
    }
}
