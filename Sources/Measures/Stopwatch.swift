internal import Glibc

/// How long something takes. Two looks at the clock cost some 50 ns.
public struct Stopwatch: Sendable {
    /// By `now`.
    public let begun: UInt64

    public init() { begun = Self.now }

    public var nanoseconds: UInt64 { Self.now &- begun }

    /// Nanoseconds since some moment before the process began, which time that stands still in between does not count.
    public static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
