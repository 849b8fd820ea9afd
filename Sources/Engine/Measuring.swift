// What the engine counts while it works, and what it finds out of the store when somebody looks. docs/metrics.md lists all of it.

internal import Base
internal import Documents
internal import FullText
internal import Inboxes
internal import Journal
internal import LMDB
public import Measures
internal import Needs
internal import Synchronization
internal import Tenants
public import Traces
internal import Vectors

/// Parts of a query. `vectors` and `text` are parts of `snapshot`, and run at the same time when a second thread is idle: then `text` waits at its
/// end for what the vectors found.
public enum QueryStage: String, MeasureLabel { case embed, wait, snapshot, vectors, text, fuse, answer }

/// Parts of a publish: those before the writer are of a whole call, the others of each command.
public enum PublishStage: String, MeasureLabel { case prepare, embed, wait, apply, commit }

enum Answered: String, MeasureLabel { case success, error }

/// What one query took, stage by stage.
final class QueryWatch: Sendable {
    private let nanoseconds = Cells(QueryStage.allCases.count)
    private let found = Cells(2)
    private let until = Mutex<Timestamp?>(nil)
    private let measures: EngineMeasures
    /// Of whoever asks; stages are noted on other threads.
    private let span = OpenSpan.current

    init(_ measures: EngineMeasures) { self.measures = measures }

    private static let places = Dictionary(uniqueKeysWithValues: QueryStage.allCases.enumerated().map { ($1, $0) })

    func note(_ stage: QueryStage, _ watch: Stopwatch) {
        let time = watch.nanoseconds
        measures.queryStages.record(time, for: stage)
        if let place = Self.places[stage] { nanoseconds.add(time, to: place) }
        span?.note(stage.rawValue, from: watch.begun, to: watch.begun + time)
    }

    func note(nearest: Int, lexical: Int) {
        found.add(UInt64(nearest), to: 0)
        found.add(UInt64(lexical), to: 1)
        measures.candidates.record(UInt64(nearest + lexical))
    }

    /// Until when the answer is what it is, if nothing is changed; nil: for ever.
    var lastsUntil: Timestamp? {
        get { until.withLock { $0 } }
        set { until.withLock { $0 = newValue } }
    }

    func plan(_ mode: String, _ answer: QueryAnswer) -> QueryPlan {
        QueryPlan(
            mode: mode, milliseconds: zip(QueryStage.allCases, 0..<nanoseconds.count).map { ($0, Double(nanoseconds[$1] / 1_000) / 1_000) },
            nearest: Int(found[0]), lexical: Int(found[1]), matches: answer.matches.count)
    }
}

/// How a query was answered, for whoever wants to know why it was slow.
public struct QueryPlan: Sendable {
    public let mode: String
    /// Of each stage, 0 of one that was not needed.
    public let milliseconds: [(stage: QueryStage, time: Double)]
    /// Candidates of both indexes.
    public let nearest: Int
    public let lexical: Int
    public let matches: Int
}

/// What the engine counts.
public struct EngineMeasures: Sendable {
    public let registry: MeasureRegistry
    public let tracer = Tracer()
    let queryStages: LabelledHistograms<QueryStage>
    let publishStages: LabelledHistograms<PublishStage>
    let candidates: Histogram
    let queries: SlottedCounters
    let queryTimes: SlottedHistograms
    let published: SlottedCounters
    let publishTimes: SlottedHistograms
    let registered: SlottedCounters
    let registrationTimes: SlottedHistograms
    let unregistered: Counter
    let trimmedEvents: Counter
    let cleanups: Counter
    let expiredDocuments: Counter
    let erasures: Counter
    let groups: Histogram
    let commands: FoundCounters
    let commitFailures: Counter
    /// 1 from a write that failed to the next one that did not.
    let writesFail: Gauge
    let lastCommit: Gauge

    private static let formats = ["json", "yaml", "toml", "csv", "xml", "markdown", "code", "text", "other"]

