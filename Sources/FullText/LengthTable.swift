// Lengths of the texts, 8,192 node numbers to a record: every score needs the length of its text, and here a search has them
// as an array. A length stands there plus one, so that 0 is a node without a text.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

enum LengthRecord {
    static let nodes = 8_192

    /// The array of a record: `width` bytes a node, from node `first` of the chunk on.
    struct Head {
        let width: Int
        let first: Int
        let count: Int
        /// Where the array begins.
        let offset: Int

        init(_ reader: inout RecordReader) throws(ContexError) {
            width = Int(try reader.byte())
            first = Int(try reader.number32())
            offset = reader.position
            count = width == 0 ? 0 : reader.remaining / width
            guard width == 1 || width == 2 || width == 4, count > 0, reader.remaining == count * width, first + count <= LengthRecord.nodes else {
                throw RecordReader.damaged
            }
        }
    }

    static func unpack(_ bytes: [UInt8]) throws -> [UInt32] {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            let head = try Head(&reader)
            var values = [UInt32](repeating: 0, count: nodes)
            if head.width == 1 {
                // Inside both by the head's checks; the common case in a loop that the compiler makes wide.
                for index in 0..<head.count { unsafe values[head.first + index] = UInt32(buffer[head.offset + index]) }
                return values
            }
            for index in 0..<head.count {
                var value: UInt32 = 0
                for place in 0..<head.width { unsafe value |= UInt32(buffer[head.offset + index * head.width + place]) << UInt32(8 * place) }
                values[head.first + index] = value
            }
            return values
        }
    }

    /// Nil when no node has a text.
    static func pack(_ values: [UInt32]) -> [UInt8]? {
        guard let first = values.firstIndex(where: { $0 != 0 }), let last = values.lastIndex(where: { $0 != 0 }) else { return nil }
        // The highest bit is all that matters.
        let highest = values.reduce(0, |)
        let width = highest < 1 << 8 ? 1 : highest < 1 << 16 ? 2 : 4
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + (last - first + 1) * width)
        bytes.append(UInt8(width))
        bytes.appendNumber(UInt64(first))
        if width == 1 {
            bytes += values[first...last].map { UInt8(truncatingIfNeeded: $0) }
            return bytes
        }
        for value in values[first...last] {
            for place in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * place))) }
        }
        return bytes
    }
}

/// One record as it lies in the store; valid as long as its bytes.
@safe
struct LengthView {
    let width: Int
    /// Within the chunk.
    let first: Int
    let count: Int
    let start: UnsafeRawPointer

    init(_ reader: inout RecordReader) throws(ContexError) {
        let head = try LengthRecord.Head(&reader)
        width = head.width
        first = head.first
        count = head.count
        unsafe start = reader.start + head.offset
    }

    /// Nil of a node without a text.
    @inline(__always)
    func length(of node: UInt32) -> UInt32? {
        let place = Int(node % UInt32(LengthRecord.nodes)) - first
        guard place >= 0, place < count else { return nil }
        // Inside the array: place < count.
        let value: UInt32 =
            switch width {
            case 1: unsafe UInt32(start.load(fromByteOffset: place, as: UInt8.self))
            case 2: unsafe UInt32(UInt16(littleEndian: start.loadUnaligned(fromByteOffset: place * 2, as: UInt16.self)))
            default: unsafe UInt32(littleEndian: start.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self))
            }
        return value == 0 ? nil : value - 1
    }
}

/// The lengths that a change reads and writes, chunk by chunk.
struct LengthTable {
    private let scope: TenantScope
    private var chunks: [UInt32: [UInt32]] = [:]
    private var changed: Set<UInt32> = []

    init(scope: TenantScope) { self.scope = scope }

    private mutating func load(_ chunk: UInt32, in view: borrowing TransactionView) throws {
        if chunks[chunk] != nil { return }
        let bytes = try view.loadBytes(scope.key(.textLengths, chunk))
        chunks[chunk] = try bytes.map { try LengthRecord.unpack($0) } ?? [UInt32](repeating: 0, count: LengthRecord.nodes)
    }

    /// Nil of a node without a text.
    mutating func length(of node: UInt32, in view: borrowing TransactionView) throws -> UInt32? {
        let chunk = node / UInt32(LengthRecord.nodes)
        try load(chunk, in: view)
        let value = chunks[chunk]![Int(node) % LengthRecord.nodes]
        return value == 0 ? nil : value - 1
    }

    mutating func set(_ length: UInt32?, of node: UInt32, in view: borrowing TransactionView) throws {
        let chunk = node / UInt32(LengthRecord.nodes)
        try load(chunk, in: view)
        chunks[chunk]![Int(node) % LengthRecord.nodes] = length.map { $0 + 1 } ?? 0
        changed.insert(chunk)
    }

    mutating func store(in transaction: inout WriteTransaction) throws {
        for chunk in changed.sorted() {
            let key = scope.key(.textLengths, chunk)
            if let bytes = LengthRecord.pack(chunks[chunk]!) {
                try transaction.store(key, bytes)
            } else {
                try transaction.delete(key)
            }
        }
        changed = []
    }
}

/// The lengths of a search's window, one after another.
@safe
struct LengthWindow: ~Copyable {
    private let index: TextIndex
    private let memory: SearchMemory
    private var view: LengthView?
    private var chunk = -1
    private(set) var window: ck_window
    /// No node of the window has a text.
    private(set) var isEmpty = true

    init(_ index: TextIndex, _ memory: SearchMemory) {
        self.index = index
        self.memory = memory
        unsafe window = unsafe ck_window(lengths: memory.lengths, wide: nil, start: 0)
    }

    /// Moves to the window that begins at `start`.
    @inline(__always)
    mutating func move(to start: UInt32, in view: borrowing TransactionView) throws {
        let chunk = Int(start) / LengthRecord.nodes
        if chunk != self.chunk {
            self.view = try index.lengthView(UInt32(chunk), in: view)
            self.chunk = chunk
        }
        unsafe window.start = start
        unsafe window.wide = nil
        let from = Int(start) % LengthRecord.nodes
        isEmpty = true
        // A block may reach over nodes without texts. No posting of a sound index names them: what stands in their places may stay.
        guard let lengths = self.view else { return }
        let first = max(from, lengths.first)
        let end = min(from + SearchMemory.window, lengths.first + lengths.count)
        guard first < end else { return }
        isEmpty = false
        // Inside the record (first, end), and inside the window's arrays.
        unsafe ck_widen_lengths(
            kernelLevel, lengths.start.assumingMemoryBound(to: UInt8.self) + (first - lengths.first) * lengths.width, UInt32(lengths.width),
            end - first, memory.lengths + (first - from), memory.wide + (first - from))
        if lengths.width == 4 { unsafe window.wide = UnsafePointer(memory.wide) }
    }

    /// Terms of the text at a place of the window.
    @inline(__always)
    func length(_ place: UInt32) -> UInt32 {
        let place = Int(place)
        assert(place < SearchMemory.window)
        let stored = if let wide = unsafe window.wide { unsafe wide[place] } else { unsafe UInt32(memory.lengths[place]) }
        return max(stored, 1) - 1
    }
}
