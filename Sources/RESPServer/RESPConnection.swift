// One connection: `RESPSession` decides, this handler has the socket. All of it runs on the connection's event loop.
//
//     socket --> parser --> session --> actions --> replies -------+
//                                          |                       v
//                                          +--> registry        output --> socket
//                                                  |               ^
//     writer's thread: hub.publish --> registry --> inbox --> session, Service
//
// Order. Commands are answered one by one: while Service is asked (may it listen, was it refused before) no further bytes are read
// and no command is run. Messages come out of the inbox in the order of publishing. A subscription is confirmed before
// its first message, since the inbox is emptied after the command; nothing follows the confirmation of its end, since each
// message is held against the session's subscriptions when it leaves the inbox.
//
// Rights. Each command and message is checked against the key as it is now: a message's project is not told by the channel's
// name, and a key may be revoked at any time. Then the connection ends at once, also when it is idle, and its owner learns why.
//
// Bytes. The registry counts what waits for the sockets, here and in the kernel's queue, and cuts the slowest readers
// (`RESPExchange`). A payload is one buffer for all connections; small ones are copied together instead, and count as ours.

internal import Access
internal import Base
internal import Engine
internal import Logging
internal import NIOCore
internal import RESP
internal import Service
internal import Synchronization
internal import TLS

