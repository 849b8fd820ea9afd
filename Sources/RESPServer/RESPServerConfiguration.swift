public import RESP

/// Where the listener of the Redis protocol listens and what it bears.
public struct RESPServerConfiguration: Sendable {
    /// At least one; the port is the same on all of them.
    public var hosts: [String]
    /// 0 takes a free one.
    public var port: Int
    /// Places, patterns and bytes that wait, in all and for each address and key.
    public var bounds: RESPExchange.Bounds
    /// A connection that has not authenticated for so long is closed. Authenticated ones may be idle, as subscribers are.
    public var authenticationSeconds: Int

    public init(
        hosts: [String] = ["127.0.0.1"], port: Int = 8003, bounds: RESPExchange.Bounds = RESPExchange.Bounds(), authenticationSeconds: Int = 30
    ) {
        self.hosts = hosts
        self.port = port
        self.bounds = bounds
        self.authenticationSeconds = authenticationSeconds
    }
}
