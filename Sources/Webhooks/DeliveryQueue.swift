// Which delivery may begin now. A value without clock, sockets or tasks: the sink holds it under one lock, asks it after
// everything that happens, and does what it says.
//
//   enqueue ──▶ lane (one an agent, first in first out) ──▶ owner, host (rotation) ──▶ running ──▶ finished
//                 ▲                                                                      │
//                 ├──── wake, when the wait is over ◀────── parked ◀──────── retry ──────┤
//                 └──── the breaker lets one through ◀───── held ◀────── breaker open ───┘
//
// * One lane has one delivery under way, so an agent gets its messages in the order in which they were made.
// * A lane that waits for its next try or for its breaker holds no slot: receivers that are down cost the others nothing.
// * Owners (a project's agents of one API key) take turns, and the hosts of each owner. No host of an owner, no owner, no project,
//   no key and no tenant has more than its share of the slots, and no project and no key more than its share of the queue: whoever
//   has many agents at slow receivers delays himself.
// * Everything is bounded. A lane that cannot send keeps the newest state: an update replaces the one of the same key that waits,
//   a new registration all that waits. What does not fit all the same is refused, not what waits thrown away: the agent then has a
//   beginning without holes, and the sequence numbers tell it what is missing.

public import Base
internal import DequeModule

/// The bounds of a `DeliveryQueue`.
public struct DeliveryLimits: Sendable, Equatable {
    /// Deliveries under way at once: in all, of one tenant, one project, one key, and to one host for one owner. The shares are made
    /// so that four others still find slots when one takes all of his.
    public var concurrency: Int
    public var concurrencyPerTenant: Int
    public var concurrencyPerProject: Int
    public var concurrencyPerKey: Int
    public var concurrencyPerHost: Int
    /// Deliveries that wait or are under way: in all, of one project, of one key, and for one agent.
    public var queueMax: Int
    public var queuePerProjectMax: Int
    public var queuePerKeyMax: Int
    public var queuePerAgentMax: Int
    /// The sum of what they hold in memory: in all, and of one project or key. One that is alone may be larger.
    public var queueBytesMax: Int
    public var queueBytesPerShareMax: Int
    /// Deliveries that one agent may be sent in a row, over one connection, before others get the slot.
    public var runMax: Int

    public init(
        concurrency: Int = 48, concurrencyPerTenant: Int = 40, concurrencyPerProject: Int = 10, concurrencyPerKey: Int = 10,
        concurrencyPerHost: Int = 4, queueMax: Int = 10_000, queuePerProjectMax: Int = 4_000, queuePerKeyMax: Int = 4_000,
        queuePerAgentMax: Int = 1_000, queueBytesMax: Int = 64 << 20, queueBytesPerShareMax: Int = 24 << 20, runMax: Int = 32
    ) {
        self.concurrency = concurrency
        self.concurrencyPerTenant = concurrencyPerTenant
        self.concurrencyPerProject = concurrencyPerProject
        self.concurrencyPerKey = concurrencyPerKey
        self.concurrencyPerHost = concurrencyPerHost
        self.queueMax = queueMax
        self.queuePerProjectMax = queuePerProjectMax
        self.queuePerKeyMax = queuePerKeyMax
        self.queuePerAgentMax = queuePerAgentMax
        self.queueBytesMax = queueBytesMax
        self.queueBytesPerShareMax = queueBytesPerShareMax
        self.runMax = runMax
    }
}

/// Whom slots and room in the queue are shared out to.
public struct DeliveryOwner: Hashable, Sendable {
    public let tenant: TenantID
    public let project: Name
    /// The API key that registered the agent; nil while authentication is off.
    public let key: String?

    public init(tenant: TenantID, project: Name, key: String?) {
        self.tenant = tenant
        self.project = project
        self.key = key
    }
}

/// What became of the deliveries so far, and what waits.
public struct WebhookStatistics: Sendable, Equatable {
    /// Answered with 2xx.
    public internal(set) var sent = 0
    /// Given up after the last try.
    public internal(set) var failed = 0
    /// Answered with a 3xx or 4xx that would come again.
    public internal(set) var rejected = 0
    /// Gave way to a newer state while they waited.
    public internal(set) var replaced = 0
    /// Tries after the first.
    public internal(set) var retried = 0
    /// Not taken because the queue was full, or left over at shutdown.
    public internal(set) var dropped = 0
    /// No URL, one whose addresses the policy does not permit, or a registration whose key holds no longer.
    public internal(set) var refused = 0
    /// Now in the queue, those under way included, and the bytes they hold.
    public internal(set) var waiting = 0
    public internal(set) var waitingBytes = 0
    /// Now under way.
    public internal(set) var running = 0
}

