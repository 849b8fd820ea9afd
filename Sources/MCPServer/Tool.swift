// The tools: few, with short words, because the list is part of every conversation. Their order never changes. A test counts the tokens.

internal import Base
internal import Engine
internal import MCPMessages
internal import Search

/// What an argument may be. The schema and the check are read off it.
enum ArgumentKind: Sendable {
    /// A project, key or agent.
    case name
    case text(scalarsMax: Int)
    case texts(countMax: Int, scalarsMax: Int)
    case integer(ClosedRange<Int>)
    case object
    case anything

    var schema: JSONObject {
        switch self {
        case .name, .text: JSONObject([("type", "string")])
        case .texts: JSONObject([("type", "array"), ("items", ["type": "string"])])
        case .integer(let range):
            JSONObject([("type", "integer"), ("minimum", .integer(range.lowerBound)), ("maximum", .integer(range.upperBound))])
        case .object: JSONObject([("type", "object")])
        case .anything: JSONObject()
        }
    }
}

struct ToolArgument: Sendable {
    let name: String
    let kind: ArgumentKind
    var isRequired = true
    var summary: String? = nil

    var schema: JSONValue {
        var schema = kind.schema
        if let summary { schema["description"] = .string(summary) }
        return .object(schema)
    }
}

/// In the order of the list. The raw value is the tool's name.
enum Tool: String, CaseIterable, Sendable {
    case queryContext = "query_context"
    case get
    case publish
    case registerNeed = "register_need"
    case waitForUpdates = "wait_for_updates"
    case listProjects = "list_projects"
    case explain

    private var summary: String {
        switch self {
        case .queryContext: "What a project knows about a question, best first, within the budget. A match without data or passage: get it by key and path."
        case .get: "All data of a key, or the part at a path that query_context named."
        case .publish: "Set a key to data (JSON or text). Agents that need it are told."
        case .registerNeed: "Say in plain words what an agent must hear of. Replaces its needs."
        case .waitForUpdates: "Wait for what concerns a registered agent. Pass the cursor of the answer before: it acknowledges that."
        case .listProjects: "The projects there are."
        case .explain: "Why a key answers a question, or does not."
        }
    }

    private static let project = ToolArgument(name: "project", kind: .name)
    private static let question = ToolArgument(name: "question", kind: .text(scalarsMax: Limits.queryScalars))
    private static let key = ToolArgument(name: "key", kind: .name)
    private static let agent = ToolArgument(name: "agent", kind: .name)

    var arguments: [ToolArgument] {
        switch self {
        case .queryContext:
            [
                Self.project, Self.question,
                ToolArgument(
                    name: "budget_tokens", kind: .integer(MCPLimits.budgetTokensBounds), isRequired: false, summary: "default \(MCPLimits.budgetTokens)"),
                ToolArgument(
                    name: "filter", kind: .object, isRequired: false,
                    summary: #"{"data_key":{"prefix":"docs/"}}, {"metadata.team":"core"}, {"updated_after":"2026-01-31"}"#),
            ]
        case .get: [Self.project, Self.key, ToolArgument(name: "path", kind: .text(scalarsMax: Limits.nodeKeyScalars), isRequired: false)]
        case .publish:
            [
                Self.project, Self.key, ToolArgument(name: "data", kind: .anything),
                ToolArgument(name: "format", kind: .text(scalarsMax: 64), isRequired: false, summary: "of text: markdown, yaml, csv ..."),
            ]
        case .registerNeed:
            [Self.project, Self.agent, ToolArgument(name: "needs", kind: .texts(countMax: Limits.needsPerAgent, scalarsMax: Limits.queryScalars))]
        case .waitForUpdates:
            [
                Self.project, Self.agent, ToolArgument(name: "cursor", kind: .text(scalarsMax: 64), isRequired: false),
                ToolArgument(
                    name: "timeout_seconds", kind: .integer(0...Limits.inboxWaitSeconds), isRequired: false, summary: "default \(MCPLimits.waitSeconds)"),
            ]
        case .listProjects: []
        case .explain: [Self.project, Self.question, ToolArgument(name: "key", kind: .text(scalarsMax: Limits.nodeKeyScalars))]
        }
    }

    /// Members of the answer that are always there, with their types.
    private var answer: [(name: String, type: String)] {
        switch self {
        case .queryContext: [("matches", "array")]
        case .get: [("key", "string"), ("seq", "integer"), ("format", "string")]
        case .publish: [("key", "string"), ("seq", "integer"), ("changed", "boolean")]
        case .registerNeed: [("agent", "string"), ("needs", "array")]
        case .waitForUpdates: [("updates", "array"), ("cursor", "string"), ("more", "boolean")]
        case .listProjects: [("projects", "array"), ("more", "boolean")]
        case .explain: [("outcome", "string"), ("meaning", "string")]
        }
    }

    private var annotations: JSONValue {
        switch self {
        case .queryContext, .get, .listProjects, .explain: ["readOnlyHint": .bool(true), "openWorldHint": .bool(false)]
        // It takes the place of what the key had; all of it can be read still.
        case .publish: ["destructiveHint": .bool(false), "idempotentHint": .bool(true), "openWorldHint": .bool(false)]
        case .registerNeed: ["destructiveHint": .bool(true), "idempotentHint": .bool(true), "openWorldHint": .bool(false)]
        // What it acknowledges goes.
        case .waitForUpdates: ["destructiveHint": .bool(true), "openWorldHint": .bool(false)]
        }
    }

    var json: JSONValue {
        var input = JSONObject([("type", "object"), ("properties", .object(JSONObject(arguments.map { ($0.name, $0.schema) })))])
        let required = arguments.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { input["required"] = .array(required) }
        input["additionalProperties"] = .bool(false)
        let output: JSONValue = [
            "type": "object", "properties": .object(JSONObject(answer.map { ($0.name, ["type": .string($0.type)]) })),
            "required": .array(answer.map { .string($0.name) }),
        ]
        return [
            "name": .string(rawValue), "description": .string(summary), "inputSchema": .object(input), "outputSchema": output, "annotations": annotations,
        ]
    }
}

/// The arguments of a call, checked against what the tool takes.
struct ToolArguments: Sendable {
    private let values: JSONObject

