import Base
import Engine
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
        for number in 0..<600 { try await first.publish("p\(number % 2)", "k\(number)", ["text": .string("word\(number) other\(number % 7)")]) }
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
        var steps: [Int] = []
        let report = try await Reindex.run(configuration: configuration, models: models("second")) { done, all in
            steps.append(done)
            #expect(all == 600)
        }
        #expect(report.wasResumed && report.nodes == 300 - 256 && report.needs == 1 && report.projects == 1 && steps == [600])

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
