// Which receiver may be called now. A value without clock, sockets or tasks: the carrier holds it under one lock, asks it after
// everything that happens, and does what it says. What is to be delivered it does not know: that stands in the store.
//
//   ring ──▶ lane (one a receiver's owner) ──▶ owner, host (rotation) ──▶ running ──▶ settling ──▶ idle: forgotten
//              ▲                                                            │            │
//              ├──── rung meanwhile, or more was read than could be sent ◀──┼────────────┤
//              ├──── wake, when the wait is over ◀────── parked ◀───────────┴────────────┘
//              └──── the breaker lets one through ◀───── held
//
// * One lane has one delivery under way, so a receiver gets its messages in the order in which they were made.
// * A lane that waits for its next try, for its breaker or for its state to be written holds no slot: receivers that are down cost the
//   others nothing.
// * Owners (a project's agents of one API key; a tenant's endpoints) take turns, and the hosts of each owner. No host of an owner, no owner,
//   no project, no key and no tenant has more than its share of the slots: whoever has many agents at slow receivers delays himself.
// * The breaker of a URL is asked before every try, and told after it.

public import Base
internal import DequeModule

/// The bounds of a `DeliverySchedule`.
public struct DeliveryLimits: Sendable, Equatable {
    /// Deliveries under way at once: in all, of one tenant, one project, one key, and to one host for one owner. The shares are made
    /// so that others still find slots when three take all of theirs. Five hundred receivers on one machine that answer in 50 ms are
    /// through in three seconds when 12 of them are called at once: 500 x 50 ms / 12 = 2.1 s.
    public var concurrency: Int
    public var concurrencyPerTenant: Int
    public var concurrencyPerProject: Int
    public var concurrencyPerKey: Int
    public var concurrencyPerHost: Int
    /// Deliveries that one receiver may be sent in a row, over one connection, before others get the slot.
    public var runMax: Int

    public init(
        concurrency: Int = 64, concurrencyPerTenant: Int = 56, concurrencyPerProject: Int = 16, concurrencyPerKey: Int = 16,
        concurrencyPerHost: Int = 12, runMax: Int = Limits.deliveryBatch
    ) {
        self.concurrency = concurrency
        self.concurrencyPerTenant = concurrencyPerTenant
        self.concurrencyPerProject = concurrencyPerProject
        self.concurrencyPerKey = concurrencyPerKey
        self.concurrencyPerHost = concurrencyPerHost
        self.runMax = runMax
    }
}

/// Whom slots are shared out to.
public struct DeliveryOwner: Hashable, Sendable {
    public let tenant: TenantID
    /// nil for what is the tenant's.
    public let project: Name?
    /// The API key that registered the agent; nil while authentication is off.
    public let key: String?

    public init(tenant: TenantID, project: Name?, key: String?) {
        self.tenant = tenant
        self.project = project
        self.key = key
    }
}

/// Where a lane leads.
public struct DeliveryPlace: Hashable, Sendable {
    public let owner: DeliveryOwner
    /// Names the circuit breaker.
    public let url: String
    public let host: String

    public init(owner: DeliveryOwner, url: String, host: String) {
        self.owner = owner
        self.url = url
        self.host = host
    }
}

public struct DeliverySchedule<Lane: Hashable & Sendable>: Sendable {
    /// How a lane gives its slot back.
    public enum Leaving: Sendable, Equatable {
        /// It has nothing to send.
        case idle
        /// It has more, or leads elsewhere.
        case again
        /// Its next try is then.
        case parked(until: ContinuousClock.Instant)
        /// What became of its messages is being written down; then this.
        case settling(then: Afterwards)
        /// It may not be told now: until `resume`.
        case stopped
    }
    public enum Afterwards: Sendable, Equatable {
        case idle
        case again
        case parked(until: ContinuousClock.Instant)
    }

    /// What is to be done now.
    public struct Beginnings: Sendable {
        /// To be called.
        public var started: [Lane] = []
        /// Breakers that let a trial through at a time: `openTrial` is due then.
        public var trials: [(url: String, at: ContinuousClock.Instant)] = []
    }

    private enum Phase: Equatable {
        case ready, running, held, stopped
        case settling(Afterwards)
        case parked
    }

    private struct LaneState {
        var place: DeliveryPlace
        var phase = Phase.ready
        /// Something came while it was under way.
        var isRung = false
        /// What came makes its wait needless.
        var isFresh = false
        /// Tries in a row in the present slot.
        var run = 0
        /// The breaker let it through, and waits for a word.
        var isAdmitted = false
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

