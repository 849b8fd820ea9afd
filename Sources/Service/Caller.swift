public import Base
internal import Synchronization

/// Who asks, as the edge saw it. What it claims is not yet believed.
public struct Caller: Sendable {
    public let apiKey: String?
    /// The peer's address, nil inside the process.
    public let address: String?
    public let requestID: String
    /// What the client calls itself.
    public let client: String?
    /// Of HTTP the method, of another door its name.
    public let method: String
    /// The path of an HTTP request without its query; nil where the operation says it.
    public let endpoint: String?
    /// The tenant that the request names; nil: none, and it is that of the key.
    public let tenant: String?
    /// Where an edge that shows rate limits finds what was counted; nil: nobody looks.
    public let rate: RateReport?
    /// Names of the certificate that the client has shown and the edge has verified: `dns:...`, `uri:...`, `email:...`, `cn:...`.
    public let certificate: [String]

    public init(
        apiKey: String?, address: String?, requestID: String, client: String?, method: String = "inside", endpoint: String? = nil, tenant: String? = nil,
        rate: RateReport? = nil, certificate: [String] = []
    ) {
        self.apiKey = apiKey
        self.address = address
        self.requestID = requestID
        self.client = client
        self.method = method
        self.endpoint = endpoint
        self.tenant = tenant
        self.rate = rate
        self.certificate = certificate
    }

    /// Whether it says who it is.
    public var hasCredentials: Bool { apiKey != nil || !certificate.isEmpty }
}

/// Where the caller of one request stands, once it was counted.
public final class RateReport: Sendable {
    private let held = Mutex<(standing: RateStanding?, quotas: [QuotaStanding])>((nil, []))

    public init() {}

    public internal(set) var standing: RateStanding? {
        get { held.withLock { $0.standing } }
        set { held.withLock { $0.standing = newValue } }
    }

    /// Of the caller's tenant, those that are nearly used up.
    public internal(set) var quotas: [QuotaStanding] {
        get { held.withLock { $0.quotas } }
        set { held.withLock { $0.quotas = newValue } }
    }
}
