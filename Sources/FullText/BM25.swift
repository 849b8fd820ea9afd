// BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) in the form of Lucene since
// version 8:
//
//     score = sum over the query's terms t of   count(t) * idf(t) * f / (f + k1 * (1 - b + b * length / averageLength))
//     idf(t) = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))
//
// f: how often t is in the text; length: terms of the text; N: texts in the index; n(t): texts with t; k1 = 1.2, b = 0.75.
// The numerator has no factor (k1 + 1), which changes no order and makes each term's share less than count(t) * idf(t):
// their sum is the least upper bound of any score (`QueryWeights.ceiling`). Lengths are exact, not rounded to a byte.
//
// Sums are of whole numbers. A search adds the shares of a text in the order that prunes best, a scorer of one text in the
// order of terms, and sums of floating-point numbers would differ in their last bits. So a share is computed in single
// precision, times a power of two that brings the ceiling near 2^30, and rounded to an integer: sums are then the same in
// any order, and exact. The steps are 2^-29 of the ceiling or less, finer than a Float's own.

internal import Base
internal import CKernels

/// Of all texts of one project.
public struct TextStatistics: Sendable, Equatable {
    public let documents: Int
    /// Terms of all texts, with repeats.
    public let totalLength: Int
    /// Texts that do not go on from another (`AnalyzedText.goesOn`).
    public let beginnings: Int
    /// The sum of `logLength` over these.
    public let totalLogLength: Int

    /// - Parameter beginnings: left out, all of them.
    public init(documents: Int, totalLength: Int, beginnings: Int? = nil, totalLogLength: Int) {
        self.documents = documents
        self.totalLength = totalLength
        self.beginnings = beginnings ?? documents
        self.totalLogLength = totalLogLength
    }

    public static let none = TextStatistics(documents: 0, totalLength: 0, totalLogLength: 0)

    /// Mean terms of a text, 0 of an empty index.
    public var averageLength: Double { documents == 0 ? 0 : Double(totalLength) / Double(documents) }

    /// Terms of a typical text: the geometric mean of 1 + length, 1 of an empty index. Where half of the texts are titles, `averageLength` is still
    /// that of the other half.
    public var typicalLength: Double {
        beginnings == 0 ? 1 : PortableMath.exp(Double(totalLogLength) / Double(beginnings) / Double(1 << Self.logBits) * Self.ln2)
    }

    private static let logBits = 16
    private static let ln2 = 0.6931471805599453

    /// log2(1 + terms) in 65,536ths, rounded down; by whole numbers, so that it is the same on every machine, and sums are exact under removal.
    /// - Parameter length: 0...2^32 - 2.
    public static func logLength(_ length: Int) -> Int {
        let value = UInt64(length) + 1
        let exponent = 63 - value.leadingZeroBitCount
        // 1..<2 in 31 bits behind the point: each squaring gives the next bit of the logarithm.
        var rest = value << UInt64(31 - exponent)
        var log = exponent
        for _ in 0..<logBits {
            rest = (rest * rest) >> 31
            let bit = rest >> 32
            rest >>= bit
            log = log << 1 | Int(bit)
        }
        return log
    }
}

/// In how few texts of a project a word is.
public enum Rarity: Sendable {
    case rare
    /// In a single one.
    case alone
}

/// A query under the statistics of one moment: enough to score any text without the index.
public struct QueryWeights: Sendable {
    /// The query's distinct terms in the order of their UTF-8 bytes, also those that no text has.
    public let terms: [(term: String, idf: Float, documentFrequency: Int)]
    public let statistics: TextStatistics
    /// The sum over terms of how often the query says them times idf: the least upper bound of any text's score. Of a query with prefixes
    /// (`TextIndex.weights`) the sum of its words, of a prefix its most frequent term, which a text that has several of them may exceed.
    public private(set) var ceiling: Float

    /// At the same places: count x idf x `scale`.
    let weights: [Float]
    /// The same of the query without what its prefixes stand for: what `deviation` and `knownShare` are of.
    private var counted: [Float]
    /// Phrases, and what a text has more in which they stand: first those that were asked for.
    private(set) var lifts: [Lift] = []
    /// Places of terms that are exact words and rare.
    let exact: [(place: Int, rarity: Rarity)]

    struct Lift {
        /// Of its terms, one after another, each of which some text has.
        let places: [Int]
        let score: Float
        /// The query has it in quotation marks.
        let isAsked: Bool
    }
    /// A power of two.
    let scale: Float
    let lengthNorm: LengthNorm

    /// - Parameter documentFrequencies: of each of `query.terms`.
    init(_ query: TextQuery, documentFrequencies: [Int], statistics: TextStatistics) {
        self.statistics = statistics
        let idfs = documentFrequencies.map { Self.idf(documentFrequency: $0, documents: statistics.documents) }
        terms = query.terms.indices.map { (query.terms[$0], idfs[$0], documentFrequencies[$0]) }
        let plain = query.terms.indices.map { Float(query.counts[$0]) * idfs[$0] }
        ceiling = plain.reduce(0, +)
        // Sums stay below 2^30 by the ceiling, 2^10 by the rounding of up to 1,024 shares.
        let scale: Float = ceiling > 0 ? Float(sign: .plus, exponent: 29 - ceiling.exponent, significand: 1) : 1
        self.scale = scale
        weights = plain.map { $0 * scale }
        counted = weights
        let rare = Self.rareMax(documents: statistics.documents)
        exact = query.exact.filter { (1...rare).contains(documentFrequencies[$0]) }.map { ($0, documentFrequencies[$0] == 1 ? .alone : .rare) }
        lengthNorm = LengthNorm(averageLength: statistics.averageLength)
    }

