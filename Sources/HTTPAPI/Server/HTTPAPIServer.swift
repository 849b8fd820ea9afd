// The listener. `HTTPConnection` has what a connection does, `APIHandler` what a request is answered.

public import Logging
internal import Measures
internal import NIOCore
internal import NIOPosix
public import Service
public import ServiceLifecycle
public import TLS

/// The HTTP API as a service: run it in a `ServiceGroup`, whose graceful shutdown stops accepting, lets running requests finish
/// and closes idle connections.
public struct HTTPAPIServer: Sendable {
    public let handler: APIHandler
    private let configuration: HTTPAPIConfiguration
    /// One for all addresses that are listened on.
    private let house: HTTPConnection.House
    private let tls: TLSDoor?

    /// - Parameter tls: nil: what goes over the wire can be read there.
    public init(operations: Operations, configuration: HTTPAPIConfiguration, guest: GuestProtocol? = nil, tls: TLSDoor? = nil, logger: Logger) {
        self.tls = tls
        handler = APIHandler(operations: operations, configuration: configuration, guest: guest, logger: logger)
        self.configuration = configuration
        house = HTTPConnection.House(
            handler: handler, configuration: configuration, memory: operations.memory,
            connections: HTTPConnections(perAddressMax: configuration.connectionsPerAddressMax), running: RunningRequests(max: configuration.requestsMax),
            heavy: operations.heavyExecutor)
        let (connections, running) = (house.connections, house.running)
        operations.registry.gauge("contex_http_connections", "Open HTTP connections") { Double(connections.count) }
        operations.registry.gauge("contex_http_requests_running", "Requests of HTTP that are worked on") { Double(running.running) }
    }

    /// - Parameters:
    ///   - address: another than the configured one, for a server that listens on several; with `port`.
    ///   - onServerRunning: called with the port that was bound; connections are accepted when it returns. Until then they wait.
    public func service(
        on address: (host: String, port: Int)? = nil, onServerRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> any ServiceLifecycle.Service {
        let (host, port) = address ?? (configuration.host, configuration.port)
        return Listening(server: self, host: host, port: port, onServerRunning: onServerRunning)
    }

    private struct Listening: ServiceLifecycle.Service {
        let server: HTTPAPIServer
        let host: String
        let port: Int
        let onServerRunning: @Sendable (Int) async -> Void
        func run() async throws { try await server.run(host, port, onServerRunning) }
    }

    public func run(onServerRunning: @escaping @Sendable (Int) async -> Void = { _ in }) async throws {
        try await run(configuration.host, configuration.port, onServerRunning)
    }

    /// Serves until the service group around it shuts down, and then until running requests are answered; or until the task is cancelled,
    /// which cuts them. All addresses of one server stop together.
    private func run(_ host: String, _ port: Int, _ onServerRunning: @Sendable (Int) async -> Void) async throws {
        let house = house
        let listener = try await bind(host, port)
        await onServerRunning(listener.localAddress?.port ?? port)
        if !Task.isShuttingDownGracefully { try await listener.setOption(.autoRead, value: true).get() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                try? await listener.closeFuture.get()
                // Whoever was accepted just before is told here.
                house.connections.tell(.stop)
                if Task.isCancelled { house.connections.tell(.cut) }
                await house.connections.closed()
            } onGracefulShutdown: {
                house.handler.operations.endWaits()
                house.connections.tell(.stop)
                listener.close(promise: nil)
            }
        } onCancel: {
            house.connections.tell(.cut)
            listener.close(promise: nil)
        }
    }

    private func bind(_ host: String, _ port: Int) async throws -> any Channel {
        let (house, tls) = (house, tls)
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: false)
            // Without a descriptor left, whoever waits would be accepted in vain, again and again.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler { _ in .milliseconds(100) }) }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // A connection reads when it has room for what comes.
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = try tls?.guards(channel, .http) { HTTPConnection.plainWords(house.handler) }
                    let connection = HTTPConnection(house, peer)
                    try channel.pipeline.syncOperations.addHandler(connection)
                    // With TLS the client chooses its version of HTTP first.
                    if peer == nil { try HTTPVersions.speakOne(channel.pipeline.syncOperations, before: connection, house) }
                }
            }
            .bind(host: host, port: port).get()
    }
}
