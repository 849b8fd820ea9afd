// How a long node falls into passages.
//
// The text is taken apart at every bound that it has, each with a strength: a blank line or another member of an object, a line that is a record
// (a row, an item of a list, a statement), the end of a sentence, and where a piece has none of these, a space. Of all ways to put the
// pieces together again into passages the one of the least cost is taken: a passage has a cost as it is smaller or larger than
// wished for, a cut as its bound is weak, and a passage that runs over a strong bound a little too, so that a paragraph stays a
// passage where it can.
//
// A cut inside a paragraph repeats the last sentence before it: what refers to it is found with it.

internal import Base

/// How large passages are, in pieces of the model's vocabulary (TokenEstimate).
struct PassageSize {
    /// What up to so many is one passage. The model reads 256, of which key, path and context take some.
    static let whole = 220
    var wished = 128
    var largest = 192
    /// Of the sentence that is repeated.
    static let overlap = 40

    static let standard = PassageSize()

    /// So that a document of so many pieces keeps to the number of passages that it may have.
    static func forDocument(of tokens: Int) -> PassageSize {
        let factor = (tokens / Limits.passagesPerDocument + 1 + standard.wished / 2) / (standard.wished / 2)
        return factor <= 1 ? standard : PassageSize(wished: factor * standard.wished, largest: factor * standard.largest)
    }
}

/// What may be cut at, the stronger the larger.
enum PassageBound: Int, Comparable {
    case space, sentence, record, paragraph, heading

    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// Of a cut here.
    var cutCost: Float {
        switch self {
        case .space: 0.6
        case .sentence: 0.1
        case .record: 0.05
        case .paragraph, .heading: 0
        }
    }

    /// Of a passage that runs over it.
    var crossingCost: Float {
        switch self {
        case .space, .sentence, .record: 0
        case .paragraph: 0.35
        case .heading: 0.5
        }
    }
}

enum PassageCutter {
    /// A piece that is not cut.
    struct Piece {
        let start: PassageBounds.Place
        let end: PassageBounds.Place
        let tokens: Int
        /// Before it.
        let bound: PassageBound
    }

    /// The passages of a node, nil when it is one.
    /// - Complexity: O(size of the value x pieces of a passage).
    static func passages(_ leaves: [PassageLeaf], kind: String, size: PassageSize) -> [PassageBounds]? {
        var bytes = 0
        for leaf in leaves { bytes += leaf.text.utf8.count + leaf.name.utf8.count }
        guard bytes > PassageSize.whole, tokens(leaves) > PassageSize.whole else { return nil }
        let pieces = pieces(leaves, isCode: kind == NodeKind.codeBlock.rawValue, size)
        let starts = cuts(pieces, size)
        guard starts.count > 1 else { return nil }
        return zip(starts, starts.dropFirst() + [pieces.count]).map { start, end in
            PassageBounds(start: pieces[withOverlap(start, pieces)].start, end: pieces[end - 1].end)
        }
    }

    static func tokens(_ leaves: [PassageLeaf]) -> Int {
        leaves.reduce(0) { $0 + tokens($1.text.utf8, isJSON: $1.isJSON) + ($1.name.isEmpty ? 0 : 2) }
    }

    /// Of JSON inside a string the model gets the words.
    private static func tokens(_ text: some Swift.Sequence<UInt8>, isJSON: Bool) -> Int {
        isJSON ? TokenEstimate.tokens(text.lazy.map { JSONInText.isSign($0) ? 0x20 : $0 }) : TokenEstimate.tokens(text)
    }

    /// Places of the pieces that passages begin with.
    static func cuts(_ pieces: [Piece], _ size: PassageSize) -> [Int] {
        // best[n]: the least cost of the pieces before n, and where its last passage begins.
        var best = [(cost: Float, start: Int)](repeating: (.infinity, 0), count: pieces.count + 1)
        best[0] = (0, 0)
        let wished = Float(size.wished)
        for end in 1..<(pieces.count + 1) {
            var (tokens, crossing, start) = (0, Float(0), end)
            while start > 0 {
                start -= 1
                tokens += pieces[start].tokens
                // A piece alone may be as large as it is.
                if tokens > size.largest, start < end - 1 { break }
                let distance = (Float(tokens) - wished) / wished
                let own = distance < 0 ? 0.5 * distance * distance : distance * distance
                let cut = start == 0 ? 0 : pieces[start].bound.cutCost
                let cost = best[start].cost + own + crossing + cut
                if cost < best[end].cost { best[end] = (cost, start) }
                crossing += pieces[start].bound.crossingCost
            }
        }
        var starts: [Int] = []
        var end = pieces.count
        while end > 0 {
            end = best[end].start
            starts.append(end)
        }
        return starts.reversed()
    }

    /// Where a passage begins that repeats the sentence before it.
    private static func withOverlap(_ start: Int, _ pieces: [Piece]) -> Int {
        guard start > 0, pieces[start].bound <= .sentence else { return start }
        let before = pieces[start - 1]
        return before.tokens <= PassageSize.overlap && before.start.leaf == pieces[start].start.leaf ? start - 1 : start
    }

