// Whether the pages of a store can be handed to LMDB.
//
// LMDB trusts its file. It follows a page number wherever it leads, takes lengths as they stand and holds its own ideas with `assert`: a page
// of zeros ends the process. So before a tool opens a store that may be damaged, this reads the file by itself, with `pread`, and believes
// nothing. What the bytes of records say is not looked at here: each has a seal (module KeySpace).
//
// The file of LMDB 0.9 on a 64-bit machine, little-endian (its own words: the comments on MDB_page, MDB_node, MDB_db, MDB_meta in mdb.c):
//
//     page 0, 1    meta pages: commit N writes page N & 1, so that the one before stays whole
//     page 2...    branches, leaves, runs of a long value, and what is free
//
//     each page          0 number u64 | 8 unused u16 | 10 flags u16 | 12 lower u16 | 14 upper u16 | 16 ...
//     branch 01, leaf 02 offsets of nodes, u16 each, from 16 to `lower`, in the order of keys | free space | nodes from `upper` to the end
//     run 04             12 how many pages u32 | 16 the value, over all of them without another header
//     meta 08            16 magic BEEFC0DE u32 | 20 version 1 u32 | 24 address u64 | 32 map size u64 | 40 tree of free pages | 88 tree of records
//                        | 136 last page u64 | 144 number of the commit u64
//     a tree, 48 bytes   0 page size u32 (in the first) | 4 flags u16 | 6 depth u16 | 8 branch pages u64 | 16 leaves u64 | 24 pages of runs u64
//                        | 32 records u64 | 40 root u64, all ones when the tree is empty
//     a node             0 low u16 | 2 high u16 | 4 flags u16 | 6 length of key u16 | 8 key, value; at an even place, without gaps between nodes
//       of a branch      low, high and flags are the page below, 48 bits; the key is the first below, and of the first node it means nothing
//       of a leaf        low and high are the length of the value; with flag 01 eight bytes stand for it: the first page of its run
//
// Both trees are B+trees of one depth everywhere. The keys of the first are numbers of commits, its values lists of pages that became free
// with them: how many u64, then the pages, u64 each. A page is in one tree once, or in one list once. A run may be longer than its value needs.
//
// A snapshot's pages are not written as long as its reader is open, so a store can be read beside its writer: begin the snapshot first, then
// take the meta page with its number (`PageHead.of`).
//
// Memory: two bits a page, and a page for each level. Time: each page is read once, of a run only the header.

internal struct PageCheck {
    enum Extent {
        /// Every page.
        case whole
        /// From the roots down to the first and the last leaf: what can be afforded whenever a store is opened.
        case edges
        /// Of the tree of records so many leaves with the ways to them, the first of them the one in which a key is or would be.
        case part(from: [UInt8], leaves: Int)
    }

    static let findingsMax = 100
    private static let headerBytes = 16
    private static let nodeBytes = 8
    private static let keyBytesMax = 511
    private static let flags: (branch: UInt16, leaf: UInt16, run: UInt16) = (0x01, 0x02, 0x04)
    private static let longValue: UInt16 = 0x01
    private static let listBytes = 1 << 16

    private let file: PageFile
    private let head: PageHead
    private let extent: Extent
    private let isWhole: Bool
    private let pageBytes: Int
    /// The last that may be named: of the snapshot, and there in the file.
    private let lastPage: UInt64
    private var findings: [PageFinding] = []
    private var used: PageSet
    private var free: PageSet
    /// The pages that lead to the one that is looked at, one after the other, root first; keys that bound it lie there.
    private var path: [UInt8]
    private var list: [UInt8]
    /// Of whoever takes the records. It goes on behind a page that is broken.
    private var take: PageTaker?
    private(set) var gaps: [KeyGap] = []
    private var failure: (any Error)?
    private var leavesLeft = Int.max
    /// Where a part ends: the first key behind it, or one between; nil when there is nothing behind.
    private(set) var end: [UInt8]?

    // Of the tree that is walked.
    private var tree = PageFinding.Tree.main
    private var depth = 0
    private var branchPages: UInt64 = 0
    private var leafPages: UInt64 = 0
    private var runPages: UInt64 = 0
    private var entries: UInt64 = 0

    /// - Returns: nothing when LMDB can read the trees that `head` names.
    /// - Complexity: O(pages), or O(depth).
    static func findings(_ file: PageFile, _ head: PageHead, _ extent: Extent) -> [PageFinding] {
        guard head.faults.isEmpty else { return head.faults }
        guard let bytes = file.bytes else { return [PageFinding(page: 0, tree: nil, fault: .unreadable(nil))] }
        let pages = UInt64(bytes / head.pageBytes)
        guard head.lastPage < pages else { return [PageFinding(page: head.lastPage, tree: nil, fault: .unreadable(nil))] }
        var check = PageCheck(file, head, extent)
        check.walk(.main, head.main)
        check.walk(.free, head.free)
        return check.findings
    }

