internal import Answers
internal import Attributes
internal import Base
internal import Content
internal import Engine
internal import Logging
internal import MCPMessages
internal import Service

extension MCPCall {
    /// A refusal of a tool is an answer, so that the model reads it; of a call that is none, a fault.
    func callTool() async throws -> JSONObject {
        guard let name = params["name"]?.stringValue else { throw RPCFault(.invalidParams, "tools/call names a tool") }
        guard let tool = Tool(rawValue: name) else { throw RPCFault(.invalidParams, "Unknown tool: \(name.excerpt())") }
        var given = JSONObject()
        switch params["arguments"] {
        case nil, .null?: break
        case .object(let members)?: given = members
        default: throw RPCFault(.invalidParams, "arguments is an object")
        }
        do {
            return Self.answer(try await call(tool, ToolArguments(given, of: tool)), isError: false)
        } catch let error as ContexError where error.code != .cancelled {
            switch error.category {
            case .damaged, .bug, .storageFull:
                endpoint.logger.error("\(tool.rawValue) failed", metadata: ["request": "\(caller.requestID)", "error": "\(error)"])
            default: break
            }
            let refusal = error.isRecorded ? error : await operations.refuse(tool.action, by: caller, error)
            return Self.answer(ToolShape.refusal(refusal), isError: true)
        }
    }

    /// The object, and its text for clients that know of texts only.
    private static func answer(_ object: JSONObject, isError: Bool) -> JSONObject {
        var answer = JSONObject([("content", .array([["type": "text", "text": .string(JSONPrinter.text(.object(object)))]]))])
        // The schema is that of answers.
        if !isError { answer["structuredContent"] = .object(object) }
        answer["isError"] = .bool(isError)
        return answer
    }

    private func call(_ tool: Tool, _ arguments: ToolArguments) async throws -> JSONObject {
        switch tool {
        case .queryContext:
            return try await context(
                project: arguments.name("project"), question: arguments.text("question") ?? "",
                budget: arguments.integer("budget_tokens") ?? MCPLimits.budgetTokens, filter: Self.filter(arguments.value("filter")))
        case .get:
            let held = try await operations.data(project: arguments.name("project"), key: arguments.name("key"), by: caller)
            return try ToolShape.held(held, path: arguments.text("path"), budget(MCPLimits.dataTokens))
        case .publish:
            let command = PublishCommand(
                project: try arguments.name("project"), key: try arguments.name("key"), data: arguments.anything("data"), format: arguments.text("format"))
            return ToolShape.published(try await operations.publish(command, by: caller))
        case .registerNeed:
            let command = RegisterCommand(
                project: try arguments.name("project"), agent: try arguments.name("agent"), needs: arguments.texts("needs"),
                responseFormat: AnswerFormat.json.rawValue)
            return ToolShape.registered(try await operations.register(command, by: caller))
        case .waitForUpdates: return try await updates(arguments)
        case .listProjects: return ToolShape.projects(try await operations.projects(PageRequest(limit: MCPLimits.projects), by: caller))
        case .explain:
            let project = try arguments.name("project")
            var request = QueryRequest(project: project, text: arguments.text("question") ?? "", topK: MCPLimits.matches)
            request.explainKeys = [arguments.text("key") ?? ""]
            let answer = try await operations.query(request, by: caller)
            guard let explained = answer.explained.first else { throw ContexError(.bug, "a key without an explanation") }
            if explained.outcome == .notThere { try await requireProject(project) }
            return ToolShape.explained(explained)
        }
    }

    func budget(_ tokens: Int) -> ToolBudget { ToolBudget(tokens) { [operations] in operations.countTokens($0) } }

    func context(project: Name, question: String, budget tokens: Int, filter: Filter? = nil) async throws -> JSONObject {
        var request = QueryRequest(project: project, text: question, topK: MCPLimits.matches, filter: filter)
        // Duplicates once.
        request.diversity = 0
        // A model judges by itself what a doubtful match is worth, and its budget bounds what doubt may cost.
        request.threshold = MCPLimits.threshold
        let answer = try await operations.query(request, by: caller)
        // A model that has mistyped a project is told; a question to one that is empty is answered.
        if answer.matches.isEmpty { try await requireProject(project) }
        return ToolShape.context(answer, project: project, matchesMax: MCPLimits.matches, briefBytes: MCPLimits.briefBytes, budget(tokens))
    }

    /// - Throws: `.notFound`
    private func requireProject(_ project: Name) async throws { _ = try await operations.settings(project: project, by: caller) }

    private static func filter(_ value: JSONValue?) throws(ContexError) -> Filter? {
        guard let value else { return nil }
        do throws(PlacedFault) { return try Filter(value) } catch { throw error.contexError }
    }

    private func updates(_ arguments: ToolArguments) async throws -> JSONObject {
        let (project, agent) = (try arguments.name("project"), try arguments.name("agent"))
        let cursor = try arguments.text("cursor").map { text throws(ContexError) in try InboxCursor(text) }
        let wait = Duration.seconds(arguments.integer("timeout_seconds") ?? MCPLimits.waitSeconds)
        let feed = try await operations.feed(of: agent, project: project, by: caller)
        let page = try await feed.page(after: cursor, limit: MCPLimits.updates, bytesMax: Limits.streamPieceBytes, wait: wait) { [post] waiting in
            await post.hold(waiting)
        }
        // It has come back with the cursor, so it has what stood before it. Whether or not that can be written down, it gets what follows.
        if let cursor, cursor.sequence > .zero { _ = try? await operations.acknowledge(agent, project: project, upTo: cursor, by: caller) }
        return ToolShape.updates(page, briefBytes: MCPLimits.briefBytes, budget(MCPLimits.updateTokens))
    }
}

extension Tool {
    /// What is asked for, of a call that was refused before it was.
    fileprivate var action: Action {
        switch self {
        case .queryContext, .explain: .query
        case .get: .showData
        case .publish: .publish
        case .registerNeed: .registerAgent
        case .waitForUpdates: .readInbox
        case .listProjects: .listProjects
        }
    }
}