    /// - Parameter counts: how often the query says each of the terms itself.
    func with(ceiling: Float, counts: [Int]) -> QueryWeights {
        var copy = self
        copy.ceiling = ceiling
        copy.counted = zip(counts, terms).map { Float($0) * $1.idf * scale }
        return copy
    }

    func phrase(_ lift: Lift) -> [String] { lift.places.map { terms[$0].term } }

    func with(lifts: [Lift]) -> QueryWeights {
        var copy = self
        copy.lifts = lifts
        return copy
    }

    /// Texts that a rare word is in at most.
    static func rareMax(documents: Int) -> Int { min(16, max(3, documents / 4_000)) }

    /// What part of the sum of count x idf is of terms that some text has, 0...1; 0 for a query without terms.
    public var knownShare: Float {
        // Against their own sum: the ceiling of a query with prefixes may be less.
        let sum = counted.reduce(0, +)
        guard sum > 0 else { return 0 }
        return zip(counted, terms).reduce(0) { $1.1.documentFrequency > 0 ? $0 + $1.0 : $0 } / sum
    }

    /// How far scores of this query spread over the texts by chance: the standard deviation of the sum of count x idf of a text's terms, were
    /// they independent of each other. High when the query's weight lies in words that many texts have, low when in words that few or none have.
    public var deviation: Float {
        let count = Float(max(1, statistics.documents))
        let variance = zip(counted, terms).reduce(Float(0)) { sum, entry in
            let (weight, share) = (entry.0 / scale, min(1, Float(entry.1.documentFrequency) / count))
            return sum + weight * weight * share * (1 - share)
        }
        return variance.squareRoot()
    }

    static func idf(documentFrequency: Int, documents: Int) -> Float {
        let (frequency, count) = (Double(documentFrequency), Double(documents))
        return Float(PortableMath.log(1 + max(0, count - frequency + 0.5) / (frequency + 0.5)))
    }

    /// BM25 of one analysed text, which need not be in the index; the same number as `TextIndex.search` gives.
    /// - Complexity: O(query terms x log text terms).
    public func score(_ text: AnalyzedText) -> Float {
        var score = words(text)
        for lift in lifts where text.holds(phrase(lift)) { score += lift.score }
        return score
    }

    /// The same without what phrases add.
    func words(_ text: AnalyzedText) -> Float {
        var sum: Int32 = 0
        for (index, entry) in terms.enumerated() {
            let frequency = text.frequency(of: entry.term)
            if frequency > 0 { sum &+= lengthNorm.share(weights[index], count: UInt32(frequency), length: UInt32(text.length)) }
        }
        return score(sum)
    }

    /// How rare the rarest exact word of the query is that a text has; nil when it has none that is rare.
    public func exactWord(_ text: AnalyzedText) -> Rarity? {
        var found: Rarity?
        for (place, rarity) in exact where found != .alone && text.frequency(of: terms[place].term) > 0 { found = rarity }
        return found
    }

    /// What each of the query's terms, and phrases, adds to the score, without those that the text lacks.
    public func explain(_ text: AnalyzedText) -> [(term: String, score: Float)] {
        let phrases = lifts.filter { text.holds(phrase($0)) }.map { (term: "\"\(phrase($0).joined(separator: " "))\"", score: $0.score) }
        return phrases + terms.indices.compactMap { index in
            let frequency = text.frequency(of: terms[index].term)
            guard frequency > 0 else { return nil }
            return (terms[index].term, score(lengthNorm.share(weights[index], count: UInt32(frequency), length: UInt32(text.length))))
        }
    }

    func score(_ sum: Int32) -> Float { Float(sum) / scale }
}

/// The part of the formula that depends on the text's length, its constants folded: k1 (1 - b) + (k1 b / average) x length.
struct LengthNorm: Sendable {
    let base: Float
    let slope: Float

    static let k1 = 1.2
    static let b = 0.75

    init(averageLength: Double) {
        base = Float(Self.k1 * (1 - Self.b))
        slope = averageLength > 0 ? Float(Self.k1 * Self.b / averageLength) : 0
    }

    func scale(_ weight: Float) -> ck_scale { ck_scale(weight: weight, base: base, slope: slope) }

    /// A term's share of a score, bit for bit what the kernels add.
    @inline(__always)
    static func share(_ scale: ck_scale, count: UInt32, length: UInt32) -> Int32 {
        let frequency = Float(Int32(bitPattern: count))
        let norm = scale.base + scale.slope * Float(Int32(bitPattern: length))
        let share = (scale.weight * (frequency / (frequency + norm))).rounded(.toNearestOrEven)
        // Only numbers of a damaged record are outside.
        return share >= 0 && share < 0x1p31 ? Int32(share) : .max
    }

    @inline(__always)
    func share(_ weight: Float, count: UInt32, length: UInt32) -> Int32 { Self.share(scale(weight), count: count, length: length) }

    /// No share of a posting with at most `count` and at least `length` is over it. The division is rounded, so that of two
    /// nearly equal quotients the smaller one may come out larger, by less than 2^-20 of it.
    @inline(__always)
    static func bound(_ scale: ck_scale, count: UInt32, length: UInt32) -> Int32 {
        let share = share(scale, count: count, length: length)
        let (bound, overflow) = share.addingReportingOverflow(share >> 20 + 1)
        return overflow ? .max : bound
    }
}
