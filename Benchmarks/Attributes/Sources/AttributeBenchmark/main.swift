// One node a document, each with its own key, number, time and date, and flags that one in 2, 10, 100 and 1,000 have.

import Attributes
import Base
import Content
import Foundation
import KeySpace
import LMDB

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]) else {
    print("usage: AttributeBenchmark <folder> <documents>")
    exit(2)
}
let folder = arguments[1]
try? FileManager.default.removeItem(atPath: folder)
try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
let environment = try Environment(path: folder, options: .init(durability: .unsafeNoSync, mapBytes: 8 << 30))
let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))
let index = AttributeIndex(scope: scope)
var random = SeededRandom(seed: 20)

/// The numbers below a billion, out of order.
func scattered(_ number: Int) -> Int { Int((UInt64(number) &* 0x9E37_79B9_7F4A_7C15) >> 32) % 1_000_000_000 }

func document(_ number: Int) -> DocumentAttributes {
    let time = Timestamp(rawValue: 1_700_000_000_000_000 + Int64(number) * 1_000_003)
    let metadata: JSONObject = JSONObject([
        ("team", .string("team \(number % 10)")), ("half", .bool(number % 2 == 0)), ("hundredth", .bool(number % 100 == 0)),
        ("thousandth", .bool(number % 1_000 == 0)), ("size", .integer(scattered(number))), ("due", .string(time.iso8601)),
        ("owner", ["name": .string("person \(number % 317)")]), ("tags", .array([.string("t\(number % 50)"), .string("u\(number % 7)")])),
    ])
    return DocumentAttributes(
        key: Name(stored: "docs/part \(number % 40)/\(number)"), format: number % 3 == 0 ? "json" : "text", updatedAt: time,
        publisher: Publisher(keyID: "00000000000000aa", name: "ci"), metadata: metadata, nodes: [NodeID(rawValue: UInt32(number + 1))])
}

let clock = ContinuousClock()
func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }
func text(_ value: Double, _ digits: Int = 3) -> String { String(format: "%.\(digits)f", value) }

// MARK: - Writing

var build = Duration.zero
for start in stride(from: 0, to: count, by: 1_000) {
    let documents = (start..<min(count, start + 1_000)).map(document)
    var transaction = try environment.beginWrite()
    build += try clock.measure { for document in documents { try index.replace(nil, with: document, in: &transaction) } }
    // What a scan would read: the metadata as it lies in a document's record.
    for document in documents {
        var writer = ByteWriter()
        writer.blob(JSONPrinter.bytes(.object(document.metadata)))
        try transaction.store(scope.key(.document, document.nodes[0].rawValue), writer.bytes)
    }
    try transaction.commit()
    environment.growFile()
}
print("\(count) documents: \(text(1_000 * milliseconds(build) / Double(count), 1)) us each to index, in transactions of 1,000")
try environment.read { view in
    for (name, kind) in [("nodes by value", KeyKind.attributeNodes), ("times", .attributeTimes), ("documents (metadata as JSON)", .document)] {
        var (records, bytes) = (0, 0)
        try view.scan(prefix: scope.key(kind)) { key, value in
            records += 1
            bytes += key.byteCount + value.byteCount
            return .onward
        }
        print("\(name): \(records) records, \(text(Double(bytes) / Double(count), 1)) bytes a document")
    }
}

// MARK: - Filters

let list = (0..<1_000).map { _ in
    let number = Int(random.next() % UInt64(count))
    return "\"docs/part \(number % 40)/\(number)\""
}
let middle = Timestamp(rawValue: 1_700_000_000_000_000 + Int64(count / 2) * 1_000_003).iso8601
let filters: [(String, String)] = [
    ("equal, 1 in 2", #"{"metadata.half":true}"#),
    ("equal, 1 in 10", #"{"metadata.team":"team 3"}"#),
    ("equal, 1 in 100", #"{"metadata.hundredth":true}"#),
    ("equal, 1 in 1,000", #"{"metadata.thousandth":true}"#),
    ("one data_key", #"{"data_key":"docs/part 7/7"}"#),
    ("1,000 data_keys", #"{"data_key":[\#(list.joined(separator: ","))]}"#),
    ("data_key prefix, 1 in 40", #"{"data_key":{"prefix":"docs/part 7/"}}"#),
    ("range of distinct numbers, 1 in 2", #"{"metadata.size":{"lt":500000000}}"#),
    ("range of distinct numbers, 1 in 10", #"{"metadata.size":{"gte":100000000,"lt":200000000}}"#),
    ("range of distinct numbers, 1 in 1,000", #"{"metadata.size":{"gte":100000000,"lt":101000000}}"#),
    ("range of distinct dates, 1 in 2", #"{"metadata.due":{"gte":"\#(middle)"}}"#),
    ("updated_after, 1 in 2", #"{"updated_after":"\#(middle)"}"#),
    ("exists and not equal, 9 in 10", #"{"metadata.team":{"exists":true,"ne":"team 3"}}"#),
    (
        "five conditions",
        #"{"metadata.team":["team 1","team 2"],"metadata.half":true,"or":[{"metadata.tags":"t4"},{"metadata.owner.name":"person 8"}],"data_format":"json"}"#
    ),
]
func median(_ runs: Int, _ body: () throws -> Void) rethrows -> Double {
    var times: [Double] = []
    for _ in 0..<runs { times.append(milliseconds(try clock.measure(body))) }
    return times.sorted()[runs / 2]
}

try environment.read { view in
    for (name, json) in filters {
        let filter = try Filter(JSONParser.parse(text: json))
        var passing = 0
        let time = try median(21) { passing = try index.nodes(passing: filter, in: view).count }
        print("\(name): \(passing) pass, \(text(time)) ms")
    }
    // The same question without an index: every document's metadata read and parsed.
    var passing = 0
    let scan = try median(3) {
        passing = 0
        try view.scanRecords(prefix: scope.key(.document)) { _, payload in
            var reader = ByteReader(Array(payload))
            if try JSONParser.parse(try reader.blob())["team"]?.stringValue == "team 3" { passing += 1 }
            return .onward
        }
    }
    print("scan of all metadata, 1 in 10: \(passing) pass, \(text(scan, 1)) ms")
}
