// `ByteBudget` with a lock and with those who wait: what adapters ask before they hold memory for a request.
//
// What holds little has a budget of its own, and so does not depend on what large ones hold, wait for, or are refused: behind one address
// may sit a proxy, and who sends a question must not wait for his neighbour's bulk. A request is small by all that it holds, not by the
// step in which it asks for more: a large body that comes in small pieces would else take the room of the small ones.

public import Base
internal import Dispatch
internal import Synchronization

/// A bounded number of bytes, shared by everything that works for strangers.
public final class MemoryGate: Sendable {
    private struct State {
        var small: ByteBudget
        var large: ByteBudget
        /// Told, outside of the lock, whether they got it.
        var waiting: [ByteBudget.Ticket: @Sendable (Bool) -> Void] = [:]
    }
    private let state: Mutex<State>
    /// What a request may hold and be small.
    public let smallMax: Int
    public let total: Int

    /// - Parameters:
    ///   - total: for large ones; a quarter of it is there for small ones besides.
    ///   - smallMax: nil for a 256th, of the usual working gate half a megabyte.
    public init(total: Int, smallMax: Int? = nil) {
        self.smallMax = min(smallMax ?? .max, total / 256)
        self.total = total
        state = Mutex(State(small: ByteBudget(total: total / 4), large: ByteBudget(total: total)))
    }

    public var held: Int { state.withLock { $0.small.held + $0.large.held } }
    /// Who is in the queue.
    public var waitingCount: Int { state.withLock { $0.large.waitingCount } }

    /// Asks for memory, and waits for it for a while when it is taken.
    ///
    /// - Parameters:
    ///   - then: called once, from another thread, when the outcome is `.waiting`: true with a grant. nil does not wait.
    /// - Returns: a grant has added to `lease`.
    public func ask(
        _ bytes: Int, for lease: MemoryLease, within time: Duration = .seconds(10), then: (@Sendable (Bool) -> Void)? = nil
    ) -> ByteBudget.Outcome {
        let outcome = state.withLock { state in
            let before = lease.content
            if !lease.isLarge, before.large == 0, before.small + bytes <= smallMax, state.small.ask(bytes, for: lease.parties, mayWait: false) == .granted {
                lease.add(MemoryLease.Content(small: bytes))
                return ByteBudget.Outcome.granted
            }
            let share = state.large.share
            let more = MemoryLease.Content(
                large: min(bytes, max(0, share - before.large)), isAlone: !before.isAlone && before.large + bytes > share)
            let outcome = state.large.ask(more.large, isAlone: more.isAlone, for: lease.parties, mayWait: then != nil)
            switch outcome {
            case .granted: lease.add(more)
            case .waiting(let ticket):
                state.waiting[ticket] = { isGranted in
                    if isGranted { lease.add(more) }
                    then?(isGranted)
                }
            case .refused: break
            }
            return outcome
        }
        if case .waiting(let ticket) = outcome {
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(time / .milliseconds(1)))) { [weak self] in self?.withdraw(ticket) }
        }
        return outcome
    }

    /// The same for tasks.
    /// - Throws: `.unavailable` when there is none for too long or too many wait; also when the task is cancelled.
    public func take(_ bytes: Int, for lease: MemoryLease, within time: Duration = .seconds(10)) async throws {
        let ticket = Mutex<ByteBudget.Ticket?>(nil)
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                switch ask(bytes, for: lease, within: time, then: { continuation.resume(returning: $0) }) {
                case .granted: continuation.resume(returning: true)
                case .refused: continuation.resume(returning: false)
                case .waiting(let place):
                    ticket.withLock { $0 = place }
                    if Task.isCancelled { withdraw(place) }
                }
            }
        } onCancel: {
            if let place = ticket.withLock({ $0 }) { withdraw(place) }
        }
        guard isGranted else { throw Self.full }
    }

    public static let full = ContexError(
        .busy, "The server works on as much data as it has memory for; try again, with fewer or smaller requests at once")

    /// Refuses whoever still waits with this ticket.
    public func withdraw(_ ticket: ByteBudget.Ticket) {
        resume { budget in
            let (wasWaiting, granted) = budget.withdraw(ticket)
            return (granted, wasWaiting ? ticket : nil)
        }
    }

    fileprivate func charge(_ more: MemoryLease.Content, to parties: [ByteBudget.Party]) {
        state.withLock { state in
            state.small.charge(more.small, to: parties)
            state.large.charge(more.large, to: parties)
        }
    }

    fileprivate func release(_ less: MemoryLease.Content, of parties: [ByteBudget.Party]) {
        if less.small > 0 { state.withLock { _ = $0.small.release(less.small, of: parties) } }
        if less.large > 0 || less.isAlone { resume { ($0.release(less.large, wasAlone: less.isAlone, of: parties), nil) } }
    }

    private func resume(_ change: (inout ByteBudget) -> (granted: [ByteBudget.Ticket], refused: ByteBudget.Ticket?)) {
        let calls: [(call: @Sendable (Bool) -> Void, isGranted: Bool)] = state.withLock { state in
            let (granted, refused) = change(&state.large)
            var calls = granted.compactMap { ticket in state.waiting.removeValue(forKey: ticket).map { ($0, true) } }
            if let refused, let call = state.waiting.removeValue(forKey: refused) { calls.append((call, false)) }
            return calls
        }
        for (call, isGranted) in calls { call(isGranted) }
    }
}

