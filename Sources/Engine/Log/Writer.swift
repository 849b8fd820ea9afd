// The single writer: the local form of the command log.
//
// Commands wait in a queue, in which tenants take turns; one dedicated thread takes what is waiting, applies it in one write transaction, commits with one
// fsync, delivers the notifications, and only then answers. Applying is a function of command and transaction, so it may happen twice.
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
internal import Journal
internal import LMDB
internal import Measures
internal import NIOPosix
internal import Synchronization
internal import Traces

final class Writer: CommandLog {
    private typealias Settle = @Sendable (Result<Outcome, ContexError>) -> Void

    private struct Job: Sendable {
        let proposal: Proposal
        let settle: Settle
        let waiting = Stopwatch()
    }

    private struct Queue {
        /// Tenants take turns. What must keep its place among all commands is in the line of none.
        var waiting = TurnQueue<TenantID, Job>()
        /// Run between groups.
        var rehearsals: Deque<@Sendable () -> Void> = []
        var isDraining = false
        var isClosed = false
    }

    static let groupSeconds = 0.025
    static let waitingMax = 8_192
    /// Each keeps the thread as long as a publish without its commit.
    static let rehearsalsMax = 64

    private let store: OpenStore
    private let queue = Mutex(Queue())
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let applier: Applier
    private let measures: EngineMeasures
    private let committed: @Sendable (Effects) -> Void
    private let condition: WriteCondition
    private let quarantine: Quarantine
    private let clock: any WallClock

    /// - Parameter committed: gets what a group left for after its commit, in the order of commits, on the writer's thread, before anybody is answered.
    init(
        store: OpenStore, applier: Applier, condition: WriteCondition, measures: EngineMeasures, quarantine: Quarantine, clock: any WallClock,
        committed: @escaping @Sendable (Effects) -> Void
    ) {
        self.quarantine = quarantine
        self.clock = clock
        self.condition = condition
        self.store = store
        self.applier = applier
        self.measures = measures
        self.committed = committed
        thread.start()
    }

    var waitingCount: Int { queue.withLock { $0.waiting.count } }

    func submit(_ proposals: [Proposal]) async -> [Result<Outcome, ContexError>] {
        guard !proposals.isEmpty else { return [] }
        let answers = Answers(count: proposals.count)
        return await withCheckedContinuation { continuation in
            let jobs = proposals.indices.map { index in
                Job(proposal: proposals[index]) { outcome in
                    if answers.settle(index, outcome) { continuation.resume(returning: answers.results) }
                }
            }
            let refused: ContexError? = queue.withLock { queue in
                if queue.isClosed { return ContexError(.stopping, "The server is stopping") }
                let holder = proposals[0].position == nil ? proposals[0].command.tenant : .system
                if queue.waiting.isFull(for: holder, adding: jobs.count, most: Self.waitingMax + Limits.batchItems) {
                    return ContexError(.busy, "Too many writes are waiting; try again in a moment")
                }
                queue.waiting.append(jobs, of: holder)
                if !queue.isDraining {
                    queue.isDraining = true
                    thread.submit { [self] _ in drain() }
                }
                return nil
            }
            if let refused { for job in jobs { job.settle(.failure(refused)) } }
        }
    }

    func rehearse(_ command: Command.Publish) async throws(ContexError) -> Rehearsal {
        let outcome: Result<Rehearsal, ContexError> = await withCheckedContinuation { continuation in
            let rehearsal: @Sendable () -> Void = { [self] in continuation.resume(returning: rehearsed(command)) }
            let refused: ContexError? = queue.withLock { queue in
                if queue.isClosed { return ContexError(.stopping, "The server is stopping") }
                if queue.rehearsals.count >= Self.rehearsalsMax {
                    return ContexError(.busy, "Too many writes are waiting; try again in a moment")
                }
                queue.rehearsals.append(rehearsal)
                if !queue.isDraining {
                    queue.isDraining = true
                    thread.submit { [self] _ in drain() }
                }
                return nil
            }
            if let refused { continuation.resume(returning: .failure(refused)) }
        }
        return try outcome.get()
    }

