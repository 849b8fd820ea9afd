import Base
import Engine
import Events
import Needs
import Search
import TestSupport
import Testing

/// Vectors that publishers and askers bring.
@Suite struct OwnVectorTests {
    private let p = Name(stored: "p")

    private func publish(
        _ fixture: Fixture, _ key: String, _ data: JSONValue, _ vector: [Float]?, project: String = "p", format: String? = nil
    ) async throws -> PublishReceipt {
        let command = PublishCommand(project: Name(stored: project), key: Name(stored: key), data: data, format: format, vector: vector)
        return try await fixture.database.publish(Fixture.tenant, [command])[0].get()
    }

    private func near(_ fixture: Fixture, _ vector: [Float], topK: Int = 10, project: String = "p") async throws -> [Match] {
        try await fixture.database.query(
            Fixture.tenant, QueryRequest(project: Name(stored: project), text: "", vector: vector, topK: topK, threshold: 0)
        ).matches
    }

    private func fault(_ body: () async throws -> some Any) async -> ContexError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? ContexError }
    }

    private func random(_ random: inout SeededRandom) -> [Float] { (0..<WordHash.dimension).map { _ in Float(random.unit() - 0.5) } }

    @Test func aDocumentWithAVectorIsOneNodeWithIt() async throws {
        let fixture = try Fixture()
        var numbers = SeededRandom(seed: testSeed("aDocumentWithAVectorIsOneNodeWithIt"))
        let vector = random(&numbers)
        #expect(try await publish(fixture, "k", ["a": ["b": "zebra"], "c": "lion"], vector).changed)
        let match = try #require(try await near(fixture, vector.map { $0 * 7 }).first)
        #expect(match.nodeKey == "k.root" && match.similarity > 0.9999 && match.data == ["a": ["b": "zebra"], "c": "lion"])
        #expect(match.description == "root | a: {'b': 'zebra'} | c: lion")
        // Its words are found as any others.
        #expect(try await fixture.query("p", "zebra", mode: .keyword).map(\.nodeKey) == ["k.root"])

        // Equal but for its length it is the same publish; with another vector it is not; without one the text is embedded again.
        #expect(try await !publish(fixture, "k", ["a": ["b": "zebra"], "c": "lion"], vector.map { $0 * 4 }).changed)
        let other = random(&numbers)
        #expect(try await publish(fixture, "k", ["a": ["b": "zebra"], "c": "lion"], other).sequence.rawValue == 2)
        #expect(try await near(fixture, vector).allSatisfy { $0.similarity < 0.9 })
        #expect(try await near(fixture, other)[0].similarity > 0.9999)
        #expect(try await publish(fixture, "k", ["a": ["b": "zebra"], "c": "lion"], nil).sequence.rawValue == 3)
        let nodes = try await fixture.database.listNodes(Fixture.tenant, project: p)
        #expect(nodes.map(\.nodeKey).sorted() == ["k.a", "k.root"] && nodes.allSatisfy { !$0.hasOwnVector })
        let events = try await fixture.database.events(Fixture.tenant, project: p, since: .zero, count: 9)
        #expect(events.map { $0.vector?.count } == [WordHash.dimension, WordHash.dimension, nil])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test(arguments: [
        ("a: {b: zebra}\nc: lion\n", "yaml", "yaml", "root | a: {'b': 'zebra'} | c: lion"),
        ("name,age\nZoë,7\n", "csv", "csv", "root | {'name': 'Zoë', 'age': '7'}"), ("# Head\n\nText.\n", "markdown", "markdown", "root | # Head\n\nText.\n"),
        ("One. Two.", "text", "text", "root | One. Two."), ("{broken", "json", "text", "root | {broken"), ("  ", nil, "text", "root |   "),
    ] as [(String, String?, String, String)])
    func aTextIsReadAndNotSplit(_ text: String, _ hint: String?, _ format: String, _ description: String) async throws {
        let fixture = try Fixture()
        let receipt = try await publish(fixture, "k", .string(text), WordHash.vector("x"), format: hint)
        #expect(receipt.format == format && (receipt.note == nil) == (hint == nil || hint == format))
        #expect(try await near(fixture, WordHash.vector("x")).map(\.description) == [description])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func whatIsNoVectorIsRefused() async throws {
        let fixture = try Fixture()
        let zero = [Float](repeating: 0, count: WordHash.dimension)
        func with(_ value: Float) -> [Float] { zero.dropLast() + [value] }
        for bad in [zero, with(.nan), with(.infinity), with(-.infinity), Array(zero.dropLast()) + [], [], zero + [1], Array(with(1).dropFirst())] {
            let published = await fault { try await publish(fixture, "k", "data", bad) }
            #expect(published?.category == .invalid && published?.field == "vector", "\(bad.count)")
            let asked = await fault { try await near(fixture, bad) }
            #expect(asked?.category == .invalid && asked?.field == "query_vector")
        }
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
        // Large and small numbers are numbers.
        for fine in [with(.greatestFiniteMagnitude), with(1e-30), with(.leastNonzeroMagnitude)] {
            #expect(try await publish(fixture, "k", "data", fine).sequence == Sequence(rawValue: 1))
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func needsAreMatchedByIt() async throws {
        let fixture = try Fixture { $0.mode = .semantic }
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "a"), needs: ["zebra crossing"]))
        _ = fixture.sink.take()
        try await fixture.publish("p", "other", "nothing of that kind")
        #expect(fixture.sink.take().isEmpty)
        _ = try await publish(fixture, "k", "nothing of that kind", WordHash.vector("zebra crossing"))
        #expect(fixture.sink.take().map(\.agent.name.text) == ["a"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func whatAQuestionMayBe() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "words", "zebra crossing")
        _ = try await publish(fixture, "own", "something else", WordHash.vector("tortoise"))
        func ask(_ text: String, _ vector: [Float]?, _ mode: SearchMode?, _ adjust: (inout QueryRequest) -> Void = { _ in }) async throws -> [String] {
            var request = QueryRequest(project: p, text: text, vector: vector, threshold: 0, mode: mode, explain: true)
            adjust(&request)
            let matches = try await fixture.database.query(Fixture.tenant, request).matches
            return matches.map { "\($0.documentKey) \($0.explanation!.mode.rawValue)" }
        }
        let tortoise = WordHash.vector("tortoise")
        #expect(try await ask("", tortoise, nil).first == "own semantic")
        #expect(try await ask("", tortoise, .semantic).first == "own semantic")
        #expect(try await ask("zebra", tortoise, .semantic).first == "own semantic")
        // Both in one score: the words of one, the vector of the other.
        let both = try await ask("zebra", tortoise, nil)
        #expect(Set(both) == ["own hybrid", "words hybrid"])
        #expect(await fault { try await ask("zebra", tortoise, .keyword) }?.field == "mode")
        #expect(await fault { try await ask("", tortoise, .hybrid) }?.field == "mode")
        for (efSearch, recall, field) in [
            (0, nil, "ef_search"), (Limits.efSearch + 1, nil, "ef_search"), (nil, 0.4, "recall"), (nil, 1, "recall"), (nil, .nan, "recall"),
            (10, 0.9, "recall"),
        ] as [(Int?, Double?, String)] {
            let refused = await fault {
                try await ask("zebra", nil, nil) {
                    $0.efSearch = efSearch
                    $0.recall = recall
                }
            }
            #expect(refused?.category == .invalid && refused?.field == field)
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Equal vectors by the thousand, and answers for more than there are.
    @Test func thousandsOfEqualVectors() async throws {
        let fixture = try Fixture()
        var numbers = SeededRandom(seed: testSeed("thousandsOfEqualVectors"))
        let equal = random(&numbers)
        let count = 4_000
        let commands = (0..<count).map { number in
            PublishCommand(project: p, key: Name(stored: "k\(number)"), data: ["n": .integer(number)], vector: equal)
        }
        for outcome in await fixture.database.publish(Fixture.tenant, commands) { #expect(try outcome.get().changed) }
        let nearest = try await near(fixture, equal, topK: 50)
        #expect(nearest.count == 50 && Set(nearest.map(\.nodeKey)).count == 50 && nearest.allSatisfy { $0.similarity > 0.9999 })
        #expect(try await near(fixture, random(&numbers), topK: 100).count(where: { $0.similarity == nearest[0].similarity }) < 100)
        // Some others among them are found, and go again.
        var others: [[Float]] = []
        for number in 0..<40 {
            others.append(random(&numbers))
            _ = try await publish(fixture, "other\(number)", "x", others[number])
        }
        for number in 0..<40 { #expect(try await near(fixture, others[number], topK: 1).map(\.documentKey) == ["other\(number)"]) }
        for number in stride(from: 0, to: count, by: 2) {
            _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "k\(number)"))
        }
        #expect(try await near(fixture, equal, topK: 50).allSatisfy { Int($0.documentKey.dropFirst())! % 2 == 1 })
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func moreIsAskedForThanThereIs() async throws {
        let fixture = try Fixture()
        var numbers = SeededRandom(seed: testSeed("moreIsAskedForThanThereIs"))
        #expect(try await near(fixture, random(&numbers), topK: 100).isEmpty)
        for number in 0..<7 { _ = try await publish(fixture, "k\(number)", "x", WordHash.vector("w\(number) common")) }
        #expect(try await near(fixture, WordHash.vector("common"), topK: 100).count == 7)
        #expect(try await fixture.query("p", "common", topK: 100).count == 7)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// More effort finds more: with few candidates the graph misses many of the nearest, with many next to none.
    @Test func effortDecidesHowManyAreFound() async throws {
        let fixture = try Fixture()
        var numbers = SeededRandom(seed: testSeed("effortDecidesHowManyAreFound"))
        let vectors = (0..<3_000).map { _ in random(&numbers) }
        let commands = vectors.indices.map { PublishCommand(project: p, key: Name(stored: "k\($0)"), data: "x", vector: vectors[$0]) }
        for outcome in await fixture.database.publish(Fixture.tenant, commands) { #expect(try outcome.get().changed) }
        var found: [String: Int] = [:]
        let queries = (0..<30).map { _ in random(&numbers) }
        for query in queries {
            func cosine(_ vector: [Float]) -> Float {
                zip(query, vector).reduce(0) { $0 + $1.0 * $1.1 } / vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
            }
            let truth = vectors.indices.map { ($0, cosine(vectors[$0])) }.sorted { $0.1 > $1.1 }.prefix(10).map { "k\($0.0)" }
            for (name, efSearch, recall) in [("few", 1, nil), ("many", 3_000, nil), ("half", nil, 0.5), ("all", nil, 0.999)] as [(String, Int?, Double?)] {
                var request = QueryRequest(project: p, text: "", vector: query, topK: 10, threshold: 0)
                request.efSearch = efSearch
                request.recall = recall
                let matches = try await fixture.database.query(Fixture.tenant, request).matches
                found[name, default: 0] += Set(matches.map(\.documentKey)).intersection(truth).count
            }
        }
        #expect(found["many"]! >= 290 && found["all"]! >= 285 && found["few"]! < found["many"]! && found["half"]! < found["all"]!, "\(found)")
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - What an own vector outlives

    @Test func exportsImportsAndRestoresKeepIt() async throws {
        let fixture = try Fixture()
        var numbers = SeededRandom(seed: testSeed("exportsImportsAndRestoresKeepIt"))
        let (first, second) = (random(&numbers), random(&numbers))
        _ = try await publish(fixture, "k", "same words", first)
        _ = try await publish(fixture, "k", "same words", second)
        try await fixture.publish("p", "plain", "same words")
        let whole = try await fixture.database.export(
            Fixture.tenant, project: p, sections: ExportSections(events: true, embeddings: true, agents: true))
        let nodes = try await fixture.database.export(
            Fixture.tenant, project: p, sections: ExportSections(events: false, embeddings: true, agents: false))
        for (document, logged) in [(whole, 3), (nodes, 1)] {
            let other = try Fixture()
            _ = try await other.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: false, validateOnly: false)
            #expect(try await other.database.events(Fixture.tenant, project: p, since: .zero, count: 9).count == logged)
            #expect(try await near(other, second, topK: 1).map(\.documentKey) == ["k"])
            #expect(try await near(other, second, topK: 1)[0].similarity > 0.9999)
            // Taken over a second time, and after its log was replaced by another.
            _ = try await other.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: true, validateOnly: false)
            let replaced: [JSONValue] = (7...9).map { ["event_id": .integer($0), "data": ["x": .integer($0)]] }
            let log: JSONValue = ["project_id": "p", "version": "1.0", "data": ["events": .array(replaced)]]
            _ = try await other.database.importDocument(Fixture.tenant, project: p, document: log, overwrite: true, validateOnly: false)
            #expect(try await near(other, second, topK: 1)[0].similarity > 0.9999)
            let history = try await other.database.history(Fixture.tenant, project: p, key: Name(stored: "k"), limit: 9)
            #expect(history.map { $0.ownVector != nil } == [true])
            #expect(try await publish(other, "k", "same words", second).changed == (try await publish(other, "k", "same words", second)).changed)
            #expect(try await other.closeAndCheck() == [])
        }
        // The first state comes back with its vector, though the words are the same.
        let restored = try await fixture.database.restore(Fixture.tenant, project: p, key: Name(stored: "k"), sequence: Sequence(rawValue: 1))
        #expect(restored.receipt.changed && restored.receipt.sequence.rawValue == 4)
        #expect(try await near(fixture, first, topK: 1)[0].similarity > 0.9999)
        let difference = try await fixture.database.version(Fixture.tenant, project: p, key: Name(stored: "k"), sequence: Sequence(rawValue: 4))
        #expect(difference.ownVector != nil)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func anImportWithAWrongVectorIsRefused() async throws {
        let fixture = try Fixture()
        func node(_ path: String, _ vector: JSONValue) -> JSONValue {
            ["data_key": "k", "node_path": .string(path), "description": "text", "data": ["a": "b"], "vector": vector]
        }
        let fine = JSONValue.array((0..<WordHash.dimension).map { .double(Double($0)) })
        let wrong: [[JSONValue]] = [
            [node("root", .array([.double(1)]))], [node("root", "text")], [node("root", .array(["text"]))],
            [node("root", .array((0..<WordHash.dimension).map { _ in .integer(0) }))], [node("root", fine), node("other", .null)],
        ]
        for nodes in wrong {
            let document: JSONValue = ["project_id": "p", "version": "1.0", "data": ["embeddings": .array(nodes)]]
            let refused = await fault {
                try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: true, validateOnly: false)
            }
            #expect(refused?.category == .badRequest)
        }
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
    }
}
