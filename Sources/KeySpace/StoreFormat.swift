internal import Base
public import LMDB

/// The record that says how the whole store is laid out; written once, checked at every open.
public enum StoreFormat {
    /// Of keys, envelopes and all payloads together. docs/formats/keyspace-v1.md
    public static let version: UInt32 = 2

    /// Checks a store, or marks an empty one as ours.
    /// - Throws: `.damaged` with both version numbers when the store is of another format.
    public static func verifyOrCreate(_ transaction: inout WriteTransaction) throws {
        let key = TenantScope.system.key(.storeFormat)
        if try verify(transaction.view) { return }
        var writer = ByteWriter()
        writer.u32(version)
        try transaction.store(key, writer.bytes)
    }

    /// - Returns: false when nothing was ever written to the store.
    /// - Throws: `.damaged` when something was, and the record is gone: what was torn in copying looks so.
    @discardableResult
    public static func verify(_ view: borrowing TransactionView) throws -> Bool {
        guard let bytes = try view.loadBytes(TenantScope.system.key(.storeFormat)) else {
            let records = try view.entryCount()
            if records == 0, view.lastCommit == 0 { return false }
            throw ContexError.damaged(
                "the store has had \(view.lastCommit) commits and has \(records) records, but not the one that says its format: it is damaged, "
                    + "or was copied while it was written to")
        }
        var reader = ByteReader(bytes)
        let found = try reader.u32()
        try reader.end()
        guard found == version else {
            throw ContexError(.formatUnknown, "the data folder has store format \(found), this build reads format \(version); use the build that wrote it")
        }
        return true
    }
}
