// The tenants of a store. Records at the store's own level but for the last:
//
//     tenancyState   -                     ->  whether there are several tenants, the last number that was given
//     tenant         number                ->  what is known of the tenant
//     tenantByName   id                    ->  number
//     tenantGone     number                ->  whether all of its records are erased; it stays, so that no command that comes late finds it again
//     tenantUsage    - (the tenant's level) -> events of the month
//
// A store that never had several tenants has none of these, and is the key space of tenant 1.

public import Base
internal import KeySpace
public import LMDB

public enum TenantRegistry {
    public struct State: Hashable, Sendable {
        /// Whether quotas hold and requests name their tenant.
        public var isOn: Bool
        public var lastNumber: TenantID

        public init(isOn: Bool, lastNumber: TenantID) {
            self.isOn = isOn
            self.lastNumber = lastNumber
        }
    }

    private static let scope = TenantScope.system

    // MARK: - The store

    /// nil: there never were several tenants.
    public static func state(in view: borrowing TransactionView) throws -> State? {
        guard let bytes = try view.loadBytes(scope.key(.tenancyState)) else { return nil }
        return try decoded("the state of tenants") { () throws(ByteError) in
            var reader = ByteReader(bytes)
            let state = State(isOn: try reader.bool(), lastNumber: TenantID(rawValue: try reader.u32()))
            try reader.end()
            return state
        }
    }

