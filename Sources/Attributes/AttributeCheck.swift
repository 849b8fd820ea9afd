internal import Base
internal import KeySpace
public import LMDB

/// Holds the index against the documents: every record says what some document says, and every document is in the records.
///
/// Memory: the key of each record and a number.
public struct AttributeCheck: Sendable {
    private let index: AttributeIndex
    private var counts: [[UInt8]: Int] = [:]
    private var times = 0
    private var found: [String] = []
    private static let findingsMax = 100

    public init(_ index: AttributeIndex) { self.index = index }

    /// Looks for one document; each of the project must come once.
    public mutating func expect(_ document: DocumentAttributes, in view: borrowing TransactionView) throws {
        guard found.count < Self.findingsMax else { return }
        let chunks = Dictionary(grouping: Set(document.numbers), by: NodeChunk.number(of:))
        let further = Dictionary(grouping: Set(document.furtherPassages), by: NodeChunk.number(of:))
        let entries = (chunks.isEmpty ? [] : document.entries()).map { ($0, chunks) } + [(AttributeKey.furtherPassages, further)]
        for (entry, chunks) in entries {
            for (number, nodes) in chunks {
                let key = index.key(entry, chunk: number)
                counts[key, default: 0] += nodes.count
                var chunk = NodeChunk()
                if let payload = try view.load(key) { chunk = try NodeChunk(payload) }
                for node in nodes where !chunk.contains(NodeChunk.place(of: node)) {
                    found.append("'\(document.key)': node \(node.rawValue) is not in the index of \(AttributeKey.describe(entry))")
                }
            }
        }
        for (chunk, nodes) in Dictionary(grouping: Set(document.numbers), by: { $0.rawValue >> TimeColumn.shift }) {
            var column = [Int64](repeating: TimeColumn.none, count: TimeColumn.nodes)
            if let payload = try view.load(index.scope.key(.attributeTimes, chunk)) { try TimeColumn.read(payload) { column[$0] = $1 } }
            for node in nodes where column[Int(node.rawValue) % TimeColumn.nodes] != document.updatedAt.rawValue {
                found.append("'\(document.key)': node \(node.rawValue) is not in the index with its time")
            }
            times += nodes.count
        }
    }

    /// After the last document: each finding is a sentence.
    public mutating func findings(in view: borrowing TransactionView) throws -> [String] {
        var records = 0
        try view.scanRecords(prefix: index.scope.key(.attributeNodes)) { key, payload in
            records += 1
            let chunk = try NodeChunk(payload)
            let name = AttributeKey.describe(key.dropFirst(TenantScope.prefixBytes))
            guard let expected = counts[key] else {
                found.append("the index of \(name) has a record that no document gives")
                return found.count < Self.findingsMax ? .onward : .stop
            }
            if chunk.count != expected { found.append("the index of \(name) has \(chunk.count) nodes where the documents have \(expected)") }
            if chunk.count > 0, chunk.encode() != Array(payload) { found.append("a record of \(name) is not in its shortest form") }
            return found.count < Self.findingsMax ? .onward : .stop
        }
        if found.isEmpty, records != counts.count { found.append("the attribute index has \(records) records, the documents give \(counts.count)") }
        var stored = 0
        try view.scanRecords(prefix: index.scope.key(.attributeTimes)) { _, payload in
            try TimeColumn.read(payload) { if $1 != TimeColumn.none { stored += 1 } }
            return .onward
        }
        if stored != times { found.append("the attribute index has the times of \(stored) nodes, the documents have \(times)") }
        return found
    }
}
