/// The cl100k_base encoding of tiktoken: byte pair encoding over 100,256 ranks. Text that looks like a special token
/// (`<|endoftext|>`) is ordinary text here, because all text comes from outside.
public struct CL100KTokenizer: Sendable {
    private let ranks: ByteTable
    private let singles: [Int32]
    /// The entry of each rank in `ranks`, -1 for a rank that no token has.
    private let entries: [Int32]

    private static let file = "cl100k_base.tiktoken"
    /// Far above the 100,256 ranks there are.
    private static let ranksMax = 1 << 20

    /// - Parameter ranks: `cl100k_base.tiktoken`: base64 of a token, a space, its rank, a line each.
    /// - Throws: naming the line, when the file is no such list or lacks one of the 256 single bytes.
    /// - Complexity: O(bytes); the 1.7 MB take about 10 ms.
    public init(ranks file: [UInt8]) throws(TokensError) {
        var lines = 0
        for byte in file where byte == 10 { lines += 1 }
        guard lines < Self.ranksMax else { throw TokensError(file: Self.file, "\(lines) lines, at most \(Self.ranksMax) are expected") }
        let text = file.span
        var table = ByteTable(capacity: lines + 1, keyBytes: text.count / 2)
        var token: [UInt8] = []
        var line = 0
        var at = 0
        while at < text.count {
            line += 1
            if text[at] == 10 {
                at += 1
                continue
            }
            token.removeAll(keepingCapacity: true)
            at = try Self.decodeBase64(text, from: at, into: &token, line: line)
            guard !token.isEmpty, at < text.count, text[at] == UInt8(ascii: " ") else {
                throw TokensError(file: Self.file, line: line, "a token in base64 and a space are expected")
            }
            at += 1
            var rank = 0
            let digits = at
            while at < text.count, text[at] >= UInt8(ascii: "0"), text[at] <= UInt8(ascii: "9"), at - digits < 8 {
                rank = rank * 10 + Int(text[at] - UInt8(ascii: "0"))
                at += 1
            }
            guard at > digits, at == text.count || text[at] == 10 else {
                throw TokensError(file: Self.file, line: line, "a rank below 100,000,000 and the end of the line are expected")
            }
            at += 1
            guard table.insert(token.span, 0..<token.count, value: Int32(rank)) else {
                throw TokensError(file: Self.file, line: line, "the token occurs twice")
            }
        }
        var singles: [Int32] = []
        for byte in UInt8.min...UInt8.max {
            guard let id = table.find([byte].span, 0..<1) else {
                throw TokensError(file: Self.file, "the single byte \(byte) has no rank; the file is not complete")
            }
            singles.append(id)
        }
        var entries: [Int32] = []
        for entry in 0..<table.count {
            let rank = Int(table.value(ofEntry: entry))
            guard rank < Self.ranksMax else { throw TokensError(file: Self.file, "a rank of \(rank), below \(Self.ranksMax) is expected") }
            if rank >= entries.count { entries += repeatElement(-1, count: rank + 1 - entries.count) }
            entries[rank] = Int32(entry)
        }
        self.singles = singles
        self.ranks = table
        self.entries = entries
    }

    /// The value of each base64 digit, 255 for other bytes.
    private static let digits: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, byte) in alphabet.utf8.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()

    /// - Returns: the index of the first byte after the digits and their padding.
    private static func decodeBase64(
        _ text: Span<UInt8>, from start: Int, into token: inout [UInt8], line: Int
    ) throws(TokensError) -> Int {
        let digits = digits
        var at = start
        var pending: UInt32 = 0
        var bits = 0
        while at < text.count, case let digit = digits[Int(text[at])], digit != 255 {
            pending = (pending << 6 | UInt32(digit)) & 0xffff
            bits += 6
            if bits >= 8 {
                bits -= 8
                token.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
            at += 1
        }
        while at < text.count, text[at] == UInt8(ascii: "=") { at += 1 }
        guard (at - start) % 4 == 0 else { throw TokensError(file: Self.file, line: line, "base64 comes in groups of four") }
        return at
    }

    /// The ids of all tokens.
    ///
    /// - Complexity: O(n) for ordinary text, O(n log n) at worst.
    public func ids(_ text: String) -> [Int32] {
        var text = text
        text.makeContiguousUTF8()
        var ids: [Int32] = []
        var merger = BytePairMerger(ranks: ranks, singles: singles)
        let bytes = text.utf8.span
        ids.reserveCapacity(bytes.count / 3)
        var at = 0
        while at < bytes.count {
            let end = CL100KSplitter.endOfPiece(bytes, at)
            merger.encode(bytes, at..<end, into: &ids)
            at = end
        }
        return ids
    }

    /// How many tokens a model of this encoding would read. A piece that is longer than any word (`countedBytesMax`) is cut, which may cost
    /// a token at each cut: merging it whole would hold thirty times its bytes.
    ///
    /// - Complexity: as `ids`; memory for the longest piece, up to `countedBytesMax`.
    public func count(_ text: String) -> Int {
        var text = text
        text.makeContiguousUTF8()
        var (count, ids): (Int, [Int32]) = (0, [])
        var merger = BytePairMerger(ranks: ranks, singles: singles)
        let bytes = text.utf8.span
        var at = 0
        while at < bytes.count {
            let end = CL100KSplitter.endOfPiece(bytes, at)
            while at < end {
                let cut = min(end, at + Self.countedBytesMax)
                merger.encode(bytes, at..<cut, into: &ids)
                count += ids.count
                ids.removeAll(keepingCapacity: true)
                at = cut
            }
        }
        return count
    }

    private static let countedBytesMax = 1 << 20

    /// The text that the tokens stand for; where they begin or end inside a character, U+FFFD stands for it. Nil when one of them is no token.
    ///
    /// - Complexity: O(bytes of the text).
    public func text(_ ids: [Int]) -> String? {
        var bytes: [UInt8] = []
        for id in ids {
            guard entries.indices.contains(id), entries[id] >= 0 else { return nil }
            bytes += ranks.key(ofEntry: Int(entries[id]))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
