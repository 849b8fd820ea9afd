// The hybrid score: one number out of two that have nothing in common.
//
// A cosine lies in -1...1 and means the same in every project. A BM25 score is a sum of weights of rare words: it has no
// upper end, grows with the number of texts (a rare word is rarer among more) and with the length of the query. Ranks (RRF)
// or division by the query's best hit would make the two comparable inside one result list; but a standing need meets one
// fresh document at a time, without a list, and must give it the same number that a query would. So the score is made of
// the pair alone and what is known of the query before any document is looked at, its ceiling (the sum of its idf):
//
//     evidence   = bm25 / 30 + 0.3 x bm25 / ceiling
//     text       = evidence / (1 + evidence / 3)                          0..<3, 0 when no term is shared
//     similarity = sigmoid(8 x cosine + 6.8 x text - 2.4)
//
// The two halves of the evidence serve two ends of a range. Among thousands of texts the absolute score is the better witness:
// it knows how rare the shared words are, and dividing it by the ceiling punishes every document for what a long query says
// beyond the words that matter. Among ten nodes all words are rather common, the absolute score is near 0, and what share of
// the query is covered says more. Softening keeps long quotations from drowning the cosine and the sum inside Float.
//
// Logistic regression over such features is the usual way to a probability of relevance (Gey, "Inferring probability of
// relevance using the method of logistic regression", SIGIR 1994). Here the ratio of the parts was fitted to the order of answers
// (nDCG@10 on four sets), and the bias to small JSON nodes against short needs, the main use: there a node that answers has
// a cosine of 0.3 to 0.5 with this model, one that does not is below 0.2. A cosine of 0.30 without a shared word is 0.5.
// Figures: docs/decisions/0006-hybrid-score.md.

#if canImport(Glibc)
internal import Glibc
#endif

/// The parameters of the hybrid score.
public struct FusionWeights: Sendable {
    /// Of the cosine, > 0.
    public var cosine: Float
    /// Of the text part, > 0.
    public var text: Float
    public var bias: Float

    public static let standard = FusionWeights(cosine: 8, text: 6.8, bias: -2.4)
}

/// One similarity out of cosine and BM25.
public enum Fusion {
    /// BM25 points that are evidence of 1.
    private static let points: Float = 30
    /// Evidence of reaching the query's ceiling.
    private static let coverage: Float = 0.3
    /// The upper bound of the text part.
    private static let textMax: Float = 3

    /// - Parameters:
    ///   - cosine: -1...1
    ///   - bm25: the text's score for the query, 0 when they share no term.
    ///   - ceiling: the least upper bound of BM25 scores for the query; 0 when the query has no term.
    /// - Returns: 0...1, strictly increasing in both (up to the resolution of Float near its ends).
    public static func similarity(cosine: Float, bm25: Float, ceiling: Float, weights: FusionWeights = .standard) -> Float {
        1 / (1 + exp(-(weights.cosine * cosine + weights.text * text(bm25: bm25, ceiling: ceiling) + weights.bias)))
    }

    /// The softened evidence of the words, 0..<3.
    private static func text(bm25: Float, ceiling: Float) -> Float {
        let evidence = bm25 > 0 && ceiling > 0 ? bm25 / points + coverage * (bm25 / ceiling) : 0
        return evidence / (1 + evidence / textMax)
    }

    /// What the log-odds of the similarity are the sum of.
    static func contributions(cosine: Float, bm25: Float, ceiling: Float, weights: FusionWeights = .standard) -> [(name: String, value: Double)] {
        [
            ("cosine", Double(weights.cosine * cosine)), ("text", Double(weights.text * text(bm25: bm25, ceiling: ceiling))),
            ("bias", Double(weights.bias)),
        ]
    }
}

extension FusionWeights {
    /// For explanations.
    var named: [(name: String, value: Double)] { [("cosine", Double(cosine)), ("text", Double(text)), ("bias", Double(bias))] }
}
