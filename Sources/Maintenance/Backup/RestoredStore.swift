// A store made of the records of a full backup: they come in the order of their keys, so that each page is filled and never touched again.

internal import Base
internal import LMDB

enum RestoredStore {
    /// Puts all records into an empty store.
    /// - Returns: how many.
    /// - Throws: what the source throws; `.storageFull`.
    /// - Complexity: O(records), no memory but that of a transaction of 64 MiB.
    static func fill(_ environment: Environment, from source: consuming RecordSource, _ progress: (_ done: UInt64) -> Void) throws -> UInt64 {
        var isMore = true
        while isMore {
            var transaction = try environment.beginWrite()
            var bytes = 0
            while bytes < Limits.restoreTransactionBytes {
                guard let record = try source.next() else {
                    isMore = false
                    break
                }
                guard try transaction.append(record.key, record.value) else { throw ContexError.damaged("record \(source.count) is out of order") }
                bytes += record.key.count + record.value.count
            }
            try transaction.commit()
            environment.growFile()
            progress(source.count)
        }
        let count = source.count
        try source.finish()
        return count
    }
}
