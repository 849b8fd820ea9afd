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
        let last = try LastAdministrator(command.change.keyID, command.asker, scope, in: transaction.view)
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
        try last.requireOneLeft(in: transaction.view)
        work.effects.keyChanges.insert(.key(command.tenant, command.change.keyID))
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

extension Command.ChangeKeys.Change {
    var keyID: KeyID {
        switch self {
        case .create(let record, _, _): record.keyID
        case .setTerms(let id, _), .rotate(let id, _, _), .confirm(let id), .revoke(let id), .removeRole(let id): id
        case .assign(let assignment): assignment.keyID
        }
    }
}

/// Whether a change takes away the last key that may do everything everywhere. Only one that had such a key before can.
struct LastAdministrator {
    private let id: KeyID
    private let asker: Command.ChangeKeys.Asker
    private let scope: TenantScope
    private var wasOne = false

    init(_ id: KeyID, _ asker: Command.ChangeKeys.Asker, _ scope: TenantScope, in view: borrowing TransactionView) throws {
        (self.id, self.asker, self.scope) = (id, asker, scope)
        wasOne = try isOne(view)
    }

    /// While authentication is off, an administrator whom somebody has yet to confirm counts as one.
    private var onlyValid: Bool { asker != .anybody }

    private func isOne(_ view: borrowing TransactionView) throws -> Bool {
        guard let (key, principal, terms) = try AccessRegistry.principal(of: id, view, scope: scope) else { return false }
        return principal.isAdministratorOfAll && terms.expiresAt == nil && (!onlyValid || key.rule.isValid)
    }

    /// - Throws: `.lastAdministrator` when there was one before and is none after. Whoever can write the data folder is bound by nothing.
    func requireOneLeft(in view: borrowing TransactionView) throws {
        guard wasOne, asker != .operator, try !isOne(view), try !AccessRegistry.hasAdministrator(isValid: onlyValid, view, scope: scope) else { return }
        throw ContexError(
            .lastAdministrator,
            "That would leave no key with the role admin on all projects, and nobody could issue keys again: give another key that role first")
    }
}
