@_spi(_Unicode) internal import Swift
// From text to terms: what is searched for and what is found must pass through the same mill.
//
//   "Café sign-ups: getUserNames(42)"  ->  cafe sign-ups sign up getusernames get user name 42          (english)
//
// 0. One form: what Unicode calls compatible or composed otherwise is made equal (NFKC, NormalForm.swift): ﬁ, ｆｉ and fi are one, half-width
//    kana are kana, ² is 2; but ™ is no letters.
// 1. Words: a word is a longest run of letters, digits and marks, as Unicode's word boundaries (UAX 29) have it but for two
//    things: an apostrophe between two letters is dropped ("user's" is "users", "don't" "dont": .01 on cacm against tokens "s" and "t"),
//    and what UAX 29 joins with a sign ("3.14", "a_b") is a compound, below.
// 2. Scripts without spaces between words (Chinese, Japanese; Thai, Lao, Khmer, Burmese and others of South East Asia), and Hangul, whose
//    words end in particles: a run gives its pairs of neighbours, and each neighbour that may be a word by itself ("数据库": 数, 数据, 据, 据库, 库):
//    ideographs, Hangul syllables, and of the others letters with a vowel sign. A neighbour is a letter with its marks; kana are in pairs only.
//    No dictionary: its words change with its version, and an index must not (docs/decisions/0062-scripts.md has the figures).
// 3. Compounds (not `simple`): words joined by one of _ - . / : @ # + give the whole, as it stands, and then the words:
//    "snake_case", "kebab-case", "src/main.swift", "std.io", "3.14". An exact name is then one rare term.
// 4. Numbers (not `simple`) give what is written, as a compound does, and then their value, when that is written differently: "19.90" gives
//    19.90, 19, 90 and 19.9; "1,299.00" also 1299 (NumberText.swift). Digits of all scripts are those of ASCII.
// 5. camelCase (not `simple`): a word with an inner capital gives itself and then its parts ("getUserNames": the whole, get, User,
//    Names; "HTTPServer": the whole, HTTP, Server). A need in plain words then finds a key of a document.
// 6. Folding: lower case by Unicode's full mapping and final sigma as sigma; Latin, Greek and Cyrillic letters lose their accents
//    (U+0300...U+036F); Arabic and Hebrew lose the vowel signs that most texts leave out, Arabic its tatweel and what tells the forms of alef,
//    yeh and teh marbuta apart, as writers mix them: "café" is "cafe", "كِتَابـــ" "كتاب". Everything is bytes afterwards: two terms are equal when
//    their bytes are.
// 7. `english` only: the 33 stop words of Lucene's English analyzer go, and words of ASCII letters and digits are stemmed
//    (PorterStemmer).
//
// A term over `termBytesMax` (a hash, a base64 text) is cut and gets the checksum of the whole as its end, so that an
// exact search still finds it and a record of the store still holds it.
//
// This is format: a change of any rule is a change of what the index holds, and needs a new `version`.

internal import Base

/// Splits, folds and stems text. The same for documents and queries.
public struct Analyzer: Sendable, Hashable {
    /// Kept in the state of an index: fulltext-v1.md.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// Compounds, camelCase, stop words, stems.
        case english = 0
        /// Folded words and nothing more, for other languages.
        case simple = 1
        /// Compounds and camelCase, every word as it is.
        case code = 2

        /// As users write it.
        public var name: String {
            switch self {
            case .english: "english"
            case .simple: "simple"
            case .code: "code"
            }
        }

        public init?(name: String) {
            guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
            self = kind
        }
    }

    /// Of the rules above. An index of another version must be built anew.
    public static let version: UInt8 = 2
    /// Longer terms are cut to `termBytesMax - 8` and end with eight hexadecimal digits of CRC-32C.
    static let termBytesMax = 64

    public let kind: Kind

    public init(_ kind: Kind = .english) { self.kind = kind }

    /// The terms of `text` in order, with repeats.
    /// - Complexity: O(length).
    public func terms(_ text: String) -> [String] {
        let list = list(text)
        return (0..<list.count).map { list.text($0) }
    }

    func list(_ text: String) -> TermList {
        var splitter = TermSplitter(kind)
        var text = text
        if text.withUTF8({ unsafe splitter.read($0) }) { return splitter.finish() }
        splitter = TermSplitter(kind, isNormal: true)
        let normal = NormalForm.of(text)
        _ = unsafe normal.withUnsafeBufferPointer { unsafe splitter.read($0) }
        return splitter.finish()
    }
}

