internal import Base
internal import KeySpace
internal import LMDB

/// For how long a project keeps what is no longer live.
public struct RetentionRule: Sendable, Equatable {
    /// Days after which events go; 0: never for their age.
    public var eventDays: Int
    /// Events that are kept, the newest; 0: all.
    public var eventsMax: Int
    /// Days after which an agent that nobody heard of is removed; 0: never.
    public var agentDays: Int

    /// The original's.
    public init(eventDays: Int = 30, eventsMax: Int = 10_000, agentDays: Int = 7) {
        self.eventDays = eventDays
        self.eventsMax = eventsMax
        self.agentDays = agentDays
    }
}

/// What a project says of its own; nil: as the server has it.
public struct RetentionSettings: Sendable, Equatable {
    public var eventDays: Int?
    public var eventsMax: Int?
    public var agentDays: Int?

    public init(eventDays: Int? = nil, eventsMax: Int? = nil, agentDays: Int? = nil) {
        self.eventDays = eventDays
        self.eventsMax = eventsMax
        self.agentDays = agentDays
    }

    public static let none = RetentionSettings()

    func rule(_ standard: RetentionRule) -> RetentionRule {
        RetentionRule(
            eventDays: eventDays ?? standard.eventDays, eventsMax: eventsMax ?? standard.eventsMax, agentDays: agentDays ?? standard.agentDays)
    }

    /// - Throws: `.invalid` naming the field.
    func check() throws(ContexError) {
        for (field, value, most) in [
            ("events_ttl_days", eventDays, Limits.retentionDays), ("max_events_per_project", eventsMax, Limits.retentionEvents),
            ("agent_inactive_days", agentDays, Limits.retentionDays),
        ] {
            guard let value, !(0...most).contains(value) else { continue }
            throw .invalid(field: field, kind: "value_error", message: "Value error, \(field) must be 0 (no bound) to \(most)")
        }
    }

    // MARK: - Stored

    func write(to writer: inout ByteWriter) {
        for value in [eventDays, eventsMax, agentDays] {
            writer.bool(value != nil)
            if let value { writer.varint(UInt64(value)) }
        }
    }

    static func read(_ reader: inout ByteReader) throws -> RetentionSettings {
        func value(most: Int) throws -> Int? { try reader.bool() ? try reader.count(limit: most) : nil }
        return RetentionSettings(
            eventDays: try value(most: Limits.retentionDays), eventsMax: try value(most: Limits.retentionEvents),
            agentDays: try value(most: Limits.retentionDays))
    }

    static func load(_ scope: TenantScope, in view: borrowing TransactionView) throws -> RetentionSettings {
        guard let bytes = try view.loadBytes(scope.key(.retention)) else { return .none }
        var reader = ByteReader(bytes)
        let settings = try read(&reader)
        try reader.end()
        return settings
    }
}
