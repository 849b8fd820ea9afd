public import Access
public import Addresses
public import Base
internal import Content
internal import Documents
public import Journal
package import KeySpace
public import LMDB
internal import Measures
public import Needs
public import Rates
public import Search
internal import Synchronization
internal import Tenants

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The models that the engine needs, as functions, so that it depends on no runtime.
public struct Models: Sendable {
    /// Unit vectors of `dimension` numbers, one a text, in order, to ask with. Batches as it likes, and caches for each scope apart.
    public let embed: @Sendable ([ScopedText]) async throws -> [[Float]]
    /// cl100k tokens of a text.
    public let countTokens: @Sendable (String) -> Int
    public let dimension: Int
    /// Models with the same identity give the same vectors.
    public let identity: String
    /// The same for what is published, which lets queries go first and may be computed in another precision; nil: the same as `embed`.
    public var embedDocuments: (@Sendable ([ScopedText]) async throws -> [[Float]])?
    /// The text of cl100k tokens, nil when one of them is none; without it tokens are not read.
    public var text: @Sendable (_ tokens: [Int]) -> String? = { _ in nil }
    /// Embeds texts for nobody in particular, behind everybody else's, so that a cache has them; nothing for models without one.
    public var warm: @Sendable ([ScopedText]) async -> Void = { _ in }
    /// Whether the model can tell a text from others: it knows the words of most of it.
    public var reads: @Sendable (String) -> Bool = { _ in true }
    /// nil: there is no cache.
    public var cacheUse: (@Sendable () -> CacheUse)?

    /// How the cache of vectors did so far.
    public struct CacheUse: Sendable {
        public let hits: Int
        public let misses: Int
        public let entries: Int
        public let bytes: Int
        /// Runs of the model, and the texts and tokens in them.
        public var batches = 0
        public var texts = 0
        public var tokens = 0
        /// Requests that were refused since too many texts waited; batches of queries that went between the layers of another.
        public var refused = 0
        public var interruptions = 0
        /// Texts that wait now.
        public var waitingQueries = 0
        public var waitingPublishes = 0

        public init(hits: Int, misses: Int, entries: Int, bytes: Int) {
            self.hits = hits
            self.misses = misses
            self.entries = entries
            self.bytes = bytes
        }
    }

    public init(
        identity: String, dimension: Int, embedScoped: @escaping @Sendable ([ScopedText]) async throws -> [[Float]],
        countTokens: @escaping @Sendable (String) -> Int
    ) {
        self.identity = identity
        self.dimension = dimension
        embed = embedScoped
        self.countTokens = countTokens
    }

    /// A model that remembers nothing, to which scopes are all the same.
    public init(
        identity: String, dimension: Int, embed: @escaping @Sendable ([String]) async throws -> [[Float]], countTokens: @escaping @Sendable (String) -> Int
    ) {
        self.init(identity: identity, dimension: dimension, embedScoped: { try await embed($0.map(\.text)) }, countTokens: countTokens)
    }
}

extension Models {
    /// Vectors of what is published. No text that the model cannot read has one: in its place are no numbers, here and in commands, and words
    /// alone find it. All such texts would be one to the model, and near to each other whatever they say.
    package func embed(documents texts: [ScopedText]) async throws -> [[Float]] { try await embedReadable(texts, by: embedDocuments ?? embed) }

    /// The same of what is asked.
    package func embed(questions texts: [ScopedText]) async throws -> [[Float]] { try await embedReadable(texts, by: embed) }

    private func embedReadable(_ texts: [ScopedText], by embed: @Sendable ([ScopedText]) async throws -> [[Float]]) async throws -> [[Float]] {
        let readable = texts.indices.filter { reads(texts[$0].text) }
        if readable.isEmpty { return texts.map { _ in [] } }
        if readable.count == texts.count { return try await embed(texts) }
        var vectors = [[Float]](repeating: [], count: texts.count)
        for (place, vector) in zip(readable, try await embed(readable.map { texts[$0] })) { vectors[place] = vector }
        return vectors
    }

    package func embed(documents texts: [String], in scope: ModelScope) async throws -> [[Float]] {
        try await embed(documents: texts.map { ScopedText($0, in: scope) })
    }

