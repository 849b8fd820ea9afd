public import Base

/// The distinct terms of a query; a term that the query repeats weighs as often as it stands there, as in Lucene.
public struct TextQuery: Sendable {
    /// Distinct, in the order of their UTF-8 bytes.
    public let terms: [String]
    /// How often the query says the term at the same place of `terms`.
    public let counts: [Int]

    /// Distinct terms that a query may have; the first of a longer text count. Each costs a look-up in the store.
    public static let termsMax = 1_024

    public init(_ text: String) {
        self.init(terms: Analyzer().terms(text))
    }

    init(terms all: [String]) {
        var counts: [ExactText: Int] = [:]
        for term in all {
            let term = ExactText(term)
            if counts.count < Self.termsMax || counts[term] != nil { counts[term, default: 0] += 1 }
        }
        self.init(counts.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) })
    }

    /// - Parameter sorted: distinct terms in the order of their bytes.
    init(_ sorted: [(term: String, count: Int)]) {
        terms = sorted.map(\.term)
        counts = sorted.map(\.count)
    }
}

/// One node that a search found.
public struct TextMatch: Sendable, Equatable {
    public let node: NodeID
    public let score: Float

    public init(node: NodeID, score: Float) {
        self.node = node
        self.score = score
    }
}
