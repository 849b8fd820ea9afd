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
            var reader = ByteReader(Array(payload))
            let agent = Name(stored: try reader.text())
            let project = ProjectID(rawValue: try reader.u32())
            let projectName = Name(stored: try reader.text())
            let registeredAt = Timestamp(rawValue: try reader.i64())
            try reader.end()
            found.append(Entry(agent: agent, project: project, projectName: projectName, registeredAt: registeredAt))
            return .onward
        }
        return found.sorted { $0.registeredAt < $1.registeredAt }
    }
}
