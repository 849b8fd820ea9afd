internal import Base
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization
internal import Wire

/// One connection, for whoever is on any thread; `LinkHandler` has it on its event loop.
final class Link: Sendable {
    private let channel: any Channel
    private let handler: NIOLoopBound<LinkHandler>
    private let open: Mutex<Bool>

    private init(_ channel: any Channel, _ handler: NIOLoopBound<LinkHandler>) {
        self.channel = channel
        self.handler = handler
        open = Mutex(true)
        channel.closeFuture.whenComplete { [weak self] _ in self?.open.withLock { $0 = false } }
    }

    var isOpen: Bool { open.withLock { $0 } }
    /// The server has said that it stops, or a request found the connection broken.
    func retire() { open.withLock { $0 = false } }

    /// Returns when the server has said welcome.
    static func connect(_ configuration: ClientConfiguration, _ group: any EventLoopGroup) async throws -> Link {
        do {
            let context = try await clientContext(configuration)
            let greeted = group.next().makePromise(of: Void.self)
            let made = Mutex<NIOLoopBound<LinkHandler>?>(nil)
            let channel: any Channel
            do {
                channel = try await ClientBootstrap(group: greeted.futureResult.eventLoop)
                    .connectTimeout(.nanoseconds(Int64(configuration.connectTimeout / .nanoseconds(1))))
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .channelOption(.socketOption(.so_keepalive), value: 1)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let handler = LinkHandler(configuration, greeted)
                            made.withLock { $0 = NIOLoopBound(handler, eventLoop: channel.eventLoop) }
                            if let context { try channel.pipeline.syncOperations.addHandler(tlsHandler(context, configuration)) }
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                    }
                    .connect(host: configuration.host, port: configuration.port).get()
            } catch {
                greeted.fail(error)
                throw error
            }
            guard let handler = made.withLock({ $0 }) else { throw ContexError(.bug, "a connection without a handler") }
            let link = Link(channel, handler)
            channel.eventLoop.execute { handler.value.link = link }
            try await greeted.futureResult.get()
            return link
        } catch let error as ContexError {
            throw error
        } catch {
            throw ContexError(.unavailable, "No connection to \(configuration.host):\(configuration.port): \(error)")
        }
    }

    /// Reads files, so away from everybody's threads.
    private static func clientContext(_ configuration: ClientConfiguration) async throws -> NIOSSLContext? {
        guard let tls = configuration.tls else { return nil }
        return try await NIOThreadPool.singleton.runIfActive {
            var settings = TLSConfiguration.makeClientConfiguration()
            settings.minimumTLSVersion = .tlsv12
            if let authorities = tls.authorities { settings.trustRoots = .file(authorities) }
            if let certificate = tls.certificate {
                settings.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: tls.key ?? certificate, format: .pem))
            }
            settings.certificateVerification = tls.checksServerName ? .fullVerification : .noHostnameVerification
            return try NIOSSLContext(configuration: settings)
        }
    }

    /// Of a server that is named by its address, the certificate must have the address.
    private static func tlsHandler(_ context: NIOSSLContext, _ configuration: ClientConfiguration) throws -> NIOSSLClientHandler {
        let name = configuration.tls?.serverName ?? configuration.host
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name)
    }

    func close() async { try? await channel.close() }

    func ping() async throws -> Duration {
        let started = ContinuousClock.now
        try await withCheckedThrowingContinuation { continuation in
            on { $0.ping(continuation) }
        }
        return .now - started
    }

    func call(_ operation: WireOperation, _ body: [UInt8], within time: Duration?) async throws -> [UInt8] {
        let ticket = Ticket()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                on { $0.call(operation, body, within: time, ticket, continuation) }
            }
        } onCancel: {
            ticket.isCancelled.store(true, ordering: .relaxed)
            on { $0.cancel(ticket) }
        }
    }

    func follow(_ operation: WireOperation, _ body: [UInt8], _ reader: UpdateReader) {
        on { $0.follow(operation, body, reader) }
    }

    func credit(_ count: Int, _ reader: UpdateReader) { on { $0.credit(count, reader) } }
    func cancel(_ reader: UpdateReader) { on { $0.cancel(reader) } }

    /// What a caller has in hand before its request has a stream.
    final class Ticket: Sendable {
        let isCancelled = Atomic(false)
    }

    private func on(_ body: @escaping @Sendable (LinkHandler) -> Void) { channel.eventLoop.execute { [handler] in body(handler.value) } }
}

