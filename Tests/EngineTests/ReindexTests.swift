import Base
import Engine
import Maintenance
import Search
import Synchronization
import TestSupport
import Testing

/// The rebuild of the indexes, and what a store says to a model that did not make its vectors.
@Suite struct ReindexTests {
    private struct CutOff: Error {}

    private func models(_ identity: String, dimension: Int = WordHash.dimension, batches: Int = .max) -> Models {
        let left = Mutex(batches)
        return Models(
            identity: identity, dimension: dimension,
            embed: { texts in
                let goesOn = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                guard goesOn else { throw CutOff() }
                return texts.map { text in
                    // Another space: a second model's vectors are of no use to the first.
                    let vector = WordHash.vector(identity + " " + text.split(separator: " ").map { identity + $0 }.joined(separator: " "))
                    return dimension == WordHash.dimension ? vector : Array(vector[..<dimension]).normalised
                }
            }, countTokens: { $0.utf8.count })
    }

    private func error(_ body: () async throws -> some Any) async -> ContexError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? ContexError }
    }

    @Test func anotherModelIsRefusedUntilTheVectorsAreItsOwn() async throws {
        let first = try Fixture(models: models("first"))
        for number in 0..<3_000 { try await first.publish("p\(number % 2)", "k\(number)", ["text": .string("word\(number) other\(number % 7)")]) }
        _ = try await first.database.register(
            Fixture.tenant, RegisterCommand(project: Name(stored: "p1"), agent: Name(stored: "a"), needs: ["text: word3 other3"]))
        #expect(try await first.closeAndCheck() == [])

        let refused = await error { try Fixture(first.folder, models: models("second")) }
        #expect(refused?.category == .conflict)
        #expect(refused?.message.contains("first") == true && refused?.message.contains("contex reindex") == true)

        var configuration = DatabaseConfiguration(directory: first.folder.path)
        configuration.mapBytes = 4 << 30
        // Cut off in the middle of the second project, it is served by nobody, and goes on there.
        let cut = await error { try await Reindex.run(configuration: configuration, models: models("second", batches: 3)) }
        #expect(cut == nil)
        for identity in ["first", "second"] {
            let half = await error { try Fixture(first.folder, models: models(identity)) }
            #expect(half?.category == .conflict && half?.message.contains("half rebuilt") == true)
        }
        var (steps, linked) = ([Int](), [Int]())
        let report = try await Reindex.run(configuration: configuration, models: models("second")) { step, done, all in
            #expect(all == (step == .indexing ? 3_000 : 1_500))
            if step == .indexing { steps.append(done) } else { linked.append(done) }
        }
        #expect(report.wasResumed && report.nodes == 1_500 - 1_024 && report.needs == 1 && report.projects == 1 && steps == [3_000])
        #expect(linked.last == 1_500 && linked == linked.sorted())

        let second = try Fixture(first.folder, models: models("second"))
        #expect(try await second.query("p1", "text: word3 other3", mode: .semantic).first?.documentKey == "k3")
        #expect(try await second.query("p0", "word8", mode: .keyword).map(\.documentKey) == ["k8"])
        let agent = try #require(try await second.database.agents(Fixture.tenant, project: nil).first)
        #expect(agent.nodeKeys.contains("k3.root"))
        #expect(try await second.closeAndCheck() == [])
        #expect(await error { try Fixture(first.folder, models: models("first")) }?.category == .conflict)
    }

    @Test func aModelOfAnotherDimensionTakesOver() async throws {
        let first = try Fixture(models: models("first"))
        try await first.publish("p", "k", ["text": "something"])
        await first.database.close()
        var configuration = DatabaseConfiguration(directory: first.folder.path)
        configuration.mapBytes = 4 << 30
        let narrow = models("first", dimension: 16)
        #expect(await error { try Fixture(first.folder, models: narrow) }?.category == .conflict)
        #expect(try await Reindex.run(configuration: configuration, models: narrow).nodes == 1)
        let second = try Fixture(first.folder, models: narrow)
        #expect(try await second.query("p", "something", mode: .semantic).map(\.documentKey) == ["k"])
        await second.database.close()
        #expect(try IntegrityCheck.run(directory: first.folder.path).findings == [])
    }

    /// What is published is embedded in the model's precision, what asks in its best: a rebuild keeps the two apart as publish and register do.
    @Test func needsStayQuestions() async throws {
        let asked = Mutex<[String]>([])
        let published = Mutex<[String]>([])
        var models = Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embed: { texts in
                asked.withLock { $0 += texts }
                return texts.map { WordHash.vector($0) }
            }, countTokens: { $0.utf8.count })
        models.embedDocuments = { texts in
            published.withLock { $0 += texts.map(\.text) }
            return texts.map { WordHash.vector($0.text) }
        }
        let fixture = try Fixture(models: models)
        try await fixture.publish("p", "k", ["word": "zebra crossing"])
        _ = try await fixture.database.register(
            Fixture.tenant, RegisterCommand(project: Name(stored: "p"), agent: Name(stored: "a"), needs: ["where zebras cross", "what lions eat"]))
        #expect(try await fixture.closeAndCheck() == [])
        let needs: Set = ["where zebras cross", "what lions eat"]
        #expect(Set(asked.withLock { $0 }) == needs && published.withLock { $0 } == ["k | word: zebra crossing"])
        asked.withLock { $0 = [] }
        published.withLock { $0 = [] }
        var configuration = DatabaseConfiguration(directory: fixture.folder.path)
        configuration.mapBytes = 4 << 30
        #expect(try await Reindex.run(configuration: configuration, models: models).needs == 2)
        #expect(Set(asked.withLock { $0 }) == needs && published.withLock { $0 } == ["k | word: zebra crossing"])
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
    }

    /// Vectors of publishers outlive another model, and a model of another dimension and back.
    @Test func ownVectorsAreKept() async throws {
        let first = try Fixture(models: models("first"))
        var random = SeededRandom(seed: testSeed("ownVectorsAreKept"))
        let vectors = (0..<1_200).map { _ in (0..<WordHash.dimension).map { _ in Float(random.unit() - 0.5) } }
        let commands = vectors.indices.map {
            PublishCommand(project: Name(stored: "p"), key: Name(stored: "k\($0)"), data: .string("word\($0)"), vector: vectors[$0])
        }
        for outcome in await first.database.publish(Fixture.tenant, commands) { #expect(try outcome.get().changed) }
        try await first.publish("p", "plain", "tortoise")
        #expect(try await first.closeAndCheck() == [])
        var configuration = DatabaseConfiguration(directory: first.folder.path)
        configuration.mapBytes = 4 << 30
        func nearest(_ fixture: Fixture, _ place: Int) async throws -> Match? {
            try await fixture.database.query(
                Fixture.tenant, QueryRequest(project: Name(stored: "p"), text: "", vector: vectors[place], topK: 1, threshold: 0)).matches.first
        }
        let kept = try await Reindex.run(configuration: configuration, models: models("second"))
        #expect(kept.ownVectors == 1_200 && kept.foreignVectors == 0)
        let second = try Fixture(first.folder, models: models("second"))
        for place in [0, 700, 1_199] {
            let match = try #require(try await nearest(second, place))
            #expect(match.documentKey == "k\(place)" && match.similarity > 0.9999)
        }
        #expect(try await second.query("p", "tortoise", mode: .semantic).first?.documentKey == "plain")
        #expect(try await second.closeAndCheck() == [])

        let narrow = models("first", dimension: 16)
        let replaced = try await Reindex.run(configuration: configuration, models: narrow)
        #expect(replaced.ownVectors == 0 && replaced.foreignVectors == 1_200)
        let third = try Fixture(first.folder, models: narrow)
        #expect(await error { try await nearest(third, 0) }?.field == "query_vector")
        let refused = await error {
            try await third.database.restore(Fixture.tenant, project: Name(stored: "p"), key: Name(stored: "k1"), sequence: Sequence(rawValue: 2))
        }
        #expect(refused?.field == "vector")
        #expect(try await third.closeAndCheck() == [])

        #expect(try await Reindex.run(configuration: configuration, models: models("first")).ownVectors == 1_200)
        let fourth = try Fixture(first.folder, models: models("first"))
        #expect(try await nearest(fourth, 3)?.documentKey == "k3")
        #expect(try await fourth.closeAndCheck() == [])
    }

    @Test func aServedFolderAndAnEmptyOneAreLeftAlone() async throws {
        let fixture = try Fixture()
        let configuration = DatabaseConfiguration(directory: fixture.folder.path)
        #expect(await error { try await Reindex.run(configuration: configuration, models: WordHash.models) }?.category == .conflict)
        let empty = TemporaryFolder()
        let nothing = await error { try await Reindex.run(configuration: DatabaseConfiguration(directory: empty.path), models: WordHash.models) }
        #expect(nothing?.category == .notFound)
        await fixture.database.close()
    }
}

extension [Float] {
    fileprivate var normalised: [Float] {
        let length = reduce(0) { $0 + $1 * $1 }.squareRoot()
        return map { $0 / length }
    }
}
