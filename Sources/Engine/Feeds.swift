// Following: what one who is there reads, page after page, each from the cursor of the page before. The same pages for every edge: an
// agent's are its inbox, a project's its log. Nothing is left out silently: a cursor after which something went is refused.

public import Base
public import Events
public import Inboxes
internal import KeySpace
internal import LMDB
public import Needs

/// Whose pages.
public enum FeedSubject: Sendable, Hashable {
    case agent(Name, project: Name)
    case project(Name)

    public var project: Name {
        switch self {
        case .agent(_, let project), .project(let project): project
        }
    }

    var agent: Name? { if case .agent(let agent, _) = self { agent } else { nil } }
}

public struct FeedItem: Sendable {
    /// Where to go on once it is dealt with.
    public let cursor: InboxCursor
    public let event: EventRecord
    /// Why it concerned the agent; nil in a project's feed.
    public let concern: Concern?

    public struct Concern: Sendable {
        public let reason: InboxEntry.Reason
        public let needs: [String]
        /// Whether the agent's own key published it; nil when that is not known.
        public let isOwn: Bool?
        public let envelope: AgentRecord.Envelope
    }
}

public struct FeedPage: Sendable {
    /// Where it begins.
    public let start: InboxCursor
    public let items: [FeedItem]
    /// After all that was looked at, those that were left out included.
    public let cursor: InboxCursor
    /// There is more already.
    public let hasMore: Bool
}

extension Database {
    /// What there is after a cursor, oldest first; nothing is no error.
    ///
    /// - Parameters:
    ///   - cursor: nil: an agent's oldest entry that it has not acknowledged, the end of a project's log.
    ///   - limit: items of a page, at least one.
    ///   - bytesMax: of the data of a page, but for one item.
    ///   - suppressesOwn: leaves out what the agent's own key published.
    /// - Throws: `.notFound` for an agent that is not registered; for a cursor that does not work `.conflict` or `.invalid`, naming the oldest
    ///   one that does.
    /// - Complexity: O(log n + items of the page).
    public func feed(
        _ tenant: TenantID, _ subject: FeedSubject, after cursor: InboxCursor?, limit: Int = Limits.inboxPage, bytesMax: Int = Limits.answerBytes,
        suppressesOwn: Bool = false
    ) async throws -> FeedPage {
        switch subject {
        case .agent(let agent, let project):
            let page = try await inbox(tenant, project: project, agent: agent, after: cursor, limit: limit, bytesMax: bytesMax)
            if page.hasGap, let cursor { throw Self.expired(cursor, oldest: page.oldest) }
            let items = page.items.lazy.filter { !suppressesOwn || $0.isOwn != true }.map { item in
                FeedItem(
                    cursor: item.cursor, event: item.event,
                    concern: .init(reason: item.reason, needs: item.needs, isOwn: item.isOwn, envelope: page.envelope))
            }
            return FeedPage(start: page.start, items: Array(items), cursor: page.cursor, hasMore: page.hasMore)
        case .project(let project):
            return try await read { view in
                // A project that nobody has published to is empty.
                guard let scope = try Self.scope(tenant, project, view) else {
                    let start = InboxCursor(epoch: 0, sequence: .zero)
                    if let cursor { _ = try Self.place(cursor, oldest: start) }
                    if let cursor, cursor != start { throw Self.beyond(cursor, .zero, oldest: start) }
                    return FeedPage(start: start, items: [], cursor: start, hasMore: false)
                }
                let log = EventLog(scope: scope)
                let head = try log.head(in: view)
                let horizon = try log.horizon(in: view)
                let oldest = InboxCursor(epoch: head.epoch, sequence: horizon.sequence)
                let from = try Self.place(cursor, oldest: oldest) ?? head.sequence
                if from < horizon.sequence { throw horizon.refusal("The cursor \(from)", epoch: head.epoch) }
                guard from <= head.sequence else { throw Self.beyond(cursor!, head.sequence, oldest: oldest) }
                let events = try log.events(after: from, count: max(1, limit), bytesMax: bytesMax, in: view)
                let last = events.last?.sequence ?? from
                return FeedPage(
                    start: InboxCursor(epoch: head.epoch, sequence: from),
                    items: events.map { FeedItem(cursor: InboxCursor(epoch: head.epoch, sequence: $0.sequence), event: $0, concern: nil) },
                    cursor: InboxCursor(epoch: head.epoch, sequence: last), hasMore: last < head.sequence)
            }
        }
    }

    /// The same, but when there is nothing the page waits until there is, or the time is over, or `endWaits`.
    /// - Parameters:
    ///   - wait: how long at most.
    ///   - hold: around the waiting, as of `waited`.
    /// - Throws: as without; `.unavailable` when too many wait, and once the task is cancelled.
    public func feed(
        _ tenant: TenantID, _ subject: FeedSubject, after cursor: InboxCursor?, limit: Int = Limits.inboxPage, bytesMax: Int = Limits.answerBytes,
        suppressesOwn: Bool = false, wait: Duration, hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void = { await $0() }
    ) async throws -> FeedPage {
        // Once known, it is held on to: what comes between two looks at the end of a log would be missed.
        var last: FeedPage?
        let found = try await waited(at: .init(tenant, subject.project, agent: subject.agent), for: wait, hold: hold) {
            repeat {
                last = try await feed(
                    tenant, subject, after: last?.cursor ?? cursor, limit: limit, bytesMax: bytesMax, suppressesOwn: suppressesOwn)
            } while last!.items.isEmpty && last!.hasMore
            return last!.items.isEmpty ? nil : last
        }
        return found ?? last!
    }

    private static func expired(_ cursor: InboxCursor, oldest: InboxCursor) -> ContexError {
        ContexError(
            .cursorExpired,
            "Entries after the cursor \(cursor) went because they were old: the oldest cursor that works is \(oldest). What was missed is in the "
                + "events of the project",
            oldestCursor: oldest.description)
    }
}
