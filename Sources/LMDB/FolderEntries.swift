#if canImport(Glibc)
internal import Glibc
#endif

/// The names in a folder. A file that was flushed is no good after a power cut when its name was not: that is its folder's to keep.
public enum FolderEntries {
    /// Returns when the names that the folder has are on the disk.
    /// - Throws: what `open` or `fsync` say; not that the folder may not be looked into, or that its file system cannot flush it: then there is
    ///   nothing more to be done.
    public static func flush(_ path: String) throws(LMDBError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0, errno == EACCES { return }
        guard descriptor >= 0 else { throw LMDBError(errno, "open \(path)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw LMDBError(errno, "flush the names in \(path)") }
    }

    /// The folder that has the name of this one or of this file.
    public static func parent(of path: String) -> String {
        var path = path[...]
        while path.count > 1, path.last == "/" { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
