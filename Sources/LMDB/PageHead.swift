#if canImport(Glibc)
internal import Glibc
#endif

/// The file of a store by its descriptor, read without a map: what is missing or broken is an answer, not a signal.
struct PageFile {
    let descriptor: Int32

    /// Reads into `buffer` from `place` on.
    /// - Returns: nil when all of it came.
    func read(_ count: Int, at offset: Int, into buffer: inout [UInt8], _ place: Int) -> PageFinding.Fault? {
        var done = 0
        while done < count {
            let came = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe pread(descriptor, bytes.baseAddress! + place + done, min(count, bytes.count - place) - done, off_t(offset + done))
            }
            if came < 0, errno == EINTR { continue }
            if came < 0 { return .unreadable(errno) }
            if came == 0 { return .unreadable(nil) }
            done += came
        }
        return nil
    }

    /// - Returns: nil when the system does not say.
    var bytes: Int? {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? Int(status.st_size) : nil
    }
}

extension Array where Element == UInt8 {
    /// Numbers as LMDB has them: in the byte order of the machine, which here is always little-endian.
    @inline(__always)
    func number(_ offset: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<count { value |= UInt64(self[offset + place]) << UInt64(8 * place) }
        return value
    }
    @inline(__always)
    func half(_ offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }
}

/// One tree as a meta page has it.
struct TreeHead: Equatable {
    static let noRoot = UInt64.max
    /// LMDB's cursors are as deep.
    static let depthMax = 32
    static let bytes = 48

    let flags: UInt16
    let depth: Int
    let branchPages: UInt64
    let leafPages: UInt64
    let runPages: UInt64
    let entries: UInt64
    let root: UInt64

    init(_ bytes: [UInt8], _ offset: Int) {
        flags = bytes.half(offset + 4)
        depth = Int(bytes.half(offset + 6))
        branchPages = bytes.number(offset + 8, 8)
        leafPages = bytes.number(offset + 16, 8)
        runPages = bytes.number(offset + 24, 8)
        entries = bytes.number(offset + 32, 8)
        root = bytes.number(offset + 40, 8)
    }

    func isPossible(lastPage: UInt64) -> Bool {
        if root == Self.noRoot { return depth == 0 && branchPages == 0 && leafPages == 0 && runPages == 0 && entries == 0 }
        return (1...Self.depthMax).contains(depth) && (2...max(2, lastPage)).contains(root) && branchPages <= lastPage && leafPages <= lastPage
            && runPages <= lastPage
    }
}

/// A meta page: what a commit has left.
struct PageHead: Equatable {
    /// 0 or 1.
    let page: UInt64
    let transaction: UInt64
    let pageBytes: Int
    let lastPage: UInt64
    let free: TreeHead
    let main: TreeHead

    /// Of the page's header and what is in use behind it.
    private static let bytes = 16 + 136
    private static let metaFlag: UInt16 = 0x08
    /// Of all stores that this has ever made.
    private static let usualPageBytes = 4_096
    /// How often a pair that does not fit is read again: a commit may be at it.
    private static let attempts = 100

    private init(_ bytes: [UInt8], page: UInt64) {
        self.page = page
        pageBytes = Int(bytes.number(16 + 24, 4))
        free = TreeHead(bytes, 16 + 24)
        main = TreeHead(bytes, 16 + 24 + TreeHead.bytes)
        lastPage = bytes.number(16 + 120, 8)
        transaction = bytes.number(16 + 128, 8)
    }

    /// Both meta pages, whatever trees they name.
    static func pair(_ file: PageFile) -> Result<(PageHead, PageHead), DamagedPages> {
        var bytes = [UInt8](repeating: 0, count: Self.bytes)
        func read(_ page: UInt64, at offset: Int) -> PageFinding.Fault? {
            if let fault = file.read(Self.bytes, at: offset, into: &bytes, 0) { return fault }
            let isMeta =
                bytes.number(0, 8) == page && bytes.half(10) == metaFlag && bytes.number(16, 4) == 0xBEEF_C0DE && bytes.number(20, 4) == 1
            return isMeta ? nil : .noMetaPage
        }
        func damage(_ page: UInt64, _ fault: PageFinding.Fault) -> DamagedPages {
            DamagedPages(findings: [PageFinding(page: page, tree: nil, fault: fault)])
        }
        if let fault = read(0, at: 0) { return .failure(damage(0, fault)) }
        let first = PageHead(bytes, page: 0)
        guard (512...32_768).contains(first.pageBytes), first.pageBytes & (first.pageBytes - 1) == 0 else {
            return .failure(damage(0, .pageBytes(UInt32(truncatingIfNeeded: first.pageBytes))))
        }
        if let fault = read(1, at: first.pageBytes) { return .failure(damage(1, fault)) }
        let second = PageHead(bytes, page: 1)
        guard second.pageBytes == first.pageBytes else { return .failure(damage(1, .pageBytes(UInt32(truncatingIfNeeded: second.pageBytes)))) }
        // Commits go to the two in turn, page 0 has the even ones. A new store has 0 and 0.
        let isNew = first.transaction == 0 && second.transaction == 0
        guard isNew || (first.transaction ^ second.transaction) & 1 == 1 && first.transaction & 1 == 0
            && max(first.transaction, second.transaction) - min(first.transaction, second.transaction) == 1
        else { return .failure(damage(0, .commits(first.transaction, second.transaction))) }
        return .success((first, second))
    }

