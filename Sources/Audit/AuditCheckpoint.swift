// A signed word on how far the trail had come: what proves, to whoever has kept it, that the end was not cut off and nothing before it rewritten.
//
//     message = "contex audit checkpoint 1\n", u32 tenant, u64 sequence, i64 time (microseconds), 32 bytes link

public import Base
public import Hashing

public struct AuditCheckpoint: Hashable, Sendable {
    public let tenant: TenantID
    public let sequence: UInt64
    /// Of that record.
    public let link: SHA256Digest
    /// When it was signed.
    public let time: Timestamp
    public let publicKey: [UInt8]
    public let signature: [UInt8]

    private static let head = Array("contex audit checkpoint 1\n".utf8)

    private static func message(_ tenant: TenantID, _ sequence: UInt64, _ time: Timestamp, _ link: SHA256Digest) -> [UInt8] {
        var writer = ByteWriter(capacity: 96)
        writer.raw(head)
        writer.u32(tenant.rawValue)
        writer.u64(sequence)
        writer.i64(time.rawValue)
        writer.raw(link.bytes)
        return writer.bytes
    }

    /// Signs where a trail stands.
    public init(_ state: AuditLog.State, tenant: TenantID, at time: Timestamp, seed: [UInt8]) throws(ContexError) {
        let message = Self.message(tenant, state.last, time, state.link)
        self.init(
            tenant: tenant, sequence: state.last, link: state.link, time: time, publicKey: try Ed25519.publicKey(seed: seed),
            signature: try Ed25519.sign(message, seed: seed))
    }

    public init(tenant: TenantID, sequence: UInt64, link: SHA256Digest, time: Timestamp, publicKey: [UInt8], signature: [UInt8]) {
        self.tenant = tenant
        self.sequence = sequence
        self.link = link
        self.time = time
        self.publicKey = publicKey
        self.signature = signature
    }

    /// Whether the holder of its key has said it.
    public var isSigned: Bool { Ed25519.isValid(signature, of: Self.message(tenant, sequence, time, link), publicKey: publicKey) }

    /// 64 hexadecimal digits.
    public var linkText: String { link.hex }

    /// A line of text: what is told of it, as names and values.
    public var fields: [(name: String, value: String)] {
        [
            ("checkpoint", "1"), ("tenant", "\(tenant.rawValue)"), ("sequence", "\(sequence)"), ("time", "\(time.rawValue)"), ("link", link.hex),
            ("key", Hexadecimal.text(publicKey)), ("signature", Hexadecimal.text(signature)),
        ]
    }

    /// nil when a field is missing or is none.
    public init?(fields: [String: String]) {
        guard fields["checkpoint"] == "1", let tenant = fields["tenant"].flatMap(UInt32.init), let sequence = fields["sequence"].flatMap(UInt64.init),
            let time = fields["time"].flatMap(Int64.init), let link = fields["link"].flatMap({ Hexadecimal.bytes($0) }).flatMap({ SHA256Digest($0) }),
            let key = fields["key"].flatMap({ Hexadecimal.bytes($0) }), let signature = fields["signature"].flatMap({ Hexadecimal.bytes($0) })
        else { return nil }
        self.init(
            tenant: TenantID(rawValue: tenant), sequence: sequence, link: link, time: Timestamp(rawValue: time), publicKey: key, signature: signature)
    }
}
