public import Base
internal import Hashing
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

    /// Where the present state of a document comes from, and the metadata that came along (JSON, compact; empty when none did). Its nodes are not
    /// read.
    public func origin(of id: DocumentID, in view: borrowing TransactionView) throws -> DocumentOrigin? {
        guard let bytes = try view.loadBytes(scope.key(.document, id.rawValue)) else { return nil }
        return try DocumentRecord.origin(bytes)
    }

    public func node(_ id: NodeID, in view: borrowing TransactionView) throws -> NodeRecord? {
        guard let bytes = try view.loadBytes(scope.key(.node, id.rawValue)) else { return nil }
        return try NodeRecord.decode(bytes)
    }

    /// The node that an entry of the indexes is of: that of its number, or the long one whose passages reach so far.
    /// - Complexity: O(log n).
    public func node(of entry: NodeID, in view: borrowing TransactionView) throws -> (id: NodeID, record: NodeRecord)? {
        if let record = try node(entry, in: view) { return (entry, record) }
        var found: (id: NodeID, record: NodeRecord)?
        try view.scanRecords(prefix: scope.key(.node), from: scope.key(.node, entry.rawValue), .descending) { key, payload in
            found = (Self.nodeID(ofKey: key), try NodeRecord.decode(Array(payload)))
            return .stop
        }
        guard let found, Int(entry.rawValue - found.id.rawValue) < found.record.extent.numbers else { return nil }
        return found
    }

    /// The document that an entry of the indexes is of, and the kind of its node, without reading the node's data.
    /// - Complexity: O(log n).
    public func owner(of entry: NodeID, in view: borrowing TransactionView) throws -> (document: DocumentID, kind: String)? {
        var found: (document: DocumentID, kind: String)?
        try view.scanRecords(prefix: scope.key(.node), from: scope.key(.node, entry.rawValue), .descending) { _, payload in
            if payload.byteCount > NodeRecord.headUsual {
                found = try? NodeRecord.head(Array(payload.extracting(0..<NodeRecord.headUsual)))
            }
            if found == nil { found = try NodeRecord.head(Array(payload)) }
            return .stop
        }
        return found
    }

    /// Whether a document has had several nodes, or passages, since the project began.
    public func hasWholes(in view: borrowing TransactionView) throws -> Bool { try Counters.load(scope, in: view).hasWholes }

    /// The numbers of a document's nodes and of the passages of its long ones, rising: of those of gathered nodes the indexes have the first.
    /// - Returns: nil when there is a single one, or more than `max`.
    public func numbers(of id: DocumentID, max: Int, in view: borrowing TransactionView) throws -> (entries: [NodeID], nodes: Int)? {
        guard let document = try document(id, in: view), document.numberCount > 1, document.numberCount <= max else { return nil }
        return ((document.nodes + document.furtherPassages).sorted(), document.nodes.count)
    }

    /// Nodes in the order of their numbers, from one on: at most `count`, and of nodes that are gathered all or none.
    /// - Complexity: O(log n + count).
    public func nodes(
        from first: NodeID, count: Int, in view: borrowing TransactionView
    ) throws -> [(id: NodeID, record: NodeRecord)] {
        var found: [(id: NodeID, record: NodeRecord)] = []
        try view.scanRecords(prefix: scope.key(.node), from: scope.key(.node, first.rawValue)) { key, payload in
            let record = try NodeRecord.decode(Array(payload))
            found.append((Self.nodeID(ofKey: key), record))
            if case .gathered(let place, let all) = record.extent, place + 1 < all { return .onward }
            return found.count < count ? .onward : .stop
        }
        return found
    }

    /// Every node of the project, in the order of their numbers.
    /// - Complexity: O(nodes), each decoded.
    public func forEachNode(in view: borrowing TransactionView, _ body: (NodeID, NodeRecord) throws -> Void) throws {
        try view.scanRecords(prefix: scope.key(.node)) { key, payload in
            try body(Self.nodeID(ofKey: key), try NodeRecord.decode(Array(payload)))
            return .onward
        }
    }

    private static func nodeID(ofKey key: [UInt8]) -> NodeID { NodeID(rawValue: UInt32(lastOf: key)) }

    /// Documents that exist, by key.
    /// - Complexity: O(n) records; each is loaded, one at a time.
    /// - Parameter deleted: those that were deleted as well.
    public func forEachDocument(
        deleted: Bool = false, in view: borrowing TransactionView, _ body: (DocumentRecord) throws -> Void
    ) throws {
        var ids: [DocumentID] = []
        try view.scanRecords(prefix: scope.key(.documentByKey)) { _, payload in
            ids.append(try Self.place(Array(payload)))
            return .onward
        }
        for id in ids {
            guard let document = try document(id, in: view) else {
                throw ContexError.damaged("document \(id.rawValue) is listed by key but is not there")
            }
            if document.exists || deleted { try body(document) }
        }
    }

    /// Documents by key, the deleted ones too, from a place on: the bytes that stand for a key in this order. For reading only.
    /// - Parameter place: of the first, or before it; empty: from the beginning.
    /// - Complexity: O(log n) to begin and for each; one is loaded at a time.
    public func forEachDocument(
        from place: [UInt8], in view: borrowing TransactionView, _ body: (_ place: [UInt8], DocumentRecord) throws -> TransactionView.Step
    ) throws {
        let prefix = scope.key(.documentByKey)
        try view.scanRecords(prefix: prefix, from: prefix + place) { key, payload in
            let id = try Self.place(Array(payload))
            guard let document = try document(id, in: view) else {
                throw ContexError.damaged("document \(id.rawValue) is listed by key but is not there")
            }
            return try body(Array(key.dropFirst(prefix.count)), document)
        }
    }

    /// What an event did to a document.
    public enum Mark: Sendable, Equatable {
        /// It took new content.
        case content(Sequence)
        case deletion(Sequence)

        init?(_ mark: OwnMark, _ sequence: Sequence) {
            switch mark {
            case .none: return nil
            case .content: self = .content(sequence)
            case .deletion: self = .deletion(sequence)
            }
        }

        var own: OwnMark { if case .content = self { .content } else { .deletion } }

        public var sequence: Sequence {
            switch self {
            case .content(let sequence), .deletion(let sequence): sequence
            }
        }
    }

    /// Newest first.
    /// - Parameter last: no event after this one; nil: from the newest on.
    /// - Complexity: O(log n + marks).
    private func forEachMark(
        of id: DocumentID, upTo last: Sequence? = nil, in view: borrowing TransactionView, _ body: (Mark) throws -> TransactionView.Step
    ) throws {
        if let own = try ownMark(of: id, in: view), last.map({ own.sequence <= $0 }) ?? true, try body(own) == .stop { return }
        let from = last.map { scope.key(.documentVersion, id.rawValue, $0.rawValue) }
        try view.scanRecords(prefix: scope.key(.documentVersion, id.rawValue), from: from, .descending) { key, payload in
            let sequence = Sequence(rawValue: UInt64(lastOf: key))
            return try body(try Self.mark(sequence, payload))
        }
    }

    /// What the document's record says of its own event.
    private func ownMark(of id: DocumentID, in view: borrowing TransactionView) throws -> Mark? {
        guard let (sequence, mark) = try head(of: id, in: view) else { return nil }
        return Mark(mark, sequence)
    }

    private func head(of id: DocumentID, in view: borrowing TransactionView) throws -> (sequence: Sequence, mark: OwnMark)? {
        guard let payload = try view.load(scope.key(.document, id.rawValue)) else { return nil }
        var reader = ByteReader(Array(payload.extracting(0..<min(payload.byteCount, OwnMark.byteCount))))
        return try OwnMark.read(&reader)
    }

    private static func mark(_ sequence: Sequence, _ payload: RawSpan) throws -> Mark {
        if payload.isEmpty { return .content(sequence) }
        var reader = ByteReader(Array(payload))
        let isDeletion = try reader.bool()
        try reader.end()
        guard isDeletion else { throw ContexError.damaged("version \(sequence) of a document is marked as neither content nor deletion") }
        return .deletion(sequence)
    }

    /// Sequences of the events that gave a document content, newest first.
    public func versions(of id: DocumentID, count: Int, in view: borrowing TransactionView) throws -> [Sequence] {
        var found: [Sequence] = []
        guard count > 0 else { return found }
        try forEachMark(of: id, in: view) { mark in
            if case .content(let sequence) = mark { found.append(sequence) }
            return found.count < count ? .onward : .stop
        }
        return found
    }

    /// The same one by one, from an event on.
    public func forEachVersion(
        of id: DocumentID, upTo last: Sequence?, in view: borrowing TransactionView, _ body: (Sequence) throws -> TransactionView.Step
    ) throws {
        try forEachMark(of: id, upTo: last, in: view) { mark in
            guard case .content(let sequence) = mark else { return .onward }
            return try body(sequence)
        }
    }

    public func hasVersion(_ sequence: Sequence, of id: DocumentID, in view: borrowing TransactionView) throws -> Bool {
        if try ownMark(of: id, in: view) == .content(sequence) { return true }
        guard let payload = try view.load(scope.key(.documentVersion, id.rawValue, sequence.rawValue)) else { return false }
        return try Self.mark(sequence, payload) == .content(sequence)
    }

    /// What last happened to a document at or before an event; nil when the log says nothing of it until then.
    /// - Complexity: O(log n).
    public func mark(of id: DocumentID, at sequence: Sequence, in view: borrowing TransactionView) throws -> Mark? {
        var found: Mark?
        try forEachMark(of: id, upTo: sequence, in: view) { mark in
            found = mark
            return .stop
        }
        return found
    }

    /// Everything that happened to a document, newest first.
    /// - Parameters:
    ///   - last: no event after this one; nil: from the newest on.
    ///   - count: so many at most.
    public func marks(of id: DocumentID, upTo last: Sequence? = nil, count: Int = .max, in view: borrowing TransactionView) throws -> [Mark] {
        var found: [Mark] = []
        guard count > 0 else { return found }
        try forEachMark(of: id, upTo: last, in: view) { mark in
            found.append(mark)
            return found.count < count ? .onward : .stop
        }
        return found
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

    /// The number of every entry that the indexes have of the nodes; for rebuilding.
    public func entries(in view: borrowing TransactionView) throws -> [NodeID] {
        var found: [NodeID] = []
        try forEachNode(in: view) { id, node in
            if case .gathered(let place, _) = node.extent, place > 0 { return }
            found += (0..<UInt32(node.extent.numbers)).map { NodeID(rawValue: id.rawValue + $0) }
        }
        return found
    }

    // MARK: - Writing

    /// A new document's number, and its place under the key.
    /// - Throws: `.limited` when the project has used up its numbers.
    public func create(_ key: Name, in transaction: inout WriteTransaction) throws -> DocumentID {
        var counters = try Counters.load(scope, in: transaction.view)
        guard counters.lastDocument < .max else {
            throw ContexError(.numbersExhausted, "the project has had \(UInt32.max) documents, the most there can be: export what you need into a new project")
        }
        counters.lastDocument += 1
        guard try transaction.view.get(scope.key(.document, counters.lastDocument)) == nil else {
            throw ContexError.damaged("the next document would get number \(counters.lastDocument), which another one has: run 'contex check'")
        }
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
            throw ContexError(
                .numbersExhausted, "the project has had \(counters.lastNode) nodes and there are no numbers left: export what you need into a new project")
        }
        let first = counters.lastNode + 1
        try transaction.view.scan(prefix: scope.key(.node), from: scope.key(.node, first)) { _, _ in
            throw ContexError.damaged("the next node would get number \(first), and there are others from there on: run 'contex check'")
        }
        counters.lastNode += UInt32(count)
        try counters.store(scope, in: &transaction)
        return (first...counters.lastNode).map { NodeID(rawValue: $0) }
    }

    /// Holds a listing against the numbers that were given: a key once entered stays, so what was listed to its end on one state is as many.
    /// - Parameter keys: how many there were, the deleted ones too.
    /// - Throws: `.damaged`
    public func verify(keys: Int, in view: borrowing TransactionView) throws {
        let given = try Counters.load(scope, in: view).lastDocument
        guard keys == Int(given) else {
            throw ContexError.damaged("\(keys) keys are listed, and \(given) numbers of documents were given: run 'contex check'")
        }
    }

    /// The last number that was given to a node.
    public func lastNode(in view: borrowing TransactionView) throws -> UInt32 { try Counters.load(scope, in: view).lastNode }

    /// Puts a document in the place of what it was. Was that one of its versions, it is remembered as one.
    public func put(_ document: DocumentRecord, in transaction: inout WriteTransaction) throws {
        Invariants.hold(document.checkInvariants())
        var mark = OwnMark.none
        if let known = try head(of: document.id, in: transaction.view) {
            if known.sequence == document.sequence {
                mark = known.mark
            } else if let past = Mark(known.mark, known.sequence) {
                try store(past, of: document.id, in: &transaction)
            }
        }
        try transaction.store(scope.key(.document, document.id.rawValue), document.encode(mark))
        guard document.numberCount > 1 else { return }
        var counters = try Counters.load(scope, in: transaction.view)
        guard !counters.hasWholes else { return }
        counters.hasWholes = true
        try counters.store(scope, in: &transaction)
    }

    public func put(_ node: NodeRecord, as id: NodeID, in transaction: inout WriteTransaction) throws {
        try transaction.store(scope.key(.node, id.rawValue), node.encode())
    }

    public func removeNode(_ id: NodeID, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.node, id.rawValue))
    }

    /// Notes that an event gave a document content.
    public func addVersion(_ sequence: Sequence, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        try note(.content(sequence), of: id, in: &transaction)
    }

    public func addDeletion(_ sequence: Sequence, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        try note(.deletion(sequence), of: id, in: &transaction)
    }

    /// In the document's record when that names the event, else in one of its own.
    private func note(_ mark: Mark, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        let key = scope.key(.document, id.rawValue)
        guard try head(of: id, in: transaction.view)?.sequence == mark.sequence, var record = try transaction.view.loadBytes(key) else {
            return try store(mark, of: id, in: &transaction)
        }
        record[OwnMark.offset] = mark.own.rawValue
        try transaction.store(key, record)
    }

    private func store(_ mark: Mark, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        if case .deletion = mark { writer.bool(true) }
        try transaction.store(scope.key(.documentVersion, id.rawValue, mark.sequence.rawValue), writer.bytes)
    }

    /// Forgets what an event did to a document: it is about to go.
    public func removeMark(_ sequence: Sequence, of id: DocumentID, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.documentVersion, id.rawValue, sequence.rawValue))
        let key = scope.key(.document, id.rawValue)
        guard let own = try head(of: id, in: transaction.view), own.sequence == sequence, own.mark != .none,
            var record = try transaction.view.loadBytes(key)
        else { return }
        record[OwnMark.offset] = OwnMark.none.rawValue
        try transaction.store(key, record)
    }

    /// Takes a document's key away from it: whoever publishes under the key begins another document. The number stays given, under a name that
    /// nobody can ask for.
    public func forgetKey(of document: DocumentRecord, in transaction: inout WriteTransaction) throws {
        var nameless = DocumentRecord(
            id: document.id, key: Name(stored: "\u{0}erased:\(document.id.rawValue)"), sequence: document.sequence, exists: false, format: "json",
            updatedAt: document.updatedAt, fingerprint: .zero, nodes: [])
        nameless.metadata = []
        try transaction.delete(scope.key(.documentByKey, text: document.key.text))
        var writer = ByteWriter()
        writer.u32(document.id.rawValue)
        try transaction.store(scope.key(.documentByKey, text: nameless.key.text), writer.bytes)
        try put(nameless, in: &transaction)
    }

    /// Forgets all versions of all documents: their events are about to be replaced.
    public func removeAllVersions(in transaction: inout WriteTransaction) throws {
        try transaction.deleteAll(prefix: scope.key(.documentVersion))
        var marked: [([UInt8], [UInt8])] = []
        try transaction.view.scanRecords(prefix: scope.key(.document)) { key, payload in
            var reader = ByteReader(Array(payload))
            if try OwnMark.read(&reader).mark != .none { marked.append((key, Array(payload))) }
            return .onward
        }
        for (key, record) in marked {
            var record = record
            record[OwnMark.offset] = OwnMark.none.rawValue
            try transaction.store(key, record)
        }
    }

    /// The last numbers given, and what is true of all documents so far.
    private struct Counters {
        var lastDocument: UInt32 = 0
        var lastNode: UInt32 = 0
        /// A document took several numbers at once. Never taken back: it only spares looking.
        var hasWholes = false

        static func load(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Counters {
            guard let bytes = try view.loadBytes(scope.key(.documentState)) else { return Counters() }
            var reader = ByteReader(bytes)
            var counters = Counters(lastDocument: try reader.u32(), lastNode: try reader.u32(), hasWholes: true)
            // The mark stands there until one has come; records of before have none.
            if reader.remaining > 0 {
                guard try reader.u8() == 0 else { throw ByteError.malformed(at: reader.offset - 1) }
                counters.hasWholes = false
            }
            try reader.end()
            return counters
        }

        func store(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
            var writer = ByteWriter()
            writer.u32(lastDocument)
            writer.u32(lastNode)
            if !hasWholes { writer.u8(0) }
            try transaction.store(scope.key(.documentState), writer.bytes)
        }
    }
}
