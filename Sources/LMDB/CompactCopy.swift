internal import CLMDB
#if canImport(Glibc)
internal import Glibc
#endif

extension Environment {
    /// Copies the store, as it is on one snapshot, into a new file: the pages that are in use, in order, and of each what is in use of it. What
    /// was deleted is in the file of the store until its pages are taken again; in the copy it is not.
    ///
    /// It may run beside a writer, which meanwhile cannot take pages again that became free.
    /// - Parameter file: one that is not there yet; whole and on the disk when this returns, and gone when it fails.
    /// - Throws: `LMDBError`; `DamagedPages`, and then nothing was copied.
    /// - Complexity: O(store), read twice: every page is looked at before LMDB walks it.
    public func copyCompacted(to file: String) throws {
        try readVerified { _ in }
        let descriptor = unsafe open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(errno, "make \(file)") }
        var code = unsafe mdb_env_copyfd2(raw, descriptor, UInt32(MDB_CP_COMPACT))
        if code == MDB_SUCCESS, fsync(descriptor) != 0 { code = errno }
        close(descriptor)
        guard code == MDB_SUCCESS else {
            unsafe unlink(file)
            throw LMDBError(code, "copy into \(file)")
        }
    }

    /// Puts a compacted copy of this store in the place of its file. The environment is of no use afterwards: it is to be let go.
    /// - Precondition: nothing was written since the copy was made.
    public func take(_ file: String) throws(LMDBError) {
        precondition(options.mode == .writer, "a store is replaced by its writer")
        // Readers count transactions there, and those of the copy begin anew.
        unsafe unlink(path + "/lock.mdb")
        guard unsafe rename(file, path + "/data.mdb") == 0 else { throw LMDBError(errno, "name \(path)/data.mdb") }
        try FolderEntries.flush(path)
    }
}
