// Headers that every answer carries, refusals included.

/// Which web pages may use the API from a browser.
struct CrossOrigin: Sendable {
    let origins: [String]
    let allowsCredentials: Bool

    private func allows(_ origin: String) -> Bool { origins.contains("*") || origins.contains(origin) }

    /// The answer to a browser's question before a request, nil when it is none. It needs no key: browsers send none with it.
    func preflight(_ request: APIRequest) -> APIAnswer? {
        guard request.method == "OPTIONS", let origin = request.header("Origin"), request.header("Access-Control-Request-Method") != nil else {
            return nil
        }
        guard allows(origin) else {
            return .bytes(Array("Disallowed CORS origin".utf8), contentType: "text/plain; charset=utf-8", status: 400)
        }
        var headers = [
            ("Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"), ("Access-Control-Max-Age", "600"),
        ]
        if let wanted = request.header("Access-Control-Request-Headers") { headers.append(("Access-Control-Allow-Headers", wanted)) }
        return .bytes(Array("OK".utf8), contentType: "text/plain; charset=utf-8", headers: headers)
    }

    /// For any answer to a request with an origin. The origin is named, not `*`, which browsers refuse with credentials.
    func headers(for request: APIRequest) -> [(name: String, value: String)] {
        guard let origin = request.header("Origin"), allows(origin) else { return [("Vary", "Origin")] }
        var headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if allowsCredentials { headers.append(("Access-Control-Allow-Credentials", "true")) }
        return headers
    }
}

enum AnswerHeaders {
    private static let security: [(name: String, value: String)] = [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Permissions-Policy", "geolocation=(), microphone=(), camera=(), payment=(), usb=()"),
    ]
    private static let contentPolicy =
        "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

    /// Adds what the answer does not say itself.
    static func complete(_ answer: inout APIAnswer, for request: APIRequest, requestID: String, crossOrigin: CrossOrigin, sendsHSTS: Bool) {
        answer.headers += security
        if answer.header("Content-Security-Policy") == nil { answer.headers.append(("Content-Security-Policy", contentPolicy)) }
        if sendsHSTS, (request.header("X-Forwarded-Proto") ?? request.scheme).lowercased() == "https" {
            answer.headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
        }
        let path = request.path
        if path == "/api/v1" || path.hasPrefix("/api/v1/") {
            answer.headers.append(("X-API-Version", "v1"))
        } else if path == "/api" || path.hasPrefix("/api/") {
            answer.headers.append(("X-API-Version", "legacy"))
            answer.headers.append(("X-API-Deprecation", "This API version is deprecated. Use /api/v1 instead."))
        }
        answer.headers += crossOrigin.headers(for: request)
        answer.headers.append(("X-Request-ID", requestID))
    }
}

enum RequestID {
    /// The caller's own when it is fit to be printed and logged, else a fresh one: 32 hexadecimal digits.
    static func of(_ request: APIRequest) -> String {
        if let given = request.header("X-Request-ID"), (1...128).contains(given.utf8.count), given.utf8.allSatisfy(isPlain) { return given }
        func half() -> String {
            let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return half() + half()
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
}
