// Agents: register, look up, unregister.
//
// A registration searches on a snapshot, outside the writer, because it may have a thousand needs; the command then only
// writes, and is refused as stale before its first write when the project has changed since the snapshot. After
// `snapshotTries` such refusals it searches inside its own transaction, so that a busy project cannot starve it.

public import Base
internal import Access
internal import Addresses
internal import Attributes
internal import Documents
internal import Events
package import FullText
internal import Inboxes
internal import KeySpace
package import LMDB
internal import Measures
public import Needs
internal import Search
internal import Vectors

extension Database {
    /// Missed events sent at a registration.
    static let catchUpMax = 100
    private static let snapshotTries = 3
    /// Needs that are searched about as quickly as a question is; more of them would keep questions waiting.
    private static let lightNeeds = 4

    private func search<T: Sendable>(
        isHeavy: Bool, _ body: @escaping @Sendable (borrowing TransactionView) throws -> T
    ) async throws -> T {
        isHeavy ? try await readHeavily(body) : try await read(body)
    }

    /// Registers an agent, replacing what was under its id in the project; sends initial context and missed events.
    ///
    /// - Throws: `.invalid` (`RegisterCommand.checked`), `.unavailable`, `.storageFull`, `.damaged`.
    public func register(_ tenant: TenantID, _ command: RegisterCommand) async throws -> Registration {
        let watch = Stopwatch()
        let command = try checked(command)
        let needs = Self.distinctNeeds(of: command)
        let vectors = needs.isEmpty ? [] : try await models.embed(questions: Self.scoped(needs, tenant, command.project))
        let searching = searching(tenant, command, needs, vectors: vectors)
        var attempt = 0
        while true {
            attempt += 1
            let isHeavy = needs.count > Self.lightNeeds
            let found = attempt <= Self.snapshotTries ? try await search(isHeavy: isHeavy) { try searching.run(in: $0) } : nil
            let outcome = try await submit(.register(.init(agent: command, search: searching, found: found, refusesStale: found != nil, time: now())))
            switch outcome {
            case .registered(let registration):
                measures.registered(command, watch)
                return registration
            case .stale: continue
            default: throw outcome.mismatch
            }
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
        var vectors = (texts.isEmpty ? [] : try await models.embed(questions: texts))[...]
        var searches: [(command: RegisterCommand, search: NeedSearch)] = []
        for command in sound {
            let needs = Self.distinctNeeds(of: command)
            searches.append((command, searching(tenant, command, needs, vectors: Array(vectors.prefix(needs.count)))))
            vectors = vectors.dropFirst(needs.count)
        }
        let time = now()
        let wanted = searches.map(\.search)
        let found = try await search(isHeavy: texts.count > Self.lightNeeds) { view in
            var found: [NeedSearch.Found] = []
            for search in wanted { found.append(try search.run(in: view)) }
            return found
        }
        let entries = zip(searches, found).enumerated().map { place, entry in
            // Agents are listed by the time of registration: no two of a round share it.
            let time = Timestamp(rawValue: time.rawValue + Int64(place))
            return Command.register(.init(agent: entry.0.command, search: entry.0.search, found: entry.1, time: time))
        }
        var answered = await submit(entries).makeIterator()
        return checked.map { command -> Result<Registration, ContexError> in
            let own: RegisterCommand
            switch command {
            case .failure(let refusal): return .failure(refusal)
            case .success(let sound): own = sound
            }
            switch answered.next() {
            case .success(.registered(let registration)):
                measures.registered(own, nil)
                return .success(registration)
            case .failure(let error): return .failure(error)
            default: return .failure(ContexError(.bug, "a registration without an outcome"))
            }
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
                .webhookRefused, field: "webhook_url", kind: "value_error", message: "Value error, webhooks are switched off on this server: use a channel")
        }
        try targets.check(url)
        return command
    }

    static func scoped(_ needs: [String], _ tenant: TenantID, _ project: Name) -> [ScopedText] {
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
            own: command.settings, packing: ContextSettings(command, configuration, countTokens: models.countTokens))
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
        }.map { statusWithDelivery($0) }
    }

    private func statusWithDelivery(_ agent: AgentStatus) -> AgentStatus {
        guard agent.record.delivery == .webhook else { return agent }
        var agent = agent
        agent.isStopped = !mayBeTold(agent.record, of: agent.project)
        agent.delivery?.breaker = breaker(of: agent.record.webhookURL ?? "")
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
        mayBeTold(key: agent.registrant?.keyID, of: project)
    }

    /// - Parameter key: that registered the agent; nil while authentication was off.
    public func mayBeTold(key: String?, of project: Name) -> Bool {
        guard let key else { return true }
        return keyRing.principal(of: key, at: currentTime())?.allows(.registerAgent, project: project.text) ?? false
    }

    private static func status(
        _ tenant: TenantID, _ entry: AgentDirectory.Entry, in view: borrowing TransactionView
    ) throws -> AgentStatus {
        let scope = TenantScope(tenant: tenant, project: entry.project)
        let store = NeedStore(scope: scope)
        guard let record = try store.agent(entry.agent, in: view) else {
            throw ContexError.damaged("agent '\(entry.agent)' is in the directory but is not there")
        }
        let told = try Inbox(scope: scope, number: record.inbox).state(in: view).last
        var status = AgentStatus(
            project: entry.projectName, record: record, nodeKeys: try nodeKeys(of: record, scope, in: view), lastSequence: max(record.lastSequence, told))
        status.delivery = try deliveryStatus(of: record, scope, in: view)
        return status
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
        let outcome = try await submit(.unregister(.init(tenant: tenant, agent: agent, projects: projects, time: now())))
        guard case .unregistered(let count) = outcome else { throw outcome.mismatch }
        measures.unregistered.add(count)
        return count
    }
}

