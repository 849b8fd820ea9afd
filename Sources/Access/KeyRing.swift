// Authentication without a transaction: all keys in memory, by their hash.
//
// Whoever commits a change of keys or roles reads what it has left and puts that in place right after the commit, before the change
// is acknowledged. So a revoked key is refused from the acknowledgement on.

public import Base
public import BearerTokens
internal import Hashing
internal import KeySpace
public import LMDB
internal import Synchronization

/// What a commit has changed of who may come and what he may do.
public enum KeyChange: Hashable, Sendable {
    case key(TenantID, KeyID)
    case account(TenantID, AccountID)
    /// A custom role: whoever has it, or one that inherits from it.
    case role(TenantID, String)
    /// Everything of a tenant.
    case tenant(TenantID)

    public var isWhole: Bool { if case .tenant = self { true } else { false } }

    public var tenant: TenantID {
        switch self {
        case .key(let tenant, _), .account(let tenant, _), .role(let tenant, _), .tenant(let tenant): tenant
        }
    }
}

public final class KeyRing: Sendable {
    /// All keys of the store at one commit.
    public struct Snapshot: Sendable {
        struct Entry {
            let hash: SHA256Digest
            let principal: Principal
            let rule: KeyRule
            let terms: KeyTerms
            /// Of a text that a rotation has replaced: until when it is valid still.
            var formerUntil: Timestamp?
            /// Of a key of a service account.
            var accountKey: (account: AccountID, isActive: Bool, generation: UInt32, key: KeyID)?

            func isExpired(at time: Timestamp) -> Bool {
                if let end = terms.expiresAt, time >= end { return true }
                return formerUntil.map { time >= $0 } ?? false
            }
        }
        private struct HeldKey {
            let tenant: TenantID
            /// Of its text, and of the one before.
            let entries: [Entry]
            let principal: Principal
            let terms: KeyTerms
            let isValid: Bool
            /// Of the standard tenant, and may do everything everywhere. One that ends by itself is none to rely on.
            let isAdministrator: Bool
        }
        private struct HeldAccount {
            let tenant: TenantID
            let entries: [Entry]
            let account: ServiceAccount
            let principal: Principal
        }
        /// By the first eight bytes of the hash. The rest is compared in constant time, which a dictionary's own comparison
        /// would not be.
        private var entries: [UInt64: [Entry]] = [:]
        private var keys: [KeyID: HeldKey] = [:]
        private var accounts: [AccountID: HeldAccount] = [:]
        public var count: Int { keys.count }
        /// Valid keys of the standard tenant that may do everything everywhere: without one, nobody could issue keys or give roles.
        public private(set) var administrators = 0
        /// The same with those that nobody has confirmed yet.
        public private(set) var possibleAdministrators = 0

        public static let empty = Snapshot()
        private init() {}

        /// - Throws: `.conflict` when keys were made with another pepper, `.damaged` for records that cannot be read.
        /// - Complexity: O(n log n) in the keys of the tenants, about 3 microseconds a key.
        public init(_ view: borrowing TransactionView, tenants: [TenantID], pepper: Pepper) throws {
            for tenant in tenants { put(try Renewal(.tenant(tenant), view, isThere: true, pepper: pepper)) }
        }

        /// What a commit has left of what it changed, read before anything is put in its place.
        public struct Renewal: Sendable {
            fileprivate let change: KeyChange
            private var keys: [(KeyID, HeldKey)] = []
            private var accounts: [(AccountID, HeldAccount)] = []

            /// - Parameter isThere: whether there is such a tenant still.
            /// - Throws: as the snapshot's initialiser.
            /// - Complexity: O(1) for a key or an account; O(keys with permissions, accounts) for a role, and reading the rules of those that have
            ///   it; for a tenant as the snapshot's initialiser.
            public init(_ change: KeyChange, _ view: borrowing TransactionView, isThere: Bool, pepper: Pepper) throws {
                self.change = change
                guard isThere else { return }
                let scope = TenantScope(tenant: change.tenant, project: .tenantLevel)
                switch change {
                case .tenant:
                    for found in try AccessRegistry.principals(view, scope: scope) { try take(found, pepper) }
                    for found in try AccessRegistry.accounts(view, scope: scope) { try take(found, pepper) }
                case .key(_, let id): if let found = try AccessRegistry.principal(of: id, view, scope: scope) { try take(found, pepper) }
                case .account(_, let id): if let found = try AccessRegistry.account(id, view, scope: scope) { try take(found, pepper) }
                case .role(_, let name):
                    let roles = try RoleBook(view, scope: scope)
                    let changed = Set([name] + roles.heirs(of: name))
                    for (id, grants) in try AccessRegistry.grantsByKey(view, scope: scope) where grants.customRole.map(changed.contains) == true {
                        if let found = try AccessRegistry.principal(of: id, view, scope: scope, roles: roles) { try take(found, pepper) }
                    }
                    for account in try AccountRegistry.all(view, scope: scope) where changed.contains(account.role) {
                        try take((account, account.principal(in: scope.tenant, roles: roles)), pepper)
                    }
                }
            }

