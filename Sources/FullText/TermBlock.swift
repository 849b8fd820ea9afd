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
        guard documents >= 1 else { throw RecordReader.damaged }
        try Self.readTail(&reader, documents: documents) { node, count in
            nodes.append(node)
            counts.append(count)
        }
    }

    /// Reads what follows the number of texts.
    @inline(__always)
    private static func readTail(_ reader: inout RecordReader, documents: Int, _ body: (UInt32, UInt32) -> Void) throws(ContexError) {
        let end = documents == 1 ? 0 : Int(try reader.number()) + reader.position
        guard end <= reader.count else { throw RecordReader.damaged }
        var (node, postings): (UInt32, Int) = (0, 0)
        repeat {
            let code = try reader.number()
            guard let difference = UInt32(exactly: code >> 1) else { throw RecordReader.damaged }
            let (next, overflow) = node.addingReportingOverflow(difference)
            guard !overflow, postings == 0 || difference > 0 else { throw RecordReader.damaged }
            node = next
            let count = code & 1 == 1 ? 1 : try reader.number32()
            guard count >= 1, postings < tailMax else { throw RecordReader.damaged }
            postings += 1
            body(node, count)
        } while reader.position < end
        guard documents == 1 || reader.position == end, postings <= documents else { throw RecordReader.damaged }
    }

    /// The same into two arrays of `tailMax` places; returns how many postings there are.
    static func readTail(
        _ reader: inout RecordReader, documents: Int, _ nodes: UnsafeMutablePointer<UInt32>, _ counts: UnsafeMutablePointer<UInt32>
    ) throws(ContexError) -> Int {
        var postings = 0
        try readTail(&reader, documents: documents) { node, count in
            unsafe nodes[postings] = node
            unsafe counts[postings] = count
            postings += 1
        }
        return postings
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

/// The payload of a dictionary record: each term as how many bytes it shares with the one before, how many follow, and
/// these; then its entry.
enum TermBlock {
    /// Of a record: with the envelope (6) and LMDB's page header (16) one page of 4,096 bytes.
    static let bytesMax = 4_096 - 16 - 6

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

/// Goes through a payload entry by entry, with the term at hand and the one before it.
@safe
struct TermBlockWalk {
    private(set) var reader: RecordReader
    /// How many bytes the term shares with the one before.
    private(set) var shared = 0
    private let buffers = TermBuffers()
    /// Which of the two buffers has the term.
    private var side = 0
    private(set) var termCount = 0
    private(set) var previousCount = 0

    /// Two buffers of 64 bytes, in turn: most terms are short, and copying 64 bytes is two instructions.
    @safe
    private final class TermBuffers {
        let start: UnsafeMutablePointer<UInt8>
        init() {
            unsafe start = .allocate(capacity: 2 * Analyzer.termBytesMax)
            unsafe start.initialize(repeating: 0, count: 2 * Analyzer.termBytesMax)
        }
        deinit { unsafe start.deallocate() }
    }

    init(_ payload: UnsafeRawBufferPointer) { reader = unsafe RecordReader(payload) }

    var isAtEnd: Bool { reader.isAtEnd }
    /// The term of the entry that the reader stands before the body of; good until `next`.
    var bytes: UnsafeBufferPointer<UInt8> { unsafe UnsafeBufferPointer(start: buffers.start + side, count: termCount) }
    /// The term before it.
    var previous: UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: buffers.start + (Analyzer.termBytesMax - side), count: previousCount)
    }
    var term: [UInt8] { unsafe Array(bytes) }

    /// Reads the next term.
    @inline(__always)
    mutating func next() throws(ContexError) {
        shared = Int(try reader.byte())
        let rest = Int(try reader.byte())
        guard shared <= termCount, shared + rest <= Analyzer.termBytesMax, rest > 0, rest <= reader.remaining else { throw RecordReader.damaged }
        let old = unsafe buffers.start + side
        let new = unsafe buffers.start + (Analyzer.termBytesMax - side)
        // Sorted: where it leaves the one before, it is greater.
        if shared < termCount, unsafe old[shared] >= reader.here.load(as: UInt8.self) { throw RecordReader.damaged }
        unsafe new.update(from: old, count: Analyzer.termBytesMax)
        // shared + rest is at most the buffer's size.
        for place in 0..<rest { unsafe new[shared + place] = reader.here.load(fromByteOffset: place, as: UInt8.self) }
        try reader.skip(rest)
        previousCount = termCount
        termCount = shared + rest
        side = Analyzer.termBytesMax - side
    }

    /// How many texts have the term; moves past its entry.
    mutating func documents() throws -> UInt64 {
        var ahead = reader
        let documents = try ahead.number()
        try skipEntry()
        return documents
    }

    mutating func skipEntry() throws(ContexError) { try TermEntry.skip(&reader) }
    mutating func entry() throws -> TermEntry { try TermEntry(&reader) }
    mutating func read(_ entry: inout TermEntry) throws { try entry.read(&reader) }
}

