// The cache, the queue and its bounds, with callers at the same time.
import Base
import Embedding
import Foundation
import Synchronization
import TestSupport
import Testing
import Tokens

@Suite(.enabled(if: TestData.hasModel))
struct EmbedderTests {
    let model: EmbeddingModel

    init() throws { model = try #require(sharedModel) }

    /// - Parameter cache: short texts.
    func embedder(
        threads: Int = 2, cache: Int = 100, lifetime: Duration = .seconds(3_600), publishes: Int = 65_536, bytes: Int = 1 << 30, queries: Int = 4_096
    ) -> Embedder {
        Embedder(
            model: model, tokenizer: model.tokenizer, threads: threads, cacheBytes: cache * 1_900, cacheLifetime: lifetime,
            publishLimits: .init(texts: publishes, bytes: bytes), queryLimits: .init(texts: queries, bytes: bytes))
    }
    func direct(_ text: String) -> [Float] { model.embed(tokens: [model.tokenizer.ids(text)])[0] }

    @Test func answersInOrderAndFromTheCache() async throws {
        let embedder = embedder()
        let texts = ["alpha", "beta", "alpha", "", "gamma"]
        let first = try await embedder.embed(texts)
        for (text, vector) in zip(texts, first) { #expect(cosine(vector, direct(text)) >= 0.999999) }
        #expect(first[0] == first[2])
        #expect(embedder.statistics.misses == 4)
        #expect(embedder.statistics.cachedEntries == 4)
        let before = embedder.statistics.batches
        #expect(try await embedder.embed(["gamma", "alpha"]) == [first[4], first[0]])
        #expect(embedder.statistics.hits == 2)
        #expect(embedder.statistics.batches == before)
        #expect(try await embedder.embed([String]()).isEmpty)
    }

    @Test func oneScopeLearnsNothingOfAnother() async throws {
        let embedder = embedder()
        let (tenant, other) = (TenantID.standard, TenantID(rawValue: 9))
        let p = Name(stored: "p")
        let scopes: [ModelScope] = [
            .server, .project(p, of: tenant), .project(Name(stored: "q"), of: tenant), .project(p, of: other), .key("p", of: tenant), .key(nil, of: tenant),
        ]
        var first: [Float]? = nil
        for (place, scope) in scopes.enumerated() {
            let vector = try await embedder.embed([ScopedText("a secret", in: scope)])[0]
            #expect(first == nil || vector == first)
            first = vector
            #expect(embedder.statistics.hits == 0 && embedder.statistics.misses == place + 1)
        }
        // In one call neither: what another scope has asked beside it is computed as if it stood alone.
        _ = try await embedder.embed(["q", "r"].map { ScopedText("both", in: .project(Name(stored: $0), of: tenant)) })
        #expect(embedder.statistics.hits == 0 && embedder.statistics.misses == scopes.count + 2)
        for scope in scopes { _ = try await embedder.embed([ScopedText("a secret", in: scope)]) }
        #expect(embedder.statistics.hits == scopes.count)
    }

    /// With bytes for documents: who asks has float32, what is published has bytes, in one batch too, and each keeps its own in the cache.
    @Test func questionsAndDocumentsHaveTheirOwnPrecision() async throws {
        let model = try #require(sharedBytesModel)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 1, cacheBytes: 1 << 20)
        let texts = (0..<30).map { "text number \($0)" }
        func vectors(_ precision: EmbeddingPrecision) -> [[Float]] { model.embed(tokens: texts.map { model.tokenizer.ids($0) }, in: precision) }
        let (exact, bytes) = (vectors(.float32), vectors(.int8))
        #expect(zip(exact, bytes).allSatisfy { $0 != $1 && cosine($0, $1) > 0.998 })
        for _ in 0..<2 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (place, text) in texts.enumerated() {
                    group.addTask {
                        let vectors = try await embedder.embed([text], for: .question, as: .publish)
                        #expect(vectors == [exact[place]])
                    }
                    group.addTask {
                        let vectors = try await embedder.embed([text], for: .document, as: .publish)
                        #expect(vectors == [bytes[place]])
                    }
                    group.addTask {
                        let vectors = try await embedder.embed([text])
                        #expect(vectors == [exact[place]])
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(embedder.statistics.cachedEntries == 2 * texts.count)
        // Warmed are questions.
        let before = embedder.statistics
        await embedder.warm([ScopedText("warm", in: .server)])
        _ = try await embedder.embed(["warm"])
        #expect(embedder.statistics.hits == before.hits + 1)
        _ = try await embedder.embed(["warm"], for: .document)
        #expect(embedder.statistics.hits == before.hits + 1)
    }

    /// With float32 for both there is one entry.
    @Test func onePrecisionHasOneEntry() async throws {
        let embedder = embedder()
        let first = try await embedder.embed(["a"], for: .document)
        #expect(try await embedder.embed(["a"], for: .question) == first)
        #expect(embedder.statistics.cachedEntries == 1 && embedder.statistics.hits == 1)
    }

    @Test func cacheKeysAreBytes() async throws {
        let embedder = embedder()
        _ = try await embedder.embed(["\u{E9}", "e\u{301}"])
        #expect(embedder.statistics.cachedEntries == 2)
    }

    @Test func theLeastRecentlyUsedGoesFirst() async throws {
        let embedder = embedder(cache: 3)  // 3 x 1,900 bytes hold three entries of 1,825 bytes
        for text in ["a", "b", "c", "a", "d"] { _ = try await embedder.embed([text]) }
        #expect(embedder.statistics.cachedEntries == 3)
        let hits = embedder.statistics.hits
        _ = try await embedder.embed(["a", "c", "d"])
        #expect(embedder.statistics.hits == hits + 3)
        _ = try await embedder.embed(["b"])
        #expect(embedder.statistics.hits == hits + 3)
        #expect(embedder.statistics.cachedEntries == 3)
    }

    @Test func withoutACache() async throws {
        let embedder = embedder(cache: 0)
        let first = try await embedder.embed(["a"])
        #expect(try await embedder.embed(["a"]) == first)
        #expect(embedder.statistics.hits == 0 && embedder.statistics.cachedEntries == 0)
    }

    @Test func longTextsAreNotKept() async throws {
        let embedder = embedder()
        _ = try await embedder.embed([String(repeating: "x ", count: 4_096)])
        #expect(embedder.statistics.cachedEntries == 0)
    }

    /// Random requests from many tasks: every answer is that of the text, whatever shared its batch.
    @Test func concurrentCallersGetTheirOwnAnswers() async throws {
        let embedder = embedder(cache: 20)
        let texts = (0..<60).map { "entry \($0) " + String(repeating: "lorem ipsum ", count: $0 % 13) }
        let expected = texts.map { direct($0) }
        let seed = testSeed("concurrentCallersGetTheirOwnAnswers")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<12 {
                group.addTask {
                    var random = SeededRandom(seed: seed &+ UInt64(caller))
                    for _ in 0..<8 {
                        let wanted = (0..<Int.random(in: 0...9, using: &random)).map { _ in Int.random(in: 0..<texts.count, using: &random) }
                        let vectors = try await embedder.embed(wanted.map { texts[$0] })
                        #expect(vectors.count == wanted.count)
                        for (index, vector) in zip(wanted, vectors) { #expect(cosine(vector, expected[index]) >= 0.999999) }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(embedder.statistics.waiting == 0)
    }

    @Test func concurrentRequestsShareBatches() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<200 { group.addTask { _ = try await embedder.embed(["word \(index)"]) } }
            try await group.waitForAll()
        }
        #expect(embedder.statistics.embeddedTexts == 200)
        #expect(embedder.statistics.batches < 200, "\(embedder.statistics)")
    }

    /// A request that keeps one worker busy for minutes, and is cancelled long before; running when this returns.
    func endlessRequest(_ embedder: Embedder) async throws -> Task<[[Float]], any Error> {
        let before = embedder.statistics.batches
        let texts = (0..<20_000).map { "document \($0) " + String(repeating: "with several words ", count: 20) }
        let task = Task { try await embedder.embed(texts) }
        while embedder.statistics.batches == before { try await Task.sleep(for: .milliseconds(1)) }
        return task
    }

    @Test func aSmallPublishDoesNotWaitForALargeOne() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        let large = try await endlessRequest(embedder)
        _ = try await embedder.embed(["small"], as: .publish)
        #expect(embedder.statistics.waiting > 0)
        large.cancel()
    }

    /// Ten queries while one worker is busy with documents: served between the layers of a batch, so while they are answered few
    /// batches of the documents are begun.
    @Test func queriesGoBetweenTheLayersOfPublishes() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        let large = try await endlessRequest(embedder)
        let before = embedder.statistics
        for number in 0..<10 { _ = try await embedder.embed(["query \(number)"]) }
        let after = embedder.statistics
        #expect(after.interruptions > before.interruptions)
        let ofPublishes = (after.batches - before.batches) - (after.interruptions - before.interruptions)
        #expect(ofPublishes <= 20, "\(after)")
        #expect(after.waiting > 0)
        large.cancel()
    }

    @Test func aStreamOfQueriesDoesNotStarvePublishes() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        let done = AtomicFlag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<12 {
                group.addTask {
                    var number = 0
                    while !done.isSet {
                        _ = try await embedder.embed(["query \(caller) \(number)"])
                        number += 1
                    }
                }
            }
            _ = try await embedder.embed((0..<30).map { "document \($0) " + String(repeating: "word ", count: 30) })
            done.set()
            try await group.waitForAll()
        }
        #expect(embedder.statistics.waiting == 0)
    }

    @Test func aFullQueueRefuses() async throws {
        let embedder = embedder(threads: 1, cache: 0, publishes: 10)
        let large = try await endlessRequest(embedder)
        let error = await #expect(throws: ContexError.self) { try await embedder.embed(["document"], as: .publish) }
        #expect(error?.category == .unavailable)
        #expect(embedder.statistics.refused == 1)
        // Queries have a queue of their own.
        #expect(try await embedder.embed(["query"]).count == 1)
        large.cancel()
        await #expect(throws: CancellationError.self) { try await large.value }
        #expect(try await embedder.embed(["document"], as: .publish).count == 1)
    }

    @Test func theQueueIsBoundedByBytesToo() async throws {
        let embedder = embedder(threads: 1, cache: 0, bytes: 100_000)
        let large = try await endlessRequest(embedder)
        let error = await #expect(throws: ContexError.self) { try await embedder.embed(["document"], as: .publish) }
        // How much waits is whoever fills the queue's business.
        #expect(error?.category == .unavailable && error?.message == "Too many texts wait to be embedded: try again later")
        large.cancel()
    }

    /// One text of 10 MiB is one sequence: the rest of it is not even read.
    @Test func aTextOfTenMebibytes() async throws {
        let embedder = embedder()
        let start = String(repeating: "lorem ipsum ", count: 300)
        let vectors = try await embedder.embed([start + String(repeating: "dolor sit amet ", count: 700_000), start], as: .publish)
        #expect(cosine(vectors[0], vectors[1]) >= 0.999999)
        #expect(embedder.statistics.embeddedTokens == 512)
    }

    @Test func oldVectorsAreComputedAnew() async throws {
        let embedder = embedder(lifetime: .zero)
        _ = try await embedder.embed(["a"])
        _ = try await embedder.embed(["a"])
        #expect(embedder.statistics.hits == 0 && embedder.statistics.misses == 2)
    }

    @Test func warming() async throws {
        let embedder = embedder()
        await embedder.warm(["a", "b", "c"].map { ScopedText($0, in: .server) })
        #expect(embedder.statistics.hits == 0)
        for text in ["b", "a", "b"] { _ = try await embedder.embed([text]) }
        #expect(embedder.statistics.hits == 3)
        embedder.shutdown()
        await embedder.warm([ScopedText("d", in: .server)])
    }

    @Test func cancellationLeavesTheQueue() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        let large = try await endlessRequest(embedder)
        large.cancel()
        await #expect(throws: CancellationError.self) { try await large.value }
        #expect(embedder.statistics.waiting == 0)
        let cancelled = Task { () async throws -> [[Float]] in
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            return try await embedder.embed(["x"])
        }
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(try await embedder.embed(["still alive"]).count == 1)
    }

    @Test func shutdownRefusesWhatWaits() async throws {
        let embedder = embedder(threads: 1, cache: 10)
        let large = try await endlessRequest(embedder)
        embedder.shutdown()
        embedder.shutdown()
        let error = await #expect(throws: ContexError.self) { try await large.value }
        #expect(error?.category == .unavailable)
        await #expect(throws: ContexError.self) { try await embedder.embed(["new"]) }
        #expect(embedder.statistics.waiting == 0)
    }

    @Test func cachedTextsAreAnsweredAfterShutdown() async throws {
        let embedder = embedder(threads: 1, cache: 10)
        let cached = try await embedder.embed(["cached"])
        embedder.shutdown()
        #expect(try await embedder.embed(["cached"]) == cached)
    }
}

/// A flag that a test sets for its tasks.
final class AtomicFlag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
