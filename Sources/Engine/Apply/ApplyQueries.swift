internal import Base
internal import KeySpace
internal import LMDB

extension Applier {
    func keepQueries(_ command: Command.KeepQueries, in transaction: inout WriteTransaction) throws -> Outcome {
        var record = ByteWriter()
        record.varint(UInt64(command.queries.count))
        for query in command.queries {
            record.text(query.project.text)
            record.text(query.text)
            record.u32(query.uses)
        }
        try transaction.store(TenantScope(tenant: command.tenant, project: .tenantLevel).key(.usedQueries), record.bytes)
        return .done
    }
}
