// Reading and writing the files of backups: whole or not at all, and with a sentence for whoever runs the tool when the disk does not play along.

internal import Base
internal import LMDB
#if canImport(Glibc)
internal import Glibc
#endif
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

enum BackupFiles {
    /// A backup holds all that its store does: for the owner's eyes.
    static let folderMode: mode_t = 0o700
    static let fileMode: mode_t = 0o600

    static func failure(_ action: String, _ path: String, _ code: Int32 = errno) -> ContexError {
        let message = unsafe "cannot \(action) \(path): \(String(cString: strerror(code)))"
        switch code {
        case ENOSPC, EDQUOT, EFBIG, EROFS: return ContexError(.storageFull, message)
        case ENOENT, ENOTDIR: return ContexError.notFound(message)
        default: return ContexError(.unavailable, message)
        }
    }

    static func flush(folder: String) throws(ContexError) {
        do throws(LMDBError) { try FolderEntries.flush(folder) } catch { throw ContexError(.unavailable, "\(error)") }
    }

    /// Like `mkdir -p`, with each new folder for the owner only and its name on the disk.
    static func makeFolder(_ path: String) throws(ContexError) {
        if path.isEmpty { throw ContexError(.invalid, "the path of the folder is empty: name the folder") }
        if isFolder(path) { return }
        let parent = FolderEntries.parent(of: path)
        if parent != path { try makeFolder(parent) }
        guard unsafe mkdir(path, folderMode) == 0 || (errno == EEXIST && isFolder(path)) else { throw failure("make the folder", path) }
        try flush(folder: parent)
    }

    static func isFolder(_ path: String) -> Bool {
        var facts = stat()
        return unsafe stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    static func isThere(_ path: String) -> Bool {
        var facts = stat()
        return unsafe lstat(path, &facts) == 0
    }

    static func names(in folder: String) throws(ContexError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        } catch {
            throw isFolder(folder) ? ContexError(.unavailable, "cannot read the folder \(folder): \(error)") : .notFound("there is no folder \(folder)")
        }
    }

    static func removeTree(_ path: String) throws(ContexError) {
        do { try FileManager.default.removeItem(atPath: path) } catch { throw ContexError(.unavailable, "cannot remove \(path): \(error)") }
    }

    static func rename(_ old: String, to new: String) throws(ContexError) {
        guard unsafe Glibc.rename(old, new) == 0 else { throw failure("rename \(old) to", new) }
    }

    /// A new file with these bytes, on the disk when this returns.
    static func write(_ bytes: [UInt8], to path: String) throws(ContexError) {
        let file = try OpenFile(making: path)
        try file.append(bytes)
        try file.flush()
    }

    static func read(_ path: String, bytesMax: Int) throws(ContexError) -> [UInt8] {
        let file = try OpenFile(reading: path)
        guard file.bytes <= bytesMax else { throw .damaged("\(path) has \(file.bytes) bytes, at most \(bytesMax) are expected") }
        return try file.read(file.bytes)
    }
}

/// A file that is open for one thread.
final class OpenFile {
    let path: String
    private let descriptor: Int32
    /// When it was opened.
    let bytes: Int

    init(reading path: String) throws(ContexError) {
        // Not blocking: a pipe under this name would wait for a writer.
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw BackupFiles.failure("open", path) }
        var facts = stat()
        guard unsafe fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw ContexError(.unavailable, "\(path) is not a regular file")
        }
        self.path = path
        bytes = Int(facts.st_size)
    }

    /// Makes a file that must not be there.
    init(making path: String) throws(ContexError) {
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, BackupFiles.fileMode)
        guard descriptor >= 0 else { throw BackupFiles.failure("make", path) }
        self.path = path
        bytes = 0
    }

    deinit { close(descriptor) }

    func append(_ bytes: [UInt8]) throws(ContexError) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw BackupFiles.failure("write", path) }
            done += count
        }
    }

    func flush() throws(ContexError) { guard fsync(descriptor) == 0 else { throw BackupFiles.failure("flush", path) } }

    /// The next bytes; fewer where the file ends.
    func read(_ count: Int) throws(ContexError) -> [UInt8] {
        var done = 0
        var failed: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while done < count {
                let got = unsafe Glibc.read(descriptor, buffer.baseAddress! + done, count - done)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failed = errno }
                if got <= 0 { break }
                done += got
            }
            initialized = done
        }
        guard failed == 0 else { throw BackupFiles.failure("read", path, failed) }
        return bytes
    }
}

/// A lock on a folder that is let go when its holder ends, however it ends.
final class FolderLock {
    private let descriptor: Int32

    /// - Throws: `.conflict` while another process holds it.
    init(_ folder: String, doing work: String) throws(ContexError) {
        descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BackupFiles.failure("open the folder", folder) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else { throw BackupFiles.failure("lock the folder", folder, code) }
            throw ContexError(.conflict, "another process \(work) \(folder) now: try again when it is done")
        }
    }

    deinit { close(descriptor) }
}
