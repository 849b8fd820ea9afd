internal import Base
internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket
internal import Service

/// The opening of a WebSocket (RFC 6455, section 4), as far as it can be judged without a socket: everything that a request goes through
/// has been gone through.
public struct SocketOpening: Sendable {
    static let subprotocol = "contex.v1"
    private static let version = "13"

    let key: String
    let caller: Caller
    let operations: Operations
    let place: StreamPlace
    let comment: Duration

    /// - Throws: `Refusal` with 426 for what is no such opening; `.limited`, `.unavailable` when there is no place.
    init(_ call: Call) throws {
        let request = call.request
        func names(_ header: String) -> [String] {
            request.headers.filter { HeaderName.areSame($0.name, header) }
                .flatMap { $0.value.split(separator: ",") }.map { $0.filter { $0 != " " && $0 != "\t" } }
        }
        func refusal(_ text: String) -> Refusal {
            Refusal(.upgradeRequired, text, headers: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", Self.version)])
        }
        guard names("Upgrade").contains(where: { $0.lowercased() == "websocket" }), names("Connection").contains(where: { $0.lowercased() == "upgrade" }) else {
            throw refusal("Here a WebSocket is opened: with Upgrade: websocket, and the subprotocol \(Self.subprotocol)")
        }
        guard names("Sec-WebSocket-Version") == [Self.version] else { throw refusal("WebSocket is spoken in version \(Self.version)") }
        guard request.count(of: "Sec-WebSocket-Key") == 1, let key = request.header("Sec-WebSocket-Key"), Self.isKey(key) else {
            throw refusal("Sec-WebSocket-Key is 16 bytes in Base64")
        }
        guard names("Sec-WebSocket-Protocol").contains(Self.subprotocol) else {
            throw refusal("A client offers the subprotocol \(Self.subprotocol) (Sec-WebSocket-Protocol)")
        }
        self.key = key
        caller = call.caller
        operations = call.operations
        comment = call.streamComment
        place = try call.streamPlace()
    }

    private static func isKey(_ text: String) -> Bool {
        text.utf8.count == 24 && text.hasSuffix("==")
            && text.utf8.dropLast(2).allSatisfy {
                $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/")
            }
    }

    /// What the answer says beside the accepted key.
    var answer: APIAnswer { APIAnswer(status: 101, headers: [("Sec-WebSocket-Protocol", Self.subprotocol)], content: .upgrade(self)) }

    /// `Upgrade`, `Connection` and the proof that the opening was understood.
    func headers(on channel: any Channel) -> EventLoopFuture<HTTPHeaders> {
        let upgrader = NIOWebSocketServerUpgrader(
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: "/", headers: ["Sec-WebSocket-Key": key, "Sec-WebSocket-Version": Self.version])
        return upgrader.buildUpgradeResponse(channel: channel, upgradeRequest: head, initialResponseHeaders: [:])
    }

    /// For the pipeline, in the order of what comes in.
    func handlers(_ house: APIHandler) -> [any ChannelHandler] {
        [
            WebSocketFrameEncoder(), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: Limits.socketMessageBytes)),
            WebSocketConnection(self, house.logger),
        ]
    }
}
