internal import CLMDB
internal import Synchronization
#if canImport(Glibc)
internal import Glibc
#endif

/// Outlives an environment, and tells when its files are closed: not before then may the same files be opened again in this process.
public final class EnvironmentEnd: Sendable {
    private let isThere = Atomic(false)
    public var hasCome: Bool { isThere.load(ordering: .acquiring) }
    fileprivate func come() { isThere.store(true, ordering: .releasing) }
}

/// One LMDB environment with its single table, opened for the one writer of the directory or for reading beside it.
///
/// Seven things are done here that LMDB leaves to its user:
/// * a lock file of our own (`writer.lock`), so that a second writer is refused with a sentence instead of waiting;
/// * a file that is shorter than its header claims is refused before anything is mapped (a touch would be SIGBUS). LMDB
///   may leave the very last pages of a file unwritten when they were freed again, so the writer keeps the file a step
///   longer than its last page, and "shorter" then always means damage;
/// * a file whose meta pages, or the pages from the roots to the first and the last leaf, cannot be LMDB's is refused; whoever wants to know
///   of all pages reads with `readVerified`;
/// * a new file gets its name when it is whole, so that a power cut leaves a store or none;
/// * the table of readers gets its blocks of the disk before it is mapped: on a full one a touch would be SIGBUS;
/// * network file systems are refused;
/// * readers that died are cleared from the table (`clearDeadReaders`, called at open and every 30 s by the engine).
///
/// - Note: MDB_NOTLS is always on, since Swift tasks move between threads; a write transaction stays on one thread.
@safe
public final class Environment: @unchecked Sendable {
    // Unchecked: LMDB guards MDB_env with its own locks; `raw` is set once and closed in deinit, when nobody refers to it.

    public struct Options: Sendable {
        public enum Mode: Sendable { case writer, reader }
        public enum Durability: Sendable {
            /// Every commit is on the disk when it returns.
            case everyCommit
            /// The operating system writes when it likes: a crash of the machine may lose commits or the store. Tests only.
            case unsafeNoSync
        }
        public var mode: Mode
        public var durability: Durability
        /// Address space, not disk: the file is sparse. It is never resized while open.
        public var mapBytes: Int
        /// Slots of the reader table: 64 bytes each; one is taken for each open read transaction.
        public var readersMax: Int
        /// Whether a page that is not in memory brings its neighbours with it, as many as the disk's `read_ahead_kb` says. Good for
        /// whoever reads from one end to the other, bad for searches in a store larger than memory.
        public var readsAhead: Bool
        /// Who keeps count of the records; nil: nobody, and a store that has sums is left with those that it had.
        public var ledger: (any RecordLedger)?

        public init(
            mode: Mode = .writer, durability: Durability = .everyCommit, mapBytes: Int = 1 << 40, readersMax: Int = 1_022, readsAhead: Bool = true
        ) {
            self.mode = mode
            self.durability = durability
            self.mapBytes = mapBytes
            self.readersMax = readersMax
            self.readsAhead = readsAhead
        }
    }

    let raw: OpaquePointer
    let table: MDB_dbi
    public let path: String
    public let options: Options
    private let lockDescriptor: Int32
    /// Comes when the files are closed.
    public let end = EnvironmentEnd()
    private let fileBytes: Mutex<Int>
    private let writeNumber = Atomic<UInt64>(0)
    private let companions = Mutex<[ObjectIdentifier: any AnyObject & Sendable]>([:])

    /// Bytes by which the file is kept longer than its last page.
    private static let growthStep = 16 << 20
    private static let pageBytes = 4096

