// `ByteBudget` with a lock and with those who wait: what adapters ask before they hold memory for a request.

public import Base
internal import Dispatch
internal import Synchronization

/// A bounded number of bytes, shared by everything that works for strangers.
public final class MemoryGate: Sendable {
    private struct State {
        var budget: ByteBudget
        /// Told, outside of the lock, whether they got it.
        var waiting: [ByteBudget.Ticket: @Sendable (Bool) -> Void] = [:]
    }
    private let state: Mutex<State>

    public init(total: Int) { state = Mutex(State(budget: ByteBudget(total: total))) }

    public var held: Int { state.withLock { $0.budget.held } }
    /// Who is in the queue.
    public var waitingCount: Int { state.withLock { $0.budget.waitingCount } }

    /// Asks for memory, and waits for it for a while when it is taken.
    ///
    /// - Parameters:
    ///   - then: called once, from another thread, when the outcome is `.waiting`: true with a grant. nil does not wait.
    /// - Returns: a grant has added to `lease`.
    public func ask(
        _ bytes: Int, for lease: MemoryLease, within time: Duration = .seconds(10), then: (@Sendable (Bool) -> Void)? = nil
    ) -> ByteBudget.Outcome {
        let outcome = state.withLock { state in
            let charged = min(bytes, max(0, state.budget.share - lease.held))
            let outcome = state.budget.ask(charged, for: lease.parties, mayWait: then != nil)
            switch outcome {
            case .granted: lease.add(charged)
            case .waiting(let ticket):
                state.waiting[ticket] = { isGranted in
                    if isGranted { lease.add(charged) }
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

    fileprivate func charge(_ bytes: Int, to parties: [ByteBudget.Party]) {
        state.withLock { $0.budget.charge(bytes, to: parties) }
    }

    fileprivate func release(_ bytes: Int, of parties: [ByteBudget.Party]) {
        resume { ($0.release(bytes, of: parties), nil) }
    }

    private func resume(_ change: (inout ByteBudget) -> (granted: [ByteBudget.Ticket], refused: ByteBudget.Ticket?)) {
        let calls: [(call: @Sendable (Bool) -> Void, isGranted: Bool)] = state.withLock { state in
            let (granted, refused) = change(&state.budget)
            var calls = granted.compactMap { ticket in state.waiting.removeValue(forKey: ticket).map { ($0, true) } }
            if let refused, let call = state.waiting.removeValue(forKey: refused) { calls.append((call, false)) }
            return calls
        }
        for (call, isGranted) in calls { call(isGranted) }
    }
}

/// What one request holds of a gate. Gives back what it holds when it is forgotten.
public final class MemoryLease: Sendable {
    let parties: [ByteBudget.Party]
    private let gate: MemoryGate
    private let bytes = Mutex(0)

    /// - Parameters:
    ///   - address: the peer's; nil inside the process.
    ///   - key: the public name of the key that it came with.
    public init(of gate: MemoryGate, address: String?, key: String?) {
        self.gate = gate
        parties = (address.map { [.address($0)] } ?? []) + (key.map { [.key($0)] } ?? [])
    }

    deinit { shrink(to: 0) }

    public var held: Int { bytes.withLock { $0 } }

    fileprivate func add(_ more: Int) { bytes.withLock { $0 += more } }

    /// Gives back what is over `count`.
    public func shrink(to count: Int) {
        let over = bytes.withLock { bytes in
            let over = max(0, bytes - count)
            bytes -= over
            return over
        }
        if over > 0 { gate.release(over, of: parties) }
    }

    /// Holds `count` from here on, whether or not there is room: what is there already.
    public func settle(at count: Int) {
        let more = bytes.withLock { bytes in
            let more = max(0, count - bytes)
            bytes += more
            return more
        }
        if more > 0 { gate.charge(more, to: parties) }
        shrink(to: count)
    }
}

/// The two gates that a request passes. They are two so that bodies on their way cannot take the room without which those that
/// have arrived could never be worked on.
public struct InflightMemory: Sendable {
    /// Bytes of bodies on their way.
    public let arriving: MemoryGate
    /// What work on a request holds: its body, what it becomes when it is parsed, the answer until it is sent.
    public let working: MemoryGate

    public init(total: Int) {
        arriving = MemoryGate(total: total / 4)
        working = MemoryGate(total: total - total / 4)
    }
}
