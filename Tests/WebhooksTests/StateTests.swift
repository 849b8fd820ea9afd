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
        for status in [300, 301, 302, 307, 308, 400, 404, 410, 429, 499] { #expect(verdict(.answered(status: status), 1) == .failed) }
        for outcome in [AttemptOutcome.answered(status: 500), .answered(status: 503), .timedOut, .unreachable("x")] {
            #expect(verdict(outcome, 1) == .retry(after: .seconds(1)))
            #expect(verdict(outcome, 2) == .retry(after: .seconds(2)))
            #expect(verdict(outcome, 3) == .failed)
        }
        #expect(verdict(.forbidden("x"), 1) == .refused)
        #expect(verdict(.timedOut, 1, 0) == .retry(after: .milliseconds(750)))
        #expect(verdict(.timedOut, 2, 1) == .retry(after: .milliseconds(2_500)))
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

    func delivery(_ lane: Int, _ payload: Int, host: String = "h", weight: Int = 1) -> Queue.Delivery {
        Queue.Delivery(lane: lane, url: host + "/\(lane)", host: host, weight: weight, payload: payload)
    }

    @Test func boundsRefuseTheNewest() {
        var queue = Queue(limits: DeliveryLimits(queueMax: 4, queuePerAgentMax: 2, queueBytesMax: 10), retry: RetryPolicy(), breaker: .init())
        #expect(queue.enqueue(delivery(1, 0)) && queue.enqueue(delivery(1, 1)) && !queue.enqueue(delivery(1, 2)))
        #expect(!queue.enqueue(delivery(2, 3, weight: 9)) && queue.enqueue(delivery(2, 4, weight: 8)))
        #expect(queue.statistics.dropped == 2 && queue.statistics.waiting == 3 && queue.statistics.waitingBytes == 10)
        #expect(queue.begin(at: now).started.map(\.payload) == [0, 4])
        #expect(queue.finish(1, .answered(status: 200), at: now, random: 0).next?.payload == 1)
        queue.close()
        #expect(queue.enqueue(delivery(3, 5)) == false)
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

    @Test func anOpenBreakerFailsWhatFollows() {
        var queue = Queue(limits: DeliveryLimits(runMax: 1), retry: RetryPolicy(attempts: 1), breaker: .init(failuresToOpen: 2))
        for payload in 0..<5 { _ = queue.enqueue(delivery(1, payload)) }
        for _ in 0..<2 {
            #expect(queue.begin(at: now).started.count == 1)
            _ = queue.finish(1, .timedOut, at: now, random: 0)
        }
        #expect(queue.begin(at: now).brokenOff.map(\.payload) == [2, 3, 4])
        #expect(queue.statistics.failed == 5 && queue.statistics.brokenOff == 3 && queue.statistics.waiting == 0)
        _ = queue.enqueue(delivery(1, 9))
        #expect(queue.begin(at: now + .seconds(60)).started.map(\.payload) == [9])
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
        var latest: [Int: Int] = [:]
        var enqueued = 0

        func see(_ delivery: Queue.Delivery) {
            // The same again is a retry.
            #expect(delivery.payload >= latest[delivery.lane] ?? -1)
            latest[delivery.lane] = delivery.payload
        }
        func start(_ beginnings: Queue.Beginnings) {
            beginnings.brokenOff.forEach(see)
            for delivery in beginnings.started {
                see(delivery)
                #expect(running[delivery.lane] == nil && !parked.contains(delivery.lane))
                running[delivery.lane] = delivery
            }
            #expect(running.count <= 4 && Dictionary(grouping: running.values, by: \.host).values.allSatisfy { $0.count <= 2 })
            #expect(queue.statistics.running == running.count && queue.statistics.waiting <= 40)
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
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let lane = Int.random(in: 0..<12, using: &random)
                _ = queue.enqueue(delivery(lane, step, host: "host \(lane % 4)"))
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
        while let lane = running.keys.first ?? parked.first {
            if parked.remove(lane) != nil {
                queue.wake(lane)
                start(queue.begin(at: now))
            } else {
                finish(lane)
            }
        }
        let end = queue.statistics
        #expect(end.waiting == 0 && end.waitingBytes == 0 && end.running == 0)
        #expect(end.sent + end.failed + end.dropped + end.refused == enqueued)
        #expect(end.sent > 0 && end.failed > 0 && end.dropped > 0 && end.refused > 0 && end.brokenOff > 0 && end.retried > 0)
    }
}
