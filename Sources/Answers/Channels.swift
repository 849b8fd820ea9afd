public import Base
internal import Engine
internal import Synchronization

/// The text of a message, made when somebody wants it and then once for all: a publish of ten megabytes may concern a hundred agents,
/// and nobody may be listening to any of them.
public final class ChannelPayload: Sendable {
    private enum Content {
        case notification(Notification)
        case text(String)
    }
    private let content: Mutex<Content>

    public init(_ text: String) { content = Mutex(.text(text)) }
    init(of notification: Notification) { content = Mutex(.notification(notification)) }

    /// - Complexity: O(size of the data) the first time.
    public var text: String {
        content.withLock { content in
            switch content {
            case .text(let text): return text
            case .notification(let notification):
                let text = NotificationShape.channelText(notification)
                content = .text(text)
                return text
            }
        }
    }
}

/// A text on its way to the subscribers of a channel.
public struct ChannelMessage: Sendable {
    public let tenant: TenantID
    /// Decides who may read it, whatever the channel is called.
    public let project: Name
    public let channel: String
    public let payload: ChannelPayload

    public init(tenant: TenantID, project: Name, channel: String, payload: ChannelPayload) {
        self.tenant = tenant
        self.project = project
        self.channel = channel
        self.payload = payload
    }
}

/// Receives every message, and knows who listens to which channel. Called on the writer's thread: must hand over at once.
public protocol ChannelListener: AnyObject, Sendable {
    func receive(_ message: ChannelMessage)
    /// Whether somebody listens on a channel now.
    func hasListeners(on channel: String) -> Bool
}

extension ChannelListener {
    public func hasListeners(on channel: String) -> Bool { false }
}

/// Where messages for channels go. They are not kept: without listeners they are dropped, as Redis does with a channel without
/// subscribers.
public final class ChannelHub: Sendable {
    private let listeners = Mutex<[ObjectIdentifier: any ChannelListener]>([:])

    public init() {}

    public func add(_ listener: any ChannelListener) { listeners.withLock { $0[ObjectIdentifier(listener)] = listener } }
    public func remove(_ listener: any ChannelListener) { _ = listeners.withLock { $0.removeValue(forKey: ObjectIdentifier(listener)) } }

    public func hasListeners(on channel: String) -> Bool {
        listeners.withLock({ Array($0.values) }).contains { $0.hasListeners(on: channel) }
    }

    public func publish(_ message: ChannelMessage) {
        for listener in listeners.withLock({ Array($0.values) }) { listener.receive(message) }
    }
}
