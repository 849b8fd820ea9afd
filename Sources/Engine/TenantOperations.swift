// Tenants, as the service asks for them.

public import Base
internal import Documents
internal import KeySpace
internal import LMDB
public import Tenants

/// What a tenant has used of each of its quotas, at one moment.
public struct TenantReport: Sendable {
    public let tenant: TenantRecord
    public let projects: Int
    public let agents: Int
    public let keys: Int
    public let endpoints: Int
    public let month: Month
    public let events: Int
    public let storageBytes: Int
    /// When an event was counted last; nil: never.
    public let countedAt: Timestamp?

    /// Where it stands with what has one limit for the whole tenant.
    public var standings: [QuotaStanding] {
        let quotas = tenant.quotas
        return [
            QuotaStanding(resource: Resource.projects.rawValue, used: projects, limit: quotas.projects),
            QuotaStanding(resource: Resource.keys.rawValue, used: keys, limit: quotas.keys),
            QuotaStanding(resource: Resource.events.rawValue, used: events, limit: quotas.eventsPerMonth, resetAt: month.next.begin),
            QuotaStanding(resource: Resource.storage.rawValue, used: storageBytes, limit: quotas.storageBytes),
        ]
    }
}

extension Database {
    /// Several tenants, or one: what the server was started with.
    /// - Throws: `.reindexNeeded`
    public func setTenancy(_ isOn: Bool) async throws {
        guard isOn != tenants.isOn else { return }
        _ = try await submit(.setTenancy(.init(isOn: isOn, time: now())))
    }

    /// - Throws: `.tenantExists`; `.limited`; `.tenancyOff`
    public func createTenant(_ draft: TenantDraft) async throws -> TenantRecord { try await changeTenant(draft.name, .create(draft)) }

    /// - Throws: `.tenantNotFound`; `.invalid`; `.badRequest` for the standard tenant that is to be switched off; `.tenancyOff`
    public func updateTenant(_ name: TenantName, _ patch: TenantPatch) async throws -> TenantRecord { try await changeTenant(name, .update(patch)) }

    /// From the answer on nobody gets at anything of it; its records are erased by `eraseRemovedTenants`.
    /// - Throws: `.tenantNotFound`; `.tenantNotEmpty`; `.badRequest` for the standard tenant; `.tenancyOff`
    public func removeTenant(_ name: TenantName, isForced: Bool) async throws { _ = try await changeTenant(name, .remove(isForced: isForced)) }

    /// - Throws: `.tenantNotFound`; `.tenancyOff`
    public func resetUsage(of name: TenantName) async throws { _ = try await changeTenant(name, .resetUsage) }

    /// Enters a project; nothing changes when it is there.
    /// - Throws: `.tenantNotFound`; `.quotaExceeded`; `.tenancyOff`
    public func addProject(_ project: Name, to name: TenantName) async throws { _ = try await changeTenant(name, .addProject(project)) }

    /// Takes a project out that nothing is in.
    /// - Throws: `.tenantNotFound`; `.projectNotFound`; `.projectNotEmpty`; `.tenancyOff`
    public func removeProject(_ project: Name, from name: TenantName) async throws { _ = try await changeTenant(name, .removeProject(project)) }

    private func changeTenant(_ name: TenantName, _ change: Command.ChangeTenant.Change) async throws -> TenantRecord {
        guard case .tenant(let tenant) = try await submit(.changeTenant(.init(name: name, change: change, time: now()))) else {
            throw ContexError(.bug, "a change of a tenant came to an outcome of another kind")
        }
        return tenant
    }

    /// What a tenant has used, on one snapshot.
    /// - Throws: `.tenantNotFound`
    /// - Complexity: O(1)
    public func report(of name: TenantName) async throws -> TenantReport {
        let time = now()
        return try await read { view in
            guard let tenant = try TenantRegistry.tenant(named: name, in: view) else { throw Applier.noTenant(name) }
            return try TenantReport(tenant, at: time, in: view)
        }
    }

    /// By name.
    public func projectNames(of tenant: TenantID) async throws -> [Name] {
        try await read { try ProjectRegistry(tenant: tenant).entries(in: $0).map(\.name) }
    }

    /// The same of several: for measures, on a thread that may read the store.
    func reportsHere(of tenants: [TenantRecord]) throws -> [TenantReport] {
        let time = now()
        return try readHere { view in try tenants.map { try TenantReport($0, at: time, in: view) } }
    }

    /// Erases what is left of removed tenants, a piece after the other, so that others' writes go between. Returns how many records went.
    @discardableResult
    public func eraseRemovedTenants() async throws -> Int {
        var erased = 0
        for number in try await read({ try TenantRegistry.unerased(in: $0) }) {
            while try await read({ try TenantRegistry.gone(number, in: $0) })?.isErased == false {
                let command = Command.EraseTenant(number: number, count: Limits.erasureRecords, time: now())
                if case .removed(let count) = try await submit(.eraseTenant(command)) { erased += count }
            }
        }
        return erased
    }
}

extension TenantReport {
    fileprivate init(_ tenant: TenantRecord, at time: Timestamp, in view: borrowing TransactionView) throws {
        let level = TenantScope(tenant: tenant.number, project: .tenantLevel)
        let usage = try TenantRegistry.usage(of: tenant.number, in: view)
        let current = Month(of: time)
        self.init(
            tenant: tenant, projects: try RecordSums.count(of: .projectName, in: level, view),
            agents: try RecordSums.count(of: .agentDirectory, in: level, view),
            keys: try RecordSums.count(of: .apiKeyByID, in: level, view) + RecordSums.count(of: .serviceAccount, in: level, view),
            endpoints: try RecordSums.count(of: .webhookEndpoint, in: level, view), month: usage.map { max($0.month, current) } ?? current,
            events: usage?.events(at: time) ?? 0, storageBytes: try TenantStorage.bytes(of: tenant.number, in: view) ?? 0, countedAt: usage?.updatedAt)
    }
}
