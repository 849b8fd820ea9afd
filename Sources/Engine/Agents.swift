// Agents: register, look up, unregister.
//
// A registration searches on a snapshot, outside the writer, because it may have a thousand needs; the command then only
// writes, and is refused as stale before its first write when the project's log has grown since the snapshot. After
// `snapshotTries` such refusals it searches inside its own transaction, so that a busy project cannot starve it.

public import Base
internal import Access
internal import Addresses
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
public import Needs
internal import Vectors

extension Database {
    /// Missed events sent at a registration.
    static let catchUpMax = 100
    private static let snapshotTries = 3

    /// Registers an agent, replacing what was under its id in the project; sends initial context and missed events.
    ///
    /// - Throws: `.invalid` (`RegisterCommand.checked`), `.unavailable`, `.storageFull`, `.damaged`.
    public func register(_ tenant: TenantID, _ command: RegisterCommand) async throws -> Registration {
        let command = try checked(command)
        let needs = Self.distinctNeeds(of: command)
        let searching = searching(tenant, command, needs, vectors: needs.isEmpty ? [] : try await models.embed(Self.scoped(needs, tenant, command.project)))
        let time = now()
        for _ in 0..<Self.snapshotTries {
            let found = try await read { try searching.run(in: $0) }
            let registration = try await writer.submit { [self] transaction, effects -> Registration? in
                guard try searching.stamp(in: transaction.view) == found.stamp else { return nil }
                return try enter(tenant, command, searching, found, at: time, in: &transaction, &effects)
            }
            if let registration { return registration }
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
        let checked = commands.map { command in Result { () throws(ContexError) in try self.checked(command) } }
        let sound = checked.compactMap { try? $0.get() }
        let texts = sound.flatMap { Self.scoped(Self.distinctNeeds(of: $0), tenant, $0.project) }
        var vectors = (texts.isEmpty ? [] : try await models.embed(texts))[...]
        var searches: [(command: RegisterCommand, search: NeedSearch)] = []
        for command in sound {
            let needs = Self.distinctNeeds(of: command)
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
                let isStale = try search.stamp(in: transaction.view) != found.stamp
                let current = isStale ? try search.run(in: transaction.view) : found
                return try enter(tenant, command, search, current, at: time, in: &transaction, &effects)
            }
        }
        var answered = await writer.submit(entries).makeIterator()
        return checked.map { command -> Result<Registration, ContexError> in
            if case .failure(let refusal) = command { return .failure(refusal) }
            return answered.next() ?? .failure(ContexError(.bug, "a registration without an outcome"))
        }
    }

    /// The command by its rules (`RegisterCommand.checked`), and with no webhook that every delivery would refuse.
    /// - Throws: `.invalid`
    func checked(_ command: RegisterCommand) throws(ContexError) -> RegisterCommand {
        let command = try command.checked()
        guard command.delivery == .webhook, let text = command.webhookURL else { return command }
        let url = try WebhookURL(text)
        guard let targets = configuration.webhookTargets else {
            throw ContexError.invalid(
                field: "webhook_url", kind: "value_error", message: "Value error, webhooks are switched off on this server: use a channel")
        }
        try targets.check(url)
        return command
    }

    private static func scoped(_ needs: [String], _ tenant: TenantID, _ project: Name) -> [ScopedText] {
        let scope = ModelScope.project(project, of: tenant)
        return needs.map { ScopedText($0, in: scope) }
    }

    /// Duplicates collapse.
    private static func distinctNeeds(of command: RegisterCommand) -> [String] {
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
        let registry = ProjectRegistry(tenant: tenant)
        let channels = ChannelDirectory(tenant: tenant)
        let known = try registry.scope(of: command.project, in: transaction.view)
        let before = try known.flatMap { try NeedStore(scope: $0).agent(command.agent, in: transaction.view) }
        let channel = try Self.channel(of: command, before: before, project: known?.project, channels, in: transaction.view)
        // From here on the transaction changes.
        let scope = try registry.scopeCreating(command.project, at: time, in: &transaction)
        let store = NeedStore(scope: scope)
        if before?.channel.utf8.elementsEqual(channel.utf8) != true {
            if let before { try channels.release(before.channel, by: scope.project, in: &transaction) }
            try channels.claim(channel, for: scope.project, named: command.project, in: &transaction)
        }
        let kept = command.keepsSecret ? before?.webhookSecret : nil
        let agent = AgentRecord(
            name: command.agent, number: try store.nextNumber(in: transaction.view), needs: searching.needs, delivery: command.delivery,
            responseFormat: command.responseFormat, channel: channel, webhookURL: command.webhookURL, webhookSecret: command.webhookSecret ?? kept,
            envelope: command.envelope, registrant: command.registrant, lastSequence: found.head, registeredAt: time)
        try store.register(
            agent,
            needs: zip(searching.needs, searching.vectors).enumerated().map { index, need in
                NeedRecord(agent: agent.number, index: UInt32(index), text: need.0, vector: need.1)
            },
            in: &transaction)
        try found.setFollows(of: agent.number, store, in: &transaction)
        try AgentDirectory(tenant: tenant).put(
            .init(agent: command.agent, project: scope.project, projectName: command.project, registeredAt: time), in: &transaction)
        let missed = try EventLog(scope: scope).events(
            after: command.lastSeen, count: Self.catchUpMax, bytesMax: Limits.catchUpBytes, in: transaction.view)
        func tell(_ message: Notification.Message, _ provenance: Provenance) {
            effects.notifications.append(
                Notification(tenant: tenant, project: command.project, agent: agent, message: message, provenance: provenance))
        }
        var origin = Provenance()
        origin.sequence = found.head
        tell(.initialContext(found.context), origin)
        for event in missed { tell(.event(event), Provenance(event)) }
        return Registration(
            project: command.project, agent: command.agent, caughtUpEvents: missed.count,
            caughtUpTo: missed.last.flatMap { $0.sequence < found.head ? $0.sequence : nil }, currentSequence: found.head,
            matchedNeeds: found.context.needs.map { ($0.need, $0.matches.count) }, channel: agent.channel)
    }

