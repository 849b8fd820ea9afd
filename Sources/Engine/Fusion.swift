#if canImport(Glibc)
internal import Glibc
#endif

/// The parameters of the hybrid score.
public struct FusionWeights: Sendable {
    public var cosine: Float
    public var text: Float
    public var bias: Float
    public static let standard = FusionWeights(cosine: 12, text: 12, bias: -3.6)
}

/// One similarity out of cosine and BM25.
public enum Fusion {
    /// - Parameters:
    ///   - cosine: -1...1
    ///   - bm25: the text's score for the query, 0 when they share no term.
    ///   - ceiling: the least upper bound of BM25 scores for the query; 0 when the query has no known term.
    /// - Returns: 0...1, strictly increasing in both.
    public static func similarity(cosine: Float, bm25: Float, ceiling: Float, weights: FusionWeights = .standard) -> Float {
        let text = ceiling > 0 ? min(1, bm25 / ceiling) : 0
        return 1 / (1 + exp(-(weights.cosine * cosine + weights.text * text + weights.bias)))
    }
}

extension FusionWeights {
    /// For explanations.
    var named: [(name: String, value: Double)] { [("cosine", Double(cosine)), ("text", Double(text)), ("bias", Double(bias))] }
}
