import Base
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

@Suite struct TextSearchQueryTests {
    let folder = TemporaryFolder()
    let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)))

    static let texts = [
        1: "free disk space on the server", 2: "space for a disk", 3: "the disk is full; disk space is short", 4: "configuration of getUserNames",
        5: "configured printers", 6: "king in Spain", 7: "sign-ups are open", 8: "sign of the times, ups and downs", 9: "数据库 search",
    ]

    func open(positions: Bool = true) throws -> Environment {
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        var write = try environment.beginWrite()
        try index.configure(TextIndexOptions(positions: positions), in: &write)
        let texts = Self.texts.sorted { $0.key < $1.key }
        try index.apply(texts.map { TextChange(node: NodeID(rawValue: UInt32($0.key)), new: AnalyzedText($0.value)) }, in: &write)
        try write.commit()
        return environment
    }

    func found(_ query: String, _ environment: Environment) throws -> [UInt32] {
        try environment.read { view in
            let resolved = try index.resolve(TextSearchQuery(query), in: view)
            return try index.search(resolved, count: 100, in: view).map(\.node.rawValue).sorted()
        }
    }

    @Test(arguments: [
        ("disk space", [1, 2, 3]), ("\"disk space\"", [1, 2, 3]), ("+\"disk space\"", [1, 3]), ("+\"space disk\"", [2]), ("+\"disk space\" free", [1, 3]),
        ("space -disk", []), ("space -\"free\"", [2, 3]), ("disk -\"disk space\"", [2]), ("+full disk", [3]), ("+full +printers disk", []),
        ("conf*", [4, 5]), ("config* -getuser*", [5]), ("+config* disk", [4, 5]), ("+zzz* disk", []), ("zzz* disk", [1, 2, 3]),
        ("+\"user names\"", [4]), ("+\"king of Spain\"", [6]), ("open -\"sign-ups\"", []), ("sign -\"sign-ups\"", [8]), ("+\"sign-ups\" sign", [7]),
        ("configurations*", [4, 5]), ("\"数据库\"", [9]), ("数据*", [9]), ("\"disk", [1, 2, 3]), ("disk\"", [1, 2, 3]), ("-\"disk\"", []),
        ("+“disk space”", [1, 3]), ("+the disk", [1, 2, 3]), ("+ disk - space *", [1, 2, 3]), ("--disk", [1, 2, 3]), ("\"\" disk", [1, 2, 3]),
        ("+\"free disk space server\"", [1]), ("+\"free space\"", []), ("", []), ("\"\"", []), ("+", []), ("-", []), ("*", []), ("\"", []),
        // Signs that can be prose or a command are none.
        ("-disk", [1, 2, 3]), ("what is -disk", [1, 2, 3]), ("disk -printers please", [1, 2, 3, 5]), ("server +disk", [1, 2, 3]), ("tar -disk", [1, 2, 3]),
        ("python -version disk", [1, 2, 3]), ("space, -disk", [1, 2, 3]), ("+\"%disk\" free", [1, 2, 3]), ("open -sign-ups", [7, 8]), ("+di space", [1, 2, 3]),
    ] as [(String, [UInt32])])
    func finds(query: String, expected: [UInt32]) throws {
        #expect(try found(query, try open()) == expected)
    }

    @Test func withoutPositionsAPhraseIsAllItsTerms() throws {
        let environment = try open(positions: false)
        #expect(try found("+\"space disk\"", environment) == [1, 2, 3])
        #expect(try found("+\"space printers\"", environment) == [])
    }

    /// A quoted phrase finds what its words find, with the same scores, and what has it more than that: also what is not among the best
    /// by its words.
    @Test func phrasesLift() throws {
        let environment = try open()
        try environment.read { view in
            func search(_ query: String, count: Int = 100) throws -> [TextMatch] {
                try index.search(try index.resolve(TextSearchQuery(query), in: view), count: count, in: view)
            }
            let plain = try search("space disk")
            let lifted = try search("\"space disk\"")
            #expect(lifted[0].node.rawValue == 2)
            for match in lifted {
                let before = plain.first { $0.node == match.node }?.score ?? 0
                #expect(match.node.rawValue == 2 ? match.score > before * 1.2 : match.score == before)
            }
            #expect(try search("\"space disk\"", count: 1).map(\.node.rawValue) == [2])
            #expect(try search("disk space \"space disk\"")[0].node.rawValue == 2 && search("disk space")[0].node.rawValue != 2)
            let weights = try index.weights(try index.resolve(TextSearchQuery("\"space disk\""), in: view), in: view)
            #expect(try weights.ceiling == index.weights(TextQuery("space disk"), in: view).ceiling)
            #expect(weights.explain(AnalyzedText(Self.texts[2]!)).contains { $0.term == "\"space disk\"" })
            // One word is no phrase, and the same one twice lifts once.
            #expect(try search("\"disk\" space") == search("disk space"))
            #expect(try search("\"space disk\" \"space disk\"")[0].score < 2 * lifted[0].score)
        }
    }

    @Test func fieldsAreForTheCaller() {
        let query = TextSearchQuery("author:Ann -data.format:\"plain text\" http://x.org std::io 10:30 note: a:", isField: { name, _ in name != "note" })
        #expect(query.fields.map(\.field) == ["author", "data.format"])
        #expect(query.fields.map(\.value) == ["Ann", "plain text"])
        #expect(query.fields.map(\.isExcluded) == [false, true])
        #expect(!query.isPlain)
        #expect(TextSearchQuery("key:value", isField: { _, _ in false }).isPlain)
        #expect(TextSearchQuery("plain words, C++ a - b e-mail").isPlain)
    }

    /// Phrases by their positions against a look at the terms themselves.
    @Test func phrasesAreExact() throws {
        var random = SeededRandom(seed: testSeed("phrasesAreExact"))
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        var write = try environment.beginWrite()
        var texts: [[String]] = []
        for number in 0..<400 {
            let words = (0..<Int.random(in: 0...(number % 40 == 0 ? 3_000 : 60), using: &random)).map { _ in
                "w\(Int(random.unit() * random.unit() * (number % 40 == 0 ? 900 : 12)))"
            }
            texts.append(words)
            try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText(words.joined(separator: " ")), in: &write)
        }
        for _ in 0..<300 {
            let phrase = (0..<Int.random(in: 2...4, using: &random)).map { _ in "w\(Int(random.unit() * random.unit() * 12))" }
            let expected = texts.indices.filter { number in
                let words = texts[number]
                return words.count >= phrase.count && (0...(words.count - phrase.count)).contains { Array(words[$0..<$0 + phrase.count]) == phrase }
            }
            let resolved = try index.resolve(TextSearchQuery("+\"\(phrase.joined(separator: " "))\""), in: write.view)
            let found = try index.search(resolved, count: 1_000, in: write.view)
            #expect(found.map { Int($0.node.rawValue) }.sorted() == expected)
            let weights = try index.weights(resolved, in: write.view)
            #expect(try index.scores(weights, of: found.map(\.node), in: write.view) == found.map(\.score))
        }
    }

    /// What an embedding is made of.
    @Test(arguments: [
        ("disk space", "disk space"), ("C++ a - b, e-mail", "C++ a - b, e-mail"), ("\"disk space\" -full", "disk space"), ("+Disk free", "Disk free"),
        ("conf* of +getUserNames", "conf* of +getUserNames"), ("author:Ann who is she", "who is she"), ("-disk", "-disk"),
        ("-\"disk\" -\"a b\"", "-\"disk\" -\"a b\""),
        ("author:Ann", "author:Ann"), ("git push -f rejected", "git push -f rejected"), ("chmod +x file", "chmod +x file"),
        ("plain\u{A0}words, (any)", "plain\u{A0}words, (any)"), ("\"disk", "\"disk"), ("the \"king of Spain\"?", "the \"king of Spain\"?"),
        ("the +\"king of Spain\"?", "the king of Spain ?"),
        ("+the disk", "+the disk"), ("", ""), ("-", "-"), ("cache -redis", "cache"),
        ("http://x.org -y", "http://x.org -y"), ("other:x", "other:x"),
    ])
    func plainTextIsWithoutSigns(query: String, expected: String) {
        for kind in Analyzer.Kind.allCases {
            let syntax = TextSearchQuery(query, analyzer: Analyzer(kind), isField: { name, _ in name == "author" })
            #expect(syntax.plainText == expected)
            if !TextSearchQuery.mayHaveSigns(query) { #expect(syntax.isPlain && expected == query) }
        }
    }

    /// The demands of random queries: the index's search, its selection, the collection in memory, and a look at the words themselves.
    @Test(arguments: Analyzer.Kind.allCases)
    func demandsAreExact(kind: Analyzer.Kind) throws {
        var random = SeededRandom(seed: testSeed("demandsAreExact \(kind)"))
        let analyzer = Analyzer(kind)
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        var write = try environment.beginWrite()
        try index.configure(TextIndexOptions(analyzer: analyzer), in: &write)
        // Of letters: bare signs count before nothing else.
        func word() -> String { "wo\(UnicodeScalar(UInt8(ascii: "a") + UInt8(random.unit() * random.unit() * 14)))" }
        let words = (0..<300).map { _ in (0..<Int.random(in: 0...12, using: &random)).map { _ in word() } }
        let texts = words.map { AnalyzedText($0.joined(separator: " "), analyzer: analyzer) }
        try index.apply(texts.enumerated().map { TextChange(node: NodeID(rawValue: UInt32($0)), new: $1) }, in: &write)
        let collection = TextCollection(texts)
        #expect(try collection.statistics == index.statistics(in: write.view))

        func holds(_ phrase: [String], _ text: [String]) -> Bool {
            text.count >= phrase.count && (0...(text.count - phrase.count)).contains { Array(text[$0..<$0 + phrase.count]) == phrase }
        }
        for _ in 0..<400 {
            var (first, pieces, last, scored): ([String], [String], [String], [(String) -> Bool]) = ([], [], [], [])
            var (demands, required): ([([String]) -> Bool], Bool) = ([], false)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let (a, b) = (word(), word())
                let prefix = String(a.dropLast(Int.random(in: 0...1, using: &random)))
                switch Int.random(in: 0..<11, using: &random) {
                case 0, 1:
                    pieces.append(a)
                    scored.append { $0 == a }
                case 2:
                    first.append("+\(a)")
                    scored.append { $0 == a }
                    demands.append { $0.contains(a) }
                    required = true
                case 3:
                    last.append("-\(a)")
                    demands.append { !$0.contains(a) }
                case 4:
                    pieces.append("+\"\(a) \(b)\"")
                    scored.append { $0 == a || $0 == b }
                    demands.append { holds([a, b], $0) }
                    required = true
                case 5:
                    pieces.append("-\"\(a) \(b)\"")
                    demands.append { !holds([a, b], $0) }
                case 6:
                    pieces.append("\(prefix)*")
                    scored.append { $0.hasPrefix(prefix) }
                case 7:
                    first.append("+\(prefix)*")
                    scored.append { $0.hasPrefix(prefix) }
                    demands.append { $0.contains { $0.hasPrefix(prefix) } }
                    required = true
                case 8:
                    pieces.append("-\"\(a)\"")
                    demands.append { !$0.contains(a) }
                default:
                    pieces.append("\"\(a) \(b)\"")
                    scored.append { $0 == a || $0 == b }
                }
            }
            // Bare exclusions need something that is asked for.
            if scored.isEmpty, !last.isEmpty { continue }
            let query = (first + pieces + last).joined(separator: " ")
            let admitted = Set(words.indices.filter { place in demands.allSatisfy { $0(words[place]) } })
            let found = admitted.filter { place in words[place].contains { word in scored.contains { $0(word) } } }

            let syntax = TextSearchQuery(query, analyzer: analyzer)
            let resolved = try index.resolve(syntax, in: write.view)
            let matches = try index.search(resolved, count: 1_000, in: write.view)
            #expect(Set(matches.map { Int($0.node.rawValue) }) == found, "\(query)")
            switch try index.selection(resolved, in: write.view) {
            case .all: #expect(demands.isEmpty, "\(query)")
            case .only(let nodes): #expect(required && nodes.map { Int($0.rawValue) } == admitted.sorted(), "\(query)")
            case .except(let nodes): #expect(!required && Set(words.indices).subtracting(nodes.map { Int($0.rawValue) }) == admitted, "\(query)")
            }
            let ofCollection = collection.resolve(syntax)
            #expect(ofCollection.query.terms == resolved.query.terms && ofCollection.query.counts == resolved.query.counts)
            let weights = (try index.weights(resolved, in: write.view), collection.weights(ofCollection))
            #expect(weights.0.ceiling == weights.1.ceiling && weights.0.terms.map(\.documentFrequency) == weights.1.terms.map(\.documentFrequency))
            for count in [1, 7, 1_000] {
                let naive = collection.search(ofCollection, weights.1, count: count) { _ in true }
                let matches = try index.search(resolved, count: count, in: write.view)
                #expect(naive.map(\.place) == matches.map { Int($0.node.rawValue) }, "\(query)")
                #expect(naive.map(\.score) == matches.map(\.score), "\(query)")
            }
            #expect(words.indices.filter { collection.admits(ofCollection, $0) } == admitted.sorted(), "\(query)")
        }
    }

    /// A prefix of many words is worth one word, not the sum of 64.
    @Test func aPrefixIsOneWordOfTheCeiling() throws {
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        var write = try environment.beginWrite()
        for number in 0..<50 { try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText("config\(number) disk\(number % 2)"), in: &write) }
        let prefix = try index.weights(try index.resolve(TextSearchQuery("config* disk1"), in: write.view), in: write.view)
        let words = try index.weights(TextQuery("config7 disk1"), in: write.view)
        #expect(prefix.terms.count == 52 && abs(prefix.ceiling - words.ceiling) < 1e-3)
        #expect(prefix.score(AnalyzedText("config7 disk1")) > 0.4 * prefix.ceiling)
    }

    /// Whatever is typed has a defined result, and soon.
    @Test(arguments: [
        String(repeating: "disk ", count: 200_000), (0..<10_000).map { "w\($0)" }.joined(separator: " "), String(repeating: "x", count: 100_000),
        String(repeating: "\"", count: 1_000_000), String(repeating: "\"a ", count: 300_000), String(repeating: "+-", count: 500_000),
        String(repeating: "a*", count: 300_000), String(repeating: "a* ", count: 300_000), String(repeating: "-a* ", count: 100_000),
        String(repeating: "+w ", count: 300_000), String(repeating: "a:", count: 300_000), String(repeating: "a:b ", count: 200_000),
        String(repeating: "a.b", count: 300_000), String(repeating: "the ", count: 250_000), String(repeating: "!?", count: 500_000),
        "אבג מרחבא \u{202E}disk\u{202C} שלום", "e\u{301}\u{301}\u{301}" + String(repeating: "\u{301}", count: 100_000), "\u{0}\u{FFFF}\u{10FFFF} disk",
        String(repeating: "数", count: 300_000), String(repeating: "-\"a b\" ", count: 100_000), "𝔡𝔦𝔰𝔨 ⅷ ﬁ ǅ", String(repeating: "aB", count: 100_000),
    ])
    func anythingIsAQuery(text: String) throws {
        let environment = try open()
        try environment.read { view in
            let plain = TextQuery(text)
            #expect(plain.terms.count <= TextQuery.termsMax)
            _ = try index.search(plain, count: 10, in: view)
            let resolved = try index.resolve(TextSearchQuery(text), in: view)
            #expect(resolved.query.terms.count <= TextQuery.termsMax)
            _ = try index.search(resolved, count: 1_000, in: view)
        }
        #expect(AnalyzedText(text).frequencies.allSatisfy { (1...64).contains($0.term.utf8.count) })
    }

    @Test func randomQueriesNeverThrow() throws {
        var random = SeededRandom(seed: testSeed("randomQueriesNeverThrow"))
        let environment = try open()
        let pieces = ["disk", "space", "\"", "+", "-", "*", ":", " ", " ", "a", "config", "“", "_", ".", "é", "数", "\u{301}", "9", "the", "\n", "'", "/"]
        for _ in 0..<5_000 {
            let query = (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined()
            let matches = try found(query, environment)
            #expect(Set(matches).isSubset(of: Set(Self.texts.keys.map { UInt32($0) })))
        }
    }
}
