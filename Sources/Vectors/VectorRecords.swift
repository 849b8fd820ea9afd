// The three records of a project's vector index, byte for byte: docs/formats/vectors-v1.md.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// The graph as a whole. Absent while the project has no vector.
struct GraphState: Equatable {
    static let byteCount = 17

    var dimension: Int
    var count: Int
    var entry: UInt32
    /// Level of the entry point; no node has a higher one.
    var maxLevel: Int
    var linksAbove: Int
    var linksAtZero: Int
    var efConstruction: Int

    /// Bound of a list at `level`.
    func linksMax(at level: Int) -> Int { level == 0 ? linksAtZero : linksAbove }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.u16(UInt16(dimension))
        writer.u32(UInt32(count))
        writer.u32(entry)
        writer.u8(UInt8(maxLevel))
        writer.u16(UInt16(linksAbove))
        writer.u16(UInt16(linksAtZero))
        writer.u16(UInt16(efConstruction))
        return writer.bytes
    }

    /// - Throws: `ByteError`, or `.damaged` when a field has no meaning.
    init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        dimension = Int(try reader.u16())
        count = Int(try reader.u32())
        entry = try reader.u32()
        maxLevel = Int(try reader.u8())
        linksAbove = Int(try reader.u16())
        linksAtZero = Int(try reader.u16())
        efConstruction = Int(try reader.u16())
        try reader.end()
        guard dimension > 0, count > 0, maxLevel <= NodeLevel.highest, (4...64).contains(linksAbove), (linksAbove...128).contains(linksAtZero),
            (linksAbove...4_096).contains(efConstruction)
        else {
            throw ContexError.damaged("the state of the vector graph has a field outside its range: \(bytes)")
        }
    }

    /// Of a graph that gets its first node.
    init(dimension: Int, parameters: HNSWParameters) {
        self.dimension = dimension
        count = 0
        entry = 0
        maxLevel = 0
        linksAbove = parameters.M
        linksAtZero = parameters.M0
        efConstruction = parameters.efConstruction
    }
}

/// The level of a node: geometric with ratio 1/M as the paper has it, drawn from the node's number instead of a clock or a
/// common generator, so that the same operations give the same bytes on every machine.
enum NodeLevel {
    /// 16 to the power of -12 is below one in 2^48.
    static let highest = 12

    static func of(_ node: UInt32, project: UInt32, linksAbove: Int) -> Int {
        var random = SeededRandom(seed: UInt64(project) << 32 | UInt64(node))
        let draw = random.unit()
        // By multiplication, not by a logarithm: libraries differ in the last bit of those.
        var level = 0
        var share = 1 / Double(linksAbove)
        while draw < share && level < highest {
            level += 1
            share /= Double(linksAbove)
        }
        return level
    }
}

/// What a node is linked to.
///
/// A member of the graph has a list of neighbours for each level from 0 to its own, ids ascending. A twin is not a member:
/// its vector equals a member's, and it hangs in a chain that begins at that member (see Twins.swift).
struct NodeLinks: Equatable {
    /// Empty for a twin.
    var levels: [[UInt32]]
    var nextTwin: UInt32?
    /// Set exactly for a twin: the member or the twin before it.
    var previousTwin: UInt32?

    /// Stands in a twin's record where a member has its level.
    private static let twinMark: UInt8 = 0xFF
    /// Before the lists: level, flag, next twin.
    private static let headBytes = 6

    var isTwin: Bool { levels.isEmpty }
    var level: Int { levels.count - 1 }

    /// A member without neighbours.
    init(level: Int) { levels = Array(repeating: [], count: level + 1) }

