// Where the bytes of a slot are: the one file in which pointers into the store are kept.
//
// A query meets some 1,500 vectors. A look-up in the B+tree for each (0.3 to 0.5 microseconds) would cost ten times what
// the arithmetic does, so the address of every record that was looked up once is kept in a table, by slot or chunk number:
//
//     entry = tag (16 bits) | address (48 bits)
//
// An entry counts only for a reader with the same tag, and the tag stands for one state of the store. There are three kinds
// of readers:
//
// * Snapshots. The tag comes from the transaction's number, the table is shared by all threads. LMDB never changes a page
//   that belongs to an open snapshot, and every reader that accepts an entry has a snapshot of that very number open for as
//   long as it uses the address. Between two readers of one number no page of it was overwritten either: LMDB reuses pages
//   that were freed before the newest snapshot, and once there is a newer one, no reader gets the old number again.
//   65,535 numbers on, a tag comes round; the table is thrown away before that (`PointerTable.era`).
// * The writer's session, one write transaction long. Values that it looks up are copied into memory of the session, whose
//   address cannot change, except codes records on pages of their own that this transaction has not written: those are clean
//   pages of the last snapshot, which stay until the transaction has ended. A session has a table of its own with a tag of
//   its own; the transaction's number is never given twice.
// * Reads inside a write transaction: everything is copied, and the table is thrown away after the call.
//
// A record enters the table only after its seal and its layout were checked, so nobody who finds it there has to. Codes
// records are 50 kB; in snapshots their seal is checked again only when their address changes, which it does when they are
// written: an old address with new damaged bytes could slip through, and would lead a search astray, no more, because what a
// search answers is compared by the vectors themselves.

internal import Base
internal import CKernels
internal import Glibc
internal import KeySpace
internal import LMDB
internal import Synchronization

/// Addresses by slot and chunk; see above.
@safe
final class PointerTable: @unchecked Sendable {
    // Unchecked: the memory is allocated in init and freed in deinit; every access between them is atomic.

    /// Slots it has room for.
    let slots: Int
    /// Whether the operating system was asked for the codes.
    let isAnnounced = Atomic(false)
    /// Thrown away when the numbers of the tags come round.
    let era: UInt64
    private let entries: UnsafeMutablePointer<Atomic<UInt64>>
    let count: Int

    static let tagNumbers: UInt64 = 65_535
    private static let addressMask: UInt64 = (1 << 48) - 1

    /// Where each kind begins.
    let codesBase: Int
    let vectorsBase: Int
    let slotsBase: Int
    let nodesBase: Int

    init(slots: Int, layout: ChunkLayout, number: UInt64) {
        self.slots = slots
        era = number / Self.tagNumbers
        codesBase = slots
        vectorsBase = codesBase + slots / ChunkLayout.slots + 1
        slotsBase = vectorsBase + slots / layout.vectors + 1
        nodesBase = slotsBase + slots / ChunkLayout.slots + 1
        count = nodesBase + slots / ChunkLayout.nodes + 1
        unsafe entries = .allocate(capacity: count)
        for place in 0..<count { unsafe (entries + place).initialize(to: Atomic(0)) }
    }

    deinit { unsafe entries.deallocate() }

    static func tag(_ number: UInt64) -> UInt64 { (number % tagNumbers + 1) << 48 }

    /// Nil when nothing is known under this tag.
    @inline(__always)
    func address(_ place: Int, tag: UInt64) -> UnsafeRawPointer? {
        let entry = unsafe entries[place].load(ordering: .relaxed)
        guard entry & ~Self.addressMask == tag else { return nil }
        return unsafe UnsafeRawPointer(bitPattern: UInt(entry & Self.addressMask))
    }

    /// Begins to fetch an entry.
    @inline(__always)
    func prefetch(_ place: Int) { unsafe ck_prefetch_bytes(entries + place, 8) }

    /// Whether this address was stored here last, under any tag.
    func remembers(_ address: UnsafeRawPointer, at place: Int) -> Bool {
        unsafe entries[place].load(ordering: .relaxed) & Self.addressMask == UInt64(UInt(bitPattern: address))
    }

    func store(_ address: UnsafeRawPointer, at place: Int, tag: UInt64) {
        let bits = UInt64(UInt(bitPattern: address))
        // An address of more bits (five-level paging gives them only on request) is not remembered: slower, and right.
        guard bits & ~Self.addressMask == 0 else { return }
        unsafe entries[place].store(tag | bits, ordering: .relaxed)
    }
}

