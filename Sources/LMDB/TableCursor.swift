internal import CLMDB

/// A place among the keys. It is opened once for many look-ups, and a move within one page needs no descent from the root.
@safe
public struct TableCursor: ~Copyable, ~Escapable {
    private let raw: OpaquePointer

    @_lifetime(copy view)
    public init(_ view: borrowing TransactionView) throws(LMDBError) {
        var cursor: OpaquePointer? = nil
        unsafe try check(mdb_cursor_open(view.raw, view.table, &cursor), "open cursor")
        unsafe raw = cursor!
    }

    deinit { unsafe mdb_cursor_close(raw) }

    /// What stands at a place.
    public struct Entry: ~Escapable {
        public let key: RawSpan
        public let value: RawSpan

        @_lifetime(copy key, copy value)
        init(_ key: RawSpan, _ value: RawSpan) {
            self.key = key
            self.value = value
        }
    }

    /// Moves to the last key that is not over `key`; nil when there is none.
    /// - Complexity: O(log n).
    @_lifetime(copy self)
    public func floor(_ key: borrowing [UInt8]) throws(LMDBError) -> Entry? {
        var found = unsafe MDB_val()
        var value = unsafe MDB_val()
        var code = unsafe place(key, &found, &value)
        if code == MDB_SUCCESS {
            let isExact = unsafe key.withUnsafeBytes { unsafe $0.elementsEqual(UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)) }
            if !isExact { code = unsafe mdb_cursor_get(raw, &found, &value, MDB_PREV) }
        } else if code == MDB_NOTFOUND {
            code = unsafe mdb_cursor_get(raw, &found, &value, MDB_LAST)
        }
        return unsafe try entry(code, found, value)
    }

    /// Moves to the first key that is not below `key`; nil when there is none.
    /// - Complexity: O(log n).
    @_lifetime(copy self)
    public func ceiling(_ key: borrowing [UInt8]) throws(LMDBError) -> Entry? {
        var found = unsafe MDB_val()
        var value = unsafe MDB_val()
        let code = unsafe place(key, &found, &value)
        return unsafe try entry(code, found, value)
    }

    /// Moves to the key after this one; nil when it was the last.
    @_lifetime(copy self)
    public func next() throws(LMDBError) -> Entry? {
        var found = unsafe MDB_val()
        var value = unsafe MDB_val()
        let code = unsafe mdb_cursor_get(raw, &found, &value, MDB_NEXT)
        return unsafe try entry(code, found, value)
    }

    private func place(_ key: borrowing [UInt8], _ found: inout MDB_val, _ value: inout MDB_val) -> Int32 {
        let raw = unsafe raw
        // An empty key is none to LMDB.
        if key.isEmpty { return unsafe mdb_cursor_get(raw, &found, &value, MDB_FIRST) }
        return unsafe key.withUnsafeBytes { bytes in
            unsafe found = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_cursor_get(raw, &found, &value, MDB_SET_RANGE)
        }
    }

    @_lifetime(copy self)
    private func entry(_ code: Int32, _ key: MDB_val, _ value: MDB_val) throws(LMDBError) -> Entry? {
        if code == MDB_NOTFOUND { return nil }
        try check(code, "move cursor")
        let keySpan = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(key.mv_data), byteCount: key.mv_size)
        let valueSpan = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(value.mv_data), byteCount: value.mv_size)
        return _overrideLifetime(Entry(keySpan, valueSpan), copying: self)
    }
}