    private func rehearsed(_ command: Command.Publish) -> Result<Rehearsal, ContexError> {
        do {
            // Never committed: it ends as if it had not been.
            var transaction = try store.beginWrite()
            return .success(try applier.rehearse(command, in: &transaction))
        } catch {
            return .failure(ContexError(anyError: error))
        }
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
            let (hasJobs, rehearsal) = queue.withLock { queue in
                let rehearsal = queue.rehearsals.popFirst()
                if queue.waiting.isEmpty, rehearsal == nil { queue.isDraining = false }
                return (!queue.waiting.isEmpty, rehearsal)
            }
            if !hasJobs, rehearsal == nil { return }
            rehearsal?()
            if hasJobs { runGroup() }
        }
    }

    private func next() -> Job? { queue.withLock { $0.waiting.popFirst() } }

    /// What became of a job of a group whose commit is still to come.
    private typealias Judged = (job: Job, verdict: Result<Outcome, any Error>)

    private func runGroup() {
        // In their order; a refusal here came after others had written.
        var group: [Judged] = []
        var effects = Effects()
        do {
            var transaction = try store.beginWrite()
            let deadline = ContinuousClock.now + .seconds(Self.groupSeconds)
            repeat {
                guard let job = next() else { break }
                note(.wait, job.waiting, for: [job])
                let mutations = transaction.mutationCount
                do {
                    let (outcome, own) = try apply(job, in: &transaction)
                    group.append((job, .success(outcome)))
                    measures.commands.add(1, job.proposal.command.kind)
                    effects.add(own)
                } catch where transaction.mutationCount == mutations {
                    let failure = failure(error, of: job)
                    if mutations == 0 { job.settle(.failure(failure)) } else { group.append((job, .failure(failure))) }
                } catch {
                    _ = consume transaction
                    for job in group.map(\.job) + [job] { runAlone(job) }
                    return
                }
            } while ContinuousClock.now < deadline
            try commit(transaction, of: group.map { ($0.job, try? $0.verdict.get()) })
        } catch {
            condition.failed(error)
            // Nothing was taken: the transaction could not begin. Whoever waits must hear of it.
            if group.isEmpty { next()?.settle(.failure(ContexError(anyError: error))) }
            for (job, verdict) in group {
                if case .success = verdict { job.settle(.failure(ContexError(anyError: error))) } else { runAlone(job) }
            }
            return
        }
        // What the commands hold is let go before they are answered: who hears that a large document is stored may begin the next.
        let settles = group.map { (settle: $0.job.settle, verdict: $0.verdict) }
        group = []
        finish(settles, effects)
    }

    private func commit(_ transaction: consuming WriteTransaction, of group: [(job: Job, outcome: Outcome?)]) throws {
        let watch = Stopwatch()
        do {
            try transaction.commit()
        } catch {
            measures.commitFailures.add()
            measures.writesFail.set(1)
            throw error
        }
        note(.commit, watch, for: group.map(\.job))
        measures.groups.record(UInt64(group.count))
        for (job, outcome) in group {
            if let span = job.proposal.span, let place = outcome?.place(of: job.proposal.command) { measures.tracer.remember(span.context, of: place) }
        }
        measures.writesFail.set(0)
        measures.lastCommit.set(Int(SystemClock().now().seconds))
    }

    /// A stage counts once, and is part of what each of the jobs took.
    private func note(_ stage: PublishStage, _ watch: Stopwatch, for jobs: [Job]) {
        let time = watch.nanoseconds
        measures.publishStages.record(time, for: stage)
        for job in jobs { job.proposal.span?.note(stage.rawValue, from: watch.begun, to: watch.begun + time) }
    }

    private func apply(_ job: Job, in transaction: inout WriteTransaction) throws -> (Outcome, Effects) {
        if let expected = job.proposal.position {
            let reached = try StorePosition.load(transaction.view).position
            guard expected == reached.next else {
                throw ContexError(.conflict, "the command has position \(expected), the store is at \(reached) and takes \(reached.next) next")
            }
        }
        let command = job.proposal.command
        if job.proposal.position == nil { for project in command.projects { try quarantine.check(command.tenant, project) } }
        let watch = Stopwatch()
        defer { note(.apply, watch, for: [job]) }
        return try applier.apply(command, draft: job.proposal.draft, in: &transaction)
    }

    /// What a job is answered that has failed for good: the damage that it has met keeps its project apart from now on.
    private func failure(_ error: any Error, of job: Job) -> ContexError {
        let failure = ContexError(anyError: error)
        let command = job.proposal.command
        // Of several projects it does not say which one it was.
        guard failure.code == .damaged, command.projects.count == 1, let project = command.projects.first else { return failure }
        quarantine.enter(command.tenant, project, reason: failure.message, at: clock.now())
        return failure.damage(in: project)
    }

    private func runAlone(_ job: Job) {
        do {
            var transaction = try store.beginWrite()
            let (outcome, effects) = try apply(job, in: &transaction)
            measures.commands.add(1, job.proposal.command.kind)
            try commit(transaction, of: [(job, outcome)])
            finish([(job.settle, .success(outcome))], effects)
        } catch {
            condition.failed(error)
            job.settle(.failure(failure(error, of: job)))
        }
    }

    private func finish(_ settles: [(settle: Settle, verdict: Result<Outcome, any Error>)], _ effects: Effects) {
        condition.succeeded()
        try? store.environment().growFile()
        committed(effects)
        for (settle, verdict) in settles { settle(verdict.mapError { ContexError(anyError: $0) }) }
    }
}

/// Collects the outcomes of the commands of one call.
private final class Answers: Sendable {
    private struct State {
        var outcomes: [Result<Outcome, ContexError>?]
        var open: Int
    }
    private let state: Mutex<State>

    deinit { Invariants.hold(state.withLock { $0.open } == 0, "a command was never answered") }

    init(count: Int) { state = Mutex(State(outcomes: Array(repeating: nil, count: count), open: count)) }

    /// - Returns: true when this was the last.
    func settle(_ index: Int, _ outcome: Result<Outcome, ContexError>) -> Bool {
        state.withLock { state in
            precondition(state.outcomes[index] == nil, "command \(index) settled twice")
            state.outcomes[index] = outcome
            state.open -= 1
            return state.open == 0
        }
    }

    var results: [Result<Outcome, ContexError>] { state.withLock { $0.outcomes.map { $0! } } }
}
