internal import CLMDB
#if canImport(Glibc)
internal import Glibc
#endif

/// A return code of LMDB or of the system call below it, and the operation that met it.
public struct LMDBError: Error, Sendable, CustomStringConvertible {
    /// LMDB's and errno's numbers share one space: LMDB's are below -30,000, errno's above zero.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        public static let mapFull = Code(rawValue: MDB_MAP_FULL)
        public static let readersFull = Code(rawValue: MDB_READERS_FULL)
        public static let transactionFull = Code(rawValue: MDB_TXN_FULL)
        public static let corrupted = Code(rawValue: MDB_CORRUPTED)
        public static let pageNotFound = Code(rawValue: MDB_PAGE_NOTFOUND)
        /// The write of a meta page has failed: no transaction can begin until the environment is opened anew.
        public static let panic = Code(rawValue: MDB_PANIC)
        public static let invalid = Code(rawValue: MDB_INVALID)
        public static let versionMismatch = Code(rawValue: MDB_VERSION_MISMATCH)
        public static let badValueSize = Code(rawValue: MDB_BAD_VALSIZE)
        public static let noSpace = Code(rawValue: ENOSPC)
        public static let inputOutput = Code(rawValue: EIO)
        public static let quota = Code(rawValue: EDQUOT)
        public static let fileTooLarge = Code(rawValue: EFBIG)
        /// What a file system becomes that has met errors of its disk.
        public static let readOnly = Code(rawValue: EROFS)
        public static let accessDenied = Code(rawValue: EACCES)
        public static let noSuchFile = Code(rawValue: ENOENT)
        /// Ours: the file is shorter than its own header says. Touching the missing pages would be SIGBUS.
        public static let truncated = Code(rawValue: 1_000_001)
        /// Ours: another process holds the writer's lock of this directory.
        public static let locked = Code(rawValue: 1_000_002)
        /// Ours: the directory lies on a network file system, where neither mmap nor locks can be trusted.
        public static let networkFileSystem = Code(rawValue: 1_000_003)
        /// Ours: pages that LMDB would have to trust contradict each other.
        public static let damagedPages = Code(rawValue: 1_000_004)
    }

    public let code: Code
    public let operation: String
    /// More than the code says (sizes, who holds a lock), empty when there is nothing.
    public let detail: String

    init(_ code: Int32, _ operation: String, detail: String = "") {
        self.init(Code(rawValue: code), operation, detail: detail)
    }
    init(_ code: Code, _ operation: String, detail: String = "") {
        self.code = code
        self.operation = operation
        self.detail = detail
    }

    /// Disk or map are full, or the disk takes nothing: reads go on, and writes will again when there is room.
    public var isStorageFull: Bool {
        [.mapFull, .noSpace, .inputOutput, .quota, .transactionFull, .fileTooLarge, .readOnly].contains(code)
    }

    static func text(_ code: Int32) -> String { unsafe String(cString: mdb_strerror(code)) }

    public var description: String {
        let text =
            switch code {
            case .truncated: "the data file is truncated"
            case .locked: "another process is writing to this data directory"
            case .networkFileSystem: "the data directory is on a network file system, where a memory-mapped store is not safe"
            case .damagedPages: "the data file is damaged"
            default: Self.text(code.rawValue)
            }
        return "\(operation): \(text)" + (detail.isEmpty ? "" : " (\(detail))")
    }
}

/// Throws unless `code` is MDB_SUCCESS.
@inline(__always)
func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(LMDBError) {
    if code != MDB_SUCCESS { throw LMDBError(code, operation()) }
}
