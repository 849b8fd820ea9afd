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
        try await run { [store] in try finish(store.environment().read(body)) }
    }

    /// Offers work that whoever offers it does itself if it must: it may run on another thread, now, later or not at all.
    ///
    /// Nothing is offered when no thread is idle: two queries on two threads are served better by one thread each.
    func offer(_ body: @escaping @Sendable (borrowing TransactionView) throws -> Void) {
        guard busy.load(ordering: .relaxed) < count else { return }
        threads.submit { [self] state in
            guard state == .active else { return }
            // Errors of its own work `body` has handed over; without a snapshot it is not done.
            try? working { try store.environment().read(body) }
        }
    }

    private func working<T>(_ body: () throws -> T) rethrows -> T {
        busy.add(1, ordering: .relaxed)
        defer { busy.subtract(1, ordering: .relaxed) }
        return try body()
    }
}
