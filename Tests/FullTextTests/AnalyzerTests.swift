import FullText
import Testing

@Suite struct AnalyzerTests {
    @Test(arguments: [
        ("Café sign-ups: getUserNames(42)", "cafe sign-ups sign up getusernam get user name 42"),
        ("The cats ARE running, to be or not to be", "cat run"),
        ("HTTPServer2 iPhone XMLHTTPRequest parseJSON", "httpserver2 http server2 iphon i phone xmlhttprequest xmlhttp request parsejson pars json"),
        ("user's don't O’Brien 'quoted' 5'6 a'5 x''y rock'n'roll", "user dont obrien o brien quot 5 6 5 x y rocknrol"),
        ("snake_case_names a.b.c kebab-case __init__", "snake_case_names snake case name a.b.c b c kebab-case kebab case init"),
        ("src/main.swift: v3.14, a--b x... -y std::io", "src/main.swift src main swift v3.14 v3 14 b x y std io"),
        ("UTF-8 fooBar_bazQux", "utf-8 utf 8 foobar_bazqux foobar foo bar bazqux baz qux"),
        ("cafe\u{301} CAFÉ cafe\u{301}s", "cafe cafe cafe"),
        ("Straße Ærøskøbing Łódź İstanbul ıstanbul", "strass aeroskob lodz istanbul istanbul"),
        ("Ελλάδα ελλαδα ΣΟΦΟΣ σοφος Война́", "ελλαδα ελλαδα σοφοσ σοφοσ воина"),
        ("数据库 search データ한국어 人 a人b", "数据 据库 search デー ータ タ한 한국 국어 人 人 b"),
        ("ＦＵＬＬ width", "full width"),
        ("हिन्दी text", "हिन्दी text"),
        ("שלום עולם مرحبا", "שלום עולם مرحبا"),
        ("emoji 👍🏽 stays out\u{0}of it", "emoji stai out"),
        ("2²=4 ½", "2 4"),
        ("co\u{ad}operate", "cooper"),
        ("", ""), ("!?", ""), ("\u{301}", ""), ("-._/", ""), ("'", ""), ("a-", ""), ("x-'y", "x y"),
    ])
    func splitsFoldsAndStems(text: String, expected: String) {
        #expect(Analyzer().terms(text) == expected.split(separator: " ").map(String.init))
    }

    @Test func kindsDiffer() {
        let text = "The getUserNames of sign-ups in 数据库"
        #expect(Analyzer(.english).terms(text) == ["getusernam", "get", "user", "name", "sign-ups", "sign", "up", "数据", "据库"])
        #expect(Analyzer(.code).terms(text) == ["the", "getusernames", "get", "user", "names", "of", "sign-ups", "sign", "ups", "in", "数据", "据库"])
        #expect(Analyzer(.simple).terms(text) == ["the", "getusernames", "of", "sign", "ups", "in", "数据", "据库"])
        #expect(Analyzer.Kind.allCases.map { Analyzer.Kind(name: $0.name) } == Analyzer.Kind.allCases)
        #expect(Analyzer.Kind(name: "klingon") == nil)
    }

    @Test func longTokensAreCutAndStayDistinct() throws {
        let long = String(repeating: "a1b2", count: 16)
        #expect(Analyzer().terms(long) == [long])
        let hashes = ["x", "y"].map { Analyzer().terms(long + $0) }
        #expect(hashes[0] != hashes[1])
        for text in [long + "x", String(repeating: "é", count: 40) + "z", String(repeating: "ก", count: 1_000), String(repeating: "𐐨", count: 100)] {
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
