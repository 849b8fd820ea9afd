/// What tokens are bounded by: each bound is met before what it bounds is worked on.
public enum TokenLimits {
    /// Bytes of a whole token: what a request header has room for.
    public static let tokenBytes = 8_192
    /// Bytes of a token that this server makes: it leaves lists out before it makes a longer one.
    public static let issuedBytes = 4_096
    /// Bytes of its header.
    public static let headerBytes = 1_024
    /// Levels of objects and arrays in header and claims.
    public static let depth = 4
    /// Bytes of one claim that is a text.
    public static let textBytes = 1_024
    /// Seconds that the clocks of two machines may differ.
    public static let leewaySeconds: Double = 30
    /// For how long a token may be valid: a day, as the original has it.
    public static let lifeSeconds = 60...86_400
    /// Bytes of a secret for HS256: as long as the digest (RFC 7518, section 3.2).
    public static let secretBytes = 32
}
