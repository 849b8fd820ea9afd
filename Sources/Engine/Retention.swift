// Retention: how far back a project can be read. Nothing that was acknowledged goes by itself unless the operator says so
// (docs/decisions/0099-retention.md); what goes then is what is no longer live.

public import Base
internal import Documents
internal import Events
internal import KeySpace
internal import LMDB
internal import Measures
internal import Needs
internal import Outbox
internal import Synchronization

/// What a project's log holds, and by which rule it is trimmed.
public struct RetentionStatus: Sendable, Equatable {
    public let project: Name
    /// Events that can be read.
    public let events: Int
    public let oldest: Timestamp?
    public let newest: Timestamp?
    /// The last event that was trimmed.
    public let horizon: Sequence
    /// Events before it that stay because they are what a document held then.
    public let keptEvents: Int
    /// What holds.
    public let rule: RetentionRule
    /// What the project says of its own.
    public let settings: RetentionSettings
}

/// What a run has let go, or would let go.
public struct CleanupReport: Sendable, Equatable {
    public var projects = 0
    /// Events that the horizon has passed because they were too old, and because they were too many.
    public var byAge = 0
    public var byCount = 0
    public var agents = 0
}

/// When agents were last heard of, as far as this process knows: who reads his inbox leaves no trace in the store.
final class AgentActivity: Sendable {
    private struct Key: Hashable {
        let tenant: TenantID
        let project: Name
        let agent: Name
    }
    private let heard = Mutex<[Key: Timestamp]>([:])
    /// Agents that are remembered; the oldest half goes when there are more, as if they had been heard of when it did.
    private static let countMax = 100_000
    private let floor: Mutex<Timestamp>
    /// Whether somebody listens on a channel now.
    let listens = Mutex<(@Sendable (String) -> Bool)>({ _ in false })

    init(since start: Timestamp) { floor = Mutex(start) }

    func note(_ tenant: TenantID, _ project: Name, _ agent: Name, at time: Timestamp) {
        heard.withLock { heard in
            heard[Key(tenant: tenant, project: project, agent: agent)] = time
            guard heard.count > Self.countMax else { return }
            let middle = heard.values.sorted()[heard.count / 2]
            heard = heard.filter { $0.value > middle }
            floor.withLock { $0 = max($0, middle) }
        }
    }

    func last(_ tenant: TenantID, _ project: Name, _ agent: Name) -> Timestamp {
        let known = heard.withLock { $0[Key(tenant: tenant, project: project, agent: agent)] }
        return floor.withLock { floor in max(floor, known ?? floor) }
    }
}

extension Database {
    private static let dayMicroseconds: Int64 = 86_400_000_000

    /// An unknown project has nothing, and what the server says holds for it.
    public func retention(_ tenant: TenantID, project: Name) async throws -> RetentionStatus {
        let standard = configuration.retention
        return try await read { view in
            guard let scope = try Self.scope(tenant, project, view) else {
                return RetentionStatus(
                    project: project, events: 0, oldest: nil, newest: nil, horizon: .zero, keptEvents: 0, rule: standard, settings: .none)
            }
            let log = EventLog(scope: scope)
            let (head, horizon) = (try log.head(in: view).sequence, try log.horizon(in: view).sequence)
            let settings = try RetentionSettings.load(scope, in: view)
            let isEmpty = horizon >= head
            return RetentionStatus(
                project: project, events: Int(clamping: head.rawValue - min(horizon.rawValue, head.rawValue)),
                oldest: isEmpty ? nil : try log.recordedAt(horizon.next, in: view), newest: isEmpty ? nil : try log.recordedAt(head, in: view),
                horizon: horizon, keptEvents: try log.keptCount(in: view), rule: settings.rule(standard), settings: settings)
        }
    }

    /// Says by which rule a project is trimmed; it is entered now if it is new.
    /// - Throws: `.invalid`
    public func setRetention(_ tenant: TenantID, project: Name, _ settings: RetentionSettings) async throws {
        try settings.check()
        _ = try await submit(.setRetention(.init(tenant: tenant, project: project, settings: settings, time: now())))
    }

