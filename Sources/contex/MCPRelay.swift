internal import Addresses
internal import Assembly
internal import AsyncHTTPClient
internal import Base
internal import Content
internal import MCPMessages
internal import MCPServer
internal import NIOCore
internal import NIOHTTP1

/// Messages of standard input for a server that answers at `/mcp`: each goes there with the headers that its revision asks for.
struct MCPRelay: Sendable {
    private let url: String
    private let apiKey: String?
    private let http: HTTPClient

    private static let answerBytesMax = 64 << 20
    /// More than the longest wait that a call may ask for.
    private static let answerSeconds: Int64 = 120

    init(server: String, apiKey: String?, trust: ClientTrust) throws(CommandFailure) {
        guard let address = try? WebAddress(server), address.port != 0 else {
            throw CommandFailure(.usage, "the server '\(Terminal.clean(server, atMost: 80))' is no URL: http://HOST:PORT or https://HOST:PORT is expected")
        }
        var base = server
        while base.hasSuffix("/") { base.removeLast() }
        url = base.hasSuffix("/mcp") ? base : base + "/mcp"
        self.apiKey = apiKey
        http = try trust.client()
    }

    func answer(_ body: [UInt8]) async -> MCPReply {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "User-Agent", value: "contex/\(Version.current)")
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "Accept", value: "application/json, text/event-stream")
        if let apiKey { request.headers.add(name: "Authorization", value: "Bearer \(apiKey)") }
        var id: MessageID?
        var opensStream = false
        if case .message(.request(let message)) = try? RPCInput(body) {
            id = message.id
            opensStream = message.method == "subscriptions/listen"
            // A message that says nothing of itself is one of the first era, and needs no header.
            if let version = message.meta?[MCPName.protocolVersion]?.stringValue {
                request.headers.add(name: MCPName.versionHeader, value: HeaderText.encode(version))
                request.headers.add(name: MCPName.methodHeader, value: HeaderText.encode(message.method))
                if let name = (message.params["name"] ?? message.params["uri"])?.stringValue {
                    request.headers.add(name: MCPName.nameHeader, value: HeaderText.encode(name))
                }
            }
        }
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            // A stream is open for as long as somebody listens.
            let deadline = opensStream ? NIODeadline.distantFuture : .now() + .seconds(Self.answerSeconds)
            let response = try await http.execute(request, deadline: deadline)
            let status = Int(response.status.code)
            if response.headers.first(name: "Content-Type")?.hasPrefix("text/event-stream") == true {
                let events = EventLines(response.body)
                return .stream { try await events.next() }
            }
            let bytes = Array(try await response.body.collect(upTo: Self.answerBytesMax).readableBytesView)
            if status == 202 { return .accepted }
            return .message(Self.isMessage(bytes) ? bytes : Self.refusal(status, bytes, id: id, hasKey: apiKey != nil).bytes)
        } catch {
            return .message(
                RPCFault(.internalError, "No server answers at \(url): start one (contex serve), or name another (--server, CONTEX_SERVER)", id: id).bytes)
        }
    }

    /// The answer of the protocol, and not of the door before it. A line has no line break; JSON that has some is put on one.
    private static func isMessage(_ bytes: [UInt8]) -> Bool {
        guard let value = try? JSONParser.parse(bytes, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels) else { return false }
        return (value.arrayValue?.first ?? value)["jsonrpc"] == "2.0" && !bytes.contains(UInt8(ascii: "\n"))
    }

    private static func refusal(_ status: Int, _ bytes: [UInt8], id: MessageID?, hasKey: Bool) -> RPCFault {
        let answer = try? JSONParser.parse(bytes)
        var reason = answer?["detail"]?.stringValue ?? answer?["message"]?.stringValue ?? "HTTP status \(status)"
        if status == 401, !hasKey { reason += ": give one with CONTEX_API_KEY" }
        return RPCFault(.internalError, "The server refuses: \(Terminal.clean(reason, atMost: 600))", data: ["status": .integer(status)], id: id)
    }
}

/// The data of server-sent events as this server writes them: one line each.
///
/// `@unchecked Sendable`: `MCPReply.stream` is asked by one task at a time, and nobody else has it.
private final class EventLines: @unchecked Sendable {
    private var body: HTTPClientResponse.Body.AsyncIterator
    private var rest: [UInt8] = []
    private static let lineBytesMax = 16 << 20

    init(_ body: HTTPClientResponse.Body) { self.body = body.makeAsyncIterator() }

    /// nil at the end.
    func next() async throws -> [UInt8]? {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest[..<end]
                defer { rest = Array(rest[(end + 1)...]) }
                if line.starts(with: "data:".utf8) { return Array(line.dropFirst("data:".utf8.count).drop { $0 == UInt8(ascii: " ") }) }
                continue
            }
            guard rest.count < Self.lineBytesMax, let piece = try await body.next() else { return nil }
            rest += piece.readableBytesView
        }
    }
}
