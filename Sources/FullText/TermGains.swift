internal import Base
public import LMDB

/// What the words of one text can add to the score of any query: a fresh text is held against many standing queries at once by these, before
/// one of them is scored (`QueryWeights`).
public struct TermGains: Sendable {
    private let statistics: TextStatistics
    private let norm: LengthNorm
    private let normOfWholes: LengthNorm

    public init(_ statistics: TextStatistics) {
        self.statistics = statistics
        norm = LengthNorm(averageLength: statistics.averageLength)
        normOfWholes = LengthNorm(averageLength: statistics.averageWhole)
    }

    /// The most that a term of a text adds to a score for each time that the query says it: its share, with that of the whole, and what it brings
    /// to the two pairs of words that it stands in there.
    /// - Parameters:
    ///   - documents: texts with the term.
    ///   - count: how often this text has it, of `length` terms.
    ///   - whole: how often its whole has it.
    ///   - words: of the whole; nil: the text itself.
    public func most(documents: Int, count: Int, length: Int, whole: Int, in words: WholeWords?) -> Float {
        let own = count == 0 ? nil : gain(documents: documents, count: count, length: length)
        let share = own?.share ?? 0
        return max(share, (share + self.share(documents: documents, whole: whole, in: words, length: length)) / 2) + (own?.pairs ?? 0)
    }

    /// What a term of a whole adds to its score.
    /// - Parameters:
    ///   - words: nil: the whole is a text of `length` terms.
    public func share(documents: Int, whole: Int, in words: WholeWords?, length: Int) -> Float {
        let (idf, frequency) = (QueryWeights.idf(documentFrequency: documents, documents: statistics.documents), Float(whole))
        let length = words.map { Int($0.length) } ?? length
        return idf * (frequency / (frequency + normOfWholes.base + normOfWholes.slope * Float(length)))
    }

    /// What a term of a text is to a query, for each time that the query says it.
    public struct Gain: Sendable {
        public let idf: Float
        /// What it adds to the score.
        public let share: Float
        /// What the two pairs of words that it may stand in there bring at most. A pair has two different terms.
        public let pairs: Float
        /// Its part of the square of `QueryWeights.deviation`, of a query that says it once; by the square of how often it does.
        public let variance: Float
    }

    public func gain(documents: Int, count: Int, length: Int) -> Gain {
        let idf = QueryWeights.idf(documentFrequency: documents, documents: statistics.documents)
        let frequency = Float(count)
        let part = min(1, Float(documents) / Float(max(1, statistics.documents)))
        return Gain(
            idf: idf, share: idf * (frequency / (frequency + norm.base + norm.slope * Float(length))), pairs: idf * 2 * ResolvedTextQuery.liftOfPair,
            variance: idf * idf * part * (1 - part))
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

    /// How many texts have each of a batch's terms.
    /// - Parameters:
    ///   - ranks: which of them, rising.
    /// - Precondition: the index is as the batch's writer left it.
    /// - Complexity: O(ranks x log n) for those of which the writer saw only a part, else O(ranks).
    public func documentFrequencies(of batch: BatchTerms, _ ranks: [Int], in view: borrowing TransactionView) throws -> [Int] {
        var reader = try TermReader(self, state(in: view), in: view)
        var found: [Int] = []
        found.reserveCapacity(ranks.count)
        for rank in ranks {
            switch batch.known(rank) {
            case .all(let documents): found.append(documents)
            case .recent(let documents): found.append(try reader.merged(batch.term(rank)) + documents)
            case .nothing: found.append(try reader.find(batch.term(rank))?.documents ?? 0)
            }
        }
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
