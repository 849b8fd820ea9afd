public import Base
public import KeySpace
public import LMDB

/// The documents and nodes of one project as they are now, and where their versions lie in the log.
public struct DocumentStore: Sendable {
    public let scope: TenantScope

    public init(scope: TenantScope) { self.scope = scope }

    // MARK: - Reading

    public func document(_ key: Name, in view: borrowing TransactionView) throws -> DocumentRecord? {
        guard let bytes = try view.loadBytes(scope.key(.documentByKey, text: key.text)) else { return nil }
        let id = try Self.place(bytes)
        guard let document = try document(id, in: view) else {
            throw ContexError.damaged("the key '\(key)' points at document \(id.rawValue), which is not there")
        }
        // Two long keys may share a place (KeyText); the second comer is refused rather than mixed up with the first.
        guard document.key == key else {
            throw ContexError.invalid(
                field: "data_key", kind: "value_error", message: "Value error, this long key collides with another; choose a different one")
        }
        return document
    }

    /// The document that a key's place names.
    private static func place(_ bytes: [UInt8]) throws -> DocumentID {
        var reader = ByteReader(bytes)
        let id = DocumentID(rawValue: try reader.u32())
        try reader.end()
        return id
    }

    public func document(_ id: DocumentID, in view: borrowing TransactionView) throws -> DocumentRecord? {
        guard let bytes = try view.loadBytes(scope.key(.document, id.rawValue)) else { return nil }
        return try DocumentRecord.decode(bytes, id: id)
    }

    public func node(_ id: NodeID, in view: borrowing TransactionView) throws -> NodeRecord? {
        guard let bytes = try view.loadBytes(scope.key(.node, id.rawValue)) else { return nil }
        return try NodeRecord.decode(bytes)
    }

    /// Nodes in the order of their numbers, from one on: at most `count`.
    /// - Complexity: O(log n + count).
    public func nodes(
        from first: NodeID, count: Int, in view: borrowing TransactionView
    ) throws -> [(id: NodeID, record: NodeRecord)] {
        var found: [(id: NodeID, record: NodeRecord)] = []
        try view.scanRecords(prefix: scope.key(.node), from: scope.key(.node, first.rawValue)) { key, payload in
            found.append((Self.nodeID(ofKey: key), try NodeRecord.decode(Array(payload))))
            return found.count < count ? .onward : .stop
        }
        return found
    }

    private static func nodeID(ofKey key: [UInt8]) -> NodeID { NodeID(rawValue: key.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }) }

    /// Documents that exist, by key.
    /// - Complexity: O(n) records; each is loaded, one at a time.
    public func forEachDocument(in view: borrowing TransactionView, _ body: (DocumentRecord) throws -> Void) throws {
        var ids: [DocumentID] = []
        try view.scanRecords(prefix: scope.key(.documentByKey)) { _, payload in
            ids.append(try Self.place(Array(payload)))
            return .onward
        }
        for id in ids {
            guard let document = try document(id, in: view) else {
                throw ContexError.damaged("document \(id.rawValue) is listed by key but is not there")
            }
            if document.exists { try body(document) }
        }
    }

    /// Sequences of the events that gave a document content, newest first.
    public func versions(of id: DocumentID, count: Int, in view: borrowing TransactionView) throws -> [Sequence] {
        var found: [Sequence] = []
        guard count > 0 else { return found }
        try view.scanRecords(prefix: scope.key(.documentVersion, id.rawValue), .descending) { key, _ in
            found.append(Sequence(rawValue: key.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }))
            return found.count < count ? .onward : .stop
        }
        return found
    }

    public func hasVersion(_ sequence: Sequence, of id: DocumentID, in view: borrowing TransactionView) throws -> Bool {
        try view.load(scope.key(.documentVersion, id.rawValue, sequence.rawValue)) != nil
    }

    /// Every node's number, from the node records themselves; for checks and rebuilding.
    public func nodeIDs(in view: borrowing TransactionView) throws -> [NodeID] {
        var found: [NodeID] = []
        try view.scanRecords(prefix: scope.key(.node)) { key, _ in
            found.append(Self.nodeID(ofKey: key))
            return .onward
        }
        return found
    }

    // MARK: - Writing

    /// A new document's number, and its place under the key.
    /// - Throws: `.limited` when the project has used up its numbers.
    public func create(_ key: Name, in transaction: inout WriteTransaction) throws -> DocumentID {
        var counters = try Counters.load(scope, in: transaction.view)
        guard counters.lastDocument < .max else {
            throw ContexError(.limited, "the project has had \(UInt32.max) documents, the most there can be: export what you need into a new project")
        }
        counters.lastDocument += 1
        try counters.store(scope, in: &transaction)
        var writer = ByteWriter()
        writer.u32(counters.lastDocument)
        try transaction.store(scope.key(.documentByKey, text: key.text), writer.bytes)
        return DocumentID(rawValue: counters.lastDocument)
    }

    /// Numbers for new nodes, never given before.
    /// - Throws: `.limited` when the project has used up its numbers.
    public func reserveNodes(_ count: Int, in transaction: inout WriteTransaction) throws -> [NodeID] {
        guard count > 0 else { return [] }
        var counters = try Counters.load(scope, in: transaction.view)
        guard count <= Int(UInt32.max - counters.lastNode) else {
            throw ContexError(.limited, "the project has had \(counters.lastNode) nodes and there are no numbers left: export what you need into a new project")
        }
        let first = counters.lastNode + 1
        counters.lastNode += UInt32(count)
        try counters.store(scope, in: &transaction)
        return (first...counters.lastNode).map { NodeID(rawValue: $0) }
    }

    public func put(_ document: DocumentRecord, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.document, document.id.rawValue), document.encode())
    }

    public func put(_ node: NodeRecord, as id: NodeID, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.node, id.rawValue), node.encode())
    }

    public func removeNode(_ id: NodeID, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.node, id.rawValue))
    }

    public func addVersion(_ sequence: Sequence, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.documentVersion, id.rawValue, sequence.rawValue), [])
    }

    /// Forgets all versions of all documents: their events are about to be replaced.
    public func removeAllVersions(in transaction: inout WriteTransaction) throws {
        try transaction.deleteAll(prefix: scope.key(.documentVersion))
    }

    /// The last numbers given.
    private struct Counters {
        var lastDocument: UInt32 = 0
        var lastNode: UInt32 = 0

        static func load(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Counters {
            guard let bytes = try view.loadBytes(scope.key(.documentState)) else { return Counters() }
            var reader = ByteReader(bytes)
            let counters = Counters(lastDocument: try reader.u32(), lastNode: try reader.u32())
            try reader.end()
            return counters
        }

        func store(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
            var writer = ByteWriter()
            writer.u32(lastDocument)
            writer.u32(lastNode)
            try transaction.store(scope.key(.documentState), writer.bytes)
        }
    }
}
