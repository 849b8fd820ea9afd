internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Events
internal import Inboxes
internal import Needs
internal import Search
internal import Service

/// Agents and their needs. Ids are the project's; the original's routes, which name an agent by its id alone, still answer.
extension RouteTable {
    private static let group = "Agents"

    private enum Register {
        static let needs = Field.texts(
            "data_needs", countMax: Limits.needsPerAgent, scalarsMax: Limits.queryScalars, "What the agent needs to know, in plain words")
        static let lastSeen = Field.text(
            "last_seen_sequence", default: "0", "The last event that the agent has; what came after is sent to it").takingNull()
        static let method = Field.word(
            "notification_method", of: ["redis", "webhook"], isLiteral: true, default: "redis", "How the agent is told")
        static let channel = Field.optionalText(
            "notification_channel", scalarsMax: Limits.channelBytes,
            "When not given agent:<agent_id>:updates, or another one when that is another project's: the answer says which")
        static let webhookURL = Field.optionalAddress("webhook_url", "Where a webhook is sent, http or https")
        static let webhookSecret = Field.optionalText(
            "webhook_secret", scalarsMax: Limits.webhookSecretScalars, "Signs each webhook: HMAC-SHA-256 of its body")
        static let envelope = Field.word(
            "envelope", of: ["plain", "full"], isLiteral: true, default: "plain",
            "full: messages also carry project_id and provenance (sequence, event time, publisher, format, needs that matched)")
        static let minSimilarity = Field.optionalNumber(
            "min_similarity", min: 0, max: 1, "From which similarity on data matches these needs; the server's threshold when not given")
        static let mode = Field.optionalWord(
            "mode", of: SearchMode.allCases.map(\.rawValue), "How these needs are scored; the server's mode when not given")
        static let filter = Field.filterText(
            "filter", "Only data that passes matches these needs: conditions on metadata and on what is known of each key")
        static let topK = Field.optionalInteger(
            "top_k", min: 1, max: Limits.topK, "Matches of each need in the initial context at most; the server's number when not given")
        static let shapes = [
            Fields.agent.shape, Fields.project.shape, needs.shape, lastSeen.shape, Fields.responseFormat.shape, method.shape, channel.shape,
            webhookURL.shape, webhookSecret.shape, envelope.shape, Fields.maxTokens.shape, Fields.diversity.shape, Fields.pinned.shape,
            minSimilarity.shape, mode.shape, filter.shape, topK.shape,
        ]

        /// - Parameter location: where the object stands in the body.
        static func command(_ body: FieldValues, at location: [Step]) throws -> RegisterCommand {
            let delivery: AgentRecord.Delivery = body[method] == "webhook" ? .webhook : .redis
            if delivery == .webhook, body[webhookURL] == nil {
                throw ValidationFailure([
                    .value(
                        "webhook_url is required when notification_method='webhook'", at: location + [.name(webhookURL.shape.name)], input: .null)
                ])
            }
            var command = RegisterCommand(
                project: body[Fields.project], agent: body[Fields.agent], needs: body[needs],
                lastSeen: body[lastSeen].map(LaxText.sequence) ?? .zero, delivery: delivery, responseFormat: body[Fields.responseFormat],
                channel: body[channel], webhookURL: body[webhookURL], webhookSecret: body[webhookSecret])
            command.envelope = body[envelope] == "full" ? .full : .plain
            command.maxTokens = body[Fields.maxTokens]
            command.diversity = body[Fields.diversity]
            command.pinned = body[Fields.pinned]
            command.settings = NeedSettings(
                minSimilarity: body[minSimilarity], mode: body[mode].flatMap { SearchMode(rawValue: $0) }.map { $0.ofNeeds }, filter: body[filter],
                topK: body[topK])
            return command
        }
    }

