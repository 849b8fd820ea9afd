// Custom roles, permissions of keys, and why a call would be allowed or refused. Nobody gives more than he holds: what somebody is to have is held
// against the giver before anything is written.

public import Access
public import Base
internal import Engine

extension Operations {
    // MARK: - Nobody gives more than he holds

    /// - Throws: `.grantExceeded` when the key may do more than the principal.
    func requireToCover(_ id: KeyID, _ principal: Principal) async throws {
        guard !principal.isAdministratorOfAll, let present = try await database.holder(principal.tenant, of: id),
            principal.projects.covers(present.projects)
        else { return }
        try principal.requireToCover(present, what: "The key")
    }

    /// - Parameter what: is to have it.
    /// - Throws: `.badRequest` for a role that is not there; `.grantExceeded`. What reaches beyond the projects is the engine's to refuse.
    func requireToGive(
        _ role: String, _ projects: [String], permissions: [String] = [], to what: String, _ principal: Principal
    ) async throws {
        let roles = try await roleBook(of: principal)
        try check(role, in: roles)
        let held = Principal(name: "", roleName: role, projects: projects, permissions: permissions, tenant: principal.tenant, roles: roles)
        guard principal.projects.covers(ProjectScope(projects)) else { return }
        try principal.requireToCover(held, what: what)
    }

    func roleBook(of principal: Principal) async throws -> RoleBook { try await database.roleBook(principal.tenant) }

    /// - Throws: `.badRequest`
    func check(_ role: String, in roles: RoleBook) throws(ContexError) {
        guard Role(rawValue: role) == nil, roles.roles[role] == nil else { return }
        let names = (Role.allCases.map(\.rawValue) + roles.roles.keys.sorted()).prefix(20).map { "'\($0)'" }.joined(separator: ", ")
        throw .badRequest("Invalid role. Must be one of: [\(names)]")
    }

    // MARK: - Custom roles

    /// Those of the tenant by name.
    public func customRoles(by caller: Caller) async throws -> [CustomRole] {
        try await perform(.listCustomRoles, project: nil, by: caller) { try await database.customRoles($0.tenant) }
    }

    /// - Throws: `.roleNotFound`
    public func customRole(_ name: String, by caller: Caller) async throws -> (role: CustomRole, rules: [PermissionRule]) {
        try await perform(.listCustomRoles, project: nil, by: caller) { principal in
            let roles = try await roleBook(of: principal)
            guard let role = roles.roles[name] else { throw Self.noRole(name) }
            return (role, try roles.rules(of: name))
        }
    }

    private static func noRole(_ name: String) -> ContexError { ContexError(.roleNotFound, "There is no role '\(name.excerpt())'") }

    /// Makes a role, or puts another in its place.
    /// - Parameter isNew: it must not be there yet; false: it must be.
    /// - Throws: `.invalid` for permissions that are none, a circle, and what else `RoleBook.put` refuses; `.conflict` for one that is there;
    ///   `.roleNotFound`; `.grantExceeded` when the role, or one that inherits from it, would grant more than the caller holds.
    public func putRole(
        _ name: String, description: String?, inherits: [String], permissions: [String], isNew: Bool, by caller: Caller
    ) async throws -> CustomRole {
        try await perform(.putCustomRole, project: nil, by: caller) { principal in
            let roles = try await roleBook(of: principal)
            if isNew, roles.roles[name] != nil { throw ContexError(.conflict, "The role '\(name.excerpt())' is there already: PATCH changes it") }
            if !isNew, roles.roles[name] == nil { throw Self.noRole(name) }
            let role = try CustomRole(
                name: name, description: description, inherits: inherits, permissions: permissions, updatedAt: database.currentTime())
            let next = roles.with(role, named: name)
            for affected in [name] + next.heirs(of: name) {
                _ = try next.texts(of: affected)
                let held = Principal(name: "", roleName: affected, projects: [], permissions: [], tenant: principal.tenant, roles: next)
                try principal.requireToCover(held, what: "The role '\(affected)'")
            }
            try await database.putRole(principal.tenant, role)
            return role
        }
    }

