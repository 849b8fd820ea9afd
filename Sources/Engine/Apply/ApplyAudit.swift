// What the audit trail says of a command is made of the command itself, in its transaction: there is never one without the other.

internal import Access
internal import Audit
internal import Base
internal import Content
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Rates
internal import Tenants

extension Applier {
    /// Applies a command, and writes down what it changed. One that changed nothing leaves no record: a refused one is noted by whoever refused it.
    func audited(_ command: Command.Attributed, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let subject = try AuditSubject(command.command, before: transaction.view)
        let mutations = transaction.mutationCount
        let outcome = try outcome(of: command.command, &work, in: &transaction)
        guard transaction.mutationCount > mutations else { return outcome }
        let attribution = command.attribution
        var details = subject.details
        if case .published(let receipt) = outcome { details.append(("sequence", .string("\(receipt.sequence)"))) }
        let draft = AuditDraft(
            kind: subject.kind, result: .success, actor: attribution.actor, place: attribution.place, action: attribution.action, project: subject.project,
            resourceType: subject.resource?.type, resourceID: subject.resource?.id, details: JSONPrinter.bytes(.object(JSONObject(details))))
        try AuditLog(tenant: command.command.tenant).append(
            draft, at: command.command.time, keptDays: attribution.keptDays, in: &transaction)
        return outcome
    }

    func noteAudit(_ command: Command.NoteAudit, in transaction: inout WriteTransaction) throws -> Outcome {
        let log = AuditLog(tenant: command.tenant)
        for draft in command.drafts { try log.append(draft, at: command.time, keptDays: command.keptDays, in: &transaction) }
        return .done
    }

    func setRateLimit(_ command: Command.SetRateLimit, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
        switch command.change {
        case .set(let perMinute):
            try RateRules.set(RateRule(subject: command.subject, rateClass: command.rateClass, perMinute: perMinute), in: &transaction, scope: scope)
        case .remove:
            guard try RateRules.remove(command.subject, command.rateClass, in: &transaction, scope: scope) else {
                throw ContexError.notFound("There is no limit of this class for this \(command.subject.kind)")
            }
        }
        work.effects.haveLimitsChanged = true
        return .done
    }
}

/// What a command is about, as the audit trail names it.
private struct AuditSubject {
    var kind: AuditKind
    var project: String?
    var resource: (type: String, id: String)?
    var details: [(String, JSONValue)] = []

