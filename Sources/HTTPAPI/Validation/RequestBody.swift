public import Base
internal import Content

/// What a route expects in its body.
public enum BodyShape: Sendable {
    case none
    case object([FieldShape])
    /// The same as a page sends it: `application/x-www-form-urlencoded`, or JSON. For what only reads: any page may send a form unasked.
    case form([FieldShape])
    case objects([FieldShape], countMax: Int)
    /// A JSON value that the handler looks at itself, or nothing.
    case optionalJSON(summary: String)
    /// Bytes of whatever content type.
    case document(summary: String)
    /// Objects that are judged by themselves: a fault of one is that one's.
    case separateObjects([FieldShape], countMax: Int)

    /// The fields of the object or of each object in the list.
    public var fields: [FieldShape] {
        switch self {
        case .object(let fields), .form(let fields), .objects(let fields, _), .separateObjects(let fields, _): fields
        case .none, .optionalJSON, .document: []
        }
    }
}

/// A body after its checks.
public enum BodyContent: Sendable {
    case none
    case object(FieldValues)
    case objects([FieldValues])
    case separateObjects([SeparateObject])
    case json(JSONValue?)
    case document([UInt8])

    var fields: FieldValues { if case .object(let fields) = self { fields } else { .none } }
    var items: [FieldValues] { if case .objects(let items) = self { items } else { [] } }
    var separateItems: [SeparateObject] { if case .separateObjects(let items) = self { items } else { [] } }
    var json: JSONValue? { if case .json(let value) = self { value } else { nil } }
    var document: [UInt8] { if case .document(let bytes) = self { bytes } else { [] } }
}

/// One object of a list, with what was given and what is wrong with it.
public struct SeparateObject: Sendable {
    let given: JSONValue
    let outcome: Result<FieldValues, ValidationFailure>
}

extension BodyShape {
    /// - Throws: `ValidationFailure` (422) at once for text that is no JSON; `ContexError.badRequest` for what Python's parser
    ///   gives up on, bytes that are not UTF-8 and nesting that is too deep. Faults of fields are added to `errors`.
    func read(_ bytes: [UInt8], contentType: String?, into errors: inout [ValidationError]) throws -> BodyContent {
        let body: [Step] = [.name("body")]
        if !bytes.isEmpty { try check(contentType: contentType) }
        switch self {
        case .none: return .none
        case .document: return .document(bytes)
        case .optionalJSON: return .json(bytes.isEmpty ? nil : try Self.json(bytes))
        case .form(let fields) where Self.kind(of: contentType) == Self.formType:
            return .object(FieldValues(parameters: try Self.form(bytes), shapes: fields, in: "body", into: &errors))
        case .object(let fields), .form(let fields):
            guard !bytes.isEmpty else {
                errors.append(.missing(at: body, input: .null))
                return .none
            }
            return Self.object(try Self.json(bytes, fields), fields, at: body, into: &errors).map(BodyContent.object) ?? .none
        case .objects(let fields, let countMax):
            guard let items = try Self.list(bytes, countMax: countMax, at: body, into: &errors) else { return .none }
            var objects: [FieldValues] = []
            objects.reserveCapacity(items.count)
            for (place, item) in items.enumerated() where errors.count < Limits.faults {
                if let object = Self.object(item, fields, at: body + [.place(place)], into: &errors) { objects.append(object) }
            }
            return .objects(objects)
        case .separateObjects(let fields, let countMax):
            guard let items = try Self.list(bytes, countMax: countMax, at: body, into: &errors) else { return .none }
            return .separateObjects(
                items.map { item in
                    var faults: [ValidationError] = []
                    let object = Self.object(item, fields, at: body, into: &faults)
                    guard let object, faults.isEmpty else { return SeparateObject(given: item, outcome: .failure(ValidationFailure(faults))) }
                    return SeparateObject(given: item, outcome: .success(object))
                })
        }
    }

    private static let formType = "application/x-www-form-urlencoded"
    /// Of a form's body: a question of the greatest length with every byte percent-encoded has room.
    private static let formBytesMax = 512 << 10
    private static let formFieldsMax = 100

    /// The fields of a form that somebody has filled in; an empty one is not given.
    private static func form(_ bytes: [UInt8]) throws(ContexError) -> [(name: String, value: String)] {
        guard bytes.count <= formBytesMax else { throw ContexError(.bodyTooLarge, "The form is too large: at most \(formBytesMax) bytes are accepted") }
        let fields = bytes.split(separator: UInt8(ascii: "&"), maxSplits: formFieldsMax)
        guard fields.count <= formFieldsMax else { throw ContexError(.bodyUnreadable, "The form has more than \(formFieldsMax) fields") }
        return FormText.parameters(String(decoding: bytes, as: UTF8.self)[...]).filter { !$0.value.isEmpty }
    }

