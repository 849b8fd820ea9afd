// API keys and roles: the registry in the store, and the ring in memory that every request is checked against. The ring is
// replaced after the commit and before the answer, so that a revoked key stops when its revocation is acknowledged.

public import Access
public import Base
internal import KeySpace
internal import LMDB

extension Database {
    static func registryScope(_ tenant: TenantID) -> TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }

    /// The key itself is in the answer and nowhere else.
    public func createKey(_ tenant: TenantID, name: String) async throws -> IssuedKey {
        let issued = try IssuedKey(name: name, tenant: tenant, createdAt: now(), pepper: pepper)
        try await changeKeys { try AccessRegistry.create(issued.record, in: &$0, scope: Self.registryScope(tenant)) }
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

    /// - Throws: `.notFound("Key not found")`
    public func revokeKey(_ tenant: TenantID, _ id: KeyID) async throws {
        try await changeKeys { _ = try AccessRegistry.revoke(id, in: &$0, scope: Self.registryScope(tenant)) }
    }

    /// - Throws: `.notFound` for an unknown key.
    public func assignRole(_ tenant: TenantID, _ assignment: RoleAssignment) async throws {
        try await changeKeys { try AccessRegistry.assign(assignment, in: &$0, scope: Self.registryScope(tenant)) }
    }

    public func roles(_ tenant: TenantID) async throws -> [RoleAssignment] {
        try await read { try AccessRegistry.assignments($0, scope: Self.registryScope(tenant)) }
    }

    /// The assignment of a key, also the implicit one of a key that has none or does not exist.
    public func role(_ tenant: TenantID, of id: KeyID) async throws -> RoleAssignment {
        try await read { try AccessRegistry.assignment(of: id, $0, scope: Self.registryScope(tenant)) } ?? .unassigned(id)
    }

    /// - Throws: `.notFound("Role not found")`
    public func removeRole(_ tenant: TenantID, of id: KeyID) async throws {
        try await changeKeys { try AccessRegistry.removeRole(of: id, in: &$0, scope: Self.registryScope(tenant)) }
    }

    private func changeKeys(_ change: @escaping @Sendable (inout WriteTransaction) throws -> Void) async throws {
        let (keyRing, pepper) = (keyRing, pepper)
        try await writer.submit { transaction, effects in
            try change(&transaction)
            let snapshot = try KeyRing.Snapshot(transaction.view, tenants: [.standard], pepper: pepper)
            effects.afterCommit.append { keyRing.replace(with: snapshot) }
        }
    }
}
