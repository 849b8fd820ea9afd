// A signed word that something was erased: what, when, by which command of the store, and how much it was. The key is that of the audit trail's
// checkpoints, so that whoever knows its public half can hold a receipt against it years later.
//
//     message = "contex erasure receipt 1\n", u32 tenant, u64 number, u64 position, i64 time (microseconds), text project,
//               bool + text key, u64 events, u64 versions, u64 records

public import Base
internal import Hashing

public struct ErasureReceipt: Sendable, Equatable {
    public let tenant: TenantID
    /// Of the erasure, among all of its store: the position of its first command.
    public let number: UInt64
    /// Of its last command.
    public let position: Position
    public let time: Timestamp
    public let project: Name
    /// nil: the whole project.
    public let key: Name?
    /// Events of which nothing but place, time and hash are left, or nothing at all.
    public let events: UInt64
    /// States of documents that can be read no more.
    public let versions: UInt64
    /// Records that left the store.
    public let records: UInt64
    public private(set) var publicKey: [UInt8] = []
    public private(set) var signature: [UInt8] = []

    private static let head = Array("contex erasure receipt 1\n".utf8)

    public init(
        tenant: TenantID, number: UInt64, position: Position, time: Timestamp, project: Name, key: Name?, events: UInt64, versions: UInt64, records: UInt64
    ) {
        self.tenant = tenant
        self.number = number
        self.position = position
        self.time = time
        self.project = project
        self.key = key
        self.events = events
        self.versions = versions
        self.records = records
    }

    /// What is signed.
    public var message: [UInt8] {
        var writer = ByteWriter(capacity: 128)
        writer.raw(Self.head)
        writer.u32(tenant.rawValue)
        writer.u64(number)
        writer.u64(position.rawValue)
        writer.i64(time.rawValue)
        writer.text(project.text)
        writer.bool(key != nil)
        if let key { writer.text(key.text) }
        writer.u64(events)
        writer.u64(versions)
        writer.u64(records)
        return writer.bytes
    }

    /// - Parameter seed: of the audit trail's key.
    public func signed(seed: [UInt8]) throws(ContexError) -> ErasureReceipt {
        var receipt = self
        receipt.publicKey = try Ed25519.publicKey(seed: seed)
        receipt.signature = try Ed25519.sign(message, seed: seed)
        return receipt
    }

    /// Whether the holder of its key has said it; false of one that is not signed.
    public var isSigned: Bool {
        publicKey.count == Ed25519.publicKeyBytes && Ed25519.isValid(signature, of: message, publicKey: publicKey)
    }

    /// SHA-256 of the public key, 64 hexadecimal digits; nil of one that is not signed.
    public var keyFingerprint: String? { publicKey.isEmpty ? nil : SHA256.digest(publicKey).hex }

    public var publicKeyText: String? { publicKey.isEmpty ? nil : Hexadecimal.text(publicKey) }
    public var signatureText: String? { signature.isEmpty ? nil : Hexadecimal.text(signature) }
}
