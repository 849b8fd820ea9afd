// Posts notifications to the webhooks of agents. What to do when is decided by `DeliveryQueue`; here are the tasks that do it.
//
// Every lane that is under way or waits for its next try has a task, and a lane that is ready waits for the slot of such a
// task. So when no task is left, all that is left waits for receivers that are down, and shutdown only has to wait for tasks.
//
// Nothing is lost without a word: what is replaced, given up, refused or not taken is counted, for all and for each agent, and
// logged; what may come a thousand times in a row is logged at its 1st, 2nd, 4th, 8th ... time.

internal import Addresses
public import Base
public import Engine
public import Logging
public import NIOCore
internal import Needs
internal import Synchronization

/// Delivers to the agents' URLs, each agent in order, different agents at the same time, off the caller's thread.
public final class WebhookSink: NotificationSink {
    /// An agent, whatever its registration.
    private struct Lane: Hashable {
        let tenant: TenantID
        let project: Name
        let agent: Name

        init(tenant: TenantID, project: Name, agent: Name) {
            self.tenant = tenant
            self.project = project
            self.agent = agent
        }

        init(_ notification: Notification) {
            self.init(tenant: notification.tenant, project: notification.project, agent: notification.agent.name)
        }
    }

    private struct Payload: Sendable {
        let url: WebhookURL
        let notification: Notification
    }

    private typealias Queue = DeliveryQueue<Lane, Payload>

    private struct Report {
        var status = DeliveryStatus()
        /// Of the latest registration.
        var url = ""
    }

    private struct State {
        var queue: Queue
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var lastTask: UInt64 = 0
        /// Waits for the trials of breakers, by URL.
        var trials: [String: Task<Void, Never>] = [:]
        var reports: [Lane: Report] = [:]

        mutating func report(_ lane: Lane, _ change: (inout Report) -> Void) {
            if reports[lane] == nil, reports.count >= WebhookSink.reportsMax, let other = reports.keys.first(where: { queue.pending($0) == 0 }) {
                reports[other] = nil
            }
            change(&reports[lane, default: Report()])
        }
    }

    /// Agents whose deliveries are remembered.
    private static let reportsMax = 20_000
    private static let stopped = "the API key that registered this agent was revoked or lost its rights in the project"

    private let configuration: WebhookConfiguration
    private let resolver: any NameResolver
    private let client: WebhookClient
    private let logger: Logger
    private let mayBeTold: @Sendable (Notification) -> Bool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - resolver: nil for the machine's own.
    ///   - mayBeTold: whether the agent's registration still holds; asked for every notification and again before every try.
    public init(
        configuration: WebhookConfiguration = WebhookConfiguration(), eventLoopGroup: any EventLoopGroup, logger: Logger,
        resolver: (any NameResolver)? = nil, mayBeTold: @escaping @Sendable (Notification) -> Bool = { _ in true }
    ) {
        let resolver = resolver ?? SystemNameResolver(group: eventLoopGroup)
        self.configuration = configuration
        self.resolver = resolver
        self.logger = logger
        self.mayBeTold = mayBeTold
        client = WebhookClient(configuration: configuration, resolver: resolver, group: eventLoopGroup)
        state = Mutex(State(queue: Queue(limits: configuration.limits, retry: configuration.retry, breaker: configuration.breaker)))
    }

    public var statistics: WebhookStatistics { state.withLock { $0.queue.statistics } }

    /// How delivery to an agent goes; nil when nothing was ever to be delivered.
    public func status(of agent: Name, tenant: TenantID, project: Name) -> DeliveryStatus? {
        let lane = Lane(tenant: tenant, project: project, agent: agent)
        return state.withLock { state in
            guard let report = state.reports[lane] else { return nil }
            var status = report.status
            status.pending = state.queue.pending(lane)
            let breaker = state.queue.breaker(of: report.url)
            status.breaker = breaker.isClosed ? .closed : breaker.opensAgainAt == nil ? .halfOpen : .open
            return status
        }
    }

    /// Takes the notification into the queue and returns.
    /// - Complexity: O(values of the data); it is printed and signed elsewhere.
    public func deliver(_ notification: Notification) {
        guard mayBeTold(notification) else { return refuse(notification, Self.stopped) }
        let url: WebhookURL
        do throws(ContexError) {
            url = try WebhookURL(notification.agent.webhookURL ?? "")
        } catch {
            return refuse(notification, error.message)
        }
        let lane = Lane(notification)
        let delivery = Queue.Delivery(
            lane: lane, owner: DeliveryOwner(tenant: lane.tenant, project: lane.project, key: notification.agent.registrant?.keyID),
            url: url.text, host: url.origin, weight: notification.weight, standing: Self.standing(notification),
            payload: Payload(url: url, notification: notification))
        var words: String?
        begin { state in
            let admission = state.queue.enqueue(delivery)
            let pending = state.queue.pending(lane)
            state.report(lane) { report in
                report.url = url.text
                switch admission {
                case .taken(let replaced):
                    report.status.replaced += replaced
                    if Self.isPowerReached(report.status.replaced, by: replaced) {
                        words = "webhook waits: \(report.status.replaced) messages gave way to newer states so far, \(pending) wait"
                    }
                case .refused:
                    report.status.givenUp += 1
                    if Self.isPowerReached(report.status.givenUp, by: 1) {
                        words = "webhook dropped: the queue is full or closed; \(report.status.givenUp) messages were given up so far"
                    }
                }
            }
        }
        if let words { logger.warning("\(words)", metadata: Self.metadata(notification)) }
    }