    package var vectorModel: VectorModel { VectorModel(identity: identity, dimension: dimension, texts: SearchText.version) }
}

public struct DatabaseConfiguration: Sendable {
    /// The data directory; the store lies in its folder `store`, made when missing.
    public var directory: String
    public var durability: Environment.Options.Durability = .everyCommit
    public var mapBytes = 1 << 40
    /// `SIMILARITY_THRESHOLD`
    public var threshold = 0.5
    /// Matches of each need at a registration: `MAX_MATCHES`
    public var matchesMax = 10
    /// cl100k tokens of an initial context: `MAX_CONTEXT_SIZE`
    public var contextTokensMax = 51_200
    /// `HYBRID_SEARCH_ENABLED=false` makes it `.semantic`.
    public var mode = SearchMode.hybrid
    /// Answers of queries that are kept for whoever asks the same again, about; 0: none.
    public var answerCacheBytes = 32 << 20
    /// Threads for reads.
    public var threads = max(2, ProcessInfo.processInfo.activeProcessorCount)
    /// Threads for what would keep a reader's thread too long: `HeavyPool`.
    public var heavyThreads = max(1, ProcessInfo.processInfo.activeProcessorCount - 1)
    public var clock: any WallClock = SystemClock()
    /// What callers may ask for in a minute where nobody has set anything: `CONTEX_RATE_LIMIT_*`.
    public var rates = RateAllowances()
    /// `CONTEX_JOURNAL`: for how long the commands themselves are kept.
    public var journal = JournalWindow.off
    /// Where webhooks may go: a registration that names another place is refused. nil: nowhere, webhooks are switched off.
    public var webhookTargets: AddressPolicy? = .publicOnly
    /// `SERVICE_ACCOUNT_JWT_SECRET`: tokens are signed with it (HS256); nil: with keys of the server's own (EdDSA).
    public var tokenSecret: String? = nil

    /// A store of so many bytes or less has every page looked at when it is opened (docs/robustness.md: what that takes).
    public var verifiedBytes = 1 << 30

    /// By which rule projects are trimmed that say nothing of their own, when somebody asks for it.
    public var retention = RetentionRule()

    public init(directory: String) { self.directory = directory }

    public var storePath: String { directory + "/store" }
    /// The secret under which API keys are hashed: beside the store, not in it, so that a copy of the store alone is no help.
    public var pepperPath: String { directory + "/pepper" }
    /// The keys that tokens are signed with, beside the store for the same reason.
    public var tokenKeysPath: String { directory + "/token-keys" }
}

/// One data directory: the store, its single writer, and every operation on it.
///
/// Reads run on a small pool against one snapshot each; writes go through `Writer`. Each operation has a file of its own
/// (`Publish.swift`, `Query.swift`, ...). All of them take the tenant first: there is no operation without one.
public final class Database: Sendable {
    public let configuration: DatabaseConfiguration
    package let models: Models
    private let store: OpenStore
    /// What happens here, in numbers; others count into its registry too.
    public let measures: EngineMeasures
    let log: any CommandLog
    let condition: WriteCondition
    let readers: ReaderPool
    private let heavy: HeavyPool
    /// Of all work that looks at it.
    private let closing = Cancellation()
    package let matcher = NeedMatcher()
    let queryUse = QueryUse()
    let answers: AnswerCache
    let activity: AgentActivity
    let partsUnderWay = PartsUnderWay()
    let bell = InboxBell()
    let pastGate = PastGate()
    let pepper: Pepper
    /// Where tokens of service accounts are made and read.
    public let tokens: TokenDesk
    /// Every valid key, for whoever authenticates.
    public let keyRing: KeyRing
    /// The rate limits as they are, for whoever counts.
    public let rateBook: RateBook
    /// The tenants as they are, for whoever asks whose a request is.
    public let tenants: TenantBook
    /// Projects whose data is damaged here.
    public let quarantine = Quarantine()
    private let sinks: Sinks
    /// What is not as it should be with the data folder, and what to do about it.
    public let folderRemarks: [String]