            private mutating func take(_ found: AccessRegistry.Holder, _ pepper: Pepper) throws {
                let (key, principal, terms) = found
                guard key.pepper == pepper.id else {
                    throw ContexError(
                        .conflict, "API key \(key.keyID) ('\(key.name)') was made with another pepper file than the one in use: restore that file.")
                }
                var entries = [Entry(hash: key.hash, principal: principal, rule: key.rule, terms: terms)]
                if let former = terms.former {
                    entries.append(Entry(hash: former.hash, principal: principal, rule: key.rule, terms: terms, formerUntil: former.until))
                }
                keys.append(
                    (
                        key.keyID,
                        HeldKey(
                            tenant: change.tenant, entries: entries, principal: principal, terms: terms, isValid: key.rule.isValid,
                            isAdministrator: change.tenant == .standard && principal.isAdministratorOfAll && terms.expiresAt == nil)
                    ))
            }

            private mutating func take(_ found: (account: ServiceAccount, principal: Principal), _ pepper: Pepper) throws {
                let (account, principal) = found
                let entries = try account.keys.map { key in
                    guard key.pepper == pepper.id else {
                        throw ContexError(
                            .conflict,
                            "A key of service account \(account.id) ('\(account.name)') was made with another pepper file than the one in use: "
                                + "restore that file.")
                    }
                    return Entry(
                        hash: key.hash, principal: principal, rule: account.rule, terms: KeyTerms(expiresAt: key.expiresAt),
                        accountKey: (account.id, account.isActive, account.generation, key.keyID))
                }
                accounts.append((account.id, HeldAccount(tenant: change.tenant, entries: entries, account: account, principal: principal)))
            }

            fileprivate func fill(_ snapshot: inout Snapshot) {
                for (id, held) in keys { snapshot.put(held, as: id) }
                for (id, held) in accounts { snapshot.put(held, as: id) }
            }
        }

        /// - Complexity: O(1) for a key or an account; O(all keys) for a tenant.
        mutating func put(_ renewal: Renewal) {
            switch renewal.change {
            case .key(_, let id): removeKey(id)
            case .account(_, let id): removeAccount(id)
            case .role: break
            case .tenant(let tenant):
                for id in keys.filter({ $0.value.tenant == tenant }).keys { removeKey(id) }
                for id in accounts.filter({ $0.value.tenant == tenant }).keys { removeAccount(id) }
            }
            renewal.fill(&self)
        }

        private mutating func put(_ held: HeldKey, as id: KeyID) {
            removeKey(id)
            keys[id] = held
            for entry in held.entries { entries[Self.place(entry.hash), default: []].append(entry) }
            if held.isAdministrator { possibleAdministrators += 1 }
            if held.isAdministrator, held.isValid { administrators += 1 }
        }

        private mutating func put(_ held: HeldAccount, as id: AccountID) {
            removeAccount(id)
            accounts[id] = held
            for entry in held.entries { entries[Self.place(entry.hash), default: []].append(entry) }
        }

        private mutating func removeKey(_ id: KeyID) {
            guard let held = keys.removeValue(forKey: id) else { return }
            for entry in held.entries { remove(entry) }
            if held.isAdministrator { possibleAdministrators -= 1 }
            if held.isAdministrator, held.isValid { administrators -= 1 }
        }

        private mutating func removeAccount(_ id: AccountID) {
            guard let held = accounts.removeValue(forKey: id) else { return }
            for entry in held.entries { remove(entry) }
        }

        private mutating func remove(_ entry: Entry) {
            let place = Self.place(entry.hash)
            entries[place]?.removeAll { $0.hash == entry.hash }
            if entries[place]?.isEmpty == true { entries[place] = nil }
        }

        func find(_ hash: SHA256Digest) -> Entry? {
            entries[Self.place(hash)]?.first { ConstantTime.equal($0.hash, hash) }
        }

        /// Nothing is delivered for a key that is not valid.
        func find(_ id: KeyID, at time: Timestamp) -> Principal? {
            guard let found = keys[id], found.isValid, found.terms.expiresAt.map({ time < $0 }) ?? true else { return nil }
            return found.principal
        }

        func terms(of id: KeyID) -> KeyTerms? { keys[id].flatMap { $0.isValid ? $0.terms : nil } }
        func find(_ id: AccountID) -> (account: ServiceAccount, principal: Principal)? { accounts[id].map { ($0.account, $0.principal) } }

        private static func place(_ hash: SHA256Digest) -> UInt64 { UInt64(firstOf: hash.bytes) }
    }