public struct DeliveryQueue<Lane: Hashable & Sendable, Payload: Sendable>: Sendable {
    /// What a message stands for: which ones that wait it makes needless.
    public enum Standing: Sendable, Equatable {
        /// For itself.
        case moment
        /// The newest state of something.
        case state(of: String)
        /// All there is to know.
        case everything
    }

    public struct Delivery: Sendable {
        public let lane: Lane
        public let owner: DeliveryOwner
        /// Names the circuit breaker.
        public let url: String
        public let host: String
        public let weight: Int
        public let standing: Standing
        public let payload: Payload
        /// Tries made.
        public fileprivate(set) var attempts = 0
        /// Of all that were ever taken.
        fileprivate var number: UInt64 = 0

        public init(lane: Lane, owner: DeliveryOwner, url: String, host: String, weight: Int, standing: Standing = .moment, payload: Payload) {
            self.lane = lane
            self.owner = owner
            self.url = url
            self.host = host
            self.weight = weight
            self.standing = standing
            self.payload = payload
        }
    }

    public enum Admission: Sendable, Equatable {
        /// - Parameter replacing: how many that waited it made needless.
        case taken(replacing: Int)
        /// No room.
        case refused
    }

    /// What is to be done now.
    public struct Beginnings: Sendable {
        /// To be carried out.
        public var started: [Delivery] = []
        /// Breakers that let a trial through at a time: `openTrial` is due then.
        public var trials: [(url: String, at: ContinuousClock.Instant)] = []
    }

    /// What a finished try leads to.
    public struct Completion: Sendable {
        public var verdict: RetryPolicy.Verdict
        /// It failed because its receiver is down, and waits for it.
        public var isKept = false
        /// The lane's next delivery, which begins at once in the same slot.
        public var next: Delivery?
    }

    private enum Phase { case ready, running, parked, held }

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

    private struct OwnerState {
        var hosts: [String: HostState] = [:]
        var rotation: Deque<String> = []
        var isInRotation = false
    }

    /// What an owner shares with others.
    private enum Share: Hashable {
        case tenant(TenantID)
        case project(TenantID, Name)
        case key(String)
    }

    private struct ShareState {
        var waiting = 0
        var bytes = 0
        var running = 0
    }

    public private(set) var statistics = WebhookStatistics()
    private let limits: DeliveryLimits
    private let retry: RetryPolicy
    private let breaker: CircuitBreaker.Settings
    private var lanes: [Lane: LaneState] = [:]
    private var owners: [DeliveryOwner: OwnerState] = [:]
    private var rotation: Deque<DeliveryOwner> = []
    /// Those whose turn came while a share of theirs was used up, first come first served.
    private var blocked: [DeliveryOwner] = []
    private var shares: [Share: ShareState] = [:]
    private var breakers: [String: CircuitBreaker] = [:]
    /// Lanes that wait for a breaker.
    private var held: [String: Deque<Lane>] = [:]
    /// Breakers whose next trial somebody waits for.
    private var timed: Set<String> = []
    private var trials: [(url: String, at: ContinuousClock.Instant)] = []
    private var lastNumber: UInt64 = 0
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
    /// - Complexity: O(1); O(deliveries of the lane) while the lane cannot send or the queue is full.
    public mutating func enqueue(_ delivery: Delivery) -> Admission {
        guard !isClosed else { return drop() }
        var replaced = 0
        if let state = lanes[delivery.lane], state.phase != .running && state.phase != .ready || !hasRoom(for: delivery) {
            replaced = makeNeedless(by: delivery)
        }
        guard hasRoom(for: delivery) else {
            if lanes[delivery.lane]?.deliveries.isEmpty == true { lanes[delivery.lane] = nil }
            return drop()
        }
        addToQueue(delivery, 1)
        lastNumber += 1
        var delivery = delivery
        delivery.number = lastNumber
        let mustWait = lanes[delivery.lane].map { !$0.deliveries.isEmpty || $0.phase != .ready } ?? false
        lanes[delivery.lane, default: LaneState()].deliveries.append(delivery)
        if !mustWait { makeReady(delivery.lane) }
        return .taken(replacing: replaced)
    }

