import Base
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// Filters that have to do with the query.
@Suite struct FilterReachTests {
    /// As a set and as a test.
    static func filters(_ nodes: Set<NodeID>) -> [NodeFilter] { [NodeFilter(nodes: nodes), NodeFilter { nodes.contains($0) }] }

    /// What passes is the part of the project that is nearest to the query, or farthest from it: then the walk meets much that does not
    /// pass, and here and there a node that does, but not the nearest of these. Of the farthest many are nearly equally far: what counts
    /// is how much less an answer's cosine is than that of the true neighbour of its rank.
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
                var (shortfall, wanted): (Float, Float) = (0, 0)
                for query in queries {
                    let order = try store.environment.read { try index.exactSearch(query, count: 6_000, in: $0) }
                    let passing = Int(share * 6_000)
                    let kept = Array(isNear ? order.prefix(passing) : order.suffix(passing))
                    for filter in Self.filters(Set(kept.map(\.node))) {
                        let answer = try store.environment.read { try index.search(query, count: 10, filter: filter, in: $0) }
                        let names = Set(kept.map(\.node))
                        #expect(answer.allSatisfy { names.contains($0.node) })
                        #expect(answer.count == 10)
                        shortfall += zip(kept, answer).reduce(Float(0)) { $0 + $1.0.cosine - $1.1.cosine }
                        wanted += 10
                    }
                }
                print("passingNodesAreNearOrFar: share \(share), \(isNear ? "near" : "far"): \(shortfall / wanted) too little")
                #expect(shortfall / wanted < 0.02)
            }
        }
    }
}