    /// - Throws: `.invalid` naming the argument: one that is missing, that is none of the tool's, or that is not what it must be.
    init(_ given: JSONObject, of tool: Tool) throws(ContexError) {
        let known = tool.arguments
        for (name, _) in given where !known.contains(where: { $0.name == name }) {
            let names = known.isEmpty ? "none" : known.map(\.name).joined(separator: ", ")
            throw Self.refusal(name.excerpt(), "\(tool.rawValue) has no such argument: it takes \(names)")
        }
        for argument in known {
            // What models write for an argument that they leave out.
            guard let value = given[argument.name], argument.isRequired || !value.isNull else {
                if argument.isRequired { throw Self.refusal(argument.name, "\(tool.rawValue) needs it") }
                continue
            }
            try Self.check(value, argument)
        }
        values = given
    }

    private static func check(_ value: JSONValue, _ argument: ToolArgument) throws(ContexError) {
        let name = argument.name
        switch argument.kind {
        case .name:
            guard let text = value.stringValue else { throw refusal(name, "it is a text") }
            _ = try Name(text, field: name)
        case .text(let scalarsMax):
            guard let text = value.stringValue, !text.isEmpty else { throw refusal(name, "it is a text that is not empty") }
            try TextRule.check(text, field: name, scalarsMax: scalarsMax)
        case .texts(let countMax, let scalarsMax):
            let texts = value.arrayValue?.compactMap(\.stringValue) ?? []
            guard let items = value.arrayValue, !items.isEmpty, texts.count == items.count, !texts.contains("") else {
                throw refusal(name, "it is a list of texts, none of them empty")
            }
            try TextRule.check(texts, field: name, countMax: countMax, scalarsMax: scalarsMax)
        case .integer(let range):
            guard let number = value.integerValue, range.contains(number) else {
                throw refusal(name, "it is a whole number, \(range.lowerBound) to \(range.upperBound)")
            }
        case .object:
            guard value.objectValue != nil else { throw refusal(name, "it is an object") }
        case .anything: break
        }
    }

    private static func refusal(_ name: String, _ text: String) -> ContexError { .invalid(field: name, kind: "value_error", message: "\(name): \(text)") }

    // What `check` has seen.

    func name(_ name: String) throws(ContexError) -> Name { try Name(values[name]?.stringValue ?? "", field: name) }
    func text(_ name: String) -> String? { values[name]?.stringValue }
    func texts(_ name: String) -> [String] { values[name]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    func integer(_ name: String) -> Int? { values[name]?.integerValue }
    func value(_ name: String) -> JSONValue? { values[name].flatMap { $0.isNull ? nil : $0 } }
    /// null is data too.
    func anything(_ name: String) -> JSONValue { values[name] ?? .null }
}
