internal import Base
internal import Content
internal import Service

/// The Model Context Protocol over this listener (docs/mcp.md). The rules are those of its edge.
extension RouteTable {
    private static let group = "Model Context Protocol"
    static let mcpPath = "/mcp"
    private static let metadataPath = "/.well-known/oauth-protected-resource"
    /// Of RFC 9728, section 3.1: the resource's path behind it.
    private static let metadataOfMCP = metadataPath + mcpPath

    static let mcpRoutes: [Route] = [
        Route(
            "POST", mcpPath, bases: .root, action: .useMCP, group: group,
            "A message of the Model Context Protocol; the answer is one too, or a stream of them",
            body: .document(summary: "A JSON-RPC 2.0 message"), or: [EventStream.contentType],
            #"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#
        ) { call in
            guard let guest = call.guest else { throw Refusal(.pathUnknown, "Not Found") }
            let reply = await guest.answer(
                GuestProtocol.Post(body: call.bodyContent.document, headers: call.request.headers, caller: call.caller, comment: call.streamComment) {
                    [place = call.place] waiting in
                    guard let place else { return await waiting() }
                    await place.lent(waiting)
                })
            switch reply {
            case .answer(let status, let bytes) where bytes.isEmpty: return APIAnswer(status: status)
            case .answer(let status, let bytes): return .bytes(bytes, contentType: "application/json", status: status)
            case .events(let next):
                return try await .stream(contentType: EventStream.contentType, in: try call.streamPlace()) {
                    guard let message = try await next() else { return nil }
                    return message.isEmpty ? Array(":\n\n".utf8) : Array("event: message\n".utf8) + EventStream.lines(message) + Array("\n".utf8)
                }
            }
        },

        Route(
            "GET", metadataPath, bases: .root, action: .showHealth, isPublic: true, group: group,
            "What a client needs to know to ask for a key (RFC 9728)", metadataExample
        ) { call in metadata(call) },

        Route(
            "GET", metadataOfMCP, bases: .root, action: .showHealth, isPublic: true, group: group, "The same of the path /mcp", metadataExample
        ) { call in metadata(call) },
    ]

    private static let metadataExample =
        #"{"resource":"<this server>/mcp","bearer_methods_supported":["header"],"resource_name":"Contex"}"#

    /// Keys are the operator's to give: there is no server that hands out tokens, so none is named.
    private static func metadata(_ call: Call) -> APIAnswer {
        .json(["resource": .string(call.request.origin + mcpPath), "bearer_methods_supported": .array(["header"]), "resource_name": "Contex"])
    }

    /// What a refusal for want of a key says beside itself, so that clients of the protocol find the metadata.
    static func challenge(_ request: APIRequest) -> (name: String, value: String)? {
        guard request.path == mcpPath else { return nil }
        return ("WWW-Authenticate", "Bearer resource_metadata=\"\(request.origin)\(metadataOfMCP)\"")
    }
}

extension APIRequest {
    /// As the client wrote it in front of the path: its host is one of this server's names.
    fileprivate var origin: String {
        let scheme = isSecure ? "https" : "http"
        return scheme + "://" + (statedHost.map(String.init) ?? header("Host") ?? "localhost")
    }
}
