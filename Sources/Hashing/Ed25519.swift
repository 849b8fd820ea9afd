public import Base
internal import CCrypto

/// Signatures of RFC 8032 over Curve25519, from libcrypto.
public enum Ed25519 {
    public static let seedBytes = 32
    public static let publicKeyBytes = 32
    public static let signatureBytes = 64

    /// The key that a seed stands for: the seed is the secret.
    /// - Throws: `.invalid` for a seed of another length.
    public static func publicKey(seed: [UInt8]) throws(ContexError) -> [UInt8] {
        let key = try unsafe privateKey(seed)
        defer { unsafe EVP_PKEY_free(key) }
        var count = publicKeyBytes
        var bytes = [UInt8](repeating: 0, count: publicKeyBytes)
        let done = unsafe EVP_PKEY_get_raw_public_key(key, &bytes, &count)
        precondition(done == 1 && count == publicKeyBytes, "libcrypto refuses the public key of an Ed25519 key")
        return bytes
    }

    /// - Throws: `.invalid` for a seed of another length.
    /// - Complexity: O(message), and a multiplication on the curve, some 50 microseconds.
    public static func sign(_ message: [UInt8], seed: [UInt8]) throws(ContexError) -> [UInt8] {
        let key = try unsafe privateKey(seed)
        defer { unsafe EVP_PKEY_free(key) }
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a signature") }
        defer { unsafe EVP_MD_CTX_free(context) }
        var count = signatureBytes
        var signature = [UInt8](repeating: 0, count: signatureBytes)
        let done =
            unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1
            && EVP_DigestSign(context, &signature, &count, message, message.count) == 1
        precondition(done && count == signatureBytes, "libcrypto refuses to sign with Ed25519")
        return signature
    }

    /// False also for a key or a signature that is none.
    public static func isValid(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard publicKey.count == publicKeyBytes, signature.count == signatureBytes,
            let key = unsafe EVP_PKEY_new_raw_public_key(NID_ED25519, nil, publicKey, publicKey.count)
        else { return false }
        defer { unsafe EVP_PKEY_free(key) }
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a signature") }
        defer { unsafe EVP_MD_CTX_free(context) }
        return unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    private static func privateKey(_ seed: [UInt8]) throws(ContexError) -> OpaquePointer {
        guard seed.count == seedBytes, let key = unsafe EVP_PKEY_new_raw_private_key(NID_ED25519, nil, seed, seed.count) else {
            throw ContexError(.invalid, "an Ed25519 key is made of \(seedBytes) bytes, not of \(seed.count)")
        }
        return unsafe key
    }
}
