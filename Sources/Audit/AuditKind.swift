/// What an audit record is of. Its raw value stands in the store: never given twice. The names are the original's.
public enum AuditKind: UInt8, CaseIterable, Sendable {
    case loginSucceeded = 1, loginFailed = 2
    case keyCreated = 3, keyRevoked = 4, keyConfirmed = 5
    case permissionDenied = 6
    case roleAssigned = 7, roleRevoked = 8
    case dataPublished = 9, dataUpdated = 10, dataDeleted = 11, dataExported = 12, dataImported = 13
    case agentRegistered = 14, agentUnregistered = 15, agentUpdated = 16
    case configUpdated = 17
    case rateLimitChanged = 18
    case rateLimited = 19
    case invalidAccess = 20
    /// Records that were lost because more came than could be kept.
    case suspiciousActivity = 21
    case keyChanged = 22, keyRotated = 23
    case accountCreated = 40, accountChanged = 41, accountRemoved = 42, accountKeyCreated = 43, accountKeyRemoved = 44
    case tokenIssued = 45, signingKeyRotated = 46
    case customRoleChanged = 47, customRoleRemoved = 48
    case tenantCreated = 50, tenantUpdated = 51, tenantDeleted = 52, tenantSuspended = 53, tenantReactivated = 54
    case quotaChanged = 55, quotaExceeded = 56
    case projectCreated = 57, projectDeleted = 58

    public var name: String {
        switch self {
        case .loginSucceeded: "auth.login.success"
        case .loginFailed: "auth.login.failure"
        case .keyCreated: "auth.api_key.created"
        case .keyRevoked: "auth.api_key.revoked"
        case .keyConfirmed: "auth.api_key.confirmed"
        case .keyChanged: "auth.api_key.changed"
        case .keyRotated: "auth.api_key.rotated"
        case .accountCreated: "auth.service_account.created"
        case .accountChanged: "auth.service_account.changed"
        case .accountRemoved: "auth.service_account.removed"
        case .accountKeyCreated: "auth.service_account.key_created"
        case .accountKeyRemoved: "auth.service_account.key_removed"
        case .tokenIssued: "auth.token.issued"
        case .signingKeyRotated: "auth.signing_key.rotated"
        case .permissionDenied: "authz.permission.denied"
        case .roleAssigned: "authz.role.assigned"
        case .roleRevoked: "authz.role.revoked"
        case .customRoleChanged: "authz.role.changed"
        case .customRoleRemoved: "authz.role.removed"
        case .dataPublished: "data.published"
        case .dataUpdated: "data.updated"
        case .dataDeleted: "data.deleted"
        case .dataExported: "data.exported"
        case .dataImported: "data.imported"
        case .agentRegistered: "agent.registered"
        case .agentUnregistered: "agent.unregistered"
        case .agentUpdated: "agent.updated"
        case .configUpdated: "config.updated"
        case .rateLimitChanged: "rate_limit.changed"
        case .rateLimited: "security.rate_limited"
        case .invalidAccess: "security.invalid_access"
        case .suspiciousActivity: "security.suspicious_activity"
        case .tenantCreated: "tenant.created"
        case .tenantUpdated: "tenant.updated"
        case .tenantDeleted: "tenant.deleted"
        case .tenantSuspended: "tenant.suspended"
        case .tenantReactivated: "tenant.reactivated"
        case .quotaChanged: "quota.changed"
        case .quotaExceeded: "security.quota_exceeded"
        case .projectCreated: "project.created"
        case .projectDeleted: "project.deleted"
        }
    }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    public var severity: AuditSeverity {
        switch self {
        case .loginFailed, .permissionDenied, .rateLimited, .invalidAccess, .quotaExceeded: .warning
        case .suspiciousActivity: .critical
        default: .info
        }
    }
}

public enum AuditSeverity: String, CaseIterable, Sendable {
    case info, warning, error, critical
}

/// How what a record is of ended. Its raw value stands in the store.
public enum AuditResult: UInt8, CaseIterable, Sendable {
    case success = 1, failure = 2

    public var name: String { self == .success ? "success" : "failure" }
}
