import Answers
import Base
import Content
import Engine
import Search
import TestSupport
import Testing

/// Packing, explanations and batches over a store.
@Suite struct QueryPackingTests {
    /// Four bytes a token: monotone, so that a count can be checked by hand.
    static let models = Models(
        identity: "hashed words", dimension: WordHash.dimension, embed: { texts in texts.map(WordHash.vector) }, countTokens: { ($0.utf8.count + 3) / 4 })

    private func request(_ text: String, topK: Int = 10, _ change: (inout QueryRequest) -> Void) -> QueryRequest {
        var request = QueryRequest(project: Name(stored: "p"), text: text, topK: topK, threshold: 0)
        change(&request)
        return request
    }
    private func ask(_ fixture: Fixture, _ text: String, topK: Int = 10, _ change: (inout QueryRequest) -> Void = { _ in }) async throws -> QueryAnswer {
        try await fixture.database.query(Fixture.tenant, request(text, topK: topK, change))
    }

    private func words(_ random: inout SeededRandom, _ count: Int) -> String {
        (0..<count).map { _ in ["zebra", "stripe", "horse", "river", "grass", "lion", "dust", "rain"][Int(random.next() % 8)] }.joined(separator: " ")
    }

    @Test func theAnswersDataIsNeverOverTheBudgetInAnyFormat() async throws {
        var random = SeededRandom(seed: testSeed("theAnswersDataIsNeverOverTheBudgetInAnyFormat"))
        let fixture = try Fixture(models: Self.models)
        for i in 0..<60 {
            let data: JSONValue =
                switch i % 4 {
                case 0: ["text": .string(words(&random, 3 + Int(random.next() % 200))), "n": .integer(i)]
                case 1: ["tags": .array((0..<Int(random.next() % 30)).map { _ in .string(words(&random, 2)) }), "zebra": .null]
                case 2: .string(words(&random, 20) + ".\n\n" + words(&random, 100) + ".")
                default: ["zebra": ["stripe": .string(words(&random, 5)), "deep": ["x": .double(0.5), "y": .string(words(&random, 9))]]]
                }
            try await fixture.publish("p", "k\(i)", data)
        }
        var (cut, whole) = (0, 0)
        for round in 0..<200 {
            let format = AnswerFormat.allCases[round % AnswerFormat.allCases.count]
            let budget = 20 + Int(random.next() % 600)
            let asked = words(&random, 3)
            let topK = 1 + Int(random.next() % 20)
            let answer = try await ask(fixture, asked, topK: topK) {
                $0.maxTokens = budget
                $0.format = format
                $0.diversity = round % 3 == 0 ? random.unit() : nil
                $0.pinned = round % 4 == 0 ? ["k1", "k2.nothing"] : []
            }
            let report = try #require(answer.packing)
            var sum = 0
            for match in answer.matches {
                let tokens = try (format.encode(match.data).count + 3) / 4
                #expect(match.tokens == tokens, "round \(round) \(format)")
                sum += tokens
            }
            #expect(sum <= budget && report.tokens == sum && report.maxTokens == budget, "round \(round) \(format): \(sum) of \(budget)")
            #expect(answer.matches.count { !$0.isPinned } <= topK)
            let pins = answer.matches.prefix { $0.isPinned }
            #expect(answer.matches.dropFirst(pins.count).allSatisfy { !$0.isPinned })
            let others = answer.matches.dropFirst(pins.count).map(\.similarity)
            #expect(others == others.sorted(by: >), "round \(round)")
            #expect(Set(report.omitted).isDisjoint(with: answer.matches.map(\.nodeKey)))
            #expect(report.isTruncated == (!report.omitted.isEmpty || answer.matches.contains(where: \.isCut)))
            if report.isTruncated { cut += 1 } else { whole += 1 }
            let again = try await ask(fixture, asked, topK: topK) {
                $0.maxTokens = budget
                $0.format = format
                $0.diversity = report.diversity
                $0.pinned = round % 4 == 0 ? ["k1", "k2.nothing"] : []
            }
            #expect(again.matches.map(\.nodeKey) == answer.matches.map(\.nodeKey), "round \(round)")
        }
        print("truncated \(cut), whole \(whole)")
        #expect(cut > 20 && whole > 5)
    }