    /// A twin.
    init(after previous: UInt32, before next: UInt32?) {
        levels = []
        previousTwin = previous
        nextTwin = next
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.headBytes + 4 + levels.reduce(0) { $0 + 1 + 4 * $1.count })
        writer.u8(isTwin ? Self.twinMark : UInt8(level))
        writer.bool(nextTwin != nil)
        writer.u32(nextTwin ?? 0)
        if let previousTwin { writer.u32(previousTwin) }
        for list in levels {
            writer.u8(UInt8(list.count))
            for neighbour in list { writer.u32(neighbour) }
        }
        return writer.bytes
    }

    /// - Throws: `ByteError` when the bytes do not fit the layout.
    init(decoding payload: borrowing RawSpan) throws {
        var reader = ByteReader(Array(payload))
        let mark = try reader.u8()
        let hasNext = try reader.bool()
        let next = try reader.u32()
        nextTwin = hasNext ? next : nil
        levels = []
        if mark == Self.twinMark {
            previousTwin = try reader.u32()
            try reader.end()
            return
        }
        for _ in 0...mark {
            let count = Int(try reader.u8())
            guard count <= reader.remaining / 4 else { throw ByteError.truncated(at: reader.offset) }
            var list: [UInt32] = []
            list.reserveCapacity(count)
            for _ in 0..<count { list.append(try reader.u32()) }
            levels.append(list)
        }
        try reader.end()
    }

    /// Appends the neighbours at `level` to `list` straight from the mapped bytes; what a search does at every hop.
    /// - Throws: `ByteError` when the bytes do not fit the layout.
    static func appendNeighbours(at level: Int, of payload: borrowing RawSpan, to list: inout [UInt32]) throws(ByteError) {
        let end = payload.byteCount
        guard end > headBytes else { throw .truncated(at: end) }
        let mark = unsafe payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
        guard mark != twinMark, level <= Int(mark) else { throw .malformed(at: 0) }
        var offset = headBytes
        var above = level
        while true {
            guard offset < end else { throw .truncated(at: offset) }
            let count = Int(unsafe payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
            offset += 1
            guard count <= (end - offset) / 4 else { throw .truncated(at: offset) }
            if above == 0 {
                for i in 0..<count {
                    list.append(unsafe payload.unsafeLoadUnaligned(fromByteOffset: offset + 4 * i, as: UInt32.self).bigEndian)
                }
                return
            }
            offset += 4 * count
            above -= 1
        }
    }
}

/// Dot products on the stored form of a vector: little-endian float32, not aligned, nothing before or after.
enum VectorBytes {
    static func dot(_ query: borrowing [Float], _ payload: borrowing RawSpan) -> Float {
        let count = query.count
        return unsafe query.withUnsafeBufferPointer { left in
            unsafe payload.withUnsafeBytes { right in unsafe ck_dot_f32(left.baseAddress!, right.baseAddress!, count) }
        }
    }

    static func squaredLength(_ vector: borrowing [Float]) -> Float {
        let count = vector.count
        return unsafe vector.withUnsafeBufferPointer { unsafe ck_dot_f32($0.baseAddress!, $0.baseAddress!, count) }
    }

    /// Of a row among rows that lie one after the other, and a stored vector.
    static func dot(_ rows: borrowing [UInt8], row: Int, _ payload: borrowing RawSpan, _ dimension: Int) -> Float {
        unsafe rows.withUnsafeBytes { left in
            unsafe payload.withUnsafeBytes { right in
                unsafe ck_dot_f32(left.baseAddress! + 4 * dimension * row, right.baseAddress!, dimension)
            }
        }
    }

    static func dot(_ rows: borrowing [UInt8], row: Int, row other: Int, _ dimension: Int) -> Float {
        unsafe rows.withUnsafeBytes { bytes in
            unsafe ck_dot_f32(bytes.baseAddress! + 4 * dimension * row, bytes.baseAddress! + 4 * dimension * other, dimension)
        }
    }
}

extension UInt32 {
    /// The number in the last four bytes of a node's key.
    init(nodeOfKey key: borrowing [UInt8]) {
        let at = key.count - 4
        self = UInt32(key[at]) << 24 | UInt32(key[at + 1]) << 16 | UInt32(key[at + 2]) << 8 | UInt32(key[at + 3])
    }
}

/// One key buffer for many look-ups: the prefix stays, the node's number is written over the last four bytes.
struct NodeKey {
    private(set) var bytes: [UInt8]

    init(_ scope: TenantScope, _ kind: KeyKind) { bytes = scope.key(kind, UInt32(0)) }

    mutating func point(to node: UInt32) {
        let at = TenantScope.prefixBytes
        bytes[at] = UInt8(truncatingIfNeeded: node >> 24)
        bytes[at + 1] = UInt8(truncatingIfNeeded: node >> 16)
        bytes[at + 2] = UInt8(truncatingIfNeeded: node >> 8)
        bytes[at + 3] = UInt8(truncatingIfNeeded: node)
    }
}