    private mutating func drop() -> Admission {
        statistics.dropped += 1
        return .refused
    }

    private func hasRoom(for delivery: Delivery) -> Bool {
        func fits(_ bytes: Int, _ bytesMax: Int) -> Bool { bytes == 0 || bytes + delivery.weight <= bytesMax }
        guard statistics.waiting < limits.queueMax, fits(statistics.waitingBytes, limits.queueBytesMax),
            lanes[delivery.lane].map({ $0.deliveries.count < limits.queuePerAgentMax }) ?? true
        else { return false }
        return Self.shares(of: delivery.owner).allSatisfy { share in
            let state = shares[share] ?? ShareState()
            switch share {
            case .tenant: return true
            case .project: return state.waiting < limits.queuePerProjectMax && fits(state.bytes, limits.queueBytesPerShareMax)
            case .key: return state.waiting < limits.queuePerKeyMax && fits(state.bytes, limits.queueBytesPerShareMax)
            }
        }
    }

    /// Takes out of the lane what the delivery makes needless and is not under way; returns how many. A lane that is empty then has no
    /// place any more, unless it waits for the same URL: that wait goes on.
    private mutating func makeNeedless(by delivery: Delivery) -> Int {
        guard delivery.standing != .moment, let state = lanes[delivery.lane], let head = state.deliveries.first else { return 0 }
        let first = state.phase == .running ? 1 : 0
        var kept = Deque(state.deliveries.prefix(first))
        var gone: [Delivery] = []
        for other in state.deliveries.dropFirst(first) {
            if delivery.standing == .everything || other.standing == delivery.standing { gone.append(other) } else { kept.append(other) }
        }
        guard !gone.isEmpty else { return 0 }
        for other in gone { addToQueue(other, -1) }
        statistics.replaced += gone.count
        // It was let through by its breaker, which waits for a word.
        let isNewHead = first == 0 && kept.first?.number != head.number
        if isNewHead, head.attempts > 0 { record(.untried, for: head.url, at: nil) }
        lanes[delivery.lane]!.deliveries = kept
        guard isNewHead, (kept.first ?? delivery).url != head.url || state.phase == .ready else { return gone.count }
        leave(delivery.lane, state.phase, head)
        if !kept.isEmpty { makeReady(delivery.lane) }
        return gone.count
    }

    /// Takes a lane out of where its head waited.
    private mutating func leave(_ lane: Lane, _ phase: Phase, _ head: Delivery) {
        lanes[lane]!.phase = .ready
        switch phase {
        case .ready:
            owners[head.owner]?.hosts[head.host]?.ready.removeAll { $0 == lane }
            if owners[head.owner]?.hosts[head.host]?.ready.isEmpty == true, owners[head.owner]?.hosts[head.host]?.isInRotation == true {
                owners[head.owner]?.hosts[head.host]?.isInRotation = false
                owners[head.owner]?.rotation.removeAll { $0 == head.host }
            }
            rotate(head.owner, head.host)
        case .held: held[head.url]?.removeAll { $0 == lane }
        case .running, .parked: break
        }
    }

    /// Counts a notification that has no place to go.
    public mutating func refuse() { statistics.refused += 1 }

    /// Deliveries of the lane that wait or are under way.
    public func pending(_ lane: Lane) -> Int { lanes[lane]?.deliveries.count ?? 0 }

    /// The breaker of a URL as it is.
    public func breaker(of url: String) -> CircuitBreaker { breakers[url] ?? CircuitBreaker(breaker) }

