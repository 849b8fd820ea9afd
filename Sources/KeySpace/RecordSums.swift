// How many records of each kind a scope has, and the sum of their hashes: written with every commit, so that a record that is gone, or an older
// one that has come back, is noticed although all seals are right.
//
//     (tenant, project, recordSums)   of each kind in this scope: count and sum
//     (0, 0, recordSums)              the root: of the store's own kinds the same, and of all other sums, as of records of the kind recordSums
//
// The root's record is what says that a store keeps sums at all. A store of an earlier build has none and is left so, until somebody who knows
// it to be sound counts it (`contex reindex`). Layout and hash: docs/formats/keyspace-v1.md; why: docs/decisions/0084-records-are-counted.md

internal import Base
public import LMDB

public enum RecordSums {
    /// Of one scope, by kind. Kinds without a record have no sum.
    typealias Sums = [UInt8: RecordSum]

    /// Whether the store keeps sums.
    public static func areKept(in view: borrowing TransactionView) throws(LMDBError) -> Bool { try view.get(rootKey) != nil }

    /// From now on sums are kept in a store that is empty.
    public static func begin(in transaction: inout WriteTransaction) throws(LMDBError) {
        try transaction.putUncounted(rootKey, Seal.sealed(rootKey, encode([:])))
    }

    /// Counts the records as they are, and takes that for what was written.
    /// - Parameter kinds: of these alone, in a store that keeps sums; nil: of all, in every store.
    /// - Throws: `.damaged` for a key of no scope.
    /// - Complexity: O(records), and of values their envelopes are read.
    public static func recount(_ kinds: Set<KeyKind>? = nil, in transaction: inout WriteTransaction) throws {
        try TenantStorage.recount(in: &transaction)
        // What this transaction did is counted by both ways, and once only.
        try transaction.settleRecords()
        var tally = RecordTally()
        try transaction.view.scan(prefix: []) { key, value in
            tally.add(key, value)
            return .onward
        }
        tally.close()
        let chosen = kinds.map { Set($0.map(\.rawValue)) }
        var root = tally.scopes[0] ?? [:]
        if chosen != nil {
            guard let kept = try? sums(of: 0, in: transaction.view) else { return }
            root = merged(kept, root, chosen)
        }
        root[KeyKind.recordSums.rawValue] = nil
        var all = RecordSum.zero
        for scope in Set(tally.scopes.keys).union(tally.sums.keys).sorted() where scope != 0 {
            let key = key(of: scope)
            var found = tally.scopes[scope] ?? [:]
            if chosen != nil { found = merged((try? sums(of: scope, in: transaction.view)) ?? [:], found, chosen) }
            guard !found.isEmpty else {
                try transaction.deleteUncounted(key)
                continue
            }
            let value = Seal.sealed(key, encode(found))
            try transaction.putUncounted(key, value)
            all += unsafe RecordSum(key: key.span.bytes, value: value.span.bytes)
        }
        if all != .zero { root[KeyKind.recordSums.rawValue] = all }
        try transaction.putUncounted(rootKey, Seal.sealed(rootKey, encode(root)))
    }

    private static func merged(_ kept: Sums, _ found: Sums, _ chosen: Set<UInt8>?) -> Sums {
        var sums = kept
        for kind in Set(kept.keys).union(found.keys) where chosen?.contains(kind) != false { sums[kind] = found[kind] }
        return sums
    }

    // MARK: - Records

    /// What the sums of a scope are now, as they stand in the store: equal as long as nobody writes there.
    public static func stamp(of scope: TenantScope, in view: borrowing TransactionView) throws(LMDBError) -> [UInt8]? {
        try view.copy(scope.key(.recordSums))
    }

    static let rootKey = TenantScope.system.key(.recordSums)

    static func key(of scope: UInt64) -> [UInt8] {
        var key: [UInt8] = []
        key.append(bigEndian: scope)
        key.append(KeyKind.recordSums.rawValue)
        return key
    }

    /// - Throws: `.damaged`
    /// - Returns: nil when there is none.
    static func sums(of scope: UInt64, in view: borrowing TransactionView) throws -> Sums? {
        guard let bytes = try view.loadBytes(key(of: scope)) else { return nil }
        return try decode(bytes)
    }

