/// How a client talks TLS. Without a file of authorities those of the system are trusted. The files are read for each connection, so that a
/// certificate that was renewed is used from the next one on.
public struct ClientTLS: Sendable {
    /// Whose certificates are good, in PEM; nil: those of the system.
    public var authorities: String?
    /// What the client shows of itself, in PEM; with its key.
    public var certificate: String?
    public var key: String?
    /// The name that the server's certificate must have; nil: the host that is connected to.
    public var serverName: String?
    /// False: a certificate of any name will do, signed it must be.
    public var checksServerName: Bool

    public init(
        authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil, checksServerName: Bool = true
    ) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.serverName = serverName
        self.checksServerName = checksServerName
    }
}

/// Whom a client talks to, and how.
public struct ClientConfiguration: Sendable {
    public var host: String
    public var port: Int
    public var apiKey: String?
    /// What the client calls itself.
    public var name: String
    /// Connections that requests are spread over.
    public var connections: Int
    public var connectTimeout: Duration
    /// Of a request that names none; nil: it may take as long as it takes.
    public var deadline: Duration?
    /// How often a request that may be repeated is tried: when the server is busy, stops, or cannot be reached.
    public var attempts: Int
    /// Before the second attempt; doubled before each further one, up to `pauseMax`, and shortened at random by up to a half, so that clients
    /// that failed together do not come again together.
    public var pause: Duration
    public var pauseMax: Duration
    /// Updates of a subscription that may be on their way to whoever reads them.
    public var window: Int
    /// nil: what goes over the wire can be read there.
    public var tls: ClientTLS?

    public init(
        host: String = "127.0.0.1", port: Int = 8002, apiKey: String? = nil, name: String = "contex-swift", connections: Int = 1,
        connectTimeout: Duration = .seconds(10), deadline: Duration? = .seconds(60), attempts: Int = 4, pause: Duration = .milliseconds(50),
        pauseMax: Duration = .seconds(2), window: Int = 256, tls: ClientTLS? = nil
    ) {
        self.host = host
        self.port = port
        self.apiKey = apiKey
        self.name = name
        self.connections = connections
        self.connectTimeout = connectTimeout
        self.deadline = deadline
        self.attempts = attempts
        self.pause = pause
        self.pauseMax = pauseMax
        self.window = window
        self.tls = tls
    }
}
