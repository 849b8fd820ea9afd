// The calibrated similarity: one number in 0...1 out of two that have nothing in common, with 0.5 as the cut between what is worth telling
// and what is not.
//
// A cosine lies in -1...1. A BM25 score is a sum of weights of rare words: it has no upper end, grows with the number of texts (a rare word is
// rarer among more) and with the length of the query. Ranks (RRF) or division by the query's best hit would make the two comparable inside
// one result list; but a standing need meets one fresh document at a time, without a list, and must give it the same number that a
// query would. So the score is made of the pair, and of what is known of query and project before any document is looked at:
//
//     evidence   = bm25 / points + coverage x bm25 / ceiling              ceiling: the most that any text could score for the query
//     text       = evidence / (1 + evidence / textMax)                    0..<textMax, 0 when no term is shared
//     similarity = sigmoid(cosine weight x cosine + text weight x text - cut)
//
// The two halves of the evidence serve two ends of a range. Among thousands of texts the absolute score is the better witness:
// it knows how rare the shared words are, and dividing it by the ceiling punishes every document for what a long query says
// beyond the words that matter. Among ten nodes all words are rather common, the absolute score is near 0, and what share of
// the query is covered says more. Softening keeps long quotations from drowning the cosine and the sum inside Float.
//
// The cut is the decision: what sums up to it has 0.5. In a project of ten small nodes on ten subjects, a cosine of 0.3 without a shared word is a
// match: what does not belong lies below 0.2. Among five thousand abstracts of one subject every text has a neighbour of 0.5 that does not
// answer. No constant serves both, so the cut is a sum over what tells them apart: texts and their typical length, how the query's words lie
// in the project, and how near the query
// is to the project as a whole: the mean of its cosines to all vectors, so that a cosine counts by how far it stands above what any text
// would have. The features and their coefficients are the table below; none looks at a document or a list, so that it is the same for queries and
// needs. All answers of a query share the cut: it moves the threshold, never the order.
//
// Logistic regression over such features is the usual way to a probability of relevance (Gey, "Inferring probability of
// relevance using the method of logistic regression", SIGIR 1994). Here it is fitted to F1, since probabilities are no use where one pair in five thousand is
// relevant: `tools/calibrate` fits it and prints the table. Figures: docs/decisions/0027-fusion-and-calibration.md.

internal import Base

/// What is known of a project before a query comes.
public struct ProjectFeatures: Sendable {
    /// Its texts; a long one is one, however many passages it has.
    public let documents: Int
    /// Terms of a typical text and one, the geometric mean: >= 1.
    public let typicalLength: Double

    public init(documents: Int, typicalLength: Double) {
        self.documents = documents
        self.typicalLength = typicalLength
    }
}

/// What is known of a query before a text is looked at.
public struct QueryFeatures: Sendable {
    public let project: ProjectFeatures
    /// The most that a text could score, 0 of a query without words.
    public let ceiling: Float
    /// Of the scores that texts would have by chance.
    public let deviation: Float
    /// What part of its weight lies in words that the project has, 0...1.
    public let knownShare: Float

    public init(project: ProjectFeatures, ceiling: Float, deviation: Float, knownShare: Float) {
        self.project = project
        self.ceiling = ceiling
        self.deviation = deviation
        self.knownShare = knownShare
    }
}

/// The coefficients of the calibrated similarity.
public struct Calibration: Sendable, Equatable {
    // MARK: What one answer has over another
    /// Of the cosine, > 0.
    public var cosine: Float
    /// Of the text part, > 0.
    public var text: Float
    /// BM25 points that are evidence of 1.
    public var points: Float
    /// Evidence of reaching the query's ceiling.
    public var coverage: Float
    /// The upper bound of the text part.
    public var textMax: Float

    // MARK: The decision cut
    public var base: Float
    /// Of `lengthShare`.
    public var length: Float
    /// Of ln(texts of the project).
    public var documents: Float
    /// Of `QueryFeatures.deviation`, >= 0.
    public var deviation: Float
    /// Of `QueryFeatures.knownShare`, >= 0.
    public var knownShare: Float
    /// Of `nearness`.
    public var meanCosine: Float
    /// The cut stays in here, however far from the projects of the fit a project is. The lower end serves projects of a few small nodes: a
    /// cosine of 0.27 without a shared word.
    public var bounds: ClosedRange<Float>

    /// Terms of a typical text, and one, where `lengthShare` is a half.
    static let usualLength = 30.0

    /// Texts of a project whose mean cosine counts half.
    static let trusted: Float = 20

    /// What `tools/calibrate` printed.
    public static let standard = Calibration(
        cosine: 8, text: 6.65, points: 30, coverage: 0.35, textMax: 2.2,
        base: 1.69, length: 3.914, documents: 0.058, deviation: 0.436, knownShare: 0.254, meanCosine: 7.626, bounds: 2.15...9)

