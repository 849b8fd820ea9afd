@_spi(_Unicode) internal import Swift
// From text to terms: what is searched for and what is found must pass through the same mill.
//
//   "Café sign-ups: getUserNames(42)"  ->  cafe sign up getusernam get user name 42
//
// 1. Split: a token is a longest run of letters, digits and marks. Everything else separates, the underscore too, so
//    snake_case falls apart by itself; but an apostrophe between two letters is dropped ("user's" is "users", "don't" "dont":
//    .01 on cacm against tokens "s" and "t"). Han ideographs, hiragana and katakana are written without spaces: each is a token of
//    its own. (Thai, Lao, Khmer and Burmese have no spaces either; their runs stay whole.)
// 2. camelCase: a token with an inner capital gives itself and then its parts ("getUserNames": the whole, get, User,
//    Names; "HTTPServer": the whole, HTTP, Server). A need in plain
//    words then finds a key of a document; on the four relevance sets it is worth between -.001 and +.003 of nDCG@10.
// 3. Lower case by Unicode's full mapping; Latin, Greek and Cyrillic letters lose their accents (U+0300...U+036F), ligatures
//    fall apart, full-width forms become ASCII: "café" is "cafe", composed or not. Everything is bytes afterwards: two terms are equal when their bytes are.
// 4. Stop words: the 33 of Lucene's English analyzer go.
// 5. Porter stems (PorterStemmer) for words of ASCII letters and digits.
//
// A token over `termBytesMax` (a hash, a base64 text) is cut and gets the checksum of the whole as its end, so that an
// exact search still finds it and a key of the store still holds it.
//
// This is format: a change of any rule is a change of what the index holds, and needs a new version of its records.

internal import Base

/// Splits, folds and stems text. The same for documents and queries.
public struct Analyzer: Sendable {
    /// Longer tokens are cut to `termBytesMax - 8` and end with eight hexadecimal digits of CRC-32C.
    static let termBytesMax = 64

    public init() {}

    /// The terms of `text` in order, with repeats.
    /// - Complexity: O(length), about 20 ns a byte.
    public func terms(_ text: String) -> [String] {
        var splitter = TermSplitter()
        var text = text
        text.withUTF8 { utf8 in
            var index = 0
            while index < utf8.count {
                let byte = unsafe utf8[index]
                if byte < 0x80 {
                    splitter.ascii(byte)
                    index += 1
                } else {
                    // The bytes are a String's and so valid: the lead byte tells the length.
                    let count = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
                    var value = UInt32(byte) & (0x7F >> UInt32(count))
                    for offset in 1..<count { value = unsafe value << 6 | UInt32(utf8[index + offset] & 0x3F) }
                    if let scalar = Unicode.Scalar(value) { splitter.scalar(scalar) }
                    index += count
                }
            }
        }
        return splitter.finish()
    }
}

/// The token being gathered, already folded, and where its camelCase parts begin.
private struct TermSplitter {
    private var terms: [String] = []
    private var token: [UInt8] = []
    /// Offsets in `token` at which a part begins, without the first.
    private var parts: [Int] = []
    private var previous = Case.none
    /// An apostrophe after a letter: what follows decides whether it is inside a word.
    private var apostrophe = false
    /// Where the previous scalar's bytes begin in `token`: the part boundary when "S" in "HTTPServer" turns out to be one.
    private var previousStart = 0
    private var stemmer = PorterStemmer()
    private var part: [UInt8] = []

    private enum Case { case none, lower, upper, other }

