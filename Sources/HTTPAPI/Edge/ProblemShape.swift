// Refusals in the shape of RFC 9457, for clients that ask for it: `Accept: application/problem+json`.

internal import Base
internal import Content

enum ProblemShape {
    static let mediaType = "application/problem+json"

    /// Whether the client names the type. Whoever takes anything gets the original's bodies, and whoever names both the problem.
    static func isAskedFor(by request: APIRequest) -> Bool {
        guard let accept = request.header("Accept"), accept.utf8.count >= mediaType.utf8.count else { return false }
        var (problem, json) = (0.0, 0.0)
        for item in accept.lowercased().split(separator: ",") {
            let parts = item.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
            guard let type = parts.first else { continue }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            if type == mediaType { problem = max(problem, quality) }
            if type == "application/json" { json = max(json, quality) }
        }
        return problem > 0 && problem >= json
    }

    static func reshape(_ answer: inout APIAnswer, requestID: String) {
        guard let fault = answer.fault else { return }
        var body = JSONObject([
            ("type", .string("urn:contex:error:" + fault.code.rawValue)), ("title", .string(fault.code.meaning)), ("status", .integer(answer.status)),
            ("detail", .string(fault.message)), ("code", .string(fault.code.rawValue)), ("request_id", .string(requestID)),
        ])
        for (name, value) in fault.members { body[name] = value }
        answer.headers.removeAll { HeaderName.areSame($0.name, "Content-Type") }
        answer.headers.append(("Content-Type", mediaType))
        answer.body = JSONPrinter.bytes(.object(body))
    }
}
