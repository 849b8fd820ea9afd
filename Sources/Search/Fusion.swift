// In which order the candidates of both sides are answered in hybrid mode. A match's `similarity`, and with it the threshold, is the
// calibrated one (Calibration.swift) under every method: it belongs to the pair, means the same for a query and a standing need, and
// 0.5 stays the cut. The method changes the order of what passed the threshold, and so, with `top_k`, which of it is answered.
//
//   calibrated  by similarity. The default, and what standing needs are matched with: they meet one document and have no list.
//   convex      w x c + (1 - w) x b / best b of the query, with c the cosine, scaled to 0...1 between the worst and the best candidate, and
//               b BM25: Bruch, Gai and Ingber, "An analysis of fusion functions for hybrid retrieval", TOIS 42(1), 2023.
//   rrf         w / (60 + rank) summed over the two lists: Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet
//               and individual rank learning methods", SIGIR 2009. A candidate that one list lacks gets nothing from it.
//
// Every candidate of either side brings both true scores, so that `convex` does not take "not among the best 100" for 0.
// A fourth method, one that notices for each query which side is weak, was tried with a dozen features of query and lists and does not
// hold on sets that it was not fitted to: docs/decisions/0027-fusion-and-calibration.md.

public import Base

public enum FusionMethod: String, Sendable, CaseIterable { case calibrated, convex, rrf }

/// How much each side counts. Only their ratio matters.
public struct FusionWeights: Sendable, Equatable {
    /// Of the cosine.
    public let semantic: Double
    /// Of BM25.
    public let keyword: Double

    /// nil unless both are finite, none is negative and one is more than 0.
    public init?(semantic: Double, keyword: Double) {
        guard semantic.isFinite, keyword.isFinite, semantic >= 0, keyword >= 0, max(semantic, keyword) > 0 else { return nil }
        // Against their greater, since the sum of two finite numbers may be none.
        let greater = max(semantic, keyword)
        let sum = semantic / greater + keyword / greater
        self.semantic = semantic / greater / sum
        self.keyword = keyword / greater / sum
    }

    /// What `convex` takes by default.
    public static let convex = FusionWeights(semantic: 0.7, keyword: 0.3)!
    /// What `rrf` takes by default.
    public static let equal = FusionWeights(semantic: 0.5, keyword: 0.5)!
}

public struct Fusion: Sendable, Equatable {
    public let method: FusionMethod
    /// Of no meaning to `calibrated`, whose weights are fitted.
    public let weights: FusionWeights

    public static let calibrated = Fusion(.calibrated)
    /// Added to each rank, from the paper: the first places must not drown what both lists have further down.
    static let rankOffset = 60.0

    public init(_ method: FusionMethod, weights: FusionWeights? = nil) {
        self.method = method
        self.weights = weights ?? (method == .rrf ? .equal : .convex)
    }

    /// As a request asks: weights alone mean `convex`.
    /// - Throws: `.invalid` when the request contradicts itself.
    public init(method: FusionMethod?, weights: FusionWeights?, mode: SearchMode) throws(ContexError) {
        if mode != .hybrid, method != nil || weights != nil {
            throw .invalid(
                field: method != nil ? "fusion" : "weights", kind: "value_error",
                message: "Value error, mode '\(mode.rawValue)' has one side only, there is nothing to fuse: leave it out or ask for mode 'hybrid'")
        }
        if method == .calibrated, weights != nil {
            throw .invalid(
                field: "weights", kind: "value_error",
                message: "Value error, fusion 'calibrated' has fitted weights: leave them out or ask for fusion 'convex' or 'rrf'")
        }
        self.init(method ?? (weights == nil ? .calibrated : .convex), weights: weights)
    }

    /// A number for each candidate by which they are answered, highest first; nil when that is their similarity.
    /// - Parameters:
    ///   - nearest: by cosine, best first.
    ///   - lexical: by BM25, best first.
    /// - Complexity: O(candidates).
    public func order(nearest: [NodeID], lexical: [NodeID], parts: [NodeID: ScoreParts]) -> [NodeID: Double]? {
        switch method {
        case .calibrated: return nil
        case .rrf:
            var sums = parts.mapValues { _ in 0.0 }
            for (list, weight) in [(nearest, weights.semantic), (lexical, weights.keyword)] {
                for (place, node) in list.enumerated() { sums[node, default: 0] += weight / (Self.rankOffset + Double(place + 1)) }
            }
            return sums
        case .convex:
            let cosines = parts.values.compactMap(\.cosine)
            let (best, floor) = (cosines.max() ?? 0, cosines.min() ?? 0)
            let (span, bestScore) = (Double(best - floor), Double(parts.values.map(\.bm25).max() ?? 0))
            return parts.mapValues { parts in
                let keyword = bestScore > 0 ? Double(parts.bm25) / bestScore : 0
                // What has no vector stands on both sides where its words put it.
                guard let cosine = parts.cosine else { return keyword }
                // All alike: none is ahead of another on that side.
                let semantic = span > 0 ? Double(cosine - floor) / span : 0
                return weights.semantic * semantic + weights.keyword * keyword
            }
        }
    }
}
