// Commands that come in parts: kept in the tenant's own level until the last one makes them whole, so that they count for its storage, go with
// it, and are on whatever follows the store.

internal import Base
internal import Hashing
internal import KeySpace
internal import LMDB

extension Applier {
    /// - Throws: `.limited` for a tenant that has no room for it; `.conflict` for a part out of order.
    func keepPart(_ command: Command.KeepPart, in transaction: inout WriteTransaction) throws -> Outcome {
        let parts = CommandParts(tenant: command.tenant, number: command.number)
        guard let part = command.part else { return .removed(try parts.remove(in: &transaction)) }
        guard try parts.count(in: transaction.view) == part else {
            throw ContexError(.conflict, "part \(part + 1) of a command does not follow from what is there of it")
        }
        try admit(QuotaDemand(bytes: command.bytes.count), of: command.tenant, at: command.time, in: transaction)
        try transaction.store(parts.key(part), command.bytes)
        return .done
    }

    /// A command as it is, or the one that its parts make.
    /// - Throws: `.notFound` when parts are not there; `.damaged` when they are not what the command says.
    func whole(_ command: Command, in view: borrowing TransactionView) throws -> Command {
        switch command {
        case .assembled(let assembled):
            let bytes = try CommandParts(tenant: assembled.tenant, number: assembled.number).bytes(count: assembled.parts, in: view)
            guard SHA256.digest(bytes) == assembled.digest else { throw ContexError.damaged("the parts of a command are not what it says") }
            let whole = try CommandCodec.decode(bytes)
            // Nothing else comes in parts, and parts of parts would have no end.
            guard case .importProject(let imported) = whole, imported.tenant == assembled.tenant, imported.time == assembled.time else {
                throw ContexError.damaged("the parts of a command are none of an import of its tenant and time")
            }
            return whole
        case .attributed(let attributed): return .attributed(.init(command: try whole(attributed.command, in: view), attribution: attributed.attribution))
        default: return command
        }
    }

    /// Lets go what a command was made of, now that it is done.
    func removeParts(of command: Command, in transaction: inout WriteTransaction) throws {
        switch command {
        case .assembled(let assembled): _ = try CommandParts(tenant: assembled.tenant, number: assembled.number).remove(in: &transaction)
        case .attributed(let attributed): try removeParts(of: attributed.command, in: &transaction)
        default: return
        }
    }
}

/// The parts of one command.
struct CommandParts {
    let tenant: TenantID
    let number: UInt64

    private static func level(_ tenant: TenantID) -> TenantScope { TenantScope(tenant: tenant, project: .tenantLevel) }
    private var prefix: [UInt8] { Self.level(tenant).key(.commandPart, number) }

    func key(_ part: Int) -> [UInt8] {
        var key = prefix
        key.append(bigEndian: UInt32(part))
        return key
    }

    func count(in view: borrowing TransactionView) throws -> Int {
        var count = 0
        try view.scan(prefix: prefix) { _, _ in
            count += 1
            return .onward
        }
        return count
    }

    func bytes(count: Int, in view: borrowing TransactionView) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for part in 0..<count {
            guard let more = try view.loadBytes(key(part)) else { throw ContexError.notFound("a command lacks its part \(part + 1)") }
            bytes += more
        }
        return bytes
    }

    /// - Returns: how many there were.
    func remove(in transaction: inout WriteTransaction) throws -> Int {
        let count = try count(in: transaction.view)
        for part in 0..<count { try transaction.delete(key(part)) }
        return count
    }

    /// The numbers of a tenant's commands that are not whole yet.
    static func numbers(_ tenant: TenantID, in view: borrowing TransactionView) throws -> [UInt64] {
        let prefix = level(tenant).key(.commandPart)
        var numbers: [UInt64] = []
        try view.scan(prefix: prefix) { key, _ in
            let number = UInt64(firstOf: Array(Array(key).dropFirst(prefix.count)))
            if number != numbers.last { numbers.append(number) }
            return .onward
        }
        return numbers
    }
}
