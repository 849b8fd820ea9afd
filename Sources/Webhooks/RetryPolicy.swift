public import Base

/// How one try of a delivery ended.
public enum AttemptOutcome: Sendable, Equatable {
    /// - Parameter retryAfter: how long the receiver asks to be left alone.
    case answered(status: Int, retryAfter: Duration? = nil)
    case timedOut
    /// No connection, or a name that does not resolve.
    case unreachable(String)
    /// There was a connection, and no answer came over it that can be read.
    case broken(String)
    /// The host has no address that the policy permits, or nobody may be told any more; nothing was connected to.
    case forbidden(String)

    /// For the log.
    public var summary: String {
        switch self {
        case .answered(let status, _) where [301, 302, 303, 307, 308].contains(status): "the receiver redirects (status \(status)), which is not followed"
        case .answered(let status, _): "the receiver answered status \(status)"
        case .timedOut: "the receiver did not answer in time"
        case .unreachable(let reason): "the receiver cannot be reached: \(reason)"
        case .broken(let reason): reason
        case .forbidden(let reason): reason
        }
    }
}

/// Whether a delivery is tried again, and when: a value without clock or I/O.
public struct RetryPolicy: Sendable, Equatable {
    /// Tries of one delivery, the first included, unless its endpoint says another number.
    public var attempts: Int
    /// The waits after the first try, the second, ...; the last one again after every further one.
    public var ladder: [Duration]
    /// The longest wait that a receiver can ask for (`Retry-After`).
    public var retryAfterMax: Duration
    /// Share of the wait by which it varies either way, so that receivers which came back are not met by everybody at once.
    public var jitter: Double

    /// Soon at first, since most failures are short; a receiver that is down for a day still gets what it missed when there are tries enough.
    public static let ladder: [Duration] = [5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400].map { .seconds($0) }

    public init(attempts: Int = 3, ladder: [Duration] = RetryPolicy.ladder, retryAfterMax: Duration = .seconds(86_400), jitter: Double = 0.25) {
        precondition(!ladder.isEmpty, "a ladder without a step")
        self.attempts = attempts
        self.ladder = ladder
        self.retryAfterMax = retryAfterMax
        self.jitter = jitter
    }

    public enum Verdict: Sendable, Equatable {
        case delivered
        case retry(after: Duration)
        /// The receiver is there and does not want this message: it says nothing of others.
        case rejected
        /// The receiver says that it is gone for good.
        case gone
        case failed
        case refused
    }

    /// - Parameters:
    ///   - attempt: how many tries were made, this one included.
    ///   - attemptsMax: of the endpoint; nil: the policy's.
    ///   - random: uniform in 0..<1.
    public func verdict(on outcome: AttemptOutcome, attempt: Int, of attemptsMax: Int? = nil, random: Double) -> Verdict {
        let attempts = attemptsMax ?? attempts
        switch outcome {
        case .answered(200..<300, _): return .delivered
        case .answered(410, _): return .gone
        case .answered(let status, _) where !Self.isPassing(status): return .rejected
        case .forbidden: return .refused
        case .answered(_, let retryAfter):
            guard attempt < attempts else { return .failed }
            return .retry(after: max(wait(attempt, random), min(retryAfter ?? .zero, retryAfterMax)))
        case .timedOut, .unreachable, .broken:
            guard attempt < attempts else { return .failed }
            return .retry(after: wait(attempt, random))
        }
    }

    /// What it says of the receiver: one that answers is there, whatever it thinks of the message.
    public static func health(_ outcome: AttemptOutcome) -> CircuitBreaker.Result {
        switch outcome {
        case .answered(let status, _): (200..<300).contains(status) || !isPassing(status) ? .success : .failure
        case .timedOut, .unreachable, .broken: .failure
        case .forbidden: .untried
        }
    }

    /// 408 Request Timeout, 425 Too Early, 429 Too Many Requests and what is the receiver's own fault: the same again may go well. A
    /// redirect is not our call to follow, and any other 4xx would come again.
    private static func isPassing(_ status: Int) -> Bool { [408, 425, 429].contains(status) || status >= 500 }

    private func wait(_ attempt: Int, _ random: Double) -> Duration {
        ladder[min(max(attempt, 1), ladder.count) - 1] * (1 + jitter * (2 * random - 1))
    }

    /// What a `Retry-After` header says: seconds, or a date as HTTP writes it (`Sun, 06 Nov 1994 08:49:37 GMT`); nil for anything else.
    public static func retryAfter(_ text: some StringProtocol, now: Timestamp) -> Duration? {
        let fields = text.split(separator: " ")
        if fields.count == 1, (1...9).contains(fields[0].utf8.count), fields[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return Int(fields[0]).map { .seconds($0) }
        }
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard fields.count == 6, fields[5] == "GMT", let month = months.firstIndex(of: String(fields[2])) else { return nil }
        let date = "\(fields[3])-\(month < 9 ? "0" : "")\(month + 1)-\(fields[1])T\(fields[4])Z"
        guard let time = Timestamp(printed: date) else { return nil }
        return .microseconds(max(0, time.rawValue &- now.rawValue))
    }
}