/// Merges changed entries into the payload of a record. What lies between two changes is copied as it is; only the term after a change has
/// another before it and is coded again.
@safe
struct TermBlockMerge {
    /// What has come out; as long as it may be.
    private(set) var payload: [UInt8] = []
    private(set) var first: [UInt8] = []
    private var walk: TermBlockWalk
    private let old: UnsafeRawBufferPointer
    /// Up to here the old bytes are out or replaced.
    private var copied = 0
    /// The last term that is out, unless it is one of the walk's.
    private var last: [UInt8] = []
    private enum Last { case own, walked, walkedBefore }
    private var lastIs = Last.own
    /// Whether the next old term must be coded again.
    private var recodes = false
    /// The term of the walk is read, its entry is not passed yet; it began here.
    private var pending: Int?
    private var body: [UInt8] = []

    /// - Parameter old: stays while the merge does.
    init(_ old: UnsafeRawBufferPointer) {
        unsafe self.old = old
        walk = unsafe TermBlockWalk(old)
        payload.reserveCapacity(old.count + 256)
    }

    private mutating func readNext() throws(ContexError) {
        pending = walk.reader.position
        try walk.next()
        if lastIs == .walked { lastIs = .walkedBefore }
    }

    /// Moves to `term`, and reads its entry when it is there.
    mutating func seek(_ term: ArraySlice<UInt8>, _ entry: inout TermEntry) throws -> Bool {
        entry.reset()
        let isThere = try unsafe term.withUnsafeBufferPointer { wanted in
            while pending != nil || !walk.isAtEnd {
                if pending == nil { try readNext() }
                let order = unsafe Self.compare(walk.bytes, wanted)
                if order > 0 { return false }
                if order == 0 { return true }
                try pass()
            }
            return false
        }
        copy(to: pending ?? walk.reader.position)
        keepLast()
        if isThere {
            pending = nil
            try walk.read(&entry)
            copied = walk.reader.position
        }
        return isThere
    }

    /// Takes the last term that is out from the walk before the walk goes on.
    private mutating func keepLast() {
        switch lastIs {
        case .own: break
        case .walked: last = walk.term
        case .walkedBefore: last = unsafe Array(walk.previous)
        }
        lastIs = .own
    }

    @inline(__always)
    private mutating func pass() throws(ContexError) {
        if recodes {
            let start = walk.reader.position
            try walk.skipEntry()
            let end = walk.reader.position
            unsafe append(walk.term[...], UnsafeRawBufferPointer(rebasing: old[start..<end]))
            copied = end
            recodes = false
        } else {
            if first.isEmpty { first = walk.term }
            try walk.skipEntry()
        }
        lastIs = .walked
        pending = nil
    }

    /// Puts an entry where the merge stands. `isNew`: the old payload has no such term.
    mutating func put(_ term: ArraySlice<UInt8>, _ entry: TermEntry, isNew: Bool) {
        body.removeAll(keepingCapacity: true)
        entry.write(to: &body)
        let bytes = body
        unsafe bytes.withUnsafeBytes { unsafe append(term, $0) }
        if isNew { recodes = true }
    }

    /// Leaves out the entry that `seek` has found.
    mutating func drop() { recodes = true }

    mutating func finish() throws {
        if recodes, pending != nil || !walk.isAtEnd {
            if pending == nil { try readNext() }
            try pass()
        }
        if first.isEmpty, copied < walk.reader.count {
            if pending == nil { try readNext() }
            first = walk.term
        }
        copy(to: walk.reader.count)
        Invariants.hold(checkInvariants())
    }

    /// What came out is a record as it should be, if what went in was: its terms ascend, `first` is the first of them, its entries
    /// have the length that they say.
    /// Each finding is a sentence; for tests.
    /// - Complexity: O(bytes), and as much memory.
    func checkInvariants() -> [String] {
        guard unsafe Self.faults(old).isEmpty else { return [] }
        var faults = unsafe payload.withUnsafeBytes { unsafe Self.faults($0) }
        let begin = try? unsafe payload.withUnsafeBytes { bytes -> [UInt8] in
            var walk = unsafe TermBlockWalk(bytes)
            if !walk.isAtEnd { try walk.next() }
            return walk.term
        }
        if begin != first, !payload.isEmpty { faults.append("a record that begins with another term than it says") }
        return faults
    }