    /// - Parameter path: an existing directory.
    /// - Throws: `.locked`, `.truncated`, `.damagedPages`, `.networkFileSystem`, or what LMDB says; for reading `.noSuchFile` also when the
    ///   file is empty.
    public init(path: String, options: Options = Options()) throws(LMDBError) {
        try Self.refuseNetworkFileSystem(path)
        let dataFile = path + "/data.mdb"
        lockDescriptor = options.mode == .writer ? try Self.takeWriterLock(path) : -1
        var opened: OpaquePointer? = nil
        do throws(LMDBError) {
            try Self.refuseDamage(dataFile, options.mode)
            if options.mode == .writer { try Self.makeFiles(path, options) }
            unsafe try check(mdb_env_create(&opened), "create environment")
            let env = unsafe opened!
            unsafe try check(mdb_env_set_mapsize(env, options.mapBytes), "set map size")
            unsafe try check(mdb_env_set_maxreaders(env, UInt32(options.readersMax)), "set reader count")
            var flags = UInt32(MDB_NOTLS)
            if options.mode == .reader { flags |= UInt32(MDB_RDONLY) }
            if !options.readsAhead { flags |= UInt32(MDB_NORDAHEAD) }
            if options.durability == .unsafeNoSync { flags |= UInt32(MDB_NOSYNC) }
            unsafe try check(mdb_env_open(env, path, flags, 0o600), "open \(dataFile)")
            var dead: Int32 = 0
            unsafe try check(mdb_reader_check(env, &dead), "clear dead readers")

            var transaction: OpaquePointer? = nil
            unsafe try check(mdb_txn_begin(env, nil, UInt32(options.mode == .reader ? MDB_RDONLY : 0), &transaction), "begin")
            var dbi: MDB_dbi = 0
            let code = unsafe mdb_dbi_open(transaction, nil, 0, &dbi)
            guard code == MDB_SUCCESS else {
                unsafe mdb_txn_abort(transaction)
                throw LMDBError(code, "open table")
            }
            unsafe try check(mdb_txn_commit(transaction), "commit")
            // What was made is nothing without its name.
            if options.mode == .writer, options.durability == .everyCommit { try FolderEntries.flush(path) }
            unsafe raw = env
            table = dbi
        } catch {
            if let opened = unsafe opened { unsafe mdb_env_close(opened) }
            if lockDescriptor >= 0 { close(lockDescriptor) }
            throw error
        }
        self.path = path
        self.options = options
        fileBytes = Mutex(0)
        do {
            _ = try beginVerified(.edges)
        } catch let error as LMDBError {
            throw error
        } catch {
            throw LMDBError(.damagedPages, "open \(dataFile)", detail: "\((error as? DamagedPages)?.findings.first?.description ?? "\(error)")")
        }
        if options.mode == .writer { growFile() }
    }

    deinit {
        unsafe mdb_env_close(raw)
        if lockDescriptor >= 0 { close(lockDescriptor) }
        end.come()
    }

    // MARK: - Transactions

    /// A snapshot. Short-lived by rule: pages freed after it began cannot be reused until it ends.
    public func beginRead() throws(LMDBError) -> ReadTransaction {
        var transaction: OpaquePointer? = nil
        unsafe try check(mdb_txn_begin(raw, nil, UInt32(MDB_RDONLY), &transaction), "begin read")
        return unsafe ReadTransaction(raw: transaction!, environment: self)
    }

    /// Reads one snapshot; the view and every span from it end with `body`.
    public func read<R>(_ body: (borrowing TransactionView) throws -> R) throws -> R {
        let transaction = try beginRead()
        return try body(transaction.view)
    }

    /// The one write transaction. The caller commits; leaving scope without a commit aborts.
    /// - Precondition: the environment was opened as `.writer`, and no other write transaction is open on this thread.
    public func beginWrite() throws(LMDBError) -> WriteTransaction {
        precondition(options.mode == .writer, "write transaction on an environment opened for reading")
        var transaction: OpaquePointer? = nil
        unsafe try check(mdb_txn_begin(raw, nil, 0, &transaction), "begin write")
        return unsafe WriteTransaction(raw: transaction!, environment: self)
    }

    /// Of a write transaction: LMDB gives the number of an aborted one again, this does not.
    func nextWriteNumber() -> UInt64 { writeNumber.add(1, ordering: .relaxed).newValue }

    /// The one object of its type that belongs to this environment and goes with it; for what a store remembers about
    /// snapshots beside the file.
    /// - Complexity: O(1), one lock without waiting.
    public func companion<T: AnyObject & Sendable>(_ make: () -> T) -> T {
        companions.withLock { companions in
            let key = ObjectIdentifier(T.self)
            if let known = companions[key] as? T { return known }
            let made = make()
            companions[key] = made
            return made
        }
    }

    // MARK: - Upkeep

    /// Frees the slots of readers whose process died. Returns how many.
    @discardableResult
    public func clearDeadReaders() -> Int {
        var dead: Int32 = 0
        unsafe mdb_reader_check(raw, &dead)
        return Int(dead)
    }

    public struct Statistics: Sendable {
        public let entries: Int
        public let depth: Int
        public let bytesUsed: Int
        /// Pages of the table itself, without those that are free for the next commits.
        public let tableBytes: Int
        /// Those of them that only lead to the others.
        public let branchBytes: Int
        public let mapBytes: Int
        public let lastTransaction: UInt64
        public let readers: Int
    }

    public func statistics() throws(LMDBError) -> Statistics {
        var stat = MDB_stat()
        var info = unsafe MDB_envinfo()
        unsafe try check(mdb_env_stat(raw, &stat), "statistics")
        unsafe try check(mdb_env_info(raw, &info), "statistics")
        return unsafe Statistics(
            entries: Int(stat.ms_entries), depth: Int(stat.ms_depth), bytesUsed: (Int(info.me_last_pgno) + 1) * Int(stat.ms_psize),
            tableBytes: (Int(stat.ms_branch_pages) + Int(stat.ms_leaf_pages) + Int(stat.ms_overflow_pages)) * Int(stat.ms_psize),
            branchBytes: Int(stat.ms_branch_pages) * Int(stat.ms_psize), mapBytes: Int(info.me_mapsize),
            lastTransaction: UInt64(info.me_last_txnid), readers: Int(info.me_numreaders))
    }

