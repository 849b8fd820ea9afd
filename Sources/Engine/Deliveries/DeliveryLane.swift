// What goes out to webhooks, as the engine and whoever carries it speak of it.

public import Base
internal import Needs
public import Outbox

/// One receiver: its messages go out in order, one at a time.
public struct DeliveryLane: Hashable, Sendable {
    public enum Subject: Hashable, Sendable {
        case agent(Name, project: Name)
        case endpoint(UInt64)
    }
    public let tenant: TenantID
    public let subject: Subject

    public init(tenant: TenantID, _ subject: Subject) {
        self.tenant = tenant
        self.subject = subject
    }

    public init(_ notification: Notification) {
        self.init(tenant: notification.tenant, .agent(notification.agent.name, project: notification.project))
    }
}

/// Where a lane's messages go.
public struct DeliveryTarget: Sendable, Equatable {
    public var url: String
    /// What messages are signed with, the present secret first; none: they are not signed.
    public var secrets: [String]
    /// The project of an agent, and the key that registered it.
    public var project: Name?
    public var key: String?
    /// Of an endpoint: for one try, and how many tries; nil: the server's.
    public var timeout: Duration?
    public var attemptsMax: Int?
    /// The receiver said that it is gone, or somebody has switched it off.
    public var isDisabled = false

    public init(url: String, secrets: [String], project: Name? = nil, key: String? = nil) {
        self.url = url
        self.secrets = secrets
        self.project = project
        self.key = key
    }
}

/// One message of a lane.
public struct DeliveryMessage: Sendable {
    public enum Content: Sendable {
        case notification(Notification)
        /// - Parameter id: of the event.
        case event(OutboxEvent, id: String)
    }
    public let item: DeliveryItem
    /// The dead letter that is sent again; nil: it is the lane's next message.
    public let letter: UInt64?
    /// `webhook-id`: the same in every try, before and after a restart.
    public let id: String
    public let content: Content

    public init(item: DeliveryItem, letter: UInt64? = nil, id: String, content: Content) {
        self.item = item
        self.letter = letter
        self.id = id
        self.content = content
    }
}

/// What a lane has to deliver next.
public struct DeliveryBatch: Sendable {
    public var target: DeliveryTarget
    public var registration: UInt32
    public var epoch: UInt32
    public var messages: [DeliveryMessage] = []
    /// There are more after these.
    public var hasMore = false
    /// Of the first message that is no dead letter.
    public var attempts = 0
    public var nextAttempt = Timestamp(rawValue: 0)
    /// Messages that the store has let go before the first of these.
    public var lost = 0
    /// All up to here was looked at: what is no message of these concerns others.
    public var passed: DeliveryItem?

    public init(target: DeliveryTarget, registration: UInt32, epoch: UInt32) {
        self.target = target
        self.registration = registration
        self.epoch = epoch
    }
}

/// What became of some messages of a lane: the change of its state.
public struct DeliveryNote: Sendable, Equatable {
    public struct Failure: Sendable, Equatable {
        public let time: Timestamp
        public let reason: String

        public init(time: Timestamp, reason: String) {
            self.time = time
            self.reason = reason
        }
    }
    public struct Returned: Sendable, Equatable {
        public let number: UInt64
        public let status: UInt16
        public let reason: String

        public init(number: UInt64, status: UInt16, reason: String) {
            self.number = number
            self.status = status
            self.reason = reason
        }
    }

    public let lane: DeliveryLane.Subject
    /// Whose messages they were: a note of an earlier registration or log changes nothing.
    public let registration: UInt32
    public let epoch: UInt32
    /// The last message that was delivered or given up.
    public var settled: DeliveryItem?
    public var delivered = 0
    public var lastDelivered: Timestamp?
    public var failure: Failure?
    /// Messages that the store had let go before they were read.
    public var lost = 0
    /// Of the next message.
    public var attempts: UInt32 = 0
    public var nextAttempt = Timestamp(rawValue: 0)
    public var disables = false
    public var dead: [DeadLetter] = []
    /// Dead letters that were delivered, and those that were not taken again.
    public var replayed: [UInt64] = []
    public var returned: [Returned] = []
    public var records: [DeliveryAttempt] = []

    public init(_ lane: DeliveryLane.Subject, registration: UInt32, epoch: UInt32) {
        self.lane = lane
        self.registration = registration
        self.epoch = epoch
    }

    /// Something is to be written down.
    public var isEmpty: Bool { self == DeliveryNote(lane, registration: registration, epoch: epoch) }
}

/// What an endpoint becomes; nil leaves a member as it is.
public struct EndpointPatch: Sendable, Equatable {
    public var name: String?
    public var description: String??
    public var url: String?
    public var events: [String]?
    public var categories: [String]?
    public var projects: [String]?
    public var isActive: Bool?
    public var timeoutSeconds: UInt8?
    public var retriesMax: UInt8?

    public init() {}
}

/// Whoever carries deliveries: told on the writer's thread, after the commit, that there is something to read. Must not block.
public protocol DeliveryCarrier: Sendable {
    /// An agent's webhook has something to read.
    /// - Parameter isFresh: what it was about to try again is no longer due.
    func ring(_ lane: DeliveryLane, isFresh: Bool)
    /// Endpoints that want it have something to read.
    func ring(_ event: OutboxEvent, of tenant: TenantID)
    /// - Parameter endpoint: nil: it is gone.
    func changed(_ lane: DeliveryLane, to endpoint: WebhookEndpoint?)
    /// How the receiver at a URL is doing.
    func breaker(of url: String) -> DeliveryStatus.Breaker
    var health: DeliveryHealth { get }
}

/// How deliveries go in all, since the start.
public struct DeliveryHealth: Sendable, Equatable {
    public var delivered = 0
    public var givenUp = 0
    /// Receivers that have something waiting, and those that are being called.
    public var waiting = 0
    public var running = 0
    /// Receivers that are not called for a while, since they failed again and again.
    public var openBreakers = 0

    public init() {}
}

/// What is to be delivered, and how far it has come: the store, as whoever carries deliveries sees it.
public protocol DeliverySource: Sendable {
    /// Every lane that has something to deliver, or may have.
    func lanes() async throws -> [(lane: DeliveryLane, target: DeliveryTarget)]
    func endpoints() async throws -> [WebhookEndpoint]
    /// What a lane has next; nil when there is no such lane.
    func next(_ lane: DeliveryLane, limit: Int, bytesMax: Int) async throws -> DeliveryBatch?
    func note(_ notes: [DeliveryNote], of tenant: TenantID) async throws
}
