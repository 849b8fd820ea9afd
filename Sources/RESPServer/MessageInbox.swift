internal import Base
internal import NIOCore
internal import Synchronization

/// What is said to a connection from outside its event loop, through the pipeline.
enum ConnectionEvent: Sendable {
    /// The inbox has filled.
    case messages
    /// A key or a role has changed.
    case keysChanged
    /// It reads slower than its channels speak.
    case cut
    /// The server stops.
    case stop
}

/// Messages between the writer's thread, which puts them in, and the connection's event loop, which takes them out. How much may wait,
/// `RESPExchange` says.
final class MessageInbox: Sendable {
    struct Delivery: Sendable {
        /// Its number in the exchange, to which each delivery must be reported as sent.
        let message: UInt64
        let tenant: TenantID
        let project: Name
        let channel: [UInt8]
        /// Payload and line end.
        let body: ByteBuffer
        let isExact: Bool
        let patterns: [[UInt8]]
    }

    private let mailbox = Mutex(Mailbox<Delivery>())

    func put(_ delivery: Delivery, _ channel: any Channel) {
        if mailbox.withLock({ $0.put(delivery) }) { say(.messages, to: channel) }
    }

    func say(_ event: ConnectionEvent, to channel: any Channel) {
        channel.eventLoop.execute { channel.pipeline.fireUserInboundEventTriggered(event) }
    }

    /// What has come since the last call.
    func take() -> [Delivery] { mailbox.withLock { $0.take() } }
}
