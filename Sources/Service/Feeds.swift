internal import Access
public import Base
public import Engine

/// What a caller follows: opened once, through all steps of an operation, and read page by page. Before each page the key is looked at
/// again: what was allowed when it was opened may not be any more.
public struct Feed: Sendable {
    public let subject: FeedSubject
    let operations: Operations
    let caller: Caller
    let tenant: TenantID
    let suppressesOwn: Bool

    private var action: Action {
        switch subject {
        case .agent: .readInbox
        case .project: .followEvents
        }
    }

    /// What comes after a cursor, as `Database.feed` has it.
    /// - Parameters:
    ///   - wait: how long the page may wait for something to come when there is nothing; zero: it does not.
    ///   - hold: around the waiting, as of `Database.feed`.
    /// - Throws: what a key that is no longer valid is told, and what `Database.feed` does.
    public func page(
        after cursor: InboxCursor?, limit: Int = Limits.inboxPage, bytesMax: Int = Limits.answerBytes, wait: Duration = .zero,
        hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void = { await $0() }
    ) async throws -> FeedPage {
        try check()
        return try await operations.database.guarding(tenant, subject.project) {
            guard wait > .zero else {
                return try await operations.database.feed(
                    tenant, subject, after: cursor, limit: limit, bytesMax: bytesMax, suppressesOwn: suppressesOwn)
            }
            return try await operations.database.feed(
                tenant, subject, after: cursor, limit: limit, bytesMax: bytesMax, suppressesOwn: suppressesOwn, wait: wait
            ) { waiting in
                try await hold(waiting)
                try check()
                try operations.database.quarantine.check(tenant, subject.project)
            }
        }
    }

    private func check() throws { try operations.authorise(operations.authenticateAgain(caller), action, project: subject.project, from: caller) }

    /// The server stops: who follows is to go elsewhere.
    public var isEnding: Bool { operations.database.haveWaitsEnded }
}

extension Operations {
    /// An agent's updates.
    /// - Parameter suppressesOwn: without those that the agent's own key published.
    /// - Throws: `.notFound`; `.conflict` as in `agent`.
    public func feed(of agent: Name, project: Name?, suppressesOwn: Bool = false, by caller: Caller) async throws -> Feed {
        try await perform(.readInbox, project: project, by: caller) { principal in
            let meant = try await registered(agent, project, principal, for: .readInbox, caller)
            return Feed(
                subject: .agent(agent, project: meant.project), operations: self, caller: caller, tenant: principal.tenant, suppressesOwn: suppressesOwn)
        }
    }

    /// A project's events.
    public func feed(of project: Name, by caller: Caller) async throws -> Feed {
        try await perform(.followEvents, project: project, by: caller) { principal in
            Feed(subject: .project(project), operations: self, caller: caller, tenant: principal.tenant, suppressesOwn: false)
        }
    }

    /// Whether the caller may open a connection on which it follows: what it may follow, each `feed` says.
    public func openSocket(by caller: Caller) async throws { try await perform(.openSocket, project: nil, by: caller) { _ in } }
}