    private let pepper: Pepper
    /// nil: nobody comes with a token.
    public let tokens: TokenDesk?
    private let snapshot: Mutex<Snapshot>
    private let uses = Mutex<[KeyID: Timestamp]>([:])
    private let accountUses = Mutex<[AccountID: AccountUse]>([:])
    private let observers = Mutex<[@Sendable () -> Void]>([])

    public init(pepper: Pepper, snapshot: Snapshot = .empty, tokens: TokenDesk? = nil) {
        self.pepper = pepper
        self.tokens = tokens
        self.snapshot = Mutex(snapshot)
    }

    /// Puts the keys of a later commit in place.
    public func replace(with next: Snapshot) {
        snapshot.withLock { $0 = next }
        for observer in observers.withLock({ $0 }) { observer() }
    }

    /// Puts what a later commit has changed in place, and leaves the rest.
    public func renew(_ renewals: [Snapshot.Renewal]) {
        snapshot.withLock { snapshot in
            for renewal in renewals { snapshot.put(renewal) }
        }
        for observer in observers.withLock({ $0 }) { observer() }
    }

    /// Calls after every change of keys or roles, on the thread that made it: must not block. For as long as the ring lives.
    public func observe(_ change: @escaping @Sendable () -> Void) { observers.withLock { $0.append(change) } }

    /// Who holds the key, or is the service account, of this id; nil when it was revoked, has expired or was switched off.
    public func principal(of holderID: String, at time: Timestamp) -> Principal? {
        if let id = AccountID(holderID) {
            guard let found = snapshot.withLock({ $0.find(id) }), found.account.isActive, found.account.rule.isValid else { return nil }
            return found.principal
        }
        return KeyID(holderID).flatMap { id in snapshot.withLock { $0.find(id, at: time) } }
    }

    /// `Snapshot.administrators` and `possibleAdministrators` as of now.
    public var administrators: Int { snapshot.withLock { $0.administrators } }
    public var possibleAdministrators: Int { snapshot.withLock { $0.possibleAdministrators } }

    /// True before the first key exists: time to issue one.
    public var isEmpty: Bool { snapshot.withLock { $0.count == 0 } }

    /// When somebody last came with a key, of a service account too, since this ring was made.
    public func lastUse(of id: KeyID) -> Timestamp? { uses.withLock { $0[id] } }

    /// How often a service account has come since this ring was made, with keys and tokens.
    public struct AccountUse: Sendable {
        public var requests = 0
        public var last: Timestamp?

        public init() {}
    }
    public func use(of id: AccountID) -> AccountUse { accountUses.withLock { $0[id] ?? AccountUse() } }

    private func find(_ rawKey: String) -> Snapshot.Entry? {
        guard rawKey.utf8.count <= AccessLimits.rawKeyBytes else { return nil }
        let hash = pepper.hash(rawKey)
        // Under the lock: a copy that somebody holds would be copied whole by the next change.
        return snapshot.withLock { $0.find(hash) }
    }

    /// What a presented key or token is.
    public enum Login: Sendable {
        case valid(Principal)
        case missing
        /// Nobody's, or revoked: a guess.
        case unknown
        case unconfirmed(KeyID)
        /// Its time is over, or that of the text which a rotation has replaced.
        case expired(KeyID)
        /// It is not valid from where it came.
        case elsewhere(KeyID)
        /// A token that proves nothing: a guess.
        case forged
        /// A token whose time is over or has not come, or whose account or key is gone.
        case stale
        /// Of a service account that is switched off.
        case inactive(AccountID)
        /// Of a service account that nobody has confirmed.
        case unconfirmedAccount(AccountID)

        /// Whether it says that somebody tries what he cannot know.
        public var isGuess: Bool {
            switch self {
            case .unknown, .forged: true
            default: false
            }
        }

        /// Why it is refused, in the words of the HTTP API; nil for a valid one.
        public var refusal: ContexError? {
            switch self {
            case .valid: nil
            case .missing: ContexError(.keyMissing, "Missing API Key")
            case .unknown: ContexError(.keyUnknown, "Invalid API Key")
            case .expired(let id): ContexError(.keyExpired, "This API key (\(id)) is no longer valid: its time is over, or it was rotated")
            case .elsewhere(let id):
                ContexError(.addressRefused, "This API key (\(id)) may not be used from your address: an administrator can change its allowed addresses")
            // Only who has the key's text gets here, so this tells nobody else that it exists.
            case .unconfirmed(let id):
                ContexError(
                    .keyUnconfirmed,
                    "This API key was made, or its role changed, while authentication was off, and is not confirmed: an administrator runs "
                        + "'contex keys confirm \(id)'")
            case .forged, .stale: ContexError(.tokenInvalid, "Invalid or expired token")
            case .inactive(let id): ContexError(.accountInactive, "The service account \(id) is switched off")
            case .unconfirmedAccount(let id):
                ContexError(
                    .keyUnconfirmed,
                    "The service account \(id) was made or changed while authentication was off: it is valid when an administrator has changed it once")
            }
        }
    }