    private static func pieces(_ leaves: [PassageLeaf], isCode: Bool, _ size: PassageSize) -> [Piece] {
        var pieces: [Piece] = []
        for (number, leaf) in leaves.enumerated() {
            // An item of a list belongs to those beside it, another member less.
            let bound: PassageBound = number > 0 && leaf.name == leaves[number - 1].name ? .record : .paragraph
            add(Array(leaf.text.utf8), leaf: number, bound: bound, isCode: isCode, isJSON: leaf.isJSON, size, to: &pieces)
        }
        return pieces
    }

    private static func add(
        _ bytes: [UInt8], leaf: Int, bound: PassageBound, isCode: Bool, isJSON: Bool, _ size: PassageSize, to pieces: inout [Piece]
    ) {
        var next = bound
        func add(_ range: Range<Int>) {
            let piece = TextNodes.trimmedBytes(bytes[range])
            guard !piece.isEmpty else { return }
            let tokens = Self.tokens(piece, isJSON: isJSON)
            let place = (piece.startIndex, piece.endIndex)
            if tokens <= size.largest {
                pieces.append(
                    Piece(start: .init(leaf: leaf, byte: place.0), end: .init(leaf: leaf, byte: place.1), tokens: max(1, tokens), bound: next))
                return
            }
            var bound = next
            for part in split(bytes, piece.startIndex..<piece.endIndex, tokensMax: size.wished) {
                let tokens = Self.tokens(bytes[part], isJSON: isJSON)
                pieces.append(
                    Piece(
                        start: .init(leaf: leaf, byte: part.lowerBound), end: .init(leaf: leaf, byte: part.upperBound), tokens: max(1, tokens), bound: bound))
                bound = .space
            }
        }
        for line in TextLines(bytes) {
            let content = TextNodes.trimmedBytes(bytes[line])
            if content.isEmpty {
                next = max(next, .paragraph)
                continue
            }
            let isRecord = isCode || isRecord(content)
            if isRecord { next = max(next, .record) }
            var start = line.lowerBound
            if !isRecord {
                for end in sentenceEnds(bytes, line) {
                    add(start..<end)
                    next = .sentence
                    start = end
                }
            }
            if start < line.upperBound {
                add(start..<line.upperBound)
                next = isRecord ? .record : .space
            }
        }
    }

    /// Whether a line stands for itself: a row of a table, an item of a list, a heading, a statement, a short line.
    private static func isRecord(_ line: ArraySlice<UInt8>) -> Bool {
        guard let first = line.first, let last = line.last else { return false }
        if "|-*+#>{}[]<".utf8.contains(first) || ";{}>|,:".utf8.contains(last) { return true }
        if line.count < 48 { return true }
        let rest = line.drop { $0 &- 0x30 < 10 }
        return rest.startIndex > line.startIndex && rest.first.map { ".):".utf8.contains($0) } == true
    }

    /// Behind the white space that follows the end of a sentence; the end of the line not counted.
    private static func sentenceEnds(_ bytes: [UInt8], _ line: Range<Int>) -> [Int] {
        var ends: [Int] = []
        var at = line.lowerBound
        while at < line.upperBound {
            var width = 0
            switch bytes[at] {
            case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"):
                if at + 1 < line.upperBound, TextNodes.isSpace(bytes[at + 1]) { width = 1 }
            // 。 ！ ？ ｡ । end one without a space.
            case 0xE3 where at + 2 < line.upperBound && bytes[at + 1] == 0x80 && bytes[at + 2] == 0x82: width = 3
            case 0xEF where at + 2 < line.upperBound && bytes[at + 1] == 0xBC && (bytes[at + 2] == 0x81 || bytes[at + 2] == 0x9F): width = 3
            case 0xEF where at + 2 < line.upperBound && bytes[at + 1] == 0xBD && bytes[at + 2] == 0xA1: width = 3
            case 0xE0 where at + 2 < line.upperBound && bytes[at + 1] == 0xA5 && bytes[at + 2] & 0xFE == 0xA4: width = 3
            default: break
            }
            at += max(1, width)
            guard width > 0 else { continue }
            while at < line.upperBound, TextNodes.isSpace(bytes[at]) { at += 1 }
            if at < line.upperBound { ends.append(at) }
        }
        return ends
    }

    /// Of a piece without bounds: at spaces, or where there are none, between characters.
    private static func split(_ bytes: [UInt8], _ range: Range<Int>, tokensMax: Int) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            // A piece of the vocabulary is a byte at least and eight at most, but for what a long word hides.
            var end = min(range.upperBound, start + 8 * tokensMax)
            while TokenEstimate.tokens(bytes[start..<end]) > tokensMax { end = start + max(1, (end - start) / 2) }
            if end < range.upperBound {
                let least = start + (end - start) / 2
                if let space = bytes[least..<end].lastIndex(where: TextNodes.isSpace) { end = space + 1 }
                while end > start + 1, bytes[end] & 0xC0 == 0x80 { end -= 1 }
                // One character of four bytes is more than nothing.
                while end < range.upperBound, bytes[end] & 0xC0 == 0x80 { end += 1 }
            }
            parts.append(start..<end)
            start = end
        }
        return parts
    }
}
