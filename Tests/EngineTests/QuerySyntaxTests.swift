import Base
import Content
import Engine
import FullText
import Search
import TestSupport
import Testing

/// Queries with signs, through the whole engine, against a look at every node.
@Suite struct QuerySyntaxTests {
    private static func word(_ random: inout SeededRandom) -> String { "w\(Int(random.unit() * random.unit() * 14))" }

    private struct Asked {
        var text: [String] = []
        /// What the embedding is made of.
        var plain: [String] = []
        /// Words that count; each says whether a word is one of them.
        var scored: [(String) -> Bool] = []
        var demands: [(ListedNode, [String]) -> Bool] = []
    }

    private static func holds(_ phrase: [String], _ text: [String]) -> Bool {
        text.count >= phrase.count && (0...(text.count - phrase.count)).contains { Array(text[$0..<$0 + phrase.count]) == phrase }
    }

    private static func ask(_ random: inout SeededRandom) -> Asked {
        var asked = Asked()
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let (a, b) = (word(&random), word(&random))
            switch Int.random(in: 0..<11, using: &random) {
            case 0, 1, 2:
                asked.text.append(a)
                asked.plain.append(a)
                asked.scored.append { $0 == a }
            case 3:
                asked.text.append("+" + a)
                asked.plain.append(a)
                asked.scored.append { $0 == a }
                asked.demands.append { $1.contains(a) }
            case 4:
                asked.text.append("-" + a)
                asked.demands.append { !$1.contains(a) }
            case 5:
                asked.text.append("\"\(a) \(b)\"")
                asked.plain += [a, b]
                asked.scored.append { $0 == a || $0 == b }
                asked.demands.append { holds([a, b], $1) }
            case 6:
                asked.text.append("-\"\(a) \(b)\"")
                asked.demands.append { !holds([a, b], $1) }
            case 7:
                asked.text.append("w1*")
                asked.plain.append("w1")
                asked.scored.append { $0.hasPrefix("w1") }
            case 8:
                asked.text.append("data_key:k\(a)")
                asked.demands.append { node, _ in node.documentKey == "k\(a)" }
            case 9:
                asked.text.append("-data_key:kw1*")
                asked.demands.append { node, _ in !node.documentKey.hasPrefix("kw1") }
            default:
                asked.text.append("data_format:json")
                asked.demands.append { node, _ in node.format == "json" }
            }
        }
        return asked
    }

    @Test(arguments: [SearchMode.hybrid, .keyword]) func answersAreThoseThatFit(mode: SearchMode) async throws {
        var random = SeededRandom(seed: testSeed("answersAreThoseThatFit \(mode)"))
        let fixture = try Fixture()
        for number in 0..<60 {
            let words = (0..<Int.random(in: 1...8, using: &random)).map { _ in Self.word(&random) }.joined(separator: " ")
            let data: JSONValue = number % 3 == 0 ? .string(words) : ["w0": .string(words)]
            try await fixture.publish("p", "k\(Self.word(&random))", data, format: number % 3 == 0 ? "text" : nil)
        }
        let nodes = try await fixture.database.listNodes(Fixture.tenant, project: Name(stored: "p"))
        let words = nodes.map { Analyzer().terms($0.description) }
        for _ in 0..<300 {
            let asked = Self.ask(&random)
            // Values of one field are alternatives: this twin knows only one of each.
            guard Set(asked.text.compactMap { $0.split(separator: ":").count == 2 ? $0.split(separator: ":")[0] : nil }).count
                == asked.text.count(where: { $0.contains(":") })
            else { continue }
            let text = asked.text.joined(separator: " ")
            let expected = nodes.indices.filter { place in
                asked.demands.allSatisfy { $0(nodes[place], words[place]) }
                    && (mode == .hybrid || words[place].contains { word in asked.scored.contains { $0(word) } })
            }
            let matches = try await fixture.query("p", text, mode: mode, topK: 100)
            #expect(Set(matches.map(\.nodeKey)) == Set(expected.map { nodes[$0].nodeKey }), "\(text)")
            #expect(zip(matches, matches.dropFirst()).allSatisfy { $0.similarity >= $1.similarity })
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// What is embedded, and what each side gives: by the explanation.
    @Test func bothSidesScoreWhatIsLeft() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "a", ["note": "free disk space on the server"])
        try await fixture.publish("p", "b", ["note": "space for a disk"])
        try await fixture.publish("p", "c", ["note": "configuration of the printers"])
        func keys(_ text: String, _ mode: SearchMode = .hybrid) async throws -> [String] {
            try await fixture.query("p", text, mode: mode).map(\.documentKey)
        }
        func explained(_ text: String) async throws -> [String: Explanation] {
            let request = QueryRequest(project: Name(stored: "p"), text: text, threshold: 0, explain: true)
            let matches = try await fixture.database.query(Fixture.tenant, request).matches
            return Dictionary(uniqueKeysWithValues: matches.map { ($0.documentKey, $0.explanation!) })
        }
        let plain = try await explained("disk space")
        let phrase = try await explained("\"disk space\"")
        #expect(phrase.keys.sorted() == ["a"] && phrase["a"]?.cosine == plain["a"]?.cosine && phrase["a"]?.bm25 == plain["a"]?.bm25)
        let without = try await explained("disk space -server")
        #expect(without.keys.sorted() == ["b", "c"] && without["b"]?.cosine == plain["b"]?.cosine && without["b"]?.bm25 == plain["b"]?.bm25)
        // The vector side finds it, the demand keeps it out.
        #expect(try await keys("printers +disk").sorted() == ["a", "b"])
        // Stop words are in no phrase: "space for a disk".
        #expect(try await keys("\"space disk\"") == ["b"])
        #expect(try await keys("\"disk server\"") == [])
        // Only what is not wanted: the rest, by vector; by words alone nothing.
        #expect(try await keys("-disk") == ["c"])
        #expect(try await keys("-disk", .keyword) == [])
        #expect(try await keys("data_key:b").sorted() == ["b"])
        #expect(try await keys("data_key:b", .keyword) == [])
        #expect(try await keys("disk data_key:b", .keyword) == ["b"])
        #expect(try await keys("disk -data_key:b", .keyword) == ["a"])
        #expect(try await keys("data_key:a data_key:c").sorted() == ["a", "c"])
        #expect(try await keys("data_key:nowhere") == [])
        #expect(try await keys("kind:object path:root data_format:json disk").count == 3)
        #expect(try await keys("path:roo* disk", .keyword).sorted() == ["a", "b"])
        #expect(try await keys("disk -path:ro*") == [])
        // No field of ours: two words.
        #expect(try await keys("author:disk", .keyword).sorted() == ["a", "b"])
        // Of many words that a prefix stands for, one is all that can be expected.
        #expect(try await fixture.query("p", "conf*", mode: .keyword)[0].similarity > 0.4)
        // By the vectors alone everything is text, as the original has it.
        let typed = try await fixture.query("p", "disk -server", mode: .semantic)
        #expect(typed.count == 3 && Set(typed.map(\.documentKey)) == ["a", "b", "c"])
        await fixture.database.close()
    }

    /// A need is plain words, whatever stands in it.
    @Test func signsInNeedsArePlainWords() async throws {
        let fixture = try Fixture { $0.threshold = 0.05 }
        try await fixture.publish("p", "a", ["note": "disk space"])
        let needs = ["+disk -space", "\"space disk\"", "data_key:nowhere disk", "-", "\"", "+", "conf* -\"", "-disk"]
        let registration = try await fixture.database.register(
            Fixture.tenant, RegisterCommand(project: Name(stored: "p"), agent: Name(stored: "x"), needs: needs))
        #expect(registration.matchedNeeds.map(\.need) == needs)
        for place in [0, 1, 2] { #expect(registration.matchedNeeds[place].count == 1, "\(needs[place])") }
        _ = fixture.sink.take()
        try await fixture.publish("p", "b", ["note": "disk space again"])
        #expect(fixture.sink.take().count == 1)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Whatever is typed has an answer.
    @Test func anythingIsAQuery() async throws {
        var random = SeededRandom(seed: testSeed("anythingIsAQuery"))
        let fixture = try Fixture()
        for number in 0..<30 {
            try await fixture.publish("p", "k\(number)", ["note": .string("disk space config\(number) of a server"), "n": .integer(number)])
        }
        let pieces = [
            "disk", "space", "\"", "+", "-", "*", ":", " ", " ", "a", "config", "“", "_", ".", "é", "数", "\u{301}", "9", "the", "\n", "'", "/", "data_key:",
            "kind:",
            "\u{202E}", "שלום",
        ]
        var texts = (0..<400).map { _ in (0..<Int.random(in: 1...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }.joined() }
        texts += [
            (0..<10_000).map { "\(UnicodeScalar(97 + $0 % 26)!)\($0 / 26 % 10)" }.joined(separator: " "), String(repeating: "x", count: 32_768),
            String(repeating: "a* ", count: 10_000), String(repeating: "-a* ", count: 8_000), String(repeating: "+w ", count: 10_000),
            String(repeating: "the ", count: 8_000), String(repeating: "!?", count: 16_000), String(repeating: "\"a b\" ", count: 5_000),
            String(repeating: "-\"a server\" ", count: 2_700), String(repeating: "data_key:k* ", count: 2_700), String(repeating: "e\u{301}", count: 16_000),
        ]
        for text in texts where !text.isEmpty {
            for mode in SearchMode.allCases { _ = try await fixture.query("p", text, mode: mode) }
        }
        await fixture.database.close()
    }
}
