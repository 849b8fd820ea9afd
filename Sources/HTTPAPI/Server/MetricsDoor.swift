// A door of the operator's own, for whoever scrapes and probes: no keys, no bodies, nothing but measures and health. It is bound where
// the operator says, and takes little: a few connections, small heads, one request at a time, and nobody who does not read.

internal import Answers
internal import Base
internal import Content
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Observability
public import Service
public import ServiceLifecycle
internal import Synchronization
public import TLS

public struct MetricsDoor: Sendable {
    static let connectionsMax = 64
    static let headBytesMax = 8 << 10
    /// For a request to come, and for its answer to be read.
    static let idleTime = TimeAmount.seconds(10)

    private let operations: Operations
    private let facts: ServerFacts

    private let tls: TLSDoor?

    public init(operations: Operations, tls: TLSDoor? = nil) {
        self.operations = operations
        self.tls = tls
        let clock = SystemClock()
        facts = ServerFacts(version: HTTPAPIConfiguration.compatibleVersion, startedAt: clock.now(), clock: clock)
    }

    /// - Parameter onServerRunning: called with the port that was bound; connections are accepted when it returns.
    public func service(
        on address: (host: String, port: Int), onServerRunning: @escaping @Sendable (Int) async -> Void
    ) -> any ServiceLifecycle.Service {
        Listening(door: self, host: address.host, port: address.port, onServerRunning: onServerRunning)
    }

    private struct Listening: ServiceLifecycle.Service {
        let door: MetricsDoor
        let host: String
        let port: Int
        let onServerRunning: @Sendable (Int) async -> Void

        func run() async throws {
            let places = Places()
            let listener = try await bind(places)
            await onServerRunning(listener.localAddress?.port ?? port)
            if !Task.isShuttingDownGracefully { try await listener.setOption(.autoRead, value: true).get() }
            await withTaskCancellationHandler {
                await withGracefulShutdownHandler {
                    try? await listener.closeFuture.get()
                    places.closeAll()
                } onGracefulShutdown: {
                    listener.close(promise: nil)
                }
            } onCancel: {
                listener.close(promise: nil)
            }
        }

        private func bind(_ places: Places) async throws -> any Channel {
            let door = door
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = MetricsDoor.headBytesMax
            limits.maxHeaderListSize = MetricsDoor.headBytesMax
            let decoderLimits = limits
            return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.autoRead, value: false)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard places.enter(channel) else { throw ChannelError.ioOnClosedChannel }
                        _ = try door.tls?.guards(channel, .other) { Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".utf8) }
                        try channel.pipeline.syncOperations.addHandler(IdleStateHandler(allTimeout: MetricsDoor.idleTime))
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                            withPipeliningAssistance: true, withErrorHandling: true, withOutboundHeaderValidation: true, withEncoderConfiguration: .init(),
                            withDecoderLimitConfiguration: decoderLimits)
                        try channel.pipeline.syncOperations.addHandler(Visitor(door))
                    }
                }
                .bind(host: host, port: port).get()
        }
    }

    private final class Places: Sendable {
        private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

        func enter(_ channel: any Channel) -> Bool {
            let isAdmitted = open.withLock { open in
                guard open.count < MetricsDoor.connectionsMax else { return false }
                open[ObjectIdentifier(channel)] = channel
                return true
            }
            if isAdmitted { channel.closeFuture.whenComplete { [self] _ in open.withLock { $0[ObjectIdentifier(channel)] = nil } } }
            return isAdmitted
        }

        func closeAll() {
            for channel in open.withLock({ Array($0.values) }) { channel.close(promise: nil) }
        }
    }

    struct Answer: Sendable {
        var status = 200
        var contentType = "application/json"
        var body: [UInt8] = []
    }

    func answer(_ method: String, _ target: String, _ headers: [(name: String, value: String)]) async -> Answer {
        func header(_ name: String) -> String? { headers.first { HeaderName.areSame($0.name, name) }?.value }
        guard method == "GET" || method == "HEAD" else { return refusal(405, "Only GET and HEAD are known here") }
        // Pages of the web have no business here, whatever name they reach this address by.
        if header("Origin") != nil || !["none", nil].contains(header("Sec-Fetch-Site")) { return refusal(403, "This door is not for web pages") }
        let now = facts.clock.now()
        let time: JSONObject = JSONObject([("timestamp", .string(now.iso8601)), ("uptime_seconds", .double(facts.uptime(at: now)))])
        func json(_ members: [(String, JSONValue)], status: Int = 200) -> Answer {
            var object = JSONObject(members)
            for (name, value) in time { object[name] = value }
            return Answer(status: status, body: JSONPrinter.bytes(.object(object)))
        }
        switch target.prefix(while: { $0 != "?" }) {
        case "/metrics":
            let exposition = Exposition(accept: header("Accept"))
            guard let text = try? await operations.metrics({ exposition.text(of: $0) }) else { return refusal(503, "The store is closed") }
            return Answer(contentType: exposition.contentType, body: Array(text.utf8))
        case "/health", "/health/live": return json([("alive", .bool(true))])
        case "/health/startup": return json([("started", .bool(true))])
        case "/health/ready":
            let health = await operations.health()
            return json([("ready", .bool(health.isReady)), ("checks", HealthShape.checks(health))], status: health.isReady ? 200 : 503)
        default: return refusal(404, "Here are /metrics, /health/live, /health/ready and /health/startup")
        }
    }

    private func refusal(_ status: Int, _ text: String) -> Answer { Answer(status: status, body: JSONPrinter.bytes(["detail": .string(text)])) }

    /// One connection. The pipeline handler before it lets a request through when the answer before is out.
    private final class Visitor: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private struct Said: Sendable { let answer: Answer }

        private let door: MetricsDoor
        private var head: HTTPRequestHead?

        init(_ door: MetricsDoor) { self.door = door }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            // Whoever sends a body wants something else.
            case .body: context.close(promise: nil)
            case .end:
                guard let head else { return }
                let (door, channel, headers) = (door, context.channel, head.headers.map { (name: $0.name, value: $0.value) })
                let (method, target) = (head.method.rawValue, head.uri)
                Task {
                    let answer = await door.answer(method, target, headers)
                    channel.pipeline.fireUserInboundEventTriggered(Said(answer: answer))
                }
            }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            switch event {
            case let said as Said: write(said.answer, context)
            case is IdleStateHandler.IdleStateEvent, ChannelEvent.inputClosed: context.close(promise: nil)
            default: context.fireUserInboundEventTriggered(event)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func write(_ answer: Answer, _ context: ChannelHandlerContext) {
            guard let head else { return }
            self.head = nil
            let headers: HTTPHeaders = [
                "Content-Type": answer.contentType, "Content-Length": "\(answer.body.count)", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                "Connection": head.isKeepAlive ? "keep-alive" : "close",
            ]
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .init(statusCode: answer.status), headers: headers))), promise: nil)
            if head.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: answer.body)))), promise: nil) }
            let done = context.eventLoop.makePromise(of: Void.self)
            if !head.isKeepAlive { done.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
        }
    }
}
