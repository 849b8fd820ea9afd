internal import Base
internal import Synchronization

/// How many updates a client takes more on one stream.
final class Credit: Sendable {
    /// More than this is as good as this.
    static let most = 1 << 20

    private struct State {
        var count: Int
        var waiting: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>

    init(_ count: UInt64) { state = Mutex(State(count: Int(min(count, UInt64(Self.most))))) }

    func add(_ more: UInt64) {
        let waiting = state.withLock { state in
            state.count = min(Self.most, state.count + Int(min(more, UInt64(Self.most))))
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    func spend(_ count: Int) { state.withLock { $0.count -= count } }

    /// Returns when there is some.
    /// - Throws: when the task is cancelled.
    func some() async throws -> Int {
        while true {
            let count = state.withLock { $0.count }
            if count > 0 { return count }
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isThere = state.withLock { state in
                        if state.count <= 0 { state.waiting = continuation }
                        return state.count > 0
                    }
                    if isThere || Task.isCancelled { wake(isThere ? continuation : nil) }
                }
            } onCancel: {
                wake(nil)
            }
        }
    }

    private func wake(_ known: CheckedContinuation<Void, Never>?) {
        if let known { return known.resume() }
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }
}
