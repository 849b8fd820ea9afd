// The orders of terms of many texts in one record: alone each would cost a key, a seal and its share of a half-empty page, four times its own bytes.
//
//     gap varint | bytes varint | PositionRecord
//
// for each text, nodes rising; the gap is from the node before (of the first, from that in the record's key: 0). With envelope and page
// header a record is at most one page, or it holds a single text. Node numbers rise, so that new texts go to the end of the last record.

internal import Base
internal import KeySpace
internal import LMDB

enum PositionBlock {
    static let bytesMax = 4_074

    /// Reads one text after another.
    @safe
    struct Walk {
        private var reader: RecordReader
        private(set) var node: UInt32
        private var isFirst = true

        /// - Parameter first: the node in the record's key.
        init(_ payload: UnsafeRawBufferPointer, first: UInt32) {
            reader = unsafe RecordReader(payload)
            node = first
        }

        /// Where the next text begins.
        var position: Int { reader.position }

        /// The order of terms of the first text from here on whose node is `wanted` or a later one; nil at the end.
        mutating func seek(_ wanted: UInt32) throws(ContexError) -> UnsafeRawBufferPointer? {
            // In registers: most of what is passed over is two bytes and a length.
            var walk = self
            defer { self = walk }
            while let record = try unsafe walk.next() {
                if walk.node >= wanted { return unsafe record }
            }
            return nil
        }

        /// The next text's order of terms; nil at the end.
        @inline(__always)
        mutating func next() throws(ContexError) -> UnsafeRawBufferPointer? {
            guard !reader.isAtEnd else {
                if isFirst { throw RecordReader.damaged }
                return nil
            }
            let gap = try reader.number32()
            guard isFirst == (gap == 0), gap <= .max - node else { throw RecordReader.damaged }
            node += gap
            isFirst = false
            let count = Int(try reader.number32())
            let start = unsafe reader.here
            try reader.skip(count)
            return unsafe UnsafeRawBufferPointer(start: start, count: count)
        }
    }

    static func node(ofKey key: RawSpan) -> UInt32 {
        unsafe UInt32(bigEndian: key.unsafeLoadUnaligned(fromByteOffset: TenantScope.prefixBytes, as: UInt32.self))
    }

    /// The record that a node's text is in, or would be: the last that does not begin after it.
    static func floor(_ node: UInt32, _ scope: TenantScope, in view: borrowing TransactionView) throws -> (first: UInt32, payload: [UInt8])? {
        var found: (first: UInt32, payload: [UInt8])?
        try view.scanRecords(prefix: scope.key(.textPositions), from: scope.key(.textPositions, node), .descending) { key, payload in
            guard key.count == TenantScope.prefixBytes + 4 else { throw RecordReader.damaged }
            found = (UInt32(lastOf: key), Array(payload))
            return .stop
        }
        return found
    }

    /// The first record that begins after a node.
    static func next(after node: UInt32, _ scope: TenantScope, in view: borrowing TransactionView) throws -> UInt32? {
        guard node < .max else { return nil }
        var found: UInt32?
        try view.scan(prefix: scope.key(.textPositions), from: scope.key(.textPositions, node + 1)) { key, _ in
            guard key.byteCount == TenantScope.prefixBytes + 4 else { throw RecordReader.damaged }
            found = self.node(ofKey: key)
            return .stop
        }
        return found
    }
}

/// Looks up the orders of terms of one text after another: what lies in one record is found without another descent, and going on from
/// there when nodes rise.
@safe
final class PositionReader {
    private let scope: TenantScope
    /// The record that was opened last, and where the walk through it stands.
    private var payload: UnsafeRawBufferPointer?
    private var first: UInt32 = 0
    private var walk: PositionBlock.Walk?
    /// What the walk met last.
    private var met: UnsafeRawBufferPointer?

    init(_ scope: TenantScope) {
        self.scope = scope
        unsafe payload = nil
        unsafe met = nil
    }

    /// Nil when there is none.
    /// - Complexity: O(log n + bytes of a record), O(bytes between) for the next node of the same record.
    func record(of node: UInt32, in view: borrowing TransactionView) throws -> UnsafeRawBufferPointer? {
        if let found = try unsafe onward(to: node) { return unsafe found }
        // Not in this record from here on: it is before, in another, or nowhere.
        guard try open(node, in: view) else { return nil }
        return try unsafe onward(to: node)
    }

    /// Whether the terms of a phrase, all of them in a node's text, stand there one after another.
    /// - Parameter length: of the text.
    func stands(_ phrase: [UInt64], _ node: UInt32, length: Int, in view: borrowing TransactionView) throws -> Bool {
        guard let record = try unsafe record(of: node, in: view) else {
            if phrase.count > length { return false }
            throw TextIndex.contradiction("the order of terms of node \(node) is missing")
        }
        return try unsafe PositionRecord.holds(phrase, length: length, record)
    }

    /// Which of some runs of terms stand in a node's text one after another (`PositionRecord.standing`).
    func standing(_ runs: PhraseRuns, _ node: UInt32, length: Int, in view: borrowing TransactionView) throws -> UInt32 {
        guard let record = try unsafe record(of: node, in: view) else {
            if length < 2 { return 0 }
            throw TextIndex.contradiction("the order of terms of node \(node) is missing")
        }
        return try unsafe PositionRecord.standing(runs, length: length, record)
    }