    /// Where the horizon is, and where a rule wants it.
    private func wanted(
        _ scope: TenantScope, _ rule: RetentionRule, at time: Timestamp, in view: borrowing TransactionView
    ) throws -> (horizon: Sequence, byAge: Sequence, target: Sequence) {
        let log = EventLog(scope: scope)
        let (head, horizon) = (try log.head(in: view).sequence, try log.horizon(in: view).sequence)
        var byAge = horizon
        if rule.eventDays > 0 {
            // Events are recorded nearly in the order of their times: the last that is too old, by halves.
            let before = time.rawValue - Int64(rule.eventDays) * Self.dayMicroseconds
            var (low, high) = (horizon.rawValue, head.rawValue + 1)
            while high - low > 1 {
                let middle = low + (high - low) / 2
                guard let recorded = try log.recordedAt(Sequence(rawValue: middle), in: view) else {
                    throw ContexError.damaged("event \(middle) is missing: run 'contex check'")
                }
                if recorded.rawValue < before { low = middle } else { high = middle }
            }
            byAge = Sequence(rawValue: low)
        }
        var target = byAge
        if rule.eventsMax > 0, head.rawValue > UInt64(rule.eventsMax) { target = max(target, Sequence(rawValue: head.rawValue - UInt64(rule.eventsMax))) }
        return (horizon, byAge, target)
    }

    /// Trims the log of one project as its rule says.
    /// - Parameter dryRun: only says what would go.
    /// - Throws: `.projectNotFound`
    public func cleanUp(_ tenant: TenantID, project: Name, dryRun: Bool = false) async throws -> CleanupReport {
        let (standard, time) = (configuration.retention, now())
        let found = try await read { [self] view in
            guard let scope = try Self.scope(tenant, project, view) else { throw ContexError(.projectNotFound, "Project not found") }
            return try wanted(scope, RetentionSettings.load(scope, in: view).rule(standard), at: time, in: view)
        }
        var report = CleanupReport()
        report.projects = 1
        report.byAge = Int(clamping: found.byAge.rawValue - found.horizon.rawValue)
        report.byCount = Int(clamping: found.target.rawValue - max(found.byAge, found.horizon).rawValue)
        guard !dryRun, found.target > found.horizon else { return report }
        try await trim(tenant, project, to: found.target, at: time)
        return report
    }

    /// Moves the horizon of a project's log to an event.
    package func trim(_ tenant: TenantID, _ project: Name, to horizon: Sequence, at time: Timestamp) async throws {
        // One record of the audit trail says what was asked for.
        var attribution = Attribution.current
        while true {
            try Task.checkCancellation()
            let outcome = try await Attribution.$current.withValue(attribution) {
                try await submit(.trim(.init(tenant: tenant, project: project, horizon: horizon, count: Limits.trimmedAtOnce, time: time)))
            }
            guard case .trimmed(let step) = outcome else { throw outcome.mismatch }
            measures.trimmedEvents.add(step.events)
            attribution = nil
            if !step.hasMore { return }
        }
    }

    /// Trims every project that may be seen, and removes agents that nobody has heard of.
    /// - Parameter dryRun: only says what would go.
    public func cleanUp(
        _ tenant: TenantID, dryRun: Bool = false, visible: @escaping @Sendable (Name) -> Bool = { _ in true }
    ) async throws -> CleanupReport {
        let names = try await read { try ProjectRegistry(tenant: tenant).entries(in: $0).map(\.name) }.filter(visible)
        var report = CleanupReport()
        for name in names where !quarantine.holds(tenant, name) {
            do {
                let own = try await cleanUp(tenant, project: name, dryRun: dryRun)
                report.projects += 1
                report.byAge += own.byAge
                report.byCount += own.byCount
                report.agents += try await removeInactiveAgents(tenant, name, dryRun: dryRun)
            } catch let error as ContexError where error.code == .projectNotFound || error.category == .damaged {
                // Erased meanwhile; or its data is damaged, and the others are none the worse for it.
                meet(error, tenant, name)
                continue
            }
        }
        measures.cleanups.add()
        return report
    }

    /// Who knows whether somebody listens on a channel; set once at start.
    public func setListening(_ listens: @escaping @Sendable (_ channel: String) -> Bool) { activity.listens.withLock { $0 = listens } }

    /// An agent was heard of.
    func noteActivity(_ tenant: TenantID, project: Name, agent: Name) { activity.note(tenant, project, agent, at: now()) }

