public import Access
internal import Base
internal import Engine

extension Operations {
    public func createKey(name: String, by caller: Caller) async throws -> IssuedKey {
        try await perform(.createKey, project: nil, by: caller) {
            try await database.createKey($0.tenant, name: name, reach: $0.projects, isOpen: $0.isAnonymous)
        }
    }

    /// The keys that reach no further than the caller's own.
    public func keys(by caller: Caller) async throws -> [KeyRecord] {
        try await perform(.listKeys, project: nil, by: caller) { try await database.keys($0.tenant, reach: $0.projects) }
    }

    /// Makes a key valid that was made, or given its role, while authentication was off.
    /// - Throws: `.keyNotFound`; `.authenticationOff`: then the confirmation would be anybody's too.
    public func confirmKey(_ keyID: String, by caller: Caller) async throws {
        try await perform(.confirmKey, project: nil, by: caller) { principal in
            guard !principal.isAnonymous else {
                throw ContexError(
                    .authenticationOff,
                    "Authentication is off, so anybody could confirm: switch it on (--auth) and ask with an administrator's key, or stop the server and "
                        + "run 'contex keys confirm \(keyID.prefix(16)) --data-dir FOLDER'")
            }
            guard let id = KeyID(keyID) else { throw ContexError(.keyNotFound, "Key not found") }
            try await database.confirmKey(principal.tenant, id, reach: principal.projects)
        }
    }

    /// - Throws: `.keyNotFound`
    public func revokeKey(_ keyID: String, by caller: Caller) async throws {
        try await perform(.revokeKey, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { throw ContexError(.keyNotFound, "Key not found") }
            try await database.revokeKey(principal.tenant, id, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    /// - Throws: `.badRequest` for an unknown role, `.notFound` for an unknown key.
    public func assignRole(keyID: String, role: String, projects: [String], by caller: Caller) async throws -> RoleAssignment {
        try await perform(.assignRole, project: nil, by: caller) { principal in
            let role = try Role(named: role)
            guard let id = KeyID(keyID) else { throw ContexError(.keyNotFound, "Key not found") }
            let assignment = RoleAssignment(keyID: id, role: role, projects: ProjectScope(projects))
            try await database.assignRole(principal.tenant, assignment, reach: principal.projects, isOpen: principal.isAnonymous)
            return assignment
        }
    }

    /// The roles that reach no further than the caller's own.
    public func roles(by caller: Caller) async throws -> [RoleAssignment] {
        try await perform(.listRoles, project: nil, by: caller) { try await database.roles($0.tenant, reach: $0.projects) }
    }

    /// The role of a key, `readonly` for one that has none, is unknown, or reaches beyond the caller's projects.
    public func role(of keyID: String, by caller: Caller) async throws -> (role: Role, projects: [String]) {
        try await perform(.showRole, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { return (.unassigned, []) }
            let assignment = try await database.role(principal.tenant, of: id, reach: principal.projects)
            return (assignment.role, assignment.projects.projects)
        }
    }

    /// - Throws: `.roleNotFound`
    public func removeRole(of keyID: String, by caller: Caller) async throws {
        try await perform(.removeRole, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { throw ContexError(.roleNotFound, "Role not found") }
            try await database.removeRole(principal.tenant, of: id, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    /// What each role grants.
    public func permissions(by caller: Caller) async throws -> [(role: Role, permissions: [Permission])] {
        try await perform(.listPermissions, project: nil, by: caller) { _ in Role.allCases.map { ($0, $0.permissions) } }
    }
}
