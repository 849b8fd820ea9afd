import Base
import Dispatch
import Foundation
import KeySpace
import LMDB
import Vectors

/// Measures the index of a store on disk. Each answer is one line of JSON, for Benchmarks/Vectors/compare.py.
@main
enum VectorBenchmark {
    static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard let command = arguments.first else { return usage() }
        switch (command, arguments.count) {
        case ("insert", 4...6):
            try insert(
                folder: arguments[1], vectors: Vectors(arguments[2]), count: Int(arguments[3])!, bits: arguments.count > 4 ? Int(arguments[4])! : 4,
                sync: arguments.count <= 5)
        case ("search", 6...):
            try search(
                folder: arguments[1], queries: Vectors(arguments[2]), first: Int(arguments[3])!, truth: arguments[4],
                rerank: Int(arguments[5])!, efs: arguments[6...].map { Int($0)! })
        case ("build", 5...6):
            try build(
                folder: arguments[1], vectors: Vectors(arguments[2]), count: Int(arguments[3])!, threads: Int(arguments[4])!,
                bits: arguments.count > 5 ? Int(arguments[5])! : 4)
        default: usage()
        }
    }

    static func usage() {
        print(
            """
            VectorBenchmark insert folder vectors.f32 count [bits] [nosync]     in transactions of 256, one thread
            VectorBenchmark build folder vectors.f32 count threads [bits]       in bulk
            VectorBenchmark search folder vectors.f32 first-query truth.i32 rerank ef...
            """)
    }

    struct Vectors {
        static let dimension = 384
        let data: Data

        init(_ path: String) throws { data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) }

        var count: Int { data.count / (4 * Self.dimension) }

        subscript(_ number: Int) -> [Float] {
            data.withUnsafeBytes { bytes in
                (0..<Self.dimension).map { bytes.loadUnaligned(fromByteOffset: 4 * (number * Self.dimension + $0), as: Float.self) }
            }
        }
    }

    static func seconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    /// Of this process: other work on the machine does not count.
    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    static func report(_ fields: [(String, any Sendable)]) {
        print("{" + fields.map { name, value in value is String ? "\"\(name)\": \"\(value)\"" : "\"\(name)\": \(value)" }.joined(separator: ", ") + "}")
    }

    static func insert(folder: String, vectors: Vectors, count: Int, bits: Int, sync: Bool) throws {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let environment = try Environment(path: folder, options: .init(durability: sync ? .everyCommit : .unsafeNoSync, mapBytes: 1 << 34))
        let index = VectorIndex(scope: scope, parameters: HNSWParameters(codeBits: bits))
        let (start, processor) = (seconds(), processorSeconds())
        var last = start
        for first in stride(from: 0, to: count, by: 256) {
            var transaction = try environment.beginWrite()
            for number in first..<min(first + 256, count) { try index.insert(NodeID(rawValue: UInt32(number)), vectors[number], in: &transaction) }
            try transaction.commit()
            environment.growFile()
            let done = first + 256
            if done % 10_240 == 0 {
                let now = seconds()
                FileHandle.standardError.write(Data("\(done): \(Int(10_240 / (now - last)))/s\n".utf8))
                last = now
            }
        }
        let used = try environment.statistics().bytesUsed
        report([("command", "insert"), ("count", count), ("perSecond", Double(count) / (seconds() - start)),
            ("perProcessorSecond", Double(count) / (processorSeconds() - processor)), ("bytes", used)])
    }

    static func build(folder: String, vectors: Vectors, count: Int, threads: Int, bits: Int) throws {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let environment = try Environment(path: folder, options: .init(mapBytes: 1 << 34))
        let (start, processor) = (seconds(), processorSeconds())
        let build = VectorBulkBuild(VectorIndex(scope: scope, parameters: HNSWParameters(codeBits: bits)), threads: threads)
        for first in stride(from: 0, to: count, by: 8_192) {
            var transaction = try environment.beginWrite()
            try build.add((first..<min(first + 8_192, count)).map { (NodeID(rawValue: UInt32($0)), vectors[$0]) }, in: &transaction)
            try transaction.commit()
            environment.growFile()
        }
        let stored = seconds()
        try build.link(in: environment)
        let linked = seconds()
        var isComplete = false
        while !isComplete {
            var transaction = try environment.beginWrite()
            isComplete = try build.write(in: &transaction)
            try transaction.commit()
            environment.growFile()
        }
        report([
            ("command", "build"), ("count", count), ("threads", threads), ("perSecond", Double(count) / (seconds() - start)),
            ("perProcessorSecond", Double(count) / (processorSeconds() - processor)), ("store", stored - start), ("link", linked - stored),
            ("write", seconds() - linked), ("bytes", try environment.statistics().bytesUsed),
        ])
    }

    static func search(folder: String, queries: Vectors, first: Int, truth: String, rerank: Int, efs: [Int]) throws {
        let opening = seconds()
        let environment = try Environment(path: folder, options: .init(mode: .reader, mapBytes: 1 << 34))
        let index = VectorIndex(scope: scope, parameters: HNSWParameters(rerank: rerank))
        let vectors = (first..<queries.count).map { queries[$0] }
        let began = seconds()
        _ = try environment.read { try index.search(vectors[0], count: 10, in: $0) }
        report([("command", "open"), ("openMilliseconds", (seconds() - began) * 1e3), ("with", (seconds() - opening) * 1e3)])
        let wanted = try Data(contentsOf: URL(fileURLWithPath: truth)).withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
        for ef in efs {
            var found = 0
            for (number, vector) in vectors.enumerated() {
                let answer = try environment.read { try index.search(vector, count: 10, effort: .candidates(ef), in: $0) }
                let truth = Set(wanted[number * 10..<number * 10 + 10].map { UInt32(bitPattern: $0) })
                found += answer.count { truth.contains($0.node.rawValue) }
            }
            // Every query in a transaction of its own, as a server answers it.
            var rates: [Double] = []
            for _ in 0..<5 {
                let start = processorSeconds()
                for vector in vectors { _ = try environment.read { try index.search(vector, count: 10, effort: .candidates(ef), in: $0) } }
                rates.append(Double(vectors.count) / (processorSeconds() - start))
            }
            report([("command", "search"), ("ef", ef), ("recall", Double(found) / Double(10 * vectors.count)), ("perSecond", rates.sorted()[2])])
        }
    }
}