    /// The channel on which an agent is told: the one that it asks for, else the one that it has, else the first that is open to its
    /// project.
    /// - Throws: `.conflict` for one that another project holds.
    private static func channel(
        of command: RegisterCommand, before: AgentRecord?, project: ProjectID?, _ channels: ChannelDirectory, in view: borrowing TransactionView
    ) throws -> String {
        if let chosen = command.channel, !chosen.isEmpty {
            guard try channels.isOpen(chosen, to: project, in: view) else {
                throw ContexError(
                    .conflict,
                    "notification_channel '\(chosen)' belongs to another project: choose another one, or leave it out and the server finds one")
            }
            return chosen
        }
        let own = ownChannels(of: command.agent, in: command.project)
        // Whoever listens there does not have to learn a new name because another project's agent went.
        if let before, own.contains(where: { $0.utf8.elementsEqual(before.channel.utf8) }) { return before.channel }
        for channel in own where try channels.isOpen(channel, to: project, in: view) { return channel }
        throw ContexError(
            .conflict, "every channel that agent '\(command.agent)' would be told on belongs to another project: give it a notification_channel")
    }

    /// What a channel is called when nobody has named it, best first: the original's name, and what is taken when another project has it.
    static func ownChannels(of agent: Name, in project: Name) -> [String] {
        let further = "agent:\(project):\(agent):updates"
        return ["agent:\(agent):updates", further] + (2...16).map { "\(further):\($0)" }
    }

    /// The agents of one project, or of all projects of the tenant that the asker may see, in the order of registration.
    /// - Throws: `.invalid` for a cursor of another listing.
    public func agents(
        _ tenant: TenantID, project: Name?, _ request: PageRequest, visible: @escaping @Sendable (Name) -> Bool
    ) async throws -> Page<ListedAgent> {
        try await read { view in
            let place = try request.cursor.map { text -> AgentDirectory.Place in
                var reader = ByteReader(try PageCursor(text, of: .agents).place)
                return AgentDirectory.Place(registeredAt: Timestamp(rawValue: try reader.i64()), key: Array(try reader.raw(reader.remaining)))
            }
            let count = min(request.limit ?? .max, max(1, request.bytesMax / Self.listedAgentBytes))
            let entries = try AgentDirectory(tenant: tenant).entries(from: place, count: count + 1, in: view) {
                (project == nil || $0 == project) && visible($0)
            }
            var next: PageCursor?
            if entries.count > count {
                var writer = ByteWriter()
                writer.i64(entries[count].place.registeredAt.rawValue)
                writer.raw(entries[count].place.key)
                next = PageCursor(.agents, place: writer.bytes)
            }
            let items = entries.prefix(count).map { ListedAgent(agent: $0.entry.agent, project: $0.entry.projectName, registeredAt: $0.entry.registeredAt) }
            return Page(items: items, next: next?.text)
        }
    }

    /// A name has 1,020 bytes at most and some 20 mostly; with what is held beside it.
    private static let listedAgentBytes = 256

    /// The registrations under one agent id, oldest first; of one project when it is named.
    public func agent(_ tenant: TenantID, _ agent: Name, project: Name?) async throws -> [AgentStatus] {
        try await read { view in
            let entries = try AgentDirectory(tenant: tenant).entries(agent, in: view)
            return try entries.filter { project == nil || $0.projectName == project }.map { try Self.status(tenant, $0, in: view) }
        }.map { statusWithDelivery($0, tenant) }
    }

