// Numbers that many threads add to and one reads now and then. Adding is one relaxed atomic addition: no lock, no allocation, nothing
// is kept together, so a reader may see a sum that is a moment older than its count.

internal import Synchronization

/// A fixed count of them, side by side.
@safe public final class Cells: Sendable {
    /// `nonisolated(unsafe)`: the memory is made in `init`, given back in `deinit`, and in between only touched atomically.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>
    public let count: Int

    public init(_ count: Int) {
        self.count = count
        unsafe cells = .allocate(capacity: count)
        for place in 0..<count { unsafe (cells + place).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe cells.deinitialize(count: count)
        unsafe cells.deallocate()
    }

    public func add(_ amount: UInt64, to place: Int) {
        precondition(place >= 0 && place < count)
        unsafe cells[place].add(amount, ordering: .relaxed)
    }

    public subscript(place: Int) -> UInt64 {
        precondition(place >= 0 && place < count)
        return unsafe cells[place].load(ordering: .relaxed)
    }

    /// Moves what is in one cell into another.
    func move(_ from: Int, to: Int) {
        precondition(from >= 0 && from < count)
        add(unsafe cells[from].exchange(0, ordering: .relaxed), to: to)
    }

    /// Puts a number into a cell that has 0.
    fileprivate func take(_ place: Int, _ number: UInt64) -> Bool {
        unsafe cells[place].load(ordering: .relaxed) == 0
            && cells[place].compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
    }

    fileprivate func clear(_ place: Int) { unsafe cells[place].store(0, ordering: .relaxed) }
}

/// Only goes up.
public final class Counter: Sendable {
    private let cells = Cells(1)

    public init() {}

    public func add(_ amount: Int = 1) { cells.add(UInt64(max(0, amount)), to: 0) }
    public var value: UInt64 { cells[0] }
}

/// Goes up and down.
public final class Gauge: Sendable {
    private let number = Atomic(0)

    public init() {}

    public func add(_ amount: Int) { number.add(amount, ordering: .relaxed) }
    public func set(_ value: Int) { number.store(value, ordering: .relaxed) }
    public var value: Int { number.load(ordering: .relaxed) }
}

/// The bounds of a histogram's buckets, and what its numbers are.
public struct Buckets: Sendable {
    /// Upper bounds, inclusive, ascending; numbers above the last are in a bucket of their own.
    public let bounds: [UInt64]
    /// What one is, as printed.
    let unit: Double
    /// Of the bounds, as printed.
    let texts: [String]

    /// - Parameter texts: one a bound.
    init(_ bounds: [UInt64], unit: Double, texts: [String]) {
        precondition(bounds.count == texts.count && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
        (self.bounds, self.unit, self.texts) = (bounds, unit, texts)
    }

    /// From 50 microseconds to 10 seconds, in nanoseconds; printed in seconds. Those of the original are among them.
    public static let times = Buckets(
        [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000]
            .map { $0 * 1_000 }, unit: 1e-9,
        texts: [
            "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0",
        ])

    /// Of small counts.
    public static let sizes = Buckets(
        [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096], unit: 1,
        texts: ["1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "128.0", "256.0", "512.0", "1024.0", "4096.0"])

    /// Cells of one histogram: its buckets, that above the last, and the sum.
    var width: Int { bounds.count + 2 }

    /// - Parameter place: of the first cell.
    func record(_ number: UInt64, in cells: Cells, at place: Int) {
        var bucket = 0
        while bucket < bounds.count, number > bounds[bucket] { bucket += 1 }
        cells.add(1, to: place + bucket)
        cells.add(number, to: place + bounds.count + 1)
    }

    func distribution(_ cells: Cells, at place: Int) -> Distribution {
        var (sum, counts) = (UInt64(0), [UInt64]())
        for bucket in 0...bounds.count {
            sum += cells[place + bucket]
            counts.append(sum)
        }
        return Distribution(bounds: texts, counts: counts, sum: Double(cells[place + bounds.count + 1]) * unit)
    }
}

/// What a histogram has: for each bound how many numbers were not above it, and all of them.
public struct Distribution: Sendable, Equatable {
    public let bounds: [String]
    /// One more than bounds: the last is all.
    public let counts: [UInt64]
    public let sum: Double
    public var count: UInt64 { counts.last ?? 0 }

    public init(bounds: [String], counts: [UInt64], sum: Double) { (self.bounds, self.counts, self.sum) = (bounds, counts, sum) }
}

public final class Histogram: Sendable {
    private let buckets: Buckets
    private let cells: Cells

    public init(_ buckets: Buckets = .times) {
        self.buckets = buckets
        cells = Cells(buckets.width)
    }

    public func record(_ number: UInt64) { buckets.record(number, in: cells, at: 0) }
    public var distribution: Distribution { buckets.distribution(cells, at: 0) }
}

/// What is under way, and since when: whoever begins gets a place, and gives it back.
public final class UnderWay: Sendable {
    private let places: Cells
    private let running = Atomic(0)

    /// - Parameter places: whoever comes when all are taken is counted, and has no time.
    public init(places: Int = 128) { self.places = Cells(places) }

    public var count: Int { running.load(ordering: .relaxed) }

    /// - Returns: the place, to be given to `end`.
    public func begin() -> Int {
        running.add(1, ordering: .relaxed)
        let now = max(1, Stopwatch.now)
        return (0..<places.count).first { places.take($0, now) } ?? -1
    }

    public func end(_ place: Int) {
        running.subtract(1, ordering: .relaxed)
        if place >= 0 { places.clear(place) }
    }

    /// How long the oldest is under way, in nanoseconds; 0 when there is none.
    public var oldest: UInt64 {
        let now = Stopwatch.now
        return (0..<places.count).reduce(0) { oldest, place in
            let begun = places[place]
            return begun == 0 || begun > now ? oldest : max(oldest, now - begun)
        }
    }
}
