// One HTTP connection. `APIHandler` has the rules; this handler has the socket, and what only a socket has: a body on its way,
// a client who leaves, a reader who stops reading. All of it runs on the connection's event loop but for the task of a request.
//
//              +-- refused by its head --> discarding --+
//     idle ----+                                        +--> answer --> idle, or leaving
//              +-- admitted --> receiving --> working --+--> upgraded: WebSocketConnection has it
//
// Input is asked for, never pushed: nothing is read while a body waits for memory, so what a connection holds beyond its leases is
// one read of the socket, at most four times 64 KiB. `HTTPServerPipelineHandler` before this one keeps requests that were sent ahead
// back until the answer is out.
//
// Cancellation. The task of a request is cancelled when the client has closed the connection: at once when the socket is gone, after
// a moment when only its sending side is, since some clients send, close that side, and wait. A stop lets running requests finish;
// when the time for that is over, it closes the connections, which is the same as if the clients had left.
//
// An answer that was begun and cannot be finished ends in a reset of the connection, so that no client takes it for a whole one.

internal import Base
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTP2
internal import Service
internal import TLS

#if canImport(Glibc)
internal import Glibc
#endif

final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What all connections of a server have in common.
    struct House: Sendable {
        let handler: APIHandler
        let configuration: HTTPAPIConfiguration
        let memory: InflightMemory
        let connections: HTTPConnections
        let running: RunningRequests
        let heavy: any TaskExecutor
        let finishers = Finishers(max: 2)
        let date = DateText()
    }

    enum Event: Sendable {
        /// Whether the body of this exchange got the memory that it waited for.
        case memory(isGranted: Bool, exchange: Int)
        case answer(APIAnswer, exchange: Int, MemoryLease)
        /// The task has written an answer, or a part of one.
        case sent(isWhole: Bool, exchange: Int)
        /// The server stops: no further request, and bodies that are still on their way have a moment.
        case stop
        /// The time to finish is over.
        case cut
    }

    private enum Phase {
        case idle
        case receiving(RequestArrival)
        /// A refused body: read and thrown away, so that a client which sends first and listens then gets its answer.
        case discarding(APIHandler.KnownAnswer, count: Int, BodyPace)
        case working(Task<Void, Never>)
        /// The connection speaks WebSocket; another handler has it.
        case upgraded
        /// It speaks HTTP/2: its streams have the requests, and this has its place among the connections.
        case divided
        /// Everything is said; the client has a moment to read it.
        case leaving
        case closed
    }

    /// The request at hand, as far as its answer depends on it.
    private struct Exchange {
        var number = 0
        var method = HTTPMethod.GET
        var version = HTTPVersion.http1_1
        /// No further request on this connection.
        var isLast = false
        var isReceived = true
        var isCounted = false
    }

    /// Bytes of a refused body that are read; after that the answer is given anyway, and the rest is not waited for.
    private static let discardedBytesMax = 64 << 20
    /// Answers up to this size are written at once, larger ones piece by piece as the client reads.
    private static let pieceBytes = 128 << 10
    /// How long a client may take to read our last words.
    private static let farewell = TimeAmount.seconds(2)
    /// What is left of a body when the server is told to stop has this long to come.
    private static let graceAtShutdown = TimeAmount.seconds(3)
    /// A client that has closed its sending side only gets what is answered within this.
    private static let graceAtHalfClose = TimeAmount.milliseconds(500)

    private let house: House
    private enum Footing {
        /// A socket without TLS.
        case plain
        /// A socket with TLS: who is at the other end, as far as it has shown.
        case secure(TLSPeer)
        /// A stream of HTTP/2, with the names of the client's certificate.
        case stream([String])
    }
    private let footing: Footing
    /// Handlers of HTTP/1.1 stand before this one: what comes are requests.
    private var hearsRequests: Bool
    private var address = "local"
    private var phase = Phase.idle
    private var exchange = Exchange()
    /// Parts that came while the body waits for memory.
    private var held: [HTTPServerRequestPart] = []
    private var waiting: (ticket: ByteBudget.Ticket, since: ContinuousClock.Instant)?
    /// Its body gets the memory that it needs.
    private var isFinisher = false
    private var isStopping = false
    /// When something was last read, or taken by the client.
    private var lastMove = NIODeadline.now()
    private var unsentWrites = 0
    private var idleCheck: Scheduled<Void>?
    private var deadline: Scheduled<Void>?

    init(_ house: House, _ peer: TLSPeer? = nil) {
        self.house = house
        footing = peer.map { .secure($0) } ?? .plain
        hearsRequests = peer == nil
    }

    init(_ house: House, ofStreamWith names: [String]) {
        self.house = house
        footing = .stream(names)
        hearsRequests = true
    }

    // MARK: - Coming and going

    func channelActive(context: ChannelHandlerContext) {
        address = context.channel.remoteAddress?.ipAddress ?? "local"
        guard house.connections.admit(context.channel, address) else {
            phase = .closed
            return turnAway(context)
        }
        lastMove = .now()
        checkIdle(context, in: stallTime)
        context.fireChannelActive()
        context.read()
    }

    /// There is no request that this would answer, so it goes past the handlers that hold answers against requests.
    private func turnAway(_ context: ChannelHandlerContext) {
        if case .stream = footing { return context.close(promise: nil) }
        let answer = house.handler.refuseUnread(.limited, "Too many connections from your address, or the server is stopping: close some, or use them again")
        let buffer = context.channel.allocator.buffer(bytes: Self.bytes(of: answer, "Too Many Requests"))
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        // With TLS there is no encoder yet, and the handshake has to go on for the client to hear of this.
        if case .secure = footing { try? context.channel.syncOptions?.setOption(.autoRead, value: true) }
        if let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self) {
            encoder.writeAndFlush(NIOAny(IOData.byteBuffer(buffer)), promise: written)
        } else {
            context.writeAndFlush(NIOAny(buffer), promise: written)
        }
    }

    /// An answer for whoever has no pipeline.
    private static func bytes(of answer: APIAnswer, _ reason: String) -> [UInt8] {
        var text = "HTTP/1.1 \(answer.status) \(reason)\r\nConnection: close\r\nContent-Length: \(answer.body.count)\r\n"
        for (name, value) in answer.headers { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8) + answer.body
    }

    /// What somebody gets who speaks HTTP where TLS is expected.
    static func plainWords(_ handler: APIHandler) -> [UInt8] {
        bytes(of: handler.refuseUnread(.bodyUnreadable, "This port speaks TLS: the address begins with https://"), "Bad Request")
    }

    func channelInactive(context: ChannelHandlerContext) {
        let before = phase
        phase = .closed
        if case .working(let task) = before { task.cancel() }
        endExchange()
        held = []
        idleCheck?.cancel()
        deadline?.cancel()
        house.connections.remove(context.channel, address)
        context.fireChannelInactive()
    }

    private func endExchange() {
        if let waiting { house.memory.arriving.withdraw(waiting.ticket) }
        waiting = nil
        endArrival()
        if exchange.isCounted { house.running.leave() }
        exchange.isCounted = false
    }

    /// The body is there, or will not come.
    private func endArrival() {
        if isFinisher { house.finishers.leave(address) }
        isFinisher = false
    }

    private func close(_ context: ChannelHandlerContext) {
        if case .closed = phase { return }
        context.close(promise: nil)
    }

    /// So that the peer hears an error where it waits for the rest of an answer.
    private func reset(_ context: ChannelHandlerContext) {
        guard let socket = context.channel as? any SocketOptionProvider else { return close(context) }
        socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).assumeIsolated().whenComplete { _ in self.close(context) }
    }

    /// Ends the connection once what was said is sent. A peer that is still sending would lose our last words to the reset that
    /// closing then means, so only our side is closed until it closes too.
    private func leave(_ context: ChannelHandlerContext) {
        guard case .leaving = phase else { return }
        if exchange.isReceived { return close(context) }
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.farewell) { self.close(context) }
        context.close(mode: .output, promise: nil)
        context.read()
    }

    /// How long nothing may be taken of an answer.
    private var stallTime: TimeAmount { TimeAmount(min(house.configuration.stallTimeout, house.configuration.idleTimeout)) }

    /// A connection on which nothing moves for so long is closed, except while a request is worked on; and sooner when its client takes nothing of
    /// what was written.
    private func checkIdle(_ context: ChannelHandlerContext, in time: TimeAmount) {
        idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let (idle, stall) = (TimeAmount(self.house.configuration.idleTimeout), self.stallTime)
            let left = self.lastMove + (self.unsentWrites > 0 ? stall : idle) - .now()
            let isOurTurn: Bool =
                switch self.phase {
                case .working, .upgraded: self.unsentWrites == 0
                // The management of HTTP/2 knows when nothing goes on.
                case .divided: true
                case .closed: true
                default: self.waiting != nil
                }
            guard isOurTurn || left > .zero else { return self.unsentWrites > 0 ? self.cutStalled(context) : self.close(context) }
            self.checkIdle(context, in: isOurTurn ? stall : min(left, stall))
        }
    }

    /// A stream of HTTP/2 is reset alone when it has no window. When its connection takes nothing either, what was framed for it would wait there
    /// uncounted: then all of it goes.
    private func cutStalled(_ context: ChannelHandlerContext) {
        house.handler.logger.debug("an answer was cut: its client takes nothing of it", metadata: ["address": "\(address)"])
        if case .stream = footing, let parent = context.channel.parent, !parent.isWritable { parent.pipeline.fireUserInboundEventTriggered(Event.cut) }
        reset(context)
    }

    // MARK: - Input

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastMove = .now()
        // Else frames of the connection itself, or bytes for whoever was turned away.
        guard hearsRequests else { return }
        let part = unwrapInboundIn(data)
        if waiting != nil { held.append(part) } else { take(part, context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if waiting == nil, !isClosed { context.read() }
        context.fireChannelReadComplete()
    }

    private var isClosed: Bool { if case .closed = phase { true } else { false } }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (part, phase) {
        case (.head(let head), .idle): begin(head, context)
        case (.body(let buffer), .receiving(let arrival)): receive(buffer, arrival, context)
        case (.end, .receiving(let arrival)):
            exchange.isReceived = true
            endArrival()
            work(on: arrival, context)
        case (.body(let buffer), .discarding(let answer, let count, let pace)):
            discard(buffer, answer, count, pace, context)
        case (.end, .discarding(let answer, _, _)):
            exchange.isReceived = true
            say(answer, context)
        case (.end, .leaving): exchange.isReceived = true
        default: break
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        // HTTP/1.0 ends with the answer, knows no answer before the answer, and need not name the server: then it is the one that it has found.
        let isOld = head.version.major < 2 && head.version != .http1_1
        exchange = Exchange(
            number: exchange.number + 1, method: head.method, version: head.version,
            // The decoder takes nothing after a request that asks for another protocol.
            isLast: isStopping || !head.isKeepAlive || head.version != .http1_1 || head.headers.contains(name: "Upgrade")
                // Behind it the parser expects a tunnel and reads no request any more.
                || head.method == .CONNECT, isReceived: false)
        var headers = head.headers.map { (name: $0.name, value: $0.value) }
        if isOld, !head.headers.contains(name: "Host"), let address = context.channel.localAddress?.ipAddress {
            headers.append(("Host", address.contains(":") ? "[\(address)]" : address))
        }
        let request = APIRequest(
            method: head.method.rawValue, target: head.uri, headers: headers, address: context.channel.remoteAddress?.ipAddress,
            scheme: isSecure ? "https" : "http", certificate: certificate)
        let pace = BodyPace(house.configuration)
        let asksFirst = !isOld && head.headers.first(name: "Expect")?.lowercased() == "100-continue"
        // It takes its place when it is there: who sends slowly is in nobody's way.
        switch house.running.hasRoom ? house.handler.examine(request) : .answered(house.handler.refuseBusy(request)) {
        case .admitted(let admitted):
            let announced = request.announcedBytes
            let lease = MemoryLease(of: house.memory.arriving, address: admitted.address, key: admitted.keyID, expecting: announced ?? 0)
            phase = .receiving(RequestArrival(of: admitted, announced: announced, lease, bytesMax: house.configuration.bodyBytesMax, pace: pace))
            if asksFirst {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: exchange.version, status: .continue))), promise: nil)
            }
        case .answered(let answer) where asksFirst || request.announcedBytes ?? 0 > Self.discardedBytesMax:
            // Whoever waits for our word before sending has not sent anything, and may not; who announces more than would be read to its end is
            // told at once.
            exchange.isLast = true
            say(answer, context)
        case .answered(let answer): phase = .discarding(answer, count: 0, pace)
        }
    }

    private var isSecure: Bool { if case .plain = footing { false } else { true } }

    private var certificate: [String] {
        switch footing {
        case .plain: []
        case .secure(let peer): peer.names
        case .stream(let names): names
        }
    }

    /// Meter and audit hear of a refusal before the client does.
    private func say(_ known: APIHandler.KnownAnswer, _ context: ChannelHandlerContext) {
        let (house, channel, number) = (house, context.channel, exchange.number)
        let lease = MemoryLease(of: house.memory.working, address: nil, key: nil)
        phase = .working(
            Task {
                let answer = await house.handler.said(known)
                channel.pipeline.fireUserInboundEventTriggered(Event.answer(answer, exchange: number, lease))
            })
    }

    private func receive(_ buffer: ByteBuffer, _ arrival: RequestArrival, _ context: ChannelHandlerContext) {
        let needed = arrival.needed(for: buffer)
        if needed > 0, isFinisher {
            arrival.lease.settle(at: arrival.lease.held + needed)
        } else if needed > 0 {
            let (number, channel) = (exchange.number, context.channel)
            let outcome = house.memory.arriving.ask(needed, for: arrival.lease, within: house.configuration.memoryWait) { isGranted in
                channel.pipeline.fireUserInboundEventTriggered(Event.memory(isGranted: isGranted, exchange: number))
            }
            switch outcome {
            case .granted: break
            case .waiting(let ticket):
                waiting = (ticket, .now)
                held.append(.body(buffer))
                isFinisher = house.finishers.enter(address)
                // Its turn comes as if it were granted.
                if isFinisher { house.memory.arriving.withdraw(ticket) }
                return
            case .refused:
                phase = .discarding(house.handler.refuse(arrival.admitted, MemoryGate.full), count: arrival.count, BodyPace(house.configuration))
                return take(.body(buffer), context)
            }
        }
        switch arrival.take(buffer) {
        case .onward: break
        case .tooSlow: close(context)
        case .tooLarge:
            phase = .discarding(house.handler.refuseBody(of: arrival.admitted), count: arrival.count, BodyPace(house.configuration))
        }
    }

    private func memoryCame(_ isGranted: Bool, _ context: ChannelHandlerContext) {
        guard let since = waiting?.since, case .receiving(let arrival) = phase else { return }
        waiting = nil
        lastMove = .now()
        arrival.excuse(.now - since)
        if !isGranted, !isFinisher {
            phase = .discarding(house.handler.refuse(arrival.admitted, MemoryGate.full), count: arrival.count, BodyPace(house.configuration))
        }
        var parts = held[...]
        held = []
        while waiting == nil, let part = parts.popFirst() { take(part, context) }
        held += parts
        if waiting == nil, !isClosed { context.read() }
    }

    private func discard(_ buffer: ByteBuffer, _ answer: APIHandler.KnownAnswer, _ count: Int, _ pace: BodyPace, _ context: ChannelHandlerContext) {
        let count = count + buffer.readableBytes
        guard pace.bears(count) else { return close(context) }
        if count > Self.discardedBytesMax {
            exchange.isLast = true
            return say(answer, context)
        }
        phase = .discarding(answer, count: count, pace)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // One stream's fault is no other's.
        if case .divided = phase, error is NIOHTTP2Errors.StreamError { return }
        guard let error = error as? HTTPParserError else { return close(context) }
        if isClosed || error == .invalidEOFState { return close(context) }
        switch phase {
        case .working, .leaving:
            // An answer is under way, and the last one.
            exchange.isLast = true
            return
        default: break
        }
        endExchange()
        held = []
        exchange.isLast = true
        exchange.isReceived = false
        switch error {
        case .headerOverflow: write(house.handler.refuseUnread(.headersTooLarge, "The headers of a request are too long or too many"), context)
        default: write(house.handler.refuseUnread(.bodyUnreadable, "This is no HTTP request that can be read"), context)
        }
    }

    // MARK: - Work

    private func work(on arrival: RequestArrival, _ context: ChannelHandlerContext) {
        let admitted = arrival.admitted
        exchange.isCounted = house.running.enter()
        guard exchange.isCounted else { return say(house.handler.refuseBusy(admitted.request), context) }
        let bytes = RequestBytes(arrival.finish())
        let job = Job(
            house: house, channel: context.channel, exchange: exchange, admitted: admitted, body: bytes,
            memory: RequestMemory(arriving: arrival.lease, of: admitted, house.memory))
        // What is packed may be any size.
        let isHeavy = bytes.count > Limits.lightBytes || admitted.route.isHeavy || admitted.request.header("Content-Encoding") != nil
        phase = .working(Task(executorPreference: isHeavy ? house.heavy : nil) { await job.run() })
    }

    /// What the task of a request does, away from the event loop.
    private struct Job: Sendable {
        let house: House
        let channel: any Channel
        let exchange: Exchange
        let admitted: APIHandler.AdmittedRequest
        let body: RequestBytes
        let memory: RequestMemory

        func run() async {
            let answer = await house.handler.answer(
                admitted, body: body, memory: memory, place: RequestPlace(house.running, memory.working))
            let isAtOnce: Bool =
                switch answer.content {
                case .bytes(let bytes): bytes.count <= pieceBytes || exchange.method == .HEAD
                case .stream: exchange.method == .HEAD
                case .upgrade: true
                }
            if isAtOnce {
                memory.finishWork()
                channel.pipeline.fireUserInboundEventTriggered(Event.answer(answer, exchange: exchange.number, memory.answering))
            } else {
                let isWhole = await send(answer)
                channel.pipeline.fireUserInboundEventTriggered(Event.sent(isWhole: isWhole, exchange: exchange.number))
            }
        }

        /// Writes an answer piece by piece, each when the client has taken the one before: what waits here is one piece. While it waits for the
        /// client, the request has no place among those that are worked on.
        private func send(_ answer: APIAnswer) async -> Bool {
            do {
                memory.finishWork()
                try await unplaced { try await channel.writeAndFlush(HTTPServerResponsePart.head(head(of: answer, exchange, house))) }
                switch answer.content {
                case .bytes(let bytes): try await unplaced { try await write(bytes) }
                case .stream(let stream):
                    if let place = stream.place { return try await follow(stream, place) }
                    for try await bytes in stream {
                        try Task.checkCancellation()
                        // One item may be larger than what a piece is taken to be.
                        memory.answering.settle(at: max(bytes.count, memory.answering.held))
                        try await unplaced { try await write(bytes) }
                    }
                case .upgrade: break
                }
                return true
            } catch {
                if !(error is ChannelError), !(error is IOError), !Task.isCancelled {
                    house.handler.logger.warning("an answer was broken off", metadata: ["request": "\(admitted.requestID)", "error": "\(error)"])
                }
                return false
            }
        }

        private func unplaced(_ wait: () async throws -> Void) async throws {
            house.running.leave()
            defer { house.running.comeBack() }
            try await wait()
        }

        /// Mostly this waits: it gives its place among the requests that are worked on back, and holds the memory of what is on its way.
        private func follow(_ stream: AnswerStream, _ place: StreamPlace) async throws -> Bool {
            house.running.leave()
            defer { house.running.comeBack() }
            place.onCut { [logger = house.handler.logger, requestID = admitted.requestID] in
                logger.warning("a stream was cut: it is read slower than it grows", metadata: ["request": "\(requestID)"])
                channel.pipeline.fireUserInboundEventTriggered(Event.cut)
            }
            memory.finishWork(holding: RequestPlace.waitingBytes)
            for try await bytes in stream {
                try Task.checkCancellation()
                place.setUnsent(bytes.count)
                memory.working.settle(at: max(bytes.count, RequestPlace.waitingBytes))
                try await write(bytes)
                place.setUnsent(0)
                memory.working.settle(at: RequestPlace.waitingBytes)
            }
            return true
        }

        private func write(_ bytes: [UInt8]) async throws {
            for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
                let piece = channel.allocator.buffer(bytes: bytes[start..<min(start + pieceBytes, bytes.count)])
                try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(piece)))
            }
        }
    }

    // MARK: - Output

    /// Counts what the client has not taken yet: of the task's writes, which pass through here.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let promise = promise ?? context.eventLoop.makePromise()
        countWrite(promise.futureResult)
        context.write(data, promise: promise)
    }

    private func countWrite(_ done: EventLoopFuture<Void>) {
        if unsentWrites == 0 { lastMove = .now() }
        unsentWrites += 1
        done.assumeIsolated().whenComplete { _ in
            self.unsentWrites -= 1
            self.lastMove = .now()
        }
    }

    private static func head(of answer: APIAnswer, _ exchange: Exchange, _ house: House) -> HTTPResponseHead {
        var headers = HTTPHeaders(answer.headers.map { ($0.name, $0.value) })
        if case .bytes(let bytes) = answer.content, answer.status != 204, answer.status != 304, !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: String(bytes.count))
        }
        headers.add(name: "Date", value: house.date.now())
        if exchange.isLast, exchange.version.major < 2, answer.status != 101 { headers.add(name: "Connection", value: "close") }
        // Who speaks HTTP/1.0 knows no pieces: a stream to him ends with the connection.
        var version = HTTPVersion.http1_1
        if case .stream = answer.content { version = exchange.version }
        return HTTPResponseHead(version: version, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
    }

    /// Writes an answer at once, and the end of it.
    private func write(_ answer: APIAnswer, _ context: ChannelHandlerContext, holding lease: MemoryLease? = nil) {
        context.write(wrapOutboundOut(.head(Self.head(of: answer, exchange, house))), promise: nil)
        if exchange.method != .HEAD, case .bytes(let bytes) = answer.content, !bytes.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: nil)
        }
        end(context, holding: lease)
    }

    private func end(_ context: ChannelHandlerContext, holding lease: MemoryLease? = nil) {
        endExchange()
        let isLast = exchange.isLast || isStopping
        // Before the end is written: with it comes a request that was sent ahead.
        phase = isLast ? .leaving : .idle
        let done = context.eventLoop.makePromise(of: Void.self)
        countWrite(done.futureResult)
        done.futureResult.assumeIsolated().whenComplete { _ in
            _ = lease
            if isLast { self.leave(context) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
    }

    // MARK: - Events

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as Event: carryOut(event, context)
        case is TLSPeerShown: choose(context)
        case ChannelEvent.inputClosed:
            inputClosed(context)
            context.fireUserInboundEventTriggered(event)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// TLS has told which version of HTTP the client wants to speak.
    private func choose(_ context: ChannelHandlerContext) {
        guard case .secure(let peer) = footing, case .idle = phase else { return }
        lastMove = .now()
        do {
            if peer.chosenProtocol == "h2" {
                phase = .divided
                try HTTPVersions.speakTwo(context.channel, before: self, house, names: peer.names)
                if isStopping { context.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
            } else {
                try HTTPVersions.speakOne(context.pipeline.syncOperations, before: self, house)
                hearsRequests = true
            }
        } catch {
            close(context)
        }
    }

    private func carryOut(_ event: Event, _ context: ChannelHandlerContext) {
        switch event {
        case .memory(let isGranted, let number):
            if number == exchange.number { memoryCame(isGranted, context) }
        case .answer(let answer, let number, let lease):
            guard number == exchange.number, case .working = phase else { return }
            if case .upgrade(let opening) = answer.content { upgrade(to: opening, answer, context) } else { write(answer, context, holding: lease) }
        case .sent(let isWhole, let number):
            guard number == exchange.number, case .working = phase else { return }
            isWhole ? end(context) : reset(context)
        case .stop:
            isStopping = true
            exchange.isLast = true
            switch phase {
            case .idle: close(context)
            case .receiving, .discarding:
                deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.graceAtShutdown) {
                    switch self.phase {
                    case .receiving, .discarding: self.close(context)
                    default: break
                    }
                }
            case .divided: context.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            case .working, .upgraded, .leaving, .closed: break
            }
        case .cut: if case .divided = phase { reset(context) } else { close(context) }
        }
    }

    /// The client sends nothing more.
    private func inputClosed(_ context: ChannelHandlerContext) {
        exchange.isLast = true
        switch phase {
        case .idle, .receiving, .discarding, .leaving: close(context)
        case .working(let task):
            deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.graceAtHalfClose) { task.cancel() }
        case .divided: close(context)
        case .upgraded, .closed: break
        }
    }

    // MARK: - WebSocket

    /// Says that the protocol changes, takes HTTP's handlers out, and puts the socket's in. This one stays behind them: it has the place of
    /// the connection.
    private func upgrade(to opening: SocketOpening, _ answer: APIAnswer, _ context: ChannelHandlerContext) {
        endExchange()
        phase = .upgraded
        opening.headers(on: context.channel).assumeIsolated().whenComplete { outcome in
            do {
                var head = Self.head(of: answer, self.exchange, self.house)
                head.headers.add(contentsOf: try outcome.get())
                context.write(self.wrapOutboundOut(.head(head)), promise: nil)
                context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
                let pipeline = context.pipeline.syncOperations
                for handler in [
                    try pipeline.context(handlerType: HTTPServerPipelineHandler.self),
                    try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self),
                    try pipeline.context(handlerType: NIOHTTPResponseHeadersValidator.self), try pipeline.context(handlerType: HTTPResponseEncoder.self),
                ] { pipeline.removeHandler(context: handler, promise: nil) }
                try pipeline.addHandlers(opening.handlers(self.house.handler), position: .before(self))
                // A stop that was told meanwhile.
                if self.isStopping { context.pipeline.fireUserInboundEventTriggered(Event.stop) }
            } catch {
                self.house.handler.logger.error("a connection could not become a WebSocket", metadata: ["error": "\(error)"])
                self.close(context)
            }
        }
    }
}
