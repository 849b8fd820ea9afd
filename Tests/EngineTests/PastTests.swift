import Base
import Content
import Engine
import KeySpace
import Search
import Synchronization
import TestSupport
import Testing

/// `as_of`: what a database answers of its past is what one answers that stopped then.
@Suite struct PastTests {
    /// A clock that a test sets.
    private final class SetClock: WallClock {
        private let time = Mutex(Timestamp(rawValue: 1_700_000_000_000_000))
        func now() -> Timestamp { time.withLock { $0 } }
        func advance(seconds: Int64) { time.withLock { $0 = Timestamp(rawValue: $0.rawValue + seconds * 1_000_000) } }
    }

    private enum Command {
        case publish(key: String, data: JSONValue, format: String?)
        case delete(key: String)
    }

    private static let project = Name(stored: "p")

    private static func command(_ random: inout SeededRandom, _ number: Int) -> Command {
        func words(_ count: ClosedRange<Int>, _ random: inout SeededRandom) -> String {
            // The model of these tests does not read the long ones.
            let stem = random.unit() < 0.3 ? "непонятное" : "w"
            return (0..<Int.random(in: count, using: &random)).map { _ in "\(stem)\(Int(random.unit() * random.unit() * 20))" }.joined(separator: " ")
        }
        let key = "k\(Int.random(in: 0..<8, using: &random))"
        switch Int.random(in: 0..<10, using: &random) {
        case 8: return .publish(key: key, data: ["name": .string("n\(number % 4)"), "text": .string(words(250...700, &random))], format: nil)
        case 9:
            let sentences = (0..<Int.random(in: 2...70, using: &random)).map { _ in words(3...9, &random) }
            return .publish(key: key, data: .string(sentences.joined(separator: ". ")), format: "text")
        case 0: return .delete(key: key)
        case 1:
            let text = "# Title \(number)\n\n\(words(2...9, &random))\n\n## Second\n\n\(words(2...9, &random))"
            return .publish(key: key, data: .string(text), format: "markdown")
        case 2: return .publish(key: key, data: .string("name,note\nn\(number),\(words(1...4, &random))\nm\(number),\(words(1...4, &random))"), format: "csv")
        case 3: return .publish(key: key, data: .string(words(3...20, &random) + " t\(number)"), format: nil)
        case 4: return .publish(key: key, data: .array((0..<3).map { ["i": .string("i\(number)x\($0) " + words(1...4, &random))] }), format: nil)
        default:
            // Parts that stay while others change.
            return .publish(
                key: key,
                data: ["fixed": ["of": .string("\(key) always")], "note": ["text": .string(words(2...8, &random) + " u\(number)")], "n": .integer(number % 3)],
                format: nil)
        }
    }

    private static func run(_ command: Command, in fixture: Fixture) async throws -> Sequence? {
        switch command {
        case .publish(let key, let data, let format):
            let receipt = try await fixture.publish("p", key, data, format: format)
            return receipt.changed ? receipt.sequence : nil
        case .delete(let key):
            return try? await fixture.database.delete(Fixture.tenant, project: project, key: Name(stored: key)).sequence
        }
    }

    private static func sorted(_ matches: [Match]) -> [Match] {
        matches.sorted { $0.similarity == $1.similarity ? $0.nodeKey < $1.nodeKey : $0.similarity > $1.similarity }
    }