final class RESPConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase { case open, finishing, closed }

    /// Replies and messages are gathered up to this size before they are written.
    private static let chunkBytes = 64 << 10
    /// Payloads from this size on are not copied.
    private static let sharedBytes = 4 << 10
    /// How long a peer may take to read our last words.
    private static let farewell = TimeAmount.seconds(2)
    /// Names in one answer to PUBSUB CHANNELS.
    private static let listedChannelsMax = 10_000

    private let operations: Operations
    private let configuration: RESPServerConfiguration
    private let registry: ConnectionRegistry
    private let logger: Logger
    private let id: Int64
    private let address: String
    /// Who is at the other end, as far as TLS has shown it.
    private let peer: TLSPeer?

    private var phase = Phase.open
    private var parser = RESPCommandParser()
    private var session: RESPSession
    private var caller: Caller
    private var keyID: String?
    /// For commands that have not come to their end; nil while they are short.
    private var lease: MemoryLease?
    private let inbox = MessageInbox()
    /// Service has been asked something.
    private var isAsking = false
    private var mustRead = false
    private var output: [UInt8] = []
    /// Written and not yet taken by the kernel: our own bytes, and messages.
    private var unsentOwnBytes = 0
    private var written: [UInt64] = []
    private var countedBytes = 0
    private var authenticationDeadline: Scheduled<Void>?
    private var farewellDeadline: Scheduled<Void>?

    init(
        operations: Operations, configuration: RESPServerConfiguration, registry: ConnectionRegistry, logger: Logger,
        remoteAddress: SocketAddress?, peer: TLSPeer? = nil
    ) {
        self.operations = operations
        self.configuration = configuration
        self.registry = registry
        self.logger = logger
        self.peer = peer
        id = registry.nextID()
        address = Self.text(remoteAddress)
        session = RESPSession(id: id, address: address, settings: .init(authenticationRequired: operations.authenticationRequired))
        caller = Caller(apiKey: nil, address: remoteAddress?.ipAddress, requestID: "resp-\(id)", client: nil, method: "RESP")
    }

    private static func text(_ address: SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else { return "local" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    // MARK: - Coming and going

    func channelActive(context: ChannelHandlerContext) {
        let place = registry.admit(id, context.channel, inbox, from: caller.address ?? "local", isStranger: !session.isAuthenticated)
        switch place {
        case .admitted: expectAuthentication(context)
        case .full(let refusal):
            logger.info("Redis client refused: \(refusal)", metadata: ["address": "\(address)"])
            let (operations, caller) = (operations, caller)
            Task { await operations.refuse(nil, by: caller, ContexError(.limited, refusal)) }
            encode(.error(refusal))
            finish(context, awaitingPeer: false)
        case .stopping: close(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        lease = nil
        registry.remove(id)
        authenticationDeadline?.cancel()
        farewellDeadline?.cancel()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("Redis connection failed", metadata: ["address": "\(address)", "error": "\(error)"])
        close(context)
    }

    private func close(_ context: ChannelHandlerContext) {
        phase = .closed
        registry.silence(id)
        context.close(promise: nil)
    }

    /// Ends the connection once what was said is sent. A peer that is still sending would lose our last words to the reset
    /// that closing then means, so on `awaitingPeer` only our side is closed until it closes too.
    private func finish(_ context: ChannelHandlerContext, awaitingPeer: Bool) {
        guard phase == .open else { return }
        flush(context)
        guard phase == .open else { return }
        phase = .finishing
        registry.silence(id)
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
        // Whoever is still sending is read, and not heard.
        isAsking = false
        readOn(context)
    }

    // MARK: - Commands

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        parser.feed(unwrapInboundIn(data).readableBytesView)
        if isRoomForCommands { run(context) } else { refuseForMemory(context) }
    }

    /// Asks for the memory of what has come of commands, which is HTTP's memory for bodies too. Nobody waits for it: what Redis clients
    /// send here is short.
    private var isRoomForCommands: Bool {
        let bytes = parser.bufferedBytes
        guard bytes >= Self.sharedBytes else { return true }
        let lease = lease ?? MemoryLease(of: operations.memory.arriving, address: caller.address, key: keyID)
        self.lease = lease
        return bytes <= lease.held || operations.memory.arriving.ask(bytes - lease.held, for: lease) == .granted
    }

    private func refuseForMemory(_ context: ChannelHandlerContext) {
        let refusal = MemoryGate.full
        refuse(refusal, context) {
            self.encode(.error("ERR \(refusal.message)"))
            self.finish(context, awaitingPeer: true)
        }
    }

    /// Nothing more is read while an answer is due.
    func read(context: ChannelHandlerContext) {
        if isAsking { mustRead = true } else { context.read() }
    }

    private func readOn(_ context: ChannelHandlerContext) {
        guard mustRead else { return }
        mustRead = false
        context.read()
    }

    /// Runs the commands that have come.
    private func run(_ context: ChannelHandlerContext) {
        do throws(RESPProtocolError) {
            while phase == .open, !isAsking {
                parser.limits = session.isAuthenticated ? RESPCommandLimits() : .unauthenticated
                guard let command = try parser.next() else { break }
                guard keyHolds else {
                    refuseRevoked(context)
                    break
                }
                carryOut(session.receive(command), context)
                if !session.isAuthenticated, keyID != nil { forgetKey(context) }
                if output.count >= Self.chunkBytes { flush(context) }
            }
        } catch {
            logger.debug("not the Redis protocol", metadata: ["address": "\(address)", "error": "\(error.message)"])
            let reply = error.reply
            refuse(ContexError(.invalid, error.message), context) {
                self.encode(reply)
                self.finish(context, awaitingPeer: true)
            }
        }
        flush(context)
    }

    private func carryOut(_ actions: [RESPAction], _ context: ChannelHandlerContext) {
        for action in actions {
            switch action {
            case .reply(let value): encode(value)
            case .refused(let text):
                let isStranger = text.hasPrefix(ContexError.Category.unauthenticated.row.respWord)
                refuse(ContexError(isStranger ? .keyMissing : .invalid, text), context) { self.encode(.error(text)) }
            case .authenticate(let user, let password): authenticate(user, password, context)
            case .authorise(let wanted): authorise(wanted, context)
            case .ask(let question): answer(question, context)
            case .subscribe(let subscription): registry.subscribe(id, subscription)
            case .unsubscribe(let subscription): registry.unsubscribe(id, subscription)
            case .close: finish(context, awaitingPeer: true)
            }
        }
    }

    /// Asks Service, and goes on with the commands after its answer.
    private func ask<T: Sendable>(
        _ context: ChannelHandlerContext, _ question: @escaping @Sendable () async -> T, then body: @escaping (T) -> Void
    ) {
        isAsking = true
        let promise = context.eventLoop.makePromise(of: T.self)
        promise.completeWithTask(question)
        promise.futureResult.assumeIsolated().whenSuccess { answer in
            self.isAsking = false
            guard self.phase == .open else { return }
            body(answer)
            self.run(context)
            if !self.isAsking { self.readOn(context) }
        }
    }

    /// Lets the refusal be counted and written down; says it then, unless the caller has been refused too often already.
    private func refuse(_ refusal: ContexError, as action: Action? = nil, _ context: ChannelHandlerContext, then say: @escaping () -> Void) {
        let (operations, caller) = (operations, caller)
        ask(context) {
            await operations.refuse(action, by: caller, refusal)
        } then: { answer in
            if answer.category == .limited, refusal.category != .limited {
                self.encode(.error(answer.respText))
                self.finish(context, awaitingPeer: true)
            } else {
                say()
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
    private func authenticate(_ user: String?, _ password: String, _ context: ChannelHandlerContext) {
        let keyed = caller(with: password)
        do {
            let principal = try operations.authenticate(keyed)
            if let refusal = registry.setKey(principal.holderID, of: id) {
                return refuse(ContexError(.limited, refusal), context) {
                    self.encode(.error(refusal))
                    self.finish(context, awaitingPeer: true)
                }
            }
            caller = keyed
            (keyID, lease) = (principal.holderID, nil)
            logger.debug("Redis client authenticated", metadata: ["address": "\(address)", "key": "\(principal.name)"])
            carryOut(session.authenticated(true, user: user ?? "default"), context)
        } catch {
            // Operations has logged it. Who guesses on comes again by a new connection.
            refuse(error, context) {
                self.carryOut(self.session.authenticated(false), context)
                if error.category == .limited { self.finish(context, awaitingPeer: true) }
            }
        }
    }

    /// Whether the key may listen at all, and there is room; what it hears is decided message by message.
    private func authorise(_ wanted: [RESPSubscription], _ context: ChannelHandlerContext) {
        if let refusal = registry.refusal(of: wanted, for: id) {
            return refuse(ContexError(.limited, refusal), as: .subscribe, context) {
                self.carryOut(self.session.authorised(false, refusal: refusal), context)
            }
        }
        let (operations, caller) = (operations, caller)
        ask(context) { () -> ContexError? in
            do {
                try await operations.subscribe(by: caller)
                return nil
            } catch {
                return error as? ContexError ?? ContexError(.bug, "\(error)")
            }
        } then: { failure in
            if let failure {
                self.logger.info("Redis subscription refused", metadata: ["address": "\(self.address)", "error": "\(failure.message)"])
                // A right that is missing is told in Redis's own words.
                let words = failure.category == .forbidden ? nil : failure.respText
                self.carryOut(words.map { self.session.authorised(false, refusal: $0) } ?? self.session.authorised(false), context)
            } else {
                self.carryOut(self.session.authorised(true), context)
            }
        }
    }

    /// What others listen to, as far as the key may know.
    private func answer(_ question: RESPQuestion, _ context: ChannelHandlerContext) {
        let (operations, caller, registry, key) = (operations, caller, registry, try? operations.authenticate(caller).holderID)
        ask(context) { () -> RESPValue in
            do {
                switch question {
                case .channels(let pattern):
                    var names = registry.activeChannels
                    if let pattern {
                        let glob = RESPGlob(pattern)
                        names = names.filter { $0.count <= Limits.channelBytes && glob.matches($0) }
                    }
                    let visible = try await Self.visible(names, operations, caller)
                    return .array(names.filter(visible.contains).prefix(Self.listedChannelsMax).map { .bulk($0) })
                case .subscribers(let names):
                    let visible = try await Self.visible(names, operations, caller)
                    let counts = zip(names, registry.subscriberCounts(names)).map { visible.contains($0) ? $1 : 0 }
                    return .array(zip(names, counts).flatMap { [.bulk($0), .integer(Int64($1))] })
                case .patterns:
                    try await operations.subscribe(by: caller)
                    return .integer(Int64(registry.patternCount(ofKey: operations.reachesAll(caller) ? nil : key ?? "")))
                }
            } catch {
                let failure = error as? ContexError ?? ContexError(.bug, "\(error)")
                return .error(failure.respText)
            }
        } then: { value in
            self.carryOut(self.session.answered(value), context)
        }
    }

    private static func visible(_ names: [[UInt8]], _ operations: Operations, _ caller: Caller) async throws -> Set<[UInt8]> {
        let texts = names.map { String(decoding: $0, as: UTF8.self) }
        return Set(try await operations.visibleChannels(texts, by: caller).map { Array($0.utf8) })
    }

    /// False once the key that the connection came with is revoked. Asked at every command and message.
    private var keyHolds: Bool { keyID == nil || operations.isValid(caller) }

    private func refuseRevoked(_ context: ChannelHandlerContext) {
        logger.info("Redis client's API key was revoked", metadata: ["address": "\(address)"])
        encode(.error("NOAUTH the API key of this connection is no longer valid"))
        finish(context, awaitingPeer: true)
    }

    private func caller(with apiKey: String?) -> Caller {
        Caller(apiKey: apiKey, address: caller.address, requestID: caller.requestID, client: nil, method: "RESP", certificate: peer?.names ?? [])
    }

    /// The client need not say who it is when its certificate stands for a key.
    private func trustCertificate(_ context: ChannelHandlerContext) {
        caller = caller(with: nil)
        guard !session.isAuthenticated, operations.isValid(caller), let principal = try? operations.authenticate(caller) else { return }
        if let refusal = registry.setKey(principal.keyID?.text, of: id) {
            return refuse(ContexError(.limited, refusal), context) {
                self.encode(.error(refusal))
                self.finish(context, awaitingPeer: true)
            }
        }
        (keyID, lease) = (principal.keyID?.text, nil)
        session.vouch()
        authenticationDeadline?.cancel()
        logger.debug("Redis client authenticated by its certificate", metadata: ["address": "\(address)", "key": "\(principal.name)"])
    }

    /// After RESET.
    private func forgetKey(_ context: ChannelHandlerContext) {
        caller = caller(with: nil)
        (keyID, lease) = (nil, nil)
        _ = registry.setKey(nil, of: id)
        trustCertificate(context)
        expectAuthentication(context)
    }

    // MARK: - Messages

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? ConnectionEvent {
        case .messages: takeMessages(context)
        case .keysChanged: if phase == .open, !keyHolds { refuseRevoked(context) }
        case .cut: cut(context)
        case .stop: finish(context, awaitingPeer: false)
        case nil where event is TLSPeerShown: trustCertificate(context)
        case nil: context.fireUserInboundEventTriggered(event)
        }
    }

    private func takeMessages(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        var unwanted: [UInt64] = []
        for delivery in inbox.take() where phase == .open {
            if !send(delivery, context) { unwanted.append(delivery.message) }
            if output.count >= Self.chunkBytes { flush(context) }
        }
        registry.sent(unwanted, by: id)
        flush(context)
    }

    /// Whether the body is on its way and will be reported as sent.
    private func send(_ delivery: MessageInbox.Delivery, _ context: ChannelHandlerContext) -> Bool {
        let patterns = session.held(delivery.patterns)
        let isExact = delivery.isExact && session.isSubscribed(to: delivery.channel)
        guard isExact || !patterns.isEmpty else { return false }
        guard operations.mayReceive(of: delivery.project, tenant: delivery.tenant, by: caller) else {
            if !keyHolds { refuseRevoked(context) }
            return false
        }
        let isShared = delivery.body.readableBytes >= Self.sharedBytes
        for pattern in (isExact ? [nil] : []) + patterns.map(Optional.some) {
            RESPEncoder.encodeHead(
                pattern: pattern, channel: delivery.channel, payloadBytes: delivery.body.readableBytes - 2, version: session.version,
                into: &output)
            if isShared {
                writeOutput(context)
                context.write(wrapOutboundOut(delivery.body), promise: nil)
            } else {
                output += delivery.body.readableBytesView
            }
        }
        registry.messagesDelivered.add(patterns.count + (isExact ? 1 : 0), ordering: .relaxed)
        if isShared { written.append(delivery.message) }
        return isShared
    }

    // MARK: - Output

    private func encode(_ value: RESPValue) { RESPEncoder.encode(value, version: session.version, into: &output) }

    /// Gives the gathered bytes to the channel, which sends them with the next flush.
    private func writeOutput(_ context: ChannelHandlerContext) {
        guard !output.isEmpty else { return }
        let buffer = context.channel.allocator.buffer(bytes: output)
        output.removeAll(keepingCapacity: output.capacity <= 2 * Self.chunkBytes)
        let count = buffer.readableBytes
        unsentOwnBytes += count
        context.write(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in self.unsentOwnBytes -= count }
    }

    private func flush(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        writeOutput(context)
        count()
        guard unsentOwnBytes > 0 || !written.isEmpty else { return }
        let messages = written
        written = []
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            self.registry.sent(messages, by: self.id)
            self.count()
        }
    }

    /// Tells the registry what waits of ours. Small amounts come and go with every command, and are not worth its lock.
    private func count() {
        if let lease, parser.bufferedBytes < Self.sharedBytes { lease.shrink(to: 0) } else { lease?.shrink(to: parser.bufferedBytes) }
        let bytes = unsentOwnBytes + parser.bufferedBytes
        let worth = bytes < Self.sharedBytes ? 0 : bytes
        guard worth != countedBytes else { return }
        countedBytes = worth
        registry.setOwn(worth, of: id)
    }

    private func cut(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        logger.warning(
            "Redis client cut: it reads slower than its channels speak",
            metadata: ["address": "\(address)", "unsent_bytes": "\(unsentOwnBytes)"])
        close(context)
    }
}
