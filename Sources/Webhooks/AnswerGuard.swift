// What a receiver answers is a stranger's text. async-http-client 1.37.0 takes every status under 200 but 101 for one that comes before
// the answer (HTTPRequestStateMachine, `receivedHTTPResponseHead`), while the parser takes 000 to 099 for answers, with an end: the end
// of an answer that had no beginning stops the process. So such an answer ends its connection before the client sees it.

public import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

extension HTTPClient.Configuration {
    /// Lets no answer through that is none. To be called when the configuration is complete.
    public mutating func guardAnswers() {
        http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.submit {
                let pipeline = channel.pipeline.syncOperations
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
                try pipeline.addHandler(AnswerGuard(), position: .after(decoder))
            }
        }
    }
}

/// An answer with a status that does not exist.
struct AnswerFault: Error, CustomStringConvertible {
    let status: UInt
    var description: String { "the answer has the status \(status), which is none" }
}

private final class AnswerGuard: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    private var isClosed = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        if case .head(let head) = unwrapInboundIn(data), head.status.code < 100 {
            isClosed = true
            context.fireErrorCaught(AnswerFault(status: head.status.code))
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
    }
}
