internal import Base
internal import Content
internal import Engine

extension APIAnswer {
    static func json(_ value: JSONValue, status: Int = 200, headers: [(name: String, value: String)] = []) -> APIAnswer {
        bytes(JSONPrinter.bytes(value), contentType: "application/json", status: status, headers: headers)
    }

    static func bytes(
        _ bytes: [UInt8], contentType: String, status: Int = 200, headers: [(name: String, value: String)] = []
    ) -> APIAnswer {
        APIAnswer(status: status, headers: [("Content-Type", contentType)] + headers, body: bytes)
    }

    static func redirect(to target: String) -> APIAnswer { APIAnswer(status: 307, headers: [("Location", target)]) }

    /// `{"detail": "<text>"}`
    static func detail(_ text: String, status: Int, headers: [(name: String, value: String)] = []) -> APIAnswer {
        .json(["detail": .string(text)], status: status, headers: headers)
    }

    /// What an error is on the wire: the one table of statuses.
    static func error(_ error: any Error, requestID: String) -> APIAnswer {
        if let failure = error as? ValidationFailure { return .json(failure.json, status: 422) }
        guard let error = error as? ContexError else { return internalError(requestID) }
        switch error.category {
        case .invalid:
            let location: [Step] = [.name("body")] + (error.field.map { [.name($0)] } ?? [])
            let failure = ValidationFailure([ValidationError(error.kind ?? "value_error", at: location, error.message, input: .null)])
            return .json(failure.json, status: 422)
        case .badRequest: return detail(error.message, status: 400)
        case .unauthenticated: return detail(error.message, status: 401)
        case .forbidden:
            return .json(
                [
                    "error": "forbidden", "message": .string(error.message),
                    "required_permission": error.requiredPermission.map(JSONValue.string) ?? .null,
                    "your_role": error.role.map(JSONValue.string) ?? .null,
                ], status: 403)
        case .notFound: return detail(error.message, status: 404)
        case .conflict:
            guard !error.candidates.isEmpty else { return detail(error.message, status: 409) }
            return .json(
                ["detail": .string(error.message), "candidates": .array(error.candidates.map { ["project_id": .string($0)] })], status: 409)
        case .tooLarge: return detail(error.message, status: 413)
        case .limited: return detail(error.message, status: 429, headers: [("Retry-After", "60")])
        case .unavailable: return detail(error.message, status: 503, headers: [("Retry-After", "1")])
        case .storageFull: return detail(error.message, status: 507)
        case .damaged:
            guard let project = error.project else { return internalError(requestID) }
            return detail("Stored data of project '\(project)' is damaged: 'contex check' says where (request \(requestID))", status: 500)
        case .bug: return internalError(requestID)
        }
    }

    /// No word of what happened: the log has it under the same id.
    private static func internalError(_ requestID: String) -> APIAnswer {
        detail("Internal server error (request \(requestID))", status: 500)
    }
}

extension ContexError.Category {
    /// Whether the log must say more than the answer does.
    var isOurs: Bool { self == .damaged || self == .bug || self == .storageFull }
}

extension AnswerFormat {
    static let names = allCases.map(\.rawValue)
    /// All but JSON's, each once.
    static let otherContentTypes = allCases.filter { $0 != .json && $0 != .text }.map(\.contentType)

    var contentType: String {
        switch self {
        case .json: "application/json"
        case .yaml: "application/x-yaml"
        case .toml: "application/toml"
        case .csv: "text/csv; charset=utf-8"
        case .xml: "application/xml"
        case .markdown: "text/markdown; charset=utf-8"
        case .toon, .text: "text/plain; charset=utf-8"
        }
    }
}
