// An agent for as long as somebody looks: registered when a connection opens, gone when it closes. The sandbox's, and that of whoever
// asks for updates of a need without an agent of its own.

internal import Access
internal import Base
public import Engine
internal import Logging

public final class Visit: Sendable {
    public let registration: Registration
    /// What comes for it, from the registration on.
    public let feed: Feed
    private let leave: @Sendable () async -> Void

    fileprivate init(_ registration: Registration, _ feed: Feed, leave: @escaping @Sendable () async -> Void) {
        self.registration = registration
        self.feed = feed
        self.leave = leave
    }

    /// Also when the connection broke and nobody asks any more.
    deinit { Task { [leave] in await leave() } }
}

extension Operations {
    /// Registers an agent that is unregistered when the visit is forgotten.
    /// - Throws: `.conflict` when there is an agent of this id in the project: it is somebody's, and would end with the visit; what `register` does.
    public func visit(_ command: RegisterCommand, by caller: Caller) async throws -> Visit {
        try await perform(.registerAgent, project: command.project, by: caller) { principal in
            let tenant = principal.tenant
            guard try await database.agent(tenant, command.agent, project: command.project).isEmpty else {
                throw ContexError(
                    .conflict,
                    "An agent '\(command.agent)' is registered in this project already: a visit needs a name of its own, and takes it away when it ends")
            }
            let registration = try await database.register(tenant, command.registered(by: principal))
            let feed = Feed(
                subject: .agent(command.agent, project: command.project), operations: self, caller: caller, tenant: tenant, suppressesOwn: false)
            return Visit(registration, feed) { [self] in
                do {
                    // No right is asked for: what came with the visit goes with it. And no rate, or a visit over it would stay.
                    try await attributed(.removeAgent, principal, caller) {
                        _ = try await database.unregister(tenant, command.agent, projects: [command.project])
                    }
                } catch {
                    logger.warning("the agent of a visit stays", metadata: ["agent": "\(command.agent)", "reason": "\(error)"])
                }
            }
        }
    }
}
