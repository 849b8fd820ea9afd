internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Service

/// A page to try the server on, and what it asks for. The page needs no key; what it shows does, as everywhere.
extension RouteTable {
    private static let group = "Sandbox"
    private static let html = "text/html; charset=utf-8"

    private enum Ask {
        static let query = Field.text("query", scalarsMin: 1, scalarsMax: Limits.queryScalars, "What is looked for")
        static let topK = Field.integer("top_k", min: 1, max: Limits.topK, default: 10, "Matches at most")
        static let threshold = Field.optionalNumber("threshold", min: 0, max: 1, "Least similarity; the server's when not given")
        static let maxTokens = Field.integer(
            "max_tokens", min: Limits.contextTokens.lowerBound, max: Limits.contextTokens.upperBound, default: 51_200, "Bound of the data of all matches")
        static let shapes = [Fields.project.shape, query.shape, topK.shape, threshold.shape, maxTokens.shape]
    }

    private enum Watch {
        static let needs = Field.text("data_needs", "A JSON array of needs, in plain words")
        static let session = Field.name("session_id", "The agent's id for as long as the connection is open; no agent may have it yet")
        static let shapes = [Fields.project.shape, needs.shape, session.shape]

        /// - Throws: 422
        static func needs(_ text: String) throws -> [String] {
            let place: [Step] = [.name("query"), .name(needs.shape.name)]
            guard let items = (try? JSONParser.parse(text: text))?.arrayValue else {
                throw ValidationFailure([ValidationError("json_invalid", at: place, "Input should be a JSON array of texts", input: .string(text))])
            }
            var errors: [ValidationError] = []
            let rule = FieldRule.texts(countMax: Limits.needsPerAgent, scalarsMax: Limits.queryScalars)
            _ = rule.check(.array(items), at: place, into: &errors)
            guard errors.isEmpty else { throw ValidationFailure(errors) }
            return items.compactMap(\.stringValue)
        }
    }

    /// Documents that the page shows at most.
    private static let documentsMax = 100
    /// Nodes whose tokens it counts at most.
    private static let countedNodesMax = 10_000

    static let sandboxRoutes: [Route] = SandboxAssets.files.map(asset) + [
        Route(
            "GET", "/sandbox/", bases: .root, action: .showHealth, isPublic: true, group: group, "A page to publish, ask and follow on", answers: html, ""
        ) { call in
            .bytes(
                Array(SandboxPage.html(version: call.server.version, needsKey: call.operations.authenticationRequired).utf8), contentType: html)
        },

        Route(
            "POST", "/sandbox/query", bases: .root, action: .query, group: group, "What fits a question, as a piece of HTML",
            body: .form(Ask.shapes), answers: html, ""
        ) { call in
            var request = QueryRequest(project: call.body[Fields.project], text: call.body[Ask.query], vector: nil)
            request.topK = call.body[Ask.topK]
            request.threshold = call.body[Ask.threshold]
            request.maxTokens = call.body[Ask.maxTokens]
            request.format = .toon
            let answer = try await call.operations.query(request, by: call.caller)
            return .bytes(Array(SandboxFragments.results(answer).utf8), contentType: html)
        },

        Route(
            "GET", "/sandbox/projects/{project_id}/stats", bases: .root, action: .listData, group: group, "Keys and tokens of a project, as a piece of HTML",
            path: [Fields.project.shape], answers: html, ""
        ) { call in
            let page = try await call.operations.listData(
                project: call.path[Fields.project], PageRequest(limit: countedNodesMax), by: call.caller
            ) { node in ((key: node.documentKey, tokens: node.tokenCount), 1) }
            var keys: [(key: String, nodes: Int, tokens: Int)] = []
            for node in page.items {
                if keys.last.map({ ExactText($0.key) == ExactText(node.key) }) != true { keys.append((node.key, 0, 0)) }
                keys[keys.count - 1].nodes += 1
                keys[keys.count - 1].tokens += node.tokens
            }
            return .bytes(Array(SandboxFragments.stats(keys, isWhole: page.next == nil).utf8), contentType: html)
        },

        Route(
            "GET", "/sandbox/projects/{project_id}/data", bases: .root, action: .listData, group: group,
            "The first documents of a project as they were published; truncated says that there are more", path: [Fields.project.shape],
            #"{"data":[{"data_key":"tech","description":"tech (json)","data":{"db":"PostgreSQL"}}]}"#
        ) { call in
            let found = try await call.operations.firstDocuments(
                project: call.path[Fields.project], countMax: documentsMax, bytesMax: Limits.answerBytes, by: call.caller)
            let items = found.documents.map { document in
                var item = JSONMembers()
                item.add("data_key", .string(document.key.text))
                item.add("description", .string("\(document.key.text) (\(document.format))"))
                item.add("data", text: document.dataText ?? Array("null".utf8))
                return item.text
            }
            var answer = JSONMembers()
            answer.add("data", text: JSONMembers.list(items))
            if !found.isWhole { answer.add("truncated", .bool(true)) }
            return .bytes(answer.text, contentType: "application/json")
        },

        Route(
            "GET", "/sandbox/subscribe", bases: .root, action: .registerAgent, group: group,
            "Updates of needs as server-sent events, by an agent that is there for as long as the connection is", query: Watch.shapes,
            answers: EventStream.contentType,
            #"{"type":"initial_context","message":"Subscribed to app","matched_needs":{"the database in use":1}}"#
        ) { call in
            let project = call.query[Fields.project]
            let command = RegisterCommand(
                project: project, agent: call.query[Watch.session], needs: try Watch.needs(call.query[Watch.needs]), responseFormat: "json")
            let place = try call.streamPlace()
            let visit = try await inQuery { try await call.operations.visit(command, by: call.caller) }
            let greeting: JSONValue = [
                "type": "initial_context", "message": .string("Subscribed to \(project)"), "matched_needs": AgentShape.matchedNeeds(visit.registration),
            ]
            var answer = try await EventStream.answer(
                visit.feed, after: nil, in: place, comment: call.streamComment, greeting: JSONPrinter.bytes(greeting)
            ) { item, _ in
                // The visit lasts for as long as somebody may ask for the next piece.
                withExtendedLifetime(visit) { FeedShape.visited(item) }
            }
            answer.headers.append(("X-Accel-Buffering", "no"))
            answer.headers.append(("Cache-Control", "no-cache"))
            return answer
        },
    ]

    private static func asset(_ file: SandboxAssets.File) -> Route {
        Route(
            "GET", "/static/\(file.name)", bases: .root, action: .showHealth, isPublic: true, group: group, "What the page loads", answers: file.contentType, ""
        ) { _ in .bytes(Array(file.text.utf8), contentType: "\(file.contentType); charset=utf-8") }
    }
}
