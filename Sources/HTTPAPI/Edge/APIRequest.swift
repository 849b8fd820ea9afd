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
        self.target = Self.originForm(target)
        self.headers = headers
        self.address = address
        self.scheme = scheme
    }

    /// Path and query; of the form with scheme and host, which proxies are sent, what follows the host.
    private static func originForm(_ target: String) -> String {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return target }
        let rest = target[scheme.upperBound...]
        guard let start = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) else { return "/" }
        return (rest[start] == "?" ? "/" : "") + rest[start...]
    }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { HeaderName.areSame($0.name, name) }?.value }

    /// How often a header is there.
    func count(of name: String) -> Int { headers.count { HeaderName.areSame($0.name, name) } }

    /// Asks and changes nothing (RFC 9110, section 9.2.1).
    var isSafe: Bool { method == "GET" || method == "HEAD" || method == "OPTIONS" }

    /// Whether a body follows the head. Without a length and without pieces there is none.
    var announcesBody: Bool { header("Transfer-Encoding") != nil || header("Content-Length").flatMap { Int($0) } ?? 0 > 0 }

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
    /// What a refusal says; nil for any other answer.
    var fault: Fault? = nil

    /// The words of a refusal, for other shapes and for meter and audit.
    struct Fault: Sendable {
        let message: String
        /// The field that they are about.
        var field: String? = nil
        /// An operation has told meter and audit already.
        var isRecorded = false
    }

    /// The refusal as meter and audit know it.
    var refusal: ContexError? {
        guard let fault, status >= 400 else { return nil }
        let category: ContexError.Category =
            switch status {
            case 401: .unauthenticated
            case 403, 421: .forbidden
            case 404: .notFound
            case 409: .conflict
            case 413, 414: .tooLarge
            case 415, 422: .invalid
            case 429: .limited
            case 500: .bug
            case 503: .unavailable
            case 507: .storageFull
            default: .badRequest
            }
        var refusal = ContexError(category, fault.message)
        refusal.isRecorded = fault.isRecorded
        return refusal
    }

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { HeaderName.areSame($0.name, name) }?.value }
}

enum HeaderName {
    /// Names of headers have no case. Asked some hundred times a request, so nothing is copied.
    static func areSame(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && zip(a.utf8, b.utf8).allSatisfy { $0 == $1 || (($0 | 0x20) == ($1 | 0x20) && ($0 | 0x20) &- 0x61 < 26) }
    }
}
