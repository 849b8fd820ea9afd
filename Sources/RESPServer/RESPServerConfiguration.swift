public import RESP

/// Where the listener of the Redis protocol listens and what it bears.
public struct RESPServerConfiguration: Sendable {
    public var host: String
    /// 0 takes a free one.
    public var port: Int
    /// Places, patterns and bytes that wait, in all and for each address and key.
    public var bounds: RESPExchange.Bounds
    /// A connection that has not authenticated for so long is closed. Authenticated ones may be idle, as subscribers are.
    public var authenticationSeconds: Int

    public init(
        host: String = "127.0.0.1", port: Int = 8003, bounds: RESPExchange.Bounds = RESPExchange.Bounds(), authenticationSeconds: Int = 30
    ) {
        self.host = host
        self.port = port
        self.bounds = bounds
        self.authenticationSeconds = authenticationSeconds
    }
}