    /// Agents that were not heard of for as long as the project's rule says. Those that are told by webhook are heard of whenever it answers;
    /// one that said that it is gone is removed.
    private func removeInactiveAgents(_ tenant: TenantID, _ project: Name, dryRun: Bool) async throws -> Int {
        let (standard, time) = (configuration.retention, now())
        let inactive = try await read { [activity] view -> [Name] in
            guard let scope = try Self.scope(tenant, project, view) else { return [] }
            let rule = try RetentionSettings.load(scope, in: view).rule(standard)
            guard rule.agentDays > 0 else { return [] }
            let before = Timestamp(rawValue: time.rawValue - Int64(rule.agentDays) * Self.dayMicroseconds)
            return try NeedStore(scope: scope).agents(in: view).filter { agent in
                guard agent.registeredAt < before, activity.last(tenant, project, agent.name) < before else { return false }
                guard agent.delivery == .webhook else { return !activity.listens.withLock { $0 }(agent.channel) }
                let state = try DeliveryLedger(scope: scope, lane: UInt64(agent.inbox)).state(in: view)
                return state?.isDisabled == true || (state?.lastFailure ?? .init(rawValue: 0)) > (state?.lastDelivered ?? .init(rawValue: 0))
            }.map(\.name)
        }
        guard !dryRun else { return inactive.count }
        for name in inactive {
            let outcome = try await submit(.unregister(.init(tenant: tenant, agent: name, projects: [project], time: now())))
            if case .unregistered = outcome { measures.unregistered.add() }
        }
        return inactive.count
    }

    // MARK: - Documents that end

    /// The documents of a project that are over and not gone yet: no read finds them.
    func over(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Set<DocumentID> {
        try DocumentExpiry(scope: scope).over(at: now(), in: view)
    }

    /// For how long what is found now is found, as far as documents end by themselves; nil: until somebody changes something.
    func lastsUntil(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Timestamp? {
        try DocumentExpiry.next(scope.tenant, after: now(), in: view)
    }

    /// Whether what a key holds is over.
    func isOver(_ key: Name, _ scope: TenantScope, in view: borrowing TransactionView) throws -> Bool {
        let over = try over(scope, in: view)
        guard !over.isEmpty, let document = try DocumentStore(scope: scope).document(key, in: view) else { return false }
        return over.contains(document.id)
    }

    /// Deletes the documents whose time is over; to be called every second or so.
    /// - Returns: how many there were.
    @discardableResult
    public func deleteExpired(_ tenant: TenantID) async throws -> Int {
        var gone = 0
        while true {
            let time = now()
            let commands = try await read { [quarantine] view -> [Command] in
                var found: [ProjectID: Name]?
                func known() throws -> [ProjectID: Name] {
                    if let found { return found }
                    let names = Dictionary(uniqueKeysWithValues: try ProjectRegistry(tenant: tenant).entries(in: view).map { ($0.project, $0.name) })
                    found = names
                    return names
                }
                // What is in quarantine waits, and nobody behind it.
                let due = try DocumentExpiry.due(tenant, upTo: time, count: Limits.expiredDocumentsAtOnce, in: view) { project in
                    quarantine.isEmpty ? true : try known()[project].map { !quarantine.holds(tenant, $0) } ?? true
                }
                guard !due.isEmpty else { return [] }
                let names = try known()
                return try due.compactMap { due in
                    let scope = TenantScope(tenant: tenant, project: due.project)
                    // Of a project that is being erased there is no name any more.
                    guard let project = names[due.project], let document = try DocumentStore(scope: scope).document(due.document, in: view) else { return nil }
                    return .delete(.init(tenant: tenant, project: project, key: document.key, publisher: nil, time: time, expiredBy: time))
                }
            }
            guard !commands.isEmpty else { return gone }
            var now = 0
            for outcome in await submit(commands) {
                switch outcome {
                case .success: now += 1
                // Deleted by somebody else meanwhile, or given more time.
                case .failure(let error) where error.category == .notFound: continue
                // Of one project; it is in quarantine from now on.
                case .failure(let error) where error.category == .damaged: continue
                case .failure(let error): throw error
                }
            }
            measures.expiredDocuments.add(now)
            gone += now
            if now == 0 || commands.count < Limits.expiredDocumentsAtOnce { return gone }
        }
    }
}

extension EventLog {
    /// Events that were kept before the horizon.
    /// - Complexity: O(those).
    func keptCount(in view: borrowing TransactionView) throws -> Int {
        var count = -1
        try view.scan(prefix: scope.key(.logHorizon)) { _, _ in
            count += 1
            return .onward
        }
        return max(0, count)
    }
}