final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    static let lost = ContexError(.unavailable, "The connection to the server was lost")
    private static let frameBytesMax = 256 << 10
    /// Answers are bounded by what the server makes.
    private static let messageBytesMax = 1 << 30
    /// An answer that the server owes by its deadline is waited for so much longer.
    private static let grace = TimeAmount.milliseconds(500)

    private struct Pending {
        enum Owner {
            case call(CheckedContinuation<[UInt8], any Error>)
            case subscription(UpdateReader)
        }
        let owner: Owner
        let ticket: ObjectIdentifier
        var deadline: Scheduled<Void>?
    }
    private struct Waiting {
        let operation: WireOperation
        let body: [UInt8]
        let end: NIODeadline?
        let ticket: ObjectIdentifier
        let continuation: CheckedContinuation<[UInt8], any Error>
    }

    private let configuration: ClientConfiguration
    private let greeted: EventLoopPromise<Void>
    weak var link: Link?
    private var context: ChannelHandlerContext?
    private var decoder = FrameDecoder(payloadMax: LinkHandler.frameBytesMax, expectingPreface: false)
    private var assembler = MessageAssembler(bytesMax: LinkHandler.messageBytesMax, partialMax: .max)
    private var isGreeted = false
    private var failure: (any Error)?
    private var lastStream: UInt32 = 0
    private var pending: [UInt32: Pending] = [:]
    private var streams: [ObjectIdentifier: UInt32] = [:]
    private var running = 0
    private var requestsMax = 1
    private var pieceBytes = 64 << 10
    /// Requests beyond what the server takes at once.
    private var waiting = CircularBuffer<Waiting>()
    private var pings = CircularBuffer<CheckedContinuation<Void, any Error>>()
    private var output: [UInt8] = []
    private var isFlushComing = false

    init(_ configuration: ClientConfiguration, _ greeted: EventLoopPromise<Void>) {
        self.configuration = configuration
        self.greeted = greeted
    }

    // MARK: - Coming and going

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        var hello = WireHello()
        (hello.versionMin, hello.versionMax, hello.apiKey, hello.client) = (1, 1, configuration.apiKey, configuration.name)
        (hello.features, hello.frameBytesMax) = (WireFeatures.halves.rawValue, UInt64(Self.frameBytesMax))
        output += Frame.preface
        Frame.append(.hello, stream: 0, hello.encoded[...], to: &output)
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        fail(failure ?? Self.lost)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? ContexError(.unavailable, "The connection to the server was lost: \(error)")
        context.close(promise: nil)
    }

    /// Everybody hears that it is over.
    private func fail(_ error: any Error) {
        failure = failure ?? error
        link?.retire()
        if !isGreeted { greeted.fail(error) }
        isGreeted = true
        let (all, queued, asked) = (pending.values, waiting, pings)
        (pending, streams, waiting, pings) = ([:], [:], CircularBuffer(), CircularBuffer())
        for one in all {
            one.deadline?.cancel()
            switch one.owner {
            case .call(let continuation): continuation.resume(throwing: error)
            case .subscription(let reader): reader.end(error)
            }
        }
        for one in queued { one.continuation.resume(throwing: error) }
        for one in asked { one.resume(throwing: error) }
    }

    // MARK: - Requests

    func ping(_ continuation: CheckedContinuation<Void, any Error>) {
        guard context != nil else { return continuation.resume(throwing: failure ?? Self.lost) }
        pings.append(continuation)
        Frame.append(.ping, stream: 0, [], to: &output)
        flushSoon()
    }

    func call(
        _ operation: WireOperation, _ body: [UInt8], within time: Duration?, _ ticket: Link.Ticket, _ continuation: CheckedContinuation<[UInt8], any Error>
    ) {
        let id = ObjectIdentifier(ticket)
        guard context != nil else { return continuation.resume(throwing: failure ?? Self.lost) }
        guard !ticket.isCancelled.load(ordering: .relaxed) else { return continuation.resume(throwing: CancellationError()) }
        let end = time.map { NIODeadline.now() + .nanoseconds(Int64(max(.zero, $0) / .nanoseconds(1))) }
        waiting.append(Waiting(operation: operation, body: body, end: end, ticket: id, continuation: continuation))
        startWaiting()
    }

    /// Sends what the server takes now.
    private func startWaiting() {
        while running < requestsMax, let next = waiting.popFirst() {
            let now = NIODeadline.now()
            if let end = next.end, end <= now {
                next.continuation.resume(throwing: ContexError(.deadlineExceeded, "The deadline has passed before the request was sent"))
                continue
            }
            guard let stream = nextStream() else {
                next.continuation.resume(throwing: Self.lost)
                continue
            }
            var one = Pending(owner: .call(next.continuation), ticket: next.ticket)
            var milliseconds: UInt64?
            if let end = next.end {
                let left = end - now
                milliseconds = UInt64(max(1, left.nanoseconds / 1_000_000))
                one.deadline = context?.eventLoop.assumeIsolated().scheduleTask(in: left + Self.grace) {
                    self.give(up: stream, ContexError(.deadlineExceeded, "The server did not answer by the deadline"))
                }
            }
            pending[stream] = one
            streams[next.ticket] = stream
            running += 1
            send(next.operation, next.body, milliseconds, stream)
        }
    }

    /// nil once there are no more: then another connection is made.
    private func nextStream() -> UInt32? {
        guard lastStream < .max else {
            context?.close(promise: nil)
            return nil
        }
        lastStream += 1
        return lastStream
    }

    private func send(_ operation: WireOperation, _ body: [UInt8], _ milliseconds: UInt64?, _ stream: UInt32) {
        Frame.append(
            message: WireRequest(operation, deadlineMilliseconds: milliseconds, body: body).encoded, .request, stream: stream, pieceBytes: pieceBytes,
            to: &output)
        flushSoon()
    }

    func cancel(_ ticket: Link.Ticket) {
        let id = ObjectIdentifier(ticket)
        if let stream = streams[id] { return give(up: stream, CancellationError()) }
        if let place = waiting.firstIndex(where: { $0.ticket == id }) { return waiting.remove(at: place).continuation.resume(throwing: CancellationError()) }
    }

    /// Its answer is not waited for.
    private func give(up stream: UInt32, _ error: any Error) {
        guard let one = end(stream) else { return }
        Frame.append(.cancel, stream: stream, [], to: &output)
        flushSoon()
        switch one.owner {
        case .call(let continuation): continuation.resume(throwing: error)
        case .subscription(let reader): reader.end(error)
        }
    }

    private func end(_ stream: UInt32) -> Pending? {
        guard let one = pending.removeValue(forKey: stream) else { return nil }
        one.deadline?.cancel()
        streams[one.ticket] = nil
        assembler.forget(stream)
        if case .call = one.owner {
            running -= 1
            startWaiting()
        }
        return one
    }

    // MARK: - Subscriptions

    func follow(_ operation: WireOperation, _ body: [UInt8], _ reader: UpdateReader) {
        guard context != nil, let stream = nextStream() else { return reader.end(failure ?? Self.lost) }
        pending[stream] = Pending(owner: .subscription(reader), ticket: ObjectIdentifier(reader))
        streams[ObjectIdentifier(reader)] = stream
        send(operation, body, nil, stream)
    }

    func credit(_ count: Int, _ reader: UpdateReader) {
        guard let stream = streams[ObjectIdentifier(reader)] else { return }
        Frame.append(.credit, stream: stream, WireCredit(updates: UInt64(count)).encoded[...], to: &output)
        flushSoon()
    }

    func cancel(_ reader: UpdateReader) {
        if let stream = streams[ObjectIdentifier(reader)] { give(up: stream, CancellationError()) }
    }

    // MARK: - Input

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        decoder.feed(unwrapInboundIn(data).readableBytesView)
        do throws(WireFault) {
            while let frame = try decoder.next() {
                if let whole = try assembler.take(frame) { try take(whole) }
            }
        } catch {
            failure = failure ?? error.contexError
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { flush() }

    private func take(_ frame: Frame) throws(WireFault) {
        switch frame.kind {
        case .welcome:
            let welcome = try WireWelcome(decoding: frame.payload)
            requestsMax = Int(clamping: max(1, welcome.requestsMax))
            pieceBytes = Int(clamping: min(64 << 10, max(1 << 10, welcome.frameBytesMax)))
            isGreeted = true
            greeted.succeed()
        case .pong: pings.popFirst()?.resume()
        case .ping: Frame.append(.pong, stream: 0, frame.payload[...], to: &output)
        case .answer:
            if frame.flags.contains(.open) {
                let opened = try WireOpened(decoding: frame.payload)
                if case .subscription(let reader)? = pending[frame.stream]?.owner { reader.open(at: opened.cursor) }
                return
            }
            guard let one = end(frame.stream) else { return }
            switch one.owner {
            case .call(let continuation): continuation.resume(returning: frame.payload)
            case .subscription(let reader): reader.end(Self.lost)
            }
        case .updates:
            guard case .subscription(let reader)? = pending[frame.stream]?.owner else { return }
            reader.put(try WireUpdates(decoding: frame.payload).updates)
        case .error:
            let error = try WireError(decoding: frame.payload).contexError
            guard frame.stream > 0 else {
                failure = failure ?? error
                context?.close(promise: nil)
                return
            }
            switch end(frame.stream)?.owner {
            case .call(let continuation)?: continuation.resume(throwing: error)
            case .subscription(let reader)?: reader.end(error)
            case nil: break
            }
        // What is asked from here on goes over another connection; what runs is answered.
        case .goodbye: link?.retire()
        case .hello, .request, .credit, .cancel: throw .misplaced(frame.kind)
        }
    }

    // MARK: - Output

    /// Once for all that is written in this turn of the loop.
    private func flushSoon() {
        guard !isFlushComing, let context else { return }
        isFlushComing = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushComing = false
            self.flush()
        }
    }

    private func flush() {
        guard !output.isEmpty, let context else { return }
        let buffer = context.channel.allocator.buffer(bytes: output)
        output.removeAll(keepingCapacity: output.capacity <= 256 << 10)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }
}