    private static func list(
        _ bytes: [UInt8], countMax: Int, at body: [Step], into errors: inout [ValidationError]
    ) throws -> [JSONValue]? {
        guard !bytes.isEmpty else {
            errors.append(.missing(at: body, input: .null))
            return nil
        }
        let value = try json(bytes)
        guard case .array(let items) = value else {
            errors.append(ValidationError("list_type", at: body, "Input should be a valid list", input: value))
            return nil
        }
        guard items.count <= countMax else {
            // The list itself is too long to send back.
            errors.append(.tooMany(at: body, input: .null, count: items.count, countMax: countMax))
            return nil
        }
        return items
    }

    private static func object(
        _ value: JSONValue, _ fields: [FieldShape], at location: [Step], into errors: inout [ValidationError]
    ) -> FieldValues? {
        guard case .object(let object) = value else {
            errors.append(
                ValidationError(
                    "model_attributes_type", at: location, "Input should be a valid dictionary or object to extract fields from",
                    input: value))
            return nil
        }
        return FieldValues(object, shapes: fields, at: location, into: &errors)
    }

    /// - Parameter fields: of an object; one that bounds its own depth names itself when it is too deep for the parser.
    private static func json(_ bytes: [UInt8], _ fields: [FieldShape] = []) throws -> JSONValue {
        guard (try? UTF8Span(validating: bytes.span)) != nil else { throw unparsed }
        do throws(JSONParseError) {
            // How deep data may be is measured on the data, at every door alike.
            return try JSONParser.parse(bytes, maximumDepth: Limits.nestingDepth + Limits.envelopeLevels)
        } catch {
            if error.reason == .tooDeep {
                guard let name = member(of: bytes, at: error.offset), fields.contains(where: { $0.rule.boundsDepth && $0.name == name }) else { throw unparsed }
                throw ValidationFailure([.value("\(name): nested too deep", at: [.name("body"), .name(name)], input: .null)])
            }
            // Python counts characters where the parser counts bytes.
            let offset = bytes[..<min(error.offset, bytes.count)].count { $0 & 0xC0 != 0x80 }
            throw ValidationFailure([
                ValidationError(
                    "json_invalid", at: [.name("body"), .place(offset)], "JSON decode error", input: .object(JSONObject()),
                    context: JSONObject([("error", .string(error.message))]))
            ])
        }
    }

    /// The member of the outermost object that a byte belongs to. The text before it is well formed: the parser has been there.
    private static func member(of bytes: [UInt8], at offset: Int) -> String? {
        var (depth, isText, isEscaped) = (0, false, false)
        var (start, text, key) = (0, 0..<0, 0..<0)
        for place in 0..<min(offset, bytes.count) {
            let byte = bytes[place]
            if isText {
                if !isEscaped, byte == UInt8(ascii: "\"") { (isText, text) = (false, start..<place) }
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): (isText, start) = (true, place + 1)
            case UInt8(ascii: ":") where depth == 1: key = text
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return depth > 0 ? String(decoding: bytes[key], as: UTF8.self) : nil
    }

    private static let unparsed = ContexError(.bodyUnreadable, "There was an error parsing the body")

    /// A web page may send any body to any server as a text or a form without that anybody asks the server first; not as JSON. So a body
    /// that changes something says that it is JSON, or, where another format is read, at least that it is neither text nor form.
    /// - Throws: 415
    func check(contentType: String?) throws(Refusal) {
        let kind = Self.kind(of: contentType)
        let isJSON = kind == "application/json" || (kind.hasPrefix("application/") && kind.hasSuffix("+json"))
        let ways: String
        switch self {
        case .none: return
        case .form where kind == Self.formType: return
        case .form:
            guard !isJSON else { return }
            ways = "set Content-Type: \(Self.formType), or application/json"
        case .document:
            guard !isJSON, kind.isEmpty || Self.sentUnasked.contains(kind) else { return }
            ways = "set Content-Type: application/json (for a document in TOON: application/toon)"
        case .object, .objects, .separateObjects, .optionalJSON:
            guard !isJSON else { return }
            ways = "set Content-Type: application/json"
        }
        let given = kind.isEmpty ? "The body has no Content-Type" : "The body comes as \(kind.excerpt())"
        throw Refusal(.mediaTypeUnsupported, "\(given): \(ways)", headers: [("Accept", "application/json")])
    }

    /// Without its parameters, in lowercase; empty when there is none.
    private static func kind(of contentType: String?) -> String {
        contentType.map { $0.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased() } ?? ""
    }

    /// The types that a browser sends to another origin without asking (Fetch, "CORS-safelisted request-header").
    private static let sentUnasked: Set<String> = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
}
