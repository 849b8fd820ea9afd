// Breaker, retry and queue as values: no clock runs, nothing is sent.
import Addresses
import Base
import TestSupport
import Testing
import Webhooks

@Suite struct CircuitBreakerTests {
    let start = ContinuousClock.now

    @Test func opensAfterFiveFailuresInARow() {
        var breaker = CircuitBreaker()
        for _ in 0..<4 {
            #expect(breaker.admits(at: start) == true)
            breaker.record(.failure, at: start)
        }
        breaker.record(.success, at: start)
        #expect(breaker.isPristine)
        for _ in 0..<5 {
            #expect(breaker.admits(at: start) == true)
            breaker.record(.failure, at: start)
        }
        #expect(!breaker.admits(at: start) && !breaker.admits(at: start + .seconds(59.999)))
        #expect(breaker.admits(at: start + .seconds(60)) == true)
    }

    @Test func closesAfterTwoSuccessesOneAtATime() {
        var breaker = CircuitBreaker()
        for _ in 0..<5 { breaker.record(.failure, at: start) }
        let later = start + .seconds(61)
        #expect(breaker.admits(at: later) && !breaker.admits(at: later))
        breaker.record(.untried, at: later)
        #expect(breaker.admits(at: later) && !breaker.admits(at: later))
        breaker.record(.success, at: later)
        #expect(!breaker.isClosed && breaker.admits(at: later))
        breaker.record(.success, at: later)
        #expect(breaker.isPristine && breaker.admits(at: later) && breaker.admits(at: later))
    }

    @Test func opensAgainAtOnce() {
        var breaker = CircuitBreaker()
        for _ in 0..<5 { breaker.record(.failure, at: start) }
        let later = start + .seconds(61)
        #expect(breaker.admits(at: later) == true)
        breaker.record(.failure, at: later)
        #expect(!breaker.admits(at: later + .seconds(59)) && breaker.admits(at: later + .seconds(60)))
        // What was begun before it opened does not close it.
        var open = CircuitBreaker()
        for _ in 0..<5 { open.record(.failure, at: start) }
        open.record(.success, at: start)
        #expect(open.admits(at: start) == false)
    }
}

