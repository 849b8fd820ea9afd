// Patterns against Redis' own matcher, written down here as it stands in `stringmatchlen`, and what a match costs.
import Base
import RESP
import TestSupport
import Testing

@Suite struct GlobTests {
    /// Redis 7.0, util.c, without `nocase`; simple and, in the worst case, exponential.
    private static func simple(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (pattern, text) = (pattern, text)
        while let element = pattern.first, !text.isEmpty {
            switch element {
            case UInt8(ascii: "*"):
                while pattern.dropFirst().first == UInt8(ascii: "*") { pattern.removeFirst() }
                if pattern.count == 1 { return true }
                var rest = text
                while true {
                    if simple(pattern.dropFirst(), rest) { return true }
                    if rest.isEmpty { return false }
                    rest.removeFirst()
                }
            case UInt8(ascii: "?"): break
            case UInt8(ascii: "["):
                pattern.removeFirst()
                let isNegated = pattern.first == UInt8(ascii: "^")
                if isNegated { pattern.removeFirst() }
                var isFound = false
                while let byte = pattern.first, byte != UInt8(ascii: "]") {
                    if byte == UInt8(ascii: "\\"), pattern.count >= 2 {
                        pattern.removeFirst()
                        if pattern.first == text.first { isFound = true }
                    } else if pattern.count >= 3, pattern[pattern.startIndex + 1] == UInt8(ascii: "-") {
                        let (low, high) = (min(byte, pattern[pattern.startIndex + 2]), max(byte, pattern[pattern.startIndex + 2]))
                        pattern.removeFirst(2)
                        if (low...high).contains(text.first!) { isFound = true }
                    } else if byte == text.first {
                        isFound = true
                    }
                    pattern.removeFirst()
                }
                if isFound == isNegated { return false }
            case UInt8(ascii: "\\") where pattern.count >= 2:
                pattern.removeFirst()
                if pattern.first != text.first { return false }
            default: if element != text.first { return false }
            }
            text.removeFirst()
            pattern = pattern.dropFirst()
            if text.isEmpty {
                while pattern.first == UInt8(ascii: "*") { pattern.removeFirst() }
                break
            }
        }
        return pattern.isEmpty && text.isEmpty
    }

    @Test func matchesAsTheSimpleMatcher() {
        var random = SeededRandom(seed: testSeed("matchesAsTheSimpleMatcher"))
        let letters = Array("ab*?[]^-\\c".utf8)
        var matched = 0
        for _ in 0..<200_000 {
            let pattern = (0..<Int.random(in: 0...9, using: &random)).map { _ in letters.randomElement(using: &random)! }
            let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in letters[Int.random(in: 0..<3, using: &random)] }
            let expected = Self.simple(pattern[...], text[...])
            let found = RESPGlob(pattern).matches(text)
            if found { matched += 1 }
            #expect(found == expected, "\(String(decoding: pattern, as: UTF8.self)) on \(String(decoding: text, as: UTF8.self))")
        }
        #expect(matched > 1_000)
    }

    /// Elements on both sides of the borders of machine words.
    @Test(arguments: [62, 63, 64, 65, 127, 128, 129, 191, 192, 255, 256])
    func longPatterns(_ count: Int) {
        let literal = [UInt8](repeating: UInt8(ascii: "a"), count: count)
        let glob = RESPGlob(literal)
        #expect(glob.matches(literal) && !glob.matches(literal + literal.prefix(1)) && !glob.matches(Array(literal.dropLast())))
        let star = RESPGlob([UInt8(ascii: "*")] + literal.dropLast() + [UInt8(ascii: "b")])
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 511)
        #expect(star.matches(text + [UInt8(ascii: "b")]) && !star.matches(text + [UInt8(ascii: "a")]))
        #expect(star.wordsPerByte == count / 64 + 1)
    }

    /// The work of one message, whatever somebody chooses for patterns: words of the automata times bytes of the name.
    @Test func theWorkOfAMessageIsBounded() {
        var exchange = RESPExchange()
        for id in 0..<Int64(256) {
            let refusal = exchange.admit(id, from: "10.0.0.\(id % 8)", isStranger: false)
            #expect(refusal == nil)
            for number in 0..<100 {
                let pattern = RESPSubscription.pattern(Array("*\(id)-\(number)-".utf8) + [UInt8](repeating: UInt8(ascii: "a"), count: 240))
                if exchange.refusal(of: [pattern], for: id) == nil { exchange.subscribe(id, pattern) }
            }
        }
        #expect(exchange.patternCount(ofKey: nil) == 1_000 && exchange.checkInvariants() == [])
        #expect(exchange.patternWords * Limits.channelBytes <= 1_000 * 5 * 512)
        let name = [UInt8](repeating: UInt8(ascii: "a"), count: Limits.channelBytes)
        #expect(exchange.listeners(of: name).isEmpty)
        // Longer names are heard by those who name them.
        exchange.subscribe(0, .pattern(Array("*".utf8)))
        exchange.subscribe(1, .channel(name + name))
        #expect(exchange.listeners(of: name).map(\.id) == [0])
        #expect(exchange.listeners(of: name + name) == [.init(id: 1, isExact: true, patterns: [])])
    }
}
