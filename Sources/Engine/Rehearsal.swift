// What a document would do if it were published: which agents it would reach, and by which of their needs.
//
// It is published, and the transaction is given up: so the answer is what a publish would come to, to the last statistic, and nothing of it stays.

public import Base
internal import Documents
internal import LMDB
internal import Needs
public import Search

public struct Rehearsal: Sendable {
    public let project: Name
    public let key: Name
    /// False when the key holds just this: then nobody is told.
    public let changed: Bool
    /// Into which the document falls.
    public let nodes: Int
    /// In the order of registration.
    public let agents: [ReachedAgent]
}

/// An agent that a document reaches.
public struct ReachedAgent: Sendable {
    /// A node, and the first of the agent's needs that it matches.
    public struct Match: Sendable {
        public let nodeKey: String
        public let need: String
        public let similarity: Double
        public let threshold: Double
        public let mode: SearchMode
        public let parts: ScoreParts
    }

    public let agent: Name
    /// It followed the document before, and is told of every change.
    public let follows: Bool
    public let matches: [Match]

    init(_ agent: AgentRecord, follows: Bool, _ matches: [NeedMatch], _ documents: DocumentStore, in view: borrowing TransactionView) throws {
        self.agent = agent.name
        self.follows = follows
        var found: [Match] = []
        for match in matches {
            guard let node = try documents.node(match.node, in: view), agent.needs.indices.contains(Int(match.need)) else { continue }
            found.append(
                Match(
                    nodeKey: node.nodeKey, need: agent.needs[Int(match.need)], similarity: match.similarity, threshold: match.score.threshold,
                    mode: match.score.mode, parts: match.score.parts))
        }
        self.matches = found
    }
}

extension Database {
    /// What a publish would do now.
    /// - Throws: as a publish fails.
    public func rehearse(_ tenant: TenantID, _ command: PublishCommand) async throws(ContexError) -> Rehearsal {
        // With all vectors, so that it cannot be stale.
        try await log.rehearse(prepare(tenant, [command], all: true)[0].get())
    }
}
