// OpenAPI 3.1.0 out of the route table: nothing in it is written twice, so nothing in it can be out of date.

internal import Access
public import Base
internal import Service

public enum OpenAPIDocument {
    /// - Complexity: O(routes and their fields).
    public static func json(version: String) -> JSONValue {
        var paths = JSONObject()
        for route in RouteTable.all {
            for prefix in route.bases.prefixes {
                let path = prefix + route.path
                var item = paths[path]?.objectValue ?? JSONObject()
                item[route.method.lowercased()] = operation(route, prefix: prefix)
                paths[path] = .object(item)
            }
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Contex", "version": .string(version),
                "description": "Publish data, register needs, be told what fits them. /api is the legacy alias of /api/v1.",
                "license": ["name": "MIT", "identifier": "MIT"],
            ],
            "paths": .object(paths),
            "components": [
                "securitySchemes": [keyScheme: ["type": "apiKey", "in": "header", "name": "X-API-Key"]],
                "schemas": .object(schemas),
            ],
        ]
    }

    private static let keyScheme = "APIKey"

    // MARK: - Operations

    /// `post_projects_project_id_query`, with `_legacy` on the alias: unique, and made of what is unique.
    private static func identifier(_ route: Route, prefix: String) -> String {
        let words = (prefix.hasSuffix("v1") || prefix.isEmpty ? "" : "legacy/") + route.path
        let parts = words.split { $0 == "/" || $0 == "{" || $0 == "}" || $0 == "." }
        return ([route.method.lowercased()] + (route.bases.prefixes == [""] ? ["server"] : []) + parts.map(String.init)).joined(separator: "_")
    }

    private static func operation(_ route: Route, prefix: String) -> JSONValue {
        var operation = JSONObject([
            ("operationId", .string(identifier(route, prefix: prefix))), ("summary", .string(route.summary)),
            ("tags", .array([.string(route.group)])),
        ])
        if let permission = route.action.permission {
            operation["description"] = .string("Needs the permission \(permission.rawValue).")
        }
        if prefix == "/api" { operation["deprecated"] = .bool(true) }
        operation["security"] = route.isPublic ? .array([]) : .array([[keyScheme: .array([])]])
        let parameters = route.pathFields.map { parameter($0, in: "path") } + route.queryFields.map { parameter($0, in: "query") }
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if let body = requestBody(route) { operation["requestBody"] = body }
        operation["responses"] = responses(route)
        return .object(operation)
    }

    private static func parameter(_ field: FieldShape, in place: String) -> JSONValue {
        [
            "name": .string(field.name), "in": .string(place), "required": .bool(place == "path" || field.isRequired),
            "description": .string(field.summary), "schema": schema(of: field),
        ]
    }

    private static func requestBody(_ route: Route) -> JSONValue? {
        func json(_ schema: JSONValue, required: Bool, _ description: String? = nil) -> JSONValue {
            var body = JSONObject([
                ("required", .bool(required)), ("content", ["application/json": ["schema": schema]]),
            ])
            if let description { body["description"] = .string(description) }
            return .object(body)
        }
        switch route.body {
        case .none: return nil
        case .object: return json(reference(requestName(route)), required: true)
        case .form:
            let schema: JSONValue = ["schema": reference(requestName(route))]
            return ["required": .bool(true), "content": ["application/x-www-form-urlencoded": schema, "application/json": schema]]
        case .objects(_, let countMax), .separateObjects(_, let countMax):
            return json(
                ["type": "array", "maxItems": .integer(countMax), "items": reference(requestName(route))], required: true)
        case .optionalJSON(let summary): return json(.object(JSONObject()), required: false, summary)
        case .document(let summary):
            return ["required": .bool(true), "description": .string(summary), "content": ["*/*": ["schema": ["type": "string"]]]]
        }
    }

    private static func responses(_ route: Route) -> JSONValue {
        func answer(_ description: String, _ schema: String) -> JSONValue {
            [
                "description": .string(description), "headers": [AnswerHeaders.errorCode: ["schema": reference("ErrorCode")]],
                "content": ["application/json": ["schema": reference(schema)], ProblemShape.mediaType: ["schema": reference("Problem")]],
            ]
        }
        var responses = JSONObject()
        if route.answer.contentType == Route.leadsElsewhere {
            responses["307"] = ["description": .string(route.summary)]
            return .object(responses)
        }
        var content = JSONObject()
        if let example = example(route.answer.example) { content["example"] = example }
        var contents = JSONObject([(route.answer.contentType, .object(content))])
        for other in route.answer.otherContentTypes { contents[other] = .object(JSONObject()) }
        if route.answer.contentType == Route.becomesSocket {
            responses["101"] = ["description": "The connection speaks WebSocket from here on"]
            responses["426"] = answer("The request opens no WebSocket that this server speaks", "Failure")
        } else {
            responses["200"] = ["description": "The answer", "content": .object(contents)]
        }
        guard !route.isPublic else { return .object(responses) }
        if !(route.pathFields.isEmpty && route.queryFields.isEmpty && route.body.fields.isEmpty) {
            responses["422"] = answer("Something in the request is wrong", "HTTPValidationError")
        }
        responses["401"] = answer("No key, or none that is known", "Failure")
        if route.action.permission != nil { responses["403"] = answer("The key's role does not allow this here", "Forbidden") }
        responses["default"] = answer("Anything else", "Failure")
        return .object(responses)
    }

    // MARK: - Schemas

    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }

    /// `PublishRequest`: single and batch routes share the shape of their objects, where it is the same.
    private static func requestName(_ route: Route) -> String {
        var name = route.action.rawValue
        let single = name.replacing("Batch", with: "")
        let fields = RouteTable.all.first { $0.action.rawValue == single }?.body.fields.map(\.name)
        if fields == nil || fields == route.body.fields.map(\.name) { name = single }
        // A form that a page sends asks for less than the same action's own route.
        let isForm = if case .form = route.body { true } else { false }
        // Another body of the same action goes by the last word of its path.
        let first = RouteTable.all.first { other in
            let isOtherForm = if case .form = other.body { true } else { false }
            return other.action == route.action && isOtherForm == isForm && !other.body.fields.isEmpty
        }
        if let first, first.body.fields.map(\.name) != route.body.fields.map(\.name),
            let word = route.path.split(separator: "/").last(where: { !$0.hasPrefix("{") })
        {
            name += word.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        }
        return name.prefix(1).uppercased() + name.dropFirst() + (isForm ? "Form" : "Request")
    }

    private static var schemas: JSONObject {
        var schemas = JSONObject()
        for route in RouteTable.all where !route.body.fields.isEmpty {
            var members = object(
                route.body.fields.map { ($0.name, schema(of: $0)) }, required: route.body.fields.filter(\.isRequired).map(\.name)
            ).objectValue!
            for field in route.body.fields {
                guard case .requiredWithout(let other) = field.presence else { continue }
                members["anyOf"] = .array([field.name, other].map { ["required": .array([.string($0)])] })
            }
            schemas[requestName(route)] = .object(members)
        }
        schemas["Failure"] = object([("detail", ["type": "string"])], required: ["detail"])
        schemas["ErrorCode"] = ["type": "string", "enum": .array(ErrorCode.allCases.map { .string($0.rawValue) })]
        schemas["Problem"] = object(
            ["type", "title", "detail", "request_id"].map { ($0, ["type": "string"]) } + [("status", ["type": "integer"]), ("code", reference("ErrorCode"))],
            required: ["type", "title", "status", "detail", "code", "request_id"])
        schemas["Forbidden"] = object(
            ["error", "message", "required_permission", "your_role"].map { ($0, ["type": "string"]) },
            required: ["error", "message", "required_permission", "your_role"])
        schemas["ValidationError"] = object(
            [
                ("type", ["type": "string"]), ("loc", ["type": "array", "items": ["type": .array(["string", "integer"])]]),
                ("msg", ["type": "string"]), ("input", .object(JSONObject())), ("ctx", ["type": "object"]),
            ], required: ["type", "loc", "msg"])
        schemas["HTTPValidationError"] = object(
            [("detail", ["type": "array", "items": reference("ValidationError")])], required: ["detail"])
        return schemas
    }

    private static func object(_ members: [(String, JSONValue)], required: [String]) -> JSONValue {
        [
            "type": "object", "properties": .object(JSONObject(members)), "required": .array(required.map(JSONValue.string)),
        ]
    }

    /// docs/filters.md has the whole language.
    private static let filterExamples: JSONValue = .array([
        ["metadata.team": "core", "data_format": .array(["json", "yaml"]), "metadata.size": ["gte": .integer(3), "lt": .integer(10)]],
        ["or": .array([["data_key": ["prefix": "docs/"]], ["updated_after": "2026-01-01T00:00:00Z"]]), "not": ["metadata.draft": .bool(true)]],
        ["metadata.owner.name": ["exists": .bool(true)], "published_by": .array(["ci"])],
    ])

    private static func schema(of field: FieldShape) -> JSONValue {
        var schema = JSONObject()
        func type(_ name: String) { schema["type"] = field.takesNull ? .array([.string(name), "null"]) : .string(name) }
        switch field.widened?.rule ?? field.rule {
        case .text(let scalarsMin, let scalarsMax):
            type("string")
            if scalarsMin > 0 { schema["minLength"] = .integer(scalarsMin) }
            if scalarsMax < .max { schema["maxLength"] = .integer(scalarsMax) }
        case .name:
            type("string")
            schema["maxLength"] = .integer(Limits.nameScalars)
        case .integer(let min, let max):
            type("integer")
            if let min { schema["minimum"] = .integer(min) }
            if let max { schema["maximum"] = .integer(max) }
        case .number(let min, let max):
            type("number")
            schema["minimum"] = .double(min)
            schema["maximum"] = .double(max)
        case .shares(let names):
            type("object")
            schema["properties"] = .object(JSONObject(names.map { ($0, ["type": "number", "minimum": .integer(0)]) }))
            schema["additionalProperties"] = .bool(false)
            schema["minProperties"] = .integer(1)
        case .flag: type("boolean")
        case .texts(let countMax, let scalarsMax):
            type("array")
            schema["items"] = ["type": "string", "maxLength": .integer(scalarsMax)]
            schema["maxItems"] = .integer(countMax)
        case .embeddingInputs:
            let text: JSONValue = ["type": "string", "minLength": .integer(1), "maxLength": .integer(Limits.queryScalars)]
            let tokens: JSONValue = [
                "type": "array", "items": ["type": "integer", "minimum": .integer(0)], "minItems": .integer(1), "maxItems": .integer(Limits.embeddingTokens),
            ]
            func many(_ one: JSONValue) -> JSONValue {
                ["type": "array", "items": one, "minItems": .integer(1), "maxItems": .integer(Limits.embeddingTexts)]
            }
            schema["anyOf"] = .array([text, many(text), tokens, many(tokens)])
        case .word(let words, _):
            type("string")
            schema["enum"] = .array(words.map(JSONValue.string) + (field.takesNull ? [.null] : []))
        case .address:
            type("string")
            schema["format"] = "uri"
        case .vector(let countMax):
            type("array")
            schema["items"] = ["type": "number"]
            schema["maxItems"] = .integer(countMax)
            schema["examples"] = .array([.array([0.12, -0.034, 0.5].map(JSONValue.double))])
        case .moment: schema["type"] = .array(["string", "integer"] + (field.takesNull ? ["null"] : []))
        case .anything: break
        case .metadata:
            type("object")
            schema["additionalProperties"] = .bool(true)
            schema["examples"] = .array([["team": "core", "size": .integer(3), "owner": ["name": "Ada"], "due": "2026-01-31T08:30:00Z"]])
        case .filter:
            type("object")
            schema["additionalProperties"] = .bool(true)
            schema["examples"] = filterExamples
        }
        schema["description"] = .string(field.summary)
        if case .optional(let fallback) = field.presence, !fallback.isNull { schema["default"] = fallback }
        return .object(schema)
    }
}
