import Attributes
import Base
import Content
import Engine
import Measures
import Search
import Synchronization
import TestSupport
import Testing

/// What is remembered of queries is what would be found.
@Suite struct AnswerCacheTests {
    private func figure(_ fixture: Fixture, _ name: String) -> Int {
        for family in fixture.database.measures.registry.families where family.description.name == name {
            switch family.samples.first?.value {
            case .number(let number): return Int(number)
            case .integer(let number): return Int(number)
            case .distribution, nil: return -1
            }
        }
        return -1
    }

    private static func shown(_ answer: QueryAnswer) -> [String] {
        answer.matches.map { match in
            "\(match.nodeKey) \(match.similarity) \(match.tokens ?? -1) \(JSONPrinter.text(match.data)) \(JSONPrinter.text(.object(match.metadata)))"
        } + answer.notes + ["\(answer.ignoresSigns) \(answer.left) \(answer.explained.count)"]
    }

    /// Random publishes, deletes, imports and changes of the analyser between random questions, against a database that remembers nothing.
    @Test func anAnswerIsNeverStale() async throws {
        var random = SeededRandom(seed: testSeed("anAnswerIsNeverStale"))
        let (kept, plain) = (try Fixture(), try Fixture { $0.answerCacheBytes = 0 })
        var asked = 0
        func both(_ change: (Fixture) async throws -> Void) async throws {
            try await change(kept)
            try await change(plain)
        }
        // Few, so that they are asked again.
        let requests: [QueryRequest] = try ["p", "q", "r"].flatMap { name in
            try (0..<6).map { number in
                var request = QueryRequest(project: Name(stored: name), text: mixtureWords[number % 4], topK: 1 + number % 3, threshold: number < 4 ? 0 : nil)
                request.mode = [nil, .keyword, .semantic][number % 3]
                request.maxTokens = number == 2 ? 1_000 : nil
                request.filter = number > 3 ? try Filter(JSONParser.parse(text: #"{"metadata.size":\#(number % 3)}"#)) : nil
                request.groupsByDocument = number == 1
                return request
            }
        }
        for step in 0..<1_500 {
            let project = Name(stored: ["p", "q", "r"][Int(random.below(3))])
            let key = Name(stored: "k\(random.below(12))")
            switch random.below(30) {
            case 0...3:
                let words = (0..<6).map { _ in mixtureWords.randomElement(using: &random)! }.joined(separator: " ")
                let command = PublishCommand(
                    project: project, key: key, data: ["text": .string(words)], metadata: JSONObject([("size", .integer(Int(random.below(3))))]))
                try await both { _ = try await $0.database.publish(Fixture.tenant, [command])[0].get() }
            case 4: try await both { _ = try? await $0.database.delete(Fixture.tenant, project: project, key: key, by: nil) }
            case 5 where step.isMultiple(of: 5):
                let name = ["english", "simple"].randomElement(using: &random)!
                try await both { _ = try? await $0.database.setAnalyzer(Fixture.tenant, project: project, name) }
            default:
                let request = requests.randomElement(using: &random)!
                let answers = (try await kept.database.query(Fixture.tenant, request), try await plain.database.query(Fixture.tenant, request))
                #expect(Self.shown(answers.0) == Self.shown(answers.1), "step \(step): \(request)")
                asked += 1
            }
        }
        let (hits, misses) = (figure(kept, "contex_answer_cache_hits"), figure(kept, "contex_answer_cache_misses"))
        #expect(hits > 100 && misses > 100 && hits + misses == asked, "\(hits) hits and \(misses) misses of \(asked)")
        #expect(figure(plain, "contex_answer_cache_hits") == 0 && figure(plain, "contex_answer_cache_size") == 0)
        await kept.database.close()
        await plain.database.close()
    }

    private final class Progress: Sendable {
        let acknowledged = Atomic(0)
        let isOver = Atomic(false)
    }

    /// Whoever has heard that a publish is on the disk finds it, whatever others ask at the time.
    @Test func whatIsAcknowledgedIsFound() async throws {
        let fixture = try Fixture()
        let progress = Progress()
        try await fixture.publish("p", "k", ["count": .integer(0), "text": "zebra"])
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    while !progress.isOver.load(ordering: .acquiring) {
                        let least = progress.acknowledged.load(ordering: .acquiring)
                        let found = try await fixture.query("p", "zebra", mode: .keyword).first?.data["count"]?.integerValue ?? -1
                        #expect(found >= least)
                        // An answer that is known comes without a wait, and the threads are few.
                        await Task.yield()
                    }
                }
            }
            for count in 1...400 {
                try await fixture.publish("p", "k", ["count": .integer(count), "text": "zebra"])
                progress.acknowledged.store(count, ordering: .releasing)
                if count.isMultiple(of: 7) { try await Task.sleep(for: .milliseconds(1)) }
            }
            progress.isOver.store(true, ordering: .releasing)
            try await group.waitForAll()
        }
        await fixture.database.close()
    }

    @Test func whatIsKeptIsBounded() async throws {
        let fixture = try Fixture { $0.answerCacheBytes = 1 << 20 }
        try await fixture.publish("p", "small", ["text": "zebra"])
        try await fixture.publish("p", "large", ["text": .string("lion " + String(repeating: "x", count: 200_000))])
        for number in 0..<2_000 { _ = try await fixture.query("p", "zebra \(number)", mode: .keyword) }
        let bytes = figure(fixture, "contex_answer_cache_bytes")
        #expect(bytes > 300_000 && bytes <= 1 << 20, "\(bytes)")
        let size = figure(fixture, "contex_answer_cache_size")
        // Too large to be kept, so it is found anew each time.
        let before = figure(fixture, "contex_answer_cache_hits")
        for _ in 0..<3 { #expect(try await fixture.query("p", "lion", mode: .keyword).count == 1) }
        #expect(figure(fixture, "contex_answer_cache_hits") == before && figure(fixture, "contex_answer_cache_size") == size)
        // What is asked for again and again stays, however many others come.
        for number in 0..<2_000 {
            _ = try await fixture.query("p", "zebra", mode: .keyword)
            _ = try await fixture.query("p", "zebra other \(number)", mode: .keyword)
        }
        #expect(figure(fixture, "contex_answer_cache_hits") >= before + 1_999)
        await fixture.database.close()
    }

    /// A document that ends by itself ends without a commit; what is erased is in no memory.
    @Test func whatHasEndedIsNotAnswered() async throws {
        let clock = CountingClock()
        let fixture = try Fixture { $0.clock = clock }
        let project = Name(stored: "p")
        var command = PublishCommand(project: project, key: Name(stored: "k"), data: ["text": "zebra"])
        command.expiresAt = Timestamp(rawValue: clock.now().rawValue + 86_400_000_000)
        _ = try await fixture.database.publish(Fixture.tenant, [command])[0].get()
        for _ in 0..<2 { #expect(try await fixture.query("p", "zebra").count == 1) }
        #expect(figure(fixture, "contex_answer_cache_hits") == 1)
        clock.advance(days: 2)
        for _ in 0..<2 { #expect(try await fixture.query("p", "zebra").isEmpty) }
        // Nothing more ends, so the empty answer holds.
        #expect(figure(fixture, "contex_answer_cache_hits") == 2)
        _ = try await fixture.database.erase(Fixture.tenant, project: project)
        #expect(figure(fixture, "contex_answer_cache_size") == 0)
        await fixture.database.close()
    }

    /// Two requests that differ in anything are two.
    @Test func whatDiffersIsAnother() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "k", ["text": "zebra crossing"])
        let plain = QueryRequest(project: Name(stored: "p"), text: "zebra", threshold: 0)
        var others: [QueryRequest] = []
        func other(_ change: (inout QueryRequest) -> Void) {
            var request = plain
            change(&request)
            others.append(request)
        }
        other { $0.project = Name(stored: "q") }
        other { $0.text = "zebr\u{61}\u{301}" }
        other { $0.text = "zebrá" }
        other { $0.vector = WordHash.vector("zebra") }
        other { $0.topK = 6 }
        other { $0.threshold = 0.1 }
        other { $0.threshold = nil }
        other { $0.syntax = .plain }
        other { $0.maxTokens = 1_000 }
        other { $0.mode = .keyword }
        other { $0.mode = .semantic }
        other { $0.fusion = .rrf }
        other { $0.weights = FusionWeights(semantic: 1, keyword: 2) }
        other { $0.explain = true }
        other { $0.format = .toon }
        other { $0.diversity = 0.5 }
        other { $0.pinned = ["k"] }
        other { $0.explainKeys = ["k"] }
        other { $0.efSearch = 100 }
        other { $0.recall = 0.9 }
        other { $0.filter = .and([]) }
        other { $0.groupsByDocument = true }
        other { $0.nodesPerDocument = 2 }
        for request in [plain] + others { _ = try await fixture.database.query(Fixture.tenant, request) }
        #expect(figure(fixture, "contex_answer_cache_hits") == 0 && figure(fixture, "contex_answer_cache_misses") == others.count + 1)
        // Pages and the past say what they are of.
        other { $0.page = PageRequest(limit: 1) }
        other { $0.asOf = Moment("1") }
        for request in others.suffix(2) { for _ in 0..<2 { _ = try await fixture.database.query(Fixture.tenant, request) } }
        #expect(figure(fixture, "contex_answer_cache_hits") == 0 && figure(fixture, "contex_answer_cache_misses") == others.count - 1)
        // An answer that is known took none of the time, and is written as the first one was.
        let first = try await fixture.database.query(Fixture.tenant, plain)
        #expect(first.plan == nil && figure(fixture, "contex_answer_cache_hits") == 1)
        let text = first.written(as: .json) { [1, 2, 3] }
        #expect(try await fixture.database.query(Fixture.tenant, plain).written(as: .json) { [4] } == text)
        await fixture.database.close()
    }
}
