// The listener. `WireConnection` has what a connection does, `OperationCalls` what a request is answered.

internal import Base
public import Logging
internal import NIOCore
internal import NIOPosix
public import Service
public import ServiceLifecycle
internal import Synchronization
public import TLS
internal import Wire

/// What the listener did and does.
public struct WireServerStatistics: Sendable, Equatable {
    /// Open now.
    public let connections: Int
    /// Worked on now.
    public let requestsRunning: Int
    public let requestsAnswered: Int
    public let updatesSent: Int
    /// Connections that were closed because they did not read.
    public let slowReadersCut: Int
}

/// The binary protocol as a service: run it in a `ServiceGroup`, whose graceful shutdown stops accepting, lets running requests finish, and
/// ends subscriptions.
public struct WireServer: Sendable {
    private let house: WireConnection.House
    private let tls: TLSDoor?

    /// - Parameter tls: nil: what goes over the wire can be read there.
    public init(operations: Operations, configuration: WireServerConfiguration, tls: TLSDoor? = nil, logger: Logger) {
        self.tls = tls
        let connections = WireConnections(configuration.bounds)
        house = WireConnection.House(operations: operations, configuration: configuration, connections: connections, logger: logger)
        operations.observeKeys { [weak connections] in connections?.tell(.keysChanged) }
    }

    public var statistics: WireServerStatistics {
        let connections = house.connections
        return WireServerStatistics(
            connections: connections.count, requestsRunning: connections.requestsRunning,
            requestsAnswered: connections.requestsAnswered.load(ordering: .relaxed), updatesSent: connections.updatesSent.load(ordering: .relaxed),
            slowReadersCut: connections.slowReadersCut.load(ordering: .relaxed))
    }

    /// - Parameter onServerRunning: called with the port that was bound; connections are accepted when it returns.
    public func service(
        on address: (host: String, port: Int), onServerRunning: @escaping @Sendable (Int) async -> Void
    ) -> any ServiceLifecycle.Service {
        Listening(house: house, tls: tls, host: address.host, port: address.port, onServerRunning: onServerRunning)
    }

    private struct Listening: ServiceLifecycle.Service {
        let house: WireConnection.House
        let tls: TLSDoor?
        let host: String
        let port: Int
        let onServerRunning: @Sendable (Int) async -> Void

        func run() async throws {
            let house = house
            let listener = try await bind()
            await onServerRunning(listener.localAddress?.port ?? port)
            if !Task.isShuttingDownGracefully { try await listener.setOption(.autoRead, value: true).get() }
            await withTaskCancellationHandler {
                await withGracefulShutdownHandler {
                    try? await listener.closeFuture.get()
                    house.connections.tell(.stop)
                    if Task.isCancelled { house.connections.tell(.cut) }
                    await house.connections.closed()
                } onGracefulShutdown: {
                    house.operations.endWaits()
                    house.connections.tell(.stop)
                    listener.close(promise: nil)
                }
            } onCancel: {
                house.connections.tell(.cut)
                listener.close(promise: nil)
            }
        }

        private func bind() async throws -> any Channel {
            let (house, tls) = (house, tls)
            return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.autoRead, value: false)
                // Without a descriptor left, whoever waits would be accepted in vain, again and again.
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler { _ in .milliseconds(100) }) }
                }
                // Subscribers may be silent for hours; only the kernel finds out that one is gone.
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // A connection reads when it has room for what comes.
                .childChannelOption(.autoRead, value: false)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let peer = try tls?.guards(channel, .other, plainWords: WireConnection.plainWords)
                        try channel.pipeline.syncOperations.addHandler(WireConnection(house, channel, peer))
                    }
                }
                .bind(host: host, port: port).get()
        }
    }
}