    /// Opens the store, makes it when the directory is empty.
    /// - Throws: `.damaged` (another format, a broken or truncated file), `.conflict` (another process writes to it),
    ///   `.unavailable` (the directory cannot be written).
    public convenience init(configuration: DatabaseConfiguration, models: Models) throws {
        try self.init(configuration: configuration, models: models, servesUnfinishedImport: false)
    }

    /// - Parameter servesUnfinishedImport: for the import that is going to finish it.
    package init(configuration: DatabaseConfiguration, models: Models, servesUnfinishedImport: Bool) throws {
        self.configuration = configuration
        self.models = models
        measures = EngineMeasures(MeasureRegistry())
        answers = AnswerCache(bytesMax: configuration.answerCacheBytes)
        activity = AgentActivity(since: configuration.clock.now())
        folderRemarks = try DataFolder.prepare(configuration)
        let tokens = try TokenDesk(secret: configuration.tokenSecret, path: configuration.tokenKeysPath)
        self.tokens = tokens
        do {
            let environment = try Environment(
                store: configuration.storePath, options: .init(durability: configuration.durability, mapBytes: configuration.mapBytes))
            try Founding.found(environment, configuration.directory, models, servesUnfinishedImport: servesUnfinishedImport)
            environment.growFile()
            try Self.verifyPages(environment, atMost: configuration.verifiedBytes)
            (pepper, keyRing, rateBook, tenants) = try environment.read { view in
                let tenants = try TenantRegistry.numbers(in: view)
                // With keys in the store a new pepper would be of no use: say that theirs is missing.
                let hasKeys = try tenants.contains { try !AccessRegistry.keys(view, scope: Self.registryScope($0)).isEmpty }
                let pepper = try hasKeys ? Pepper(path: configuration.pepperPath) : Pepper.loadOrCreate(path: configuration.pepperPath)
                let book = RateBook(standard: configuration.rates)
                book.replace(with: try Self.rateRules(view))
                return (
                    pepper, KeyRing(pepper: pepper, snapshot: try .init(view, tenants: tenants, pepper: pepper), tokens: tokens), book,
                    TenantBook(try TenantBook.Snapshot(view))
                )
            }
            store = OpenStore(environment)
        } catch let error as LMDBError {
            throw Self.openFailure(error, configuration.directory)
        }
        let sinks = Sinks()
        self.sinks = sinks
        let applier = Applier(dimension: models.dimension, matcher: matcher, journal: configuration.journal)
        condition = WriteCondition(folder: configuration.storePath)
        log = Writer(
            store: store, applier: applier, condition: condition, measures: measures, quarantine: quarantine, clock: configuration.clock,
            committed: { [store, keyRing, rateBook, tenants, pepper, bell, answers] effects in
                answers.projectsChanged(effects.logs.keys)
                answers.projectsChanged(effects.reindexed)
                // First: who is told of changed keys asks for the tenant as it is now.
                if effects.haveTenantsChanged { Self.renew(tenants, store) }
                if !effects.keyChanges.isEmpty { Self.renew(keyRing, effects.keyChanges, store, pepper) }
                if effects.haveLimitsChanged { Self.renew(rateBook, store) }
                for notification in effects.notifications {
                    bell.ring(notification)
                    sinks.deliver(notification)
                }
                sinks.carry(effects)
                for (log, isReplaced) in effects.logs { bell.ring(log, isReplaced: isReplaced) }
            })
        readers = ReaderPool(store: store, threads: configuration.threads)
        heavy = HeavyPool(threads: configuration.heavyThreads)
        measureStore()
        answers.measure(measures.registry)
    }

    /// A store of moderate size is looked at page by page before anything is answered from it: LMDB would take a page that is not its own for what
    /// it is asked for. Of a larger one the scrubber reads the pages while it is served.
    private static func verifyPages(_ environment: Environment, atMost bytes: Int) throws {
        guard try environment.statistics().bytesUsed <= bytes else { return }
        do {
            try environment.readVerified { _ in }
        } catch let error as DamagedPages {
            throw ContexError(
                .damaged, "\(error): run 'contex check --repair', or restore a backup")
        }
    }

