// Searching among some of the nodes: the filter acts inside the search, never on its answer.
//
// Three ways, and an estimate of their costs decides:
//
// * Few nodes: each is looked up, and its code compared.
// * A part of the project: every slot in use is asked, and the codes of those that pass are compared, in the order in which
//   they lie. That is 2 ns for a slot that does not pass and 10 to 20 for one that does.
// * Most of the project: the walk goes through all nodes as without a filter, since those that do not pass are needed as
//   bridges, and a second pool collects those that do. The walk ends when that pool is full and the next candidate is
//   farther than its last. It looks at about 1 / share as many nodes as a search without a filter.
//
// ACORN (Patel et al., SIGMOD 2024) walks a graph that was made denser, over passing nodes only. Comparing 4-bit codes in a row is
// so cheap that by this estimate the scan wins at 100,000 vectors below about a third of the project; see
// docs/decisions/0017-quantised-graph.md.

public import Base
internal import CKernels
internal import KeySpace
public import LMDB

/// Which nodes a search may answer.
public struct NodeFilter: Sendable {
    fileprivate enum Kind: Sendable {
        /// So many of the bitmap.
        case nodes(Int)
        case test(@Sendable (NodeID) -> Bool)
    }

    fileprivate let kind: Kind
    fileprivate let bitmap: NodeSet

    /// Exactly these; nodes without a vector and nodes named twice do no harm.
    /// - Complexity: one bit for each number up to the largest.
    public init(nodes: some Swift.Sequence<NodeID>) {
        self.init(NodeSet(nodes))
    }

    /// Exactly these; nodes without a vector do no harm.
    public init(_ nodes: NodeSet) {
        kind = .nodes(nodes.count)
        bitmap = nodes
    }

    /// Those that pass a test, which should cost no more than some nanoseconds: it is asked about many nodes.
    public init(_ test: @escaping @Sendable (NodeID) -> Bool) {
        kind = .test(test)
        bitmap = NodeSet()
    }

    @inline(__always)
    fileprivate func passes(_ node: UInt32) -> Bool {
        switch kind {
        case .nodes: return bitmap.contains(NodeID(rawValue: node))
        case .test(let test): return test(NodeID(rawValue: node))
        }
    }
}

extension VectorIndex {
    /// The nearest of the nodes that pass the filter, best first.
    ///
    /// - Parameters:
    ///   - count: how many; fewer come back only when fewer pass.
    ///   - effort: as without a filter.
    /// - Throws: `.damaged` when a record that the graph points to is missing or broken.
    /// - Complexity: the least of O(passing x log n), O(n), and O(efSearch x M0 / share that passes).
    public func search(
        _ query: [Float], count: Int, effort: SearchEffort? = nil, filter: NodeFilter, in view: borrowing TransactionView
    ) throws -> [VectorMatch] {
        try validate(query: query)
        guard count > 0, let state = try state(in: view) else { return [] }
        let memory = memory(of: state, in: view)
        let access = access(memory, state, in: view)
        guard count <= Self.orderedMax else {
            return try exactSearch(query, count: count, memory, access, in: view) { filter.passes($0) }
        }
        return try memory.withScratch { (scratch: SearchScratch) throws in
            memory.quantiser.query(query, scratch.code)
            var walk = GraphWalk(access, scratch, memory.quantiser, side: scratch.code)
            let wanted = min(max(count, (effort ?? .candidates(parameters.efSearch)).candidates), state.count)
            let share = try share(of: filter, access, in: view)
            let passing = share * Double(state.count)
            // In comparisons of codes, about 15 ns each.
            let lookUps = if case .nodes(let count) = filter.kind { 30 * Double(count) } else { Double.infinity }
            let scan = Double(state.slots) / 6 + passing
            let graph = state.count < parameters.exactBelow ? .infinity : 40 * Double(wanted) / max(share, 1e-9)
            if graph <= min(scan, lookUps) {
                let start = try walk.descend(to: 0, in: view)
                let found = try walk.fill(wanted, passing: share, from: start, in: view) { (slot, view: borrowing TransactionView) throws in
                    try passes(slot, filter, access, in: view)
                }
                // Fewer than there are: what passes lies farther off than the walk could reach.
                if found.count >= min(count, Int(passing)) { return try matches(query, found, count, filter, access, in: view) }
            }
            var pool = scratch.pools(min(state.count, count + max(count / 2, parameters.rerank)), 0).0
            if case .nodes = filter.kind, lookUps <= scan {
                for node in filter.bitmap.members {
                    guard let slot = try access.slot(of: node.rawValue, in: view) else { continue }
                    pool.offer(slot, try walk.similarity(to: slot, in: view))
                }
            } else {
                try walk.scan(&pool, in: view) { filter.passes($0) }
            }
            return try matches(query, pool.candidates, count, nil, access, in: view)
        }
    }

