// What a store holds and what it costs, read from a data folder: for operators, beside a running server.

public import Base
internal import Documents
public import Engine
public import Journal
internal import KeySpace
internal import LMDB
internal import Needs
internal import Tenants

/// Counts and bytes of one snapshot of a store.
public struct StoreReport: Sendable {
    /// The records of one kind, in all projects.
    public struct Kind: Sendable {
        public let name: String
        public let records: Int
        /// Keys and values, without what LMDB adds around them.
        public let bytes: Int
        /// Of the file: whole pages, and of a page with records of several kinds the share of each.
        public let diskBytes: Int
    }

    /// Of the standard tenant.
    public let projects: [ProjectSummary]
    /// Of a store with several tenants what each holds of it.
    public struct Tenant: Sendable {
        public let name: String
        public let projects: Int
        public let bytes: Int
    }
    public let tenants: [Tenant]
    /// Kinds that have a record, in the order of their numbers.
    public let kinds: [Kind]
    /// Pages in use or free inside the file, times the page size.
    public let fileBytes: Int
    /// Pages that hold records.
    public var recordBytes: Int { kinds.reduce(0) { $0 + $1.diskBytes } }
    /// Pages that lead to them.
    public let branchBytes: Int
    /// Pages that the next commits write over, and the few that LMDB keeps for itself.
    public var freeBytes: Int { max(0, fileBytes - recordBytes - branchBytes) }
    /// Of all these projects.
    public var nodes: Int { projects.reduce(0) { $0 + $1.nodes } }
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
    /// - Complexity: O(records); reads keys and the sizes of values, of long values nothing; each page once before LMDB does.
    public static func read(directory: String) throws -> StoreReport {
        let environment = try Database.openForReading(directory: directory)
        do {
            let statistics = try environment.statistics()
            return try environment.readVerified { view in
                guard try StoreFormat.verify(view) else { throw ContexError(.storeNotFound, "the store is empty") }
                var usage = KindUsage()
                try view.scanPlaces { key, value, place in
                    guard let kind = KeyKind(ofKey: key) else { throw ContexError.damaged("a key of no known kind: run 'contex check'") }
                    usage.add(kind, bytes: key.byteCount + value.byteCount, place)
                }
                return StoreReport(
                    projects: try Database.summaries(.standard, in: view), tenants: try tenants(in: view),
                    kinds: usage.kinds(), fileBytes: statistics.bytesUsed, branchBytes: statistics.branchBytes, depth: statistics.depth,
                    lastTransaction: statistics.lastTransaction, position: try StorePosition.load(view),
                    journal: try Journal().state(in: view).map { $0.first...$0.last }, readers: statistics.readers)
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    private static func tenants(in view: borrowing TransactionView) throws -> [Tenant] {
        try TenantRegistry.tenants(in: view).map { tenant in
            Tenant(
                name: tenant.name.text, projects: try ProjectRegistry(tenant: tenant.number).entries(in: view).count,
                bytes: try TenantStorage.bytes(of: tenant.number, in: view) ?? 0)
        }
    }
}

/// Records, bytes and pages by kind. A page with records of several kinds is shared by what each takes of it.
private struct KindUsage {
    private var sums: [KeyKind: (records: Int, bytes: Int, ownBytes: Int, leafBytes: Double)] = [:]
    /// The leaf that is being walked over, and what is on it.
    private var leaf: UInt?
    private var onLeaf: [KeyKind: Int] = [:]
    private static let pageBytes = 4_096.0

    mutating func add(_ kind: KeyKind, bytes: Int, _ place: PagePlace) {
        if place.leaf != leaf { close() }
        leaf = place.leaf
        onLeaf[kind, default: 0] += place.leafBytes
        var sum = sums[kind] ?? (0, 0, 0, 0)
        sum.records += 1
        sum.bytes += bytes
        sum.ownBytes += place.ownBytes
        sums[kind] = sum
    }

    private mutating func close() {
        let all = onLeaf.values.reduce(0, +)
        for (kind, bytes) in onLeaf { sums[kind]!.leafBytes += Self.pageBytes * Double(bytes) / Double(all) }
        onLeaf.removeAll(keepingCapacity: true)
    }

    mutating func kinds() -> [StoreReport.Kind] {
        close()
        return KeyKind.allCases.compactMap { kind in
            sums[kind].map {
                StoreReport.Kind(name: "\(kind)", records: $0.records, bytes: $0.bytes, diskBytes: $0.ownBytes + Int($0.leafBytes.rounded()))
            }
        }
    }
}
