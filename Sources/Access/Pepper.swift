// The pepper is the secret under which keys are hashed. It lies beside the store, never in it: whoever gets hold of the
// store alone (a backup, a disk) can neither use the key hashes nor test guesses against them.

public import Base
public import Hashing

/// Tells peppers apart without giving them away: a keyed hash of a fixed text.
public struct PepperID: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// 32 secret bytes in a file that only the server's user can read.
public struct Pepper: Sendable {
    static let byteCount = 32
    private let bytes: [UInt8]
    /// Stored with each key, so that a server started with another pepper can say so instead of refusing every key.
    public let id: PepperID

    private init(bytes: [UInt8]) {
        self.bytes = bytes
        let mark = HMACSHA256.authenticate(Array("contex pepper id".utf8), key: bytes)
        id = PepperID(rawValue: UInt64(firstOf: mark.bytes))
    }

    /// A pepper that is written nowhere.
    public init() throws(ContexError) { self.init(bytes: try SecureRandom.bytes(Self.byteCount)) }

    /// What the store keeps of a key.
    public func hash(_ rawKey: String) -> SHA256Digest { HMACSHA256.authenticate(Array(rawKey.utf8), key: bytes) }

    private static func file(_ path: String) -> SecretFile {
        SecretFile(
            path: path, name: "pepper file", byteCount: byteCount,
            whenMissing: "API keys cannot be checked without the one they were made with: restore it from its backup.")
    }

    /// Reads the file.
    /// - Throws: as `SecretFile.load`
    public init(path: String) throws(ContexError) { self.init(bytes: try Self.file(path).load()) }

    /// Reads the file, or makes it when there is none.
    /// - Throws: as `SecretFile.loadOrCreate`
    public static func loadOrCreate(path: String) throws(ContexError) -> Pepper { Pepper(bytes: try file(path).loadOrCreate()) }
}
