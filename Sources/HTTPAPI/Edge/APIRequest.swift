// A request and its answer as plain values: what the socket side makes and what a test makes, so that all rules of the
// edge run without a socket.

internal import Base

/// A request without its body.
public struct APIRequest: Sendable {
    public let method: String
    /// Path and query as they stood in the request line, percent-encoded.
    public let target: String
    public let headers: [(name: String, value: String)]
    /// The peer's address, nil when there is no socket.
    public let address: String?
    /// As the client wrote it: behind a proxy that ends TLS, `X-Forwarded-Proto` says more.
    public let scheme: String

    public init(
        method: String, target: String, headers: [(name: String, value: String)] = [], address: String? = nil, scheme: String = "http"
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.address = address
        self.scheme = scheme
    }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// The key that the request brings: `X-API-Key`, or `Authorization: Bearer`, which is what clients of other APIs send.
    var apiKey: String? {
        if let key = header("X-API-Key") { return key }
        guard let field = header("Authorization"), field.prefix(7).lowercased() == "bearer " else { return nil }
        return String(field.dropFirst(7).drop { $0 == " " })
    }

    /// The path, still percent-encoded.
    var path: Substring { target.prefix { $0 != "?" && $0 != "#" } }

    /// Parameters of the query in their order, decoded as a form is.
    var query: [(name: String, value: String)] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return target[target.index(after: mark)...].prefix { $0 != "#" }.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                PercentEncoding.decodeReplacing(parts[0], plusIsSpace: true),
                parts.count > 1 ? PercentEncoding.decodeReplacing(parts[1], plusIsSpace: true) : ""
            )
        }
    }
}

public struct APIAnswer: Sendable {
    public var status: Int
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}
