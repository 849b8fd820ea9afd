// One term of a search: its blocks as they lie in the mapped store, of which one at a time is unpacked.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// A packed block where it lies. The tail of a term is one without packed bytes.
@safe
struct SearchBlock {
    let first: UInt32
    let last: UInt32
    /// No posting of it has a greater share.
    let bound: Int32
    let count: Int
    let nodeBits: UInt32
    let countBits: UInt32
    /// Where the packed nodes begin, and how much of the record is left from there on.
    let bytes: UnsafeRawPointer?
    let available: Int
}

/// Walks one term's postings in the order of nodes.
///
/// Keeps pointers into the store: a cursor lives inside one search, which holds the view for as long, and nobody writes
/// through a view.
@safe
final class PostingCursor {
    let weight: Float
    private let blocks: UnsafeMutableBufferPointer<SearchBlock>
    private let state: UnsafeMutablePointer<State>
    private let nodes: UnsafeMutablePointer<UInt32>
    private let counts: UnsafeMutablePointer<UInt32>
    private let tail: TermEntry

    /// Behind a pointer, like the arrays: fields of a class are checked for exclusive access at every step.
    private struct State {
        /// The first block that ends at or after the window's start.
        var head = 0
        /// Where `find` is: at or after `head`.
        var probe = 0
        var unpacked = -1
        var countsUnpacked = -1
    }

