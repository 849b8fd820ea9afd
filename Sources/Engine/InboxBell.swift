// Who waits for something to come into an inbox is woken here. Nothing is said, only that it is time to look: what came stands in the store.

public import Base
internal import Needs
internal import Synchronization

final class InboxBell: Sendable {
    struct Place: Hashable, Sendable {
        let tenant: TenantID
        let project: Name
        let agent: Name
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
        guard isAdmitted else { throw ContexError(.busy, "\(Limits.waitingReaders) readers wait for their inboxes already; try again, or ask without wait") }
        return listener
    }

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
        let place = Place(tenant: notification.tenant, project: notification.project, agent: notification.agent.name)
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
    /// The same, but when there is nothing the answer waits until there is, or the time is over, or `endWaits`.
    /// - Parameter hold: around the waiting: whoever asks may give back what it does not need in the meantime.
    /// - Throws: as `inbox`; `.unavailable` when too many wait, and once the task is cancelled.
    public func inbox(
        _ tenant: TenantID, project: Name, agent: Name, after cursor: InboxCursor?, limit: Int, wait: Duration, explains: Bool = false,
        hold: @Sendable (@escaping @Sendable () async -> Void) async throws -> Void = { await $0() }
    ) async throws -> InboxPage {
        let listener = try bell.listen(at: .init(tenant: tenant, project: project, agent: agent))
        defer { bell.leave(listener) }
        let deadline = ContinuousClock.now + wait
        while true {
            listener.reset()
            let page = try await inbox(tenant, project: project, agent: agent, after: cursor, limit: limit, explains: explains)
            let left = deadline - .now
            guard page.items.isEmpty, !page.hasGap, left > .zero, !bell.isClosed else { return page }
            try await hold { await listener.rung(within: left) }
            if Task.isCancelled { throw ContexError(.cancelled, "The request was cancelled") }
        }
    }

    /// Whoever waits for an inbox is answered now, and nobody waits from here on: the server stops.
    public func endWaits() { bell.close() }
}
