public import Answers
internal import Base
internal import Engine
public import Logging
public import NIOCore
internal import NIOPosix
public import Service
internal import Synchronization
public import TLS

#if canImport(Glibc)
internal import Glibc
#endif

/// What the listener did and does.
public struct RESPServerStatistics: Sendable, Equatable {
    /// Open now.
    public let connections: Int
    /// Channels and patterns of all connections.
    public let subscriptions: Int
    /// Messages handed to sockets, each subscription once.
    public let messagesDelivered: Int
    /// Connections that were closed because they did not read.
    public let slowReadersCut: Int
    /// Bytes that wait to be sent now, or of commands that have not come to their end; what connections share counts once.
    public let unsentBytes: Int

    public init(connections: Int, subscriptions: Int, messagesDelivered: Int, slowReadersCut: Int, unsentBytes: Int) {
        self.connections = connections
        self.subscriptions = subscriptions
        self.messagesDelivered = messagesDelivered
        self.slowReadersCut = slowReadersCut
        self.unsentBytes = unsentBytes
    }
}

/// The channels of a `ChannelHub` for clients of Redis: subscriptions, no keys and no publishing. Starts and stops once.
public final class RESPServer: Sendable {
    private enum Phase {
        case new, starting
        case running([any Channel])
        case stopped
    }

    private let operations: Operations
    private let hub: ChannelHub
    private let configuration: RESPServerConfiguration
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let registry: ConnectionRegistry
    private let phase = Mutex(Phase.new)
    private let tls: TLSDoor?

    /// - Parameters:
    ///   - eventLoopGroup: stays the caller's, who shuts it down after `stop`.
    ///   - tls: nil: what goes over the wire can be read there.
    public init(
        operations: Operations, hub: ChannelHub, configuration: RESPServerConfiguration, eventLoopGroup: any EventLoopGroup, tls: TLSDoor? = nil,
        logger: Logger
    ) {
        self.tls = tls
        self.operations = operations
        self.hub = hub
        self.configuration = configuration
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        registry = ConnectionRegistry(configuration.bounds)
    }

    public var statistics: RESPServerStatistics {
        RESPServerStatistics(
            connections: registry.count, subscriptions: registry.subscriptions,
            messagesDelivered: registry.messagesDelivered.load(ordering: .relaxed),
            slowReadersCut: registry.slowReadersCut.load(ordering: .relaxed), unsentBytes: registry.unsentBytes)
    }

    /// Accepts connections from here on; returns the port.
    /// - Throws: `.conflict` (the port is taken, or the server was started before), `.badRequest` (no such address or port),
    ///   `.forbidden` (a port below 1,024), `.unavailable`.
    public func start() async throws -> Int {
        try phase.withLock { phase in
            guard case .new = phase else { throw ContexError(.conflict, "the Redis protocol listener was started before") }
            phase = .starting
        }
        let listeners: [any Channel]
        hub.add(registry)
        do throws(ContexError) {
            listeners = try await bindAll()
        } catch {
            hub.remove(registry)
            phase.withLock { if case .starting = $0 { $0 = .new } }
            throw error
        }
        let isRunning = phase.withLock { phase in
            guard case .starting = phase else { return false }
            phase = .running(listeners)
            return true
        }
        operations.observeKeys { [weak registry] in registry?.checkKeys() }
        guard isRunning else {
            hub.remove(registry)
            for listener in listeners { try? await listener.close() }
            throw ContexError(.unavailable, "the Redis protocol listener was stopped while it started")
        }
        // All are bound before any answers: whoever has found one finds the others.
        for listener in listeners { try? await listener.setOption(.autoRead, value: true).get() }
        return listeners[0].localAddress?.port ?? configuration.port
    }

    /// Accepts no more, sends what was published to those who read, closes all connections.
    public func stop() async {
        let before = phase.withLock { phase in
            defer { phase = .stopped }
            return phase
        }
        if case .running(let listeners) = before { for listener in listeners { try? await listener.close() } }
        let connections = registry.stop()
        for connection in connections { connection.pipeline.fireUserInboundEventTriggered(ConnectionEvent.stop) }
        for connection in connections { try? await connection.closeFuture.get() }
        hub.remove(registry)
    }

    /// Somebody else may have on another address the port that was free on the first; eight times in a row he has not.
    private static let freePortAttempts = 8

    private func bindAll() async throws(ContexError) -> [any Channel] {
        var attempts = configuration.port == 0 ? Self.freePortAttempts : 1
        while true {
            attempts -= 1
            var listeners: [any Channel] = []
            for host in configuration.hosts {
                do {
                    listeners.append(try await bind(host, port: listeners.first?.localAddress?.port ?? configuration.port))
                } catch {
                    for listener in listeners { try? await listener.close() }
                    let refusal = failure(error, host: host)
                    guard attempts > 0, refusal.category == .conflict else { throw refusal }
                    break
                }
            }
            if listeners.count == configuration.hosts.count { return listeners }
        }
    }

    private func bind(_ host: String, port: Int) async throws -> any Channel {
        guard (0...65_535).contains(port) else { throw SocketAddressError.unsupported }
        let (operations, configuration, registry, tls, logger) = (operations, configuration, registry, tls, logger)
        return try await ServerBootstrap(group: eventLoopGroup)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: false)
            // Without a descriptor left, whoever waits would be accepted in vain, again and again.
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler { _ in .milliseconds(100) }) }
            }
            // Subscribers are silent for hours; only the kernel finds out that one is gone.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = try tls?.guards(channel, .other) { Array("-ERR this port speaks TLS\r\n".utf8) }
                    try channel.pipeline.syncOperations.addHandler(
                        RESPConnection(
                            operations: operations, configuration: configuration, registry: registry, logger: logger,
                            remoteAddress: channel.remoteAddress, peer: peer))
                }
            }
            .bind(host: host, port: port).get()
    }

    private func failure(_ error: any Error, host: String) -> ContexError {
        let port = configuration.port
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE:
            return ContexError(
                .portTaken, "port \(port) is taken on \(host): stop what uses it, or choose another port for the Redis protocol")
        case EACCES: return ContexError(.unavailable, "port \(port) is for the system's administrator: choose one above 1,023")
        case EADDRNOTAVAIL: return .badRequest("this machine has no address \(host): choose one of its own, or 0.0.0.0 for all")
        case nil where error is SocketAddressError:
            return .badRequest("the Redis protocol cannot listen on port \(port): ports go up to 65535")
        case nil where error is SocketAddressError.UnknownHost:
            return .badRequest("the host \(host) is unknown: give an address of this machine")
        default: return ContexError(.unavailable, "the Redis protocol cannot listen on \(host):\(port): \(error)")
        }
    }
}
