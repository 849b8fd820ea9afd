// What is said about the connection, about a stream, and what is refused.

public import Base

/// The first frame of a client.
public struct WireHello: WireMessage {
    /// The versions of messages that it speaks, both included.
    public var versionMin: UInt64 = 0
    public var versionMax: UInt64 = 0
    public var features: UInt64 = 0
    public var apiKey: String?
    /// What it calls itself.
    public var client = ""
    /// Bytes of a payload that it takes; 0: as many as the server likes.
    public var frameBytesMax: UInt64 = 0

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &versionMin)
        try coder.number(2, &versionMax)
        try coder.number(3, &features)
        try coder.text(4, &apiKey)
        try coder.text(5, &client)
        try coder.number(6, &frameBytesMax)
    }
}

/// What can be agreed on, a bit each.
public struct WireFeatures: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Vectors may come as halves.
    public static let halves = WireFeatures(rawValue: 1)
    /// Payloads may be packed by Zstandard, both ways.
    public static let zstd = WireFeatures(rawValue: 2)
}

/// The server's answer to it.
public struct WireWelcome: WireMessage {
    public var version: UInt64 = 0
    /// Of those that the client named, the ones that hold.
    public var features: UInt64 = 0
    public var server = ""
    /// Bytes of a payload, and of a message of several frames, that the server takes.
    public var frameBytesMax: UInt64 = 0
    public var messageBytesMax: UInt64 = 0
    /// Of this connection at once.
    public var requestsMax: UInt64 = 0
    public var subscriptionsMax: UInt64 = 0

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &version)
        try coder.number(2, &features)
        try coder.text(3, &server)
        try coder.number(4, &frameBytesMax)
        try coder.number(5, &messageBytesMax)
        try coder.number(6, &requestsMax)
        try coder.number(7, &subscriptionsMax)
    }
}

/// What a request asks for. Numbers are never given to another.
public enum WireOperation: UInt64, Sendable, CaseIterable {
    case publish = 1, publishBatch = 2, delete = 3, query = 4, queryBatch = 5, embed = 6
    case registerAgent = 7, removeAgent = 8, showAgent = 9, listAgents = 10
    case readInbox = 11, acknowledge = 12, readEvents = 13, followInbox = 14, followEvents = 15
    case showData = 16, listKeys = 17, listProjects = 18, rehearse = 19, tryNeeds = 20, health = 21

    /// Whether the same twice is the same once, so that who has lost the answer may ask again. A publish is not: between the two another may
    /// have changed the key.
    public var isIdempotent: Bool {
        switch self {
        case .publish, .publishBatch, .delete, .registerAgent, .removeAgent: false
        default: true
        }
    }

    public var isSubscription: Bool { self == .followInbox || self == .followEvents }
}

public struct WireRequest: WireMessage {
    public var operation: UInt64 = 0
    /// From its arrival on; nil: as long as it takes.
    public var deadlineMilliseconds: UInt64?
    /// The message of the operation.
    public var body: [UInt8]?

    public init() {}
    public init(_ operation: WireOperation, deadlineMilliseconds: UInt64? = nil, body: [UInt8]) {
        self.operation = operation.rawValue
        self.deadlineMilliseconds = deadlineMilliseconds
        self.body = body
    }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &operation)
        try coder.number(2, &deadlineMilliseconds)
        try coder.bytes(3, &body)
    }
}

/// So many updates more may be sent on a stream.
public struct WireCredit: WireMessage {
    public var updates: UInt64 = 0

    public init() {}
    public init(updates: UInt64) { self.updates = updates }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.number(1, &updates) }
}

/// A refusal.
public struct WireError: WireMessage, Error {
    /// What a client can do about it: `ContexError.Category.Row.wireCode`.
    public var category: UInt64 = 0
    /// Of the catalogue, docs/errors.md.
    public var code = ""
    public var message = ""
    public var field: String?
    public var kind: String?
    public var requiredPermission: String?
    public var role: String?
    public var candidates: [String] = []
    public var retryMilliseconds: UInt64?
    /// With a cursor that does not work: the oldest one that does.
    public var oldestCursor: String?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &category)
        try coder.text(2, &code)
        try coder.text(3, &message)
        try coder.text(4, &field)
        try coder.text(5, &kind)
        try coder.text(6, &requiredPermission)
        try coder.text(7, &role)
        try coder.texts(8, &candidates, most: Limits.candidatesShown)
        try coder.number(9, &retryMilliseconds)
        try coder.text(10, &oldestCursor)
    }
}

extension WireError {
    /// Of what went wrong inside, strangers hear that it did.
    public init(_ error: ContexError) {
        category = UInt64(error.category.row.wireCode)
        code = error.code.rawValue
        switch error.category {
        case .damaged, .bug, .storageFull: message = error.code.meaning
        default: message = error.message
        }
        field = error.field
        kind = error.kind
        requiredPermission = error.requiredPermission
        role = error.role
        candidates = Array(error.candidates.prefix(Limits.candidatesShown))
        retryMilliseconds = error.category.row.retrySeconds.map { UInt64($0) * 1_000 }
        oldestCursor = error.oldestCursor
    }

    /// A code that this build does not know is the general one of its category.
    public var contexError: ContexError {
        let category = ContexError.Category(wireCode: category) ?? .unavailable
        return ContexError(
            ErrorCode(rawValue: code) ?? category.generalCode, message, field: field, kind: kind, requiredPermission: requiredPermission, role: role,
            candidates: candidates, oldestCursor: oldestCursor)
    }
}
