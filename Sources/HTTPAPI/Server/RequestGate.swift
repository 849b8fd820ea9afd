// What has to be known of HTTP/1 before Hummingbird sees a request, and is lost in it: the version, and how `Connection` is written. And
// the answer to what is no HTTP, which comes from here with the headers of every other refusal.

internal import Base
internal import Content
internal import NIOCore
internal import NIOHTTP1

/// Lives on one event loop, as every channel handler does; behind the decoder, before everything else.
final class RequestGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Of each request whose answer has not ended, in order: whether the connection ends with it.
    private var endsConnection: [Bool] = []
    /// The last request's body has not come to its end.
    private var isInBody = false
    /// Of the first request whose answer has not ended.
    private var hasBegunAnswer = false
    /// What came was no HTTP.
    private var failure: HTTPResponseStatus? = nil
    /// Whatever is written from here on goes nowhere, and its writer is not told: it would close at once.
    private var isClosed = false

    /// How long a client that still sends may read why nobody listens: closing at once would take the answer from it.
    private static let lingering = TimeAmount.seconds(1)

    // MARK: - Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        let part = unwrapInboundIn(data)
        switch part {
        case .head(var head):
            isInBody = true
            // HTTP/1.0 ends with the answer, even where the client would have it go on.
            let isOld = head.version.major < 1 || (head.version.major == 1 && head.version.minor == 0)
            let ends = isOld || head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
            endsConnection.append(ends)
            if ends { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            if isOld {
                // It knows no answer before the answer, and need not name the server: then it is the one that it has found.
                head.headers.remove(name: "Expect")
                if !head.headers.contains(name: "Host"), let address = context.channel.localAddress?.ipAddress {
                    head.headers.add(name: "Host", value: address.contains(":") ? "[\(address)]" : address)
                }
            }
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body:
            context.fireChannelRead(data)
        case .end:
            isInBody = false
            context.fireChannelRead(data)
        }
    }

    // MARK: - Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isClosed else {
            promise?.succeed(())
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.code >= 200:
            hasBegunAnswer = true
            if endsConnection.first == true { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            hasBegunAnswer = false
            if !endsConnection.isEmpty { endsConnection.removeFirst() }
            context.write(data, promise: promise)
            refuseWhenItsTurn(context)
        default:
            context.write(data, promise: promise)
        }
    }

    // MARK: - What is no HTTP

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if failure == nil, let fault = error as? HTTPParserError {
            failure = fault == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest
            refuseWhenItsTurn(context)
        }
        // Whoever waits for the rest of a body learns that it does not come.
        context.fireErrorCaught(error)
    }

    /// Requests that came whole before it are answered first.
    private func refuseWhenItsTurn(_ context: ChannelHandlerContext) {
        guard let failure, !isClosed else { return }
        // The request that is broken off is answered by this refusal, unless its answer is there already.
        let isAnswered = isInBody && (endsConnection.isEmpty || hasBegunAnswer)
        guard endsConnection.count <= (isInBody ? 1 : 0) else { return }
        if !isAnswered {
            let words = failure == .badRequest ? "This is no HTTP request that can be read" : "The headers of a request are too long or too many"
            let body = context.channel.allocator.buffer(bytes: JSONPrinter.bytes(["detail": .string(words)]))
            var headers = HTTPHeaders([("Content-Type", "application/json"), ("Content-Length", "\(body.readableBytes)"), ("Connection", "close")])
            for (name, value) in AnswerHeaders.ofRefusals { headers.add(name: name, value: value) }
            context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: failure, headers: headers))), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            context.flush()
        }
        isClosed = true
        let channel = context.channel
        channel.close(mode: .output, promise: nil)
        context.eventLoop.scheduleTask(in: Self.lingering) { channel.close(promise: nil) }
    }
}

/// Puts the gate where it belongs: Hummingbird takes handlers of its own only behind the place where version and `Host` are lost.
final class RequestGateInstaller: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    func handlerAdded(context: ChannelHandlerContext) {
        do {
            let pipeline = context.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(RequestGate(), position: .after(decoder))
        } catch {
            // Without the gate no request is served.
            context.close(promise: nil)
        }
    }
}
