// Whom a change of a document concerns: the agents that followed it, and those whose needs its new nodes match for the first time.

internal import Base
internal import Documents
internal import FullText
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Search

/// A change of a document, for the agents that it may concern.
struct Telling {
    let tenant: TenantID
    let scope: TenantScope
    let project: Name
    let document: DocumentID
    /// The nodes that the document has now.
    let standing: Set<NodeID>
    /// The units of those that it did not have before.
    let fresh: [FreshUnit]
    /// The words of the units that it keeps, where the fresh ones are scored with them too.
    var kept: [AnalyzedText] = []
    let routing: Command.Routing
    let source: Provenance
    let sequence: Sequence
    let message: Notification.Message

    var key: String {
        switch message {
        case .update(_, let key, _), .deletion(_, let key): key
        case .initialContext, .event: ""
        }
    }
}

extension Applier {
    /// Tells the agents that are concerned, and notes who follows the document now: those that one of its nodes matches.
    /// - Parameter terms: of the fresh units; nil when there are none.
    func tell(_ telling: Telling, _ terms: FreshTerms?, in transaction: inout WriteTransaction, _ effects: inout Effects) throws {
        let needs = NeedStore(scope: telling.scope)
        let followers = try needs.followers(of: telling.document, in: transaction.view)
        var terms = terms
        if !telling.kept.isEmpty, terms != nil {
            // The writer of the fresh texts saw no others.
            terms = try FreshTerms(BatchTerms(telling.fresh.flatMap(\.passages).map(\.text) + telling.kept), telling.scope, in: transaction.view)
        }
        let matched = try terms.map {
            try matcher.match(
                telling.fresh, $0, of: telling.document, scope: telling.scope, dimension: dimension, routing: telling.routing, in: transaction.view)
        } ?? [:]
        let told = Set(followers).union(matched.keys).sorted()
        guard !told.isEmpty else { return }
        for number in told {
            guard let name = try needs.agentName(number, in: transaction.view), let agent = try needs.agent(name, in: transaction.view) else {
                throw ContexError.damaged("document \(telling.document.rawValue) names agent number \(number) as its follower, which is not there")
            }
            let held = try needs.followedNodes(by: number, document: telling.document, in: transaction.view)
            let fresh = matched[number] ?? []
            let now = held.filter(telling.standing.contains) + fresh.map(\.node)
            if now != held { try needs.setFollow(agent: number, document: telling.document, nodes: now, in: &transaction) }
            let matches = Self.matches(fresh)
            effects.reached?.append(try ReachedAgent(agent, follows: !held.isEmpty, fresh, DocumentStore(scope: telling.scope), in: transaction.view))
            let reason: InboxEntry.Reason =
                if case .deletion = telling.message { .deletion } else if held.isEmpty { .firstMatch } else { .update }
            if agent.delivery == .webhook { try adoptDeliveries(agent, telling.scope, in: &transaction) }
            try Inbox(scope: telling.scope, number: agent.inbox).append(
                InboxEntry(sequence: telling.sequence, reason: reason, agent: agent.number, needs: matches.map(\.need)),
                matches: matches.map { InboxMatch($0) }, in: &transaction)
            if reason == .firstMatch { try tellEndpoints(of: matches, agent, telling, in: &transaction, &effects) }
            var provenance = telling.source
            provenance.matches = matches.compactMap { agent.needs.indices.contains(Int($0.need)) ? (agent.needs[Int($0.need)], $0.similarity) : nil }
            effects.notifications.append(
                Notification(tenant: telling.tenant, project: telling.project, agent: agent, message: telling.message, provenance: provenance))
        }
    }

    private func tellEndpoints(
        of matches: [NeedMatch], _ agent: AgentRecord, _ telling: Telling, in transaction: inout WriteTransaction, _ effects: inout Effects
    ) throws {
        let time = telling.source.recordedAt ?? agent.registeredAt
        try tellEndpoints(.contextMatched, telling.tenant, telling.project, at: time, &effects, in: &transaction) {
            let needs = matches.compactMap { agent.needs.indices.contains(Int($0.need)) ? JSONValue.string(agent.needs[Int($0.need)]) : nil }
            return [
                ("project_id", .string(telling.project.text)), ("agent_id", .string(agent.name.text)), ("data_key", .string(telling.key)),
                ("sequence", .string(telling.sequence.description)), ("needs", .array(needs)),
            ]
        }
    }

    /// Notes whose needs the nodes of a document answer now, and tells nobody; what they followed of it before is gone.
    func noteFollowers(
        _ scope: TenantScope, document: DocumentID, fresh: [FreshUnit], _ routing: Command.Routing, in transaction: inout WriteTransaction
    ) throws {
        let needs = NeedStore(scope: scope)
        let followers = try needs.followers(of: document, in: transaction.view)
        let terms = try FreshTerms(BatchTerms(fresh.flatMap(\.passages).map(\.text)), scope, in: transaction.view)
        let matched = try matcher.match(fresh, terms, of: document, scope: scope, dimension: dimension, routing: routing, in: transaction.view)
        for agent in Set(followers).union(matched.keys).sorted() {
            try needs.setFollow(agent: agent, document: document, nodes: matched[agent]?.map(\.node) ?? [], in: &transaction)
        }
    }

    /// Each need once, with its best node.
    private static func matches(_ found: [NeedMatch]) -> [NeedMatch] {
        var best: [UInt32: NeedMatch] = [:]
        for match in found where match.similarity > best[match.need]?.similarity ?? -.infinity { best[match.need] = match }
        return best.values.sorted { $0.need < $1.need }
    }
}

extension InboxMatch {
    /// What the inbox keeps of a match.
    init(_ match: NeedMatch) {
        let (score, parts) = (match.score, match.score.parts)
        self.init(
            need: match.need, node: match.node, mode: score.mode.ofNeeds.rawValue, similarity: Float(match.similarity), threshold: score.threshold,
            cosine: parts.cosine, bm25: parts.bm25, ceiling: parts.ceiling, cut: parts.cut, shareCut: parts.shareCut,
            exactWord: parts.exactWord.map { $0 == .alone ? .alone : .rare })
    }
}
