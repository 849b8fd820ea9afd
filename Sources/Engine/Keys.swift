// API keys and roles: the registry in the store, and the ring in memory that every request is checked against. The ring is
// replaced after the commit and before the answer, so that a revoked key stops when its revocation is acknowledged.

public import Access
public import Base
package import KeySpace
internal import LMDB

extension Database {
    package static func registryScope(_ tenant: TenantID) -> TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }

    /// The key itself is in the answer and nowhere else.
    /// - Parameters:
    ///   - reach: the projects of whoever creates it. A key without a role reads every project, so one that is created
    ///     by an administrator of some projects is `readonly` on these from the start.
    ///   - isOpen: authentication is off, and anybody may have asked: the key waits for `confirmKey`.
    ///   - terms: until when and from where it is valid.
    public func createKey(
        _ tenant: TenantID, name: String, reach: ProjectScope = .all, isOpen: Bool = false, terms: KeyTerms = KeyTerms()
    ) async throws -> IssuedKey {
        let issued = try IssuedKey(name: name, tenant: tenant, createdAt: now(), pepper: pepper, rule: isOpen ? .open : .authenticated)
        let role = reach.isAll ? nil : RoleAssignment(keyID: issued.record.keyID, role: .unassigned, projects: reach)
        try await changeKeys(tenant, .create(issued.record, role, terms), isOpen: isOpen)
        return issued
    }

    /// Puts the terms of a key in the place of those it had.
    /// - Throws: `.keyNotFound`, `.lastAdministrator` as `assignRole`
    public func setTerms(_ tenant: TenantID, _ id: KeyID, _ terms: KeyTerms, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        try await changeKeys(tenant, .setTerms(id, terms), reach: reach, isOpen: isOpen)
    }

    /// Gives a key another text. It is in the answer and nowhere else; id, role and terms stay.
    /// - Parameter overlapSeconds: for how long the text before is valid still; 0: no longer.
    /// - Throws: `.keyNotFound`
    public func rotateKey(
        _ tenant: TenantID, _ id: KeyID, overlapSeconds: Int, reach: ProjectScope = .all, isOpen: Bool = false
    ) async throws -> IssuedKey {
        let time = now()
        let issued = try IssuedKey(name: "rotated", tenant: tenant, createdAt: time, pepper: pepper)
        let until = overlapSeconds > 0 ? Timestamp(rawValue: time.rawValue + Int64(overlapSeconds) * 1_000_000) : nil
        try await changeKeys(tenant, .rotate(id, issued.record, formerUntil: until), reach: reach, isOpen: isOpen)
        return issued
    }

    /// Makes the first admin key of a store that has none; nil when there are keys already.
    /// - Parameter given: the operator's own key, nil to have one made.
    public func bootstrapKey(_ tenant: TenantID, name: String, given: String?) async throws -> IssuedKey? {
        guard try await keys(tenant).isEmpty else { return nil }
        let issued =
            if let given {
                try IssuedKey(operatorKey: given, name: name, tenant: tenant, createdAt: now(), pepper: pepper)
            } else {
                try IssuedKey(name: name, tenant: tenant, createdAt: now(), pepper: pepper)
            }
        let role = RoleAssignment(keyID: issued.record.keyID, role: .admin, projects: .all)
        try await changeKeys(tenant, .create(issued.record, role, KeyTerms()), isOpen: false)
        return issued
    }

    /// The keys in the order of creation.
    /// - Parameter reach: the projects of whoever asks: what reaches beyond them is not there for him.
    public func keys(_ tenant: TenantID, reach: ProjectScope = .all) async throws -> [KeyRecord] {
        try await keysWithTerms(tenant, reach: reach).map(\.record)
    }

    public func keysWithTerms(_ tenant: TenantID, reach: ProjectScope = .all) async throws -> [(record: KeyRecord, terms: KeyTerms)] {
        try await read { view in
            try AccessRegistry.principals(view, scope: Self.registryScope(tenant)).filter { reach.covers($0.principal.projects) }
                .map { ($0.key, $0.terms) }
        }
    }

    /// The keys that were made, or given what they may do, while authentication was off, and that nobody has confirmed.
    public func unconfirmedKeys(_ tenant: TenantID) async throws -> [HeldKey] {
        try await read { try HeldKey.all(tenant, in: $0).filter { !$0.record.rule.isValid } }
    }

    /// Makes a key valid that was made, or given its role, while authentication was off.
    /// - Throws: `.keyNotFound`, also for a key that reaches beyond `reach`.
    public func confirmKey(_ tenant: TenantID, _ id: KeyID, reach: ProjectScope = .all) async throws {
        try await changeKeys(tenant, .confirm(id), reach: reach, isOpen: false)
    }

    /// - Parameter reach: the projects of whoever asks; a key that reaches beyond them is not there for him.
    /// - Throws: `.keyNotFound`
    public func revokeKey(_ tenant: TenantID, _ id: KeyID, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        try await changeKeys(tenant, .revoke(id), reach: reach, isOpen: isOpen)
    }

    /// - Parameters:
    ///   - reach: as in `revokeKey`; the new scope must lie within it as well.
    ///   - isOpen: as in `createKey`.
    /// - Throws: `.forbidden` for a scope beyond the reach, `.notFound` for an unknown key, and for one beyond it.
    public func assignRole(_ tenant: TenantID, _ assignment: RoleAssignment, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        guard reach.covers(assignment.projects) else { throw Self.beyond(reach, .manageRoles) }
        try await changeKeys(tenant, .assign(assignment), reach: reach, isOpen: isOpen)
    }

    private static func beyond(_ reach: ProjectScope, _ permission: Permission) -> ContexError {
        ContexError(
            .reachExceeded, "Your key is limited to \(reach.projects.count) project(s); keys and roles that reach beyond them are out of its reach",
            requiredPermission: permission.rawValue, role: Role.admin.rawValue)
    }

    /// - Parameter reach: as in `keys`.
    public func roles(_ tenant: TenantID, reach: ProjectScope = .all) async throws -> [RoleAssignment] {
        try await read { try AccessRegistry.assignments($0, scope: Self.registryScope(tenant)) }.filter { reach.covers($0.projects) }
    }

    /// The assignment of a key, also the implicit one of a key that has none or does not exist; one beyond the reach does not.
    public func role(_ tenant: TenantID, of id: KeyID, reach: ProjectScope = .all) async throws -> RoleAssignment {
        let given = try await read { try AccessRegistry.assignment(of: id, $0, scope: Self.registryScope(tenant)) }
        guard let given, reach.covers(given.projects) else { return .unassigned(id) }
        return given
    }

    /// What is left is `readonly` on every project, so only a reach of all projects may remove a role.
    /// - Throws: `.roleNotFound`, `.reachExceeded`
    public func removeRole(_ tenant: TenantID, of id: KeyID, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        guard reach.isAll else { throw Self.beyond(reach, .manageRoles) }
        try await changeKeys(tenant, .removeRole(id), isOpen: isOpen)
    }

    /// - Parameter isOpen: authentication is off: an administrator whom somebody has yet to confirm counts as one.
    /// - Throws: also `.conflict` when the change would leave nobody who can change keys and roles again.
    private func changeKeys(_ tenant: TenantID, _ change: Command.ChangeKeys.Change, reach: ProjectScope = .all, isOpen: Bool) async throws {
        _ = try await submit(.changeKeys(.init(tenant: tenant, change: change, reach: reach, asker: isOpen ? .anybody : .administrator, time: now())))
    }
}
