// The single writer.
//
// Commands wait in a queue; one dedicated thread takes what is waiting, runs it in one write transaction, commits with one
// fsync, delivers the notifications, and only then answers. A command is a function of the transaction and its own
// arguments, so it may run twice.
//
// What when one command of a group fails? LMDB's nested transactions would undo it alone, at the price of copying every
// page it touches, and they have a history of bugs. Here:
// * a command that is refused before its first write (almost every refusal) has left nothing; the group goes on. It may have been refused
//   for what those before it wrote (the second of two deletes: not found), which is true when that is: so it is answered after the commit,
//   and when there is none, runs again by itself;
// * a command that fails after a write spoils the transaction: it is aborted, and the same commands run again, each in a
//   transaction of its own, so that only the guilty one fails.
//
// A group ends after `groupSeconds` of work, so that nobody waits long for the fsync that belongs to others' work.

internal import Base
internal import DequeModule
internal import LMDB
internal import NIOPosix
internal import Synchronization

/// What a command leaves for after the commit.
struct Effects: Sendable {
    var notifications: [Notification] = []
    /// Runs after the commit and before the answer, on the writer's thread: to publish new state to memory.
    var afterCommit: [@Sendable () -> Void] = []
}

final class Writer: Sendable {
    private struct Job: Sendable {
        let run: @Sendable (inout WriteTransaction, inout Effects) throws -> Void
        let settle: @Sendable ((any Error)?) -> Void
    }

    private struct Queue {
        var waiting: Deque<Job> = []
        var isDraining = false
        var isClosed = false
    }

    static let groupSeconds = 0.025
    static let waitingMax = 8_192

    private let store: OpenStore
    private let queue = Mutex(Queue())
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let deliver: @Sendable (Notification) -> Void
    private let aborted: @Sendable () -> Void

    /// - Parameters:
    ///   - deliver: gets each notification after the commit of its cause, in the order of commits, on the writer's thread.
    ///   - aborted: called when a transaction that commands have seen did not become true: whatever they remember of it must go.
    init(store: OpenStore, deliver: @escaping @Sendable (Notification) -> Void, aborted: @escaping @Sendable () -> Void) {
        self.store = store
        self.deliver = deliver
        self.aborted = aborted
        thread.start()
    }

    var waitingCount: Int { queue.withLock { $0.waiting.count } }

    /// Runs the commands in order and answers each once it is durable (or refused).
    func submit<T: Sendable>(
        _ commands: [@Sendable (inout WriteTransaction, inout Effects) throws -> T]
    ) async -> [Result<T, ContexError>] {
        guard !commands.isEmpty else { return [] }
        let answers = Answers<T>(count: commands.count)
        return await withCheckedContinuation { continuation in
            let jobs = commands.indices.map { index in
                let command = commands[index]
                return Job(
                    run: { transaction, effects in answers.set(index, try command(&transaction, &effects)) },
                    settle: { error in if answers.settle(index, error) { continuation.resume(returning: answers.results) } })
            }
            let refused: ContexError? = queue.withLock { queue in
                if queue.isClosed { return ContexError(.stopping, "The server is stopping") }
                if queue.waiting.count + jobs.count > Self.waitingMax + Limits.batchItems {
                    return ContexError(.busy, "Too many writes are waiting; try again in a moment")
                }
                queue.waiting.append(contentsOf: jobs)
                if !queue.isDraining {
                    queue.isDraining = true
                    thread.submit { [self] _ in drain() }
                }
                return nil
            }
            if let refused { for job in jobs { job.settle(refused) } }
        }
    }

    func submit<T: Sendable>(_ command: @escaping @Sendable (inout WriteTransaction, inout Effects) throws -> T) async throws -> T {
        try await submit([command])[0].get()
    }

    /// Lets what is waiting finish and takes nothing more.
    func close() async {
        queue.withLock { $0.isClosed = true }
        while queue.withLock({ $0.isDraining || !$0.waiting.isEmpty }) { try? await Task.sleep(for: .milliseconds(2)) }
        try? await thread.shutdownGracefully()
    }

    // MARK: - On the writer's thread

