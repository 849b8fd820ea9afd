// Compressed bytes of strangers made plain again: gzip (RFC 1952) and deflate (RFC 1950, and RFC 1951 bare, which some clients send
// under the same name), by zlib. A few kilobytes may stand for gigabytes, so what comes out is bounded while it comes.

internal import CZlib

/// Why bytes cannot be made plain.
public enum InflationError: Error, Sendable, Equatable {
    /// They are not what they are said to be, or end too soon.
    case damaged
    /// More than the bound comes out.
    case tooLong(bytesMax: Int)
    /// They grow more than honest data does.
    case grows(ratioMax: Int)
}

/// Bounds of what may come out.
public struct InflationBounds: Sendable {
    public let bytesMax: Int
    /// How many times the input's size the output may have, once it is over `bytesFree`.
    public let ratioMax: Int
    public let bytesFree: Int

    public init(bytesMax: Int, ratioMax: Int, bytesFree: Int) {
        self.bytesMax = bytesMax
        self.ratioMax = ratioMax
        self.bytesFree = bytesFree
    }
}

public enum Inflation {
    /// Unpacks, and hands on piece by piece what comes out: nothing is kept here.
    ///
    /// - Returns: how much came out.
    /// - Complexity: O(bytes that come out), never more than the bounds allow.
    @discardableResult
    public static func gzip(_ bytes: [UInt8], within bounds: InflationBounds, _ take: (ArraySlice<UInt8>) -> Void) throws(InflationError) -> Int {
        // 15: the largest window; 16 more: gzip's frame.
        try expand(bytes, windowBits: 15 + 16, hasMembers: true, within: bounds, take)
    }

    @discardableResult
    public static func deflate(_ bytes: [UInt8], within bounds: InflationBounds, _ take: (ArraySlice<UInt8>) -> Void) throws(InflationError) -> Int {
        // Method 8 in the low half of the first byte, and both bytes together a multiple of 31; else there is no frame.
        let isFramed = bytes.count >= 2 && bytes[0] & 0x0F == 8 && (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0
        return try expand(bytes, windowBits: isFramed ? 15 : -15, hasMembers: false, within: bounds, take)
    }

    private static let pieceBytes = 64 << 10

    private static func expand(
        _ bytes: [UInt8], windowBits: Int32, hasMembers: Bool, within bounds: InflationBounds, _ take: (ArraySlice<UInt8>) -> Void
    ) throws(InflationError) -> Int {
        guard !bytes.isEmpty, bytes.count <= Int(UInt32.max) else { throw .damaged }
        var stream = unsafe z_stream()
        // Like every allocation of Swift's own, one that fails ends the process.
        guard unsafe contex_inflate_begin(&stream, windowBits) == Z_OK else { preconditionFailure("zlib has no memory for a stream") }
        defer { unsafe inflateEnd(&stream) }

        var input = bytes
        var output = 0
        var piece = [UInt8](repeating: 0, count: pieceBytes)
        var (read, state) = (0, Z_OK)
        while true {
            // zlib takes its input from a pointer that must not move, so it is lent anew for each piece of output.
            let (taken, made) = unsafe input.withUnsafeMutableBufferPointer { source in
                unsafe piece.withUnsafeMutableBufferPointer { target in
                    unsafe stream.next_in = source.baseAddress! + read
                    unsafe stream.avail_in = UInt32(source.count - read)
                    unsafe stream.next_out = target.baseAddress!
                    unsafe stream.avail_out = UInt32(target.count)
                    state = unsafe inflate(&stream, Z_NO_FLUSH)
                    return unsafe (source.count - read - Int(stream.avail_in), target.count - Int(stream.avail_out))
                }
            }
            read += taken
            guard state == Z_OK || state == Z_STREAM_END else { throw .damaged }
            guard output + made <= bounds.bytesMax else { throw .tooLong(bytesMax: bounds.bytesMax) }
            take(piece[..<made])
            output += made
            if output > bounds.bytesFree, output / bounds.ratioMax > bytes.count { throw .grows(ratioMax: bounds.ratioMax) }
            if state == Z_STREAM_END {
                if read == input.count { return output }
                // Of gzip several may stand one after the other.
                guard hasMembers, unsafe inflateReset(&stream) == Z_OK else { throw .damaged }
            } else if taken == 0, made == 0 {
                throw .damaged
            }
        }
    }
}
