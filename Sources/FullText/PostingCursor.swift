// One term of a search: its blocks as they lie in the mapped store, of which one at a time is unpacked.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// A block where it lies: packed in the store, or a tail that has been read into the search's memory.
@safe
struct SearchBlock: BitwiseCopyable {
    let first: UInt32
    let last: UInt32
    /// No posting of it has a greater share.
    let bound: Int32
    let count: UInt8
    /// `plain` of a tail.
    let nodeBits: UInt8
    let countBits: UInt8
    /// Where the packed nodes begin, and how much of the record is left from there on; of a tail 128 nodes, then 128 frequencies.
    let bytes: UnsafeRawPointer
    let available: Int32

    static let plain: UInt8 = 255

    init(_ header: BlockHeader, bound: Int32, _ bytes: UnsafeRawPointer, available: Int) {
        (first, last, count) = (header.first, header.last, UInt8(header.count))
        (nodeBits, countBits) = (UInt8(header.nodeBits), UInt8(header.countBits))
        self.bound = bound
        unsafe self.bytes = bytes
        self.available = Int32(available)
    }

    /// A tail of `count` postings.
    init(_ nodes: UnsafePointer<UInt32>, count: Int, isOnes: Bool, bound: Int32) {
        unsafe (first, last, self.count) = (nodes[0], nodes[count - 1], UInt8(count))
        (nodeBits, countBits) = (Self.plain, isOnes ? 0 : 32)
        self.bound = bound
        unsafe bytes = UnsafeRawPointer(nodes)
        available = 0
    }
}

/// Walks one term's postings in the order of nodes.
///
/// A handle on the search's memory, and with pointers into the store: it lives inside one search, which holds memory and view for as
/// long, and nobody writes through a view.
@safe
struct PostingCursor: BitwiseCopyable {
    private let state: UnsafeMutablePointer<State>

    @safe
    private struct State: BitwiseCopyable {
        var scale: ck_scale
        let blocks: UnsafePointer<SearchBlock>
        let blockCount: Int
        /// The shares of common frequencies and lengths, nil before it is needed.
        var table: UnsafeMutablePointer<Int32>?
        /// Where blocks are unpacked: 128 nodes, then 128 frequencies.
        let room: UnsafeMutablePointer<UInt32>
        /// The block at hand: in `room`, or a tail.
        var nodes: UnsafePointer<UInt32>
        var counts: UnsafePointer<UInt32>
        /// The first block that ends at or after the window's start.
        var head = 0
        /// Where `find` is: at or after `head`.
        var probe = 0
        var unpacked = -1
        var countsUnpacked = -1
    }

    /// - Parameters:
    ///   - blocks: at least one, all nodes of each below those of the next.
    ///   - scale: its weight is 0 for a term that is not to be scored.
    init(_ blocks: UnsafeBufferPointer<SearchBlock>, _ scale: ck_scale, _ memory: SearchMemory) {
        unsafe state = memory.allocate(State.self, 1)
        let room = unsafe memory.allocate(UInt32.self, 2 * BlockHeader.postingsMax)
        unsafe state.initialize(
            to: State(scale: scale, blocks: blocks.baseAddress!, blockCount: blocks.count, table: nil, room: room, nodes: room, counts: room))
    }

    var scale: ck_scale { unsafe state.pointee.scale }

    /// Back to the first node.
    func rewind() { unsafe (state.pointee.head, state.pointee.probe) = (0, 0) }

    // MARK: - Windows

    /// The lowest node of all.
    var firstNode: UInt32 { unsafe state.pointee.blocks[0].first }

    /// The greatest bound of all blocks.
    var bound: Int32 {
        var bound: Int32 = 0
        for place in unsafe 0..<state.pointee.blockCount { bound = unsafe max(bound, state.pointee.blocks[place].bound) }
        return bound
    }

    /// A block whose nodes lie further apart than a sixteenth of a window is asked for its next node.
    private static let sparse = UInt32(CK_POSTINGS_WINDOW) * 8

    /// The lowest node above `end`, the current window's end, at which something may lie; nil when there is none.
    @inline(__always)
    func next(after end: UInt32) throws(ContexError) -> UInt32? {
        let (blocks, count) = unsafe (state.pointee.blocks, state.pointee.blockCount)
        var place = unsafe state.pointee.head
        while place < count, unsafe blocks[place].last <= end { place += 1 }
        guard place < count else { return nil }
        let block = unsafe blocks[place]
        if block.first > end { return block.first }
        if block.last - block.first < Self.sparse { return end + 1 }
        try unpack(place, block)
        return unsafe state.pointee.nodes[below(end + 1, block)]
    }

    /// What a window has of a term: no posting in it has a greater share than `bound`, and about how many there are.
    struct Reach: BitwiseCopyable {
        var bound: Int32
        var postings: Int
    }

