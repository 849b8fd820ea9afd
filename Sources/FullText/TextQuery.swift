public import Base

/// The distinct terms of a query; a term that the query repeats weighs as often as it stands there, as in Lucene.
///
/// Plain text only: signs separate words. `TextQuerySyntax` reads phrases, `+`, `-` and `*`.
public struct TextQuery: Sendable {
    /// Distinct, in the order of their UTF-8 bytes.
    public let terms: [String]
    /// How often the query says the term at the same place of `terms`.
    public let counts: [Int]
    /// Places of terms that are exact words (ExactWords.swift).
    let exact: [Int]
    /// Places of terms that follow each other in the query, each pair once.
    let pairs: [Pair]

    struct Pair: Hashable {
        let first: Int
        let second: Int
    }

    /// Distinct terms that a query may have; the first of a longer text count. Each costs a look-up in the store.
    public static let termsMax = 1_024

    /// The terms one after another, and where each ends.
    private let bytes: [UInt8]
    private let ends: [Int]

    public init(_ text: String, analyzer: Analyzer = .init()) {
        let text = Self.bounded(text)
        let list = analyzer.list(text)
        let all = AnalyzedText(list)
        let exact = ExactWords.terms(text, analyzer)
        if all.distinct <= Self.termsMax {
            self.init(all, exact: exact)
        } else {
            let terms = (0..<list.count).map { list.text($0) }
            self.init(terms: terms, exact: exact, order: terms)
        }
    }

    private init(_ all: AnalyzedText, exact: [String]) {
        (bytes, ends, counts) = (all.bytes, all.ends, all.counts.map { Int($0) })
        terms = (0..<all.distinct).map { String(decoding: all.bytes[all.range($0)], as: UTF8.self) }
        self.exact = Self.places(of: exact, in: terms)
        pairs = Self.pairs(all.order.map { Int($0) })
    }

    /// - Parameters:
    ///   - exact: those of the terms that are exact words.
    ///   - order: the query's own terms, one after another.
    init(terms all: [String], exact: [String] = [], order: [String] = []) {
        var counts: [ExactText: Int] = [:]
        for term in all {
            let term = ExactText(term)
            if counts.count < Self.termsMax || counts[term] != nil { counts[term, default: 0] += 1 }
        }
        let sorted = counts.sorted { $0.key < $1.key }
        terms = sorted.map { $0.key.text }
        self.counts = sorted.map { $0.value }
        var (bytes, ends): ([UInt8], [Int]) = ([], [])
        for term in terms {
            bytes += term.utf8
            ends.append(bytes.count)
        }
        (self.bytes, self.ends) = (bytes, ends)
        self.exact = Self.places(of: exact, in: terms)
        let places = Dictionary(uniqueKeysWithValues: terms.enumerated().map { (ExactText($1), $0) })
        pairs = Self.pairs(order.map { places[ExactText($0)] })
    }

    private static func pairs(_ places: [Int?]) -> [Pair] {
        var known: Set<Pair> = []
        var pairs: [Pair] = []
        // A question's few words are compared faster than hashed.
        let isShort = places.count <= 64
        for case let (first?, second?) in zip(places, places.dropFirst()) where first != second {
            let pair = Pair(first: first, second: second)
            if isShort ? !pairs.contains(pair) : known.insert(pair).inserted { pairs.append(pair) }
        }
        return pairs
    }

    private static func places(of exact: [String], in terms: [String]) -> [Int] {
        if exact.isEmpty { return [] }
        let wanted = Set(exact.map { ExactText($0) })
        return terms.indices.filter { wanted.contains(ExactText(terms[$0])) }
    }

    /// The bytes of a term.
    func bytes(_ place: Int) -> ArraySlice<UInt8> { bytes[(place == 0 ? 0 : ends[place - 1])..<ends[place]] }

    /// What is read of a text; every door refuses longer ones.
    static func bounded(_ text: String) -> String {
        text.utf8.count <= Limits.queryScalars ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(Limits.queryScalars)))
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
