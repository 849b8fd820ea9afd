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
        case ("filter", 4): try filter(folder: arguments[1], queries: Vectors(arguments[2]), first: Int(arguments[3])!)
        case ("churn", 5): try churn(folder: arguments[1], vectors: Vectors(arguments[2]), count: Int(arguments[3])!, rounds: Int(arguments[4])!)
        case ("cold", 4): try cold(folder: arguments[1], queries: Vectors(arguments[2]), first: Int(arguments[3])!)
        case ("memory", 4): try memory(folder: arguments[1], queries: Vectors(arguments[2]), first: Int(arguments[3])!)
        default: usage()
        }
    }

    static func usage() {
        print(
            """
            VectorBenchmark insert folder vectors.f32 count [bits] [nosync]     in transactions of 256, one thread
            VectorBenchmark build folder vectors.f32 count threads [bits]       in bulk
            VectorBenchmark filter folder vectors.f32 first-query
            VectorBenchmark churn folder vectors.f32 count rounds               each replaces a fifth; changes the store
            VectorBenchmark cold folder vectors.f32 first-query                 page cache dropped for the file before each query
            VectorBenchmark memory folder vectors.f32 first-query
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

    /// Recall@10 and time when a share of the nodes passes, by set and by test; 200 queries.
    static func filter(folder: String, queries: Vectors, first: Int) throws {
        let environment = try Environment(path: folder, options: .init(mode: .reader, mapBytes: 1 << 34))
        let index = VectorIndex(scope: scope)
        let vectors = (first..<min(first + 200, queries.count)).map { queries[$0] }
        let count = try environment.read { try index.count(in: $0) }
        let ranked = try environment.read { view in try vectors.map { try index.exactSearch($0, count: count, in: view) } }
        for share in [1, 0.5, 0.3, 0.1, 0.01, 0.001] {
            var random = SeededRandom(seed: 11)
            var passes = [Bool](repeating: false, count: count)
            for place in passes.indices { passes[place] = random.unit() < share }
            let kept = passes
            let truth = ranked.map { Set($0.lazy.filter { kept[Int($0.node.rawValue)] }.prefix(10).map(\.node)) }
            let set = NodeFilter(nodes: kept.indices.filter { kept[$0] }.map { NodeID(rawValue: UInt32($0)) })
            for (name, filter) in [("set", set), ("test", NodeFilter { kept[Int($0.rawValue)] })] {
                var found = 0
                let start = processorSeconds()
                for (vector, wanted) in zip(vectors, truth) {
                    found += try environment.read { try index.search(vector, count: 10, filter: filter, in: $0) }.count { wanted.contains($0.node) }
                }
                report([
                    ("command", "filter"), ("share", share), ("by", name), ("recall", Double(found) / Double(truth.reduce(0) { $0 + $1.count })),
                    ("microseconds", (processorSeconds() - start) / Double(vectors.count) * 1e6),
                ])
            }
        }
    }

    /// Rounds that remove a fifth of the nodes and insert their vectors under new numbers; recall and speed after each.
    static func churn(folder: String, vectors: Vectors, count: Int, rounds: Int) throws {
        let environment = try Environment(path: folder, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 34))
        let index = VectorIndex(scope: scope)
        let queries = (100_000..<vectors.count).map { vectors[$0] }
        /// The vector of each node.
        var rows = Array(0..<count)
        var nodes = Array(0..<count)
        var random = SeededRandom(seed: 5)
        let truth = try environment.read { view in
            try queries.map { Set(try index.exactSearch($0, count: 10, in: view).map { Int($0.node.rawValue) }) }
        }
        func measure(_ round: Int, _ seconds: Double) throws {
            for ef in [24, 100] {
                var (found, rates) = (0, [Double]())
                for _ in 0..<3 {
                    found = 0
                    let start = processorSeconds()
                    for (query, wanted) in zip(queries, truth) {
                        found += try environment.read { try index.search(query, count: 10, effort: .candidates(ef), in: $0) }
                            .count { wanted.contains(rows[Int($0.node.rawValue)]) }
                    }
                    rates.append(Double(queries.count) / (processorSeconds() - start))
                }
                report([
                    ("command", "churn"), ("round", round), ("ef", ef), ("recall", Double(found) / Double(10 * queries.count)),
                    ("perSecond", rates.sorted()[1]), ("replacedPerProcessorSecond", seconds == 0 ? 0 : Double(count / 5) / seconds),
                    ("bytes", try environment.statistics().bytesUsed),
                ])
            }
        }
        try measure(0, 0)
        for round in 1...rounds {
            nodes.shuffle(using: &random)
            let start = processorSeconds()
            for first in stride(from: 0, to: count / 5, by: 256) {
                var transaction = try environment.beginWrite()
                for place in first..<min(first + 256, count / 5) {
                    let row = rows[nodes[place]]
                    try index.remove(NodeID(rawValue: UInt32(nodes[place])), in: &transaction)
                    nodes[place] = rows.count
                    rows.append(row)
                    try index.insert(NodeID(rawValue: UInt32(nodes[place])), vectors[row], in: &transaction)
                }
                try transaction.commit()
            }
            try measure(round, processorSeconds() - start)
        }
    }

    /// Each of 100 queries on a store opened anew, whose pages were dropped from the cache.
    static func cold(folder: String, queries: Vectors, first: Int) throws {
        let index = VectorIndex(scope: scope)
        var times: [Double] = []
        for number in first..<first + 100 {
            let query = queries[number]
            let descriptor = open(folder + "/data.mdb", O_RDONLY)
            posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
            close(descriptor)
            let environment = try Environment(path: folder, options: .init(mode: .reader, mapBytes: 1 << 34))
            let start = seconds()
            _ = try environment.read { try index.search(query, count: 10, effort: .candidates(24), in: $0) }
            times.append((seconds() - start) * 1e3)
        }
        times.sort()
        report([("command", "cold"), ("p50", times[50]), ("p95", times[95])])
    }

    /// Private memory of the process before the store is opened and after 1,000 queries.
    static func memory(folder: String, queries: Vectors, first: Int) throws {
        func privateKilobytes() throws -> Int {
            let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            return text.split(separator: "\n").first { $0.hasPrefix("RssAnon") }.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
        }
        let before = try privateKilobytes()
        let environment = try Environment(path: folder, options: .init(mode: .reader, mapBytes: 1 << 34))
        let index = VectorIndex(scope: scope)
        let start = seconds()
        for number in first..<queries.count { _ = try environment.read { try index.search(queries[number], count: 10, in: $0) } }
        report([
            ("command", "memory"), ("before", before), ("after", try privateKilobytes()),
            ("queriesPerSecond", Double(queries.count - first) / (seconds() - start)), ("bytesUsed", try environment.statistics().bytesUsed),
        ])
    }
}
