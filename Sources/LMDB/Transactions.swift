internal import CLMDB

/// What a read and a write transaction have in common: looking things up.
///
/// The view cannot outlive its transaction, and a span cannot outlive the view; for a write transaction that also means
/// that no span is alive across a `put` or `delete`, after which LMDB may have moved the page. The compiler checks both.
@safe
public struct TransactionView: ~Escapable, Copyable {
    /// Which state of the store this is.
    public enum State: Sendable, Hashable {
        /// A snapshot: equal numbers of one environment mean equal bytes at equal addresses, for as long as it is open.
        case snapshot(UInt64)
        /// The state inside a write transaction, by a number that the environment gives only once. It changes with every put.
        case writing(UInt64)
    }

    let raw: OpaquePointer
    let table: UInt32
    private let owner: Unmanaged<Environment>
    public let state: State

    @_lifetime(immortal)
    init(raw: OpaquePointer, owner: Unmanaged<Environment>, state: State) {
        unsafe self.raw = raw
        unsafe self.owner = owner
        unsafe table = owner.takeUnretainedValue().table
        self.state = state
    }

    /// Where the transaction was begun.
    public var environment: Environment { unsafe owner.takeUnretainedValue() }

    /// The value of `key`, nil when there is none. Not aligned beyond two bytes.
    /// - Complexity: O(log n), 0.3 to 0.5 microseconds hot.
    @_lifetime(copy self)
    public func get(_ key: borrowing [UInt8]) throws(LMDBError) -> RawSpan? {
        var found = unsafe MDB_val()
        let (transaction, dbi) = unsafe (raw, table)
        let code = unsafe key.withUnsafeBytes { bytes in
            var name = unsafe MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_get(transaction, dbi, &name, &found)
        }
        if code == MDB_NOTFOUND { return nil }
        try check(code, "get")
        let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(found.mv_data), byteCount: found.mv_size)
        return _overrideLifetime(span, copying: self)
    }

    /// Like `get`, copied out: the one way a value leaves its transaction.
    public func copy(_ key: borrowing [UInt8]) throws(LMDBError) -> [UInt8]? {
        guard let span = try get(key) else { return nil }
        return Array(span)
    }

    /// How many keys there are.
    /// - Complexity: O(1).
    public func entryCount() throws(LMDBError) -> Int {
        var stat = MDB_stat()
        unsafe try check(mdb_stat(raw, table, &stat), "count entries")
        return Int(stat.ms_entries)
    }

    /// Of the last commit before this state; 0 in a store that nothing was ever written to.
    public var lastCommit: UInt64 {
        let number = unsafe UInt64(mdb_txn_id(raw))
        return if case .writing = state { number - 1 } else { number }
    }

    public enum Step: Sendable { case onward, stop }
    public enum Direction: Sendable { case ascending, descending }

    /// Walks the keys that begin with `prefix`, in order of their bytes.
    ///
    /// - Parameters:
    ///   - prefix: also the end: the walk stops at the first key without it.
    ///   - from: where to begin, nil for the whole prefix. Ascending: first key >= `from`; descending: last key <= `from`.
    ///   - body: gets key and value of each; nothing may be kept.
    /// - Complexity: O(log n) to begin, O(1) a step.
    public func scan(
        prefix: [UInt8], from: [UInt8]? = nil, _ direction: Direction = .ascending,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> Step
    ) throws {
        var cursor: OpaquePointer? = nil
        unsafe try check(mdb_cursor_open(raw, table, &cursor), "open cursor")
        let open = unsafe cursor!
        defer { unsafe mdb_cursor_close(open) }
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        var code = unsafe Self.place(open, &key, &value, prefix: prefix, from: from, direction)
        while code == MDB_SUCCESS {
            let keySpan = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(key.mv_data), byteCount: key.mv_size)
            guard keySpan.starts(with: prefix) else { return }
            let valueSpan = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(value.mv_data), byteCount: value.mv_size)
            if try body(keySpan, valueSpan) == .stop { return }
            code = unsafe mdb_cursor_get(open, &key, &value, direction == .ascending ? MDB_NEXT : MDB_PREV)
        }
        if code != MDB_NOTFOUND { try check(code, "scan") }
    }

    private static func place(
        _ cursor: OpaquePointer, _ key: inout MDB_val, _ value: inout MDB_val, prefix: [UInt8], from: [UInt8]?, _ direction: Direction
    ) -> Int32 {
        // Descending without `from`: just before the first key after the prefix.
        let start = from ?? (direction == .ascending ? prefix : successor(of: prefix))
        guard !start.isEmpty else {
            return unsafe mdb_cursor_get(cursor, &key, &value, direction == .ascending ? MDB_FIRST : MDB_LAST)
        }
        let code = unsafe start.withUnsafeBytes { bytes in
            unsafe key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
        }
        guard direction == .descending else { return code }
        if code == MDB_NOTFOUND { return unsafe mdb_cursor_get(cursor, &key, &value, MDB_LAST) }
        guard code == MDB_SUCCESS else { return code }
        let found = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(key.mv_data), byteCount: key.mv_size)
        if from != nil && found.byteCount == start.count && found.starts(with: start) { return code }
        return unsafe mdb_cursor_get(cursor, &key, &value, MDB_PREV)
    }
}