    /// - Parameters:
    ///   - credential: an API key, a key of a service account, or a token.
    ///   - address: where the caller comes from; nil inside the process, where only keys for every address are valid.
    ///   - time: by the server's clock.
    ///   - counts: whether it is a request, and not a look at whether an open connection may go on.
    /// - Complexity: O(length of the key); one HMAC; for a token `TokenDesk.claims` too.
    public func login(_ credential: String?, from address: String?, at time: Timestamp, counts: Bool = true) -> Login {
        guard let credential, !credential.isEmpty else { return .missing }
        guard let entry = find(credential) else { return token(credential, at: time, counts: counts) }
        if let own = entry.accountKey {
            if !entry.rule.isValid { return .unconfirmedAccount(own.account) }
            if !own.isActive { return .inactive(own.account) }
            if entry.isExpired(at: time) { return .expired(own.key) }
            if counts { note(own.account, own.key, at: time) }
            return .valid(entry.principal)
        }
        guard let id = entry.principal.keyID else { return .unknown }
        if !entry.rule.isValid { return .unconfirmed(id) }
        if entry.isExpired(at: time) { return .expired(id) }
        guard entry.terms.admits(address) else { return .elsewhere(id) }
        uses.withLock { $0[id] = time }
        return .valid(entry.principal)
    }

    /// Of somebody who has shown by a certificate, and not by its text, that a key is his.
    /// - Complexity: O(1)
    public func login(certified id: KeyID, from address: String?, at time: Timestamp) -> Login {
        let (terms, principal) = snapshot.withLock { ($0.terms(of: id), $0.find(id, at: time)) }
        guard let terms else { return .unknown }
        guard let principal else { return .expired(id) }
        guard terms.admits(address) else { return .elsewhere(id) }
        uses.withLock { $0[id] = time }
        return .valid(principal)
    }

    private func note(_ account: AccountID, _ key: KeyID?, at time: Timestamp) {
        if let key { uses.withLock { $0[key] = time } }
        accountUses.withLock {
            $0[account, default: AccountUse()].requests += 1
            $0[account]?.last = time
        }
    }

    /// The key of a service account that this text is.
    public func accountKey(_ rawKey: String) -> (account: AccountID, key: KeyID)? { find(rawKey)?.accountKey.map { ($0.account, $0.key) } }

    /// A service account as it is, whatever it may do.
    public func account(_ id: AccountID) -> (account: ServiceAccount, principal: Principal)? { snapshot.withLock { $0.find(id) } }

    private func token(_ text: String, at time: Timestamp, counts: Bool) -> Login {
        guard let tokens, text.utf8.count(where: { $0 == UInt8(ascii: ".") }) == 2 else { return .unknown }
        switch claims(of: text, by: tokens, at: time) {
        case .failure(let refusal): return refusal.login
        case .success(let (_, account, principal)):
            if counts { note(account, nil, at: time) }
            return .valid(principal)
        }
    }

    private func claims(of text: String, by tokens: TokenDesk, at time: Timestamp) -> Result<(TokenClaims, AccountID, Principal), Refusal> {
        let claims: TokenClaims
        do throws(TokenFault) {
            claims = try tokens.claims(of: text, at: time)
        } catch {
            return .failure(Refusal(error.isGuess ? .forged : .stale))
        }
        // What it may do, and whether it may come at all, the account says as it is now.
        guard let id = AccountID(claims.subject), let (account, principal) = account(id) else { return .failure(Refusal(.stale)) }
        guard account.rule.isValid else { return .failure(Refusal(.unconfirmedAccount(id))) }
        guard account.isActive else { return .failure(Refusal(.inactive(id))) }
        guard claims.generation ?? account.generation == account.generation else { return .failure(Refusal(.stale)) }
        if let name = claims.keyID {
            guard let key = account.keys.first(where: { $0.keyID.text == name }), key.expiresAt.map({ time < $0 }) ?? true else {
                return .failure(Refusal(.stale))
            }
        }
        return .success((claims, id, principal))
    }

    /// What a token says, if it is valid now.
    /// - Throws: what its bearer is told.
    public func validClaims(of token: String, at time: Timestamp) throws(ContexError) -> TokenClaims {
        guard let tokens else { throw ContexError(.tokenInvalid, "Invalid or expired token") }
        switch claims(of: token, by: tokens, at: time) {
        case .success(let (claims, _, _)): return claims
        case .failure: throw ContexError(.tokenInvalid, "Invalid or expired token")
        }
    }

    private struct Refusal: Error {
        let login: Login
        init(_ login: Login) { self.login = login }
    }
}
