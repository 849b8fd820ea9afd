public import Base
internal import CKernels
public import KeySpace
public import LMDB

/// A node and how near it is to the query.
public struct VectorMatch: Sendable, Equatable {
    public let node: NodeID
    /// -1...1.
    public let cosine: Float

    public init(node: NodeID, cosine: Float) {
        self.node = node
        self.cosine = cosine
    }
}

/// The vectors of one project and the graph over them, inside the caller's transaction.
///
/// The value holds no state: everything is in the store, so any number of copies may be used at once, each with the
/// transaction it is given. Vectors are of unit length, so that the dot product is the cosine.
public struct VectorIndex: Sendable {
    public let scope: TenantScope
    public let dimension: Int
    public let parameters: HNSWParameters

    /// - Parameter dimension: 1...65,535; of the embedding model. A graph of another dimension is refused when it is used.
    public init(scope: TenantScope, dimension: Int = 384, parameters: HNSWParameters = .init()) {
        precondition((1...Int(UInt16.max)).contains(dimension), "dimension \(dimension) is outside 1...65535")
        self.scope = scope
        self.dimension = dimension
        self.parameters = parameters
    }

    // MARK: - Reading

    /// The vectors in the project.
    /// - Complexity: O(log n).
    public func count(in view: borrowing TransactionView) throws -> Int { try state(in: view)?.count ?? 0 }

    /// The stored vector of a node (`VectorMath.stored` of the one that was given), nil when it has none.
    /// - Complexity: O(log n).
    public func vector(of node: NodeID, in view: borrowing TransactionView) throws -> [Float]? {
        guard let state = try state(in: view), let slot = try slot(of: node.rawValue, in: view) else { return nil }
        let row = try row(of: slot, state, in: view)
        let layout = ChunkLayout(dimension: dimension, bits: state.bits)
        let chunk = row / layout.vectors
        guard let payload = try view.load(scope.key(.vector, UInt32(chunk))) else { throw GraphDamage.missing("vector", slot) }
        let offset = (row - chunk * layout.vectors) * layout.vectorBytes
        guard payload.byteCount >= offset + layout.vectorBytes else { throw GraphDamage.wrongSize("vectors", chunk, payload.byteCount) }
        return VectorBytes.decoded(payload, at: offset, dimension)
    }

    /// How near each of `nodes` is to the query, nil for a node without a vector.
    /// - Complexity: O(nodes x log n).
    public func cosines(_ query: [Float], of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        try validate(query: query)
        guard let state = try state(in: view) else { return nodes.map { _ in nil } }
        let access = access(memory(of: state, in: view), state, in: view)
        var vectors: [UnsafeRawPointer?] = unsafe []
        unsafe vectors.reserveCapacity(nodes.count)
        for node in nodes {
            guard let slot = try access.slot(of: node.rawValue, in: view) else {
                unsafe vectors.append(nil)
                continue
            }
            guard slot < state.slots else { throw GraphDamage.outOfRange(slot, state.slots) }
            let vector = try unsafe access.vector(slot, in: view)
            // They come from memory while the others are looked up.
            unsafe ck_prefetch_bytes(vector, access.layout.vectorBytes)
            unsafe vectors.append(vector)
        }
        // In a write transaction the vectors are copies that `access` holds.
        return withExtendedLifetime(access) {
            unsafe vectors.map { vector in unsafe vector.map { unsafe Self.cosine(VectorBytes.dot(query, $0)) } }
        }
    }

    /// The nearest `count` nodes among all, best first; equal cosines by node number (at the end of the list, any of them).
    /// - Complexity: O(n x dimension): about half a microsecond a vector of 384.
    public func exactSearch(_ query: [Float], count: Int, in view: borrowing TransactionView) throws -> [VectorMatch] {
        try validate(query: query)
        guard count > 0, let state = try state(in: view) else { return [] }
        let memory = memory(of: state, in: view)
        return try exactSearch(query, count: count, memory, access(memory, state, in: view), in: view) { _ in true }
    }

    /// More answers than this are not kept in order while they come, which would cost the square of their number.
    static let orderedMax = 2_048

