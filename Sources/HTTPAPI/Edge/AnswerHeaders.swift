// Headers that every answer carries, refusals included.

internal import Base

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

    static let errorCode = "X-Contex-Error"

    /// What a refusal carries that is made before there is a request.
    static let ofRefusals: [(name: String, value: String)] =
        security + [
            ("Content-Security-Policy", contentPolicy), ("Cache-Control", "no-store"), ("Vary", "Origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
        ]

    /// Adds what the answer does not say itself.
    static func complete(_ answer: inout APIAnswer, for request: APIRequest, requestID: String, crossOrigin: CrossOrigin, sendsHSTS: Bool) {
        answer.headers += security
        if answer.header("Content-Security-Policy") == nil { answer.headers.append(("Content-Security-Policy", contentPolicy)) }
        // Every answer tells of data, or of who asked.
        if answer.header("Cache-Control") == nil { answer.headers.append(("Cache-Control", "no-store")) }
        if sendsHSTS, request.isSecure {
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
        // A health that is bad has no fault, and is an error all the same.
        if answer.status >= 400 {
            let code = answer.fault?.code ?? ContexError.Category(httpStatus: answer.status).generalCode
            answer.headers.append((errorCode, code.rawValue))
        }
        answer.headers.append(("X-Request-ID", requestID))
        if request.method == "HEAD", case .bytes = answer.content {
            // As GET, and the length that its body would have.
            answer.headers.append(("Content-Length", String(answer.body.count)))
            answer.body = []
        }
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