    /// Goes on in the record; nil when it has no such text from here on.
    private func onward(to node: UInt32) throws -> UnsafeRawBufferPointer? {
        guard var walk else { return nil }
        if unsafe met == nil || walk.node < node {
            guard let found = try unsafe walk.seek(node) else {
                self.walk = walk
                return nil
            }
            unsafe met = found
            self.walk = walk
        }
        return unsafe walk.node == node ? met : nil
    }

    private func open(_ node: UInt32, in view: borrowing TransactionView) throws -> Bool {
        walk = nil
        unsafe met = nil
        try view.scan(prefix: scope.key(.textPositions), from: scope.key(.textPositions, node), .descending) { key, value in
            guard key.byteCount == TenantScope.prefixBytes + 4 else { throw RecordReader.damaged }
            let first = PositionBlock.node(ofKey: key)
            // The addresses stay good: the page is mapped and unchanged as long as the view, and a search writes nothing.
            let start = unsafe value.withUnsafeBytes { $0.baseAddress! }
            if let known = unsafe payload, self.first == first, unsafe known.baseAddress == start + Seal.headerBytes {
                walk = unsafe PositionBlock.Walk(known, first: first)
                return .stop
            }
            let opened = unsafe try Seal.open(key: key, value: value, version: 1).withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[...]) }
            unsafe payload = opened
            self.first = first
            walk = unsafe PositionBlock.Walk(opened, first: first)
            return .stop
        }
        return walk != nil
    }
}

/// Changes the records.
struct PositionWriter {
    /// A node's order of terms from now on; nil for none.
    typealias Change = (node: UInt32, record: [UInt8]?)

    private let scope: TenantScope

    init(_ scope: TenantScope) { self.scope = scope }

    /// - Parameter changes: nodes rising.
    func apply(_ changes: [Change], in transaction: inout WriteTransaction) throws {
        var rest = changes[...]
        while let change = rest.first {
            let block = try PositionBlock.floor(change.node, scope, in: transaction.view)
            let end = try PositionBlock.next(after: change.node, scope, in: transaction.view)
            let part = rest.prefix { $0.node < end ?? .max || end == nil }
            rest = rest.dropFirst(part.count)
            try apply(part, to: block, before: end, in: &transaction)
        }
    }

    private func apply(
        _ changes: ArraySlice<Change>, to block: (first: UInt32, payload: [UInt8])?, before end: UInt32?, in transaction: inout WriteTransaction
    ) throws {
        var pieces = Pieces()
        var removed = 0
        if let block {
            try unsafe block.payload.withUnsafeBytes { buffer in
                var walk = unsafe PositionBlock.Walk(buffer, first: block.first)
                var open = changes
                while let record = try unsafe walk.next() {
                    while let change = open.first, change.node < walk.node {
                        pieces.add(change)
                        open.removeFirst()
                    }
                    if let change = open.first, change.node == walk.node {
                        pieces.add(change)
                        open.removeFirst()
                        removed += 1
                    } else {
                        unsafe pieces.add(walk.node, record)
                    }
                }
                for change in open { pieces.add(change) }
            }
        } else {
            for change in changes { pieces.add(change) }
        }
        if removed > 0, pieces.all.count <= 1, pieces.byteCount < PositionBlock.bytesMax / 4, let end,
            let next = try transaction.view.loadBytes(scope.key(.textPositions, end)), pieces.byteCount + next.count <= PositionBlock.bytesMax * 3 / 4
        {
            try unsafe next.withUnsafeBytes { buffer in
                var walk = unsafe PositionBlock.Walk(buffer, first: end)
                while let record = try unsafe walk.next() { unsafe pieces.add(walk.node, record) }
            }
            try transaction.delete(scope.key(.textPositions, end))
        }
        if let block, pieces.all.first?.first != block.first { try transaction.delete(scope.key(.textPositions, block.first)) }
        for piece in pieces.all { try transaction.store(scope.key(.textPositions, piece.first), piece.bytes) }
    }

    /// Records being filled, each as full as it gets.
    private struct Pieces {
        private(set) var all: [(first: UInt32, bytes: [UInt8])] = []
        private var last: UInt32 = 0
        var byteCount: Int { all.reduce(0) { $0 + $1.bytes.count } }

        mutating func add(_ change: Change) {
            guard let record = change.record else { return }
            unsafe record.withUnsafeBytes { unsafe add(change.node, $0) }
        }

        mutating func add(_ node: UInt32, _ record: UnsafeRawBufferPointer) {
            var head: [UInt8] = []
            if !all.isEmpty {
                head.appendNumber(UInt64(node - last))
                head.appendNumber(UInt64(record.count))
            }
            if all.isEmpty || all[all.count - 1].bytes.count + head.count + record.count > PositionBlock.bytesMax {
                head = [0]
                head.appendNumber(UInt64(record.count))
                all.append((node, []))
                all[all.count - 1].bytes.reserveCapacity(PositionBlock.bytesMax)
            }
            all[all.count - 1].bytes += head
            unsafe all[all.count - 1].bytes.append(contentsOf: record)
            last = node
        }
    }
}