    /// The same among the nodes that pass.
    func exactSearch(
        _ query: [Float], count: Int, _ memory: IndexMemory, _ access: GraphAccess, in view: borrowing TransactionView, _ passes: (UInt32) -> Bool
    ) throws -> [VectorMatch] {
        try memory.withScratch { (scratch: SearchScratch) throws in
            let isOrdered = count <= Self.orderedMax
            var best = scratch.pools(isOrdered ? min(count, access.state.count) : 1, 0).0
            var all: [Candidate] = []
            try forEachUsedSlot(access, in: view) { (slot, node, view: borrowing TransactionView) throws in
                guard passes(node) else { return }
                let similarity = try unsafe VectorBytes.dot(query, access.vector(slot, in: view))
                if isOrdered { best.offer(slot, similarity) } else { all.append(Candidate(similarity: similarity, slot: slot)) }
            }
            if isOrdered { all = best.candidates } else { all.sort(by: Candidate.precedes) }
            return try Self.sorted(
                all.prefix(count).map { VectorMatch(node: try nodeID($0.slot, access, in: view), cosine: Self.cosine($0.similarity)) })
        }
    }

    /// Every slot that a node has, ascending.
    func forEachUsedSlot(
        _ access: GraphAccess, in view: borrowing TransactionView, _ body: (_ slot: UInt32, _ node: UInt32, borrowing TransactionView) throws -> Void
    ) throws {
        for first in stride(from: 0, to: access.state.slots, by: ChunkLayout.slots) {
            let record = try unsafe access.slotsRecord(first >> ChunkLayout.shift, in: view)
            for place in 0..<min(ChunkLayout.slots, access.state.slots - first) where unsafe SlotsRecord.isUsed(place, record) {
                try body(UInt32(first + place), unsafe SlotsRecord.number(place, record), view)
            }
        }
    }

    /// The node of a slot that the graph names.
    func nodeID(_ slot: UInt32, _ access: GraphAccess, in view: borrowing TransactionView) throws -> NodeID {
        guard let node = try access.node(slot, in: view) else { throw GraphDamage.missing("node", slot) }
        return NodeID(rawValue: node)
    }

    static func sorted(_ matches: [VectorMatch]) -> [VectorMatch] {
        matches.sorted { $0.cosine > $1.cosine || ($0.cosine == $1.cosine && $0.node < $1.node) }
    }

    // MARK: - Writing

    /// Removes every vector of the project and the graph with them.
    /// - Complexity: O(n log n).
    public func removeAll(in transaction: inout WriteTransaction) throws {
        for kind in [KeyKind.vectorState, .vector, .vectorLinks, .vectorSlots, .vectorCodes, .vectorNodes, .vectorBulk, .vectorSum] {
            try transaction.deleteAll(prefix: scope.key(kind))
        }
    }

    // MARK: - Vectors from outside

    /// A vector that a client brought, at unit length; one that has it already, but for rounding, as it is, so that doing it twice is
    /// doing it once.
    /// - Parameter field: where it stood in the request.
    /// - Throws: `.invalid` for another dimension, a component that is not a finite number, or a length that is zero or too large to compute.
    public static func unit(_ vector: [Float], dimension: Int, field: String) throws(ContexError) -> [Float] {
        guard vector.count == dimension else {
            throw .invalid(.vectorRefused, field: field, kind: "value_error", message: "a vector of \(vector.count) numbers; the project's have \(dimension)")
        }
        guard vector.allSatisfy(\.isFinite) else {
            throw .invalid(.vectorRefused, field: field, kind: "value_error", message: "the vector has a component that is not a finite number")
        }
        let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length > 0 else {
            throw .invalid(.vectorRefused, field: field, kind: "value_error", message: "the vector is zero: it points nowhere and is near to nothing")
        }
        // Rounding 384 components of a unit vector to Float moves its length by less than 1e-7.
        if abs(length - 1) <= 1e-6 { return vector }
        let unit = vector.map { Float(Double($0) / length) }
        // A length below the smallest normal number, divided out, may leave another.
        guard abs(VectorBytes.squaredLength(unit) - 1) <= unitTolerance else {
            throw .invalid(.vectorRefused, field: field, kind: "value_error", message: "the vector's length, \(length), is out of range")
        }
        return unit
    }

