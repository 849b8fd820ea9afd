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

/// Who asks: what authentication makes of a key or a token, and authorisation decides by.
///
/// What somebody may do is what the role grants, in the projects, and of that what the permissions leave; what either of the two denies is denied.
public struct Principal: Hashable, Sendable {
    /// Nil for `anonymous`, and for a service account.
    public let keyID: KeyID?
    public let accountID: AccountID?
    public let name: String
    /// Of a custom role `readonly`, which is the least there is; what it grants is in `grants`.
    public let role: Role
    public let projects: ProjectScope
    /// Where it acts.
    public let tenant: TenantID
    public let customRole: String?
    /// The rules of a custom role.
    public let grants: Grants?
    /// The permissions of the key, or the scopes of the account.
    public let limits: Grants?
    /// Whose key it is: another tenant's than `tenant` for the operator only, who has named one.
    public let home: TenantID

    public init(
        keyID: KeyID?, accountID: AccountID? = nil, name: String, role: Role, projects: ProjectScope, tenant: TenantID, home: TenantID? = nil,
        customRole: String? = nil, grants: Grants? = nil, limits: Grants? = nil
    ) {
        self.keyID = keyID
        self.accountID = accountID
        self.name = name
        self.role = role
        self.projects = projects
        self.tenant = tenant
        self.customRole = customRole
        self.grants = grants
        self.limits = limits
        self.home = home ?? tenant
    }

    /// The same, at work in a tenant that it has named.
    public func acting(in tenant: TenantID) -> Principal {
        Principal(
            keyID: keyID, accountID: accountID, name: name, role: role, projects: projects, tenant: tenant, home: home, customRole: customRole,
            grants: grants, limits: limits)
    }

    /// Whoever asks while authentication is off: everything is allowed.
    public static let anonymous = Principal(keyID: nil, name: "anonymous", role: .admin, projects: .all, tenant: .standard)

    /// The public name of the key or the account; nil for `anonymous`.
    public var holderID: String? { keyID?.text ?? accountID?.text }

    /// How the log names whoever this is; nil for `anonymous`.
    public var publisher: Publisher? { holderID.map { Publisher(keyID: $0, name: name) } }

    /// Nobody asked who it is: authentication is off.
    public var isAnonymous: Bool { keyID == nil && accountID == nil }
    /// Whether more than role and projects decides: then what it may see of one project says nothing of another.
    public var hasRules: Bool { customRole != nil || limits != nil }
    public var roleName: String { customRole ?? role.rawValue }
    /// Whom figures of the whole server may be told, and who may change keys of every reach.
    public var isAdministratorOfAll: Bool { role == .admin && projects.isAll && customRole == nil && limits == nil }
    /// Whom figures of the whole server may be told, and who may make tenants and act in them.
    public var isOperator: Bool { isAdministratorOfAll && home == .standard }

    // MARK: - What is allowed

    public enum Decision: Equatable, Sendable {
        case allowed
        /// The role does not grant it.
        case role
        /// The role denies it.
        case deniedByRole
        /// The project is none of the holder's.
        case project
        /// The permissions do not mention it.
        case permissions
        case deniedByPermissions
    }

    /// Denied unless the role grants the permission, the project, where the request names one, is in scope, and the permissions leave it. The scope
    /// binds administrators too.
    /// - Complexity: O(1), as `Grants.decide`; nothing is allocated.
    public func decide(_ question: borrowing AccessQuestion) -> Decision {
        if customRole != nil {
            // A role that cannot be read grants nothing.
            switch grants?.decide(question) ?? .unmentioned {
            case .allowed: break
            case .unmentioned: return .role
            case .denied: return .deniedByRole
            }
        } else if !role.grants(question.permission) {
            return .role
        }
        if let project = question.project, !projects.includes(project) { return .project }
        switch limits?.decide(question) ?? .allowed {
        case .allowed: return .allowed
        case .unmentioned: return .permissions
        case .denied: return .deniedByPermissions
        }
    }

