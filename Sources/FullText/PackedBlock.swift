// Blocks of up to 128 postings, bit-packed, one after another in the records of a term (docs/formats/fulltext-v1.md).
//
// Node numbers are packed as differences, frequencies as they are, each with as many bits as the largest needs (Lemire and
// Boytsov, "Decoding billions of integers per second through vectorization", 2015). The bits lie in a row, so that a block
// of 37 postings is as long as 37 postings; the kernels take them apart with byte shuffles.
//
// Impacts. A search wants to know the most that a block can add to any score, without unpacking it. A share grows with
// the frequency and falls with the length of the text, and the average length changes with every add. So no score is kept,
// but the pairs (frequency, length) of the block that no other pair of it beats in both: whatever the average, the best
// share of a real posting is the share of one of these. Four pairs are kept; when there are more, those of the
// highest frequencies, which differ least, are joined into (higher frequency, shorter length), which no posting beats either.
// (Grand, Muir, Ferenczi, Lin, "From MAXSCORE to block-max WAND", ECIR 2020, for Lucene 8, section 3.)
//
// A removal leaves the impacts of its block as they are: the bound stays a bound.

internal import Base
internal import CKernels

/// A pair (frequency, length of the text) of a block.
struct Impact: Equatable {
    var count: UInt32
    var length: UInt32
}

/// Up to four pairs, frequencies and lengths falling.
struct Impacts: Equatable {
    static let pairsMax = 4
    var pairs: [Impact]

    /// The pairs that no other beats, joined to four.
    init(_ all: [Impact]) {
        pairs = []
        let sorted = all.sorted { $0.count != $1.count ? $0.count > $1.count : $0.length < $1.length }
        for pair in sorted where pairs.isEmpty || pair.length < pairs[pairs.count - 1].length { pairs.append(pair) }
        while pairs.count > Self.pairsMax {
            pairs[0].length = pairs[1].length
            pairs.remove(at: 1)
        }
    }

    /// Of postings; about 1 ns each.
    init(counts: ArraySlice<UInt32>, lengths: [UInt32]) {
        // The shortest length of each frequency; those of 16 and more, whose shares differ little, together.
        var shortest = [UInt32](repeating: .max, count: 17)
        var highest: UInt32 = 0
        for (count, length) in zip(counts, lengths) {
            let place = Int(min(count, 16))
            shortest[place] = min(shortest[place], length)
            highest = max(highest, count)
        }
        var all: [Impact] = []
        for place in 0...16 where shortest[place] != .max || (place == 16 && highest >= 16) {
            all.append(Impact(count: place == 16 ? highest : UInt32(place), length: shortest[place]))
        }
        self.init(all)
    }

    func covers(_ count: UInt32, _ length: UInt32) -> Bool { pairs.contains { $0.count >= count && $0.length <= length } }
}

/// What stands before a block's bits.
struct BlockHeader {
    var count = 0
    var first: UInt32 = 0
    var last: UInt32 = 0
    var nodeBits = 0
    var countBits = 0

    var nodeBytes: Int { (count * nodeBits + 7) / 8 }
    var dataBytes: Int { nodeBytes + (count * countBits + 7) / 8 }

    static let postingsMax = Int(CK_POSTINGS_MAX)

    /// Reads a header and leaves the reader at the bits, of which it has made sure that they are there.
    /// - Parameters:
    ///   - after: the last node of the block before; of a record's first block the node in its key.
    ///   - impact: gets each pair.
    @inline(__always)
    init(_ reader: inout RecordReader, after: UInt32, impact: (UInt32, UInt32) -> Void) throws(ContexError) {
        count = Int(try reader.byte())
        let (first, firstOverflow) = after.addingReportingOverflow(try reader.number32())
        let (last, lastOverflow) = first.addingReportingOverflow(try reader.number32())
        let bits = try reader.byte()
        nodeBits = Int(bits & 63)
        countBits = Int(try reader.byte())
        guard !firstOverflow, !lastOverflow, count >= 1, count <= Self.postingsMax, nodeBits <= 32, countBits <= 32 else { throw RecordReader.damaged }
        self.first = first
        self.last = last
        for _ in 0...Int(bits >> 6) { impact(try reader.number32(), try reader.number32()) }
        guard reader.remaining >= dataBytes else { throw RecordReader.damaged }
    }
}

/// One block, unpacked: for writing and checking.
struct PostingBlock: Equatable {
    var nodes: [UInt32]
    var counts: [UInt32]
    var impacts: Impacts