/// What one request holds of a gate. Gives back what it holds when it is forgotten.
public final class MemoryLease: Sendable {
    /// What of which budget.
    struct Content: Sendable {
        var small = 0
        var large = 0
        /// It has the place of those who need more than a half.
        var isAlone = false
    }

    let parties: [ByteBudget.Party]
    /// It will be large, and takes no room of small ones until it is.
    let isLarge: Bool
    private let gate: MemoryGate
    private let state = Mutex(Content())

    /// - Parameters:
    ///   - address: the peer's; nil inside the process.
    ///   - key: the public name of the key that it came with.
    ///   - expected: what it is going to hold, as far as is known.
    public init(of gate: MemoryGate, address: String?, key: String?, expecting expected: Int = 0) {
        self.gate = gate
        isLarge = expected > gate.smallMax
        parties = (address.map { [.address($0)] } ?? []) + (key.map { [.key($0)] } ?? [])
    }

    deinit { shrink(to: 0) }

    public var held: Int { state.withLock { $0.small + $0.large } }

    /// Whether it stands for more than half of the gate.
    public var isAlone: Bool { state.withLock { $0.isAlone } }

    var content: Content { state.withLock { $0 } }

    func add(_ more: Content) {
        state.withLock { content in
            content.small += more.small
            content.large += more.large
            content.isAlone = content.isAlone || more.isAlone
        }
    }

    /// Gives back what is over `count`; with it, always, the place of those who need more than a half.
    public func shrink(to count: Int) {
        let less = state.withLock { content in
            var less = Content(isAlone: content.isAlone)
            less.large = min(content.large, max(0, content.small + content.large - count))
            less.small = max(0, content.small + content.large - less.large - count)
            content = Content(small: content.small - less.small, large: content.large - less.large)
            return less
        }
        gate.release(less, of: parties)
    }

    /// Holds `count` from here on, whether or not there is room: what is there already.
    public func settle(at count: Int) {
        let more = state.withLock { content in
            let more = max(0, count - content.small - content.large)
            let isSmall = content.large == 0 && count <= gate.smallMax
            let added = isSmall ? Content(small: more) : Content(large: more)
            content.small += added.small
            content.large += added.large
            return added
        }
        gate.charge(more, to: parties)
        shrink(to: count)
    }
}

extension MemoryGate {
    /// Holds an answer until its reader has taken it.
    /// - Parameter mayRefuse: nothing was changed, so that it does no harm to ask again. What says what was changed is held in any case, and so is what
    ///   is as small as a refusal.
    /// - Throws: `.busy`
    public func hold(_ count: Int, for lease: MemoryLease, mayRefuse: Bool) throws(ContexError) {
        guard mayRefuse, count > Limits.lightBytes else { return lease.settle(at: count) }
        guard ask(count, for: lease) == .granted else { throw Self.unread }
    }

    static let unread = ContexError(.busy, "As many answers wait for their readers as this server has memory for; read those that were asked for, or try again")
}

/// The gates that a request passes, one after the other. They are several so that bodies on their way cannot take the room without which those
/// that have arrived could never be worked on, and nobody who does not read his answers takes the room of those who work.
public struct InflightMemory: Sendable {
    /// Bytes of bodies on their way.
    public let arriving: MemoryGate
    /// What work on a request holds: its body, and what it becomes when it is parsed.
    public let working: MemoryGate
    /// Answers until they are sent: of one address or key half of it at most.
    public let answering: MemoryGate

    public init(total: Int) {
        // So little that all connections of an address may hold it at once and have room: whoever begins to send much holds nobody up.
        arriving = MemoryGate(total: total / 4, smallMax: Limits.lightBytes)
        working = MemoryGate(total: total - total / 4)
        // Besides: whoever reads leaves it in a moment.
        answering = MemoryGate(total: total / 2)
    }
}
