// Keys in JSON (RFC 7517, RFC 8037), read and, the public ones, written.

public import Base
public import Hashing
internal import Content

public struct JSONWebKey: Sendable {
    public enum Material: Sendable, Hashable {
        /// Of HS256.
        case secret([UInt8])
        case ed25519(publicKey: [UInt8])
        case publicKey(PublicKeyParts)
    }

    public let material: Material
    public let keyID: String?
    /// What the key may be used with: what its kind allows, and of that only what it names itself.
    public let algorithms: Set<SignatureAlgorithm>
    let isForVerifying: Bool

    public init(_ material: Material, keyID: String?) {
        self.material = material
        self.keyID = keyID
        algorithms = Self.algorithms(of: material)
        isForVerifying = true
    }

    private static func algorithms(of material: Material) -> Set<SignatureAlgorithm> {
        switch material {
        // One key, one algorithm: a public key that is taken for a secret is the oldest forgery there is.
        case .secret: [.hs256]
        case .ed25519: [.edDSA]
        case .publicKey(.rsa): [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
        case .publicKey(.ellipticCurve(.p256, _, _)): [.es256]
        case .publicKey(.ellipticCurve(.p384, _, _)): [.es384]
        case .publicKey(.ellipticCurve(.p521, _, _)): [.es512]
        }
    }

    /// - Throws: `.key` for a kind that is not read here, or a key without its parts; `.notJSON`.
    public init(json bytes: [UInt8]) throws(TokenFault) { try self.init(try JSONWebSignature.object(bytes)) }

    /// - Throws: `.key`
    public init(_ members: JSONObject) throws(TokenFault) {
        func bytes(_ name: String) throws(TokenFault) -> [UInt8] {
            guard let text = members[name]?.stringValue, text.utf8.count <= TokenLimits.tokenBytes, let bytes = Base64URL.decode(text), !bytes.isEmpty
            else { throw .key }
            return bytes
        }
        switch (members["kty"]?.stringValue, members["crv"]?.stringValue) {
        case ("oct", _): material = .secret(try bytes("k"))
        case ("OKP", "Ed25519"): material = .ed25519(publicKey: try bytes("x"))
        case ("RSA", _): material = .publicKey(.rsa(modulus: try bytes("n"), exponent: try bytes("e")))
        case ("EC", let curve?):
            guard let number = Int(curve.dropFirst(2)), curve.hasPrefix("P-"), let found = PublicKeyParts.Curve(rawValue: number) else { throw .key }
            material = .publicKey(.ellipticCurve(found, x: try bytes("x"), y: try bytes("y")))
        default: throw .key
        }
        keyID = members["kid"]?.stringValue
        let possible = Self.algorithms(of: material)
        // A name that nobody knows ("ES521") says nothing; one that is known binds.
        let named = members["alg"]?.stringValue.flatMap(SignatureAlgorithm.init(rawValue:))
        algorithms = named.map { possible.intersection([$0]) } ?? possible
        let uses = members["key_ops"]?.arrayValue?.compactMap(\.stringValue)
        isForVerifying = members["use"]?.stringValue ?? "sig" == "sig" && uses?.contains("verify") ?? true
    }

    /// What others verify with; nil for a secret.
    public var publicJSON: JSONValue? {
        guard case .ed25519(let key) = material else { return nil }
        return [
            "kty": "OKP", "crv": "Ed25519", "x": .string(Base64URL.encode(key)), "kid": keyID.map(JSONValue.string) ?? .null, "use": "sig",
            "alg": .string(SignatureAlgorithm.edDSA.rawValue),
        ]
    }

    /// The name of an Ed25519 key: its thumbprint (RFC 7638, RFC 8037 A.3).
    public static func thumbprint(ed25519 key: [UInt8]) -> String {
        let text = #"{"crv":"Ed25519","kty":"OKP","x":"\#(Base64URL.encode(key))"}"#
        return Base64URL.encode(SHA256.digest(Array(text.utf8)).bytes)
    }
}
