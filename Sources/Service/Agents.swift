internal import Access
public import Base
public import Engine

extension Operations {
    public func register(_ command: RegisterCommand, by caller: Caller) async throws -> Registration {
        try await perform(.registerAgent, project: command.project, by: caller) {
            try await database.register($0.tenant, command.registered(by: $0))
        }
    }

    /// One outcome each, in order.
    public func registerBatch(_ commands: [RegisterCommand], by caller: Caller) async throws -> [Result<Registration, ContexError>] {
        try await perform(.registerAgentBatch, project: nil, by: caller) { principal in
            guard commands.count <= Limits.batchItems else {
                throw ContexError(.batchTooLarge, "A batch holds at most \(Limits.batchItems) items, this one has \(commands.count)")
            }
            var refusals: [Int: ContexError] = [:]
            var allowed: [RegisterCommand] = []
            for (place, command) in commands.enumerated() {
                do {
                    try authorise(principal, .registerAgentBatch, project: command.project, from: caller)
                    try database.quarantine.check(principal.tenant, command.project)
                    allowed.append(command.registered(by: principal))
                } catch {
                    refusals[place] = ContexError(from: error)
                }
            }
            var registered = await database.register(principal.tenant, allowed).makeIterator()
            let outcomes: [Result<Registration, ContexError>] = commands.indices.map { place in
                if let refusal = refusals[place] { return .failure(refusal) }
                return registered.next() ?? .failure(ContexError(.bug, "a registration without an outcome"))
            }
            meetDamage(outcomes, of: commands.map(\.project), principal)
            return outcomes
        }
    }

    /// Which agents a document would reach if it were published, by which of their needs; nothing of it stays.
    public func rehearse(_ command: PublishCommand, by caller: Caller) async throws -> Rehearsal {
        try await perform(.rehearse, project: command.project, by: caller) { try await database.rehearse($0.tenant, command) }
    }

    /// What needs would have matched among what was published last.
    public func tryNeeds(_ request: NeedTrialRequest, by caller: Caller) async throws -> NeedTrial {
        try await perform(.tryNeeds, project: request.project, by: caller) { try await database.tryNeeds($0.tenant, request) }
    }

    /// The agents that the caller may see, in the order of registration.
    public func agents(project: Name?, _ page: PageRequest = PageRequest(), by caller: Caller) async throws -> Page<ListedAgent> {
        try await perform(.listAgents, project: project, by: caller) { principal in
            try await database.agents(principal.tenant, project: project, page) { self.maySee(.listAgents, of: $0.text, principal, caller) }
        }
    }

    /// - Parameter project: nil for the original's way of naming an agent by its id alone.
    /// - Throws: `.notFound`; `.conflict` when the id alone stands for several registrations that the caller may see.
    public func agent(_ agent: Name, project: Name?, by caller: Caller) async throws -> AgentStatus {
        try await perform(.showAgent, project: project, by: caller) { principal in
            try await registered(agent, project, principal, for: .showAgent, caller)
        }
    }

    /// The registration that an id means to the caller.
    /// - Throws: `.conflict` when there are several.
    private func registration(
        _ agent: Name, _ project: Name?, _ principal: Principal, for action: Action, _ caller: Caller
    ) async throws -> AgentStatus? {
        let visible = try await database.agent(principal.tenant, agent, project: project).filter {
            maySee(action, of: $0.project.text, principal, caller)
        }
        guard visible.count > 1 else { return visible.first }
        throw ContexError(
            .agentAmbiguous,
            "Agent '\(agent)' is registered in \(visible.count) projects: say which one is meant with ?project_id=<project>",
            candidates: visible.prefix(Limits.candidatesShown).map(\.project.text))
    }

    /// The same of an id that must mean one.
    /// - Throws: `.notFound`; `.conflict` as `registration`.
    func registered(
        _ agent: Name, _ project: Name?, _ principal: Principal, for action: Action, _ caller: Caller
    ) async throws -> AgentStatus {
        guard let meant = try await registration(agent, project, principal, for: action, caller) else { throw ContexError(.agentNotFound, "Agent not found") }
        try database.quarantine.check(principal.tenant, meant.project)
        return meant
    }

    /// Removes the registration that the id means. Returns how many there were: none is no error.
    /// - Throws: `.conflict` as in `agent`.
    @discardableResult
    public func unregister(_ agent: Name, project: Name?, by caller: Caller) async throws -> Int {
        try await perform(.removeAgent, project: project, by: caller) { principal in
            guard let meant = try await registration(agent, project, principal, for: .removeAgent, caller) else { return 0 }
            return try await database.unregister(principal.tenant, agent, projects: [meant.project])
        }
    }

