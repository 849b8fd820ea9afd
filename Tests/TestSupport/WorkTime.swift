import Foundation

/// How work grows with its input, by the processor's time of this thread, so that other tests and machines do not matter much.
public enum WorkTime {
    /// Seconds of this thread. The body must stay on it.
    public static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = now
        try body()
        return now - start
    }

    private static var now: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Runs the work with a small input and a larger one. Work in proportion to its input takes `factor` times as long with the larger, sorting
    /// a little longer, quadratic work the square of it.
    ///
    /// - Parameter floor: seconds below which nothing is said: so little says nothing of growth.
    /// - Returns: a sentence when the larger takes more than 2.5 x `factor` as long and more than `floor`, in two measurements; else nil.
    public static func excess(factor: Double, floor: Double, small: () throws -> Void, large: () throws -> Void) rethrows -> String? {
        var said: String?
        for _ in 0..<2 {
            let (few, many) = (try seconds(small), try seconds(large))
            guard many > floor, many > 2.5 * factor * few else { return nil }
            said = "\(few) s, and \(many) s for \(factor) times the input"
        }
        return said
    }
}
