// What a query costs end to end beside the vector search alone, in one process and on one store.
//
// `fill` publishes texts with their vectors, all but the last 1,000, and writes down the ten nearest of each of those: they are the queries. `run`
// asks them in different ways in turn. At one moment each way asks another query, so that none finds in the cache what the way before it read.
// "Embedding cached" is a look-up in a dictionary: the server's own cache takes half a microsecond.
//
// The searches that stand alone read the database's file through a hard link in a folder of its own: LMDB must not have one lock file open twice in
// a process, and the pages in memory are the same. Nobody writes meanwhile.

import Base
import Dispatch
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import Search
import Vectors

@main
enum HybridBenchmark {
    static let dimension = 384
    static let queryCount = 1_000
    static let project = Name(stored: "hybrid")
    static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
    static let mapBytes = 1 << 36

    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.dropFirst(3).compactMap { Int($0) }
        switch (arguments.first, arguments.count) {
        case ("fill", 3...4): try await fill(Corpus(arguments[1], count: numbers.first), into: arguments[2])
        case ("run", 3...4): try await measure(Corpus(arguments[1]), arguments[2], rounds: numbers.first ?? 3)
        case ("repeat", 5): try await again(Corpus(arguments[1]), arguments[2], arguments[4], times: numbers.first ?? 1)
        default:
            print(
                """
                HybridBenchmark fill   data folder [count]     publishes data/texts.txt with data/vectors.f32 (Benchmarks/Vectors/run data)
                HybridBenchmark run    data folder [rounds]    times of every way to ask, in turn (3 rounds)
                HybridBenchmark repeat data folder times way   asks all queries so often in one way, for a profiler:
                                                               vector, hybrid, semantic, keyword
                """)
        }
    }

    // MARK: - Filling

    static func fill(_ corpus: Corpus, into folder: String) async throws {
        var configuration = DatabaseConfiguration(directory: folder)
        (configuration.durability, configuration.mapBytes) = (.unsafeNoSync, mapBytes)
        let database = try Database(configuration: configuration, models: corpus.models)
        for start in stride(from: 0, to: corpus.count, by: 500) {
            let commands = try (start..<min(corpus.count, start + 500)).map { place in
                var data = JSONObject()
                data["text"] = .string(corpus.texts[place])
                return PublishCommand(
                    project: project, key: try Name("text-\(place)", field: "key"), data: .object(data), vector: corpus.vectors[place])
            }
            for outcome in await database.publish(.standard, commands) { _ = try outcome.get() }
            if start % 5_000 == 0 { print("\(start) of \(corpus.count)") }
        }
        await database.close()
        let (store, index) = (try reader(folder), VectorIndex(scope: scope, dimension: dimension))
        var truth: [Int32] = []
        for query in corpus.queries {
            truth += try store.read { try index.exactSearch(query.vector, count: 10, in: $0) }.map { Int32(bitPattern: $0.node.rawValue) }
        }
        try truth.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: folder + "/truth.i32")) }
    }

    /// The store of a folder for searches of our own.
    static func reader(_ folder: String) throws -> LMDB.Environment {
        let twin = folder + "/reader"
        try? FileManager.default.removeItem(atPath: twin)
        try FileManager.default.createDirectory(atPath: twin, withIntermediateDirectories: true)
        try FileManager.default.linkItem(atPath: DatabaseConfiguration(directory: folder).storePath + "/data.mdb", toPath: twin + "/data.mdb")
        return try LMDB.Environment(path: twin, options: .init(mode: .reader, mapBytes: mapBytes))
    }

    // MARK: - Measuring

    static func request(_ query: Corpus.Query, _ mode: SearchMode, in project: Name = project) -> QueryRequest {
        QueryRequest(project: project, text: query.text, topK: 10, threshold: 0, mode: mode)
    }

    static func measure(_ corpus: Corpus, _ folder: String, rounds: Int) async throws {
        var configuration = DatabaseConfiguration(directory: folder)
        configuration.mapBytes = mapBytes
        let database = try Database(configuration: configuration, models: corpus.models)
        let (store, vectors, texts) = (try reader(folder), VectorIndex(scope: scope, dimension: dimension), TextIndex(scope: scope))
        let (nodes, terms) = try store.read { view in
            (try vectors.count(in: view), corpus.queries.reduce(0) { $0 + TextQuery($1.text).terms.count })
        }
        let truth = try Truth(folder + "/truth.i32")
        func recall(count: Int, _ effort: SearchEffort?) throws -> Double {
            var hits = 0
            for (place, query) in corpus.queries.enumerated() {
                hits += truth.hits(place, try store.read { try vectors.search(query.vector, count: count, effort: effort, in: $0) }.prefix(10))
            }
            return Double(hits) / Double(10 * corpus.queries.count)
        }
        let recalls = (standard: try recall(count: 10, nil), hybrid: try recall(count: 100, nil))
        var (same, reached) = (8, 0.0)
        while reached < recalls.hybrid, same < 1_024 {
            same += 8
            reached = try recall(count: 10, .candidates(same))
        }
        let effort = SearchEffort.candidates(same)

        func alone(_ count: Int, _ effort: SearchEffort? = nil) -> @Sendable (Corpus.Query) throws -> Int {
            { query in try store.read { try vectors.search(query.vector, count: count, effort: effort, in: $0) }.count }
        }
        func whole(_ mode: SearchMode) -> @Sendable (Corpus.Query) async throws -> Int {
            { query in try await database.query(.standard, request(query, mode)).matches.count }
        }
        let elsewhere = Name(stored: "elsewhere")
        let ways: [Way] = [
            Way("vector search, 10 of efSearch 128 (default): recall@10 \(share(recalls.standard))", alone(10)),
            Way("vector search, 10 of efSearch \(same): recall@10 \(share(reached))", alone(10, effort)),
            Way("vector search, 100 of efSearch 128, as hybrid asks: recall@10 \(share(recalls.hybrid))", alone(100)),
            Way("text search, 100") { query in
                try store.read { try texts.search(TextQuery(query.text), count: 100, in: $0) }.count
            },
            Way("Database.query, a project that is not there") { query in
                try await database.query(.standard, request(query, .hybrid, in: elsewhere)).matches.count
            },
            Way("Database.query, hybrid", whole(.hybrid)), Way("Database.query, semantic", whole(.semantic)),
            Way("Database.query, keyword", whole(.keyword)),
        ]
        // Off the main thread, as a server's requests are.
        let times = try await Task.detached {
            var times = [[Double]](repeating: [], count: ways.count)
            for round in 0...rounds {
                for moment in 0..<corpus.queries.count {
                    for (place, way) in ways.enumerated() {
                        let query = corpus.queries[(moment + place * 127) % corpus.queries.count]
                        let began = DispatchTime.now().uptimeNanoseconds
                        _ = try await way.ask(query)
                        // The round before the first is to warm up.
                        if round > 0 { times[place].append(Double(DispatchTime.now().uptimeNanoseconds - began) / 1e3) }
                    }
                }
            }
            return times
        }.value
        await database.close()

        print("\(nodes) nodes, \(corpus.queries.count) queries of \(terms / corpus.queries.count) distinct terms on average, \(rounds) rounds; microseconds")
        print("\n| | p50 (lowest and highest round) | p95 |\n|---|---|---|")
        for (way, all) in zip(ways, times) {
            let medians = (0..<rounds).map { percentile(Array(all[$0 * corpus.queries.count..<($0 + 1) * corpus.queries.count]), 0.5) }
            let range = "\(figure(medians.min()!)) to \(figure(medians.max()!))"
            print("| \(way.name) | \(figure(percentile(all, 0.5))) (\(range)) | \(figure(percentile(all, 0.95))) |")
        }
        let p50 = times.map { percentile($0, 0.5) }
        print("\nhybrid / vector search at the default effort: \(share(p50[5] / p50[0]))")
        print("hybrid / vector search at the recall of hybrid's own vector side (the bar's, at most 3): \(share(p50[5] / p50[1]))")
        print("hybrid without the hop to the pool and back, against the same: \(share((p50[5] - p50[4]) / p50[1]))")
    }

    /// One way for a profiler; prints how many answers there were and a sum over them, which a change for speed must not change.
    static func again(_ corpus: Corpus, _ folder: String, _ way: String, times: Int) async throws {
        var (count, sum) = (0, UInt64(0))
        func add(_ node: UInt32, _ score: Double) {
            count += 1
            for part in [UInt64(node), UInt64(Float(score).bitPattern)] { sum = (sum ^ part) &* 0x0000_0100_0000_01B3 }
        }
        if way == "vector" {
            let (store, index) = (try reader(folder), VectorIndex(scope: scope, dimension: dimension))
            for _ in 0..<times {
                for query in corpus.queries {
                    for match in try store.read({ try index.search(query.vector, count: 10, in: $0) }) { add(match.node.rawValue, Double(match.cosine)) }
                }
            }
        } else {
            guard let mode = SearchMode(rawValue: way) else { throw ContexError.badRequest("\(way) is no way to ask") }
            var configuration = DatabaseConfiguration(directory: folder)
            configuration.mapBytes = mapBytes
            let database = try Database(configuration: configuration, models: corpus.models)
            for _ in 0..<times {
                for query in corpus.queries {
                    for match in try await database.query(.standard, request(query, mode)).matches {
                        add(UInt32(match.documentKey.dropFirst("text-".count))!, match.similarity)
                    }
                }
            }
            await database.close()
        }
        print("\(way): \(count) answers, sum \(String(sum, radix: 16))")
    }

    static func percentile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }

    static func figure(_ value: Double) -> String { String(format: "%.1f", value) }
    static func share(_ value: Double) -> String { String(format: "%.4f", value) }
}


