internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Synchronization

extension APIAnswer {
    static func json(_ value: JSONValue, status: Int = 200, headers: [(name: String, value: String)] = []) -> APIAnswer {
        bytes(JSONPrinter.bytes(value), contentType: "application/json", status: status, headers: headers)
    }

    static func bytes(
        _ bytes: [UInt8], contentType: String, status: Int = 200, headers: [(name: String, value: String)] = []
    ) -> APIAnswer {
        APIAnswer(status: status, headers: [("Content-Type", contentType)] + headers, body: bytes)
    }

    /// An answer that is made while it is sent. Its first piece is made before, so that what is refused is refused with a status.
    static func stream(
        contentType: String, in place: StreamPlace? = nil, _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> APIAnswer {
        let first = Mutex<[UInt8]?>(try await next() ?? [])
        let stream = AnswerStream(in: place) {
            let piece = first.withLock { first in
                defer { first = nil }
                return first
            }
            if let piece { return piece }
            return try await next()
        }
        return APIAnswer(headers: [("Content-Type", contentType)], content: .stream(stream))
    }

    /// What of the target cannot stand in a header is percent-encoded.
    static func redirect(to target: String) -> APIAnswer {
        APIAnswer(status: 307, headers: [("Location", PercentEncoding.encode(target) { (0x21...0x7E).contains($0) })])
    }

    /// Bytes of the text of a refusal: names and values in it are cut where they are put in; this holds for those that were forgotten.
    private static let textBytesMax = 4 * Limits.echoBytes

    /// `{"detail": "<text>"}`, with the status of the code.
    /// - Parameter members: what there is to say beside the text.
    static func refusal(
        _ code: ErrorCode, _ text: String, members: JSONObject = JSONObject(), headers: [(name: String, value: String)] = []
    ) -> APIAnswer {
        let text = text.excerpt(bytes: textBytesMax)
        var body = JSONObject([("detail", .string(text))])
        for (name, value) in members { body[name] = value }
        let retry = code.category.row.retrySeconds.map { [("Retry-After", String($0))] } ?? []
        var answer = APIAnswer.json(.object(body), status: code.httpStatus, headers: headers + retry)
        answer.fault = Fault(code: code, message: text, members: members)
        return answer
    }

    private static func validation(_ failure: ValidationFailure) -> APIAnswer {
        var answer = APIAnswer.json(failure.json, status: failure.code.httpStatus)
        answer.fault = failure.fault
        return answer
    }

    /// What an error is on the wire.
    static func error(_ error: any Error, requestID: String) -> APIAnswer {
        if let failure = error as? ValidationFailure { return validation(failure) }
        if let refusal = error as? Refusal { return refusal.answer }
        guard let error = error as? ContexError else { return internalError(requestID) }
        var answer = answer(to: error, requestID: requestID)
        answer.fault?.isRecorded = error.isRecorded
        return answer
    }

    private static func answer(to error: ContexError, requestID: String) -> APIAnswer {
        switch error.category {
        case .invalid:
            let location: [Step] = [.name("body")] + (error.field.map { [.name($0)] } ?? [])
            return validation(ValidationFailure([ValidationError(error.kind ?? "value_error", at: location, error.message, input: .null)], code: error.code))
        case .conflict where error.oldestCursor != nil:
            return refusal(error.code, error.message, members: JSONObject([("oldest_cursor", .string(error.oldestCursor!))]))
        // In the original's shape, which has no rights in it.
        case .forbidden where error.code == .tenantInactive || error.code == .tenantForeign: return refusal(error.code, error.message)
        case .limited where error.quota != nil:
            let quota = error.quota!
            var answer = refusal(error.code, error.message, members: TenantShape.refusal(quota))
            // What does not come back by itself is not there in a minute.
            answer.headers.removeAll { HeaderName.areSame($0.name, "Retry-After") }
            if let reset = quota.resetAt {
                answer.headers.append(("Retry-After", "\(max(1, (reset.rawValue - SystemClock().now().rawValue) / 1_000_000))"))
            }
            return answer
        case .forbidden:
            let rights = JSONObject([
                ("required_permission", error.requiredPermission.map(JSONValue.string) ?? .null), ("your_role", error.role.map(JSONValue.string) ?? .null),
            ])
            var answer = refusal(error.code, error.message, members: rights)
            var body = JSONObject([("error", "forbidden"), ("message", .string(answer.fault?.message ?? ""))])
            for (name, value) in rights { body[name] = value }
            answer.body = JSONPrinter.bytes(.object(body))
            return answer
        case .conflict where !error.candidates.isEmpty:
            let candidates = JSONValue.array(error.candidates.map { ["project_id": .string($0)] })
            return refusal(error.code, error.message, members: JSONObject([("candidates", candidates)]))
        case .limited where error.standing != nil:
            let standing = error.standing!
            var answer = refusal(error.code, error.message)
            let shape = RateShape.refusal(standing, message: error.message, now: SystemClock().now())
            answer.body = JSONPrinter.bytes(.object(shape))
            answer.headers.removeAll { HeaderName.areSame($0.name, "Retry-After") }
            answer.headers.append(("Retry-After", "\(standing.retrySeconds)"))
            return answer
        case .damaged:
            guard let project = error.project else { return internalError(requestID, error.code) }
            return refusal(error.code, "Stored data of project '\(project)' is damaged: 'contex check' says where (request \(requestID))")
        case .bug: return internalError(requestID, error.code)
        case .badRequest, .unauthenticated, .notFound, .conflict, .tooLarge, .limited, .unavailable, .storageFull: return refusal(error.code, error.message)
        }
    }

    /// No word of what happened: the log has it under the same id.
    private static func internalError(_ requestID: String, _ code: ErrorCode = .bug) -> APIAnswer {
        refusal(code, "Internal server error (request \(requestID))")
    }
}

/// A refusal that only this edge knows: no operation has a word for it.
struct Refusal: Error {
    let answer: APIAnswer

    init(_ code: ErrorCode, _ text: String, headers: [(name: String, value: String)] = []) {
        answer = .refusal(code, text, headers: headers)
    }
}

extension ContexError.Category {
    /// Whether the log must say more than the answer does.
    var isOurs: Bool { self == .damaged || self == .bug || self == .storageFull }
}

extension ContexError {
    /// What an item of a batch says: the words of the answer that it would have had alone, without those that only the log has.
    var batchMessage: String {
        switch category {
        case .bug: "Internal server error"
        case .damaged: project.map { "Stored data of project '\($0)' is damaged: 'contex check' says where" } ?? code.meaning
        default: message
        }
    }
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
