// Agents, their inboxes, and the events of a project.

internal import Base

public struct WireRegister: WireMessage {
    public var project = ""
    public var agent = ""
    public var needs: [String] = []
    public var lastSeen: UInt64 = 0
    /// `redis` or `webhook`.
    public var delivery: String?
    public var responseFormat: String?
    public var channel: String?
    public var webhookURL: String?
    public var webhookSecret: String?
    /// `plain` or `full`.
    public var envelope: String?
    public var maxTokens: UInt64?
    public var diversity: Double?
    public var pinned: [String] = []
    public var minSimilarity: Double?
    public var mode: String?
    public var filter: [UInt8]?
    public var topK: UInt64?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &agent)
        try coder.texts(3, &needs, most: Limits.needsPerAgent)
        try coder.number(4, &lastSeen)
        try coder.text(5, &delivery)
        try coder.text(6, &responseFormat)
        try coder.text(7, &channel)
        try coder.text(8, &webhookURL)
        try coder.text(9, &webhookSecret)
        try coder.text(10, &envelope)
        try coder.number(11, &maxTokens)
        try coder.double(12, &diversity)
        try coder.texts(13, &pinned, most: Limits.namedKeys)
        try coder.double(14, &minSimilarity)
        try coder.text(15, &mode)
        try coder.bytes(16, &filter)
        try coder.number(17, &topK)
    }
}

public struct WireRegistration: WireMessage {
    public struct Matched: WireMessage {
        public var need = ""
        public var count: UInt64 = 0

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &need)
            try coder.number(2, &count)
        }
    }
    public var project = ""
    public var agent = ""
    public var caughtUpEvents: UInt64 = 0
    public var caughtUpTo: UInt64?
    public var currentSequence: UInt64 = 0
    public var matched: [Matched] = []
    public var channel = ""

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &agent)
        try coder.number(3, &caughtUpEvents)
        try coder.number(4, &caughtUpTo)
        try coder.number(5, &currentSequence)
        try coder.messages(6, &matched, most: Limits.needsPerAgent)
        try coder.text(7, &channel)
    }
}

/// An agent; of which project may be left out where its id says it.
public struct WireAgent: WireMessage {
    public var agent = ""
    public var project: String?

    public init() {}
    public init(_ agent: String, project: String?) {
        self.agent = agent
        self.project = project
    }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &agent)
        try coder.text(2, &project)
    }
}

/// How many there were.
public struct WireRemoved: WireMessage {
    public var count: UInt64 = 0

    public init() {}
    public init(_ count: Int) { self.count = UInt64(count) }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.number(1, &count) }
}

public struct WireAgents: WireMessage {
    public struct Agent: WireMessage {
        public var agent = ""
        public var project = ""
        public var registeredAt: Int64?

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &agent)
            try coder.text(2, &project)
            try coder.signed(3, &registeredAt)
        }
    }
    public var agents: [Agent] = []
    public var next: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.messages(1, &agents, most: Limits.pageItems)
        try coder.text(2, &next)
    }
}

public struct WireEvent: WireMessage {
    public var sequence: UInt64 = 0
    public var type = ""
    public var key = ""
    /// JSON as it was published; `null` for a deletion.
    public var data: [UInt8]?
    /// Microseconds since 1970.
    public var recordedAt: Int64?
    public var position: UInt64 = 0
    public var metadata: [UInt8]?
    public var publisher: WirePublisher?
    /// 1 published, 2 deleted, 3 imported.
    public var kind: UInt64 = 0
    public var format = ""

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &sequence)
        try coder.text(2, &type)
        try coder.text(3, &key)
        try coder.bytes(4, &data)
        try coder.signed(5, &recordedAt)
        try coder.number(6, &position)
        try coder.bytes(7, &metadata)
        try coder.message(8, &publisher)
        try coder.number(9, &kind)
        try coder.text(10, &format)
    }
}

public struct WireReadEvents: WireMessage {
    public var project = ""
    public var since: UInt64 = 0
    public var limit: UInt64?
    public var cursor: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.number(2, &since)
        try coder.number(3, &limit)
        try coder.text(4, &cursor)
    }
}

public struct WireEvents: WireMessage {
    public var events: [WireEvent] = []
    public var next: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.messages(1, &events, most: Limits.pageItems)
        try coder.text(2, &next)
    }
}

public struct WireReadInbox: WireMessage {
    public var agent = ""
    public var project: String?
    public var cursor: String?
    public var limit: UInt64?
    public var waitMilliseconds: UInt64 = 0

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &agent)
        try coder.text(2, &project)
        try coder.text(3, &cursor)
        try coder.number(4, &limit)
        try coder.number(5, &waitMilliseconds)
    }
}

/// One thing that was told.
public struct WireUpdate: WireMessage {
    /// Whoever goes on from here misses nothing.
    public var cursor = ""
    /// Of an inbox: `first_match`, `update` or `deletion`.
    public var reason: String?
    public var needs: [String] = []
    public var event: WireEvent?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &cursor)
        try coder.text(2, &reason)
        try coder.texts(3, &needs, most: Limits.needsPerAgent)
        try coder.message(4, &event)
    }
}

public struct WireInbox: WireMessage {
    public var project = ""
    public var updates: [WireUpdate] = []
    public var cursor = ""
    public var hasMore = false
    public var hasGap = false

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.messages(2, &updates, most: Limits.inboxPageMax)
        try coder.text(3, &cursor)
        try coder.flag(4, &hasMore)
        try coder.flag(5, &hasGap)
    }
}

public struct WireAcknowledge: WireMessage {
    public var agent = ""
    public var project: String?
    public var cursor = ""

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &agent)
        try coder.text(2, &project)
        try coder.text(3, &cursor)
    }
}

public struct WireFollowInbox: WireMessage {
    public var agent = ""
    public var project: String?
    public var cursor: String?
    /// Updates that may be sent before the first CREDIT.
    public var credit: UInt64 = 0
    /// Without what the agent's own key published.
    public var suppressOwn = false

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &agent)
        try coder.text(2, &project)
        try coder.text(3, &cursor)
        try coder.number(4, &credit)
        try coder.flag(5, &suppressOwn)
    }
}

public struct WireFollowEvents: WireMessage {
    public var project = ""
    public var cursor: String?
    public var credit: UInt64 = 0
    /// Without a cursor: from the first event on, instead of from now on.
    public var fromStart = false

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &cursor)
        try coder.number(3, &credit)
        try coder.flag(4, &fromStart)
    }
}

/// The stream is open, and stands at a cursor.
public struct WireOpened: WireMessage {
    public var project = ""
    public var cursor = ""

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &cursor)
    }
}

/// What a frame of updates has.
public struct WireUpdates: WireMessage {
    public var updates: [WireUpdate] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.messages(1, &updates, most: Limits.inboxPageMax) }
}

public struct WireTryNeeds: WireMessage {
    public var project = ""
    public var needs: [String] = []
    public var events: UInt64?
    public var minSimilarity: Double?
    public var mode: String?
    public var filter: [UInt8]?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.texts(2, &needs, most: Limits.needsPerAgent)
        try coder.number(3, &events)
        try coder.double(4, &minSimilarity)
        try coder.text(5, &mode)
        try coder.bytes(6, &filter)
    }
}