    @Test(arguments: ["english", "code"]) func thePastIsWhatItWas(analyzer: String) async throws {
        var random = SeededRandom(seed: testSeed("thePastIsWhatItWas \(analyzer)"))
        let clock = SetClock()
        let fixture = try Fixture(models: WordHash.ascii) { $0.clock = clock }
        _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer)
        // Commands that made an event, with the time after each.
        var history: [(command: Command, after: Timestamp)] = []
        for number in 0..<80 {
            clock.advance(seconds: 10)
            let command = Self.command(&random, number)
            guard let sequence = try await Self.run(command, in: fixture) else { continue }
            history.append((command, clock.now()))
            #expect(sequence.rawValue == UInt64(history.count))
        }
        for stop in [0, 1, 2, history.count / 3, history.count / 2, history.count - 1, history.count] {
            let then = try Fixture(models: WordHash.ascii) { $0.clock = clock }
            _ = try await then.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer)
            for entry in history.prefix(stop) { _ = try await Self.run(entry.command, in: then) }
            let bySequence = Moment.sequence(Sequence(rawValue: UInt64(stop)))
            let byTime = Moment.time(stop == 0 ? Timestamp(rawValue: 0) : Timestamp(rawValue: history[stop - 1].after.rawValue + 9_999_999))
            for moment in stop == history.count ? [bySequence] : [bySequence, byTime] {
                func listing(_ nodes: [ListedNode]) -> [String] {
                    nodes.map { "\($0.nodeKey)|\($0.documentKey)|\($0.path)|\($0.kind)|\($0.description)|\(JSONPrinter.text($0.data))|\($0.format)" }
                }
                let present = try await then.database.listNodes(Fixture.tenant, project: Self.project)
                let past = try await fixture.database.listNodes(Fixture.tenant, project: Self.project, asOf: moment)
                #expect(listing(past) == listing(present))
                #expect(try await fixture.database.listKeys(Fixture.tenant, project: Self.project, asOf: moment)
                    == then.database.listKeys(Fixture.tenant, project: Self.project))
                for number in 0..<8 {
                    let key = Name(stored: "k\(number)")
                    let held = try? await then.database.document(Fixture.tenant, project: Self.project, key: key)
                    let was = try? await fixture.database.document(Fixture.tenant, project: Self.project, key: key, asOf: moment)
                    #expect(was?.sequence == held?.sequence && was?.data == held?.data && was?.format == held?.format, "\(key) at \(stop)")
                    #expect(was.map { listing($0.nodes) } == held.map { listing($0.nodes) })
                    #expect(was?.recordedAt?.rawValue == held.map { history[Int($0.sequence.rawValue) - 1].after.rawValue })
                }
                for _ in 0..<12 {
                    let (a, b) = ("w\(Int.random(in: 0..<20, using: &random))", "w\(Int.random(in: 0..<20, using: &random))")
                    let texts = [
                        "\(a) \(b)", "+\(a) \(b)", "\(a) -\(b)", "\"\(a) \(b)\"", "w1* \(b)", "always data_format:json", "-\(a)", "\(a) -data_key:k1*",
                        "root note", "непонятное\(Int.random(in: 0..<20, using: &random)) непонятное1",
                    ]
                    let text = texts.randomElement(using: &random)!
                    for mode in SearchMode.allCases {
                        var request = QueryRequest(project: Self.project, text: text, topK: 100, threshold: 0, mode: mode, explain: true)
                        let expected = Self.sorted(try await then.database.query(Fixture.tenant, request).matches)
                        request.asOf = moment
                        let found = Self.sorted(try await fixture.database.query(Fixture.tenant, request).matches)
                        #expect(found.map(\.nodeKey) == expected.map(\.nodeKey), "\(text) \(mode) at \(stop)")
                        #expect(found.map(\.similarity) == expected.map(\.similarity), "\(text) \(mode) at \(stop)")
                        #expect(found.map(\.data) == expected.map(\.data) && found.map(\.preview) == expected.map(\.preview))
                        #expect(found.map(\.tokenCount) == expected.map(\.tokenCount) && found.map(\.description) == expected.map(\.description))
                        for (one, other) in zip(found, expected) {
                            let (a, b) = (one.explanation!, other.explanation!)
                            #expect(a.bm25 == b.bm25 && a.cosine == b.cosine && a.bm25Ceiling == b.bm25Ceiling)
                            #expect(a.terms.map(\.term) == b.terms.map(\.term) && a.terms.map(\.score) == b.terms.map(\.score))
                        }
                    }
                }
            }
            await then.database.close()
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    private func refusal(_ body: () async throws -> some Any) async -> ContexError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? ContexError }
    }

    @Test func momentsThatAreNot() async throws {
        let clock = SetClock()
        let fixture = try Fixture { $0.clock = clock }
        let database = fixture.database
        func list(_ project: String, _ moment: Moment) async throws -> [String] {
            try await database.listKeys(Fixture.tenant, project: Name(stored: project), asOf: moment)
        }
        #expect(try await list("nowhere", .sequence(.zero)) == [])
        #expect(try await list("nowhere", .time(clock.now())) == [])
        #expect(await refusal { try await list("nowhere", .sequence(Sequence(rawValue: 1))) }?.field == "as_of")
        try await fixture.publish("p", "k", ["a": "text"])
        clock.advance(seconds: 60)
        #expect(try await list("p", .sequence(.zero)) == [])
        #expect(try await list("p", .sequence(Sequence(rawValue: 1))) == ["k"])
        #expect(try await list("p", .time(clock.now())) == ["k"])
        #expect(try await list("p", .time(Timestamp(rawValue: -5))) == [])
        for moment in [Moment.sequence(Sequence(rawValue: 2)), .sequence(Sequence(rawValue: .max)), .time(Timestamp(rawValue: clock.now().rawValue + 1))] {
            let refused = await refusal { try await list("p", moment) }
            #expect(refused?.category == .invalid && refused?.field == "as_of" && refused?.message.contains("future") == true)
            let request = QueryRequest(project: Self.project, text: "text", asOf: moment)
            #expect(await refusal { try await database.query(Fixture.tenant, request) }?.field == "as_of")
        }
        #expect(await refusal { try await database.document(Fixture.tenant, project: Self.project, key: Name(stored: "k"), asOf: .sequence(.zero)) }?.category
            == .notFound)
        await database.close()
    }

    /// Too much is refused before it is done; a single key and a listing are not.
    @Test func thePastIsBounded() async throws {
        let fixture = try Fixture()
        let row = JSONValue.object(JSONObject([("a", "b")]))
        for number in 0..<3 { try await fixture.publish("p", "k\(number)", .array((0..<8_000).map { ["i": .integer($0), "k": .integer(number)] })) }
        try await fixture.publish("p", "k0", row)
        let late = Moment.sequence(Sequence(rawValue: 3))
        let request = QueryRequest(project: Self.project, text: "b", mode: .keyword, asOf: late)
        let refused = await refusal { try await fixture.database.query(Fixture.tenant, request) }
        #expect(refused?.category == .tooLarge && refused?.message.contains("as_of") == true && refused?.message.contains("20000") == true)
        // A listing goes piece by piece.
        #expect(try await fixture.database.listNodes(Fixture.tenant, project: Self.project, asOf: late).count >= 24_000)
        let held = try await fixture.database.document(Fixture.tenant, project: Self.project, key: Name(stored: "k0"), asOf: late)
        #expect(held.nodes.count >= 8_000 && held.sequence == Sequence(rawValue: 1))
        #expect(try await fixture.database.listNodes(Fixture.tenant, project: Self.project, asOf: .sequence(Sequence(rawValue: 2))).count >= 16_000)
        await fixture.database.close()
    }

    /// What came by an import: its events are the log; nodes without an event stand as they are, until the key is published or deleted.
    @Test func importedData() async throws {
        let source = try Fixture()
        try await source.publish("p", "a", ["note": "first"])
        try await source.publish("p", "a", ["note": "second"])
        try await source.publish("p", "b", ["note": "other"])
        func export(events: Bool) async throws -> JSONValue {
            try await source.database.export(Fixture.tenant, project: Self.project, sections: .init(events: events, embeddings: true, agents: false))
        }
        let whole = try await export(events: true)
        let nodesOnly = try await export(events: false)
        let target = try Fixture()
        func keys(_ fixture: Fixture, _ sequence: UInt64) async throws -> [String] {
            try await fixture.database.listNodes(Fixture.tenant, project: Self.project, asOf: .sequence(Sequence(rawValue: sequence))).map(\.description)
        }
        _ = try await target.database.importDocument(Fixture.tenant, project: Self.project, document: whole, overwrite: false, validateOnly: false)
        for sequence in 0...3 as ClosedRange<UInt64> { #expect(try await keys(target, sequence) == keys(source, sequence)) }

        let bare = try Fixture()
        _ = try await bare.database.importDocument(Fixture.tenant, project: Self.project, document: nodesOnly, overwrite: false, validateOnly: false)
        let imported = try await keys(bare, 0)
        #expect(imported.count == 2)
        let held = try await bare.database.document(Fixture.tenant, project: Self.project, key: Name(stored: "b"))
        #expect(held.data == nil && held.recordedAt == nil && held.nodes.count == 1)
        try await bare.publish("p", "c", ["note": "third"])
        #expect(try await keys(bare, 0) == imported)
        #expect(try await keys(bare, 1).count == 3)
        try await bare.publish("p", "b", ["note": "new"])
        // What b held before its first event is gone.
        #expect(try await keys(bare, 0).count == 1)
        #expect(try await keys(bare, 1).count == 2)
        #expect(try await keys(bare, 2).count == 3)
        for fixture in [source, target, bare] { #expect(try await fixture.closeAndCheck() == []) }
    }

    /// Nodes equal to present ones are not embedded again.
    @Test func whatIsStillThereKeepsItsVector() async throws {
        let embedded = Mutex<[String]>([])
        let models = Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embed: { texts in
                embedded.withLock { $0 += texts }
                return texts.map(WordHash.vector)
            }, countTokens: { $0.utf8.count })
        let fixture = try Fixture(models: models)
        try await fixture.publish("p", "a", ["fixed": ["of": "a always"], "note": ["text": "before"]])
        try await fixture.publish("p", "b", ["note": "unchanged"])
        try await fixture.publish("p", "a", ["fixed": ["of": "a always"], "note": ["text": "after"]])
        embedded.withLock { $0 = [] }
        let request = QueryRequest(project: Self.project, text: "before", threshold: 0, asOf: .sequence(Sequence(rawValue: 2)))
        let found = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(found[0].description.contains("before"))
        let texts = embedded.withLock { $0 }
        #expect(texts.contains("before") && !texts.contains { $0.contains("always") && !$0.contains("before") } && !texts.contains { $0.contains("unchanged") })
        await fixture.database.close()
    }
}
