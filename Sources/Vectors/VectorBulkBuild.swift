// Building the index of many vectors at once, for imports and reindexing: on all cores, in an empty index or one that is taken
// apart for it.
//
//     reopen, in one transaction              only when there is an index: its vectors stay where they are, its graph goes
//     add, in transactions of the caller's    vectors and slots: complete after each commit, so that a build that was cut short
//                                             goes on where the last commit ended
//     link, in no transaction                 codes and graph, in memory: about 500 bytes a vector (a whole import with its texts: 1.7 kB)
//     write, in transactions of the caller's  links and codes in the order of their keys; then, in the last, slots and the state
//                                             record, which makes the index visible
//
// Linking takes batches. For each batch all threads search the graph of the batches before, which nobody changes meanwhile,
// for the neighbours of their share, compare it with the others of the batch, and choose. Then one thread links, in the order
// of the slots. So the graph does not depend on the number of threads, and the same vectors in the same order give the same
// bytes (not those that single inserts give: there each search sees every node before).
//
// While a build is under way a slot is the number of the vector's row, in the order of `add`. At the end the slots are numbered anew, so
// that near ones lie near (LocalityOrder.swift); the vectors stay in their rows.

public import Base
internal import CKernels
internal import Dispatch
internal import Glibc
internal import KeySpace
public import LMDB
internal import Synchronization

/// One build. Used by one thread at a time; it makes its own threads.
public final class VectorBulkBuild {
    private let index: VectorIndex
    private let threads: Int
    /// Searched together. At most a quarter of what is linked, so that few neighbours are missed.
    private static let batchMax = 512
    private var linked: Linked?
    private var written = 0

    /// - Parameter threads: that search at a time, 1 or more.
    public init(_ index: VectorIndex, threads: Int) {
        precondition(threads >= 1, "\(threads) threads")
        self.index = index
        self.threads = threads
    }

    /// How many vectors an unfinished build has stored, nil when there is none.
    public static func stored(_ index: VectorIndex, in view: borrowing TransactionView) throws -> Int? {
        try state(index, in: view)?.count
    }

    private static func state(_ index: VectorIndex, in view: borrowing TransactionView) throws -> GraphState? {
        guard let bytes = try view.loadBytes(index.scope.key(.vectorBulk)) else { return nil }
        let state = try GraphState(decoding: bytes)
        try state.verify(index.scope, in: view)
        return state
    }

    // MARK: - Storing

    /// Makes an unfinished build of a complete index, so that it can be added to and linked anew with all cores. Until that is written
    /// the index answers nothing.
    ///
    /// - Returns: how many vectors the build has stored: none, and nothing changed, when the index has none; those of the unfinished
    ///   build when there is one.
    /// - Throws: `.damaged` for a broken record. After an error the transaction must be dropped.
    /// - Complexity: O(records of all kinds but vectors + free slots x vectors of a value).
    public static func reopen(_ index: VectorIndex, in transaction: inout WriteTransaction) throws -> Int {
        if let unfinished = try state(index, in: transaction.view) { return unfinished.count }
        guard var state = try index.state(in: transaction.view) else { return 0 }
        let nodes = try nodesByRow(state, index, in: transaction.view)
        for kind in [KeyKind.vectorLinks, .vectorCodes, .vectorSlots] { try transaction.deleteAll(prefix: index.scope.key(kind)) }
        try transaction.delete(index.scope.key(.vectorState))
        try close(up: state, nodes, index, in: &transaction)
        state.slots = state.count
        state.firstFree = GraphState.none
        state.entry = 0
        state.maxLevel = 0
        state.changes += 1
        try transaction.store(index.scope.key(.vectorBulk), state.encoded())
        return state.count
    }

