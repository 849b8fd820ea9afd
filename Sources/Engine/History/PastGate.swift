// A state of the past is held in memory for as long as it is searched: its nodes, their vectors, their words. So only so many are held at a
// time by the whole server, and whoever comes later waits for his turn.

internal import Base
internal import Synchronization

final class PastGate: Sendable {
    private struct Waiting {
        let number: UInt64
        let turn: CheckedContinuation<Void, any Error>
    }
    private struct State {
        var held = 0
        var waiting: [Waiting] = []
        var lastNumber: UInt64 = 0
        /// Of those that gave up before they were in the queue.
        var gone: Set<UInt64> = []
    }
    private let state = Mutex(State())

    /// Runs `body` when a place is free.
    /// - Throws: `.unavailable` when too many wait already; `CancellationError`.
    func run<T>(_ body: () async throws -> T) async throws -> T {
        try await enter()
        defer { leave() }
        return try await body()
    }

    private func enter() async throws {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { turn in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.gone.remove(number) != nil { return .failure(CancellationError()) }
                    if state.held < Limits.pastStates {
                        state.held += 1
                        return .success(())
                    }
                    guard state.waiting.count < Limits.pastWaiting else {
                        return .failure(ContexError(.busy, "Too many queries of the past wait already; try again in a moment"))
                    }
                    state.waiting.append(Waiting(number: number, turn: turn))
                    return nil
                }
                if let outcome { turn.resume(with: outcome) }
            }
        } onCancel: {
            let left = state.withLock { state -> Waiting? in
                guard let place = state.waiting.firstIndex(where: { $0.number == number }) else {
                    // Not there yet, or through already: the number of one that is through is not asked for again.
                    state.gone.insert(number)
                    return nil
                }
                return state.waiting.remove(at: place)
            }
            left?.turn.resume(throwing: CancellationError())
        }
        // Whoever came through in spite of it is no longer among those that gave up.
        state.withLock { _ = $0.gone.remove(number) }
    }

    private func leave() {
        let next = state.withLock { state -> Waiting? in
            guard !state.waiting.isEmpty else {
                state.held -= 1
                return nil
            }
            // The place goes on to the next.
            return state.waiting.removeFirst()
        }
        next?.turn.resume()
    }
}