/// A way to ask; says how many answers there were.
struct Way: Sendable {
    let name: String
    let ask: @Sendable (Corpus.Query) async throws -> Int

    init(_ name: String, _ ask: @escaping @Sendable (Corpus.Query) async throws -> Int) {
        self.name = name
        self.ask = ask
    }
}

/// Texts, one a line, and their vectors, 384 float32 each; the last 1,000 are queries.
struct Corpus: Sendable {
    struct Query: Sendable {
        let text: String
        let vector: [Float]
    }
    let texts: [String]
    let vectors: [[Float]]
    let count: Int
    let queries: [Query]

    init(_ folder: String, count: Int? = nil) throws {
        let texts = try String(contentsOfFile: folder + "/texts.txt", encoding: .utf8).split(separator: "\n").map(String.init)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/vectors.f32"), options: .alwaysMapped)
        let width = HybridBenchmark.dimension
        guard data.count == 4 * width * texts.count, texts.count > HybridBenchmark.queryCount else {
            throw ContexError.badRequest("\(folder): \(texts.count) texts, \(data.count / 4 / width) vectors of \(width)")
        }
        let vectors: [[Float]] = data.withUnsafeBytes { bytes in
            (0..<texts.count).map { row in (0..<width).map { bytes.loadUnaligned(fromByteOffset: 4 * (row * width + $0), as: Float.self) } }
        }
        let first = texts.count - HybridBenchmark.queryCount
        self.count = min(count ?? first, first)
        (self.texts, self.vectors) = (texts, vectors)
        queries = (first..<texts.count).map { Query(text: Self.plain(texts[$0]), vector: vectors[$0]) }
    }

