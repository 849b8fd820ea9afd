// The circuit breaker of one URL: after failures in a row it stops calling for a while, then lets one call through at a
// time, and closes after enough of them went well.
//
//              5 failures in a row                 60 s are over
//   closed ─────────────────────────▶ open ──────────────────────▶ half-open
//     ▲                                ▲         one failure           │
//     │                                └───────────────────────────────┤
//     └──────────────────── 2 successes ───────────────────────────────┘

/// A state machine without clock or I/O: whoever holds it says what time it is.
public struct CircuitBreaker: Sendable, Equatable {
    public struct Settings: Sendable, Equatable {
        public var failuresToOpen: Int
        public var openTime: Duration
        public var successesToClose: Int

        public init(failuresToOpen: Int = 5, openTime: Duration = .seconds(60), successesToClose: Int = 2) {
            self.failuresToOpen = failuresToOpen
            self.openTime = openTime
            self.successesToClose = successesToClose
        }
    }

    /// How a try ended.
    public enum Result: Sendable, Equatable {
        case success
        case failure
        /// It never called, or was called off: says nothing about the receiver.
        case untried
    }

    private enum State: Sendable, Equatable {
        case closed(failures: Int)
        case open(until: ContinuousClock.Instant)
        case halfOpen(successes: Int, isTrialRunning: Bool)
    }

    private let settings: Settings
    private var state = State.closed(failures: 0)

    public init(_ settings: Settings = Settings()) { self.settings = settings }

    /// As good as new: need not be remembered.
    public var isPristine: Bool { state == .closed(failures: 0) }
    public var isClosed: Bool { if case .closed = state { true } else { false } }
    /// While it is open: when the next trial may be made.
    public var opensAgainAt: ContinuousClock.Instant? { if case .open(let until) = state { until } else { nil } }

    /// Whether a delivery may begin now. Each one admitted must be followed by one `record`.
    public mutating func admits(at now: ContinuousClock.Instant) -> Bool {
        switch state {
        case .closed:
            return true
        case .open(let until):
            guard now >= until else { return false }
            state = .halfOpen(successes: 0, isTrialRunning: true)
            return true
        case .halfOpen(let successes, let isTrialRunning):
            guard !isTrialRunning else { return false }
            state = .halfOpen(successes: successes, isTrialRunning: true)
            return true
        }
    }

    public mutating func record(_ result: Result, at now: ContinuousClock.Instant) {
        switch (state, result) {
        case (.closed, .success):
            state = .closed(failures: 0)
        case (.closed(let failures), .failure):
            state = failures + 1 >= settings.failuresToOpen ? .open(until: now + settings.openTime) : .closed(failures: failures + 1)
        case (.halfOpen(let successes, _), .success):
            state = successes + 1 >= settings.successesToClose ? .closed(failures: 0) : .halfOpen(successes: successes + 1, isTrialRunning: false)
        case (.halfOpen, .failure):
            state = .open(until: now + settings.openTime)
        case (.halfOpen(let successes, _), .untried):
            state = .halfOpen(successes: successes, isTrialRunning: false)
        case (.closed, .untried), (.open, _):
            // What was begun before it opened tells nothing new.
            break
        }
    }
}
