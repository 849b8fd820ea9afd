// Who may look into a data folder: its owner. A new one is made so. Inside an old one the store's own folder is closed, with which
// all data is; the data folder itself may be somebody's home or a volume that others share on purpose, so of it is only told.

internal import Base
internal import Glibc
internal import LMDB

enum DataFolder {
    private static let ownerOnly: mode_t = 0o700

    /// Makes the folder of a store with every folder above it that is missing.
    /// - Returns: what to tell the operator.
    /// - Throws: `.invalid` for a folder without a name; `.unavailable` naming the data folder.
    static func prepare(_ configuration: DatabaseConfiguration) throws(ContexError) -> [String] {
        let (folder, store) = (configuration.directory, configuration.storePath)
        try checkName(folder)
        do {
            guard try make(store) else {
                throw ContexError(.folderUnusable, "the data folder \(folder) cannot be made or written: check its path and permissions")
            }
            // Also those that a start before has made and not come to flush. What is above them may be closed to us.
            try FolderEntries.flush(folder)
            try? FolderEntries.flush(FolderEntries.parent(of: folder))
        } catch let error as LMDBError {
            throw ContexError(.folderUnusable, "the data folder \(folder) cannot be made or written (\(error)): check its path and permissions")
        } catch {
            throw ContexError(anyError: error)
        }
        var remarks: [String] = []
        if let mode = modeOfOthers(store), unsafe chmod(store, ownerOnly) != 0 {
            remarks.append(
                "other users can reach the store: its folder \(store) has mode \(text(mode)) and belongs to somebody else; run: chmod 700 '\(store)'")
        }
        if let mode = modeOfOthers(folder) {
            remarks.append(
                "other users can look into the data folder \(folder) (mode \(text(mode))); the store in it is closed to them; run: chmod 700 '\(folder)'")
        }
        return remarks
    }

    /// `/store` would be taken for the store of a folder whose name is empty, as an unset variable of a script gives it.
    static func checkName(_ folder: String) throws(ContexError) {
        if folder.isEmpty { throw ContexError(.invalid, "the path of the data folder is empty: name the folder") }
    }

    /// Like `mkdir -p`, with each new folder for the owner only and its name on the disk.
    private static func make(_ path: String) throws(LMDBError) -> Bool {
        if isFolder(path) { return true }
        let parent = FolderEntries.parent(of: path)
        if parent != path, try !make(parent) { return false }
        // Somebody may have been faster.
        guard unsafe mkdir(path, ownerOnly) == 0 else { return isFolder(path) }
        try FolderEntries.flush(parent)
        return true
    }

    private static func isFolder(_ path: String) -> Bool {
        var facts = stat()
        return unsafe stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    /// The mode, when it lets anybody in but the owner.
    private static func modeOfOthers(_ path: String) -> mode_t? {
        var facts = stat()
        guard unsafe stat(path, &facts) == 0, facts.st_mode & 0o077 != 0 else { return nil }
        return facts.st_mode & 0o7777
    }

    private static func text(_ mode: mode_t) -> String { "0" + String(mode, radix: 8) }
}
