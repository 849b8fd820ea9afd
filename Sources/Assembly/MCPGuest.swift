internal import HTTPAPI
internal import MCPMessages
internal import MCPServer

extension MCPEndpoint {
    /// As the HTTP listener knows it: edges of one level do not know each other.
    var guest: GuestProtocol {
        GuestProtocol { post in
            let headers = RoutingHeaders(
                versions: post.values(MCPName.versionHeader), methods: post.values(MCPName.methodHeader), names: post.values(MCPName.nameHeader))
            let accept = post.values("Accept")
            let reply = await answer(
                MCPPost(
                    body: post.body, caller: post.caller, headers: headers, accept: accept.isEmpty ? nil : accept.joined(separator: ","),
                    comment: post.comment, hold: post.hold))
            return switch reply {
            case .message(let bytes, let status): .answer(status: status, bytes)
            case .accepted: .answer(status: 202, [])
            case .notAcceptable: .answer(status: 406, [])
            case .stream(let next): .events(next)
            }
        }
    }
}
