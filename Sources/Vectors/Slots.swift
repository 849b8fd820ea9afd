// Which slot a node has, and the records that go by slot: nodes are numbered by the documents and never twice, slots are
// close together and used again, so that they can count in arrays.

public import Base
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// The slot of a node, nil when it has no vector.
    func slot(of node: UInt32, in view: borrowing TransactionView) throws -> UInt32? {
        let (chunk, place) = (Int(node) / ChunkLayout.nodes, Int(node) % ChunkLayout.nodes)
        guard let payload = try view.load(scope.key(.vectorNodes, UInt32(chunk))) else { return nil }
        try NodesRecord.verify(payload, chunk)
        return unsafe payload.withUnsafeBytes { unsafe NodesRecord.slot(place, $0.baseAddress!) }
    }

    /// Every node that has a vector, ascending.
    /// - Complexity: O(n).
    public func nodes(in view: borrowing TransactionView) throws -> [NodeID] {
        var found: [NodeID] = []
        try view.scanRecords(prefix: scope.key(.vectorNodes)) { key, payload in
            let (chunk, record) = (UInt32(lastOf: key), Array(payload))
            guard record.count == 4 * ChunkLayout.nodes, chunk <= .max / UInt32(ChunkLayout.nodes) else {
                throw GraphDamage.wrongSize("nodes", Int(chunk), record.count)
            }
            for place in 0..<ChunkLayout.nodes where record.littleEndian(at: 4 * place) != GraphState.none {
                found.append(NodeID(rawValue: chunk * UInt32(ChunkLayout.nodes) + UInt32(place)))
            }
            return .onward
        }
        return found
    }

    /// The row of a slot's vector.
    func row(of slot: UInt32, _ state: GraphState, in view: borrowing TransactionView) throws -> Int {
        let place = Int(slot) & (ChunkLayout.slots - 1)
        guard slot < state.slots, let record = try view.load(scope.key(.vectorSlots, slot >> UInt32(ChunkLayout.shift))),
            record.byteCount >= SlotsRecord.offset(place + 1)
        else { throw GraphDamage.missing("slots record", slot >> UInt32(ChunkLayout.shift)) }
        let row = unsafe UInt32(littleEndian: record.unsafeLoadUnaligned(fromByteOffset: SlotsRecord.offset(place) + 4, as: UInt32.self))
        guard row < state.slots else { throw GraphDamage.outOfRange(row, state.slots) }
        return Int(row)
    }

    /// Gives a node a slot: the last one that was freed, or the next one. A slot keeps its row; that of a new slot has its number.
    func takeSlot(
        for node: UInt32, _ state: inout GraphState, in transaction: inout WriteTransaction
    ) throws -> (slot: UInt32, row: Int) {
        let slot: UInt32
        if state.firstFree != GraphState.none {
            slot = state.firstFree
        } else {
            guard state.slots < GraphState.slotsMax else {
                throw ContexError(.numbersExhausted, "the project has \(state.slots) vectors, more than an index can number: use another project")
            }
            slot = UInt32(state.slots)
            state.slots += 1
        }
        let key = scope.key(.vectorSlots, slot >> UInt32(ChunkLayout.shift))
        let place = Int(slot) & (ChunkLayout.slots - 1)
        var record = try transaction.view.loadBytes(key) ?? [UInt8](repeating: 0, count: SlotsRecord.bitmapBytes)
        let size = SlotsRecord.offset(place)
        if record.count == size {
            record += [UInt8](repeating: 0, count: SlotsRecord.entryBytes)
            record.setLittleEndian(slot, at: size + 4)
        }
        guard record.count >= size + SlotsRecord.entryBytes, record[place / 8] & (1 << UInt8(place % 8)) == 0 else {
            throw GraphDamage.wrongSize("slots", Int(slot) >> ChunkLayout.shift, record.count)
        }
        if state.firstFree == slot { state.firstFree = record.littleEndian(at: size) }
        record[place / 8] |= 1 << UInt8(place % 8)
        record.setLittleEndian(node, at: size)
        try transaction.store(key, record)
        try setSlot(slot, of: node, in: &transaction)
        let row = record.littleEndian(at: size + 4)
        guard row < state.slots else { throw GraphDamage.outOfRange(row, state.slots) }
        return (slot, Int(row))
    }

    /// Takes a slot from its node and puts it at the head of the free ones.
    func freeSlot(_ slot: UInt32, of node: UInt32, _ state: inout GraphState, in transaction: inout WriteTransaction) throws {
        let key = scope.key(.vectorSlots, slot >> UInt32(ChunkLayout.shift))
        let place = Int(slot) & (ChunkLayout.slots - 1)
        guard var record = try transaction.view.loadBytes(key), record.count >= SlotsRecord.offset(place + 1) else {
            throw GraphDamage.missing("slots record", slot >> UInt32(ChunkLayout.shift))
        }
        record[place / 8] &= ~(1 << UInt8(place % 8))
        record.setLittleEndian(state.firstFree, at: SlotsRecord.offset(place))
        try transaction.store(key, record)
        state.firstFree = slot
        try setSlot(GraphState.none, of: node, in: &transaction)
    }

    private func setSlot(_ slot: UInt32, of node: UInt32, in transaction: inout WriteTransaction) throws {
        let key = scope.key(.vectorNodes, node / UInt32(ChunkLayout.nodes))
        var record = try transaction.view.loadBytes(key) ?? [UInt8](repeating: 0xFF, count: 4 * ChunkLayout.nodes)
        guard record.count == 4 * ChunkLayout.nodes else { throw GraphDamage.wrongSize("nodes", Int(node) / ChunkLayout.nodes, record.count) }
        record.setLittleEndian(slot, at: 4 * (Int(node) % ChunkLayout.nodes))
        if record.allSatisfy({ $0 == 0xFF }) { try transaction.delete(key) } else { try transaction.store(key, record) }
    }

    /// Writes a vector into its row; nil overwrites it with zeros.
    func storeVector(_ vector: [Float]?, row: Int, _ state: GraphState, _ layout: ChunkLayout, in transaction: inout WriteTransaction) throws {
        let chunk = row / layout.vectors
        let key = scope.key(.vector, UInt32(chunk))
        let offset = (row - chunk * layout.vectors) * layout.vectorBytes
        var record = try transaction.view.loadBytes(key) ?? []
        if record.count == offset { record += [UInt8](repeating: 0, count: layout.vectorBytes) }
        guard record.count >= offset + layout.vectorBytes else { throw GraphDamage.wrongSize("vectors", chunk, record.count) }
        let bytes = vector.map(VectorBytes.encoded) ?? [UInt8](repeating: 0, count: layout.vectorBytes)
        record.replaceSubrange(offset..<offset + layout.vectorBytes, with: bytes)
        try transaction.store(key, record)
    }
}
