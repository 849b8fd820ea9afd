// The cache against a dictionary that forgets nothing, and its memory under a million texts.
import Base
import Embedding
import Foundation
import TestSupport
import Testing

/// For one scope: that scopes are apart, `EmbedderTests` sees.
extension EmbeddingCache {
    fileprivate mutating func vector(of text: String, now: ContinuousClock.Instant) -> [Float]? {
        vector(of: ScopedText(text, in: .server), .float32, now: now)
    }
    fileprivate mutating func insert(_ text: String, _ vector: [Float], now: ContinuousClock.Instant) {
        insert(ScopedText(text, in: .server), .float32, vector, now: now)
    }
}

struct EmbeddingCacheTests {
    let start = ContinuousClock.now

    /// Random texts out of few: what the cache answers is what was stored last and is not older than the lifetime.
    @Test func againstADictionary() {
        var random = SeededRandom(seed: testSeed("againstADictionary"))
        for bytesMax in [0, 500, 5_000, 50_000] {
            var cache = EmbeddingCache(bytesMax: bytesMax, lifetime: .seconds(100))
            var twin: [String: (vector: [Float], stored: Int)] = [:]
            var answered = 0
            for second in 0..<3_000 {
                let text = "text \(Int.random(in: 0..<200, using: &random))" + String(repeating: "x", count: Int.random(in: 0...1, using: &random))
                let now = start + .seconds(second)
                if Bool.random(using: &random) {
                    let vector = [Float(second), 1]
                    cache.insert(text, vector, now: now)
                    twin[text] = (vector, second)
                } else if let vector = cache.vector(of: text, now: now) {
                    answered += 1
                    #expect(vector == twin[text]?.vector)
                    #expect(second - (twin[text]?.stored ?? -1_000) < 100)
                }
                #expect(cache.checkInvariants() == [])
                #expect(cache.byteCount <= bytesMax)
            }
            #expect((answered > 0) == (bytesMax > 0))
        }
    }

    @Test func roomForAllAnswersAll() {
        var cache = EmbeddingCache(bytesMax: 1 << 20, lifetime: .seconds(100))
        for number in 0..<1_000 { cache.insert("\(number)", [Float(number)], now: start) }
        for number in 0..<1_000 { #expect(cache.vector(of: "\(number)", now: start + .seconds(99)) == [Float(number)]) }
        for number in 0..<1_000 { #expect(cache.vector(of: "\(number)", now: start + .seconds(100)) == nil) }
        #expect(cache.count == 0 && cache.byteCount == 0)
        #expect(cache.checkInvariants() == [])
    }

    @Test func longTextsAndLargeVectorsAreNotKept() {
        var cache = EmbeddingCache(bytesMax: 10_000, lifetime: .seconds(100))
        cache.insert(String(repeating: "x", count: 4_097), [1], now: start)
        cache.insert("x", [Float](repeating: 0, count: 3_000), now: start)
        #expect(cache.count == 0)
        cache.insert(String(repeating: "x", count: 4_096), [1], now: start)
        #expect(cache.count == 1)
    }

    /// Bytes of this process that lie in memory.
    private func resident() throws -> Int {
        let lines = try String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8).split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("Rss:") })
        return try #require(Int(line.split(separator: " ")[1])) * 1_024
    }

    /// Other suites run at the same time, so the bound is wide: without the cache's own a million entries would be 2 GB.
    @Test func memoryIsFlatUnderAMillionTexts() throws {
        var cache = EmbeddingCache(bytesMax: 8 << 20, lifetime: .seconds(3_600))
        func fill(_ range: Range<Int>) {
            for number in range { cache.insert("a text of a query, number \(number)", [Float](repeating: Float(number), count: 384), now: start) }
        }
        fill(0..<50_000)
        let before = try resident()
        fill(50_000..<1_000_000)
        let grown = try resident() - before
        #expect(grown < 256 << 20, "\(grown) bytes more")
        #expect(cache.byteCount <= 8 << 20 && cache.count > 4_000)
        #expect(cache.checkInvariants() == [])
    }
}
