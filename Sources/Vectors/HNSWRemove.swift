// Removing a node: its links are known (they are kept at both ends), so it goes without a trace, and what it connected is
// connected again:
//
// 1. Its neighbours at a level are grouped: linked to each other, or to a common third node, means connected already.
// 2. Groups are joined by their nearest pair, Kruskal's way, each neighbour using the place that the removal has freed.
//    When both groups have no place left, a link of a triangle makes room; and only when there is no triangle either, a list goes
//    one over its bound (the next insertion beside it cuts it back). So every level stays in one piece.
// 3. Neighbours that still have their freed place are linked to the nearest of the others that has, so that a graph which
//    sees many removals stays as dense as it was.

public import Base
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// Removes a node's vector and every link to it; false when it has none.
    ///
    /// - Throws: `.damaged` for a broken graph; what LMDB says. After an error the transaction must be dropped.
    /// - Complexity: O(M0 squared) comparisons, O(M0) records written.
    @discardableResult
    public func remove(_ node: NodeID, in transaction: inout WriteTransaction) throws -> Bool {
        guard try state(in: transaction.view) != nil, let gone = try slot(of: node.rawValue, in: transaction.view) else { return false }
        let isLast = try withSession(&transaction) { (memory, session, transaction: inout WriteTransaction) throws in
            guard var state = session.state, state.count > 1 else { return true }
            guard gone < state.slots else { throw GraphDamage.outOfRange(gone, state.slots) }
            var edit = GraphEdit(session.access(scope, state), memory.quantiser, session.scratch, rows: session.rows)
            session.rows = LinkRows()
            let links = try edit.load(gone, in: transaction.view)
            if links.isTwin {
                try unhang(gone, links, &edit, in: transaction.view)
            } else if let heir = links.nextTwin {
                try replace(gone, links, by: heir, &edit, in: transaction.view)
                if state.entry == gone { state.entry = heir }
            } else {
                if state.entry == gone { try moveEntry(&state, &edit, in: transaction.view) }
                for (level, neighbours) in links.levels.enumerated() {
                    for neighbour in neighbours {
                        try edit.load(neighbour, in: transaction.view)
                        try edit.unlink(gone, neighbour, at: level)
                    }
                    try reconnect(neighbours, at: level, bound: state.linksMax(at: level), &edit, in: transaction.view)
                }
            }
            edit.forget(gone)
            try edit.write(scope, in: &transaction)
            session.rows = edit.rows
            try transaction.delete(scope.key(.vectorLinks, gone))
            guard let vector = try self.vector(of: node, in: transaction.view) else { throw GraphDamage.missing("vector", gone) }
            try changeSums(isFirst: false, in: &transaction) { VectorSum.subtract(vector, from: &$0) }
            try storeVector(nil, row: row(of: gone, state, in: transaction.view), state, memory.layout, in: &transaction)
            try freeSlot(gone, of: node.rawValue, &state, in: &transaction)
            state.count -= 1
            state.changes += 1
            try transaction.store(scope.key(.vectorState), state.encoded())
            session.state = state
            return false
        }
        if isLast { try removeAll(in: &transaction) }
        return true
    }

    /// Makes a neighbour the entry point. Each level is in one piece, so when the entry has no neighbour at a level, it is
    /// alone there, and the graph loses that level with it.
    private func moveEntry(_ state: inout GraphState, _ edit: inout GraphEdit, in view: borrowing TransactionView) throws {
        let old = state.entry
        for level in stride(from: edit.level(of: old), through: 0, by: -1) {
            guard let heir = edit.neighbours(of: old, at: level).first else { continue }
            try edit.load(heir, in: view)
            state.entry = heir
            state.maxLevel = edit.level(of: heir)
            return
        }
        throw ContexError.damaged(
            "the entry point \(old) of the vector graph has no neighbour among \(state.count) nodes: stop the server and run 'contex check'")
    }

    /// Joins again what only the removed node connected.
    private func reconnect(
        _ nodes: [UInt32], at level: Int, bound: Int, _ edit: inout GraphEdit, in view: borrowing TransactionView
    ) throws {
        guard nodes.count > 1 else { return }
        var groups = Groups(nodes, at: level, edit)
        let pairs = try SlotPair.all(nodes, edit, in: view)
        func hasRoom(_ place: Int) -> Bool { edit.degree(of: nodes[place], at: level) < bound }

        for pair in pairs where groups.count > 1 && hasRoom(pair.first) && hasRoom(pair.second) && groups.join(pair.first, pair.second) {
            try edit.link(nodes[pair.first], nodes[pair.second], at: level)
        }
        for pair in pairs where groups.count > 1 && groups.join(pair.first, pair.second) {
            for place in [pair.first, pair.second] where !hasRoom(place) {
                try makeRoom(nodes[place], at: level, &edit, in: view)
            }
            try edit.link(nodes[pair.first], nodes[pair.second], at: level)
        }

        var gained = Array(repeating: false, count: nodes.count)
        for pair in pairs where !gained[pair.first] && !gained[pair.second] && hasRoom(pair.first) && hasRoom(pair.second) {
            guard !edit.isLinked(nodes[pair.first], nodes[pair.second], at: level) else { continue }
            try edit.link(nodes[pair.first], nodes[pair.second], at: level)
            gained[pair.first] = true
            gained[pair.second] = true
        }
    }

    /// Takes one link from a full list, if there is one whose ends stay connected through a third node.
    private func makeRoom(_ node: UInt32, at level: Int, _ edit: inout GraphEdit, in view: borrowing TransactionView) throws {
        for neighbour in edit.neighbours(of: node, at: level) {
            try edit.load(neighbour, in: view)
            if edit.haveCommonNeighbour(node, neighbour, at: level) {
                try edit.unlink(node, neighbour, at: level)
                return
            }
        }
    }
}

