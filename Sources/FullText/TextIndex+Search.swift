// Search, term at a time inside windows of node numbers.
//
// All postings of the query's terms are decoded into columns. Then a window of 16,384 node numbers at a time has its sums
// in one small array (64 KiB: it stays in the second-level cache): each term adds its shares to it, in the order of terms,
// so that a sum has the same bits as `QueryWeights.score` gives; whatever is over the worst of the best so far enters the
// heap of results. Stretches of node numbers without postings are jumped over.

public import Base
internal import KeySpace
public import LMDB

extension TextIndex {
    /// The `count` best texts of a query, best first, equal scores by node number.
    /// - Complexity: O(postings of the query's terms + matches x log count), about 3 ns a posting.
    public func search(_ query: TextQuery, count: Int, in view: borrowing TransactionView) throws -> [TextMatch] {
        guard count > 0 else { return [] }
        let statistics = try statistics(in: view)
        var lists: [PostingList] = []
        var kept: [(term: String, count: Int)] = []
        var frequencies: [Int] = []
        for (index, term) in query.terms.enumerated() {
            let list = try postings(of: term, in: view)
            if list.nodes.isEmpty { continue }
            kept.append((term, query.counts[index]))
            frequencies.append(list.nodes.count)
            lists.append(list)
        }
        let weights = QueryWeights(TextQuery(kept), documentFrequencies: frequencies, statistics: statistics)
        return Self.best(lists, weights, count: count)
    }

    /// The query under the statistics of now.
    /// - Complexity: O(terms x log n).
    public func weights(_ query: TextQuery, in view: borrowing TransactionView) throws -> QueryWeights {
        var frequencies: [Int] = []
        for term in query.terms { frequencies.append(try documentFrequency(of: term, in: view)) }
        return QueryWeights(query, documentFrequencies: frequencies, statistics: try statistics(in: view))
    }

    /// The scores of some nodes, 0 of a text with none of the terms, nil of a node without a text.
    /// - Complexity: O(nodes x their distinct terms).
    public func scores(_ weights: QueryWeights, of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        var scores: [Float?] = []
        scores.reserveCapacity(nodes.count)
        for node in nodes {
            if let record = try view.load(scope.key(.textDocument, node.rawValue)) {
                scores.append(try weights.score(record: record))
            } else {
                scores.append(nil)
            }
        }
        return scores
    }

    private func documentFrequency(of term: String, in view: borrowing TransactionView) throws -> Int {
        try TermRecord(view.loadBytes(termKey(term))).documents
    }

    /// All postings of a term in node order. The term record comes first in key order, its tail belongs at the end.
    private func postings(of term: String, in view: borrowing TransactionView) throws -> PostingList {
        let termKey = termKey(term)
        var (list, tail) = (PostingList(), PostingList())
        var documents = 0
        try view.scanRecords(prefix: termKey) { key, payload in
            if key.count == termKey.count {
                documents = try tail.append(tail: payload)
                list.reserve(min(documents, 1 << 20))
            } else {
                try list.append(block: payload)
            }
            return .onward
        }
        list.append(tail)
        guard list.nodes.count == documents else { throw Self.contradiction("'\(term)' has \(list.nodes.count) postings of \(documents)") }
        return list
    }

    private static let windowNodes = 16_384

    private static func best(_ lists: [PostingList], _ weights: QueryWeights, count: Int) -> [TextMatch] {
        var heap = BestMatches(count: count)
        var positions = [Int](repeating: 0, count: lists.count)
        var sums = [Float](repeating: 0, count: windowNodes)
        while true {
            var lowest: UInt32?
            for (list, position) in zip(lists, positions) where position < list.nodes.count {
                lowest = min(lowest ?? .max, list.nodes[position])
            }
            guard let start = lowest else { return heap.sorted() }
            let end = Int(start) + windowNodes
            for index in lists.indices {
                positions[index] = add(lists[index], from: positions[index], below: end, weights.weights[index], weights.lengthNorm, start, &sums)
            }
            for offset in 0..<windowNodes where sums[offset] > 0 {
                heap.offer(NodeID(rawValue: start + UInt32(offset)), sums[offset])
                sums[offset] = 0
            }
        }
    }

    /// Adds one term's shares of the nodes in `start..<end`; returns the position of its first posting after them.
    private static func add(
        _ list: PostingList, from position: Int, below end: Int, _ weight: Float, _ norm: LengthNorm, _ start: UInt32, _ sums: inout [Float]
    ) -> Int {
        var position = position
        while position < list.nodes.count, Int(list.nodes[position]) < end {
            let share = norm.share(weight, frequency: Int(list.frequencies[position]), length: Int(list.lengths[position]))
            sums[Int(list.nodes[position] - start)] += share
            position += 1
        }
        return position
    }
}

/// The best matches so far: a binary heap with the worst on top.
private struct BestMatches {
    private let count: Int
    private var heap: [TextMatch] = []

    init(count: Int) {
        self.count = count
        heap.reserveCapacity(min(count, 4_096))
    }

    private static func isWorse(_ a: TextMatch, _ b: TextMatch) -> Bool {
        a.score != b.score ? a.score < b.score : a.node > b.node
    }

    @inline(__always)
    mutating func offer(_ node: NodeID, _ score: Float) {
        if heap.count == count && score <= heap[0].score && !(score == heap[0].score && node < heap[0].node) { return }
        enter(TextMatch(node: node, score: score))
    }

    private mutating func enter(_ match: TextMatch) {
        if heap.count < count {
            heap.append(match)
            var child = heap.count - 1
            while child > 0, Self.isWorse(heap[child], heap[(child - 1) / 2]) {
                heap.swapAt(child, (child - 1) / 2)
                child = (child - 1) / 2
            }
            return
        }
        heap[0] = match
        var parent = 0
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && Self.isWorse(heap[child], heap[worst]) { worst = child }
            if worst == parent { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }

    func sorted() -> [TextMatch] { heap.sorted { Self.isWorse($1, $0) } }
}
