public import Access
internal import Addresses
public import Base
internal import Engine

extension Operations {
    /// - Throws: `.invalid` for terms that no key could be used under.
    public func createKey(name: String, terms: KeyTermsDraft = KeyTermsDraft(), by caller: Caller) async throws -> IssuedKey {
        try await perform(.createKey, project: nil, by: caller) {
            let terms = try terms.terms(over: KeyTerms(), now: database.currentTime())
            let made = Principal(keyID: nil, name: name, role: .unassigned, projects: $0.projects, tenant: $0.tenant)
            try $0.requireToCover(made, what: "A key without a role")
            return try await database.createKey($0.tenant, name: name, reach: $0.projects, isOpen: $0.isAnonymous, terms: terms)
        }
    }

    /// The keys that reach no further than the caller's own.
    public func keys(by caller: Caller) async throws -> [ListedKey] {
        try await perform(.listKeys, project: nil, by: caller) { principal in
            var keys: [ListedKey] = []
            let grants = try await database.keyGrants(principal.tenant)
            for (record, terms) in try await database.keysWithTerms(principal.tenant, reach: principal.projects) {
                keys.append(
                    ListedKey(
                        record: record, terms: terms, lastUsed: database.keyRing.lastUse(of: record.keyID),
                        permissions: grants[record.keyID]?.permissions ?? []))
            }
            return keys
        }
    }

    /// Changes what is given of a key's terms.
    /// - Throws: `.keyNotFound`; `.invalid`; `.lastAdministrator` when nobody would be left whose key does not end.
    public func changeKey(_ keyID: String, _ draft: KeyTermsDraft, by caller: Caller) async throws -> ListedKey {
        try await perform(.changeKey, project: nil, by: caller) { principal in
            let present = try await key(keyID, of: principal)
            try await requireToCover(present.record.keyID, principal)
            let terms = try draft.terms(over: present.terms, now: database.currentTime())
            try await database.setTerms(
                principal.tenant, present.record.keyID, terms, reach: principal.projects, isOpen: principal.isAnonymous)
            return ListedKey(record: present.record, terms: terms, lastUsed: database.keyRing.lastUse(of: present.record.keyID))
        }
    }

    /// Gives a key another text, and leaves the present one valid for a while.
    /// - Throws: `.keyNotFound`; `.invalid` for a while that is too long.
    public func rotateKey(_ keyID: String, overlapSeconds: Int, by caller: Caller) async throws -> (issued: IssuedKey, key: ListedKey) {
        try await perform(.rotateKey, project: nil, by: caller) { principal in
            guard (0...AccessLimits.overlapSecondsMax).contains(overlapSeconds) else {
                throw ContexError.invalid(
                    field: "overlap_seconds", kind: "value_error",
                    message: "Value error, the former text may stay valid for 0 to \(AccessLimits.overlapSecondsMax) seconds")
            }
            let present = try await key(keyID, of: principal)
            // Whoever rotates a key holds its text.
            try await requireToCover(present.record.keyID, principal)
            let issued = try await database.rotateKey(
                principal.tenant, present.record.keyID, overlapSeconds: overlapSeconds, reach: principal.projects, isOpen: principal.isAnonymous)
            return (issued, try await key(keyID, of: principal))
        }
    }

