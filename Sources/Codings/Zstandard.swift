// Blocks made small and plain again: Zstandard (RFC 8878) by libzstd, one frame a block, so that each can be read by itself.

internal import CZstd

/// Why a frame cannot be made plain.
public enum ZstandardError: Error, Sendable, Equatable {
    /// It is no frame, or is broken, or something follows it.
    case damaged
    /// It gives another number of bytes than it should.
    case size(expected: Int)
}

/// Owns libzstd's working memory, some 600 kB at level 1, for one thread at a time.
@safe public struct ZstandardCompressor: ~Copyable {
    private let context: OpaquePointer
    private let level: Int32

    /// - Parameter level: 1 (fastest) to 19.
    public init(level: Int) {
        precondition((1...19).contains(level), "zstd level \(level)")
        // Like every allocation of Swift's own, one that fails ends the process.
        guard let context = unsafe ZSTD_createCCtx() else { preconditionFailure("libzstd has no memory for a block") }
        unsafe self.context = context
        self.level = Int32(level)
    }

    deinit { unsafe ZSTD_freeCCtx(context) }

    /// One frame that says how large its content is.
    /// - Complexity: O(n).
    public mutating func compress(_ bytes: [UInt8]) -> [UInt8] {
        let bound = ZSTD_compressBound(bytes.count)
        return unsafe [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            let written = unsafe bytes.withUnsafeBytes { source in
                unsafe ZSTD_compressCCtx(context, buffer.baseAddress, bound, source.baseAddress, source.count, level)
            }
            // With room for the worst there is nothing that can fail but memory.
            precondition(ZSTD_isError(written) == 0, "libzstd cannot compress \(bytes.count) bytes")
            count = written
        }
    }
}

public enum Zstandard {
    /// The most bytes that a frame of so many has.
    public static func bound(_ bytes: Int) -> Int { ZSTD_compressBound(bytes) }

    /// The content of one frame, which must be exactly this large.
    /// - Parameter byteCount: is allocated, so the caller bounds it.
    /// - Complexity: O(byteCount), whatever the frame says of itself.
    public static func decompress(_ frame: ArraySlice<UInt8>, byteCount: Int) throws(ZstandardError) -> [UInt8] {
        let (size, length) = unsafe frame.withUnsafeBytes { source in
            unsafe (ZSTD_getFrameContentSize(source.baseAddress, source.count), ZSTD_findFrameCompressedSize(source.baseAddress, source.count))
        }
        // Neither more frames nor anything else behind it.
        guard ZSTD_isError(length) == 0, length == frame.count else { throw .damaged }
        guard size == UInt64(byteCount) else { throw .size(expected: byteCount) }
        var written = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            written = unsafe frame.withUnsafeBytes { source in
                unsafe ZSTD_decompress(buffer.baseAddress, byteCount, source.baseAddress, source.count)
            }
            count = ZSTD_isError(written) == 0 ? min(written, byteCount) : 0
        }
        guard ZSTD_isError(written) == 0 else { throw .damaged }
        guard bytes.count == byteCount else { throw .size(expected: byteCount) }
        return bytes
    }
}