    @Test func whatFitsIsAsItWas() async throws {
        let fixture = try Fixture(models: Self.models)
        for i in 0..<12 { try await fixture.publish("p", "k\(i)", ["animal": "zebra", "n": .integer(i)]) }
        let plain = try await ask(fixture, "animal zebra", topK: 7)
        #expect(plain.packing == nil && plain.matches.allSatisfy { $0.tokens == nil })
        let packed = try await ask(fixture, "animal zebra", topK: 7) { $0.maxTokens = 10_000 }
        #expect(packed.matches.map(\.nodeKey) == plain.matches.map(\.nodeKey) && packed.packing?.isTruncated == false)
    }

    @Test func equalDataComesOnceWhenThereIsAChoice() async throws {
        let fixture = try Fixture(models: Self.models)
        for key in ["a", "b", "c"] { try await fixture.publish("p", key, ["animal": "zebra"]) }
        try await fixture.publish("p", "d", ["animal": "zebra", "n": .integer(1)])
        let all = try await ask(fixture, "animal zebra").matches.map(\.nodeKey)
        #expect(all.count == 4)
        let equal = all.filter { $0 != "d.root" }
        for change in [{ $0.maxTokens = 1_000 }, { $0.diversity = 0 }] as [(inout QueryRequest) -> Void] {
            let answer = try await ask(fixture, "animal zebra", change)
            #expect(Set(answer.matches.map(\.nodeKey)) == [equal[0], "d.root"])
            #expect(answer.packing?.duplicates.map(\.nodeKey) == Array(equal[1...]) && answer.packing?.duplicates.map(\.of) == [equal[0], equal[0]])
            #expect(answer.packing?.omitted == [])
        }
        // What only pins chooses nothing else.
        #expect(try await ask(fixture, "animal zebra") { $0.pinned = ["d"] }.matches.map(\.nodeKey) == ["d.root"] + equal)
    }

    @Test func diversityBringsWhatIsNew() async throws {
        let fixture = try Fixture(models: Self.models)
        for i in 0..<5 { try await fixture.publish("p", "same\(i)", ["animal": .string("zebra stripe grass river lion dust"), "n": .integer(i)]) }
        try await fixture.publish("p", "other", ["plan": "horse zebra stripe rain"])
        let plain = try await ask(fixture, "zebra stripe", topK: 2) { $0.mode = .semantic }
        let diverse = try await ask(fixture, "zebra stripe", topK: 2) {
            $0.mode = .semantic
            $0.diversity = 0.7
        }
        #expect(!plain.matches.map(\.nodeKey).contains("other.root") || plain.matches.count == 2)
        #expect(diverse.matches.map(\.nodeKey).contains("other.root"))
    }

