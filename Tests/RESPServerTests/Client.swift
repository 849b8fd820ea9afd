import NIOCore
import NIOPosix
import RESP
import Synchronization

struct ClientFailure: Error, CustomStringConvertible {
    let description: String
}

/// A client of the Redis protocol on a real socket.
final class Client: Sendable {
    private struct State {
        var parser = RESPReplyParser()
        var replies: [RESPValue] = []
        var isClosed = false
        var failure: RESPProtocolError?
    }

    /// Runs on the channel's event loop.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let client: Client
        init(_ client: Client) { self.client = client }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { client.read(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { client.state.withLock { $0.isClosed = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let state = Mutex(State())
    private let channel = Mutex<(any Channel)?>(nil)

    /// - Parameter reads: false for one that never reads.
    static func connect(_ port: Int, reads: Bool = true) async throws -> Client {
        let client = Client()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler(client)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        client.channel.withLock { $0 = channel }
        return client
    }

    private func read(_ buffer: ByteBuffer) {
        state.withLock { state in
            state.parser.feed(buffer.readableBytesView)
            do throws(RESPProtocolError) {
                while let reply = try state.parser.next() { state.replies.append(reply) }
            } catch {
                state.failure = error
            }
        }
    }

    func send(raw text: String) { send(bytes: Array(text.utf8)) }
    func send(_ words: String...) { send(bytes: RESPEncoder.command(words.map { Array($0.utf8) })) }
    func send(bytes: [UInt8]) { channel.withLock { $0 }?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
    func close() async { try? await channel.withLock { $0 }?.close().get() }

    /// Sends a command and takes the next reply.
    func ask(_ words: String...) async throws -> RESPValue {
        send(bytes: RESPEncoder.command(words.map { Array($0.utf8) }))
        return try await reply()
    }

    /// The next reply, within ten seconds.
    func reply() async throws -> RESPValue { try await replies(1)[0] }

    func replies(_ count: Int) async throws -> [RESPValue] {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            let (taken, isClosed, have): ([RESPValue]?, Bool, Int) = state.withLock { state in
                guard state.replies.count >= count else { return (nil, state.isClosed, state.replies.count) }
                defer { state.replies.removeFirst(count) }
                return (Array(state.replies.prefix(count)), state.isClosed, count)
            }
            if let taken { return taken }
            if let failure = state.withLock({ $0.failure }) { throw ClientFailure(description: failure.message) }
            if isClosed { throw ClientFailure(description: "closed with \(have) of \(count) replies") }
            if ContinuousClock.now > deadline { throw ClientFailure(description: "\(have) of \(count) replies in ten seconds") }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Replies that have come and nobody took.
    var waiting: [RESPValue] { state.withLock { $0.replies } }

    /// Whether the server has closed the connection by now.
    var hasEnded: Bool { state.withLock { $0.isClosed } }

    /// Whether the server closed the connection, within ten seconds.
    func isClosed() async throws -> Bool { try await eventually { state.withLock { $0.isClosed } } }
}

/// Whether it comes true within ten seconds.
func eventually(_ condition: () -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        if ContinuousClock.now > deadline { return false }
        try await Task.sleep(for: .milliseconds(2))
    }
    return true
}
