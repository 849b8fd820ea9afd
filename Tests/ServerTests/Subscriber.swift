// A client of the Redis protocol that subscribes to one channel and hands over its messages.

import Assembly
import Base
import Content
import NIOCore
import NIOPosix
import RESP

final class Subscriber: Sendable {
    private let messages: AsyncThrowingStream<String, any Error>
    private let channel: any Channel

    struct Missing: Error {}

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncThrowingStream<String, any Error>.Continuation
        private var parser = RESPReplyParser()

        init(_ continuation: AsyncThrowingStream<String, any Error>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            parser.feed(unwrapInboundIn(data).readableBytesView)
            do {
                while let reply = try parser.next() {
                    // ["subscribe", channel, count] once, then ["message", channel, payload] each time.
                    guard case .array(let parts) = reply, parts.count == 3 else { continue }
                    if case .bulk(let payload) = parts[2] { continuation.yield(String(decoding: payload, as: UTF8.self)) }
                    if case .integer = parts[2] { continuation.yield("subscribed") }
                }
            } catch {
                continuation.finish(throwing: error)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { continuation.finish(throwing: error) }
    }

    // Its asynchronous functions are not inlined: inside a test's own function Swift 6.3.1 crashes while it splits the coroutine.

    @inline(never)
    init(_ address: Server.Address, channel name: String) async throws {
        let (messages, continuation) = AsyncThrowingStream<String, any Error>.makeStream()
        self.messages = messages
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler(continuation)) }
            }
            .connect(host: address.host, port: address.port).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: RESPEncoder.command([Array("SUBSCRIBE".utf8), Array(name.utf8)]))).get()
        guard try await next() == "subscribed" else { throw Missing() }
    }

    /// The next message; throws when none comes within ten seconds.
    @inline(never)
    func next() async throws -> String {
        try await withThrowingTaskGroup(of: String?.self) { [messages] group in
            group.addTask {
                for try await message in messages { return message }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: .seconds(10))
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let message = first else { throw Missing() }
            return message
        }
    }

    @inline(never)
    func nextJSON() async throws -> JSONValue { try JSONParser.parse(text: try await next()) }

    @inline(never)
    func close() async { try? await channel.close() }
}
