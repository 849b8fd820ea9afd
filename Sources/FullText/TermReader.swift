// From the terms of a query to cursors over their postings.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// A term's entry of the dictionary where it lies in the store.
@safe
struct FoundTerm {
    /// Texts that have the term.
    var documents: Int { (merged?.documents ?? 0) + (recent?.documents ?? 0) }
    /// Of `textTerms` and of `textRecent`.
    fileprivate var merged: Entry?
    fileprivate var recent: Entry?

    fileprivate struct Entry {
        let documents: Int
        /// Stands before the tail, and ends with it or later.
        let tail: RecordReader
    }
}

/// Looks up one term after another, best in the order of their bytes: what lies on one page is found without another descent.
@safe
struct TermReader: ~Copyable, ~Escapable {
    private var merged: Dictionary
    private var recent: Dictionary
    private let postings: TableCursor
    private var postingKey: [UInt8]
    /// Which of them have anything.
    private let levels: DictionaryLevels

    @safe
    private struct Dictionary: ~Copyable, ~Escapable {
        private let cursor: TableCursor
        private var key: [UInt8]
        /// The record that was opened last.
        private var page: UnsafeRawBufferPointer?

        @_lifetime(copy view)
        init(_ kind: KeyKind, _ index: TextIndex, in view: borrowing TransactionView) throws {
            let cursor = try TableCursor(view)
            self.cursor = cursor
            key = index.scope.key(kind)
            unsafe page = nil
        }

        mutating func find(_ term: ArraySlice<UInt8>) throws -> FoundTerm.Entry? {
            key.removeLast(key.count - TenantScope.prefixBytes)
            key += term
            guard let entry = try cursor.floor(key), TermReader.isPrefixed(entry.key, key) else { return nil }
            // The addresses stay good: the page is mapped and unchanged as long as the view.
            let payload = try unsafe TermReader.open(entry, known: page)
            unsafe page = payload
            var reader = unsafe RecordReader(payload)
            guard try unsafe term.withUnsafeBytes({ try unsafe TermBlock.find($0, &reader) }) else { return nil }
            let documents = Int(try reader.number32())
            guard documents >= 1 else { throw RecordReader.damaged }
            return FoundTerm.Entry(documents: documents, tail: reader)
        }
    }

    @_lifetime(copy view)
    init(_ index: TextIndex, _ state: TextIndex.State, in view: borrowing TransactionView) throws {
        let merged = try Dictionary(.textTerms, index, in: view)
        let recent = try Dictionary(.textRecent, index, in: view)
        let postings = try TableCursor(view)
        self.merged = merged
        self.recent = recent
        self.postings = postings
        postingKey = index.scope.key(.posting)
        levels = state.levels
    }

    /// Nil when no text has the term.
    mutating func find(_ term: ArraySlice<UInt8>) throws -> FoundTerm? {
        let merged = levels.termsBytes > 0 ? try merged.find(term) : nil
        let recent = levels.recentBytes > 0 ? try recent.find(term) : nil
        return merged == nil && recent == nil ? nil : FoundTerm(merged: merged, recent: recent)
    }

    /// Texts that have the term by the large dictionary alone.
    mutating func merged(_ term: ArraySlice<UInt8>) throws -> Int { try merged.find(term)?.documents ?? 0 }

    /// A cursor over a term's postings.
    mutating func open(_ term: ArraySlice<UInt8>, _ found: FoundTerm, weight: Float, _ norm: LengthNorm, _ memory: SearchMemory) throws -> PostingCursor {
        let scale = norm.scale(weight)
        var blocks = BlockList(memory, capacity: found.documents / 96 + 4)
        if let merged = found.merged {
            var tail = merged.tail
            let nodes = unsafe memory.allocate(UInt32.self, 2 * BlockHeader.postingsMax)
            let count = try unsafe TermEntry.readTail(&tail, documents: merged.documents, nodes, nodes + BlockHeader.postingsMax)
            var total = count
            if count < merged.documents {
                postingKey.removeLast(postingKey.count - TenantScope.prefixBytes)
                postingKey += term
                postingKey.append(0)
                var next = try postings.ceiling(postingKey)
                while let entry = next, entry.key.starts(with: postingKey) {
                    total += try unsafe blocks.append(Self.segment(entry.key), Self.open(entry, known: nil), scale)
                    next = try postings.next()
                }
            }
            guard total == merged.documents else {
                throw TextIndex.contradiction("'\(String(decoding: term, as: UTF8.self))' has \(total) postings of \(merged.documents)")
            }
            try unsafe blocks.append(tail: nodes, count: count, scale)
        }
        if let recent = found.recent {
            var tail = recent.tail
            let nodes = unsafe memory.allocate(UInt32.self, 2 * BlockHeader.postingsMax)
            let count = try unsafe TermEntry.readTail(&tail, documents: recent.documents, nodes, nodes + BlockHeader.postingsMax)
            guard count == recent.documents else { throw RecordReader.damaged }
            try unsafe blocks.append(tail: nodes, count: count, scale)
        }
        return unsafe PostingCursor(blocks.all, scale, memory)
    }

