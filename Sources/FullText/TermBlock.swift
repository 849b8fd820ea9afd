// The term dictionary: records of up to one page, each with a run of terms in the order of their bytes, under the first of
// them. A term's record of its own would cost 33 bytes of key, envelope and page slots; two terms of three occur once.
//
//     key: "camel"    camel 3 [17 80 412] | camera 1 [9] | can 2,104 [... 61 newest postings] | ...
//     key: "cloud"    cloud 731 [...] | ...
//
// An entry holds how many texts have the term and its *tail*: the postings of its highest nodes, at most 128, one at
// least. A term with more has the rest in packed blocks (PackedBlock.swift). Node numbers only grow, so that
// an add touches tails: one record serves all its terms that lie together, and a block is packed once for 128 adds.

internal import Base

/// What an entry says of its term, unpacked.
struct TermEntry: Equatable {
    /// Texts with the term, in the tail and in all blocks.
    var documents = 0
    var nodes: [UInt32] = []
    var counts: [UInt32] = []

    static let tailMax = BlockHeader.postingsMax

    var hasBlocks: Bool { documents > nodes.count }

    mutating func reset() {
        documents = 0
        nodes.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
    }

    func write(to bytes: inout [UInt8]) {
        bytes.appendNumber(UInt64(documents))
        if documents == 1 {
            Self.write(nodes[0], counts[0], to: &bytes)
            return
        }
        var tail: [UInt8] = []
        tail.reserveCapacity(nodes.count * 3)
        var previous: UInt32 = 0
        for index in nodes.indices {
            Self.write(nodes[index] - previous, counts[index], to: &tail)
            previous = nodes[index]
        }
        bytes.appendNumber(UInt64(tail.count))
        bytes += tail
    }

    /// The lowest bit says that the frequency is 1 and does not follow.
    @inline(__always)
    private static func write(_ difference: UInt32, _ count: UInt32, to bytes: inout [UInt8]) {
        bytes.appendNumber(UInt64(difference) << 1 | (count == 1 ? 1 : 0))
        if count != 1 { bytes.appendNumber(UInt64(count)) }
    }

    /// Reads an entry after its term.
    init(_ reader: inout RecordReader) throws(ContexError) { try read(&reader) }

    init() {}

    mutating func read(_ reader: inout RecordReader) throws(ContexError) {
        reset()
        documents = Int(try reader.number32())
        let end = documents == 1 ? 0 : Int(try reader.number()) + reader.position
        guard documents >= 1, end <= reader.count else { throw RecordReader.damaged }
        var node: UInt32 = 0
        repeat {
            let code = try reader.number()
            guard let difference = UInt32(exactly: code >> 1) else { throw RecordReader.damaged }
            let (next, overflow) = node.addingReportingOverflow(difference)
            guard !overflow, nodes.isEmpty || difference > 0 else { throw RecordReader.damaged }
            node = next
            let count = code & 1 == 1 ? 1 : try reader.number32()
            guard count >= 1, nodes.count < Self.tailMax else { throw RecordReader.damaged }
            nodes.append(node)
            counts.append(count)
        } while reader.position < end
        guard documents == 1 || reader.position == end, nodes.count <= documents else { throw RecordReader.damaged }
    }

    /// Moves the reader past an entry.
    static func skip(_ reader: inout RecordReader) throws(ContexError) {
        let documents = try reader.number()
        if documents == 1 {
            if try reader.number() & 1 == 0 { _ = try reader.number() }
        } else {
            try reader.skip(Int(try reader.number()))
        }
    }
}

/// The entries of one dictionary record, or of what is to become some: terms and packed entries in one array.
struct TermBlock {
    /// Payload of a record: with the envelope (6) and LMDB's page header (16) one page of 4,096 bytes.
    static let bytesMax = 4_096 - 16 - 6

    private(set) var bytes: [UInt8] = []
    /// Of each term, and of the entry after it.
    private(set) var ends: [(term: Int, entry: Int)] = []

    var count: Int { ends.count }

