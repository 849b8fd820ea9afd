internal import NIOCore
internal import Service
internal import Synchronization
internal import Wire

/// What tasks have for a connection, until its event loop takes it out, in the same order. The loop is woken once for all that has come
/// until it looks.
final class AnswerBox: Sendable {
    /// A message that waits to be sent.
    struct Message: Sendable {
        let kind: Frame.Kind
        var flags: Frame.Flags = []
        let stream: UInt32
        let bytes: [UInt8]
        /// Held until the bytes are the kernel's.
        var lease: MemoryLease?
        /// Called when they are, or will never be.
        var done: (@Sendable () -> Void)?
    }
    enum Delivery: Sendable {
        case message(Message)
        /// The task of a stream has ended; it says nothing more.
        case ended(UInt32)
    }

    private struct State {
        var deliveries: [Delivery] = []
        var isWoken = false
        var isClosed = false
    }
    private let state = Mutex(State())
    private let channel: any Channel

    init(_ channel: any Channel) { self.channel = channel }

    func put(_ delivery: Delivery) {
        let (isTaken, mustWake) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.deliveries.append(delivery)
            defer { state.isWoken = true }
            return (true, !state.isWoken)
        }
        if !isTaken { Self.drop(delivery) }
        if mustWake { channel.pipeline.fireUserInboundEventTriggered(WireConnection.Event.deliveries) }
    }

    /// Sends a message of updates and returns when the kernel has it, or the connection is gone.
    func send(_ kind: Frame.Kind, _ flags: Frame.Flags = [], stream: UInt32, _ bytes: [UInt8], lease: MemoryLease? = nil) async {
        await withCheckedContinuation { continuation in
            put(.message(Message(kind: kind, flags: flags, stream: stream, bytes: bytes, lease: lease) { continuation.resume() }))
        }
    }

    func take() -> [Delivery] {
        state.withLock { state in
            defer { (state.deliveries, state.isWoken) = ([], false) }
            return state.deliveries
        }
    }

    /// Nobody takes anything out from here on.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.deliveries = [] }
            return state.deliveries
        }
        for delivery in left { Self.drop(delivery) }
    }

    private static func drop(_ delivery: Delivery) {
        if case .message(let message) = delivery { message.done?() }
    }
}