    /// Of the slots in use, about.
    private func share(of filter: NodeFilter, _ access: GraphAccess, in view: borrowing TransactionView) throws -> Double {
        if case .nodes(let count) = filter.kind { return min(1, Double(count) / Double(access.state.count)) }
        let step = max(1, access.state.slots / 1_000)
        var (asked, passed) = (0, 0)
        for slot in stride(from: 0, to: access.state.slots, by: step) {
            guard let node = try access.node(UInt32(slot), in: view) else { continue }
            asked += 1
            if filter.passes(node) { passed += 1 }
        }
        return asked == 0 ? 0 : Double(passed) / Double(asked)
    }

    /// Whether a member or one of its twins passes.
    private func passes(_ slot: UInt32, _ filter: NodeFilter, _ access: GraphAccess, in view: borrowing TransactionView) throws -> Bool {
        var next: UInt32? = slot
        while let at = next {
            guard at < access.state.slots else { throw GraphDamage.outOfRange(at, access.state.slots) }
            if let node = try access.node(at, in: view), filter.passes(node) { return true }
            next = try unsafe Self.nextTwin(access.links(at, in: view))
        }
        return false
    }

    /// Candidates compared by their vectors, best first; with a filter, the passing ones of each one's chain of twins.
    private func matches(
        _ query: [Float], _ candidates: [Candidate], _ count: Int, _ filter: NodeFilter?, _ access: GraphAccess, in view: borrowing TransactionView
    ) throws -> [VectorMatch] {
        let compared = compared(query, candidates.count, count) { candidates[$0].similarity }
        var exact = Array(candidates.prefix(compared))
        for rank in exact.indices { exact[rank].similarity = try unsafe VectorBytes.dot(query, access.vector(exact[rank].slot, in: view)) }
        exact.sort(by: Candidate.precedes)
        var matches: [VectorMatch] = []
        for candidate in exact where matches.count < count {
            let cosine = Self.cosine(candidate.similarity)
            guard let filter else {
                matches.append(VectorMatch(node: try nodeID(candidate.slot, access, in: view), cosine: cosine))
                continue
            }
            var next: UInt32? = candidate.slot
            while let at = next, matches.count < count {
                guard at < access.state.slots else { throw GraphDamage.outOfRange(at, access.state.slots) }
                let node = try nodeID(at, access, in: view)
                if filter.passes(node.rawValue) { matches.append(VectorMatch(node: node, cosine: cosine)) }
                next = try unsafe Self.nextTwin(access.links(at, in: view))
            }
        }
        return Self.sorted(matches)
    }
}

extension GraphWalk {
    /// The best `count` that pass, about, reached from `start` through all; only those that are as near as the farthest of all
    /// that the walk kept. Beyond that it has met some and not others, and when the filter passes what is far from the query, the few
    /// that it met would be any.
    mutating func fill(
        _ count: Int, passing share: Double, from start: Candidate, in view: borrowing TransactionView,
        _ passes: (UInt32, borrowing TransactionView) throws -> Bool
    ) throws -> [Candidate] {
        let reach = min(access.state.count, Int(2 * Double(count) / max(share, 0.01)))
        var (all, found) = scratch.pools(reach, count)
        if try passes(start.slot, view) { found.offer(start.slot, start.similarity) }
        try fill(&all, at: 0, from: [start], in: view) { (slot, similarity, view: borrowing TransactionView) throws in
            guard !found.isFull || similarity > found[found.count - 1].similarity else { return }
            if try passes(slot, view) { found.offer(slot, similarity) }
        } isDone: { next in
            found.isFull && next < found[found.count - 1].similarity
        }
        let reached = all.isFull ? all[all.count - 1].similarity : -.infinity
        return found.candidates.filter { $0.similarity >= reached }
    }

    /// Compares every slot in use whose node passes.
    func scan(_ pool: inout CandidatePool, in view: borrowing TransactionView, _ passes: (UInt32) -> Bool) throws {
        var met = 0
        for first in stride(from: 0, to: access.state.slots, by: ChunkLayout.slots) {
            let record = try unsafe access.slotsRecord(first >> ChunkLayout.shift, in: view)
            for place in 0..<min(ChunkLayout.slots, access.state.slots - first) where unsafe SlotsRecord.isUsed(place, record) {
                guard passes(unsafe SlotsRecord.number(place, record)) else { continue }
                met = try gather(UInt32(first + place), met, in: view)
                if met == 64 {
                    offer(met, to: &pool)
                    met = 0
                }
            }
        }
        offer(met, to: &pool)
    }
}
