// Inserting a node: algorithm 1 of Malkov & Yashunin (see HNSWSearch), with one difference.
//
// In the paper, and in the libraries that follow it, links have a direction: a full list is cut down to its bound, and the
// node that was cut off still points here. Nobody can then say which lists name a node without reading all of them, so
// those libraries only mark what is deleted. Here every link is kept at both of its ends, and a removal can be complete.
//
// The price is that cutting a list takes the link away from the other end as well, and could leave a part of the graph
// that no search reaches. So a link n-d goes only in one of three ways, each of which leaves connected what was connected:
//
//     a common neighbour          the new node itself            no triangle: the new node steps between
//
//        n --x-- d                   n --x-- q                     n --x-- d
//         \     /                            |                      \     /
//          e --                              e                       q --      (d loses n and gets q)
//
// The second only undoes the link q-n of this very step, when q has another. By induction every level of the graph is in
// one piece for ever; `VectorIndexCheck` walks it to be sure.

public import Base
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// Adds a vector of unit length, or replaces the node's; equal bytes change nothing.
    ///
    /// - Throws: `.bug` for a vector of another dimension or length; `.damaged` for a broken graph; what LMDB says. After
    ///   an error the transaction must be dropped: some of the links may be written.
    /// - Complexity: about O(efConstruction x M0) comparisons.
    public func insert(_ node: NodeID, _ vector: [Float], in transaction: inout WriteTransaction) throws {
        try validate(vector: vector, of: node)
        var writer = ByteWriter(capacity: 4 * dimension)
        writer.floats(vector)
        let key = scope.key(.vector, node.rawValue)
        if let stored = try transaction.view.loadBytes(key) {
            if stored == writer.bytes { return }
            try remove(node, in: &transaction)
        }
        try transaction.store(key, writer.bytes)

        let new = node.rawValue
        var state = try state(in: transaction.view) ?? GraphState(dimension: dimension, parameters: parameters)
        let level = NodeLevel.of(new, project: scope.project.rawValue, linksAbove: state.linksAbove)
        var edit = GraphEdit(self)
        var found: [CandidatePool] = []
        if state.count > 0 {
            var walk = GraphWalk(self, query: vector, state: state)
            var pool = try walk.entry(in: transaction.view)
            for above in stride(from: state.maxLevel, to: level, by: -1) { pool = try walk.best(1, at: above, from: pool, in: transaction.view) }
            for shared in stride(from: min(level, state.maxLevel), through: 0, by: -1) {
                pool = try walk.best(state.efConstruction, at: shared, from: pool, in: transaction.view)
                found.append(pool)
            }
        }
        if let nearest = found.last, let equal = try member(equalTo: writer.bytes, among: nearest.items, in: transaction.view) {
            try hang(new, onto: equal, &edit, in: transaction.view)
        } else {
            edit.set(new, NodeLinks(level: level))
            for (shared, pool) in found.reversed().enumerated() { try connect(new, among: pool.items, at: shared, state, &edit, in: transaction.view) }
            if state.count == 0 || level > state.maxLevel {
                state.entry = new
                state.maxLevel = level
            }
        }
        try edit.write(in: &transaction)
        state.count += 1
        try transaction.store(scope.key(.vectorState), state.encoded())
    }

    /// Links the new node at one level to a selection of what the search found, and holds every list to its bound.
    private func connect(
        _ new: UInt32, among ranked: [Candidate], at level: Int, _ state: GraphState, _ edit: inout GraphEdit, in view: borrowing TransactionView
    ) throws {
        let selection = try NeighbourSelection(ranked: ranked, bound: state.linksAbove, self, in: view)
        for neighbour in selection.filled(to: state.linksAbove) {
            try edit.load(neighbour, in: view)
            try edit.link(new, neighbour, at: level)
            if edit.degree(of: neighbour, at: level) > state.linksMax(at: level) {
                try shorten(neighbour, beside: new, at: level, state, &edit, in: view)
            }
        }
    }

    /// Takes links from a list that is over its bound since `new` was linked; see the drawing above.
    private func shorten(
        _ node: UInt32, beside new: UInt32, at level: Int, _ state: GraphState, _ edit: inout GraphEdit, in view: borrowing TransactionView
    ) throws {
        let bound = state.linksMax(at: level)
        let ranked = try ranking(of: edit.neighbours(of: node, at: level), around: node, in: view)
        let selection = try NeighbourSelection(ranked: ranked, bound: bound, self, in: view)
        // The least useful first: farthest of the pruned, then farthest of the rest.
        let prunedNodes = Set(selection.pruned)
        let order = selection.pruned.reversed() + ranked.reversed().map(\.node).filter { !prunedNodes.contains($0) }
        for candidate in order {
            if candidate == new {
                guard edit.degree(of: new, at: level) > 1 else { continue }
            } else {
                try edit.load(candidate, in: view)
                guard edit.haveCommonNeighbour(node, candidate, at: level) else { continue }
            }
            try edit.unlink(node, candidate, at: level)
            if edit.degree(of: node, at: level) <= bound { return }
        }
        // Not one triangle, and `new` has no other link yet, therefore room.
        if let farthest = order.first(where: { $0 != new }) {
            try edit.link(new, farthest, at: level)
            try edit.unlink(node, farthest, at: level)
        }
    }

    /// The nodes by nearness to `base`.
    private func ranking(of nodes: [UInt32], around base: UInt32, in view: borrowing TransactionView) throws -> [Candidate] {
        var rows = VectorRows(self, expecting: 1)
        try rows.append(base, in: view)
        var ranked: [Candidate] = []
        ranked.reserveCapacity(nodes.count)
        for node in nodes { ranked.append(Candidate(similarity: try rows.similarity(0, to: node, in: view), node: node)) }
        ranked.sort { Candidate.precedes($0.similarity, $0.node, $1) }
        return ranked
    }
}