    static let agentRoutes: [Route] = [
        Route(
            "POST", "/agents/register", action: .registerAgent, group: group,
            "Register needs: the matching data is sent at once, and whatever is published later that matches", body: .object(Register.shapes),
            #"""
            {"status":"registered","agent_id":"coder","project_id":"app","caught_up_events":1,"current_sequence":"1",
            "matched_needs":{"the database in use":1},"notification_channel":"agent:coder:updates"}
            """#
        ) { call in
            let command = try Register.command(call.body, at: [.name("body")])
            let registration = try await call.operations.register(command, by: call.caller)
            return .json(.object(AgentShape.registered(registration)))
        },

        Route(
            "POST", "/batch/register", action: .registerAgentBatch, group: group, "Register many; each succeeds or fails by itself",
            body: .separateObjects(Register.shapes, countMax: Limits.batchItems),
            #"""
            {"status":"completed","total":1,"successful":1,"failed":0,"duration_ms":2.5,"results":[{"status":"success","agent_id":"coder",
            "project_id":"app","matched_needs":{},"notification_channel":"agent:coder:updates"}]}
            """#
        ) { call in
            let items = call.bodyContent.separateItems
            return try await batch(items) { items in
                let commands = items.map { item in Result { try Register.command(try item.outcome.get(), at: []) } }
                var outcomes = try await call.operations.registerBatch(commands.compactMap { try? $0.get() }, by: call.caller).makeIterator()
                return commands.map { command in
                    switch command {
                    case .success: outcomes.next() ?? .failure(ContexError(.bug, "a registration without an outcome"))
                    case .failure(let fault as ValidationFailure): .failure(ContexError(.invalid, fault.fault.message))
                    case .failure(let fault): .failure(fault as? ContexError ?? ContexError(.bug, "\(fault)"))
                    }
                }
            } success: { _, registration in
                AgentShape.batchItem(registration)
            } failure: { item in
                JSONObject([
                    ("status", "failed"), ("agent_id", Excerpt.of(item.given["agent_id"] ?? .null)),
                    ("project_id", Excerpt.of(item.given["project_id"] ?? .null)),
                ])
            }
        },

        Route(
            "GET", "/agents", action: .listAgents, group: group, "The agents that the caller may see, in the order of registration",
            query: Fields.paging, #"{"agents":["coder"],"count":1,"registrations":[{"agent_id":"coder","project_id":"app"}]}"#
        ) { call in try await names(call, of: nil) },

        Route(
            "GET", "/agents/{agent_id}", action: .showAgent, group: group, "An agent; 409 with the candidates when several projects have one of this id",
            path: [Fields.agent.shape], query: [projectMeant.shape], agentExample
        ) { call in
            .json(.object(AgentShape.status(try await agent(of: call))))
        },

        Route(
            "GET", "/agents/{agent_id}/status", action: .showAgent, group: group, "The same, with its id and status",
            path: [Fields.agent.shape], query: [projectMeant.shape], agentExample
        ) { call in
            let agent = try await agent(of: call)
            var members = AgentShape.status(agent)
            members["agent_id"] = .string(agent.record.name.text)
            members["status"] = "registered"
            return .json(.object(members))
        },

        Route(
            "DELETE", "/agents/{agent_id}", action: .removeAgent, group: group,
            "Unregister; an unknown id is no error, 409 with the candidates when several projects have one", path: [Fields.agent.shape],
            query: [projectMeant.shape], #"{"status":"unregistered","agent_id":"coder"}"#
        ) { call in
            let agent = call.path[Fields.agent]
            try await call.operations.unregister(agent, project: call.query[projectMeant], by: call.caller)
            return .json(["status": "unregistered", "agent_id": .string(agent.text)])
        },

        Route(
            "GET", "/projects/{project_id}/agents", bases: .current, action: .listAgents, group: group, "The agents of a project",
            path: [Fields.project.shape], query: Fields.paging, #"{"agents":["coder"],"count":1,"registrations":[{"agent_id":"coder","project_id":"app"}]}"#
        ) { call in try await names(call, of: call.path[Fields.project]) },

        Route(
            "GET", "/projects/{project_id}/agents/{agent_id}", bases: .current, action: .showAgent, group: group, "An agent of a project",
            path: [Fields.project.shape, Fields.agent.shape], agentExample
        ) { call in
            let agent = try await call.operations.agent(call.path[Fields.agent], project: call.path[Fields.project], by: call.caller)
            return .json(.object(AgentShape.status(agent)))
        },

        Route(
            "DELETE", "/projects/{project_id}/agents/{agent_id}", bases: .current, action: .removeAgent, group: group,
            "Unregister an agent of a project; an unknown id is no error", path: [Fields.project.shape, Fields.agent.shape],
            #"{"status":"unregistered","agent_id":"coder"}"#
        ) { call in
            let agent = call.path[Fields.agent]
            try await call.operations.unregister(agent, project: call.path[Fields.project], by: call.caller)
            return .json(["status": "unregistered", "agent_id": .string(agent.text)])
        },

        Route(
            "GET", "/agents/{agent_id}/inbox", action: .readInbox, group: group,
            "What concerned an agent, oldest first: after the cursor, else all that it has not acknowledged", path: [Fields.agent.shape],
            query: [projectMeant.shape] + Inboxes.shapes, Inboxes.example
        ) { call in
            try await inbox(call, project: call.query[projectMeant])
        },

        Route(
            "GET", "/projects/{project_id}/agents/{agent_id}/inbox", bases: .current, action: .readInbox, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape],
            query: Inboxes.shapes, Inboxes.example
        ) { call in
            try await inbox(call, project: call.path[Fields.project])
        },

        Route(
            "POST", "/agents/{agent_id}/inbox/ack", action: .acknowledgeInbox, group: group,
            "Let the entries up to a cursor go: the agent has dealt with them", path: [Fields.agent.shape], query: [projectMeant.shape],
            body: .object([Inboxes.acknowledged.shape]), #"{"status":"acknowledged","agent_id":"coder","removed":1}"#
        ) { call in
            try await acknowledge(call, project: call.query[projectMeant])
        },

        Route(
            "POST", "/projects/{project_id}/agents/{agent_id}/inbox/ack", bases: .current, action: .acknowledgeInbox, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape], body: .object([Inboxes.acknowledged.shape]),
            #"{"status":"acknowledged","agent_id":"coder","removed":1}"#
        ) { call in
            try await acknowledge(call, project: call.path[Fields.project])
        },
    ]

    private enum Inboxes {
        static let cursor = Field.optionalText("cursor", scalarsMax: 64, "The cursor of an answer before: only what came after it")
        static let limit = Field.integer("limit", min: 1, max: Limits.inboxPageMax, default: Limits.inboxPage, "Entries at most")
        static let wait = Field.integer(
            "wait", min: 0, max: Limits.inboxWaitSeconds, default: 0, "Seconds that the answer may wait for something to come when there is nothing")
        static let explain = Field.flag("explain", default: false, "Say how each need of an entry matched, as it was when the agent was told")
        static let shapes = [cursor.shape, limit.shape, wait.shape, explain.shape]
        static let acknowledged = Field.text("cursor", "The cursor of the last entry, or of the answer, that was dealt with")
        static let example = #"""
            {"project_id":"app","agent_id":"coder","entries":[{"cursor":"0-4","sequence":"4","reason":"first_match","needs":["the database in use"],
            "event_type":"tech_updated","data_key":"tech","data":{"db":"PostgreSQL"},"timestamp":"2026-01-01T00:00:00+00:00"}],
            "cursor":"0-4","has_more":false,"gap":false}
            """#
    }

    private static func inbox(_ call: Call, project: Name?) async throws -> APIAnswer {
        let page = try await inQuery {
            let cursor = try call.query[Inboxes.cursor].map { try InboxCursor($0) }
            return try await call.operations.inbox(
                call.path[Fields.agent], project: project, after: cursor, limit: call.query[Inboxes.limit], wait: .seconds(call.query[Inboxes.wait]),
                explains: call.query[Inboxes.explain],
                hold: { [place = call.place] waiting in
                    guard let place else { return await waiting() }
                    await place.lent(waiting)
                }, by: call.caller)
        }
        return .bytes(AgentShape.inbox(page), contentType: "application/json")
    }

    private static func acknowledge(_ call: Call, project: Name?) async throws -> APIAnswer {
        let cursor = try InboxCursor(call.body[Inboxes.acknowledged])
        let removed = try await call.operations.acknowledge(call.path[Fields.agent], project: project, upTo: cursor, by: call.caller)
        return .json(["status": "acknowledged", "agent_id": .string(call.path[Fields.agent].text), "removed": .integer(removed)])
    }

    /// Which of several registrations under one id.
    private static let projectMeant = Field.optionalName("project_id", "The project whose agent is meant")

    private static func agent(of call: Call) async throws -> AgentStatus {
        try await call.operations.agent(call.path[Fields.agent], project: call.query[projectMeant], by: call.caller)
    }

    private static let agentExample =
        #"""
        {"project_id":"app","needs":["the database in use"],"notification_method":"redis","response_format":"toon",
        "channel":"agent:coder:updates","webhook_url":null,"webhook_secret":null,"data_keys":["tech.root"],"last_sequence":"1"}
        """#

    private static func names(_ call: Call, of project: Name?) async throws -> APIAnswer {
        let page = try await inQuery { try await call.operations.agents(project: project, call.page, by: call.caller) }
        return call.object(AgentShape.names(page.items), next: page.next)
    }
}
