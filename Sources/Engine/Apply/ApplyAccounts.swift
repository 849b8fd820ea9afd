internal import Access
internal import Base
internal import KeySpace
internal import LMDB

extension Applier {
    /// - Throws: `.accountNotFound` for an account that is not there, or that reaches beyond the asker's projects; `.roleNotFound`; `.keyNotFound`;
    ///   `.limited`
    func changeAccounts(_ command: Command.ChangeAccounts, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
        func present(_ id: AccountID, _ view: borrowing TransactionView) throws -> ServiceAccount {
            guard let account = try AccountRegistry.account(id, view, scope: scope), command.reach.covers(ProjectScope(account.projects)) else {
                throw AccountRegistry.missing(id.text)
            }
            return account
        }
        var account: ServiceAccount
        switch command.change {
        case .remove(let id):
            _ = try present(id, transaction.view)
            try AccountRegistry.remove(id, in: &transaction, scope: scope)
            work.effects.keyChanges.insert(.account(command.tenant, id))
            return .done
        case .create(let made):
            guard try AccountRegistry.account(made.id, transaction.view, scope: scope) == nil else {
                throw ContexError(.conflict, "This service account exists already.")
            }
            if command.asker != .operator { try admit(QuotaDemand(keys: 1), of: command.tenant, at: command.time, in: transaction) }
            account = made
        case .update(let id, let patch):
            account = try present(id, transaction.view)
            let wasActive = account.isActive
            patch.apply(to: &account)
            if wasActive, !account.isActive { account.generation &+= 1 }
        case .addKey(let id, let key):
            account = try present(id, transaction.view)
            account.keys.append(key)
        case .removeKey(let id, let key):
            account = try present(id, transaction.view)
            guard account.keys.contains(where: { $0.keyID == key }) else { throw ContexError(.keyNotFound, "Key not found") }
            account.keys.removeAll { $0.keyID == key }
        }
        account.updatedAt = command.time
        // Whoever may change it and has looked at it says by this that it is to be valid.
        if command.asker == .anybody {
            account.rule = .open
        } else if account.rule == .open {
            account.rule = .confirmed
        }
        _ = try RoleBook(transaction.view, scope: scope).texts(of: account.role)
        try AccountRegistry.store(account, in: &transaction, scope: scope)
        work.effects.keyChanges.insert(.account(command.tenant, account.id))
        return .done
    }

    /// - Throws: what `RoleBook.put` and `remove` refuse; `.roleInUse` while a key or an account has it.
    func changeRoles(_ command: Command.ChangeRoles, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
        switch command.change {
        case .put(let role):
            try RoleBook.put(role, in: &transaction, scope: scope)
            work.effects.keyChanges.insert(.role(command.tenant, role.name))
        case .remove(let name):
            let holders = try AccessRegistry.holders(ofRole: name, transaction.view, scope: scope)
            if let first = holders.first {
                throw ContexError(.roleInUse, "The role '\(name.excerpt())' is given to \(first)" + (holders.count > 1 ? " and \(holders.count - 1) more" : ""))
            }
            // Nobody has it, and nobody inherits from it.
            try RoleBook.remove(name, in: &transaction, scope: scope)
        }
        return .done
    }

    /// - Throws: as `changeKeys`.
    func setGrants(_ command: Command.SetGrants, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let scope = TenantScope(tenant: command.tenant, project: .tenantLevel)
        let id = command.keyID
        let last = try LastAdministrator(id, command.asker, scope, in: transaction.view)
        let present = try AccessRegistry.assignment(of: id, transaction.view, scope: scope) ?? .unassigned(id)
        guard command.reach.covers(present.projects) else { throw ContexError(.keyNotFound, "Key not found") }
        var grants = try AccessRegistry.grants(of: id, transaction.view, scope: scope)
        switch command.change {
        case .role(let name, let projects):
            grants.customRole = name
            try AccessRegistry.assign(
                RoleAssignment(keyID: id, role: .unassigned, projects: ProjectScope(projects)), in: &transaction, scope: scope)
        case .permissions(let permissions): grants.permissions = permissions
        }
        try AccessRegistry.set(grants, of: id, in: &transaction, scope: scope)
        if command.asker == .anybody { try AccessRegistry.set(.open, of: id, in: &transaction, scope: scope) }
        try last.requireOneLeft(in: transaction.view)
        work.effects.keyChanges.insert(.key(command.tenant, id))
        return .done
    }
}
