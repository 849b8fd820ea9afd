// One WebSocket: `SocketRequest` comes in, `SocketReply` goes out. All of it runs on the connection's event loop but for the tasks of its
// subscriptions.
//
//     socket --> frames --> requests, one at a time --> subscriptions: a task each
//        ^                                                   |
//        +------ frames <------ replies <---- pages, the next one when the one before has left
//
// Order. A request is carried out before the next is looked at, and nothing is read from the socket in the meantime. What a subscription
// says is in the order of its cursor; nothing of it follows the confirmation of its end.
//
// Whoever does not read costs a page for each subscription, counted in `StreamPlaces`. The connection is looked after: a ping goes out
// when nothing else does, and who has been silent for four of them is gone.

internal import Base
internal import Engine
internal import Logging
internal import NIOCore
internal import NIOWebSocket
internal import Service

final class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private enum Phase { case open, closing, closed }

    private struct Subscription {
        /// No two of a connection have the same.
        let number: Int
        let subject: SocketRequest.Subject
        /// Of an agent that was named without one.
        var project: Name?
        let task: Task<Void, Never>
    }

    /// How many pings may go unanswered.
    private static let silencesMax = 4
    /// How long a peer may take to answer our last words.
    private static let farewell = TimeAmount.seconds(2)

    private let opening: SocketOpening
    private let logger: Logger
    private let lease: MemoryLease
    private var phase = Phase.open
    /// Of a message that has not come to its end.
    private var fragments: [UInt8]?
    private var requests: [[UInt8]] = []
    private var isWorking = false
    private var subscriptions: [String: Subscription] = [:]
    private var lastNumber = 0
    private var unsentBytes = 0
    private var silences = 0
    private var ping: Scheduled<Void>?
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(_ opening: SocketOpening, _ logger: Logger) {
        self.opening = opening
        self.logger = logger
        lease = MemoryLease(of: opening.operations.memory.working, address: opening.caller.address, key: nil)
    }

    // MARK: - Coming and going

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        lease.settle(at: RequestPlace.waitingBytes)
        let channel = context.channel
        opening.place.onCut { [logger, caller = opening.caller] in
            logger.warning("a WebSocket was cut: it is read slower than it grows", metadata: ["request": "\(caller.requestID)"])
            channel.pipeline.fireUserInboundEventTriggered(HTTPConnection.Event.cut)
        }
        schedulePing(context)
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        phase = .closed
        context = nil
        for subscription in subscriptions.values { subscription.task.cancel() }
        subscriptions = [:]
        requests = []
        ping?.cancel()
        deadline?.cancel()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength: close(.messageTooLarge, "A message has at most \(Limits.socketMessageBytes) bytes")
        case is NIOWebSocketError: close(.protocolError, "A frame that is none")
        // What comes after one is read until the peer has heard why, and thrown away.
        case is ByteToMessageDecoderError: break
        default: context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? HTTPConnection.Event {
        case .stop: close(.goingAway, "The server is stopping")
        default: if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Says why, and waits a moment for the peer to say the same.
    private func close(_ code: WebSocketErrorCode, _ reason: String) {
        guard phase == .open, let context else { return }
        phase = .closing
        for subscription in subscriptions.values { subscription.task.cancel() }
        var buffer = context.channel.allocator.buffer(capacity: 2 + reason.utf8.count)
        buffer.write(webSocketErrorCode: code)
        buffer.writeString(reason)
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: buffer)), promise: nil)
        let eventLoop = context.eventLoop.assumeIsolated()
        deadline = eventLoop.scheduleTask(in: Self.farewell) { self.context?.close(promise: nil) }
        context.read()
    }

    private func schedulePing(_ context: ChannelHandlerContext) {
        ping = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(opening.comment)) {
            guard self.phase == .open, let context = self.context else { return }
            self.silences += 1
            guard self.silences <= Self.silencesMax else { return context.close(promise: nil) }
            guard self.opening.operations.isValid(self.opening.caller) else {
                return self.close(.policyViolation, "The API key of this connection is no longer valid")
            }
            context.writeAndFlush(self.wrapOutboundOut(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())), promise: nil)
            self.schedulePing(context)
        }
    }

    // MARK: - Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        silences = 0
        guard phase != .closed else { return }
        // RFC 6455, section 5.1: a client masks what it sends; 5.2: no extension has been agreed on.
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return close(.protocolError, "Frames are masked, without extensions") }
        switch frame.opcode {
        case .connectionClose: closed(by: frame, context)
        case .ping:
            guard phase == .open else { return }
            context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)), promise: nil)
        case .pong: break
        case .text, .continuation: if phase == .open { take(frame) }
        case .binary: close(.unacceptableData, "Messages are texts")
        default: close(.protocolError, "A frame of a kind that there is not")
        }
    }

    /// A message, or a fragment of one.
    private func take(_ frame: WebSocketFrame) {
        guard (frame.opcode == .continuation) == (fragments != nil) else { return close(.protocolError, "Fragments that do not fit together") }
        if fragments == nil { fragments = [] }
        guard fragments!.count + frame.data.readableBytes <= Limits.socketMessageBytes else {
            return close(.messageTooLarge, "A message has at most \(Limits.socketMessageBytes) bytes")
        }
        fragments! += frame.unmaskedData.readableBytesView
        guard frame.fin, let message = fragments else { return }
        fragments = nil
        requests.append(message)
        work()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if phase == .closing || !isWorking { context.read() }
    }

    private func closed(by frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        guard phase == .open else { return context.close(promise: nil) }
        phase = .closing
        for subscription in subscriptions.values { subscription.task.cancel() }
        // The same code comes back.
        let code = frame.unmaskedData.readableBytesView.prefix(2)
        let reply = WebSocketFrame(fin: true, opcode: .connectionClose, data: context.channel.allocator.buffer(bytes: code.count == 2 ? code : []))
        context.writeAndFlush(wrapOutboundOut(reply)).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    /// Carries requests out, one at a time.
    private func work() {
        while phase == .open, !isWorking, !requests.isEmpty {
            // Asked here, so that what comes with a key that was revoked since counts as no failed login.
            guard opening.operations.isValid(opening.caller) else {
                return close(.policyViolation, "The API key of this connection is no longer valid")
            }
            let bytes = requests.removeFirst()
            do throws(ContexError) {
                try carryOut(try SocketRequest(bytes))
            } catch {
                let (operations, caller, id) = (opening.operations, opening.caller, SocketRequest.id(in: bytes))
                ask { await operations.refuse(nil, by: caller, error) } then: { self.say(SocketReply.error(id, $0)) }
            }
        }
    }

    private func ask<T: Sendable>(_ question: @escaping @Sendable () async -> T, then body: @escaping (T) -> Void) {
        guard let context else { return }
        isWorking = true
        let promise = context.eventLoop.makePromise(of: T.self)
        promise.completeWithTask(question)
        promise.futureResult.assumeIsolated().whenSuccess { answer in
            self.isWorking = false
            guard self.phase == .open else { return }
            body(answer)
            self.work()
            if !self.isWorking { self.context?.read() }
        }
    }

    private func carryOut(_ request: SocketRequest) throws(ContexError) {
        switch request {
        case .ping: say(SocketReply.pong())
        case .subscribe(let id, let subject, let cursor, let suppressesOwn):
            guard subscriptions[id] == nil else { throw ContexError(.invalid, "There is a subscription of this id", field: "id") }
            guard subscriptions.count < Limits.subscriptionsPerSocket else {
                throw ContexError(.limited, "A connection has at most \(Limits.subscriptionsPerSocket) subscriptions")
            }
            subscribe(id, subject, after: cursor, suppressesOwn)
        case .unsubscribe(let id):
            guard let subscription = subscriptions.removeValue(forKey: id) else { throw Self.unknown }
            subscription.task.cancel()
            say(SocketReply.unsubscribed(id))
        case .ack(let id, let cursor):
            guard let subscription = subscriptions[id] else { throw Self.unknown }
            guard case .agent(let agent, let named) = subscription.subject else {
                throw ContexError(.invalid, "Only what concerns an agent is acknowledged; the events of a project stay", field: "id")
            }
            let (operations, caller, project) = (opening.operations, opening.caller, named ?? subscription.project)
            ask { () async -> Result<Int, ContexError> in
                do {
                    return .success(try await operations.acknowledge(agent, project: project, upTo: cursor, by: caller))
                } catch {
                    return .failure(ContexError(caught: error))
                }
            } then: { outcome in
                switch outcome {
                case .success(let removed): self.say(SocketReply.acked(id, upTo: cursor, removed: removed))
                case .failure(let error): self.say(SocketReply.error(id, error))
                }
            }
        }
    }

    private static let unknown = ContexError(.invalid, "There is no subscription of this id", field: "id")

    // MARK: - Subscriptions

    private func subscribe(_ id: String, _ subject: SocketRequest.Subject, after cursor: InboxCursor?, _ suppressesOwn: Bool) {
        guard let context else { return }
        lastNumber += 1
        let number = lastNumber
        let link = Link(id: id, number: number, handler: NIOLoopBound(self, eventLoop: context.eventLoop), eventLoop: context.eventLoop)
        let opening = opening
        let task = Task {
            do {
                let feed: Feed =
                    switch subject {
                    case .agent(let agent, let project):
                        try await opening.operations.feed(of: agent, project: project, suppressesOwn: suppressesOwn, by: opening.caller)
                    case .project(let project): try await opening.operations.feed(of: project, by: opening.caller)
                    }
                let project = feed.subject.project
                var page = try await feed.page(after: cursor, bytesMax: Limits.streamPieceBytes)
                try await link.begin(in: project, at: page.start)
                while !Task.isCancelled {
                    if !page.items.isEmpty { try await link.say(page.items.map { SocketReply.update(id, $0, of: project) }) }
                    if feed.isEnding { return }
                    page = try await feed.page(
                        after: page.cursor, bytesMax: Limits.streamPieceBytes, wait: .seconds(Limits.inboxWaitSeconds))
                }
            } catch {
                if !Task.isCancelled { try? await link.end(ContexError(caught: error)) }
            }
        }
        subscriptions[id] = Subscription(number: number, subject: subject, task: task)
    }

    /// What the task of a subscription has of its connection. What comes after its end is dropped.
    private struct Link: Sendable {
        let id: String
        let number: Int
        let handler: NIOLoopBound<WebSocketConnection>
        let eventLoop: any EventLoop

        func begin(in project: Name, at cursor: InboxCursor) async throws {
            try await onLoop { handler in
                handler.subscriptions[id]?.project = project
                return handler.say([SocketReply.subscribed(id, at: cursor)])
            }
        }

        /// Returns when the client has taken them.
        func say(_ messages: [[UInt8]]) async throws { try await onLoop { $0.say(messages) } }

        func end(_ error: ContexError) async throws {
            try await onLoop { handler in
                handler.subscriptions[id] = nil
                return handler.say([SocketReply.error(id, error)])
            }
        }

        private func onLoop(_ body: @escaping @Sendable (WebSocketConnection) -> EventLoopFuture<Void>?) async throws {
            try await eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
                let handler = handler.value
                guard handler.phase == .open, handler.subscriptions[id]?.number == number, let written = body(handler) else {
                    return eventLoop.makeFailedFuture(CancellationError())
                }
                return written
            }.get()
        }
    }

    // MARK: - Output

    private func say(_ message: [UInt8]) { _ = say([message]) }

    /// - Returns: nil when the connection is closed.
    @discardableResult
    private func say(_ messages: [[UInt8]]) -> EventLoopFuture<Void>? {
        guard phase == .open, let context else { return nil }
        let count = messages.reduce(0) { $0 + $1.count }
        setUnsent(unsentBytes + count)
        // Cut for what this would be too much.
        guard phase == .open else { return nil }
        for message in messages.dropLast() {
            context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: context.channel.allocator.buffer(bytes: message))), promise: nil)
        }
        let last = context.channel.allocator.buffer(bytes: messages.last ?? [])
        let written = context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: last)))
        written.assumeIsolated().whenComplete { _ in self.setUnsent(self.unsentBytes - count) }
        return written
    }

    private func setUnsent(_ bytes: Int) {
        unsentBytes = bytes
        opening.place.setUnsent(bytes)
        lease.settle(at: max(bytes, RequestPlace.waitingBytes))
    }
}

extension ContexError {
    /// What an error is to whoever follows.
    init(caught error: any Error) { self = error as? ContexError ?? ContexError(.bug, "Internal server error") }
}
