// Data on its way in.

internal import Base

public struct WirePublish: WireMessage {
    public var project = ""
    public var key = ""
    /// One of both: any JSON, or text.
    public var json: [UInt8]?
    public var text: String?
    public var format: String?
    public var eventType: String?
    public var vector: [Float]?
    public var metadata: [UInt8]?
    public var vectorOfHalves: [Float]?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &key)
        try coder.bytes(3, &json)
        try coder.text(4, &text)
        try coder.text(5, &format)
        try coder.text(6, &eventType)
        try coder.floats(7, &vector)
        try coder.bytes(8, &metadata)
        try coder.halves(9, &vectorOfHalves)
    }
}

public struct WireReceipt: WireMessage {
    public var sequence: UInt64 = 0
    /// The key had the same already: nothing was written.
    public var isUnchanged = false
    /// What it was read as.
    public var format = ""
    public var note: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &sequence)
        try coder.flag(2, &isUnchanged)
        try coder.text(3, &format)
        try coder.text(4, &note)
    }
}

public struct WirePublishBatch: WireMessage {
    public var items: [WirePublish] = []

    public init() {}
    public init(_ items: [WirePublish]) { self.items = items }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.messages(1, &items, most: Limits.batchItems) }
}

public struct WireReceipts: WireMessage {
    public struct Outcome: WireMessage {
        public var receipt: WireReceipt?
        public var error: WireError?

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.message(1, &receipt)
            try coder.message(2, &error)
        }
    }
    /// One each, in order.
    public var outcomes: [Outcome] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.messages(1, &outcomes, most: Limits.batchItems) }
}

/// A key of a project, as it is or, with `asOf`, as it was.
public struct WireDataKey: WireMessage {
    public var project = ""
    public var key = ""
    public var asOf: String?

    public init() {}
    public init(project: String, key: String) {
        self.project = project
        self.key = key
    }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &key)
        try coder.text(3, &asOf)
    }
}

public struct WirePublisher: WireMessage {
    public var keyID = ""
    public var name = ""

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &keyID)
        try coder.text(2, &name)
    }
}

/// What a key holds.
public struct WireHeldData: WireMessage {
    public struct Node: WireMessage {
        public var nodeKey = ""
        public var description = ""
        /// As it is stored.
        public var data: [UInt8]?
        public var kind = ""

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &nodeKey)
            try coder.text(2, &description)
            try coder.bytes(3, &data)
            try coder.text(4, &kind)
        }
    }
    public var sequence: UInt64 = 0
    public var recordedAt: Int64?
    public var data: [UInt8]?
    public var format = ""
    public var metadata: [UInt8]?
    public var publisher: WirePublisher?
    public var nodes: [Node] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &sequence)
        try coder.signed(2, &recordedAt)
        try coder.bytes(3, &data)
        try coder.text(4, &format)
        try coder.bytes(5, &metadata)
        try coder.message(6, &publisher)
        try coder.messages(7, &nodes, most: Limits.nodesPerDocument)
    }
}

/// What part of a list is wanted.
public struct WireListing: WireMessage {
    public var project: String?
    public var limit: UInt64?
    public var cursor: String?
    public var asOf: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.number(2, &limit)
        try coder.text(3, &cursor)
        try coder.text(4, &asOf)
    }
}

public struct WireKeys: WireMessage {
    public var keys: [String] = []
    /// Leads to what is behind these; nil: nothing.
    public var next: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.texts(1, &keys, most: Limits.pageItems)
        try coder.text(2, &next)
    }
}

public struct WireProjects: WireMessage {
    public struct Project: WireMessage {
        public var name = ""
        public var documents: UInt64 = 0
        public var nodes: UInt64 = 0
        public var agents: UInt64 = 0
        public var lastSequence: UInt64 = 0
        public var createdAt: Int64?

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &name)
            try coder.number(2, &documents)
            try coder.number(3, &nodes)
            try coder.number(4, &agents)
            try coder.number(5, &lastSequence)
            try coder.signed(6, &createdAt)
        }
    }
    public var projects: [Project] = []
    public var next: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.messages(1, &projects, most: Limits.pageItems)
        try coder.text(2, &next)
    }
}

/// What is asked for seldom, as the HTTP API's JSON.
public struct WireJSON: WireMessage {
    public var text: [UInt8]?

    public init() {}
    public init(_ text: [UInt8]) { self.text = text }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.bytes(1, &text) }
}

/// Without fields, until it has some.
public struct WireNothing: WireMessage {
    public init() {}
    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {}
}
