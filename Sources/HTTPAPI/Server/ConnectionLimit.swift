internal import NIOCore
internal import Synchronization

/// Connections that are open, by the peer's address.
final class ConnectionLimit: Sendable {
    let connectionsPerAddressMax: Int
    private let open = Mutex<[String: Int]>([:])

    init(connectionsPerAddressMax: Int) { self.connectionsPerAddressMax = connectionsPerAddressMax }

    func admit(_ address: String) -> Bool {
        open.withLock { open in
            guard open[address, default: 0] < connectionsPerAddressMax else { return false }
            open[address, default: 0] += 1
            return true
        }
    }

    func release(_ address: String) {
        open.withLock { open in
            guard let count = open[address] else { return }
            open[address] = count > 1 ? count - 1 : nil
        }
    }
}

/// Closes a connection at once when its address has too many. Lives on one event loop, as every channel handler does.
final class ConnectionLimitHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let limit: ConnectionLimit
    private var counted: String? = nil

    init(_ limit: ConnectionLimit) { self.limit = limit }

    func channelActive(context: ChannelHandlerContext) {
        let address = context.channel.remoteAddress?.ipAddress ?? "local"
        guard limit.admit(address) else {
            context.close(promise: nil)
            return
        }
        counted = address
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let counted { limit.release(counted) }
        counted = nil
        context.fireChannelInactive()
    }
}
