import FullText
import TestSupport
import Testing

/// Texts that were made to cost more than they weigh: each is analysed before it is indexed.
@Suite struct HostileTextTests {
    private static let parts: [(name: String, part: String)] = [
        ("one letter", "a"), ("words of one letter", "a "), ("camels", "aB"), ("capitals", "A"), ("capitals and small", "ABc"), ("joiners", "-"),
        ("a compound", "a-"), ("compounds of compounds", "aB.cD-"), ("apostrophes", "'"), ("letters and apostrophes", "a'"), ("digits", "7"),
        ("letters and digits", "a7"), ("accents", "e\u{301}"), ("accents alone", "\u{301}"), ("ideographs", "中"), ("ideographs and letters", "中a"),
        ("signs", "!"), ("wide kana", "ﾃﾞ"), ("letters without spaces", "กี้"), ("marks", "ก\u{E49}\u{E49}"), ("thousands", "123,"), ("numbers", "0.10 "),
        ("long forms", "\u{FDFA}"), ("vowel signs", "ب\u{64E}"), ("ligatures", "ß"), ("wide letters", "Ａ"), ("zero width", "\u{200D}"), ("endings",
        "ational"), ("vowels", "ey"),
        ("words of a hundred letters", String(repeating: "ab", count: 50) + " "), ("stop words", "the "),
    ]

    @Test func costWhatTheyWeigh() {
        for kind in Analyzer.Kind.allCases {
            let analyzer = Analyzer(kind)
            for (name, part) in Self.parts {
                func work(_ bytes: Int) -> () -> Void {
                    let text = String(repeating: part, count: bytes / part.utf8.count)
                    return { _ = AnalyzedText(text, analyzer: analyzer) }
                }
                let excess = WorkTime.excess(factor: 4, floor: 0.3, small: work(256 << 10), large: work(1 << 20))
                #expect(excess == nil, "\(kind.name), \(name): \(excess ?? "")")
            }
        }
    }
}
