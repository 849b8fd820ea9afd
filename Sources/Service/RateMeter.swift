public import Access
public import Base
public import Rates

#if canImport(Glibc)
internal import Glibc
#endif

/// Counts operations against the rate limits: one allowance for each key and class, and of some classes for each project.
///
/// What has no valid key is not counted here: failures to log in have limits of their own (`LoginGuard`), by address.
public final class RateMeter: Meter {
    private let limiter = RateLimiter()
    private let book: RateBook
    /// Monotonic nanoseconds.
    private let now: @Sendable () -> Int64

    public init(book: RateBook, now: @escaping @Sendable () -> Int64 = RateMeter.monotonic) {
        self.book = book
        self.now = now
    }

    public static let monotonic: @Sendable () -> Int64 = {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    public func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws {
        guard cost > 0, let principal, let rateClass = action == nil ? .other : action?.rateClass else { return }
        guard let (isAdmitted, standing) = spend(cost, rateClass, principal, project, caller) else { return }
        caller.rate?.standing = standing
        guard !isAdmitted else { return }
        let least =
            cost > standing.limit && standing.limit > 0
            ? "; a request that counts as \(cost) is admitted when nothing else was asked for in the last \(standing.windowSeconds) seconds" : ""
        var error = ContexError(
            .rateLimited, "Rate limit exceeded. Try again in \(standing.retrySeconds) seconds (\(standing.policy): \(standing.limit) a minute\(least)).")
        error.standing = standing
        throw error
    }

    /// Where a caller stands; nil: without a limit.
    func standing(_ rateClass: RateClass, _ principal: Principal, _ project: Name?, _ caller: Caller) -> RateStanding? {
        spend(0, rateClass, principal, project, caller)?.standing
    }

    private func spend(
        _ cost: Int, _ rateClass: RateClass, _ principal: Principal, _ project: Name?, _ caller: Caller
    ) -> (isAdmitted: Bool, standing: RateStanding)? {
        guard let limit = book.limit(rateClass, of: principal.tenant, key: principal.holderID, project: project?.text) else { return nil }
        // While authentication is off all are one principal: then each address is a caller.
        let holder = principal.holderID ?? "address " + (caller.address ?? "")
        return limiter.spend(
            cost, of: RateLimiter.Place(holder, rateClass, project: project?.text), policy: rateClass.name, limit: limit, now: now())
    }
}

extension Action {
    /// What it counts as; nil: not counted.
    public var rateClass: RateClass? {
        switch self {
        case .publish, .publishBatch, .deleteData, .importData, .restoreVersion: .publish
        case .registerAgent, .registerAgentBatch, .removeAgent: .register
        case .query, .queryBatch, .embed, .rehearse, .tryNeeds: .query
        case .createKey, .listKeys, .revokeKey, .confirmKey, .changeKey, .rotateKey,
            .assignRole, .listRoles, .showRole, .removeRole, .changeSettings, .createEndpoint,
            .listEndpoints, .showEndpoint, .changeEndpoint, .removeEndpoint, .testEndpoint, .replayDeliveries, .setRateLimits, .readAudit,
            .showLogLevel, .changeLogLevel, .checkProject, .showRetention, .setRetention, .cleanUp, .eraseData, .eraseProject,
            .createAccount, .listAccounts, .showAccount, .changeAccount, .removeAccount, .createAccountKey, .removeAccountKey, .rotateTokenKey,
            .listCustomRoles, .putCustomRole, .removeCustomRole, .setPermissions,
            .createTenant, .listTenants, .showTenant, .changeTenant, .removeTenant, .resetTenantUsage, .listTenantProjects, .addTenantProject,
            .removeTenantProject:
            .administration
        case .listData, .showData, .exportData, .listAgents, .showAgent, .subscribe, .readInbox, .acknowledgeInbox, .readEvents, .followEvents,
            .readVersions, .openSocket, .listProjects, .showSettings, .listPermissions, .readDeliveries, .listEventKinds,
            .issueToken, .validateToken, .explainPermission, .judgeDelivery:
            .other
        // Whoever watches the server, or his own limits, must not be kept from it by watching.
        case .showHealth, .showMetrics, .showRateLimits: nil
        // Public, and the same for everybody.
        case .showTokenKeys: nil
        // What a message of MCP asks for is counted by itself.
        case .useMCP: nil
        }
    }
}
