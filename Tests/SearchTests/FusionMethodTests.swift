import Base
import Search
import Testing

@Suite struct FusionMethodTests {
    private static let nearest: [NodeID] = [3, 1, 2].map { NodeID(rawValue: $0) }
    private static let lexical: [NodeID] = [2, 3, 4].map { NodeID(rawValue: $0) }
    private static let parts: [NodeID: ScoreParts] = [
        NodeID(rawValue: 1): ScoreParts(cosine: 0.6, bm25: 0, ceiling: 20, cut: 5), NodeID(rawValue: 2): ScoreParts(cosine: 0.5, bm25: 10, ceiling: 20, cut: 5),
        NodeID(rawValue: 3): ScoreParts(cosine: 0.7, bm25: 4, ceiling: 20, cut: 5), NodeID(rawValue: 4): ScoreParts(cosine: 0.2, bm25: 3, ceiling: 20, cut: 5),
    ]

    private func order(_ fusion: Fusion) -> [UInt32] {
        let order = fusion.order(nearest: Self.nearest, lexical: Self.lexical, parts: Self.parts) ?? [:]
        return order.keys.sorted { order[$0]! == order[$1]! ? $0 < $1 : order[$0]! > order[$1]! }.map(\.rawValue)
    }

    @Test func theOrderOfEachMethod() throws {
        #expect(Fusion.calibrated.order(nearest: Self.nearest, lexical: Self.lexical, parts: Self.parts) == nil)
        // 1/61 + 1/62; 1/63 + 1/61; 1/62; 1/63
        #expect(order(Fusion(.rrf)) == [3, 2, 1, 4])
        #expect(order(Fusion(.rrf, weights: FusionWeights(semantic: 0, keyword: 2))) == [2, 3, 4, 1])
        #expect(order(Fusion(.rrf, weights: FusionWeights(semantic: 1, keyword: 0))) == [3, 1, 2, 4])
        // cosines scaled by 0.2...0.7: 0.8, 0.6, 1, 0; scores by 10: 0, 1, 0.4, 0.3
        #expect(order(Fusion(.convex)) == [3, 2, 1, 4])
        #expect(order(Fusion(.convex, weights: FusionWeights(semantic: 1, keyword: 9))) == [2, 3, 4, 1])
        #expect(order(Fusion(.convex, weights: FusionWeights(semantic: 1, keyword: 0))) == [3, 1, 2, 4])
        let sums = try #require(Fusion(.convex).order(nearest: Self.nearest, lexical: Self.lexical, parts: Self.parts))
        #expect(abs(sums[NodeID(rawValue: 3)]! - 0.82) < 1e-6 && abs(sums[NodeID(rawValue: 2)]! - 0.72) < 1e-6)
    }

    @Test func nothingToScaleBy() {
        #expect(Fusion(.convex).order(nearest: [], lexical: [], parts: [:])?.isEmpty == true)
        let one: [NodeID: ScoreParts] = [NodeID(rawValue: 9): ScoreParts(cosine: 0.3, bm25: 0, ceiling: 20, cut: 5)]
        #expect(Fusion(.convex).order(nearest: Array(one.keys), lexical: [], parts: one) == [NodeID(rawValue: 9): 0])
    }

    @Test func weightsThatAreNone() throws {
        for (semantic, keyword) in [(-1, 1), (1, -0.5), (0, 0), (.nan, 1), (1, .infinity)] as [(Double, Double)] {
            #expect(FusionWeights(semantic: semantic, keyword: keyword) == nil, "\(semantic) \(keyword)")
        }
        let greatest = try #require(FusionWeights(semantic: .greatestFiniteMagnitude, keyword: .greatestFiniteMagnitude))
        #expect(greatest.semantic == 0.5 && greatest.keyword == 0.5)
        #expect(FusionWeights(semantic: 7, keyword: 3) == FusionWeights(semantic: 0.7, keyword: 0.3))
    }
}
