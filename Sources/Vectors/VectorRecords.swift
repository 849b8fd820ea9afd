// The records of a project's vector index, byte for byte: docs/formats/vectors-v1.md.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// The graph as a whole. Absent while the project has no vector.
struct GraphState: Equatable {
    static let byteCount = 38
    /// Stands for "no slot".
    static let none = UInt32.max
    /// Slots are numbered below it: a place in a candidate list has 31 bits for the number.
    static let slotsMax = 1 << 31

    var dimension: Int
    /// Vectors, twins among them.
    var count: Int
    /// Slots given so far, the free ones among them.
    var slots: Int
    /// Head of the list of free slots.
    var firstFree: UInt32
    /// Slot of the entry point.
    var entry: UInt32
    /// Level of the entry point; no node has a higher one.
    var maxLevel: Int
    var linksAbove: Int
    var linksAtZero: Int
    var efConstruction: Int
    /// Of a code, a dimension.
    var bits: Int
    /// Inserts and removals so far: tells one state of a graph from the next.
    var changes: UInt64

    /// Bound of a list at `level`.
    func linksMax(at level: Int) -> Int { level == 0 ? linksAtZero : linksAbove }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.u16(UInt16(dimension))
        writer.u32(UInt32(count))
        writer.u32(UInt32(slots))
        writer.u32(firstFree)
        writer.u32(entry)
        writer.u8(UInt8(maxLevel))
        writer.u16(UInt16(linksAbove))
        writer.u16(UInt16(linksAtZero))
        writer.u16(UInt16(efConstruction))
        writer.u8(UInt8(bits))
        writer.u64(changes)
        return writer.bytes
    }

    /// - Throws: `ByteError`, or `.damaged` when a field has no meaning.
    init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        dimension = Int(try reader.u16())
        count = Int(try reader.u32())
        slots = Int(try reader.u32())
        firstFree = try reader.u32()
        entry = try reader.u32()
        maxLevel = Int(try reader.u8())
        linksAbove = Int(try reader.u16())
        linksAtZero = Int(try reader.u16())
        efConstruction = Int(try reader.u16())
        bits = Int(try reader.u8())
        changes = try reader.u64()
        try reader.end()
        guard dimension > 0, count > 0, count <= slots, slots <= Self.slotsMax, entry < slots, firstFree == Self.none || firstFree < slots,
            maxLevel <= NodeLevel.highest, (4...64).contains(linksAbove), (linksAbove...128).contains(linksAtZero),
            (linksAbove...4_096).contains(efConstruction), bits == 4 || bits == 8
        else {
            throw ContexError.damaged("the state of the vector graph has a field outside its range: \(bytes)")
        }
    }

    /// Holds what the state says against what is there, before anything is made as large as it says: the record of the last slot must be there and
    /// end with it, and each 256 slots need a record.
    /// - Throws: `.damaged`
    /// - Complexity: O(log n); no seal is looked at.
    func verify(_ scope: TenantScope, in view: borrowing TransactionView) throws {
        let last = slots - 1
        let chunk = last >> ChunkLayout.shift
        let bytes = Seal.headerBytes + SlotsRecord.offset((last & (ChunkLayout.slots - 1)) + 1)
        guard try view.get(scope.key(.vectorSlots, UInt32(chunk)))?.byteCount == bytes, try view.entryCount() > chunk else {
            throw ContexError.damaged(
                "the state of the vector graph names \(slots) slots, and the slots records are not those of so many: stop the server and run 'contex check'")
        }
    }

    /// Of a graph that gets its first node.
    init(dimension: Int, parameters: HNSWParameters) {
        self.dimension = dimension
        count = 0
        slots = 0
        firstFree = Self.none
        entry = 0
        maxLevel = 0
        linksAbove = parameters.M
        linksAtZero = parameters.M0
        efConstruction = parameters.efConstruction
        bits = parameters.codeBits
        changes = 0
    }
}

/// How many slots share a value, and where in it each one lies.
struct ChunkLayout: Equatable {
    /// Slots of a codes and of a slots record.
    static let slots = 256
    static let shift = 8
    /// Nodes of a record that says which slots they have.
    static let nodes = 64
    /// Before the first code: the capacity.
    static let codesHeadBytes = 2
    /// Before each code: its factor. Beside it, because another place would be another cache line and another page.
    static let factorBytes = 4