    /// Moves to the window of nodes `start...end`; nil when nothing lies there.
    @inline(__always)
    func enter(_ start: UInt32, _ end: UInt32) -> Reach? {
        let (blocks, count) = unsafe (state.pointee.blocks, state.pointee.blockCount)
        var place = unsafe state.pointee.head
        while place < count, unsafe blocks[place].last < start { place += 1 }
        unsafe state.pointee.head = place
        unsafe state.pointee.probe = place
        guard place < count, unsafe blocks[place].first <= end else { return nil }
        var reach = Reach(bound: 0, postings: 0)
        while place < count, unsafe blocks[place].first <= end {
            reach.bound = max(reach.bound, unsafe blocks[place].bound)
            reach.postings += unsafe Int(blocks[place].count)
            place += 1
        }
        return reach
    }

    /// Adds the shares of all postings in the window.
    @inline(__always)
    func addShares(_ window: ck_window, _ end: UInt32, sums: UnsafeMutablePointer<Int32>, _ memory: SearchMemory) throws(ContexError) {
        let (blocks, blockCount) = unsafe (state.pointee.blocks, state.pointee.blockCount)
        let table = unsafe self.table(memory)
        var window = unsafe window
        let start = unsafe window.start
        var place = unsafe state.pointee.head
        while place < blockCount, unsafe blocks[place].first <= end {
            let block = unsafe blocks[place]
            try unpack(place, block)
            let from = block.first >= start ? 0 : below(start, block)
            let to = block.last <= end ? Int(block.count) : below(end + 1, block)
            let nodes = unsafe state.pointee.nodes
            if block.countBits == 0 {
                unsafe ck_add_ones(&state.pointee.scale, table, &window, nodes + from, to - from, sums)
            } else {
                unpackCounts(place, block)
                unsafe ck_add_counts(&state.pointee.scale, table, &window, nodes + from, state.pointee.counts + from, to - from, sums)
            }
            place += 1
        }
    }

    @inline(__always)
    private func table(_ memory: SearchMemory) -> UnsafePointer<Int32> {
        if let table = unsafe state.pointee.table { return unsafe UnsafePointer(table) }
        let table = unsafe memory.allocate(Int32.self, Int(CK_TABLE_COUNTS * CK_TABLE_LENGTHS))
        unsafe ck_share_table(kernelLevel, &state.pointee.scale, table)
        unsafe state.pointee.table = table
        return unsafe UnsafePointer(table)
    }

    // MARK: - One node

    /// How often the term is in a node of the current window, 0 when it is not. Nodes are asked for in rising order within a window.
    /// - Parameter needed: nil is returned, and nothing unpacked, when the block in which the node would be has no greater bound.
    @inline(__always)
    func find(_ node: UInt32, over needed: Int64 = -1) throws(ContexError) -> UInt32? {
        let (blocks, count) = unsafe (state.pointee.blocks, state.pointee.blockCount)
        var place = unsafe state.pointee.probe
        while place < count, unsafe blocks[place].last < node { place += 1 }
        unsafe state.pointee.probe = place
        guard place < count, unsafe blocks[place].first <= node else { return needed < 0 ? 0 : nil }
        let block = unsafe blocks[place]
        guard Int64(block.bound) > needed else { return nil }
        try unpack(place, block)
        // The block's last node is not below it.
        let found = below(node, block)
        guard unsafe state.pointee.nodes[found] == node else { return 0 }
        if block.countBits == 0 { return 1 }
        unpackCounts(place, block)
        return unsafe state.pointee.counts[found]
    }

    @inline(__always)
    private func unpack(_ place: Int, _ block: SearchBlock) throws(ContexError) {
        if unsafe state.pointee.unpacked == place { return }
        if block.nodeBits == SearchBlock.plain {
            let nodes = unsafe block.bytes.assumingMemoryBound(to: UInt32.self)
            unsafe state.pointee.nodes = nodes
            unsafe state.pointee.counts = nodes + BlockHeader.postingsMax
            unsafe state.pointee.countsUnpacked = place
        } else {
            let room = unsafe state.pointee.room
            unsafe state.pointee.unpacked = -1
            let sound = unsafe ck_unpack_nodes(
                kernelLevel, block.bytes, Int(block.available), UInt32(block.nodeBits), Int(block.count), block.first, block.last, room)
            guard sound == 1 else { throw RecordReader.damaged }
            unsafe state.pointee.nodes = UnsafePointer(room)
            unsafe state.pointee.counts = UnsafePointer(room + BlockHeader.postingsMax)
        }
        unsafe state.pointee.unpacked = place
    }

    /// After `unpack` of the same block.
    @inline(__always)
    private func unpackCounts(_ place: Int, _ block: SearchBlock) {
        if unsafe state.pointee.countsUnpacked == place { return }
        let nodeBytes = (Int(block.count) * Int(block.nodeBits) + 7) / 8
        unsafe ck_unpack_counts(
            kernelLevel, block.bytes + nodeBytes, Int(block.available) - nodeBytes, UInt32(block.countBits), Int(block.count),
            state.pointee.room + BlockHeader.postingsMax)
        unsafe state.pointee.countsUnpacked = place
    }

    /// How many of the unpacked block's nodes are below `node`.
    @inline(__always)
    private func below(_ node: UInt32, _ block: SearchBlock) -> Int { unsafe ck_count_below(kernelLevel, state.pointee.nodes, Int(block.count), node) }
}
