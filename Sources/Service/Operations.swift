public import Access
public import Base
public import Engine
internal import Logging
internal import Synchronization

/// Every operation of Contex, the same for every adapter. Each goes through the same steps, in this order: authenticate,
/// authorise, meter, run, audit. Adapters turn bytes into these calls and have no rules of their own; what they refuse
/// themselves, because no operation can be made of it, they say with `refuse`.
public final class Operations: Sendable {
    /// False when the operator runs without authentication: everyone is the anonymous administrator, on loopback only.
    public let authenticationRequired: Bool
    let database: Database
    /// What adapters ask before they hold memory for a request.
    public let memory: InflightMemory
    let meter: any Meter
    /// The meter, where it is one that tells where callers stand.
    let rates: RateMeter?
    let audit: any AuditTrail
    let logger: Logger
    let measures: ServiceMeasures
    /// Puts a word on a receipt that can be held against the audit trail's key; without an audit trail there is none.
    let signer: AuditSigner?
    /// What is slow.
    public let slowLog = SlowLog()
    let condition = Condition()
    let logins = LoginGuard()
    let tenancy = TenantGuard()
    /// Who looks at all that a project has on the disk; set once at start.
    let looker = Mutex<(@Sendable (TenantID, Name) async throws -> ProjectLook)?>(nil)
    /// For which keys client certificates stand.
    public let certificateKeys = CertificateKeys()

    public init(
        database: Database, authenticationRequired: Bool, inflightBytesMax: Int = Limits.inflightBytes, meter: any Meter = NoMeter(),
        audit: any AuditTrail = NoAuditTrail(), signer: AuditSigner? = nil
    ) {
        self.database = database
        self.signer = signer
        memory = InflightMemory(total: inflightBytesMax)
        self.authenticationRequired = authenticationRequired
        self.meter = meter
        rates = meter as? RateMeter
        self.audit = audit
        logger = Logger(label: "contex.service")
        measures = ServiceMeasures(database.measures.registry)
        measureCondition()
    }

    /// Where an adapter runs the tasks of requests that are much work: reading large bodies, printing large answers.
    public var heavyExecutor: any TaskExecutor { database.heavyExecutor }

    // MARK: - The steps


    /// Whether the key that a caller came with is valid still. Nobody logs in here, so nothing is counted.
    public func isValid(_ caller: Caller) -> Bool { present(caller) != nil }

    func present(_ caller: Caller) -> Principal? {
        guard authenticationRequired else { return try? placed(.anonymous, caller, .tenant) }
        guard case .valid(let principal) = login(caller, counts: false) else { return nil }
        return try? placed(principal, caller, .tenant)
    }

    /// A key that is given goes before a certificate, also when it is wrong: whoever gives one wants to be its holder.
    private func login(_ caller: Caller, counts: Bool) -> KeyRing.Login {
        if caller.apiKey?.isEmpty ?? true, let id = certificateKeys.key(of: caller.certificate) {
            return database.keyRing.login(certified: id, from: caller.address, at: database.currentTime())
        }
        return database.keyRing.login(caller.apiKey, from: caller.address, at: database.currentTime(), counts: counts)
    }

    /// Who asks. A key that is nobody's is counted against its address and logged; an edge that answers with it says so with `refuse`.
    /// - Parameter place: whose it is what is asked for: where there are several tenants, the answer acts in the one that the request is of.
    /// - Throws: `.unauthenticated`; `.limited` for one failure too many from the caller's address; with several tenants `.tenantMissing`,
    ///   `.tenantNotFound`, `.tenantInactive`, `.tenantForeign`, all of them for valid keys only.
    public func authenticate(_ caller: Caller, for place: Action.Place = .tenant) throws(ContexError) -> Principal {
        try authenticate(caller, for: place, counts: false)
    }

    /// - Parameter counts: whether an operation follows: a service account is told how many it has asked for.
    private func authenticate(_ caller: Caller, for place: Action.Place, counts: Bool) throws(ContexError) -> Principal {
        guard authenticationRequired else { return try placed(.anonymous, caller, place) }
        let login = login(caller, counts: counts)
        if case .valid(let principal) = login { return try placed(principal, caller, place) }
        throw refused(login, caller)
    }

