// One connection: `RESPSession` decides, this handler has the socket. All of it runs on the connection's event loop.
//
//     socket --> parser --> session --> actions --> replies -------+
//                                          |                       v
//                                          +--> hub             output --> socket
//                                                |                 ^
//     writer's thread: hub.publish --> inbox --> session, Service -+
//
// Order. Commands are answered one by one: whether a key is valid and may subscribe is known in memory, so no question stays
// open between two of them. Messages come out of the inbox in the order of publishing. A subscription is confirmed before
// its first message, since the inbox is emptied after the command; nothing follows the confirmation of its end, since each
// message is held against the session's subscriptions when it leaves the inbox.
//
// Names. The hub compares channels as text, under which some different bytes are equal; Redis compares bytes. So the hub
// may send too much and is asked for a text as long as any channel needs it; the session compares bytes. Patterns are matched
// here and not by the hub, on whose lock and thread every publish of the server waits: to the hub, a connection with patterns
// listens to everything.
//
// Rights. Each command and message is checked against the key as it is now: a message's project is not told by the channel's
// name, and a key may be revoked at any time. Then the connection ends, so that its owner learns why it is silent.
//
// Slow readers. Bytes count as unsent from here to the kernel. Who has more of them than allowed when the next ones come is
// cut; a single message of any size is always tried. With the inbox, which has the same bound, a connection holds at most
// twice `outputBytesMax` and two messages.

internal import Access
internal import Base
internal import Engine
internal import Logging
internal import NIOCore
internal import RESP
internal import Service
internal import Synchronization