/// Copies of values whose address must stay.
@safe
final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = unsafe []

    /// - Parameter room: bytes to reserve, when more than there are.
    func copy(_ bytes: borrowing RawSpan, room: Int = 1) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(room, bytes.byteCount), alignment: 16)
        unsafe bytes.withUnsafeBytes { if let base = $0.baseAddress { unsafe block.copyMemory(from: base, byteCount: $0.count) } }
        unsafe blocks.append(block)
        return unsafe block
    }

    deinit { for unsafe block in unsafe blocks { unsafe block.deallocate() } }
}

/// The records of one graph in one state of the store, by address. Used by one thread at a time.
final class GraphAccess {
    enum Kind {
        case snapshot
        case session
        case loose
    }

    let state: GraphState
    let layout: ChunkLayout
    let table: PointerTable
    let tag: UInt64
    private let kind: Kind
    private let arena: Arena
    private var linksKey: NumberKey
    private var codesKey: NumberKey
    private var vectorKey: NumberKey
    private var slotsKey: NumberKey
    private var nodesKey: NumberKey

    init(scope: TenantScope, state: GraphState, layout: ChunkLayout, table: PointerTable, tag: UInt64, kind: Kind, arena: Arena) {
        self.state = state
        self.layout = layout
        self.table = table
        self.tag = tag
        self.kind = kind
        self.arena = arena
        linksKey = NumberKey(scope, .vectorLinks)
        codesKey = NumberKey(scope, .vectorCodes)
        vectorKey = NumberKey(scope, .vector)
        slotsKey = NumberKey(scope, .vectorSlots)
        nodesKey = NumberKey(scope, .vectorNodes)
    }

    // MARK: Links

    /// The payload of a links record, verified.
    @inline(__always)
    func links(_ slot: UInt32, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        if let known = unsafe table.address(Int(slot), tag: tag) { return unsafe known }
        return try unsafe findLinks(slot, in: view)
    }

    /// Its address when the table has it: for prefetching.
    @inline(__always)
    func knownLinks(_ slot: UInt32) -> UnsafeRawPointer? { unsafe table.address(Int(slot), tag: tag) }

    private func findLinks(_ slot: UInt32, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        linksKey.point(to: slot)
        guard let payload = try view.load(linksKey.bytes) else { throw GraphDamage.missing("links", slot) }
        do throws(ByteError) {
            try NodeLinks.verify(payload)
        } catch {
            throw GraphDamage.unreadable(slot, error)
        }
        let address = unsafe Self.address(payload)
        let kept = unsafe kind == .snapshot ? address : UnsafeRawPointer(arena.copy(payload, room: linksRoom(address.load(as: UInt8.self))))
        unsafe table.store(kept, at: Int(slot), tag: tag)
        return unsafe kept
    }