    private func drain() {
        while true {
            let isEmpty = queue.withLock { queue in
                if queue.waiting.isEmpty { queue.isDraining = false }
                return queue.waiting.isEmpty
            }
            if isEmpty { return }
            runGroup()
        }
    }

    private func next() -> Job? { queue.withLock { $0.waiting.popFirst() } }

    private func runGroup() {
        // In their order, each with the reason for which it was refused after others had written.
        var group: [(job: Job, refusal: (any Error)?)] = []
        var effects = Effects()
        do {
            var transaction = try store.beginWrite()
            let deadline = ContinuousClock.now + .seconds(Self.groupSeconds)
            repeat {
                guard let job = next() else { break }
                let mutations = transaction.mutationCount
                var own = Effects()
                do {
                    try job.run(&transaction, &own)
                    group.append((job, nil))
                    effects.notifications += own.notifications
                    effects.afterCommit += own.afterCommit
                } catch where transaction.mutationCount == mutations {
                    if mutations == 0 { job.settle(error) } else { group.append((job, error)) }
                } catch {
                    _ = consume transaction
                    aborted()
                    for job in group.map(\.job) + [job] { runAlone(job) }
                    return
                }
            } while ContinuousClock.now < deadline
            try transaction.commit()
        } catch {
            aborted()
            // Nothing was taken: the transaction could not begin. Whoever waits must hear of it.
            if group.isEmpty { next()?.settle(error) }
            for (job, refusal) in group {
                if refusal == nil { job.settle(error) } else { runAlone(job) }
            }
            return
        }
        finish(group.filter { $0.refusal == nil }.map(\.job), effects)
        for (job, refusal) in group { if let refusal { job.settle(refusal) } }
    }

    private func runAlone(_ job: Job) {
        var effects = Effects()
        do {
            var transaction = try store.beginWrite()
            try job.run(&transaction, &effects)
            try transaction.commit()
        } catch {
            aborted()
            job.settle(error)
            return
        }
        finish([job], effects)
    }

    private func finish(_ jobs: [Job], _ effects: Effects) {
        try? store.environment().growFile()
        for action in effects.afterCommit { action() }
        for notification in effects.notifications { deliver(notification) }
        for job in jobs { job.settle(nil) }
    }
}

/// Collects the outcomes of the commands of one call.
private final class Answers<T: Sendable>: Sendable {
    private struct State {
        var values: [T?]
        var outcomes: [Result<T, ContexError>?]
        var open: Int
    }
    private let state: Mutex<State>

    deinit { Invariants.hold(state.withLock { $0.open } == 0, "a command was never answered") }

    init(count: Int) {
        state = Mutex(State(values: Array(repeating: nil, count: count), outcomes: Array(repeating: nil, count: count), open: count))
    }

    func set(_ index: Int, _ value: T) { state.withLock { $0.values[index] = value } }

    /// - Returns: true when this was the last.
    func settle(_ index: Int, _ error: (any Error)?) -> Bool {
        state.withLock { state in
            precondition(state.outcomes[index] == nil, "command \(index) settled twice")
            state.outcomes[index] = error.map { .failure(ContexError(anyError: $0)) } ?? .success(state.values[index]!)
            state.open -= 1
            return state.open == 0
        }
    }

    var results: [Result<T, ContexError>] { state.withLock { $0.outcomes.map { $0! } } }
}

extension ContexError {
    /// The catalogue's word for whatever the store or a decoder threw.
    init(anyError error: any Error) {
        switch error {
        case let error as ContexError: self = error
        case let error as LMDBError where error.isStorageFull:
            self = ContexError(.storageFull, "The store cannot take more data now (\(error)); reads go on")
        case let error as LMDBError where error.code == .panic:
            self = ContexError(.storeReopening, "A write to the disk has failed, and the store is being opened anew; try again")
        case let error as LMDBError where [.readersFull].contains(error.code):
            self = ContexError(.busy, "Too many readers at once; try again in a moment")
        case let error as LMDBError: self = ContexError(.damaged, "\(error)")
        case let error as ByteError: self = ContexError(.damaged, "a stored record cannot be read: \(error)")
        case is CancellationError: self = ContexError(.cancelled, "The request was cancelled")
        default: self = ContexError(.bug, "\(error)")
        }
    }
}