    /// - Parameters:
    ///   - weight: scaled; 0 of a term that is not to be scored.
    ///   - entry: of the dictionary.
    init(
        _ term: [UInt8], _ entry: TermEntry, weight: Float, _ norm: LengthNorm, _ index: TextIndex, in view: borrowing TransactionView
    ) throws {
        self.weight = weight
        unsafe nodes = .allocate(capacity: 2 * BlockHeader.postingsMax)
        unsafe counts = nodes + BlockHeader.postingsMax
        unsafe nodes.initialize(repeating: 0, count: 2 * BlockHeader.postingsMax)
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State())
        tail = entry
        var blocks: [SearchBlock] = []
        // All is set before anything throws: what throws in an initializer is not told to deinit otherwise.
        var failure: (any Error)?
        do {
            blocks = try Self.blocks(term, entry, weight, norm, index, in: view)
        } catch {
            failure = error
        }
        unsafe self.blocks = .allocate(capacity: blocks.count)
        _ = unsafe self.blocks.initialize(from: blocks)
        if let failure { throw failure }
    }

    private static func blocks(
        _ term: [UInt8], _ tail: TermEntry, _ weight: Float, _ norm: LengthNorm, _ index: TextIndex, in view: borrowing TransactionView
    ) throws -> [SearchBlock] {
        var blocks: [SearchBlock] = []
        var postings = tail.nodes.count
        if tail.hasBlocks {
            blocks.reserveCapacity(min(tail.documents / BlockHeader.postingsMax + 1, 1 << 16))
            let prefix = index.termPrefix(term[...])
            try view.scan(prefix: prefix) { keySpan, value in
                let key = Array(keySpan)
                let payload = try Seal.open(key: key, value: value, version: 1)
                // The pointer stays good beyond the closure: the page is mapped and unchanged as long as the view.
                try unsafe payload.withUnsafeBytes { buffer in
                    var reader = unsafe RecordReader(buffer)
                    var after = key.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
                    while !reader.isAtEnd {
                        var bound: Int32 = 0
                        let header = try BlockHeader(&reader, after: after) { count, length in
                            bound = max(bound, norm.bound(weight, count: count, length: length))
                        }
                        guard blocks.last.map({ $0.last < header.first }) ?? true else { throw RecordReader.damaged }
                        blocks.append(
                            unsafe SearchBlock(
                                first: header.first, last: header.last, bound: bound, count: header.count, nodeBits: UInt32(header.nodeBits),
                                countBits: UInt32(header.countBits), bytes: reader.here, available: reader.remaining))
                        try reader.skip(header.dataBytes)
                        after = header.last
                        postings += header.count
                    }
                }
                return .onward
            }
        }
        guard let first = tail.nodes.first, postings == tail.documents, blocks.last.map({ $0.last < first }) ?? true else {
            throw TextIndex.contradiction("'\(String(decoding: term, as: UTF8.self))' has \(postings) postings of \(tail.documents)")
        }
        let highest = tail.counts.reduce(1, max)
        blocks.append(
            unsafe SearchBlock(
                first: first, last: tail.nodes[tail.nodes.count - 1], bound: norm.bound(weight, count: highest, length: 0), count: tail.nodes.count,
                nodeBits: 0, countBits: 0, bytes: nil, available: 0))
        return blocks
    }

    deinit {
        unsafe nodes.deallocate()
        unsafe state.deallocate()
        // Blocks are numbers and pointers: nothing of them needs to be ended.
        unsafe blocks.deallocate()
    }

    // MARK: - Windows

    /// The lowest node of all.
    var firstNode: UInt32 { unsafe blocks[0].first }

    /// A block whose nodes lie further apart than a sixteenth of a window is asked for its next node.
    private static let sparse = UInt32(CK_POSTINGS_WINDOW) * 8

    /// The lowest node above `end`, the current window's end, at which something may lie; nil when there is none.
    @inline(__always)
    func next(after end: UInt32) throws -> UInt32? {
        var place = unsafe state.pointee.head
        let count = unsafe blocks.count
        while place < count, unsafe blocks[place].last <= end { place += 1 }
        guard place < count else { return nil }
        let block = unsafe blocks[place]
        if block.first > end { return block.first }
        if block.last - block.first < Self.sparse { return end + 1 }
        try unpack(place, block)
        return unsafe nodes[lowerBound(end + 1, block.count)]
    }

    /// Moves to the window of nodes `start...end` and returns the most that a posting there can add; nil when there is none.
    @inline(__always)
    func enter(_ start: UInt32, _ end: UInt32) -> Int32? {
        let count = unsafe blocks.count
        var place = unsafe state.pointee.head
        while place < count, unsafe blocks[place].last < start { place += 1 }
        unsafe state.pointee.head = place
        unsafe state.pointee.probe = place
        guard place < count, unsafe blocks[place].first <= end else { return nil }
        var bound: Int32 = 0
        while place < count, unsafe blocks[place].first <= end {
            bound = max(bound, unsafe blocks[place].bound)
            place += 1
        }
        return bound
    }

    /// Adds the shares of all postings in the window.
    @inline(__always)
    func addShares(_ start: UInt32, _ end: UInt32, norms: UnsafePointer<Float>, sums: UnsafeMutablePointer<Int32>) throws {
        var place = unsafe state.pointee.head
        while place < (unsafe blocks.count), unsafe blocks[place].first <= end {
            let block = unsafe blocks[place]
            try unpack(place, block)
            unpackCounts(place, block)
            let from = block.first >= start ? 0 : lowerBound(start, block.count)
            let to = block.last <= end ? block.count : lowerBound(end + 1, block.count)
            if from < to { unsafe ck_add_shares(kernelLevel, nodes + from, counts + from, to - from, start, norms, weight, sums) }
            place += 1
        }
    }

    // MARK: - One node

    /// How often the term is in a node of the current window, 0 when it is not. Nodes are asked for in rising order within a window.
    /// - Parameter needed: nil is returned, and nothing unpacked, when the block in which the node would be has no greater bound.
    @inline(__always)
    func find(_ node: UInt32, over needed: Int64 = -1) throws -> UInt32? {
        let count = unsafe blocks.count
        var place = unsafe state.pointee.probe
        while place < count, unsafe blocks[place].last < node { place += 1 }
        unsafe state.pointee.probe = place
        guard place < count, unsafe blocks[place].first <= node else { return needed < 0 ? 0 : nil }
        let block = unsafe blocks[place]
        guard Int64(block.bound) > needed else { return nil }
        try unpack(place, block)
        let found = lowerBound(node, block.count)
        guard found < block.count, unsafe nodes[found] == node else { return 0 }
        unpackCounts(place, block)
        return unsafe counts[found]
    }

    @inline(__always)
    private func unpack(_ place: Int, _ block: SearchBlock) throws {
        if unsafe state.pointee.unpacked == place { return }
        if let bytes = unsafe block.bytes {
            unsafe state.pointee.unpacked = -1
            let sound = unsafe ck_unpack_nodes(
                kernelLevel, bytes, block.available, block.nodeBits, block.count, block.first, block.last, nodes)
            guard sound == 1 else { throw RecordReader.damaged }
        } else {
            for index in 0..<block.count { unsafe nodes[index] = tail.nodes[index] }
        }
        unsafe state.pointee.unpacked = place
    }

    /// After `unpack` of the same block.
    @inline(__always)
    private func unpackCounts(_ place: Int, _ block: SearchBlock) {
        if unsafe state.pointee.countsUnpacked == place { return }
        if let bytes = unsafe block.bytes {
            let nodeBytes = (block.count * Int(block.nodeBits) + 7) / 8
            unsafe ck_unpack_counts(kernelLevel, bytes + nodeBytes, block.available - nodeBytes, block.countBits, block.count, counts)
        } else {
            for index in 0..<block.count { unsafe counts[index] = tail.counts[index] }
        }
        unsafe state.pointee.countsUnpacked = place
    }

    /// The first of the unpacked nodes at or over `node`.
    @inline(__always)
    private func lowerBound(_ node: UInt32, _ count: Int) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            // Below count, which is at most the buffer's size.
            if unsafe nodes[middle] < node { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
