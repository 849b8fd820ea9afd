public import Addresses
public import Base

/// How webhooks are delivered to.
public struct WebhookConfiguration: Sendable {
    /// Where deliveries may go beyond public addresses.
    public var allow: AddressPolicy
    /// For one try, from the lookup of the name to the answer's head, unless an endpoint says another time.
    public var timeout: Duration
    public var retry: RetryPolicy
    public var breaker: CircuitBreaker.Settings
    public var limits: DeliveryLimits
    public var userAgent: String
    /// How long `shutdown` waits for tries that are under way.
    public var drainTime: Duration
    /// What became of deliveries is gathered for so long before it is written down.
    public var noteWait = Duration.milliseconds(30)
    public var clock: any WallClock = SystemClock()

    public init(
        allow: AddressPolicy = .publicOnly, timeout: Duration = .seconds(5), retry: RetryPolicy = RetryPolicy(),
        breaker: CircuitBreaker.Settings = CircuitBreaker.Settings(), limits: DeliveryLimits = DeliveryLimits(),
        userAgent: String = "Contex-Webhook/0.2.0", drainTime: Duration = .seconds(10)
    ) {
        self.allow = allow
        self.timeout = timeout
        self.retry = retry
        self.breaker = breaker
        self.limits = limits
        self.userAgent = userAgent
        self.drainTime = drainTime
    }
}