    /// The node whose vector is in each row, nil for a row of a free slot.
    private static func nodesByRow(_ state: GraphState, _ index: VectorIndex, in view: borrowing TransactionView) throws -> [UInt32?] {
        var used: [(node: UInt32, row: UInt32)] = []
        for chunk in 0...(state.slots - 1) >> ChunkLayout.shift {
            let places = min(ChunkLayout.slots, state.slots - chunk * ChunkLayout.slots)
            guard let record = try view.loadBytes(index.scope.key(.vectorSlots, UInt32(chunk))), record.count == SlotsRecord.offset(places) else {
                throw GraphDamage.missing("slots record", UInt32(chunk))
            }
            for place in 0..<places where record[place / 8] & (1 << UInt8(place % 8)) != 0 {
                let offset = SlotsRecord.offset(place)
                used.append((record.littleEndian(at: offset), record.littleEndian(at: offset + 4)))
            }
        }
        // Only now, when there are so many records, so many rows.
        var nodes = [UInt32?](repeating: nil, count: state.slots)
        for (node, row) in used {
            guard row < state.slots, nodes[Int(row)] == nil else { throw GraphDamage.outOfRange(row, state.slots) }
            nodes[Int(row)] = node
        }
        guard used.count == state.count else {
            throw ContexError.damaged("the vector index has \(state.count) vectors and \(used.count) used slots: stop the server and run 'contex check'")
        }
        return nodes
    }

    /// Moves the vectors of the highest rows into the free ones below, cuts off what is free then, and makes rows of the slots.
    private static func close(up state: GraphState, _ nodes: [UInt32?], _ index: VectorIndex, in transaction: inout WriteTransaction) throws {
        let layout = ChunkLayout(dimension: state.dimension, bits: state.bits)
        var nodes = nodes
        func record(_ row: Int, in view: borrowing TransactionView) throws -> ([UInt8], Range<Int>) {
            let offset = row % layout.vectors * layout.vectorBytes
            guard let record = try view.loadBytes(index.scope.key(.vector, UInt32(row / layout.vectors))), record.count >= offset + layout.vectorBytes
            else { throw GraphDamage.missing("vector", row) }
            return (record, offset..<offset + layout.vectorBytes)
        }
        var mover = state.slots
        for hole in 0..<state.count where nodes[hole] == nil {
            repeat { mover -= 1 } while nodes[mover] == nil
            let (from, vector) = try record(mover, in: transaction.view)
            var (to, free) = try record(hole, in: transaction.view)
            to.replaceSubrange(free, with: from[vector])
            try transaction.store(index.scope.key(.vector, UInt32(hole / layout.vectors)), to)
            nodes[hole] = nodes[mover]
        }
        let last = (state.count - 1) / layout.vectors
        var (rest, _) = try record(state.count - 1, in: transaction.view)
        rest.removeLast(max(0, rest.count - (state.count - last * layout.vectors) * layout.vectorBytes))
        try transaction.store(index.scope.key(.vector, UInt32(last)), rest)
        for chunk in last + 1..<max(last + 1, (state.slots - 1) / layout.vectors + 1) { try transaction.delete(index.scope.key(.vector, UInt32(chunk))) }
        let order = nodes.prefix(state.count).enumerated().map { row, node in (node: node!, row: UInt32(row)) }
        try number(order, index, in: &transaction)
    }

    /// Stores which node and which row has each slot.
    private static func number(_ slots: [(node: UInt32, row: UInt32)], _ index: VectorIndex, in transaction: inout WriteTransaction) throws {
        for first in stride(from: 0, to: slots.count, by: ChunkLayout.slots) {
            let chunk = slots[first..<min(slots.count, first + ChunkLayout.slots)]
            var record = [UInt8](repeating: 0, count: SlotsRecord.offset(chunk.count))
            for (place, slot) in chunk.enumerated() {
                record[place / 8] |= 1 << UInt8(place % 8)
                record.setLittleEndian(slot.node, at: SlotsRecord.offset(place))
                record.setLittleEndian(slot.row, at: SlotsRecord.offset(place) + 4)
            }
            try transaction.store(index.scope.key(.vectorSlots, UInt32(first >> ChunkLayout.shift)), record)
        }
        var records: [UInt32: [UInt8]] = [:]
        for (slot, (node, _)) in slots.enumerated() {
            records[node / UInt32(ChunkLayout.nodes), default: [UInt8](repeating: 0xFF, count: 4 * ChunkLayout.nodes)]
                .setLittleEndian(UInt32(slot), at: 4 * (Int(node) % ChunkLayout.nodes))
        }
        for number in records.keys.sorted() { try transaction.store(index.scope.key(.vectorNodes, number), records[number]!) }
    }

