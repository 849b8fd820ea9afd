// Catching up: an agent that was away reads what concerned it, in order, from where it was.

public import Base
internal import Documents
public import Events
public import Inboxes
internal import KeySpace
internal import LMDB
public import Needs
public import Search

/// A place in an agent's inbox or in a project's log: `<epoch>-<sequence>`. The epoch counts how often an import has replaced the log,
/// whose sequences begin at 1 again then.
public struct InboxCursor: Sendable, Equatable, CustomStringConvertible {
    public let epoch: UInt32
    public let sequence: Sequence

    public init(epoch: UInt32, sequence: Sequence) {
        self.epoch = epoch
        self.sequence = sequence
    }

    /// - Throws: `.invalid` for any other text.
    public init(_ text: String, field: String = "cursor") throws(ContexError) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        // Its own text only: no sign, no zeros in front.
        guard parts.count == 2, let epoch = UInt32(parts[0]), let sequence = UInt64(parts[1]), text == "\(epoch)-\(sequence)" else {
            throw .invalid(
                .cursorInvalid, field: field, kind: "value_error", message: "Value error, \(field) should be one that an answer gave: <epoch>-<sequence>")
        }
        self.init(epoch: epoch, sequence: Sequence(rawValue: sequence))
    }

    public var description: String { "\(epoch)-\(sequence)" }
}

/// One thing that concerned an agent.
public struct InboxItem: Sendable {
    public let cursor: InboxCursor
    public let reason: InboxEntry.Reason
    /// The needs that new nodes of the document match; none when the agent has others by now.
    public let needs: [String]
    /// Whether the event came with the key that the agent is registered with; nil when one of the two is not known.
    public let isOwn: Bool?
    /// How they match, when that was asked for: one for each need, with the node that was most like it.
    public let matches: [Match]?
    public let event: EventRecord

    /// By the statistics of the moment at which the agent was told.
    public struct Match: Sendable {
        public let need: String
        /// nil for a node that is gone.
        public let nodeKey: String?
        public let similarity: Double
        /// What it had to be.
        public let threshold: Double
        public let mode: SearchMode
        public let parts: ScoreParts
        /// What the agent has said of it; nil: nothing.
        public let isUseful: Bool?
    }
}

public struct InboxPage: Sendable {
    public let project: Name
    public let agent: Name
    /// Where it begins.
    public let start: InboxCursor
    public let items: [InboxItem]
    /// Where to go on, and what to acknowledge once they are dealt with.
    public let cursor: InboxCursor
    /// There are more.
    public let hasMore: Bool
    /// Entries after the cursor asked for went because they were old: something was missed.
    public let hasGap: Bool
    /// The oldest cursor after which nothing is missing.
    public let oldest: InboxCursor
    public let envelope: AgentRecord.Envelope
}

extension Database {
    /// What concerned an agent after a cursor, oldest first.
    ///
    /// - Parameters:
    ///   - cursor: nil: from the oldest that is not acknowledged.
    ///   - limit: entries of a page, at least one.
    ///   - bytesMax: of the data of a page, but for one entry.
    ///   - explains: says how the needs matched.
    /// - Throws: `.notFound` for an agent that is not registered; `.conflict` for a cursor of another epoch.
    /// - Complexity: O(log n + entries of the page).
    public func inbox(
        _ tenant: TenantID, project: Name, agent name: Name, after cursor: InboxCursor?, limit: Int = Limits.inboxPage,
        bytesMax: Int = Limits.answerBytes, explains: Bool = false
    ) async throws -> InboxPage {
        noteActivity(tenant, project: project, agent: name)
        return try await read { view in
            guard let scope = try Self.scope(tenant, project, view), let agent = try NeedStore(scope: scope).agent(name, in: view) else {
                throw ContexError(.agentNotFound, "Agent not found")
            }
            let (inbox, log) = (Inbox(scope: scope, number: agent.inbox), EventLog(scope: scope))
            let (state, epoch) = (try inbox.state(in: view), try log.head(in: view).epoch)
            let oldest = InboxCursor(epoch: epoch, sequence: state.expired)
            let from = try Self.place(cursor, oldest: oldest) ?? state.acknowledged
            let end = try log.head(in: view).sequence
            guard from <= end else { throw Self.beyond(cursor ?? InboxCursor(epoch: epoch, sequence: from), end, oldest: oldest) }
            var (items, bytes, hasMore) = ([InboxItem](), 0, false)
            try inbox.forEach(after: from, in: view) { entry in
                guard items.count < max(1, limit), items.isEmpty || bytes < bytesMax else {
                    hasMore = true
                    return .stop
                }
                guard let event = try log.event(entry.sequence, in: view) else {
                    throw ContexError.damaged("the inbox of agent '\(name)' names event \(entry.sequence), which is not there: run 'contex check'")
                }
                let needs = entry.agent == agent.number ? entry.needs.compactMap { agent.needs.indices.contains(Int($0)) ? agent.needs[Int($0)] : nil } : []
                let matches = explains && entry.agent == agent.number ? try Self.matches(of: entry, inbox, agent, scope, in: view) : []
                items.append(
                    InboxItem(
                        cursor: InboxCursor(epoch: epoch, sequence: entry.sequence), reason: entry.reason, needs: needs,
                        isOwn: agent.registrant.flatMap { own in event.publisher.map { $0.keyID == own.keyID } },
                        matches: explains ? matches : nil, event: event))
                bytes += event.byteCount
                return .onward
            }
            // From before the oldest to the end: then they are all.
            if !hasMore, from <= max(state.acknowledged, state.expired), UInt64(items.count) != state.count {
                throw ContexError.damaged("the inbox of agent '\(name)' has \(items.count) entries, its state says \(state.count): run 'contex check'")
            }
            return InboxPage(
                project: project, agent: name, start: InboxCursor(epoch: epoch, sequence: from), items: items,
                cursor: items.last?.cursor ?? InboxCursor(epoch: epoch, sequence: max(from, state.last)),
                hasMore: hasMore, hasGap: from < state.expired, oldest: oldest, envelope: agent.envelope)
        }
    }

