/// What an endpoint can be told of: the original's catalogue. The order is that of its documents; a code is never given twice.
public enum EventKind: UInt8, CaseIterable, Sendable {
    case dataPublished, dataUpdated, dataDeleted, versionCreated, versionRestored
    case agentRegistered, agentUnregistered, agentSubscribed, agentUnsubscribed
    case contextQueried, contextMatched
    case projectCreated, projectExported, projectImported, projectDeleted
    case keyCreated, keyRevoked, authFailed, rateLimited, permissionDenied
    case serviceAccountCreated, serviceAccountKeyRotated, serviceAccountDeleted
    case tenantCreated, tenantUpdated, tenantSuspended, quotaWarning, quotaExceeded
    case healthChanged, healthDegraded, healthRecovered

    public enum Category: String, CaseIterable, Sendable {
        case data, agent, context, project, security
        case serviceAccount = "service_account"
        case tenant, system
    }

    /// As filters and messages say it.
    public var name: String {
        switch self {
        case .dataPublished: "data.published"
        case .dataUpdated: "data.updated"
        case .dataDeleted: "data.deleted"
        case .versionCreated: "data.version.created"
        case .versionRestored: "data.version.restored"
        case .agentRegistered: "agent.registered"
        case .agentUnregistered: "agent.unregistered"
        case .agentSubscribed: "agent.subscribed"
        case .agentUnsubscribed: "agent.unsubscribed"
        case .contextQueried: "context.queried"
        case .contextMatched: "context.matched"
        case .projectCreated: "project.created"
        case .projectExported: "project.exported"
        case .projectImported: "project.imported"
        case .projectDeleted: "project.deleted"
        case .keyCreated: "security.api_key.created"
        case .keyRevoked: "security.api_key.revoked"
        case .authFailed: "security.auth.failed"
        case .rateLimited: "security.rate_limited"
        case .permissionDenied: "security.permission_denied"
        case .serviceAccountCreated: "service_account.created"
        case .serviceAccountKeyRotated: "service_account.key_rotated"
        case .serviceAccountDeleted: "service_account.deleted"
        case .tenantCreated: "tenant.created"
        case .tenantUpdated: "tenant.updated"
        case .tenantSuspended: "tenant.suspended"
        case .quotaWarning: "tenant.quota.warning"
        case .quotaExceeded: "tenant.quota.exceeded"
        case .healthChanged: "system.health.changed"
        case .healthDegraded: "system.health.degraded"
        case .healthRecovered: "system.health.recovered"
        }
    }

    public var category: Category { Category(rawValue: String(name.prefix { $0 != "." }))! }

    public init?(name: String) {
        guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }

    /// Whether this server ever tells of it.
    public var isEmitted: Bool {
        switch self {
        case .dataPublished, .dataUpdated, .dataDeleted, .versionCreated, .versionRestored, .agentRegistered, .agentUnregistered, .contextMatched,
            .projectCreated, .projectImported, .keyCreated, .keyRevoked:
            true
        default: false
        }
    }

    /// Its bit in a set of kinds.
    public var bit: UInt32 { 1 << UInt32(rawValue) }

    /// Every kind.
    public static let all = allCases.reduce(UInt32(0)) { $0 | $1.bit }
}