    init(_ registry: MeasureRegistry) {
        self.registry = registry
        queryStages = registry.histograms("contex_query_stage_seconds", "Time of the parts of a query", "stage", of: QueryStage.self)
        publishStages = registry.histograms("contex_publish_stage_seconds", "Time of the parts of a publish", "stage", of: PublishStage.self)
        candidates = registry.histogram("contex_query_candidates", "Candidates that both indexes gave for a query", .sizes)
        queries = registry.projectCounters("contex_queries", "Queries, also those of batches", "status", Answered.allCases.map(\.rawValue))
        queryTimes = registry.projectHistograms("contex_query_duration_seconds", "Time of a query that is not part of a batch")
        published = registry.projectCounters(
            "contex_events_published", "Publishes by the format that they named, json without one", "data_format", Self.formats)
        publishTimes = registry.projectHistograms("contex_publish_duration_seconds", "Time of a publish that is not part of a batch, until it is on the disk")
        registered = registry.projectCounters("contex_agents_registered", "Registrations of agents", "notification_method", ["redis", "webhook", "other"])
        registrationTimes = registry.projectHistograms("contex_registration_duration_seconds", "Time of a registration that is not part of a batch")
        unregistered = registry.counter("contex_agents_unregistered", "Registrations that were removed")
        trimmedEvents = registry.counter("contex_retention_events_trimmed", "Events that went because they were too old or too many")
        cleanups = registry.counter("contex_retention_runs", "Runs of retention over all projects")
        expiredDocuments = registry.counter("contex_documents_expired", "Documents that were deleted because their time was over")
        erasures = registry.counter("contex_erasures", "Erasures of projects and keys that were finished")
        groups = registry.histogram("contex_writer_group_commands", "Commands that one commit made durable", .sizes)
        commands = registry.foundCounters("contex_commands_applied", "Commands that were applied, by kind", ["command"])
        commitFailures = registry.counter("contex_commit_failures", "Commits that failed")
        writesFail = registry.gauge("contex_writes_failing", "1 after a commit that failed, until one succeeds: the server answers reads only")
        lastCommit = registry.gauge("contex_last_commit_timestamp_seconds", "When the last commit was")
    }

    func queried(_ project: Name, _ result: Result<QueryAnswer, ContexError>, _ time: Stopwatch?) {
        let slot = registry.projects.slot(of: project.text)
        var isSuccess = false
        if case .success = result { isSuccess = true }
        queries.add(at: slot, isSuccess ? "success" : "error")
        if let time { queryTimes.record(time.nanoseconds, at: slot) }
    }

    func published(_ commands: [PublishCommand], _ outcomes: [Result<PublishReceipt, ContexError>], _ time: Stopwatch) {
        for (command, outcome) in zip(commands, outcomes) {
            guard case .success = outcome else { continue }
            let slot = registry.projects.slot(of: command.project.text)
            published.add(at: slot, command.format?.lowercased() ?? "json")
            if commands.count == 1 { publishTimes.record(time.nanoseconds, at: slot) }
        }
    }

    func registered(_ command: RegisterCommand, _ time: Stopwatch?) {
        let slot = registry.projects.slot(of: command.project.text)
        registered.add(at: slot, command.delivery == .webhook ? "webhook" : "redis")
        if let time { registrationTimes.record(time.nanoseconds, at: slot) }
    }
}

extension Command {
    /// As a label.
    var kind: String {
        switch self {
        case .publish: "publish"
        case .delete: "delete"
        case .register: "register"
        case .unregister: "unregister"
        case .setAnalyzer: "set_analyzer"
        case .changeKeys: "change_keys"
        case .importProject: "import_project"
        case .keepQueries: "keep_queries"
        case .acknowledge: "acknowledge"
        case .expireInboxes: "expire_inboxes"
        case .noteDeliveries: "note_deliveries"
        case .changeLetters: "change_letters"
        case .changeEndpoint: "change_endpoint"
        case .announce: "announce"
        case .setRateLimit: "set_rate_limit"
        case .noteAudit: "note_audit"
        case .trim: "trim"
        case .setRetention: "set_retention"
        case .erase: "erase"
        case .changeAccounts: "change_accounts"
        case .changeRoles: "change_roles"
        case .setGrants: "set_grants"
        case .changeTenant: "change_tenant"
        case .eraseTenant: "erase_tenant"
        case .setTenancy: "set_tenancy"
        case .keepPart: "keep_part"
        case .assembled: "assembled"
        case .judge: "judge"
        // What is done, not in whose name.
        case .attributed(let attributed): attributed.command.kind
        }
    }
}

// MARK: - What is found when somebody looks

/// What takes a walk through a part of the store to find out; looked for at most every `seconds`.
private struct Survey: Sendable {
    struct Project: Sendable {
        var nodes = 0
        var vectors = 0
        var agents = 0
    }
    var projects: [String: Project] = [:]
    var projectCount = 0
    var agents = 0
    var unread = 0
    var unreadMost = 0
    var position = 0
    static let seconds = 15
    /// Of so many agents the inboxes are looked at; the others count as agents only.
    static let agentsMax = 10_000
}

