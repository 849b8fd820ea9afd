// What is wrong with a request, in the words of pydantic 2 and the frame of FastAPI: callers of the original read these
// bodies, and the client's exceptions quote them.

public import Base

/// One step of the way to the value that is wrong: `"body"`, then the name of a member or the place in a list.
public enum Step: Sendable, Equatable {
    case name(String)
    case place(Int)

    var json: JSONValue {
        switch self {
        case .name(let name): .string(name.excerpt())
        case .place(let place): .integer(place)
        }
    }
}

/// One fault of a request.
public struct ValidationError: Sendable, Equatable {
    public let kind: String
    public let location: [Step]
    public let message: String
    public let input: JSONValue
    public let context: JSONObject?

    public init(_ kind: String, at location: [Step], _ message: String, input: JSONValue, context: JSONObject? = nil) {
        self.kind = kind
        self.location = location
        self.message = message
        self.input = input
        self.context = context
    }

    /// Members in FastAPI's order.
    public var json: JSONValue {
        var isEchoed = false
        return json(isEchoed: &isEchoed)
    }

    /// - Parameter isEchoed: whether an input too long to be shown whole was shown in part already: of a further one only that there was one.
    func json(isEchoed: inout Bool) -> JSONValue {
        var members = JSONObject()
        members["type"] = .string(kind)
        members["loc"] = .array(location.map(\.json))
        members["msg"] = .string(message.excerpt(bytes: 4 * Limits.echoBytes))
        let input = Self.isSecret(location.last) && input.stringValue != nil ? Self.mask : Self.masked(input)
        let cut = Excerpt.cut(input)
        members["input"] = cut.map { isEchoed ? Excerpt.ellipsis : $0 } ?? input
        isEchoed = isEchoed || cut != nil
        if let context { members["ctx"] = .object(context) }
        return .object(members)
    }

    /// Secrets are told to nobody, also not in what was wrong with the request that brought them.
    private static let secret = "webhook_secret"
    private static let mask = JSONValue.string("********")

    private static func isSecret(_ step: Step?) -> Bool { step == .name(secret) }

    private static func masked(_ input: JSONValue) -> JSONValue {
        guard case .object(var members) = input, let value = members[secret], !value.isNull else { return input }
        members[secret] = mask
        return .object(members)
    }

    static func missing(at location: [Step], input: JSONValue) -> ValidationError {
        ValidationError("missing", at: location, "Field required", input: input)
    }
    /// A rule of our own, told as pydantic tells a validator's `ValueError`.
    static func value(_ message: String, at location: [Step], input: JSONValue) -> ValidationError {
        ValidationError(
            "value_error", at: location, "Value error, \(message)", input: input, context: JSONObject([("error", .object(JSONObject()))]))
    }
    static func tooLong(at location: [Step], input: JSONValue, scalarsMax: Int) -> ValidationError {
        ValidationError(
            "string_too_long", at: location, "String should have at most \(scalarsMax) character\(scalarsMax == 1 ? "" : "s")", input: input,
            context: JSONObject([("max_length", .integer(scalarsMax))]))
    }
    static func tooMany(at location: [Step], input: JSONValue, count: Int, countMax: Int) -> ValidationError {
        ValidationError(
            "too_long", at: location,
            "List should have at most \(countMax) item\(countMax == 1 ? "" : "s") after validation, not \(count)", input: input,
            context: JSONObject([("field_type", .string("List")), ("max_length", .integer(countMax)), ("actual_length", .integer(count))]))
    }
}

/// All faults of a request, in the order of its fields. Answered with 422.
public struct ValidationFailure: Error, Sendable, Equatable {
    public let errors: [ValidationError]
    let code: ErrorCode
    /// An operation has told meter and audit already.
    let isRecorded: Bool

    public init(_ errors: [ValidationError], code: ErrorCode = .invalid) {
        self.errors = errors
        self.code = code
        isRecorded = false
    }

    init(_ error: ValidationError, code: ErrorCode, isRecorded: Bool) {
        errors = [error]
        self.code = code
        self.isRecorded = isRecorded
    }

    /// The first faults: whoever has more than `Limits.faults` mends a kind of them, not each.
    public var json: JSONValue { .object(JSONObject([("detail", list)])) }

    private var list: JSONValue {
        var isEchoed = false
        return .array(errors.prefix(Limits.faults).map { $0.json(isEchoed: &isEchoed) })
    }

    /// All that is shown, in one text: `top_k: Input should be ...; query: Field required`.
    var fault: APIAnswer.Fault {
        let words = errors.prefix(Limits.faults).map { $0.words }.joined(separator: "; ")
        let field = errors.first?.location.compactMap(\.fieldName).dropFirst().first
        return APIAnswer.Fault(
            code: code, message: words.excerpt(bytes: 4 * Limits.echoBytes), field: field, members: JSONObject([("errors", list)]), isRecorded: isRecorded)
    }
}

extension ValidationError {
    /// Place and message, the place without the part of the request that it is in.
    var words: String {
        let isOfPart = ["body", "query", "path"].contains(location.first?.fieldName)
        let place = location.dropFirst(isOfPart ? 1 : 0).map { step in
            switch step {
            case .name(let name): name.excerpt()
            case .place(let place): String(place)
            }
        }
        return (place.isEmpty ? "" : place.joined(separator: ".") + ": ") + message
    }
}

extension ContexError {
    /// The refusal of a parameter of the query.
    var inQuery: ValidationFailure {
        ValidationFailure(
            ValidationError(
                kind ?? "value_error", at: [.name("query")] + (field.map { [.name($0)] } ?? []), message, input: .null,
                context: oldestCursor.map { JSONObject([("oldest_cursor", .string($0))]) }), code: code,
            isRecorded: isRecorded)
    }
}
