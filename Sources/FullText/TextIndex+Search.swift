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
        let (entries, weights) = try entriesAndWeights(query, in: view)
        var search = TextSearch(self, weights.lengthNorm, count: count)
        for (place, entry) in entries.enumerated() where entry != nil {
            search.scored.append(
                try PostingCursor(Array(query.terms[place].utf8), entry, weight: weights.weights[place], weights.lengthNorm, self, in: view))
        }
        return try search.run(weights, where: filter, in: view)
    }

    /// The query under the statistics of now.
    /// - Complexity: O(terms x log n).
    public func weights(_ query: TextQuery, in view: borrowing TransactionView) throws -> QueryWeights {
        try entriesAndWeights(query, in: view).weights
    }

    /// The scores of some nodes, 0 of a text with none of the terms, nil of a node without a text.
    /// - Complexity: O(terms x (their blocks + nodes)), nodes sorted.
    public func scores(_ weights: QueryWeights, of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        let order = nodes.indices.sorted { nodes[$0] < nodes[$1] }
        var sums = [Int32](repeating: 0, count: nodes.count)
        var lengths: [UInt32?] = []
        for place in nodes.indices { lengths.append(try length(of: nodes[place], in: view).map { UInt32($0) }) }
        for (term, weight) in zip(weights.terms, weights.weights) where term.documentFrequency > 0 {
            let bytes = Array(term.term.utf8)
            let cursor = try PostingCursor(bytes, entry(of: bytes, in: view), weight: weight, weights.lengthNorm, self, in: view)
            for place in order {
                guard let length = lengths[place], let count = try cursor.find(nodes[place].rawValue), count > 0 else { continue }
                sums[place] &+= weights.lengthNorm.share(weight, count: count, length: length)
            }
        }
        return nodes.indices.map { lengths[$0] == nil ? nil : weights.score(sums[$0]) }
    }

    func entriesAndWeights(_ query: TextQuery, in view: borrowing TransactionView) throws -> (entries: [TermEntry?], weights: QueryWeights) {
        let statistics = try statistics(in: view)
        var entries: [TermEntry?] = []
        entries.reserveCapacity(query.terms.count)
        for term in query.terms { entries.append(try entry(of: Array(term.utf8), in: view)) }
        return (entries, QueryWeights(query, documentFrequencies: entries.map { $0?.documents ?? 0 }, statistics: statistics))
    }

    /// Of the dictionary; nil when no text has the term.
    func entry(of term: [UInt8], in view: borrowing TransactionView) throws -> TermEntry? {
        var entry: TermEntry?
        let prefix = scope.key(.textTerms)
        try view.scanRecords(prefix: prefix, from: prefix + term, .descending) { _, payload in
            entry = try unsafe payload.withUnsafeBytes { buffer in
                var reader = unsafe RecordReader(buffer)
                return try unsafe term.withUnsafeBytes { try unsafe TermBlock.find($0, &reader) } ? try TermEntry(&reader) : nil
            }
            return .stop
        }
        return entry
    }
}
