import Base
import Foundation
import LMDB
import Vectors

/// Recall@10 and time of a query when a share of the nodes passes, by set and by test.
///
/// Four kinds of filters: `random`, the same for all queries; `near`, the share of the nodes that is nearest to the query; `topic`, the share
/// that is nearest to another query, drawn for each; `far`, the share that is farthest from the query, so that nothing the walk meets first
/// passes. Of the farthest, thousands are nearly equally far, so beside recall stands the shortfall: how much less the cosine
/// of an answer is than that of the true neighbour of its rank, on average.
enum Filtering {
    private enum Kind: String, CaseIterable { case random, near, topic, far }

    static func measure(_ folder: String, _ vectors: VectorFile, first: Int, queries asked: Int) throws {
        let environment = try Measuring.reader(folder)
        let index = VectorIndex(scope: Measuring.scope)
        let queries = (first..<min(first + asked, vectors.count)).map { vectors[$0] }
        let count = try environment.read { try index.count(in: $0) }
        /// Nodes by nearness, for each query.
        let ranked = try environment.read { view in try queries.map { try index.exactSearch($0, count: count, in: view) } }
        Measuring.progress("\(queries.count) queries ranked")
        for kind in Kind.allCases {
            for share in [1, 0.5, 0.1, 0.01, 0.001] where kind == .random || share < 1 {
                var random = SeededRandom(seed: 11)
                let drawn = (0..<count).map { _ in random.unit() < share }
                let passing = Int(share * Double(count))
                for form in ["set", "test"] {
                    var (found, wanted, least, processor, shortfall) = (0, 0, 10, 0.0, 0.0)
                    var times: [Double] = []
                    for (place, query) in queries.enumerated() {
                        let order = ranked[place]
                        var passes = drawn
                        if kind != .random {
                            passes = [Bool](repeating: false, count: count)
                            let other = ranked[(7 * place + 13) % queries.count]
                            let chosen = kind == .far ? order.suffix(passing) : (kind == .near ? order : other).prefix(passing)
                            for match in chosen { passes[Int(match.node.rawValue)] = true }
                        }
                        let kept = passes
                        let best = Array(order.lazy.filter { kept[Int($0.node.rawValue)] }.prefix(10))
                        let truth = Set(best.map(\.node))
                        let filter =
                            form == "set"
                            ? NodeFilter(nodes: kept.indices.lazy.filter { kept[$0] }.map { NodeID(rawValue: UInt32($0)) })
                            : NodeFilter { kept[Int($0.rawValue)] }
                        let (began, start) = (Measuring.seconds(), Measuring.processorSeconds())
                        let answer = try environment.read { try index.search(query, count: 10, filter: filter, in: $0) }
                        processor += Measuring.processorSeconds() - start
                        times.append((Measuring.seconds() - began) * 1e6)
                        let hits = answer.count { truth.contains($0.node) }
                        shortfall += zip(best, answer).reduce(0) { $0 + Double($1.0.cosine - $1.1.cosine) }
                        (found, wanted, least) = (found + hits, wanted + truth.count, min(least, hits))
                    }
                    Measuring.report([
                        ("command", "filter"), ("kind", kind.rawValue), ("share", share), ("by", form), ("recall", Double(found) / Double(wanted)),
                        ("leastOfTen", least), ("shortfall", shortfall / Double(wanted)),
                        ("perSecond", Double(queries.count) / processor), ("p50Microseconds", Measuring.median(times)),
                        ("p95Microseconds", Measuring.percentile(times, 0.95)),
                    ])
                }
            }
        }
    }
}
