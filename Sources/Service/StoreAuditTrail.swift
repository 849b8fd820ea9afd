// What is written down that no command writes: refusals, logins, and what was taken out.
//
// What changes the store has its record in the transaction that changes it (`Attribution`). The rest is gathered here and written every half
// second, so that a flood of refusals costs two transactions a second and not one each. Equal ones (who, what, why, where) within a minute are one
// record that says how often; and more different ones than `entriesMax` are counted and told as lost, so that a flood fills neither memory nor disk.
// A kill can so lose the refusals of half a second; it never loses the record of a change.

public import Access
internal import Audit
public import Base
internal import Content
public import Engine
internal import Logging
internal import Synchronization

public final class StoreAuditTrail: AuditTrail {
    static let entriesMax = 4_096
    /// Seconds in which equal ones are one record.
    static let togetherSeconds: Int64 = 60
    /// Seconds after which a key that is used from an address is written down again.
    static let loginSeconds: Int64 = 3_600

    private struct Entry {
        let draft: AuditDraft
        /// Since it was last written.
        var count: Int
        /// When it was last written; nil: not yet.
        var written: Int64?
    }
    /// Whose trail, and what is written into it.
    private struct Line: Hashable {
        let tenant: TenantID
        let draft: AuditDraft
    }
    private struct Login: Hashable {
        let holder: String
        let address: String?
    }
    private struct State {
        var entries: [Line: Entry] = [:]
        var logins: [Login: Int64] = [:]
        var lost = 0
    }
    private let state = Mutex(State())
    private let database: Database
    /// Of what is nobody's.
    private let tenant: TenantID
    private let logger = Logger(label: "contex.audit")
    public let keptDays: Int?

    public init(database: Database, tenant: TenantID, keptDays: Int) {
        self.database = database
        self.tenant = tenant
        self.keptDays = keptDays
    }

    /// For what the server does by itself.
    public func server(action: String) -> Attribution {
        Attribution(
            actor: AuditActor(kind: .system, id: "contex"), place: AuditPlace(requestID: "-", endpoint: action, method: "inside"), action: action,
            keptDays: keptDays ?? Attribution.keptDaysMax)
    }

    public func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async {
        let time = database.currentTime().rawValue / 1_000_000
        if let failure {
            add(Self.draft(of: failure, action, principal, project, caller), of: principal)
            return
        }
        // What is changed in this process only is in no command.
        if action == .changeLogLevel { add(Self.draft(.configUpdated, .success, .changeLogLevel, principal, nil, caller), of: principal) }
        if action == .issueToken { add(Self.draft(.tokenIssued, .success, .issueToken, principal, nil, caller), of: principal) }
        if action == .rotateTokenKey { add(Self.draft(.signingKeyRotated, .success, .rotateTokenKey, principal, nil, caller), of: principal) }
        if action == .exportData { add(Self.draft(.dataExported, .success, .exportData, principal, project, caller), of: principal) }
        guard let holder = principal?.holderID else { return }
        let isNew = state.withLock { state in
            let login = Login(holder: holder, address: caller.address)
            if let last = state.logins[login], time - last < Self.loginSeconds, time >= last { return false }
            if state.logins.count >= Self.entriesMax { state.logins = state.logins.filter { time - $0.value < Self.loginSeconds && time >= $0.value } }
            if state.logins.count >= Self.entriesMax { state.logins = [:] }
            state.logins[login] = time
            return true
        }
        if isNew { add(Self.draft(.loginSucceeded, .success, action, principal, nil, caller), of: principal) }
    }

    private func add(_ draft: AuditDraft, of principal: Principal?) {
        state.withLock { state in
            // One request id is as good as another for what is told once.
            let same = Line(tenant: principal?.tenant ?? tenant, draft: draft.withoutRequest)
            if state.entries[same] != nil {
                state.entries[same]!.count += 1
            } else if state.entries.count < Self.entriesMax {
                state.entries[same] = Entry(draft: draft, count: 1, written: nil)
            } else {
                state.lost += 1
            }
        }
    }

