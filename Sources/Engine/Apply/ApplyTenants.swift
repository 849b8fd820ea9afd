// Tenants: made, changed, removed; and what is left of a removed one, piece by piece.

internal import Access
internal import Base
internal import Documents
internal import Journal
internal import KeySpace
internal import LMDB
internal import Outbox
internal import Tenants

extension Applier {
    /// Switches several tenants on or off. The standard tenant is the store as it was: it gets a record and is counted from here on.
    /// - Complexity: O(records of the standard tenant) the first time.
    func setTenancy(_ command: Command.SetTenancy, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let known = try TenantRegistry.state(in: transaction.view)
        guard command.isOn != (known?.isOn ?? false) else { return .done }
        guard try RecordSums.areKept(in: transaction.view) else {
            throw ContexError(
                .reindexNeeded, "The store was made by a build that did not count records, and quotas need that: run 'contex reindex' once, then start again")
        }
        try TenantRegistry.set(.init(isOn: command.isOn, lastNumber: known?.lastNumber ?? .standard), in: &transaction)
        if try TenantRegistry.tenant(.standard, in: transaction.view) == nil {
            try TenantRegistry.put(.standard(at: command.time), in: &transaction)
            try TenantStorage.begin(.standard, in: &transaction)
        }
        work.effects.haveTenantsChanged = true
        return .done
    }

    func changeTenant(_ command: Command.ChangeTenant, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let state = try TenantRegistry.state(in: transaction.view), state.isOn else { throw Self.tenancyOff }
        if case .create(let draft) = command.change { return try createTenant(draft, state, at: command.time, &work, in: &transaction) }
        guard let tenant = try TenantRegistry.tenant(named: command.name, in: transaction.view) else { throw Self.noTenant(command.name) }
        switch command.change {
        case .create: throw ContexError(.bug, "a tenant is made twice")
        case .update(let patch):
            let changed = try patch.applied(to: tenant, at: command.time)
            guard changed.isActive || tenant.number != .standard else {
                throw ContexError.badRequest("The tenant 'default' is the operator's: it stays active")
            }
            try TenantRegistry.put(changed, in: &transaction)
            work.effects.haveTenantsChanged = true
            // Who is connected is looked at again.
            if changed.isActive != tenant.isActive { work.effects.keyChanges.insert(.tenant(tenant.number)) }
            return .tenant(changed)
        case .remove(let isForced): try remove(tenant, isForced: isForced, &work, in: &transaction)
        case .resetUsage:
            let none = TenantUsage(month: Month(of: command.time), events: 0, updatedAt: command.time)
            var usage = try TenantRegistry.usage(of: tenant.number, in: transaction.view) ?? none
            usage.reset(at: command.time)
            try TenantRegistry.set(usage, of: tenant.number, in: &transaction)
        case .addProject(let project): _ = try entering(project, tenant.number, at: command.time, &work.effects, in: &transaction)
        case .removeProject(let project): try ProjectRegistry(tenant: tenant.number).removeEmpty(project, in: &transaction)
        }
        return .tenant(tenant)
    }

    static let tenancyOff = ContexError(.tenancyOff, "This server has one tenant: start it with MULTI_TENANT_ENABLED=true to have several")

    static func noTenant(_ name: TenantName) -> ContexError { ContexError(.tenantNotFound, "Tenant '\(name)' not found") }

    private func createTenant(
        _ draft: TenantDraft, _ state: TenantRegistry.State, at time: Timestamp, _ work: inout Work, in transaction: inout WriteTransaction
    ) throws -> Outcome {
        guard try TenantRegistry.tenant(named: draft.name, in: transaction.view) == nil else {
            throw ContexError(.tenantExists, "Tenant '\(draft.name)' already exists")
        }
        guard try RecordSums.count(of: .tenant, in: .system, during: transaction) < Limits.tenants else {
            throw ContexError(.limited, "There are as many tenants as there may be (\(Limits.tenants)): remove one first")
        }
        guard state.lastNumber.rawValue < .max else { throw ContexError(.numbersExhausted, "the store has had \(UInt32.max) tenants, the most there can be") }
        let number = TenantID(rawValue: state.lastNumber.rawValue + 1)
        guard try Self.isEmpty(number, in: transaction.view) else {
            throw ContexError.damaged("the next tenant would get number \(number.rawValue), under which there are records: run 'contex check'")
        }
        let tenant = draft.record(as: number, at: time)
        try TenantRegistry.set(.init(isOn: state.isOn, lastNumber: number), in: &transaction)
        try TenantRegistry.put(tenant, in: &transaction)
        try TenantStorage.begin(number, in: &transaction)
        work.effects.haveTenantsChanged = true
        return .tenant(tenant)
    }

    private static func isEmpty(_ tenant: TenantID, in view: borrowing TransactionView) throws -> Bool {
        var prefix: [UInt8] = []
        prefix.append(bigEndian: tenant.rawValue)
        var isEmpty = true
        try view.scan(prefix: prefix) { _, _ in
            isEmpty = false
            return .stop
        }
        return isEmpty
    }

    /// From here on nobody gets at anything of the tenant; `eraseTenant` takes it away.
    private func remove(_ tenant: TenantRecord, isForced: Bool, _ work: inout Work, in transaction: inout WriteTransaction) throws {
        guard tenant.number != .standard else { throw ContexError.badRequest("The tenant 'default' is always there") }
        let level = TenantScope(tenant: tenant.number, project: .tenantLevel)
        let projects = try RecordSums.count(of: .projectName, in: level, during: transaction)
        let keys = try RecordSums.count(of: .apiKeyByID, in: level, during: transaction)
            + RecordSums.count(of: .serviceAccount, in: level, during: transaction)
        guard isForced || (projects == 0 && keys == 0) else {
            throw ContexError(
                .tenantNotEmpty, "Tenant '\(tenant.name)' has \(projects) project(s) and \(keys) API key(s): force=true removes it with all that it has")
        }
        for endpoint in try EventOutbox(tenant: tenant.number).endpoints(in: transaction.view) {
            work.effects.endpoints.append((DeliveryLane(tenant: tenant.number, .endpoint(endpoint.number)), nil))
        }
        try TenantRegistry.remove(tenant, at: work.position, in: &transaction)
        work.effects.haveTenantsChanged = true
        work.effects.keyChanges.insert(.tenant(tenant.number))
        work.effects.haveLimitsChanged = true
    }

    func eraseTenant(_ command: Command.EraseTenant, in transaction: inout WriteTransaction) throws -> Outcome {
        guard var gone = try TenantRegistry.gone(command.number, in: transaction.view), !gone.isErased else { return .removed(0) }
        // The journal first, as with every erasure: its entries carry what was published, or refer to the events that go now.
        if try Journal().trim(upTo: gone.removedAt, count: max(1, command.count), in: &transaction) == max(1, command.count) { return .removed(0) }
        var prefix: [UInt8] = []
        prefix.append(bigEndian: command.number.rawValue)
        var keys: [[UInt8]] = []
        // The sums of records go with the records.
        try transaction.view.scan(prefix: prefix) { key, _ in
            if KeyKind(ofKey: key) != .recordSums { keys.append(Array(key)) }
            return keys.count < command.count ? .onward : .stop
        }
        for key in keys { try transaction.delete(key) }
        if keys.count < command.count {
            gone.isErased = true
            try TenantRegistry.setGone(command.number, gone, in: &transaction)
        }
        return .removed(keys.count)
    }
}
