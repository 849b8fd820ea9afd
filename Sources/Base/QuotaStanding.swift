/// Where a tenant stands with one of its quotas.
public struct QuotaStanding: Sendable, Hashable {
    /// `projects`, `agents`, `api_keys`, `events`, `storage` or `webhooks`.
    public let resource: String
    public let used: Int
    public let limit: Int
    /// When it begins anew; nil for what does not come back by itself.
    public let resetAt: Timestamp?

    public init(resource: String, used: Int, limit: Int, resetAt: Timestamp? = nil) {
        self.resource = resource
        self.used = used
        self.limit = limit
        self.resetAt = resetAt
    }

    /// Hundredths of the limit that are used; all of a limit of nothing.
    public var percent: Int { limit > 0 ? Int(clamping: used.multipliedFullWidth(by: 100).high == 0 ? used * 100 / limit : 100) : used > 0 ? 100 : 0 }
}