    /// - Parameter cosine: the mean of the query's cosines to the project's vectors.
    public func cut(_ query: QueryFeatures, meanCosine cosine: Float) -> Float {
        let project = project(query.project)
        return bounded(project.cut + meanCosine * project.nearness(cosine) + deviation * query.deviation + knownShare * query.knownShare)
    }

    /// The share of a query's words (BM25 by its ceiling) that a text must have for a similarity of 0.5 where words alone decide. Among a handful of
    /// texts a tenth is what the right one has of a question, and no other; among thousands, whose common words many texts share, two fifths. Fitted
    /// by eye to the best F1 on the shared sets and on eight to eighteen texts in nine scripts (docs/decisions/0062-scripts.md).
    public static func shareCut(documents: Int) -> Float {
        let log = Float(PortableMath.log(Double(max(8, documents))))
        return 0.08 + 0.0045 * log * log
    }

    /// What is the same for all queries of a moment.
    public struct Project: Sendable {
        let cut: Float
        /// How much a mean cosine says: near 0 of a handful of texts, of which the one that is looked at may be a large part.
        let trust: Float

        /// How near a query is to everything in the project. Of a project that is about one thing only, all of it may be wanted: hence the upper end.
        func nearness(_ cosine: Float) -> Float { min(max(cosine * trust, 0), 0.2) }
    }

    public func project(_ features: ProjectFeatures) -> Project {
        let documents = Float(max(1, features.documents))
        return Project(
            cut: base + length * Self.lengthShare(features) + self.documents * Float(PortableMath.log(Double(documents))),
            trust: documents / (documents + Self.trusted))
    }

    /// What the cut of any query with this mean cosine is at least: all that can be said before terms are looked up.
    /// - Parameter deviation: what `QueryFeatures.deviation` is at least, where some terms are known.
    public func leastCut(_ project: Project, meanCosine cosine: Float, deviation: Float = 0) -> Float {
        bounded(project.cut + meanCosine * project.nearness(cosine) + self.deviation * deviation)
    }

    /// 0 for entries of a line (titles, small objects), 1 for documents.
    private static func lengthShare(_ features: ProjectFeatures) -> Float {
        let ratio = usualLength / features.typicalLength
        return Float(1 / (1 + ratio * ratio * ratio * ratio))
    }

    private func bounded(_ cut: Float) -> Float { min(max(cut, bounds.lowerBound), bounds.upperBound) }
}

/// The calibrated similarity for one query under the statistics of one moment.
public struct CalibratedScore: Sendable {
    /// The least upper bound of BM25 scores for the query; 0 when the query has no term.
    public let ceiling: Float
    public let cut: Float
    let calibration: Calibration

    /// - Parameter meanCosine: of the query's vector to those of the project, 0 of an empty one.
    public init(_ query: QueryFeatures, meanCosine: Float, calibration: Calibration = .standard) {
        self.init(ceiling: query.ceiling, cut: calibration.cut(query, meanCosine: meanCosine), calibration: calibration)
    }

    public init(ceiling: Float, cut: Float, calibration: Calibration = .standard) {
        self.ceiling = ceiling
        self.cut = cut
        self.calibration = calibration
    }

    /// - Parameters:
    ///   - cosine: -1...1
    ///   - bm25: the text's score for the query, 0 when they share no term.
    /// - Returns: 0...1, strictly increasing in both (up to the resolution of Float near its ends).
    public func similarity(cosine: Float, bm25: Float) -> Float {
        1 / (1 + PortableMath.exp(cut - calibration.cosine * cosine - calibration.text * text(bm25)))
    }

    private func text(_ bm25: Float) -> Float {
        guard bm25 > 0, ceiling > 0 else { return 0 }
        let evidence = bm25 / calibration.points + calibration.coverage * (bm25 / ceiling)
        return evidence / (1 + evidence / calibration.textMax)
    }

    /// The same of a text that may have an exact word: then it is over the decision, and still strictly rising. For log-odds x it is what
    /// ln(1 + e^x) has, so that a text that is a match anyhow hardly moves.
    public func similarity(cosine: Float, bm25: Float, _ exactWord: ExactWord?) -> Float {
        let similarity = similarity(cosine: cosine, bm25: bm25)
        guard let exactWord, similarity >= exactWord.least else { return similarity }
        return 1 / (2 - similarity)
    }

    /// What the log-odds of the similarity are the sum of.
    public func contributions(cosine: Float, bm25: Float, _ exactWord: ExactWord? = nil) -> [(name: String, value: Double)] {
        let parts = [("cosine", Double(calibration.cosine * cosine)), ("text", Double(calibration.text * text(bm25))), ("bias", Double(-cut))]
        guard let exactWord, similarity(cosine: cosine, bm25: bm25) >= exactWord.least else { return parts }
        let odds = parts.reduce(0) { $0 + $1.1 }
        return parts + [("exact_word", max(0, -odds) + PortableMath.log(1 + PortableMath.exp(-abs(odds))))]
    }

    /// For explanations.
    public var weights: [(name: String, value: Double)] {
        [("cosine", Double(calibration.cosine)), ("text", Double(calibration.text)), ("bias", Double(-cut))]
    }
}
