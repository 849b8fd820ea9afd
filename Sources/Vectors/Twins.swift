// Equal vectors: the same short text in a hundred documents.
//
// In a graph they are poison. All of them are each other's nearest, so their lists fill with each other, and a search that
// comes by fills its candidates with them and goes no further: with 1,500 equal vectors among 3,000, recall@10 fell to
// 0.71 (measured). So only the first of equal vectors is a member of the graph. The others, its twins, hang in a chain:
//
//     member --next--> twin --next--> twin        (each twin also knows the one before it)
//
// A search takes them from there when their member is among the answers. When the member is removed, the first twin takes
// its place in every list: the vector is the same, so nothing in the graph has to be repaired.

internal import Base
internal import KeySpace
internal import LMDB

extension VectorIndex {
    /// The member that has exactly these bytes, if the search met it: it is the nearest that there can be.
    func member(equalTo bytes: [UInt8], among ranked: [Candidate], in view: borrowing TransactionView) throws -> UInt32? {
        var key = NodeKey(scope, .vector)
        // Float32 rounding leaves the product of a unit vector with itself within 1e-3 of 1 (`unitTolerance`).
        for candidate in ranked {
            guard candidate.similarity >= 1 - 2 * Self.unitTolerance else { return nil }
            key.point(to: candidate.node)
            if try view.loadBytes(key.bytes) == bytes { return candidate.node }
        }
        return nil
    }

    /// Puts the new node into the chain, right behind its member.
    func hang(_ new: UInt32, onto member: UInt32, _ edit: inout GraphEdit, in view: borrowing TransactionView) throws {
        var links = try edit.load(member, in: view)
        edit.set(new, NodeLinks(after: member, before: links.nextTwin))
        if let next = links.nextTwin { try edit.setPreviousTwin(of: next, to: new, in: view) }
        links.nextTwin = new
        edit.set(member, links)
    }

    /// Takes a twin out of its chain.
    func unhang(_ twin: UInt32, _ links: NodeLinks, _ edit: inout GraphEdit, in view: borrowing TransactionView) throws {
        guard let previous = links.previousTwin else { return }
        var before = try edit.load(previous, in: view)
        before.nextTwin = links.nextTwin
        edit.set(previous, before)
        if let next = links.nextTwin { try edit.setPreviousTwin(of: next, to: previous, in: view) }
    }

    /// Gives a member's place in the graph to its first twin.
    func replace(_ member: UInt32, _ links: NodeLinks, by heir: UInt32, _ edit: inout GraphEdit, in view: borrowing TransactionView) throws {
        var heirLinks = NodeLinks(level: links.level)
        heirLinks.nextTwin = try edit.load(heir, in: view).nextTwin
        edit.set(heir, heirLinks)
        for (level, neighbours) in links.levels.enumerated() {
            for neighbour in neighbours {
                try edit.load(neighbour, in: view)
                try edit.unlink(member, neighbour, at: level)
                try edit.link(heir, neighbour, at: level)
            }
        }
    }

    /// The best `count` of what a search found, each with its twins, and each cosine computed again from bytes whose seal was
    /// checked: the walk itself does not look at the seals of vectors (see `GraphWalk`).
    func matches(_ query: [Float], _ pool: CandidatePool, _ count: Int, in view: borrowing TransactionView) throws -> [VectorMatch] {
        var matches: [VectorMatch] = []
        var edit = GraphEdit(self)
        let cosines = try cosines(query, of: pool.items.prefix(count).map { NodeID(rawValue: $0.node) }, in: view)
        for (candidate, cosine) in zip(pool.items, cosines) where matches.count < count {
            guard let cosine else { throw GraphDamage.missing("vector", candidate.node) }
            matches.append(VectorMatch(node: NodeID(rawValue: candidate.node), cosine: cosine))
            var next = try edit.load(candidate.node, in: view).nextTwin
            while let twin = next, matches.count < count {
                matches.append(VectorMatch(node: NodeID(rawValue: twin), cosine: cosine))
                next = try edit.load(twin, in: view).nextTwin
            }
        }
        matches.sort { $0.cosine > $1.cosine || ($0.cosine == $1.cosine && $0.node < $1.node) }
        return matches
    }
}
