import Base
import Foundation
import KeySpace
import LMDB
import TestSupport
import Vectors

/// Made-up vectors that look like embeddings: clusters of unequal size on a sphere, each spread over about thirty directions.
struct VectorSamples {
    private var random: SeededRandom
    private let centres: [[Float]]
    private let directions: [[[Float]]]
    let dimension: Int

    init(seed: UInt64, dimension: Int, clusters: Int, spread: Int = 30) {
        random = SeededRandom(seed: seed)
        self.dimension = dimension
        var generator = SeededRandom(seed: seed ^ 0xA5A5)
        centres = (0..<clusters).map { _ in Self.unit((0..<dimension).map { _ in Self.gauss(&generator) }) }
        directions = (0..<clusters).map { _ in
            (0..<spread).map { _ in Self.unit((0..<dimension).map { _ in Self.gauss(&generator) }) }
        }
    }

    /// In numbers that the index can store, so that what comes back is what was given.
    mutating func next() -> [Float] {
        // The square favours the first clusters: some are large, some hold a handful.
        let u = random.unit()
        let cluster = min(centres.count - 1, Int(u * u * Double(centres.count)))
        var vector = centres[cluster]
        for direction in directions[cluster] {
            let share = Self.gauss(&random) * 0.22
            for i in vector.indices { vector[i] += share * direction[i] }
        }
        return VectorMath.stored(Self.unit(vector))
    }

    mutating func next(_ count: Int) -> [[Float]] { (0..<count).map { _ in next() } }

    static func gauss(_ random: inout SeededRandom) -> Float {
        Float((-2 * log(1 - random.unit())).squareRoot() * cos(2 * .pi * random.unit()))
    }

    static func unit(_ vector: [Float]) -> [Float] {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }
}

/// A store that goes away with the test, and the ways in which the tests ask it.
struct IndexStore {
    let folder = TemporaryFolder()
    let environment: Environment
    let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 7))

    init() throws { environment = try Self.open(folder) }

    static func open(_ folder: TemporaryFolder) throws -> Environment {
        try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
    }

    func write(_ body: (inout WriteTransaction) throws -> Void) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        try transaction.commit()
    }

    /// Share of the true nearest `count` that the graph finds.
    func recall(_ index: VectorIndex, _ queries: [[Float]], count: Int = 10) throws -> Double {
        try environment.read { (view: borrowing TransactionView) throws in
            var found = 0
            var wanted = 0
            for query in queries {
                let truth = try index.exactSearch(query, count: count, in: view)
                let answer = try index.search(query, count: count, in: view)
                // By cosine, not by number: of equal vectors any will do.
                let bound = (truth.last?.cosine ?? 1) - 1e-6
                found += min(truth.count, answer.count { $0.cosine >= bound })
                wanted += truth.count
            }
            return wanted == 0 ? 1 : Double(found) / Double(wanted)
        }
    }

    func findings(_ index: VectorIndex, _ nodes: some Swift.Sequence<UInt32>) throws -> [String] {
        let expected = Set(nodes.map { NodeID(rawValue: $0) })
        return try environment.read { try VectorIndexCheck.findings(index, expectedNodes: expected, in: $0) }
    }

    /// All keys and values under the project.
    func everything() throws -> [[UInt8]: [UInt8]] {
        try environment.read { (view: borrowing TransactionView) throws in
            var all: [[UInt8]: [UInt8]] = [:]
            try view.scan(prefix: scope.prefix) { key, value in
                all[Array(key)] = Array(value)
                return .onward
            }
            return all
        }
    }
}