    /// Stores vectors of unit length of nodes that have none. They are not found before the build is written.
    /// - Throws: `.conflict` when the index has vectors or a node comes twice; `.bug` for a vector of another dimension or length. After
    ///   an error the transaction must be dropped.
    /// - Complexity: O(vectors x dimension); 1,000 or more in a transaction save work.
    public func add(_ vectors: [(node: NodeID, vector: [Float])], in transaction: inout WriteTransaction) throws {
        for (node, vector) in vectors { try index.validate(vector: vector, of: node) }
        guard try index.state(in: transaction.view) == nil else {
            throw ContexError(.conflict, "the project has vectors already: a bulk build wants an empty index")
        }
        guard let first = vectors.first else { return }
        let scope = index.scope
        var state = try Self.state(index, in: transaction.view) ?? GraphState(dimension: first.vector.count, parameters: index.parameters)
        let layout = ChunkLayout(dimension: state.dimension, bits: state.bits)
        /// Records that this call changes, each written once at the end.
        var records: [[UInt8]: [UInt8]] = [:]
        for (node, vector) in vectors {
            let slot = state.slots
            state.slots += 1
            let nodes = scope.key(.vectorNodes, node.rawValue / UInt32(ChunkLayout.nodes))
            var record = try records[nodes] ?? transaction.view.loadBytes(nodes) ?? [UInt8](repeating: 0xFF, count: 4 * ChunkLayout.nodes)
            let place = 4 * (Int(node.rawValue) % ChunkLayout.nodes)
            guard record.littleEndian(at: place) == GraphState.none else {
                throw ContexError(.conflict, "node \(node.rawValue) comes twice in a bulk build")
            }
            record.setLittleEndian(UInt32(slot), at: place)
            records[nodes] = record

            let chunk = UInt32(slot >> ChunkLayout.shift)
            let slotsKey = scope.key(.vectorSlots, chunk)
            try Self.change(slotsKey, &records, in: transaction.view, empty: { [UInt8](repeating: 0, count: SlotsRecord.bitmapBytes) }) { record in
                let place = slot & (ChunkLayout.slots - 1)
                record[place / 8] |= 1 << UInt8(place % 8)
                for number in [node.rawValue, UInt32(slot)] {
                    for shift: UInt32 in [0, 8, 16, 24] { record.append(UInt8(truncatingIfNeeded: number >> shift)) }
                }
            }
            let vectorKey = scope.key(.vector, UInt32(slot / layout.vectors))
            try Self.change(vectorKey, &records, in: transaction.view, empty: { [] }) { record in
                record += VectorBytes.encoded(vector)
            }
        }
        for key in records.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { try transaction.store(key, records[key]!) }
        try index.changeSums(isFirst: state.count == 0, in: &transaction) { sums in
            for (_, vector) in vectors { VectorSum.add(VectorMath.stored(vector), to: &sums) }
        }
        state.count = state.slots
        state.changes = UInt64(state.slots)
        try transaction.store(scope.key(.vectorBulk), state.encoded())
        linked = nil
    }

    private static func change(
        _ key: [UInt8], _ records: inout [[UInt8]: [UInt8]], in view: borrowing TransactionView, empty: () -> [UInt8], _ body: (inout [UInt8]) -> Void
    ) throws {
        if records[key] == nil { records[key] = try view.loadBytes(key) ?? empty() }
        body(&records[key]!)
    }

