// What a store holds and what it costs, read from a data folder: for operators, beside a running server.

public import Base
internal import Documents
public import Journal
internal import KeySpace
internal import LMDB
internal import Needs

/// Counts and bytes of one snapshot of a store.
public struct StoreReport: Sendable {
    /// The records of one kind, in all projects.
    public struct Kind: Sendable {
        public let name: String
        public let records: Int
        /// Keys and values, without what LMDB adds around them.
        public let bytes: Int
    }

    public let projects: [ProjectSummary]
    /// Kinds that have a record, in the order of their numbers.
    public let kinds: [Kind]
    /// Pages in use or free inside the file, times the page size.
    public let fileBytes: Int
    /// Levels of the B+tree.
    public let depth: Int
    /// The number of the newest commit.
    public let lastTransaction: UInt64
    /// How many commands have changed the store, and when the last one was proposed.
    public let position: StorePosition
    /// The positions that the journal has; nil without one.
    public let journal: ClosedRange<Position>?
    /// Slots of the reader table that were ever used; the server needs one for each query at a time.
    public let readers: Int

    /// - Parameter directory: the data directory; the store in it is opened for reading only.
    /// - Throws: `.notFound` when there is no store; `.damaged` when it cannot be opened or read.
    /// - Complexity: O(records); reads keys and the sizes of values, not the values.
    public static func read(directory: String) throws -> StoreReport {
        let environment = try Database.openForReading(directory: directory)
        do {
            let statistics = try environment.statistics()
            return try environment.read { view in
                guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
                var sums: [KeyKind: (records: Int, bytes: Int)] = [:]
                try view.scan(prefix: []) { key, value in
                    guard let kind = KeyKind(ofKey: key) else { throw ContexError.damaged("a key of no known kind: run 'contex check'") }
                    sums[kind, default: (0, 0)].records += 1
                    sums[kind, default: (0, 0)].bytes += key.byteCount + value.byteCount
                    return .onward
                }
                return StoreReport(
                    projects: try Database.summaries(.standard, in: view),
                    kinds: KeyKind.allCases.compactMap { kind in sums[kind].map { Kind(name: "\(kind)", records: $0.records, bytes: $0.bytes) } },
                    fileBytes: statistics.bytesUsed, depth: statistics.depth, lastTransaction: statistics.lastTransaction,
                    position: try StorePosition.load(view), journal: try Journal().state(in: view).map { $0.first...$0.last },
                    readers: statistics.readers)
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }
}