@Suite struct RetryPolicyTests {
    @Test func verdicts() {
        let policy = RetryPolicy()
        func verdict(_ outcome: AttemptOutcome, _ attempt: Int, _ random: Double = 0.5) -> RetryPolicy.Verdict {
            policy.verdict(on: outcome, attempt: attempt, random: random)
        }
        for status in [200, 201, 204, 299] { #expect(verdict(.answered(status: status), 1) == .delivered) }
        for status in [300, 301, 302, 307, 308, 400, 404, 409, 424, 426, 499] { #expect(verdict(.answered(status: status), 1) == .rejected) }
        for attempt in 1...3 { #expect(verdict(.answered(status: 410), attempt) == .gone) }
        for outcome in [408, 425, 429, 500, 503].map({ AttemptOutcome.answered(status: $0) }) + [.timedOut, .unreachable("x"), .broken("x")] {
            #expect(verdict(outcome, 1) == .retry(after: .seconds(5)))
            #expect(verdict(outcome, 2) == .retry(after: .seconds(60)))
            #expect(verdict(outcome, 3) == .failed)
            // An endpoint has its own number of tries.
            #expect(policy.verdict(on: outcome, attempt: 1, of: 1, random: 0.5) == .failed)
            #expect(policy.verdict(on: outcome, attempt: 4, of: 5, random: 0.5) == .retry(after: .seconds(1_800)))
        }
        #expect(verdict(.forbidden("x"), 1) == .refused)
        #expect(verdict(.timedOut, 1, 0) == .retry(after: .milliseconds(3_750)))
        #expect(verdict(.timedOut, 2, 1) == .retry(after: .seconds(75)))
        // As long as the receiver asks for, within bounds, and not sooner than we would by ourselves.
        for (asked, waits) in [(0, 5), (7, 7), (600, 600), (100_000, 86_400)] {
            #expect(verdict(.answered(status: 429, retryAfter: .seconds(asked)), 1) == .retry(after: .seconds(waits)))
        }
        #expect(verdict(.answered(status: 429, retryAfter: .seconds(7)), 3) == .failed)
        #expect(verdict(.answered(status: 404, retryAfter: .seconds(7)), 1) == .rejected)
    }

    /// A receiver that does not want a message is there; whom we may not call says nothing.
    @Test func whatATrySaysOfItsReceiver() {
        for status in [200, 204, 302, 400, 404, 410] { #expect(RetryPolicy.health(.answered(status: status)) == .success) }
        for outcome in [408, 429, 500, 503].map({ AttemptOutcome.answered(status: $0) }) + [.timedOut, .unreachable("x"), .broken("x")] {
            #expect(RetryPolicy.health(outcome) == .failure)
        }
        #expect(RetryPolicy.health(.forbidden("x")) == .untried)
    }

    @Test func retryAfterIsSecondsOrADate() {
        let now = Timestamp(printed: "1994-11-06T08:49:30Z")!
        func read(_ text: String) -> Duration? { RetryPolicy.retryAfter(text, now: now) }
        #expect(read("120") == .seconds(120) && read("0") == .zero && read(" 7 ") == .seconds(7))
        #expect(read("Sun, 06 Nov 1994 08:49:37 GMT") == .seconds(7))
        #expect(read("Sun, 06 Nov 1994 08:49:07 GMT") == .zero)
        for text in ["", "-1", "1.5", "soon", "9999999999", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Non 1994 08:49:37 GMT", "a b c d e GMT", "٣"] {
            #expect(read(text) == nil, "\(text)")
        }
    }

    /// From five seconds to a day.
    @Test func theLadderHasAnEnd() {
        let policy = RetryPolicy(attempts: 1_000)
        let waits = (1...8).map { policy.verdict(on: .timedOut, attempt: $0, random: 0.5) }
        #expect(waits == [5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400].map { .retry(after: .seconds($0)) })
        for attempt in [8, 9, 40, 999] {
            #expect(policy.verdict(on: .timedOut, attempt: attempt, random: 0) == .retry(after: .seconds(64_800)))
            #expect(policy.verdict(on: .timedOut, attempt: attempt, random: 0.5) == .retry(after: .seconds(86_400)))
        }
    }
}

extension SeededRandom {
    fileprivate mutating func below(_ count: UInt64) -> UInt64 { next() % count }
}

@Suite struct DeliveryScheduleTests {
    typealias Schedule = DeliverySchedule<Int>
    let now = ContinuousClock.now

    func place(_ host: String, url: String? = nil, project: String = "p", key: String? = "k") -> DeliveryPlace {
        DeliveryPlace(owner: DeliveryOwner(tenant: .standard, project: Name(stored: project), key: key), url: url ?? host + "/", host: host)
    }

    @Test func hostsTakeTurnsAndHaveAShare() {
        var schedule = Schedule(limits: DeliveryLimits(concurrency: 5, concurrencyPerHost: 2), breaker: .init())
        for lane in 0..<10 { schedule.ring(lane, at: place("slow")) }
        #expect(schedule.begin(at: now).started == [0, 1])
        for lane in 10..<13 { schedule.ring(lane, at: place("quick")) }
        #expect(schedule.begin(at: now).started == [10, 11])
        schedule.ring(20, at: place("third"))
        #expect(schedule.begin(at: now).started == [20])
        // A parked lane holds no slot.
        _ = schedule.tried(0, .failure, at: now)
        schedule.leave(0, .parked(until: now + .seconds(1)))
        #expect(schedule.begin(at: now).started == [2])
        schedule.wake(0)
        #expect(schedule.begin(at: now).started.isEmpty && schedule.running == 5 && schedule.checkInvariants() == [])
    }

    @Test func aRunEndsSoThatOthersGetTheSlot() {
        var schedule = Schedule(limits: DeliveryLimits(concurrency: 1, runMax: 2), breaker: .init())
        schedule.ring(1, at: place("h"))
        schedule.ring(2, at: place("h"))
        #expect(schedule.begin(at: now).started == [1])
        var goesOn = schedule.tried(1, .success, at: now)
        #expect(goesOn)
        goesOn = schedule.tried(1, .success, at: now)
        #expect(!goesOn)
        schedule.leave(1, .settling(then: .again))
        #expect(schedule.begin(at: now).started == [2])
        #expect(schedule.settled(1) == nil)
        schedule.leave(2, .idle)
        #expect(schedule.begin(at: now).started == [1] && schedule.count == 1)
    }

    /// What comes while a lane is under way is looked for before it is idle; while it waits for its next try it waits with it.
    @Test func ringsAreNotForgotten() {
        var schedule = Schedule(limits: DeliveryLimits(), breaker: .init())
        func ring(isFresh: Bool = false) { schedule.ring(1, at: place("h"), isFresh: isFresh) }
        ring()
        #expect(schedule.begin(at: now).started == [1])
        ring()
        schedule.leave(1, .idle)
        #expect(schedule.begin(at: now).started == [1])
        schedule.leave(1, .settling(then: .idle))
        ring()
        #expect(schedule.begin(at: now).started.isEmpty && schedule.settled(1) == nil)
        #expect(schedule.begin(at: now).started == [1])
        let later = now + .seconds(9)
        schedule.leave(1, .settling(then: .parked(until: later)))
        ring()
        #expect(schedule.settled(1) == later && schedule.begin(at: now).started.isEmpty)
        ring()
        #expect(schedule.begin(at: now).started.isEmpty)
        // A new registration does not wait for the try of an old one.
        ring(isFresh: true)
        #expect(schedule.begin(at: now).started == [1])
        schedule.leave(1, .settling(then: .parked(until: later)))
        ring(isFresh: true)
        #expect(schedule.settled(1) == nil && schedule.begin(at: now).started == [1])
        schedule.leave(1, .stopped)
        #expect(schedule.begin(at: now).started.isEmpty)
        schedule.resume()
        #expect(schedule.begin(at: now).started == [1])
        schedule.leave(1, .idle)
        #expect(schedule.count == 0 && schedule.checkInvariants() == [])
    }

    /// A lane that leads elsewhere from now on begins there.
    @Test func lanesMove() {
        var schedule = Schedule(limits: DeliveryLimits(), breaker: .init(failuresToOpen: 1))
        schedule.ring(1, at: place("old"))
        #expect(schedule.begin(at: now).started == [1])
        schedule.leave(1, .again, at: place("new", key: "other"))
        #expect(schedule.begin(at: now).started == [1] && schedule.place(of: 1) == place("new", key: "other") && schedule.checkInvariants() == [])
        _ = schedule.tried(1, .failure, at: now)
        #expect(schedule.breaker(of: "old/").isPristine && !schedule.breaker(of: "new/").isClosed)
    }

    /// While the breaker is open nobody calls; then one after the other, until two went well.
    @Test func anOpenBreakerHoldsItsLanes() {
        var schedule = Schedule(limits: DeliveryLimits(), breaker: .init(failuresToOpen: 2))
        for lane in 1...3 { schedule.ring(lane, at: place("h", url: "down")) }
        #expect(schedule.begin(at: now).started == [1, 2, 3])
        #expect(schedule.tried(1, .failure, at: now) == true)
        #expect(schedule.tried(2, .failure, at: now) == false)
        // What was begun before says nothing new.
        #expect(schedule.tried(3, .success, at: now) == false)
        for lane in 1...3 { schedule.leave(lane, .settling(then: .again)) }
        for lane in 1...3 { _ = schedule.settled(lane) }
        var beginnings = schedule.begin(at: now)
        #expect(beginnings.started.isEmpty && beginnings.trials.map(\.url) == ["down"] && beginnings.trials[0].at == now + .seconds(60))
        #expect(schedule.begin(at: now + .seconds(59)).started.isEmpty && schedule.openBreakers == 1)

        var later = now + .seconds(60)
        schedule.openTrial("down")
        let trial = schedule.begin(at: later).started
        #expect(trial == [1])
        // A trial that found nothing to send leaves the way to the next.
        schedule.leave(1, .idle)
        #expect(schedule.begin(at: later).started == [2])
        #expect(schedule.tried(2, .failure, at: later) == false)
        schedule.leave(2, .again)
        beginnings = schedule.begin(at: later)
        #expect(beginnings.started.isEmpty && beginnings.trials.map(\.at) == [later + .seconds(60)])
        later += .seconds(60)
        schedule.openTrial("down")
        let second = schedule.begin(at: later).started
        #expect(second.count == 1 && schedule.tried(second[0], .success, at: later))
        #expect(schedule.begin(at: later).started.isEmpty)
        #expect(schedule.tried(second[0], .success, at: later) == true)
        schedule.leave(second[0], .idle)
        #expect(schedule.begin(at: later).started.count == 1 && schedule.breaker(of: "down").isPristine && schedule.checkInvariants() == [])
    }

    /// Two hundred dead receivers of one key, and of one project under many keys: what another project sends begins at once, always.
    @Test(arguments: [true, false])
    func nobodyWaitsForTheReceiversOfAnother(_ isOneKey: Bool) {
        var schedule = Schedule(limits: DeliveryLimits(), breaker: .init(failuresToOpen: 1_000_000))
        for lane in 0..<200 {
            schedule.ring(
                lane, at: place("dead \(lane)", project: isOneKey ? "greedy \(lane)" : "greedy", key: isOneKey ? "greedy" : "key \(lane)"))
        }
        // A clock that is counted: each try takes five seconds until it is given up.
        struct Event {
            let at: Int
            let lane: Int
            let isEnd: Bool
        }
        var events: [Event] = []
        var second = 0
        var begunAt: [Int: Int] = [:]
        var tries = 0
        func start() {
            for lane in schedule.begin(at: now + .seconds(second)).started {
                if lane >= 1_000 {
                    begunAt[lane] = second
                    _ = schedule.tried(lane, .success, at: now + .seconds(second))
                    schedule.leave(lane, .idle)
                } else {
                    events.append(Event(at: second + 5, lane: lane, isEnd: true))
                }
            }
        }
        start()
        #expect(schedule.running == 16)
        for moment in 1...200 {
            second = moment
            for event in events.filter({ $0.at == moment }) {
                if event.isEnd {
                    tries += 1
                    _ = schedule.tried(event.lane, .failure, at: now + .seconds(moment))
                    schedule.leave(event.lane, .parked(until: now + .seconds(moment + 1)))
                    events.append(Event(at: moment + 1, lane: event.lane, isEnd: false))
                } else {
                    schedule.wake(event.lane)
                }
            }
            start()
            schedule.ring(1_000 + moment, at: place("alive", project: "patient", key: "patient"))
            start()
            #expect(begunAt[1_000 + moment] == moment)
        }
        #expect(tries > 300)
    }

    @Test func aClosedScheduleBeginsNothing() {
        var schedule = Schedule(limits: DeliveryLimits(), breaker: .init())
        schedule.ring(1, at: place("h"))
        schedule.ring(2, at: place("h"))
        #expect(schedule.begin(at: now).started == [1, 2])
        schedule.close()
        #expect(schedule.tried(1, .success, at: now) == false)
        schedule.leave(1, .settling(then: .again))
        #expect(schedule.settled(1) == nil)
        schedule.ring(3, at: place("h"))
        #expect(schedule.begin(at: now).started.isEmpty && schedule.running == 1)
    }

    /// Random rings and outcomes against what must always hold: bounds, no lane twice, none forgotten.
    @Test func randomWork() {
        var random = SeededRandom(seed: testSeed("delivery schedule"))
        let limits = DeliveryLimits(concurrency: 4, concurrencyPerHost: 2, runMax: 3)
        var schedule = Schedule(limits: limits, breaker: .init(failuresToOpen: 3, openTime: .seconds(20)))
        var now = ContinuousClock.now
        var running: Set<Int> = []
        var settling: Set<Int> = []
        var parked: Set<Int> = []
        var trials: [String: ContinuousClock.Instant] = [:]
        /// Messages that each lane has.
        var due = [Int](repeating: 0, count: 12)
        var (tries, stops) = (0, 0)

        func start() {
            let beginnings = schedule.begin(at: now)
            for (url, at) in beginnings.trials { trials[url] = at }
            for lane in beginnings.started {
                #expect(running.insert(lane).inserted && !parked.contains(lane) && !settling.contains(lane))
            }
            let hosts = Dictionary(grouping: running, by: { [$0 % 4, $0 % 3] })
            #expect(running.count <= 4 && hosts.values.allSatisfy { $0.count <= 2 } && schedule.running == running.count)
            let faults = schedule.checkInvariants()
            #expect(faults == [])
        }
        func run(_ lane: Int) {
            running.remove(lane)
            guard due[lane] > 0 else { return schedule.leave(lane, .idle) }
            if random.below(20) == 0 {
                stops += 1
                return schedule.leave(lane, .stopped)
            }
            while due[lane] > 0 {
                tries += 1
                let outcome = random.below(5)
                let goesOn = schedule.tried(lane, outcome < 3 ? .success : outcome == 3 ? .failure : .untried, at: now)
                if outcome == 3 {
                    schedule.leave(lane, .settling(then: .parked(until: now + .seconds(1))))
                    settling.insert(lane)
                    return
                }
                due[lane] -= 1
                if !goesOn { break }
            }
            schedule.leave(lane, .settling(then: due[lane] > 0 ? .again : .idle))
            settling.insert(lane)
        }
        func step(_ choice: Int) {
            for (url, at) in trials where at <= now {
                trials[url] = nil
                schedule.openTrial(url)
                start()
            }
            switch choice {
            case 0, 1:
                let lane = Int(random.below(12))
                due[lane] += 1
                schedule.ring(lane, at: place("host \(lane % 4)", key: "\(lane % 3)"), isFresh: false)
            case 2: if let lane = running.min() { run(lane) }
            case 3:
                if let lane = settling.popFirst(), schedule.settled(lane) != nil { parked.insert(lane) }
            case 4:
                if let lane = parked.popFirst() { schedule.wake(lane) }
            default: schedule.resume()
            }
            start()
        }
        for _ in 0..<20_000 {
            now += .milliseconds(200)
            step(Int(random.below(6)))
        }
        for _ in 0..<5_000 where due.contains(where: { $0 > 0 }) || !settling.isEmpty {
            now += .seconds(1)
            for choice in 2...5 { step(choice) }
        }
        #expect(due.allSatisfy { $0 == 0 } && tries > 1_000 && stops > 10)
        #expect(schedule.checkInvariants() == [])
    }
}
