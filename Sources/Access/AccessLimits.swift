/// What keys and roles are bounded by.
public enum AccessLimits {
    /// Bytes of a key as it is presented; a longer one is refused unread.
    public static let rawKeyBytes = 512
    /// Characters of a key that the operator brings, and how many of them must differ: a short or a monotonous one is soon guessed, and a
    /// valid key is never slowed down.
    public static let operatorKeyCharactersMin = 16
    public static let operatorKeyDifferentMin = 8
    /// Every change of a key or role reads all of the tenant's keys again: at 10,000 some 30 ms (measured).
    public static let keysPerTenant = 10_000
    /// Networks that one key may be bound to.
    public static let addressesPerKey = 64
    /// Scalars of what a key is said to be for.
    public static let descriptionScalars = 1_000
    /// For so long a rotation may leave the text before it valid: 90 days.
    public static let overlapSecondsMax = 90 * 86_400
    /// Projects in the scope of one role.
    public static let projectsPerRole = 1_000

    // Service accounts.
    /// Bytes of any credential: a token is longer than a key.
    public static let credentialBytes = 8_192
    public static let accountsPerTenant = 1_000
    public static let keysPerAccount = 16
    public static let accountNameScalars = 128
    public static let accountDescriptionScalars = 512

    // Permissions.
    /// Bytes of one rule: a name of 255 scalars, and conditions.
    public static let permissionBytes = 2_048
    /// Rules that a key, an account or a role has of its own.
    public static let permissionsPerHolder = 64
    /// Rules of a role with those that it inherits.
    public static let rulesPerRole = 256
    public static let rolesPerTenant = 1_000
    public static let parentsPerRole = 8
    /// Roles from one to the furthest that it inherits from.
    public static let inheritanceDepth = 8
    public static let roleNameBytes = 64
    /// Items of one condition.
    public static let conditionItems = 64
}
