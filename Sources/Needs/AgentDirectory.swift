public import Base
internal import KeySpace
public import LMDB

/// Where a tenant's agents are: agent ids belong to their project, but the original's routes name an agent without one.
public struct AgentDirectory: Sendable {
    private let scope: TenantScope

    public init(tenant: TenantID) { scope = TenantScope(tenant: tenant, project: .tenantLevel) }

    public struct Entry: Sendable, Equatable {
        public let agent: Name
        public let project: ProjectID
        public let projectName: Name
        public let registeredAt: Timestamp

        public init(agent: Name, project: ProjectID, projectName: Name, registeredAt: Timestamp) {
            self.agent = agent
            self.project = project
            self.projectName = projectName
            self.registeredAt = registeredAt
        }
    }

    /// All registrations of the tenant, oldest first.
    public func entries(in view: borrowing TransactionView) throws -> [Entry] {
        try entries(prefix: scope.key(.agentDirectory), in: view)
    }

    /// Where a registration stands among all of the tenant: by its time, those of one time by their key.
    public struct Place: Sendable, Equatable, Comparable {
        public let registeredAt: Timestamp
        public let key: [UInt8]

        public init(registeredAt: Timestamp, key: [UInt8]) {
            self.registeredAt = registeredAt
            self.key = key
        }

        public static func < (a: Self, b: Self) -> Bool {
            a.registeredAt == b.registeredAt ? a.key.lexicographicallyPrecedes(b.key) : a.registeredAt < b.registeredAt
        }
    }

    /// The oldest registrations from a place on, at most `count`.
    /// - Parameter isWanted: of a project.
    /// - Complexity: O(registrations of the tenant) in time, O(count) in memory: they are kept by name.
    public func entries(
        from place: Place?, count: Int, in view: borrowing TransactionView, where isWanted: (Name) -> Bool
    ) throws -> [(place: Place, entry: Entry)] {
        let prefix = scope.key(.agentDirectory)
        var found: [(place: Place, entry: Entry)] = []
        func keepOldest() {
            found.sort { $0.place < $1.place }
            found.removeLast(max(0, found.count - count))
        }
        try view.scanRecords(prefix: prefix) { key, payload in
            let entry = try Self.entry(Array(payload))
            let own = Place(registeredAt: entry.registeredAt, key: Array(key.dropFirst(prefix.count)))
            if isWanted(entry.projectName), place.map({ own >= $0 }) ?? true { found.append((own, entry)) }
            if found.count >= 2 * (count + 512) { keepOldest() }
            return .onward
        }
        keepOldest()
        return found
    }

    /// The registrations under one agent id, oldest first.
    public func entries(_ agent: Name, in view: borrowing TransactionView) throws -> [Entry] {
        try entries(prefix: scope.key(.agentDirectory, text: agent.text) + [0], in: view).filter { $0.agent == agent }
    }

    public func put(_ entry: Entry, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.text(entry.agent.text)
        writer.u32(entry.project.rawValue)
        writer.text(entry.projectName.text)
        writer.i64(entry.registeredAt.rawValue)
        try transaction.store(key(entry.agent, entry.project), writer.bytes)
    }

    public func remove(_ agent: Name, project: ProjectID, in transaction: inout WriteTransaction) throws {
        try transaction.delete(key(agent, project))
    }

    /// Names hold no NUL, so that one ends the name inside the key.
    private func key(_ agent: Name, _ project: ProjectID) -> [UInt8] {
        var key = scope.key(.agentDirectory, text: agent.text)
        var number = ByteWriter()
        number.u8(0)
        number.u32(project.rawValue)
        key += number.bytes
        return key
    }

    private func entries(prefix: [UInt8], in view: borrowing TransactionView) throws -> [Entry] {
        var found: [Entry] = []
        try view.scanRecords(prefix: prefix) { _, payload in
            found.append(try Self.entry(Array(payload)))
            return .onward
        }
        return found.sorted { $0.registeredAt < $1.registeredAt }
    }

    private static func entry(_ payload: [UInt8]) throws -> Entry {
        var reader = ByteReader(payload)
        let agent = Name(stored: try reader.text())
        let project = ProjectID(rawValue: try reader.u32())
        let projectName = Name(stored: try reader.text())
        let registeredAt = Timestamp(rawValue: try reader.i64())
        try reader.end()
        return Entry(agent: agent, project: project, projectName: projectName, registeredAt: registeredAt)
    }
}
