internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Events
internal import Inboxes
internal import Needs
internal import Search
internal import Service
internal import Wire

extension OperationCalls {
    func register(_ message: WireRegister) async throws -> WireRegistration {
        let registration = try await operations.register(try Self.command(message), by: caller)
        var answer = WireRegistration()
        (answer.project, answer.agent, answer.channel) = (registration.project.text, registration.agent.text, registration.channel)
        (answer.caughtUpEvents, answer.caughtUpTo) = (UInt64(registration.caughtUpEvents), registration.caughtUpTo?.rawValue)
        answer.currentSequence = registration.currentSequence.rawValue
        answer.matched = registration.matchedNeeds.map { matched in
            var message = WireRegistration.Matched()
            (message.need, message.count) = (matched.need, UInt64(matched.count))
            return message
        }
        return answer
    }

    private enum Delivery: String, CaseIterable { case redis, webhook }
    private enum Envelope: String, CaseIterable { case plain, full }

    private static func command(_ message: WireRegister) throws(ContexError) -> RegisterCommand {
        guard !message.needs.isEmpty else {
            throw .invalid(field: "data_needs", kind: "too_short", message: "List should have at least 1 item after validation, not 0")
        }
        let delivery: Delivery? = try Given.word(message.delivery, "notification_method")
        let envelope: Envelope? = try Given.word(message.envelope, "envelope")
        let mode: SearchMode? = try Given.word(message.mode, "mode")
        var command = RegisterCommand(
            project: try Given.name(message.project, "project_id"), agent: try Given.name(message.agent, "agent_id"), needs: message.needs,
            lastSeen: Given.sequence(message.lastSeen), delivery: delivery == .webhook ? .webhook : .redis,
            responseFormat: message.responseFormat ?? AnswerFormat.json.rawValue, channel: message.channel, webhookURL: message.webhookURL,
            webhookSecret: message.webhookSecret)
        command.envelope = envelope == .full ? .full : .plain
        command.maxTokens = try Given.integer(message.maxTokens, Limits.contextTokens, "max_tokens")
        command.diversity = message.diversity
        command.pinned = message.pinned
        // As it is kept.
        let filter = try message.filter.map { json throws(ContexError) in JSONPrinter.text(try Given.json(json, "filter")) }
        command.settings = NeedSettings(
            minSimilarity: message.minSimilarity, mode: mode?.ofNeeds, filter: filter, topK: try Given.integer(message.topK, 1...Limits.topK, "top_k"))
        return command
    }

    func remove(_ message: WireAgent) async throws -> WireRemoved {
        WireRemoved(
            try await operations.unregister(
                try Given.name(message.agent, "agent_id"), project: try Given.name(message.project, "project_id"), by: caller))
    }

    /// As the HTTP API shows it.
    func showAgent(_ message: WireAgent) async throws -> WireJSON {
        let agent = try await operations.agent(
            try Given.name(message.agent, "agent_id"), project: try Given.name(message.project, "project_id"), by: caller)
        return WireJSON(JSONPrinter.bytes(.object(AgentShape.status(agent))))
    }

    func listAgents(_ message: WireListing) async throws -> WireAgents {
        let page = try await operations.agents(project: try Given.name(message.project, "project_id"), try Self.page(message), by: caller)
        var answer = WireAgents()
        answer.agents = page.items.map { agent in
            var message = WireAgents.Agent()
            (message.agent, message.project, message.registeredAt) = (agent.agent.text, agent.project.text, agent.registeredAt.rawValue)
            return message
        }
        answer.next = page.next
        return answer
    }

    func tryNeeds(_ message: WireTryNeeds) async throws -> WireJSON {
        guard !message.needs.isEmpty else {
            throw ContexError.invalid(field: "needs", kind: "too_short", message: "List should have at least 1 item after validation, not 0")
        }
        try TextRule.check(message.needs, field: "needs", countMax: NeedTrial.needsMax, scalarsMax: Limits.queryScalars)
        let mode: SearchMode? = try Given.word(message.mode, "mode")
        _ = try Self.filter(message.filter)
        let request = NeedTrialRequest(
            project: try Given.name(message.project, "project_id"), needs: message.needs,
            events: try Given.integer(message.events, 1...Limits.pageItems, "events") ?? 200,
            settings: NeedSettings(
                minSimilarity: try Given.number(message.minSimilarity, 0...1, "min_similarity"), mode: mode?.ofNeeds,
                filter: try message.filter.map { json throws(ContexError) in JSONPrinter.text(try Given.json(json, "filter")) }))
        return WireJSON(JSONPrinter.bytes(.object(NeedShape.trial(try await operations.tryNeeds(request, by: caller)))))
    }

    // MARK: - Inboxes and events

    func readInbox(_ message: WireReadInbox, _ lease: MemoryLease) async throws -> WireInbox {
        let cursor = try message.cursor.map { text throws(ContexError) in try InboxCursor(text) }
        let wait = try Given.integer(message.waitMilliseconds, 0...Limits.inboxWaitSeconds * 1_000, "wait") ?? 0
        let page = try await operations.inbox(
            try Given.name(message.agent, "agent_id"), project: try Given.name(message.project, "project_id"), after: cursor,
            limit: try Given.integer(message.limit, 1...Limits.inboxPageMax, "limit") ?? Limits.inboxPage, wait: .milliseconds(wait),
            hold: { [house, address] waiting in
                // Others work in its place while it waits.
                lease.settle(at: Self.waitingBytes)
                house.connections.leave(address)
                await waiting()
                house.connections.comeBack(address)
            }, by: caller)
        var answer = WireInbox()
        answer.project = page.project.text
        answer.updates = page.items.map(Self.update)
        (answer.cursor, answer.hasMore, answer.hasGap) = (page.cursor.description, page.hasMore, page.hasGap)
        return answer
    }

    /// What a waiting request is taken to hold.
    private static let waitingBytes = 4 << 10

    func acknowledge(_ message: WireAcknowledge) async throws -> WireRemoved {
        WireRemoved(
            try await operations.acknowledge(
                try Given.name(message.agent, "agent_id"), project: try Given.name(message.project, "project_id"),
                upTo: try InboxCursor(message.cursor), by: caller))
    }

    func readEvents(_ message: WireReadEvents) async throws -> WireEvents {
        let page = try await operations.events(
            project: try Given.name(message.project, "project_id"), since: Given.sequence(message.since), try Self.page(message.limit, message.cursor),
            by: caller
        ) { event in
            (WireEvent(event), event.byteCount)
        }
        var answer = WireEvents()
        (answer.events, answer.next) = (page.items, page.next)
        return answer
    }

    static func update(_ item: InboxItem) -> WireUpdate {
        var message = WireUpdate()
        (message.cursor, message.reason, message.needs) = (item.cursor.description, item.reason.word, item.needs)
        message.event = WireEvent(item.event)
        return message
    }
}

extension WireEvent {
    init(_ event: EventRecord) {
        self.init()
        (sequence, type, key, data) = (event.sequence.rawValue, event.type, event.key, event.data)
        (recordedAt, position, kind, format) = (event.recordedAt.rawValue, event.position.rawValue, UInt64(event.kind.rawValue), event.format)
        metadata = event.metadata.isEmpty ? nil : event.metadata
        publisher = event.publisher.map(WirePublisher.init)
    }
}