    /// Returns when all that was committed is on the disk, whatever the durability of the commits was.
    public func flush() throws(LMDBError) { unsafe try check(mdb_env_sync(raw, 1), "flush") }

    /// Keeps the file a step longer than its last page (see the type's comment). Called by the writer after commits.
    public func growFile() {
        var info = unsafe MDB_envinfo()
        guard unsafe mdb_env_info(raw, &info) == MDB_SUCCESS else { return }
        let needed = unsafe (Int(info.me_last_pgno) + 1) * Self.pageBytes + Self.growthStep / 2
        fileBytes.withLock { bytes in
            guard bytes < needed else { return }
            var descriptor: mdb_filehandle_t = 0
            guard unsafe mdb_env_get_fd(raw, &descriptor) == MDB_SUCCESS else { return }
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { return }
            bytes = Int(status.st_size)
            if bytes < needed, ftruncate(descriptor, off_t(needed + Self.growthStep)) == 0 { bytes = needed + Self.growthStep }
        }
    }

    // MARK: - Before opening

    static func takeWriterLock(_ path: String) throws(LMDBError) -> Int32 {
        let file = path + "/writer.lock"
        let descriptor = unsafe open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(errno, "open \(file)") }
        // flock belongs to the open file, so that two environments in one process exclude each other as well.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            var text = [UInt8](repeating: 0, count: 32)
            let count = unsafe text.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, 32, 0) }
            let holder = String(decoding: text[..<max(0, count)], as: UTF8.self)
            close(descriptor)
            throw LMDBError(.locked, "lock \(path)", detail: "held by process \(holder)")
        }
        ftruncate(descriptor, 0)
        let holder = Array(String(getpid()).utf8)
        _ = unsafe holder.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        return descriptor
    }

    /// Makes the file of a store that is not there yet, under another name first, and the table of readers.
    private static func makeFiles(_ path: String, _ options: Options) throws(LMDBError) {
        var status = stat()
        let file = path + "/data.mdb"
        if unsafe stat(file, &status) != 0 || status.st_size == 0 {
            // In a folder of its own: LMDB keeps in the file that it has another name.
            let folder = path + "/new"
            let draft = folder + "/data.mdb"
            // What is there is of a start that was cut off.
            unsafe unlink(draft)
            guard unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw LMDBError(errno, "make \(folder)") }
            var made: OpaquePointer? = nil
            unsafe try check(mdb_env_create(&made), "create environment")
            unsafe mdb_env_set_mapsize(made, options.mapBytes)
            let code = unsafe mdb_env_open(made, folder, UInt32(MDB_NOLOCK | MDB_NOTLS), 0o600)
            unsafe mdb_env_close(made)
            try check(code, "create \(draft)")
            let descriptor = unsafe open(draft, O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { throw LMDBError(errno, "open \(draft)") }
            let isKept = options.durability == .unsafeNoSync || fsync(descriptor) == 0
            let failure = errno
            close(descriptor)
            guard isKept else { throw LMDBError(failure, "flush \(draft)") }
            guard unsafe rename(draft, file) == 0 else { throw LMDBError(errno, "name \(file)") }
            unsafe rmdir(folder)
        }
        // LMDB's own: 64 bytes for each reader behind its head. It keeps a file that is longer. Opened only when it is needed: closing a file
        // takes this process's locks of it.
        let lockFile = path + "/lock.mdb"
        let needed = (64 * options.readersMax + 2 * pageBytes - 1) / pageBytes * pageBytes
        if unsafe stat(lockFile, &status) == 0, Int(status.st_blocks) * 512 >= needed { return }
        let descriptor = unsafe open(lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LMDBError(errno, "open \(lockFile)") }
        defer { close(descriptor) }
        let code = posix_fallocate(descriptor, 0, off_t(needed))
        guard code == 0 else { throw LMDBError(code, "allocate \(lockFile)") }
    }

    private static func refuseNetworkFileSystem(_ path: String) throws(LMDBError) {
        var status = statfs()
        guard unsafe statfs(path, &status) == 0 else { throw LMDBError(errno, "open \(path)") }
        // NFS, SMB, CIFS, SMB2, AFS, Ceph, 9P, FUSE is not among them: local FUSE file systems are common and sound.
        let networked: Set<UInt32> = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x5346_414F, 0x00C3_6400, 0x0102_1997]
        if networked.contains(UInt32(truncatingIfNeeded: status.f_type)) { throw LMDBError(.networkFileSystem, "open \(path)") }
    }

    /// Reads both meta pages with ordinary reads, and compares the newer one's last page with the file's length.
    private static func refuseDamage(_ file: String, _ mode: Options.Mode) throws(LMDBError) {
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT, mode == .writer { return }
            throw LMDBError(errno, "open \(file)")
        }
        defer { close(descriptor) }
        let pages = PageFile(descriptor: descriptor)
        guard let bytes = pages.bytes else { throw LMDBError(errno, "open \(file)") }
        if bytes == 0 {
            // A writer makes a store of it.
            if mode == .writer { return }
            throw LMDBError(.noSuchFile, "open \(file)", detail: "the file is empty")
        }
        guard bytes >= 2 * pageBytes else { throw LMDBError(.truncated, "open \(file)", detail: "\(bytes) bytes, not even two meta pages") }
        let head: PageHead
        do {
            head = try PageHead.newest(pages)
        } catch {
            throw LMDBError(.damagedPages, "open \(file)", detail: "\(error.findings[0])")
        }
        // Once more: it may have grown with the commit that the meta page is of.
        let claimed = head.lastPage.multipliedReportingOverflow(by: UInt64(head.pageBytes))
        let reached = claimed.partialValue.addingReportingOverflow(UInt64(head.pageBytes))
        guard !claimed.overflow, !reached.overflow, let now = pages.bytes, UInt64(now) >= reached.partialValue else {
            throw LMDBError(.truncated, "open \(file)", detail: "\(bytes) bytes of \(reached.partialValue)")
        }
    }

    // MARK: - Damaged pages

    /// How often a snapshot is begun whose meta page a writer is writing over.
    private static let attempts = 1_000

    /// Begins a snapshot that LMDB can be trusted with.
    private func beginVerified(_ extent: PageCheck.Extent) throws -> ReadTransaction {
        try withHead { file, head, transaction in
            let findings = PageCheck.findings(file, head, extent)
            guard findings.isEmpty else { throw DamagedPages(findings: findings) }
            return transaction
        }
    }

    /// Begins a snapshot of which the meta page is known.
    private func withHead<R: ~Copyable>(_ body: (PageFile, PageHead, consuming ReadTransaction) throws -> R) throws -> R {
        var descriptor: mdb_filehandle_t = 0
        unsafe try check(mdb_env_get_fd(raw, &descriptor), "verify pages")
        let file = PageFile(descriptor: descriptor)
        for attempt in 0..<Self.attempts {
            let transaction = try beginRead()
            guard let head = PageHead.of(snapshot: transaction.number, file), try beginRead().number == transaction.number else {
                // Commits come faster than this reads, or a meta page is damaged: 4 s at most.
                usleep(min(UInt32(attempt) * 10, 5_000))
                continue
            }
            return try body(file, head, transaction)
        }
        throw LMDBError(.corrupted, "verify pages", detail: "no meta page is of a snapshot that can be begun")
    }

    /// Reads one snapshot, of which every page was verified before (see PageCheck.swift), beside a writer too.
    /// - Throws: `DamagedPages`, and then nothing was read through LMDB.
    /// - Complexity: O(pages) before `body`: the whole store is read, but for long values.
    public func readVerified<R>(_ body: (borrowing TransactionView) throws -> R) throws -> R {
        let transaction = try beginVerified(.whole)
        return try body(transaction.view)
    }

    /// What a part of a store was found to be.
    public struct Part: Sendable {
        public let findings: [PageFinding]
        /// The keys that pages had which cannot be read.
        public let gaps: [KeyGap]
        /// Where the next part begins; nil: there is none.
        public let end: [UInt8]?
    }

    /// Reads the records of some leaves with ordinary reads, on a snapshot that ends with it: LMDB is not asked, so no page that is broken can
    /// end the process.
    /// - Parameters:
    ///   - from: the first key, or one before it; empty: the first of all.
    ///   - take: gets keys and values in the order of keys.
    ///   - then: is called on the same snapshot when all were read.
    /// - Throws: what `take` and `then` throw; `LMDBError`
    public func inspect(
        from: [UInt8], leaves: Int, _ take: PageTaker, then: (borrowing TransactionView, Part) throws -> Void = { _, _ in }
    ) throws -> Part {
        try withoutActuallyEscaping(take) { take in
            try withHead { file, head, transaction in
                let found = try PageCheck.records(file, head, .part(from: from, leaves: leaves)) { key, value in
                    // The leaf in which a part begins may have some from before.
                    if !key.lexicographicallyPrecedes(from) { try take(key, value) }
                }
                let part = Part(findings: found.findings, gaps: found.gaps, end: found.end)
                try then(transaction.view, part)
                return part
            }
        }
    }
}
