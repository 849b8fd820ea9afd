// Whose a channel is. Agent ids belong to their project, the names of channels do not: two projects may have an agent of one
// id, and by the original's rule both would speak on `agent:<id>:updates`. So a channel belongs to one project of its tenant
// from the first agent that is told there until the last one of them is gone.

public import Base
internal import KeySpace
public import LMDB

/// Which project of a tenant holds which channel.
public struct ChannelDirectory: Sendable {
    private let scope: TenantScope

    public init(tenant: TenantID) { scope = TenantScope(tenant: tenant, project: .tenantLevel) }

    public struct Owner: Sendable, Equatable {
        public let channel: String
        public let project: ProjectID
        public let projectName: Name
        /// Agents of the project that are told there; never 0.
        public let agents: UInt32
    }

    public func owner(of channel: String, in view: borrowing TransactionView) throws -> Owner? {
        let found = try inPlace(of: channel, view)
        return found.flatMap { $0.channel.utf8.elementsEqual(channel.utf8) ? $0 : nil }
    }

    /// Whether an agent of the project may be told there: not when another project's are, nor when the name's place in the store is
    /// taken by another long name.
    /// - Parameter project: nil for one that does not exist yet.
    public func isOpen(_ channel: String, to project: ProjectID?, in view: borrowing TransactionView) throws -> Bool {
        guard let found = try inPlace(of: channel, view) else { return true }
        return found.project == project && found.channel.utf8.elementsEqual(channel.utf8)
    }

    private func inPlace(of channel: String, _ view: borrowing TransactionView) throws -> Owner? {
        try view.loadBytes(scope.key(.channelOwner, text: channel)).map(Self.decode)
    }

    /// One more agent of the project is told there.
    /// - Precondition: the channel is open to the project.
    public func claim(_ channel: String, for project: ProjectID, named name: Name, in transaction: inout WriteTransaction) throws {
        let owner = try owner(of: channel, in: transaction.view)
        precondition(owner == nil || owner?.project == project, "a channel was claimed that another project holds")
        try put(Owner(channel: channel, project: project, projectName: name, agents: (owner?.agents ?? 0) + 1), in: &transaction)
    }

    /// One agent less; after the last one the channel is nobody's.
    public func release(_ channel: String, by project: ProjectID, in transaction: inout WriteTransaction) throws {
        guard let owner = try owner(of: channel, in: transaction.view), owner.project == project else {
            throw ContexError.damaged("channel '\(channel)' has an agent of project \(project.rawValue), which does not hold it")
        }
        if owner.agents == 1 {
            try transaction.delete(scope.key(.channelOwner, text: channel))
        } else {
            let rest = Owner(channel: channel, project: project, projectName: owner.projectName, agents: owner.agents - 1)
            try put(rest, in: &transaction)
        }
    }

    /// All channels of the tenant.
    public func owners(in view: borrowing TransactionView) throws -> [Owner] {
        var found: [Owner] = []
        try view.scanRecords(prefix: scope.key(.channelOwner)) { _, payload in
            found.append(try Self.decode(Array(payload)))
            return .onward
        }
        return found
    }

    /// The directory against the agents that there are. Each finding is a sentence.
    /// - Parameter agents: every agent of the tenant, by project.
    public func findings(agents: [ProjectID: [AgentRecord]], in view: borrowing TransactionView) throws -> [String] {
        struct Use: Hashable {
            let channel: ExactText
            let project: ProjectID
        }
        var counts: [Use: UInt32] = [:]
        for (project, records) in agents { for agent in records { counts[Use(channel: ExactText(agent.channel), project: project), default: 0] += 1 } }
        var findings: [String] = []
        for owner in try owners(in: view) {
            let there = counts.removeValue(forKey: Use(channel: ExactText(owner.channel), project: owner.project)) ?? 0
            if there != owner.agents {
                findings.append("channel '\(owner.channel)' counts \(owner.agents) agents of project '\(owner.projectName)', there are \(there)")
            }
        }
        for use in counts.keys.sorted(by: { ($0.project, $0.channel) < ($1.project, $1.channel) }) {
            findings.append("channel '\(use.channel)' has agents of project \(use.project.rawValue), which does not hold it")
        }
        return findings
    }

    // MARK: - Records

    private func put(_ owner: Owner, in transaction: inout WriteTransaction) throws {
        var writer = ByteWriter()
        writer.text(owner.channel)
        writer.u32(owner.project.rawValue)
        writer.text(owner.projectName.text)
        writer.u32(owner.agents)
        try transaction.store(scope.key(.channelOwner, text: owner.channel), writer.bytes)
    }

    private static func decode(_ bytes: [UInt8]) throws -> Owner {
        var reader = ByteReader(bytes)
        let channel = try reader.text()
        let project = ProjectID(rawValue: try reader.u32())
        let name = Name(stored: try reader.text())
        let agents = try reader.u32()
        try reader.end()
        guard agents > 0 else { throw ContexError.damaged("channel '\(channel)' is held for no agent") }
        return Owner(channel: channel, project: project, projectName: name, agents: agents)
    }
}
