// What a browser says of the page that a request comes from, and which pages may use the API. Without an origin in the list no page of
// another origin gets or changes anything: not by asking first, not by what browsers send without asking (forms, images, text/plain).

internal import Base

/// Which web pages may use the API from a browser.
struct CrossOrigin: Sendable {
    /// In lower case; `*` is any.
    private let origins: Set<String>
    private let allowsAny: Bool
    private let allowsCredentials: Bool

    init(origins: [String], allowsCredentials: Bool) {
        self.origins = Set(origins.map { $0.lowercased() })
        allowsAny = self.origins.contains("*")
        self.allowsCredentials = allowsCredentials
    }

    private func allows(_ origin: String) -> Bool { allowsAny || origins.contains(origin.lowercased()) }

    /// Why a request may not be answered because of the page that it comes from; nil when it may.
    /// - Parameter authority: the server that the request names, one of this server's names.
    func refusal(_ request: APIRequest, authority: Authority) -> APIAnswer? {
        if let origin = request.header("Origin") {
            if Self.isSame(origin, as: authority) || allows(origin) { return nil }
            return Self.refused("Web pages of \(origin.excerpt()) may not use this server: CONTEX_CORS_ORIGINS lists those that may")
        }
        switch request.header("Sec-Fetch-Site")?.lowercased() {
        case nil, "same-origin", "none": return nil
        default: break
        }
        // A link that somebody follows: the other page learns nothing of where it leads to, and nothing changes.
        if request.isSafe, request.header("Sec-Fetch-Mode")?.lowercased() == "navigate", request.header("Sec-Fetch-Dest")?.lowercased() == "document" {
            return nil
        }
        return Self.refused("Web pages of other origins may not use this server: CONTEX_CORS_ORIGINS lists those that may")
    }

    private static func refused(_ text: String) -> APIAnswer { .refusal(.originRefused, text) }

    /// Whether a page comes from this server. The scheme of the server is its proxy's to know, so only host and port count.
    private static func isSame(_ origin: String, as authority: Authority) -> Bool {
        let origin = origin.lowercased()
        let standard: Int
        let rest: Substring
        if origin.hasPrefix("http://") {
            (standard, rest) = (80, origin.dropFirst(7))
        } else if origin.hasPrefix("https://") {
            (standard, rest) = (443, origin.dropFirst(8))
        } else {
            return false
        }
        guard let page = Authority(String(rest)), page.host == authority.host else { return false }
        let port = page.port ?? standard
        return authority.port.map { $0 == port } ?? (port == 80 || port == 443)
    }

    /// The answer to a browser's question before a request, nil when it is none. It needs no key: browsers send none with it.
    func preflight(_ request: APIRequest) -> APIAnswer? {
        guard request.method == "OPTIONS", let origin = request.header("Origin"), request.header("Access-Control-Request-Method") != nil else {
            return nil
        }
        guard allows(origin) else {
            let words = "Disallowed CORS origin"
            // In the original's words and with its status.
            var answer = APIAnswer.bytes(Array(words.utf8), contentType: "text/plain; charset=utf-8", status: 400)
            answer.fault = APIAnswer.Fault(code: .originRefused, message: words)
            return answer
        }
        var headers = [
            ("Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"), ("Access-Control-Max-Age", "600"),
        ]
        if let wanted = request.header("Access-Control-Request-Headers") { headers.append(("Access-Control-Allow-Headers", wanted)) }
        if request.header("Access-Control-Request-Private-Network") == "true" { headers.append(("Access-Control-Allow-Private-Network", "true")) }
        return .bytes(Array("OK".utf8), contentType: "text/plain; charset=utf-8", headers: headers)
    }

    /// For any answer. An origin that is in the list is named; `*` names none, and goes without credentials, whatever is set.
    func headers(for request: APIRequest) -> [(name: String, value: String)] {
        guard let origin = request.header("Origin"), allows(origin) else { return [("Vary", "Origin"), ("Cross-Origin-Resource-Policy", "same-origin")] }
        guard origins.contains(origin.lowercased()) else { return [("Access-Control-Allow-Origin", "*"), ("Vary", "Origin")] }
        var headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if allowsCredentials { headers.append(("Access-Control-Allow-Credentials", "true")) }
        return headers
    }
}
