// What one node has for one query, and what that comes to.

internal import Base

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
    /// nil when one of the two has no vector.
    public var cosine: Float?
    public var bm25: Float
    /// What of that the words of its whole bring (WholeWords).
    public private(set) var whole: Float = 0
    /// The most that `bm25` can be for the query.
    public var ceiling: Float
    /// The decision cut: what a node must sum up to for a calibrated similarity of 0.5.
    public var cut: Float
    /// The node has a word of the query that is the name of something (an identifier, a code, a number as written) and that no other text of the
    /// project has, or hardly any.
    public var exactWord: ExactWord?
    /// `Calibration.shareCut`: without a cosine it decides.
    public var shareCut: Float

    public init(
        cosine: Float?, bm25: Float, ceiling: Float, cut: Float, shareCut: Float = Calibration.shareCut(documents: 1), exactWord: ExactWord? = nil
    ) {
        self.cosine = cosine
        self.bm25 = bm25
        self.ceiling = ceiling
        self.cut = cut
        self.shareCut = shareCut
        self.exactWord = exactWord
    }

    /// With what the whole that the text is part of brings.
    public func gaining(_ whole: Float) -> ScoreParts {
        guard whole > 0 else { return self }
        var parts = self
        parts.whole = whole
        parts.bm25 += whole
        // Prefixes and phrases may bring more than the ceiling counts for them.
        parts.ceiling = max(ceiling, parts.bm25)
        return parts
    }

    public var calibrated: CalibratedScore { CalibratedScore(ceiling: ceiling, cut: cut) }

    /// What thresholds are compared with.
    public func similarity(_ mode: SearchMode) -> Float {
        switch mode {
        case .hybrid: cosine.map { calibrated.similarity(cosine: $0, bm25: bm25, exactWord) } ?? ofWords
        case .semantic: cosine ?? 0
        case .keyword: share
        }
    }

    /// Where there is no cosine: words alone decide, and an exact one lifts as it does elsewhere.
    private var ofWords: Float {
        let similarity = share / (share + shareCut)
        guard let exactWord, similarity >= exactWord.least else { return similarity }
        return 1 / (2 - similarity)
    }

    private var share: Float { ceiling > 0 ? min(1, bm25 / ceiling) : 0 }

    /// What the similarity is the sum of; in hybrid mode its log-odds.
    public func contributions(_ mode: SearchMode) -> [(name: String, value: Double)] {
        switch mode {
        case .hybrid:
            cosine.map { calibrated.contributions(cosine: $0, bm25: bm25, exactWord) }
                ?? [("words", share > 0 ? PortableMath.log(Double(share)) : -.infinity), ("bias", -PortableMath.log(Double(shareCut)))]
        case .semantic: [("cosine", Double(cosine ?? 0))]
        case .keyword: [("bm25", Double(share))]
        }
    }
}
