// The compact form of RFC 7515:
//
//     base64url(header) . base64url(payload) . base64url(signature)
//
// Strict where the RFC leaves room: no padding, no other characters, no bits behind the last byte. The header decides nothing about which key is
// used but by name: a key has its algorithm, and a token that names another is refused (RFC 8725, 3.1).

internal import Base
internal import Content
internal import Hashing

public enum SignatureAlgorithm: String, CaseIterable, Sendable {
    case hs256 = "HS256", hs384 = "HS384", hs512 = "HS512"
    case rs256 = "RS256", rs384 = "RS384", rs512 = "RS512"
    case ps256 = "PS256", ps384 = "PS384", ps512 = "PS512"
    case es256 = "ES256", es384 = "ES384", es512 = "ES512"
    case edDSA = "EdDSA"
}

public struct JSONWebSignature: Sendable {
    public let algorithm: SignatureAlgorithm
    /// `kid`
    public let keyID: String?
    /// `typ`
    public let type: String?
    public let payload: [UInt8]
    let signed: [UInt8]
    let signature: [UInt8]

    /// Reads the parts; whether the signature holds is `verify`'s to say.
    public init(compact text: String) throws(TokenFault) {
        guard text.utf8.count <= TokenLimits.tokenBytes else { throw .tooLarge }
        let parts = text.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[2].isEmpty else { throw .malformed }
        guard let head = Base64URL.decode(String(parts[0])), let payload = Base64URL.decode(String(parts[1])),
            let signature = Base64URL.decode(String(parts[2]))
        else { throw .malformed }
        guard head.count <= TokenLimits.headerBytes else { throw .tooLarge }
        let header = try Self.object(head)
        guard let name = header["alg"]?.stringValue, let algorithm = SignatureAlgorithm(rawValue: name) else { throw .algorithm }
        // What must be understood is not; and a key that a token brings itself would prove nothing.
        for name in ["crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip"] where header[name] != nil { throw .header(name) }
        self.algorithm = algorithm
        keyID = try Self.text("kid", header)
        type = try Self.text("typ", header)
        self.payload = payload
        self.signature = signature
        signed = Array(parts[0].utf8) + [UInt8(ascii: ".")] + Array(parts[1].utf8)
    }

    private static func text(_ name: String, _ header: JSONObject) throws(TokenFault) -> String? {
        guard let value = header[name] else { return nil }
        guard let text = value.stringValue, text.utf8.count <= TokenLimits.textBytes else { throw .header(name) }
        return text
    }

    static func object(_ bytes: [UInt8]) throws(TokenFault) -> JSONObject {
        guard let object = (try? JSONParser.parse(bytes, maximumDepth: TokenLimits.depth))?.objectValue else { throw .notJSON }
        return object
    }

    /// - Throws: `.key` when this key is for something else; `.signature`.
    public func verify(with key: JSONWebKey) throws(TokenFault) {
        guard key.isForVerifying, key.algorithms.contains(algorithm) else { throw .key }
        if let wanted = keyID, let name = key.keyID, wanted != name { throw .key }
        guard holds(key.material) else { throw .signature }
    }

    private func holds(_ material: JSONWebKey.Material) -> Bool {
        switch (material, algorithm) {
        case (.secret(let secret), .hs256):
            return ConstantTime.equal(HMACSHA256.authenticate(signed, key: secret).bytes, signature)
        case (.ed25519(let key), .edDSA): return Ed25519.isValid(signature, of: signed, publicKey: key)
        case (.publicKey(let parts), _):
            let scheme: PublicKeySignatures.Scheme
            switch algorithm {
            case .rs256: scheme = .rsaPKCS1(.sha256)
            case .rs384: scheme = .rsaPKCS1(.sha384)
            case .rs512: scheme = .rsaPKCS1(.sha512)
            case .ps256: scheme = .rsaPSS(.sha256)
            case .ps384: scheme = .rsaPSS(.sha384)
            case .ps512: scheme = .rsaPSS(.sha512)
            case .es256: scheme = .ecdsa(.sha256)
            case .es384: scheme = .ecdsa(.sha384)
            case .es512: scheme = .ecdsa(.sha512)
            case .hs256, .hs384, .hs512, .edDSA: return false
            }
            return PublicKeySignatures.isValid(signature, of: signed, by: parts, scheme)
        default: return false
        }
    }
}