    private func statusWithDelivery(_ agent: AgentStatus, _ tenant: TenantID) -> AgentStatus {
        guard agent.record.delivery == .webhook else { return agent }
        var agent = agent
        agent.isStopped = !mayBeTold(agent.record, of: agent.project)
        agent.delivery = delivery(of: agent.record, tenant, agent.project)
        return agent
    }

    /// The project that each channel belongs to; nil for nobody's.
    public func channelOwners(_ tenant: TenantID, _ channels: [String]) async throws -> [Name?] {
        try await read { view in
            let directory = ChannelDirectory(tenant: tenant)
            var owners: [Name?] = []
            for channel in channels { owners.append(try directory.owner(of: channel, in: view)?.projectName) }
            return owners
        }
    }

    /// Whether the webhook of an agent is still called: the key that registered it must hold, and may register agents in the project.
    public func mayBeTold(_ agent: AgentRecord, of project: Name) -> Bool {
        guard let registrant = agent.registrant else { return true }
        return keyRing.principal(of: registrant.keyID)?.allows(.registerAgent, project: project.text) ?? false
    }

    private static func status(
        _ tenant: TenantID, _ entry: AgentDirectory.Entry, in view: borrowing TransactionView
    ) throws -> AgentStatus {
        let scope = TenantScope(tenant: tenant, project: entry.project)
        let store = NeedStore(scope: scope)
        guard let record = try store.agent(entry.agent, in: view) else {
            throw ContexError.damaged("agent '\(entry.agent)' is in the directory but is not there")
        }
        return AgentStatus(project: entry.projectName, record: record, nodeKeys: try nodeKeys(of: record, scope, in: view))
    }

    /// The keys of the nodes that match an agent's needs.
    static func nodeKeys(of agent: AgentRecord, _ scope: TenantScope, in view: borrowing TransactionView) throws -> [String] {
        let documents = DocumentStore(scope: scope)
        return try NeedStore(scope: scope).followed(by: agent.number, in: view).values.joined().sorted().map { id in
            guard let node = try documents.node(id, in: view) else {
                throw ContexError.damaged("agent '\(agent.name)' holds node \(id.rawValue), which is not there: run 'contex check'")
            }
            return node.nodeKey
        }
    }

    /// Removes registrations of an agent in the projects given; returns how many there were.
    @discardableResult
    public func unregister(_ tenant: TenantID, _ agent: Name, projects: [Name]) async throws -> Int {
        try await writer.submit { transaction, _ in
            var removed = 0
            for project in projects {
                guard let scope = try Self.scope(tenant, project, transaction.view),
                    let record = try NeedStore(scope: scope).agent(agent, in: transaction.view)
                else { continue }
                try ChannelDirectory(tenant: tenant).release(record.channel, by: scope.project, in: &transaction)
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
        let stamp: Stamp
        var head: Sequence { stamp.head }
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

    /// What a search depends on: equal stamps mean that it would find the same. An import of nodes leaves the log as it is.
    struct Stamp: Sendable, Equatable {
        var head = Sequence.zero
        var lastNode: UInt32 = 0
        var nodes = 0
        var analyzer: Analyzer?
    }

    func stamp(in view: borrowing TransactionView) throws -> Stamp {
        guard let scope = try Database.scope(tenant, project, view) else { return Stamp() }
        let texts = TextIndex(scope: scope)
        return Stamp(
            head: try EventLog(scope: scope).head(in: view).sequence, lastNode: try DocumentStore(scope: scope).lastNode(in: view),
            nodes: try texts.statistics(in: view).documents, analyzer: try texts.options(in: view).analyzer)
    }

    func run(in view: borrowing TransactionView) throws -> Found {
        guard let scope = try Database.scope(tenant, project, view) else {
            return Found(stamp: Stamp(), context: InitialContext(needs: needs.map { ($0, []) }), nodes: [:])
        }
        let search = NodeSearch(scope: scope, dimension: dimension, mode: mode, threshold: threshold)
        let questions = zip(needs, vectors).map { Question(text: $0, vector: $1) }
        var shared = try SharedMatches(scope, in: view)
        var matched: [(need: String, matches: [Match])] = []
        for question in questions {
            let hits = search.rank(try Candidates(question, count: matchesMax, of: search, in: view), best: matchesMax)
            matched.append((question.text, try shared.matches(hits, in: view)))
        }
        let nodes = shared.nodes
        var context = InitialContext(needs: [])
        if let settings {
            let pinned = try settings.pinned(for: questions, search, from: &shared, in: view)
            context = try settings.pack(matched, pinned: pinned, VectorIndex(scope: scope, dimension: dimension), in: view)
            context.omitted += shared.left.sorted { $0.key < $1.key }.map(\.value).filter { !context.omitted.contains($0) }
        }
        return Found(stamp: try stamp(in: view), context: context, nodes: nodes)
    }
}