    /// What concerned an agent after a cursor; nil: from the oldest that it has not acknowledged.
    /// - Parameters:
    ///   - wait: how long the answer may wait for something to come when there is nothing; zero: it does not.
    ///   - explains: says how the needs matched.
    ///   - hold: around the waiting, as in `Database.inbox`.
    /// - Throws: `.notFound`; `.conflict` as in `agent`, and for a cursor of a log that was replaced; what a key that is no longer valid is told.
    public func inbox(
        _ agent: Name, project: Name?, after cursor: InboxCursor?, limit: Int, wait: Duration = .zero, explains: Bool = false,
        hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void = { await $0() }, by caller: Caller
    ) async throws -> InboxPage {
        try await perform(.readInbox, project: project, by: caller) { principal in
            let meant = try await registered(agent, project, principal, for: .readInbox, caller)
            return try await database.guarding(principal.tenant, meant.project) {
                guard wait > .zero else {
                    return try await database.inbox(
                        principal.tenant, project: meant.project, agent: agent, after: cursor, limit: limit, explains: explains)
                }
                return try await database.inbox(
                    principal.tenant, project: meant.project, agent: agent, after: cursor, limit: limit, wait: wait, explains: explains
                ) { waiting in
                    try await hold(waiting)
                    // What was allowed when it was asked may not be any more.
                    try authorise(authenticate(caller), .readInbox, project: meant.project, from: caller)
                    try database.quarantine.check(principal.tenant, meant.project)
                }
            }
        }
    }

    /// Whoever waits is answered now: the server stops.
    public func endWaits() { database.endWaits() }

    /// Lets go what an agent has dealt with. Returns how many entries there were.
    public func acknowledge(_ agent: Name, project: Name?, upTo cursor: InboxCursor, by caller: Caller) async throws -> Int {
        try await perform(.acknowledgeInbox, project: project, by: caller) { principal in
            let meant = try await registered(agent, project, principal, for: .acknowledgeInbox, caller)
            return try await database.acknowledge(principal.tenant, project: meant.project, agent: agent, upTo: cursor)
        }
    }

    /// Notes what an agent says of a delivery: the cut of its need moves.
    /// - Throws: as `Database.judge`; `.notFound` and `.conflict` as in `agent`.
    public func judge(
        _ agent: Name, project: Name?, sequence: Sequence, need: String?, isUseful: Bool, by caller: Caller
    ) async throws -> Feedback {
        try await perform(.judgeDelivery, project: project, by: caller) { principal in
            let meant = try await registered(agent, project, principal, for: .judgeDelivery, caller)
            return try await database.judge(
                principal.tenant, project: meant.project, agent: agent, sequence: sequence, need: need, isUseful: isUseful)
        }
    }

    /// Takes back what an agent said: of one need or of all, of one delivery or of all.
    public func forgetJudgements(_ agent: Name, project: Name?, sequence: Sequence?, need: String?, by caller: Caller) async throws -> Feedback {
        try await perform(.judgeDelivery, project: project, by: caller) { principal in
            let meant = try await registered(agent, project, principal, for: .judgeDelivery, caller)
            return try await database.forget(principal.tenant, project: meant.project, agent: agent, sequence: sequence, need: need)
        }
    }

    /// Whether the caller may listen at all; what it hears is decided message by message.
    public func subscribe(by caller: Caller) async throws {
        try await perform(.subscribe, project: nil, by: caller) { _ in }
    }

    /// Whether a subscriber may read messages of a project; asked for each message, so that a revoked key hears no more.
    public func mayReceive(of project: Name, tenant: TenantID, by caller: Caller) -> Bool {
        guard let principal = present(caller), principal.tenant == tenant else { return false }
        return (try? authorise(principal, .subscribe, project: project, from: caller)) != nil
    }

    /// Of these channels those that the caller may know of: the ones of its projects; with all projects in its reach, every one.
    public func visibleChannels(_ channels: [String], by caller: Caller) async throws -> [String] {
        try await perform(.subscribe, project: nil, by: caller) { principal in
            // Where there are several tenants, what nobody of this one is told on may be another's.
            guard !principal.projects.isAll || principal.hasRules || database.tenants.isOn else { return channels }
            let owners = try await database.channelOwners(principal.tenant, channels)
            return zip(channels, owners).filter { $0.1.map { maySee(.subscribe, of: $0.text, principal, caller) } ?? false }.map(\.0)
        }
    }

    /// Whether the caller's reach is every project: such a one may know what others listen to.
    public func reachesAll(_ caller: Caller) -> Bool {
        guard let principal = present(caller), principal.projects.isAll, !principal.hasRules else { return false }
        return !database.tenants.isOn || principal.isOperator
    }

    /// Calls after every change of keys or roles; must not block.
    public func observeKeys(_ change: @escaping @Sendable () -> Void) { database.keyRing.observe(change) }
}

extension RegisterCommand {
    /// Whoever a command says it comes from, it comes from the caller.
    func registered(by principal: Principal) -> RegisterCommand {
        var command = self
        command.registrant = principal.publisher
        return command
    }
}