    fileprivate static func isPrefixed(_ key: RawSpan, _ wanted: [UInt8]) -> Bool {
        guard key.byteCount > TenantScope.prefixBytes else { return false }
        for place in 0..<TenantScope.prefixBytes where unsafe key.unsafeLoad(fromByteOffset: place, as: UInt8.self) != wanted[place] { return false }
        return true
    }

    /// The payload of a record, its seal checked unless it is the one that was checked before.
    fileprivate static func open(_ entry: borrowing TableCursor.Entry, known: UnsafeRawBufferPointer?) throws -> UnsafeRawBufferPointer {
        if let known = unsafe known, let start = known.baseAddress {
            let isKnown = unsafe entry.value.withUnsafeBytes { unsafe $0.baseAddress! + Seal.headerBytes == start }
            if isKnown { return unsafe known }
        }
        let payload = try Seal.open(key: entry.key, value: entry.value, version: 1)
        return unsafe payload.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[...]) }
    }

    /// The first node of a record of blocks: the last four bytes of its key.
    private static func segment(_ key: RawSpan) -> UInt32 {
        guard key.byteCount >= 4 else { return 0 }
        return unsafe UInt32(bigEndian: key.unsafeLoadUnaligned(fromByteOffset: key.byteCount - 4, as: UInt32.self))
    }
}

/// The blocks of a cursor, gathered in a search's memory.
@safe
private struct BlockList {
    private let memory: SearchMemory
    private var blocks: UnsafeMutablePointer<SearchBlock>
    private var capacity: Int
    private var count = 0

    init(_ memory: SearchMemory, capacity: Int) {
        self.memory = memory
        self.capacity = capacity
        unsafe blocks = memory.allocate(SearchBlock.self, capacity)
    }

    var all: UnsafeBufferPointer<SearchBlock> { unsafe UnsafeBufferPointer(start: blocks, count: count) }

    @inline(__always)
    private mutating func append(_ block: SearchBlock) throws(ContexError) {
        if count == capacity {
            let larger = unsafe memory.allocate(SearchBlock.self, 2 * capacity)
            unsafe larger.update(from: blocks, count: count)
            unsafe blocks = larger
            capacity *= 2
        }
        guard unsafe count == 0 || blocks[count - 1].last < block.first else { throw RecordReader.damaged }
        unsafe (blocks + count).initialize(to: block)
        count += 1
    }

    /// Appends the blocks of a record; returns how many postings they have.
    mutating func append(_ first: UInt32, _ payload: UnsafeRawBufferPointer, _ scale: ck_scale) throws(ContexError) -> Int {
        var reader = unsafe RecordReader(payload)
        var (after, postings) = (first, 0)
        while !reader.isAtEnd {
            var bound: Int32 = 0
            let header = try BlockHeader(&reader, after: after) { count, length in
                bound = max(bound, LengthNorm.bound(scale, count: count, length: length))
            }
            try append(unsafe SearchBlock(header, bound: bound, reader.here, available: reader.remaining))
            try reader.skip(header.dataBytes)
            after = header.last
            postings += header.count
        }
        return postings
    }

    mutating func append(tail nodes: UnsafePointer<UInt32>, count: Int, _ scale: ck_scale) throws(ContexError) {
        var highest: UInt32 = 1
        for place in 0..<count { highest = unsafe max(highest, nodes[BlockHeader.postingsMax + place]) }
        try append(unsafe SearchBlock(nodes, count: count, isOnes: highest == 1, bound: LengthNorm.bound(scale, count: highest, length: 0)))
    }
}