    let dimension: Int
    let bits: Int
    /// Dimensions rounded up to whole blocks of the kernels.
    let padded: Int
    let codeBytes: Int
    /// Vectors in a value.
    let vectors: Int

    init(dimension: Int, bits: Int) {
        self.dimension = dimension
        self.bits = bits
        let block = Int(CK_CODES_BLOCK)
        padded = (dimension + block - 1) / block * block
        codeBytes = ck_codes_bytes(Int32(bits), padded)
        vectors = Self.vectorsPerValue(dimension)
    }

    var vectorBytes: Int { 2 * dimension }

    /// Short vectors share a value of up to 2,000 bytes, which stays on its leaf page. Longer ones lie on pages of their own,
    /// and of 1...16 the smallest number is taken that wastes at most 7 % of them (384 dimensions: 5 on a page).
    private static func vectorsPerValue(_ dimension: Int) -> Int {
        let bytes = 2 * dimension
        if bytes <= 500 { return min(64, 2_000 / bytes) }
        var best = (count: 1, perPage: 0.0)
        for count in 1...16 {
            let used = 22 + count * bytes
            let share = Double(count * bytes) / Double((used + 4_095) / 4_096 * 4_096)
            if share >= 0.93 { return count }
            if share > best.perPage { best = (count, share) }
        }
        return best.count
    }

    /// Capacity of a codes record when the project has so many slots: the first record grows by doubling, so that a small
    /// project has a small one.
    static func capacity(chunk: Int, slots: Int) -> Int {
        guard chunk == 0 else { return Self.slots }
        var capacity = 16
        while capacity < min(slots, Self.slots) { capacity *= 2 }
        return capacity
    }

    /// A codes record without codes.
    func emptyCodes(capacity: Int) -> [UInt8] {
        var record = [UInt8](repeating: 0, count: codesBytes(capacity: capacity))
        record[0] = UInt8(capacity >> 8)
        record[1] = UInt8(capacity & 0xFF)
        return record
    }

    func codesBytes(capacity: Int) -> Int { Self.codesHeadBytes + capacity * (Self.factorBytes + codeBytes) }