    /// Puts the session's own bytes in the place of a links record.
    func replaceLinks(_ slot: UInt32, _ payload: [UInt8]) {
        let room = linksRoom(payload[0])
        if let known = unsafe table.address(Int(slot), tag: tag), payload.count <= room, unsafe room <= linksRoom(known.load(as: UInt8.self)) {
            // The session's own memory: every links record of a session was copied or made here, in `linksRoom` bytes or more.
            unsafe payload.withUnsafeBytes { unsafe UnsafeMutableRawPointer(mutating: known).copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
            return
        }
        unsafe table.store(arena.copy(payload.span.bytes, room: room), at: Int(slot), tag: tag)
    }

    /// Bytes that a session reserves for a record that begins with `mark`: full lists, and one link more.
    private func linksRoom(_ mark: UInt8) -> Int {
        mark == NodeLinks.twinMark
            ? NodeLinks.headBytes + 4
            : NodeLinks.headBytes + 5 + 4 * state.linksAtZero + Int(mark) * (5 + 4 * state.linksAbove)
    }

    // MARK: Codes

    /// The payload of the codes record that a slot is in.
    @inline(__always)
    func codes(_ chunk: Int, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        if let known = unsafe table.address(table.codesBase + chunk, tag: tag) { return unsafe known }
        return try unsafe findCodes(chunk, in: view)
    }

    @inline(__always)
    func code(_ slot: UInt32, in view: borrowing TransactionView) throws -> UnsafePointer<UInt8> {
        try unsafe (codes(Int(slot) >> ChunkLayout.shift, in: view) + layout.codeOffset(Int(slot))).assumingMemoryBound(to: UInt8.self)
    }

    /// The factor of a code that `code` returned.
    @inline(__always)
    static func factor(_ code: UnsafePointer<UInt8>) -> Float {
        unsafe Float(bitPattern: UInt32(littleEndian: UnsafeRawPointer(code - ChunkLayout.factorBytes).loadUnaligned(as: UInt32.self)))
    }

    private func findCodes(_ chunk: Int, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        codesKey.point(to: chunk)
        let place = table.codesBase + chunk
        if kind == .snapshot && !table.isAnnounced.exchange(true, ordering: .relaxed) { try announceCodes(in: view) }
        guard let value = try view.get(codesKey.bytes), value.byteCount > Seal.headerBytes else { throw GraphDamage.missing("codes", chunk) }
        var payload = value.extracting(Seal.headerBytes..<value.byteCount)
        let isUnchanged = unsafe kind == .session || (kind == .snapshot && table.remembers(Self.address(payload), at: place))
        if !isUnchanged { payload = try Seal.open(key: codesKey.bytes, value: value, version: 1) }
        let capacity = ChunkLayout.capacity(chunk: chunk, slots: state.slots)
        guard payload.byteCount == layout.codesBytes(capacity: capacity) else { throw GraphDamage.wrongSize("codes", chunk, payload.byteCount) }
        // A value that fits a leaf page may move with its neighbours.
        let stays = kind == .snapshot || (kind == .session && payload.byteCount > 4_096)
        let address = unsafe stays ? Self.address(payload) : UnsafeRawPointer(arena.copy(payload))
        unsafe table.store(address, at: place, tag: tag)
        return unsafe address
    }

    /// Asks the operating system for all codes records at once. A search meets most of them, and when the file is not in the page
    /// cache, one after the other would each wait for the disk.
    private func announceCodes(in view: borrowing TransactionView) throws {
        var key = codesKey
        for chunk in 0...(state.slots - 1) >> ChunkLayout.shift {
            key.point(to: chunk)
            guard let value = try view.get(key.bytes) else { continue }
            unsafe value.withUnsafeBytes { bytes in
                let start = UInt(bitPattern: bytes.baseAddress!)
                let page = start & ~4_095
                _ = unsafe madvise(UnsafeMutableRawPointer(bitPattern: page), bytes.count + Int(start - page), MADV_WILLNEED)
            }
        }
    }

    /// The session's own copy of a codes record from now on, to be changed.
    func replaceCodes(_ chunk: Int, _ payload: [UInt8]) -> UnsafeMutableRawPointer {
        let copy = unsafe arena.copy(payload.span.bytes)
        unsafe table.store(copy, at: table.codesBase + chunk, tag: tag)
        return unsafe copy
    }

    // MARK: Vectors

    /// The vector of a slot, in halves, its seal checked.
    func vector(_ slot: UInt32, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        let row = try row(of: slot, in: view)
        let chunk = row / layout.vectors
        let place = table.vectorsBase + chunk
        let offset = (row - chunk * layout.vectors) * layout.vectorBytes
        if let known = unsafe table.address(place, tag: tag) { return unsafe known + offset }
        vectorKey.point(to: chunk)
        guard let payload = try view.load(vectorKey.bytes) else { throw GraphDamage.missing("vector", slot) }
        // Only the last record may be shorter than its layout.
        let last = min(layout.vectors, state.slots - chunk * layout.vectors)
        guard payload.byteCount == last * layout.vectorBytes else { throw GraphDamage.wrongSize("vectors", chunk, payload.byteCount) }
        let address = unsafe kind == .snapshot ? Self.address(payload) : UnsafeRawPointer(arena.copy(payload))
        // In a write transaction vectors are added to the record: its copy may be out of date at the next call.
        if kind == .snapshot { unsafe table.store(address, at: place, tag: tag) }
        return unsafe address + offset
    }

    // MARK: Rows and nodes

    /// Where a slot's vector is among the vectors.
    private func row(of slot: UInt32, in view: borrowing TransactionView) throws -> Int {
        let row = try unsafe SlotsRecord.row(Int(slot) & (ChunkLayout.slots - 1), slotsRecord(Int(slot) >> ChunkLayout.shift, in: view))
        guard row < state.slots else { throw GraphDamage.outOfRange(row, state.slots) }
        return Int(row)
    }

    /// Begins to fetch what `vector` and `node` need to know of a slot.
    func prefetchSlot(_ slot: UInt32) {
        guard let record = unsafe table.address(table.slotsBase + Int(slot) >> ChunkLayout.shift, tag: tag) else { return }
        unsafe ck_prefetch_bytes(record + SlotsRecord.offset(Int(slot) & (ChunkLayout.slots - 1)), SlotsRecord.entryBytes)
    }

    /// The node that has a slot, nil for a free one.
    func node(_ slot: UInt32, in view: borrowing TransactionView) throws -> UInt32? {
        let record = try unsafe slotsRecord(Int(slot) >> ChunkLayout.shift, in: view)
        let place = Int(slot) & (ChunkLayout.slots - 1)
        guard unsafe SlotsRecord.isUsed(place, record) else { return nil }
        return unsafe SlotsRecord.number(place, record)
    }

    /// The payload of a slots record, of the right size.
    func slotsRecord(_ chunk: Int, in view: borrowing TransactionView) throws -> UnsafeRawPointer {
        let place = table.slotsBase + chunk
        if let known = unsafe table.address(place, tag: tag) { return unsafe known }
        slotsKey.point(to: chunk)
        guard let payload = try view.load(slotsKey.bytes) else { throw GraphDamage.missing("slots record", chunk) }
        let size = SlotsRecord.offset(min(ChunkLayout.slots, state.slots - chunk << ChunkLayout.shift))
        guard payload.byteCount == size else { throw GraphDamage.wrongSize("slots", chunk, payload.byteCount) }
        guard kind == .snapshot else { return unsafe UnsafeRawPointer(arena.copy(payload)) }
        let address = unsafe Self.address(payload)
        unsafe table.store(address, at: place, tag: tag)
        return unsafe address
    }

    /// The slot of a node, nil when it has no vector.
    func slot(of node: UInt32, in view: borrowing TransactionView) throws -> UInt32? {
        let (chunk, place) = (Int(node) / ChunkLayout.nodes, Int(node) % ChunkLayout.nodes)
        // Node numbers rise for ever, while the table goes by slots: the records beyond are looked up each time.
        let entry = table.nodesBase + chunk < table.count ? table.nodesBase + chunk : nil
        if let entry, let known = unsafe table.address(entry, tag: tag) { return unsafe NodesRecord.slot(place, known) }
        nodesKey.point(to: chunk)
        guard let payload = try view.load(nodesKey.bytes) else { return nil }
        try NodesRecord.verify(payload, chunk)
        let address = unsafe Self.address(payload)
        if let entry, kind == .snapshot { unsafe table.store(address, at: entry, tag: tag) }
        return unsafe NodesRecord.slot(place, address)
    }

    private static func address(_ span: borrowing RawSpan) -> UnsafeRawPointer {
        // Leaves the span's scope: the essay above says why the bytes stay.
        unsafe span.withUnsafeBytes { $0.baseAddress! }
    }
}

/// Which nodes have the slots of a chunk: a bitmap of the slots in use, then two numbers for each slot: of its node, or for a
/// free one the next free slot; and of its row among the vectors, which is the slot's own for as long as the index is not built anew.
enum SlotsRecord {
    static let bitmapBytes = ChunkLayout.slots / 8
    static let entryBytes = 8