    /// The same of whoever was let in once and goes on. A key that was revoked since is no guess: it counts against no address, and he is told what
    /// became of it whatever others of his address do.
    func authenticateAgain(_ caller: Caller, for place: Action.Place = .tenant) throws(ContexError) -> Principal {
        guard authenticationRequired else { return try placed(.anonymous, caller, place) }
        let login = login(caller, counts: false)
        if case .valid(let principal) = login { return try placed(principal, caller, place) }
        throw login.refusal ?? ContexError(.bug, "a key that is neither valid nor refused")
    }

    /// What somebody is told whose login failed: the refusal, or that there were too many from his address.
    func refused(_ login: KeyRing.Login, _ caller: Caller) -> ContexError {
        let refusal = login.refusal ?? ContexError(.bug, "a key that is neither valid nor refused")
        // A request without a key is no guess, and neither is one with a key that exists.
        guard login.isGuess else { return refusal }
        let verdict = logins.failed(from: caller.address, now: .now)
        if verdict.isLogged {
            logger.warning(
                "login failed", metadata: ["address": "\(caller.address ?? "-")", "request": "\(caller.requestID)", "verdict": "\(verdict)"])
        }
        guard case .slowed = verdict else { return refusal }
        return ContexError(.loginsLimited, "Too many failed logins from your address: wait a minute, and check the API key")
    }

    /// Logins that failed since the start.
    public var failedLogins: Int { logins.total }

    /// - Parameters:
    ///   - project: the project that the request names, nil when it names none.
    ///   - key: the key of the data that it names.
    ///   - isPreliminary: an operation follows, which asks again and knows more: only what can no longer be allowed is refused.
    /// - Throws: `.forbidden`, `.reachExceeded`
    public func authorise(
        _ principal: Principal, _ action: Action, project: Name?, key: Name? = nil, from caller: Caller, isPreliminary: Bool = false
    ) throws(ContexError) {
        if let permission = action.permission {
            try principal.require(question(permission, principal, project?.text, key, caller, isPreliminary))
        }
        if action.place == .server, !principal.isOperator, database.tenants.isOn || principal.home != .standard { throw Self.operatorOnly(action, principal) }
        if action.concernsAllProjects, !principal.projects.isAll {
            throw ContexError(
                .reachExceeded, "Your key is limited to \(principal.projects.projects.count) project(s); this concerns all of them",
                requiredPermission: action.permission?.rawValue, role: principal.roleName)
        }
    }

    /// What an operation needs beside its own permission.
    func require(_ permission: Permission, _ project: Name, _ principal: Principal, _ caller: Caller) throws(ContexError) {
        try principal.require(question(permission, principal, project.text, nil, caller, false))
    }

    /// Refuses what is denied by name, whatever else grants it; that nothing grants it is another matter.
    func refuseDenied(
        _ permission: Permission, _ project: Name, _ key: Name, _ principal: Principal, _ caller: Caller
    ) throws(ContexError) {
        guard principal.hasRules else { return }
        let question = question(permission, principal, project.text, key, caller, false)
        switch principal.decide(question) {
        case .deniedByRole, .deniedByPermissions: try principal.require(question)
        case .allowed, .role, .project, .permissions: return
        }
    }

    /// Whether a part of an answer is for the caller: what is of a project that he may not ask this of is not there for him.
    func maySee(_ action: Action, of project: String, _ principal: Principal, _ caller: Caller) -> Bool {
        guard principal.hasRules, let permission = action.permission else { return principal.projects.includes(project) }
        return principal.decide(question(permission, principal, project, nil, caller, false)) == .allowed
    }

    private func question(
        _ permission: Permission, _ principal: Principal, _ project: String?, _ key: Name?, _ caller: Caller, _ isPreliminary: Bool
    ) -> AccessQuestion {
        // The clock is asked only where somebody may want to know.
        AccessQuestion(
            permission, project: project, dataKey: key?.text, address: caller.address, time: principal.hasRules ? database.currentTime() : nil,
            isPreliminary: isPreliminary)
    }

    /// Runs one operation through its steps. `project` must be the one that `body` works on.
    /// - Parameters:
    ///   - key: of the data that it is about, where it is about one.
    ///   - cost: what it counts as; 0 when `body` counts its parts by itself (`charge`).
    func perform<T: Sendable>(
        _ action: Action, project: Name?, key: Name? = nil, cost: Int = 1, by caller: Caller, _ body: (Principal) async throws -> T
    ) async throws -> T {
        try await traced(action, project: project, by: caller) {
            try await run(action, project: project, key: key, cost: cost, by: caller, body)
        }
    }

