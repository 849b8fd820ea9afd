/// What a key may do at all; `ProjectScope` says where.
public enum Role: String, CaseIterable, Sendable {
    case admin, publisher, consumer, readonly

    /// What a key counts as that nobody gave a role.
    public static let unassigned = Role.readonly

    /// - Complexity: O(1); nothing is allocated.
    public func grants(_ permission: Permission) -> Bool { granted.rawValue & permission.bit != 0 }
    /// The matrix's column of this role.
    var granted: PermissionSet {
        switch self {
        case .admin: Self.sets.admin
        case .publisher: Self.sets.publisher
        case .consumer: Self.sets.consumer
        case .readonly: Self.sets.readonly
        }
    }
    private static let sets = (
        admin: set(of: .admin), publisher: set(of: .publisher), consumer: set(of: .consumer), readonly: set(of: .readonly)
    )
    private static func set(of role: Role) -> PermissionSet { PermissionSet(Permission.allCases.filter { $0.roles.contains(role) }) }
    /// In the order of the matrix.
    public var permissions: [Permission] { Permission.allCases.filter(grants) }
}

/// One thing that a request may need to be allowed to do; the raw value is its name on the wire.
public enum Permission: String, CaseIterable, Sendable {
    case publishData = "publish_data"
    case queryData = "query_data"
    case registerAgent = "register_agent"
    case listAgents = "list_agents"
    case deleteAgent = "delete_agent"
    case viewProjectData = "view_project_data"
    case viewProjectEvents = "view_project_events"
    case createAPIKey = "create_api_key"
    case listAPIKeys = "list_api_keys"
    case revokeAPIKey = "revoke_api_key"
    case manageRoles = "manage_roles"
    case viewRateLimits = "view_rate_limits"
    case systemCleanup = "system_cleanup"

    /// The matrix. A new permission does not compile without its row.
    public var roles: Set<Role> {
        switch self {
        case .publishData: [.admin, .publisher]
        case .queryData: [.admin, .consumer, .readonly]
        case .registerAgent: [.admin, .consumer]
        case .listAgents: [.admin, .consumer, .readonly]
        case .deleteAgent: [.admin, .consumer]
        case .viewProjectData, .viewProjectEvents: [.admin, .publisher, .consumer, .readonly]
        case .createAPIKey, .listAPIKeys, .revokeAPIKey: [.admin]
        case .manageRoles, .viewRateLimits, .systemCleanup: [.admin]
        }
    }
}