    /// Fills the free slots.
    /// - Complexity: O(deliveries begun or held back).
    public mutating func begin(at now: ContinuousClock.Instant) -> Beginnings {
        var beginnings = Beginnings()
        while statistics.running < limits.concurrency, let owner = rotation.popFirst() {
            owners[owner]!.isInRotation = false
            guard mayRun(owner) else {
                blocked.append(owner)
                continue
            }
            let host = owners[owner]!.rotation.removeFirst()
            owners[owner]!.hosts[host]!.isInRotation = false
            let lane = owners[owner]!.hosts[host]!.ready.removeFirst()
            let delivery = lanes[lane]!.deliveries.first!
            if delivery.attempts == 0, !admits(delivery.url, at: now) {
                hold(lane, delivery.url)
            } else {
                lanes[lane]!.phase = .running
                lanes[lane]!.run = 1
                owners[owner]!.hosts[host]!.running += 1
                statistics.running += 1
                for share in Self.shares(of: owner) { shares[share, default: ShareState()].running += 1 }
                if delivery.attempts > 0 { statistics.retried += 1 }
                beginnings.started.append(delivery)
            }
            rotate(owner, host)
        }
        swap(&beginnings.trials, &trials)
        return beginnings
    }

    /// A try is over. The lane goes on with its next delivery, waits for its next try or its breaker, or gives its slot back;
    /// unless it goes on, `begin` comes next.
    public mutating func finish(_ lane: Lane, _ outcome: AttemptOutcome, at now: ContinuousClock.Instant, random: Double) -> Completion {
        guard var delivery = lanes[lane]?.deliveries.first, lanes[lane]?.phase == .running else {
            preconditionFailure("a delivery ended that was not under way")
        }
        delivery.attempts += 1
        var completion = Completion(verdict: retry.verdict(on: outcome, attempt: delivery.attempts, random: random))
        if isAbandoned, case .retry = completion.verdict { completion.verdict = .failed }

        switch completion.verdict {
        case .retry:
            lanes[lane]!.deliveries[0] = delivery
            lanes[lane]!.phase = .parked
            freeSlot(of: delivery)
            return completion
        case .delivered:
            statistics.sent += 1
            record(.success, for: delivery.url, at: now)
        case .rejected:
            statistics.rejected += 1
            // Somebody is there and answers.
            record(.success, for: delivery.url, at: now)
        case .failed:
            record(.failure, for: delivery.url, at: now)
            if !isAbandoned, breakers[delivery.url]?.isClosed == false {
                delivery.attempts = 0
                lanes[lane]!.deliveries[0] = delivery
                completion.isKept = true
                hold(lane, delivery.url)
                freeSlot(of: delivery)
                return completion
            }
            statistics.failed += 1
        case .refused:
            statistics.refused += 1
            record(.untried, for: delivery.url, at: now)
        }
        addToQueue(lanes[lane]!.deliveries.removeFirst(), -1)
        guard let state = lanes[lane], let next = state.deliveries.first else {
            lanes[lane] = nil
            freeSlot(of: delivery)
            return completion
        }
        if next.host == delivery.host, next.owner == delivery.owner, state.run < limits.runMax, admits(next.url, at: now) {
            lanes[lane]!.run += 1
            completion.next = next
            return completion
        }
        makeReady(lane)
        freeSlot(of: delivery)
        return completion
    }

    /// The wait of a parked lane is over. `begin` comes next.
    public mutating func wake(_ lane: Lane) {
        guard lanes[lane]?.phase == .parked else { return }
        makeReady(lane)
    }

    /// The time of an open breaker is over: one delivery may try. `begin` comes next.
    public mutating func openTrial(_ url: String) {
        timed.remove(url)
        release(url, all: false)
    }

    /// Takes nothing more; what is there goes on.
    public mutating func close() { isClosed = true }

    /// Drops everything that is not under way, and lets nothing be tried again.
    public mutating func abandon() {
        isClosed = true
        isAbandoned = true
        rotation = []
        blocked = []
        held = [:]
        trials = []
        owners = owners.compactMapValues { owner in
            let hosts = owner.hosts.compactMapValues { $0.running > 0 ? HostState(running: $0.running) : nil }
            return hosts.isEmpty ? nil : OwnerState(hosts: hosts)
        }
        for (lane, state) in lanes {
            let kept = state.phase == .running ? 1 : 0
            for delivery in state.deliveries.dropFirst(kept) {
                statistics.dropped += 1
                addToQueue(delivery, -1)
            }
            lanes[lane]!.deliveries = Deque(state.deliveries.prefix(kept))
            if kept == 0 { lanes[lane] = nil }
        }
    }

    // MARK: - Check

