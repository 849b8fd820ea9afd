import Base
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// Filters that have to do with the query.
@Suite struct FilterReachTests {
    /// What passes is the part of the project that is nearest to the query, or farthest from it: then the walk meets much that does not
    /// pass, and here and there a node that does, but not the nearest of these.
    @Test func passingNodesAreNearOrFar() throws {
        let seed = testSeed("passingNodesAreNearOrFar")
        var samples = VectorSamples(seed: seed, dimension: 64, clusters: 40)
        let vectors = samples.next(6_000)
        let queries = samples.next(20)
        let store = try IndexStore()
        let index = VectorIndex(scope: store.scope, dimension: 64)
        let build = VectorBulkBuild(index, threads: 2)
        try store.write { try build.add(vectors.enumerated().map { (NodeID(rawValue: UInt32($0.offset)), $0.element) }, in: &$0) }
        try build.link(in: store.environment)
        try store.write { (transaction: inout WriteTransaction) throws in #expect(try build.write(in: &transaction)) }
        for share in [0.9, 0.6, 0.3] {
            for isNear in [true, false] {
                var (found, wanted) = (0, 0)
                try store.environment.read { (view: borrowing TransactionView) throws in
                    for query in queries {
                        let order = try index.exactSearch(query, count: 6_000, in: view)
                        let passing = Int(share * 6_000)
                        let kept = Array(isNear ? order.prefix(passing) : order.suffix(passing))
                        let nodes = Set(kept.map(\.node))
                        for filter in [NodeFilter(nodes: kept.map(\.node)), NodeFilter { nodes.contains($0) }] {
                            let answer = try index.search(query, count: 10, filter: filter, in: view)
                            #expect(answer.allSatisfy { nodes.contains($0.node) })
                            found += answer.count { $0.cosine >= kept[9].cosine - 1e-6 }
                            wanted += 10
                        }
                    }
                }
                print("passingNodesAreNearOrFar: share \(share), \(isNear ? "near" : "far"): \(found) of \(wanted)")
                #expect(Double(found) >= 0.95 * Double(wanted))
            }
        }
    }
}