/// What an ASCII character is to the splitter.
private enum ByteClass: UInt8 { case space, lower, upper, digit, apostrophe, comma, joiner }

/// The compound being gathered, already folded, and where its words and their camelCase parts begin.
private struct TermSplitter {
    private var list = TermList()
    private let kind: Analyzer.Kind
    private let splitsCompounds: Bool
    private let classes: [ByteClass]
    private let stopWords: StopWords
    private var compound: [UInt8] = []
    /// Offsets in `compound` at which a word begins, without the first; a joiner stands before each.
    private var words: [Int] = []
    /// Offsets at which a camelCase part begins, without those that begin a word.
    private var parts: [Int] = []
    private var previous = Case.none
    /// An apostrophe after a letter: what follows decides whether it is inside a word.
    private var apostrophe = false
    /// A joiner after a word: what follows decides whether it is inside a compound. 0 when there is none.
    private var joiner: UInt8 = 0
    private var wordStart = 0
    /// Where the previous scalar's bytes begin: the part boundary when "S" in "HTTPServer" turns out to be one.
    private var previousStart = 0
    /// Of a run in a script without spaces: the letter with its marks that is being read, the one before it, and how many have begun.
    private var cluster: [UInt8] = []
    private var neighbour: [UInt8] = []
    private var clusters = 0
    private var isWord = false
    /// The next letter is a part of this one: it is written below it.
    private var stacks = false
    /// Digits before a comma that may be the thousands of what follows, and how many groups of them.
    private var thousands: [UInt8] = []
    private var groups = 0
    /// The text is in its normal form.
    private let isNormal: Bool
    private var mustNormalise = false
    private var afterMark = false
    private var stemmer = PorterStemmer()
    private var term: [UInt8] = []

    private enum Case { case none, lower, upper, other }

