// What stands between the fields of a table: the comma of RFC 4180; the semicolon that spreadsheets write wherever the comma is the
// decimal sign; the tab of databases and of tables that were copied; the bar.

enum TableSeparator {
    /// In the order in which they win when nothing else decides: whoever writes tabs or semicolons between fields has commas in them.
    private static let candidates = Array("\t;,|".utf8)
    /// So much of a text is looked at.
    private static let sampledBytes = 64 << 10

    /// Excel's first line `sep=;`, and where the table begins after it.
    static func named(in bytes: [UInt8], from start: Int) -> (separator: UInt8, end: Int)? {
        var rest = bytes[start...].prefix(9)
        guard rest.count >= 5, zip(rest, "sep=".utf8).allSatisfy({ $0 == $1 || $0 | 0x20 == $1 }) else { return nil }
        rest = rest.dropFirst(4)
        let separator = rest.removeFirst()
        guard separator > 0x20 || separator == 0x09, separator < 0x7F, separator != UInt8(ascii: "\"") else { return nil }
        guard let end = rest.first else { return (separator, bytes.count) }
        guard end == 0x0A || end == 0x0D else { return nil }
        let hasTwo = end == 0x0D && rest.dropFirst().first == 0x0A
        return (separator, rest.startIndex + (hasTwo ? 2 : 1))
    }

    /// The one that is in the header and, in most of the first records, as often as there; the comma when none is.
    ///
    /// - Complexity: O(1), at most `sampledBytes`.
    static func chosen(for bytes: [UInt8], from start: Int) -> UInt8 {
        let none = [0, 0, 0, 0]
        var header: [Int]? = nil
        var agreeing = none, total = none, counts = none
        var isInQuotes = false
        var isAtStart = true
        func closeRecord() {
            if isAtStart && counts == none { return }
            let wanted = header ?? counts
            header = wanted
            for place in counts.indices {
                total[place] += counts[place]
                if counts[place] == wanted[place] { agreeing[place] += 1 }
            }
            counts = none
        }
        for byte in bytes[start...].prefix(sampledBytes) {
            switch byte {
            case UInt8(ascii: "\""):
                // Of two quotes in a row the first closes and the second opens again.
                isInQuotes = !isInQuotes && isAtStart
            case _ where isInQuotes: break
            case 0x0A, 0x0D:
                closeRecord()
                isAtStart = true
            case 0x20: break
            default:
                if let place = candidates.firstIndex(of: byte) { counts[place] += 1 }
                isAtStart = candidates.contains(byte)
            }
        }
        closeRecord()
        let inHeader = candidates.indices.filter { (header ?? none)[$0] > 0 }
        // A title above the table: then whatever there is most of.
        let places = inHeader.isEmpty ? candidates.indices.filter { total[$0] > 0 } : inHeader
        let measure = inHeader.isEmpty ? total : agreeing
        guard let most = places.map({ measure[$0] }).max() else { return UInt8(ascii: ",") }
        return candidates[places.first { measure[$0] == most }!]
    }
}