extension Database {
    /// Registers what is read out of the store. Families that read are to be asked on none of the cooperative pool's threads.
    func measureStore() {
        let registry = measures.registry
        let survey = Mutex<(at: UInt64, found: Survey)?>(nil)
        let found: @Sendable () -> Survey = { [weak self] in
            guard let self else { return Survey() }
            return survey.withLock { known in
                if let known, Stopwatch.now - known.at < UInt64(Survey.seconds) * 1_000_000_000 { return known.found }
                // What cannot be read now was read a moment ago, or will be.
                guard let survey = try? self.survey() else { return known?.found ?? Survey() }
                known = (Stopwatch.now, survey)
                return survey
            }
        }
        func byProject(_ name: String, _ help: String, _ value: @escaping @Sendable (Survey.Project) -> Int) {
            registry.gauges(name, help, ["project_id"]) { found().projects.sorted { $0.key < $1.key }.map { ([$0.key], Double(value($0.value))) } }
        }
        byProject("contex_index_texts", "Entries of the text index, by project") { $0.nodes }
        byProject("contex_index_vectors", "Entries of the vector index, by project") { $0.vectors }
        byProject("contex_registered_agents", "Agents that are registered, by project") { $0.agents }
        measureTenants(registry)
        registry.gauge("contex_projects", "Projects in the store") { Double(found().projectCount) }
        registry.gauge("contex_inbox_unread_entries", "Entries of inboxes that are not acknowledged, of the first \(Survey.agentsMax) agents") {
            Double(found().unread)
        }
        registry.gauge("contex_inbox_unread_entries_most", "Entries of the inbox that has the most") { Double(found().unreadMost) }
        registry.counter("contex_store_position", "Commands that the store has carried out since it was made") { found().position }

        func store(_ name: String, _ help: String, _ value: @escaping @Sendable (Environment.Statistics) -> Int) {
            registry.gauge(name, help) { [weak self] in (try? self?.storeStatistics()).map { Double(value($0)) } }
        }
        store("contex_store_file_bytes", "Bytes of the data file that are in use, free pages included") { $0.bytesUsed }
        store("contex_store_free_bytes", "Bytes of free pages, which the next commits take first") { max(0, $0.bytesUsed - $0.tableBytes) }
        store("contex_store_map_bytes", "The size that the data file cannot grow beyond") { $0.mapBytes }
        store("contex_store_entries", "Records in the store") { $0.entries }
        store("contex_store_reader_slots", "Slots of the reader table that have been used, of all processes") { $0.readers }
        registry.counter("contex_store_reopenings", "How often the store was opened anew after a failed write") { [weak self] in self?.reopenings }
        registry.gauge("contex_writer_waiting_commands", "Commands that wait for the writer") { [weak self] in (self?.log.waitingCount).map(Double.init) }
        registry.gauge("contex_snapshots_open", "Snapshots that are read from") { [weak self] in (self?.reads.count).map(Double.init) }
        registry.gauge("contex_snapshot_oldest_seconds", "Age of the oldest of them; what it sees cannot be written again") { [weak self] in
            self.map { Double($0.reads.oldest) / 1e9 }
        }
        registry.gauge("contex_readers_busy", "Threads for reading that are at work") { [weak self] in (self?.readers.busyCount).map(Double.init) }
        registry.gauge("contex_readers", "Threads for reading") { [weak self] in (self?.configuration.threads).map(Double.init) }
        registry.gauge("contex_waiting_readers", "Who waits for something to come into an inbox or a log") { [weak self] in
            (self?.bell.count).map(Double.init)
        }
        measureEmbedder(registry)
    }

    /// Of the server.
    public var tracer: Tracer { measures.tracer }

    /// Runs what reads measures, on a thread that may read the store.
    public func observe<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T { try await readers.run(body) }

    /// Commits fail: the server answers reads only.
    public var areWritesFailing: Bool { measures.writesFail.value != 0 }
    public var oldestSnapshotSeconds: Double { Double(reads.oldest) / 1e9 }
    /// Who waits for something to come into an inbox or a log.
    public var waitingReaders: Int { bell.count }

    /// Entries of the indexes of the projects that were asked for most, read just now.
    public func indexSizes() async throws -> (projects: Int, vectors: Int, texts: Int) {
        let named = measures.registry.projects.names
        return try await read { [dimension = models.dimension] view in
            var sizes = (projects: 0, vectors: 0, texts: 0)
            for name in named {
                guard let project = try? Name(name, field: "project_id"), let scope = try Self.scope(.standard, project, view) else { continue }
                sizes.projects += 1
                sizes.vectors += try VectorIndex(scope: scope, dimension: dimension).count(in: view)
                sizes.texts += try TextIndex(scope: scope).statistics(in: view).documents
            }
            return sizes
        }
    }