    /// What waits for its receiver is a state, unless it is an event that the agent missed.
    private static func standing(_ notification: Notification) -> Queue.Standing {
        switch notification.message {
        case .initialContext: .everything
        case .event: .moment
        case .update(_, let key, _), .deletion(_, let key): .state(of: key)
        }
    }

    /// Whether counting by `step` has just reached or passed 1, 2, 4, 8 ...
    private static func isPowerReached(_ count: Int, by step: Int) -> Bool {
        step > 0 && (count - step == 0 || count.leadingZeroBitCount < (count - step).leadingZeroBitCount)
    }

    private func refuse(_ notification: Notification, _ reason: String) {
        let count = state.withLock { state in
            state.queue.refuse()
            state.report(Lane(notification)) { report in
                report.status.givenUp += 1
                report.status.lastFailure = .init(time: configuration.clock.now(), reason: reason)
            }
            return state.reports[Lane(notification)]?.status.givenUp ?? 1
        }
        guard Self.isPowerReached(count, by: 1) else { return }
        logger.warning("webhook refused: \(reason); \(count) messages were given up so far", metadata: Self.metadata(notification))
    }

    /// Takes nothing more, finishes what waits within the configured time, drops the rest. Safe to call again.
    public func shutdown() async {
        state.withLock { $0.queue.close() }
        let end = Task {
            try await Task.sleep(for: configuration.drainTime)
            let tasks = state.withLock { state in
                state.queue.abandon()
                return Array(state.tasks.values)
            }
            for task in tasks { task.cancel() }
        }
        while let task = state.withLock({ $0.tasks.values.first }) { await task.value }
        end.cancel()
        // What is left waits for receivers that are down: the trial of a breaker is not worth the wait.
        let trials = state.withLock { state in
            state.queue.abandon()
            defer { state.trials = [:] }
            return Array(state.trials.values)
        }
        for trial in trials { trial.cancel() }
        await resolver.shutdown()
        let statistics = statistics
        if statistics.dropped > 0 { logger.warning("webhooks: \(statistics.dropped) notifications were dropped") }
    }

    // MARK: - Tasks

    /// Changes the state, then gives the free slots away.
    private func begin(after change: (inout State) -> Void = { _ in }) {
        state.withLock { state in
            change(&state)
            let beginnings = state.queue.begin(at: .now)
            for delivery in beginnings.started {
                state.lastTask += 1
                let number = state.lastTask
                // It cannot be over before it is in the table: it takes this lock to leave.
                state.tasks[number] = Task {
                    await run(delivery)
                    _ = self.state.withLock { $0.tasks.removeValue(forKey: number) }
                }
            }
            for (url, time) in beginnings.trials {
                state.trials[url] = Task {
                    guard (try? await Task.sleep(until: time, clock: .continuous)) != nil else { return }
                    begin { state in
                        state.trials[url] = nil
                        state.queue.openTrial(url)
                    }
                }
            }
        }
    }

    /// Carries out deliveries of one lane, over one connection, until its slot is given back.
    private func run(_ first: Queue.Delivery) async {
        var connection: PinnedClient?
        var current: Queue.Delivery? = first
        var wait: Duration?
        while let delivery = current {
            let payload = delivery.payload
            let outcome =
                mayBeTold(payload.notification)
                ? await client.post(WebhookMessage(payload.notification), to: payload.url, attempt: delivery.attempts, over: &connection)
                : .forbidden(Self.stopped)
            let time = configuration.clock.now()
            let completion = state.withLock { state in
                let completion = state.queue.finish(delivery.lane, outcome, at: .now, random: .random(in: 0..<1))
                state.report(delivery.lane) { $0.status.note(completion.verdict, isKept: completion.isKept, outcome, at: time) }
                return completion
            }
            log(completion.verdict, isKept: completion.isKept, outcome, payload)
            if case .retry(let after) = completion.verdict { wait = after }
            current = completion.next
        }
        begin()
        await connection?.shutdown()
        if let wait {
            try? await Task.sleep(for: wait)
            begin { $0.queue.wake(first.lane) }
        }
    }

    // MARK: - Log

    private func log(_ verdict: RetryPolicy.Verdict, isKept: Bool, _ outcome: AttemptOutcome, _ payload: Payload) {
        let metadata = Self.metadata(payload)
        switch verdict {
        case .delivered: break
        case .retry: logger.debug("webhook will be tried again: \(outcome.summary)", metadata: metadata)
        case .rejected: logger.warning("webhook given up, the receiver does not take it: \(outcome.summary)", metadata: metadata)
        case .failed where isKept:
            logger.warning("webhook waits until its receiver is back, the newest state of each key is kept: \(outcome.summary)", metadata: metadata)
        case .failed: logger.warning("webhook given up: \(outcome.summary)", metadata: metadata)
        case .refused: logger.warning("webhook refused: \(outcome.summary)", metadata: metadata)
        }
    }

    private static func metadata(_ payload: Payload) -> Logger.Metadata {
        metadata(payload.notification).merging(["receiver": "\(payload.url.origin)"]) { $1 }
    }

    private static func metadata(_ notification: Notification) -> Logger.Metadata {
        ["project": "\(notification.project)", "agent": "\(notification.agent.name)"]
    }
}

extension DeliveryStatus {
    fileprivate mutating func note(_ verdict: RetryPolicy.Verdict, isKept: Bool, _ outcome: AttemptOutcome, at time: Timestamp) {
        if verdict == .delivered {
            delivered += 1
            lastDelivered = time
            return
        }
        lastFailure = Failure(time: time, reason: outcome.summary)
        switch verdict {
        case .rejected, .refused: givenUp += 1
        case .failed where !isKept: givenUp += 1
        case .failed, .retry, .delivered: break
        }
    }
}