/// The smallest key greater than every key that begins with `prefix`; empty when there is none (all bytes 0xFF).
public func successor(of prefix: [UInt8]) -> [UInt8] {
    var bytes = prefix
    while let last = bytes.popLast() {
        if last < 0xFF {
            bytes.append(last + 1)
            return bytes
        }
    }
    return []
}

/// One snapshot. Ends with its scope.
@safe
public struct ReadTransaction: ~Copyable {
    private let raw: OpaquePointer
    /// Retained until the transaction has ended: LMDB's environment must not close under it. Unmanaged, because `discard`
    /// wants fields that need no destruction.
    private let environment: Unmanaged<Environment>

    init(raw: OpaquePointer, environment: Environment) {
        unsafe self.raw = raw
        unsafe self.environment = Unmanaged.passRetained(environment)
    }

    deinit {
        unsafe mdb_txn_abort(raw)
        unsafe environment.release()
    }

    /// Of the commit whose state this is.
    var number: UInt64 { unsafe UInt64(mdb_txn_id(raw)) }

    public var view: TransactionView {
        @_lifetime(borrow self)
        get {
            let state = TransactionView.State.snapshot(number)
            return unsafe _overrideLifetime(TransactionView(raw: raw, owner: environment, state: state), borrowing: self)
        }
    }
}

/// The one write transaction of an environment: begun, used and ended on one thread; aborted unless committed.
@safe
public struct WriteTransaction: ~Copyable {
    private let raw: OpaquePointer
    private let table: UInt32
    private let environment: Unmanaged<Environment>
    /// Counts puts and deletes, so that the engine can tell whether a refused command has left a trace.
    public private(set) var mutationCount = 0
    private let number: UInt64
    /// Retained, as the environment is; nil when nobody keeps count.
    private let changes: Unmanaged<RecordChanges>?

    /// LMDB's bound on keys (compiled in), and ours on values: what 32 bits of page count can hold is never reached.
    public static let keyBytesMax = 511

    init(raw: OpaquePointer, environment: Environment) {
        unsafe self.raw = raw
        table = environment.table
        number = environment.nextWriteNumber()
        unsafe self.environment = Unmanaged.passRetained(environment)
        unsafe changes = environment.options.ledger == nil ? nil : Unmanaged.passRetained(RecordChanges())
    }

    deinit {
        unsafe mdb_txn_abort(raw)
        unsafe environment.release()
        unsafe changes?.release()
    }

