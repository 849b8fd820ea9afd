// A request and its answer as plain values: what the socket side makes and what a test makes, so that all rules of the
// edge run without a socket.

internal import Base
internal import Synchronization

/// A request without its body.
public struct APIRequest: Sendable {
    public let method: String
    /// Path and query as they stood in the request line, percent-encoded.
    public private(set) var target: String
    /// Of a target with scheme and host, which proxies are sent: it says whom the request is for, whatever `Host` says (RFC 9112, section 3.2.2).
    let statedHost: Substring?
    public let headers: [(name: String, value: String)]
    /// The peer's address, nil when there is no socket.
    public let address: String?
    /// The tenant that the path named, before it was taken out of `target` (`inTenant`).
    private(set) var pathTenant: String?
    /// Of the connection: behind a proxy that ends TLS, `X-Forwarded-Proto` says more.
    public let scheme: String
    /// Names of the client's certificate; none without one.
    let certificate: [String]

    public init(
        method: String, target: String, headers: [(name: String, value: String)] = [], address: String? = nil, scheme: String = "http",
        certificate: [String] = []
    ) {
        self.method = method
        (self.target, statedHost) = Self.parts(of: target)
        self.headers = headers
        self.address = address
        self.scheme = scheme
        self.certificate = certificate
    }

    /// Path and query, and the host of a target that has one.
    private static func parts(of target: String) -> (target: String, host: Substring?) {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return (target, nil) }
        let rest = target[scheme.upperBound...]
        let host = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest[host.endIndex...]
        // Of another scheme than ours there is nothing here; an empty host is none that a server may have.
        let isOurs = ["http", "https"].contains(target[..<scheme.lowerBound].lowercased())
        return ((path.hasPrefix("/") ? "" : "/") + path, isOurs ? host : "")
    }

    /// What the browser has asked for, here or at a proxy that ends TLS.
    var isSecure: Bool { scheme == "https" || header("X-Forwarded-Proto")?.lowercased() == "https" }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { HeaderName.areSame($0.name, name) }?.value }

    /// How often a header is there.
    func count(of name: String) -> Int { headers.count { HeaderName.areSame($0.name, name) } }

    /// Asks and changes nothing (RFC 9110, section 9.2.1).
    var isSafe: Bool { method == "GET" || method == "HEAD" || method == "OPTIONS" }

    /// Whether a body follows the head. Without a length and without pieces there is none.
    var announcesBody: Bool { header("Transfer-Encoding") != nil || announcedBytes ?? 0 > 0 }

    /// What `Content-Length` says; a number that is none of ours is larger than all of them.
    var announcedBytes: Int? {
        header("Content-Length").flatMap { text in
            Int(text) ?? (!text.isEmpty && text.utf8.allSatisfy { $0 &- 0x30 < 10 } ? .max : nil)
        }
    }

    /// The key that the request brings: `X-API-Key`, or `Authorization: Bearer`, which is what clients of other APIs send.
    var apiKey: String? {
        if let key = header("X-API-Key") { return key }
        guard let field = header("Authorization"), field.prefix(7).lowercased() == "bearer " else { return nil }
        return String(field.dropFirst(7).drop { $0 == " " })
    }

    /// The tenant that the request names: by its path or its header.
    var tenant: String? { pathTenant ?? header(Self.tenantHeader) }
    static let tenantHeader = "X-Tenant-ID"
    private static let tenantPrefix = "/t/"

    /// A path below `/t/<tenant>/` as the path below it, of that tenant; any other request as it is.
    func inTenant() -> APIRequest {
        guard target.hasPrefix(Self.tenantPrefix) else { return self }
        let rest = target.dropFirst(Self.tenantPrefix.count)
        let name = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !name.isEmpty, rest[name.endIndex...].hasPrefix("/") else { return self }
        var request = self
        request.pathTenant = String(name)
        request.target = String(rest[name.endIndex...])
        return request
    }

    /// What stands before `target` in the request line.
    var tenantPath: String { pathTenant.map { Self.tenantPrefix + $0 } ?? "" }

    /// The path, still percent-encoded.
    var path: Substring { target.prefix { $0 != "?" && $0 != "#" } }

    /// Parameters of the query in their order, decoded as a form is.
    var query: [(name: String, value: String)] {
        guard let mark = target.firstIndex(of: "?") else { return [] }
        return FormText.parameters(target[target.index(after: mark)...].prefix { $0 != "#" })
    }
}

