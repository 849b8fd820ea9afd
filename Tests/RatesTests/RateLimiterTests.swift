import Base
import Rates
import Synchronization
import TestSupport
import Testing

/// A limiter that keeps every request: how much of each is not yet paid off, in exact fractions of a request.
private struct NaiveLimiter {
    /// Requests that are owed, times nanoseconds of a window, so that all is whole.
    private var owed: [String: (amount: Int, at: Int)] = [:]
    private let window = 60_000_000_000

    mutating func admits(_ caller: String, cost: Int, limit: Int, now: Int) -> Bool {
        guard limit > 0 else { return cost == 0 }
        var (amount, at) = owed[caller] ?? (0, now)
        amount = max(0, amount - (now - at) * limit)
        at = now
        let isAdmitted = cost <= limit ? amount + cost * window <= limit * window : amount == 0
        owed[caller] = (isAdmitted ? amount + cost * window : amount, at)
        return isAdmitted
    }
}

/// A clock that is looked at by many.
private final class SharedClock: Sendable {
    private let time = Atomic<Int64>(0)
    func later(by step: Int64) -> Int64 { time.add(step, ordering: .relaxed).newValue }
}

@Suite("Rates are exact")
struct RateLimiterTests {
    private func place(_ caller: String) -> RateLimiter.Place { RateLimiter.Place(caller, .query, project: nil) }

    @Test func itAdmitsWhatANaiveLimiterAdmits() {
        var random = SeededRandom(seed: testSeed("rates"))
        // Limits that divide a minute into whole nanoseconds, so that both count in the same units.
        for limit in [1, 2, 3, 20, 60, 100, 200, 1_000] {
            let limiter = RateLimiter()
            var naive = NaiveLimiter()
            var now = 1_000
            for step in 0..<4_000 {
                let wait = random.next() % 4 == 0 ? 120_000_000_000 / UInt64(limit) : 60_000_000_000 / UInt64(limit) / 3 * 4
                now += Int(random.next() % (wait + 1))
                let caller = "caller \(random.next() % 3)"
                let cost = random.next() % 50 == 0 ? limit + 1 + Int(random.next() % 5) : random.next() % 7 == 0 ? Int(random.next() % UInt64(limit + 1)) : 1
                let expected = naive.admits(caller, cost: cost, limit: limit, now: now)
                let (isAdmitted, standing) = limiter.spend(cost, of: place(caller), policy: "query", limit: limit, now: Int64(now))
                if isAdmitted != expected { Issue.record("limit \(limit), step \(step): \(isAdmitted) for a cost of \(cost)") }
                #expect((0...limit).contains(standing.remaining) && (standing.retrySeconds > 0) == !isAdmitted)
            }
        }
    }

    @Test func whatIsToldIsTrue() {
        let limiter = RateLimiter()
        let caller = place("a")
        var now: Int64 = 5_000_000_000
        for used in 1...100 {
            let (isAdmitted, standing) = limiter.spend(1, of: caller, policy: "publish", limit: 100, now: now)
            #expect(isAdmitted && standing.remaining == 100 - used && standing.limit == 100 && standing.policy == "publish" && standing.retrySeconds == 0)
        }
        let refused = limiter.spend(1, of: caller, policy: "publish", limit: 100, now: now)
        #expect(!refused.isAdmitted && refused.standing.remaining == 0 && refused.standing.retrySeconds == 1 && refused.standing.resetSeconds == 60)
        // One request each 0.6 s from then on, and not a nanosecond earlier.
        now += 599_999_999
        #expect(!limiter.spend(1, of: caller, policy: "publish", limit: 100, now: now).isAdmitted)
        now += 1
        #expect(limiter.spend(1, of: caller, policy: "publish", limit: 100, now: now).isAdmitted)
        #expect(!limiter.spend(1, of: caller, policy: "publish", limit: 100, now: now).isAdmitted)
        // Looking costs nothing, and a minute of silence gives all back.
        #expect(limiter.spend(0, of: caller, policy: "publish", limit: 100, now: now).isAdmitted)
        now += 60_000_000_000
        #expect(limiter.spend(0, of: caller, policy: "publish", limit: 100, now: now).standing.remaining == 100)
    }

    @Test func aBatchBeyondTheLimitIsPaidOff() {
        let limiter = RateLimiter()
        let caller = place("a")
        #expect(limiter.spend(1, of: caller, policy: "publish", limit: 10, now: 0).isAdmitted)
        #expect(!limiter.spend(25, of: caller, policy: "publish", limit: 10, now: 0).isAdmitted, "something was spent already")
        #expect(limiter.spend(25, of: caller, policy: "publish", limit: 10, now: 6_000_000_000).isAdmitted)
        let refused = limiter.spend(1, of: caller, policy: "publish", limit: 10, now: 6_000_000_000)
        #expect(!refused.isAdmitted && refused.standing.retrySeconds == 96 && refused.standing.resetSeconds == 150)
        #expect(!limiter.spend(1, of: caller, policy: "publish", limit: 10, now: 101_999_999_999).isAdmitted)
        #expect(limiter.spend(1, of: caller, policy: "publish", limit: 10, now: 102_000_000_000).isAdmitted)
    }

    @Test func nothingIsNothing() {
        let limiter = RateLimiter()
        let refused = limiter.spend(1, of: place("a"), policy: "query", limit: 0, now: 0)
        #expect(!refused.isAdmitted && refused.standing.limit == 0 && refused.standing.retrySeconds == 60)
    }

    /// Ten windows under eight threads: a whole allowance at once, and then as much in each window, not one more or less.
    @Test func threadsChangeNothing() async {
        let limiter = RateLimiter()
        let caller = place("a")
        let clock = SharedClock()
        let admitted = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var count = 0
                    while true {
                        // Each look is 0.1 ms later than the one before, whoever makes it.
                        let now = clock.later(by: 100_000)
                        guard now <= 600_000_000_000 / 20 else { return count }
                        if limiter.spend(1, of: caller, policy: "query", limit: 4_000, windowSeconds: 3, now: now).isAdmitted { count += 1 }
                    }
                }
            }
            return await group.reduce(0, +)
        }
        // 30 s are ten windows of 3 s. The last look may come a moment before another that came first.
        #expect((43_999...44_000).contains(admitted))
    }

    @Test func aMillionCallersAreBounded() {
        let limiter = RateLimiter()
        for number in 0..<1_000_000 {
            #expect(limiter.spend(1, of: place("caller \(number)"), policy: "query", limit: 200, now: Int64(number)).isAdmitted)
        }
        #expect(limiter.count == 1_000_000)
        // 1.6 million places in sixteen tables: beyond that those go that have least left to wait.
        for number in 1_000_000..<2_000_000 {
            _ = limiter.spend(1, of: place("caller \(number)"), policy: "query", limit: 200, now: Int64(number))
        }
        #expect(limiter.count <= 16 * 98_304)
        // And what has passed makes room for what comes.
        for number in 0..<200_000 { _ = limiter.spend(1, of: place("late \(number)"), policy: "query", limit: 200, now: 120_000_000_000) }
        #expect(limiter.count <= 16 * 98_304)
    }
}
