internal import Base
internal import Engine
internal import NIOCore
internal import Synchronization

/// What is said to a connection from outside its event loop, through the pipeline.
enum ConnectionEvent: Sendable {
    /// The inbox has filled.
    case messages
    /// The server stops.
    case stop
}

/// Messages between the writer's thread, which puts them in, and the connection's event loop, which takes them out in the
/// same order. The loop is woken once for all that has come until it looks.
final class MessageInbox: ChannelSubscriber {
    struct Delivery: Sendable {
        let message: ChannelMessage
        let isForPatterns: Bool
    }

    private struct State {
        var deliveries: [Delivery] = []
        var bytes = 0
        var isLoopWoken = false
        var isOverfull = false
    }

    /// What a message without text costs.
    private static let messageBytes = 64

    private let state = Mutex(State())
    private let channel: any Channel
    private let bytesMax: Int

    init(channel: any Channel, bytesMax: Int) {
        self.channel = channel
        self.bytesMax = bytesMax
    }

    func receive(_ message: ChannelMessage, pattern: String?) {
        let mustWakeLoop = state.withLock { state in
            guard !state.isOverfull else { return false }
            if state.bytes > bytesMax {
                state.isOverfull = true
                state.deliveries = []
            } else {
                state.deliveries.append(Delivery(message: message, isForPatterns: pattern != nil))
                state.bytes += message.channel.utf8.count + message.payload.utf8.count + Self.messageBytes
            }
            defer { state.isLoopWoken = true }
            return !state.isLoopWoken
        }
        guard mustWakeLoop else { return }
        channel.eventLoop.execute { [channel] in channel.pipeline.fireUserInboundEventTriggered(ConnectionEvent.messages) }
    }

    /// What has come since the last call; nil when the loop did not keep up and messages are lost.
    func take() -> [Delivery]? {
        state.withLock { state in
            guard !state.isOverfull else { return nil }
            defer {
                state.deliveries = []
                state.bytes = 0
                state.isLoopWoken = false
            }
            return state.deliveries
        }
    }
}
