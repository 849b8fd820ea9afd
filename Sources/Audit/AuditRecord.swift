// One record of the audit trail, and its bytes (docs/formats/audit-v1.md).

public import Base
public import Hashing

/// Who did it, as the door that he came through saw him.
public struct AuditActor: Hashable, Sendable {
    public enum Kind: UInt8, CaseIterable, Sendable {
        case apiKey = 1, anonymous = 2, system = 3, `operator` = 4, serviceAccount = 5

        public var name: String {
            switch self {
            case .apiKey: "api_key"
            case .anonymous: "anonymous"
            case .system: "system"
            case .operator: "operator"
            case .serviceAccount: "service_account"
            }
        }
    }

    public let kind: Kind
    /// Of an API key its id, never its text.
    public let id: String
    public let address: String?
    /// What the client calls itself.
    public let client: String?

    public init(kind: Kind, id: String, address: String? = nil, client: String? = nil) {
        self.kind = kind
        self.id = id
        self.address = address
        self.client = client
    }
}

/// Where a request came in.
public struct AuditPlace: Hashable, Sendable {
    public let requestID: String
    /// Path of an HTTP request, without its query; name of the operation at another door.
    public let endpoint: String
    /// Of HTTP; of another door its name.
    public let method: String

    public init(requestID: String, endpoint: String, method: String) {
        self.requestID = requestID
        self.endpoint = endpoint
        self.method = method
    }
}

/// A record before it has its place in the trail.
public struct AuditDraft: Hashable, Sendable {
    public let kind: AuditKind
    public let result: AuditResult
    public let actor: AuditActor
    public let place: AuditPlace
    /// The operation.
    public let action: String
    public var project: String?
    public var resourceType: String?
    public var resourceID: String?
    /// A JSON object, compact.
    public var details: [UInt8]

    public init(
        kind: AuditKind, result: AuditResult, actor: AuditActor, place: AuditPlace, action: String, project: String? = nil, resourceType: String? = nil,
        resourceID: String? = nil, details: [UInt8] = Array("{}".utf8)
    ) {
        self.kind = kind
        self.result = result
        self.actor = actor
        self.place = place
        self.action = action
        self.project = project
        self.resourceType = resourceType
        self.resourceID = resourceID
        self.details = details
    }
}

extension AuditDraft {
    /// What went wrong is worth a second look, whatever it was to be.
    public var severity: AuditSeverity { result == .failure && kind.severity == .info ? .warning : kind.severity }

    public func write(to writer: inout ByteWriter) {
        writer.u8(kind.rawValue)
        writer.u8(result.rawValue)
        writer.u8(actor.kind.rawValue)
        writer.text(actor.id)
        writer.text(place.requestID)
        writer.text(place.endpoint)
        writer.text(place.method)
        writer.text(action)
        for text in [actor.address, actor.client, project, resourceType, resourceID] {
            writer.bool(text != nil)
            if let text { writer.text(text) }
        }
        writer.blob(details)
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> AuditDraft {
        guard let kind = AuditKind(rawValue: try reader.u8()), let result = AuditResult(rawValue: try reader.u8()),
            let actorKind = AuditActor.Kind(rawValue: try reader.u8())
        else { throw .malformed(at: reader.offset) }
        let id = try reader.text()
        let place = AuditPlace(requestID: try reader.text(), endpoint: try reader.text(), method: try reader.text())
        let action = try reader.text()
        var texts: [String?] = []
        for _ in 0..<5 { texts.append(try reader.bool() ? try reader.text() : nil) }
        return AuditDraft(
            kind: kind, result: result, actor: AuditActor(kind: actorKind, id: id, address: texts[0], client: texts[1]), place: place, action: action,
            project: texts[2], resourceType: texts[3], resourceID: texts[4], details: Array(try reader.blob()))
    }
}

/// A record in its place.
public struct AuditRecord: Hashable, Sendable {
    /// 1, 2, 3 ... of the tenant.
    public let sequence: UInt64
    /// Never before that of the record before.
    public let time: Timestamp
    public let draft: AuditDraft
    /// SHA-256 over the link before and this record: nothing can be changed, left out or put in without every later one.
    public let link: SHA256Digest

    /// 64 hexadecimal digits.
    public var linkText: String { link.hex }

    static let version: UInt8 = 1

    static func body(_ sequence: UInt64, _ time: Timestamp, _ draft: AuditDraft) -> [UInt8] {
        var writer = ByteWriter(capacity: 320)
        writer.u8(version)
        writer.u64(sequence)
        writer.i64(time.rawValue)
        draft.write(to: &writer)
        return writer.bytes
    }

    static func link(after before: SHA256Digest, _ body: [UInt8]) -> SHA256Digest { SHA256.digest(before.bytes, body) }

    /// - Returns: also the bytes that the link is over.
    static func decode(_ bytes: [UInt8]) throws -> (record: AuditRecord, body: [UInt8]) {
        guard bytes.count > SHA256Digest.byteCount else { throw ByteError.truncated(at: bytes.count) }
        let body = Array(bytes.dropLast(SHA256Digest.byteCount))
        var reader = ByteReader(body)
        let version = try reader.u8()
        guard version == Self.version else {
            throw ContexError(.formatUnknown, "an audit record is of version \(version), this build reads \(Self.version)")
        }
        let (sequence, time) = (try reader.u64(), Timestamp(rawValue: try reader.i64()))
        let draft = try AuditDraft.read(&reader)
        try reader.end()
        return (AuditRecord(sequence: sequence, time: time, draft: draft, link: SHA256Digest(bytes.suffix(SHA256Digest.byteCount))!), body)
    }
}

/// The name that a record has outside: a UUID (version 8, RFC 9562) of tenant and sequence, so that nothing has to be kept to find it.
public enum AuditID {
    public static func text(tenant: TenantID, _ sequence: UInt64) -> String {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: tenant.rawValue)
        bytes.append(bigEndian: UInt16(truncatingIfNeeded: sequence >> 48))
        bytes += [0x80, 0, 0x80, 0]
        for shift in stride(from: UInt64(40), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: sequence >> shift)) }
        let digits = Hexadecimal.text(bytes)
        var (text, rest) = ("", digits[...])
        for length in [8, 4, 4, 4, 12] {
            text += (text.isEmpty ? "" : "-") + rest.prefix(length)
            rest = rest.dropFirst(length)
        }
        return text
    }

    /// nil for a text that is no record's name in this tenant.
    public static func sequence(_ text: String, tenant: TenantID) -> UInt64? {
        let digits = text.lowercased().filter { $0 != "-" }
        guard text.utf8.count == 36, digits.utf8.count == 32, let high = UInt64(digits.dropFirst(8).prefix(4), radix: 16),
            let low = UInt64(digits.suffix(12), radix: 16)
        else { return nil }
        let sequence = high << 48 | low
        return Self.text(tenant: tenant, sequence) == text.lowercased() ? sequence : nil
    }
}
