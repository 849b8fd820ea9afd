import Base
import Foundation
import LMDB
import Vectors

/// Rounds that remove a random fifth of the nodes and insert their vectors again, under new numbers and in transactions of 256. The
/// data stay the same, so the store that was never changed is what a fresh build of them gives: both are searched in turns after
/// each round. Without fsync, which is not what is measured.
enum Churn {
    static func run(_ folder: String, beside fresh: String, _ vectors: VectorFile, count: Int, truth path: String, rounds: Int) throws {
        let environment = try Environment(path: folder, options: .init(durability: .unsafeNoSync, mapBytes: Measuring.mapBytes))
        let unchanged = try Measuring.reader(fresh)
        let index = VectorIndex(scope: Measuring.scope)
        let queries = (count..<vectors.count).map { vectors[$0] }
        let truth = try Truth(path)
        /// The vector of each node that ever was, and the nodes that are.
        var (rows, nodes) = (Array(0..<count), Array(0..<count))
        var random = SeededRandom(seed: 5)

        /// Recall, and queries a processor second of one pass.
        func search(_ environment: Environment, _ ef: Int) throws -> (recall: Double, rate: Double) {
            var found = 0
            let start = Measuring.processorSeconds()
            for (number, query) in queries.enumerated() {
                let answer = try environment.read { try index.search(query, count: 10, effort: .candidates(ef), in: $0) }
                found += truth.hits(number, answer.lazy.map { rows[Int($0.node.rawValue)] })
            }
            return (Double(found) / Double(10 * queries.count), Double(queries.count) / (Measuring.processorSeconds() - start))
        }
        func measure(_ round: Int, removed: Double, inserted: Double) throws {
            for ef in [24, 100] {
                _ = try (search(environment, ef), search(unchanged, ef))
                let passes = try (0..<7).map { _ in try (changed: search(environment, ef), fresh: search(unchanged, ef)) }
                let statistics = try environment.statistics()
                Measuring.report([
                    ("command", "churn"), ("round", round), ("ef", ef), ("recall", passes[0].changed.recall), ("freshRecall", passes[0].fresh.recall),
                    ("perSecond", Measuring.median(passes.map(\.changed.rate))), ("freshPerSecond", Measuring.median(passes.map(\.fresh.rate))),
                    ("speed", Measuring.median(passes.map { $0.changed.rate / $0.fresh.rate })), ("removedPerProcessorSecond", removed),
                    ("insertedPerProcessorSecond", inserted), ("bytes", statistics.bytesUsed), ("bytesWithoutFreePages", statistics.tableBytes),
                ])
            }
        }

        try measure(0, removed: 0, inserted: 0)
        for round in 1...rounds {
            nodes.shuffle(using: &random)
            var (removing, inserting) = (0.0, 0.0)
            for first in stride(from: 0, to: count / 5, by: 256) {
                let places = first..<min(first + 256, count / 5)
                var transaction = try environment.beginWrite()
                let start = Measuring.processorSeconds()
                for place in places { try index.remove(NodeID(rawValue: UInt32(nodes[place])), in: &transaction) }
                let between = Measuring.processorSeconds()
                for place in places {
                    let row = rows[nodes[place]]
                    nodes[place] = rows.count
                    rows.append(row)
                    try index.insert(NodeID(rawValue: UInt32(nodes[place])), vectors[row], in: &transaction)
                }
                try transaction.commit()
                environment.growFile()
                removing += between - start
                inserting += Measuring.processorSeconds() - between
            }
            Measuring.progress("round \(round) of \(rounds)")
            try measure(round, removed: Double(count / 5) / removing, inserted: Double(count / 5) / inserting)
        }
    }
}
