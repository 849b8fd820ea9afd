// What is counted together, and how much of it a caller may ask for.

/// A class of operations that share an allowance. Its raw value stands in keys and commands: never given twice.
public enum RateClass: UInt8, CaseIterable, Sendable {
    case publish = 1, register = 2, query = 3, administration = 4, other = 5

    /// As headers, answers and settings have it.
    public var name: String {
        switch self {
        case .publish: "publish"
        case .register: "register"
        case .query: "query"
        case .administration: "administration"
        case .other: "other"
        }
    }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// Whether a caller has the allowance once for each project.
    public var isPerProject: Bool { self == .publish || self == .query }
}

/// Requests a minute of each class; nil: without a limit.
public struct RateAllowances: Sendable, Hashable {
    public static let windowSeconds = 60
    /// The most that can be set.
    public static let most = 1_000_000

    private var perMinute: [Int?]

    /// What the original meant to give: publish 100, register 50, query 200, administration 20; anything else 600 (decision 89).
    public init() { perMinute = [100, 50, 200, 20, 600] }

    public subscript(_ rateClass: RateClass) -> Int? {
        get { perMinute[Int(rateClass.rawValue) - 1] }
        set { perMinute[Int(rateClass.rawValue) - 1] = newValue }
    }
}

/// Whose allowance it is that somebody has set.
public enum RateSubject: Hashable, Sendable {
    /// Everybody's of a tenant.
    case tenant
    /// In one project, for every caller.
    case project(String)
    /// Of one API key, wherever it asks.
    case key(String)

    public var kind: String {
        switch self {
        case .tenant: "tenant"
        case .project: "project"
        case .key: "key"
        }
    }

    public var id: String? {
        switch self {
        case .tenant: nil
        case .project(let id), .key(let id): id
        }
    }

    /// - Returns: nil for an unknown kind, for one that lacks its id, and for a tenant with one.
    public init?(kind: String, id: String?) {
        switch (kind, id) {
        case ("tenant", nil): self = .tenant
        case ("project", let id?): self = .project(id)
        case ("key", let id?): self = .key(id)
        default: return nil
        }
    }

    /// In stored bytes. Never given twice.
    var code: UInt8 {
        switch self {
        case .tenant: 1
        case .project: 2
        case .key: 3
        }
    }
}

/// A limit that somebody has set instead of the server's own.
public struct RateRule: Hashable, Sendable {
    public let subject: RateSubject
    public let rateClass: RateClass
    /// nil: without a limit. 0: nothing.
    public let perMinute: Int?

    public init(subject: RateSubject, rateClass: RateClass, perMinute: Int?) {
        self.subject = subject
        self.rateClass = rateClass
        self.perMinute = perMinute
    }
}
