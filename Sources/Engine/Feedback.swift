// Needs learn: what an agent says of its deliveries moves their cuts.

public import Base
public import Needs

/// What a need has learned.
public struct LearnedNeed: Sendable, Equatable {
    public let need: String
    /// Deliveries of which something was said and is kept.
    public let judged: Int
    public let useful: Int
    /// In log-odds; 0: the cut is what it would be.
    public let shift: Double
    /// What the similarity would have to be if nothing had been said; nil: nothing is.
    public let usual: Double?
    /// What it has to be; nil: what needs without a word of their own have, the server's threshold.
    public let cut: Double?

    init(_ agent: AgentRecord, place: UInt32) {
        let lesson = agent.lessons.first { $0.need == place }
        need = agent.needs.indices.contains(Int(place)) ? agent.needs[Int(place)] : ""
        judged = lesson?.verdicts.count ?? 0
        useful = lesson?.useful ?? 0
        shift = lesson?.shift ?? 0
        usual = lesson?.usual
        cut = lesson?.cut ?? lesson?.usual ?? agent.settings.minSimilarity
    }
}

/// What became of what an agent said.
public struct Feedback: Sendable {
    public let project: Name
    public let agent: Name
    /// Verdicts that are new, other ones, or gone.
    public let changed: Int
    /// Those that it is about.
    public let needs: [LearnedNeed]
}

extension AgentRecord {
    /// The needs of which something was said.
    public var learned: [LearnedNeed] { lessons.map { LearnedNeed(self, place: $0.need) } }
}

extension Database {
    /// Notes that a delivery was useful, or that it was not, to one of the needs that it matched, or to each of them. What was said of it before is
    /// replaced.
    /// - Throws: `.agentNotFound`; `.deliveryNotFound` for one that is not in the agent's inbox; `.conflict` for one of needs that were replaced;
    ///   `.invalid` for one that matched nothing, or not that need; `.limited`. Then nothing has changed.
    public func judge(_ tenant: TenantID, project: Name, agent: Name, sequence: Sequence, need: String?, isUseful: Bool) async throws -> Feedback {
        try await judge(tenant, project, agent, .note(sequence, need: need, isUseful: isUseful))
    }

    /// Takes back what an agent said: of one need or of all, of one delivery or of all.
    /// - Throws: `.agentNotFound`; `.invalid` for a need that it does not have.
    public func forget(_ tenant: TenantID, project: Name, agent: Name, sequence: Sequence?, need: String?) async throws -> Feedback {
        try await judge(tenant, project, agent, .forget(sequence, need: need))
    }

    private func judge(_ tenant: TenantID, _ project: Name, _ agent: Name, _ change: Command.Judge.Change) async throws -> Feedback {
        let time = now()
        activity.note(tenant, project, agent, at: time)
        let outcome = try await submit(
            .judge(.init(tenant: tenant, project: project, agent: agent, change: change, threshold: configuration.threshold, time: time)))
        guard case .judged(let feedback) = outcome else { throw outcome.mismatch }
        return feedback
    }
}