    private let limits: DeliveryLimits
    private let breaker: CircuitBreaker.Settings
    private var lanes: [Lane: LaneState] = [:]
    private var owners: [DeliveryOwner: OwnerState] = [:]
    private var rotation: Deque<DeliveryOwner> = []
    /// Those whose turn came while a share of theirs was used up, first come first served.
    private var blocked: [DeliveryOwner] = []
    private var shares: [Share: Int] = [:]
    private var breakers: [String: CircuitBreaker] = [:]
    /// Lanes that wait for a breaker.
    private var held: [String: Deque<Lane>] = [:]
    /// Breakers whose next trial somebody waits for.
    private var timed: Set<String> = []
    private var trials: [(url: String, at: ContinuousClock.Instant)] = []
    private var isClosed = false
    /// Lanes under way.
    public private(set) var running = 0

    /// Breakers that are remembered; with more failing URLs than this, the newest have none.
    private static var breakersMax: Int { 10_000 }

    public init(limits: DeliveryLimits, breaker: CircuitBreaker.Settings) {
        self.limits = limits
        self.breaker = breaker
    }

    /// Lanes that wait or are under way.
    public var count: Int { lanes.count }

    /// A lane has something to send. `begin` comes next.
    /// - Parameter isFresh: it need not wait for its next try: what it would have tried is no longer due.
    public mutating func ring(_ lane: Lane, at place: DeliveryPlace, isFresh: Bool = false) {
        guard let state = lanes[lane] else {
            guard !isClosed else { return }
            lanes[lane] = LaneState(place: place)
            return makeReady(lane)
        }
        switch state.phase {
        case .running, .settling:
            lanes[lane]!.isRung = true
            if isFresh { lanes[lane]!.isFresh = true }
        case .parked: if isFresh { makeReady(lane) }
        case .stopped: makeReady(lane)
        case .ready, .held: break
        }
    }

    /// Where a lane leads; nil for one that is idle.
    public func place(of lane: Lane) -> DeliveryPlace? { lanes[lane]?.place }

    /// The breaker of a URL as it is.
    public func breaker(of url: String) -> CircuitBreaker { breakers[url] ?? CircuitBreaker(breaker) }

    /// Breakers that are not closed.
    public var openBreakers: Int { breakers.count { !$0.value.isClosed } }

    /// Fills the free slots.
    /// - Complexity: O(lanes begun or held back).
    public mutating func begin(at now: ContinuousClock.Instant) -> Beginnings {
        var beginnings = Beginnings()
        while !isClosed, running < limits.concurrency, let owner = rotation.popFirst() {
            owners[owner]!.isInRotation = false
            guard mayRun(owner) else {
                blocked.append(owner)
                continue
            }
            let host = owners[owner]!.rotation.removeFirst()
            owners[owner]!.hosts[host]!.isInRotation = false
            let lane = owners[owner]!.hosts[host]!.ready.removeFirst()
            if !admits(lanes[lane]!.place.url, at: now) {
                hold(lane)
            } else {
                lanes[lane]!.phase = .running
                lanes[lane]!.run = 0
                lanes[lane]!.isRung = false
                lanes[lane]!.isFresh = false
                lanes[lane]!.isAdmitted = true
                owners[owner]!.hosts[host]!.running += 1
                running += 1
                for share in Self.shares(of: owner) { shares[share, default: 0] += 1 }
                beginnings.started.append(lane)
            }
            rotate(owner, host)
        }
        swap(&beginnings.trials, &trials)
        return beginnings
    }

    /// A try is over.
    /// - Returns: whether the lane may make its next one at once.
    public mutating func tried(_ lane: Lane, _ result: CircuitBreaker.Result, at now: ContinuousClock.Instant) -> Bool {
        guard let state = lanes[lane], state.phase == .running, state.isAdmitted else { preconditionFailure("a try ended that was not under way") }
        record(result, for: state.place.url, at: now)
        lanes[lane]!.run += 1
        let goesOn = !isClosed && state.run + 1 < limits.runMax && admits(state.place.url, at: now)
        lanes[lane]!.isAdmitted = goesOn
        return goesOn
    }

    /// The lane gives its slot back. `begin` comes next.
    /// - Parameter place: where it leads from now on; nil: where it did.
    public mutating func leave(_ lane: Lane, _ leaving: Leaving, at place: DeliveryPlace? = nil) {
        guard let state = lanes[lane], state.phase == .running else { preconditionFailure("a lane leaves that was not under way") }
        if state.isAdmitted {
            lanes[lane]!.isAdmitted = false
            record(.untried, for: state.place.url, at: nil)
        }
        freeSlot(of: state.place)
        if let place { lanes[lane]!.place = place }
        switch leaving {
        case .idle: if state.isRung { makeReady(lane) } else { lanes[lane] = nil }
        case .again: makeReady(lane)
        case .parked: if state.isFresh { makeReady(lane) } else { lanes[lane]!.phase = .parked }
        case .settling(let then): lanes[lane]!.phase = .settling(then)
        case .stopped: lanes[lane]!.phase = .stopped
        }
    }

