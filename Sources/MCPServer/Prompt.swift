// Prompts: what a person picks from a menu, and the server turns into the words of a request with the context in it.

internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Events
internal import MCPMessages
internal import Service

/// In the order of the list. The raw value is the prompt's name.
enum Prompt: String, CaseIterable, Sendable {
    case briefMe = "brief_me"
    case whatChangedSince = "what_changed_since"

    var summary: String {
        switch self {
        case .briefMe: "What the project knows about a question, to begin work with"
        case .whatChangedSince: "What was published and deleted after an event of the project"
        }
    }

    /// The first is the project's in each.
    private var arguments: [(name: String, summary: String)] {
        switch self {
        case .briefMe: [("project", "The project"), ("question", "What you are about to work on")]
        case .whatChangedSince: [("project", "The project"), ("since", "The number of an event (seq); 0: from the beginning")]
        }
    }

    var json: JSONValue {
        [
            "name": .string(rawValue), "description": .string(summary),
            "arguments": .array(arguments.map { ["name": .string($0.name), "description": .string($0.summary), "required": .bool(true)] }),
        ]
    }

    /// - Throws: `.invalid` naming the argument.
    fileprivate func given(_ value: JSONValue?) throws(ContexError) -> [String: String] {
        func refusal(_ name: String, _ text: String) -> ContexError { .invalid(field: name, kind: "value_error", message: "\(name): \(text)") }
        let members = value?.objectValue ?? JSONObject()
        for (name, _) in members where !arguments.contains(where: { $0.name == name }) {
            throw refusal(name.excerpt(), "\(rawValue) takes \(arguments.map(\.name).joined(separator: " and "))")
        }
        var given: [String: String] = [:]
        for argument in arguments {
            guard let text = members[argument.name]?.stringValue, !text.isEmpty else { throw refusal(argument.name, "it is a text that is not empty") }
            try TextRule.check(text, field: argument.name, scalarsMax: Limits.queryScalars)
            given[argument.name] = text
        }
        return given
    }
}

extension MCPCall {
    func prompt() async throws -> JSONObject {
        guard let name = params["name"]?.stringValue, let prompt = Prompt(rawValue: name) else {
            throw RPCFault(.invalidParams, "Unknown prompt: \((params["name"]?.stringValue ?? "none").excerpt())")
        }
        let given = try prompt.given(params["arguments"])
        let project = try Name(given["project"] ?? "", field: "project")
        let text: String
        switch prompt {
        case .briefMe:
            let question = given["question"] ?? ""
            let context = try await context(project: project, question: question, budget: MCPLimits.budgetTokens)
            text = "I am about to work on this: \(question)\n\nBrief me from what the project '\(project)' knows, and name the key of whatever you use. "
                + "Ask query_context and get for more.\n\n\(JSONPrinter.text(.object(context)))"
        case .whatChangedSince:
            guard let number = given["since"].flatMap({ UInt64($0) }) else {
                throw ContexError.invalid(field: "since", kind: "value_error", message: "since: it is the number of an event")
            }
            let changes = try await changes(of: project, since: Sequence(rawValue: min(number, UInt64(Int64.max))))
            text = "Tell me what changed in the project '\(project)' after event \(number), the most important first, and name the keys. "
                + "get has what a key holds now.\n\n\(JSONPrinter.text(.object(changes)))"
        }
        return JSONObject([
            ("description", .string(prompt.summary)), ("messages", .array([["role": "user", "content": ["type": "text", "text": .string(text)]]])),
        ])
    }

    private func changes(of project: Name, since sequence: Sequence) async throws -> JSONObject {
        _ = try await operations.settings(project: project, by: caller)
        let page = try await operations.events(project: project, since: sequence, PageRequest(limit: MCPLimits.changes), by: caller) { event in
            (ToolShape.change(event, briefBytes: MCPLimits.briefBytes), MCPLimits.briefBytes + event.key.utf8.count)
        }
        return JSONObject([
            ("notice", .string(ToolShape.notice)), ("changes", .array(page.items.map(JSONValue.object))), ("more", .bool(page.next != nil)),
        ])
    }
}
