// The splitter of cl100k_base: where a text may be cut before byte pairs are merged.
//
// The encoding defines it as a regular expression with possessive quantifiers and a look-ahead:
//
//     '(?i:[sdmt]|ll|ve|re) | [^\r\n\p{L}\p{N}]?+\p{L}++ | \p{N}{1,3}+ | ?[^\s\p{L}\p{N}]++[\r\n]*+
//     | \s++$ | \s*[\r\n] | \s+(?!\S) | \s
//
// Read by hand it needs no backtracking and only the class of a scalar: letter, number, line end, other white space,
// or anything else. The alternatives are tried below in this order.

/// Finds the ends of pieces in valid UTF-8.
enum CL100KSplitter {
    enum Class: UInt8 { case letter, number, newline, space, other }

    private static let ascii: [Class] = (0..<128).map { value in
        switch UInt8(value) {
        case 10, 13: .newline
        case 9, 11, 12, 32: .space
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): .letter
        default: .other
        }
    }

    /// The class of the scalar at `at`, and where it ends.
    @inline(__always)
    private static func read(_ text: Span<UInt8>, _ at: Int) -> (Class, Int) {
        let first = text[at]
        return first < 0x80 ? (ascii[Int(first)], at + 1) : readOther(text, at)
    }

    private static func readOther(_ text: Span<UInt8>, _ at: Int) -> (Class, Int) {
        let first = UInt32(text[at])
        func tail(_ offset: Int) -> UInt32 { UInt32(text[at + offset] & 0x3f) }
        let value: UInt32
        let end: Int
        if first < 0xE0 {
            value = (first & 0x1f) << 6 | tail(1)
            end = at + 2
        } else if first < 0xF0 {
            value = (first & 0x0f) << 12 | tail(1) << 6 | tail(2)
            end = at + 3
        } else {
            value = (first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)
            end = at + 4
        }
        guard let scalar = Unicode.Scalar(value) else { return (.other, end) }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return (.letter, end)
        case .decimalNumber, .letterNumber, .otherNumber: return (.number, end)
        default: return (scalar.properties.isWhitespace ? .space : .other, end)
        }
    }

    /// Where the run of one class that begins at `start` ends.
    private static func endOfRun(of wanted: Class, _ text: Span<UInt8>, _ start: Int) -> Int {
        var at = start
        while at < text.count {
            let (kind, next) = read(text, at)
            if kind != wanted { break }
            at = next
        }
        return at
    }

    /// The end of the piece that begins at `start`.
    ///
    /// - Precondition: `start < text.count`, at a scalar's first byte.
    /// - Complexity: O(length of the piece), and of the white space around it.
    static func endOfPiece(_ text: Span<UInt8>, _ start: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = endOfContraction(text, start + 1) { return end }
        let (kind, next) = read(text, start)
        switch kind {
        case .letter: return endOfRun(of: .letter, text, next)
        case .number:
            var at = next
            for _ in 0..<2 {
                guard at < text.count, case (.number, let end) = read(text, at) else { break }
                at = end
            }
            return at
        case .other:
            if next < text.count, case (.letter, let end) = read(text, next) { return endOfRun(of: .letter, text, end) }
            return endOfSymbols(text, next)
        case .space:
            if next < text.count {
                let (following, end) = read(text, next)
                if following == .letter { return endOfRun(of: .letter, text, end) }
                if following == .other && text[start] == UInt8(ascii: " ") { return endOfSymbols(text, end) }
            }
            return endOfWhiteSpace(text, start)
        case .newline: return endOfWhiteSpace(text, start)
        }
    }

    private static func endOfSymbols(_ text: Span<UInt8>, _ start: Int) -> Int {
        endOfRun(of: .newline, text, endOfRun(of: .other, text, start))
    }

    /// `s d m t ll ve re` in either case after an apostrophe; U+017F is a small s too where case does not count.
    private static func endOfContraction(_ text: Span<UInt8>, _ at: Int) -> Int? {
        guard at < text.count else { return nil }
        let first = text[at] | 0x20
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "d"), UInt8(ascii: "m"), UInt8(ascii: "t"): return at + 1
        case UInt8(ascii: "l"), UInt8(ascii: "v"), UInt8(ascii: "r"):
            guard at + 1 < text.count else { return nil }
            let wanted = first == UInt8(ascii: "l") ? UInt8(ascii: "l") : UInt8(ascii: "e")
            return text[at + 1] | 0x20 == wanted ? at + 2 : nil
        default:
            return text[at] == 0xC5 && at + 1 < text.count && text[at + 1] == 0xBF ? at + 2 : nil
        }
    }

    /// White space that belongs to no word: all of it at the end of the text, else up to its last line end, else
    /// without its last scalar, which the following piece may take.
    private static func endOfWhiteSpace(_ text: Span<UInt8>, _ start: Int) -> Int {
        var at = start
        var lastBegin = start
        var afterNewline: Int?
        while at < text.count {
            let (kind, next) = read(text, at)
            guard kind == .space || kind == .newline else { break }
            lastBegin = at
            at = next
            if kind == .newline { afterNewline = next }
        }
        if at == text.count { return at }
        if let afterNewline { return afterNewline }
        return lastBegin > start ? lastBegin : at
    }
}
