// Service accounts, tokens, and the roles that administrators make: what is asked of the store, beside the keys (`Keys.swift`).

public import Access
public import Base
public import BearerTokens
internal import KeySpace
internal import LMDB

extension Database {
    /// The account's first key; its text is in the answer and nowhere else.
    /// - Throws: `.invalid`, `.limited`, `.roleNotFound`
    public func createAccount(
        _ tenant: TenantID, _ account: ServiceAccount, reach: ProjectScope = .all, isOpen: Bool = false
    ) async throws -> (account: ServiceAccount, issued: IssuedAccountKey) {
        let issued = try IssuedAccountKey(pepper: pepper, createdAt: account.createdAt, expiresAt: nil, description: "Initial key")
        var account = account
        account.keys = [issued.key]
        try account.check()
        try await changeAccounts(tenant, .create(account), reach: reach, isOpen: isOpen)
        return (try await self.account(tenant, account.id), issued)
    }

    /// - Throws: `.accountNotFound`; as `createAccount`.
    public func updateAccount(
        _ tenant: TenantID, _ id: AccountID, _ patch: AccountPatch, reach: ProjectScope = .all, isOpen: Bool = false
    ) async throws -> ServiceAccount {
        try await changeAccounts(tenant, .update(id, patch), reach: reach, isOpen: isOpen)
        return try await account(tenant, id)
    }

    /// - Throws: `.accountNotFound`
    public func removeAccount(_ tenant: TenantID, _ id: AccountID, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        try await changeAccounts(tenant, .remove(id), reach: reach, isOpen: isOpen)
    }

    /// - Throws: `.accountNotFound`; `.limited` for one key too many.
    public func createAccountKey(
        _ tenant: TenantID, _ id: AccountID, description: String?, expiresAt: Timestamp?, reach: ProjectScope = .all, isOpen: Bool = false
    ) async throws -> IssuedAccountKey {
        let issued = try IssuedAccountKey(pepper: pepper, createdAt: now(), expiresAt: expiresAt, description: description)
        try await changeAccounts(tenant, .addKey(id, issued.key), reach: reach, isOpen: isOpen)
        return issued
    }

    /// - Throws: `.accountNotFound`, `.keyNotFound`
    public func removeAccountKey(_ tenant: TenantID, _ id: AccountID, _ key: KeyID, reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        try await changeAccounts(tenant, .removeKey(id, key), reach: reach, isOpen: isOpen)
    }

    private func changeAccounts(_ tenant: TenantID, _ change: Command.ChangeAccounts.Change, reach: ProjectScope, isOpen: Bool) async throws {
        _ = try await submit(
            .changeAccounts(.init(tenant: tenant, change: change, reach: reach, asker: isOpen ? .anybody : .administrator, time: now())))
    }

    /// In the order in which they were made.
    /// - Parameter reach: an account that reaches beyond it is not there.
    public func accounts(_ tenant: TenantID, reach: ProjectScope = .all) async throws -> [ServiceAccount] {
        try await read { try AccountRegistry.all($0, scope: Self.registryScope(tenant)) }.filter { reach.covers(ProjectScope($0.projects)) }
    }

    /// - Throws: `.accountNotFound`
    public func account(_ tenant: TenantID, _ id: AccountID, reach: ProjectScope = .all) async throws -> ServiceAccount {
        guard let found = try await read({ try AccountRegistry.account(id, $0, scope: Self.registryScope(tenant)) }),
            reach.covers(ProjectScope(found.projects))
        else { throw AccountRegistry.missing(id.text) }
        return found
    }

    // MARK: - Tokens

    /// Signs a token; the first of a store that signs with keys of its own makes the first of them.
    public func token(of claims: TokenClaims) async throws -> String {
        let tokens = tokens
        if tokens.needsKey { try await onPool { [time = now()] in try tokens.makeKey(at: time) } }
        return try tokens.token(of: claims)
    }

    /// What others verify tokens with.
    public func publicTokenKeys() async throws -> JSONValue {
        let (tokens, time) = (tokens, now())
        if tokens.needsKey { try await onPool { try tokens.makeKey(at: time) } }
        return tokens.publicKeys(at: time)
    }

    /// - Throws: `.conflict`
    public func rotateTokenKey() async throws -> String {
        let (tokens, time) = (tokens, now())
        return try await onPool { try tokens.rotate(at: time) }
    }

    // MARK: - Roles and permissions

    public func customRoles(_ tenant: TenantID) async throws -> [CustomRole] {
        try await read { try RoleBook.all($0, scope: Self.registryScope(tenant)) }
    }

    public func roleBook(_ tenant: TenantID) async throws -> RoleBook { try await read { try RoleBook($0, scope: Self.registryScope(tenant)) } }

    /// - Throws: what `RoleBook.put` refuses.
    public func putRole(_ tenant: TenantID, _ role: CustomRole) async throws {
        _ = try await submit(.changeRoles(.init(tenant: tenant, change: .put(role), time: now())))
    }

    /// - Throws: `.roleNotFound`, `.roleInUse`
    public func removeCustomRole(_ tenant: TenantID, _ name: String) async throws {
        _ = try await submit(.changeRoles(.init(tenant: tenant, change: .remove(name), time: now())))
    }

    /// Gives a key a custom role.
    /// - Throws: `.keyNotFound`, `.roleNotFound`, `.lastAdministrator`
    public func assignCustomRole(
        _ tenant: TenantID, _ id: KeyID, _ name: String, projects: [String], reach: ProjectScope = .all, isOpen: Bool = false
    ) async throws {
        try await setGrants(tenant, id, .role(name, projects: projects), reach, isOpen)
    }

    /// Puts the permissions of a key in the place of those it had; none: all that its role grants.
    /// - Throws: as `assignCustomRole`; `.invalid`
    public func setPermissions(_ tenant: TenantID, _ id: KeyID, _ permissions: [String], reach: ProjectScope = .all, isOpen: Bool = false) async throws {
        _ = try PermissionRule.list(permissions)
        try await setGrants(tenant, id, .permissions(permissions), reach, isOpen)
    }

    private func setGrants(
        _ tenant: TenantID, _ id: KeyID, _ change: Command.SetGrants.Change, _ reach: ProjectScope, _ isOpen: Bool
    ) async throws {
        _ = try await submit(
            .setGrants(
                .init(tenant: tenant, keyID: id, change: change, reach: reach, asker: isOpen ? .anybody : .administrator, time: now())))
    }

    /// What a key has beside its built-in role and its terms.
    public func keyGrants(_ tenant: TenantID) async throws -> [KeyID: KeyGrants] {
        try await read { try AccessRegistry.grantsByKey($0, scope: Self.registryScope(tenant)) }
    }

    /// What a key may do; nil for one that is not there.
    public func holder(_ tenant: TenantID, of id: KeyID) async throws -> Principal? {
        try await read { try AccessRegistry.principals($0, scope: Self.registryScope(tenant)) }.first { $0.key.keyID == id }?.principal
    }
}
