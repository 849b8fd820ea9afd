internal import Base
public import LMDB

/// What the words of one text can add to the score of any query: a fresh text is held against many standing queries at once by these, before
/// one of them is scored (`QueryWeights`).
public struct TermGains: Sendable {
    private let statistics: TextStatistics
    private let norm: LengthNorm

    public init(_ statistics: TextStatistics) {
        self.statistics = statistics
        norm = LengthNorm(averageLength: statistics.averageLength)
    }

    /// The most that a term of a text adds to a score for each time that the query says it: its share, and what it brings to the two pairs of words
    /// that it stands in there.
    /// - Parameters:
    ///   - documents: texts with the term.
    ///   - count: how often this text has it, of `length` terms.
    public func most(documents: Int, count: Int, length: Int) -> Float {
        let idf = QueryWeights.idf(documentFrequency: documents, documents: statistics.documents)
        let frequency = Float(count)
        return idf * (frequency / (frequency + norm.base + norm.slope * Float(length)) + 2 * ResolvedTextQuery.liftOfPair)
    }

    /// Whether so few texts have a term that sharing it is enough where it is an exact word.
    public func isRare(documents: Int) -> Bool { (1...QueryWeights.rareMax(documents: statistics.documents)).contains(documents) }

    /// The sum of idf of the terms of a query is its length (with repeats) times this less the sum of ln(texts with the term + 1/2).
    public var logDocuments: Float { Float(PortableMath.log(Double(statistics.documents) + 1)) }
}

extension TextIndex {
    /// How many texts have each term.
    /// - Complexity: O(terms x log n).
    public func documentFrequencies(of terms: [String], in view: borrowing TransactionView) throws -> [Int] {
        var reader = try TermReader(self, state(in: view), in: view)
        var found: [Int] = []
        found.reserveCapacity(terms.count)
        for term in terms { found.append(try reader.find(Array(term.utf8)[...])?.documents ?? 0) }
        return found
    }
}

extension TextQuery {
    /// Each distinct term, how often the query says it, and whether it is an exact word.
    public var words: [(term: String, count: Int, isExact: Bool)] {
        let exact = Set(exact)
        return terms.indices.map { (terms[$0], counts[$0], exact.contains($0)) }
    }
}
