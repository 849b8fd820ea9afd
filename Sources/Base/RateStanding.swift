/// Where a caller stands with a rate limit, as of a request that was counted.
public struct RateStanding: Sendable, Hashable {
    /// The name of the limit: `publish`, `query` ...
    public let policy: String
    /// Requests in a window.
    public let limit: Int
    public let windowSeconds: Int
    /// Requests that would be admitted at once.
    public let remaining: Int
    /// Until all of them would be; 0 when they are now.
    public let resetSeconds: Int
    /// Until a request that was refused would be admitted; 0 after one that was.
    public let retrySeconds: Int

    public init(policy: String, limit: Int, windowSeconds: Int, remaining: Int, resetSeconds: Int, retrySeconds: Int) {
        self.policy = policy
        self.limit = limit
        self.windowSeconds = windowSeconds
        self.remaining = remaining
        self.resetSeconds = resetSeconds
        self.retrySeconds = retrySeconds
    }
}
