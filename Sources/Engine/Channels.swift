internal import Synchronization
public import Base

/// A text on its way to the subscribers of a channel.
public struct ChannelMessage: Sendable {
    public let tenant: TenantID
    /// Decides who may read it, whatever the channel is called.
    public let project: Name
    public let channel: String
    public let payload: String

    public init(tenant: TenantID, project: Name, channel: String, payload: String) {
        self.tenant = tenant
        self.project = project
        self.channel = channel
        self.payload = payload
    }
}

/// Receives the messages of the channels it subscribed to. Called on the writer's thread: must hand over at once.
public protocol ChannelSubscriber: AnyObject, Sendable {
    /// - Parameter pattern: the pattern that matched, nil for an exact subscription.
    func receive(_ message: ChannelMessage, pattern: String?)
}

/// Who listens to which channel. Messages are not kept: a channel without subscribers drops them, as Redis does.
public final class ChannelHub: Sendable {
    private struct State {
        var exact: [String: [ObjectIdentifier: any ChannelSubscriber]] = [:]
        var patterns: [ObjectIdentifier: (subscriber: any ChannelSubscriber, patterns: [String: @Sendable (String) -> Bool])] = [:]
    }
    private let state = Mutex(State())

    public init() {}

    public func subscribe(_ subscriber: any ChannelSubscriber, to channel: String) {
        state.withLock { $0.exact[channel, default: [:]][ObjectIdentifier(subscriber)] = subscriber }
    }

    public func unsubscribe(_ subscriber: any ChannelSubscriber, from channel: String) {
        state.withLock {
            $0.exact[channel]?[ObjectIdentifier(subscriber)] = nil
            if $0.exact[channel]?.isEmpty == true { $0.exact[channel] = nil }
        }
    }

    public func subscribe(_ subscriber: any ChannelSubscriber, toPattern pattern: String, matching: @escaping @Sendable (String) -> Bool) {
        state.withLock { $0.patterns[ObjectIdentifier(subscriber), default: (subscriber, [:])].patterns[pattern] = matching }
    }

    public func unsubscribe(_ subscriber: any ChannelSubscriber, fromPattern pattern: String) {
        state.withLock {
            $0.patterns[ObjectIdentifier(subscriber)]?.patterns[pattern] = nil
            if $0.patterns[ObjectIdentifier(subscriber)]?.patterns.isEmpty == true { $0.patterns[ObjectIdentifier(subscriber)] = nil }
        }
    }

    /// The connection is gone.
    /// - Complexity: O(channels it had); the caller names them.
    public func remove(_ subscriber: any ChannelSubscriber, channels: some Swift.Sequence<String>) {
        for channel in channels { unsubscribe(subscriber, from: channel) }
        state.withLock { $0.patterns[ObjectIdentifier(subscriber)] = nil }
    }

    /// Hands the message to everyone who listens, each subscription once, outside the lock; returns how many.
    @discardableResult
    public func publish(_ message: ChannelMessage) -> Int {
        let (direct, patterned) = state.withLock { state in
            (
                state.exact[message.channel].map { Array($0.values) } ?? [],
                state.patterns.values.flatMap { entry in
                    entry.patterns.filter { $0.value(message.channel) }.map { (entry.subscriber, $0.key) }
                }
            )
        }
        for subscriber in direct { subscriber.receive(message, pattern: nil) }
        for (subscriber, pattern) in patterned { subscriber.receive(message, pattern: pattern) }
        return direct.count + patterned.count
    }
}
