// Patterns of PSUBSCRIBE, as Redis matches them (`stringmatchlen`): `*` any bytes, `?` one byte, `[a-c]` and `[^a-c]` one of
// or none of a set, `\` before a byte that means itself. A bracket that is not closed ends with the pattern.
//
// Going back to the last `*` takes pattern times text in the worst case (`*aaaaaaab` against `aaaaaaaa...`), and whoever chooses
// patterns chooses the worst case. So a pattern is made an automaton without ways back: bit i of its state says that i elements
// have matched, one byte of text moves all bits at once, and a star is a bit that stays. The time is text times the machine words
// of the pattern, five at most for 256 bytes, whatever both contain.
//
// Baeza-Yates, Gonnet: A new approach to text searching, CACM 35(10), 1992 (Shift-And); the bits that stay: Navarro, Raffinot,
// Flexible Pattern Matching in Strings, 4.3.

public struct RESPGlob: Sendable {
    private let wordCount: Int
    /// Of each byte its class: which elements take it.
    private let classes: [UInt8]
    /// `wordCount` words a class: bit i when element i takes the bytes of the class.
    private let accepting: [UInt64]
    /// Bit i when a star stands before element i, or after the last one.
    private let staying: [UInt64]
    private let elementCount: Int
    private let isEmpty: Bool

    /// - Complexity: O(pattern) steps for each of the 256 bytes.
    public init(_ pattern: [UInt8]) {
        isEmpty = pattern.isEmpty
        var elements: [ByteSet] = []
        var stars: Set<Int> = []
        var at = 0
        while at < pattern.count {
            switch pattern[at] {
            case UInt8(ascii: "*"):
                stars.insert(elements.count)
                at += 1
            case UInt8(ascii: "?"):
                elements.append(.all)
                at += 1
            case UInt8(ascii: "["):
                let (set, next) = Self.set(pattern, at + 1)
                elements.append(set)
                at = next
            case UInt8(ascii: "\\") where at + 1 < pattern.count:
                elements.append(ByteSet(pattern[at + 1]...pattern[at + 1]))
                at += 2
            case let byte:
                elements.append(ByteSet(byte...byte))
                at += 1
            }
        }
        elementCount = elements.count
        let words = elements.count / 64 + 1
        wordCount = words
        staying = (0..<words).map { word in
            (0..<64).reduce(UInt64(0)) { stars.contains(64 * word + $1) ? $0 | 1 << UInt64($1) : $0 }
        }
        var known: [[UInt64]: UInt8] = [:]
        var classes = [UInt8](repeating: 0, count: 256)
        var accepting: [UInt64] = []
        for byte in 0..<256 {
            var bits = [UInt64](repeating: 0, count: words)
            for (place, element) in elements.enumerated() where element.contains(UInt8(byte)) { bits[place / 64] |= 1 << UInt64(place % 64) }
            if let known = known[bits] {
                classes[byte] = known
            } else {
                let number = UInt8(known.count)
                known[bits] = number
                classes[byte] = number
                accepting += bits
            }
        }
        self.classes = classes
        self.accepting = accepting
    }

    /// Machine words that each byte of a text is worth.
    public var wordsPerByte: Int { wordCount }

    /// - Complexity: O(text x words), and no allocation for patterns of up to 63 elements.
    public func matches(_ text: [UInt8]) -> Bool {
        // Redis: an empty text matches an empty pattern and not even a star.
        if text.isEmpty { return isEmpty }
        return wordCount == 1 ? matchesInOneWord(text) : matchesInWords(text)
    }

    private func matchesInOneWord(_ text: [UInt8]) -> Bool {
        let stay = staying[0]
        var state: UInt64 = 1
        for byte in text {
            state = (state & accepting[Int(classes[Int(byte)])]) << 1 | state & stay
            if state == 0 { return false }
        }
        return state >> UInt64(elementCount) & 1 == 1
    }

    private func matchesInWords(_ text: [UInt8]) -> Bool {
        var state = [UInt64](repeating: 0, count: wordCount)
        state[0] = 1
        for byte in text {
            let row = Int(classes[Int(byte)]) * wordCount
            var carry: UInt64 = 0
            var any: UInt64 = 0
            for word in 0..<wordCount {
                let moved = state[word] & accepting[row + word]
                let next = moved << 1 | carry | state[word] & staying[word]
                carry = moved >> 63
                state[word] = next
                any |= next
            }
            if any == 0 { return false }
        }
        return state[elementCount / 64] >> UInt64(elementCount % 64) & 1 == 1
    }

    /// The set that begins here, after its bracket, and where the pattern goes on.
    private static func set(_ pattern: [UInt8], _ start: Int) -> (ByteSet, next: Int) {
        var at = start
        let isNegated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if isNegated { at += 1 }
        var set = ByteSet()
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count {
                set.insert(pattern[at + 1]...pattern[at + 1])
                at += 2
            } else if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
                set.insert(min(pattern[at], pattern[at + 2])...max(pattern[at], pattern[at + 2]))
                at += 3
            } else {
                set.insert(pattern[at]...pattern[at])
                at += 1
            }
        }
        return (isNegated ? set.inverted : set, min(at + 1, pattern.count))
    }
}

/// Some of the 256 bytes.
private struct ByteSet {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static var all: ByteSet { ByteSet().inverted }

    init() {}
    init(_ range: ClosedRange<UInt8>) { insert(range) }

    mutating func insert(_ range: ClosedRange<UInt8>) {
        for byte in range {
            let bit = UInt64(1) << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }
    }

    var inverted: ByteSet {
        var other = ByteSet()
        other.words = (~words.0, ~words.1, ~words.2, ~words.3)
        return other
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(byte & 63) & 1 == 1
    }
}