    func term(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1].entry)..<ends[index].term }
    func entry(_ index: Int) -> Range<Int> { ends[index].term..<ends[index].entry }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    mutating func append(_ other: TermBlock, _ index: Int) {
        let term = other.term(index)
        bytes += other.bytes[term.lowerBound..<other.ends[index].entry]
        ends.append((bytes.count - other.entry(index).count, bytes.count))
    }

    mutating func append(term: ArraySlice<UInt8>, _ entry: TermEntry) {
        bytes += term
        let end = bytes.count
        entry.write(to: &bytes)
        ends.append((end, bytes.count))
    }

    /// Reads a record.
    mutating func read(_ payload: [UInt8]) throws {
        try unsafe payload.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            var previous = 0..<0
            while !reader.isAtEnd {
                let shared = Int(try reader.byte())
                let rest = Int(try reader.byte())
                guard shared <= previous.count, shared + rest <= Analyzer.termBytesMax, shared + rest > 0 else { throw RecordReader.damaged }
                let start = bytes.count
                bytes += bytes[previous.lowerBound..<previous.lowerBound + shared]
                let from = reader.position
                try reader.skip(rest)
                unsafe bytes += buffer[from..<reader.position]
                let end = bytes.count
                guard previous.isEmpty || Self.precedes(bytes, previous, start..<end) else { throw RecordReader.damaged }
                previous = start..<end
                let entry = reader.position
                try TermEntry.skip(&reader)
                unsafe bytes += buffer[entry..<reader.position]
                ends.append((end, bytes.count))
            }
            guard !ends.isEmpty else { throw RecordReader.damaged }
        }
    }

    private static func precedes(_ bytes: [UInt8], _ a: Range<Int>, _ b: Range<Int>) -> Bool {
        bytes[a].lexicographicallyPrecedes(bytes[b])
    }

    /// The records of these entries: one when it fits, else as few as hold them, of even size. A long run that comes at
    /// once (a bulk build) is packed tight.
    func records() -> [(first: ArraySlice<UInt8>, payload: [UInt8])] {
        guard count > 0 else { return [] }
        let total = ends.indices.reduce(0) { $0 + encodedBytes($1, shared: $1 == 0 ? 0 : sharedWithPrevious($1)) }
        let parts = (total + Self.bytesMax - 1) / Self.bytesMax
        let wanted = parts == 1 || parts > 4 ? Self.bytesMax : total / parts + 40
        var records: [(first: ArraySlice<UInt8>, payload: [UInt8])] = []
        var payload: [UInt8] = []
        payload.reserveCapacity(Self.bytesMax)
        var first = 0
        for index in ends.indices {
            var shared = payload.isEmpty ? 0 : sharedWithPrevious(index)
            if !payload.isEmpty, payload.count + encodedBytes(index, shared: shared) > min(wanted, Self.bytesMax) {
                records.append((bytes[term(first)], payload))
                payload = []
                payload.reserveCapacity(Self.bytesMax)
                first = index
                shared = 0
            }
            payload.append(UInt8(shared))
            payload.append(UInt8(term(index).count - shared))
            payload += bytes[term(index).lowerBound + shared..<ends[index].entry]
        }
        records.append((bytes[term(first)], payload))
        return records
    }

    private func encodedBytes(_ index: Int, shared: Int) -> Int { 2 + term(index).count - shared + entry(index).count }

    private func sharedWithPrevious(_ index: Int) -> Int {
        let (a, b) = (term(index - 1), term(index))
        let most = min(a.count, b.count)
        var shared = 0
        while shared < most, bytes[a.lowerBound + shared] == bytes[b.lowerBound + shared] { shared += 1 }
        return shared
    }

    /// Moves the reader to the entry of `term` in a record; false when the record has none.
    ///
    /// Without making the terms: `common` is how many bytes the wanted term shares with the last one read. An entry that shares
    /// more with it comes before the wanted term like it, one that shares less comes after.
    static func find(_ term: UnsafeRawBufferPointer, _ reader: inout RecordReader) throws(ContexError) -> Bool {
        var common = 0
        while !reader.isAtEnd {
            let shared = Int(try reader.byte())
            let rest = Int(try reader.byte())
            guard rest <= reader.remaining else { throw RecordReader.damaged }
            if shared < common { return false }
            if shared == common {
                var matched = 0
                let most = min(rest, term.count - common)
                // Inside both: `most` is at most what each of them has left.
                while matched < most, unsafe reader.here.load(fromByteOffset: matched, as: UInt8.self) == term[common + matched] { matched += 1 }
                let isEnd = common + matched == term.count
                if isEnd {
                    try reader.skip(rest)
                    return matched == rest
                }
                if matched < rest, unsafe reader.here.load(fromByteOffset: matched, as: UInt8.self) > term[common + matched] { return false }
                common += matched
            }
            try reader.skip(rest)
            try TermEntry.skip(&reader)
        }
        return false
    }
}