    // MARK: - Linking

    /// Makes the graph of everything that was added and committed, in memory.
    ///
    /// - Parameter progress: called after each batch with how many are linked and how many there are; false ends the build with `CancellationError`.
    /// - Throws: `.conflict` when nothing was added.
    /// - Complexity: as many inserts, O(n x 500 bytes) memory.
    public func link(in environment: Environment, progress: (_ linked: Int, _ of: Int) -> Bool = { _, _ in true }) throws {
        guard let stored = try environment.read({ try Self.state(index, in: $0) }) else {
            throw ContexError(.conflict, "a bulk build without vectors: add some first")
        }
        let layout = ChunkLayout(dimension: stored.dimension, bits: stored.bits)
        let quantiser = Quantiser(layout: layout, project: index.scope.project.rawValue)
        let table = PointerTable(slots: stored.slots, layout: layout, number: 0)
        let arena = Arena()
        /// The node of each slot.
        var nodes: [UInt32] = []
        nodes.reserveCapacity(stored.slots)
        func access(_ state: GraphState) -> GraphAccess {
            GraphAccess(scope: index.scope, state: state, layout: layout, table: table, tag: PointerTable.tag(0), kind: .loose, arena: arena)
        }
        try environment.read { (view: borrowing TransactionView) throws in
            let reading = access(stored)
            for slot in 0..<stored.slots {
                guard let node = try reading.node(UInt32(slot), in: view) else { throw GraphDamage.missing("node", slot) }
                nodes.append(node)
            }
            try encode(stored, layout, quantiser, reading, in: view)
        }

        var state = stored
        state.count = 0
        state.maxLevel = 0
        let scratches = (0..<threads).map { _ in SearchScratch(padded: layout.padded) }
        var edit = GraphEdit(access(stored), quantiser, scratches[0], rows: LinkRows(slots: stored.slots))
        while state.count < stored.slots {
            let batch = state.count..<min(stored.slots, state.count + max(1, min(Self.batchMax, state.count / 4)))
            let levels = batch.map { NodeLevel.of(nodes[$0], project: index.scope.project.rawValue, linksAbove: state.linksAbove) }
            let work = BatchWork(index: index, state: state, layout: layout, quantiser: quantiser, table: table, arena: arena, batch: batch, levels: levels)
            try work.run(scratches, in: environment) { try work.search($0, $1, in: $2) }
            try work.findTwins(in: environment)
            try work.run(scratches, in: environment) { try work.choose($0, $1, in: $2) }
            try environment.read { (view: borrowing TransactionView) throws in
                for (place, slot) in batch.enumerated() {
                    if let equal = unsafe work.found[place].equal {
                        try index.hang(UInt32(slot), onto: equal, &edit, in: view)
                        continue
                    }
                    let level = levels[place]
                    edit.set(UInt32(slot), NodeLinks(level: level))
                    for (shared, neighbours) in unsafe work.found[place].chosen.enumerated() {
                        try VectorIndex.connect(UInt32(slot), to: neighbours, at: shared, state, &edit, in: view)
                    }
                    if slot == 0 || level > state.maxLevel {
                        state.entry = UInt32(slot)
                        state.maxLevel = level
                    }
                }
            }
            edit.publish()
            state.count = batch.upperBound
            guard progress(state.count, stored.slots) else { throw CancellationError() }
        }
        let order = try environment.read { try LocalityOrder.of(stored.slots, access(stored), quantiser, scratches[0], in: $0) }
        linked = Linked(state: state, rows: edit.rows, nodes: nodes, order: order, codes: access(stored))
        written = 0
    }

