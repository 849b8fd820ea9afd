// Frames whose payload is packed (docs/protocol.md, section 1). What packs and unpacks is the caller's, so that nothing here depends on a
// library; what a packed payload may claim is decided here, before anything is taken for it.
//
//     payload = size of what is packed (4, big-endian)   one Zstandard frame

internal import Base

extension Frame {
    /// A payload may grow so much, and no more. Records as JSON grow four to eight times; what grows more is sent as it is, and a stranger who
    /// sends 64 KiB can make the reader hold one MiB.
    public static let growthMax = 16
    /// Less is not worth the work.
    public static let packedBytesMin = 512
    private static let sizeBytes = 4

    /// A payload as a packed one has it; nil when it is not worth it, or would grow more than it may.
    public static func packed(_ payload: ArraySlice<UInt8>, by compress: ([UInt8]) -> [UInt8]?) -> [UInt8]? {
        guard payload.count >= packedBytesMin, let small = compress(Array(payload)) else { return nil }
        guard small.count + sizeBytes < payload.count - payload.count / 8, payload.count <= growthMax * small.count else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sizeBytes + small.count)
        bytes.append(bigEndian: UInt32(payload.count))
        return bytes + small
    }

    /// The frame with its payload as it was.
    /// - Parameters:
    ///   - most: bytes of a payload.
    ///   - decompress: exactly so many bytes of one Zstandard frame, nil for what is none.
    public func unpacked(most: Int, by decompress: (ArraySlice<UInt8>, _ byteCount: Int) -> [UInt8]?) throws(WireFault) -> Frame {
        guard flags.contains(.packed) else { return self }
        guard payload.count > Self.sizeBytes else { throw .unpackable }
        let size = payload.prefix(Self.sizeBytes).reduce(0) { $0 << 8 | Int($1) }
        guard size <= most else { throw .frameTooLarge(bytes: size, most: most) }
        let content = payload.dropFirst(Self.sizeBytes)
        guard size > 0, size <= Self.growthMax * content.count, let bytes = decompress(content, size), bytes.count == size else { throw .unpackable }
        return Frame(kind, flags.subtracting(.packed), stream: stream, payload: bytes)
    }
}