    /// Those of the two that are whole by themselves, whatever the other is.
    static func each(_ file: PageFile) -> [PageHead] {
        guard let length = file.bytes else { return [] }
        var heads: [PageHead] = []
        for page in 0..<2 as Range<UInt64> {
            var bytes = [UInt8](repeating: 0, count: Self.bytes)
            guard file.read(Self.bytes, at: Int(page) * usualPageBytes, into: &bytes, 0) == nil, bytes.number(0, 8) == page, bytes.half(10) == metaFlag,
                bytes.number(16, 4) == 0xBEEF_C0DE, bytes.number(20, 4) == 1
            else { continue }
            let head = PageHead(bytes, page: page)
            guard head.pageBytes == usualPageBytes, head.transaction & 1 == page || head.transaction == 0, head.faults.isEmpty,
                head.lastPage < UInt64(length / usualPageBytes)
            else { continue }
            heads.append(head)
        }
        return heads
    }

    /// The number of the last commit that has let pages go, by the tree of free pages: nearly every commit does. Its own number may be broken, this
    /// stands elsewhere.
    /// - Returns: 0 when it cannot be told.
    func lastFreeing(_ file: PageFile) -> UInt64 {
        var page = free.root
        var bytes = [UInt8](repeating: 0, count: pageBytes)
        for level in 0..<free.depth {
            guard page <= lastPage, file.read(pageBytes, at: Int(page) * pageBytes, into: &bytes, 0) == nil, bytes.number(0, 8) == page else { return 0 }
            let lower = Int(bytes.half(12))
            guard lower >= 18, lower <= pageBytes else { return 0 }
            let node = Int(bytes.half(lower - 2))
            guard node + 16 <= pageBytes else { return 0 }
            if level + 1 == free.depth { return bytes.number(node + 8, 8) }
            page = bytes.number(node, 4) | UInt64(bytes.half(node + 4)) << 32
        }
        return 0
    }

    /// The newest one, held against the length of the file. A pair that is being written may look wrong: it is read again.
    static func newest(_ file: PageFile) throws(DamagedPages) -> PageHead {
        var last = DamagedPages(findings: [])
        for _ in 0..<attempts {
            switch pair(file) {
            case .success(let (first, second)):
                let newest = first.transaction < second.transaction ? second : first
                let faults = newest.faults
                if faults.isEmpty { return newest }
                last = DamagedPages(findings: faults)
            case .failure(let damage): last = damage
            }
            usleep(100)
        }
        throw last
    }

    /// The one that a snapshot of this number was begun on, provided that a snapshot which is begun afterwards has this number too.
    ///
    /// Commit N writes the meta page N & 1, and then N into the lock file, where readers and the next writer find it. So:
    /// * the page of snapshot N is written again by commit N + 2 only;
    /// * commit N + 2 begins with N + 1 in the lock file (LMDB 0.9.24 `mdb_txn_renew0`: number = `mti_txnid` + 1), and that number only grows;
    /// * whoever begins a snapshot after the page was read, and gets N, knows that there was no commit N + 2 while it was read.
    ///
    /// The other page may be of N - 1, or of N + 1: then a writer is between its page and the number, or was killed there. As long as nobody
    /// writes, LMDB goes on to give N to readers; the next writer gets a lock whose owner is dead, and takes the number from the newer page.
    /// - Returns: nil when a commit has come between: a newer snapshot has to be begun.
    static func of(snapshot: UInt64, _ file: PageFile) -> PageHead? {
        guard case .success(let (first, second)) = pair(file) else { return nil }
        let own = snapshot & 1 == 0 ? first : second
        return own.transaction == snapshot ? own : nil
    }

    /// What of the trees' heads cannot be.
    var faults: [PageFinding] {
        var faults: [PageFinding.Fault] = []
        // Keys of the first are numbers (MDB_INTEGERKEY); the second is a plain table.
        if free.flags != 0x08 { faults.append(.treeFlags(free.flags)) }
        if main.flags != 0 { faults.append(.treeFlags(main.flags)) }
        if !free.isPossible(lastPage: lastPage) || !main.isPossible(lastPage: lastPage) { faults.append(.treeHead) }
        return faults.map { PageFinding(page: page, tree: nil, fault: $0) }
    }
}
