// Where tokens are made and read. What a token is worth is for the key ring to say: here is only whether it is one of this server's.

public import Base
public import BearerTokens
internal import Hashing
internal import Synchronization

public final class TokenDesk: Sendable {
    private enum Keys {
        case secret([UInt8])
        /// The one in use first; none before the first is needed.
        case file(SigningKeyFile, [SigningKey])
    }
    private struct State {
        var keys: Keys
        /// The public keys as they are now.
        var readers: [JSONWebKey] = []
        /// Tokens whose signatures were found good, in two halves as `LoginGuard` has them: a request that comes again costs a digest and no curve.
        var young: [SHA256Digest: TokenClaims] = [:]
        var old: [SHA256Digest: TokenClaims] = [:]
    }
    private static let rememberedMax = 4_096
    private let state: Mutex<State>

    /// - Parameters:
    ///   - secret: `SERVICE_ACCOUNT_JWT_SECRET`, for HS256; nil: EdDSA with the keys in the file.
    ///   - path: of the file, which is made when the first token is.
    /// - Throws: `.badRequest` for a secret that is too short; as `SecretFile.load` for a file that is there and cannot be used.
    public init(secret: String?, path: String) throws(ContexError) {
        var first: State
        if let secret {
            let bytes = Array(secret.utf8)
            guard bytes.count >= TokenLimits.secretBytes else {
                throw .badRequest(
                    "SERVICE_ACCOUNT_JWT_SECRET has \(bytes.count) bytes; HS256 needs \(TokenLimits.secretBytes) or more "
                        + "('openssl rand -hex 32' makes one). Without it tokens are signed with EdDSA and a key of the server's own.")
            }
            first = State(keys: .secret(bytes))
        } else {
            let file = SigningKeyFile(path: path)
            first = State(keys: .file(file, try file.load() ?? []))
        }
        first.readers = Self.readers(first.keys)
        state = Mutex(first)
    }

    private static func readers(_ keys: Keys) -> [JSONWebKey] {
        switch keys {
        case .secret(let secret): [JSONWebKey(.secret(secret), keyID: nil)]
        case .file(_, let keys): keys.map { JSONWebKey(.ed25519(publicKey: $0.publicKey), keyID: $0.name) }
        }
    }

    /// Tokens are signed with a secret that others may have: there is nothing to publish and nothing to rotate.
    public var usesSecret: Bool { state.withLock { if case .secret = $0.keys { true } else { false } } }

    /// Whether a key must be made before a token can be: that writes a file.
    public var needsKey: Bool { state.withLock { if case .file(_, let keys) = $0.keys { keys.isEmpty } else { false } } }

    /// Makes the first key when there is none. Blocks for the disk.
    public func makeKey(at time: Timestamp) throws(ContexError) {
        try change { (keys) throws(ContexError) in
            guard keys.isEmpty else { return }
            keys = [try SigningKey(seed: try SecureRandom.bytes(Ed25519.seedBytes), createdAt: time)]
        }
    }

    /// Signs with another key from now on; the present one is accepted until its last token has ended. Blocks for the disk.
    /// - Throws: `.conflict` when tokens are signed with a secret, or as many keys as there may be still wait for their tokens.
    /// - Returns: the name of the new key.
    public func rotate(at time: Timestamp) throws(ContexError) -> String {
        try change { (keys) throws(ContexError) in
            var former = keys.filter { $0.isAccepted(at: time) }
            guard former.count <= SigningKeyFile.formerMax else {
                throw ContexError(
                    .conflict, "\(SigningKeyFile.formerMax) keys before this one are still accepted: a key can go a day after the one that followed it came")
            }
            for place in former.indices where former[place].retiredAt == nil { former[place].retiredAt = time }
            keys = [try SigningKey(seed: try SecureRandom.bytes(Ed25519.seedBytes), createdAt: time)] + former
        }
        return state.withLock { $0.readers.first?.keyID ?? "" }
    }

    private func change(_ body: (inout [SigningKey]) throws(ContexError) -> Void) throws(ContexError) {
        try state.withLock { (state) throws(ContexError) in
            guard case .file(let file, var keys) = state.keys else {
                throw ContexError(.conflict, "Tokens are signed with SERVICE_ACCOUNT_JWT_SECRET: set another one and start the server again")
            }
            let before = keys
            try body(&keys)
            guard keys != before else { return }
            // On the disk before it signs anything.
            try file.save(keys)
            state.keys = .file(file, keys)
            state.readers = Self.readers(state.keys)
        }
    }

    /// What others verify tokens with (RFC 7517): public keys only, and none when a secret signs.
    public func publicKeys(at time: Timestamp) -> JSONValue {
        let keys = state.withLock { state -> [JSONValue] in
            guard case .file(_, let keys) = state.keys else { return [] }
            return zip(keys, state.readers).filter { $0.0.isAccepted(at: time) }.compactMap(\.1.publicJSON)
        }
        return ["keys": .array(keys)]
    }

    /// - Throws: `.unavailable` before there is a key (`makeKey`).
    public func token(of claims: TokenClaims) throws(ContexError) -> String {
        let signer: TokenClaims.Signer? = state.withLock {
            switch $0.keys {
            case .secret(let secret): .secret(secret)
            case .file(_, let keys): keys.first.map { .ed25519(seed: $0.seed, keyID: $0.name) }
            }
        }
        guard let signer else { throw ContexError(.unavailable, "There is no key to sign a token with") }
        return try claims.token(by: signer)
    }

    /// - Complexity: one SHA-256 of the token; a signature when it comes for the first time.
    public func claims(of token: String, at time: Timestamp) throws(TokenFault) -> TokenClaims {
        guard token.utf8.count <= TokenLimits.tokenBytes else { throw .tooLarge }
        let digest = SHA256.digest(Array(token.utf8))
        let (known, readers) = state.withLock { state -> (TokenClaims?, [JSONWebKey]) in
            if let known = state.young[digest] ?? state.old[digest] { return (known, []) }
            guard case .file(_, let keys) = state.keys else { return (nil, state.readers) }
            return (nil, zip(keys, state.readers).filter { $0.0.isAccepted(at: time) }.map(\.1))
        }
        if let known {
            guard time.seconds < Double(known.expiresAt) + TokenLimits.leewaySeconds else { throw .expired }
            return known
        }
        let claims = try TokenClaims(token: token, keys: readers, at: time.seconds)
        state.withLock { state in
            if state.young.count >= Self.rememberedMax {
                state.old = state.young
                state.young = [:]
            }
            state.young[digest] = claims
        }
        return claims
    }
}
