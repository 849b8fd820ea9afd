// Posts notifications to the webhooks of agents. What to do when is decided by `DeliveryQueue`; here are the tasks that do it.
//
// Every lane that is under way or waits for its next try has a task, and a lane that is ready waits for the slot of such a
// task. So when no task is left, nothing is left, and shutdown only has to wait for tasks.

internal import Base
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
    }

    private struct Payload: Sendable {
        let url: WebhookURL
        let notification: Notification
    }

    private typealias Queue = DeliveryQueue<Lane, Payload>

    private struct State {
        var queue: Queue
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var lastTask: UInt64 = 0
    }

    private let configuration: WebhookConfiguration
    private let resolver: any NameResolver
    private let client: WebhookClient
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameter resolver: nil for the machine's own.
    public init(
        configuration: WebhookConfiguration = WebhookConfiguration(), eventLoopGroup: any EventLoopGroup, logger: Logger,
        resolver: (any NameResolver)? = nil
    ) {
        let resolver = resolver ?? SystemNameResolver(group: eventLoopGroup)
        self.configuration = configuration
        self.resolver = resolver
        self.logger = logger
        client = WebhookClient(configuration: configuration, resolver: resolver, group: eventLoopGroup)
        state = Mutex(State(queue: Queue(limits: configuration.limits, retry: configuration.retry, breaker: configuration.breaker)))
    }

    public var statistics: WebhookStatistics { state.withLock { $0.queue.statistics } }

    /// Takes the notification into the queue and returns.
    /// - Complexity: O(values of the data); it is printed and signed elsewhere.
    public func deliver(_ notification: Notification) {
        let url: WebhookURL
        do throws(ContexError) {
            url = try WebhookURL(notification.agent.webhookURL ?? "")
        } catch {
            state.withLock { $0.queue.refuse() }
            logger.warning("webhook refused: \(error.message)", metadata: Self.metadata(notification))
            return
        }
        let delivery = Queue.Delivery(
            lane: Lane(tenant: notification.tenant, project: notification.project, agent: notification.agent.name),
            url: url.text, host: url.origin, weight: notification.weight, payload: Payload(url: url, notification: notification))
        begin { queue in
            if !queue.enqueue(delivery) { logger.debug("webhook dropped: the queue is full", metadata: Self.metadata(notification)) }
        }
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
        await resolver.shutdown()
        let statistics = statistics
        if statistics.dropped > 0 { logger.warning("webhooks: \(statistics.dropped) notifications were dropped") }
    }

    // MARK: - Tasks

    /// Changes the queue, then gives its free slots away.
    private func begin(after change: (inout Queue) -> Void = { _ in }) {
        let brokenOff = state.withLock { state in
            change(&state.queue)
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
            return beginnings.brokenOff
        }
        for delivery in brokenOff {
            logger.debug("webhook not tried: its receiver failed too often", metadata: Self.metadata(delivery.payload))
        }
    }

    /// Carries out deliveries of one lane, over one connection, until its slot is given back.
    private func run(_ first: Queue.Delivery) async {
        var connection: PinnedClient?
        var current: Queue.Delivery? = first
        var wait: Duration?
        while let delivery = current {
            let payload = delivery.payload
            let outcome = await client.post(
                WebhookMessage(payload.notification), to: payload.url, attempt: delivery.attempts, over: &connection)
            let completion = state.withLock {
                $0.queue.finish(delivery.lane, outcome, at: .now, random: .random(in: 0..<1))
            }
            log(completion.verdict, outcome, payload)
            if case .retry(let after) = completion.verdict { wait = after }
            current = completion.next
        }
        begin()
        await connection?.shutdown()
        if let wait {
            try? await Task.sleep(for: wait)
            begin { $0.wake(first.lane) }
        }
    }

    // MARK: - Log

    private func log(_ verdict: RetryPolicy.Verdict, _ outcome: AttemptOutcome, _ payload: Payload) {
        switch verdict {
        case .delivered: break
        case .retry: logger.debug("webhook will be tried again: \(outcome.summary)", metadata: Self.metadata(payload))
        case .failed: logger.warning("webhook failed: \(outcome.summary)", metadata: Self.metadata(payload))
        case .refused: logger.warning("webhook refused: \(outcome.summary)", metadata: Self.metadata(payload))
        }
    }

    private static func metadata(_ payload: Payload) -> Logger.Metadata {
        metadata(payload.notification).merging(["receiver": "\(payload.url.origin)"]) { $1 }
    }

    private static func metadata(_ notification: Notification) -> Logger.Metadata {
        ["project": "\(notification.project)", "agent": "\(notification.agent.name)"]
    }
}