    @Test func pinnedComeFirstWithTheirTrueSimilarity() async throws {
        let fixture = try Fixture(models: Self.models)
        for i in 0..<8 { try await fixture.publish("p", "k\(i)", ["animal": "zebra", "n": .integer(i)]) }
        try await fixture.publish("p", "far", ["one": ["menu": "soup of the day"], "two": ["wine": "red"]])
        try await fixture.publish("p", "dot.ted", ["menu": "bread"])
        let everything = try await ask(fixture, "animal zebra", topK: 50) { $0.threshold = 0 }
        let similarity = Dictionary(uniqueKeysWithValues: everything.matches.map { ($0.nodeKey, $0.similarity) })
        let answer = try await ask(fixture, "animal zebra", topK: 3) {
            $0.threshold = 0.5
            $0.pinned = ["far", "dot.ted.root", "k7", "nowhere", "far.three", "far.two"]
        }
        #expect(answer.matches.prefix(4).map(\.nodeKey) == ["far.one", "far.two", "dot.ted.root", "k7.root"])
        #expect(answer.matches.map(\.isPinned) == [true, true, true, true, false, false, false])
        #expect(Set(answer.matches.map(\.nodeKey)).count == 7)
        for match in answer.matches { #expect(match.similarity == similarity[match.nodeKey], "\(match.nodeKey)") }
        #expect(answer.packing?.missingPins == ["nowhere", "far.three"])
        let nowhere = try await fixture.database.query(
            Fixture.tenant, { var r = QueryRequest(project: Name(stored: "no"), text: "x"); r.pinned = ["a"]; r.explainKeys = ["b"]; return r }())
        #expect(nowhere.matches.isEmpty && nowhere.packing?.missingPins == ["a"] && nowhere.explained.map(\.outcome) == [.notThere])
    }

    /// What is shown of a long node holds whole lines and items around its passage, in every format, and most of what fits.
    @Test func theBestMatchIsCutAtABoundary() async throws {
        let fixture = try Fixture(models: Self.models)
        let log = (0..<500).map { "zebra line \($0) of the log" }.joined(separator: "\n")
        try await fixture.publish("p", "log", ["first": "zebra", "log": .string(log)])
        try await fixture.publish("p", "list", ["horse": .array((0..<900).map { .string("horse item \($0)") })])
        try await fixture.publish("p", "word", ["lion": .string(String(repeating: "x", count: 20_000))])
        try await fixture.publish("p", "prose", ["rain": .string(String(repeating: "rain on the grass again and ", count: 900))])
        for format in AnswerFormat.allCases {
            let answer = try await ask(fixture, "zebra line log", topK: 1) {
                $0.maxTokens = 1_000
                $0.format = format
            }
            let match = try #require(answer.matches.first)
            #expect(match.nodeKey == "log.root" && match.isCut && answer.packing?.isTruncated == true)
            let head = try #require(match.data["log"]?.stringValue)
            #expect(log.contains(head) && head.hasPrefix("zebra line") && head.hasSuffix("of the log") && match.data["first"] == "zebra")
            #expect(answer.packing!.tokens! <= 1_000 && answer.packing!.tokens! > 800, "\(format): \(answer.packing!)")
            #expect(match.isPassage && match.passage?.range != nil && match.passage?.text == nil)
            #expect(match.tokenCount > 3_000 && match.description.count <= 203)
        }
        let list = try await ask(fixture, "horse item", topK: 1) { $0.maxTokens = 1_000 }
        let items = try #require(list.matches.first?.data["horse"]?.arrayValue)
        #expect(list.matches.first?.isCut == true && items.count > 150 && items.allSatisfy { $0.stringValue?.hasPrefix("horse item") == true })
        let prose = try await ask(fixture, "rain grass", topK: 1) { $0.maxTokens = 1_000 }
        #expect(prose.matches.first?.data["rain"]?.stringValue?.hasPrefix("rain on") == true && prose.packing!.tokens! > 800)
        // One word of 20,000 letters is cut as well, between letters.
        let word = try await ask(fixture, "lion", topK: 1) {
            $0.maxTokens = 1_000
            $0.threshold = 0.5
            $0.mode = .semantic
        }
        #expect(word.packing!.tokens! <= 1_000)
        // Others keep their place beside it.
        for i in 0..<3 { try await fixture.publish("p", "small\(i)", ["zebra": "line", "n": .integer(i)]) }
        let mixed = try await ask(fixture, "zebra line log", topK: 4) { $0.maxTokens = 1_000 }
        #expect(mixed.matches.count >= 3 && mixed.matches.count(where: \.isCut) <= 1)
    }

    @Test func everyOutcomeOfAKeyIsExplained() async throws {
        let fixture = try Fixture(models: Self.models)
        for i in 0..<6 { try await fixture.publish("p", "k\(i)", ["animal": "zebra", "n": .integer(i)]) }
        for key in ["x", "y"] { try await fixture.publish("p", key, ["animal": "horse crossing"]) }
        try await fixture.publish("p", "far", ["one": ["menu": "soup of the day"], "two": ["wine": "red"]])
        // A threshold between what there is to tell apart.
        let order = try await ask(fixture, "animal zebra", topK: 50).matches
        let last = try #require(order.lastIndex { $0.nodeKey.hasPrefix("k") })
        let threshold = order[last].similarity
        let (first, sixth) = (order[0].nodeKey, order[last].nodeKey)
        try #require(last >= 2 && order[(last + 1)...].contains { $0.nodeKey == "far.two" })
        let plain = try await ask(fixture, "animal zebra", topK: 2) {
            $0.threshold = threshold
            $0.explain = true
            $0.explainKeys = [first, sixth, "far.two", "none", ""]
        }
        #expect(plain.packing == nil && plain.matches.map(\.nodeKey) == order.prefix(2).map(\.nodeKey))
        #expect(plain.matches.map(\.explanation?.rank) == [1, 2])
        #expect(plain.explained.map(\.outcome) == [.match, .beyondTopK, .belowThreshold, .notThere, .notThere])
        #expect(plain.explained.map(\.nodes) == [1, 1, 1, 0, 0])
        #expect(plain.explained[1].explanation?.rank == last + 1)
        let document = try await ask(fixture, "soup") { $0.explainKeys = ["far"] }.explained[0]
        #expect(document.nodes == 2 && document.nodeKey == "far.one" && document.outcome == .match)
        for key in plain.explained {
            guard let parts = key.explanation else { continue }
            #expect((parts.similarity >= threshold) == (key.outcome != .belowThreshold))
            // The parts add up to the log-odds of the similarity.
            let sum = parts.parts.reduce(0) { $0 + $1.value }
            #expect(abs(odds(parts.similarity) - sum) < 1e-3, "\(key)")
        }
        let packed = try await ask(fixture, "animal horse crossing", topK: 9) {
            $0.threshold = 0
            $0.maxTokens = 9
            $0.explainKeys = ["x", "y", "k0"]
        }
        // Of x and y, which say the same, the better one is there; k0 does not fit beside it.
        #expect(Set(packed.explained[..<2].map(\.outcome)) == [.match, .duplicate] && packed.explained[2].outcome == .maxTokens, "\(packed)")
        #expect(packed.explained.first { $0.outcome == .duplicate }?.duplicateOf == packed.matches[0].nodeKey)
        // A sign of the question leaves it out.
        let signs = try await ask(fixture, "animal +\"zebra\"") { $0.explainKeys = ["x", "k0"] }
        #expect(signs.explained.map(\.outcome) == [.filteredOut, .match])
    }

    private func odds(_ probability: Double) -> Double {
        // log(p / (1 - p)) without a library: by Newton on the logistic function.
        var low = -40.0, high = 40.0
        for _ in 0..<200 {
            let middle = (low + high) / 2
            var term = 1.0, sum = 1.0
            let x = middle / 64
            for i in 1..<40 { term *= x / Double(i); sum += term }
            var power = 1.0
            for _ in 0..<64 { power *= sum }
            if power / (1 + power) < probability { low = middle } else { high = middle }
        }
        return low
    }

    @Test func aBatchAnswersAsTheQueriesDo() async throws {
        let fixture = try Fixture(models: Self.models)
        var random = SeededRandom(seed: testSeed("aBatchAnswersAsTheQueriesDo"))
        for i in 0..<80 { try await fixture.publish(i % 2 == 0 ? "p" : "q", "k\(i)", ["text": .string(words(&random, 6)), "n": .integer(i)]) }
        var requests: [QueryRequest] = []
        for i in 0..<60 {
            requests.append(
                request(words(&random, 3), topK: 1 + i % 9) {
                    $0.project = Name(stored: ["p", "q", "none"][i % 3])
                    $0.mode = [nil, .semantic, .keyword, .hybrid][i % 4]
                    $0.maxTokens = i % 5 == 0 ? 30 : nil
                    $0.pinned = i % 7 == 0 ? ["k3"] : []
                    $0.explain = i % 2 == 0
                })
        }
        let outcomes = await fixture.database.query(Fixture.tenant, requests)
        #expect(outcomes.count == 60)
        for (request, outcome) in zip(requests, outcomes) {
            let (one, many) = (try await fixture.database.query(Fixture.tenant, request), try outcome.get())
            #expect(one.query == many.query && one.matches.map(\.nodeKey) == many.matches.map(\.nodeKey))
            #expect(one.matches.map(\.similarity) == many.matches.map(\.similarity) && one.matches.map(\.data) == many.matches.map(\.data))
            #expect(one.packing?.omitted == many.packing?.omitted)
        }
        #expect(await fixture.database.query(Fixture.tenant, []).isEmpty)
        await fixture.database.close()
        for outcome in await fixture.database.query(Fixture.tenant, requests) {
            let error = #expect(throws: ContexError.self) { try outcome.get() }
            #expect(error?.category == .unavailable)
        }
    }

    /// Beside a publisher that counts up, all queries of a batch see one count.
    @Test func aBatchSeesOneMoment() async throws {
        let fixture = try Fixture(models: Self.models)
        try await fixture.publish("p", "counter", ["zebra": .integer(0)])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for i in 1...150 { try await fixture.publish("p", "counter", ["zebra": .integer(i)]) } }
            group.addTask {
                var seen: [Int] = []
                for _ in 0..<40 {
                    let outcomes = await fixture.database.query(Fixture.tenant, (0..<40).map { _ in request("zebra") { _ in } })
                    let counts = try Set(outcomes.map { try $0.get().matches.first?.data["zebra"]?.integerValue })
                    #expect(counts.count == 1, "\(counts)")
                    seen.append((counts.first ?? nil) ?? -1)
                }
                #expect(seen == seen.sorted() && !seen.contains(-1))
            }
            try await group.waitForAll()
        }
    }

    @Test func anInitialContextIsPackedLikeAnAnswer() async throws {
        let fixture = try Fixture(models: Self.models) {
            $0.contextTokensMax = 4_000
            // All texts say the same, so that no word tells them apart.
            $0.threshold = 0.05
        }
        for i in 0..<8 { try await fixture.publish("p", "k\(i)", ["animal": "zebra", "text": .string(String(repeating: "stripe ", count: 800 + 10 * i))]) }
        try await fixture.publish("p", "menu", ["soup": "of the day"])
        func register(_ agent: String, _ change: (inout RegisterCommand) -> Void = { _ in }) async throws -> (InitialContext, AgentStatus, JSONValue) {
            var command = RegisterCommand(
                project: Name(stored: "p"), agent: Name(stored: agent), needs: ["animal zebra stripe", "nothing like it"], lastSeen: Sequence(rawValue: .max),
                responseFormat: "json")
            change(&command)
            _ = try await fixture.database.register(Fixture.tenant, command)
            let told = fixture.sink.take()
            guard case .initialContext(let context)? = told.first?.message else { throw ContexError(.bug, "no context") }
            let status = try await fixture.database.agent(Fixture.tenant, command.agent, project: nil)[0]
            let text = NotificationShape.channelText(told[0])
            return (context, status, command.responseFormat == "json" ? try JSONParser.parse(text: text) : .string(text))
        }
        let (context, status, message) = try await register("a")
        func tokens(_ matches: [Match]) -> Int { matches.reduce(0) { $0 + Self.models.countTokens(JSONPrinter.text($1.data, style: .python)) } }
        #expect(tokens(context.matches) <= 4_000 && tokens(context.matches) > 2_000)
        #expect(context.isTruncated && context.needs.map(\.need) == ["animal zebra stripe", "nothing like it"])
        // Long ones are there as their passages, and one or two whole.
        #expect(context.matches.contains(where: \.isPassage) && context.matches.contains { !$0.isPassage })
        // It hears of changes of what there was no room for, too.
        #expect(status.nodeKeys.count == context.matches.count + context.omitted.count)
        #expect(message["truncated"] == .bool(true) && message["omitted"]?.integerValue == context.omitted.count)
        #expect(message["omitted_keys"]?.arrayValue?.count == context.omitted.count && message["pinned"] == nil)
        #expect(message["context"]?["animal zebra stripe"]?.arrayValue?.first?["passage"]?["text"]?.stringValue?.contains("stripe") == true)
        #expect(message["context"]?["nothing like it"] == .array([]))

        let (pinned, _, pinnedMessage) = try await register("b") {
            $0.pinned = ["menu", "k7.root", "nowhere"]
            $0.maxTokens = 2_000
        }
        #expect(pinned.pinned.map(\.nodeKey) == ["menu.root", "k7.root"] && !pinned.needs[0].matches.map(\.nodeKey).contains("k7.root"))
        #expect(tokens(pinned.matches) <= 2_000)
        #expect(pinnedMessage["pinned"]?.arrayValue?.first?["data_key"] == "menu.root")

        let (toon, _, _) = try await register("c") { $0.responseFormat = "toon" }
        #expect(try toon.matches.reduce(0) { $0 + (try AnswerFormat.toon.encode($1.data).count + 3) / 4 } <= 4_000)

        let (cut, _, cutMessage) = try await register("d") { $0.maxTokens = 1_000 }
        #expect(cut.matches.contains(where: \.isCut) && tokens(cut.matches) <= 1_000)
        #expect(cutMessage["context"]?["animal zebra stripe"]?.arrayValue?.first?["truncated"] == .bool(true))
        #expect(try await fixture.closeAndCheck() == [])
    }
}
