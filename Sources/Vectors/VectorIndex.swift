public import Base
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

    /// The stored vector of a node, nil when it has none.
    /// - Complexity: O(log n).
    public func vector(of node: NodeID, in view: borrowing TransactionView) throws -> [Float]? {
        guard let bytes = try view.loadBytes(scope.key(.vector, node.rawValue)) else { return nil }
        guard bytes.count == 4 * dimension else { throw wrongSize(node.rawValue, bytes.count) }
        var reader = ByteReader(bytes)
        return try reader.floats(dimension)
    }

    /// How near each of `nodes` is to the query, nil for a node without a vector.
    /// - Complexity: O(nodes x log n).
    public func cosines(_ query: [Float], of nodes: [NodeID], in view: borrowing TransactionView) throws -> [Float?] {
        try validate(query: query)
        var key = NodeKey(scope, .vector)
        var answer: [Float?] = []
        answer.reserveCapacity(nodes.count)
        for node in nodes {
            key.point(to: node.rawValue)
            guard let payload = try view.load(key.bytes) else {
                answer.append(nil)
                continue
            }
            guard payload.byteCount == 4 * dimension else { throw wrongSize(node.rawValue, payload.byteCount) }
            answer.append(Self.cosine(VectorBytes.dot(query, payload)))
        }
        return answer
    }

    /// The nearest `count` nodes among all, best first; equal cosines by node number.
    /// - Complexity: O(n x dimension): about half a microsecond a vector of 384.
    public func exactSearch(_ query: [Float], count: Int, in view: borrowing TransactionView) throws -> [VectorMatch] {
        try validate(query: query)
        guard count > 0 else { return [] }
        var best = CandidatePool(capacity: count)
        try view.scanRecords(prefix: scope.key(.vector)) { key, payload in
            let node = UInt32(nodeOfKey: key)
            guard payload.byteCount == 4 * dimension else { throw wrongSize(node, payload.byteCount) }
            best.offer(node, VectorBytes.dot(query, payload))
            return .onward
        }
        return best.matches(count)
    }

    // MARK: - Writing

    /// Removes every vector of the project and the graph with them.
    /// - Complexity: O(n log n).
    public func removeAll(in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.vectorState))
        try transaction.deleteAll(prefix: scope.key(.vector))
        try transaction.deleteAll(prefix: scope.key(.vectorLinks))
    }

    // MARK: - Within the module

    /// The graph's state, nil when the project has no vector.
    /// - Throws: `.conflict` when the graph was built for another dimension.
    func state(in view: borrowing TransactionView) throws -> GraphState? {
        guard let bytes = try view.loadBytes(scope.key(.vectorState)) else { return nil }
        let state = try GraphState(decoding: bytes)
        guard state.dimension == dimension else {
            throw ContexError(
                .conflict, "the project's vectors have \(state.dimension) dimensions, the embedding model gives \(dimension): reindex the project")
        }
        return state
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

    func validate(vector: borrowing [Float], of node: NodeID) throws(ContexError) {
        guard vector.count == dimension else {
            throw ContexError(.bug, "the vector of node \(node.rawValue) has \(vector.count) dimensions, the index has \(dimension)")
        }
        let length = VectorBytes.squaredLength(vector)
        guard abs(length - 1) <= Self.unitTolerance else {
            throw ContexError(.bug, "the vector of node \(node.rawValue) has squared length \(length), not 1: normalise it before it is indexed")
        }
    }

    func wrongSize(_ node: UInt32, _ bytes: Int) -> ContexError {
        .damaged("the vector of node \(node) has \(bytes) bytes, \(4 * dimension) are right: stop the server and run 'contex check'")
    }

    /// A dot product of two unit vectors can exceed 1 by rounding.
    static func cosine(_ product: Float) -> Float { min(1, max(-1, product)) }
}