    /// Writes until it is cancelled. What waits then is for `flush(isLast:)`, of somebody who is not: a task that is cancelled reads nothing.
    public func run() async {
        while (try? await Task.sleep(for: .milliseconds(500))) != nil { await flush() }
    }

    /// Writes what waits.
    /// - Parameter isLast: also what would wait to be told with others like it.
    public func flush(isLast: Bool = false) async {
        let time = database.currentTime().rawValue / 1_000_000
        let (drafts, lost) = state.withLock { state in
            var drafts: [TenantID: [AuditDraft]] = [:]
            for (same, entry) in state.entries {
                if let written = entry.written, time >= written, time - written < Self.togetherSeconds, !isLast { continue }
                if entry.count == 0 {
                    state.entries[same] = nil
                    continue
                }
                var draft = entry.draft
                if entry.count > 1 || entry.written != nil { draft.details = draft.details(with: entry.count) }
                drafts[same.tenant, default: []].append(draft)
                state.entries[same]!.count = 0
                state.entries[same]!.written = time
            }
            let lost = state.lost
            state.lost = 0
            // The order of a dictionary is no order.
            return (drafts.mapValues { $0.sorted { ($0.place.requestID, $0.action) < ($1.place.requestID, $1.action) } }, lost)
        }
        var all = drafts
        if lost > 0 {
            all[tenant, default: []].append(
                AuditDraft(
                    kind: .suspiciousActivity, result: .failure, actor: AuditActor(kind: .system, id: "contex"),
                    place: AuditPlace(requestID: "-", endpoint: "-", method: "inside"), action: "audit",
                    details: JSONPrinter.bytes(.object(JSONObject([("lost_records", .integer(lost))])))))
        }
        for (tenant, drafts) in all.sorted(by: { $0.key < $1.key }) { await write(drafts, into: tenant) }
    }

    private func write(_ drafts: [AuditDraft], into tenant: TenantID) async {
        do {
            for begin in stride(from: 0, to: drafts.count, by: 500) {
                try await database.note(tenant, Array(drafts[begin..<min(drafts.count, begin + 500)]), keptDays: keptDays ?? Attribution.keptDaysMax)
            }
        } catch let error as ContexError where error.code == .tenantNotFound {
            // Its trail is gone with it.
        } catch {
            logger.error("audit records could not be written", metadata: ["records": "\(drafts.count)", "reason": "\(error)"])
            state.withLock { $0.lost += drafts.count }
        }
    }

    // MARK: - Drafts

    private static func draft(
        of failure: ContexError, _ action: Action?, _ principal: Principal?, _ project: Name?, _ caller: Caller
    ) -> AuditDraft {
        let kind: AuditKind =
            switch failure.category {
            case .unauthenticated: .loginFailed
            case .forbidden: failure.code == .originRefused || failure.code == .hostUnknown ? .invalidAccess : .permissionDenied
            case .limited: failure.code == .loginsLimited ? .loginFailed : failure.code == .quotaExceeded ? .quotaExceeded : .rateLimited
            default: action?.auditKind ?? .invalidAccess
            }
        var details: [(String, JSONValue)] = [("code", .string(failure.code.rawValue))]
        if let quota = failure.quota { details.append(("resource", .string(quota.resource))) }
        if let permission = failure.requiredPermission { details.append(("required_permission", .string(permission))) }
        return draft(kind, .failure, action, principal, project, caller, details)
    }

    private static func draft(
        _ kind: AuditKind, _ result: AuditResult, _ action: Action?, _ principal: Principal?, _ project: Name?, _ caller: Caller,
        _ details: [(String, JSONValue)] = []
    ) -> AuditDraft {
        AuditDraft(
            kind: kind, result: result, actor: caller.actor(principal), place: caller.place(action), action: action?.rawValue ?? "none",
            project: project?.text, details: JSONPrinter.bytes(.object(JSONObject(details))))
    }
}

