// One connection of the binary protocol. All of it runs on the connection's event loop but for the tasks of requests and subscriptions.
//
//     socket --> frames --> messages --+--> ping: answered here
//                                      +--> request --> task --> Service --> box --> outgoing --> socket
//                                      +--> subscription --> task --> inbox, log ---^      (a page at a time, as far as its credit goes)
//                                      +--> credit, cancel --> the stream's task
//
// Streams. A request opens one with a number above all before. It ends with exactly one ANSWER that is not open, or one ERROR; what a task says
// after that is dropped. A task counts as running until it has ended, whether or not its stream has: who cancels quickly gains nothing.
//
// Input is asked for, never pushed: nothing is read while a message waits for memory, or while more than `backlogBytes` or `backlogMessages`
// wait to be taken by the client. Output goes out in pieces, a piece of each message in turn, so that a large answer keeps no small one waiting. A client that
// takes nothing for `stallSeconds` is cut.

internal import Access
internal import Base
internal import Codings
internal import DequeModule
internal import Engine
internal import Logging
internal import NIOCore
internal import Service
internal import Synchronization
internal import TLS
internal import Wire

final class WireConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What all connections of a server have in common.
    struct House: Sendable {
        let operations: Operations
        let configuration: WireServerConfiguration
        let connections: WireConnections
        let logger: Logger
        let packer = FramePacker()
        var bounds: WireServerConfiguration.Bounds { configuration.bounds }
    }

    /// What is said to a connection from outside its event loop.
    enum Event: Sendable {
        /// The box has filled.
        case deliveries
        /// Whether a message that is on its way got the memory that it waited for.
        case memory(isGranted: Bool)
        /// A key or a role has changed.
        case keysChanged
        /// The server stops: no further request, and subscriptions end.
        case stop
        /// The time to finish is over.
        case cut
    }

    private enum Phase {
        case greeting, open, stopping
        /// What came is refused, and will be told so: nothing more is heard.
        case refusing
        case leaving, closed
        var isDeaf: Bool { self == .refusing || self == .leaving || self == .closed }
    }

    private struct Stream {
        let task: Task<Void, Never>
        /// Of a subscription.
        var credit: Credit?
        var deadline: Scheduled<Void>?
    }

    /// A message on its way out.
    private struct Outgoing {
        let message: AnswerBox.Message
        var sent = 0
    }

    static let version: UInt64 = 1
    /// Bytes of a frame before the client has said who it is.
    private static let greetingBytesMax = 8 << 10
    private static let pingBytesMax = 64
    /// Of an outgoing message, at a time.
    private static let pieceBytesMax = 64 << 10
    private static let pieceBytesMin = 1 << 10
    /// Bytes that the kernel and NIO have at a time.
    private static let unsentBytesMax = 256 << 10
    private static let backlogBytes = 1 << 20
    /// Messages that wait to be sent; what they hold is counted where memory is.
    private static let backlogMessages = 1_024
    /// What comes is counted from here on.
    private static let countedBytes = 4 << 10
    /// How long a peer may take to read our last words.
    private static let farewell = TimeAmount.seconds(2)

    private let house: House
    private let box: AnswerBox
    private let address: String
    /// Who is at the other end, as far as TLS has shown it.
    private let peer: TLSPeer?
    private var caller: Caller
    private var keyID: String?
    private var phase = Phase.greeting
    private var decoder: FrameDecoder
    private var assembler: MessageAssembler
    private var features = WireFeatures()
    private var pieceBytes = WireConnection.pieceBytesMax

    private var streams: [UInt32: Stream] = [:]
    private var lastStream: UInt32 = 0
    /// Tasks that have not ended, with and without a stream that is open.
    private var running = 0
    private var subscriptions = 0
    private var subscriptionStreams: Set<UInt32> = []
    /// Streams of messages that came in part and were refused.
    private var discarded: Set<UInt32> = []

    /// For messages on their way; nil while they are short.
    private var arriving: MemoryLease?
    private var isWaitingForMemory = false
    private var mustRead = false

    private var outgoing: Deque<Outgoing> = []
    private var output: [UInt8] = []
    private var unsentBytes = 0
    private var lastMove = NIODeadline.now()
    /// When the message began that has not come to its end.
    private var partialSince: NIODeadline?
    private var stallCheck: Scheduled<Void>?
    private var greetingDeadline: Scheduled<Void>?
    private var farewellDeadline: Scheduled<Void>?

    init(_ house: House, _ channel: any Channel, _ peer: TLSPeer? = nil) {
        self.house = house
        self.peer = peer
        box = AnswerBox(channel)
        address = channel.remoteAddress?.ipAddress ?? "local"
        caller = Caller(apiKey: nil, address: channel.remoteAddress?.ipAddress, requestID: "wire", client: nil, method: "WIRE")
        decoder = FrameDecoder(payloadMax: Self.greetingBytesMax, expectingPreface: true)
        assembler = MessageAssembler(bytesMax: house.configuration.messageBytesMax, partialMax: house.bounds.partialMessagesMax)
    }

    /// What somebody gets who speaks the protocol where TLS is expected.
    @Sendable static func plainWords() -> [UInt8] {
        var bytes: [UInt8] = []
        Frame.append(.error, stream: 0, WireError(ContexError(.protocolBroken, "This port speaks TLS")).encoded[...], to: &bytes)
        return bytes
    }

    // MARK: - Coming and going

    func channelActive(context: ChannelHandlerContext) {
        if let refusal = house.connections.admit(context.channel, address) {
            refuse(ContexError(.limited, refusal), context)
        } else {
            let allowed = TimeAmount.seconds(Int64(house.bounds.greetingSeconds))
            greetingDeadline = context.eventLoop.assumeIsolated().scheduleTask(in: allowed) {
                guard case .greeting = self.phase else { return }
                self.end(ContexError(.deadlineExceeded, "HELLO has not come within \(self.house.bounds.greetingSeconds) s"), context)
            }
        }
        context.fireChannelActive()
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closed
        house.connections.remove(context.channel)
        for stream in streams.values {
            stream.deadline?.cancel()
            stream.task.cancel()
        }
        streams = [:]
        box.close()
        for message in outgoing { message.message.done?() }
        outgoing = []
        arriving = nil
        for timer in [stallCheck, greetingDeadline, farewellDeadline] { timer?.cancel() }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Says why, and ends the connection: for what came the client has no stream.
    private func end(_ error: ContexError, _ context: ChannelHandlerContext) {
        switch phase {
        case .leaving, .closed: return
        default: break
        }
        for stream in streams.values {
            stream.deadline?.cancel()
            stream.task.cancel()
        }
        streams = [:]
        Frame.append(.error, stream: 0, WireError(error).encoded[...], to: &output)
        leave(context)
    }

    /// The same when meter and audit have to hear of it first.
    private func refuse(_ refusal: ContexError, _ context: ChannelHandlerContext) {
        guard !phase.isDeaf else { return }
        phase = .refusing
        let (operations, caller) = (house.operations, caller)
        let promise = context.eventLoop.makePromise(of: ContexError.self)
        promise.completeWithTask { await operations.refuse(nil, by: caller, refusal) }
        promise.futureResult.assumeIsolated().whenSuccess { self.end($0, context) }
    }

    /// Ends the connection once what was said is sent. A peer that is still sending would lose our last words to the reset that closing then
    /// means, so only our side is closed until it closes too.
    private func leave(_ context: ChannelHandlerContext) {
        guard phase != .leaving, phase != .closed else { return }
        writeOutput(context)
        phase = .leaving
        farewellDeadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.farewell) { context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            guard self.phase == .leaving else { return }
            context.close(mode: .output, promise: nil)
        }
        context.read()
    }

    // MARK: - Input

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !phase.isDeaf else { return }
        let buffer = unwrapInboundIn(data)
        decoder.feed(buffer.readableBytesView)
        do throws(WireFault) {
            while !phase.isDeaf, let come = try decoder.next() {
                let frame = try come.unpacked(most: decoder.payloadMax) { try? Zstandard.decompress($0, byteCount: $1) }
                // A message has come to its end.
                if !frame.flags.contains(.more), frame.kind != .ping || assembler.bufferedBytes == 0 { partialSince = nil }
                try take(frame, context)
            }
        } catch {
            house.logger.debug("not the binary protocol", metadata: ["address": "\(address)", "error": "\(error)"])
            refuse(error.contexError, context)
        }
        countArriving(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pump(context)
        readOn(context)
        context.fireChannelReadComplete()
    }

    private func readOn(_ context: ChannelHandlerContext) {
        if phase.isDeaf { return context.read() }
        mustRead = isWaitingForMemory || unsentBytes > Self.backlogBytes || outgoing.count > Self.backlogMessages
        if !mustRead { context.read() }
    }

    /// Asks for the memory of what has come of messages that are not whole, which is HTTP's memory for bodies too.
    private func countArriving(_ context: ChannelHandlerContext) {
        let bytes = assembler.bufferedBytes + decoder.bufferedBytes
        if bytes == 0 {
            partialSince = nil
        } else if partialSince == nil {
            partialSince = .now()
            checkStall(context)
        }
        guard bytes >= Self.countedBytes else { return arriving?.shrink(to: bytes) ?? () }
        let lease = arriving ?? MemoryLease(of: house.operations.memory.arriving, address: caller.address, key: keyID)
        arriving = lease
        guard bytes > lease.held else { return lease.shrink(to: bytes) }
        guard !isWaitingForMemory else { return }
        let channel = context.channel
        let outcome = house.operations.memory.arriving.ask(bytes - lease.held + Self.pieceBytesMax, for: lease, within: house.bounds.memoryWait) { isGranted in
            channel.pipeline.fireUserInboundEventTriggered(Event.memory(isGranted: isGranted))
        }
        switch outcome {
        case .granted: break
        case .waiting: isWaitingForMemory = true
        case .refused: refusePartial(context)
        }
    }

    /// What is on its way and has no room is refused, and thrown away as it comes.
    private func refusePartial(_ context: ChannelHandlerContext) {
        for stream in Array(assembler.streams) {
            assembler.forget(stream)
            discarded.insert(stream)
            append(.error, stream: stream, WireError(MemoryGate.full).encoded)
        }
        arriving?.settle(at: decoder.bufferedBytes)
    }

    private func take(_ frame: Frame, _ context: ChannelHandlerContext) throws(WireFault) {
        if case .greeting = phase {
            guard frame.kind == .hello else { throw .misplaced(frame.kind) }
            return greet(try WireHello(decoding: frame.payload), context)
        }
        switch frame.kind {
        case .ping:
            guard frame.payload.count <= Self.pingBytesMax else { throw .frameTooLarge(bytes: frame.payload.count, most: Self.pingBytesMax) }
            Frame.append(.pong, stream: 0, frame.payload[...], to: &output)
            if output.count >= Self.pieceBytesMax { writeOutput(context) }
        case .request: try take(request: frame, context)
        case .credit:
            guard frame.stream <= lastStream else { throw .misplaced(.credit) }
            streams[frame.stream]?.credit?.add(try WireCredit(decoding: frame.payload).updates)
        case .cancel:
            guard frame.stream <= lastStream else { throw .misplaced(.cancel) }
            assembler.forget(frame.stream)
            finish(frame.stream, ContexError(.cancelled, "The request was cancelled"))
        // The client says that it leaves, and asks for nothing more.
        case .goodbye: stop(context)
        case .pong: break
        case .hello, .welcome, .answer, .updates, .error: throw .misplaced(frame.kind)
        }
    }

    private func greet(_ hello: WireHello, _ context: ChannelHandlerContext) {
        greetingDeadline?.cancel()
        caller = Caller(
            apiKey: hello.apiKey, address: caller.address, requestID: "wire", client: hello.client.isEmpty ? nil : String(hello.client.prefix(200)),
            method: "WIRE", certificate: peer?.names ?? [])
        guard hello.versionMin <= Self.version, hello.versionMax >= Self.version else {
            return refuse(
                ContexError(
                    .versionUnsupported, "This server speaks version \(Self.version) of the protocol, the client \(hello.versionMin) to \(hello.versionMax)"),
                context)
        }
        do throws(ContexError) {
            keyID = try house.operations.authenticate(caller).holderID
        } catch {
            return refuse(error, context)
        }
        if let refusal = house.connections.greet(context.channel, key: keyID) { return refuse(ContexError(.limited, refusal), context) }
        phase = .open
        decoder.payloadMax = house.bounds.frameBytesMax
        features = WireFeatures(rawValue: hello.features).intersection([.halves, .zstd])
        decoder.takesPacked = features.contains(.zstd)
        if hello.frameBytesMax > 0 { pieceBytes = Int(min(UInt64(Self.pieceBytesMax), max(UInt64(Self.pieceBytesMin), hello.frameBytesMax))) }
        var welcome = WireWelcome()
        (welcome.version, welcome.features, welcome.server) = (Self.version, features.rawValue, house.configuration.server)
        (welcome.frameBytesMax, welcome.messageBytesMax) = (UInt64(house.bounds.frameBytesMax), UInt64(house.configuration.messageBytesMax))
        welcome.requestsMax = UInt64(house.bounds.requestsPerConnectionMax)
        welcome.subscriptionsMax = UInt64(house.bounds.subscriptionsPerConnectionMax)
        Frame.append(.welcome, stream: 0, welcome.encoded[...], to: &output)
    }

    // MARK: - Requests

    private func take(request frame: Frame, _ context: ChannelHandlerContext) throws(WireFault) {
        let isLast = !frame.flags.contains(.more)
        if frame.stream <= lastStream {
            // It goes on, or what is left of it is thrown away.
            if discarded.contains(frame.stream) {
                if isLast { discarded.remove(frame.stream) }
                return
            }
            guard assembler.streams.contains(frame.stream) else { throw .misplaced(.request) }
        } else {
            lastStream = frame.stream
        }
        guard let whole = try assembler.take(frame) else { return }
        let request: WireRequest
        do throws(WireFault) {
            request = try WireRequest(decoding: whole.payload)
        } catch {
            return refuse(error.contexError, as: nil, whole.stream)
        }
        guard phase == .open else { return refuse(ContexError(.stopping, "The server is stopping"), as: nil, whole.stream) }
        guard let operation = WireOperation(rawValue: request.operation) else {
            return refuse(ContexError(.operationUnknown, "There is no operation \(request.operation)"), as: nil, whole.stream)
        }
        start(operation, request, stream: whole.stream, context)
    }

    private func start(_ operation: WireOperation, _ request: WireRequest, stream: UInt32, _ context: ChannelHandlerContext) {
        let bounds = house.bounds
        if operation.isSubscription {
            guard subscriptions < bounds.subscriptionsPerConnectionMax else {
                return refuse(
                    ContexError(.limited, "A connection has at most \(bounds.subscriptionsPerConnectionMax) subscriptions"), as: operation.action, stream)
            }
        } else {
            guard running < bounds.requestsPerConnectionMax, house.connections.enter(address) else {
                return refuse(ContexError(.busy, "The server is working on as many requests of yours, or of all, as it takes"), as: operation.action, stream)
            }
        }
        let body = request.body ?? []
        var lease: MemoryLease?
        if body.count >= Self.countedBytes {
            let counted = MemoryLease(of: house.operations.memory.arriving, address: caller.address, key: keyID)
            counted.settle(at: body.count)
            lease = counted
        }
        let caller = Caller(apiKey: caller.apiKey, address: caller.address, requestID: "wire-\(stream)", client: caller.client, method: "WIRE",
            certificate: caller.certificate)
        let job = OperationCalls(
            house: house, caller: caller, keyID: keyID, address: address, box: box, stream: stream, sendsHalves: features.contains(.halves))
        if operation.isSubscription {
            let credit = Credit(0)
            subscriptions += 1
            subscriptionStreams.insert(stream)
            streams[stream] = Stream(task: Task { await job.follow(operation, body, credit) }, credit: credit)
        } else {
            running += 1
            let isHeavy = body.count > Limits.lightBytes || operation.isHeavy
            let task = Task(executorPreference: isHeavy ? house.operations.heavyExecutor : nil) { [lease] in await job.run(operation, body, arriving: lease) }
            streams[stream] = Stream(task: task)
        }
        if let milliseconds = request.deadlineMilliseconds {
            let time = TimeAmount.milliseconds(Int64(min(milliseconds, UInt64(Limits.deadlineMilliseconds))))
            streams[stream]?.deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
                self.finish(stream, ContexError(.deadlineExceeded, "The deadline of \(milliseconds) ms has passed"))
                self.pump(context)
            }
        }
    }

    /// A stream ends before its task has said anything, or a subscription with what it has said.
    private func finish(_ stream: UInt32, _ error: ContexError) {
        guard let known = streams.removeValue(forKey: stream) else { return }
        known.deadline?.cancel()
        known.task.cancel()
        // What is on its way of it has no end any more.
        outgoing.removeAll { next in
            guard next.message.stream == stream else { return false }
            next.message.done?()
            return true
        }
        append(.error, stream: stream, WireError(error).encoded)
    }

    /// A request that no operation was made of: meter and audit hear of it, then the client.
    private func refuse(_ refusal: ContexError, as action: Action?, _ stream: UInt32) {
        let (operations, caller, box) = (house.operations, caller, box)
        // It counts as one that runs, so that who sends what is refused is bounded too.
        running += 1
        let isCounted = house.connections.enter(address)
        let (connections, address) = (house.connections, address)
        let task = Task {
            let error = isCounted ? await operations.refuse(action, by: caller, refusal) : refusal
            if isCounted { connections.leave(address) }
            box.put(.message(AnswerBox.Message(kind: .error, stream: stream, bytes: WireError(error).encoded)))
            box.put(.ended(stream))
        }
        streams[stream] = Stream(task: task)
    }

    // MARK: - Events

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? Event else { return context.fireUserInboundEventTriggered(event) }
        switch event {
        case .deliveries:
            for delivery in box.take() { take(delivery, context) }
            if phase == .stopping { leaveWhenDone(context) }
        case .memory(let isGranted):
            isWaitingForMemory = false
            partialSince = partialSince.map { _ in .now() }
            if isGranted { countArriving(context) } else { refusePartial(context) }
        case .keysChanged:
            if caller.hasCredentials, phase == .open || phase == .stopping, !house.operations.isValid(caller) {
                house.logger.info("binary client's API key was revoked", metadata: ["address": "\(address)"])
                end(ContexError(.keyUnknown, "The API key of this connection is no longer valid"), context)
            }
        case .stop:
            Frame.append(.goodbye, stream: 0, WireError(ContexError(.stopping, "The server is stopping")).encoded[...], to: &output)
            stop(context)
        case .cut: return context.close(promise: nil)
        }
        pump(context)
        if mustRead { readOn(context) }
    }

    private func take(_ delivery: AnswerBox.Delivery, _ context: ChannelHandlerContext) {
        switch delivery {
        case .ended(let stream):
            if subscriptionStreams.remove(stream) != nil { subscriptions -= 1 } else { running -= 1 }
            if let known = streams.removeValue(forKey: stream) { known.deadline?.cancel() }
        case .message(let message):
            // Of a stream that has ended nothing more is said.
            guard streams[message.stream] != nil else {
                message.done?()
                return
            }
            if message.kind == .answer, !message.flags.contains(.open) { house.connections.requestsAnswered.add(1, ordering: .relaxed) }
            if message.kind != .updates, !message.flags.contains(.open), let known = streams.removeValue(forKey: message.stream) { known.deadline?.cancel() }
            append(message)
        }
    }

    /// Runs nothing new; closes when what runs is answered.
    private func stop(_ context: ChannelHandlerContext) {
        switch phase {
        case .greeting: leave(context)
        case .open:
            phase = .stopping
            for stream in subscriptionStreams { finish(stream, ContexError(.stopping, "The server is stopping")) }
            leaveWhenDone(context)
        case .stopping, .refusing, .leaving, .closed: break
        }
    }

    private func leaveWhenDone(_ context: ChannelHandlerContext) {
        pump(context)
        if streams.isEmpty, outgoing.isEmpty { leave(context) }
    }

    // MARK: - Output

    private func append(_ kind: Frame.Kind, stream: UInt32, _ bytes: [UInt8]) { append(AnswerBox.Message(kind: kind, stream: stream, bytes: bytes)) }

    private func append(_ message: AnswerBox.Message) { outgoing.append(Outgoing(message: message)) }

    /// Writes what there is room for: of each message a piece, in turn.
    private func pump(_ context: ChannelHandlerContext) {
        guard phase != .closed, phase != .leaving else { return }
        var done: [AnswerBox.Message] = []
        while unsentBytes + output.count < Self.unsentBytesMax, var next = outgoing.popFirst() {
            let message = next.message
            let end = min(message.bytes.count, next.sent + pieceBytes)
            let isLast = end == message.bytes.count
            var (flags, piece) = (isLast ? message.flags : message.flags.union(.more), message.bytes[next.sent..<end])
            if features.contains(.zstd), message.kind != .error, let packed = Frame.packed(piece, by: house.packer.compress) {
                flags.insert(.packed)
                piece = packed[...]
            }
            Frame.append(message.kind, flags, stream: message.stream, piece, to: &output)
            next.sent = end
            if isLast { done.append(message) } else { outgoing.append(next) }
        }
        writeOutput(context, done)
    }

    /// - Parameter done: messages whose last bytes these are.
    private func writeOutput(_ context: ChannelHandlerContext, _ done: [AnswerBox.Message] = []) {
        guard !output.isEmpty else {
            for message in done { message.done?() }
            return
        }
        let buffer = context.channel.allocator.buffer(bytes: output)
        output.removeAll(keepingCapacity: output.capacity <= Self.pieceBytesMax)
        let count = buffer.readableBytes
        if unsentBytes == 0 { lastMove = .now() }
        unsentBytes += count
        checkStall(context)
        context.writeAndFlush(wrapOutboundOut(buffer)).assumeIsolated().whenComplete { _ in
            self.unsentBytes -= count
            self.lastMove = .now()
            for message in done { message.done?() }
            guard self.phase != .closed, self.phase != .leaving else { return }
            if !self.outgoing.isEmpty { self.pump(context) }
            if self.phase == .stopping { self.leaveWhenDone(context) }
            if self.mustRead { self.readOn(context) }
        }
    }

    /// Cuts whoever takes nothing, and whose message does not come to its end.
    private func checkStall(_ context: ChannelHandlerContext) {
        guard stallCheck == nil, phase != .closed else { return }
        let time = TimeAmount.seconds(Int64(house.bounds.stallSeconds))
        stallCheck = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.stallCheck = nil
            guard self.phase != .closed else { return }
            if self.unsentBytes > 0, .now() - self.lastMove >= time {
                self.house.connections.slowReadersCut.add(1, ordering: .relaxed)
                self.house.logger.warning(
                    "binary client cut: it does not take what is sent", metadata: ["address": "\(self.address)", "unsent_bytes": "\(self.unsentBytes)"])
                return context.close(promise: nil)
            }
            // Besides, as long as the longest message takes at 256 KiB a second.
            let allowed = time + .seconds(Int64(self.house.configuration.messageBytesMax >> 18))
            if let since = self.partialSince, !self.isWaitingForMemory, .now() - since >= allowed {
                return self.end(ContexError(.deadlineExceeded, "A message does not come to its end"), context)
            }
            if self.unsentBytes > 0 || self.partialSince != nil { self.checkStall(context) }
        }
    }
}
