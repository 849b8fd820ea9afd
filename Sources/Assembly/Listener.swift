internal import Base
internal import Logging
internal import NIOCore
internal import ServiceLifecycle

#if canImport(Glibc)
internal import Glibc
#endif

/// A service that listens on a port, in a task of its own.
final class Listener: Sendable {
    let port: Int
    /// Ends when it may accept connections.
    private let opening: AsyncStream<Void>.Continuation
    private let group: ServiceGroup
    private let task: Task<Void, any Error>

    /// Starts the service and waits until its port is bound. Connections wait until `open`.
    ///
    /// - Parameters:
    ///   - make: makes the service; it calls the function it gets with the port that was bound, and accepts connections when that returns.
    ///   - setting: the flag that names the port, for the error.
    /// - Throws: `.conflict` when the port is taken; `.invalid` when the address is none of this machine's; `.unavailable`.
    private static func bind(
        host: String, port: Int, setting: String, stopSeconds: Int, logger: Logger,
        _ make: (@escaping @Sendable (Int) async -> Void) -> any Service
    ) async throws(ContexError) -> Listener {
        let (bound, announce) = AsyncThrowingStream<Int, any Error>.makeStream()
        let (opened, opening) = AsyncStream<Void>.makeStream()
        let service = make { port in
            announce.yield(port)
            for await _ in opened {}
        }
        var configuration = ServiceGroupConfiguration(services: [service], gracefulShutdownSignals: [], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(stopSeconds)
        let group = ServiceGroup(configuration: configuration)
        let task = Task {
            do {
                try await group.run()
                announce.finish()
            } catch {
                announce.finish(throwing: error)
                throw error
            }
        }
        do {
            for try await port in bound { return Listener(port: port, opening: opening, group: group, task: task) }
            throw ContexError(.unavailable, "the listener on \(host):\(port) ended before it began")
        } catch {
            throw failure(error, host: host, port: port, setting: setting)
        }
    }

    /// Listens on several addresses and one port. A free port must be free on all of them, and all are bound before any is answered on:
    /// who finds the server well on one finds it on the others too.
    static func start(
        hosts: [String], port: Int, setting: String, stopSeconds: Int, logger: Logger,
        _ make: (_ host: String, _ port: Int, _ bound: @escaping @Sendable (Int) async -> Void) -> any Service
    ) async throws(ContexError) -> [Listener] {
        var attempts = port == 0 ? freePortAttempts : 1
        while true {
            attempts -= 1
            var listeners: [Listener] = []
            do throws(ContexError) {
                for host in hosts {
                    let wanted = listeners.first?.port ?? port
                    listeners.append(
                        try await bind(host: host, port: wanted, setting: setting, stopSeconds: stopSeconds, logger: logger) { make(host, wanted, $0) })
                }
                for listener in listeners { listener.opening.finish() }
                return listeners
            } catch {
                for listener in listeners { await listener.stop() }
                guard attempts > 0, error.category == .conflict else { throw error }
            }
        }
    }

    /// Somebody else may have on ::1 what was free on 127.0.0.1; eight times in a row he has not.
    private static let freePortAttempts = 8

    private init(port: Int, opening: AsyncStream<Void>.Continuation, group: ServiceGroup, task: Task<Void, any Error>) {
        self.port = port
        self.opening = opening
        self.group = group
        self.task = task
    }

    /// What the service ended with; returns when it has ended, nil after a stop.
    func end() async -> (any Error)? {
        if case .failure(let error) = await task.result { error } else { nil }
    }

    /// Accepts nothing more and waits until what runs has been answered, or was cut when its time was over.
    func stop() async {
        await group.triggerGracefulShutdown()
        opening.finish()
        _ = await task.result
    }

    private static func failure(_ error: any Error, host: String, port: Int, setting: String) -> ContexError {
        switch error {
        case let error as ContexError: return error
        case let error as IOError:
            switch error.errnoCode {
            case EADDRINUSE:
                return ContexError(.portTaken, "port \(port) on \(host) is taken: stop who listens there, or choose another (--\(setting))")
            case EACCES:
                return ContexError(.unavailable, "port \(port) on \(host) may not be bound by this user: choose one above 1023 (--\(setting))")
            case EADDRNOTAVAIL:
                return ContexError(.invalid, "\(host) is no address of this machine, so port \(port) cannot be bound there")
            default:
                return ContexError(.unavailable, "port \(port) on \(host) cannot be bound: \(error)")
            }
        case is SocketAddressError.UnknownHost, is SocketAddressError:
            return ContexError(.invalid, "\(host) is no address that can be bound (port \(port))")
        default:
            return ContexError(.unavailable, "port \(port) on \(host) cannot be bound: \(error)")
        }
    }
}