    /// Puts the keys as they are now in place, so that one that was revoked stops before that is answered.
    private static func renew(_ keyRing: KeyRing, _ changes: Set<KeyChange>, _ store: OpenStore, _ pepper: Pepper) {
        // What is said of a whole tenant comes before what is said of its keys.
        let changes = changes.sorted { $0.isWhole && !$1.isWhole }
        let renewals = try? store.read { view in
            try changes.map { change in
                let isThere = try change.tenant == .standard || TenantRegistry.tenant(change.tenant, in: view) != nil
                return try KeyRing.Snapshot.Renewal(change, view, isThere: isThere, pepper: pepper)
            }
        }
        // What cannot be read any more opens no door.
        if let renewals { keyRing.renew(renewals) } else { keyRing.replace(with: .empty) }
    }

    /// What cannot be read any more leaves the limits as they were.
    private static func renew(_ rateBook: RateBook, _ store: OpenStore) {
        guard let rules = try? store.read({ try rateRules($0) }) else { return }
        rateBook.replace(with: rules)
    }

    private static func rateRules(_ view: borrowing TransactionView) throws -> [TenantID: [RateRule]] {
        var rules: [TenantID: [RateRule]] = [:]
        for tenant in try TenantRegistry.numbers(in: view) { rules[tenant] = try RateRules.all(view, scope: registryScope(tenant)) }
        return rules
    }

    /// What cannot be read any more leaves the tenants as they were.
    private static func renew(_ tenants: TenantBook, _ store: OpenStore) {
        guard let next = try? store.read({ try TenantBook.Snapshot($0) }) else { return }
        tenants.replace(with: next)
    }

    package static func openFailure(_ error: LMDBError, _ directory: String) -> ContexError {
        switch error.code {
        case .locked: ContexError(.folderInUse, "\(error): stop that process or choose another data folder")
        case .accessDenied, .noSuchFile:
            ContexError(.folderUnusable, "the data folder \(directory) cannot be written: check its path and permissions (\(error))")
        case .networkFileSystem: ContexError(.folderUnusable, "\(error)")
        default: ContexError(.damaged, "the store in \(directory) cannot be opened: \(error)")
        }
    }

    /// The store of a data directory, for the tools that look at it beside the server.
    /// - Throws: `.invalid` for a folder without a name; `.notFound` when there is no store, or a file without a byte; `.damaged` when it cannot
    ///   be opened at all.
    package static func openForReading(directory: String) throws(ContexError) -> Environment {
        try DataFolder.checkName(directory)
        do {
            return try Environment(path: DatabaseConfiguration(directory: directory).storePath, options: .init(mode: .reader))
        } catch {
            if error.code == .noSuchFile { throw ContexError(.storeNotFound, "no store in \(directory), or an empty one") }
            throw ContexError.damaged("the store in \(directory) cannot be opened: \(error)")
        }
    }

    /// Who carries notifications; set once at start.
    public func setSink(_ sink: any NotificationSink, for delivery: AgentDelivery) { sinks.set(sink, for: delivery) }

    /// Who carries what goes to webhooks; set once at start.
    public func setCarrier(_ carrier: any DeliveryCarrier) { sinks.set(carrier) }

    /// nil while nobody carries anything to webhooks.
    public var deliveryHealth: DeliveryHealth? { sinks.carrier?.health }

    /// How the receiver at a URL is doing.
    func breaker(of url: String) -> DeliveryStatus.Breaker { sinks.carrier?.breaker(of: url) ?? .closed }

    /// Finishes waiting writes and running reads, gives up what is still being split, and closes the store: when this returns, the folder
    /// is free for the next. Every later operation is `.unavailable`.
    public func close() async {
        closing.cancel()
        bell.close()
        await keepUsedQueries()
        await log.close()
        await heavy.close()
        await readers.close()
        store.close()
        measures.registry.close()
    }

    /// Clears the slots of readers whose process died; to be called every 30 seconds.
    public func clearDeadReaders() { _ = try? store.environment().clearDeadReaders() }

    // MARK: - For the operations

