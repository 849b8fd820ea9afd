/// What is wrong with a page of a store's file.
public struct PageFinding: Sendable, Hashable, CustomStringConvertible {
    public enum Fault: Sendable, Hashable {
        /// The number of a system's error; nil when the file ends before.
        case unreadable(Int32?)
        /// Not one of the first two pages of a store.
        case noMetaPage
        case pageBytes(UInt32)
        /// The two first pages are not of two commits, one after the other.
        case commits(UInt64, UInt64)
        case treeFlags(UInt16)
        case treeHead
        case beyondEnd(last: UInt64)
        case usedTwice
        case usedAndFree
        case wrongNumber(UInt64)
        case wrongKind(flags: UInt16)
        case bounds(lower: UInt16, upper: UInt16)
        case nodeCount(Int)
        case nodePlace(Int)
        case nodeFlags(Int)
        case keyLength(Int)
        case space
        case order(Int)
        case outsideParent(Int)
        /// A value's own pages, too few for its length or none.
        case run(UInt32)
        case freeList(Int)
        /// Counted in the tree, and what the meta page says.
        case count(Kind, found: UInt64, claimed: UInt64)
    }

    public enum Kind: String, Sendable {
        case branches = "branch pages"
        case leaves = "leaves"
        case runs = "pages of long values"
        case entries = "records"
    }

    public enum Tree: String, Sendable {
        case free = "the tree of free pages"
        case main = "the tree of records"
    }

    public let page: UInt64
    /// Where the page was come to; nil for the meta pages themselves.
    public let tree: Tree?
    public let fault: Fault

    public var description: String {
        "page \(page)" + (tree.map { " in \($0.rawValue)" } ?? "") + ": " + what
    }

    private var what: String {
        switch fault {
        case .unreadable(let code): code.map { "it cannot be read: \(LMDBError.text($0))" } ?? "the file ends before it"
        case .noMetaPage: "it is no meta page of LMDB's"
        case .pageBytes(let bytes): "it says that pages have \(bytes) bytes"
        case .commits(let first, let second): "the meta pages are of commits \(first) and \(second), which do not follow each other"
        case .treeFlags(let flags): "it names a table of another sort (flags \(flags))"
        case .treeHead: "depth, root and counts of a tree contradict each other"
        case .beyondEnd(let last): "there is no such page, the last is \(last)"
        case .usedTwice: "it is led to twice"
        case .usedAndFree: "it is listed as free, and in use or listed before"
        case .wrongNumber(let number): "its header has the number \(number)"
        case .wrongKind(let flags): "it is not the kind of page that belongs here (flags \(flags))"
        case .bounds(let lower, let upper): "its free space is from \(lower) to \(upper), which cannot be"
        case .nodeCount(let count): "it has \(count) nodes, too few"
        case .nodePlace(let node): "node \(node) is not within the page"
        case .nodeFlags(let node): "node \(node) is not of a kind that belongs here"
        case .keyLength(let node): "the key of node \(node) has a length that keys do not have"
        case .space: "its nodes do not fill the space that it says is taken"
        case .order(let node): "the key of node \(node) does not follow the one before"
        case .outsideParent(let node): "the key of node \(node) is not one of those that lead here"
        case .run(let pages): "a long value begins here and is said to have \(pages) pages, which is not enough or more than there are"
        case .freeList(let node): "the list of free pages in node \(node) cannot be one"
        case .count(let kind, let found, let claimed): "it says \(claimed) \(kind.rawValue), there are \(found)"
        }
    }
}

/// What of the keys a page that cannot be read has taken with it: those from `low` on (nil: from the first) that are below `high` (nil: to the
/// last).
public struct KeyGap: Sendable, Equatable {
    public let low: [UInt8]?
    public let high: [UInt8]?
}

/// Gets key and value of each record, in the order of keys, from pages that are as they must be.
public typealias PageTaker = (_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws -> Void

/// A store whose pages cannot be trusted: LMDB would run over them with its assertions, or past the end of its map.
public struct DamagedPages: Error, Sendable, CustomStringConvertible {
    /// In the order of finding, at least one and `PageCheck.findingsMax` at most.
    public let findings: [PageFinding]

    public var description: String {
        let more = findings.count > 1 ? ", and \(findings.count - 1) more" : ""
        return "the store's file is damaged: \(findings[0])\(more)"
    }
}