    // MARK: - Within the module

    /// The graph's state, nil when the project has no vector.
    /// - Throws: `.conflict` when the graph was built for another dimension.
    func state(in view: borrowing TransactionView) throws -> GraphState? {
        guard let bytes = try view.loadBytes(scope.key(.vectorState)) else { return nil }
        let state = try GraphState(decoding: bytes)
        try state.verify(scope, in: view)
        guard state.dimension == dimension else {
            throw ContexError(
                .reindexNeeded, "the project's vectors have \(state.dimension) dimensions, the embedding model gives \(dimension): reindex the project")
        }
        return state
    }

    /// What is kept in memory about this index.
    func memory(of state: GraphState, in view: borrowing TransactionView) -> IndexMemory {
        view.environment.companion { VectorMemory() }.memory(scope, ChunkLayout(dimension: state.dimension, bits: state.bits))
    }

    /// The records of the graph as the view has them.
    func access(_ memory: IndexMemory, _ state: GraphState, in view: borrowing TransactionView) -> GraphAccess {
        let (table, tag, kind): (PointerTable, UInt64, GraphAccess.Kind) =
            switch view.state {
            case .snapshot(let number): (memory.table(snapshot: number, slots: state.slots), PointerTable.tag(number), .snapshot)
            case .writing: (PointerTable(slots: state.slots, layout: memory.layout, number: 0), PointerTable.tag(0), .loose)
            }
        return GraphAccess(scope: scope, state: state, layout: memory.layout, table: table, tag: tag, kind: kind, arena: Arena())
    }

    /// Runs a change with what the transaction knows of this index already.
    func withSession<R>(
        _ transaction: inout WriteTransaction, _ body: (IndexMemory, WriteSession, inout WriteTransaction) throws -> R
    ) throws -> R {
        guard case .writing(let number) = transaction.view.state else { throw ContexError(.bug, "a change of vectors outside a write transaction") }
        let state = try state(in: transaction.view)
        if state == nil, try transaction.view.get(scope.key(.vectorBulk)) != nil {
            throw ContexError(.conflict, "the project's vectors are being built in bulk: finish that, or empty the index")
        }
        let all = transaction.view.environment.companion { VectorMemory() }
        let memory = all.memory(scope, ChunkLayout(dimension: dimension, bits: state?.bits ?? parameters.codeBits))
        all.noteWrite(number)
        let session = memory.takeSession(number, state: state)
        let result = try body(memory, session, &transaction)
        memory.putSession(session)
        return result
    }

    /// A query may have any length (the order of answers is the same), but it must be a number in every dimension.
    func validate(query: borrowing [Float]) throws(ContexError) {
        guard query.count == dimension else {
            throw ContexError(.bug, "a query of \(query.count) dimensions was given to an index of \(dimension)")
        }
        guard VectorBytes.squaredLength(query).isFinite else { throw ContexError(.bug, "a query vector has a component that is not a finite number") }
    }

    /// Squared length may differ from 1 by this much: float32 rounding of 384 squares stays below 1e-5.
    static let unitTolerance: Float = 1e-3
    /// Of a stored vector: a half is within 1/2,048 of its number.
    static let storedTolerance: Float = 2.1e-3

    func validate(vector: borrowing [Float], of node: NodeID) throws(ContexError) {
        guard vector.count == dimension else {
            throw ContexError(.bug, "the vector of node \(node.rawValue) has \(vector.count) dimensions, the index has \(dimension)")
        }
        let length = VectorBytes.squaredLength(vector)
        guard abs(length - 1) <= Self.unitTolerance else {
            throw ContexError(.bug, "the vector of node \(node.rawValue) has squared length \(length), not 1: normalise it before it is indexed")
        }
    }

    /// A dot product of two unit vectors can exceed 1 by rounding.
    static func cosine(_ product: Float) -> Float { min(1, max(-1, product)) }
}