    private static func faults(_ record: UnsafeRawBufferPointer) -> [String] {
        var walk = unsafe TermBlockWalk(record)
        var before: [UInt8]?
        do {
            while !walk.isAtEnd {
                try walk.next()
                let term = walk.term
                if let before, !before.lexicographicallyPrecedes(term) { return ["a term that is not after the one before"] }
                try walk.skipEntry()
                before = term
            }
        } catch {
            return ["a record that cannot be read: \(error)"]
        }
        return []
    }

    private mutating func copy(to end: Int) {
        guard copied < end else { return }
        unsafe payload += old[copied..<end]
        copied = end
    }

    /// - Precondition: `last` is the last term that is out.
    private mutating func append(_ term: ArraySlice<UInt8>, _ body: UnsafeRawBufferPointer) {
        var shared = 0
        let most = min(last.count, term.count)
        while shared < most, last[shared] == term[term.startIndex + shared] { shared += 1 }
        if first.isEmpty { first = Array(term) }
        payload.append(UInt8(shared))
        payload.append(UInt8(term.count - shared))
        payload += term.dropFirst(shared)
        unsafe payload += body
        last = Array(term)
    }

    @inline(__always)
    private static func compare(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Int {
        var place = 0
        let most = min(a.count, b.count)
        while place < most {
            // Below the length of both.
            let (x, y) = unsafe (a[place], b[place])
            if x != y { return x < y ? -1 : 1 }
            place += 1
        }
        return a.count - b.count
    }
}

/// What comes out of neighbouring records, one after another, on its way into as few as hold it.
struct TermBlockRun {
    private var payload: [UInt8] = []
    private var first: [UInt8] = []
    private var last: [UInt8] = []

    /// Records that are gathered before the full ones go out.
    private static let recordsMax = 8

    var isEmpty: Bool { payload.isEmpty }
    var count: Int { payload.count }

    /// Appends a payload whose terms are all after those before it.
    mutating func append(_ more: [UInt8], first moreFirst: [UInt8]) throws {
        if more.isEmpty { return }
        let start = last
        last = try unsafe more.withUnsafeBytes { buffer in
            var walk = unsafe TermBlockWalk(buffer)
            while !walk.isAtEnd {
                try walk.next()
                try walk.skipEntry()
            }
            return walk.term
        }
        if payload.isEmpty {
            (payload, first) = (more, moreFirst)
            return
        }
        // The first term shares nothing with the one before in its own record; here it does.
        let shared = zip(start, moreFirst).prefix { $0 == $1 }.count
        payload.append(UInt8(shared))
        payload.append(UInt8(moreFirst.count - shared))
        payload += moreFirst.dropFirst(shared)
        payload += more[(2 + moreFirst.count)...]
    }

    /// Takes out the full records of a long run; the last one stays.
    mutating func full() throws -> [(first: [UInt8], payload: [UInt8])] {
        guard payload.count > Self.recordsMax * TermBlock.bytesMax else { return [] }
        var records = try Self.records(payload, first: first)
        (first, payload) = records.removeLast()
        return records
    }

    /// Takes out all.
    mutating func finish() throws -> [(first: [UInt8], payload: [UInt8])] {
        defer { self = TermBlockRun() }
        return try Self.records(payload, first: first)
    }

    /// The records of a payload: one when it fits, else as few as hold it, of even size. A long run that comes at once (a bulk build) is
    /// packed tight.
    private static func records(_ payload: [UInt8], first: [UInt8]) throws -> [(first: [UInt8], payload: [UInt8])] {
        if payload.isEmpty { return [] }
        if payload.count <= TermBlock.bytesMax { return [(first, payload)] }
        let parts = (payload.count + TermBlock.bytesMax - 1) / TermBlock.bytesMax
        let wanted = parts > 4 ? TermBlock.bytesMax : min(TermBlock.bytesMax, payload.count / parts + 40)
        return try unsafe payload.withUnsafeBytes { buffer in
            var records: [(first: [UInt8], payload: [UInt8])] = []
            var walk = unsafe TermBlockWalk(buffer)
            var (start, begin) = ([UInt8](), 0)
            var head: [UInt8] = []
            while !walk.isAtEnd {
                let at = walk.reader.position
                try walk.next()
                let afterTerm = walk.reader.position
                try walk.skipEntry()
                if start.isEmpty || head.count + walk.reader.position - begin > wanted {
                    if !start.isEmpty { unsafe records.append((start, head + buffer[begin..<at])) }
                    // The first of a record shares nothing.
                    start = walk.term
                    head = [0, UInt8(start.count)] + start
                    begin = afterTerm
                }
            }
            unsafe records.append((start, head + buffer[begin...]))
            return records
        }
    }
}
