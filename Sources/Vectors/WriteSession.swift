internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// What a write transaction knows of one project's index from one insert to the next. Every call leaves the records of the
/// store complete: nothing waits here to be written.
@safe
final class WriteSession: @unchecked Sendable {
    // Unchecked: taken out of IndexMemory's lock by the thread of the one write transaction, put back when a call ends.

    let number: UInt64
    /// As it is stored; nil while the project has no vector.
    var state: GraphState?
    private let copiesAll: Bool
    private unowned let memory: IndexMemory
    private let arena = Arena()
    private var table: PointerTable?
    /// Codes records that this transaction has changed, as they are stored.
    private var changedCodes: [Int: UnsafeMutableRawPointer] = unsafe [:]
    let scratch: SearchScratch
    /// Links records met so far, taken apart.
    var rows = LinkRows()

    init(number: UInt64, state: GraphState?, copiesAll: Bool, memory: IndexMemory) {
        self.number = number
        self.state = state
        self.copiesAll = copiesAll
        self.memory = memory
        scratch = SearchScratch(padded: memory.layout.padded)
    }

    /// The records of `state`, in which slots may have been added since the last call.
    func access(_ scope: TenantScope, _ state: GraphState) -> GraphAccess {
        if table == nil || table!.slots < state.slots {
            // A second session of one transaction would find the first one's addresses under its tag: it has a table of its own.
            table = memory.sessionTable(number: number, slots: state.slots, isFirst: !copiesAll)
            for unsafe (chunk, address) in unsafe changedCodes { unsafe table!.store(address, at: table!.codesBase + chunk, tag: PointerTable.tag(number)) }
        }
        return GraphAccess(
            scope: scope, state: state, layout: memory.layout, table: table!, tag: PointerTable.tag(number),
            kind: copiesAll ? .loose : .session, arena: arena)
    }

    /// Stores a code and its factor, in a record that is made or enlarged when there is no room.
    func store(
        _ code: UnsafePointer<UInt8>, factor: Float, slot: Int, _ scope: TenantScope, slots: (before: Int, after: Int), _ access: GraphAccess,
        in transaction: inout WriteTransaction
    ) throws {
        let layout = memory.layout
        let chunk = slot >> ChunkLayout.shift
        let key = scope.key(.vectorCodes, UInt32(chunk))
        let capacity = ChunkLayout.capacity(chunk: chunk, slots: slots.after)
        let had = ChunkLayout.capacity(chunk: chunk, slots: slots.before)
        if unsafe changedCodes[chunk] == nil || had != capacity {
            var payload = layout.emptyCodes(capacity: capacity)
            if let old = try transaction.view.loadBytes(key) {
                guard old.count == layout.codesBytes(capacity: had) else { throw GraphDamage.wrongSize("codes", chunk, old.count) }
                payload.replaceSubrange(ChunkLayout.codesHeadBytes..<old.count, with: old[ChunkLayout.codesHeadBytes...])
            }
            unsafe changedCodes[chunk] = access.replaceCodes(chunk, payload)
        }
        let record = unsafe changedCodes[chunk]!
        let offset = layout.codeOffset(slot)
        unsafe record.storeBytes(of: factor.bitPattern.littleEndian, toByteOffset: offset - ChunkLayout.factorBytes, as: UInt32.self)
        unsafe (record + offset).copyMemory(from: code, byteCount: layout.codeBytes)
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: record, count: layout.codesBytes(capacity: capacity)))
        try transaction.store(key, bytes)
    }
}

/// Links records by slot.
struct LinkRows {
    private var bySlot: [UInt32: NodeLinks] = [:]
    /// All slots below its count, for a builder that has every record in memory.
    private var dense: [NodeLinks?] = []

    init() {}

    init(slots: Int) { dense = Array(repeating: nil, count: slots) }

    subscript(_ slot: UInt32) -> NodeLinks? {
        get { Int(slot) < dense.count ? dense[Int(slot)] : bySlot[slot] }
        _modify {
            if Int(slot) < dense.count { yield &dense[Int(slot)] } else { yield &bySlot[slot] }
        }
    }
}
