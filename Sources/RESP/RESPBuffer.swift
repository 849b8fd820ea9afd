// Bytes that came and are not read yet. Both parsers take whole lines and counted strings from it; what is not complete
// stays, and no byte is searched twice.

struct RESPBuffer: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0
    private var searched = 0
    /// An emptied buffer that grew beyond this is given back, so that one large command does not stay in memory.
    private static let keptBytes = 64 << 10

    var count: Int { bytes.count - start }
    var first: UInt8? { start < bytes.count ? bytes[start] : nil }

    mutating func append(_ more: some Collection<UInt8>) {
        if start == bytes.count {
            bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytes)
            start = 0
            searched = 0
        } else if start > Self.keptBytes, start > bytes.count / 2 {
            bytes.removeFirst(start)
            searched -= start
            start = 0
        }
        bytes += more
    }

    /// The bytes before the next line feed, which is dropped too; nil when it has not come yet.
    mutating func line() -> ArraySlice<UInt8>? {
        searched = max(searched, start)
        while searched < bytes.count, bytes[searched] != 0x0A { searched += 1 }
        guard searched < bytes.count else { return nil }
        defer {
            searched += 1
            start = searched
        }
        return bytes[start..<searched]
    }

    /// So many bytes and the line end behind them; nil when they have not all come yet.
    mutating func counted(_ length: Int) throws(RESPProtocolError) -> [UInt8]? {
        guard count >= length + 2 else { return nil }
        let end = start + length
        guard bytes[end] == 0x0D, bytes[end + 1] == 0x0A else { throw .missingLineEnd }
        defer { start = end + 2 }
        return Array(bytes[start..<end])
    }

    /// A line of the protocol without its carriage return; nil without one.
    static func content(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        line.last == 0x0D ? line.dropLast() : nil
    }

    /// A decimal integer in its one spelling: no plus, no leading zero, no `-0`.
    static func integer(_ text: ArraySlice<UInt8>) -> Int64? {
        let digits = text.first == 0x2D ? text.dropFirst() : text
        guard let first = digits.first, digits.count <= 19, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
        if first == 0x30, text.count > 1 { return nil }
        return Int64(String(decoding: text, as: UTF8.self))
    }
}
