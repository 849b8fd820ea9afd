internal import Base
internal import KeySpace
internal import LMDB

/// Algorithm 4 of the paper: of candidates ranked by nearness to a base, those that are nearer to the base than to any
/// candidate kept before. What it prunes can be reached through what it keeps, so the links spread out in all directions
/// instead of crowding into the nearest cluster.
///
/// Equal similarity prunes too: of many equal vectors one is kept, and the other places stay free for links that lead out.
struct NeighbourSelection {
    /// Nearest first.
    private(set) var kept: [UInt32] = []
    /// Nearest first.
    private(set) var pruned: [UInt32] = []

    /// - Parameter bound: stops when so many are kept; candidates after that are in neither list.
    init(ranked: [Candidate], bound: Int, _ index: VectorIndex, in view: borrowing TransactionView) throws {
        var rows = VectorRows(index, expecting: min(bound, ranked.count))
        for candidate in ranked {
            if kept.count == bound { return }
            if try rows.append(candidate.node, unlessNearerThan: candidate.similarity, in: view) {
                kept.append(candidate.node)
            } else {
                pruned.append(candidate.node)
            }
        }
    }

    /// The paper's keepPrunedConnections: the kept, and when they are fewer than the bound, the nearest of the pruned.
    func filled(to bound: Int) -> [UInt32] { kept + pruned.prefix(max(0, bound - kept.count)) }
}

/// Vectors copied out of the store, one row after the other: for the many comparisons among a few nodes.
struct VectorRows {
    private let dimension: Int
    private var key: NodeKey
    private var bytes: [UInt8] = []
    private(set) var count = 0

    init(_ index: VectorIndex, expecting count: Int) {
        dimension = index.dimension
        key = NodeKey(index.scope, .vector)
        bytes.reserveCapacity(4 * count * dimension)
    }

    /// - Throws: `.damaged` when the node has no vector.
    mutating func append(_ node: UInt32, in view: borrowing TransactionView) throws {
        _ = try append(node, unlessNearerThan: .infinity, in: view)
    }

    /// Appends the vector of `node` unless it is as near as `bound`, or nearer, to a row; says whether it did.
    mutating func append(_ node: UInt32, unlessNearerThan bound: Float, in view: borrowing TransactionView) throws -> Bool {
        key.point(to: node)
        guard let payload = try view.load(key.bytes), payload.byteCount == 4 * dimension else { throw GraphDamage.missing("vector", node) }
        if bound < .infinity {
            for row in 0..<count where VectorBytes.dot(bytes, row: row, payload, dimension) >= bound { return false }
        }
        unsafe payload.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        count += 1
        return true
    }

    /// Of a row and a node that needs no row of its own.
    mutating func similarity(_ row: Int, to node: UInt32, in view: borrowing TransactionView) throws -> Float {
        key.point(to: node)
        guard let payload = try view.load(key.bytes), payload.byteCount == 4 * dimension else { throw GraphDamage.missing("vector", node) }
        return VectorBytes.dot(bytes, row: row, payload, dimension)
    }

    func similarity(_ a: Int, _ b: Int) -> Float { VectorBytes.dot(bytes, row: a, row: b, dimension) }
}
