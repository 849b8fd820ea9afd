internal import Logging
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// After TLS: waits for the end of the handshake, for so long and no longer, and says how it ended.
final class HandshakeGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let door: TLSDoor
    private let place: HandshakePlace
    private let peer: TLSPeer
    private var isDone = false
    private var deadline: Scheduled<Void>?

    init(_ door: TLSDoor, _ place: HandshakePlace, _ peer: TLSPeer) {
        self.door = door
        self.place = place
        self.peer = peer
    }

    func channelActive(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(TLSLimits.handshakeSeconds)) {
            guard !self.isDone else { return }
            self.fail(.timeout, "nothing more came for \(TLSLimits.handshakeSeconds) s")
            context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed, "the other side went away")
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard !isDone, case TLSUserEvent.handshakeCompleted(let chosen)? = event as? TLSUserEvent else { return context.fireUserInboundEventTriggered(event) }
        let certificate = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
        let facts = certificate.map(CertificateFiles.facts)
        // A session that is taken up again was verified when it began.
        if let facts, !facts.holds(at: TLSDoor.now) {
            fail(.certificateRefused, "the client's certificate has ended")
            return context.close(promise: nil)
        }
        peer.chosenProtocol = chosen
        peer.names = facts?.names ?? []
        end()
        door.succeeded()
        context.fireUserInboundEventTriggered(event)
        context.fireUserInboundEventTriggered(TLSPeerShown())
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(Self.failure(error), "\(error)")
        context.fireErrorCaught(error)
    }

    private func end() {
        isDone = true
        deadline?.cancel()
        place.leave()
    }

    func fail(_ failure: TLSDoor.Failure, _ reason: @autoclosure () -> String) {
        guard !isDone else { return }
        end()
        door.failed(failure)
        let text = reason()
        door.logger.debug("handshake failed", metadata: ["address": "\(place.address)", "failure": "\(failure.rawValue)", "reason": "\(text.prefix(400))"])
    }

    /// BoringSSL's words, sorted.
    private static func failure(_ error: any Error) -> TLSDoor.Failure {
        let text = "\(error)"
        let words: [(String, TLSDoor.Failure)] = [
            ("PEER_DID_NOT_RETURN_A_CERTIFICATE", .certificateMissing), ("CERTIFICATE_VERIFY_FAILED", .certificateRefused), ("_ALERT_", .refusedByClient),
            ("UNSUPPORTED_PROTOCOL", .version), ("WRONG_VERSION_NUMBER", .version), ("NO_SHARED_CIPHER", .cipher), ("NO_SHARED_GROUP", .cipher),
            ("EOF during handshake", .closed), ("uncleanShutdown", .closed),
        ]
        return words.first { text.contains($0.0) }?.1 ?? (error is NIOSSLError || error is BoringSSLError ? .other : .closed)
    }
}

/// Before TLS: looks at the first byte. Who speaks without TLS is told so in his own language, where the door knows it, and leaves.
final class PlainTextGuard: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A record of a handshake, with which TLS begins.
    private static let handshakeRecord: UInt8 = 0x16

    private let handshake: HandshakeGuard
    private let words: @Sendable () -> [UInt8]
    private var isRefusing = false

    init(_ handshake: HandshakeGuard, _ words: @escaping @Sendable () -> [UInt8]) {
        self.handshake = handshake
        self.words = words
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Who is still sending is read, and not heard.
        guard !isRefusing else { return }
        let buffer = unwrapInboundIn(data)
        guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return }
        if first == Self.handshakeRecord {
            context.fireChannelRead(data)
            return context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        }
        isRefusing = true
        handshake.fail(.plainText, "the first byte is \(first)")
        // A peer that is still sending would lose our last words to the reset that closing then means.
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: words()))).assumeIsolated().whenComplete { _ in
            context.close(mode: .output, promise: nil)
        }
        context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isRefusing { context.read() } else { context.fireChannelReadComplete() }
    }
}
