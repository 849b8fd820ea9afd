internal import Access
internal import Base
internal import KeySpace
internal import LMDB
internal import Outbox

extension Applier {
    /// - Throws: `.notFound` for a key that is not there, or that reaches beyond the asker's projects: an answer of its own would tell that it
    ///   is there; `.conflict` when the change would leave nobody who can change keys and roles again.
    func changeKeys(_ command: Command.ChangeKeys, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
        let before = try Administrators(scope, in: transaction.view)
        func require(_ id: KeyID, _ view: borrowing TransactionView) throws {
            guard !command.reach.isAll else { return }
            let present = try AccessRegistry.assignment(of: id, view, scope: scope) ?? .unassigned(id)
            guard command.reach.covers(present.projects) else { throw ContexError(.keyNotFound, "Key not found") }
        }
        switch command.change {
        case .create(let record, let role, let terms):
            if command.asker != .operator { try admit(QuotaDemand(keys: 1), of: command.tenant, at: command.time, in: transaction) }
            try AccessRegistry.create(record, in: &transaction, scope: scope)
            if !terms.isEmpty { try AccessRegistry.set(terms, of: record.keyID, in: &transaction, scope: scope) }
            if let role { try AccessRegistry.assign(role, in: &transaction, scope: scope) }
            try tellEndpoints(.keyCreated, command.tenant, nil, at: command.time, &work.effects, in: &transaction) {
                [("key_id", .string(record.keyID.description)), ("name", .string(record.name))]
            }
        case .confirm(let id):
            try require(id, transaction.view)
            try AccessRegistry.confirm(id, in: &transaction, scope: scope)
        case .setTerms(let id, let terms):
            try require(id, transaction.view)
            try AccessRegistry.set(terms, of: id, in: &transaction, scope: scope)
            if command.asker == .anybody { try AccessRegistry.set(.open, of: id, in: &transaction, scope: scope) }
        case .rotate(let id, let record, let until):
            try require(id, transaction.view)
            try AccessRegistry.rotate(id, to: record, formerUntil: until, in: &transaction, scope: scope)
            if command.asker == .anybody { try AccessRegistry.set(.open, of: id, in: &transaction, scope: scope) }
        case .revoke(let id):
            try require(id, transaction.view)
            try AccessRegistry.revoke(id, in: &transaction, scope: scope)
            try tellEndpoints(.keyRevoked, command.tenant, nil, at: command.time, &work.effects, in: &transaction) {
                [("key_id", .string(id.description))]
            }
        case .assign(let assignment):
            try require(assignment.keyID, transaction.view)
            try AccessRegistry.assign(assignment, in: &transaction, scope: scope)
            try forgetCustomRole(of: assignment.keyID, in: &transaction, scope)
            if command.asker == .anybody { try AccessRegistry.set(.open, of: assignment.keyID, in: &transaction, scope: scope) }
        case .removeRole(let id):
            try AccessRegistry.removeRole(of: id, in: &transaction, scope: scope)
            try forgetCustomRole(of: id, in: &transaction, scope)
            if command.asker == .anybody { try AccessRegistry.set(.open, of: id, in: &transaction, scope: scope) }
        }
        try before.requireOneLeft(after: try Administrators(scope, in: transaction.view), asker: command.asker)
        work.effects.haveKeysChanged = true
        return .done
    }
}

extension Applier {
    /// A key has one role.
    private func forgetCustomRole(of id: KeyID, in transaction: inout WriteTransaction, _ scope: TenantScope) throws {
        var grants = try AccessRegistry.grants(of: id, transaction.view, scope: scope)
        guard grants.customRole != nil else { return }
        grants.customRole = nil
        try AccessRegistry.set(grants, of: id, in: &transaction, scope: scope)
    }
}

/// Keys that may do everything everywhere.
struct Administrators {
    var valid = 0
    /// With those that nobody has confirmed yet.
    var possible = 0

    init(_ scope: TenantScope, in view: borrowing TransactionView) throws {
        for (key, principal, terms) in try AccessRegistry.principals(view, scope: scope)
        where principal.isAdministratorOfAll && terms.expiresAt == nil {
            possible += 1
            if key.rule.isValid { valid += 1 }
        }
    }
    /// - Throws: `.lastAdministrator` when there was one before and is none after. Whoever can write the data folder is bound by nothing.
    func requireOneLeft(after: Administrators, asker: Command.ChangeKeys.Asker) throws(ContexError) {
        // While authentication is off, an administrator whom somebody has yet to confirm counts as one.
        let (had, has) = asker == .anybody ? (possible, after.possible) : (valid, after.valid)
        if has == 0, had > 0, asker != .operator {
            throw ContexError(
                .lastAdministrator,
                "That would leave no key with the role admin on all projects, and nobody could issue keys again: give another key that role first")
        }
    }
}