/// The search for the needs of one registration.
package struct NeedSearch: Sendable {
    let tenant: TenantID
    let project: Name
    let needs: [String]
    let vectors: [[Float]]
    let dimension: Int
    let routing: Command.Routing
    let matchesMax: Int
    /// How the initial context is packed; nil when nobody is told: then it is empty. Not part of a command.
    let settings: ContextSettings?
    /// Of the agent.
    let own: NeedSettings

    init(
        tenant: TenantID, project: Name, needs: [String], vectors: [[Float]], dimension: Int, routing: Command.Routing, matchesMax: Int,
        own: NeedSettings, packing settings: ContextSettings?
    ) {
        self.tenant = tenant
        self.project = project
        self.needs = needs
        self.vectors = vectors
        self.dimension = dimension
        self.routing = routing
        self.matchesMax = matchesMax
        self.settings = settings
        self.own = own
    }

    /// As the server searches.
    package init(
        tenant: TenantID, project: Name, needs: [String], vectors: [[Float]], dimension: Int, _ configuration: DatabaseConfiguration,
        own: NeedSettings = .none, packing settings: ContextSettings?
    ) {
        self.init(
            tenant: tenant, project: project, needs: needs, vectors: vectors, dimension: dimension, routing: Command.Routing(configuration),
            matchesMax: configuration.matchesMax, own: own, packing: settings)
    }

    package struct Found: Sendable {
        let stamp: Stamp
        var head: Sequence { stamp.head }
        let context: InitialContext
        /// Of all that matches, also of what the context had no room for: the agent needs to hear of its changes all the same.
        let nodes: [DocumentID: Set<NodeID>]
        /// Needs that match something; nil when that was not looked for. Not part of a command.
        var matchedNeeds: Int?
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

    /// The needs as the store keeps them.
    package func records(_ agent: AgentRecord, by analyzer: Analyzer) -> [NeedRecord] {
        zip(needs, vectors).enumerated().map { index, need in
            NeedRecord(
                agent: agent.number, index: UInt32(index), text: need.0, vector: need.1, terms: StandingNeed.terms(need.0, analyzer),
                settings: agent.matching(index))
        }
    }

    /// - Parameter filterRecordsMax: records of the attribute index that the filter may read. `.max` for an agent that is registered: a project that
    ///   has grown does not take its registration back.
    package func run(filterRecordsMax: Int = Limits.filterRecords, in view: borrowing TransactionView) throws -> Found {
        guard let scope = try Database.scope(tenant, project, view) else {
            return Found(stamp: Stamp(), context: InitialContext(needs: needs.map { ($0, []) }), nodes: [:], matchedNeeds: 0)
        }
        var search = NodeSearch(
            scope: scope, dimension: dimension, mode: own.mode.map { SearchMode($0) } ?? routing.mode, threshold: own.minSimilarity ?? routing.threshold)
        if let filter = own.filter { try search.admit(Filter(stored: filter), recordsMax: filterRecordsMax, in: view) }
        let questions = zip(needs, vectors).map { Question(text: $0, vector: $1.isEmpty ? nil : $1) }
        var shared = try SharedMatches(scope, in: view)
        var matched: [(need: String, matches: [Match])] = []
        for question in questions {
            // The agent follows all that the server would have told; how much of it the context shows is its own choice.
            let (_, folding) = try search.folded(question, count: max(matchesMax, own.topK ?? 0), in: view)
            matched.append((question.text, Array(try shared.matches(folding, in: view).prefix(own.topK ?? matchesMax))))
        }
        let nodes = shared.nodes
        var context = InitialContext(needs: [])
        if let settings {
            let pinned = try settings.pinned(for: questions, search, from: &shared, in: view)
            context = try settings.pack(matched, pinned: pinned, VectorIndex(scope: scope, dimension: dimension), in: view)
            context.omitted += shared.left.sorted { $0.key < $1.key }.map(\.value).filter { !context.omitted.contains($0) }
        }
        return Found(stamp: try stamp(in: view), context: context, nodes: nodes, matchedNeeds: matched.count { !$0.matches.isEmpty })
    }
}
