// What a token of this server says (RFC 7519): the original's claims, and by which key of the account it was asked for.
//
// Role, projects and scopes are for whoever holds it to read. What it may do is decided by the account as it is when it comes.

public import Base
internal import Content
internal import Hashing

public struct TokenClaims: Sendable, Equatable {
    public static let issuer = "contex"

    /// `sub`: the account.
    public var subject: String
    public var name = ""
    public var type = ""
    public var role = ""
    public var tenant: String?
    public var projects: [String] = []
    public var scopes: [String] = []
    /// Seconds since 1970.
    public var issuedAt: Int64
    public var expiresAt: Int64
    /// `jti`
    public var tokenID: String?
    /// `key_id`: the key of the account that it was asked for with.
    public var keyID: String?
    /// `gen`: how often the account had been switched off.
    public var generation: UInt32?

    public init(subject: String, issuedAt: Int64, expiresAt: Int64) {
        self.subject = subject
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    public var json: JSONValue { .object(members(withLists: true)) }

    private func members(withLists: Bool) -> JSONObject {
        var members = JSONObject([
            ("sub", .string(subject)), ("name", .string(name)), ("type", .string(type)), ("role", .string(role)),
            ("tenant_id", tenant.map(JSONValue.string) ?? .null),
        ])
        if withLists {
            members["projects"] = .array(projects.map(JSONValue.string))
            members["scopes"] = .array(scopes.map(JSONValue.string))
        }
        members["iat"] = .integer(issuedAt)
        members["exp"] = .integer(expiresAt)
        members["iss"] = .string(Self.issuer)
        if let tokenID { members["jti"] = .string(tokenID) }
        if let keyID { members["key_id"] = .string(keyID) }
        if let generation { members["gen"] = .integer(generation) }
        return members
    }

    // MARK: - A token of them

    /// The secret half of a key.
    public enum Signer: Sendable {
        /// HS256
        case secret([UInt8])
        /// EdDSA, with the key's name.
        case ed25519(seed: [UInt8], keyID: String)
    }

    /// - Throws: `.invalid` for a seed that is none.
    public func token(by signer: Signer) throws(ContexError) -> String {
        let whole = try token(by: signer, withLists: true)
        return whole.utf8.count <= TokenLimits.issuedBytes ? whole : try token(by: signer, withLists: false)
    }

    private func token(by signer: Signer, withLists: Bool) throws(ContexError) -> String {
        var header = JSONObject([("alg", .string(SignatureAlgorithm.hs256.rawValue)), ("typ", "JWT")])
        if case .ed25519(_, let keyID) = signer {
            header["alg"] = .string(SignatureAlgorithm.edDSA.rawValue)
            header["kid"] = .string(keyID)
        }
        let claims = JSONPrinter.bytes(.object(members(withLists: withLists)))
        let signed = Base64URL.encode(JSONPrinter.bytes(.object(header))) + "." + Base64URL.encode(claims)
        let message = Array(signed.utf8)
        let signature =
            switch signer {
            case .secret(let secret): HMACSHA256.authenticate(message, key: secret).bytes
            case .ed25519(let seed, _): try Ed25519.sign(message, seed: seed)
            }
        return signed + "." + Base64URL.encode(signature)
    }

    /// Reads a token that one of the keys has signed.
    /// - Parameter time: seconds since 1970.
    /// - Throws: the first fault, the signature before the claims.
    public init(token text: String, keys: [JSONWebKey], at time: Double) throws(TokenFault) {
        let envelope = try JSONWebSignature(compact: text)
        if let type = envelope.type, !["jwt", "at+jwt"].contains(type.lowercased()) { throw .header("typ") }
        // A name chooses the key; without one there must be no choice.
        let named = keys.filter { envelope.keyID == nil ? $0.keyID == nil : $0.keyID == nil || $0.keyID == envelope.keyID }
        guard let key = named.first, named.count == 1 else { throw .key }
        try envelope.verify(with: key)

        let members = try JSONWebSignature.object(envelope.payload)
        func claim(_ name: String) throws(TokenFault) -> String? {
            guard let value = members[name], !value.isNull else { return nil }
            guard let text = value.stringValue, text.utf8.count <= TokenLimits.textBytes else { throw .claim(name) }
            return text
        }
        func moment(_ name: String) throws(TokenFault) -> Double? {
            guard let value = members[name] else { return nil }
            // To the end of the year 9999.
            guard let seconds = value.doubleValue, (0...253_402_300_799).contains(seconds) else { throw .claim(name) }
            return seconds
        }
        func list(_ name: String) throws(TokenFault) -> [String] {
            guard let value = members[name], !value.isNull else { return [] }
            guard let items = value.arrayValue else { throw .claim(name) }
            let texts = items.compactMap(\.stringValue)
            guard texts.count == items.count else { throw .claim(name) }
            return texts
        }
        guard let subject = try claim("sub"), !subject.isEmpty else { throw .claim("sub") }
        guard try claim("iss") == Self.issuer else { throw .claim("iss") }
        if let audience = members["aud"] {
            let named = audience.stringValue.map { [$0] } ?? audience.arrayValue?.compactMap(\.stringValue) ?? []
            guard named.contains(Self.issuer) else { throw .claim("aud") }
        }
        guard let issued = try moment("iat") else { throw .claim("iat") }
        guard let end = try moment("exp") else { throw .claim("exp") }
        guard end > issued, end - issued <= Double(TokenLimits.lifeSeconds.upperBound) else { throw .claim("exp") }
        guard time < end + TokenLimits.leewaySeconds else { throw .expired }
        let begin = max(issued, try moment("nbf") ?? 0)
        guard begin <= time + TokenLimits.leewaySeconds else { throw .early }
        self.init(subject: subject, issuedAt: Int64(issued), expiresAt: Int64(end))
        name = try claim("name") ?? ""
        type = try claim("type") ?? ""
        role = try claim("role") ?? ""
        tenant = try claim("tenant_id")
        projects = try list("projects")
        scopes = try list("scopes")
        tokenID = try claim("jti")
        keyID = try claim("key_id")
        if let value = members["gen"] {
            guard let number = value.integerValue, let generation = UInt32(exactly: number) else { throw .claim("gen") }
            self.generation = generation
        }
    }
}
