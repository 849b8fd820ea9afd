// The pepper is the secret under which keys are hashed. It lies beside the store, never in it: whoever gets hold of the
// store alone (a backup, a disk) can neither use the key hashes nor test guesses against them.

public import Base
public import Hashing
internal import LMDB
#if canImport(Glibc)
internal import Glibc
#endif

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

    /// Reads the file.
    /// - Throws: `.notFound` when there is none; `.badRequest` when others can read it or it is not 32 bytes long;
    ///   `.unavailable` when it cannot be read.
    public init(path: String) throws(ContexError) {
        // Not blocking: a pipe under this name would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT {
                throw .notFound("There is no pepper file \(path). API keys cannot be checked without the one they were made with: restore it from its backup.")
            }
            throw Self.failure("open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw Self.failure("inspect", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .badRequest("The pepper file \(path) is not a regular file.") }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw .badRequest("The pepper file \(path) has mode \(mode), so that other users can reach it. Run: chmod 600 '\(path)'")
        }
        guard status.st_size == Self.byteCount else {
            throw .badRequest("The pepper file \(path) has \(status.st_size) bytes instead of \(Self.byteCount). Restore it from its backup.")
        }
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        guard unsafe read(descriptor, &bytes, bytes.count) == bytes.count else { throw Self.failure("read", path) }
        self.init(bytes: bytes)
    }

    /// Reads the file, or makes it when there is none. Of two processes that make it at once, one wins and both use its bytes.
    /// - Throws: as `init(path:)`, but never `.notFound`.
    public static func loadOrCreate(path: String) throws(ContexError) -> Pepper {
        do throws(ContexError) {
            return try Pepper(path: path)
        } catch where error.category == .notFound {
            try create(path: path)
            return try Pepper(path: path)
        }
    }

    /// The file appears whole or not at all: written and flushed under another name, then linked to its own, which fails
    /// when somebody was faster.
    private static func create(path: String) throws(ContexError) {
        let draft = "\(path).\(Hexadecimal.text(try SecureRandom.bytes(8)))"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create", path) }
        defer {
            close(descriptor)
            unsafe unlink(draft)
        }
        let bytes = try SecureRandom.bytes(byteCount)
        guard fchmod(descriptor, 0o600) == 0, unsafe write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw failure("write", path)
        }
        guard unsafe link(draft, path) == 0 || errno == EEXIST else { throw failure("create", path) }
        // The name must survive a crash as well as the bytes.
        do throws(LMDBError) {
            try FolderEntries.flush(FolderEntries.parent(of: path))
        } catch {
            throw ContexError(.unavailable, "Cannot make the name of the pepper file \(path) lasting: \(error)")
        }
    }

    private static func failure(_ action: String, _ path: String) -> ContexError {
        let reason = unsafe String(cString: strerror(errno))
        return ContexError(.unavailable, "Cannot \(action) the pepper file \(path): \(reason)")
    }
}
