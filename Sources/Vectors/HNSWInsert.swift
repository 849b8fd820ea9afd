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
internal import CKernels
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// Adds a vector of unit length, or replaces the node's; one that is stored as the same halves changes nothing. Everything that is made of
    /// it (code, links, sum) is made of what is stored, so that it can be made again.
    ///
    /// - Throws: `.bug` for a vector of another dimension or length; `.damaged` for a broken graph; what LMDB says. After
    ///   an error the transaction must be dropped: some of the links may be written.
    /// - Complexity: about O(efConstruction x M0) comparisons.
    public func insert(_ node: NodeID, _ vector: [Float], in transaction: inout WriteTransaction) throws {
        try validate(vector: vector, of: node)
        let vector = VectorMath.stored(vector)
        if let stored = try self.vector(of: node, in: transaction.view) {
            if stored.elementsEqual(vector, by: { $0.bitPattern == $1.bitPattern }) { return }
            try remove(node, in: &transaction)
        }
        try withSession(&transaction) { (memory, session, transaction: inout WriteTransaction) throws in
            var state = session.state ?? GraphState(dimension: dimension, parameters: parameters)
            let slotsBefore = state.slots
            let (slot, row) = try takeSlot(for: node.rawValue, &state, in: &transaction)
            try storeVector(vector, row: row, state, memory.layout, in: &transaction)
            let access = session.access(scope, state)
            let scratch = session.scratch
            var code = [UInt8](repeating: 0, count: memory.layout.codeBytes)
            let factor = unsafe code.withUnsafeMutableBufferPointer { unsafe memory.quantiser.encode(vector, scratch.code, into: $0.baseAddress!) }
            try unsafe code.withUnsafeBufferPointer {
                try unsafe session.store(
                    $0.baseAddress!, factor: factor, slot: Int(slot), scope, slots: (slotsBefore, state.slots), access, in: &transaction)
            }

            var edit = GraphEdit(access, memory.quantiser, scratch, rows: session.rows)
            // The only owner, so that changes happen in place.
            session.rows = LinkRows()
            let level = NodeLevel.of(node.rawValue, project: scope.project.rawValue, linksAbove: state.linksAbove)
            memory.quantiser.query(vector, scratch.code)
            let found = try Self.candidates(level, state, access, memory.quantiser, scratch, in: transaction.view)
            if let nearest = found.last, let equal = try member(equalTo: vector, slot: slot, among: nearest, edit, in: transaction.view) {
                try hang(slot, onto: equal, &edit, in: transaction.view)
            } else {
                edit.set(slot, NodeLinks(level: level))
                for (shared, candidates) in found.reversed().enumerated() {
                    let selection = try NeighbourSelection(
                        ranked: candidates, bound: state.linksAbove, access, memory.quantiser, scratch, in: transaction.view)
                    try Self.connect(slot, to: selection.filled(to: state.linksAbove), at: shared, state, &edit, in: transaction.view)
                }
                if state.count == 0 || level > state.maxLevel {
                    state.entry = slot
                    state.maxLevel = level
                }
            }
            try edit.write(scope, in: &transaction)
            session.rows = edit.rows
            try changeSums(isFirst: state.count == 0, in: &transaction) { VectorSum.add(vector, to: &$0) }
            state.count += 1
            state.changes += 1
            try transaction.store(scope.key(.vectorState), state.encoded())
            session.state = state
        }
    }

    /// The nearest members to what the scratch's code holds, for each level from `level` (or the graph's highest) down to 0.
    static func candidates(
        _ level: Int, _ state: GraphState, _ access: GraphAccess, _ quantiser: Quantiser, _ scratch: SearchScratch,
        in view: borrowing TransactionView
    ) throws -> [[Candidate]] {
        guard state.count > 0 else { return [] }
        var walk = GraphWalk(access, scratch, quantiser, side: scratch.code)
        var start = [try walk.descend(to: level, in: view)]
        var found: [[Candidate]] = []
        for shared in stride(from: min(level, state.maxLevel), through: 0, by: -1) {
            var pool = scratch.pools(state.efConstruction, 0).0
            try walk.fill(&pool, at: shared, from: start, in: view)
            start = pool.candidates
            found.append(start)
        }
        return found
    }

    /// Links the new slot at one level, and holds every list to its bound.
    static func connect(
        _ new: UInt32, to neighbours: [UInt32], at level: Int, _ state: GraphState, _ edit: inout GraphEdit, in view: borrowing TransactionView
    ) throws {
        for neighbour in neighbours {
            try edit.load(neighbour, in: view)
            try edit.link(new, neighbour, at: level)
            if edit.degree(of: neighbour, at: level) > state.linksMax(at: level) {
                try shorten(neighbour, beside: new, at: level, state, &edit, in: view)
            }
        }
    }

    /// Takes links from a list that is over its bound since `new` was linked; see the drawing above.
    private static func shorten(
        _ slot: UInt32, beside new: UInt32, at level: Int, _ state: GraphState, _ edit: inout GraphEdit, in view: borrowing TransactionView
    ) throws {
        let bound = state.linksMax(at: level)
        let ranked = try edit.ranking(of: edit.neighbours(of: slot, at: level), around: slot, in: view)
        let selection = try NeighbourSelection(ranked: ranked, bound: bound, edit.access, edit.quantiser, edit.scratch, in: view)
        // The least useful first: farthest of the pruned, then farthest of the rest.
        let prunedSlots = Set(selection.pruned)
        let order = selection.pruned.reversed() + ranked.reversed().map(\.slot).filter { !prunedSlots.contains($0) }
        for candidate in order {
            if candidate == new {
                guard edit.degree(of: new, at: level) > 1 else { continue }
            } else {
                try edit.load(candidate, in: view)
                guard edit.haveCommonNeighbour(slot, candidate, at: level) else { continue }
            }
            try edit.unlink(slot, candidate, at: level)
            if edit.degree(of: slot, at: level) <= bound { return }
        }
        // Not one triangle, and `new` has no other link yet, therefore room.
        if let farthest = order.first(where: { $0 != new }) {
            try edit.link(new, farthest, at: level)
            try edit.unlink(slot, farthest, at: level)
        }
    }
}
