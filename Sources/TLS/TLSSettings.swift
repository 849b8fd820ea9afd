/// What an operator chooses of TLS. Paths are of files in PEM.
public struct TLSSettings: Sendable, Equatable {
    public enum Version: String, Sendable, CaseIterable {
        case twelve = "1.2"
        case thirteen = "1.3"
    }

    public enum ClientRule: String, Sendable, CaseIterable {
        /// Who comes without a certificate is let in, and is whoever his key says; one that is shown must be good.
        case optional
        case required
    }

    /// The server's certificate first, then those that lead to a root that clients trust.
    public var certificate: String
    public var key: String
    public var least: Version
    /// Whose certificates clients may show; nil: they are not asked for any.
    public var clientAuthority: String?
    public var client: ClientRule
    /// How often the files are looked at.
    public var reloadSeconds: Int

    public init(
        certificate: String, key: String, least: Version = .thirteen, clientAuthority: String? = nil, client: ClientRule = .required, reloadSeconds: Int = 10
    ) {
        self.certificate = certificate
        self.key = key
        self.least = least
        self.clientAuthority = clientAuthority
        self.client = client
        self.reloadSeconds = reloadSeconds
    }
}

enum TLSLimits {
    /// Of a file in PEM: a hundred times a chain of the longest keys, and all authorities of a company.
    static let fileBytes = 1 << 20
    /// Certificates in one file.
    static let certificates = 100
    /// Names of one client certificate that are looked at, and bytes of one.
    static let names = 64
    static let nameBytes = 255
    /// From the connection to the end of its handshake. A good one takes two round trips and 1 ms of computing.
    static let handshakeSeconds: Int64 = 10
    /// Handshakes that are not done: of one address, and in all. A client of a pool comes with some tens at once.
    static let handshakesPerAddress = 256
    static let handshakes = 4_096
    /// How long a peer may take to say goodbye, or to read our last words.
    static let farewellSeconds: Int64 = 2
}
