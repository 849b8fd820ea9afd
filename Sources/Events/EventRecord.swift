public import Base
public import Hashing

/// One entry of a project's log. Never changed but by an erasure, never removed but by retention and erasure.
public struct EventRecord: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A document took new content; `data` is what was published.
        case published = 1
        /// A document went away; `data` is null.
        case deleted = 2
        /// An event taken over from an export as it stood there; `data` is the whole object that readers see.
        case imported = 3
        /// What it said was erased: only its place, its time and its hash are left, and the chain goes on over them.
        case erased = 4

        /// Whether `data` is the whole object that readers see.
        public var hasWholeObject: Bool { self == .imported || self == .erased }
    }

    public let sequence: Sequence
    /// Of the command that it belongs to, among all that have changed the store.
    public let position: Position
    public let kind: Kind
    /// The name that subscribers see: `<data_key>_updated` unless the publisher chose one.
    public let type: String
    /// The document's key; empty for an imported event.
    public let key: String
    /// The format hint of the publisher, else the format that was found.
    public let format: String
    public let recordedAt: Timestamp
    /// JSON, compact, as published.
    public let data: [UInt8]
    /// The vector that the publisher brought, of unit length; nil when the text is embedded. Never empty.
    public let vector: [Float]?
    /// JSON, compact: the object that came along with the data; empty when none did.
    public let metadata: [UInt8]
    /// nil while authentication is off.
    public let publisher: Publisher?
    /// SHA-256 over the hash of the event before and every field of this one.
    public let hash: SHA256Digest

    public init(
        sequence: Sequence, position: Position, kind: Kind, type: String, key: String, format: String, recordedAt: Timestamp, data: [UInt8],
        vector: [Float]? = nil, metadata: [UInt8] = [], publisher: Publisher? = nil, hash: SHA256Digest
    ) {
        self.sequence = sequence
        self.position = position
        self.kind = kind
        self.type = type
        self.key = key
        self.format = format
        self.recordedAt = recordedAt
        self.data = data
        self.vector = vector
        self.metadata = metadata
        self.publisher = publisher
        self.hash = hash
    }
}

/// What a command wants appended; sequence and hash come from the log.
public struct EventDraft: Sendable {
    public var kind: EventRecord.Kind
    public var type: String
    public var key: String
    public var format: String
    public var recordedAt: Timestamp
    public var data: [UInt8]
    /// The publisher's own, of unit length.
    public var vector: [Float]?
    public var metadata: [UInt8]
    public var publisher: Publisher?

    public init(
        kind: EventRecord.Kind, type: String, key: String, format: String, recordedAt: Timestamp, data: [UInt8], vector: [Float]? = nil,
        metadata: [UInt8] = [], publisher: Publisher? = nil
    ) {
        self.kind = kind
        self.type = type
        self.key = key
        self.format = format
        self.recordedAt = recordedAt
        self.data = data
        self.vector = vector
        self.metadata = metadata
        self.publisher = publisher
    }
}

extension EventRecord {
    /// docs/formats/events-v1.md: kind, time, position, type, key, format, data, vector, metadata, publisher, hash.
    static func encode(_ draft: EventDraft, at position: Position, hash: SHA256Digest) -> [UInt8] {
        var writer = ByteWriter(capacity: draft.data.count + 4 * (draft.vector?.count ?? 0) + 128)
        writer.u8(draft.kind.rawValue)
        writer.i64(draft.recordedAt.rawValue)
        writer.varint(position.rawValue)
        writer.text(draft.type)
        writer.text(draft.key)
        writer.text(draft.format)
        writer.blob(draft.data)
        writer.varint(UInt64(draft.vector?.count ?? 0))
        writer.floats(draft.vector ?? [])
        writer.blob(draft.metadata)
        writer.publisher(draft.publisher)
        writer.raw(hash.bytes)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], sequence: Sequence) throws -> EventRecord {
        var reader = ByteReader(bytes)
        guard let kind = Kind(rawValue: try reader.u8()) else {
            throw ContexError.damaged("event \(sequence) is of a kind that this build does not know")
        }
        let recordedAt = Timestamp(rawValue: try reader.i64())
        let position = Position(rawValue: try reader.varint())
        let type = try reader.text()
        let key = try reader.text()
        let format = try reader.text()
        let data = Array(try reader.blob())
        let vector = try reader.floats(try reader.count(limit: reader.remaining / 4))
        guard vector.allSatisfy(\.isFinite) else { throw ContexError.damaged("event \(sequence) has a vector with a component that is not a number") }
        let metadata = Array(try reader.blob())
        let publisher = try reader.publisher()
        let hash = try reader.sha256()
        try reader.end()
        return EventRecord(
            sequence: sequence, position: position, kind: kind, type: type, key: key, format: format, recordedAt: recordedAt, data: data,
            vector: vector.isEmpty ? nil : vector, metadata: metadata, publisher: publisher, hash: hash)
    }

    static func chainHash(after previous: SHA256Digest, sequence: Sequence, at position: Position, _ draft: EventDraft) -> SHA256Digest {
        var writer = ByteWriter(capacity: 256 + 4 * (draft.vector?.count ?? 0))
        writer.raw(previous.bytes)
        writer.u64(sequence.rawValue)
        writer.u64(position.rawValue)
        writer.u8(draft.kind.rawValue)
        writer.i64(draft.recordedAt.rawValue)
        writer.text(draft.type)
        writer.text(draft.key)
        writer.text(draft.format)
        writer.publisher(draft.publisher)
        writer.blob(draft.metadata)
        writer.u64(UInt64(draft.data.count))
        writer.varint(UInt64(draft.vector?.count ?? 0))
        writer.floats(draft.vector ?? [])
        return SHA256.digest(writer.bytes, draft.data)
    }

    /// What it would be appended as again.
    public var draft: EventDraft {
        EventDraft(
            kind: kind, type: type, key: key, format: format, recordedAt: recordedAt, data: data, vector: vector, metadata: metadata,
            publisher: publisher)
    }
}

extension EventRecord {
    /// About what it holds in memory: data, metadata and vector, and some for the rest.
    public var byteCount: Int { data.count + metadata.count + 4 * (vector?.count ?? 0) + type.utf8.count + key.utf8.count + 128 }
}
