// Refusals of the embeddings route, as OpenAI's clients read them: `{"error":{"message","type","param","code"}}`.

internal import Base
internal import Content

enum OpenAIShape {
    /// Also where the route is not: a client with a wrong base URL asks for `/v1/embeddings`, and shows what it finds in `error.message`.
    static func isSpoken(at path: Substring) -> Bool { path.hasSuffix("/embeddings") || path.hasSuffix("/embeddings/") }

    static func reshape(_ answer: inout APIAnswer) {
        guard let fault = answer.fault else { return }
        let (type, code): (String, String?) =
            switch answer.status {
            case 401: ("invalid_request_error", "invalid_api_key")
            case 403: ("invalid_request_error", "insufficient_permissions")
            case 404: ("invalid_request_error", "unknown_url")
            case 429: ("requests", "rate_limit_exceeded")
            case 500...: ("server_error", nil)
            default: ("invalid_request_error", nil)
            }
        answer.body = JSONPrinter.bytes([
            "error": [
                "message": .string(fault.message), "type": .string(type), "param": fault.field.map(JSONValue.string) ?? .null,
                "code": code.map(JSONValue.string) ?? .null,
            ]
        ])
    }
}
