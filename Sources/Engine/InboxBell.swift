// Who waits for something to come into an inbox or a log is woken here. Nothing is said, only that it is time to look: what came stands in
// the store.

public import Base
internal import Needs
internal import Synchronization

final class InboxBell: Sendable {
    struct Place: Hashable, Sendable {
        let log: ProjectLog
        /// nil: the log itself.
        let agent: Name?

        init(_ tenant: TenantID, _ project: Name, agent: Name?) {
            log = ProjectLog(tenant: tenant, project: project)
            self.agent = agent
        }
    }

    /// One who waits. It listens from its making on, so that what comes between a look at the inbox and the waiting is not missed.
    final class Listener: Sendable {
        fileprivate let place: Place
        private struct State {
            var isRung = false
            var waiting: CheckedContinuation<Void, Never>?
        }
        private let state = Mutex(State())

        fileprivate init(_ place: Place) { self.place = place }

        /// Before a look at the inbox.
        func reset() { state.withLock { $0.isRung = false } }

        fileprivate func ring() {
            let waiting = state.withLock { state in
                state.isRung = true
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume()
        }

        /// Returns when it was rung since `reset`, when the time is over, and when the task is cancelled.
        func rung(within time: Duration) async {
            let timer = Task {
                try? await Task.sleep(for: time)
                ring()
            }
            defer { timer.cancel() }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isRung = state.withLock { state in
                        if !state.isRung { state.waiting = continuation }
                        return state.isRung
                    }
                    if isRung { continuation.resume() }
                }
            } onCancel: {
                ring()
            }
        }
    }

    private struct State {
        var listeners: [Place: [ObjectIdentifier: Listener]] = [:]
        var count = 0
        var isClosed = false
    }
    private let state = Mutex(State())

    /// To be given back with `leave`.
    /// - Throws: `.unavailable` when too many wait.
    func listen(at place: Place) throws(ContexError) -> Listener {
        let listener = Listener(place)
        let isAdmitted = state.withLock { state in
            guard state.count < Limits.waitingReaders else { return false }
            state.listeners[place, default: [:]][ObjectIdentifier(listener)] = listener
            state.count += 1
            return true
        }
        guard isAdmitted else { throw ContexError(.busy, "\(Limits.waitingReaders) readers wait already; try again, or ask without waiting") }
        return listener
    }

    var count: Int { state.withLock { $0.count } }

    func leave(_ listener: Listener) {
        state.withLock { state in
            guard state.listeners[listener.place]?.removeValue(forKey: ObjectIdentifier(listener)) != nil else { return }
            state.count -= 1
            if state.listeners[listener.place]?.isEmpty == true { state.listeners[listener.place] = nil }
        }
    }

    /// Called on the writer's thread.
    func ring(_ notification: Notification) {
        switch notification.message {
        case .update, .deletion: break
        // Neither is in the inbox.
        case .initialContext, .event: return
        }
        ring(at: Place(notification.tenant, notification.project, agent: notification.agent.name))
    }

    /// Called on the writer's thread.
    /// - Parameter isReplaced: another log is there, whose inboxes begin anew: all who wait there have something to hear.
    func ring(_ log: ProjectLog, isReplaced: Bool) {
        guard isReplaced else { return ring(at: Place(log.tenant, log.project, agent: nil)) }
        let waiting = state.withLock { $0.listeners.filter { $0.key.log == log }.flatMap(\.value.values) }
        for listener in waiting { listener.ring() }
    }

    private func ring(at place: Place) {
        for listener in state.withLock({ Array(($0.listeners[place] ?? [:]).values) }) { listener.ring() }
    }

    /// Nobody waits any more.
    func close() {
        let listeners = state.withLock { state in
            state.isClosed = true
            return state.listeners.values.flatMap(\.values)
        }
        for listener in listeners { listener.ring() }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }
}

extension Database {
    /// Looks until there is something, or the time is over, or `endWaits`.
    /// - Parameters:
    ///   - hold: around the waiting: whoever asks may give back what it does not need in the meantime.
    ///   - look: what there is; nil lets it wait on.
    /// - Returns: nil when there was nothing.
    /// - Throws: what `look` does; `.unavailable` when too many wait, and once the task is cancelled.
    func waited<Found>(
        at place: InboxBell.Place, for wait: Duration, hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void,
        _ look: () async throws -> Found?
    ) async throws -> Found? {
        let listener = try bell.listen(at: place)
        defer { bell.leave(listener) }
        let deadline = ContinuousClock.now + wait
        while true {
            listener.reset()
            if let found = try await look() { return found }
            let left = deadline - .now
            guard left > .zero, !bell.isClosed else { return nil }
            try await hold { await listener.rung(within: left) }
            if Task.isCancelled { throw ContexError(.cancelled, "The request was cancelled") }
        }
    }

    /// The same as without `wait`, but when there is nothing the answer waits until there is, or the time is over, or `endWaits`.
    /// - Parameter hold: as of `waited`.
    /// - Throws: as `inbox`; `.unavailable` when too many wait, and once the task is cancelled.
    public func inbox(
        _ tenant: TenantID, project: Name, agent: Name, after cursor: InboxCursor?, limit: Int, wait: Duration, explains: Bool = false,
        hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void = { await $0() }
    ) async throws -> InboxPage {
        var last: InboxPage?
        let found = try await waited(at: .init(tenant, project, agent: agent), for: wait, hold: hold) {
            let page = try await inbox(tenant, project: project, agent: agent, after: cursor, limit: limit, explains: explains)
            last = page
            return page.items.isEmpty && !page.hasGap ? nil : page
        }
        return found ?? last!
    }

    /// Whoever waits is answered now, and nobody waits from here on: the server stops.
    public func endWaits() { bell.close() }

    public var haveWaitsEnded: Bool { bell.isClosed }
}
