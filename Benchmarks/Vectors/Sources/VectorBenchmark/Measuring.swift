import Base
import Dispatch
import Foundation
import KeySpace
import LMDB
import Vectors

/// Vectors of 384 float32, one after the other.
struct VectorFile {
    static let dimension = 384
    private let data: Data

    init(_ path: String) throws { data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) }

    var count: Int { data.count / (4 * Self.dimension) }

    subscript(_ number: Int) -> [Float] {
        data.withUnsafeBytes { bytes in
            (0..<Self.dimension).map { bytes.loadUnaligned(fromByteOffset: 4 * (number * Self.dimension + $0), as: Float.self) }
        }
    }
}

/// The ten nearest of each query.
struct Truth {
    private let nearest: [Set<Int32>]

    init(_ path: String) throws {
        let numbers = try Data(contentsOf: URL(fileURLWithPath: path)).withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
        nearest = stride(from: 0, to: numbers.count, by: 10).map { Set(numbers[$0..<$0 + 10]) }
    }

    func hits(_ query: Int, _ found: some Swift.Sequence<Int>) -> Int { found.count { nearest[query].contains(Int32($0)) } }
}

enum Measuring {
    static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
    /// Address space: enough for some millions of vectors.
    static let mapBytes = 1 << 34

    static func reader(_ folder: String, readsAhead: Bool = true) throws -> Environment {
        try Environment(path: folder, options: .init(mode: .reader, mapBytes: mapBytes, readsAhead: readsAhead))
    }

    static func seconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    /// Of this process: other work on the machine does not count.
    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    static func report(_ fields: [(String, any Sendable)]) {
        let texts = fields.map { name, value in
            switch value {
            case let text as String: "\"\(name)\": \"\(text)\""
            case let number as Double: "\"\(name)\": \((number * 10_000).rounded() / 10_000)"
            default: "\"\(name)\": \(value)"
            }
        }
        print("{" + texts.joined(separator: ", ") + "}")
        fflush(nil)
    }

    static func progress(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// The value below which `share` of the values lie.
    static func percentile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }

    static func median(_ values: [Double]) -> Double { percentile(values, 0.5) }
}
