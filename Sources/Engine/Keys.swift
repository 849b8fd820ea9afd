// API keys and roles: the registry in the store, and the ring in memory that every request is checked against. The ring is
// replaced after the commit and before the answer, so that a revoked key stops when its revocation is acknowledged.

public import Access
public import Base
internal import KeySpace
internal import LMDB

extension Database {
    static func registryScope(_ tenant: TenantID) -> TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }

    /// The key itself is in the answer and nowhere else.
    /// - Parameter reach: the projects of whoever creates it. A key without a role reads every project, so one that is created
    ///   by an administrator of some projects is `readonly` on these from the start.
    public func createKey(_ tenant: TenantID, name: String, reach: ProjectScope = .all) async throws -> IssuedKey {
        let issued = try IssuedKey(name: name, tenant: tenant, createdAt: now(), pepper: pepper)
        try await changeKeys { transaction in
            try AccessRegistry.create(issued.record, in: &transaction, scope: Self.registryScope(tenant))
            if !reach.isAll {
                try AccessRegistry.assign(
                    RoleAssignment(keyID: issued.record.keyID, role: .unassigned, projects: reach), in: &transaction,
                    scope: Self.registryScope(tenant))
            }
        }
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
        try await changeKeys { transaction in
            try AccessRegistry.create(issued.record, in: &transaction, scope: Self.registryScope(tenant))
            try AccessRegistry.assign(
                RoleAssignment(keyID: issued.record.keyID, role: .admin, projects: .all), in: &transaction, scope: Self.registryScope(tenant))
        }
        return issued
    }

    public func keys(_ tenant: TenantID) async throws -> [KeyRecord] {
        try await read { try AccessRegistry.keys($0, scope: Self.registryScope(tenant)) }
    }

    /// - Parameter reach: the projects of whoever asks; nobody ends or changes what reaches beyond his own.
    /// - Throws: `.notFound("Key not found")`, `.forbidden`
    public func revokeKey(_ tenant: TenantID, _ id: KeyID, reach: ProjectScope = .all) async throws {
        try await changeKeys { transaction in
            try Self.require(reach, covers: id, tenant, .revokeAPIKey, transaction.view)
            _ = try AccessRegistry.revoke(id, in: &transaction, scope: Self.registryScope(tenant))
        }
    }

    /// - Parameter reach: as in `revokeKey`; the new scope must lie within it as well.
    /// - Throws: `.notFound` for an unknown key, `.forbidden`
    public func assignRole(_ tenant: TenantID, _ assignment: RoleAssignment, reach: ProjectScope = .all) async throws {
        try await changeKeys { transaction in
            try Self.require(reach, covers: assignment.keyID, tenant, .manageRoles, transaction.view)
            guard reach.covers(assignment.projects) else { throw Self.beyond(reach, .manageRoles) }
            try AccessRegistry.assign(assignment, in: &transaction, scope: Self.registryScope(tenant))
        }
    }

    private static func require(
        _ reach: ProjectScope, covers id: KeyID, _ tenant: TenantID, _ permission: Permission, _ view: borrowing TransactionView
    ) throws {
        guard !reach.isAll else { return }
        let present = try AccessRegistry.assignment(of: id, view, scope: registryScope(tenant)) ?? .unassigned(id)
        guard reach.covers(present.projects) else { throw beyond(reach, permission) }
    }

    private static func beyond(_ reach: ProjectScope, _ permission: Permission) -> ContexError {
        ContexError(
            .forbidden, "Your key is limited to \(reach.projects.count) project(s); keys and roles that reach beyond them are out of its reach",
            requiredPermission: permission.rawValue, role: Role.admin.rawValue)
    }

    public func roles(_ tenant: TenantID) async throws -> [RoleAssignment] {
        try await read { try AccessRegistry.assignments($0, scope: Self.registryScope(tenant)) }
    }

    /// The assignment of a key, also the implicit one of a key that has none or does not exist.
    public func role(_ tenant: TenantID, of id: KeyID) async throws -> RoleAssignment {
        try await read { try AccessRegistry.assignment(of: id, $0, scope: Self.registryScope(tenant)) } ?? .unassigned(id)
    }

    /// What is left is `readonly` on every project, so only a reach of all projects may remove a role.
    /// - Throws: `.notFound("Role not found")`, `.forbidden`
    public func removeRole(_ tenant: TenantID, of id: KeyID, reach: ProjectScope = .all) async throws {
        try await changeKeys { transaction in
            guard reach.isAll else { throw Self.beyond(reach, .manageRoles) }
            try AccessRegistry.removeRole(of: id, in: &transaction, scope: Self.registryScope(tenant))
        }
    }

    /// - Throws: also `.conflict` when the change would leave nobody who can change keys and roles again.
    private func changeKeys(_ change: @escaping @Sendable (inout WriteTransaction) throws -> Void) async throws {
        let (keyRing, pepper) = (keyRing, pepper)
        try await writer.submit { transaction, effects in
            try change(&transaction)
            let snapshot = try KeyRing.Snapshot(transaction.view, tenants: [.standard], pepper: pepper)
            if snapshot.administrators == 0, keyRing.administrators > 0 {
                throw ContexError(
                    .conflict,
                    "That would leave no key with the role admin on all projects, and nobody could issue keys again: give another key that role first")
            }
            effects.afterCommit.append { keyRing.replace(with: snapshot) }
        }
    }
}