    private func run<T: Sendable>(
        _ action: Action, project: Name?, key: Name?, cost: Int, by caller: Caller, _ body: (Principal) async throws -> T
    ) async throws -> T {
        var principal: Principal? = nil
        let observed = begin(action, project: project, by: caller)
        do {
            let known = try authenticate(caller, for: action.place, counts: true)
            principal = known
            try authorise(known, action, project: project, key: key, from: caller)
            if let project, action != .checkProject { try database.quarantine.check(known.tenant, project) }
            try admitTenant(action, cost, known, caller)
            try await meter.admit(action, cost: cost, principal: known, project: project, caller: caller)
            let answer = try await attributed(action, known, caller) { try await body(known) }
            if action.changes { await warnOfQuotas(known, caller) }
            await audit.record(action, principal: known, project: project, caller: caller, failure: nil)
            end(observed, known, answer)
            return answer
        } catch {
            var failure = ContexError(from: error)
            if let project { failure = failure.damage(in: project) }
            if let principal { database.meet(failure, principal.tenant, project) }
            switch failure.category {
            case .damaged, .bug, .storageFull:
                logger.error("\(action.rawValue) failed", metadata: ["request": "\(caller.requestID)", "error": "\(failure)"])
            default: break
            }
            await audit.record(action, principal: principal, project: project, caller: caller, failure: failure)
            end(observed, principal, failure: failure)
            failure.isRecorded = true
            throw failure
        }
    }

    /// For how many days what is done is written down; nil: it is not.
    var auditDays: Int? { audit.keptDays }

    /// Counts a part of an operation.
    func charge(_ action: Action, _ cost: Int, _ principal: Principal, _ project: Name?, _ caller: Caller) async throws {
        try admitTenant(action, cost, principal, caller)
        try await meter.admit(action, cost: cost, principal: principal, project: project, caller: caller)
    }

    /// What `body` changes, it changes in the caller's name.
    func attributed<T: Sendable>(
        _ action: Action, _ principal: Principal, _ caller: Caller, _ body: () async throws -> T
    ) async throws -> T {
        guard let keptDays = audit.keptDays, action.changes else { return try await body() }
        let attribution = Attribution(
            actor: caller.actor(principal), place: caller.place(action), action: action.rawValue, keptDays: keptDays)
        return try await Attribution.$current.withValue(attribution) { try await body() }
    }

    /// Counts and writes down what an edge has refused by itself, before any operation ran: a path or command that is unknown,
    /// a body that cannot be read, a limit, a key that does not hold. An operation that ran has done this already.
    ///
    /// - Parameters:
    ///   - action: what was asked for; nil when that cannot be told.
    ///   - project: the one that the request names, when it was read so far.
    /// - Returns: what to answer: the refusal, or that of the meter once the caller has had its share.
    @discardableResult
    public func refuse(_ action: Action?, project: Name? = nil, by caller: Caller, _ refusal: ContexError) async -> ContexError {
        let principal = present(caller)
        var refusal = refusal
        do {
            if let principal { try admitTenant(action, 1, principal, caller) }
            try await meter.admit(action, cost: 1, principal: principal, project: project, caller: caller)
        } catch {
            refusal = ContexError(from: error)
        }
        await audit.record(action, principal: principal, project: project, caller: caller, failure: refusal)
        measures.refused(action, principal, refusal)
        return refusal
    }
}

/// Counts and limits operations before they run, and what edges refuse.
public protocol Meter: Sendable {
    /// - Parameters:
    ///   - action: nil for a refused request that names no operation.
    ///   - cost: how many it counts as; 0: what it is made of is counted by itself.
    ///   - principal: nil for a refused request without a valid key.
    /// - Throws: `.limited`
    func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws
}

/// Admits everything.
public struct NoMeter: Meter {
    public init() {}
    public func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws {}
}

/// Writes down who did what, and what was refused.
public protocol AuditTrail: Sendable {
    /// - Parameter action: nil for a refused request that names no operation.
    func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async
    /// For how many days records are kept; nil: changes leave none.
    var keptDays: Int? { get }
}

extension AuditTrail {
    public var keptDays: Int? { nil }
}

/// Keeps nothing.
public struct NoAuditTrail: AuditTrail {
    public init() {}
    public func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async {}
}

extension ContexError {
    init(from error: any Error) {
        switch error {
        case let error as ContexError: self = error
        case is CancellationError: self = ContexError(.cancelled, "The request was cancelled")
        default: self = ContexError(.bug, "\(error)")
        }
    }
}
