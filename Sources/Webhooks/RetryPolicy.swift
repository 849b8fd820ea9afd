/// How one try of a delivery ended.
public enum AttemptOutcome: Sendable, Equatable {
    case answered(status: Int)
    case timedOut
    /// No connection, a broken one, or a name that does not resolve.
    case unreachable(String)
    /// The host has no address that the policy permits; nothing was connected to.
    case forbidden(String)

    /// For the log.
    public var summary: String {
        switch self {
        case .answered(let status) where (300..<400).contains(status): "the receiver redirects (status \(status)), which is not followed"
        case .answered(let status): "the receiver answered status \(status)"
        case .timedOut: "the receiver did not answer in time"
        case .unreachable(let reason): "the receiver cannot be reached: \(reason)"
        case .forbidden(let reason): reason
        }
    }
}

/// Whether a delivery is tried again, and when: a value without clock or I/O.
public struct RetryPolicy: Sendable, Equatable {
    /// Tries of one delivery, the first included.
    public var attempts: Int
    /// The wait after the first try; doubled after each further one.
    public var firstWait: Duration
    public var waitMax: Duration
    /// Share of the wait by which it varies either way, so that receivers which came back are not met by everybody at once.
    public var jitter: Double

    public init(attempts: Int = 3, firstWait: Duration = .seconds(1), waitMax: Duration = .seconds(30), jitter: Double = 0.25) {
        self.attempts = attempts
        self.firstWait = firstWait
        self.waitMax = waitMax
        self.jitter = jitter
    }

    public enum Verdict: Sendable, Equatable {
        case delivered
        case retry(after: Duration)
        case failed
        case refused
    }

    /// - Parameters:
    ///   - attempt: how many tries were made, this one included.
    ///   - random: uniform in 0..<1.
    public func verdict(on outcome: AttemptOutcome, attempt: Int, random: Double) -> Verdict {
        switch outcome {
        case .answered(200..<300): return .delivered
        // Not our call to send it elsewhere, and a second request would be answered alike.
        case .answered(300..<500): return .failed
        case .forbidden: return .refused
        case .answered, .timedOut, .unreachable:
            guard attempt < attempts else { return .failed }
            let doubled = firstWait * Double(sign: .plus, exponent: min(attempt - 1, 20), significand: 1)
            return .retry(after: min(waitMax, min(waitMax, doubled) * (1 + jitter * (2 * random - 1))))
        }
    }
}