    /// Reads the tree of records, or a part of it, and hands out what stands on pages that are as they must be.
    /// - Returns: what is wrong with the others (`findingsMax` of it at most), the keys that they had (all of them), and where a part ends.
    /// - Throws: what `take` throws.
    static func records(
        _ file: PageFile, _ head: PageHead, _ extent: Extent = .whole, _ take: @escaping PageTaker
    ) throws -> (findings: [PageFinding], gaps: [KeyGap], end: [UInt8]?) {
        guard head.faults.isEmpty else { return (head.faults, [KeyGap(low: nil, high: nil)], nil) }
        var check = PageCheck(file, head, extent)
        check.take = take
        if case .part(_, let leaves) = extent { check.leavesLeft = leaves }
        check.walk(.main, head.main)
        if let failure = check.failure { throw failure }
        return (check.findings, check.gaps, check.end)
    }

    private init(_ file: PageFile, _ head: PageHead, _ extent: Extent) {
        self.file = file
        self.head = head
        self.extent = extent
        isWhole = if case .whole = extent { true } else { false }
        pageBytes = head.pageBytes
        lastPage = head.lastPage
        used = PageSet(last: isWhole ? head.lastPage : nil)
        free = PageSet(last: isWhole ? head.lastPage : nil)
        path = [UInt8](repeating: 0, count: max(1, head.main.depth, head.free.depth) * head.pageBytes)
        list = [UInt8](repeating: 0, count: isWhole ? Self.listBytes : 0)
    }

    private mutating func report(_ page: UInt64, _ fault: PageFinding.Fault) {
        if findings.count < Self.findingsMax { findings.append(PageFinding(page: page, tree: tree, fault: fault)) }
    }

    // MARK: - A tree

    private mutating func walk(_ tree: PageFinding.Tree, _ tops: TreeHead) {
        guard tops.root != TreeHead.noRoot else { return }
        self.tree = tree
        depth = tops.depth
        (branchPages, leafPages, runPages, entries) = (0, 0, 0, 0)
        let before = findings.count
        visit(tops.root, level: 0, low: nil, high: nil)
        // Where something is missing the counts only say so again.
        guard isWhole, findings.count == before else { return }
        for (kind, found, claimed) in [
            (.branches, branchPages, tops.branchPages), (.leaves, leafPages, tops.leafPages), (.runs, runPages, tops.runPages),
            (.entries, entries, tops.entries),
        ] as [(PageFinding.Kind, UInt64, UInt64)] where found != claimed {
            report(head.page, .count(kind, found: found, claimed: claimed))
        }
    }

    /// Takes the page for the tree.
    private mutating func claim(_ page: UInt64) -> Bool {
        guard page >= 2, page <= lastPage else {
            report(page, .beyondEnd(last: lastPage))
            return false
        }
        guard used.insert(page) else {
            report(page, .usedTwice)
            return false
        }
        if free.contains(page) {
            report(page, .usedAndFree)
            return false
        }
        return true
    }

    /// - Parameters:
    ///   - low: where in `path` the key stands that is not over any key here; nil when there is no such bound.
    ///   - high: the key that is over all of them.
    private mutating func visit(_ page: UInt64, level: Int, low: Range<Int>?, high: Range<Int>?) {
        guard take != nil || findings.count < Self.findingsMax, failure == nil else { return }
        guard claim(page) else { return miss(low, high) }
        let base = level * pageBytes
        if let fault = file.read(pageBytes, at: Int(page) * pageBytes, into: &path, base) {
            report(page, fault)
            return miss(low, high)
        }
        let isBranch = level + 1 < depth
        guard let count = nodes(page, base, isBranch, low, high) else { return miss(low, high) }
        if isBranch { branchPages += 1 } else { leafPages += 1 }
        if !isBranch { leavesLeft -= 1 }
        for node in stride(from: first(base, count, isBranch), to: count, by: step(count)) {
            if isBranch {
                if leavesLeft <= 0 {
                    if end == nil { end = Array(path[key(node, base)]) }
                    return
                }
                let offset = place(node, base)
                let below = path.number(offset, 4) | UInt64(path.half(offset + 4)) << 32
                visit(
                    below, level: level + 1, low: node == 0 ? low : key(node, base), high: node + 1 < count ? key(node + 1, base) : high)
            } else {
                value(page, node, base)
            }
        }
    }

    private func step(_ count: Int) -> Int { if case .edges = extent { max(1, count - 1) } else { 1 } }

    /// The node with which a page begins: the last that is not behind the key from which a part is read.
    private func first(_ base: Int, _ count: Int, _ isBranch: Bool) -> Int {
        guard isBranch, case .part(let from, _) = extent, !from.isEmpty else { return 0 }
        // The first key of a branch means nothing.
        return (1..<max(1, count)).last { !from.lexicographicallyPrecedes(path[key($0, base)]) } ?? 0
    }

