// Attributes of documents, by value: for each attribute and value the nodes of the documents that have it, in chunks
// (NodeChunk.swift) under keys in the order of the values (AttributeKey.swift). A condition is then the union of a few records
// or of a stretch of them, and a filter is a handful of operations on bits; nothing is looked up for each node.
//
// The time of the last change is different: nearly every document has its own. It lies in a column by node number, 128 to
// a record, so that a range of times is a walk over n / 128 records and not over as many as there are documents.
//
// Nodes and not documents are what stands in the chunks, because that is what both searches ask about. The nodes of a document
// are numbered together, so that a chunk of them is a run of four bytes. The further passages of long nodes stand in the chunks like nodes, and
// under an entry of their own, so that nodes can be counted.

internal import Base
public import KeySpace
public import LMDB

/// The attributes of one project's documents, inside the caller's transaction. The value holds no state.
public struct AttributeIndex: Sendable {
    public let scope: TenantScope

    public init(scope: TenantScope) { self.scope = scope }

    // MARK: - Writing

    /// Takes a document as it was out of the index, and puts it in as it is now; either may be missing.
    ///
    /// What is the same in both is not touched.
    /// - Complexity: O((entries that differ) x (chunks that its nodes lie in)), a record read and written for each.
    public func replace(_ old: DocumentAttributes?, with new: DocumentAttributes?, in transaction: inout WriteTransaction) throws {
        let (before, after) = (Set(old?.numbers ?? []), Set(new?.numbers ?? []))
        let (gone, come) = (Chunks(before.subtracting(after)), Chunks(after.subtracting(before)))
        let (had, has) = (before.isEmpty ? [] : old?.entries() ?? [], after.isEmpty ? [] : new?.entries() ?? [])
        let (all, whole) = (Chunks(before), Chunks(after))
        var (left, right) = (had[...], has[...])
        while true {
            switch (left.first, right.first) {
            case (let a?, let b?) where a == b:
                try change(a, removing: gone, adding: come, in: &transaction)
                (left, right) = (left.dropFirst(), right.dropFirst())
                continue
            case (let a?, let b) where b == nil || a.lexicographicallyPrecedes(b!):
                try change(a, removing: all, adding: Chunks([]), in: &transaction)
                left = left.dropFirst()
                continue
            case (_, let b?):
                try change(b, removing: Chunks([]), adding: whole, in: &transaction)
                right = right.dropFirst()
                continue
            default: break
            }
            break
        }
        let (furtherBefore, further) = (Set(old?.furtherPassages ?? []), Set(new?.furtherPassages ?? []))
        if furtherBefore != further {
            try change(
                AttributeKey.furtherPassages, removing: Chunks(furtherBefore.subtracting(further)),
                adding: Chunks(further.subtracting(furtherBefore)), in: &transaction)
        }
        try TimeColumn(scope: scope).set(nil, of: before.subtracting(after), in: &transaction)
        if let new { try TimeColumn(scope: scope).set(new.updatedAt, of: after, in: &transaction) }
    }

    /// Removes everything.
    public func removeAll(in transaction: inout WriteTransaction) throws {
        for kind in [KeyKind.attributeNodes, .attributeTimes] { try transaction.deleteAll(prefix: scope.key(kind)) }
    }

    /// Places by chunk.
    private struct Chunks {
        var chunks: [UInt32: [Int]] = [:]

        init(_ nodes: Set<NodeID>) {
            for node in nodes { chunks[NodeChunk.number(of: node), default: []].append(NodeChunk.place(of: node)) }
        }
    }

    private func change(_ entry: [UInt8], removing: Chunks, adding: Chunks, in transaction: inout WriteTransaction) throws {
        for number in Set(removing.chunks.keys).union(adding.chunks.keys).sorted() {
            let key = key(entry, chunk: number)
            var chunk = NodeChunk()
            if let payload = try transaction.view.load(key) { chunk = try NodeChunk(payload) }
            let before = chunk
            for place in removing.chunks[number] ?? [] { chunk.remove(place) }
            for place in adding.chunks[number] ?? [] { chunk.insert(place) }
            guard chunk != before else { continue }
            if chunk.count > 0 {
                try transaction.store(key, chunk.encode())
            } else {
                try transaction.delete(key)
            }
        }
    }

    // MARK: - Keys

    func key(_ entry: [UInt8]) -> [UInt8] { scope.key(.attributeNodes, bytes: entry) }

    func key(_ entry: [UInt8], chunk: UInt32) -> [UInt8] {
        var key = key(entry)
        key.append(bigEndian: chunk)
        return key
    }

    static func chunk(ofKey key: [UInt8]) -> UInt32 { UInt32(lastOf: key) }
}
