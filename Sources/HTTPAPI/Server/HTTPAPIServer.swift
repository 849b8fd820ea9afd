// The socket side, by Hummingbird: it turns bytes into `APIRequest` and `APIAnswer` into bytes, and keeps the limits that only
// a socket has: header size, body size while it comes, idle time, connections and requests at once.

internal import HTTPTypes
public import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
public import Service
internal import ServiceLifecycle
internal import Synchronization

/// The HTTP API as a service: run it in a `ServiceGroup`, whose graceful shutdown stops accepting, lets running requests finish
/// and closes idle connections.
public struct HTTPAPIServer: Sendable {
    public let handler: APIHandler
    private let configuration: HTTPAPIConfiguration
    private let logger: Logger
    // One for all addresses that are listened on.
    private let limit: ConnectionLimit
    private let responder: SocketResponder

    public init(operations: Operations, configuration: HTTPAPIConfiguration, logger: Logger) {
        handler = APIHandler(operations: operations, configuration: configuration, logger: logger)
        self.configuration = configuration
        self.logger = logger
        limit = ConnectionLimit(connectionsPerAddressMax: configuration.connectionsPerAddressMax)
        responder = SocketResponder(handler: handler, configuration: configuration)
    }

    /// - Parameters:
    ///   - address: another than the configured one, for a server that listens on several; with `port`.
    ///   - onServerRunning: called with the port that was bound, once connections are accepted.
    public func application(
        on address: (host: String, port: Int)? = nil, onServerRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        let limit = limit
        let (host, port) = address ?? (configuration.host, configuration.port)
        var channel = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionLimitHandler(limit), RequestGateInstaller()], idleTimeout: TimeAmount(configuration.idleTimeout))
        channel.httpDecoder = .init(
            maxHeaderFieldSize: configuration.headerBytesMax, maxHeaderListSize: configuration.headerBytesMax, maxHeaderFieldCount: 100)
        let channelConfiguration = channel
        let bodyBytesMax = configuration.bodyBytesMax
        return Application(
            responder: responder,
            server: HTTPServerBuilder { responder in
                HTTP1Channel(
                    responder: { request, writer, channel in
                        if SocketResponder.awaitsContinue(request, bodyBytesMax: bodyBytesMax) {
                            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                        }
                        try await responder(request, writer, channel)
                    }, configuration: channelConfiguration)
            },
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in await onServerRunning(channel.localAddress?.port ?? port) },
            logger: logger)
    }

    /// Serves until the task is cancelled or the service group around it shuts down.
    public func run(onServerRunning: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        try await application(onServerRunning: onServerRunning).run()
    }
}

/// What a request is answered with on a socket.
struct SocketResponder: HTTPResponder {
    struct Context: InitializableFromSource, Sendable {
        let channel: any Channel
        init(source: ApplicationRequestContextSource) { channel = source.channel }
    }

    /// Bytes of a refused body that are read and thrown away, so that a client which sends first and listens then gets its
    /// answer; a longer one finds the connection closed.
    private static let discardedBytesMax = 64 << 20

    let handler: APIHandler
    let configuration: HTTPAPIConfiguration
    private let running = RunningRequests()

    init(handler: APIHandler, configuration: HTTPAPIConfiguration) {
        self.handler = handler
        self.configuration = configuration
    }