    private func key(_ keyID: String, of principal: Principal) async throws -> ListedKey {
        guard let id = KeyID(keyID),
            let found = try await database.keysWithTerms(principal.tenant, reach: principal.projects).first(where: { $0.record.keyID == id })
        else { throw ContexError(.keyNotFound, "Key not found") }
        return ListedKey(record: found.record, terms: found.terms, lastUsed: database.keyRing.lastUse(of: id))
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
            try await requireToCover(id, principal)
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

    /// - Parameter role: a built-in one, or a custom one of the tenant.
    /// - Throws: `.badRequest` for an unknown role, `.notFound` for an unknown key; `.grantExceeded`
    public func assignRole(keyID: String, role: String, projects: [String], by caller: Caller) async throws -> AssignedRole {
        try await perform(.assignRole, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { throw ContexError(.keyNotFound, "Key not found") }
            try await requireToGive(role, projects, to: "The role '\(role.excerpt())'", principal)
            guard let builtIn = Role(rawValue: role) else {
                try await database.assignCustomRole(
                    principal.tenant, id, role, projects: projects, reach: principal.projects, isOpen: principal.isAnonymous)
                return AssignedRole(keyID: id, role: role, projects: projects)
            }
            let assignment = RoleAssignment(keyID: id, role: builtIn, projects: ProjectScope(projects))
            try await database.assignRole(principal.tenant, assignment, reach: principal.projects, isOpen: principal.isAnonymous)
            return AssignedRole(keyID: id, role: role, projects: projects)
        }
    }

    /// The roles that reach no further than the caller's own.
    public func roles(by caller: Caller) async throws -> [AssignedRole] {
        try await perform(.listRoles, project: nil, by: caller) {
            let grants = try await database.keyGrants($0.tenant)
            return try await database.roles($0.tenant, reach: $0.projects).map { AssignedRole($0, grants[$0.keyID]) }
        }
    }

    /// The role of a key, `readonly` for one that has none, is unknown, or reaches beyond the caller's projects.
    public func role(of keyID: String, by caller: Caller) async throws -> (role: String, projects: [String]) {
        try await perform(.showRole, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { return (Role.unassigned.rawValue, []) }
            let assignment = try await database.role(principal.tenant, of: id, reach: principal.projects)
            let found = AssignedRole(assignment, try await database.keyGrants(principal.tenant)[id])
            return (found.role, found.projects)
        }
    }

    /// - Throws: `.roleNotFound`
    public func removeRole(of keyID: String, by caller: Caller) async throws {
        try await perform(.removeRole, project: nil, by: caller) { principal in
            guard let id = KeyID(keyID) else { throw ContexError(.roleNotFound, "Role not found") }
            let left = Principal(keyID: id, name: "", role: .unassigned, projects: .all, tenant: principal.tenant)
            if principal.projects.isAll { try principal.requireToCover(left, what: "A key without a role") }
            try await database.removeRole(principal.tenant, of: id, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    /// What each role grants.
    public func permissions(by caller: Caller) async throws -> [(role: Role, permissions: [Permission])] {
        try await perform(.listPermissions, project: nil, by: caller) { _ in Role.allCases.map { ($0, $0.permissions) } }
    }
}

/// The role of a key, built-in or custom.
public struct AssignedRole: Sendable, Equatable {
    public let keyID: KeyID
    public let role: String
    public let projects: [String]

    init(keyID: KeyID, role: String, projects: [String]) {
        self.keyID = keyID
        self.role = role
        self.projects = projects
    }

    init(_ assignment: RoleAssignment, _ grants: KeyGrants?) {
        self.init(keyID: assignment.keyID, role: grants?.customRole ?? assignment.role.rawValue, projects: assignment.projects.projects)
    }
}

/// A key as it is listed.
public struct ListedKey: Sendable {
    public let record: KeyRecord
    public let terms: KeyTerms
    /// Since the server's start; nil: not yet.
    public let lastUsed: Timestamp?
    /// What narrows its role.
    public var permissions: [String] = []
}

/// What somebody says of a key's terms; what he does not name stays.
public struct KeyTermsDraft: Sendable {
    /// Outer nil: as it is; inner nil: never.
    public var expiresAt: Timestamp??
    /// nil: as they are. Networks or addresses.
    public var addresses: [String]?
    public var description: String??

    public init() {}

    /// - Throws: `.invalid` naming what no key could be used under.
    func terms(over present: KeyTerms, now: Timestamp) throws(ContexError) -> KeyTerms {
        var terms = present
        if let expiresAt {
            if let end = expiresAt, end <= now {
                throw .invalid(field: "expires_at", kind: "value_error", message: "Value error, expires_at must be in the future")
            }
            terms.expiresAt = expiresAt
        }
        if let addresses {
            guard addresses.count <= AccessLimits.addressesPerKey else {
                throw .invalid(
                    field: "allowed_addresses", kind: "too_long",
                    message: "List should have at most \(AccessLimits.addressesPerKey) items after validation, not \(addresses.count)")
            }
            terms.addresses = []
            for text in addresses {
                do throws(ContexError) {
                    terms.addresses.append(try CIDR(text))
                } catch {
                    throw .invalid(field: "allowed_addresses", kind: "value_error", message: "Value error, \(error.message)")
                }
            }
        }
        if let description { terms.description = description.flatMap { $0.isEmpty ? nil : $0 } }
        return terms
    }
}