    /// What became of a lane's messages is written down. `begin` comes next.
    /// - Returns: when it is to be woken; nil: not at all.
    public mutating func settled(_ lane: Lane) -> ContinuousClock.Instant? {
        guard let state = lanes[lane], case .settling(let then) = state.phase else { preconditionFailure("a lane is settled that was not to be") }
        switch then {
        case .idle where !state.isRung: lanes[lane] = nil
        case .idle, .again: makeReady(lane)
        case .parked(let until):
            guard !state.isFresh else {
                makeReady(lane)
                return nil
            }
            lanes[lane]!.phase = .parked
            return until
        }
        return nil
    }

    /// The wait of a parked lane is over. `begin` comes next.
    public mutating func wake(_ lane: Lane) {
        guard lanes[lane]?.phase == .parked else { return }
        makeReady(lane)
    }

    /// Lanes that were stopped may be told again. `begin` comes next.
    public mutating func resume() {
        for (lane, state) in lanes where state.phase == .stopped { makeReady(lane) }
    }

    /// The time of an open breaker is over: one lane may try. `begin` comes next.
    public mutating func openTrial(_ url: String) {
        timed.remove(url)
        release(url, all: false)
    }

    /// Begins nothing more; what is under way goes on to its end.
    public mutating func close() { isClosed = true }

    // MARK: - Check

    /// Every count anew from the lanes, and each lane in exactly the place that its phase names. Each finding is a sentence; for tests.
    /// - Complexity: O(lanes + owners).
    public func checkInvariants() -> [String] {
        var faults: [String] = []
        func expect<T: Equatable>(_ what: @autoclosure () -> String, _ counted: T, _ there: T) {
            if counted != there { faults.append("\(what()): counted \(counted), there are \(there)") }
        }
        var all: [Share: Int] = [:]
        var runningAt: [DeliveryOwner: [String: Int]] = [:]
        var readyAt: [DeliveryOwner: [String: Set<Lane>]] = [:]
        var heldAt: [String: Set<Lane>] = [:]
        var count = 0
        for (lane, state) in lanes {
            let place = state.place
            switch state.phase {
            case .running:
                count += 1
                runningAt[place.owner, default: [:]][place.host, default: 0] += 1
                for share in Self.shares(of: place.owner) { all[share, default: 0] += 1 }
            case .ready: readyAt[place.owner, default: [:]][place.host, default: []].insert(lane)
            case .held: heldAt[place.url, default: []].insert(lane)
            case .parked, .settling, .stopped: if state.isAdmitted { faults.append("lane \(lane) keeps its breaker waiting") }
            }
        }
        expect("running", running, count)
        if running > limits.concurrency { faults.append("\(running) run, over the bounds") }
        expect("shares", shares, all)
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
        for (url, lanes) in heldAt where !lanes.isSubset(of: held[url] ?? []) { faults.append("a lane that waits for the breaker of \(url) is forgotten") }
        return faults
    }

    // MARK: - Lanes, owners and hosts

    private mutating func makeReady(_ lane: Lane) {
        lanes[lane]!.phase = .ready
        lanes[lane]!.isRung = false
        lanes[lane]!.isFresh = false
        let place = lanes[lane]!.place
        owners[place.owner, default: OwnerState()].hosts[place.host, default: HostState()].ready.append(lane)
        rotate(place.owner, place.host)
    }

    private mutating func freeSlot(of place: DeliveryPlace) {
        running -= 1
        for share in Self.shares(of: place.owner) { shares[share] = shares[share]! == 1 ? nil : shares[share]! - 1 }
        owners[place.owner]!.hosts[place.host]!.running -= 1
        rotate(place.owner, place.host)
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
            let running = shares[share] ?? 0
            return switch share {
            case .tenant: running < limits.concurrencyPerTenant
            case .project: running < limits.concurrencyPerProject
            case .key: running < limits.concurrencyPerKey
            }
        }
    }

    private static func shares(of owner: DeliveryOwner) -> [Share] {
        [.tenant(owner.tenant)] + (owner.project.map { [.project(owner.tenant, $0)] } ?? []) + (owner.key.map { [.key($0)] } ?? [])
    }

    // MARK: - Breakers

    private mutating func admits(_ url: String, at now: ContinuousClock.Instant) -> Bool { breakers[url]?.admits(at: now) ?? true }

    private mutating func hold(_ lane: Lane) {
        lanes[lane]!.phase = .held
        let url = lanes[lane]!.place.url
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
