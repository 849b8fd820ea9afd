// What secrets need: a keyed hash, a comparison that does not tell where two texts differ, and numbers nobody can guess.
public import Base
internal import CCrypto

/// HMAC with SHA-256 (RFC 2104, FIPS 198-1).
public enum HMACSHA256 {
    /// - Complexity: O(n) in the message.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> SHA256Digest {
        unsafe SHA256Digest { digest in
            // The key goes as a pointer to its bytes even when there are none: libcrypto reads a null key as "the key before".
            let done = unsafe key.withUnsafeBytes { key in
                unsafe withUnsafeBytes(of: UInt8(0)) { nothing in
                    unsafe HMAC(
                        EVP_sha256(), key.baseAddress ?? nothing.baseAddress!, Int32(key.count), message, message.count, digest, nil)
                }
            }
            precondition(unsafe done != nil, "libcrypto refuses HMAC-SHA-256")
        }
    }
}

/// Comparison whose time tells nothing about where the bytes differ.
public enum ConstantTime {
    /// The lengths are no secret: unequal ones answer at once.
    /// - Complexity: O(n), whatever the bytes are.
    public static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        return unsafe CRYPTO_memcmp(a, b, a.count) == 0
    }
    public static func equal(_ a: SHA256Digest, _ b: SHA256Digest) -> Bool { equal(a.bytes, b.bytes) }
}

/// Random numbers for secrets, from libcrypto's generator (seeded by the kernel, safe across threads and forks).
public enum SecureRandom {
    /// - Throws: `.unavailable` when the machine has no entropy to seed the generator: a key must not be made then.
    public static func bytes(_ count: Int) throws(ContexError) -> [UInt8] {
        precondition(count >= 0 && count <= Int(Int32.max), "\(count) random bytes")
        var filled = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe buffer.initialize(repeating: 0)
            filled = unsafe count == 0 || RAND_bytes(buffer.baseAddress, Int32(count)) == 1
            initialized = count
        }
        guard filled else {
            throw ContexError(.unavailable, "The random generator has no entropy: no secret can be made now. Try again when the machine has run for a while.")
        }
        return bytes
    }
}