/// Two places in a list of slots and how near these are.
private struct SlotPair {
    let first: Int
    let second: Int
    let similarity: Float

    /// Every pair, nearest first.
    static func all(_ slots: [UInt32], _ edit: GraphEdit, in view: borrowing TransactionView) throws -> [SlotPair] {
        var pairs: [SlotPair] = []
        pairs.reserveCapacity(slots.count * (slots.count - 1) / 2)
        for second in 1..<slots.count {
            let similarities = try edit.similarities(of: slots[second], to: Array(slots[..<second]), in: view)
            for first in 0..<second { pairs.append(SlotPair(first: first, second: second, similarity: similarities[first])) }
        }
        pairs.sort {
            if $0.similarity != $1.similarity { return $0.similarity > $1.similarity }
            return ($0.second, $0.first) < ($1.second, $1.first)
        }
        return pairs
    }
}

/// Which of some nodes are known to be connected: a union-find over their places.
private struct Groups {
    private var parent: [Int]
    private(set) var count: Int

    /// Connected at first: nodes that are linked, or have a common neighbour.
    init(_ nodes: [UInt32], at level: Int, _ edit: GraphEdit) {
        parent = Array(nodes.indices)
        count = nodes.count
        var seen: [UInt32: Int] = [:]
        for (place, node) in nodes.enumerated() {
            for member in [node] + edit.neighbours(of: node, at: level) {
                if let earlier = seen[member] { join(earlier, place) } else { seen[member] = place }
            }
        }
    }

    /// False when both were in one group already.
    @discardableResult
    mutating func join(_ a: Int, _ b: Int) -> Bool {
        let (left, right) = (root(a), root(b))
        guard left != right else { return false }
        parent[max(left, right)] = min(left, right)
        count -= 1
        return true
    }

    private mutating func root(_ place: Int) -> Int {
        var at = place
        while parent[at] != at {
            parent[at] = parent[parent[at]]
            at = parent[at]
        }
        return at
    }
}