    /// Where nothing is known of who asks from where, and when: what depends on it is refused.
    public func allows(_ permission: Permission, project: String?) -> Bool { decide(AccessQuestion(permission, project: project)) == .allowed }

    /// - Throws: `.forbidden` with the permission that was missing and the role that was there.
    public func require(_ permission: Permission, project: String?) throws(ContexError) { try require(AccessQuestion(permission, project: project)) }

    /// - Throws: as the other.
    public func require(_ question: borrowing AccessQuestion) throws(ContexError) {
        let message: String
        switch decide(question) {
        case .allowed: return
        case .role, .project: message = "Your role '\(roleName)' does not have permission to perform this action"
        case .deniedByRole: message = "Your role '\(roleName)' denies this action here"
        case .permissions: message = "The permissions of your key do not include this action here"
        case .deniedByPermissions: message = "The permissions of your key deny this action here"
        }
        throw ContexError(.forbidden, message, requiredPermission: question.permission.rawValue, role: roleName)
    }

    // MARK: - What may be given

    /// Whether all that another may do, whatever is not known of it, this one may do for sure. Who holds something under a condition only cannot
    /// give it.
    /// - Complexity: O(permissions x projects that either names).
    public func covers(_ other: Principal) -> Bool {
        guard tenant == other.tenant else { return false }
        if isAdministratorOfAll { return true }
        guard projects.covers(other.projects) else { return false }
        // Beside the projects that somebody names, one that nobody can: it stands for all others.
        var names: Set<ExactText> = [ExactText("\0")]
        for holder in [self, other] {
            names.formUnion(holder.projects.projects.map(ExactText.init))
            for grants in [holder.grants, holder.limits] { if let grants { names.formUnion(grants.projects) } }
        }
        return Permission.allCases.allSatisfy { permission in
            func holds(_ project: String?) -> Bool {
                other.decide(AccessQuestion(permission, project: project, isPreliminary: true)) != .allowed
                    || decide(AccessQuestion(permission, project: project)) == .allowed
            }
            return names.allSatisfy { holds($0.text) } && (!permission.isOfTenant || holds(nil))
        }
    }

    /// - Throws: `.grantExceeded`
    public func requireToCover(_ other: Principal, what: String) throws(ContexError) {
        guard covers(other) else {
            throw ContexError(.grantExceeded, "\(what) may do more than your key: nobody can give what he does not hold", role: roleName)
        }
    }
}

extension Principal {
    /// The holder of a role, built-in or custom, with permissions that narrow it. A role that is not there, or cannot be read, grants nothing.
    public init(
        keyID: KeyID? = nil, accountID: AccountID? = nil, name: String, roleName: String, projects: [String], permissions: [String], tenant: TenantID,
        roles: RoleBook
    ) {
        let tenantName = tenant == .standard ? "default" : nil
        var limits: Grants?
        if !permissions.isEmpty {
            // What cannot be read leaves nothing.
            let rules = (try? PermissionRule.list(permissions)) ?? []
            limits = Grants(rules, tenant: tenantName, narrows: !rules.isEmpty)
        }
        let builtIn = Role(rawValue: roleName)
        let grants = builtIn == nil ? Grants((try? roles.rules(of: roleName)) ?? [], tenant: tenantName) : nil
        var reach = ProjectScope(projects)
        // A list of rules that names projects only reaches no further than these.
        for named in [grants?.reach, limits?.reach] {
            if let named { reach = reach.narrowed(to: named) }
        }
        self.init(
            keyID: keyID, accountID: accountID, name: name, role: builtIn ?? .readonly, projects: reach, tenant: tenant,
            customRole: builtIn == nil ? roleName : nil, grants: grants, limits: limits)
    }
}

extension ProjectScope {
    /// What both have; where that is nothing, a project that cannot be: an empty list would mean all.
    fileprivate func narrowed(to names: [String]) -> ProjectScope {
        let both = names.filter(includes)
        return ProjectScope(both.isEmpty ? ["\0"] : both)
    }
}
