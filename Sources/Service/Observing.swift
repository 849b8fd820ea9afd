// What every operation leaves behind beside its answer: how often, how long, what was refused, and a line in the log when it was slow.

internal import Access
internal import Base
internal import Engine
internal import Logging
public import Measures
internal import Synchronization
internal import Tenants

extension Action: MeasureLabel {}

/// From when on an operation is slow, and what the log may say of it. Changes while the server runs.
public final class SlowLog: Sendable {
    private let nanoseconds = Atomic<UInt64>(0)
    private let tellsTexts = Atomic(false)
    private struct Share {
        var second: UInt64 = 0
        var lines = 0
        var held = 0
    }
    private let share = Mutex(Share())
    /// A server that is slow altogether must not fill its log with it.
    static let linesPerSecond = 10

    init() {}

    /// - Parameters:
    ///   - milliseconds: 0: nothing is slow.
    ///   - texts: whether the texts of queries are for the log.
    public func set(milliseconds: Int, texts: Bool) {
        nanoseconds.store(UInt64(max(0, milliseconds)) * 1_000_000, ordering: .relaxed)
        tellsTexts.store(texts, ordering: .relaxed)
    }

    func isSlow(_ time: UInt64) -> Bool {
        let least = nanoseconds.load(ordering: .relaxed)
        return least > 0 && time >= least
    }

    var mayTellTexts: Bool { tellsTexts.load(ordering: .relaxed) }

    /// - Returns: how many lines were held back since the last one; nil: this one is too.
    func admit(at second: UInt64 = Stopwatch.now / 1_000_000_000) -> Int? {
        share.withLock { share in
            if share.second != second { (share.second, share.lines) = (second, 0) }
            guard share.lines < Self.linesPerSecond else {
                share.held += 1
                return nil
            }
            share.lines += 1
            defer { share.held = 0 }
            return share.held
        }
    }
}

struct ServiceMeasures: Sendable {
    let running = UnderWay(places: 1_024)
    let times: LabelledHistograms<Action>
    let failures: FoundCounters
    let errors: FoundCounters
    let logins: FoundCounters
    let denials: FoundCounters
    let limited: FoundCounters
    let slow: Counter
    let tenantRequests: FoundCounters
    let tenantErrors: FoundCounters
    let tenantQuotas: FoundCounters

    init(_ registry: MeasureRegistry) {
        times = registry.histograms("contex_operation_duration_seconds", "Time of an operation, through whichever door it came", "action", of: Action.self)
        failures = registry.foundCounters("contex_operation_failures", "Operations that failed or were refused, by category", ["action", "category"])
        errors = registry.foundCounters("contex_errors", "Refusals and failures by their code (docs/errors.md)", ["code"])
        logins = registry.foundCounters("contex_auth_attempts", "Operations whose key was valid, and refusals of keys by their code", ["status"])
        denials = registry.foundCounters("contex_rbac_denials", "Refusals since the role does not have the permission", ["role", "permission"])
        limited = registry.foundCounters("contex_rate_limit_exceeded", "Refusals of who asked too often", ["endpoint"])
        tenantRequests = registry.foundCounters("contex_tenant_requests", "Operations of a tenant", ["tenant_id", "method", "endpoint"])
        tenantErrors = registry.foundCounters("contex_tenant_errors", "Operations of a tenant that failed or were refused", ["tenant_id", "error_type"])
        tenantQuotas = registry.foundCounters("contex_tenant_quota_exceeded", "Refusals since a quota was used up", ["tenant_id", "resource"])
        slow = registry.counter("contex_slow_operations", "Operations that took as long as CONTEX_SLOW_MS says, or longer")
        let running = running
        registry.gauge("contex_active_requests", "Operations that run") { Double(running.count) }
        registry.gauge("contex_operation_oldest_seconds", "Age of the oldest of them") { Double(running.oldest) / 1e9 }
    }

    /// - Parameter principal: who was refused, as far as that is known: a refusal that comes from an edge no longer says it.
    func refused(_ action: Action?, _ principal: Principal?, _ failure: ContexError) {
        errors.add(1, failure.code.rawValue)
        switch failure.category {
        case .unauthenticated: logins.add(1, failure.code.rawValue)
        case .forbidden:
            denials.add(
                1, failure.role ?? principal?.role.rawValue ?? "none", failure.requiredPermission ?? action?.permission?.rawValue ?? "none")
        case .limited: limited.add(1, action?.rawValue ?? "none")
        default: break
        }
    }
}

/// One operation, while it runs.
struct Observation: Sendable {
    let action: Action
    let project: Name?
    let caller: Caller
    fileprivate let place: Int
    fileprivate let watch = Stopwatch()
}

extension Operations {
    func begin(_ action: Action, project: Name?, by caller: Caller) -> Observation {
        Observation(action: action, project: project, caller: caller, place: measures.running.begin())
    }

    /// - Parameter answer: of which the slow log says how it came about.
    func end<T>(_ observed: Observation, _ principal: Principal?, _ answer: T) {
        let time = end(observed)
        countForTenant(observed, principal, nil)
        if authenticationRequired { measures.logins.add(1, "success") }
        if isSlow(observed, time) { tellSlow(observed, principal, time, (answer as? QueryAnswer).map { ($0.query, $0) }, nil) }
    }