    /// Every count anew from the lanes, and each lane in exactly the place that its phase names. Each finding is a sentence; for tests.
    /// - Complexity: O(deliveries + owners).
    public func checkInvariants() -> [String] {
        var faults: [String] = []
        func expect<T: Equatable>(_ what: @autoclosure () -> String, _ counted: T, _ there: T) {
            if counted != there { faults.append("\(what()): counted \(counted), there are \(there)") }
        }
        var all: [Share: ShareState] = [:]
        var runningAt: [DeliveryOwner: [String: Int]] = [:]
        var readyAt: [DeliveryOwner: [String: Set<Lane>]] = [:]
        var heldAt: [String: Set<Lane>] = [:]
        var (waiting, bytes, running) = (0, 0, 0)
        for (lane, state) in lanes {
            guard let head = state.deliveries.first else {
                faults.append("lane \(lane) is empty")
                continue
            }
            if zip(state.deliveries, state.deliveries.dropFirst()).contains(where: { $0.number >= $1.number }) { faults.append("lane \(lane) is out of order") }
            for delivery in state.deliveries {
                waiting += 1
                bytes += delivery.weight
                for share in Self.shares(of: delivery.owner) {
                    all[share, default: ShareState()].waiting += 1
                    all[share]!.bytes += delivery.weight
                }
            }
            switch state.phase {
            case .running:
                running += 1
                runningAt[head.owner, default: [:]][head.host, default: 0] += 1
                for share in Self.shares(of: head.owner) { all[share]!.running += 1 }
            case .ready: readyAt[head.owner, default: [:]][head.host, default: []].insert(lane)
            case .held: heldAt[head.url, default: []].insert(lane)
            case .parked: break
            }
        }
        expect("waiting", statistics.waiting, waiting)
        expect("bytes", statistics.waitingBytes, bytes)
        expect("running", statistics.running, running)
        if running > limits.concurrency || waiting > limits.queueMax { faults.append("\(running) run and \(waiting) wait, over the bounds") }
        expect("shares", Set(shares.keys), Set(all.keys))
        for (share, state) in all {
            let counted = shares[share] ?? ShareState()
            expect("\(share)", [counted.waiting, counted.bytes, counted.running], [state.waiting, state.bytes, state.running])
        }
        expect("owners", Set(owners.keys), Set(runningAt.keys).union(readyAt.keys))
        for (owner, state) in owners {
            for (name, host) in state.hosts {
                expect("running at \(name)", host.running, runningAt[owner]?[name] ?? 0)
                expect("ready at \(name)", host.ready.count, readyAt[owner]?[name]?.count ?? 0)
                expect("lanes ready at \(name)", Set(host.ready), readyAt[owner]?[name] ?? [])
                if host.running > limits.concurrencyPerHost { faults.append("\(host.running) run at \(name)") }
                if host.running == 0, host.ready.isEmpty { faults.append("host \(name) is remembered for nothing") }
                // Whoever has something to begin and a slot of his own stands in line.
                expect("\(name) in line", host.isInRotation, !host.ready.isEmpty && host.running < limits.concurrencyPerHost)
            }
            expect("line of an owner", state.rotation.sorted(), state.hosts.filter(\.value.isInRotation).keys.sorted())
            let places = rotation.count { $0 == owner } + blocked.count { $0 == owner }
            expect("places of an owner", places, state.rotation.isEmpty ? 0 : 1)
            expect("an owner in line", state.isInRotation, rotation.contains(owner))
        }
        expect("line of owners", Set(rotation).union(blocked).subtracting(owners.keys).count, 0)
        // One that was given up while it waited may still be named; whoever opens the breaker passes over it.
        for (url, lanes) in heldAt where !lanes.isSubset(of: held[url] ?? []) { faults.append("a lane that waits for the breaker of \(url) is forgotten") }
        return faults
    }

    // MARK: - Lanes, owners and hosts

    private mutating func addToQueue(_ delivery: Delivery, _ sign: Int) {
        statistics.waiting += sign
        statistics.waitingBytes += sign * delivery.weight
        for share in Self.shares(of: delivery.owner) {
            var state = shares[share] ?? ShareState()
            state.waiting += sign
            state.bytes += sign * delivery.weight
            shares[share] = state.waiting == 0 && state.running == 0 ? nil : state
        }
    }

    private mutating func makeReady(_ lane: Lane) {
        lanes[lane]!.phase = .ready
        let head = lanes[lane]!.deliveries.first!
        owners[head.owner, default: OwnerState()].hosts[head.host, default: HostState()].ready.append(lane)
        rotate(head.owner, head.host)
    }

