// BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) in the form of Lucene since
// version 8:
//
//     score = sum over the query's terms t of   count(t) * idf(t) * f / (f + k1 * (1 - b + b * length / averageLength))
//     idf(t) = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))
//
// f: how often t is in the text; length: terms of the text; N: texts in the index; n(t): texts with t; k1 = 1.2, b = 0.75.
// The numerator has no factor (k1 + 1), which changes no order and makes each term's share less than count(t) * idf(t):
// their sum is the least upper bound of any score (`QueryWeights.ceiling`). Lengths are exact, not rounded to a byte.

#if canImport(Glibc)
internal import Glibc
#endif

/// Of all texts of one project.
public struct TextStatistics: Sendable, Equatable {
    public let documents: Int
    /// Terms of all texts, with repeats.
    public let totalLength: Int

    public init(documents: Int, totalLength: Int) {
        self.documents = documents
        self.totalLength = totalLength
    }

    /// Mean terms of a text, 0 of an empty index.
    public var averageLength: Double { documents == 0 ? 0 : Double(totalLength) / Double(documents) }
}

/// A query under the statistics of one moment: enough to score any text without the index.
public struct QueryWeights: Sendable {
    /// The query's distinct terms in the order of their UTF-8 bytes, also those that no text has.
    public let terms: [(term: String, idf: Float, documentFrequency: Int)]
    public let statistics: TextStatistics
    /// The sum over terms of how often the query says them times idf: the least upper bound of any text's score.
    public let ceiling: Float

    /// At the same places: count x idf.
    let weights: [Float]
    let lengthNorm: LengthNorm
    private let termBytes: [[UInt8]]

    /// - Parameter documentFrequencies: of each of `query.terms`.
    init(_ query: TextQuery, documentFrequencies: [Int], statistics: TextStatistics) {
        self.statistics = statistics
        let idfs = documentFrequencies.map { Self.idf(documentFrequency: $0, documents: statistics.documents) }
        terms = query.terms.indices.map { (query.terms[$0], idfs[$0], documentFrequencies[$0]) }
        weights = query.terms.indices.map { Float(query.counts[$0]) * idfs[$0] }
        ceiling = weights.reduce(0, +)
        termBytes = query.terms.map { Array($0.utf8) }
        lengthNorm = LengthNorm(averageLength: statistics.averageLength)
    }

    static func idf(documentFrequency: Int, documents: Int) -> Float {
        let (frequency, count) = (Double(documentFrequency), Double(documents))
        return Float(log(1 + (count - frequency + 0.5) / (frequency + 0.5)))
    }

    /// BM25 of one analysed text, which need not be in the index; the same number as `TextIndex.search` gives.
    /// - Complexity: O(query terms x log text terms).
    public func score(_ text: AnalyzedText) -> Float {
        var sum: Float = 0
        for (index, entry) in terms.enumerated() {
            let frequency = text.frequency(of: entry.term)
            if frequency > 0 { sum += lengthNorm.share(weights[index], frequency: frequency, length: text.length) }
        }
        return sum
    }

    /// BM25 of a text record as it lies in the store, without making its terms: both sides are in the order of their bytes,
    /// so that one walk over the record meets every term of the query in turn.
    /// - Complexity: O(distinct terms of the text), about 5 ns each.
    func score(record: RawSpan) throws -> Float {
        var cursor = VarintCursor()
        let length = Int(try cursor.next(record))
        let distinct = Int(try cursor.next(record))
        var sum: Float = 0
        var wanted = 0
        for _ in 0..<distinct {
            let count = Int(try cursor.next(record))
            guard count <= record.byteCount - cursor.position else { throw TextIndex.contradiction("a text record") }
            let term = record.extracting(cursor.position..<cursor.position + count)
            cursor.position += count
            let frequency = Int(try cursor.next(record))
            while wanted < termBytes.count {
                let order = Self.compare(termBytes[wanted], term)
                if order == 0 { sum += lengthNorm.share(weights[wanted], frequency: frequency, length: length) }
                if order > 0 { break }
                wanted += 1
            }
            if wanted == termBytes.count { break }
        }
        return sum
    }

    /// Negative, zero, positive as `a` is before, equal to, after `b`.
    private static func compare(_ a: [UInt8], _ b: RawSpan) -> Int {
        let common = min(a.count, b.byteCount)
        for index in 0..<common {
            // Below the length of both.
            let other = unsafe b.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
            if a[index] != other { return a[index] < other ? -1 : 1 }
        }
        return a.count - b.byteCount
    }

    /// What each of the query's terms adds to the score, without those that the text lacks.
    public func explain(_ text: AnalyzedText) -> [(term: String, score: Float)] {
        terms.indices.compactMap { index in
            let frequency = text.frequency(of: terms[index].term)
            guard frequency > 0 else { return nil }
            return (terms[index].term, lengthNorm.share(weights[index], frequency: frequency, length: text.length))
        }
    }
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

    /// The one place where a term's share is computed, so that every way to a score gives the same bits.
    @inline(__always)
    func share(_ weight: Float, frequency: Int, length: Int) -> Float {
        let frequency = Float(frequency)
        return weight * (frequency / (frequency + (base + slope * Float(length))))
    }
}
