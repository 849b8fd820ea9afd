// Authentication without a transaction: all keys in memory, by their hash.
//
// Whoever commits a change of keys or roles makes the next snapshot from the same write transaction and puts it in place
// right after the commit, before the change is acknowledged. So a revoked key is refused from the acknowledgement on.

public import Base
internal import Hashing
internal import KeySpace
public import LMDB
internal import Synchronization

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

            func isExpired(at time: Timestamp) -> Bool {
                if let end = terms.expiresAt, time >= end { return true }
                return formerUntil.map { time >= $0 } ?? false
            }
        }
        /// By the first eight bytes of the hash. The rest is compared in constant time, which a dictionary's own comparison
        /// would not be.
        private var entries: [UInt64: [Entry]] = [:]
        private var principals: [KeyID: (principal: Principal, expiresAt: Timestamp?)] = [:]
        public private(set) var count = 0
        /// Valid keys of the standard tenant that may do everything everywhere: without one, nobody could issue keys or give roles.
        public private(set) var administrators = 0
        /// The same with those that nobody has confirmed yet.
        public private(set) var possibleAdministrators = 0

        public static let empty = Snapshot()
        private init() {}

        /// - Throws: `.conflict` when keys were made with another pepper, `.damaged` for records that cannot be read.
        /// - Complexity: O(n log n) in the keys of the tenants, about 3 microseconds a key.
        public init(_ view: borrowing TransactionView, tenants: [TenantID], pepper: Pepper) throws {
            for tenant in tenants {
                let scope = TenantScope(tenant: tenant, project: .tenantLevel)
                for (key, principal, terms) in try AccessRegistry.principals(view, scope: scope) {
                    guard key.pepper == pepper.id else {
                        throw ContexError(
                            .conflict,
                            "API key \(key.keyID) ('\(key.name)') was made with another pepper file than the one in use: restore that file.")
                    }
                    entries[Self.place(key.hash), default: []].append(
                        Entry(hash: key.hash, principal: principal, rule: key.rule, terms: terms))
                    if let former = terms.former {
                        entries[Self.place(former.hash), default: []].append(
                            Entry(hash: former.hash, principal: principal, rule: key.rule, terms: terms, formerUntil: former.until))
                    }
                    // Nothing is delivered for a key that is not valid.
                    if key.rule.isValid { principals[key.keyID] = (principal, terms.expiresAt) }
                    count += 1
                    // One that ends by itself is none to rely on.
                    if tenant == .standard, principal.isAdministratorOfAll, terms.expiresAt == nil {
                        possibleAdministrators += 1
                        if key.rule.isValid { administrators += 1 }
                    }
                }
            }
        }

        func find(_ hash: SHA256Digest) -> Entry? {
            entries[Self.place(hash)]?.first { ConstantTime.equal($0.hash, hash) }
        }

        func find(_ id: KeyID, at time: Timestamp) -> Principal? {
            guard let found = principals[id], found.expiresAt.map({ time < $0 }) ?? true else { return nil }
            return found.principal
        }

        private static func place(_ hash: SHA256Digest) -> UInt64 { UInt64(firstOf: hash.bytes) }
    }

    private let pepper: Pepper
    private let snapshot: Mutex<Snapshot>
    private let uses = Mutex<[KeyID: Timestamp]>([:])
    private let observers = Mutex<[@Sendable () -> Void]>([])

    public init(pepper: Pepper, snapshot: Snapshot = .empty) {
        self.pepper = pepper
        self.snapshot = Mutex(snapshot)
    }

    /// Puts the keys of a later commit in place.
    public func replace(with next: Snapshot) {
        snapshot.withLock { $0 = next }
        for observer in observers.withLock({ $0 }) { observer() }
    }

    /// Calls after every change of keys or roles, on the thread that made it: must not block. For as long as the ring lives.
    public func observe(_ change: @escaping @Sendable () -> Void) { observers.withLock { $0.append(change) } }

    /// Who holds the key of this id; nil when it was revoked or has expired.
    public func principal(of keyID: String, at time: Timestamp) -> Principal? {
        KeyID(keyID).flatMap { id in snapshot.withLock { $0 }.find(id, at: time) }
    }

    /// `Snapshot.administrators` and `possibleAdministrators` as of now.
    public var administrators: Int { snapshot.withLock { $0.administrators } }
    public var possibleAdministrators: Int { snapshot.withLock { $0.possibleAdministrators } }

    /// True before the first key exists: time to issue one.
    public var isEmpty: Bool { snapshot.withLock { $0.count == 0 } }

    /// When somebody last came with a key, since this ring was made.
    public func lastUse(of id: KeyID) -> Timestamp? { uses.withLock { $0[id] } }

    private func find(_ rawKey: String) -> Snapshot.Entry? {
        guard rawKey.utf8.count <= AccessLimits.rawKeyBytes else { return nil }
        let hash = pepper.hash(rawKey)
        return snapshot.withLock { $0 }.find(hash)
    }

    /// What a presented key is.
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
            }
        }
    }

    /// - Parameters:
    ///   - address: where the caller comes from; nil inside the process, where only keys for every address are valid.
    ///   - time: by the server's clock.
    /// - Complexity: O(length of the key); one HMAC.
    public func login(_ rawKey: String?, from address: String?, at time: Timestamp) -> Login {
        guard let rawKey, !rawKey.isEmpty else { return .missing }
        guard let entry = find(rawKey), let id = entry.principal.keyID else { return .unknown }
        if !entry.rule.isValid { return .unconfirmed(id) }
        if entry.isExpired(at: time) { return .expired(id) }
        guard entry.terms.admits(address) else { return .elsewhere(id) }
        uses.withLock { $0[id] = time }
        return .valid(entry.principal)
    }
}
