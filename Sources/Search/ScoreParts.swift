// What one node has for one query, and what that comes to.

/// How matches are scored.
public enum SearchMode: String, Sendable, CaseIterable {
    /// Cosine and BM25 in one calibrated score (Fusion).
    case hybrid
    /// The cosine alone, as the original does it without its hybrid mode.
    case semantic
    /// BM25 alone, scaled to 0...1 by the best score that the query could reach.
    case keyword
}

/// A word that is enough by itself.
public enum ExactWord: Sendable {
    /// A few texts have it.
    case rare
    /// No other text has it.
    case alone

    /// The similarity from which on it lifts a text. What a few have may be a number that they have by chance; who shares nothing else is not meant.
    var least: Float { self == .alone ? 0 : 0.1 }
}

/// What a similarity is made of, in every mode.
public struct ScoreParts: Sendable {
    public var cosine: Float
    public var bm25: Float
    /// The most that `bm25` can be for the query.
    public var ceiling: Float
    /// The decision cut: what a node must sum up to for a calibrated similarity of 0.5.
    public var cut: Float
    /// The node has a word of the query that is the name of something (an identifier, a code, a number as written) and that no other text of the
    /// project has, or hardly any.
    public var exactWord: ExactWord?

    public init(cosine: Float, bm25: Float, ceiling: Float, cut: Float, exactWord: ExactWord? = nil) {
        self.cosine = cosine
        self.bm25 = bm25
        self.ceiling = ceiling
        self.cut = cut
        self.exactWord = exactWord
    }

    public var calibrated: CalibratedScore { CalibratedScore(ceiling: ceiling, cut: cut) }

    /// What thresholds are compared with.
    public func similarity(_ mode: SearchMode) -> Float {
        switch mode {
        case .hybrid:
            calibrated.similarity(cosine: cosine, bm25: bm25, exactWord)
        case .semantic: cosine
        case .keyword: ceiling > 0 ? min(1, bm25 / ceiling) : 0
        }
    }

    /// What the similarity is the sum of; in hybrid mode its log-odds.
    public func contributions(_ mode: SearchMode) -> [(name: String, value: Double)] {
        switch mode {
        case .hybrid: calibrated.contributions(cosine: cosine, bm25: bm25, exactWord)
        case .semantic: [("cosine", Double(cosine))]
        case .keyword: [("bm25", ceiling > 0 ? Double(bm25 / ceiling) : 0)]
        }
    }
}
