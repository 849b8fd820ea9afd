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
        for status in [300, 301, 302, 307, 308, 400, 404, 410, 424, 426, 499] { #expect(verdict(.answered(status: status), 1) == .rejected) }
        for outcome in [408, 425, 429, 500, 503].map({ AttemptOutcome.answered(status: $0) }) + [.timedOut, .unreachable("x")] {
            #expect(verdict(outcome, 1) == .retry(after: .seconds(1)))
            #expect(verdict(outcome, 2) == .retry(after: .seconds(2)))
            #expect(verdict(outcome, 3) == .failed)
        }
        #expect(verdict(.forbidden("x"), 1) == .refused)
        #expect(verdict(.timedOut, 1, 0) == .retry(after: .milliseconds(750)))
        #expect(verdict(.timedOut, 2, 1) == .retry(after: .milliseconds(2_500)))
        // As long as the receiver asks for, within bounds, and not sooner than we would by ourselves.
        for (asked, waits) in [(0, 1), (7, 7), (600, 600), (100_000, 600)] {
            #expect(verdict(.answered(status: 429, retryAfter: .seconds(asked)), 1) == .retry(after: .seconds(waits)))
        }
        #expect(verdict(.answered(status: 429, retryAfter: .seconds(7)), 3) == .failed)
        #expect(verdict(.answered(status: 404, retryAfter: .seconds(7)), 1) == .rejected)
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

    @Test func waitsAreCapped() {
        let policy = RetryPolicy(attempts: 1_000)
        for attempt in [6, 7, 40, 999] {
            for random in [0.5, 0.999] { #expect(policy.verdict(on: .timedOut, attempt: attempt, random: random) == .retry(after: .seconds(30))) }
            #expect(policy.verdict(on: .timedOut, attempt: attempt, random: 0) == .retry(after: .seconds(22.5)))
        }
    }
}

@Suite struct DeliveryQueueTests {
    typealias Queue = DeliveryQueue<Int, Int>
    let now = ContinuousClock.now

    func delivery(
        _ lane: Int, _ payload: Int, host: String = "h", weight: Int = 1, project: String = "p", key: String? = "k", _ standing: Queue.Standing = .moment
    ) -> Queue.Delivery {
        Queue.Delivery(
            lane: lane, owner: DeliveryOwner(tenant: .standard, project: Name(stored: project), key: key), url: host + "/\(lane)", host: host,
            weight: weight, standing: standing, payload: payload)
    }

    @Test func boundsRefuseTheNewest() {
        var queue = Queue(limits: DeliveryLimits(queueMax: 4, queuePerAgentMax: 2, queueBytesMax: 10), retry: RetryPolicy(), breaker: .init())
        #expect([0, 1, 2].map { queue.enqueue(delivery(1, $0)) } == [.taken(replacing: 0), .taken(replacing: 0), .refused])
        #expect([9, 8].map { queue.enqueue(delivery(2, $0 == 8 ? 4 : 3, weight: $0)) } == [.refused, .taken(replacing: 0)])
        #expect(queue.statistics.dropped == 2 && queue.statistics.waiting == 3 && queue.statistics.waitingBytes == 10)
        #expect(queue.begin(at: now).started.map(\.payload) == [0, 4])
        #expect(queue.finish(1, .answered(status: 200), at: now, random: 0).next?.payload == 1)
        queue.close()
        #expect(queue.enqueue(delivery(3, 5)) == .refused)
    }

    @Test func hostsTakeTurnsAndHaveAShare() {
        var queue = Queue(limits: DeliveryLimits(concurrency: 5, concurrencyPerHost: 2), retry: RetryPolicy(), breaker: .init())
        for lane in 0..<10 { _ = queue.enqueue(delivery(lane, lane, host: "slow")) }
        #expect(queue.begin(at: now).started.map(\.lane) == [0, 1])
        for lane in 10..<13 { _ = queue.enqueue(delivery(lane, lane, host: "quick")) }
        #expect(queue.begin(at: now).started.map(\.lane) == [10, 11])
        _ = queue.enqueue(delivery(20, 20, host: "third"))
        #expect(queue.begin(at: now).started.map(\.lane) == [20])
        // A parked lane holds no slot.
        #expect(queue.finish(0, .timedOut, at: now, random: 0.5).verdict == .retry(after: .seconds(1)))
        #expect(queue.begin(at: now).started.map(\.lane) == [2])
        queue.wake(0)
        #expect(queue.begin(at: now).started.isEmpty && queue.statistics.running == 5)
    }

    @Test func aRunEndsSoThatOthersGetTheSlot() {
        var queue = Queue(limits: DeliveryLimits(concurrency: 1, runMax: 2), retry: RetryPolicy(), breaker: .init())
        for payload in 0..<3 { _ = queue.enqueue(delivery(1, payload)) }
        _ = queue.enqueue(delivery(2, 10))
        #expect(queue.begin(at: now).started.map(\.payload) == [0])
        #expect(queue.finish(1, .answered(status: 200), at: now, random: 0).next?.payload == 1)
        #expect(queue.finish(1, .answered(status: 200), at: now, random: 0).next == nil)
        #expect(queue.begin(at: now).started.map(\.payload) == [10])
        #expect(queue.finish(2, .answered(status: 200), at: now, random: 0).next == nil)
        #expect(queue.begin(at: now).started.map(\.payload) == [2])
    }

    /// While the breaker is open the newest state of each key waits, and is delivered when the receiver is back.
    @Test func anOpenBreakerKeepsTheNewestState() {
        var queue = Queue(limits: DeliveryLimits(runMax: 1), retry: RetryPolicy(attempts: 1), breaker: .init(failuresToOpen: 2))
        func enqueue(_ payload: Int, _ standing: Queue.Standing) -> Queue.Admission { queue.enqueue(delivery(1, payload, standing)) }
        #expect(enqueue(0, .state(of: "a")) == .taken(replacing: 0) && enqueue(1, .state(of: "a")) == .taken(replacing: 0))
        #expect(queue.begin(at: now).started.map(\.payload) == [0])
        var completion = queue.finish(1, .timedOut, at: now, random: 0)
        #expect(completion.verdict == .failed && !completion.isKept && queue.statistics.failed == 1)
        #expect(queue.begin(at: now).started.map(\.payload) == [1])
        completion = queue.finish(1, .timedOut, at: now, random: 0)
        #expect(completion.verdict == .failed && completion.isKept && queue.statistics.failed == 1)
        let beginnings = queue.begin(at: now)
        #expect(beginnings.started.isEmpty && beginnings.trials.map(\.url) == ["h/1"] && beginnings.trials[0].at == now + .seconds(60))

        // Nothing is lost, and nothing is sent.
        #expect(enqueue(2, .state(of: "b")) == .taken(replacing: 0))
        #expect(enqueue(3, .state(of: "a")) == .taken(replacing: 1))
        #expect(enqueue(4, .moment) == .taken(replacing: 0) && enqueue(5, .moment) == .taken(replacing: 0))
        for payload in 6..<500 { #expect(enqueue(payload, .state(of: "b")) == .taken(replacing: 1)) }
        #expect(queue.pending(1) == 4 && queue.statistics.replaced == 495 && queue.statistics.dropped == 0)
        #expect(queue.begin(at: now + .seconds(59)).started.isEmpty)

        let later = now + .seconds(60)
        queue.openTrial("h/1")
        var sent: [Int] = []
        for _ in 0..<6 {
            for delivery in queue.begin(at: later).started {
                sent.append(delivery.payload)
                _ = queue.finish(1, .answered(status: 200), at: later, random: 0)
            }
        }
        #expect(sent == [3, 4, 5, 499] && queue.statistics.waiting == 0 && queue.statistics.waitingBytes == 0)
    }

    /// A trial that fails closes the way again; a new registration makes all that waits needless, and may have another address.
    @Test func trialsFailAndRegistrationsReplace() {
        var queue = Queue(limits: DeliveryLimits(), retry: RetryPolicy(attempts: 1), breaker: .init(failuresToOpen: 1))
        for lane in 1...3 {
            _ = queue.enqueue(
                Queue.Delivery(
                    lane: lane, owner: DeliveryOwner(tenant: .standard, project: Name(stored: "p"), key: nil), url: "down", host: "h", weight: 1,
                    standing: .state(of: "a"), payload: lane))
        }
        for delivery in queue.begin(at: now).started { _ = queue.finish(delivery.lane, .timedOut, at: now, random: 0) }
        var trials = queue.begin(at: now).trials
        #expect(trials.map(\.url) == ["down"] && queue.statistics.waiting == 3)
        queue.openTrial("down")
        let second = now + .seconds(60)
        let trial = queue.begin(at: second).started
        #expect(trial.count == 1)
        _ = queue.finish(trial[0].lane, .timedOut, at: second, random: 0)
        trials = queue.begin(at: second).trials
        #expect(trials.map(\.at) == [second + .seconds(60)] && queue.statistics.waiting == 3 && queue.statistics.failed == 0)

        let moved = delivery(2, 20, host: "up", .everything)
        #expect(queue.enqueue(moved) == .taken(replacing: 1))
        #expect(queue.begin(at: second).started.map(\.payload) == [20])
        _ = queue.finish(2, .answered(status: 200), at: second, random: 0)
        queue.openTrial("down")
        let third = second + .seconds(60)
        var sent: [Int] = []
        for _ in 0..<4 {
            for delivery in queue.begin(at: third).started {
                sent.append(delivery.payload)
                _ = queue.finish(delivery.lane, .answered(status: 200), at: third, random: 0)
            }
        }
        #expect(sent.sorted() == [1, 3] && queue.statistics.waiting == 0)
    }

    /// What a receiver does not take is given up, and the next one goes out.
    @Test func refusalsDoNotOpenTheBreaker() {
        var queue = Queue(limits: DeliveryLimits(), retry: RetryPolicy(attempts: 1), breaker: .init(failuresToOpen: 2))
        for payload in 0..<20 { _ = queue.enqueue(delivery(1, payload)) }
        #expect(queue.begin(at: now).started.map(\.payload) == [0])
        for payload in 1..<20 { #expect(queue.finish(1, .answered(status: 404), at: now, random: 0).next?.payload == payload) }
        #expect(queue.statistics.rejected == 19 && queue.statistics.failed == 0 && queue.breaker(of: "h/1").isPristine)
    }

    /// Two hundred dead receivers of one key, and of one project under many keys: what another project sends begins at once, always.
    @Test(arguments: [true, false])
    func nobodyWaitsForTheReceiversOfAnother(_ isOneKey: Bool) {
        var queue = Queue(limits: DeliveryLimits(), retry: RetryPolicy(), breaker: .init(failuresToOpen: 1_000_000))
        for lane in 0..<200 {
            _ = queue.enqueue(
                delivery(
                    lane, lane, host: "dead \(lane)", project: isOneKey ? "greedy \(lane)" : "greedy", key: isOneKey ? "greedy" : "key \(lane)"))
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
        func start() {
            for delivery in queue.begin(at: now + .seconds(second)).started {
                if delivery.lane >= 1_000 {
                    begunAt[delivery.lane] = second
                    _ = queue.finish(delivery.lane, .answered(status: 200), at: now + .seconds(second), random: 0)
                } else {
                    events.append(Event(at: second + 5, lane: delivery.lane, isEnd: true))
                }
            }
        }
        start()
        #expect(queue.statistics.running == 10)
        for moment in 1...200 {
            second = moment
            for event in events.filter({ $0.at == moment }) {
                if event.isEnd {
                    if case .retry = queue.finish(event.lane, .timedOut, at: now + .seconds(moment), random: 0.5).verdict {
                        events.append(Event(at: moment + 1, lane: event.lane, isEnd: false))
                    }
                } else {
                    queue.wake(event.lane)
                }
            }
            start()
            _ = queue.enqueue(delivery(1_000 + moment, 0, host: "alive", project: "patient", key: "patient"))
            start()
            #expect(begunAt[1_000 + moment] == moment)
        }
        #expect(queue.statistics.retried > 100)
    }

    /// Nor does one project or key take all the room in the queue.
    @Test func theQueueHasSharesToo() {
        var queue = Queue(
            limits: DeliveryLimits(queueMax: 100, queuePerProjectMax: 40, queuePerKeyMax: 30, queueBytesMax: 1_000, queueBytesPerShareMax: 300),
            retry: RetryPolicy(), breaker: .init())
        func taken(_ count: Int, _ project: String, _ key: String, weight: Int = 1) -> Int {
            (0..<count).count { number in queue.enqueue(delivery(number, 0, weight: weight, project: project, key: key)) != .refused }
        }
        #expect(taken(50, "a", "1") == 30 && taken(50, "a", "2") == 10 && taken(50, "b", "2") == 20 && taken(50, "b", "3") == 20)
        #expect(queue.statistics.waiting == 80 && queue.statistics.dropped == 120)
        // One that is large is taken when its owner has nothing else.
        #expect(taken(1, "c", "4", weight: 500) == 1 && taken(1, "c", "4", weight: 500) == 0)
    }

    @Test func abandonKeepsOnlyWhatRuns() {
        var queue = Queue(limits: DeliveryLimits(concurrency: 2), retry: RetryPolicy(), breaker: .init())
        for payload in 0..<3 { _ = queue.enqueue(delivery(1, payload)) }
        for lane in 2..<4 { _ = queue.enqueue(delivery(lane, lane)) }
        #expect(queue.begin(at: now).started.map(\.lane) == [1, 2])
        _ = queue.finish(2, .timedOut, at: now, random: 0)
        queue.abandon()
        queue.wake(2)
        #expect(queue.statistics.waiting == 1 && queue.statistics.dropped == 4 && queue.begin(at: now).started.isEmpty)
        #expect(queue.finish(1, .timedOut, at: now, random: 0).verdict == .failed)
        #expect(queue.statistics.waiting == 0 && queue.statistics.waitingBytes == 0 && queue.statistics.running == 0)
    }

    /// Random arrivals and outcomes against what must always hold: order in each lane, bounds, and nothing lost.
    @Test func randomWork() {
        var random = SeededRandom(seed: testSeed("delivery queue"))
        let limits = DeliveryLimits(concurrency: 4, concurrencyPerHost: 2, queueMax: 40, queuePerAgentMax: 8, runMax: 3)
        var queue = Queue(limits: limits, retry: RetryPolicy(), breaker: .init(failuresToOpen: 3, openTime: .seconds(20)))
        var now = ContinuousClock.now
        var running: [Int: Queue.Delivery] = [:]
        var parked: Set<Int> = []
        var trials: [String: ContinuousClock.Instant] = [:]
        var latest: [Int: Int] = [:]
        var enqueued = 0

        func see(_ delivery: Queue.Delivery) {
            // The same again is a retry.
            #expect(delivery.payload >= latest[delivery.lane] ?? -1)
            latest[delivery.lane] = delivery.payload
        }
        func start(_ beginnings: Queue.Beginnings) {
            for (url, at) in beginnings.trials { trials[url] = at }
            for delivery in beginnings.started {
                see(delivery)
                #expect(running[delivery.lane] == nil && !parked.contains(delivery.lane))
                running[delivery.lane] = delivery
            }
            #expect(running.count <= 4 && Dictionary(grouping: running.values, by: { [$0.host, $0.owner.key] }).values.allSatisfy { $0.count <= 2 })
            #expect(queue.statistics.running == running.count && queue.statistics.waiting <= 40)
            let faults = queue.checkInvariants()
            #expect(faults == [])
        }
        func finish(_ lane: Int) {
            let outcomes: [AttemptOutcome] = [.answered(status: 200), .answered(status: 200), .answered(status: 404), .timedOut, .forbidden("")]
            running[lane] = nil
            let completion = queue.finish(lane, outcomes.randomElement(using: &random)!, at: now, random: random.unit())
            if case .retry = completion.verdict { parked.insert(lane) }
            if let next = completion.next {
                see(next)
                running[lane] = next
            }
            start(queue.begin(at: now))
        }
        for step in 0..<20_000 {
            now += .milliseconds(200)
            for (url, at) in trials where at <= now {
                trials[url] = nil
                queue.openTrial(url)
                start(queue.begin(at: now))
            }
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let lane = Int.random(in: 0..<12, using: &random)
                let standing: Queue.Standing = [.moment, .state(of: "\(step % 3)"), .everything].randomElement(using: &random)!
                _ = queue.enqueue(delivery(lane, step, host: "host \(lane % 4)", key: "\(lane % 3)", standing))
                enqueued += 1
                start(queue.begin(at: now))
            case 2:
                if let lane = running.keys.randomElement(using: &random) { finish(lane) }
            default:
                if let lane = parked.randomElement(using: &random) {
                    parked.remove(lane)
                    queue.wake(lane)
                    start(queue.begin(at: now))
                }
            }
        }
        while true {
            guard let lane = running.keys.first ?? parked.first else {
                guard let (url, at) = trials.popFirst() else { break }
                now = max(now, at)
                queue.openTrial(url)
                start(queue.begin(at: now))
                continue
            }
            if parked.remove(lane) != nil {
                queue.wake(lane)
                start(queue.begin(at: now))
            } else {
                finish(lane)
            }
        }
        #expect(queue.checkInvariants() == [])
        let end = queue.statistics
        #expect(end.waiting == 0 && end.waitingBytes == 0 && end.running == 0)
        #expect(end.sent + end.failed + end.rejected + end.replaced + end.dropped + end.refused == enqueued)
        #expect(end.sent > 0 && end.failed > 0 && end.dropped > 0 && end.refused > 0 && end.rejected > 0 && end.replaced > 0 && end.retried > 0)
    }
}
