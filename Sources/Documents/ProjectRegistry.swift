public import Base
public import KeySpace
public import LMDB

/// The projects of a tenant: their names, and the numbers that stand for them in keys.
public struct ProjectRegistry: Sendable {
    public let tenant: TenantID
    private let scope: TenantScope

    public init(tenant: TenantID) {
        self.tenant = tenant
        scope = TenantScope(tenant: tenant, project: .tenantLevel)
    }

    public struct Entry: Sendable, Equatable {
        public let project: ProjectID
        public let name: Name
        public let createdAt: Timestamp
    }

    /// The scope of a project, nil when nothing was ever put into it.
    public func scope(of name: Name, in view: borrowing TransactionView) throws -> TenantScope? {
        guard let entry = try entry(name, in: view) else { return nil }
        return TenantScope(tenant: tenant, project: entry.project)
    }

    /// The scope of a project, which is entered now if it is new.
    public func scopeCreating(_ name: Name, at time: Timestamp, in transaction: inout WriteTransaction) throws -> TenantScope {
        if let known = try scope(of: name, in: transaction.view) { return known }
        let stateKey = scope.key(.tenantState)
        var last: UInt32 = 0
        if let bytes = try transaction.view.loadBytes(stateKey) {
            var reader = ByteReader(bytes)
            last = try reader.u32()
            try reader.end()
        }
        guard last < .max else { throw ContexError(.numbersExhausted, "the tenant has had \(UInt32.max) projects, the most there can be") }
        let project = ProjectID(rawValue: last + 1)
        // Where the counter is an older one, or gone, the number is another project's, whose records must not be anybody else's.
        let owned = TenantScope(tenant: tenant, project: project).prefix
        try transaction.view.scan(prefix: owned) { _, _ in
            throw ContexError.damaged("the next project of the tenant would get number \(project), under which there are records: run 'contex check'")
        }
        var state = ByteWriter()
        state.u32(project.rawValue)
        try transaction.store(stateKey, state.bytes)
        var writer = ByteWriter()
        writer.u32(project.rawValue)
        writer.i64(time.rawValue)
        writer.text(name.text)
        try transaction.store(scope.key(.projectName, text: name.text), writer.bytes)
        return TenantScope(tenant: tenant, project: project)
    }

    /// Takes a project's name away: nobody finds it any more, and its number is not given again.
    public func remove(_ name: Name, in transaction: inout WriteTransaction) throws {
        try transaction.delete(scope.key(.projectName, text: name.text))
    }

    /// Takes a project out that nothing is in.
    /// - Throws: `.projectNotFound`; `.projectNotEmpty`
    public func removeEmpty(_ name: Name, in transaction: inout WriteTransaction) throws {
        guard let own = try scope(of: name, in: transaction.view) else {
            throw ContexError(.projectNotFound, "Project '\(name.text.excerpt())' not found")
        }
        try transaction.view.scan(prefix: own.prefix) { _, _ in
            throw ContexError(.projectNotEmpty, "Project '\(name.text.excerpt())' has data, a history or agents, and stays")
        }
        try remove(name, in: &transaction)
    }

    /// All projects, by name.
    public func entries(in view: borrowing TransactionView) throws -> [Entry] {
        var entries: [Entry] = []
        try view.scanRecords(prefix: scope.key(.projectName)) { _, payload in
            entries.append(try Self.decode(Array(payload)))
            return .onward
        }
        return entries
    }

    /// Projects by name, from a place on: the bytes that stand for a name in this order.
    public func entries(from place: [UInt8], count: Int, in view: borrowing TransactionView) throws -> [(place: [UInt8], entry: Entry)] {
        let prefix = scope.key(.projectName)
        var entries: [(place: [UInt8], entry: Entry)] = []
        try view.scanRecords(prefix: prefix, from: prefix + place) { key, payload in
            entries.append((Array(key.dropFirst(prefix.count)), try Self.decode(Array(payload))))
            return entries.count < count ? .onward : .stop
        }
        return entries
    }

    private func entry(_ name: Name, in view: borrowing TransactionView) throws -> Entry? {
        guard let bytes = try view.loadBytes(scope.key(.projectName, text: name.text)) else { return nil }
        let entry = try Self.decode(bytes)
        // Two long names may share a key (KeyText); the second comer is refused rather than mixed up with the first.
        guard entry.name == name else {
            throw ContexError.invalid(
                field: "project_id", kind: "value_error", message: "Value error, this long name collides with another; choose a different one")
        }
        return entry
    }

    private static func decode(_ bytes: [UInt8]) throws -> Entry {
        var reader = ByteReader(bytes)
        let project = ProjectID(rawValue: try reader.u32())
        let createdAt = Timestamp(rawValue: try reader.i64())
        let name = Name(stored: try reader.text())
        try reader.end()
        return Entry(project: project, name: name, createdAt: createdAt)
    }
}
