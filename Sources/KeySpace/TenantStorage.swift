// How many bytes the records of a tenant have: a number that each commit brings up to date, whoever wrote.
//
//     (tenant, 0, tenantStorage)   u64: bytes of the keys and values of all the tenant's records, but for those of the kinds that are no content
//
// Only a tenant that somebody counts has the record. The change comes out of the same place as the sums of records (RecordSums.swift), so no store
// and no tool can forget it, and it costs nothing but a record of fourteen bytes for each commit. Inside a transaction what it has done so far is added.

public import Base
public import LMDB

public enum TenantStorage {
    /// Kinds that do not count: the sums of records, which follow from them, and what a server remembers for itself. So the number is a function of the
    /// commands, the same wherever they are applied.
    static let uncounted: Set<UInt8> = [KeyKind.recordSums.rawValue, KeyKind.usedQueries.rawValue]

    static func key(of tenant: TenantID) -> [UInt8] { TenantScope(tenant: tenant, project: .tenantLevel).key(.tenantStorage) }

    /// As of the last commit; nil: nobody counts.
    /// - Throws: `.damaged`
    public static func bytes(of tenant: TenantID, in view: borrowing TransactionView) throws -> Int? {
        guard let bytes = try view.loadBytes(key(of: tenant)) else { return nil }
        return try decode(bytes)
    }

    /// With what the transaction has done so far.
    /// - Throws: `.damaged`
    public static func bytes(of tenant: TenantID, in transaction: borrowing WriteTransaction) throws -> Int? {
        try bytes(of: tenant, in: transaction.view).map { max(0, $0 + transaction.unsettledBytes(of: tenant.rawValue, leavingOut: uncounted)) }
    }

    /// From now on the tenant's bytes are counted; those of one that is counted already are counted anew.
    /// - Complexity: O(records of the tenant)
    public static func begin(_ tenant: TenantID, in transaction: inout WriteTransaction) throws {
        let key = key(of: tenant)
        // Fixed width: once it is there, it weighs what it weighs.
        if try transaction.view.get(key) == nil { try transaction.store(key, encode(0)) }
        let found = try count(tenant, in: transaction.view)
        let before = max(0, found - transaction.unsettledBytes(of: tenant.rawValue, leavingOut: uncounted))
        try transaction.store(key, encode(before))
    }

    /// What the records there are add up to.
    /// - Complexity: O(records of the tenant)
    public static func count(_ tenant: TenantID, in view: borrowing TransactionView) throws -> Int {
        var prefix: [UInt8] = []
        prefix.append(bigEndian: tenant.rawValue)
        var found = 0
        try view.scan(prefix: prefix) { key, value in
            if !uncounted.contains(RecordGroup(key: key).kind) { found += key.byteCount + value.byteCount }
            return .onward
        }
        return found
    }

    /// Counts every tenant anew that is counted.
    static func recount(in transaction: inout WriteTransaction) throws {
        var tenants: [TenantID] = []
        try transaction.view.scan(prefix: TenantScope.system.key(.tenant)) { key, _ in
            guard key.byteCount == TenantScope.prefixBytes + 4 else { return .onward }
            tenants.append(TenantID(rawValue: unsafe key.unsafeLoadUnaligned(fromByteOffset: TenantScope.prefixBytes, as: UInt32.self).bigEndian))
            return .onward
        }
        for tenant in tenants { try begin(tenant, in: &transaction) }
    }

    /// Adds what a transaction has changed, and counts that among what it has changed.
    static func add(
        _ bytes: [RecordGroup: Int], _ changes: inout [RecordGroup: RecordSum], in transaction: inout WriteTransaction
    ) throws(LMDBError) {
        var tenants: [UInt32: Int] = [:]
        for (group, bytes) in bytes where group.holder > 0 && !uncounted.contains(group.kind) { tenants[group.holder, default: 0] += bytes }
        for (tenant, bytes) in tenants.sorted(by: { $0.key < $1.key }) where bytes != 0 {
            try add(bytes, of: TenantID(rawValue: tenant), &changes, in: &transaction)
        }
    }

    private static func add(
        _ bytes: Int, of tenant: TenantID, _ changes: inout [RecordGroup: RecordSum], in transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let key = key(of: tenant)
        // A record that is damaged is left as it is: a check names it, and no command has to be refused for it.
        guard let held = try? Self.bytes(of: tenant, in: transaction.view) else { return }
        var before = RecordSum.zero
        if let old = try transaction.view.get(key) { before = unsafe RecordSum(key: key.span.bytes, value: old) }
        let group = unsafe RecordGroup(key: key.span.bytes)
        changes[group, default: .zero] -= before
        let value = Seal.sealed(key, encode(max(0, held + bytes)))
        try transaction.putUncounted(key, value)
        unsafe changes[group, default: .zero] += RecordSum(key: key.span.bytes, value: value.span.bytes)
    }

    private static func encode(_ bytes: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: 8)
        writer.u64(UInt64(bytes))
        return writer.bytes
    }

    private static func decode(_ bytes: [UInt8]) throws -> Int {
        var reader = ByteReader(bytes)
        let value = try reader.u64()
        try reader.end()
        guard value <= UInt64(Int.max) / 2 else { throw ContexError.damaged("a tenant is said to have \(value) bytes: run 'contex check'") }
        return Int(value)
    }
}

extension RecordSums {
    /// How many records of a kind a scope has, as of the last commit.
    /// - Throws: `.damaged`
    /// - Complexity: O(1)
    public static func count(of kind: KeyKind, in scope: TenantScope, _ view: borrowing TransactionView) throws -> Int {
        Int(clamping: try sums(of: scope.number, in: view)?[kind.rawValue]?.count ?? 0)
    }

    /// With what the transaction has done so far.
    public static func count(of kind: KeyKind, in scope: TenantScope, during transaction: borrowing WriteTransaction) throws -> Int {
        try count(of: kind, in: scope, transaction.view) + transaction.unsettledRecords(of: RecordGroup(scope: scope.number, kind: kind.rawValue))
    }
}

extension TenantScope {
    /// As the first eight bytes of its keys.
    fileprivate var number: UInt64 { UInt64(tenant.rawValue) << 32 | UInt64(project.rawValue) }
}
