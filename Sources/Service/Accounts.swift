// Service accounts and their tokens. docs/accounts.md is this for readers.

public import Access
public import Base
public import BearerTokens
internal import Engine
internal import Hashing

/// What somebody who makes an account says of it.
public struct AccountDraft: Sendable {
    public var name: String
    public var description: String?
    public var type: AccountType
    public var role: String
    public var projects: [String]
    public var scopes: [String]

    public init(name: String, description: String?, type: AccountType, role: String, projects: [String], scopes: [String]) {
        self.name = name
        self.description = description
        self.type = type
        self.role = role
        self.projects = projects
        self.scopes = scopes
    }
}

/// An account as it is shown: what the server has seen of it since its start.
public struct ListedAccount: Sendable {
    public let account: ServiceAccount
    public let use: KeyRing.AccountUse
    /// When its keys were used.
    public let keyUses: [KeyID: Timestamp]
}

/// A token at the one moment when it is known.
public struct IssuedToken: Sendable {
    public let text: String
    public let claims: TokenClaims
}

enum AccountIDs {
    static func missing(_ id: String) -> ContexError { AccountRegistry.missing(id) }

    static func parse(_ text: String) throws(ContexError) -> AccountID {
        guard let id = AccountID(text) else { throw missing(text) }
        return id
    }
}

extension Operations {
    /// - Throws: `.invalid`; `.badRequest` for a role that is not there; `.grantExceeded`, `.reachExceeded`
    public func createAccount(_ draft: AccountDraft, by caller: Caller) async throws -> (listed: ListedAccount, key: String) {
        try await perform(.createAccount, project: nil, by: caller) { principal in
            // Who is limited to projects makes accounts of these.
            let projects = draft.projects.isEmpty ? principal.projects.projects : draft.projects
            let account = ServiceAccount(
                id: try .random(), name: draft.name, description: draft.description, type: draft.type, role: draft.role, projects: projects,
                scopes: draft.scopes, createdAt: database.currentTime(), rule: principal.isAnonymous ? .open : .authenticated)
            try account.check()
            try await requireToGive(account, principal)
            let (made, issued) = try await database.createAccount(
                principal.tenant, account, reach: principal.projects, isOpen: principal.isAnonymous)
            return (listed(made), issued.text)
        }
    }

    private func requireToGive(_ account: ServiceAccount, _ principal: Principal) async throws {
        guard principal.projects.covers(ProjectScope(account.projects)) else {
            throw ContexError(.reachExceeded, "allowed_projects has projects that your key does not reach", role: principal.roleName)
        }
        try await requireToGive(account.role, account.projects, permissions: account.scopes, to: "The service account", principal)
    }

    private func listed(_ account: ServiceAccount) -> ListedAccount {
        var uses: [KeyID: Timestamp] = [:]
        for key in account.keys { uses[key.keyID] = database.keyRing.lastUse(of: key.keyID) }
        return ListedAccount(account: account, use: database.keyRing.use(of: account.id), keyUses: uses)
    }

    /// Those that reach no further than the caller, in the order in which they were made.
    public func accounts(type: AccountType?, isActive: Bool?, limit: Int, by caller: Caller) async throws -> [ListedAccount] {
        try await perform(.listAccounts, project: nil, by: caller) { principal in
            let found = try await database.accounts(principal.tenant, reach: principal.projects).filter {
                (type == nil || $0.type == type) && (isActive == nil || $0.isActive == isActive)
            }
            return found.prefix(limit).map(listed)
        }
    }

    /// - Throws: `.accountNotFound`
    public func account(_ id: String, by caller: Caller) async throws -> ListedAccount {
        try await perform(.showAccount, project: nil, by: caller) { principal in
            listed(try await database.account(principal.tenant, AccountIDs.parse(id), reach: principal.projects))
        }
    }

    /// Changes what is given; one that is switched off is refused from the answer on, and its tokens for ever.
    /// - Throws: `.accountNotFound`; as `createAccount`.
    public func changeAccount(_ id: String, _ patch: AccountPatch, by caller: Caller) async throws -> ListedAccount {
        try await perform(.changeAccount, project: nil, by: caller) { principal in
            let id = try AccountIDs.parse(id)
            var next = try await database.account(principal.tenant, id, reach: principal.projects)
            patch.apply(to: &next)
            try next.check()
            try await requireToGive(next, principal)
            return listed(
                try await database.updateAccount(principal.tenant, id, patch, reach: principal.projects, isOpen: principal.isAnonymous))
        }
    }

