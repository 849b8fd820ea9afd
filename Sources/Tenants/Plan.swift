// What a tenant may use: plans are named sets of quotas, and a tenant's own quotas may differ from its plan's.

public import Base

/// The raw value stands in records and commands: never given twice.
public enum Plan: UInt8, CaseIterable, Sendable {
    case free = 1, starter = 2, pro = 3, enterprise = 4

    public var name: String {
        switch self {
        case .free: "free"
        case .starter: "starter"
        case .pro: "pro"
        case .enterprise: "enterprise"
        }
    }

    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// The original's.
    public var quotas: Quotas {
        switch self {
        case .free: Quotas(projects: 1, agentsPerProject: 5, keys: 2, eventsPerMonth: 1_000, storageMegabytes: 10, requestsPerMinute: 30, webhooks: false)
        case .starter:
            Quotas(projects: 3, agentsPerProject: 10, keys: 5, eventsPerMonth: 10_000, storageMegabytes: 100, requestsPerMinute: 100, webhooks: true)
        case .pro:
            Quotas(projects: 10, agentsPerProject: 50, keys: 20, eventsPerMonth: 100_000, storageMegabytes: 1_000, requestsPerMinute: 500, webhooks: true)
        case .enterprise:
            Quotas(
                projects: 100, agentsPerProject: 500, keys: 100, eventsPerMonth: 1_000_000, storageMegabytes: 10_000, requestsPerMinute: 2_000,
                webhooks: true)
        }
    }
}

/// What there is a quota of, by the names of answers.
public enum Resource: String, CaseIterable, Sendable {
    case projects, agents, keys = "api_keys", events, storage, webhooks
}

public struct Quotas: Hashable, Sendable {
    /// Bytes that the quota of storage counts by.
    public static let megabyte = 1 << 20

    public var projects: Int
    public var agentsPerProject: Int
    public var keys: Int
    public var eventsPerMonth: Int
    public var storageMegabytes: Int
    public var requestsPerMinute: Int
    /// Whether endpoints and webhooks of agents may be entered.
    public var webhooks: Bool

    public init(
        projects: Int, agentsPerProject: Int, keys: Int, eventsPerMonth: Int, storageMegabytes: Int, requestsPerMinute: Int, webhooks: Bool
    ) {
        self.projects = projects
        self.agentsPerProject = agentsPerProject
        self.keys = keys
        self.eventsPerMonth = eventsPerMonth
        self.storageMegabytes = storageMegabytes
        self.requestsPerMinute = requestsPerMinute
        self.webhooks = webhooks
    }

    public var storageBytes: Int { storageMegabytes * Self.megabyte }

    /// The numbers, under the names of answers and in the order of records.
    static let numbers: [(name: String, path: any WritableKeyPath<Quotas, Int> & Sendable)] = [
        ("max_projects", \.projects), ("max_agents_per_project", \.agentsPerProject), ("max_api_keys", \.keys),
        ("max_events_per_month", \.eventsPerMonth), ("max_storage_mb", \.storageMegabytes), ("max_requests_per_minute", \.requestsPerMinute),
    ]
    static let webhooksName = "webhook_enabled"

    // MARK: - JSON

    public var json: JSONObject {
        var object = JSONObject(Self.numbers.map { ($0.name, .integer(self[keyPath: $0.path])) })
        object[Self.webhooksName] = .bool(webhooks)
        return object
    }

    /// With what an object says put over it; what it does not say stays.
    /// - Throws: `.invalid` for a quota that there is not, and for a value that none can have.
    public func with(_ changes: JSONObject) throws(ContexError) -> Quotas {
        var quotas = self
        for (name, value) in changes {
            if name == Self.webhooksName {
                guard let flag = value.boolValue else { throw Self.refusal("\(name) is true or false") }
                quotas.webhooks = flag
            } else if let (_, path) = Self.numbers.first(where: { $0.name == name }) {
                guard let number = value.integerValue, (0...Limits.quotaMost).contains(number) else {
                    throw Self.refusal("\(name) is a whole number from 0 to \(Limits.quotaMost)")
                }
                quotas[keyPath: path] = number
            } else {
                throw Self.refusal("there is no quota \(name.excerpt())")
            }
        }
        return quotas
    }

    private static func refusal(_ text: String) -> ContexError {
        .invalid(field: "quotas", kind: "value_error", message: "Value error, \(text)")
    }

    // MARK: - Bytes

    public func write(to writer: inout ByteWriter) {
        for (_, path) in Self.numbers { writer.varint(UInt64(self[keyPath: path])) }
        writer.bool(webhooks)
    }

    public static func read(_ reader: inout ByteReader) throws(ByteError) -> Quotas {
        var quotas = Plan.free.quotas
        for (_, path) in numbers { quotas[keyPath: path] = try reader.count(limit: Limits.quotaMost) }
        quotas.webhooks = try reader.bool()
        return quotas
    }
}
