// What is known of a key, and the bytes it is stored as (docs/formats/access-v1.md).

public import Base
public import Hashing

/// A key's public name: 64 random bits, 16 hexadecimal digits on the wire.
public struct KeyID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Nil unless the text is 16 lower-case hexadecimal digits.
    public init?(_ text: String) {
        guard text.utf8.count == 16, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
        guard let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }

    static func random() throws(ContexError) -> KeyID {
        KeyID(rawValue: UInt64(firstOf: try SecureRandom.bytes(8)))
    }

    public var text: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
    public var description: String { text }
}

/// Under which rule a key has come to be what it is: who could make it, and give it its role.
///
/// While authentication is off everybody who reaches the server is its administrator. What was made then may be a stranger's work, so
/// it holds only until authentication is switched on; after that only what somebody with a right to it has confirmed.
public enum KeyRule: UInt8, Sendable, CaseIterable {
    /// An administrator's key made it, or the server itself at its first start.
    case authenticated = 1
    /// It was made, or its role changed, while authentication was off: not valid while it is on.
    case open = 2
    /// The same, and an administrator's key or the operator of the data folder has confirmed it since.
    case confirmed = 3

    public var isValid: Bool { self != .open }
}

/// Everything that is kept of a key; its text is not.
public struct KeyRecord: Hashable, Sendable {
    public let keyID: KeyID
    public let name: String
    /// The first seven characters, by which people recognise a key.
    public let prefix: String
    public let createdAt: Timestamp
    public let tenant: TenantID
    /// HMAC-SHA-256 of the text under the pepper.
    public let hash: SHA256Digest
    public let pepper: PepperID
    public var rule: KeyRule

    public init(
        keyID: KeyID, name: String, prefix: String, createdAt: Timestamp, tenant: TenantID, hash: SHA256Digest, pepper: PepperID,
        rule: KeyRule = .authenticated
    ) {
        self.keyID = keyID
        self.name = name
        self.prefix = prefix
        self.createdAt = createdAt
        self.tenant = tenant
        self.hash = hash
        self.pepper = pepper
        self.rule = rule
    }
}

/// A key at the one moment when its text is known: after this it is shown to its owner and forgotten.
///
/// Made before the transaction that stores its record, so that applying a command draws no random numbers.
public struct IssuedKey: Sendable {
    public let text: String
    public let record: KeyRecord

    /// A fresh key.
    /// - Throws: `.invalid` for a name over 255 scalars or with NUL, `.unavailable` without entropy.
    public init(
        name: String, tenant: TenantID, createdAt: Timestamp, pepper: Pepper, rule: KeyRule = .authenticated
    ) throws(ContexError) {
        try self.init(text: try APIKeyFormat.generate(), name: name, tenant: tenant, createdAt: createdAt, pepper: pepper, rule: rule)
    }

    /// A key that the operator brings, for the first start.
    /// - Throws: also `.badRequest` when no request could carry it, or when it is easily guessed.
    public init(operatorKey: String, name: String, tenant: TenantID, createdAt: Timestamp, pepper: Pepper) throws(ContexError) {
        try APIKeyFormat.checkOperatorKey(operatorKey)
        try self.init(text: operatorKey, name: name, tenant: tenant, createdAt: createdAt, pepper: pepper, rule: .authenticated)
    }

    private init(
        text: String, name: String, tenant: TenantID, createdAt: Timestamp, pepper: Pepper, rule: KeyRule
    ) throws(ContexError) {
        self.text = text
        record = KeyRecord(
            keyID: try .random(), name: try Name(name, field: "name").text, prefix: APIKeyFormat.prefix(of: text), createdAt: createdAt,
            tenant: tenant, hash: pepper.hash(text), pepper: pepper.id, rule: rule)
    }
}

/// The role that somebody gave to a key, and where it holds.
public struct RoleAssignment: Hashable, Sendable {
    public let keyID: KeyID
    public let role: Role
    public let projects: ProjectScope

    public init(keyID: KeyID, role: Role, projects: ProjectScope) {
        self.keyID = keyID
        self.role = role
        self.projects = projects
    }

    /// Of a key that nobody gave a role: it may read, in all projects.
    public static func unassigned(_ keyID: KeyID) -> RoleAssignment {
        RoleAssignment(keyID: keyID, role: .unassigned, projects: .all)
    }
}

// MARK: - Bytes

/// A key's record with its place in the order of creation.
struct StoredKey {
    let order: UInt64
    let record: KeyRecord

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 96)
        writer.u64(order)
        writer.raw(record.hash.bytes)
        writer.u64(record.pepper.rawValue)
        writer.i64(record.createdAt.rawValue)
        writer.u8(record.rule.rawValue)
        writer.text(record.prefix)
        writer.text(record.name)
        return writer.bytes
    }

    init(order: UInt64, record: KeyRecord) {
        self.order = order
        self.record = record
    }

    init(keyID: KeyID, tenant: TenantID, bytes: [UInt8]) throws(ByteError) {
        var reader = ByteReader(bytes)
        order = try reader.u64()
        let hash = try reader.sha256()
        let pepper = PepperID(rawValue: try reader.u64())
        let createdAt = Timestamp(rawValue: try reader.i64())
        guard let rule = KeyRule(rawValue: try reader.u8()) else { throw .malformed(at: reader.offset - 1) }
        let prefix = try reader.text()
        let name = try reader.text()
        try reader.end()
        record = KeyRecord(
            keyID: keyID, name: name, prefix: prefix, createdAt: createdAt, tenant: tenant, hash: hash, pepper: pepper, rule: rule)
    }
}

extension Role {
    /// The role in stored bytes. A number is never given twice.
    fileprivate var code: UInt8 {
        switch self {
        case .admin: 1
        case .publisher: 2
        case .consumer: 3
        case .readonly: 4
        }
    }
}

extension RoleAssignment {
    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.u8(role.code)
        writer.varint(UInt64(projects.projects.count))
        for project in projects.projects { writer.text(project) }
        return writer.bytes
    }

    init(keyID: KeyID, bytes: [UInt8]) throws(ByteError) {
        var reader = ByteReader(bytes)
        let code = try reader.u8()
        guard let role = Role.allCases.first(where: { $0.code == code }) else { throw .malformed(at: 0) }
        var projects: [String] = []
        for _ in 0..<(try reader.count(limit: AccessLimits.projectsPerRole)) { projects.append(try reader.text()) }
        try reader.end()
        self.init(keyID: keyID, role: role, projects: ProjectScope(projects))
    }
}
