// The threads on which snapshots are read, and what else takes longer than the cooperative pool may be held.

internal import Base
internal import LMDB
internal import NIOPosix
internal import Synchronization

final class ReaderPool: Sendable {
    private let threads: NIOThreadPool
    private let store: OpenStore
    private let count: Int
    /// Threads at work.
    private let busy = Atomic(0)

    init(store: OpenStore, threads count: Int) {
        self.store = store
        self.count = count
        threads = NIOThreadPool(numberOfThreads: count)
        threads.start()
    }

    var busyCount: Int { busy.load(ordering: .relaxed) }

    /// Finishes what runs; every later call is `.unavailable`.
    func close() async { try? await threads.shutdownGracefully() }

    func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        do {
            return try await threads.runIfActive { [self] in try working(body) }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    /// Reads on a snapshot, and works on what was read after the snapshot is let go, without leaving the thread.
    func read<Found, T: Sendable>(
        _ body: @escaping @Sendable (borrowing TransactionView) throws -> Found, then finish: @escaping @Sendable (Found) throws -> T
    ) async throws -> T {
        try await run { [store] in try finish(store.read(body)) }
    }

    /// The same, with a part of it offered to another thread: `beside` runs on a snapshot of its own at the same time, earlier, later or not at all.
    /// `body` must be able to do without, and `beside` must not wait for ever for `body` to begin.
    ///
    /// Nothing is offered when no second thread is idle: two queries on two threads are served better by one each. A thread that is woken
    /// tends to land on another core, if one is idle, else on that of whoever wakes it; so the one that may come late is woken first, and
    /// `body` finds the core that the caller is about to leave.
    func read<Found, T: Sendable>(
        _ body: @escaping @Sendable (borrowing TransactionView) throws -> Found, then finish: @escaping @Sendable (Found) throws -> T,
        beside: @escaping @Sendable (borrowing TransactionView) -> Void
    ) async throws -> T {
        guard busy.load(ordering: .relaxed) + 1 < count else { return try await read(body, then: finish) }
        do {
            return try await withCheckedThrowingContinuation { waiting in
                threads.submit { [self] state in
                    // Without a snapshot it is not done.
                    if state == .active { try? working { try store.read(beside) } }
                }
                threads.submit { [self] state in
                    guard state == .active else { return waiting.resume(throwing: ContexError(.stopping, "The store is closed")) }
                    waiting.resume(with: Result { try working { try finish(store.read(body)) } })
                }
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    private func working<T>(_ body: () throws -> T) rethrows -> T {
        busy.add(1, ordering: .relaxed)
        defer { busy.subtract(1, ordering: .relaxed) }
        return try body()
    }
}
