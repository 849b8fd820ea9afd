/// Where the listener of the Redis protocol listens and what it bears.
public struct RESPServerConfiguration: Sendable {
    public var host: String
    /// 0 takes a free one.
    public var port: Int
    /// Bytes that may wait for one connection; a reader that lets more gather is cut. 32 MiB, as Redis has it for
    /// subscribers: one batch of `Limits.bodyBytes` (10 MiB) tells its agents up to that much at once, in JSON that escapes
    /// text somewhat more, and nobody is a slow reader for having received it.
    public var outputBytesMax: Int
    /// Connections at once. 1,000 stay below 1,024 open files, the usual limit of a process.
    public var connectionsMax: Int
    /// A connection that has not authenticated for so long is closed. Authenticated ones may be idle, as subscribers are.
    public var authenticationSeconds: Int

    public init(
        host: String = "127.0.0.1", port: Int = 8003, outputBytesMax: Int = 32 << 20, connectionsMax: Int = 1_000,
        authenticationSeconds: Int = 30
    ) {
        self.host = host
        self.port = port
        self.outputBytesMax = outputBytesMax
        self.connectionsMax = connectionsMax
        self.authenticationSeconds = authenticationSeconds
    }
}