    init(_ command: Command, before view: borrowing TransactionView) throws {
        switch command {
        case .publish(let command):
            let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: view)
            let isThere = try scope.flatMap { try DocumentStore(scope: $0).document(command.key, in: view)?.exists } ?? false
            kind = isThere ? .dataUpdated : .dataPublished
            project = command.project.text
            resource = ("data", command.key.text)
            details = [("data_format", .string(command.eventFormat))]
        case .delete(let command):
            kind = .dataDeleted
            project = command.project.text
            resource = ("data", command.key.text)
        case .importProject(let command):
            kind = .dataImported
            project = command.project.text
            resource = ("project", command.project.text)
            details = [
                ("overwrite", .bool(command.overwrites)), ("documents", .integer(command.documents.count)),
                ("events", .integer(command.events?.count ?? 0)),
            ]
        case .register(let command):
            let agent = command.agent
            let scope = try ProjectRegistry(tenant: command.search.tenant).scope(of: agent.project, in: view)
            let isThere = try scope.map { try NeedStore(scope: $0).agent(agent.agent, in: view) != nil } ?? false
            kind = isThere ? .agentUpdated : .agentRegistered
            project = agent.project.text
            resource = ("agent", agent.agent.text)
            details = [("needs", .integer(command.search.needs.count))]
        case .unregister(let command):
            kind = .agentUnregistered
            project = command.projects.count == 1 ? command.projects[0].text : nil
            resource = ("agent", command.agent.text)
            details = [("projects", .array(command.projects.prefix(20).map { .string($0.text) }))]
        case .setAnalyzer(let command):
            kind = .configUpdated
            project = command.project.text
            resource = ("settings", command.project.text)
            details = [("analyzer", .string(command.kind.name))]
        case .changeKeys(let command):
            switch command.change {
            case .create(let record, let role, let terms):
                kind = .keyCreated
                resource = ("api_key", record.keyID.text)
                details = [("name", .string(record.name))] + (role.map(Self.details) ?? []) + (terms.isEmpty ? [] : Self.details(terms))
            case .setTerms(let id, let terms):
                kind = .keyChanged
                resource = ("api_key", id.text)
                details = Self.details(terms)
            case .rotate(let id, _, let until):
                kind = .keyRotated
                resource = ("api_key", id.text)
                details = [("former_valid_until", until.map { .string($0.iso8601) } ?? .null)]
            case .confirm(let id):
                kind = .keyConfirmed
                resource = ("api_key", id.text)
            case .revoke(let id):
                kind = .keyRevoked
                resource = ("api_key", id.text)
            case .assign(let role):
                kind = .roleAssigned
                resource = ("api_key", role.keyID.text)
                let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
                let before = try AccessRegistry.assignment(of: role.keyID, view, scope: scope)
                details = Self.details(role) + [("before", before.map { .string($0.role.rawValue) } ?? .null)]
            case .removeRole(let id):
                kind = .roleRevoked
                resource = ("api_key", id.text)
            }
        case .changeLetters(let command):
            kind = .configUpdated
            resource = ("dead_letters", "\(command.lane)")
            details = [("change", .string(command.change == .replay ? "replay" : "remove")), ("count", .integer(command.numbers.count))]
        case .changeEndpoint(let command):
            kind = .configUpdated
            resource = ("webhook_endpoint", WebhookEndpoint.id(of: command.number))
            let change =
                switch command.change {
                case .create: "create"
                case .update: "update"
                case .rotate: "rotate"
                case .remove: "remove"
                }
            details = [("change", .string(change))]
        case .announce(let command):
            kind = .configUpdated
            project = command.project.isEmpty ? nil : command.project
            resource = ("webhook_event", command.kind.name)
        case .setRateLimit(let command):
            kind = .rateLimitChanged
            if case .project(let name) = command.subject { project = name }
            resource = ("rate_limit", command.subject.kind + (command.subject.id.map { ":" + $0 } ?? ""))
            let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
            let before = try RateRules.all(view, scope: scope).first { $0.subject == command.subject && $0.rateClass == command.rateClass }
            func text(_ limit: Int?) -> JSONValue { limit.map { .integer($0) } ?? "none" }
            details = [("class", .string(command.rateClass.name)), ("before", before.map { text($0.perMinute) } ?? .null)]
            if case .set(let perMinute) = command.change { details.append(("after", text(perMinute))) }
        case .trim(let command):
            kind = .configUpdated
            project = command.project.text
            resource = ("retention", command.project.text)
            details = [("change", "trim"), ("horizon", .string("\(command.horizon)"))]
        case .setRetention(let command):
            kind = .configUpdated
            project = command.project.text
            resource = ("retention", command.project.text)
            func text(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }
            details = [
                ("change", "set"), ("events_ttl_days", text(command.settings.eventDays)), ("agent_inactive_days", text(command.settings.agentDays)),
                ("max_events_per_project", text(command.settings.eventsMax)),
            ]
        case .erase(let command):
            kind = .dataDeleted
            var (name, key) = (Name?.none, Name?.none)
            var done: [(String, JSONValue)] = []
            switch command.step {
            case .begin(let own, let ownKey): (name, key) = (own, ownKey)
            case .journal(let number), .content(let number), .finish(let number):
                let record = try ErasureRecord.load(command.tenant, number, in: view)
                (name, key) = (record?.progress.project, record?.progress.key)
                if let progress = record?.progress {
                    done = [
                        ("events", .string("\(progress.events)")), ("versions", .string("\(progress.versions)")),
                        ("records", .string("\(progress.records)")),
                    ]
                }
            }
            project = name?.text
            resource = key.map { ("data", $0.text) } ?? name.map { ("project", $0.text) }
            details = [("erased", .bool(!done.isEmpty)), ("history", .bool(true))] + done
        case .changeAccounts(let command):
            let tenantScope = TenantScope(tenant: command.tenant, project: .tenantLevel)
            func before(_ id: AccountID) throws -> [(String, JSONValue)] {
                try AccountRegistry.account(id, view, scope: tenantScope).map { [("name", .string($0.name))] } ?? []
            }
            switch command.change {
            case .create(let account):
                kind = .accountCreated
                resource = ("service_account", account.id.text)
                details = [
                    ("name", .string(account.name)), ("role", .string(account.role)),
                    ("projects", .array(account.projects.prefix(20).map { .string($0) })),
                    ("scopes", .array(account.scopes.prefix(20).map { .string($0) })),
                ]
            case .update(let id, let patch):
                kind = .accountChanged
                resource = ("service_account", id.text)
                details = try before(id) + patch.details
            case .remove(let id):
                kind = .accountRemoved
                resource = ("service_account", id.text)
                details = try before(id)
            case .addKey(let id, let key):
                kind = .accountKeyCreated
                resource = ("service_account", id.text)
                details = [("key_id", .string(key.keyID.text)), ("expires_at", key.expiresAt.map { .string($0.iso8601) } ?? .null)]
            case .removeKey(let id, let key):
                kind = .accountKeyRemoved
                resource = ("service_account", id.text)
                details = [("key_id", .string(key.text))]
            }
        case .changeRoles(let command):
            switch command.change {
            case .put(let role):
                kind = .customRoleChanged
                resource = ("role", role.name)
                details = [
                    ("inherits", .array(role.inherits.map { .string($0) })),
                    ("permissions", .array(role.permissions.prefix(20).map { .string($0) })),
                ]
            case .remove(let name):
                kind = .customRoleRemoved
                resource = ("role", name)
            }
        case .setGrants(let command):
            kind = .roleAssigned
            resource = ("api_key", command.keyID.text)
            switch command.change {
            case .role(let name, let projects):
                details = [("role", .string(name)), ("projects", .array(projects.prefix(20).map { .string($0) }))]
            case .permissions(let permissions): details = [("permissions", .array(permissions.prefix(20).map { .string($0) }))]
            }
        case .changeTenant(let command):
            resource = ("tenant", command.name.text)
            let before = try TenantRegistry.tenant(named: command.name, in: view)
            switch command.change {
            case .create(let draft):
                kind = .tenantCreated
                details = [("name", .string(draft.title)), ("plan", .string(draft.plan.name))]
            case .update(let patch):
                kind = .tenantUpdated
                if let isActive = patch.isActive, let before, isActive != before.isActive { kind = isActive ? .tenantReactivated : .tenantSuspended }
                let after = try before.map { try patch.applied(to: $0, at: command.time) }
                if let before, let after {
                    if kind == .tenantUpdated, before.quotas != after.quotas { kind = .quotaChanged }
                    if before.plan != after.plan { details += [("plan_before", .string(before.plan.name)), ("plan", .string(after.plan.name))] }
                    if before.quotas != after.quotas {
                        details += [("quotas_before", .object(before.quotas.json)), ("quotas", .object(after.quotas.json))]
                    }
                }
                if patch.title != nil { details.append(("name", .string(patch.title ?? ""))) }
                if patch.settings != nil { details.append(("settings", "changed")) }
            case .remove(let isForced):
                kind = .tenantDeleted
                details = [("forced", .bool(isForced))]
            case .resetUsage:
                kind = .quotaChanged
                let usage = try before.flatMap { try TenantRegistry.usage(of: $0.number, in: view) }
                details = [("change", "reset_monthly_usage"), ("events_before", .integer(usage?.events ?? 0))]
            case .addProject(let name):
                kind = .projectCreated
                project = name.text
            case .removeProject(let name):
                kind = .projectDeleted
                project = name.text
            }
        case .setTenancy(let command):
            kind = .configUpdated
            resource = ("settings", "multi_tenant")
            details = [("enabled", .bool(command.isOn))]
        case .judge(let command):
            kind = .agentUpdated
            project = command.project.text
            resource = ("agent", command.agent.text)
            switch command.change {
            case .note(let sequence, _, let isUseful): details = [("delivery", .string(sequence.description)), ("useful", .bool(isUseful))]
            case .forget(let sequence, _): details = [("feedback", "taken back"), ("delivery", sequence.map { .string($0.description) } ?? .null)]
            }
        case .keepQueries, .acknowledge, .expireInboxes, .noteDeliveries, .noteAudit, .eraseTenant, .keepPart, .assembled, .attributed:
            throw ContexError(.bug, "a command that is in nobody's name has one on it")
        }
    }

    private static func details(_ terms: KeyTerms) -> [(String, JSONValue)] {
        [
            ("expires_at", terms.expiresAt.map { .string($0.iso8601) } ?? .null),
            ("allowed_addresses", .array(terms.addressTexts.prefix(20).map(JSONValue.string))),
        ]
    }

    private static func details(_ role: RoleAssignment) -> [(String, JSONValue)] {
        [("role", .string(role.role.rawValue)), ("projects", .array(role.projects.projects.prefix(20).map { .string($0) }))]
    }
}
