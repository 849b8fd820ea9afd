public import Base
internal import KeySpace
public import LMDB

extension TextIndex {
    /// The `count` best texts of a query, best first, equal scores by node number: what scoring every text and sorting would give.
    /// - Parameter filter: says whether a node may be among them; asked only about nodes that would be.
    /// - Complexity: at worst O(postings of the query's terms), about 1.5 ns each; most blocks of frequent terms are passed over.
    public func search(
        _ query: TextQuery, count: Int, where filter: ((NodeID) throws -> Bool)? = nil, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        return try SearchMemory.lend { memory in
            var reader = try TermReader(self, in: view)
            let (found, weights) = try find(query, &reader, in: view)
            var search = TextSearch(self, weights.lengthNorm, count: count, memory)
            search.scored = try open(query, found, weights, &reader, memory)
            return try search.run(weights, where: filter, in: view)
        }
    }

    /// The query under the statistics of now.
    /// - Complexity: O(terms x log n).
    public func weights(_ query: TextQuery, in view: borrowing TransactionView) throws -> QueryWeights {
        var reader = try TermReader(self, in: view)
        return try find(query, &reader, in: view).weights
    }

    /// The scores of some nodes, 0 of a text with none of the terms, nil of a node without a text.
    /// - Complexity: O(terms x (their blocks + nodes)), nodes sorted.
    public func scores(_ weights: QueryWeights, of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        let order = nodes.indices.sorted { nodes[$0] < nodes[$1] }
        var sums = [Int32](repeating: 0, count: nodes.count)
        var lengths: [UInt32?] = []
        for place in nodes.indices { lengths.append(try length(of: nodes[place], in: view).map { UInt32($0) }) }
        try SearchMemory.lend { memory in
            var reader = try TermReader(self, in: view)
            for (place, term) in weights.terms.enumerated() where term.documentFrequency > 0 {
                let bytes = Array(term.term.utf8)
                guard let found = try reader.find(bytes[...]) else { continue }
                let cursor = try reader.open(bytes[...], found, weight: weights.weights[place], weights.lengthNorm, memory)
                for place in order {
                    guard let length = lengths[place], let count = try cursor.find(nodes[place].rawValue), count > 0 else { continue }
                    sums[place] &+= LengthNorm.share(cursor.scale, count: count, length: length)
                }
            }
        }
        return nodes.indices.map { lengths[$0] == nil ? nil : weights.score(sums[$0]) }
    }

    /// The query's terms in the dictionary, and its weights.
    private func find(_ query: TextQuery, _ reader: inout TermReader, in view: borrowing TransactionView) throws -> (found: [FoundTerm?], weights: QueryWeights) {
        let statistics = try statistics(in: view)
        var found: [FoundTerm?] = []
        found.reserveCapacity(query.terms.count)
        for place in query.terms.indices { found.append(try reader.find(query.bytes(place))) }
        return (found, QueryWeights(query, documentFrequencies: found.map { $0?.documents ?? 0 }, statistics: statistics))
    }

    private func open(
        _ query: TextQuery, _ found: [FoundTerm?], _ weights: QueryWeights, _ reader: inout TermReader, _ memory: SearchMemory
    ) throws -> [PostingCursor] {
        var cursors: [PostingCursor] = []
        cursors.reserveCapacity(found.count)
        for place in found.indices {
            guard let term = found[place] else { continue }
            cursors.append(try reader.open(query.bytes(place), term, weight: weights.weights[place], weights.lengthNorm, memory))
        }
        return cursors
    }

    func lengthView(_ chunk: UInt32, in view: borrowing TransactionView) throws -> LengthView? {
        guard let record = try view.load(scope.key(.textLengths, chunk)) else { return nil }
        // The pointer stays good beyond the closure: the page is mapped and unchanged as long as the view.
        return try unsafe record.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            return try LengthView(&reader)
        }
    }
}

// MARK: - With the syntax

/// A query with its prefixes spelled out, as of one snapshot.
public struct ResolvedTextQuery: Sendable {
    /// All terms that count: what `weights` and `scores` want.
    public let query: TextQuery
    let syntax: TextSearchQuery
    let required: [[String]]
    let excluded: [(terms: [String], isPhrase: Bool)]
}

extension TextIndex {
    /// Terms that a prefix stands for: the most frequent of those that begin with it.
    public static let prefixTermsMax = 64
    /// Terms of the dictionary that are looked at for one prefix.
    static let prefixScanMax = 16_384

