public import Base

/// A tenant's project, and the only maker of keys: without a scope nothing can be read or written.
///
/// Key layout: tenant (4 bytes), project (4), kind (1), then the kind's own fields; numbers big-endian, so that the order
/// of keys is the order of values.
public struct TenantScope: Hashable, Sendable {
    public let tenant: TenantID
    public let project: ProjectID

    public init(tenant: TenantID, project: ProjectID) {
        self.tenant = tenant
        self.project = project
    }

    /// The records of the store itself.
    public static let system = TenantScope(tenant: .system, project: .tenantLevel)

    /// The registries of the same tenant.
    public var registry: TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }

    /// Bytes before a kind's own fields.
    public static let prefixBytes = 9

    /// The key of a kind's only record, and the prefix of all keys of the kind.
    public func key(_ kind: KeyKind) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(32)
        key.append(bigEndian: tenant.rawValue)
        key.append(bigEndian: project.rawValue)
        key.append(kind.rawValue)
        return key
    }

    public func key(_ kind: KeyKind, _ number: UInt32) -> [UInt8] {
        var key = key(kind)
        key.append(bigEndian: number)
        return key
    }

    public func key(_ kind: KeyKind, _ number: UInt64) -> [UInt8] {
        var key = key(kind)
        key.append(bigEndian: number)
        return key
    }

    public func key(_ kind: KeyKind, _ first: UInt32, _ second: UInt64) -> [UInt8] {
        var key = key(kind, first)
        key.append(bigEndian: second)
        return key
    }

    public func key(_ kind: KeyKind, _ first: UInt64, _ second: UInt64) -> [UInt8] {
        var key = key(kind, first)
        key.append(bigEndian: second)
        return key
    }

    public func key(_ kind: KeyKind, bytes: some Collection<UInt8>) -> [UInt8] {
        var key = key(kind)
        key.append(contentsOf: bytes)
        return key
    }

    /// A key that ends with a text and keeps the order of its UTF-8 bytes.
    ///
    /// LMDB's keys end at 511 bytes, names may have 1,020. A text over `KeyText.inlineBytes` is cut there and followed by
    /// its CRC-32C twice over (plain and of the reversed bytes), so that two texts with one beginning still get two keys; the
    /// value holds the whole text, and the reader compares it. Order within such a group is that of the checksums.
    public func key(_ kind: KeyKind, text: String) -> [UInt8] {
        var key = key(kind)
        KeyText.append(text, to: &key)
        return key
    }

    /// All keys of this project.
    public var prefix: [UInt8] {
        var key: [UInt8] = []
        key.append(bigEndian: tenant.rawValue)
        key.append(bigEndian: project.rawValue)
        return key
    }
}

extension KeyKind {
    /// The kind of the record under a key; nil for a key of no known kind.
    public init?(ofKey key: borrowing RawSpan) {
        guard key.byteCount >= TenantScope.prefixBytes else { return nil }
        self.init(rawValue: unsafe key.unsafeLoad(fromByteOffset: TenantScope.prefixBytes - 1, as: UInt8.self))
    }
}

/// Texts inside keys.
public enum KeyText {
    /// 511 - 9 (prefix) - 8 (checksums) - 8 (room for a number after the text), rounded down.
    public static let inlineBytes = 480

    static func append(_ text: String, to key: inout [UInt8]) {
        let utf8 = Array(text.utf8)
        guard utf8.count > inlineBytes else {
            key.append(contentsOf: utf8)
            return
        }
        key.append(contentsOf: utf8[..<inlineBytes])
        for sum in [CRC32C.of(utf8), CRC32C.of(utf8.reversed())] { key.append(bigEndian: sum) }
    }
}
