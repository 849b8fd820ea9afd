// What agents are told, and who carries it.

public import Base
public import Events
public import Needs
internal import Outbox

/// One message for one agent, made by the writer right after the commit it tells about.
public struct Notification: Sendable {
    public enum Message: Sendable {
        /// The matches of each need, packed into the context size.
        case initialContext(InitialContext)
        /// An event that the agent missed.
        case event(EventRecord)
        /// A document that the agent follows, or that matches one of its needs for the first time.
        /// - Parameter data: JSON, compact, as published: read when somebody wants to hear it.
        case update(sequence: Sequence, key: String, data: [UInt8])
        /// A document that the agent followed is gone.
        case deletion(sequence: Sequence, key: String)
    }

    public let tenant: TenantID
    public let project: Name
    public let agent: AgentRecord
    public let message: Message
    /// Where its data comes from.
    public let provenance: Provenance

    public init(tenant: TenantID, project: Name, agent: AgentRecord, message: Message, provenance: Provenance = Provenance()) {
        self.tenant = tenant
        self.project = project
        self.agent = agent
        self.message = message
        self.provenance = provenance
    }
}

/// Where the data of a notification comes from, for agents that asked for it (`envelope: "full"`).
public struct Provenance: Sendable {
    /// The event, or the end of the log that an initial context was made at.
    public var sequence: Sequence?
    public var recordedAt: Timestamp?
    /// Whose key the event came with; nil while authentication is off.
    public var publisher: Publisher?
    public var format: String?
    /// The needs that new nodes of the document match, with the best score of each. None when nothing new matches: the agent is then
    /// told because it followed the document.
    public var matches: [(need: String, similarity: Double)] = []

    public init() {}

    init(_ event: EventRecord) {
        sequence = event.sequence
        recordedAt = event.recordedAt
        publisher = event.publisher
        format = event.format
    }
}

/// Carries notifications of one kind of delivery. Called on the writer's thread, in the order of commits: must not block
/// and must not fail.
public protocol NotificationSink: Sendable {
    func deliver(_ notification: Notification)
}

/// How deliveries to a webhook go.
public struct DeliveryStatus: Sendable, Equatable {
    public enum Breaker: String, Sendable {
        case closed
        /// Its receiver failed again and again: what comes waits until the next trial.
        case open
        case halfOpen = "half-open"
    }
    public struct Failure: Sendable, Equatable {
        public let time: Timestamp
        public let reason: String

        public init(time: Timestamp, reason: String) {
            self.time = time
            self.reason = reason
        }
    }

    public var delivered = 0
    public var lastDelivered: Timestamp?
    /// Of one try, whether or not another one went well later.
    public var lastFailure: Failure?
    /// Messages that wait or are under way, counted up to `Limits.countedDeliveries`.
    public var pending = 0
    /// Messages that were given up since the agent came first, and the dead letters that are there.
    public var givenUp = 0
    public var dead = 0
    /// Tries of the next message that failed, and when it is tried again.
    public var attempts = 0
    public var nextAttempt: Timestamp?
    public var breaker = Breaker.closed
    /// The receiver said that it is gone.
    public var isDisabled = false

    public init() {}

    init(_ state: DeliveryState, pending: Int) {
        delivered = Int(clamping: state.delivered)
        lastDelivered = state.lastDelivered
        lastFailure = state.lastFailure.map { Failure(time: $0, reason: state.failureReason) }
        self.pending = pending
        givenUp = Int(clamping: state.givenUp)
        dead = Int(clamping: state.dead)
        attempts = Int(state.attempts)
        nextAttempt = state.attempts > 0 ? state.nextAttempt : nil
        isDisabled = state.isDisabled
    }
}
