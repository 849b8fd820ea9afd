// What agents are told, and who carries it.

public import Base
public import Events
public import Needs

/// One message for one agent, made by the writer right after the commit it tells about.
public struct Notification: Sendable {
    public enum Message: Sendable {
        /// The matches of each need, packed into the context size.
        case initialContext(InitialContext)
        /// An event that the agent missed.
        case event(EventRecord)
        /// A document that the agent follows, or that matches one of its needs for the first time.
        case update(sequence: Sequence, key: String, data: JSONValue)
        /// A document that the agent followed is gone.
        case deletion(sequence: Sequence, key: String)
    }

    public let tenant: TenantID
    public let project: Name
    public let agent: AgentRecord
    public let message: Message

    public init(tenant: TenantID, project: Name, agent: AgentRecord, message: Message) {
        self.tenant = tenant
        self.project = project
        self.agent = agent
        self.message = message
    }
}

/// Carries notifications of one kind of delivery. Called on the writer's thread, in the order of commits: must not block
/// and must not fail.
public protocol NotificationSink: Sendable {
    func deliver(_ notification: Notification)
}
