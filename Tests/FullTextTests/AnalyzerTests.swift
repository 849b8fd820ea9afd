import FullText
import Testing

@Suite struct AnalyzerTests {
    @Test(arguments: [
        ("Café sign-ups: getUserNames(42)", "cafe sign up getusernam get user name 42"),
        ("The cats ARE running, to be or not to be", "cat run"),
        ("HTTPServer2 iPhone XMLHTTPRequest parseJSON", "httpserver2 http server2 iphon i phone xmlhttprequest xmlhttp request parsejson pars json"),
        ("user's don't O’Brien 'quoted' 5'6 a'5 x''y rock'n'roll", "user dont obrien o brien quot 5 6 5 x y rocknrol"),
        ("snake_case_name a.b.c kebab-case", "snake case name b c kebab case"),
        ("cafe\u{301} CAFÉ cafe\u{301}s", "cafe cafe cafe"),
        ("Straße Ærøskøbing Łódź İstanbul ıstanbul", "strass aeroskob lodz istanbul istanbul"),
        ("Ελλάδα ελλαδα Война́", "ελλαδα ελλαδα воина"),
        ("数据库 search データ한국어", "数 据 库 search デ ー タ 한국어"),
        ("ＦＵＬＬ width", "full width"),
        ("हिन्दी text", "हिन्दी text"),
        ("emoji 👍🏽 stays out\u{0}of it", "emoji stai out"),
        ("2²=4 ½", "2 4"),
        ("co\u{ad}operate", "cooper"),
        ("", ""), ("!?", ""), ("\u{301}", ""),
    ])
    func splitsFoldsAndStems(text: String, expected: String) {
        #expect(Analyzer().terms(text) == expected.split(separator: " ").map(String.init))
    }

    @Test func longTokensAreCutAndStayDistinct() throws {
        let long = String(repeating: "a1b2", count: 16)
        #expect(Analyzer().terms(long) == [long])
        let hashes = ["x", "y"].map { Analyzer().terms(long + $0) }
        #expect(hashes[0] != hashes[1])
        for text in [long + "x", String(repeating: "é", count: 40) + "z", String(repeating: "한", count: 1_000), String(repeating: "𐐨", count: 100)] {
            let terms = Analyzer().terms(text)
            #expect(terms.count == 1)
            #expect(terms[0].utf8.count <= 64)
            #expect(Analyzer().terms(text) == terms)
        }
    }

    @Test func lengthAndFrequencies() {
        let text = AnalyzedText("b a cat Cats cat zebra")
        #expect(text.length == 5)
        #expect(text.frequencies.map(\.term) == ["b", "cat", "zebra"])
        #expect(text.frequencies.map(\.count) == [1, 3, 1])
        let query = TextQuery("zebra cats zebras")
        #expect(query.terms == ["cat", "zebra"])
        #expect(query.counts == [1, 2])
    }

    @Test func stemsAsTheReferenceDoes() {
        let pairs = porterVocabulary.split(whereSeparator: \.isWhitespace)
        #expect(pairs.count > 500)
        for pair in pairs {
            let parts = pair.split(separator: ":").map(String.init)
            #expect(Analyzer().terms(parts[0]) == [parts[1]], "\(pair)")
        }
    }
}
