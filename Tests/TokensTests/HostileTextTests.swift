import Foundation
import TestSupport
import Testing
import Tokens

/// Texts that were made to cost more than they weigh: whoever publishes has their tokens counted.
@Suite struct HostileTextTests {
    private static let parts: [(name: String, part: String)] = [
        ("one letter", "a"), ("two letters", "ab"), ("spaces", " "), ("blanks and line ends", "  \n"), ("line ends", "\n"), ("returns", "\r"),
        ("apostrophes", "'"), ("contractions", "'ll"), ("digits", "7"), ("signs", "!"), ("signs and spaces", " !"), ("letters and signs", "a!"),
        ("accents", "\u{301}"), ("accents in disorder", "\u{301}\u{316}"), ("marks that stay", "\u{302E}\u{1D165}"), ("ideographs", "中"),
        ("capitals", "İ"), ("brackets", "["), ("special pieces", "[MASK]"), ("unknown letters", "\u{10400}"),
        ("words of a hundred letters", String(repeating: "ab", count: 50) + " "),
        ("controls", "\u{0}"), ("joiners", "\u{200D}"),
    ]

    private static let ranks: [UInt8] = {
        let merges = ["aa", "aaaa", "aaaaaaaa", "ab", "abab", "  ", "    ", "\n\n", "!!", "77", " !"].map { Array($0.utf8) }
        let lines = ((0...255).map { [UInt8($0)] } + merges).enumerated().map { "\(Data($1).base64EncodedString()) \($0)\n" }
        return Array(lines.joined().utf8)
    }()
    private static let vocabulary = Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\n##aa\nab\n##b\n##ab\n中\n!\n'\n7\n##7\n".utf8)

    @Test func costWhatTheyWeigh() throws {
        let ranks = try CL100KTokenizer(ranks: Self.ranks)
        let pieces = try WordPieceTokenizer(vocabulary: Self.vocabulary)
        for (name, part) in Self.parts {
            func work(_ bytes: Int) -> () -> Void {
                let text = String(repeating: part, count: bytes / part.utf8.count)
                return {
                    _ = ranks.count(text)
                    _ = ranks.count("a" + text + "b")
                    _ = pieces.ids(text, limit: nil)
                    _ = pieces.ids("a" + text + "b")
                }
            }
            let excess = WorkTime.excess(factor: 4, floor: 0.3, small: work(256 << 10), large: work(1 << 20))
            #expect(excess == nil, "\(name): \(excess ?? "")")
        }
    }
}
