// Files with a secret of fixed length, which lie beside the store and never in it: whoever gets hold of the store alone (a backup, a disk) has
// nothing of them.

public import Base
internal import Hashing
internal import LMDB
#if canImport(Glibc)
internal import Glibc
#endif

/// Random bytes in a file that only the server's user can read.
public struct SecretFile: Sendable {
    public let path: String
    /// For people: `pepper file`.
    public let name: String
    public let byteCount: Int
    /// What the lack of it means, and what to do: a sentence.
    public let whenMissing: String

    public init(path: String, name: String, byteCount: Int = 32, whenMissing: String) {
        self.path = path
        self.name = name
        self.byteCount = byteCount
        self.whenMissing = whenMissing
    }

    /// - Throws: `.notFound` when there is none; `.badRequest` when others can read it or it has another length; `.unavailable` when it
    ///   cannot be read.
    public func load() throws(ContexError) -> [UInt8] {
        // Not blocking: a pipe under this name would wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw .notFound("There is no \(name) \(path). \(whenMissing)") }
            throw failure("open")
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("inspect") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .badRequest("The \(name) \(path) is not a regular file.") }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw .badRequest("The \(name) \(path) has mode \(mode), so that other users can reach it. Run: chmod 600 '\(path)'")
        }
        guard status.st_size == byteCount else {
            throw .badRequest("The \(name) \(path) has \(status.st_size) bytes instead of \(byteCount). Restore it from its backup.")
        }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        guard unsafe read(descriptor, &bytes, bytes.count) == bytes.count else { throw failure("read") }
        return bytes
    }

    /// Reads the file, or makes it when there is none. Of two processes that make it at once, one wins and both use its bytes.
    /// - Throws: as `load`, but never `.notFound`.
    public func loadOrCreate() throws(ContexError) -> [UInt8] {
        do throws(ContexError) {
            return try load()
        } catch where error.category == .notFound {
            // Linking fails when somebody was faster.
            try write(try SecureRandom.bytes(byteCount)) { draft in unsafe link(draft, path) == 0 || errno == EEXIST }
            return try load()
        }
    }

    /// Puts other bytes in the place of those that are there, if any are.
    /// - Throws: `.unavailable` when it cannot be written: then the file is what it was.
    public func replace(with bytes: [UInt8]) throws(ContexError) {
        precondition(bytes.count == byteCount, "\(bytes.count) bytes for the \(name), which has \(byteCount)")
        try write(bytes) { draft in unsafe rename(draft, path) == 0 }
    }

    /// The file appears whole or not at all: written and flushed under another name, then given its own.
    private func write(_ bytes: [UInt8], _ publish: (String) -> Bool) throws(ContexError) {
        let draft = "\(path).\(Hexadecimal.text(try SecureRandom.bytes(8)))"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        defer {
            close(descriptor)
            unsafe unlink(draft)
        }
        guard fchmod(descriptor, 0o600) == 0, unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw failure("write")
        }
        guard publish(draft) else { throw failure("create") }
        // The name must survive a crash as well as the bytes.
        do throws(LMDBError) {
            try FolderEntries.flush(FolderEntries.parent(of: path))
        } catch {
            throw ContexError(.unavailable, "Cannot make the name of the \(name) \(path) lasting: \(error)")
        }
    }

    private func failure(_ action: String) -> ContexError {
        let reason = unsafe String(cString: strerror(errno))
        return ContexError(.unavailable, "Cannot \(action) the \(name) \(path): \(reason)")
    }
}