    func read<T: Sendable>(_ body: @escaping @Sendable (borrowing TransactionView) throws -> T) async throws -> T {
        try await readers.read(body) { $0 }
    }

    /// Reads on a snapshot, and works on what was read after the snapshot is let go, without leaving the pool.
    func read<Found, T: Sendable>(
        _ body: @escaping @Sendable (borrowing TransactionView) throws -> Found, then finish: @escaping @Sendable (Found) throws -> T
    ) async throws -> T {
        try await readers.read(body, then: finish)
    }

    /// Runs work of a few milliseconds off the cooperative pool, among the reads.
    func onPool<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T { try await readers.run(body) }

    /// Runs work that may take long where no read waits behind it.
    public func onHeavyPool<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T { try await heavy.run(body) }

    /// Where tasks run that do much work themselves.
    public var heavyExecutor: any TaskExecutor { heavy }

    /// Runs work whose size is known: a small one among the reads, without waiting behind large ones.
    func onPool<T: Sendable>(isHeavy: Bool, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        isHeavy ? try await heavy.run(body) : try await readers.run(body)
    }

    /// Reads on a snapshot for long.
    func readHeavily<T: Sendable>(_ body: @escaping @Sendable (borrowing TransactionView) throws -> T) async throws -> T {
        try await heavy.run { [store] in try store.read(body) }
    }

    /// Runs work that is as long as a document is large, the long among what is heavy: it ends when its task is cancelled (a client has
    /// left) or the store closes.
    func onPool<T: Sendable>(isHeavy: Bool, _ body: @escaping @Sendable (Cancellation) throws -> T) async throws -> T {
        let cancellation = Cancellation(within: closing)
        return try await withTaskCancellationHandler {
            try await onPool(isHeavy: isHeavy) {
                try cancellation.check()
                return try body(cancellation)
            }
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// Reads on a snapshot on this thread, which must be none of the cooperative pool.
    package func readHere<T>(_ body: (borrowing TransactionView) throws -> T) throws -> T { try store.read(body) }

    /// How often a failed write to the disk has made it necessary to open the store anew.
    public var reopenings: Int { store.reopenings }

    /// Snapshots that are read from.
    var reads: UnderWay { store.reads }

    /// For tools that are the only ones at work.
    package func environment() throws -> Environment { try store.environment() }

    /// What LMDB says of the store.
    func storeStatistics() throws -> Environment.Statistics { try store.environment().statistics() }

    package func now() -> Timestamp { configuration.clock.now() }

    /// The scope of a project on this snapshot, nil when nothing was ever put into it.
    static func scope(_ tenant: TenantID, _ project: Name, _ view: borrowing TransactionView) throws -> TenantScope? {
        try ProjectRegistry(tenant: tenant).scope(of: project, in: view)
    }
}

/// The way an agent wants to be told, as `AgentRecord` has it.
public typealias AgentDelivery = AgentRecord.Delivery

/// One sink a way of delivery.
private final class Sinks: Sendable {
    private let table = Mutex<[AgentDelivery: any NotificationSink]>([:])
    func set(_ sink: any NotificationSink, for delivery: AgentDelivery) { table.withLock { $0[delivery] = sink } }
    func deliver(_ notification: Notification) {
        if notification.agent.delivery == .webhook {
            let isFresh = if case .initialContext = notification.message { true } else { false }
            carrier?.ring(DeliveryLane(notification), isFresh: isFresh)
        }
        let sink = table.withLock { $0[notification.agent.delivery] }
        sink?.deliver(notification)
    }

    private let carried = Mutex<(any DeliveryCarrier)?>(nil)
    func set(_ carrier: any DeliveryCarrier) { carried.withLock { $0 = carrier } }
    var carrier: (any DeliveryCarrier)? { carried.withLock { $0 } }

    /// What a group left for webhooks.
    func carry(_ effects: Effects) {
        guard let carrier else { return }
        for (lane, endpoint) in effects.endpoints { carrier.changed(lane, to: endpoint) }
        for (tenant, event) in effects.events { carrier.ring(event, of: tenant) }
        for lane in effects.lanes { carrier.ring(lane, isFresh: true) }
    }
}