    /// Where a slot's code begins in its record.
    @inline(__always)
    func codeOffset(_ slot: Int) -> Int {
        Self.codesHeadBytes + (slot & (Self.slots - 1)) * (Self.factorBytes + codeBytes) + Self.factorBytes
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

/// What a slot is linked to.
///
/// A member of the graph has a list of neighbours for each level from 0 to its own, slots ascending. A twin is not a member:
/// its vector equals a member's, and it hangs in a chain that begins at that member (see Twins.swift).
struct NodeLinks: Equatable {
    /// Empty for a twin.
    var levels: [[UInt32]]
    var nextTwin: UInt32?
    /// Set exactly for a twin: the member or the twin before it.
    var previousTwin: UInt32?

    /// Stands in a twin's record where a member has its level.
    static let twinMark: UInt8 = 0xFF
    /// Before the lists: level, flag, next twin.
    static let headBytes = 6

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
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + 4 + levels.reduce(0) { $0 + 1 + 4 * $1.count })
        func append(_ slot: UInt32) { for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: slot >> shift)) } }
        bytes.append(isTwin ? Self.twinMark : UInt8(level))
        bytes.append(nextTwin == nil ? 0 : 1)
        append(nextTwin ?? 0)
        if let previousTwin { append(previousTwin) }
        for list in levels {
            bytes.append(UInt8(list.count))
            for neighbour in list { append(neighbour) }
        }
        return bytes
    }

    /// - Throws: `ByteError` when the bytes do not fit the layout.
    init(decoding payload: borrowing RawSpan) throws(ByteError) {
        try Self.verify(payload)
        self = unsafe payload.withUnsafeBytes { unsafe NodeLinks(verified: $0.baseAddress!) }
    }

    /// From a record that passed `verify`.
    init(verified record: UnsafeRawPointer) {
        func slot(_ at: Int) -> UInt32 { unsafe UInt32(littleEndian: record.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
        func byte(_ at: Int) -> UInt8 { unsafe record.load(fromByteOffset: at, as: UInt8.self) }
        nextTwin = byte(1) == 1 ? slot(2) : nil
        levels = []
        guard byte(0) != Self.twinMark else {
            previousTwin = slot(6)
            return
        }
        levels.reserveCapacity(Int(byte(0)) + 1)
        var offset = Self.headBytes
        for _ in 0...byte(0) {
            let count = Int(byte(offset))
            // Room for one more: a list that takes a link and gives one up does not grow.
            var list: [UInt32] = []
            list.reserveCapacity(count + 1)
            for place in 0..<count { list.append(slot(offset + 1 + 4 * place)) }
            levels.append(list)
            offset += 1 + 4 * count
        }
    }

    /// Whether the bytes are one whole record: whoever reads a verified one needs no bounds any more.
    static func verify(_ payload: borrowing RawSpan) throws(ByteError) {
        let end = payload.byteCount
        guard end > headBytes else { throw .truncated(at: end) }
        let (mark, flag) = unsafe (payload.unsafeLoad(fromByteOffset: 0, as: UInt8.self), payload.unsafeLoad(fromByteOffset: 1, as: UInt8.self))
        guard flag <= 1 else { throw .malformed(at: 1) }
        if mark == twinMark {
            guard end == headBytes + 4 else { throw end < headBytes + 4 ? .truncated(at: end) : .excess(at: headBytes + 4) }
            return
        }
        guard mark <= NodeLevel.highest else { throw .malformed(at: 0) }
        var offset = headBytes
        for _ in 0...mark {
            guard offset < end else { throw .truncated(at: end) }
            let count = Int(unsafe payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
            offset += 1 + 4 * count
        }
        guard offset == end else { throw offset > end ? .truncated(at: end) : .excess(at: offset) }
    }
}

/// The stored form of a vector: little-endian halves (IEEE binary16), not aligned.
enum VectorBytes {
    static func squaredLength(_ vector: borrowing [Float]) -> Float {
        let count = vector.count
        return unsafe vector.withUnsafeBufferPointer { unsafe ck_dot_f32($0.baseAddress!, $0.baseAddress!, count) }
    }

    static func dot(_ query: borrowing [Float], _ bytes: UnsafeRawPointer) -> Float {
        let count = query.count
        return unsafe query.withUnsafeBufferPointer { unsafe ck_dot_f16($0.baseAddress!, bytes, count) }
    }

    /// Each number as the nearest half, ties to even.
    static func encoded(_ vector: [Float]) -> [UInt8] {
        let halves = unsafe [UInt16](unsafeUninitializedCapacity: vector.count) { buffer, count in
            if let base = buffer.baseAddress { unsafe _ = ck_encoder_halves(vector, base, vector.count) }
            count = vector.count
        }
        return unsafe halves.withUnsafeBytes { unsafe Array($0) }
    }

    static func decoded(_ bytes: UnsafeRawPointer, _ dimension: Int) -> [Float] {
        unsafe [Float](unsafeUninitializedCapacity: dimension) { buffer, count in
            unsafe ck_halves_widen(bytes, buffer.baseAddress!, dimension)
            count = dimension
        }
    }

    /// - Precondition: the range is within the payload.
    static func decoded(_ payload: borrowing RawSpan, at offset: Int, _ dimension: Int) -> [Float] {
        precondition(offset >= 0 && offset + 2 * dimension <= payload.byteCount, "a vector at \(offset) of \(payload.byteCount) bytes")
        return unsafe payload.withUnsafeBytes { unsafe decoded($0.baseAddress! + offset, dimension) }
    }
}

/// Little-endian numbers inside a record that is changed in memory.
extension Array where Element == UInt8 {
    func littleEndian(at offset: Int) -> UInt32 {
        UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16 | UInt32(self[offset + 3]) << 24
    }

    mutating func setLittleEndian(_ value: UInt32, at offset: Int) {
        for place in 0..<4 { self[offset + place] = UInt8(truncatingIfNeeded: value >> UInt32(8 * place)) }
    }
}

/// One key buffer for many look-ups: the prefix stays, the number is written over the last four bytes.
struct NumberKey {
    private(set) var bytes: [UInt8]

    init(_ scope: TenantScope, _ kind: KeyKind) { bytes = scope.key(kind, UInt32(0)) }

    mutating func point(to number: some BinaryInteger) {
        let at = TenantScope.prefixBytes
        let number = UInt32(truncatingIfNeeded: number)
        bytes[at] = UInt8(truncatingIfNeeded: number >> 24)
        bytes[at + 1] = UInt8(truncatingIfNeeded: number >> 16)
        bytes[at + 2] = UInt8(truncatingIfNeeded: number >> 8)
        bytes[at + 3] = UInt8(truncatingIfNeeded: number)
    }
}