    private static let table: [ByteClass] = (0..<128).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): .lower
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): .upper
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .digit
        case UInt8(ascii: "'"): .apostrophe
        case UInt8(ascii: ","): .comma
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "@"),
            UInt8(ascii: "#"), UInt8(ascii: "+"): .joiner
        default: .space
        }
    }

    init(_ kind: Analyzer.Kind, isNormal: Bool = false) {
        self.kind = kind
        self.isNormal = isNormal
        splitsCompounds = kind != .simple
        classes = Self.table
        stopWords = StopWords.standard
    }

    /// False when the text has to be brought into its normal form first: what has been read of it counts for nothing.
    mutating func read(_ utf8: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        while index < utf8.count {
            let byte = unsafe utf8[index]
            if byte < 0x80 {
                index += 1
                ascii(byte)
                // The rest of a word in small letters, which is most of any text.
                while previous == .lower, !apostrophe, joiner == 0, index < utf8.count {
                    let next = unsafe utf8[index]
                    guard next < 0x80, classes[Int(next)] == .lower else { break }
                    previousStart = compound.count
                    compound.append(next)
                    index += 1
                }
            } else {
                // The bytes are a String's and so valid: the lead byte tells the length.
                let count = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
                var value = UInt32(byte) & (0x7F >> UInt32(count))
                for offset in 1..<count { value = unsafe value << 6 | UInt32(utf8[index + offset] & 0x3F) }
                if let scalar = Unicode.Scalar(value) { self.scalar(scalar) }
                if mustNormalise { return false }
                index += count
            }
        }
        return true
    }

    private mutating func ascii(_ byte: UInt8) {
        switch classes[Int(byte)] {
        case .lower: append(byte, .lower)
        case .upper: append(byte | 0x20, .upper)
        case .digit: append(byte, .other)
        case .apostrophe: noteApostrophe()
        case .comma: noteComma()
        case .joiner: noteJoiner(byte)
        case .space: endRun()
        }
    }

    private mutating func noteApostrophe() {
        let afterLetter = !apostrophe && joiner == 0 && (previous == .lower || previous == .upper)
        if !afterLetter { endRun() }
        apostrophe = afterLetter
    }

    private mutating func noteJoiner(_ byte: UInt8) {
        if !splitsCompounds || compound.isEmpty || joiner != 0 || apostrophe || clusters > 0 {
            endRun()
        } else {
            joiner = byte
        }
    }

    private mutating func append(_ byte: UInt8, _ letterCase: Case) {
        noteBoundary(letterCase)
        compound.append(byte)
    }

    private mutating func noteComma() {
        let isGroup =
            splitsCompounds && words.isEmpty && joiner == 0 && !apostrophe && compound.count <= 3 && (compound.count == 3 || thousands.isEmpty)
            && !compound.isEmpty && compound.allSatisfy(NumberText.isDigit)
        guard isGroup else { return endRun() }
        let (before, digits, count) = (thousands, compound, groups)
        // Its own value is of no use, and it ends none.
        thousands = []
        endRun()
        (thousands, groups) = (before + digits, count + 1)
    }

    private mutating func scalar(_ scalar: Unicode.Scalar) {
        if !isNormal, NormalForm.mayChange(scalar) {
            mustNormalise = true
            return
        }
        switch scalar.value {
        case 0x300...0x36F, 0xFE00...0xFE0F, 0xE0100...0xE01EF:
            // Accents, and the choice between shapes of a letter.
            return
        case 0x2019:
            noteApostrophe()
            return
        case 0x200B:
            // A space without width: a boundary of words.
            endRun()
            return
        case 0x640, 0x610...0x61A, 0x64B...0x65F, 0x670, 0x6D6...0x6DC, 0x6DF...0x6E4, 0x6E7...0x6E8, 0x6EA...0x6ED, 0x8D3...0x8FF, 0x591...0x5BD, 0x5BF,
            0x5C1...0x5C2, 0x5C4...0x5C5, 0x5C7:
            // Vowel signs and tatweel.
            return
        default: break
        }
        let properties = scalar.properties
        let category = properties.generalCategory
        if category == .nonspacingMark || category == .spacingMark {
            // Two in another order than the normal one are the same two.
            if afterMark, !isNormal { mustNormalise = true }
            afterMark = true
            noteMark(scalar)
            return
        }
        afterMark = false
        if category == .decimalNumber {
            append(UInt8(ascii: "0") + UInt8(properties.numericValue ?? 0), .other)
            return
        }
        if let script = UnspacedScript(scalar) {
            // Katakana's middle dot and the signs of the scripts are no letters.
            guard properties.isAlphabetic || scalar.value == 0x3007 else { return endRun() }
            noteCluster(scalar, script)
            return
        }
        switch category {
        case .lowercaseLetter:
            noteBoundary(.lower)
            fold(scalar)
        case .uppercaseLetter, .titlecaseLetter:
            noteBoundary(.upper)
            for lower in properties.lowercaseMapping.unicodeScalars { fold(lower) }
        case .modifierLetter, .otherLetter, .letterNumber:
            noteBoundary(.other)
            for lower in properties.lowercaseMapping.unicodeScalars { fold(lower) }
        case .format:
            // Zero-width joiners and soft hyphens are inside words.
            break
        default:
            endRun()
        }
    }

    private mutating func noteMark(_ scalar: Unicode.Scalar) {
        if clusters > 0 {
            cluster.append(contentsOf: Array(String(scalar).utf8))
            isWord = true
            stacks = UnspacedScript.stacks(scalar)
            return
        }
        if apostrophe || joiner != 0 { endRun() }
        // What tells letters of Indic scripts apart that are mixed up in writing.
        if !compound.isEmpty, !Self.nuktas.contains(scalar.value) { fold(scalar) }
    }

    private static let nuktas: Set<UInt32> = [0x93C, 0x9BC, 0xA3C, 0xABC, 0xB3C, 0xCBC]

    /// A letter of a script without spaces.
    private mutating func noteCluster(_ scalar: Unicode.Scalar, _ script: UnspacedScript) {
        if !compound.isEmpty || clusters == 0 { endRun() }
        if stacks {
            stacks = false
            cluster += Array(String(scalar).utf8)
            return
        }
        if clusters > 0 { closeCluster() }
        cluster = Array(String(scalar).utf8)
        clusters += 1
        isWord = script == .ideographs
    }

    private mutating func closeCluster() {
        if clusters > 1 { emit(run: neighbour + cluster) }
        if isWord { emit(run: cluster) }
        neighbour = cluster
    }

    /// Appends a lower-case scalar without its accents.
    private mutating func fold(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\u{0}"..."\u{7F}": compound.append(UInt8(scalar.value))
        case "ß": compound += Array("ss".utf8)
        case "æ": compound += Array("ae".utf8)
        case "œ": compound += Array("oe".utf8)
        case "þ": compound += Array("th".utf8)
        case "ς": compound += Array("σ".utf8)
        case "ø": compound.append(UInt8(ascii: "o"))
        case "đ", "ð": compound.append(UInt8(ascii: "d"))
        case "ł": compound.append(UInt8(ascii: "l"))
        case "ħ": compound.append(UInt8(ascii: "h"))
        case "ŧ": compound.append(UInt8(ascii: "t"))
        case "ı": compound.append(UInt8(ascii: "i"))
        case "\u{622}", "\u{623}", "\u{625}", "\u{671}": compound += Array("\u{627}".utf8)
        case "\u{649}", "\u{6CC}": compound += Array("\u{64A}".utf8)
        case "\u{629}": compound += Array("\u{647}".utf8)
        case "\u{6A9}": compound += Array("\u{643}".utf8)
        case "\u{80}"..."\u{52F}", "\u{1E00}"..."\u{1FFF}":
            // Latin, Greek, Cyrillic: the base letter without its diacritics.
            for base in String(scalar)._nfd where !(0x300...0x36F).contains(base.value) {
                // ǣ has an æ below its accent.
                if base == scalar { compound += Array(String(base).utf8) } else { fold(base) }
            }
        default: compound += Array(String(scalar).utf8)
        }
    }

    private mutating func noteBoundary(_ letterCase: Case) {
        if clusters > 0 { endClusters() }
        if apostrophe {
            if letterCase == .other { endCompound() }
            apostrophe = false
        }
        if joiner != 0 {
            compound.append(joiner)
            joiner = 0
            wordStart = compound.count
            words.append(wordStart)
            previous = .none
        }
        if splitsCompounds {
            if letterCase == .upper && previous == .lower {
                parts.append(compound.count)
            } else if letterCase == .lower && previous == .upper && previousStart > wordStart && parts.last != previousStart {
                parts.append(previousStart)
            }
        }
        previous = letterCase
        previousStart = compound.count
    }

    private mutating func endRun() {
        if clusters > 0 { endClusters() }
        endCompound()
    }

    private mutating func endClusters() {
        closeCluster()
        if clusters == 1, !isWord { emit(run: cluster) }
        clusters = 0
        stacks = false
    }

    private mutating func endCompound() {
        previous = .none
        apostrophe = false
        joiner = 0
        if compound.isEmpty {
            if groups > 0 { endThousands(false) }
            return
        }
        if words.isEmpty {
            emitWord(0, compound.count, 0..<parts.count)
        } else {
            emit(0, compound.count, isWord: false)
            var (start, part) = (0, 0)
            for place in 0...words.count {
                let end = place < words.count ? words[place] - 1 : compound.count
                var partEnd = part
                while partEnd < parts.count, parts[partEnd] < end { partEnd += 1 }
                emitWord(start, end, part..<partEnd)
                part = partEnd
                start = end + 1
            }
        }
        if splitsCompounds, NumberText.isDigit(compound[0]), groups == 0 || !NumberText.isGroup(compound[...]) { emitValue() }
        if groups > 0 { endThousands(true) }
        words.removeAll(keepingCapacity: true)
        parts.removeAll(keepingCapacity: true)
        compound.removeAll(keepingCapacity: true)
        wordStart = 0
        previousStart = 0
    }

    /// Of a number, unless it is one of its words.
    private mutating func emitValue() {
        guard let value = NumberText.value(compound[...]) else { return }
        if !words.isEmpty, compound[..<(words[0] - 1)].elementsEqual(value) { return }
        list.append(value)
    }

    /// `1,299.00`: also its value without the comma. A list without spaces looks the same, and has one term too many.
    /// - Parameter hasLast: what follows the comma is in `compound`.
    private mutating func endThousands(_ hasLast: Bool) {
        defer {
            thousands = []
            groups = 0
        }
        if thousands.isEmpty { return }
        let isLast = hasLast && NumberText.isGroup(compound[...]) && (compound.count == 3 || compound[3] == UInt8(ascii: "."))
        guard isLast || groups > 1 else { return }
        let whole = thousands + (isLast ? compound : [])
        list.append(NumberText.value(whole[...]) ?? whole)
    }

    private mutating func emitWord(_ start: Int, _ end: Int, _ range: Range<Int>) {
        emit(start, end, isWord: true)
        if range.isEmpty { return }
        var from = start
        for place in range {
            emit(from, parts[place], isWord: true)
            from = parts[place]
        }
        emit(from, end, isWord: true)
    }

    /// A term of a run in a script without spaces.
    private mutating func emit(run bytes: [UInt8]) { if bytes.count > Analyzer.termBytesMax { emit(cut: bytes[...]) } else { list.append(bytes) } }

    private mutating func emit(cut bytes: ArraySlice<UInt8>) {
        var cut = bytes.startIndex + Analyzer.termBytesMax - 8
        while bytes[cut] & 0xC0 == 0x80 { cut -= 1 }
        term.removeAll(keepingCapacity: true)
        term += bytes[..<cut]
        let sum = CRC32C.of(Array(bytes))
        for shift in stride(from: UInt32(28), through: 0, by: -4) { term.append(Self.hexadecimal[Int(sum >> shift & 15)]) }
        list.append(term)
    }

    private mutating func emit(_ start: Int, _ end: Int, isWord: Bool) {
        if end - start > Analyzer.termBytesMax { return emit(cut: compound[start..<end]) }
        guard isWord, kind == .english else {
            list.append(compound, start..<end)
            return
        }
        if stopWords.contains(compound, start, end) { return }
        term.removeAll(keepingCapacity: true)
        term += compound[start..<end]
        if term.allSatisfy({ $0 < 0x80 }) { stemmer.stem(&term) }
        list.append(term)
    }

    mutating func finish() -> TermList {
        endRun()
        defer { list = TermList() }
        return list
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}

/// The 33 words that Lucene's English analyzer leaves out, in a table without collisions worth speaking of.
private struct StopWords {
    private let slots: [UInt64]

    static let standard = StopWords(
        """
        a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was \
        will with
        """)

    private init(_ words: String) {
        var slots = [UInt64](repeating: 0, count: 128)
        for word in words.split(separator: " ") {
            let bytes = Array(word.utf8)
            let key = Self.key(bytes, 0, bytes.count)
            var slot = Self.slot(key)
            while slots[slot] != 0 { slot = (slot + 1) & 127 }
            slots[slot] = key
        }
        self.slots = slots
    }

    private static func key(_ bytes: [UInt8], _ start: Int, _ end: Int) -> UInt64 {
        var key: UInt64 = 0
        for place in start..<end { key = key << 8 | UInt64(bytes[place]) }
        return key
    }

    private static func slot(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 57) }

    func contains(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Bool {
        if end - start > 5 { return false }
        let key = Self.key(bytes, start, end)
        var slot = Self.slot(key)
        while slots[slot] != 0 {
            if slots[slot] == key { return true }
            slot = (slot + 1) & 127
        }
        return false
    }
}