    /// - Throws: `.accountNotFound`
    public func removeAccount(_ id: String, by caller: Caller) async throws {
        try await perform(.removeAccount, project: nil, by: caller) { principal in
            try await database.removeAccount(
                principal.tenant, AccountIDs.parse(id), reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    /// - Throws: `.accountNotFound`; `.limited`; `.grantExceeded`
    public func createAccountKey(
        _ id: String, description: String?, expiresAt: Timestamp?, by caller: Caller
    ) async throws -> IssuedAccountKey {
        try await perform(.createAccountKey, project: nil, by: caller) { principal in
            let id = try AccountIDs.parse(id)
            // Whoever has a key of it is the account.
            try await requireToGive(database.account(principal.tenant, id, reach: principal.projects), principal)
            return try await database.createAccountKey(
                principal.tenant, id, description: description, expiresAt: expiresAt, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    /// - Throws: `.accountNotFound`, `.keyNotFound`
    public func removeAccountKey(_ id: String, _ keyID: String, by caller: Caller) async throws {
        try await perform(.removeAccountKey, project: nil, by: caller) { principal in
            let id = try AccountIDs.parse(id)
            _ = try await database.account(principal.tenant, id, reach: principal.projects)
            guard let key = KeyID(keyID) else { throw ContexError(.keyNotFound, "Key not found") }
            try await database.removeAccountKey(principal.tenant, id, key, reach: principal.projects, isOpen: principal.isAnonymous)
        }
    }

    // MARK: - Tokens

    /// A token for a key of a service account. Open to everybody: the key in it is the credential, and failures count as failed logins do.
    /// - Throws: `.keyUnknown` for whatever is no valid key of an account; `.limited`
    public func issueToken(key: String, seconds: Int, by caller: Caller) async throws -> IssuedToken {
        var principal: Principal? = nil
        do {
            guard TokenLimits.lifeSeconds.contains(seconds) else {
                throw ContexError.invalid(
                    field: "expires_in", kind: "value_error",
                    message: "Value error, expires_in is \(TokenLimits.lifeSeconds.lowerBound) to \(TokenLimits.lifeSeconds.upperBound) seconds")
            }
            let time = database.currentTime()
            let refusal = ContexError(.keyUnknown, "Invalid or expired service account key")
            let login = database.keyRing.login(key, from: caller.address, at: time)
            guard case .valid(let known) = login, let id = known.accountID, let presented = database.keyRing.accountKey(key),
                let account = database.keyRing.account(id)?.account
            else {
                // An API key or a token in this place is no guess, but no key of an account either.
                let told = refused(login, caller)
                throw told.code == .loginsLimited ? told : refusal
            }
            principal = known
            try await meter.admit(.issueToken, cost: 1, principal: known, project: nil, caller: caller)
            let issued = time.rawValue / 1_000_000
            var end = issued + Int64(seconds)
            // A token lives no longer than its key.
            if let last = account.keys.first(where: { $0.keyID == presented.key })?.expiresAt { end = min(end, last.rawValue / 1_000_000) }
            guard end > issued else { throw refusal }
            var claims = TokenClaims(subject: id.text, issuedAt: issued, expiresAt: end)
            (claims.name, claims.type, claims.role) = (account.name, account.type.name, account.role)
            (claims.projects, claims.scopes) = (account.projects, account.scopes)
            // Whoever verifies tokens himself must be able to tell one tenant's administrator from another's.
            claims.tenant = tenantName(known.tenant)
            claims.tokenID = Base64URL.encode(try SecureRandom.bytes(12))
            (claims.keyID, claims.generation) = (presented.key.text, account.generation)
            let token = IssuedToken(text: try await database.token(of: claims), claims: claims)
            await audit.record(.issueToken, principal: known, project: nil, caller: caller, failure: nil)
            return token
        } catch {
            var failure = ContexError(from: error)
            await audit.record(.issueToken, principal: principal, project: nil, caller: caller, failure: failure)
            measures.refused(.issueToken, principal, failure)
            failure.isRecorded = true
            throw failure
        }
    }

    /// What a token says.
    /// - Throws: `.tokenInvalid`, for another tenant's token too.
    public func validateToken(_ token: String, by caller: Caller) async throws -> TokenClaims {
        try await perform(.validateToken, project: nil, by: caller) { principal in
            let claims = try database.keyRing.validClaims(of: token, at: database.currentTime())
            let home = AccountID(claims.subject).flatMap { database.keyRing.account($0)?.principal.tenant }
            guard principal.isOperator || home == principal.home else { throw ContexError(.tokenInvalid, "Invalid or expired token") }
            return claims
        }
    }

    /// What others verify tokens with; for everybody.
    public func tokenKeys() async throws -> JSONValue { try await database.publicTokenKeys() }

    /// - Throws: `.conflict` when a secret signs, or too many keys are still accepted.
    /// - Returns: the name of the key that signs from now on.
    public func rotateTokenKey(by caller: Caller) async throws -> String {
        try await perform(.rotateTokenKey, project: nil, by: caller) { _ in try await database.rotateTokenKey() }
    }
}
