import Base
import Foundation
import FullText
import TestSupport
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
        ("数据库 search データ한국어 人 a人b", "数 数据 据 据库 库 search デー ータ タ한 한 한국 국 국어 어 人 人 b"),
        ("ＦＵＬＬ width", "full width"),
        ("हिन्दी text", "हिन्दी text"),
        ("שלום עולם مرحبا", "שלום עולם مرحبا"),
        ("emoji 👍🏽 stays out\u{0}of it", "emoji stai out"),
        ("2²=4 ½", "22 4 1 2"),
        ("co\u{ad}operate", "cooper"),
        ("", ""), ("!?", ""), ("\u{301}", ""), ("-._/", ""), ("'", ""), ("a-", ""), ("x-'y", "x y"),
    ])
    func splitsFoldsAndStems(text: String, expected: String) {
        #expect(Analyzer().terms(text) == expected.split(separator: " ").map(String.init))
    }

    @Test func kindsDiffer() {
        let text = "The getUserNames of sign-ups in 数据库"
        #expect(Analyzer(.english).terms(text) == ["getusernam", "get", "user", "name", "sign-ups", "sign", "up", "数", "数据", "据", "据库", "库"])
        #expect(
            Analyzer(.code).terms(text)
                == ["the", "getusernames", "get", "user", "names", "of", "sign-ups", "sign", "ups", "in", "数", "数据", "据", "据库", "库"])
        #expect(Analyzer(.simple).terms(text) == ["the", "getusernames", "of", "sign", "ups", "in", "数", "数据", "据", "据库", "库"])
        #expect(Analyzer.Kind.allCases.map { Analyzer.Kind(name: $0.name) } == Analyzer.Kind.allCases)
        #expect(Analyzer.Kind(name: "klingon") == nil)
    }

    @Test func longTokensAreCutAndStayDistinct() throws {
        let long = String(repeating: "a1b2", count: 16)
        #expect(Analyzer().terms(long) == [long])
        let hashes = ["x", "y"].map { Analyzer().terms(long + $0) }
        #expect(hashes[0] != hashes[1])
        for text in [long + "x", String(repeating: "é", count: 40) + "z", String(repeating: "ა", count: 1_000), String(repeating: "𐐨", count: 100)] {
            let terms = Analyzer().terms(text)
            #expect(terms.count == 1)
            #expect(terms[0].utf8.count <= 64)
            #expect(Analyzer().terms(text) == terms)
        }
    }

    /// What is asked, and a text that has it inside of something longer.
    @Test(arguments: [
        ("水", "飲料水の供給"), ("ﾃﾞｰﾀ", "データベース"), ("データ", "ﾃﾞｰﾀﾍﾞｰｽ"), ("据", "数据库服务器"), ("물", "물을 마신다"), ("서버", "데이터베이스서버가"),
        ("แมว", "ฉันเห็นแมวสองตัวที่ตลาด"), ("น้ำ", "ดื่มน้ำทุกวัน"), ("งู", "ระวังงูในสวน"), ("ທະນາຄານ", "ຂ້ອຍໄປທະນາຄານມື້ນີ້"), ("ធនាគារ",
        "ខ្ញុំទៅធនាគារនៅថ្ងៃនេះ"),
        ("ဘဏ်", "ကျွန်တော်ဘဏ်ကိုသွားသည်"), ("كتاب", "كِتَابٌ"), ("كتاب", "كتـــاب"), ("كِتَاب", "كتاب"), ("احمد", "أحمد"), ("مدرسه", "مدرسة"),
        ("שלום", "שָׁלוֹם"),
        ("ﬁle", "file"), ("office", "oﬃce"), ("ＡＰＩ２", "api2"), ("m2", "m²"), ("kg", "5 ㎏"), ("ﻣﺮﺣﺒﺎ", "مرحبا"), ("ज़रूर", "जरूर"),
        ("\u{1112}\u{1161}\u{11AB}", "한글"),
        ("42", "๔๒"), ("3", "٣"), ("iv", "Ⅳ"), ("１９．９０", "19.90"),
    ])
    func isFoundInside(word: String, text: String) {
        for kind in [Analyzer.Kind.english, .code] {
            let (asked, known) = (Analyzer(kind).terms(word), Set(Analyzer(kind).terms(text)))
            #expect(!asked.isEmpty && asked.allSatisfy(known.contains), "\(kind) \(asked) \(known)")
        }
    }

    /// A phrase of a longer run stands in it term by term.
    @Test(arguments: [("据库服", "数据库服务器"), ("สองตัว", "ฉันเห็นแมวสองตัวที่ตลาด"), ("ータベ", "データベース"), ("19.90", "price: 19.90 EUR")])
    func aPartOfARunIsAPhrase(part: String, text: String) {
        let (asked, all) = (Analyzer().terms(part), Analyzer().terms(text))
        #expect(all.indices.contains { all[$0...].starts(with: asked) }, "\(asked) \(all)")
    }

    @Test(arguments: [
        ("19.90", "19.90 19 90 19.9"), ("19.9", "19.9 19 9"), ("3.10", "3.10 3 10 3.1"), ("5.0", "5.0 5 0"), ("0.50", "0.50 0 50 0.5"), ("007", "007 7"),
        ("1e3", "1e3 1000"), ("1.5e-7", "1.5e-7 1 5e 7 0.00000015"), ("2.50E+2", "2.50e+2 2 50e 2 250"), ("1_000", "1_000 1 000 1000"), ("1,000", "1 000 1000"),
        ("1,299.00 or 12,345,678", "1 299.00 299 00 1299 or 12 345 678 12345678"), ("1,2,3", "1 2 3"), ("1,2345", "1 2345"), ("12,345, 6", "12 345 12345 6"),
        ("1.2.3 v1.0 2026-03-09", "1.2.3 1 2 3 v1.0 v1 0 2026-03-09 2026 03 09"), ("1e99 0x10", "1e99 0x10"), ("0 00", "0 00 0"), ("12 , 345", "12 345"),
    ])
    func numbersAreIndexedAsWrittenAndAsValue(text: String, expected: String) {
        #expect(Analyzer(.code).terms(text) == expected.split(separator: " ").map(String.init))
    }

    /// Texts that are one by Unicode's compatibility equivalence have the same terms.
    @Test func formsOfATextAreOne() {
        var random = SeededRandom(seed: testSeed("formsOfATextAreOne"))
        let ranges: [ClosedRange<UInt32>] = [
            0x20...0x7E, 0xA0...0x24F, 0x300...0x345, 0x370...0x52F, 0x5D0...0x6FF, 0x900...0x97F, 0x980...0x9FF, 0xE00...0xEFF, 0x1000...0x109F,
            0x1100...0x1112, 0x1161...0x1175, 0x11A8...0x11C2, 0x1780...0x17FF, 0x1E00...0x1FFF, 0x2010...0x205E, 0x2070...0x209C, 0x2100...0x218B,
            0x2460...0x24FF, 0x3000...0x30FF,
            0x3130...0x33FF, 0x4E00...0x4E80, 0xAC00...0xAC80, 0xF900...0xFAD9, 0xFB00...0xFDFF, 0xFE30...0xFFEF, 0x1D400...0x1D7FF,
            0x1EE00...0x1EEFF,
        ]
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let range = ranges.randomElement(using: &random)!
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    // A trade mark is no letters to us.
                    if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)), scalar.value != 0x2122, scalar.value != 0x2120 {
                        text.unicodeScalars.append(scalar)
                    }
                }
            }
            let terms = Analyzer().terms(text)
            for form in [
                text.precomposedStringWithCompatibilityMapping, text.decomposedStringWithCompatibilityMapping, text.precomposedStringWithCanonicalMapping,
                text.decomposedStringWithCanonicalMapping,
            ] where Analyzer().terms(form) != terms {
                Issue.record("\(text.unicodeScalars.map { String($0.value, radix: 16) }): \(terms), \(Analyzer().terms(form))")
                return
            }
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
