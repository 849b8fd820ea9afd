// Postings: for each term the texts that have it. docs/formats/fulltext-v1.md has the bytes.
//
// The *term record* (key: term, 0x00) holds the number of texts and the *tail*, the block of the highest nodes. A full tail
// moves to a record of its own (key: term, 0x00, first node) before the next posting. Node numbers only
// grow, so an add appends to the tails of its terms and writes one record a term; a term with few texts is one record.
// A tail is empty only between two steps: when its last posting goes, the last block moves back in.
//
//     term record   N texts | tail: [901 930 944]
//     block @ 1     [1 4 9 ... 388]                    all nodes of a block < all of the next < all of the tail
//     block @ 401   [401 410 ... 899]
//
// A block has at most 128 postings of at most 15 bytes: it always stays inside a leaf page of the store.

internal import Base

/// One text of a term. The length is the text's own and stands in every posting, so that scoring needs no second look-up;
/// it cannot go stale, since a changed text is removed and added.
struct Posting: Equatable {
    let node: UInt32
    let frequency: UInt32
    let length: UInt32
}

/// A run of postings in node order, as bytes: enough is known without decoding to append to it.
struct PostingBlock {
    static let postingsMax = 128

    private(set) var count = 0
    private(set) var first: UInt32 = 0
    private(set) var last: UInt32 = 0
    /// (node - previous node, frequency, length) as varints; the first posting's difference is 0.
    private var entries: [UInt8] = []

    init() {}

    init(_ postings: some Swift.Collection<Posting>) {
        for posting in postings { append(posting) }
    }

    /// - Precondition: `posting.node` is over every node of the block.
    mutating func append(_ posting: Posting) {
        precondition(count == 0 || posting.node > last, "posting \(posting.node) after \(last)")
        if count == 0 { first = posting.node }
        var writer = ByteWriter(capacity: 16)
        writer.varint(UInt64(count == 0 ? 0 : posting.node - last))
        writer.varint(UInt64(posting.frequency))
        writer.varint(UInt64(posting.length))
        entries += writer.bytes
        last = posting.node
        count += 1
    }

    func write(to writer: inout ByteWriter) {
        writer.varint(UInt64(count))
        guard count > 0 else { return }
        writer.varint(UInt64(first))
        writer.varint(UInt64(last - first))
        writer.raw(entries)
    }

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 16 + entries.count)
        write(to: &writer)
        return writer.bytes
    }

    /// Reads a block that ends with the bytes; the entries are read when they are asked for.
    init(reading reader: inout ByteReader) throws {
        count = try reader.count(limit: Self.postingsMax)
        if count == 0 {
            try reader.end()
            return
        }
        first = try Self.number(&reader)
        let width = try Self.number(&reader)
        let (last, overflow) = first.addingReportingOverflow(width)
        if overflow { throw ByteError.malformed(at: reader.offset) }
        self.last = last
        entries = Array(try reader.raw(reader.remaining))
    }

    init(bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        try self.init(reading: &reader)
    }

    /// - Throws: `.damaged` when the entries are not what the head of the block says.
    func postings() throws -> [Posting] {
        var list = PostingList()
        list.reserve(count)
        if count > 0 { try unsafe list.append(count: count, first: first, last: last, entries: entries.span.bytes) }
        return list.nodes.indices.map { Posting(node: list.nodes[$0], frequency: list.frequencies[$0], length: list.lengths[$0]) }
    }

    private static func number(_ reader: inout ByteReader) throws -> UInt32 {
        UInt32(truncatingIfNeeded: try reader.count(limit: Int(UInt32.max)))
    }
}

/// What a term's own record holds.
struct TermRecord {
    /// Texts with the term, in the tail and in all blocks.
    var documents = 0
    var tail = PostingBlock()

    /// - Parameter bytes: nil of a term that no text has.
    init(_ bytes: [UInt8]?) throws {
        guard let bytes else { return }
        var reader = ByteReader(bytes)
        documents = try reader.count()
        tail = try PostingBlock(reading: &reader)
        guard tail.count > 0, tail.count <= documents else { throw PostingError.damaged }
    }

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 2_048)
        writer.varint(UInt64(documents))
        tail.write(to: &writer)
        return writer.bytes
    }
}

/// Decoded postings of one term, column by column.
struct PostingList {
    private(set) var nodes: [UInt32] = []
    private(set) var frequencies: [UInt32] = []
    private(set) var lengths: [UInt32] = []

    mutating func reserve(_ count: Int) {
        nodes.reserveCapacity(count)
        frequencies.reserveCapacity(count)
        lengths.reserveCapacity(count)
    }

    mutating func append(_ more: PostingList) {
        nodes += more.nodes
        frequencies += more.frequencies
        lengths += more.lengths
    }

    /// Decodes a whole block record.
    mutating func append(block payload: RawSpan) throws {
        var cursor = VarintCursor()
        try append(block: payload, &cursor)
    }

    /// Decodes a term record's tail, after the number of texts, which is returned.
    mutating func append(tail payload: RawSpan) throws -> Int {
        var cursor = VarintCursor()
        let texts = try cursor.next(payload)
        try append(block: payload, &cursor)
        return Int(texts)
    }

    private mutating func append(block payload: RawSpan, _ cursor: inout VarintCursor) throws {
        let count = Int(try cursor.next(payload))
        if count == 0 {
            guard cursor.position == payload.byteCount else { throw PostingError.damaged }
            return
        }
        let first = try cursor.next(payload)
        let (last, overflow) = first.addingReportingOverflow(try cursor.next(payload))
        guard !overflow, count <= PostingBlock.postingsMax else { throw PostingError.damaged }
        try append(count: count, first: first, last: last, entries: payload.extracting(cursor.position..<payload.byteCount))
    }

    mutating func append(count: Int, first: UInt32, last: UInt32, entries: RawSpan) throws {
        var cursor = VarintCursor()
        var node = first
        for index in 0..<count {
            let difference = try cursor.next(entries)
            let (next, overflow) = node.addingReportingOverflow(difference)
            guard !overflow, (difference == 0) == (index == 0) else { throw PostingError.damaged }
            node = next
            nodes.append(node)
            frequencies.append(try cursor.next(entries))
            lengths.append(try cursor.next(entries))
        }
        guard node == last, cursor.position == entries.byteCount else { throw PostingError.damaged }
    }
}

enum PostingError {
    static var damaged: ContexError { TextIndex.contradiction("a block of postings") }
}
