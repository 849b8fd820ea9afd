// The cache, the queue and its bounds, with callers at the same time.
import Base
import Embedding
import Foundation
import TestSupport
import Testing
import Tokens

@Suite(.enabled(if: TestData.hasModel))
struct EmbedderTests {
    let model: EmbeddingModel

    init() throws { model = try #require(sharedModel) }

    func embedder(threads: Int = 2, cache: Int = 100, queue: Int = 65_536) -> Embedder {
        Embedder(model: model, tokenizer: model.tokenizer, threads: threads, cacheCapacity: cache, queueCapacity: queue)
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
        #expect(try await embedder.embed([]).isEmpty)
    }

    @Test func cacheKeysAreBytes() async throws {
        let embedder = embedder()
        _ = try await embedder.embed(["\u{E9}", "e\u{301}"])
        #expect(embedder.statistics.cachedEntries == 2)
    }

    @Test func theLeastRecentlyUsedGoesFirst() async throws {
        let embedder = embedder(cache: 3)
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

    @Test func aSmallRequestDoesNotWaitForALargeOne() async throws {
        let embedder = embedder(threads: 1, cache: 0)
        let large = try await endlessRequest(embedder)
        _ = try await embedder.embed(["query"])
        #expect(embedder.statistics.waiting > 0)
        large.cancel()
    }

    @Test func aFullQueueRefuses() async throws {
        let embedder = embedder(threads: 1, cache: 0, queue: 10)
        let large = try await endlessRequest(embedder)
        let error = await #expect(throws: ContexError.self) { try await embedder.embed(["query"]) }
        #expect(error?.category == .unavailable)
        #expect(embedder.statistics.refused == 1)
        large.cancel()
        await #expect(throws: CancellationError.self) { try await large.value }
        #expect(try await embedder.embed(["query"]).count == 1)
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