    /// Of a store with several tenants what each has used, of the first `Limits.tenantsMeasured`.
    private func measureTenants(_ registry: MeasureRegistry) {
        let known = Mutex<(at: UInt64, found: [TenantReport])?>(nil)
        let found: @Sendable () -> [TenantReport] = { [weak self] in
            guard let self, tenants.isOn else { return [] }
            return known.withLock { known in
                if let known, Stopwatch.now - known.at < UInt64(Survey.seconds) * 1_000_000_000 { return known.found }
                let reports = (try? self.reportsHere(of: Array(self.tenants.all.prefix(Limits.tenantsMeasured)))) ?? known?.found ?? []
                known = (Stopwatch.now, reports)
                return reports
            }
        }
        func byTenant(_ name: String, _ help: String, _ value: @escaping @Sendable (TenantReport) -> Double) {
            registry.gauges(name, help, ["tenant_id"]) { found().map { ([$0.tenant.name.text], value($0)) } }
        }
        byTenant("contex_tenant_projects_total", "Projects of a tenant") { Double($0.projects) }
        byTenant("contex_tenant_agents_total", "Agents of a tenant") { Double($0.agents) }
        byTenant("contex_tenant_api_keys_total", "API keys of a tenant") { Double($0.keys) }
        byTenant("contex_tenant_events_month", "Events of a tenant this month") { Double($0.events) }
        byTenant("contex_tenant_storage_mb", "Megabytes (of 1,048,576 bytes) of a tenant's records") { Double($0.storageBytes) / Double(Quotas.megabyte) }
        registry.gauges("contex_tenant_quota_usage", "Share of a quota that a tenant has used, 0 to 1", ["tenant_id", "resource"]) {
            found().flatMap { report in report.standings.map { ([report.tenant.name.text, $0.resource], Double($0.percent) / 100) } }
        }
        registry.gauges("contex_tenant_plan", "1 for the plan that a tenant has", ["tenant_id", "plan"]) {
            found().map { ([$0.tenant.name.text, $0.tenant.plan.name], 1) }
        }
        registry.gauges("contex_tenants_total", "Tenants", ["plan", "active"]) { [weak self] in
            guard let self, tenants.isOn else { return [] }
            var counts: [[String]: Double] = [:]
            for tenant in tenants.all { counts[[tenant.plan.name, tenant.isActive ? "true" : "false"], default: 0] += 1 }
            return counts.sorted { $0.key.joined() < $1.key.joined() }.map { (labels: $0.key, value: $0.value) }
        }
    }

    private func measureEmbedder(_ registry: MeasureRegistry) {
        let use = { @Sendable [read = models.cacheUse] in read?() }
        registry.counter("contex_embedding_cache_hits", "Texts whose vector was in the cache") { use()?.hits }
        registry.counter("contex_embedding_cache_misses", "Texts that went to the model") { use()?.misses }
        registry.gauge("contex_embedding_cache_size", "Vectors in the cache") { (use()?.entries).map(Double.init) }
        registry.gauge("contex_embedding_cache_bytes", "Bytes of the cache") { (use()?.bytes).map(Double.init) }
        registry.counter("contex_embedding_batches", "Runs of the model") { use()?.batches }
        registry.counter("contex_embedding_texts", "Texts in them") { use()?.texts }
        registry.counter("contex_embedding_tokens", "Tokens in them") { use()?.tokens }
        registry.counter("contex_embedding_refused", "Requests that were refused because too many texts waited") { use()?.refused }
        registry.counter("contex_embedding_interruptions", "Batches of queries that were run in the middle of one of publishes") { use()?.interruptions }
        registry.gauges("contex_embedding_waiting_texts", "Texts that wait for the model", ["work"]) {
            guard let use = use() else { return [] }
            return [(["query"], Double(use.waitingQueries)), (["publish"], Double(use.waitingPublishes))]
        }
    }

    private func survey() throws -> Survey {
        let named = measures.registry.projects.names
        return try readHere { view in
            var survey = Survey()
            survey.position = Int(try StorePosition.load(view).position.rawValue)
            survey.projectCount = try TenantRegistry.numbers(in: view).reduce(0) { try $0 + ProjectRegistry(tenant: $1).entries(in: view).count }
            for name in named {
                guard let project = try? Name(name, field: "project_id"), let scope = try Self.scope(.standard, project, view) else { continue }
                var own = Survey.Project()
                own.nodes = try TextIndex(scope: scope).statistics(in: view).documents
                own.vectors = try VectorIndex(scope: scope, dimension: models.dimension).count(in: view)
                survey.projects[name] = own
            }
            for entry in try AgentDirectory(tenant: .standard).entries(in: view) {
                survey.agents += 1
                survey.projects[entry.projectName.text]?.agents += 1
                guard survey.agents <= Survey.agentsMax, let scope = try Self.scope(.standard, entry.projectName, view),
                    let agent = try NeedStore(scope: scope).agent(entry.agent, in: view)
                else { continue }
                let count = Int(try Inbox(scope: scope, number: agent.inbox).state(in: view).count)
                survey.unread += count
                survey.unreadMost = max(survey.unreadMost, count)
            }
            return survey
        }
    }
}
