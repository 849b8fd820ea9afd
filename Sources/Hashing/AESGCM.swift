// AES-256 in Galois/Counter Mode (NIST SP 800-38D) by libcrypto, which uses the CPU's AES instructions where it has them.
internal import CCrypto

/// 32 secret bytes.
public struct SecretKey: Sendable, Equatable {
    public static let byteCount = 32
    public let bytes: [UInt8]

    /// Nil when there are not exactly 32 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// A key for one purpose, from which neither this one nor that of another purpose can be found.
    public func derived(for purpose: [UInt8]) -> SecretKey { SecretKey(HMACSHA256.authenticate(purpose, key: bytes).bytes)! }
}

/// Authenticated encryption: what opens is what was sealed, under this key, this nonce and these additional data.
public enum AESGCM {
    public static let nonceBytes = 12
    public static let tagBytes = 16

    /// The ciphertext with the tag behind it.
    /// - Precondition: a nonce of 12 bytes that this key has never had.
    /// - Complexity: O(n).
    public static func seal(_ plain: [UInt8], key: SecretKey, nonce: [UInt8], additional: [UInt8]) -> [UInt8] {
        precondition(nonce.count == nonceBytes, "a nonce of \(nonce.count) bytes")
        precondition(plain.count <= Int(Int32.max) - tagBytes, "\(plain.count) bytes to encrypt at once")
        let context = unsafe begin(encrypting: true, key, nonce, additional)
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        return unsafe [UInt8](unsafeUninitializedCapacity: plain.count + tagBytes) { buffer, count in
            let base = buffer.baseAddress!
            var (written, last): (Int32, Int32) = (0, 0)
            let isDone =
                unsafe (plain.isEmpty || EVP_EncryptUpdate(context, base, &written, plain, Int32(plain.count)) == 1)
                && EVP_EncryptFinal_ex(context, base + Int(written), &last) == 1
                && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), base + plain.count) == 1
            precondition(isDone && Int(written + last) == plain.count, "libcrypto cannot encrypt \(plain.count) bytes")
            count = plain.count + tagBytes
        }
    }

    /// The plain bytes; nil when these are not what was sealed so.
    /// - Complexity: O(n).
    public static func open(_ sealed: ArraySlice<UInt8>, key: SecretKey, nonce: [UInt8], additional: [UInt8]) -> [UInt8]? {
        precondition(nonce.count == nonceBytes, "a nonce of \(nonce.count) bytes")
        guard sealed.count >= tagBytes, sealed.count <= Int(Int32.max) else { return nil }
        let cipher = Array(sealed.dropLast(tagBytes))
        var tag = Array(sealed.suffix(tagBytes))
        let context = unsafe begin(encrypting: false, key, nonce, additional)
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        var isSound = false
        // At least one byte of room, so that there is an address to write to.
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: max(1, cipher.count)) { buffer, count in
            let base = buffer.baseAddress!
            var (written, last): (Int32, Int32) = (0, 0)
            isSound =
                unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1
                && (cipher.isEmpty || EVP_DecryptUpdate(context, base, &written, cipher, Int32(cipher.count)) == 1)
                && EVP_DecryptFinal_ex(context, base + Int(written), &last) == 1
            count = isSound ? Int(written + last) : 0
        }
        return isSound ? plain : nil
    }

    private static func begin(encrypting: Bool, _ key: SecretKey, _ nonce: [UInt8], _ additional: [UInt8]) -> OpaquePointer {
        // Like every allocation of Swift's own, one that fails ends the process.
        guard let context = unsafe EVP_CIPHER_CTX_new() else { preconditionFailure("libcrypto has no memory for a cipher") }
        var ignored: Int32 = 0
        let isReady =
            unsafe EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key.bytes, nonce, encrypting ? 1 : 0) == 1
            && (additional.isEmpty || EVP_CipherUpdate(context, nil, &ignored, additional, Int32(additional.count)) == 1)
        precondition(isReady, "libcrypto refuses to start AES-256-GCM")
        return unsafe context
    }
}
