/// Cuts text into the word pieces of an uncased BERT vocabulary, exactly as the `tokenizers` library does.
///
/// Each word becomes the longest piece that begins it, then the longest that goes on (`##`), and so on; a word of which
/// a part fits no piece, or of more than 100 scalars, becomes `[UNK]`.
public struct WordPieceTokenizer: Sendable {
    private let initial: ByteTable
    private let continuing: ByteTable
    private let unknown: Int32
    private let classification: Int32
    private let separator: Int32
    /// Pieces of the vocabulary; every id is below it.
    public let count: Int
    /// Texts such as `[MASK]` that the library takes out before anything else, and their pieces.
    private let special: [(text: [UInt8], id: Int32)]

    private static let wordScalarsMax = 100
    /// Far above the 30,522 pieces of the model's vocabulary, far below what would hurt.
    private static let piecesMax = 1 << 20

    /// - Parameter vocabulary: `vocab.txt`: a piece a line, its number is the line's (from 0).
    /// - Throws: when `[UNK]`, `[CLS]` or `[SEP]` is missing, or the file is no such list.
    /// - Complexity: O(bytes); 30,522 pieces take about 2 ms.
    public init(vocabulary: [UInt8]) throws(TokensError) {
        let file = "vocab.txt"
        var lines = 0
        for byte in vocabulary where byte == 10 { lines += 1 }
        guard lines < Self.piecesMax else { throw TokensError(file: file, "\(lines) lines, at most \(Self.piecesMax) are expected") }
        let text = vocabulary.span
        var initial = ByteTable(capacity: lines + 1, keyBytes: text.count)
        var continuing = ByteTable(capacity: lines + 1, keyBytes: text.count)
        let hash = UInt8(ascii: "#")
        var start = 0
        var number: Int32 = 0
        while start < text.count {
            var next = start
            while next < text.count && text[next] != 10 { next += 1 }
            var end = next
            if end > start && text[end - 1] == 13 { end -= 1 }
            let continues = end - start > 2 && text[start] == hash && text[start + 1] == hash
            let fresh =
                continues
                ? continuing.insert(text, start + 2..<end, value: number)
                : initial.insert(text, start..<end, value: number)
            guard fresh else { throw TokensError(file: file, line: Int(number) + 1, "the piece occurs twice") }
            number += 1
            start = next + 1
        }
        func required(_ piece: String) throws(TokensError) -> Int32 {
            let bytes = Array(piece.utf8)
            guard let id = initial.find(bytes.span, 0..<bytes.count) else { throw TokensError(file: file, "the piece \(piece) is missing") }
            return id
        }
        unknown = try required("[UNK]")
        classification = try required("[CLS]")
        separator = try required("[SEP]")
        var special: [(text: [UInt8], id: Int32)] = []
        for piece in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] {
            let bytes = Array(piece.utf8)
            if let id = initial.find(bytes.span, 0..<bytes.count) { special.append((bytes, id)) }
        }
        self.special = special
        count = Int(number)
        self.initial = initial
        self.continuing = continuing
    }

    /// The numbers of the pieces, between `[CLS]` and `[SEP]`.
    ///
    /// - Parameter limit: most numbers to return, those two included (the model was trained with 256); nil for all.
    /// - Complexity: O(bytes read); reading stops when the limit is reached.
    public func ids(_ text: String, limit: Int? = 256) -> [Int32] {
        var run = Run(tokenizer: self, room: limit.map { max(0, $0 - 2) } ?? .max)
        run.read(text)
        return run.ids
    }

    /// Whether the vocabulary has pieces for most of what the model would read of a text.
    ///
    /// Letters and digits count, not pieces: a language without spaces is one `[UNK]` a sentence, beside which a key of two English words would
    /// be the greater part. Texts of which most is unknown all look alike to the model. So do, nearly, those that it spells letter by letter,
    /// because its vocabulary has the letters of their script and none of the words: two questions about other things have a cosine of .6 there, and
    /// words alone are the better guide (docs/decisions/0062-scripts.md). Hence a letter beyond ASCII counts only in a piece of several.
    /// - Complexity: O(bytes read); some 1 ns a byte of text in Latin letters.
    public func reads(_ text: String, limit: Int? = 256) -> Bool {
        if Self.isLatin(text) { return true }
        var run = Run(tokenizer: self, room: limit.map { max(0, $0 - 2) } ?? .max)
        run.read(text)
        return run.unknownScalars <= run.knownScalars
    }

    /// ASCII and Latin-1 letters in words of usual length: all of them are pieces.
    private static func isLatin(_ text: String) -> Bool {
        var length = 0
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...0xBF, 0xC3:
                length += 1
                // Bytes are as many as scalars, or more.
                if length > wordScalarsMax { return false }
            case 0xC0...: return false
            default: length = 0
            }
        }
        return true
    }

    /// One text on its way through the tokenizer.
    private struct Run {
        let tokenizer: WordPieceTokenizer
        let room: Int
        var ids: [Int32]
        /// Letters and digits in pieces that mean something, and all others.
        private(set) var knownScalars = 0
        private(set) var unknownScalars = 0
        private var counts = true
        private var pieces = 0
        private var word: [UInt8] = []
        private var wordScalars = 0

        init(tokenizer: WordPieceTokenizer, room: Int) {
            self.tokenizer = tokenizer
            self.room = room
            ids = [tokenizer.classification]
        }

        mutating func read(_ text: String) {
            let scalars = text.unicodeScalars
            var normalizer = BertNormalizer()
            var index = scalars.startIndex
            while index < scalars.endIndex && pieces < room {
                let scalar = scalars[index]
                if scalar == "[", let found = tokenizer.special.first(where: { text.utf8[index...].starts(with: $0.text) }) {
                    normalizer.finish { take($0) }
                    endWord()
                    emit(found.id)
                    index = text.utf8.index(index, offsetBy: found.text.count)
                    continue
                }
                normalizer.add(scalar) { take($0) }
                scalars.formIndex(after: &index)
            }
            normalizer.finish { take($0) }
            endWord()
            ids.append(tokenizer.separator)
        }

        private mutating func emit(_ id: Int32) {
            guard pieces < room else { return }
            ids.append(id)
            pieces += 1
        }

        private mutating func take(_ part: NormalizedPart) {
            switch part {
            case .letter(let scalar): append(scalar)
            case .boundary: endWord()
            case .alone(let scalar):
                endWord()
                // Punctuation is read in any language.
                counts = scalar.properties.isAlphabetic
                append(scalar)
                endWord()
                counts = true
            }
        }

        /// A word that is too long already is only counted, so that a megabyte without a space needs no memory.
        private mutating func append(_ scalar: Unicode.Scalar) {
            wordScalars += 1
            guard wordScalars <= WordPieceTokenizer.wordScalarsMax else { return }
            if scalar.value < 128 {
                word.append(UInt8(truncatingIfNeeded: scalar.value))
            } else {
                word.append(contentsOf: UTF8.encode(scalar)!)
            }
        }

        private mutating func endWord() {
            if wordScalars == 0 { return }
            defer {
                word.removeAll(keepingCapacity: true)
                wordScalars = 0
            }
            guard pieces < room else { return }
            guard wordScalars <= WordPieceTokenizer.wordScalarsMax else {
                if counts { unknownScalars += wordScalars }
                return emit(tokenizer.unknown)
            }
            let before = (ids.count, pieces)
            var start = 0
            var spelled = 0
            while start < word.count {
                let table = start == 0 ? tokenizer.initial : tokenizer.continuing
                guard let (id, end) = longest(in: table, from: start) else {
                    ids.removeLast(ids.count - before.0)
                    pieces = before.1
                    if counts { unknownScalars += wordScalars }
                    return emit(tokenizer.unknown)
                }
                ids.append(id)
                pieces += 1
                if word[start] >= 0x80, end - start == Self.length(word[start]) { spelled += 1 }
                start = end
            }
            if counts {
                knownScalars += wordScalars - spelled
                unknownScalars += spelled
            }
            if pieces > room {
                ids.removeLast(pieces - room)
                pieces = room
            }
        }

        /// Of a scalar beyond ASCII, by its first byte.
        private static func length(_ lead: UInt8) -> Int { lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4 }

        /// The longest piece that begins at `start`. Every prefix is hashed on the way, so it costs one pass; a prefix
        /// that ends inside a scalar is no piece, because pieces are whole scalars.
        private func longest(in table: ByteTable, from start: Int) -> (id: Int32, end: Int)? {
            var hash = ByteTable.Hash()
            var best: (id: Int32, end: Int)?
            let bytes = word.span
            let last = min(word.count, start + table.longestKey)
            var end = start
            while end < last {
                hash.add(bytes[end])
                end += 1
                if let id = table.find(bytes, start..<end, hash) { best = (id, end) }
            }
            return best
        }
    }
}
