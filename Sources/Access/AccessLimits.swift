/// What keys and roles are bounded by.
public enum AccessLimits {
    /// Bytes of a key as it is presented; a longer one is refused unread.
    public static let rawKeyBytes = 512
    /// Every change of a key or role reads all of the tenant's keys again: at 10,000 some 30 ms (measured).
    public static let keysPerTenant = 10_000
    /// Projects in the scope of one role.
    public static let projectsPerRole = 1_000
}
