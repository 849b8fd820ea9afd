// The text index's half of a hybrid search. Neither index needs anything of the other until both have answered, so while the query's own
// thread walks the graph, another thread of the pool, if one is idle, reads the postings:
//
//     own thread    ask ->   graph ......................... nearest ->                  <- found
//     another         <- ask   postings ... cosines of matches      <- nearest scores of them ->
//
// The own thread never waits for one that has not begun: what was not taken up when the graph is walked, it does itself. The other waits a
// moment for it to begin. LMDB binds a read transaction to one thread at a time, so the other begins its own, and leaves the work
// alone when there was a commit in between.

internal import Base
internal import FullText
internal import KeySpace
internal import LMDB
internal import Measures
internal import Search
internal import Synchronization
internal import Vectors

final class TextSide: Sendable {
    /// What the text index found, and what it knows of the nodes that the vectors found.
    struct Retrieved {
        /// Best first.
        let matches: [TextMatch]
        /// Of matches that have a vector; of those that the vectors found too, perhaps.
        let cosines: [VectorMatch]
        /// Of nodes that only the vectors or only a rare exact word found, 0 of one without a text.
        let others: [TextMatch]
        /// The nodes with such a word.
        let exact: [(node: NodeID, rarity: Rarity)]
        let weights: QueryWeights
    }

    /// What is asked.
    struct Ask {
        /// Where.
        let snapshot: TransactionView.State

        enum Query {
            /// Taken apart by whoever reads the postings.
            case plain(String, Analyzer)
            case resolved(ResolvedTextQuery)

            var resolved: ResolvedTextQuery {
                switch self {
                case .plain(let text, let analyzer): ResolvedTextQuery(TextQuery(text, analyzer: analyzer))
                case .resolved(let query): query
                }
            }
        }

        let texts: TextIndex
        let query: Query
        let count: Int
        /// What the query's fields and the filter leave is asked node by node; what else is demanded the text index knows itself.
        let fields: Admission
        let vectors: VectorIndex
        /// nil: cosines are not asked for.
        let vector: [Float]?
        let watch: QueryWatch?

        /// - Parameters:
        ///   - known: nodes whose cosines are known.
        ///   - nearest: the nodes that the vectors found; called as late as can be.
        func search(in view: borrowing TransactionView, known: [NodeID], nearest: () throws -> [NodeID]) throws -> Retrieved {
            let reading = Stopwatch()
            defer { watch?.note(.text, reading) }
            var cosines: [VectorMatch] = []
            let answer = try texts.search(
                query.resolved, count: count,
                alsoScoring: { nodes in
                    if let vector {
                        let known = NodeSet(known)
                        let nodes = nodes.filter { !known.contains($0) }
                        cosines = zip(nodes, try vectors.cosines(vector, of: nodes, in: view)).compactMap { node, cosine in
                            cosine.map { VectorMatch(node: node, cosine: $0) }
                        }
                    }
                    return try nearest()
                }, where: fields.admitsAll ? nil : { fields.admits($0) }, in: view)
            return Retrieved(matches: answer.matches, cosines: cosines, others: answer.others, exact: answer.exact, weights: answer.weights)
        }
    }

    private struct Withdrawn: Error {}

    private let isTaken = Atomic(false)
    private let ask = Handover<Ask>()
    private let nearest = Handover<[NodeID]>()
    private let found = Handover<Retrieved>()

    /// On another thread: the work, unless it has been taken or the snapshot is another one.
    func take(in view: borrowing TransactionView) {
        guard let asked = try? ask.take(within: 1_000), view.state == asked.snapshot, claim() else { return }
        found.leave(Result { try asked.search(in: view, known: []) { try nearest.take() } })
    }

    /// Whoever waits for the own thread waits no longer: to be called at the end, whatever happened.
    func withdraw() {
        ask.leave(.failure(Withdrawn()))
        nearest.leave(.failure(Withdrawn()))
    }

    /// On the own thread: what both indexes answer.
    /// - Parameter graph: asks the vector index.
    func search(
        _ asked: Ask, in view: borrowing TransactionView, _ graph: (borrowing TransactionView) throws -> [VectorMatch]
    ) throws -> (nearest: [VectorMatch], text: Retrieved) {
        ask.leave(.success(asked))
        let answer = try graph(view)
        let nodes = answer.map(\.node)
        if claim() { return (answer, try asked.search(in: view, known: nodes) { nodes }) }
        nearest.leave(.success(nodes))
        return (answer, try found.take())
    }

    private func claim() -> Bool { isTaken.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged }
}
