// Which delivery may begin now. A value without clock, sockets or tasks: the sink holds it under one lock, asks it after
// everything that happens, and does what it says.
//
//   enqueue ──▶ lane (one an agent, first in first out) ──▶ host (rotation) ──▶ running ──▶ finished
//                 ▲                                                               │
//                 └───── wake, when the wait is over ◀───── parked ◀───── retry ──┘
//
// * One lane has one delivery under way, so an agent gets its messages in the order in which they were made.
// * A lane that waits for its next try holds no slot: receivers that are down cost the others nothing.
// * Hosts take turns, and none has more than its share of the slots: one slow receiver with many agents does not starve the
//   rest.
// * Everything is bounded. What does not fit is refused, not what waits thrown away: the agent then has a beginning without
//   holes, and the sequence numbers tell it what is missing.

internal import DequeModule

/// The bounds of a `DeliveryQueue`.
public struct DeliveryLimits: Sendable, Equatable {
    /// Deliveries under way at once, in all and to one host.
    public var concurrency: Int
    public var concurrencyPerHost: Int
    /// Deliveries that wait or are under way, in all and for one agent.
    public var queueMax: Int
    public var queuePerAgentMax: Int
    /// The sum of what they hold in memory.
    public var queueBytesMax: Int
    /// Deliveries that one agent may be sent in a row, over one connection, before others get the slot.
    public var runMax: Int

    public init(
        concurrency: Int = 32, concurrencyPerHost: Int = 4, queueMax: Int = 10_000, queuePerAgentMax: Int = 1_000,
        queueBytesMax: Int = 64 << 20, runMax: Int = 32
    ) {
        self.concurrency = concurrency
        self.concurrencyPerHost = concurrencyPerHost
        self.queueMax = queueMax
        self.queuePerAgentMax = queuePerAgentMax
        self.queueBytesMax = queueBytesMax
        self.runMax = runMax
    }
}

/// What became of the deliveries so far, and what waits.
public struct WebhookStatistics: Sendable, Equatable {
    /// Answered with 2xx.
    public internal(set) var sent = 0
    /// Given up after the last try, a 3xx or 4xx, or because the breaker of the URL was open.
    public internal(set) var failed = 0
    /// Of those, the ones that never called because the breaker was open.
    public internal(set) var brokenOff = 0
    /// Tries after the first.
    public internal(set) var retried = 0
    /// Not taken because the queue was full, or left over at shutdown.
    public internal(set) var dropped = 0
    /// No URL, or one whose addresses the policy does not permit.
    public internal(set) var refused = 0
    /// Now in the queue, those under way included, and the bytes they hold.
    public internal(set) var waiting = 0
    public internal(set) var waitingBytes = 0
    /// Now under way.
    public internal(set) var running = 0
}

public struct DeliveryQueue<Lane: Hashable & Sendable, Payload: Sendable>: Sendable {
    public struct Delivery: Sendable {
        public let lane: Lane
        /// Names the circuit breaker.
        public let url: String
        /// Whom the slots are shared out by.
        public let host: String
        public let weight: Int
        public let payload: Payload
        /// Tries made.
        public fileprivate(set) var attempts = 0

        public init(lane: Lane, url: String, host: String, weight: Int, payload: Payload) {
            self.lane = lane
            self.url = url
            self.host = host
            self.weight = weight
            self.payload = payload
        }
    }

    /// What `begin` found: deliveries to carry out now, and those that failed because their breaker is open.
    public struct Beginnings: Sendable {
        public var started: [Delivery] = []
        public var brokenOff: [Delivery] = []
    }

    /// What a finished try leads to.
    public struct Completion: Sendable {
        public var verdict: RetryPolicy.Verdict
        /// The lane's next delivery, which begins at once in the same slot.
        public var next: Delivery?
    }

    private enum Phase { case ready, running, parked }

    private struct LaneState {
        /// The first is the one that runs, waits for its next try, or is next.
        var deliveries: Deque<Delivery> = []
        var phase = Phase.ready
        /// Deliveries in a row in the present slot.
        var run = 0
    }

    private struct HostState {
        var ready: Deque<Lane> = []
        var running = 0
        var isInRotation = false
    }

    public private(set) var statistics = WebhookStatistics()
    private let limits: DeliveryLimits
    private let retry: RetryPolicy
    private let breaker: CircuitBreaker.Settings
    private var lanes: [Lane: LaneState] = [:]
    private var hosts: [String: HostState] = [:]
    private var rotation: Deque<String> = []
    private var breakers: [String: CircuitBreaker] = [:]
    private var isClosed = false
    private var isAbandoned = false

    /// Breakers that are remembered; with more failing URLs than this, the newest have none.
    private static var breakersMax: Int { 10_000 }

    public init(limits: DeliveryLimits, retry: RetryPolicy, breaker: CircuitBreaker.Settings) {
        self.limits = limits
        self.retry = retry
        self.breaker = breaker
    }

    /// Takes a delivery, or counts it as dropped when there is no room. `begin` comes next.
    /// - Complexity: O(1).
    public mutating func enqueue(_ delivery: Delivery) -> Bool {
        guard !isClosed, statistics.waiting < limits.queueMax, statistics.waitingBytes + delivery.weight <= limits.queueBytesMax,
            lanes[delivery.lane].map({ $0.deliveries.count < limits.queuePerAgentMax }) ?? true
        else {
            statistics.dropped += 1
            return false
        }
        statistics.waiting += 1
        statistics.waitingBytes += delivery.weight
        let isNew = lanes[delivery.lane] == nil
        lanes[delivery.lane, default: LaneState()].deliveries.append(delivery)
        if isNew { makeReady(delivery.lane) }
        return true
    }