    /// Notes that the keys between two bounds cannot be read.
    private mutating func miss(_ low: Range<Int>?, _ high: Range<Int>?) {
        leavesLeft -= 1
        guard take != nil, tree == .main else { return }
        gaps.append(KeyGap(low: low.map { Array(path[$0]) }, high: high.map { Array(path[$0]) }))
    }

    /// Hands out the record of a node: its value lies in `path`, or has pages of its own from `first` on.
    private mutating func hand(_ key: Range<Int>, _ bytes: Int, apart first: UInt64?) {
        guard let take, tree == .main, failure == nil else { return }
        do {
            guard let first else { return try take(path[key], path[key.upperBound..<key.upperBound + bytes]) }
            var value = [UInt8](repeating: 0, count: bytes)
            if let fault = file.read(bytes, at: Int(first) * pageBytes + Self.headerBytes, into: &value, 0) {
                report(first, fault)
                return gaps.append(KeyGap(low: Array(path[key]), high: Array(path[key]) + [0]))
            }
            try take(path[key], value[...])
        } catch {
            failure = error
        }
    }

    private func place(_ node: Int, _ base: Int) -> Int { base + Int(path.half(base + Self.headerBytes + 2 * node)) }

    private func key(_ node: Int, _ base: Int) -> Range<Int> {
        let start = place(node, base) + Self.nodeBytes
        return start..<start + Int(path.half(start - 2))
    }

    // MARK: - A page

    /// Holds header and nodes of a branch or leaf against what they must be.
    /// - Returns: how many nodes there are; nil when something was reported.
    private mutating func nodes(_ page: UInt64, _ base: Int, _ isBranch: Bool, _ low: Range<Int>?, _ high: Range<Int>?) -> Int? {
        func refuse(_ fault: PageFinding.Fault) -> Int? {
            report(page, fault)
            return nil
        }
        guard path.number(base, 8) == page else { return refuse(.wrongNumber(path.number(base, 8))) }
        let kind = path.half(base + 10)
        guard kind == (isBranch ? Self.flags.branch : Self.flags.leaf) else { return refuse(.wrongKind(flags: kind)) }
        let (lower, upper) = (Int(path.half(base + 12)), Int(path.half(base + 14)))
        guard lower >= Self.headerBytes, lower & 1 == 0, upper & 1 == 0, lower <= upper, upper <= pageBytes else {
            return refuse(.bounds(lower: UInt16(lower), upper: UInt16(upper)))
        }
        let count = (lower - Self.headerBytes) / 2
        // A branch of the tree of free pages may be left with one.
        guard count >= (isBranch && tree == .main ? 2 : 1) else { return refuse(.nodeCount(count)) }
        var taken = 0
        var previous: Range<Int>?
        for node in 0..<count {
            let offset = Int(path.half(base + Self.headerBytes + 2 * node))
            guard offset >= upper, offset & 1 == 0, offset + Self.nodeBytes <= pageBytes else { return refuse(.nodePlace(node)) }
            let keyBytes = Int(path.half(base + offset + 6))
            var size = Self.nodeBytes + keyBytes
            if !isBranch {
                let flags = path.half(base + offset + 4)
                guard flags & ~Self.longValue == 0 else { return refuse(.nodeFlags(node)) }
                size += flags == Self.longValue ? 8 : Int(path.number(base + offset, 4))
            }
            guard offset + size <= pageBytes else { return refuse(.nodePlace(node)) }
            taken += size + size & 1
            // The first key of a branch means nothing.
            if isBranch, node == 0 { continue }
            guard tree == .free ? keyBytes == 8 : (1...Self.keyBytesMax).contains(keyBytes) else { return refuse(.keyLength(node)) }
            let key = base + offset + Self.nodeBytes..<base + offset + Self.nodeBytes + keyBytes
            if let previous {
                guard isBelow(previous, key) else { return refuse(.order(node)) }
            } else if let low, isBelow(key, low) {
                return refuse(.outsideParent(node))
            }
            if node == count - 1, let high, !isBelow(key, high) { return refuse(.outsideParent(node)) }
            previous = key
        }
        guard taken == pageBytes - upper else { return refuse(.space) }
        return count
    }

    /// Of two keys that lie in `path`.
    private func isBelow(_ first: Range<Int>, _ second: Range<Int>) -> Bool {
        if tree == .free { return path.number(first.lowerBound, 8) < path.number(second.lowerBound, 8) }
        for place in 0..<min(first.count, second.count) {
            let (one, other) = (path[first.lowerBound + place], path[second.lowerBound + place])
            if one != other { return one < other }
        }
        return first.count < second.count
    }

