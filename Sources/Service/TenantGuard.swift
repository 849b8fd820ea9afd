// Whose a request is, where there are several tenants. The one place where that is decided, for every door:
//
//   the key's tenant; a key of another tenant than the standard one never acts elsewhere, whatever the request names
//   an administrator of all projects of the standard tenant is the operator: he acts where the request names (X-Tenant-ID, /t/<tenant>/...)
//   without authentication: where the request names, and nowhere without a name
//
// The key is looked at before the tenant: who has no valid key learns nothing of tenants.

internal import Access
public import Base
internal import Engine
internal import Logging
internal import Measures
internal import Rates
internal import Synchronization
internal import Tenants

/// What is remembered of tenants between requests.
final class TenantGuard: Sendable {
    let limiter = RateLimiter()
    private struct Warned: Hashable {
        let tenant: TenantID
        let resource: String
    }
    private let warned = Mutex<[Warned: Int]>([:])

    /// Of a tenant's standings those that are nearly used up, and of these the ones that were not so before.
    func warnings(_ tenant: TenantID, _ standings: [QuotaStanding]) -> (now: [QuotaStanding], fresh: [QuotaStanding]) {
        warned.withLock { warned in
            var (now, fresh): ([QuotaStanding], [QuotaStanding]) = ([], [])
            for standing in standings {
                let place = Warned(tenant: tenant, resource: standing.resource)
                let level = Self.levels.last { standing.percent >= $0 } ?? 0
                if level > 0 { now.append(standing) }
                if level > warned[place] ?? 0 { fresh.append(standing) }
                warned[place] = level > 0 ? level : nil
            }
            return (now, fresh)
        }
    }

    /// Hundredths of a quota from which on its use is told of.
    static let levels = [80, 95]
}

extension Operations {
    /// The principal where it acts.
    func placed(_ principal: Principal, _ caller: Caller, _ place: Action.Place) throws(ContexError) -> Principal {
        let tenants = database.tenants
        // Keys of other tenants that there were before stay theirs when there is one tenant only again.
        guard place == .tenant, tenants.isOn || principal.home != .standard else { return principal }
        guard let named = caller.tenant else {
            if principal.isAnonymous { throw ContexError(.tenantMissing, "Tenant identification required") }
            return try Self.active(tenants[principal.tenant], principal.tenant, principal)
        }
        let found = tenants.tenant(named: named)
        if principal.isOperator {
            guard let found else { throw ContexError(.tenantNotFound, "Tenant '\(named.excerpt())' not found") }
            return try Self.active(found, found.number, principal)
        }
        // The same answer whether or not there is such a tenant.
        guard let found, found.number == principal.tenant else {
            throw ContexError(.tenantForeign, "Your API key is not of tenant '\(named.excerpt())': leave X-Tenant-ID and /t/ out, the key says whose you are")
        }
        return try Self.active(found, found.number, principal)
    }

    private static func active(_ tenant: TenantRecord?, _ number: TenantID, _ principal: Principal) throws(ContexError) -> Principal {
        guard let tenant else { throw ContexError(.tenantNotFound, "The tenant of your API key is not there any more") }
        guard tenant.isActive else { throw ContexError(.tenantInactive, "Tenant '\(tenant.name)' is inactive") }
        return principal.acting(in: number)
    }

    static func operatorOnly(_ action: Action, _ principal: Principal) -> ContexError {
        ContexError(
            .reachExceeded, "This is the operator's: it needs an admin key of the tenant 'default' with all projects",
            requiredPermission: action.permission?.rawValue, role: principal.role.rawValue)
    }

    /// Where the caller acts, for what shows it; the standard tenant for whoever acts nowhere.
    public func tenant(of caller: Caller) -> TenantID { present(caller)?.tenant ?? .standard }

    /// A tenant's id, for those who look at what is its; nil where there are not several.
    public func tenantName(_ tenant: TenantID) -> String? { database.tenants.isOn ? database.tenants[tenant]?.name.text : nil }

    /// Whether edges have something to show of where callers stand.
    public var showsStandings: Bool { limitsRates || database.tenants.isOn }

    /// Whether requests are of one of several tenants.
    public var hasTenants: Bool { database.tenants.isOn }

    /// Counts a request against what its tenant may ask for in a minute, whoever in it asks.
    func admitTenant(_ action: Action?, _ cost: Int, _ principal: Principal, _ caller: Caller) throws(ContexError) {
        guard cost > 0, let tenant = database.tenants.isOn ? database.tenants[principal.tenant] : nil, action == nil || action?.rateClass != nil else { return }
        let limit = min(tenant.quotas.requestsPerMinute, RateAllowances.most)
        let (isAdmitted, standing) = tenancy.limiter.spend(
            cost, of: RateLimiter.Place("tenant \(tenant.number.rawValue)", .other, project: nil), policy: "tenant", limit: limit, now: RateMeter.monotonic())
        guard !isAdmitted else { return }
        caller.rate?.standing = standing
        measures.tenantQuotas.add(1, tenant.name.text, "requests")
        var error = ContexError(
            .rateLimited,
            "Rate limit exceeded. Try again in \(standing.retrySeconds) seconds (tenant '\(tenant.name)': \(limit) requests a minute together).")
        error.standing = standing
        throw error
    }

    /// After a change: tells the caller, and once the log, what of the tenant's quotas is nearly used up.
    func warnOfQuotas(_ principal: Principal, _ caller: Caller) async {
        guard database.tenants.isOn, let tenant = database.tenants[principal.tenant], let report = try? await database.report(of: tenant.name) else { return }
        let (now, fresh) = tenancy.warnings(tenant.number, report.standings)
        caller.rate?.quotas = now
        for standing in fresh {
            logger.warning(
                "a tenant has used \(standing.percent) % of a quota",
                metadata: [
                    "tenant": "\(tenant.name)", "resource": "\(standing.resource)", "used": "\(standing.used)", "limit": "\(standing.limit)",
                    "request": "\(caller.requestID)",
                ])
        }
    }
}
