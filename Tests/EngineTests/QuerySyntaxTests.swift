import Base
import Content
import Engine
import FullText
import Needs
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
                asked.text.append("+\"\(a)\"")
                asked.plain.append(a)
                asked.scored.append { $0 == a }
                asked.demands.append { $1.contains(a) }
            case 4:
                asked.text.append("-\"\(a)\"")
                asked.demands.append { !$1.contains(a) }
            case 5:
                let demands = Bool.random(using: &random)
                asked.text.append("\(demands ? "+" : "")\"\(a) \(b)\"")
                asked.plain += [a, b]
                asked.scored.append { $0 == a || $0 == b }
                if demands { asked.demands.append { holds([a, b], $1) } }
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
        var ignored = 0
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
            let request = QueryRequest(project: Name(stored: "p"), text: text, topK: 100, threshold: 0, mode: mode)
            let answer = try await fixture.database.query(Fixture.tenant, request)
            let matches = answer.matches
            if answer.ignoresSigns {
                // Its words alone.
                #expect(expected.isEmpty && !asked.demands.isEmpty && !matches.isEmpty, "\(text)")
                var plain = request
                plain.syntax = .plain
                let words = try await fixture.database.query(Fixture.tenant, plain)
                #expect(words.matches.map(\.nodeKey) == matches.map(\.nodeKey) && words.matches.map(\.similarity) == matches.map(\.similarity))
                ignored += 1
            } else {
                #expect(Set(matches.map(\.nodeKey)) == Set(expected.map { nodes[$0].nodeKey }), "\(text)")
            }
            #expect(zip(matches, matches.dropFirst()).allSatisfy { $0.similarity >= $1.similarity })
        }
        #expect(ignored > 10)
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
        let phrase = try await explained("+\"disk space\"")
        #expect(phrase.keys.sorted() == ["a"] && phrase["a"]?.cosine == plain["a"]?.cosine && phrase["a"]?.bm25 == plain["a"]?.bm25)
        let without = try await explained("disk space -server")
        #expect(without.keys.sorted() == ["b", "c"] && without["b"]?.cosine == plain["b"]?.cosine && without["b"]?.bm25 == plain["b"]?.bm25)
        // A quoted phrase lifts: the same texts, and the same scores but for those in which it stands.
        let lifted = try await explained("\"disk space\"")
        #expect(lifted.keys.sorted() == ["a", "b", "c"] && lifted["b"]?.bm25 == plain["b"]?.bm25 && lifted["a"]!.bm25 > plain["a"]!.bm25)
        #expect(lifted["b"]?.similarity == (try await explained("\"disk\" space"))["b"]?.similarity)
        // The vector side finds it, the demand keeps it out.
        #expect(try await keys("printers +\"disk\"").sorted() == ["a", "b"])
        // Stop words are in no phrase: "space for a disk".
        #expect(try await keys("+\"space disk\"") == ["b"])
        // Only what is not wanted: the rest, by vector.
        #expect(try await keys("-\"disk\"") == ["c"])
        #expect(try await keys("data_key:b").sorted() == ["b"])
        #expect(try await keys("disk data_key:b", .keyword) == ["b"])
        #expect(try await keys("disk -data_key:b", .keyword) == ["a"])
        #expect(try await keys("data_key:a data_key:c").sorted() == ["a", "c"])
        #expect(try await keys("kind:object path:root data_format:json disk").count == 3)
        #expect(try await keys("path:roo* disk", .keyword).sorted() == ["a", "b"])
        // No field of ours: two words.
        #expect(try await keys("author:disk", .keyword).sorted() == ["a", "b"])
        #expect(try await keys("kind:disk", .keyword).sorted() == ["a", "b"])
        // Where signs leave nothing the words are answered, and the answer says so; not where they have nothing to say.
        for (text, mode, found) in [
            ("+\"disk server\"", .hybrid, ["a", "b", "c"]), ("+\"disk server\"", .keyword, ["a", "b"]), ("data_key:nowhere disk", .keyword, ["a", "b"]),
            ("disk -path:ro*", .hybrid, ["a", "b", "c"]), ("-\"disk\"", .keyword, ["a", "b"]), ("data_key:b", .keyword, ["b"]),
            ("data_key:nowhere", .keyword, []),
            ("\"disk server\"", .keyword, ["a", "b"]),
        ] as [(String, SearchMode, [String])] {
            var request = QueryRequest(project: Name(stored: "p"), text: text, threshold: 0, mode: mode)
            let ignores = !found.isEmpty && text != "\"disk server\""
            let answer = try await fixture.database.query(Fixture.tenant, request)
            #expect(answer.matches.map(\.documentKey).sorted() == found && answer.ignoresSigns == ignores, "\(text) \(mode)")
            // The same with a choice among the matches, in a batch, and of the past.
            request.maxTokens = 1_000
            let batch = try await fixture.database.query(Fixture.tenant, [request])[0].get()
            #expect(batch.matches.map(\.documentKey).sorted() == found && batch.ignoresSigns == ignores, "\(text) \(mode)")
            request.asOf = .sequence(Sequence(rawValue: 3))
            let past = try await fixture.database.query(Fixture.tenant, request)
            #expect(past.matches.map(\.documentKey).sorted() == found && past.ignoresSigns == ignores, "\(text) \(mode)")
            request.maxTokens = nil
            let plainPast = try await fixture.database.query(Fixture.tenant, request)
            #expect(plainPast.matches.map(\.documentKey).sorted() == found && plainPast.ignoresSigns == ignores, "\(text) \(mode)")
            request.asOf = nil
            request.syntax = .plain
            #expect(try await fixture.database.query(Fixture.tenant, request).ignoresSigns == false)
        }
        // Of many words that a prefix stands for, one is all that can be expected.
        #expect(try await fixture.query("p", "conf*", mode: .keyword)[0].similarity > 0.4)
        // By the vectors alone everything is text, as the original has it.
        let typed = try await fixture.query("p", "disk -server", mode: .semantic)
        #expect(typed.count == 3 && Set(typed.map(\.documentKey)) == ["a", "b", "c"])
        await fixture.database.close()
    }

    /// Commands and signs in sentences find the texts that speak of them.
    @Test func commandsFindTheirTexts() async throws {
        let fixture = try Fixture()
        let texts = [
            "tar": "tar -xzf unpacks a gzipped archive", "push": "git push -f rejected: the branch is protected, force pushes are off",
            "docker": "docker run -p 8080:80 publishes port 80 of the container", "chmod": "chmod +x makes a script executable",
            "kind": "kind: Deployment apiVersion: apps/v1 of the shop", "reset": "The log says: connection reset by peer",
        ]
        for (key, text) in texts.sorted(by: { $0.key < $1.key }) { try await fixture.publish("p", key, ["note": .string(text)]) }
        for (text, key) in [
            ("what does tar -xzf do", "tar"), ("tar -xzf", "tar"), ("git push -f rejected", "push"), ("docker run -p 8080:80", "docker"),
            ("kind:Deployment", "kind"), ("kind: Deployment", "kind"), ("chmod +x", "chmod"), ("+x chmod", "chmod"),
            ("Why does the log say \"connection reset by peer\"?", "reset"), ("\"tar xzf\"", "tar"),
        ] {
            let request = QueryRequest(project: Name(stored: "p"), text: text)
            let answer = try await fixture.database.query(Fixture.tenant, request)
            #expect(answer.matches.first?.documentKey == key && !answer.ignoresSigns, "\(text): \(answer.matches.map(\.nodeKey))")
        }
        await fixture.database.close()
    }

    /// A word that is a name and rare lifts a text over the default threshold, for a query as for a need; a common one does not.
    @Test func exactWordsAreEnough() async throws {
        let fixture = try Fixture()
        let project = Name(stored: "p")
        for number in 0..<60 {
            try await fixture.publish("p", "k\(number)", ["note": .string("note \(number) of the shop w\(number % 7) v\(number % 5) BUILD-9000 and more")])
        }
        let needs = [
            "what happened with ERR_DISK_7731", "orders with BUILD-9000", "price of 19.90 euro", "the getUserNames call in the shop", "in the year 2024",
        ]
        for (place, need) in needs.enumerated() {
            _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: project, agent: Name(stored: "a\(place)"), needs: [need]))
        }
        let rest = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega"
        for (key, word, told) in [
            ("code", "ERR_DISK_7731", ["a0"]), ("common", "BUILD-9000", []), ("number", "19.90", ["a2"]), ("name", "getUserNames", ["a3"]),
            ("year", "2024", []),
        ] {
            _ = fixture.sink.take()
            try await fixture.publish("p", key, ["note": .string("\(rest) \(word) \(rest) \(rest)")])
            #expect(fixture.sink.take().map(\.agent.name.text).sorted() == told, "\(word)")
        }
        for (place, key) in [(0, "code"), (2, "number"), (3, "name")] {
            for asOf in [nil, Moment.sequence(Sequence(rawValue: 65))] {
                let request = QueryRequest(project: project, text: needs[place], explain: true, asOf: asOf)
                let match = try #require(try await fixture.database.query(Fixture.tenant, request).matches.first { $0.documentKey == key })
                let parts = try #require(match.explanation).parts
                let odds = parts.reduce(0) { $0 + $1.value }
                #expect(match.similarity >= 0.5 && parts.contains { $0.name == "exact_word" })
                #expect(abs(1 / (1 + PortableMath.exp(-odds)) - match.similarity) < 1e-5)
            }
        }
        // Whatever filter or sign keeps it out keeps it out.
        let request = QueryRequest(project: project, text: "+\"w3\" ERR_DISK_7731", topK: 50, threshold: 0)
        #expect(try await fixture.database.query(Fixture.tenant, request).matches.allSatisfy { $0.documentKey != "code" })
        #expect(try await fixture.closeAndCheck().isEmpty)
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
