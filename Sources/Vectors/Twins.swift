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
internal import Glibc
internal import LMDB

extension VectorIndex {
    /// The member that has exactly this vector, if the search met it: it is the nearest that there can be.
    func member(
        equalTo vector: [Float], slot new: UInt32, among ranked: [Candidate], _ edit: GraphEdit, in view: borrowing TransactionView
    ) throws -> UInt32? {
        let access = edit.access
        let code = try unsafe access.code(new, in: view)
        for candidate in ranked {
            // An estimated cosine is off by less than a tenth of this: farther candidates have other vectors.
            guard candidate.similarity >= 0.9 else { return nil }
            let other = try unsafe access.code(candidate.slot, in: view)
            guard unsafe memcmp(code, other, access.layout.codeBytes) == 0 else { continue }
            let bytes = VectorBytes.encoded(vector)
            let stored = try unsafe access.vector(candidate.slot, in: view)
            if unsafe memcmp(bytes, stored, access.layout.vectorBytes) == 0 { return candidate.slot }
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

}