    static func encode(_ sums: Sums) -> [UInt8] {
        var writer = ByteWriter(capacity: 2 + 26 * sums.count)
        writer.varint(UInt64(sums.count))
        for (kind, sum) in sums.sorted(by: { $0.key < $1.key }) {
            writer.u8(kind)
            writer.varint(sum.count)
            writer.u64(sum.first)
            writer.u64(sum.second)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> Sums {
        var reader = ByteReader(bytes)
        var sums: Sums = [:]
        var before = -1
        for _ in 0..<(try reader.count(limit: 256)) {
            let kind = try reader.u8()
            let sum = RecordSum(count: try reader.varint(), first: try reader.u64(), second: try reader.u64())
            guard Int(kind) > before, sum != .zero else { throw ContexError.damaged("the sums of records are out of order") }
            sums[kind] = sum
            before = Int(kind)
        }
        try reader.end()
        return sums
    }
}

/// Writes the sums with every commit of a store that keeps them.
struct RecordCounter: RecordLedger {
    func settle(_ changes: [RecordGroup: RecordSum], bytes: [RecordGroup: Int], in transaction: inout WriteTransaction) throws(LMDBError) {
        let ownKind = KeyKind.recordSums.rawValue
        var changes = changes
        try TenantStorage.add(bytes, &changes, in: &transaction)
        // Damaged sums are left as they are: a check names them, and no command has to be refused for them.
        guard var root = try? RecordSums.sums(of: 0, in: transaction.view) else { return }
        var scopes: [UInt64: [(kind: UInt8, change: RecordSum)]] = [:]
        for (group, change) in changes {
            precondition(group.kind != ownKind, "sums of records are not written as records are")
            scopes[group.scope, default: []].append((group.kind, change))
        }
        func apply(_ changes: [(kind: UInt8, change: RecordSum)], _ sums: inout RecordSums.Sums) {
            for (kind, change) in changes {
                sums[kind, default: .zero] += change
                if sums[kind] == .zero { sums[kind] = nil }
            }
        }
        for (scope, changes) in scopes.sorted(by: { $0.key < $1.key }) where scope != 0 {
            let key = RecordSums.key(of: scope)
            var sums: RecordSums.Sums = [:]
            var change = RecordSum.zero
            if let old = try transaction.view.get(key) {
                guard let known = try? RecordSums.sums(of: scope, in: transaction.view) else { continue }
                sums = known
                change -= unsafe RecordSum(key: key.span.bytes, value: old)
            }
            apply(changes, &sums)
            if sums.isEmpty {
                try transaction.deleteUncounted(key)
            } else {
                let value = Seal.sealed(key, RecordSums.encode(sums))
                try transaction.putUncounted(key, value)
                change += unsafe RecordSum(key: key.span.bytes, value: value.span.bytes)
            }
            apply([(ownKind, change)], &root)
        }
        apply(scopes[0] ?? [], &root)
        try transaction.putUncounted(RecordSums.rootKey, Seal.sealed(RecordSums.rootKey, RecordSums.encode(root)))
    }
}

/// What the records of a store add up to, as they are come to.
public struct RecordTally: Sendable {
    fileprivate(set) var scopes: [UInt64: RecordSums.Sums] = [:]
    /// Of each scope's own sums.
    fileprivate(set) var sums: [UInt64: RecordSum] = [:]
    /// Of each tenant, what `TenantStorage` counts.
    fileprivate var bytes: [UInt32: Int] = [:]
    private var group = RecordGroup(scope: 0, kind: 0)
    private var sum = RecordSum.zero
    private var weight = 0

    public init() {}

    /// Fast when records come in the order of their keys.
    public mutating func add(_ key: borrowing RawSpan, _ value: borrowing RawSpan) {
        let own = RecordGroup(key: key)
        if own != group {
            close()
            group = own
        }
        sum += RecordSum(key: key, value: value)
        weight += key.byteCount + value.byteCount
    }

    fileprivate mutating func close() {
        if sum != .zero {
            if group.kind == KeyKind.recordSums.rawValue {
                sums[group.scope, default: .zero] += sum
            } else {
                scopes[group.scope, default: [:]][group.kind, default: .zero] += sum
                if !TenantStorage.uncounted.contains(group.kind) { bytes[group.holder, default: 0] += weight }
            }
        }
        (sum, weight) = (.zero, 0)
    }

    /// Where the records of one scope are not those that were written; of the store's own, or in a store that keeps no sums, nothing is said.
    /// - Throws: `.damaged` when the sums cannot be read.
    public consuming func differences(of scope: TenantScope, in view: borrowing TransactionView) throws -> [Difference] {
        close()
        guard scope != .system, try RecordSums.areKept(in: view) else { return [] }
        let place = UInt64(scope.tenant.rawValue) << 32 | UInt64(scope.project.rawValue)
        let found = scopes[place] ?? [:]
        guard let written = try RecordSums.sums(of: place, in: view) else { return found.isEmpty ? [] : [Difference(scope: scope, what: .noSums)] }
        return Self.differences(found, written, in: scope)
    }

    private static func differences(_ found: RecordSums.Sums, _ written: RecordSums.Sums, in scope: TenantScope) -> [Difference] {
        Set(found.keys).union(written.keys).sorted().filter { found[$0] != written[$0] }.map { kind in
            let (found, written) = (found[kind]?.count ?? 0, written[kind]?.count ?? 0)
            return Difference(scope: scope, what: found == written ? .other(kind: kind) : .count(kind: kind, found: found, written: written))
        }
    }

    /// Where the records are not those that were written.
    public struct Difference: Sendable, Equatable {
        public enum What: Sendable, Equatable {
            /// So many are there, so many were written.
            case count(kind: UInt8, found: UInt64, written: UInt64)
            /// As many as were written, but not the same.
            case other(kind: UInt8)
            /// There are records, and no sums; or sums, and the store says that it keeps none.
            case noSums
            /// The sums themselves are not those that were written last.
            case oldSums
            /// The tenant has so many bytes, and is said to have so many.
            case storage(found: Int, counted: Int)
        }
        /// nil: the store as a whole.
        public let scope: TenantScope?
        public let what: What

        public init(scope: TenantScope?, what: What) {
            self.scope = scope
            self.what = what
        }
    }

    /// In the order of scopes and kinds; none in a store that keeps no sums.
    /// - Throws: `.damaged` when the sums cannot be read.
    public consuming func differences(in view: borrowing TransactionView) throws -> [Difference] {
        close()
        guard let root = try RecordSums.sums(of: 0, in: view) else { return sums.isEmpty ? [] : [Difference(scope: nil, what: .noSums)] }
        var differences: [Difference] = []
        var all = RecordSum.zero
        for scope in Set(scopes.keys).union(sums.keys).union([0]).sorted() {
            let found = scopes[scope] ?? [:]
            let place = TenantScope(
                tenant: TenantID(rawValue: UInt32(truncatingIfNeeded: scope >> 32)), project: ProjectID(rawValue: UInt32(truncatingIfNeeded: scope)))
            let written: RecordSums.Sums
            if scope == 0 {
                written = root.filter { $0.key != KeyKind.recordSums.rawValue }
            } else if let sums = try RecordSums.sums(of: scope, in: view) {
                written = sums
                all += self.sums[scope] ?? .zero
            } else {
                differences.append(Difference(scope: place, what: .noSums))
                continue
            }
            differences += Self.differences(found, written, in: place)
        }
        for (tenant, found) in bytes.sorted(by: { $0.key < $1.key }) {
            let tenant = TenantID(rawValue: tenant)
            guard let counted = try TenantStorage.bytes(of: tenant, in: view), counted != found else { continue }
            differences.append(Difference(scope: TenantScope(tenant: tenant, project: .tenantLevel), what: .storage(found: found, counted: counted)))
        }
        if all != root[KeyKind.recordSums.rawValue] ?? .zero { differences.append(Difference(scope: nil, what: .oldSums)) }
        return differences
    }
}

extension Environment {
    /// A store of ours, whose records are counted. Every writer of a store that may keep sums opens it so.
    public convenience init(store path: String, options: Options = Options()) throws(LMDBError) {
        var options = options
        options.ledger = RecordCounter()
        try self.init(path: path, options: options)
    }
}
