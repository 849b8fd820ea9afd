// Signatures that others make: RSA (PKCS #1 v1.5 and PSS, RFC 8017) and ECDSA (FIPS 186-5), verified by libcrypto. Nothing here signs.

internal import Base
internal import CCrypto

/// The public key of somebody else, in its parts as JSON Web Keys have them: big-endian numbers.
public enum PublicKeyParts: Hashable, Sendable {
    public enum Curve: Int, CaseIterable, Sendable {
        case p256 = 256, p384 = 384, p521 = 521

        /// Of a coordinate, and of each half of a signature.
        public var bytes: Int { (rawValue + 7) / 8 }

        fileprivate var objectIdentifier: [UInt8] {
            switch self {
            case .p256: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
            case .p384: [0x2B, 0x81, 0x04, 0x00, 0x22]
            case .p521: [0x2B, 0x81, 0x04, 0x00, 0x23]
            }
        }
    }

    case rsa(modulus: [UInt8], exponent: [UInt8])
    case ellipticCurve(Curve, x: [UInt8], y: [UInt8])
}

public enum PublicKeySignatures {
    public enum Digest: Int, Sendable {
        case sha256 = 256, sha384 = 384, sha512 = 512
    }

    public enum Scheme: Hashable, Sendable {
        case rsaPKCS1(Digest)
        /// With a salt as long as the digest, and MGF1 of the same digest.
        case rsaPSS(Digest)
        /// As two halves of equal length, not as ASN.1.
        case ecdsa(Digest)
    }

    /// Bits of a modulus: what is shorter can be factored, what is longer is work for nothing.
    public static let modulusBits = 2_048...8_192

    /// False also for a key or a signature that is none.
    public static func isValid(_ signature: [UInt8], of message: [UInt8], by parts: PublicKeyParts, _ scheme: Scheme) -> Bool {
        let encoded: [UInt8]
        var signature = signature
        let digest: Digest
        switch (parts, scheme) {
        case (.rsa(let modulus, let exponent), .rsaPKCS1(let wanted)), (.rsa(let modulus, let exponent), .rsaPSS(let wanted)):
            let number = Array(modulus.drop { $0 == 0 })
            let bits = number.count * 8 - (number.first?.leadingZeroBitCount ?? 0)
            guard modulusBits.contains(bits), (1...8).contains(exponent.count), signature.count == number.count else { return false }
            encoded = DER.rsa(number, exponent)
            digest = wanted
        case (.ellipticCurve(let curve, let x, let y), .ecdsa(let wanted)):
            guard x.count == curve.bytes, y.count == curve.bytes, signature.count == 2 * curve.bytes else { return false }
            encoded = DER.ellipticCurve(curve.objectIdentifier, x, y)
            signature = DER.sequence(DER.integer(Array(signature.prefix(curve.bytes))) + DER.integer(Array(signature.suffix(curve.bytes))))
            digest = wanted
        default: return false
        }
        let key = unsafe encoded.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            return unsafe d2i_PUBKEY(nil, &next, buffer.count)
        }
        guard let key = unsafe key else { return false }
        defer { unsafe EVP_PKEY_free(key) }
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a signature") }
        defer { unsafe EVP_MD_CTX_free(context) }
        let algorithm =
            switch digest {
            case .sha256: unsafe EVP_sha256()
            case .sha384: unsafe EVP_sha384()
            case .sha512: unsafe EVP_sha512()
            }
        var settings: OpaquePointer?
        guard unsafe EVP_DigestVerifyInit(context, &settings, algorithm, nil, key) == 1 else { return false }
        if case .rsaPSS = scheme {
            // -1: as long as the digest.
            guard unsafe EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1, unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, -1) == 1
            else { return false }
        }
        return unsafe EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

/// As much of ASN.1 as a public key and a signature of two numbers need.
private enum DER {
    static func rsa(_ modulus: [UInt8], _ exponent: [UInt8]) -> [UInt8] {
        let algorithm = sequence(tagged(0x06, [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]) + [0x05, 0x00])
        return sequence(algorithm + tagged(0x03, [0] + sequence(integer(modulus) + integer(exponent))))
    }

    static func ellipticCurve(_ curve: [UInt8], _ x: [UInt8], _ y: [UInt8]) -> [UInt8] {
        let algorithm = sequence(tagged(0x06, [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]) + tagged(0x06, curve))
        return sequence(algorithm + tagged(0x03, [0, 0x04] + x + y))
    }

    static func sequence(_ content: [UInt8]) -> [UInt8] { tagged(0x30, content) }

    /// A number that is not negative.
    static func integer(_ number: [UInt8]) -> [UInt8] {
        var digits = Array(number.drop { $0 == 0 })
        if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
        return tagged(0x02, digits)
    }

    static func tagged(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        if content.count < 0x80 {
            length = [UInt8(content.count)]
        } else {
            var rest = content.count
            while rest > 0 {
                length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
                rest >>= 8
            }
            length.insert(0x80 | UInt8(length.count), at: 0)
        }
        return [tag] + length + content
    }
}