    /// Changes what is given of a role.
    /// - Throws: as `putRole`.
    public func changeRole(
        _ name: String, description: String??, inherits: [String]?, permissions: [String]?, by caller: Caller
    ) async throws -> CustomRole {
        let present = try await customRole(name, by: caller).role
        return try await putRole(
            name, description: description ?? present.description, inherits: inherits ?? present.inherits,
            permissions: permissions ?? present.permissions, isNew: false, by: caller)
    }

    /// - Throws: `.roleNotFound`; `.roleInUse`
    public func removeCustomRole(_ name: String, by caller: Caller) async throws {
        try await perform(.removeCustomRole, project: nil, by: caller) { try await database.removeCustomRole($0.tenant, name) }
    }

    // MARK: - Permissions of a key

    /// Puts the permissions of a key in the place of those it had.
    /// - Throws: `.keyNotFound`; `.invalid`; `.grantExceeded`; `.lastAdministrator`
    public func setPermissions(_ keyID: String, _ permissions: [String], by caller: Caller) async throws {
        try await perform(.setPermissions, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID), let present = try await database.holder(principal.tenant, of: id) else {
                throw ContexError(.keyNotFound, "Key not found")
            }
            let assigned = try await database.role(principal.tenant, of: id)
            _ = try PermissionRule.list(permissions)
            try await requireToGive(
                present.roleName, assigned.projects.projects, permissions: permissions, to: "With these permissions the key", principal)
            try await database.setPermissions(principal.tenant, id, permissions, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    // MARK: - Why

    /// - Throws: `.forbidden` about somebody else without `manage_roles`; `.keyNotFound`, `.accountNotFound`; `.invalid`
    public func explain(_ question: PermissionQuestion, by caller: Caller) async throws -> PermissionExplanation {
        try await perform(.explainPermission, project: nil, by: caller) { principal in
            let holder = try await holder(question.holder, principal, caller)
            let permission = try question.permission()
            let asked = AccessQuestion(
                permission, project: question.project?.text, dataKey: question.dataKey?.text, address: question.address ?? caller.address,
                time: question.time ?? database.currentTime())
            return PermissionExplanation(
                holder: holder, permission: permission, question: asked, decision: holder.decide(asked),
                roleRules: holder.grants?.matching(asked) ?? [], permissionRules: holder.limits?.matching(asked) ?? [])
        }
    }

    private func holder(_ id: String?, _ principal: Principal, _ caller: Caller) async throws -> Principal {
        guard let id, id != principal.holderID else { return principal }
        try authorise(principal, .listRoles, project: nil, from: caller)
        let missing = ContexError(.keyNotFound, "Key not found")
        let found: Principal
        if let account = AccountID(id) {
            guard let known = database.keyRing.account(account) else { throw AccountIDs.missing(id) }
            found = known.principal
        } else {
            guard let key = KeyID(id), let known = try await database.holder(principal.tenant, of: key) else { throw missing }
            found = known
        }
        guard found.tenant == principal.tenant, principal.projects.covers(found.projects) else { throw missing }
        return found
    }
}

/// What is asked about, as it was given.
public struct PermissionQuestion: Sendable {
    /// `publish_data`, or as in the grammar `data:publish`.
    public var name: String
    public var project: Name?
    public var dataKey: Name?
    /// Of a key or a service account; nil: the caller.
    public var holder: String?
    public var address: String?
    public var time: Timestamp?

    public init(_ name: String) { self.name = name }

    func permission() throws(ContexError) -> Permission {
        let found = Permission.allCases.first { permission in
            let (resource, action) = permission.resourceAndAction
            return permission.rawValue == name || "\(resource):\(action)" == name
        }
        guard let found else {
            let names = Permission.allCases.map(\.rawValue).joined(separator: ", ")
            throw .invalid(field: "permission", kind: "value_error", message: "Value error, '\(name.excerpt())' is none of \(names)")
        }
        return found
    }
}

public struct PermissionExplanation: Sendable {
    public let holder: Principal
    public let permission: Permission
    public let question: AccessQuestion
    public let decision: Principal.Decision
    /// Of a custom role, and of what narrows it: those that speak of it, and whether their conditions hold.
    public let roleRules: [(rule: PermissionRule, holds: Bool?)]
    public let permissionRules: [(rule: PermissionRule, holds: Bool?)]
}