public struct APIAnswer: Sendable {
    public enum Content: Sendable {
        case bytes([UInt8])
        case stream(AnswerStream)
        /// No answer: the connection speaks WebSocket from here on.
        case upgrade(SocketOpening)
    }

    public var status: Int
    public var headers: [(name: String, value: String)]
    public var content: Content
    /// What a refusal says; nil for any other answer.
    var fault: Fault? = nil

    /// A refusal, for other shapes and for meter and audit.
    struct Fault: Sendable {
        let code: ErrorCode
        let message: String
        /// The field that it is about.
        var field: String? = nil
        /// What the body says beside the message, under these names in any shape.
        var members = JSONObject()
        /// An operation has told meter and audit already.
        var isRecorded = false
    }

    /// The refusal as meter and audit know it.
    var refusal: ContexError? {
        guard let fault, status >= 400 else { return nil }
        var refusal = ContexError(fault.code, fault.message)
        refusal.isRecorded = fault.isRecorded
        return refusal
    }

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.init(status: status, headers: headers, content: .bytes(body))
    }

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], content: Content) {
        self.status = status
        self.headers = headers
        self.content = content
    }

    /// The bytes; none of a stream (`collected` has them).
    public var body: [UInt8] {
        get { if case .bytes(let bytes) = content { bytes } else { [] } }
        set { content = .bytes(newValue) }
    }

    /// The value of a header, the first when it is repeated.
    public func header(_ name: String) -> String? { headers.first { HeaderName.areSame($0.name, name) }?.value }

    /// With a stream read to its end; of one that goes on for as long as somebody follows, its first piece.
    /// - Throws: what the stream ends with when it does not come to its end.
    public func collected() async throws -> APIAnswer {
        guard case .stream(let stream) = content else { return self }
        var whole = self
        var bytes: [UInt8] = []
        for try await piece in stream {
            bytes += piece
            if stream.place != nil { break }
        }
        whole.content = .bytes(bytes)
        return whole
    }
}

/// A body that is made while it is sent: the next piece is asked for when the one before has left, so that an answer of any length
/// costs the memory of a piece, and a reader who stops stops the work.
///
/// A piece should be some 64 KiB to 1 MiB. What a stream throws breaks the connection: the client must not take a part for the whole.
/// Whoever makes one must expect that it is not asked to its end, and let go of what it holds when it is forgotten.
public struct AnswerStream: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    private let piece: @Sendable () async throws -> [UInt8]?
    /// Of one that goes on for as long as somebody follows: it mostly waits, and takes no place among the requests that are worked on.
    let place: StreamPlace?

    /// - Parameter piece: the next piece, nil at the end; asked by one task at a time.
    public init(_ piece: @escaping @Sendable () async throws -> [UInt8]?) { self.init(in: nil, piece) }

    init(in place: StreamPlace?, _ piece: @escaping @Sendable () async throws -> [UInt8]?) {
        self.place = place
        self.piece = piece
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let piece: @Sendable () async throws -> [UInt8]?
        public func next() async throws -> [UInt8]? { try await piece() }
    }
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(piece: piece) }
}

/// The body of a request on its way to whoever reads it. It is taken once, so that it is gone when it has been parsed.
public final class RequestBytes: Sendable {
    private let bytes: Mutex<[UInt8]>
    public let count: Int

    public init(_ bytes: consuming [UInt8]) {
        count = bytes.count
        self.bytes = Mutex(bytes)
    }

    /// Looks at the bytes and leaves them.
    func peek<T: Sendable>(_ body: ([UInt8]) throws -> T) rethrows -> T { try bytes.withLock { try body($0) } }

    /// The bytes; none the second time.
    public func take() -> [UInt8] {
        bytes.withLock { bytes in
            defer { bytes = [] }
            return bytes
        }
    }
}

/// `application/x-www-form-urlencoded` (WHATWG URL, section 5.1): of queries and of the bodies of forms.
enum FormText {
    /// In their order; what is no UTF-8 is replaced.
    static func parameters(_ text: Substring) -> [(name: String, value: String)] {
        text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                PercentEncoding.decodeReplacing(parts[0], plusIsSpace: true),
                parts.count > 1 ? PercentEncoding.decodeReplacing(parts[1], plusIsSpace: true) : ""
            )
        }
    }
}

enum HeaderName {
    /// Names of headers have no case. Asked some hundred times a request, so nothing is copied.
    static func areSame(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && zip(a.utf8, b.utf8).allSatisfy { $0 == $1 || (($0 | 0x20) == ($1 | 0x20) && ($0 | 0x20) &- 0x61 < 26) }
    }
}
