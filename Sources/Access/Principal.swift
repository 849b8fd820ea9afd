public import Base

/// The projects that a key may name: a list, or all of them.
public struct ProjectScope: Hashable, Sendable {
    /// As they were given; empty means all projects.
    public let projects: [String]
    private let members: Set<ExactText>

    public static let all = ProjectScope([])

    public init(_ projects: [String]) {
        self.projects = projects
        members = Set(projects.map(ExactText.init))
    }

    public var isAll: Bool { projects.isEmpty }
    /// - Complexity: O(1).
    public func includes(_ project: String) -> Bool { isAll || members.contains(ExactText(project)) }
    /// Whether every project of the other scope is one of this one's.
    /// - Complexity: O(projects of the other).
    public func covers(_ other: ProjectScope) -> Bool { isAll || (!other.isAll && other.projects.allSatisfy(includes)) }
}

/// Who asks: what authentication makes of a key, and authorisation decides by.
public struct Principal: Hashable, Sendable {
    /// Nil for `anonymous` only.
    public let keyID: KeyID?
    public let name: String
    public let role: Role
    public let projects: ProjectScope
    /// Where it acts.
    public let tenant: TenantID
    /// Whose key it is: another tenant's than `tenant` for the operator only, who has named one.
    public let home: TenantID

    public init(keyID: KeyID?, name: String, role: Role, projects: ProjectScope, tenant: TenantID, home: TenantID? = nil) {
        self.keyID = keyID
        self.name = name
        self.role = role
        self.projects = projects
        self.tenant = tenant
        self.home = home ?? tenant
    }

    /// The same, at work in a tenant that it has named.
    public func acting(in tenant: TenantID) -> Principal {
        Principal(keyID: keyID, name: name, role: role, projects: projects, tenant: tenant, home: home)
    }

    /// Whoever asks while authentication is off: everything is allowed.
    public static let anonymous = Principal(keyID: nil, name: "anonymous", role: .admin, projects: .all, tenant: .standard)

    /// How the log names whoever this is; nil for `anonymous`.
    public var publisher: Publisher? { keyID.map { Publisher(keyID: $0.text, name: name) } }

    /// Nobody asked who it is: authentication is off.
    public var isAnonymous: Bool { keyID == nil }
    /// Who may change keys of every reach.
    public var isAdministratorOfAll: Bool { role == .admin && projects.isAll }
    /// Whom figures of the whole server may be told, and who may make tenants and act in them.
    public var isOperator: Bool { isAdministratorOfAll && home == .standard }

    /// Denied unless the role grants the permission and the project, where the request names one, is in scope. The scope
    /// binds administrators too.
    public func allows(_ permission: Permission, project: String?) -> Bool {
        guard role.grants(permission) else { return false }
        guard let project else { return true }
        return projects.includes(project)
    }

    /// - Throws: `.forbidden` with the permission that was missing and the role that was there.
    public func require(_ permission: Permission, project: String?) throws(ContexError) {
        guard allows(permission, project: project) else {
            throw ContexError(
                .forbidden, "Your role '\(role.rawValue)' does not have permission to perform this action",
                requiredPermission: permission.rawValue, role: role.rawValue)
        }
    }
}