    func respond(to request: Request, context: Context) async throws -> Response {
        let apiRequest = APIRequest(
            method: request.method.rawValue, target: request.head.path ?? "/",
            headers: (request.head.authority.map { [("Host", $0)] } ?? []) + request.headers.map { ($0.name.rawName, $0.value) },
            address: context.channel.remoteAddress?.ipAddress)
        let answer = await answer(apiRequest, request, context)
        var headers = HTTPFields()
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers.append(HTTPField(name: name, value: value)) }
        }
        let body = request.method == .head ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body))
        return Response(status: HTTPResponse.Status(code: answer.status), headers: headers, body: body)
    }

    private func answer(_ apiRequest: APIRequest, _ request: Request, _ context: Context) async -> APIAnswer {
        guard running.enter(max: configuration.requestsMax) else { return await handler.refuseBusy(apiRequest) }
        defer { running.leave() }
        switch await handler.admit(apiRequest) {
        case .answered(let answer):
            await endingWithTheServer(context) { await discardBody(of: request, context) }
            return answer
        case .admitted(let admitted):
            do {
                let body = try await endingWithTheServer(context) { try await collectBody(of: request, context) }
                guard let body else { return await handler.refuseBody(of: admitted) }
                return await handler.answer(admitted, body: body)
            } catch {
                // The body ended before its end, or comes too slowly: nobody waits for the answer.
                context.channel.close(promise: nil)
                return await handler.refuseBody(of: admitted)
            }
        }
    }

    // MARK: - Bodies

    /// The client waits for a word before it sends a body that will be accepted.
    static func awaitsContinue(_ request: Request, bodyBytesMax: Int) -> Bool {
        guard request.headers[.expect]?.lowercased() == "100-continue" else { return false }
        return request.headers[.contentLength].flatMap { Int($0) }.map { $0 <= bodyBytesMax } ?? true
    }

    /// The body, or nil when it is too large; then the rest of it is gone.
    private func collectBody(of request: Request, _ context: Context) async throws -> [UInt8]? {
        var bytes: [UInt8] = []
        if let length = request.headers[.contentLength].flatMap({ Int($0) }) { bytes.reserveCapacity(min(length, configuration.bodyBytesMax)) }
        var count = 0
        let pace = BodyPace(configuration)
        for try await buffer in request.body {
            count += buffer.readableBytes
            try pace.check(count)
            if count <= configuration.bodyBytesMax {
                bytes.append(contentsOf: buffer.readableBytesView)
            } else {
                bytes = []
                guard count <= configuration.bodyBytesMax + Self.discardedBytesMax else {
                    context.channel.close(promise: nil)
                    return nil
                }
            }
        }
        return count <= configuration.bodyBytesMax ? bytes : nil
    }

    /// What is left of a body when the server is told to stop has this long to come.
    private static let graceAtShutdown = TimeAmount.seconds(3)

    /// Closes the connection of a body that is still under way some time after the server was told to stop: a sender that has
    /// fallen silent must not hold the stop up for the whole idle timeout.
    private func endingWithTheServer<R: Sendable>(_ context: Context, _ receive: () async throws -> R) async rethrows -> R {
        let channel = context.channel
        let closing = Mutex<Scheduled<Void>?>(nil)
        return try await withGracefulShutdownHandler {
            defer { closing.withLock { $0?.cancel() } }
            return try await receive()
        } onGracefulShutdown: {
            closing.withLock { $0 = channel.eventLoop.scheduleTask(in: Self.graceAtShutdown) { channel.close(promise: nil) } }
        }
    }

    private func discardBody(of request: Request, _ context: Context) async {
        // Whoever waits for our word before sending has not sent anything.
        if request.headers[.expect] != nil, !Self.awaitsContinue(request, bodyBytesMax: configuration.bodyBytesMax) { return }
        var count = 0
        let pace = BodyPace(configuration)
        do {
            for try await buffer in request.body {
                count += buffer.readableBytes
                try pace.check(count)
                if count > Self.discardedBytesMax { break }
            }
        } catch {
            count = .max
        }
        if count > Self.discardedBytesMax { context.channel.close(promise: nil) }
    }
}

/// Whether a body comes fast enough. Asked at each piece: a sender of none is idle, and the idle timeout's.
private struct BodyPace {
    struct TooSlow: Error {}

    private let started = ContinuousClock.now
    private let grace: Duration
    private let bytesPerSecondMin: Int

    init(_ configuration: HTTPAPIConfiguration) {
        grace = configuration.idleTimeout
        bytesPerSecondMin = configuration.bodyBytesPerSecondMin
    }

    func check(_ count: Int) throws(TooSlow) {
        guard ContinuousClock.now - started <= grace + .seconds(count / max(1, bytesPerSecondMin)) else { throw TooSlow() }
    }
}

/// How many requests are worked on.
private final class RunningRequests: Sendable {
    private let count = Mutex(0)

    func enter(max: Int) -> Bool {
        count.withLock { count in
            guard count < max else { return false }
            count += 1
            return true
        }
    }
    func leave() { count.withLock { $0 -= 1 } }
}