    var first: UInt32 { nodes[0] }
    var last: UInt32 { nodes[nodes.count - 1] }

    /// - Precondition: 1 to 128 postings, nodes rising.
    func write(to bytes: inout [UInt8], after: UInt32) {
        precondition(nodes.count >= 1 && nodes.count <= BlockHeader.postingsMax, "block of \(nodes.count) postings")
        var differences = [UInt32](repeating: 0, count: nodes.count)
        var (nodeBound, countBound): (UInt32, UInt32) = (0, 0)
        for index in nodes.indices {
            if index > 0 { differences[index] = nodes[index] - nodes[index - 1] - 1 }
            nodeBound |= differences[index]
            countBound |= counts[index] - 1
        }
        let (nodeBits, countBits) = (32 - nodeBound.leadingZeroBitCount, 32 - countBound.leadingZeroBitCount)
        bytes.append(UInt8(nodes.count))
        bytes.appendNumber(UInt64(first - after))
        bytes.appendNumber(UInt64(last - first))
        bytes.append(UInt8(nodeBits | (impacts.pairs.count - 1) << 6))
        bytes.append(UInt8(countBits))
        for pair in impacts.pairs {
            bytes.appendNumber(UInt64(pair.count))
            bytes.appendNumber(UInt64(pair.length))
        }
        Self.pack(differences, nodeBits, into: &bytes)
        Self.pack(counts.map { $0 - 1 }, countBits, into: &bytes)
    }

    private static func pack(_ values: [UInt32], _ bits: Int, into bytes: inout [UInt8]) {
        let size = (values.count * bits + 7) / 8
        guard size > 0 else { return }
        // The buffer has the size that the kernel fills.
        bytes += unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            unsafe ck_pack(values, values.count, UInt32(bits), buffer.baseAddress!)
            count = size
        }
    }

    /// Unpacks the next block of a record.
    init(_ reader: inout RecordReader, after: UInt32) throws(ContexError) {
        var pairs: [Impact] = []
        let header = try BlockHeader(&reader, after: after) { pairs.append(Impact(count: $0, length: $1)) }
        impacts = Impacts(pairs)
        guard impacts.pairs == pairs else { throw RecordReader.damaged }
        nodes = [UInt32](repeating: 0, count: BlockHeader.postingsMax)
        counts = nodes
        // Both arrays have 128 places, and the header has made sure of the bits.
        let sound = unsafe ck_unpack_nodes(
            kernelLevel, reader.here, reader.remaining, UInt32(header.nodeBits), header.count, header.first, header.last, &nodes)
        guard sound == 1 else { throw RecordReader.damaged }
        try reader.skip(header.nodeBytes)
        unsafe ck_unpack_counts(kernelLevel, reader.here, reader.remaining, UInt32(header.countBits), header.count, &counts)
        try reader.skip(header.dataBytes - header.nodeBytes)
        nodes.removeLast(nodes.count - header.count)
        counts.removeLast(counts.count - header.count)
        guard !counts.contains(0) else { throw RecordReader.damaged }
    }

    init(nodes: [UInt32], counts: [UInt32], impacts: Impacts) {
        self.nodes = nodes
        self.counts = counts
        self.impacts = impacts
    }
}

/// The blocks of one record.
struct PostingSegment {
    /// Payload of a record: with the envelope (6) and LMDB's page header (16) two pages of 4,096 bytes.
    static let bytesMax = 2 * 4_096 - 16 - 6

    var blocks: [PostingBlock] = []

    init(blocks: [PostingBlock]) { self.blocks = blocks }

    init(_ bytes: [UInt8], first: UInt32) throws {
        blocks = try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            var blocks: [PostingBlock] = []
            var after = first
            while !reader.isAtEnd {
                let block = try PostingBlock(&reader, after: after)
                guard blocks.isEmpty ? block.first == first : block.first > after else { throw RecordReader.damaged }
                after = block.last
                blocks.append(block)
            }
            guard !blocks.isEmpty else { throw RecordReader.damaged }
            return blocks
        }
    }

    /// The last node of a record, from the headers alone.
    static func lastNode(_ bytes: [UInt8], first: UInt32) throws -> UInt32 {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            var last = first
            while !reader.isAtEnd {
                let header = try BlockHeader(&reader, after: last) { _, _ in }
                try reader.skip(header.dataBytes)
                last = header.last
            }
            return last
        }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        var after = blocks[0].first
        for block in blocks {
            block.write(to: &bytes, after: after)
            after = block.last
        }
        return bytes
    }
}