    private mutating func freeSlot(of delivery: Delivery) {
        statistics.running -= 1
        for share in Self.shares(of: delivery.owner) {
            var state = shares[share] ?? ShareState()
            state.running -= 1
            shares[share] = state.waiting == 0 && state.running == 0 ? nil : state
        }
        owners[delivery.owner]!.hosts[delivery.host]!.running -= 1
        rotate(delivery.owner, delivery.host)
        var still: [DeliveryOwner] = []
        for owner in blocked where owners[owner] != nil {
            if mayRun(owner) { turn(owner) } else { still.append(owner) }
        }
        blocked = still
    }

    /// Puts the host at the end of its owner's rotation when it has something to begin and a slot to do it in, and the owner at the
    /// end of all; forgets who is idle.
    private mutating func rotate(_ owner: DeliveryOwner, _ host: String) {
        guard let state = owners[owner]?.hosts[host] else { return }
        if !state.isInRotation {
            if state.ready.isEmpty {
                if state.running == 0 { owners[owner]!.hosts[host] = nil }
            } else if state.running < limits.concurrencyPerHost {
                owners[owner]!.hosts[host]!.isInRotation = true
                owners[owner]!.rotation.append(host)
            }
        }
        if owners[owner]!.hosts.isEmpty {
            owners[owner] = nil
            blocked.removeAll { $0 == owner }
            rotation.removeAll { $0 == owner }
        } else if owners[owner]!.rotation.isEmpty {
            if owners[owner]!.isInRotation { rotation.removeAll { $0 == owner } }
            owners[owner]!.isInRotation = false
            blocked.removeAll { $0 == owner }
        } else if !blocked.contains(owner) {
            turn(owner)
        }
    }

    private mutating func turn(_ owner: DeliveryOwner) {
        guard owners[owner]?.isInRotation == false, owners[owner]?.rotation.isEmpty == false else { return }
        owners[owner]!.isInRotation = true
        rotation.append(owner)
    }

    private func mayRun(_ owner: DeliveryOwner) -> Bool {
        Self.shares(of: owner).allSatisfy { share in
            let running = shares[share]?.running ?? 0
            return switch share {
            case .tenant: running < limits.concurrencyPerTenant
            case .project: running < limits.concurrencyPerProject
            case .key: running < limits.concurrencyPerKey
            }
        }
    }

    private static func shares(of owner: DeliveryOwner) -> [Share] {
        [.tenant(owner.tenant), .project(owner.tenant, owner.project)] + (owner.key.map { [.key($0)] } ?? [])
    }

    // MARK: - Breakers

    private mutating func admits(_ url: String, at now: ContinuousClock.Instant) -> Bool { breakers[url]?.admits(at: now) ?? true }

    private mutating func hold(_ lane: Lane, _ url: String) {
        lanes[lane]!.phase = .held
        held[url, default: []].append(lane)
        watch(url)
    }

    /// Asks for the trial of an open breaker, once.
    private mutating func watch(_ url: String) {
        guard held[url]?.isEmpty == false, let time = breakers[url]?.opensAgainAt, timed.insert(url).inserted else { return }
        trials.append((url, time))
    }

    /// Makes lanes ready that waited for the breaker.
    private mutating func release(_ url: String, all: Bool) {
        while let lane = held[url]?.popFirst() {
            if lanes[lane]?.phase == .held {
                makeReady(lane)
                if !all { break }
            }
        }
        if held[url]?.isEmpty == true { held[url] = nil }
    }

    /// - Parameter now: nil when it does not matter, as for what was never tried.
    private mutating func record(_ result: CircuitBreaker.Result, for url: String, at now: ContinuousClock.Instant?) {
        var state = breakers[url] ?? CircuitBreaker(breaker)
        state.record(result, at: now ?? .now)
        if breakers[url] == nil, !state.isPristine, breakers.count >= Self.breakersMax {
            breakers = breakers.filter { !$0.value.isClosed }
            if breakers.count >= Self.breakersMax { return }
        }
        breakers[url] = state.isPristine ? nil : state
        guard held[url] != nil else { return }
        if state.opensAgainAt == nil { release(url, all: state.isClosed) } else { watch(url) }
    }
}