    /// Signs of the query language ("-", quotation marks, ...) taken away: a filtered search is another question.
    private static func plain(_ text: String) -> String {
        let syntax = TextSearchQuery(text)
        if syntax.isPlain, syntax.plainText == text { return text }
        return String(text.map { $0.isLetter || $0.isNumber ? $0 : " " })
    }

    var models: Models {
        let table = Dictionary(queries.map { ($0.text, $0.vector) }) { first, _ in first }
        return Models(
            identity: "given", dimension: HybridBenchmark.dimension,
            embed: { texts in
                try texts.map { text in
                    guard let vector = table[text] else { throw ContexError(.bug, "no vector was given for '\(text)'") }
                    return vector
                }
            }, countTokens: { $0.utf8.count / 4 })
    }
}

/// The ten nearest nodes of each query.
struct Truth {
    private let nearest: [Set<Int32>]

    init(_ path: String) throws {
        let numbers = try Data(contentsOf: URL(fileURLWithPath: path)).withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
        nearest = stride(from: 0, to: numbers.count, by: 10).map { Set(numbers[$0..<$0 + 10]) }
    }

    func hits(_ query: Int, _ found: some Swift.Sequence<VectorMatch>) -> Int {
        found.count { nearest[query].contains(Int32(bitPattern: $0.node.rawValue)) }
    }
}