    static func offset(_ place: Int) -> Int { bitmapBytes + entryBytes * place }

    static func isUsed(_ place: Int, _ record: UnsafeRawPointer) -> Bool {
        unsafe record.load(fromByteOffset: place / 8, as: UInt8.self) & (1 << UInt8(place % 8)) != 0
    }

    /// The number stored for a place.
    static func number(_ place: Int, _ record: UnsafeRawPointer) -> UInt32 {
        unsafe UInt32(littleEndian: record.loadUnaligned(fromByteOffset: offset(place), as: UInt32.self))
    }

    static func row(_ place: Int, _ record: UnsafeRawPointer) -> UInt32 {
        unsafe UInt32(littleEndian: record.loadUnaligned(fromByteOffset: offset(place) + 4, as: UInt32.self))
    }
}

/// The slots of nodes with consecutive numbers.
enum NodesRecord {
    static func verify(_ record: borrowing RawSpan, _ chunk: Int) throws(ContexError) {
        guard record.byteCount == 4 * ChunkLayout.nodes else { throw GraphDamage.wrongSize("nodes", chunk, record.byteCount) }
    }

    /// Nil of a node without a vector.
    static func slot(_ place: Int, _ record: UnsafeRawPointer) -> UInt32? {
        let slot = unsafe UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self))
        return slot == GraphState.none ? nil : slot
    }
}

/// What a graph that contradicts itself is reported as.
enum GraphDamage {
    private static let advice = "stop the server and run 'contex check'"

    static func missing(_ what: String, _ number: some BinaryInteger) -> ContexError {
        .damaged("the vector graph points to number \(number), whose \(what) is missing or cut short: \(advice)")
    }

    static func unreadable(_ slot: UInt32, _ error: ByteError) -> ContexError {
        .damaged("the links of slot \(slot) do not fit their layout (\(error)): \(advice)")
    }

    static func wrongSize(_ what: String, _ chunk: Int, _ bytes: Int) -> ContexError {
        .damaged("the \(what) record \(chunk) of the vector index has a wrong size, \(bytes) bytes: \(advice)")
    }

    static func notAMember(_ slot: UInt32, _ level: Int) -> ContexError {
        .damaged("the vector graph links to slot \(slot) at level \(level), where it is not: \(advice)")
    }

    static func outOfRange(_ slot: UInt32, _ slots: Int) -> ContexError {
        .damaged("the vector graph names slot \(slot), there are \(slots): \(advice)")
    }
}
