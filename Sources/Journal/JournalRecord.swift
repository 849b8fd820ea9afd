public import Base
public import Hashing
public import KeySpace

/// A command as the journal takes it.
public struct JournalDraft: Sendable {
    /// SHA-256 of the whole command, encoded.
    public let digest: SHA256Digest
    /// The command, without what its event has.
    public let body: [UInt8]

    public init(digest: SHA256Digest, body: [UInt8]) {
        self.digest = digest
        self.body = body
    }
}

/// A command as the journal keeps it (docs/formats/journal-v1.md).
public struct JournalRecord: Sendable {
    /// The event that has the rest of a publish.
    public struct Reference: Sendable, Equatable {
        public let scope: TenantScope
        public let sequence: Sequence

        public init(scope: TenantScope, sequence: Sequence) {
            self.scope = scope
            self.sequence = sequence
        }
    }

    public let position: Position
    public let time: Timestamp
    /// Of the whole command.
    public let digest: SHA256Digest
    /// Over the link before, position, time and digest: whoever keeps one notices any change of what came before it.
    public let link: SHA256Digest
    /// nil when the body is whole.
    public let reference: Reference?
    public let body: [UInt8]

    public init(position: Position, time: Timestamp, digest: SHA256Digest, link: SHA256Digest, reference: Reference?, body: [UInt8]) {
        self.position = position
        self.time = time
        self.digest = digest
        self.link = link
        self.reference = reference
        self.body = body
    }

    public static func link(after previous: SHA256Digest, _ position: Position, _ time: Timestamp, _ digest: SHA256Digest) -> SHA256Digest {
        var writer = ByteWriter(capacity: 96)
        writer.raw(previous.bytes)
        writer.u64(position.rawValue)
        writer.i64(time.rawValue)
        writer.raw(digest.bytes)
        return SHA256.digest(writer.bytes)
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: body.count + 112)
        writer.u64(position.rawValue)
        writer.i64(time.rawValue)
        writer.raw(digest.bytes)
        writer.raw(link.bytes)
        writer.bool(reference != nil)
        if let reference {
            writer.u32(reference.scope.tenant.rawValue)
            writer.u32(reference.scope.project.rawValue)
            writer.u64(reference.sequence.rawValue)
        }
        writer.blob(body)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> JournalRecord {
        var reader = ByteReader(bytes)
        let position = Position(rawValue: try reader.u64())
        let time = Timestamp(rawValue: try reader.i64())
        let (digest, link) = (try reader.sha256(), try reader.sha256())
        var reference: Reference?
        if try reader.bool() {
            let scope = TenantScope(tenant: TenantID(rawValue: try reader.u32()), project: ProjectID(rawValue: try reader.u32()))
            reference = Reference(scope: scope, sequence: Sequence(rawValue: try reader.u64()))
        }
        let body = Array(try reader.blob())
        try reader.end()
        return JournalRecord(position: position, time: time, digest: digest, link: link, reference: reference, body: body)
    }
}