    /// Makes every code, in memory, where the threads find it.
    private func encode(
        _ state: GraphState, _ layout: ChunkLayout, _ quantiser: Quantiser, _ access: GraphAccess, in view: borrowing TransactionView
    ) throws {
        let buffer = CodeBuffer(padded: layout.padded)
        var code = [UInt8](repeating: 0, count: layout.codeBytes)
        var record: [UInt8] = []
        for first in stride(from: 0, to: state.slots, by: layout.vectors) {
            for (place, vector) in try BatchWork.vectors(first / layout.vectors, layout, index, in: view).enumerated() {
                let slot = first + place
                let (chunk, offset) = (slot >> ChunkLayout.shift, layout.codeOffset(slot))
                if slot & (ChunkLayout.slots - 1) == 0 { record = layout.emptyCodes(capacity: ChunkLayout.capacity(chunk: chunk, slots: state.slots)) }
                let factor = unsafe code.withUnsafeMutableBufferPointer { unsafe quantiser.encode(vector, buffer, into: $0.baseAddress!) }
                record.setLittleEndian(factor.bitPattern, at: offset - ChunkLayout.factorBytes)
                record.replaceSubrange(offset..<offset + layout.codeBytes, with: code)
                if slot + 1 == min(state.slots, (chunk + 1) << ChunkLayout.shift) { _ = unsafe access.replaceCodes(chunk, record) }
            }
        }
    }

    /// Writes up to `records` links records and their codes; the last call writes slots and the state too.
    /// - Returns: true when the index is complete and, once this transaction is committed, visible.
    /// - Throws: `.conflict` when `link` has not run since the last `add`, or the build was emptied or added to by somebody else.
    public func write(records: Int = 10_000, in transaction: inout WriteTransaction) throws -> Bool {
        guard let linked, try Self.state(index, in: transaction.view)?.changes == linked.state.changes else {
            throw ContexError(.conflict, "the bulk build is not linked, or was changed since: link it again")
        }
        var key = NumberKey(index.scope, .vectorLinks)
        let slots = linked.order.count
        let end = min(slots, written + records)
        for slot in written..<end {
            key.point(to: slot)
            try transaction.store(key.bytes, linked.links(of: slot).encoded())
        }
        let chunks = end == slots ? (slots - 1) >> ChunkLayout.shift + 1 : end >> ChunkLayout.shift
        for chunk in written >> ChunkLayout.shift..<chunks {
            try transaction.store(index.scope.key(.vectorCodes, UInt32(chunk)), linked.codesRecord(chunk, in: transaction.view))
        }
        written = end
        guard end == slots else { return false }
        try Self.number(linked.order.map { (linked.nodes[Int($0)], $0) }, index, in: &transaction)
        var state = linked.state
        state.entry = linked.slots[Int(state.entry)]
        try transaction.store(index.scope.key(.vectorState), state.encoded())
        try transaction.delete(index.scope.key(.vectorBulk))
        return true
    }
}

/// A graph by rows, and the order in which these become slots.
private struct Linked {
    let state: GraphState
    private let rows: LinkRows
    let nodes: [UInt32]
    /// The row of each slot, and the slot of each row.
    let order: [UInt32]
    let slots: [UInt32]
    private let codes: GraphAccess

    init(state: GraphState, rows: LinkRows, nodes: [UInt32], order: [UInt32], codes: GraphAccess) {
        self.state = state
        self.rows = rows
        self.nodes = nodes
        self.order = order
        self.codes = codes
        var slots = [UInt32](repeating: 0, count: order.count)
        for (slot, row) in order.enumerated() { slots[Int(row)] = UInt32(slot) }
        self.slots = slots
    }

    func links(of slot: Int) throws -> NodeLinks {
        guard var links = rows[order[slot]] else { throw GraphDamage.missing("links", slot) }
        for level in links.levels.indices { links.levels[level] = links.levels[level].map { slots[Int($0)] }.sorted() }
        links.nextTwin = links.nextTwin.map { slots[Int($0)] }
        links.previousTwin = links.previousTwin.map { slots[Int($0)] }
        return links
    }

