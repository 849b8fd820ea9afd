/// Who asks, as the edge saw it. What it claims is not yet believed.
public struct Caller: Sendable {
    public let apiKey: String?
    /// The peer's address, nil inside the process.
    public let address: String?
    public let requestID: String
    /// What the client calls itself.
    public let client: String?

    public init(apiKey: String?, address: String?, requestID: String, client: String?) {
        self.apiKey = apiKey
        self.address = address
        self.requestID = requestID
        self.client = client
    }
}
