// An index for one search: texts in memory, each scored alone. For states that no index in the store is of (a project as it
// was), and small enough that building one would cost more than asking every text.

internal import Base

/// Texts in memory under one set of statistics. Every answer is what a `TextIndex` of just these texts gives, bit for bit.
public struct TextCollection: Sendable {
    private let texts: [AnalyzedText]
    private let hasPositions: Bool
    public let statistics: TextStatistics

    /// - Parameter positions: as in `TextIndexOptions`.
    public init(_ texts: [AnalyzedText], positions: Bool = true) {
        self.texts = texts
        hasPositions = positions
        let beginnings = texts.filter { !$0.goesOn }
        statistics = TextStatistics(
            documents: texts.count, totalLength: texts.reduce(0) { $0 + $1.length }, beginnings: beginnings.count,
            totalLogLength: beginnings.reduce(0) { $0 + TextStatistics.logLength($1.length) })
    }

    public subscript(place: Int) -> AnalyzedText { texts[place] }

    /// - Complexity: O(texts x prefixes x log terms + terms with the prefixes).
    public func resolve(_ syntax: TextSearchQuery) -> ResolvedTextQuery {
        ResolvedTextQuery(syntax) { prefix, count in
            var documents: [ExactText: Int] = [:]
            for text in texts {
                for term in text.terms(beginning: prefix.text) { documents[ExactText(term), default: 0] += 1 }
            }
            let found = documents.keys.sorted().prefix(TextIndex.prefixScanMax).map { (term: $0.text, documents: documents[$0] ?? 0) }
            return TextIndex.mostFrequent(found, prefix, count: count)
        }
    }

    /// - Complexity: O(texts x terms of the query x log terms of a text).
    public func weights(_ resolved: ResolvedTextQuery) -> QueryWeights {
        let frequencies = resolved.query.terms.map { term in texts.count { $0.frequency(of: term) > 0 } }
        let weights = QueryWeights(resolved.query, documentFrequencies: frequencies, statistics: statistics)
        return resolved.settled(weights, positions: hasPositions)
    }

    /// Whether a text has what the query demands, and nothing of what it excludes.
    public func admits(_ resolved: ResolvedTextQuery, _ place: Int) -> Bool {
        let text = texts[place]
        for group in resolved.required where !group.contains(where: { text.frequency(of: $0) > 0 }) { return false }
        if hasPositions { for phrase in resolved.phrases where !text.holds(phrase) { return false } }
        for (terms, isPhrase) in resolved.excluded where terms.allSatisfy({ text.frequency(of: $0) > 0 }) {
            if !(isPhrase && hasPositions) || text.holds(terms) { return false }
        }
        return true
    }

    /// The texts, by place, that have a term of the query and what it demands, best first, equal scores by place.
    public func search(
        _ resolved: ResolvedTextQuery, _ weights: QueryWeights, count: Int, where filter: (Int) -> Bool
    ) -> [(place: Int, score: Float)] {
        typealias Found = (place: Int, score: Float)
        func isBefore(_ a: Found, _ b: Found) -> Bool { a.score != b.score ? a.score > b.score : a.place < b.place }
        var byWords: [Found] = []
        for place in texts.indices {
            let score = weights.words(texts[place])
            if score > 0, filter(place), admits(resolved, place) { byWords.append((place, score)) }
        }
        byWords.sort(by: isBefore)
        if weights.lifts.isEmpty { return Array(byWords.prefix(count)) }
        let look = TextIndex.look(for: count)
        var places: Set<Int> = []
        for found in byWords.prefix(look) { places.insert(found.place) }
        for lift in weights.lifts where lift.isAsked {
            for found in byWords.lazy.filter({ texts[$0.place].holds(weights.phrase(lift)) }).prefix(look) { places.insert(found.place) }
        }
        var found: [Found] = places.map { ($0, weights.score(texts[$0])) }
        found.sort(by: isBefore)
        return Array(found.prefix(count))
    }
}

extension AnalyzedText {
    /// Whether terms, all of them in the text, stand in it one after another.
    func holds(_ phrase: [String]) -> Bool {
        var wanted: [UInt32] = []
        for term in phrase {
            guard let place = place(of: Array(term.utf8)) else { return false }
            wanted.append(UInt32(place))
        }
        guard wanted.count <= order.count else { return false }
        return (0...(order.count - wanted.count)).contains { order[$0..<$0 + wanted.count].elementsEqual(wanted) }
    }

    fileprivate func terms(beginning prefix: String) -> [String] {
        let wanted = Array(prefix.utf8)
        var terms: [String] = []
        var place = lowerBound(wanted)
        while place < distinct, bytes[range(place)].starts(with: wanted) {
            terms.append(String(decoding: bytes[range(place)], as: UTF8.self))
            place += 1
        }
        return terms
    }
}