    mutating func ascii(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): append(byte, .lower)
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): append(byte | 0x20, .upper)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): append(byte, .other)
        case UInt8(ascii: "'"): noteApostrophe()
        default: endToken()
        }
    }

    private mutating func noteApostrophe() {
        let afterLetter = !apostrophe && (previous == .lower || previous == .upper)
        if !afterLetter { endToken() }
        apostrophe = afterLetter
    }

    private mutating func append(_ byte: UInt8, _ letterCase: Case) {
        noteBoundary(letterCase)
        token.append(byte)
    }

    mutating func scalar(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0xFF01...0xFF5E:
            ascii(UInt8(scalar.value - 0xFEE0))
            return
        case 0x300...0x36F:
            return
        case 0x2019:
            noteApostrophe()
            return
        case 0x3005, 0x3007, 0x3041...0x30FF, 0x31F0...0x31FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFD:
            endToken()
            // Katakana's middle dot and the sound marks between the kana are no letters.
            guard scalar.properties.isAlphabetic || scalar.value == 0x3007 else { return }
            token += Array(String(scalar).utf8)
            endToken()
            return
        default: break
        }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .lowercaseLetter:
            noteBoundary(.lower)
            fold(scalar)
        case .uppercaseLetter, .titlecaseLetter:
            noteBoundary(.upper)
            for lower in properties.lowercaseMapping.unicodeScalars { fold(lower) }
        case .modifierLetter, .otherLetter, .decimalNumber, .letterNumber:
            noteBoundary(.other)
            for lower in properties.lowercaseMapping.unicodeScalars { fold(lower) }
        case .nonspacingMark, .spacingMark:
            if apostrophe { endToken() }
            if !token.isEmpty { fold(scalar) }
        case .format:
            // Zero-width joiners and soft hyphens are inside words.
            break
        default:
            endToken()
        }
    }

    /// Appends a lower-case scalar without its accents.
    private mutating func fold(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\u{0}"..."\u{7F}": token.append(UInt8(scalar.value))
        case "ß": token += Array("ss".utf8)
        case "æ": token += Array("ae".utf8)
        case "œ": token += Array("oe".utf8)
        case "þ": token += Array("th".utf8)
        case "ø": token.append(UInt8(ascii: "o"))
        case "đ", "ð": token.append(UInt8(ascii: "d"))
        case "ł": token.append(UInt8(ascii: "l"))
        case "ħ": token.append(UInt8(ascii: "h"))
        case "ŧ": token.append(UInt8(ascii: "t"))
        case "ı": token.append(UInt8(ascii: "i"))
        case "\u{80}"..."\u{52F}", "\u{1E00}"..."\u{1FFF}":
            // Latin, Greek, Cyrillic: the base letter without its diacritics.
            for base in String(scalar)._nfd where !(0x300...0x36F).contains(base.value) { token += Array(String(base).utf8) }
        default: token += Array(String(scalar).utf8)
        }
    }

    private mutating func noteBoundary(_ letterCase: Case) {
        if apostrophe {
            if letterCase == .other { endToken() }
            apostrophe = false
        }
        if letterCase == .upper && previous == .lower {
            parts.append(token.count)
        } else if letterCase == .lower && previous == .upper && previousStart > 0 && parts.last != previousStart {
            parts.append(previousStart)
        }
        previous = letterCase
        previousStart = token.count
    }

    private mutating func endToken() {
        previous = .none
        apostrophe = false
        if token.isEmpty {
            previousStart = 0
            return
        }
        emit(token[...])
        if !parts.isEmpty {
            var start = 0
            for end in parts + [token.count] {
                emit(token[start..<end])
                start = end
            }
            parts.removeAll(keepingCapacity: true)
        }
        token.removeAll(keepingCapacity: true)
        previousStart = 0
    }

    private mutating func emit(_ bytes: ArraySlice<UInt8>) {
        part.removeAll(keepingCapacity: true)
        if bytes.count > Analyzer.termBytesMax {
            var end = bytes.startIndex + Analyzer.termBytesMax - 8
            while bytes[end] & 0xC0 == 0x80 { end -= 1 }
            part += bytes[bytes.startIndex..<end]
            let sum = CRC32C.of(Array(bytes))
            for shift in stride(from: UInt32(28), through: 0, by: -4) { part.append(Self.hexadecimal[Int(sum >> shift & 15)]) }
        } else {
            part += bytes
            if StopWords.contains(part) { return }
            if part.allSatisfy({ $0 < 0x80 }) { stemmer.stem(&part) }
        }
        terms.append(String(decoding: part, as: UTF8.self))
    }

    mutating func finish() -> [String] {
        endToken()
        return terms
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)
}

/// The 33 words that Lucene's English analyzer leaves out.
private enum StopWords {
    static func contains(_ word: [UInt8]) -> Bool {
        word.count <= lengthMax && words.contains(word)
    }
    private static let lengthMax = 5
    private static let words = Set(
        """
        a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was \
        will with
        """.split(separator: " ").map { Array($0.utf8) })
}