    func codesRecord(_ chunk: Int, in view: borrowing TransactionView) throws -> [UInt8] {
        let layout = codes.layout
        var record = layout.emptyCodes(capacity: ChunkLayout.capacity(chunk: chunk, slots: order.count))
        for slot in chunk << ChunkLayout.shift..<min(order.count, (chunk + 1) << ChunkLayout.shift) {
            let code = try unsafe codes.code(order[slot], in: view) - ChunkLayout.factorBytes
            let offset = layout.codeOffset(slot) - ChunkLayout.factorBytes
            unsafe record.replaceSubrange(
                offset..<offset + ChunkLayout.factorBytes + layout.codeBytes,
                with: unsafe UnsafeBufferPointer(start: code, count: ChunkLayout.factorBytes + layout.codeBytes))
        }
        return record
    }
}

/// The work on one batch: a place of `found` is written by the one thread that took it.
@safe
private final class BatchWork: @unchecked Sendable {
    // Unchecked: `run` gives each place to one thread and waits for all of them; between two runs one thread has everything.

    struct Found {
        /// The nearest linked before the batch, by level, from 0 up.
        var nearest: [[Candidate]] = []
        /// How near those before it in the batch are.
        var mates: [Float] = []
        /// The member that has the same vector.
        var equal: UInt32?
        /// What it is to be linked to, by level.
        var chosen: [[UInt32]] = []
    }

    private let index: VectorIndex
    private let state: GraphState
    private let layout: ChunkLayout
    private let quantiser: Quantiser
    private let table: PointerTable
    private let arena: Arena
    private let batch: Range<Int>
    private let levels: [Int]
    private let places: UnsafeMutableBufferPointer<Found>

    init(
        index: VectorIndex, state: GraphState, layout: ChunkLayout, quantiser: Quantiser, table: PointerTable, arena: Arena, batch: Range<Int>,
        levels: [Int]
    ) {
        self.index = index
        self.state = state
        self.layout = layout
        self.quantiser = quantiser
        self.table = table
        self.arena = arena
        self.batch = batch
        self.levels = levels
        unsafe places = .allocate(capacity: batch.count)
        unsafe places.initialize(repeating: Found())
    }

    deinit {
        unsafe places.deinitialize()
        unsafe places.deallocate()
    }

    var found: UnsafeMutableBufferPointer<Found> { unsafe places }

    private func access() -> GraphAccess {
        // Every links and codes record is in the table: nothing is looked up, nothing copied, by any thread.
        var state = state
        state.slots = batch.upperBound
        return GraphAccess(scope: index.scope, state: state, layout: layout, table: table, tag: PointerTable.tag(0), kind: .loose, arena: arena)
    }