    public static func set(_ state: State, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 5)
        writer.bool(state.isOn)
        writer.u32(state.lastNumber.rawValue)
        try transaction.store(scope.key(.tenancyState), writer.bytes)
    }

    // MARK: - Tenants

    public static func tenant(_ number: TenantID, in view: borrowing TransactionView) throws -> TenantRecord? {
        guard let bytes = try view.loadBytes(scope.key(.tenant, number.rawValue)) else { return nil }
        return try TenantRecord(bytes: bytes)
    }

    public static func tenant(named name: TenantName, in view: borrowing TransactionView) throws -> TenantRecord? {
        guard let bytes = try view.loadBytes(scope.key(.tenantByName, text: name.text)) else { return nil }
        let number = try decoded("the index of tenants") { () throws(ByteError) in
            var reader = ByteReader(bytes)
            let number = TenantID(rawValue: try reader.u32())
            try reader.end()
            return number
        }
        guard let tenant = try tenant(number, in: view), tenant.name == name else {
            throw ContexError.damaged("The index of tenants names '\(name)', which is not there: run 'contex check'.")
        }
        return tenant
    }

    /// By their numbers: in the order in which they were made.
    public static func tenants(in view: borrowing TransactionView) throws -> [TenantRecord] {
        var tenants: [TenantRecord] = []
        try view.scanRecords(prefix: scope.key(.tenant)) { _, payload in
            tenants.append(try TenantRecord(bytes: Array(payload)))
            return .onward
        }
        return tenants
    }

    /// The tenants whose records there may be: the standard one always.
    public static func numbers(in view: borrowing TransactionView) throws -> [TenantID] {
        let known = try tenants(in: view).map(\.number)
        return known.contains(.standard) ? known : [.standard] + known
    }

    public static func put(_ tenant: TenantRecord, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 4)
        writer.u32(tenant.number.rawValue)
        try transaction.store(scope.key(.tenantByName, text: tenant.name.text), writer.bytes)
        try transaction.store(scope.key(.tenant, tenant.number.rawValue), tenant.bytes)
    }

    /// Takes a tenant out, by the command of a position; its records are still to be erased.
    public static func remove(_ tenant: TenantRecord, at position: Position, in transaction: inout WriteTransaction) throws {
        precondition(tenant.number > .standard, "the standard tenant is always there")
        try transaction.delete(scope.key(.tenantByName, text: tenant.name.text))
        try transaction.delete(scope.key(.tenant, tenant.number.rawValue))
        try setGone(tenant.number, Gone(removedAt: position), in: &transaction)
    }

    // MARK: - What is left of removed ones

    /// A tenant that was removed.
    public struct Gone: Sendable, Equatable {
        /// What came after is not of it.
        public let removedAt: Position
        /// Whether all its records are gone too.
        public var isErased = false

        public init(removedAt: Position, isErased: Bool = false) {
            self.removedAt = removedAt
            self.isErased = isErased
        }

        init(bytes: [UInt8]) throws(ByteError) {
            var reader = ByteReader(bytes)
            isErased = try reader.bool()
            removedAt = Position(rawValue: try reader.u64())
            try reader.end()
        }
    }

    public static func setGone(_ number: TenantID, _ gone: Gone, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter(capacity: 9)
        writer.bool(gone.isErased)
        writer.u64(gone.removedAt.rawValue)
        try transaction.store(scope.key(.tenantGone, number.rawValue), writer.bytes)
    }

    /// nil: it was never removed.
    public static func gone(_ number: TenantID, in view: borrowing TransactionView) throws -> Gone? {
        guard let bytes = try view.loadBytes(scope.key(.tenantGone, number.rawValue)) else { return nil }
        return try decoded("a removed tenant") { () throws(ByteError) in try Gone(bytes: bytes) }
    }

    /// Whose records are still to be erased.
    public static func unerased(in view: borrowing TransactionView) throws -> [TenantID] {
        var found: [TenantID] = []
        try view.scanRecords(prefix: scope.key(.tenantGone)) { key, payload in
            let payload = Array(payload)
            let gone = try decoded("a removed tenant") { () throws(ByteError) in try Gone(bytes: payload) }
            if !gone.isErased, key.count == TenantScope.prefixBytes + 4 { found.append(TenantID(rawValue: UInt32(lastOf: key))) }
            return .onward
        }
        return found
    }

    // MARK: - Usage

    /// nil: nothing was counted yet.
    public static func usage(of tenant: TenantID, in view: borrowing TransactionView) throws -> TenantUsage? {
        guard let bytes = try view.loadBytes(usageKey(tenant)) else { return nil }
        return try decoded("the usage of a tenant") { () throws(ByteError) in try TenantUsage(bytes: bytes) }
    }

    public static func set(_ usage: TenantUsage, of tenant: TenantID, in transaction: inout WriteTransaction) throws {
        try transaction.store(usageKey(tenant), usage.bytes)
    }

    private static func usageKey(_ tenant: TenantID) -> [UInt8] { TenantScope(tenant: tenant, project: .tenantLevel).key(.tenantUsage) }

    private static func decoded<T>(_ what: String, _ body: () throws(ByteError) -> T) throws(ContexError) -> T {
        do throws(ByteError) {
            return try body()
        } catch {
            throw ContexError.damaged("What is stored of \(what) cannot be read (\(error)): run 'contex check'.")
        }
    }

    // MARK: - For `contex check`

    /// What contradicts itself.
    public static func findings(in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let tenants = try tenants(in: view)
        guard let state = try state(in: view) else { return tenants.isEmpty ? [] : ["there are tenants, and the store does not say that it has any"] }
        var names: [TenantName: TenantID] = [:]
        for tenant in tenants {
            if names.updateValue(tenant.number, forKey: tenant.name) != nil { findings.append("two tenants are called '\(tenant.name)'") }
            if tenant.number > state.lastNumber { findings.append("tenant '\(tenant.name)' has a number that was never given") }
            if try self.tenant(named: tenant.name, in: view)?.number != tenant.number { findings.append("tenant '\(tenant.name)' is not in the index") }
            if try TenantStorage.bytes(of: tenant.number, in: view) == nil { findings.append("the bytes of tenant '\(tenant.name)' are not counted") }
            if try gone(tenant.number, in: view) != nil { findings.append("tenant '\(tenant.name)' is there, and was removed") }
        }
        if names[.standard] != .standard { findings.append("the tenant 'default' is not there, or not the first") }
        var indexed = 0
        try view.scanRecords(prefix: scope.key(.tenantByName)) { _, _ in
            indexed += 1
            return .onward
        }
        if indexed != tenants.count { findings.append("\(tenants.count) tenants have \(indexed) entries in their index") }
        return findings
    }
}