final class RESPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase { case open, finishing, closed }

    /// Replies and messages are gathered up to this size before they are written.
    private static let chunkBytes = 64 << 10
    /// How long a peer may take to read our last words.
    private static let farewell = TimeAmount.seconds(2)

    private let operations: Operations
    private let hub: ChannelHub
    private let configuration: RESPServerConfiguration
    private let registry: ConnectionRegistry
    private let logger: Logger
    private let id: Int64
    private let address: String

    private var phase = Phase.open
    private var parser = RESPCommandParser()
    private var session: RESPSession
    private var caller: Caller
    private var inbox: MessageInbox?
    /// How many of the session's channels are the same text to the hub.
    private var hubChannels: [String: Int] = [:]
    private var patternCount = 0
    private var output: [UInt8] = []
    private var unsentBytes = 0
    private var authenticationDeadline: Scheduled<Void>?
    private var farewellDeadline: Scheduled<Void>?

    init(
        operations: Operations, hub: ChannelHub, configuration: RESPServerConfiguration, registry: ConnectionRegistry, logger: Logger,
        remoteAddress: SocketAddress?
    ) {
        self.operations = operations
        self.hub = hub
        self.configuration = configuration
        self.registry = registry
        self.logger = logger
        id = registry.nextID()
        address = Self.text(remoteAddress)
        session = RESPSession(id: id, address: address, settings: .init(authenticationRequired: operations.authenticationRequired))
        caller = Caller(apiKey: nil, address: remoteAddress?.ipAddress, requestID: "resp-\(id)", client: nil)
    }

    private static func text(_ address: SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else { return "local" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    // MARK: - Coming and going

    func channelActive(context: ChannelHandlerContext) {
        switch registry.admit(id, context.channel) {
        case .admitted:
            inbox = MessageInbox(channel: context.channel, bytesMax: configuration.outputBytesMax)
            expectAuthentication(context)
        case .full:
            encode(.error("ERR max number of clients reached"))
            finish(context, awaitingPeer: false)
        case .stopping:
            close(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        leave()
        registry.remove(id)
        inbox = nil
        authenticationDeadline?.cancel()
        farewellDeadline?.cancel()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("Redis connection failed", metadata: ["address": "\(address)", "error": "\(error)"])
        close(context)
    }

    private func close(_ context: ChannelHandlerContext) {
        phase = .closed
        leave()
        context.close(promise: nil)
    }

    /// Ends the connection once what was said is sent. A peer that is still sending would lose our last words to the reset
    /// that closing then means, so on `awaitingPeer` only our side is closed until it closes too.
    private func finish(_ context: ChannelHandlerContext, awaitingPeer: Bool) {
        guard phase == .open else { return }
        flush(context)
        guard phase == .open else { return }
        phase = .finishing
        leave()
        let eventLoop = context.eventLoop.assumeIsolated()
        farewellDeadline = eventLoop.scheduleTask(in: Self.farewell) { self.close(context) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            guard self.phase == .finishing else { return }
            if awaitingPeer {
                context.close(mode: .output, promise: nil)
            } else {
                self.close(context)
            }
        }
    }

    /// Out of the hub.
    private func leave() {
        guard let inbox else { return }
        hub.remove(inbox, channels: hubChannels.keys)
        registry.subscriptions.subtract(hubChannels.values.reduce(patternCount, +), ordering: .relaxed)
        hubChannels = [:]
        patternCount = 0
    }

    // MARK: - Commands

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        parser.feed(unwrapInboundIn(data).readableBytesView)
        do throws(RESPProtocolError) {
            while phase == .open {
                parser.limits = session.isAuthenticated ? RESPCommandLimits() : .unauthenticated
                guard let command = try parser.next() else { break }
                guard keyHolds else {
                    refuseRevoked(context)
                    break
                }
                carryOut(session.receive(command), context)
                if !session.isAuthenticated, caller.apiKey != nil { forgetKey(context) }
                if output.count >= Self.chunkBytes { flush(context) }
            }
        } catch {
            logger.debug("not the Redis protocol", metadata: ["address": "\(address)", "error": "\(error.message)"])
            encode(error.reply)
            finish(context, awaitingPeer: true)
        }
        flush(context)
    }

    private func carryOut(_ actions: [RESPAction], _ context: ChannelHandlerContext) {
        for action in actions {
            switch action {
            case .reply(let value): encode(value)
            case .authenticate(let user, let password):
                carryOut(session.authenticated(authenticate(password), user: user ?? "default"), context)
            case .authorise: carryOut(session.authorised(maySubscribe), context)
            case .subscribe(let subscription): subscribe(subscription)
            case .unsubscribe(let subscription): unsubscribe(subscription)
            case .close: finish(context, awaitingPeer: true)
            }
        }
    }

    private func expectAuthentication(_ context: ChannelHandlerContext) {
        authenticationDeadline?.cancel()
        guard !session.isAuthenticated else { return }
        let allowed = TimeAmount.seconds(Int64(configuration.authenticationSeconds))
        authenticationDeadline = context.eventLoop.assumeIsolated().scheduleTask(in: allowed) {
            guard !self.session.isAuthenticated else { return }
            self.encode(.error("ERR authentication took longer than \(self.configuration.authenticationSeconds) s"))
            self.finish(context, awaitingPeer: true)
        }
    }

    // MARK: - Rights

    /// The password is the API key; users are not told apart.
    private func authenticate(_ password: String) -> Bool {
        let keyed = caller(with: password)
        do {
            let principal = try operations.authenticate(keyed)
            caller = keyed
            logger.debug("Redis client authenticated", metadata: ["address": "\(address)", "key": "\(principal.name)"])
            return true
        } catch {
            logger.info("Redis client refused", metadata: ["address": "\(address)", "error": "\(error.message)"])
            return false
        }
    }

    /// False once the key that the connection came with is revoked. Asked at every command and message.
    private var keyHolds: Bool { caller.apiKey == nil || (try? operations.authenticate(caller)) != nil }

    private func refuseRevoked(_ context: ChannelHandlerContext) {
        logger.info("Redis client's API key was revoked", metadata: ["address": "\(address)"])
        encode(.error("NOAUTH the API key of this connection is no longer valid"))
        finish(context, awaitingPeer: true)
    }

    private func caller(with apiKey: String?) -> Caller {
        Caller(apiKey: apiKey, address: caller.address, requestID: caller.requestID, client: nil)
    }

    /// After RESET.
    private func forgetKey(_ context: ChannelHandlerContext) {
        caller = caller(with: nil)
        expectAuthentication(context)
    }

    /// Whether the key may listen at all; what it hears is decided message by message.
    private var maySubscribe: Bool {
        do {
            try operations.authorise(try operations.authenticate(caller), .subscribe, project: nil)
            return true
        } catch {
            logger.info("Redis subscription refused", metadata: ["address": "\(address)", "error": "\(error.message)"])
            return false
        }
    }

    // MARK: - Subscriptions

    private func subscribe(_ subscription: RESPSubscription) {
        guard let inbox else { return }
        registry.subscriptions.add(1, ordering: .relaxed)
        switch subscription {
        case .channel(let name):
            let text = String(decoding: name, as: UTF8.self)
            hubChannels[text, default: 0] += 1
            if hubChannels[text] == 1 { hub.subscribe(inbox, to: text) }
        case .pattern:
            patternCount += 1
            if patternCount == 1 { hub.subscribe(inbox, toPattern: "*") { _ in true } }
        }
    }

    private func unsubscribe(_ subscription: RESPSubscription) {
        guard let inbox else { return }
        registry.subscriptions.subtract(1, ordering: .relaxed)
        switch subscription {
        case .channel(let name):
            let text = String(decoding: name, as: UTF8.self)
            guard let count = hubChannels[text] else { return }
            hubChannels[text] = count > 1 ? count - 1 : nil
            if count == 1 { hub.unsubscribe(inbox, from: text) }
        case .pattern:
            patternCount -= 1
            if patternCount == 0 { hub.unsubscribe(inbox, fromPattern: "*") }
        }
    }

    // MARK: - Messages

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? ConnectionEvent {
        case .messages: takeMessages(context)
        case .stop: finish(context, awaitingPeer: false)
        case nil: context.fireUserInboundEventTriggered(event)
        }
    }

    private func takeMessages(_ context: ChannelHandlerContext) {
        guard phase == .open, let inbox else { return }
        guard let deliveries = inbox.take() else { return cut(context) }
        for delivery in deliveries where phase == .open {
            send(delivery, context)
            if output.count >= Self.chunkBytes { flush(context) }
        }
        flush(context)
    }

    private func send(_ delivery: MessageInbox.Delivery, _ context: ChannelHandlerContext) {
        let message = delivery.message
        let channel = Array(message.channel.utf8)
        let patterns = delivery.isForPatterns ? session.matchingPatterns(channel) : []
        guard delivery.isForPatterns ? !patterns.isEmpty : session.isSubscribed(to: channel) else { return }
        guard operations.mayReceive(message, by: caller) else {
            if !keyHolds { refuseRevoked(context) }
            return
        }
        let payload = Array(message.payload.utf8)
        if delivery.isForPatterns {
            for pattern in patterns { encode(.patternMessage(pattern: pattern, channel: channel, payload: payload)) }
        } else {
            encode(.message(channel: channel, payload: payload))
        }
        registry.messagesDelivered.add(max(1, patterns.count), ordering: .relaxed)
    }

    // MARK: - Output

    private func encode(_ value: RESPValue) { RESPEncoder.encode(value, version: session.version, into: &output) }

    private func flush(_ context: ChannelHandlerContext) {
        guard phase == .open, !output.isEmpty else { return }
        guard unsentBytes <= configuration.outputBytesMax else { return cut(context) }
        let buffer = context.channel.allocator.buffer(bytes: output)
        output.removeAll(keepingCapacity: output.capacity <= 2 * Self.chunkBytes)
        let count = buffer.readableBytes
        unsentBytes += count
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in self.unsentBytes -= count }
    }

    private func cut(_ context: ChannelHandlerContext) {
        registry.slowReadersCut.add(1, ordering: .relaxed)
        logger.warning(
            "Redis client cut: it reads slower than its channels speak",
            metadata: [
                "address": "\(address)", "unsent_bytes": "\(unsentBytes)", "allowed_bytes": "\(configuration.outputBytesMax)",
            ])
        close(context)
    }
}
