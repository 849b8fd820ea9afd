// Building the index of many vectors at once, for imports and reindexing: on all cores, in an empty index or one that is taken
// apart for it.
//
//     reopen, in one transaction              only when there is an index: its vectors stay where they are, its graph goes
//     add, in transactions of the caller's    vectors, codes, slots: complete after each commit, so that a build that was cut
//                                             short goes on where the last commit ended
//     link, in no transaction                 the graph, in memory: about 500 bytes a vector, codes included (a whole import with its texts: 1.7 kB)
//     write, in transactions of the caller's  the links in the order of their keys; the state record at the very end, which
//                                             makes the index visible
//
// Linking takes batches. For each batch all threads search the graph of the batches before, which nobody changes meanwhile,
// for the neighbours of their share, compare it with the others of the batch, and choose. Then one thread links, in the order
// of the slots. So the graph does not depend on the number of threads, and the same vectors in the same order give the same
// bytes (not those that single inserts give: there each search sees every node before).

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
    private var linked: (state: GraphState, rows: LinkRows)?
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
        return try GraphState(decoding: bytes)
    }

    // MARK: - Storing

    /// Makes an unfinished build of a complete index, so that it can be added to and linked anew with all cores. Until that is written
    /// the index answers nothing.
    ///
    /// - Returns: how many vectors the build has stored: none, and nothing changed, when the index has none; those of the unfinished
    ///   build when there is one.
    /// - Throws: `.damaged` for a broken record. After an error the transaction must be dropped.
    /// - Complexity: O(links records + free slots x vectors of a value).
    public static func reopen(_ index: VectorIndex, in transaction: inout WriteTransaction) throws -> Int {
        if let unfinished = try state(index, in: transaction.view) { return unfinished.count }
        guard var state = try index.state(in: transaction.view) else { return 0 }
        try transaction.deleteAll(prefix: index.scope.key(.vectorLinks))
        try transaction.delete(index.scope.key(.vectorState))
        if state.count < state.slots { try close(up: state, index, in: &transaction) }
        state.slots = state.count
        state.firstFree = GraphState.none
        state.entry = 0
        state.maxLevel = 0
        state.changes += 1
        try transaction.store(index.scope.key(.vectorBulk), state.encoded())
        return state.count
    }

    /// Moves the vectors of the highest slots into the free ones below, and cuts off what is free then.
    private static func close(up state: GraphState, _ index: VectorIndex, in transaction: inout WriteTransaction) throws {
        let scope = index.scope
        let layout = ChunkLayout(dimension: state.dimension, bits: state.bits)
        var holes: [Int] = []
        var movers: [(slot: Int, node: UInt32)] = []
        func slotsRecord(_ chunk: Int, in view: borrowing TransactionView) throws -> [UInt8] {
            let places = min(ChunkLayout.slots, state.slots - chunk * ChunkLayout.slots)
            guard let record = try view.loadBytes(scope.key(.vectorSlots, UInt32(chunk))), record.count == SlotsRecord.bitmapBytes + 4 * places else {
                throw GraphDamage.missing("slots record", UInt32(chunk))
            }
            return record
        }
        for chunk in 0...(state.slots - 1) >> ChunkLayout.shift {
            let record = try slotsRecord(chunk, in: transaction.view)
            for place in 0..<min(ChunkLayout.slots, state.slots - chunk * ChunkLayout.slots) {
                let (slot, isUsed) = (chunk * ChunkLayout.slots + place, record[place / 8] & (1 << UInt8(place % 8)) != 0)
                if slot < state.count, !isUsed { holes.append(slot) }
                if slot >= state.count, isUsed { movers.append((slot, record.littleEndian(at: SlotsRecord.bitmapBytes + 4 * place))) }
            }
        }
        guard holes.count == movers.count else { throw ContexError.damaged("the vector index has \(state.count) vectors and another number of used slots") }

        var records: [[UInt8]: [UInt8]] = [:]
        func part(_ kind: KeyKind, _ chunk: Int, _ range: Range<Int>, in view: borrowing TransactionView) throws -> ArraySlice<UInt8> {
            guard let record = try view.loadBytes(scope.key(kind, UInt32(chunk))), record.count >= range.upperBound else {
                throw GraphDamage.missing("\(kind)", UInt32(chunk))
            }
            return record[range]
        }
        func replace(
            _ kind: KeyKind, _ chunk: Int, _ range: Range<Int>, with bytes: some Collection<UInt8>, in view: borrowing TransactionView
        ) throws {
            let key = scope.key(kind, UInt32(chunk))
            try change(key, &records, in: view, empty: { [] }) { record in
                if record.count >= range.upperBound { record.replaceSubrange(range, with: bytes) } else { record = [] }
            }
            if records[key]!.isEmpty { throw GraphDamage.missing("\(kind)", UInt32(chunk)) }
        }
        func flush(_ transaction: inout WriteTransaction) throws {
            for key in records.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { try transaction.store(key, records[key]!) }
            records = [:]
        }
        for (moved, (hole, mover)) in zip(holes, movers).enumerated() {
            func vectorRange(_ slot: Int) -> Range<Int> {
                let offset = slot % layout.vectors * layout.vectorBytes
                return offset..<offset + layout.vectorBytes
            }
            func codeRange(_ slot: Int) -> Range<Int> {
                let offset = layout.codeOffset(slot)
                return offset - ChunkLayout.factorBytes..<offset + layout.codeBytes
            }
            func number(_ value: UInt32) -> [UInt8] { [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) } }
            let vector = try part(.vector, mover.slot / layout.vectors, vectorRange(mover.slot), in: transaction.view)
            try replace(.vector, hole / layout.vectors, vectorRange(hole), with: vector, in: transaction.view)
            let code = try part(.vectorCodes, mover.slot >> ChunkLayout.shift, codeRange(mover.slot), in: transaction.view)
            try replace(.vectorCodes, hole >> ChunkLayout.shift, codeRange(hole), with: code, in: transaction.view)
            let place = hole & (ChunkLayout.slots - 1)
            let at = SlotsRecord.bitmapBytes + 4 * place
            try replace(.vectorSlots, hole >> ChunkLayout.shift, at..<at + 4, with: number(mover.node), in: transaction.view)
            records[scope.key(.vectorSlots, UInt32(hole >> ChunkLayout.shift))]![place / 8] |= 1 << UInt8(place % 8)
            let nodeAt = 4 * (Int(mover.node) % ChunkLayout.nodes)
            try replace(.vectorNodes, Int(mover.node) / ChunkLayout.nodes, nodeAt..<nodeAt + 4, with: number(UInt32(hole)), in: transaction.view)
            if moved % 512 == 511 { try flush(&transaction) }
        }
        try flush(&transaction)

        func cut(_ kind: KeyKind, perRecord: Int, in transaction: inout WriteTransaction, _ body: (Int, inout [UInt8]) -> Void) throws {
            let last = (state.count - 1) / perRecord
            let key = scope.key(kind, UInt32(last))
            guard var record = try transaction.view.loadBytes(key) else { throw GraphDamage.missing("\(kind)", UInt32(last)) }
            body(state.count - last * perRecord, &record)
            try transaction.store(key, record)
            for chunk in last + 1..<max(last + 1, (state.slots - 1) / perRecord + 1) { try transaction.delete(scope.key(kind, UInt32(chunk))) }
        }
        try cut(.vector, perRecord: layout.vectors, in: &transaction) { left, record in
            record.removeLast(max(0, record.count - left * layout.vectorBytes))
        }
        try cut(.vectorSlots, perRecord: ChunkLayout.slots, in: &transaction) { left, record in
            record.removeLast(max(0, record.count - SlotsRecord.bitmapBytes - 4 * left))
            for place in left..<ChunkLayout.slots { record[place / 8] &= ~(1 << UInt8(place % 8)) }
        }
        let codesLast = (state.count - 1) >> ChunkLayout.shift
        let capacity = ChunkLayout.capacity(chunk: codesLast, slots: state.count)
        try cut(.vectorCodes, perRecord: ChunkLayout.slots, in: &transaction) { _, record in
            record.removeLast(max(0, record.count - layout.codesBytes(capacity: capacity)))
            record[0] = UInt8(capacity >> 8)
            record[1] = UInt8(capacity & 0xFF)
        }
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
        let quantiser = Quantiser(layout: layout, project: scope.project.rawValue)
        let buffer = CodeBuffer(padded: layout.padded)
        var code = [UInt8](repeating: 0, count: layout.codeBytes)
        /// Records that this call changes, each written once at the end.
        var records: [[UInt8]: [UInt8]] = [:]
        let slots = state.slots + vectors.count
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
                for shift: UInt32 in [0, 8, 16, 24] { record.append(UInt8(truncatingIfNeeded: node.rawValue >> shift)) }
            }
            let vectorKey = scope.key(.vector, UInt32(slot / layout.vectors))
            try Self.change(vectorKey, &records, in: transaction.view, empty: { [] }) { record in
                for value in vector { for shift: UInt32 in [0, 8, 16, 24] { record.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift)) } }
            }
            let factor = unsafe code.withUnsafeMutableBufferPointer { unsafe quantiser.encode(vector, buffer, into: $0.baseAddress!) }
            let capacity = ChunkLayout.capacity(chunk: Int(chunk), slots: slots)
            try Self.change(scope.key(.vectorCodes, chunk), &records, in: transaction.view, empty: { [] }) { record in
                if record.count < layout.codesBytes(capacity: capacity) {
                    record += [UInt8](repeating: 0, count: layout.codesBytes(capacity: capacity) - record.count)
                    record[0] = UInt8(capacity >> 8)
                    record[1] = UInt8(capacity & 0xFF)
                }
                let offset = layout.codeOffset(slot)
                record.setLittleEndian(factor.bitPattern, at: offset - ChunkLayout.factorBytes)
                record.replaceSubrange(offset..<offset + layout.codeBytes, with: code)
            }
        }
        for key in records.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { try transaction.store(key, records[key]!) }
        try index.changeSums(isFirst: state.count == 0, in: &transaction) { sums in for (_, vector) in vectors { VectorSum.add(vector, to: &sums) } }
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
            // Every codes record is copied here, so that the threads never look one up.
            for chunk in 0...(stored.slots - 1) >> ChunkLayout.shift { _ = try unsafe reading.codes(chunk, in: view) }
            for slot in 0..<stored.slots {
                guard let node = try reading.node(UInt32(slot), in: view) else { throw GraphDamage.missing("node", slot) }
                nodes.append(node)
            }
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
        linked = (state, edit.rows)
        written = 0
    }

    /// Writes up to `records` links records; the last call writes the state too.
    /// - Returns: true when the index is complete and, once this transaction is committed, visible.
    /// - Throws: `.conflict` when `link` has not run since the last `add`, or the build was emptied or added to by somebody else.
    public func write(records: Int = 10_000, in transaction: inout WriteTransaction) throws -> Bool {
        guard let (state, rows) = linked, try Self.state(index, in: transaction.view)?.changes == state.changes else {
            throw ContexError(.conflict, "the bulk build is not linked, or was changed since: link it again")
        }
        var key = NumberKey(index.scope, .vectorLinks)
        let end = min(state.slots, written + records)
        for slot in written..<end {
            guard let links = rows[UInt32(slot)] else { throw GraphDamage.missing("links", slot) }
            key.point(to: slot)
            try transaction.store(key.bytes, links.encoded())
        }
        written = end
        guard end == state.slots else { return false }
        try transaction.store(index.scope.key(.vectorState), state.encoded())
        try transaction.delete(index.scope.key(.vectorBulk))
        return true
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

    private func vector(_ slot: UInt32, in view: borrowing TransactionView) throws -> [Float] {
        let chunk = Int(slot) / layout.vectors
        guard let payload = try view.load(index.scope.key(.vector, UInt32(chunk))) else { throw GraphDamage.missing("vector", slot) }
        let offset = (Int(slot) - chunk * layout.vectors) * layout.vectorBytes
        guard payload.byteCount >= offset + layout.vectorBytes else { throw GraphDamage.wrongSize("vectors", chunk, payload.byteCount) }
        return (0..<layout.dimension).map { place in
            Float(bitPattern: unsafe UInt32(littleEndian: payload.unsafeLoadUnaligned(fromByteOffset: offset + 4 * place, as: UInt32.self)))
        }
    }

    private func isEqual(_ a: UInt32, _ b: UInt32, _ vector: [Float], _ access: GraphAccess, in view: borrowing TransactionView) throws -> Bool {
        guard try unsafe memcmp(access.code(a, in: view), access.code(b, in: view), layout.codeBytes) == 0 else { return false }
        return try self.vector(b, in: view).elementsEqual(vector) { $0.bitPattern == $1.bitPattern }
    }
}
