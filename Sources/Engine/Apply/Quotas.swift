// What a tenant has left, held against what a command would take, in the transaction of the command: exact, whatever else is under way.
//
// Nothing is walked over: how many projects, agents and keys there are is in the sums of records, how many bytes in the tenant's own record, how many
// events this month in another. While there is one tenant only, none of it is looked at. Reads are never refused, nor is what makes room.

internal import Base
internal import KeySpace
internal import LMDB
internal import Tenants

/// What a command takes of a tenant's quotas.
struct QuotaDemand {
    var events = 0
    /// Of what is brought; what the indexes make of it is counted when it is there.
    var bytes = 0
    var projects = 0
    var keys = 0
    /// One more agent in this project; nil of it: in one that is not there yet.
    var agent: TenantScope??
    var webhook = false
}

extension Applier {
    /// - Throws: `.quotaExceeded`
    /// - Complexity: O(1)
    func admit(_ demand: QuotaDemand, of tenant: TenantID, at time: Timestamp, in transaction: borrowing WriteTransaction) throws {
        guard let state = try TenantRegistry.state(in: transaction.view), state.isOn, let record = try TenantRegistry.tenant(tenant, in: transaction.view)
        else { return }
        let (quotas, level) = (record.quotas, TenantScope(tenant: tenant, project: .tenantLevel))
        func hold(_ resource: Resource, _ used: Int, _ more: Int, _ limit: Int, resetAt: Timestamp? = nil) throws(ContexError) {
            guard more > 0, used + more > limit else { return }
            throw .exceeded(QuotaStanding(resource: resource.rawValue, used: used, limit: limit, resetAt: resetAt), wanted: used + more)
        }
        if demand.projects > 0 {
            try hold(.projects, RecordSums.count(of: .projectName, in: level, during: transaction), demand.projects, quotas.projects)
        }
        if demand.keys > 0 {
            // A service account is somebody who comes, as a key is.
            let used = try RecordSums.count(of: .apiKeyByID, in: level, during: transaction)
                + RecordSums.count(of: .serviceAccount, in: level, during: transaction)
            try hold(.keys, used, demand.keys, quotas.keys)
        }
        if let project = demand.agent {
            let used = try project.map { try RecordSums.count(of: .agent, in: $0, during: transaction) } ?? 0
            try hold(.agents, used, 1, quotas.agentsPerProject)
        }
        if demand.webhook, !quotas.webhooks {
            let used = try RecordSums.count(of: .webhookEndpoint, in: level, during: transaction)
            throw ContexError.exceeded(QuotaStanding(resource: Resource.webhooks.rawValue, used: used, limit: 0), wanted: used + 1)
        }
        if demand.events > 0 {
            let used = try TenantRegistry.usage(of: tenant, in: transaction.view)?.events(at: time) ?? 0
            try hold(.events, used, demand.events, quotas.eventsPerMonth, resetAt: Month(of: time).next.begin)
        }
        if demand.bytes > 0 { try hold(.storage, TenantStorage.bytes(of: tenant, in: transaction) ?? 0, demand.bytes, quotas.storageBytes) }
    }

    /// Counts events of the month.
    func count(events: Int, of tenant: TenantID, at time: Timestamp, in transaction: inout WriteTransaction) throws {
        guard events > 0, try TenantRegistry.state(in: transaction.view) != nil else { return }
        var usage = try TenantRegistry.usage(of: tenant, in: transaction.view) ?? TenantUsage(month: Month(of: time), events: 0, updatedAt: time)
        usage.add(events, at: time)
        try TenantRegistry.set(usage, of: tenant, in: &transaction)
    }

    /// Nothing of a tenant that was removed comes back with a command that comes late.
    func refuseGone(_ tenant: TenantID, in view: borrowing TransactionView) throws {
        guard tenant > .standard, try TenantRegistry.gone(tenant, in: view) != nil else { return }
        throw ContexError(.tenantNotFound, "The tenant was removed")
    }
}

extension ContexError {
    /// In the original's words; storage in its own unit.
    static func exceeded(_ standing: QuotaStanding, wanted: Int) -> ContexError {
        let isStorage = standing.resource == Resource.storage.rawValue
        func shown(_ count: Int) -> Int { isStorage ? (count + Quotas.megabyte - 1) / Quotas.megabyte : count }
        let unit = isStorage ? " MB" : ""
        var error = ContexError(.quotaExceeded, "Quota exceeded: \(standing.resource) (\(shown(wanted))/\(shown(standing.limit))\(unit))")
        error.quota = standing
        return error
    }
}