    // MARK: - A value

    /// Of a record whose node is sound: its run, and what a list of free pages says.
    private mutating func value(_ page: UInt64, _ node: Int, _ base: Int) {
        entries += 1
        let key = key(node, base)
        let offset = place(node, base)
        let bytes = Int(path.number(offset, 4))
        guard path.half(offset + 4) == Self.longValue else {
            hand(key, bytes, apart: nil)
            guard tree == .free, isWhole else { return }
            guard isCommit(key) else { return report(page, .freeList(node)) }
            return freeList(page, node, bytes: bytes, path, key.upperBound)
        }
        let first = path.number(key.upperBound, 8)
        guard let pages = run(first, bytes) else {
            if take != nil, tree == .main { gaps.append(KeyGap(low: Array(path[key]), high: Array(path[key]) + [0])) }
            return
        }
        runPages += pages
        hand(key, bytes, apart: first)
        guard isWhole else { return }
        for other in first + 1..<first + pages where !claim(other) { return }
        guard tree == .free else { return }
        guard isCommit(key) else { return report(page, .freeList(node)) }
        // Piece by piece, each a whole number of entries.
        var done = 0
        var rest: UInt64?
        while done < bytes {
            let count = min(bytes - done, Self.listBytes)
            if let fault = file.read(count, at: Int(first) * pageBytes + Self.headerBytes + done, into: &list, 0) { return report(first, fault) }
            if rest == nil {
                guard let listed = listed(bytes: bytes, list, 0) else { return report(page, .freeList(node)) }
                rest = listed
            }
            for place in stride(from: done == 0 ? 8 : 0, through: count - 8, by: 8) {
                guard let left = rest, left > 0 else { return }
                rest = left - 1
                guard release(list.number(place, 8)) else { return report(page, .freeList(node)) }
            }
            done += count
        }
        if bytes == 0 { report(page, .freeList(node)) }
    }

    /// The pages of a value that has its own, by the header of the first.
    /// - Returns: nil when something was reported.
    private mutating func run(_ first: UInt64, _ bytes: Int) -> UInt64? {
        guard claim(first) else { return nil }
        var header = [UInt8](repeating: 0, count: Self.headerBytes)
        var fault = file.read(Self.headerBytes, at: Int(first) * pageBytes, into: &header, 0)
        let pages = header.number(12, 4)
        if fault == nil, header.number(0, 8) != first { fault = .wrongNumber(header.number(0, 8)) }
        if fault == nil, header.half(10) != Self.flags.run { fault = .wrongKind(flags: header.half(10)) }
        let needed = UInt64((Self.headerBytes + bytes + pageBytes - 1) / pageBytes)
        if fault == nil, pages < needed || pages > lastPage - first + 1 { fault = .run(UInt32(pages)) }
        guard let fault else { return pages }
        report(first, fault)
        return nil
    }

    /// Pages become free with a commit that has been.
    private func isCommit(_ key: Range<Int>) -> Bool { (1...max(1, head.transaction)).contains(path.number(key.lowerBound, 8)) }

    private mutating func freeList(_ page: UInt64, _ node: Int, bytes: Int, _ buffer: [UInt8], _ start: Int) {
        guard let listed = listed(bytes: bytes, buffer, start) else { return report(page, .freeList(node)) }
        for place in 0..<Int(listed) where !release(buffer.number(start + 8 + 8 * place, 8)) { return report(page, .freeList(node)) }
    }

    /// How many pages a list names; nil when it has no room for them.
    private func listed(bytes: Int, _ buffer: [UInt8], _ start: Int) -> UInt64? {
        guard bytes >= 8, bytes & 7 == 0 else { return nil }
        let count = buffer.number(start, 8)
        return count <= UInt64(bytes / 8 - 1) ? count : nil
    }

    /// - Returns: false when the number is none of a page; that it is in use is reported here.
    private mutating func release(_ page: UInt64) -> Bool {
        guard page >= 2, page <= lastPage else { return false }
        if used.contains(page) || !free.insert(page) { report(page, .usedAndFree) }
        return true
    }
}

/// A bit for each page.
private struct PageSet {
    private var words: [UInt64]

    /// - Parameter last: nil for a set that remembers nothing.
    init(last: UInt64?) { words = last.map { [UInt64](repeating: 0, count: Int($0 / 64) + 1) } ?? [] }

    /// - Returns: whether it is new.
    mutating func insert(_ page: UInt64) -> Bool {
        guard !words.isEmpty else { return true }
        let bit: UInt64 = 1 << (page & 63)
        defer { words[Int(page / 64)] |= bit }
        return words[Int(page / 64)] & bit == 0
    }

    func contains(_ page: UInt64) -> Bool { !words.isEmpty && words[Int(page / 64)] & 1 << (page & 63) != 0 }
}
