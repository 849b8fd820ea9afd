public import Base

extension ByteReader {
    /// A digest of 32 raw bytes.
    public mutating func sha256() throws(ByteError) -> SHA256Digest {
        let at = offset
        guard let digest = SHA256Digest(try raw(SHA256Digest.byteCount)) else { throw .malformed(at: at) }
        return digest
    }
}

extension SHA256Digest {
    /// What stands before the first link of a chain.
    public static let zero = SHA256Digest([UInt8](repeating: 0, count: byteCount))!
}
