internal import Base
internal import Documents
internal import Events
internal import FullText
internal import Inboxes
internal import KeySpace
package import LMDB
package import Needs
internal import Outbox

extension Applier {
    func register(_ command: Command.Register, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        var found = command.found
        if let known = found, try command.search.stamp(in: transaction.view) != known.stamp {
            if command.refusesStale { return .stale }
            found = nil
        }
        return .registered(try enter(command, found ?? command.search.run(in: transaction.view), &work, in: &transaction))
    }

    private func enter(
        _ command: Command.Register, _ found: NeedSearch.Found, _ work: inout Work, in transaction: inout WriteTransaction
    ) throws -> Registration {
        let (asked, search) = (command.agent, command.search)
        let registry = ProjectRegistry(tenant: search.tenant)
        let channels = ChannelDirectory(tenant: search.tenant)
        let known = try registry.scope(of: asked.project, in: transaction.view)
        let before = try known.flatMap { try NeedStore(scope: $0).agent(asked.agent, in: transaction.view) }
        let channel = try Self.channel(of: asked, before: before, project: known?.project, channels, in: transaction.view)
        let bytes = search.needs.reduce(0) { $0 + $1.utf8.count }
        try admit(
            QuotaDemand(bytes: bytes, agent: before == nil ? .some(known) : nil, webhook: asked.delivery == .webhook), of: search.tenant, at: command.time,
            in: transaction)
        // From here on the transaction changes.
        let scope = try entering(asked.project, search.tenant, at: command.time, &work.effects, in: &transaction)
        let store = NeedStore(scope: scope)
        if before?.channel.utf8.elementsEqual(channel.utf8) != true {
            if let before { try channels.release(before.channel, by: scope.project, in: &transaction) }
            try channels.claim(channel, for: scope.project, named: asked.project, in: &transaction)
            try Invariants.hold(
                try channels.owner(of: channel, in: transaction.view)?.project == scope.project, "channel '\(channel)' is not its agent's project's")
        }
        let kept = asked.keepsSecret ? before?.webhookSecret : nil
        let number = try store.nextNumber(in: transaction.view)
        var agent = AgentRecord(
            name: asked.agent, number: number, inbox: before?.inbox ?? number, needs: search.needs, delivery: asked.delivery,
            responseFormat: asked.responseFormat, channel: channel, webhookURL: asked.webhookURL, webhookSecret: asked.webhookSecret ?? kept,
            envelope: asked.envelope, settings: asked.settings, registrant: asked.registrant, lastSequence: found.head, registeredAt: command.time)
        if let before { agent.inherit(before) }
        let needs = search.records(agent, by: try TextIndex(scope: scope).options(in: transaction.view).analyzer)
        try store.register(agent, needs: needs, in: &transaction)
        try NeedLevels.raise(needs, scope, in: &transaction)
        try found.setFollows(of: agent.number, store, in: &transaction)
        try AgentDirectory(tenant: search.tenant).put(
            .init(agent: asked.agent, project: scope.project, projectName: asked.project, registeredAt: command.time), in: &transaction)
        let missed = try EventLog(scope: scope).events(
            after: asked.lastSeen, count: Database.catchUpMax, bytesMax: Limits.catchUpBytes, in: transaction.view)
        try beginDeliveries(agent, asked, missed: missed, scope, in: &transaction)
        // Whoever replays the command has not searched: he does now, when somebody wants to hear of it, and finds the same.
        let isWanted = try EventOutbox(tenant: search.tenant).state(in: transaction.view).wanted & EventKind.agentRegistered.bit != 0
        let matchedNeeds = isWanted ? try found.matchedNeeds ?? search.run(in: transaction.view).matchedNeeds ?? 0 : 0
        try tellEndpoints(.agentRegistered, search.tenant, asked.project, at: command.time, &work.effects, in: &transaction) {
            [
                ("project_id", .string(asked.project.text)), ("agent_id", .string(asked.agent.text)),
                ("data_needs", .array(search.needs.map(JSONValue.string))),
                ("matched_needs_count", .integer(matchedNeeds)),
            ]
        }
        func tell(_ message: Notification.Message, _ provenance: Provenance) {
            work.effects.notifications.append(
                Notification(tenant: search.tenant, project: asked.project, agent: agent, message: message, provenance: provenance))
        }
        var origin = Provenance()
        origin.sequence = found.head
        tell(.initialContext(found.context), origin)
        for event in missed { tell(.event(event), Provenance(event)) }
        return Registration(
            project: asked.project, agent: asked.agent, caughtUpEvents: missed.count,
            caughtUpTo: missed.last.flatMap { $0.sequence < found.head ? $0.sequence : nil }, currentSequence: found.head,
            matchedNeeds: found.context.needs.map { ($0.need, $0.matches.count) }, channel: agent.channel)
    }

    /// The channel on which an agent is told: the one that it asks for, else the one that it has, else the first that is open to its
    /// project.
    /// - Throws: `.conflict` for one that another project holds.
    private static func channel(
        of command: RegisterCommand, before: AgentRecord?, project: ProjectID?, _ channels: ChannelDirectory, in view: borrowing TransactionView
    ) throws -> String {
        if let chosen = command.channel, !chosen.isEmpty {
            guard try channels.isOpen(chosen, to: project, in: view) else {
                throw ContexError(
                    .channelTaken,
                    "notification_channel '\(chosen)' belongs to another project: choose another one, or leave it out and the server finds one")
            }
            return chosen
        }
        let own = Database.ownChannels(of: command.agent, in: command.project)
        // Whoever listens there does not have to learn a new name because another project's agent went.
        if let before, own.contains(where: { $0.utf8.elementsEqual(before.channel.utf8) }) { return before.channel }
        for channel in own where try channels.isOpen(channel, to: project, in: view) { return channel }
        throw ContexError(
            .channelTaken, "every channel that agent '\(command.agent)' would be told on belongs to another project: give it a notification_channel")
    }

    func unregister(_ command: Command.Unregister, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        var removed = 0
        for project in command.projects {
            guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: project, in: transaction.view),
                let record = try NeedStore(scope: scope).agent(command.agent, in: transaction.view)
            else { continue }
            try ChannelDirectory(tenant: command.tenant).release(record.channel, by: scope.project, in: &transaction)
            try NeedStore(scope: scope).remove(command.agent, in: &transaction)
            try Inbox(scope: scope, number: record.inbox).removeAll(in: &transaction)
            try DeliveryLedger(scope: scope, lane: UInt64(record.inbox)).removeAll(in: &transaction)
            try AgentDirectory(tenant: command.tenant).remove(command.agent, project: scope.project, in: &transaction)
            try tellEndpoints(.agentUnregistered, command.tenant, project, at: command.time, &work.effects, in: &transaction) {
                [("project_id", .string(project.text)), ("agent_id", .string(command.agent.text))]
            }
            removed += 1
        }
        return .unregistered(removed)
    }
}

extension NeedSearch.Found {
    /// Lets the agent follow what was found.
    package func setFollows(of agent: UInt32, _ store: NeedStore, in transaction: inout WriteTransaction) throws {
        for (document, nodes) in nodes.sorted(by: { $0.key < $1.key }) {
            try store.setFollow(agent: agent, document: document, nodes: nodes.sorted(), in: &transaction)
        }
    }
}
