// The threads for what takes longer than a query: splitting large documents, parsing large bodies, printing large answers.
//
// They are others than those of the readers, so that no amount of heavy work keeps a query waiting for a thread, and they are
// nicer to the system than those, so that it does not keep a query waiting for a processor either. One processor is left out.

internal import Base
internal import NIOPosix

#if canImport(Glibc)
internal import Glibc
#endif

/// As an executor of tasks it runs the whole of a request there, between its waits too: parsing, checking, printing.
final class HeavyPool: TaskExecutor {
    private let threads: NIOThreadPool
    /// Steps that heavy threads stand behind the others: a processor that both want goes to them for about a tenth of the time.
    private static let niceness: Int32 = 10

    init(threads count: Int) {
        threads = NIOThreadPool(numberOfThreads: max(1, count))
        threads.start()
    }

    /// Finishes what runs; every later call is `.unavailable`.
    func close() async { try? await threads.shutdownGracefully() }

    /// In the order of asking. Work that has not begun when its task is cancelled is not begun.
    func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        do {
            return try await threads.runIfActive {
                Self.stepBack()
                return try body()
            }
        } catch {
            throw ContexError(anyError: error)
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        threads.submit { [self] state in
            // A task must come to its end also when the pool has been closed.
            if state == .active { Self.stepBack() }
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    /// Linux counts niceness by thread, and 0 is the one that asks. Where it cannot be set the work is done all the same.
    private static func stepBack() {
        #if canImport(Glibc)
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
        #endif
    }
}
