public import Base

/// Where the API listens and what it bears.
public struct HTTPAPIConfiguration: Sendable {
    /// The version that the original answers with and its client prints.
    public static let compatibleVersion = "0.2.0"

    public var host: String
    /// 0 takes a free one.
    public var port: Int
    /// Default: `Limits.bodyBytes`.
    public var bodyBytesMax: Int
    /// All headers of one request together, and each alone. 16 KiB hold an API key, a long path and a browser's cookies twice over.
    public var headerBytesMax: Int
    /// A connection on which nothing comes or goes for so long is closed.
    public var idleTimeout: Duration
    /// An answer of which its client takes nothing for so long is cut: the connection, of HTTP/2 the stream. As the binary protocol has it.
    public var stallTimeout: Duration
    /// Past `idleTimeout`, a body must have come at this mean rate at least, else its connection is closed: a byte now and then is not idle,
    /// and would hold a place among those of its address for days.
    public var bodyBytesPerSecondMin: Int
    /// Connections from one address; half the places, so that nobody can take all of them, and enough for the pool of a proxy.
    public var connectionsPerAddressMax: Int
    /// Requests worked on at once. What they may hold together is `Operations.memory`'s.
    public var requestsMax: Int
    /// How long a request waits for memory that others hold before it is refused.
    public var memoryWait: Duration
    /// Connections that follow something, and what may wait for them.
    public var streams: ReaderLedger.Bounds
    /// After so long without anything to say a stream says that.
    public var streamComment: Duration
    /// Names and addresses beside loopback and `host` that requests may name the server by: `HostRule`.
    public var allowedHosts: [String]
    /// Origins of web pages of others that may call; `*` is any, then without credentials.
    public var corsOrigins: [String]
    /// Whether pages of origins that are in the list may send credentials.
    public var corsCredentials: Bool
    /// Tells browsers to come by https only; sent when the request came so.
    public var hsts: Bool
    public var version: String

    public init(
        host: String = "127.0.0.1", port: Int = 8001, bodyBytesMax: Int = Limits.bodyBytes, headerBytesMax: Int = 16 << 10,
        idleTimeout: Duration = .seconds(60), stallTimeout: Duration = .seconds(30), bodyBytesPerSecondMin: Int = 4 << 10,
        connectionsPerAddressMax: Int = 512, requestsMax: Int = 1_024,
        memoryWait: Duration = .seconds(10), streams: ReaderLedger.Bounds = HTTPAPIConfiguration.streamBounds,
        streamComment: Duration = .seconds(Limits.streamCommentSeconds), allowedHosts: [String] = [],
        corsOrigins: [String] = [], corsCredentials: Bool = true, hsts: Bool = true,
        version: String = HTTPAPIConfiguration.compatibleVersion
    ) {
        self.host = host
        self.port = port
        self.bodyBytesMax = bodyBytesMax
        self.headerBytesMax = headerBytesMax
        self.idleTimeout = idleTimeout
        self.stallTimeout = stallTimeout
        self.bodyBytesPerSecondMin = bodyBytesPerSecondMin
        self.connectionsPerAddressMax = connectionsPerAddressMax
        self.requestsMax = requestsMax
        self.memoryWait = memoryWait
        self.streams = streams
        self.streamComment = streamComment
        self.allowedHosts = allowedHosts
        self.corsOrigins = corsOrigins
        self.corsCredentials = corsCredentials
        self.hsts = hsts
        self.version = version
    }

    public static var streamBounds: ReaderLedger.Bounds {
        var bounds = ReaderLedger.Bounds()
        bounds.readersMax = Limits.waitingReaders
        bounds.readersPerPartyMax = Limits.streamsPerParty
        return bounds
    }
}