    private static func matches(
        of entry: InboxEntry, _ inbox: Inbox, _ agent: AgentRecord, _ scope: TenantScope, in view: borrowing TransactionView
    ) throws -> [InboxItem.Match] {
        try inbox.matches(of: entry.sequence, in: view).compactMap { match in
            guard agent.needs.indices.contains(Int(match.need)), let mode = NeedSettings.Mode(rawValue: match.mode) else { return nil }
            var parts = ScoreParts(cosine: match.cosine, bm25: match.bm25, ceiling: match.ceiling, cut: match.cut, shareCut: match.shareCut)
            parts.exactWord = match.exactWord.map { $0 == .alone ? .alone : .rare }
            return InboxItem.Match(
                need: agent.needs[Int(match.need)], nodeKey: try DocumentStore(scope: scope).node(match.node, in: view)?.nodeKey,
                similarity: Double(match.similarity), threshold: match.threshold, mode: SearchMode(mode), parts: parts,
                isUseful: agent.verdict(of: entry.sequence, need: match.need))
        }
    }

    /// Lets the entries up to a cursor go: the agent has dealt with them.
    /// - Returns: how many there were.
    /// - Throws: as `inbox`; `.invalid` for a cursor beyond the last entry.
    public func acknowledge(_ tenant: TenantID, project: Name, agent: Name, upTo cursor: InboxCursor) async throws -> Int {
        let time = now()
        activity.note(tenant, project, agent, at: time)
        let outcome = try await submit(.acknowledge(.init(tenant: tenant, project: project, agent: agent, cursor: cursor, time: time)))
        guard case .removed(let count) = outcome else { throw outcome.mismatch }
        return count
    }

    /// Lets entries of events go that are older than `days`; to be called now and then.
    /// - Returns: how many there were.
    @discardableResult
    public func expireInboxes(_ tenant: TenantID, days: Int) async throws -> Int {
        let time = now()
        let before = Timestamp(rawValue: time.rawValue - Int64(days) * 86_400_000_000)
        var gone = 0
        while true {
            let outcome = try await submit(.expireInboxes(.init(tenant: tenant, before: before, count: Limits.expiredAtOnce, time: time)))
            guard case .removed(let count) = outcome else { throw outcome.mismatch }
            gone += count
            if count < Limits.expiredAtOnce { return gone }
        }
    }

    /// Of another agent's inbox, or another project's: whoever went on with it would miss what comes until then.
    static func beyond(_ cursor: InboxCursor, _ end: Sequence, oldest: InboxCursor) -> ContexError {
        .invalid(
            .cursorInvalid, field: "cursor", kind: "value_error",
            message: "Value error, cursor \(cursor) is beyond the end of the log (\(end)): it was not given here. The oldest that works is \(oldest)",
            oldestCursor: oldest.description)
    }

    /// - Parameter oldest: of the present epoch.
    /// - Throws: `.conflict` for a cursor of another epoch.
    static func place(_ cursor: InboxCursor?, oldest: InboxCursor) throws(ContexError) -> Sequence? {
        guard let cursor else { return nil }
        guard cursor.epoch == oldest.epoch else {
            throw ContexError(
                .cursorStale,
                "The cursor \(cursor) is not of the project's present log: an import has replaced its events. Begin without a cursor, "
                    + "and ask for the context anew; the oldest cursor that works is \(oldest)",
                oldestCursor: oldest.description)
        }
        return cursor.sequence
    }
}
