internal import CLMDB
#if canImport(Glibc)
internal import Glibc
#endif

/// A store that LMDB cannot be trusted with, for whoever saves what is left of it: everything by ordinary reads.
///
/// Which of the two meta pages is the store's? The one with the higher number, where both are whole and follow each other. A number that is
/// broken is known by the tree of free pages, in which nearly every commit enters its own. Of the state before the last commit nothing has been
/// written over yet, so when records of the newest cannot be reached, the one is taken from which more can.
public enum DamagedStore {
    public struct Report: Sendable {
        /// Of the state that was read.
        public let commit: UInt64
        /// What is wrong with its pages, the first hundred of it, and the keys that they had, all of them.
        public let findings: [PageFinding]
        public let gaps: [KeyGap]
        /// What is wrong with the meta pages; nil: nothing.
        public let meta: PageFinding?
        /// Whether it is the state before the last commit, since that one's cannot be reached.
        public let isOlder: Bool
    }

    /// Reads all records that can be reached, in the order of their keys.
    ///
    /// - Parameter path: of the store, of which nobody is the writer now.
    /// - Throws: `.damagedPages` when no meta page can be used; `LMDBError` of the file; what `take` throws.
    /// - Complexity: O(store), read twice; three times when records cannot be reached.
    public static func read(_ path: String, _ take: PageTaker) throws -> Report {
        let name = path + "/data.mdb"
        let descriptor = unsafe open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBError(errno, "open \(name)") }
        defer { close(descriptor) }
        let file = PageFile(descriptor: descriptor)
        var meta: PageFinding?
        var heads = PageHead.each(file)
        switch PageHead.pair(file) {
        case .success: heads.sort { $0.transaction > $1.transaction }
        case .failure(let damage):
            meta = damage.findings.first
            heads.sort { ($0.lastFreeing(file), $0.transaction) > ($1.lastFreeing(file), $1.transaction) }
        }
        guard var chosen = heads.first else {
            throw LMDBError(.damagedPages, "read \(name)", detail: meta.map { "\($0)" } ?? "neither meta page can be used")
        }
        var isOlder = false
        if let other = heads.dropFirst().first {
            func reached(_ head: PageHead) throws -> (records: Int, isWhole: Bool) {
                var records = 0
                let gaps = try PageCheck.records(file, head) { _, _ in records += 1 }.gaps
                return (records, gaps.isEmpty)
            }
            let newest = try reached(chosen)
            if !newest.isWhole, try reached(other).records > newest.records { (chosen, isOlder) = (other, true) }
        }
        let found = try withoutActuallyEscaping(take) { try PageCheck.records(file, chosen, .whole, $0) }
        return Report(commit: chosen.transaction, findings: found.findings, gaps: found.gaps, meta: meta, isOlder: isOlder)
    }
}

/// The writer's place at a store that need not be one that can be opened: as long as it is held nobody else writes.
public struct WriterLock: ~Copyable {
    private let descriptor: Int32

    /// - Throws: `.locked`
    public init(path: String) throws(LMDBError) { descriptor = try Environment.takeWriterLock(path) }

    deinit { close(descriptor) }

    /// Puts a file in the place of the store's, in one step, and has it on the disk when it returns.
    /// - Parameter kept: a name beside it that the file of before has from then on.
    public borrowing func replace(_ path: String, by file: String, keeping kept: String) throws(LMDBError) {
        let store = path + "/data.mdb"
        unsafe unlink(path + "/" + kept)
        guard unsafe link(store, path + "/" + kept) == 0 else { throw LMDBError(errno, "name \(path)/\(kept)") }
        // Readers count transactions there, and those of the other file are others.
        unsafe unlink(path + "/lock.mdb")
        guard unsafe rename(file, store) == 0 else { throw LMDBError(errno, "name \(store)") }
        try FolderEntries.flush(path)
    }
}