extension AuditDraft {
    /// The same but for the request.
    fileprivate var withoutRequest: AuditDraft {
        AuditDraft(
            kind: kind, result: result, actor: actor, place: AuditPlace(requestID: "", endpoint: place.endpoint, method: place.method), action: action,
            project: project, resourceType: resourceType, resourceID: resourceID, details: details)
    }

    fileprivate func details(with count: Int) -> [UInt8] {
        var members = (try? JSONParser.parse(details))?.objectValue ?? JSONObject()
        members["count"] = .integer(count)
        return JSONPrinter.bytes(.object(members))
    }
}

extension Caller {
    /// As the audit trail names him.
    func actor(_ principal: Principal?) -> AuditActor {
        if let id = principal?.accountID { return AuditActor(kind: .serviceAccount, id: id.text, address: address, client: client) }
        if let id = principal?.keyID { return AuditActor(kind: .apiKey, id: id.text, address: address, client: client) }
        return AuditActor(kind: .anonymous, id: "anonymous", address: address, client: client)
    }

    func place(_ action: Action?) -> AuditPlace { AuditPlace(requestID: requestID, endpoint: endpoint ?? action?.rawValue ?? "-", method: method) }
}

extension Action {
    /// What a failure of it is a failure of; nil for what changes nothing.
    var auditKind: AuditKind? {
        switch self {
        case .publish, .publishBatch, .restoreVersion: .dataPublished
        case .deleteData, .eraseData, .eraseProject: .dataDeleted
        case .importData: .dataImported
        case .exportData: .dataExported
        case .registerAgent, .registerAgentBatch: .agentRegistered
        case .removeAgent: .agentUnregistered
        case .changeSettings, .createEndpoint, .changeEndpoint, .removeEndpoint, .testEndpoint, .replayDeliveries, .changeLogLevel: .configUpdated
        case .createKey: .keyCreated
        case .revokeKey: .keyRevoked
        case .confirmKey: .keyConfirmed
        case .changeKey: .keyChanged
        case .rotateKey: .keyRotated
        case .assignRole: .roleAssigned
        case .removeRole: .roleRevoked
        case .setRateLimits: .rateLimitChanged
        case .createTenant: .tenantCreated
        case .changeTenant: .tenantUpdated
        case .removeTenant: .tenantDeleted
        case .resetTenantUsage: .quotaChanged
        case .addTenantProject: .projectCreated
        case .removeTenantProject: .projectDeleted
        case .setRetention, .cleanUp: .configUpdated
        case .createAccount: .accountCreated
        case .changeAccount: .accountChanged
        case .removeAccount: .accountRemoved
        case .createAccountKey: .accountKeyCreated
        case .removeAccountKey: .accountKeyRemoved
        case .issueToken: .tokenIssued
        case .rotateTokenKey: .signingKeyRotated
        case .putCustomRole: .customRoleChanged
        case .removeCustomRole: .customRoleRemoved
        case .setPermissions: .roleAssigned
        case .judgeDelivery: .agentUpdated
        case .query, .queryBatch, .embed, .listData, .showData, .listAgents, .showAgent, .subscribe, .readInbox, .acknowledgeInbox, .rehearse, .tryNeeds,
            .readEvents, .followEvents, .readVersions, .openSocket, .listProjects, .showSettings, .listKeys, .listRoles, .showRole, .listPermissions,
            .showHealth, .readDeliveries, .listEventKinds, .listEndpoints, .showEndpoint, .showRateLimits, .readAudit, .showMetrics, .showLogLevel,
            .useMCP, .checkProject, .showRetention, .listAccounts, .showAccount, .validateToken,
            .showTokenKeys, .listCustomRoles, .explainPermission, .listTenants, .showTenant,
            .listTenantProjects:
            nil
        }
    }

    /// Whether it can change the store, so that the change has a name on it.
    package var changes: Bool { auditKind != nil && ![.exportData, .issueToken, .rotateTokenKey].contains(self) }
}
