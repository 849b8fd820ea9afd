// The sum of a project's vectors: their mean says what the project is about, and how near a query lies to everything in it, before one vector
// is looked at (Search's Calibration).
//
// It is kept in the transaction that changes the vectors, and must come out the same whatever came and went before. Sums of floating-point
// numbers do not: so each component is rounded to a whole number of 2^-24 first. 2^31 vectors stay below 2^55.

internal import Base
internal import KeySpace
public import LMDB

/// The mean of a project's vectors.
public struct VectorMean: Sendable, Equatable {
    /// One a dimension; all zero when there is no vector.
    public let components: [Float]

    init(_ sums: [Int64], count: Int) {
        let scale = 1 / (Double(max(1, count)) * VectorSum.one)
        components = sums.map { Float(Double($0) * scale) }
    }

    /// Of vectors in memory: what an index of just these gives, bit for bit.
    /// - Complexity: O(vectors x dimension).
    public init(_ vectors: some Swift.Sequence<[Float]>, dimension: Int) {
        var (sums, count) = ([Int64](repeating: 0, count: dimension), 0)
        for vector in vectors {
            VectorSum.add(vector, to: &sums)
            count += 1
        }
        self.init(sums, count: count)
    }

    /// The mean of the query's cosines to all vectors.
    /// - Precondition: a unit vector of the dimension.
    /// - Returns: -1...1
    public func cosine(_ query: ArraySlice<Float>) -> Float { VectorIndex.cosine(VectorMath.dot(query, components)) }
}

/// The record: eight bytes a dimension, little-endian.
enum VectorSum {
    /// What stands for 1.
    static let one = 0x1p24

    /// 0 for what no component of a unit vector can be: a damaged vector that is removed must not end the process.
    static func fixed(_ value: Float) -> Int64 { abs(value) <= 2 ? Int64((Double(value) * one).rounded()) : 0 }

    static func add(_ vector: [Float], to sums: inout [Int64]) { for (place, value) in vector.enumerated() { sums[place] &+= fixed(value) } }

    static func subtract(_ vector: [Float], from sums: inout [Int64]) { for (place, value) in vector.enumerated() { sums[place] &-= fixed(value) } }

    static func encoded(_ sums: [Int64]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8 * sums.count)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            for (place, sum) in sums.enumerated() { unsafe buffer.storeBytes(of: sum.littleEndian, toByteOffset: 8 * place, as: Int64.self) }
        }
        return bytes
    }

    static func decoded(_ payload: borrowing RawSpan, dimension: Int) throws -> [Int64] {
        guard payload.byteCount == 8 * dimension else { throw GraphDamage.wrongSize("sum", 0, payload.byteCount) }
        return (0..<dimension).map { unsafe Int64(littleEndian: payload.unsafeLoadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
    }
}

extension VectorIndex {
    /// The mean of all vectors, those of an unfinished bulk build too; nil when there are none.
    /// - Throws: `.damaged` for a broken record, `.conflict` when the vectors have another dimension.
    /// - Complexity: O(dimension + log n): two records.
    public func mean(in view: borrowing TransactionView) throws -> VectorMean? {
        guard let count = try state(in: view)?.count ?? VectorBulkBuild.stored(self, in: view), count > 0 else { return nil }
        return VectorMean(try sums(in: view), count: count)
    }

    func sums(in view: borrowing TransactionView) throws -> [Int64] {
        guard let payload = try view.load(scope.key(.vectorSum)) else { throw GraphDamage.missing("sum", 0) }
        return try VectorSum.decoded(payload, dimension: dimension)
    }

    /// - Parameter isFirst: there is no record yet.
    func changeSums(isFirst: Bool, in transaction: inout WriteTransaction, _ change: (inout [Int64]) -> Void) throws {
        var sums = isFirst ? [Int64](repeating: 0, count: dimension) : try self.sums(in: transaction.view)
        change(&sums)
        try transaction.store(scope.key(.vectorSum), VectorSum.encoded(sums))
    }
}
