// The keys that tokens are signed with when no secret is set: a file beside the store, never in it (docs/formats/access-v1.md). One is in use;
// the ones before it are accepted until the last of their tokens has ended.

internal import Base
internal import BearerTokens
internal import Hashing

struct SigningKey: Hashable, Sendable {
    let seed: [UInt8]
    let publicKey: [UInt8]
    let createdAt: Timestamp
    /// When another took its place; nil: it is in use.
    var retiredAt: Timestamp?

    init(seed: [UInt8], createdAt: Timestamp, retiredAt: Timestamp? = nil) throws(ContexError) {
        self.seed = seed
        publicKey = try Ed25519.publicKey(seed: seed)
        self.createdAt = createdAt
        self.retiredAt = retiredAt
    }

    var name: String { JSONWebKey.thumbprint(ed25519: publicKey) }

    /// Whether a token of it can still be valid.
    func isAccepted(at time: Timestamp) -> Bool {
        let life = Int64(TokenLimits.lifeSeconds.upperBound) + Int64(TokenLimits.leewaySeconds)
        return retiredAt.map { time.rawValue < $0.rawValue + life * 1_000_000 } ?? true
    }
}

struct SigningKeyFile: Sendable {
    /// Of the keys before the one in use.
    static let formerMax = 3
    private static let magic = Array("CTXK".utf8)
    private static let version: UInt8 = 1
    private static let slotBytes = 16 + Ed25519.seedBytes
    static let byteCount = 6 + (formerMax + 1) * slotBytes + 4

    let file: SecretFile

    init(path: String) {
        file = SecretFile(
            path: path, name: "token key file", byteCount: Self.byteCount,
            whenMissing: "Tokens that were signed with it cannot be checked without it: restore it from its backup, or have new ones made.")
    }

    /// - Returns: nil when there is no file.
    /// - Throws: as `SecretFile.load`, and `.damaged`.
    func load() throws(ContexError) -> [SigningKey]? {
        let bytes: [UInt8]
        do throws(ContexError) {
            bytes = try file.load()
        } catch where error.category == .notFound {
            return nil
        }
        return try Self.decode(bytes)
    }

    func save(_ keys: [SigningKey]) throws(ContexError) { try file.replace(with: Self.encode(keys)) }

    /// The one in use first.
    static func encode(_ keys: [SigningKey]) -> [UInt8] {
        precondition((1...formerMax + 1).contains(keys.count) && keys[0].retiredAt == nil, "\(keys.count) signing keys")
        var writer = ByteWriter(capacity: byteCount)
        writer.raw(magic)
        writer.u8(version)
        writer.u8(UInt8(keys.count))
        for key in keys {
            writer.i64(key.createdAt.rawValue)
            writer.i64(key.retiredAt?.rawValue ?? 0)
            writer.raw(key.seed)
        }
        writer.raw([UInt8](repeating: 0, count: byteCount - 4 - writer.bytes.count))
        writer.u32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(ContexError) -> [SigningKey] {
        do throws(ByteError) {
            guard bytes.count == byteCount else { throw .truncated(at: bytes.count) }
            var reader = ByteReader(bytes)
            guard Array(try reader.raw(4)) == magic, try reader.u8() == version else { throw .malformed(at: 0) }
            let count = try reader.count(limit: formerMax + 1)
            guard count > 0, CRC32C.of(Array(bytes.dropLast(4))) == UInt32(lastOf: bytes) else { throw .malformed(at: 5) }
            var keys: [SigningKey] = []
            for place in 0..<count {
                let (createdAt, retiredAt) = (Timestamp(rawValue: try reader.i64()), try reader.i64())
                guard (retiredAt == 0) == (place == 0), let key = try? SigningKey(
                    seed: Array(try reader.raw(Ed25519.seedBytes)), createdAt: createdAt,
                    retiredAt: retiredAt == 0 ? nil : Timestamp(rawValue: retiredAt))
                else { throw .malformed(at: reader.offset) }
                keys.append(key)
            }
            return keys
        } catch {
            throw .damaged("The token key file cannot be read (\(error)): restore it from its backup, or delete it and have new tokens made.")
        }
    }
}
