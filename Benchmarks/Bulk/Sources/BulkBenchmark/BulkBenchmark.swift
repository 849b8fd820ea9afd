// BulkBenchmark reindex [COUNT] [ROUNDS]   a reindex of documents with vectors of their own: as it was (single inserts, text by 256)
//                                          and as it is, in turn
// BulkBenchmark import [COUNT ...]         an import of so many lines with vectors into an empty folder: single inserts, bulk, in turn
// BulkBenchmark grow BEFORE NEW            the same into a project that has vectors already
//
// Vectors are made up: clusters on a sphere. Times by the clock; medians of the rounds.

import Base
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import Vectors

let dimension = 384
let models = Models(
    identity: "none", dimension: dimension, embed: { texts in texts.map { _ in [1] + [Float](repeating: 0, count: dimension - 1) } },
    countTokens: { $0.utf8.count / 4 })
let project = Name(stored: "p")

/// Clusters of equal size, each spread over thirty directions.
struct Samples {
    private var random = SeededRandom(seed: 7)
    private let centres: [[Float]]
    private let directions: [[Float]]

    init() {
        var random = SeededRandom(seed: 8)
        func axis() -> [Float] { (0..<dimension).map { _ in Float(random.unit() + random.unit() + random.unit() - 1.5) / 10 } }
        centres = (0..<200).map { _ in axis() }
        directions = (0..<300).map { _ in axis() }
    }

    mutating func next() -> [Float] {
        let cluster = Int(random.unit() * Double(centres.count))
        var vector = centres[cluster]
        for place in 0..<30 {
            let share = Float(random.unit() - 0.5)
            for (i, value) in directions[(cluster * 7 + place) % directions.count].enumerated() { vector[i] += share * value }
        }
        return vector
    }
}

func text(_ number: Int) -> String { "document \(number) of word\(number % 977) and word\(number % 1_009) with some more of the words that all have" }

func line(_ number: Int, _ samples: inout Samples) -> String {
    let vector = samples.next().map { "\($0)" }.joined(separator: ",")
    return #"{"project_id":"p","data_key":"k\#(number)","data":{"text":"\#(text(number))"},"vector":[\#(vector)]}"# + "\n"
}

func folder() throws -> String {
    let path = FileManager.default.temporaryDirectory.path + "/bulk-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}

func timed(_ body: () async throws -> Void) async rethrows -> Double {
    let started = ContinuousClock.now
    try await body()
    return (ContinuousClock.now - started) / .seconds(1)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func importing(_ lines: [String], into path: String, bulkFrom: Int) async throws -> LineImport.Report {
    var options = LineImport.Options()
    options.bulkFrom = bulkFrom
    var place = 0
    return try await LineImport.run(configuration: DatabaseConfiguration(directory: path), models: models, name: "made up", options: options) {
        guard place < lines.count else { return [] }
        defer { place += 500 }
        return Array(lines[place..<min(lines.count, place + 500)].joined().utf8)
    }
}

/// The way of a reindex before it built graphs in bulk.
func singly(_ path: String) throws {
    let environment = try Environment(path: DatabaseConfiguration(directory: path).storePath, options: .init(mapBytes: 1 << 40))
    let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
    let index = VectorIndex(scope: scope, dimension: dimension)
    let nodes = try environment.read { (view: borrowing TransactionView) throws in
        try index.nodes(in: view).map { ($0, try index.vector(of: $0, in: view)!) }
    }
    func write(_ body: (inout WriteTransaction) throws -> Void) throws {
        var transaction = try environment.beginWrite()
        try body(&transaction)
        try transaction.commit()
    }
    try write {
        try index.removeAll(in: &$0)
        try TextIndex(scope: scope).removeAll(in: &$0)
    }
    for start in stride(from: 0, to: nodes.count, by: 256) {
        let batch = nodes[start..<min(nodes.count, start + 256)]
        try write { transaction in
            for (node, vector) in batch { try index.insert(node, vector, in: &transaction) }
            try TextIndex(scope: scope).apply(
                batch.map { TextChange(node: $0.0, new: AnalyzedText("root | text: " + text(Int($0.0.rawValue) - 1))) }, in: &transaction)
        }
    }
}

let arguments = CommandLine.arguments.dropFirst()
let numbers = arguments.dropFirst().compactMap { Int($0) }
var samples = Samples()
switch arguments.first {
case "reindex":
    let count = numbers.first ?? 20_000
    let path = try folder()
    _ = try await importing((0..<count).map { line($0, &samples) }, into: path, bulkFrom: 1)
    var (before, after): ([Double], [Double]) = ([], [])
    for _ in 0..<(numbers.dropFirst().first ?? 3) {
        before.append(try await timed { try singly(path) })
        after.append(try await timed { _ = try await Reindex.run(configuration: DatabaseConfiguration(directory: path), models: models) })
        print("single inserts \(before.last!) s, bulk \(after.last!) s")
    }
    print("reindex of \(count): \(median(before)) s by single inserts, \(median(after)) s in bulk: x \(median(before) / median(after))")
    print("findings: \(try IntegrityCheck.run(directory: path).findings)")
    try FileManager.default.removeItem(atPath: path)
case "import":
    for count in numbers.isEmpty ? [250, 500, 1_000, 2_000, 4_000, 8_000] : numbers {
        let lines = (0..<count).map { line($0, &samples) }
        var times: [Int: [Double]] = [:]
        for _ in 0..<3 {
            for bulkFrom in [Int.max, 1] {
                let path = try folder()
                times[bulkFrom, default: []].append(try await timed { _ = try await importing(lines, into: path, bulkFrom: bulkFrom) })
                try FileManager.default.removeItem(atPath: path)
            }
        }
        let (single, bulk) = (median(times[Int.max]!), median(times[1]!))
        print("import of \(count): \(single) s by single inserts, \(bulk) s in bulk: x \(single / bulk)")
    }
case "grow":
    let (before, new) = (numbers[0], numbers[1])
    let old = (0..<before).map { line($0, &samples) }
    let lines = (before..<before + new).map { line($0, &samples) }
    for bulkFrom in [Int.max, 1] {
        let path = try folder()
        _ = try await importing(old, into: path, bulkFrom: 1)
        var linked = 0
        let seconds = try await timed { linked = try await importing(lines, into: path, bulkFrom: bulkFrom).linked }
        print("\(new) to \(before), bulk from \(bulkFrom): \(seconds) s, \(linked) linked in bulk")
        try FileManager.default.removeItem(atPath: path)
    }
default: print("BulkBenchmark reindex [COUNT] [ROUNDS] | import [COUNT ...] | grow BEFORE NEW")
}
