// What an agent says of a delivery moves the cut of its own need: Needs/NeedLesson.swift has how far.

internal import Base
internal import Documents
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs

extension Applier {
    func judge(_ command: Command.Judge, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: transaction.view),
            var agent = try NeedStore(scope: scope).agent(command.agent, in: transaction.view)
        else { throw ContexError(.agentNotFound, "Agent not found") }
        let places: Set<UInt32>
        var changed = 0
        switch command.change {
        case .note(let sequence, let need, let isUseful):
            let matches = try Self.judged(sequence, need, agent, Inbox(scope: scope, number: agent.inbox), in: transaction.view)
            for match in matches {
                let verdict = NeedLesson.Verdict(sequence: sequence, similarity: match.similarity, isUseful: isUseful)
                if try agent.learn(verdict, of: match.need, usual: command.threshold) { changed += 1 }
            }
            places = Set(matches.map(\.need))
        case .forget(let sequence, let need):
            let place = try need.map { try Self.place(of: $0, agent) }
            places = place.map { [$0] } ?? Set(agent.lessons.map(\.need))
            changed = agent.forget(need: place, sequence: sequence)
        }
        if changed > 0 {
            let moved = try NeedStore(scope: scope).relearn(agent, places, in: &transaction)
            try NeedLevels.raise(moved, scope, in: &transaction)
        }
        return .judged(
            Feedback(project: command.project, agent: command.agent, changed: changed, needs: places.sorted().map { LearnedNeed(agent, place: $0) }))
    }

    /// The matches of a delivery that a verdict is about.
    private static func judged(
        _ sequence: Sequence, _ need: String?, _ agent: AgentRecord, _ inbox: Inbox, in view: borrowing TransactionView
    ) throws -> [InboxMatch] {
        guard let entry = try inbox.entry(sequence, in: view) else {
            throw ContexError(
                .deliveryNotFound,
                "Agent '\(agent.name)' has no delivery of sequence \(sequence): it was not told of it, or has acknowledged it, or that is too long ago")
        }
        guard entry.agent == agent.number else {
            throw ContexError(
                .conflict, "The delivery of sequence \(sequence) was made to needs that agent '\(agent.name)' has replaced since: they learn nothing from it")
        }
        let matches = try inbox.matches(of: sequence, in: view)
        guard !matches.isEmpty else {
            throw ContexError.invalid(
                field: "sequence", kind: "value_error",
                message: "Value error, the delivery of sequence \(sequence) says that a followed document changed; no need matched anything new")
        }
        guard let need else { return matches }
        let place = try place(of: need, agent)
        let own = matches.filter { $0.need == place }
        guard !own.isEmpty else {
            throw ContexError.invalid(field: "need", kind: "value_error", message: "Value error, the delivery of sequence \(sequence) did not match that need")
        }
        return own
    }

    private static func place(of need: String, _ agent: AgentRecord) throws -> UInt32 {
        guard let place = agent.needs.firstIndex(where: { ExactText($0) == ExactText(need) }) else {
            throw ContexError.invalid(field: "need", kind: "value_error", message: "Value error, agent '\(agent.name)' has no such need")
        }
        return UInt32(place)
    }
}