    /// Looks up what the prefixes of a query stand for.
    /// - Complexity: O(terms with the prefixes), of which `prefixScanMax` are read.
    public func resolve(_ syntax: TextSearchQuery, in view: borrowing TransactionView) throws -> ResolvedTextQuery {
        var words = syntax.words
        var groups: [[String]] = syntax.required.map { [$0] }
        for prefix in syntax.prefixes.prefix(Self.prefixesMax) {
            let terms = try terms(prefix, count: Self.prefixTermsMax, in: view)
            words += terms
            if syntax.requiredPrefixes.contains(prefix) { groups.append(terms) }
        }
        var excluded = syntax.excluded
        for prefix in syntax.excludedPrefixes.prefix(Self.prefixesMax) {
            excluded += try terms(prefix, count: Self.demandsMax, in: view).map { ([$0], false) }
        }
        return ResolvedTextQuery(query: TextQuery(terms: words), syntax: syntax, required: groups, excluded: excluded)
    }

    /// What a query may demand of a text (`+`, phrases' terms), and how much exclude; more is left out.
    static let demandsMax = 1_024
    /// Phrases that are compared with the order of a text's terms; of more, only the terms count.
    static let phrasesMax = 64
    /// Prefixes that a query may have; more are left out.
    static let prefixesMax = 16

    /// The best texts of a query with its syntax; a query that only excludes finds nothing.
    ///
    /// Without positions (`TextIndexOptions`) a phrase is found where all its terms are.
    /// - Complexity: as the plain search, and one record for each text that could be among the best and has all terms of a phrase.
    public func search(
        _ resolved: ResolvedTextQuery, count: Int, where filter: ((NodeID) throws -> Bool)? = nil, in view: borrowing TransactionView
    ) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        let hasPositions = try options(in: view).positions
        return try SearchMemory.lend { memory in
            var reader = try TermReader(self, in: view)
            let (found, weights) = try find(resolved.query, &reader, in: view)
            let norm = weights.lengthNorm
            var search = TextSearch(self, norm, count: count, memory)
            search.scored = try open(resolved.query, found, weights, &reader, memory)
            var seen: Set<[String]> = []
            for group in resolved.required.prefix(Self.demandsMax) where seen.insert(group).inserted {
                let cursors = try open(group, norm, &reader, memory)
                if cursors.isEmpty { return [] }
                search.required.append(cursors)
            }
            if hasPositions { search.phrases = resolved.syntax.phrases.prefix(Self.phrasesMax).map { $0.map { PositionRecord.hash($0.utf8) } } }
            for (terms, isPhrase) in resolved.excluded.prefix(Self.demandsMax) {
                let distinct = Set(terms)
                let cursors = try open(distinct.sorted(), norm, &reader, memory)
                // A term that no text has: no text has all.
                guard cursors.count == distinct.count else { continue }
                search.excluded.append((cursors, isPhrase && hasPositions ? terms.map { PositionRecord.hash($0.utf8) } : nil))
            }
            return try search.run(weights, where: filter, in: view)
        }
    }

    /// Cursors of those of the terms that some text has.
    private func open(_ terms: [String], _ norm: LengthNorm, _ reader: inout TermReader, _ memory: SearchMemory) throws -> [PostingCursor] {
        var cursors: [PostingCursor] = []
        for term in terms {
            let bytes = Array(term.utf8)
            guard let found = try reader.find(bytes[...]) else { continue }
            cursors.append(try reader.open(bytes[...], found, weight: 0, norm, memory))
        }
        return cursors
    }

    /// The terms that begin with a prefix, and what the word is alone; the most frequent when there are more than `count`.
    private func terms(_ prefix: TextSearchQuery.Prefix, count: Int, in view: borrowing TransactionView) throws -> [String] {
        let wanted = Array(prefix.text.utf8)
        let key = scope.key(.textTerms)
        var found: [(term: String, documents: Int)] = []
        var scanned = 0
        // The record in whose stretch the prefix falls, then those after it.
        var start = key
        try view.scanRecords(prefix: key, from: key + wanted, .descending) { recordKey, _ in
            start = recordKey
            return .stop
        }
        try view.scanRecords(prefix: key, from: start) { _, payload in
            try unsafe payload.withUnsafeBytes { buffer in
                var walk = unsafe TermBlockWalk(buffer)
                while !walk.isAtEnd {
                    try walk.next()
                    let documents = Int(try walk.documents())
                    if walk.term.starts(with: wanted) {
                        found.append((String(decoding: walk.term, as: UTF8.self), documents))
                        scanned += 1
                    } else if wanted.lexicographicallyPrecedes(walk.term) {
                        scanned = Self.prefixScanMax
                        return .stop
                    }
                    if scanned >= Self.prefixScanMax { return .stop }
                }
                return .onward
            }
        }
        found.sort { $0.documents != $1.documents ? $0.documents > $1.documents : ExactText($0.term) < ExactText($1.term) }
        var terms = found.prefix(count).map(\.term)
        if let whole = prefix.whole, !terms.contains(whole) { terms.append(whole) }
        return terms
    }
}