    func end(_ observed: Observation, _ principal: Principal?, failure: ContexError) {
        let time = end(observed)
        countForTenant(observed, principal, failure)
        measures.failures.add(1, observed.action.rawValue, "\(failure.category)")
        measures.refused(observed.action, principal, failure)
        if isSlow(observed, time) { tellSlow(observed, principal, time, nil, failure) }
    }

    private func countForTenant(_ observed: Observation, _ principal: Principal?, _ failure: ContexError?) {
        guard database.tenants.isOn, let principal, let tenant = database.tenants[principal.tenant]?.name.text else { return }
        measures.tenantRequests.add(1, tenant, observed.caller.method, observed.action.rawValue)
        guard let failure else { return }
        measures.tenantErrors.add(1, tenant, failure.code.rawValue)
        if let quota = failure.quota { measures.tenantQuotas.add(1, tenant, quota.resource) }
    }

    private func end(_ observed: Observation) -> UInt64 {
        let time = observed.watch.nanoseconds
        measures.running.end(observed.place)
        measures.times.record(time, for: observed.action)
        return time
    }

    /// Whoever waits for something to come takes as long as that does.
    private func isSlow(_ observed: Observation, _ time: UInt64) -> Bool {
        switch observed.action {
        case .readInbox, .followEvents, .subscribe, .openSocket: false
        default: slowLog.isSlow(time)
        }
    }

    private func tellSlow(
        _ observed: Observation, _ principal: Principal?, _ time: UInt64, _ query: (text: String, answer: QueryAnswer)?, _ failure: ContexError?
    ) {
        measures.slow.add()
        guard let held = slowLog.admit() else { return }
        var fields: Logger.Metadata = [
            "request": "\(observed.caller.requestID)", "action": "\(observed.action.rawValue)", "duration_ms": "\(Double(time / 1_000) / 1_000)",
        ]
        if let project = observed.project { fields["project"] = "\(project)" }
        if let key = principal?.holderID { fields["key"] = "\(key)" }
        if let failure { fields["code"] = "\(failure.code.rawValue)" }
        if held > 0 { fields["held_back"] = "\(held)" }
        if let query {
            if let plan = query.answer.plan {
                for (stage, time) in plan.milliseconds where time > 0 { fields["\(stage.rawValue)_ms"] = "\(time)" }
                fields["mode"] = "\(plan.mode)"
                fields["candidates_vectors"] = "\(plan.nearest)"
                fields["candidates_text"] = "\(plan.lexical)"
                fields["matches"] = "\(plan.matches)"
            }
            if let filtered = query.answer.filtered { fields["filter"] = "\(filtered.passing) of \(filtered.nodes)" }
            if slowLog.mayTellTexts { fields["text"] = "\(query.text.excerpt())" }
        }
        logger.warning("slow operation", metadata: fields)
    }

    /// Measures as text.
    /// - Parameter print: gets the registry and, for a key that is held to projects, which those are; runs where it may read the store.
    public func metrics(
        by caller: Caller, _ print: @escaping @Sendable (MeasureRegistry, (@Sendable (String) -> Bool)?) -> String
    ) async throws -> String {
        try await perform(.showMetrics, project: nil, by: caller) { principal in
            let (registry, projects) = (registry, principal.projects)
            let shows: (@Sendable (String) -> Bool)? =
                projects.isAll && !principal.hasRules ? nil : { @Sendable name in self.maySee(.listProjects, of: name, principal, caller) }
            return try await database.observe { print(registry, shows) }
        }
    }

    /// The same for a door of the operator's own, which asks for no key.
    public func metrics(_ print: @escaping @Sendable (MeasureRegistry) -> String) async throws -> String {
        let registry = registry
        return try await database.observe { print(registry) }
    }

    /// Of the server; edges count into it.
    public var registry: MeasureRegistry { database.measures.registry }

    // MARK: - Log levels

    /// What is logged: the level of all, and of each part that has one of its own.
    public func logLevels(by caller: Caller) async throws -> LogLevelReport {
        try await perform(.showLogLevel, project: nil, by: caller) { _ in LogLevelReport() }
    }

    /// - Parameters:
    ///   - level: nil takes a part's own level away.
    ///   - part: nil: all.
    /// - Throws: `.invalid`
    public func setLogLevel(_ level: String?, of part: String?, by caller: Caller) async throws -> LogLevelReport {
        try await perform(.changeLogLevel, project: nil, by: caller) { _ in
            try Self.changeLevel(level, of: part)
            logger.notice("log level changed", metadata: ["request": "\(caller.requestID)", "level": "\(level ?? "none")", "part": "\(part ?? "all")"])
            return LogLevelReport()
        }
    }

    private static func changeLevel(_ text: String?, of part: String?) throws(ContexError) {
        let level = text.flatMap { Logger.Level(rawValue: $0) }
        if text != nil, level == nil {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw .invalid(field: "level", kind: "value_error", message: "Value error, level must be one of \(known)")
        }
        if let part {
            guard LogLevels.shared.set(level, of: part) else {
                throw .invalid(
                    field: "logger", kind: "value_error",
                    message: "Value error, there is no logger \(part.excerpt()): GET /api/v1/admin/log-level lists them")
            }
        } else if let level {
            LogLevels.shared.general = level
        } else {
            throw .invalid(field: "level", kind: "missing", message: "Field required")
        }
    }
}

/// The levels as they are.
public struct LogLevelReport: Sendable {
    public let general = LogLevels.shared.general.rawValue
    public let own: [(part: String, level: String?)] = LogLevels.shared.own.map { ($0.part, $0.level?.rawValue) }
}
