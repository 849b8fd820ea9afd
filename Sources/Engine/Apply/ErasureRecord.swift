internal import Base
internal import Documents
internal import KeySpace
internal import LMDB

/// How much an erasure has done, and of what it is.
package struct ErasureProgress: Sendable, Equatable {
    let project: Name
    /// nil: the whole project.
    let key: Name?
    let startedAt: Timestamp
    var events: UInt64 = 0
    var versions: UInt64 = 0
    var records: UInt64 = 0
}

/// An erasure that has begun, until it is done: in the registries of its tenant under its number, so that it goes on after a restart.
struct ErasureRecord: Sendable, Equatable {
    /// The position of its first command, up to which the journal goes.
    let number: UInt64
    let project: ProjectID
    /// The last event that can say anything of the key.
    let end: Sequence
    /// Events up to here were looked at.
    var reached = Sequence.zero
    /// Steps that were taken: each leaves its mark here, so that all stores that are given them count them alike.
    var steps: UInt64 = 0
    var progress: ErasureProgress

    private static func prefix(_ tenant: TenantID) -> [UInt8] { TenantScope(tenant: tenant, project: .tenantLevel).key(.retention) }
    private static func key(_ tenant: TenantID, _ number: UInt64) -> [UInt8] {
        TenantScope(tenant: tenant, project: .tenantLevel).key(.retention, number)
    }

    static func load(_ tenant: TenantID, _ number: UInt64, in view: borrowing TransactionView) throws -> ErasureRecord? {
        try view.loadBytes(key(tenant, number)).map { try decode($0, number) }
    }

    static func all(_ tenant: TenantID, in view: borrowing TransactionView) throws -> [ErasureRecord] {
        var found: [ErasureRecord] = []
        try view.scanRecords(prefix: prefix(tenant)) { key, payload in
            found.append(try decode(Array(payload), UInt64(lastOf: key)))
            return .onward
        }
        return found
    }

    func store(_ tenant: TenantID, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 128)
        writer.u32(project.rawValue)
        writer.u64(end.rawValue)
        writer.u64(reached.rawValue)
        writer.u64(steps)
        writer.text(progress.project.text)
        writer.bool(progress.key != nil)
        if let key = progress.key { writer.text(key.text) }
        writer.i64(progress.startedAt.rawValue)
        writer.u64(progress.events)
        writer.u64(progress.versions)
        writer.u64(progress.records)
        try transaction.store(Self.key(tenant, number), writer.bytes)
    }

    func remove(_ tenant: TenantID, in transaction: inout WriteTransaction) throws { try transaction.delete(Self.key(tenant, number)) }

    private static func decode(_ bytes: [UInt8], _ number: UInt64) throws -> ErasureRecord {
        var reader = ByteReader(bytes)
        let project = ProjectID(rawValue: try reader.u32())
        let (end, reached) = (Sequence(rawValue: try reader.u64()), Sequence(rawValue: try reader.u64()))
        let steps = try reader.u64()
        let name = Name(stored: try reader.text())
        let key = try reader.bool() ? Name(stored: try reader.text()) : nil
        let startedAt = Timestamp(rawValue: try reader.i64())
        let progress = ErasureProgress(
            project: name, key: key, startedAt: startedAt, events: try reader.u64(), versions: try reader.u64(), records: try reader.u64())
        try reader.end()
        return ErasureRecord(number: number, project: project, end: end, reached: reached, steps: steps, progress: progress)
    }
}