    public var view: TransactionView {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(TransactionView(raw: raw, owner: environment, state: .writing(number)), borrowing: self) }
    }

    /// Stores `value` under `key`, replacing what was there.
    /// - Precondition: 1...511 bytes of key.
    public mutating func put(_ key: borrowing [UInt8], _ value: borrowing [UInt8]) throws(LMDBError) {
        guard let changes = unsafe changes?.takeUnretainedValue() else { return try putUncounted(key, value) }
        // What is new needs one way down the tree so; what is replaced needs two, as it would if it were looked up before.
        var old = unsafe MDB_val()
        if unsafe try put(key, value, MDB_NOOVERWRITE, &old) { return unsafe changes.came(key.span.bytes, value.span.bytes) }
        unsafe changes.went(key.span.bytes, RawSpan(_unsafeStart: UnsafeRawPointer(old.mv_data), byteCount: old.mv_size))
        try putUncounted(key, value)
        unsafe changes.came(key.span.bytes, value.span.bytes)
    }

    /// The same, and no ledger hears of it.
    /// - Precondition: 1...511 bytes of key.
    package mutating func putUncounted(_ key: borrowing [UInt8], _ value: borrowing [UInt8]) throws(LMDBError) {
        var old = unsafe MDB_val()
        _ = unsafe try put(key, value, 0, &old)
    }

    /// - Parameter old: what is there instead, when the answer is no.
    private mutating func put(
        _ key: borrowing [UInt8], _ value: borrowing [UInt8], _ flags: Int32, _ old: inout MDB_val
    ) throws(LMDBError) -> Bool {
        precondition(key.count >= 1 && key.count <= Self.keyBytesMax, "key of \(key.count) bytes")
        mutationCount += 1
        let (transaction, dbi) = unsafe (raw, table)
        let code = unsafe key.withUnsafeBytes { keyBytes in
            unsafe value.withUnsafeBytes { valueBytes in
                var name = unsafe MDB_val(mv_size: keyBytes.count, mv_data: UnsafeMutableRawPointer(mutating: keyBytes.baseAddress))
                unsafe old = MDB_val(mv_size: valueBytes.count, mv_data: UnsafeMutableRawPointer(mutating: valueBytes.baseAddress))
                return unsafe mdb_put(transaction, dbi, &name, &old, UInt32(flags))
            }
        }
        if code == MDB_KEYEXIST { return false }
        try check(code, "put")
        return true
    }

    /// Stores `value` under a key that is greater than all there are: pages are filled to the last byte, one after the other. It is for copies
    /// of whole stores, whose sums are among what is copied: no ledger hears of it.
    /// - Precondition: 1...511 bytes of key.
    /// - Returns: false when the key is not greater, and then nothing is stored.
    public mutating func append(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(LMDBError) -> Bool {
        precondition(key.count >= 1 && key.count <= Self.keyBytesMax, "key of \(key.count) bytes")
        mutationCount += 1
        let (transaction, dbi) = unsafe (raw, table)
        let code = unsafe key.withUnsafeBytes { keyBytes in
            unsafe value.withUnsafeBytes { valueBytes in
                var name = unsafe MDB_val(mv_size: keyBytes.count, mv_data: UnsafeMutableRawPointer(mutating: keyBytes.baseAddress))
                var data = unsafe MDB_val(mv_size: valueBytes.count, mv_data: UnsafeMutableRawPointer(mutating: valueBytes.baseAddress))
                return unsafe mdb_put(transaction, dbi, &name, &data, UInt32(MDB_APPEND))
            }
        }
        if code == MDB_KEYEXIST { return false }
        try check(code, "append")
        return true
    }

    /// Removes `key`; false when it was not there.
    @discardableResult
    public mutating func delete(_ key: borrowing [UInt8]) throws(LMDBError) -> Bool {
        if let changes = unsafe changes?.takeUnretainedValue() {
            guard let old = try view.get(key) else {
                mutationCount += 1
                return false
            }
            unsafe changes.went(key.span.bytes, old)
        }
        return try deleteUncounted(key)
    }

    /// The same, and no ledger hears of it.
    @discardableResult
    package mutating func deleteUncounted(_ key: borrowing [UInt8]) throws(LMDBError) -> Bool {
        mutationCount += 1
        let (transaction, dbi) = unsafe (raw, table)
        let code = unsafe key.withUnsafeBytes { bytes in
            var name = unsafe MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            return unsafe mdb_del(transaction, dbi, &name, nil)
        }
        if code == MDB_NOTFOUND { return false }
        try check(code, "delete")
        return true
    }

    /// Removes every key that begins with `prefix`; returns how many.
    /// - Complexity: O(removed x log n).
    @discardableResult
    public mutating func deleteAll(prefix: [UInt8]) throws(LMDBError) -> Int {
        precondition(!prefix.isEmpty, "an empty prefix would empty the store")
        mutationCount += 1
        let changes = unsafe changes?.takeUnretainedValue()
        var cursor: OpaquePointer? = nil
        unsafe try check(mdb_cursor_open(raw, table, &cursor), "open cursor")
        let open = unsafe cursor!
        defer { unsafe mdb_cursor_close(open) }
        var removed = 0
        while true {
            var key = unsafe MDB_val()
            var value = unsafe MDB_val()
            let code = unsafe prefix.withUnsafeBytes { bytes in
                unsafe key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
                return unsafe mdb_cursor_get(open, &key, &value, MDB_SET_RANGE)
            }
            if code == MDB_NOTFOUND { return removed }
            try check(code, "delete range")
            let found = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(key.mv_data), byteCount: key.mv_size)
            guard found.starts(with: prefix) else { return removed }
            if let changes { unsafe changes.went(found, RawSpan(_unsafeStart: UnsafeRawPointer(value.mv_data), byteCount: value.mv_size)) }
            unsafe try check(mdb_cursor_del(open, 0), "delete range")
            removed += 1
        }
    }

    /// Lets the ledger write what has changed so far.
    package mutating func settleRecords() throws(LMDBError) {
        guard let changes = unsafe changes?.takeUnretainedValue(), let ledger = unsafe environment.takeUnretainedValue().options.ledger else { return }
        let taken = changes.take()
        if !taken.sums.isEmpty || !taken.bytes.isEmpty { try ledger.settle(taken.sums, bytes: taken.bytes, in: &self) }
    }

    /// Records of a group that this transaction has added, less those that it has removed, as far as no ledger knows of them yet.
    public func unsettledRecords(of group: RecordGroup) -> Int {
        guard let changes = unsafe changes?.takeUnretainedValue() else { return 0 }
        return changes.records(of: group)
    }

    /// The same of the bytes of keys and values, of all records whose keys begin with these four bytes but for some kinds.
    /// - Complexity: O(groups that were changed).
    public func unsettledBytes(of holder: UInt32, leavingOut kinds: Set<UInt8>) -> Int {
        guard let changes = unsafe changes?.takeUnretainedValue() else { return 0 }
        return changes.bytes(of: holder, leavingOut: kinds)
    }

    /// Makes everything durable (with `.everyCommit`) and ends the transaction, also when it throws.
    public consuming func commit() throws(LMDBError) {
        do throws(LMDBError) {
            try settleRecords()
        } catch {
            _ = consume self
            throw error
        }
        let (transaction, owner, changes) = unsafe (raw, environment, changes)
        discard self
        let code = unsafe mdb_txn_commit(transaction)
        unsafe owner.release()
        unsafe changes?.release()
        try check(code, "commit")
    }
}
