// The nodes that either index finds, each with both its true scores: a node that one side found is not given 0 on the other.

internal import Base
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

struct Candidates {
    /// Of the vector index, nearest first; empty in `.keyword` mode.
    let near: [VectorMatch]
    /// Of the text index, best first; empty in `.semantic` mode.
    let worded: [TextMatch]
    /// The query's terms under the statistics of the snapshot.
    let weights: QueryWeights
    private(set) var parts: [NodeID: ScoreParts] = [:]

    /// What each index is asked for in hybrid mode: enough that fusion rarely misses a node that is middling on both sides.
    private static func count(for answers: Int) -> Int { max(100, 4 * answers) }

    init(_ question: Question, count: Int, of search: NodeSearch, in view: borrowing TransactionView) throws {
        let vectors = VectorIndex(scope: search.scope, dimension: search.dimension)
        let texts = TextIndex(scope: search.scope)
        let query = TextQuery(question.text)
        weights = try texts.weights(query, in: view)
        let wanted = search.mode == .hybrid ? Self.count(for: count) : count
        near = search.mode == .keyword ? [] : try vectors.search(question.vector!, count: wanted, effort: search.effort, in: view)
        worded = search.mode == .semantic ? [] : try texts.search(query, count: wanted, in: view)

        let empty = ScoreParts(cosine: 0, bm25: 0, ceiling: weights.ceiling)
        for match in near { parts[match.node, default: empty].cosine = match.cosine }
        for match in worded { parts[match.node, default: empty].bm25 = match.score }
        guard search.mode == .hybrid else { return }
        let found = Set(near.map(\.node))
        let withoutCosine = worded.map(\.node).filter { !found.contains($0) }
        for (node, cosine) in zip(withoutCosine, try vectors.cosines(question.vector!, of: withoutCosine, in: view)) {
            parts[node]?.cosine = cosine ?? 0
        }
        let scored = Set(worded.map(\.node))
        let withoutScore = near.map(\.node).filter { !scored.contains($0) }
        for (node, score) in zip(withoutScore, try texts.scores(weights, of: withoutScore, in: view)) { parts[node]?.bm25 = score ?? 0 }
    }

    /// Places count from 1; nil when the node is not among the candidates of that side.
    func vectorRank(of node: NodeID) -> Int? { near.firstIndex { $0.node == node }.map { $0 + 1 } }
    func textRank(of node: NodeID) -> Int? { worded.firstIndex { $0.node == node }.map { $0 + 1 } }
}

extension NodeSearch {
    /// Both true scores of any nodes, candidates or not.
    func scores(of nodes: [NodeID], _ question: Question, _ weights: QueryWeights, in view: borrowing TransactionView) throws -> [ScoreParts] {
        let nothing = [Float?](repeating: nil, count: nodes.count)
        let cosines = try question.vector.map { try VectorIndex(scope: scope, dimension: dimension).cosines($0, of: nodes, in: view) } ?? nothing
        let scores = mode == .semantic ? nothing : try TextIndex(scope: scope).scores(weights, of: nodes, in: view)
        return zip(cosines, scores).map { ScoreParts(cosine: $0 ?? 0, bm25: $1 ?? 0, ceiling: weights.ceiling) }
    }
}