    /// Counts a notification that has no place to go.
    public mutating func refuse() { statistics.refused += 1 }

    /// Fills the free slots.
    /// - Complexity: O(deliveries begun or broken off).
    public mutating func begin(at now: ContinuousClock.Instant) -> Beginnings {
        var beginnings = Beginnings()
        while statistics.running < limits.concurrency, let host = rotation.popFirst() {
            hosts[host]!.isInRotation = false
            let lane = hosts[host]!.ready.removeFirst()
            let delivery = lanes[lane]!.deliveries.first!
            if delivery.attempts == 0, !admits(delivery.url, at: now) {
                statistics.failed += 1
                statistics.brokenOff += 1
                beginnings.brokenOff.append(delivery)
                removeFirst(of: lane)
                if lanes[lane] != nil { makeReady(lane) }
            } else {
                lanes[lane]!.phase = .running
                lanes[lane]!.run = 1
                hosts[host]!.running += 1
                statistics.running += 1
                if delivery.attempts > 0 { statistics.retried += 1 }
                beginnings.started.append(delivery)
            }
            rotate(host)
        }
        return beginnings
    }

    /// A try is over. The lane goes on with its next delivery, waits for its next try, or gives its slot back; after the last
    /// two `begin` comes next.
    public mutating func finish(_ lane: Lane, _ outcome: AttemptOutcome, at now: ContinuousClock.Instant, random: Double) -> Completion {
        guard var delivery = lanes[lane]?.deliveries.first, lanes[lane]?.phase == .running else {
            preconditionFailure("a delivery ended that was not under way")
        }
        delivery.attempts += 1
        var verdict = retry.verdict(on: outcome, attempt: delivery.attempts, random: random)
        if isAbandoned, case .retry = verdict { verdict = .failed }

        switch verdict {
        case .retry:
            lanes[lane]!.deliveries[0] = delivery
            lanes[lane]!.phase = .parked
            freeSlot(of: delivery.host)
            return Completion(verdict: verdict, next: nil)
        case .delivered:
            statistics.sent += 1
            record(.success, for: delivery.url, at: now)
        case .failed:
            statistics.failed += 1
            record(.failure, for: delivery.url, at: now)
        case .refused:
            statistics.refused += 1
            record(.untried, for: delivery.url, at: now)
        }
        removeFirst(of: lane)

        if let state = lanes[lane], let next = state.deliveries.first {
            if next.host == delivery.host, state.run < limits.runMax, admits(next.url, at: now) {
                lanes[lane]!.run += 1
                return Completion(verdict: verdict, next: next)
            }
            makeReady(lane)
        }
        freeSlot(of: delivery.host)
        return Completion(verdict: verdict, next: nil)
    }

    /// The wait of a parked lane is over. `begin` comes next.
    public mutating func wake(_ lane: Lane) {
        guard lanes[lane]?.phase == .parked else { return }
        makeReady(lane)
    }

    /// Takes nothing more; what is there goes on.
    public mutating func close() { isClosed = true }

    /// Drops everything that is not under way, and lets nothing be tried again.
    public mutating func abandon() {
        isClosed = true
        isAbandoned = true
        rotation = []
        hosts = hosts.compactMapValues { $0.running > 0 ? HostState(running: $0.running) : nil }
        for (lane, state) in lanes {
            let kept = state.phase == .running ? 1 : 0
            for delivery in state.deliveries.dropFirst(kept) {
                statistics.dropped += 1
                statistics.waiting -= 1
                statistics.waitingBytes -= delivery.weight
            }
            lanes[lane]!.deliveries = Deque(state.deliveries.prefix(kept))
            if kept == 0 { lanes[lane] = nil }
        }
    }

    // MARK: - Lanes and hosts

    private mutating func removeFirst(of lane: Lane) {
        let delivery = lanes[lane]!.deliveries.removeFirst()
        statistics.waiting -= 1
        statistics.waitingBytes -= delivery.weight
        if lanes[lane]!.deliveries.isEmpty { lanes[lane] = nil }
    }

    private mutating func makeReady(_ lane: Lane) {
        lanes[lane]!.phase = .ready
        let host = lanes[lane]!.deliveries.first!.host
        hosts[host, default: HostState()].ready.append(lane)
        rotate(host)
    }

    private mutating func freeSlot(of host: String) {
        statistics.running -= 1
        hosts[host]!.running -= 1
        rotate(host)
    }

    /// Puts the host at the end of the rotation when it has something to begin and a slot to do it in; forgets an idle host.
    private mutating func rotate(_ host: String) {
        guard let state = hosts[host], !state.isInRotation else { return }
        if state.ready.isEmpty {
            if state.running == 0 { hosts[host] = nil }
        } else if state.running < limits.concurrencyPerHost {
            hosts[host]!.isInRotation = true
            rotation.append(host)
        }
    }

    // MARK: - Breakers

    private mutating func admits(_ url: String, at now: ContinuousClock.Instant) -> Bool { breakers[url]?.admits(at: now) ?? true }

    private mutating func record(_ result: CircuitBreaker.Result, for url: String, at now: ContinuousClock.Instant) {
        var state = breakers[url] ?? CircuitBreaker(breaker)
        state.record(result, at: now)
        if breakers[url] == nil, !state.isPristine, breakers.count >= Self.breakersMax {
            breakers = breakers.filter { !$0.value.isClosed }
            if breakers.count >= Self.breakersMax { return }
        }
        breakers[url] = state.isPristine ? nil : state
    }
}
