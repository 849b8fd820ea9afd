// Searching: algorithms 2 (one level) and 5 (the whole graph) of Malkov & Yashunin, "Efficient and robust approximate
// nearest neighbor search using Hierarchical Navigable Small World graphs", IEEE TPAMI 42(4), 2020,
// doi:10.1109/TPAMI.2018.2889473. Where the paper has distances, this has cosines: larger is nearer.

internal import Base
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// The nearest nodes, best first; equal cosines by node number (of equal vectors at the end of the list, any). Exact with fewer than `exactBelow` vectors.
    ///
    /// - Parameters:
    ///   - count: how many; fewer come back only when the project has fewer.
    ///   - efSearch: candidates kept on the way, at least `count`; nil for the index's own.
    /// - Throws: `.damaged` when a record that the graph points to is missing or broken.
    /// - Complexity: about O(efSearch x M0) comparisons and O(log n) steps down from the top level.
    public func search(_ query: [Float], count: Int, efSearch: Int? = nil, in view: borrowing TransactionView) throws -> [VectorMatch] {
        try validate(query: query)
        guard count > 0, let state = try state(in: view) else { return [] }
        guard state.count >= parameters.exactBelow else { return try exactSearch(query, count: count, in: view) }
        var walk = GraphWalk(self, query: query, state: state)
        var pool = try walk.entry(in: view)
        for level in stride(from: state.maxLevel, to: 0, by: -1) { pool = try walk.best(1, at: level, from: pool, in: view) }
        pool = try walk.best(max(count, efSearch ?? parameters.efSearch), at: 0, from: pool, in: view)
        return try matches(query, pool, count, in: view)
    }
}

/// One descent through the graph towards `query`: the buffers that its hops share.
///
/// Vectors on the way are compared without a look at their seals: checking them took a third of a search's time (perf,
/// 10,000 vectors). A vector that is damaged can only lead the walk astray, because whatever the walk finds is read again,
/// with its seal, before it is answered or linked.
struct GraphWalk {
    private let query: [Float]
    private let state: GraphState
    private var vectorKey: NodeKey
    private var linksKey: NodeKey
    private var neighbours: [UInt32] = []

    init(_ index: VectorIndex, query: [Float], state: GraphState) {
        self.query = query
        self.state = state
        vectorKey = NodeKey(index.scope, .vector)
        linksKey = NodeKey(index.scope, .vectorLinks)
        neighbours.reserveCapacity(256)
    }

    /// The entry point as the only candidate.
    mutating func entry(in view: borrowing TransactionView) throws -> CandidatePool {
        var pool = CandidatePool(capacity: 1)
        pool.offer(state.entry, try similarity(to: state.entry, in: view))
        return pool
    }

    /// Algorithm 2: the best `count` nodes of one level, reached from those in `start`.
    mutating func best(_ count: Int, at level: Int, from start: CandidatePool, in view: borrowing TransactionView) throws -> CandidatePool {
        var pool = CandidatePool(capacity: count)
        // Each expansion meets M0 neighbours; in real data half of them or more were met before.
        var visited = VisitedSet(expecting: min(count, 4_096) * state.linksMax(at: level) / 2)
        for item in start.items {
            _ = visited.insert(item.node)
            pool.offer(item.node, item.similarity)
        }
        while let node = pool.nextToExpand() {
            try loadNeighbours(of: node, at: level, in: view)
            for neighbour in neighbours where visited.insert(neighbour) {
                pool.offer(neighbour, try similarity(to: neighbour, in: view))
            }
        }
        return pool
    }

    private mutating func loadNeighbours(of node: UInt32, at level: Int, in view: borrowing TransactionView) throws {
        neighbours.removeAll(keepingCapacity: true)
        linksKey.point(to: node)
        guard let payload = try view.load(linksKey.bytes) else { throw GraphDamage.missing("links", node) }
        do {
            try NodeLinks.appendNeighbours(at: level, of: payload, to: &neighbours)
        } catch {
            throw GraphDamage.unreadable(node, error)
        }
    }

    private mutating func similarity(to node: UInt32, in view: borrowing TransactionView) throws -> Float {
        vectorKey.point(to: node)
        guard let value = try view.get(vectorKey.bytes), value.byteCount == Seal.headerBytes + 4 * query.count else {
            throw GraphDamage.missing("vector", node)
        }
        return VectorBytes.dot(query, value.extracting(Seal.headerBytes..<value.byteCount))
    }
}

/// What a graph that contradicts itself is reported as.
enum GraphDamage {
    static func missing(_ what: String, _ node: UInt32) -> ContexError {
        .damaged("the vector graph points to node \(node), whose \(what) are missing or cut short: stop the server and run 'contex check'")
    }

    static func unreadable(_ node: UInt32, _ error: ByteError) -> ContexError {
        .damaged("the links of node \(node) do not fit their layout (\(error)): stop the server and run 'contex check'")
    }
}