    /// Runs `body` for every place on as many threads as there are scratches.
    func run(
        _ scratches: [SearchScratch], in environment: Environment,
        _ body: @escaping @Sendable (Int, (GraphAccess, SearchScratch), borrowing TransactionView) throws -> Void
    ) throws {
        let next = Atomic(0)
        let failure = Mutex<(any Error)?>(nil)
        DispatchQueue.concurrentPerform(iterations: min(scratches.count, batch.count)) { thread in
            do {
                try environment.read { (view: borrowing TransactionView) throws in
                    let access = access()
                    while true {
                        let place = next.add(1, ordering: .relaxed).oldValue
                        guard place < batch.count else { return }
                        try body(place, (access, scratches[thread]), view)
                    }
                }
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Looks among what is linked, and compares with the batch.
    func search(_ place: Int, _ tools: (access: GraphAccess, scratch: SearchScratch), in view: borrowing TransactionView) throws {
        let (access, scratch) = tools
        let slot = UInt32(batch.lowerBound + place)
        let vector = try vector(slot, in: view)
        quantiser.query(vector, scratch.code)
        var result = Found()
        result.nearest = try VectorIndex.candidates(levels[place], state, access, quantiser, scratch, in: view).reversed()
        let walk = GraphWalk(access, scratch, quantiser, side: scratch.code)
        for mate in 0..<place { result.mates.append(try walk.similarity(to: UInt32(batch.lowerBound + mate), in: view)) }
        for candidate in result.nearest.first ?? [] {
            guard candidate.similarity >= 0.9 else { break }
            if try isEqual(slot, candidate.slot, vector, access, in: view) {
                result.equal = candidate.slot
                break
            }
        }
        unsafe places[place] = result
    }

    /// Equal vectors inside the batch: the first is a member, or the twin of one, and the others follow it.
    func findTwins(in environment: Environment) throws {
        try environment.read { (view: borrowing TransactionView) throws in
            let access = access()
            var byCode: [UInt32: [Int]] = [:]
            for place in 0..<batch.count {
                guard unsafe places[place].equal == nil else { continue }
                let slot = UInt32(batch.lowerBound + place)
                let sum = try unsafe ck_crc32c(0, access.code(slot, in: view), layout.codeBytes)
                let vector = try vector(slot, in: view)
                for mate in byCode[sum] ?? [] where try isEqual(slot, UInt32(batch.lowerBound + mate), vector, access, in: view) {
                    unsafe places[place].equal = UInt32(batch.lowerBound + mate)
                    break
                }
                if unsafe places[place].equal == nil { byCode[sum, default: []].append(place) }
            }
        }
    }

    /// Chooses the neighbours among both.
    func choose(_ place: Int, _ tools: (access: GraphAccess, scratch: SearchScratch), in view: borrowing TransactionView) throws {
        guard unsafe places[place].equal == nil else { return }
        let found = unsafe places[place]
        var chosen: [[UInt32]] = []
        for level in 0...levels[place] {
            var candidates = level < found.nearest.count ? found.nearest[level] : []
            for mate in 0..<place where unsafe levels[mate] >= level && places[mate].equal == nil {
                candidates.append(Candidate(similarity: found.mates[mate], slot: UInt32(batch.lowerBound + mate)))
            }
            candidates.sort(by: Candidate.precedes)
            let selection = try NeighbourSelection(
                ranked: Array(candidates.prefix(state.efConstruction)), bound: state.linksAbove, tools.access, quantiser, tools.scratch, in: view)
            chosen.append(selection.filled(to: state.linksAbove))
        }
        unsafe places[place].chosen = chosen
    }

    /// While a build is under way, slots are rows.
    private func vector(_ slot: UInt32, in view: borrowing TransactionView) throws -> [Float] {
        let chunk = Int(slot) / layout.vectors
        guard let payload = try view.load(index.scope.key(.vector, UInt32(chunk))) else { throw GraphDamage.missing("vector", slot) }
        let offset = (Int(slot) - chunk * layout.vectors) * layout.vectorBytes
        guard payload.byteCount >= offset + layout.vectorBytes else { throw GraphDamage.wrongSize("vectors", chunk, payload.byteCount) }
        return VectorBytes.decoded(payload, at: offset, layout.dimension)
    }

    /// Of one record.
    static func vectors(_ chunk: Int, _ layout: ChunkLayout, _ index: VectorIndex, in view: borrowing TransactionView) throws -> [[Float]] {
        guard let payload = try view.load(index.scope.key(.vector, UInt32(chunk))) else { throw GraphDamage.missing("vector", chunk * layout.vectors) }
        return (0..<payload.byteCount / layout.vectorBytes).map { VectorBytes.decoded(payload, at: $0 * layout.vectorBytes, layout.dimension) }
    }

    private func isEqual(_ a: UInt32, _ b: UInt32, _ vector: [Float], _ access: GraphAccess, in view: borrowing TransactionView) throws -> Bool {
        guard try unsafe memcmp(access.code(a, in: view), access.code(b, in: view), layout.codeBytes) == 0 else { return false }
        return try self.vector(b, in: view).elementsEqual(vector) { $0.bitPattern == $1.bitPattern }
    }
}
