public import Addresses
internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Finds the addresses of a host.
public protocol NameResolver: Sendable {
    /// All addresses, best first.
    /// - Throws: `ResolutionError` when the name has none, or the answer is not there in time.
    func addresses(of name: String, within timeout: Duration) async throws -> [IPAddress]
    func shutdown() async
}

extension NameResolver {
    public func shutdown() async {}
}

/// Why a name has no addresses.
public struct ResolutionError: Error, Sendable, CustomStringConvertible {
    public let isTimeout: Bool
    public let description: String

    public init(_ description: String, isTimeout: Bool = false) {
        self.isTimeout = isTimeout
        self.description = description
    }
}

/// The machine's own resolver: `getaddrinfo`, which blocks, on a few threads of its own.
final class SystemNameResolver: NameResolver {
    /// Lookups at once. One that hangs occupies its thread for as long as the resolver's own timeout.
    private static let threadCount = 4

    private let threads = NIOThreadPool(numberOfThreads: SystemNameResolver.threadCount)
    private let group: any EventLoopGroup

    init(group: any EventLoopGroup) {
        self.group = group
        threads.start()
    }

    func addresses(of name: String, within timeout: Duration) async throws -> [IPAddress] {
        let loop = group.any()
        let promise = loop.makePromise(of: [IPAddress].self)
        let timer = loop.scheduleTask(in: TimeAmount(timeout)) {
            promise.fail(ResolutionError("the name '\(name)' was not resolved in time", isTimeout: true))
        }
        // A lookup that comes after the timer finds the promise kept, and its answer is thrown away.
        threads.runIfActive(eventLoop: loop) { try Self.lookUp(name) }.cascade(to: promise)
        defer { timer.cancel() }
        return try await promise.futureResult.get()
    }

    /// Does not wait for lookups that hang.
    func shutdown() async {
        threads.shutdownGracefully { _ in }
    }

    private static func lookUp(_ name: String) throws -> [IPAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else { throw ResolutionError("the name '\(name)' does not resolve: \(unsafe String(cString: gai_strerror(status)))") }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe address(current.pointee), !addresses.contains(address) { addresses.append(address) }
            unsafe entry = unsafe current.pointee.ai_next
        }
        return addresses
    }

    private static func address(_ entry: addrinfo) -> IPAddress? {
        guard let raw = unsafe UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch unsafe entry.ai_family {
        case AF_INET:
            let address = unsafe raw.loadUnaligned(as: sockaddr_in.self)
            return .v4(UInt32(bigEndian: address.sin_addr.s_addr))
        case AF_INET6:
            let address = unsafe raw.loadUnaligned(as: sockaddr_in6.self)
            return .v6(UInt128(bigEndian: unsafe unsafeBitCast(address.sin6_addr, to: UInt128.self)))
        default:
            return nil
        }
    }
}
