// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, which uses the CPU's SHA instructions where it has them.
internal import Base
internal import CCrypto

/// The 32 bytes of a SHA-256, or of an HMAC over it.
public struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
    public static let byteCount = 32
    /// Always 32.
    public let bytes: [UInt8]

    /// Nil when there are not exactly 32 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// 32 bytes that a function of libcrypto writes to the pointer it is given.
    init(filledBy fill: (UnsafeMutablePointer<UInt8>) -> Void) {
        bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            unsafe fill(buffer.baseAddress!)
            count = Self.byteCount
        }
    }

    /// 64 lower-case hexadecimal digits.
    public var hex: String { Hexadecimal.text(bytes) }
    public var description: String { hex }
}

/// SHA-256 of bytes that are all there.
public enum SHA256 {
    /// The digest of the parts one after the other.
    /// - Complexity: O(n).
    public static func digest(_ parts: [UInt8]...) -> SHA256Digest {
        var hasher = SHA256Hasher()
        for part in parts { hasher.update(part) }
        return hasher.finish()
    }
    public static func digest(_ bytes: ArraySlice<UInt8>) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }
    public static func digest(_ bytes: borrowing RawSpan) -> SHA256Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }
}

/// SHA-256 of bytes that come in pieces. Owns libcrypto's context and frees it with itself.
@safe public struct SHA256Hasher: ~Copyable {
    private let context: OpaquePointer

    /// Fetched once: an implicit fetch at every digest would cost more than hashing a short message.
    private static let algorithm = SharedAlgorithm()

    public init() {
        // libcrypto allocates here; like every allocation of Swift's own, one that fails ends the process.
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("libcrypto has no memory for a digest") }
        let started = unsafe EVP_DigestInit_ex2(context, Self.algorithm.pointer, nil)
        precondition(started == 1, "libcrypto refuses to start SHA-256")
        unsafe self.context = unsafe context
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    public mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe feed($0) }
    }
    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        unsafe bytes.withUnsafeBytes { unsafe feed($0) }
    }
    public mutating func update(_ bytes: borrowing RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe feed($0) }
    }
    private func feed(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        let taken = unsafe EVP_DigestUpdate(context, base, bytes.count)
        precondition(taken == 1, "libcrypto refuses \(bytes.count) bytes for SHA-256")
    }

    /// The digest of everything that came.
    public consuming func finish() -> SHA256Digest {
        let context = unsafe context
        discard self
        defer { unsafe EVP_MD_CTX_free(context) }
        return unsafe SHA256Digest { digest in
            let finished = unsafe EVP_DigestFinal_ex(context, digest, nil)
            precondition(finished == 1, "libcrypto refuses to finish SHA-256")
        }
    }
}

/// libcrypto's description of the algorithm.
///
/// Unchecked: it is fetched once, never freed and never written again; libcrypto documents a fetched `EVP_MD` as safe to
/// use from any thread.
@safe private struct SharedAlgorithm: @unchecked Sendable {
    let pointer: OpaquePointer

    init() {
        guard let found = unsafe EVP_MD_fetch(nil, "SHA256", nil) else {
            preconditionFailure("libcrypto offers no SHA-256: its providers are not installed or its configuration disables it")
        }
        unsafe pointer = unsafe found
    }
}
