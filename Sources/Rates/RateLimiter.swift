// The generic cell rate algorithm (GCRA; ITU-T I.371, there for ATM cells), with one number for each caller.
//
// Each request moves the caller's theoretical arrival time (TAT) on by the interval T = window / limit, from now at the earliest. What would
// move it more than a window beyond now is refused. So a caller that was quiet may spend a whole allowance at once, and then one request each T:
// over any time t it is admitted limit + t / T requests and not one more, whatever the threads do, and there is no edge of a window at which
// all come back together.
//
// What costs more than the whole allowance (a batch) is admitted when the caller has spent nothing, and is paid off from then on.
//
// A TAT that has passed says the same as none, so what is kept is bounded by what was asked in the last window, and by `entriesMax`: then those
// go that have least left to wait. Time is monotonic: no clock that is set, back or forth, changes a limit.

public import Base
internal import Synchronization

public final class RateLimiter: Sendable {
    /// Whom an allowance belongs to, as 64 bits that nobody outside this process can aim at (the standard library's seeded hash).
    public struct Place: Hashable, Sendable {
        let hash: Int

        public init(_ caller: String, _ rateClass: RateClass, project: String?) {
            var hasher = Hasher()
            hasher.combine(caller)
            hasher.combine(rateClass)
            hasher.combine(rateClass.isPerProject ? project : nil)
            hash = hasher.finalize()
        }
    }

    private struct Shard {
        /// Theoretical arrival times in nanoseconds.
        var arrivals: [Int: Int64] = [:]
    }

    static let shardCount = 16
    /// In each shard: 98,304 fill a table of 131,072 places to three quarters, 2.1 MB; all shards together 34 MB.
    static let entriesMax = 98_304
    private let shards: [Shelf]

    /// A mutex has no place in an array by itself.
    private final class Shelf: Sendable {
        let shard = Mutex(Shard())
    }

    public init() { shards = (0..<Self.shardCount).map { _ in Shelf() } }

    /// Entries that are kept.
    public var count: Int { shards.reduce(0) { $0 + $1.shard.withLock { $0.arrivals.count } } }

    /// Counts a request, or refuses it and counts nothing.
    /// - Parameters:
    ///   - cost: how many it counts as; 0 only looks.
    ///   - limit: requests in a window.
    ///   - now: monotonic nanoseconds.
    /// - Complexity: O(1); O(entries of a shard) once in as many insertions.
    public func spend(
        _ cost: Int, of place: Place, policy: String, limit: Int, windowSeconds: Int = RateAllowances.windowSeconds, now: Int64
    ) -> (isAdmitted: Bool, standing: RateStanding) {
        let window = Int64(windowSeconds) * 1_000_000_000
        guard limit > 0 else {
            return (
                cost == 0,
                RateStanding(policy: policy, limit: 0, windowSeconds: windowSeconds, remaining: 0, resetSeconds: windowSeconds, retrySeconds: windowSeconds)
            )
        }
        return shards[place.hash & (Self.shardCount - 1)].shard.withLock { shard in
            let known = shard.arrivals[place.hash]
            let begin = max(known ?? now, now)
            // Of the whole cost at once: rounding each would make a limit that does not divide the window more than it says.
            let step = Self.nanoseconds(cost, window: window, limit: limit)
            let isAdmitted = cost <= limit ? begin - now <= window - step : begin == now
            let arrival = isAdmitted ? begin + step : begin
            if isAdmitted, cost > 0 {
                if known == nil, shard.arrivals.count >= Self.entriesMax { Self.makeRoom(&shard, now) }
                shard.arrivals[place.hash] = arrival
            }
            let left = max(0, window - (arrival - now))
            let wait = isAdmitted ? 0 : cost <= limit ? begin - now - (window - step) : begin - now
            return (
                isAdmitted,
                RateStanding(
                    policy: policy, limit: limit, windowSeconds: windowSeconds,
                    remaining: Int(window.dividingFullWidth(left.multipliedFullWidth(by: Int64(limit))).quotient),
                    resetSeconds: Self.seconds(arrival - now), retrySeconds: isAdmitted ? 0 : max(1, Self.seconds(wait)))
            )
        }
    }

    /// Rounded up, so that nothing is admitted early.
    private static func nanoseconds(_ cost: Int, window: Int64, limit: Int) -> Int64 {
        let (whole, rest) = window.quotientAndRemainder(dividingBy: Int64(limit))
        let count = Int64(cost)
        return whole * count + (rest * count + Int64(limit) - 1) / Int64(limit)
    }

    private static func seconds(_ nanoseconds: Int64) -> Int { Int((max(0, nanoseconds) + 999_999_999) / 1_000_000_000) }

    private static func makeRoom(_ shard: inout Shard, _ now: Int64) {
        shard.arrivals = shard.arrivals.filter { $0.value > now }
        guard shard.arrivals.count > entriesMax * 3 / 4 else { return }
        let middle = shard.arrivals.values.sorted()[shard.arrivals.count / 2]
        shard.arrivals = shard.arrivals.filter { $0.value > middle }
    }
}
