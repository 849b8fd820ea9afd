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
    private(set) var blocks: [SearchBlock] = []
    /// The first block that ends at or after the window's start.
    private var head = 0
    /// Where `find` is: at or after `head`.
    private var probe = 0
    private var unpacked = -1
    private var countsUnpacked = -1
    private let nodes: UnsafeMutablePointer<UInt32>
    private let counts: UnsafeMutablePointer<UInt32>
    private var tail = TermEntry()

    /// - Parameters:
    ///   - weight: scaled; 0 of a term that is not to be scored.
    ///   - entry: of the dictionary, nil when no text has the term.
    init(
        _ term: [UInt8], _ entry: TermEntry?, weight: Float, _ norm: LengthNorm, _ index: TextIndex, in view: borrowing TransactionView
    ) throws {
        self.weight = weight
        unsafe nodes = .allocate(capacity: 2 * BlockHeader.postingsMax)
        unsafe counts = nodes + BlockHeader.postingsMax
        unsafe nodes.initialize(repeating: 0, count: 2 * BlockHeader.postingsMax)
        guard let entry else { return }
        tail = entry
        var postings = tail.nodes.count
        if entry.hasBlocks {
            blocks.reserveCapacity(entry.documents / BlockHeader.postingsMax + 1)
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
    }

    deinit { unsafe nodes.deallocate() }

    var documents: Int { tail.documents }

    // MARK: - Windows

    /// The lowest node at which something of the term may lie, from the current window on; nil at the end.
    var nextNode: UInt32? { head < blocks.count ? blocks[head].first : nil }

    /// The lowest node above `end`, the current window's end, at which something may lie; nil when there is none.
    @inline(__always)
    func next(after end: UInt32) -> UInt32? {
        var place = head
        while place < blocks.count, blocks[place].last <= end { place += 1 }
        return place < blocks.count ? max(blocks[place].first, end + 1) : nil
    }

    /// Moves to the window of nodes `start...end` and returns the most that a posting there can add; nil when there is none.
    @inline(__always)
    func enter(_ start: UInt32, _ end: UInt32) -> Int32? {
        let count = blocks.count
        while head < count, blocks[head].last < start { head += 1 }
        probe = head
        var bound: Int32?
        var place = head
        while place < count, blocks[place].first <= end {
            bound = max(bound ?? 0, blocks[place].bound)
            place += 1
        }
        return bound
    }

    /// Adds the shares of all postings in the window.
    @inline(__always)
    func addShares(_ start: UInt32, _ end: UInt32, norms: UnsafePointer<Float>, sums: UnsafeMutablePointer<Int32>) throws {
        var place = head
        while place < blocks.count, blocks[place].first <= end {
            let block = blocks[place]
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
    /// - Parameter enough: gets the bound of the block in which the node would be; false spares the unpacking.
    @inline(__always)
    func find(_ node: UInt32, where enough: (Int32) -> Bool = { _ in true }) throws -> UInt32? {
        while probe < blocks.count, blocks[probe].last < node { probe += 1 }
        guard probe < blocks.count, blocks[probe].first <= node else { return 0 }
        let block = blocks[probe]
        guard enough(block.bound) else { return nil }
        try unpack(probe, block)
        let place = lowerBound(node, block.count)
        guard place < block.count, unsafe nodes[place] == node else { return 0 }
        unpackCounts(probe, block)
        return unsafe counts[place]
    }

    @inline(__always)
    private func unpack(_ place: Int, _ block: SearchBlock) throws {
        if unpacked == place { return }
        if let bytes = unsafe block.bytes {
            let sound = unsafe ck_unpack_nodes(
                kernelLevel, bytes, block.available, block.nodeBits, block.count, block.first, block.last, nodes)
            guard sound == 1 else { throw RecordReader.damaged }
        } else {
            for index in 0..<block.count { unsafe nodes[index] = tail.nodes[index] }
        }
        unpacked = place
    }

    /// After `unpack` of the same block.
    @inline(__always)
    private func unpackCounts(_ place: Int, _ block: SearchBlock) {
        if countsUnpacked == place { return }
        if let bytes = unsafe block.bytes {
            let nodeBytes = (block.count * Int(block.nodeBits) + 7) / 8
            unsafe ck_unpack_counts(kernelLevel, bytes + nodeBytes, block.available - nodeBytes, block.countBits, block.count, counts)
        } else {
            for index in 0..<block.count { unsafe counts[index] = tail.counts[index] }
        }
        countsUnpacked = place
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
