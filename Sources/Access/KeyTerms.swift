// Under which terms a key is valid, beside its record: until when, from where; and the secret that a rotation has left valid for a while.

public import Addresses
public import Base
public import Hashing

public struct KeyTerms: Hashable, Sendable {
    /// The text that a key had before it was rotated.
    public struct Former: Hashable, Sendable {
        public let hash: SHA256Digest
        public let until: Timestamp

        public init(hash: SHA256Digest, until: Timestamp) {
            self.hash = hash
            self.until = until
        }
    }

    /// From then on it is refused; nil: never.
    public var expiresAt: Timestamp?
    /// From other addresses it is refused; none: it is valid from everywhere.
    public var addresses: [CIDR]
    /// What it is for.
    public var description: String?
    public var former: Former?

    public init(expiresAt: Timestamp? = nil, addresses: [CIDR] = [], description: String? = nil, former: Former? = nil) {
        self.expiresAt = expiresAt
        self.addresses = addresses
        self.description = description
        self.former = former
    }

    /// As people write them.
    public var addressTexts: [String] { addresses.map(\.description) }

    /// None at all: then there is no record of them.
    public var isEmpty: Bool { self == KeyTerms() }

    /// Whether a caller from there may come with the key. One whose address nobody knows is inside the process.
    func admits(_ address: String?) -> Bool {
        guard !addresses.isEmpty else { return true }
        guard let address, let parsed = IPAddress(address.prefix { $0 != "%" }) else { return false }
        return addresses.contains { $0.contains(parsed.unmapped) }
    }

    // MARK: - Bytes

    public func write(to writer: inout ByteWriter) {
        writer.bool(expiresAt != nil)
        if let expiresAt { writer.i64(expiresAt.rawValue) }
        writer.varint(UInt64(addresses.count))
        for address in addresses { writer.text(address.description) }
        writer.bool(description != nil)
        if let description { writer.text(description) }
        writer.bool(former != nil)
        if let former {
            writer.raw(former.hash.bytes)
            writer.i64(former.until.rawValue)
        }
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> KeyTerms {
        var terms = KeyTerms()
        if try reader.bool() { terms.expiresAt = Timestamp(rawValue: try reader.i64()) }
        for _ in 0..<(try reader.count(limit: AccessLimits.addressesPerKey)) {
            let text = try reader.text()
            guard let block = try? CIDR(text), block.description == text else { throw .malformed(at: reader.offset) }
            terms.addresses.append(block)
        }
        if try reader.bool() { terms.description = try reader.text() }
        if try reader.bool() { terms.former = Former(hash: try reader.sha256(), until: Timestamp(rawValue: try reader.i64())) }
        return terms
    }
}
