internal import Access
public import Base
public import Engine

extension Operations {
    public func register(_ command: RegisterCommand, by caller: Caller) async throws -> Registration {
        try await perform(.registerAgent, project: command.project, by: caller) { try await database.register($0.tenant, command) }
    }

    /// One outcome each, in order.
    public func registerBatch(_ commands: [RegisterCommand], by caller: Caller) async throws -> [Result<Registration, ContexError>] {
        try await perform(.registerAgentBatch, project: nil, by: caller) { principal in
            guard commands.count <= Limits.batchItems else {
                throw ContexError(.tooLarge, "A batch holds at most \(Limits.batchItems) items, this one has \(commands.count)")
            }
            var refusals: [Int: ContexError] = [:]
            var allowed: [RegisterCommand] = []
            for (place, command) in commands.enumerated() {
                do {
                    try authorise(principal, .registerAgentBatch, project: command.project)
                    allowed.append(command)
                } catch {
                    refusals[place] = ContexError(from: error)
                }
            }
            var registered = await database.register(principal.tenant, allowed).makeIterator()
            return commands.indices.map { place in
                if let refusal = refusals[place] { return .failure(refusal) }
                return registered.next() ?? .failure(ContexError(.bug, "a registration without an outcome"))
            }
        }
    }

    /// The agents that the caller may see, in the order of registration.
    public func agents(project: Name?, _ page: PageRequest = PageRequest(), by caller: Caller) async throws -> Page<ListedAgent> {
        try await perform(.listAgents, project: project, by: caller) { principal in
            try await database.agents(principal.tenant, project: project, page) { principal.projects.includes($0.text) }
        }
    }

    /// - Parameter project: nil for the original's way of naming an agent by its id alone: the latest registration under it
    ///   that the caller may see.
    /// - Throws: `.notFound`
    public func agent(_ agent: Name, project: Name?, by caller: Caller) async throws -> AgentStatus {
        try await perform(.showAgent, project: project, by: caller) { principal in
            let visible = try await database.agent(principal.tenant, agent, project: project)
                .last { principal.projects.includes($0.project.text) }
            guard let visible else { throw ContexError.notFound("Agent not found") }
            return visible
        }
    }

    /// Removes an agent from its project, or without one from every project that the caller may see. Returns how many
    /// registrations there were: none is no error.
    @discardableResult
    public func unregister(_ agent: Name, project: Name?, by caller: Caller) async throws -> Int {
        try await perform(.removeAgent, project: project, by: caller) { principal in
            let projects = try await database.agent(principal.tenant, agent, project: project).map(\.project)
                .filter { principal.projects.includes($0.text) }
            guard !projects.isEmpty else { return 0 }
            return try await database.unregister(principal.tenant, agent, projects: projects)
        }
    }

    /// Whether a subscriber may read messages of a project; asked for each message, so that a revoked key hears no more.
    public func mayReceive(_ message: ChannelMessage, by caller: Caller) -> Bool {
        guard let principal = try? authenticate(caller), principal.tenant == message.tenant else { return false }
        return (try? authorise(principal, .subscribe, project: message.project)) != nil
    }
}
