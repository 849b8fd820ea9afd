import Base
import Foundation
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// How many of the true nearest the graph finds, at sizes where it matters. One after the other: each fills both cores'
/// caches, and the printed times would mean nothing beside each other.
@Suite(.serialized) struct RecallTests {
    func node(_ number: some BinaryInteger) -> NodeID { NodeID(rawValue: UInt32(number)) }

    /// Processor time of this thread: other work on the machine does not count.
    func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        func now() -> Double {
            var time = timespec()
            unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) * 1_000 + Double(time.tv_nsec) / 1e6
        }
        let start = now()
        try body()
        return now() - start
    }

    func line(_ text: String) { print("RecallTests: \(text)") }

    @Test func tenThousandVectors() throws {
        // A quarter of the model's dimensions: the graph is the same work, the comparisons are shorter.
        let dimension = 96
        var samples = VectorSamples(seed: testSeed("tenThousandVectors"), dimension: dimension, clusters: 120)
        let count = 10_000
        let vectors = samples.next(count)
        let queries = samples.next(200)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: dimension)
        let building = try milliseconds {
            for start in stride(from: 0, to: count, by: 100) {
                try store.write { (transaction: inout WriteTransaction) throws in
                    for id in start..<start + 100 { try index.insert(node(id), vectors[id], in: &transaction) }
                }
            }
        }
        let searching = try store.environment.read { (view: borrowing TransactionView) throws in
            try milliseconds { for query in queries { _ = try index.search(query, count: 10, in: view) } }
        }
        let scanning = try store.environment.read { (view: borrowing TransactionView) throws in
            try milliseconds { for query in queries.prefix(20) { _ = try index.exactSearch(query, count: 10, in: view) } }
        }
        let recall = try store.recall(index, queries)
        line("\(count) vectors: insert \(building / Double(count)) ms, search \(searching / 200) ms, exact \(scanning / 20) ms, recall@10 \(recall)")
        #expect(recall >= 0.98)
        #expect(try store.findings(index, 0..<UInt32(count)) == [])
    }

    /// A fifth of the vectors is replaced ten times over: the graph must not wear out.
    @Test func replacingAFifthTenTimes() throws {
        let seed = testSeed("replacingAFifthTenTimes")
        var random = SeededRandom(seed: seed)
        var samples = VectorSamples(seed: seed, dimension: 96, clusters: 60)
        let count = 1_500
        let queries = samples.next(100)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 96, parameters: HNSWParameters(exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in 0..<count { try index.insert(node(id), samples.next(), in: &transaction) }
        }
        var recalls = [try store.recall(index, queries)]
        var nodes = Array(0..<UInt32(count))
        for round in 0..<10 {
            try store.write { (transaction: inout WriteTransaction) throws in
                // Even rounds replace in place, odd rounds remove first and add under new numbers, as the engine does.
                let chosen = nodes.shuffled(using: &random).prefix(count / 5)
                if round % 2 == 0 {
                    for id in chosen { try index.insert(node(id), samples.next(), in: &transaction) }
                } else {
                    for id in chosen { try index.remove(node(id), in: &transaction) }
                    nodes = nodes.filter { !Set(chosen).contains($0) }
                    let first = nodes.max()! + 1
                    for id in first..<first + UInt32(chosen.count) {
                        try index.insert(node(id), samples.next(), in: &transaction)
                        nodes.append(id)
                    }
                }
            }
            recalls.append(try store.recall(index, queries))
        }
        line("ten replacements of a fifth: recall@10 \(recalls)")
        #expect(recalls.allSatisfy { $0 >= 0.98 })
        #expect(try store.findings(index, nodes) == [])
        // A removal may let a list exceed its bound to keep the graph in one piece; with a bound of 32 it never has to.
        try store.environment.read { (view: borrowing TransactionView) throws in
            try view.scanRecords(prefix: store.scope.key(.vectorLinks)) { _, payload in
                let links = Array(payload)
                #expect(links[0] == 255 || links[6] <= 32)
                return .onward
            }
        }
    }

    /// Many equal vectors (the same short text in many documents) must not wall off the others.
    @Test func manyEqualVectors() throws {
        var samples = VectorSamples(seed: testSeed("manyEqualVectors"), dimension: 64, clusters: 20)
        let equal = samples.next()
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64, parameters: HNSWParameters(exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for id in 0..<1_500 { try index.insert(node(id), equal, in: &transaction) }
            for id in 1_500..<3_000 { try index.insert(node(id), samples.next(), in: &transaction) }
        }
        let recall = try store.recall(index, samples.next(100) + [equal])
        line("1,500 equal vectors among 3,000: recall@10 \(recall)")
        #expect(recall >= 0.98)
        #expect(try store.findings(index, 0..<3_000) == [])
    }

    /// What halves leave of the ten nearest that floats have, without a graph between: at least 99.5 of 100.
    @Test(.enabled(if: TestData.hasData)) func halvesKeepTheTenNearest() throws {
        let bytes = [UInt8](try TestData.file("embeddings/vectors.f32"))
        var reader = ByteReader(bytes)
        let vectors = try (0..<bytes.count / (4 * 384)).map { _ in VectorSamples.unit(try reader.floats(384)) }
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, parameters: HNSWParameters(M: 4, M0: 8, efConstruction: 16, efSearch: 16, exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for (id, vector) in vectors.enumerated() { try index.insert(node(id), vector, in: &transaction) }
        }
        var (kept, wanted, worst) = (0, 0, Float(0))
        try store.environment.read { (view: borrowing TransactionView) throws in
            for query in vectors {
                let exact = vectors.map { VectorMath.dot(query[...], $0) }
                let best = exact.sorted(by: >).prefix(10)
                let answer = try index.exactSearch(query, count: 10, in: view)
                // By cosine, not by number: equal texts may change places.
                kept += answer.count { exact[Int($0.node.rawValue)] >= best.last! - 1e-6 }
                wanted += best.count
                for match in answer { worst = max(worst, abs(match.cosine - exact[Int(match.node.rawValue)])) }
            }
        }
        line("\(vectors.count) real vectors as halves: \(kept) of \(wanted) of the ten nearest, a cosine is off by \(worst) at most")
        #expect(Double(kept) >= 0.995 * Double(wanted))
        #expect(worst < 1e-4)
    }

    /// The vectors of real texts, beside themselves as queries.
    @Test(.enabled(if: TestData.hasData)) func realVectors() throws {
        let bytes = [UInt8](try TestData.file("embeddings/vectors.f32"))
        var reader = ByteReader(bytes)
        let vectors = try (0..<bytes.count / (4 * 384)).map { _ in VectorSamples.unit(try reader.floats(384)) }
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, parameters: HNSWParameters(M: 8, M0: 16, efConstruction: 64, efSearch: 32, exactBelow: 0))
        try store.write { (transaction: inout WriteTransaction) throws in
            for (id, vector) in vectors.enumerated() { try index.insert(node(id), vector, in: &transaction) }
        }
        let recall = try store.recall(index, vectors)
        line("\(vectors.count) real vectors, a narrow graph: recall@10 \(recall)")
        #expect(recall >= 0.98)
        #expect(try store.findings(index, 0..<UInt32(vectors.count)) == [])
        // Each finds itself, until it is removed.
        try store.write { (transaction: inout WriteTransaction) throws in
            for (id, vector) in vectors.enumerated() {
                let before = try index.search(vector, count: 1, in: transaction.view)
                #expect(abs((before.first?.cosine ?? 0) - 1) < 1e-4)
                try index.remove(node(id), in: &transaction)
                let after = try index.search(vector, count: 3, in: transaction.view)
                #expect(!after.contains { $0.node == node(id) })
            }
        }
    }
}
