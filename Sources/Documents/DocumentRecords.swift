public import Base
public import Hashing

/// What a key holds now: its last event and the nodes it was split into.
public struct DocumentRecord: Sendable, Equatable {
    public let id: DocumentID
    public let key: Name
    /// The event that gave it its present state.
    public var sequence: Sequence
    /// False once deleted: no nodes, not listed, but its versions stay readable.
    public var exists: Bool
    /// The format that the data was split as.
    public var format: String
    /// Of the event that gave it its present state.
    public var updatedAt: Timestamp
    /// Whose publish it was; nil while authentication is off.
    public var publisher: Publisher?
    /// JSON, compact: the object that came along with the data; empty when none did.
    public var metadata: [UInt8]
    /// Over hint, event type, own vector, metadata and data: equal fingerprints mean that a publish changes nothing.
    public var fingerprint: SHA256Digest
    /// In the order of the document.
    public var nodes: [NodeID]

    public init(
        id: DocumentID, key: Name, sequence: Sequence, exists: Bool, format: String, updatedAt: Timestamp, publisher: Publisher? = nil,
        metadata: [UInt8] = [], fingerprint: SHA256Digest, nodes: [NodeID]
    ) {
        self.id = id
        self.key = key
        self.sequence = sequence
        self.exists = exists
        self.format = format
        self.updatedAt = updatedAt
        self.publisher = publisher
        self.metadata = metadata
        self.fingerprint = fingerprint
        self.nodes = nodes
    }

    /// A node is in one place of one document, and what was deleted has none. Each finding is a sentence; for tests.
    public func checkInvariants() -> [String] {
        var faults: [String] = []
        if Set(nodes).count != nodes.count { faults.append("document '\(key)' names a node twice") }
        if !exists, !nodes.isEmpty { faults.append("document '\(key)' is deleted and has \(nodes.count) nodes") }
        return faults
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + nodes.count * 3)
        writer.u64(sequence.rawValue)
        writer.bool(exists)
        writer.text(key.text)
        writer.text(format)
        writer.i64(updatedAt.rawValue)
        writer.publisher(publisher)
        writer.blob(metadata)
        writer.raw(fingerprint.bytes)
        writer.varint(UInt64(nodes.count))
        for node in nodes { writer.varint(UInt64(node.rawValue)) }
        return writer.bytes
    }

    /// Of a record, without looking at what stands behind it.
    static func metadata(_ bytes: [UInt8]) throws -> [UInt8] {
        var reader = ByteReader(bytes)
        _ = (try reader.u64(), try reader.bool(), try reader.blob(), try reader.blob(), try reader.i64(), try reader.publisher())
        return Array(try reader.blob())
    }

    static func decode(_ bytes: [UInt8], id: DocumentID) throws -> DocumentRecord {
        var reader = ByteReader(bytes)
        let sequence = Sequence(rawValue: try reader.u64())
        let exists = try reader.bool()
        let key = Name(stored: try reader.text())
        let format = try reader.text()
        let updatedAt = Timestamp(rawValue: try reader.i64())
        let publisher = try reader.publisher()
        let metadata = Array(try reader.blob())
        let fingerprint = try reader.sha256()
        let count = try reader.count(limit: reader.remaining)
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(NodeID(rawValue: UInt32(try reader.count(limit: Int(UInt32.max))))) }
        try reader.end()
        return DocumentRecord(
            id: id, key: key, sequence: sequence, exists: exists, format: format, updatedAt: updatedAt, publisher: publisher, metadata: metadata,
            fingerprint: fingerprint, nodes: nodes)
    }
}

/// One searchable part of a document.
public struct NodeRecord: Sendable, Equatable {
    public let document: DocumentID
    /// The document's key, so that a match needs no second look-up.
    public let documentKey: String
    /// Within the document: `root`, `people[0]`, `row_3` ...
    public let path: String
    public let kind: String
    public let format: String
    /// What answers show of it.
    public let description: String
    /// JSON, compact.
    public let data: [UInt8]
    /// cl100k tokens of the data as Python's `json.dumps` prints it.
    public let tokenCount: Int
    /// The publisher brought the vector: it is in the event that the document names, and no model makes it anew.
    public let hasOwnVector: Bool

    public init(
        document: DocumentID, documentKey: String, path: String, kind: String, format: String, description: String, data: [UInt8],
        tokenCount: Int, hasOwnVector: Bool = false
    ) {
        self.document = document
        self.documentKey = documentKey
        self.path = path
        self.kind = kind
        self.format = format
        self.description = description
        self.data = data
        self.tokenCount = tokenCount
        self.hasOwnVector = hasOwnVector
    }

    /// The name of a node outside: document key, dot, path.
    public var nodeKey: String { "\(documentKey).\(path)" }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: data.count + description.utf8.count + 64)
        writer.u32(document.rawValue)
        writer.text(documentKey)
        writer.text(path)
        writer.text(kind)
        writer.text(format)
        writer.varint(UInt64(tokenCount))
        writer.text(description)
        writer.blob(data)
        writer.bool(hasOwnVector)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> NodeRecord {
        var reader = ByteReader(bytes)
        let document = DocumentID(rawValue: try reader.u32())
        let documentKey = try reader.text()
        let path = try reader.text()
        let kind = try reader.text()
        let format = try reader.text()
        let tokenCount = try reader.count()
        let description = try reader.text()
        let data = Array(try reader.blob())
        let hasOwnVector = try reader.bool()
        try reader.end()
        return NodeRecord(
            document: document, documentKey: documentKey, path: path, kind: kind, format: format, description: description,
            data: data, tokenCount: tokenCount, hasOwnVector: hasOwnVector)
    }
}

extension NodeRecord {
    /// About what it holds in memory.
    public var byteCount: Int { data.count + description.utf8.count + documentKey.utf8.count + path.utf8.count + 64 }
}
