internal import Answers
internal import Base
internal import Engine
internal import Outbox
internal import Service

/// Webhook endpoints, what they are told of, and what deliveries have given up. docs/webhooks.md is this for readers.
extension RouteTable {
    private static let group = "Webhooks"
    private static let id = Field.text("endpoint_id", "The endpoint's id: whep_ and 16 hexadecimal digits")
    private static let category = Field.optionalText("category", scalarsMax: 64, "Only the events of this category")
    private static let isActive = Field.flag("is_active", default: true, "Whether anything is sent: what comes meanwhile waits")
    private static let attempts = Field.integer("limit", min: 1, max: Limits.deliveryRecords, default: 50, "Tries at most")
    private static let eventType = Field.text("event_type", scalarsMax: 64, default: "system.health.changed", "The type of the event")
    private static let data = Field.metadata("data", "Its data; a note that it is a test when not given")

    private enum Endpoint {
        static let name = Field.text("name", scalarsMin: 1, scalarsMax: Limits.endpointNameScalars, "What people call it")
        static let url = Field.text("url", scalarsMin: 1, scalarsMax: 8_192, "Where events are sent, http or https")
        static let description = Field.optionalText("description", scalarsMax: Limits.endpointDescriptionScalars, "What it is for")
        static let events = filter("events", "Types of events; none: all")
        static let categories = filter("categories", "Categories of events; none: all")
        static let projects = filter("project_ids", "Projects; none: all that the caller reaches, and what is no project's")
        static let timeout = Field.integer("timeout_seconds", min: 5, max: 60, default: 30, "Seconds for one try")
        static let retries = Field.integer("max_retries", min: 0, max: 5, default: 3, "Tries of one event; one is made in any case")
        static let shapes = [
            name.shape, url.shape, description.shape, events.shape, categories.shape, projects.shape, timeout.shape, retries.shape,
        ]
        static let newName = Field.optionalText("name", scalarsMax: Limits.endpointNameScalars, "What people call it")
        static let newURL = Field.optionalText("url", scalarsMax: 8_192, "Where events are sent, http or https")
        static let patch = [
            newName.shape, newURL.shape, description.shape, events.shape, categories.shape, projects.shape, isActive.shape, timeout.shape,
            retries.shape,
        ]
        static let example =
            #"""
            {"endpoint_id":"whep_0123456789abcdef","tenant_id":null,"name":"audit","description":null,"url":"...",
            "events":["data.published"],"categories":[],"project_ids":[],"is_active":true,"timeout_seconds":30,"max_retries":3,
            "created_at":"2026-01-01T00:00:00+00:00","updated_at":"2026-01-01T00:00:00+00:00"}
            """#

        private static func filter(_ name: String, _ summary: String) -> Field<[String]> {
            Field.optionalTexts(name, countMax: Limits.endpointFilterItems, scalarsMax: Limits.nameScalars, summary)
        }
    }

    private enum Letters {
        static let after = Field.integer("after", min: 0, max: nil, default: 0, "Only those with a greater number")
        static let limit = Field.integer("limit", min: 1, max: Limits.deadLetterPage, default: Limits.deadLetterPage, "Dead letters at most")
        static let shapes = [after.shape, limit.shape]
        static let numbers = Field.optionalTexts(
            "numbers", countMax: Limits.deadLetterPage, scalarsMax: 20, "Numbers of dead letters; none: all of them")
        static let example =
            #"""
            {"dead_letters":[{"number":"1","id":"msg_0123456789abcdef0123456789abcdef","kind":"update","sequence":"7","attempts":3,
            "time":"2026-01-01T00:00:00+00:00","status_code":503,"reason":"the receiver answered status 503","replaying":false}],
            "total":1,"has_more":false}
            """#
        static let replayed = #"{"status":"replaying","count":1}"#
        static let removed = #"{"status":"removed","count":1}"#
    }

    static let webhookRoutes: [Route] = [
        Route(
            "GET", "/webhooks/events", bases: .current, action: .listEventKinds, group: group, "What an endpoint can be told of, with JSON Schemas",
            query: [category.shape],
            #"""
            [{"event_type":"data.published","category":"data","description":"Data was published under a key","payload_schema":{},"emitted":true}]
            """#
        ) { call in
            try await call.operations.eventKinds(by: call.caller)
            return .json(WebhookShape.kinds(of: call.query[category]))
        },

        Route(
            "GET", "/webhooks/events/categories", bases: .current, action: .listEventKinds, group: group, "The categories of events",
            #"["data","agent"]"#
        ) { call in
            try await call.operations.eventKinds(by: call.caller)
            return .json(WebhookShape.categories)
        },

        Route(
            "GET", "/webhooks/events/types", bases: .current, action: .listEventKinds, group: group, "The types of events", #"["data.published"]"#
        ) { call in
            try await call.operations.eventKinds(by: call.caller)
            return .json(WebhookShape.types)
        },

        Route(
            "POST", "/webhooks/endpoints", bases: .current, action: .createEndpoint, group: group,
            "Enter an endpoint (201); its secret is shown this once", body: .object(Endpoint.shapes), Endpoint.example
        ) { call in
            let body = call.body
            let endpoint = try await call.operations.createEndpoint(
                EndpointDraft(
                    name: body[Endpoint.name], url: body[Endpoint.url], description: body[Endpoint.description], events: body[Endpoint.events],
                    categories: body[Endpoint.categories], projects: body[Endpoint.projects], timeoutSeconds: body[Endpoint.timeout],
                    retriesMax: body[Endpoint.retries]), by: call.caller)
            return .json(.object(WebhookShape.endpoint(endpoint, tenant: call.tenantName, showsSecret: true)), status: 201)
        },

        Route(
            "GET", "/webhooks/endpoints", bases: .current, action: .listEndpoints, group: group, "The endpoints of the caller's projects",
            query: [isActive.shape], "[\(Endpoint.example)]"
        ) { call in
            let wanted = call.query.isGiven(isActive) ? call.query[isActive] : nil
            let endpoints = try await call.operations.endpoints(isActive: wanted, by: call.caller)
            let tenant = call.tenantName
            return .json(.array(endpoints.map { .object(WebhookShape.endpoint($0, tenant: tenant)) }))
        },

        Route(
            "GET", "/webhooks/endpoints/{endpoint_id}", bases: .current, action: .showEndpoint, group: group, "An endpoint, and how deliveries to it go",
            path: [id.shape], Endpoint.example
        ) { call in
            let found = try await call.operations.endpoint(call.path[id], by: call.caller)
            return .json(.object(WebhookShape.endpoint(found.endpoint, tenant: call.tenantName, delivery: found.delivery)))
        },

        Route(
            "PATCH", "/webhooks/endpoints/{endpoint_id}", bases: .current, action: .changeEndpoint, group: group,
            "Change what is given; one that was switched off by a 410 goes on where it stopped", path: [id.shape], body: .object(Endpoint.patch),
            Endpoint.example
        ) { call in
            let body = call.body
            func given<Value: Sendable>(_ field: Field<Value>) -> Value? { body.isGiven(field) ? body[field] : nil }
            var patch = EndpointPatch()
            patch.name = given(Endpoint.newName) ?? nil
            patch.url = given(Endpoint.newURL) ?? nil
            patch.description = given(Endpoint.description)
            patch.events = given(Endpoint.events)
            patch.categories = given(Endpoint.categories)
            patch.projects = given(Endpoint.projects)
            patch.isActive = given(isActive)
            patch.timeoutSeconds = given(Endpoint.timeout).map { UInt8(clamping: $0) }
            patch.retriesMax = given(Endpoint.retries).map { UInt8(clamping: $0) }
            let endpoint = try await call.operations.updateEndpoint(call.path[id], patch, by: call.caller)
            return .json(.object(WebhookShape.endpoint(endpoint, tenant: call.tenantName)))
        },

        Route(
            "DELETE", "/webhooks/endpoints/{endpoint_id}", bases: .current, action: .removeEndpoint, group: group,
            "Remove an endpoint (204), with its dead letters", path: [id.shape], "{}"
        ) { call in
            try await call.operations.removeEndpoint(call.path[id], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },

        Route(
            "POST", "/webhooks/endpoints/{endpoint_id}/rotate-secret", bases: .current, action: .changeEndpoint, group: group,
            "Give it a new secret, shown this once; for a day messages are signed with both", path: [id.shape], Endpoint.example
        ) { call in
            let endpoint = try await call.operations.rotateSecret(call.path[id], by: call.caller)
            return .json(.object(WebhookShape.endpoint(endpoint, tenant: call.tenantName, showsSecret: true)))
        },

        Route(
            "GET", "/webhooks/endpoints/{endpoint_id}/deliveries", bases: .current, action: .showEndpoint, group: group,
            "The last tries, newest first", path: [id.shape], query: [attempts.shape],
            #"""
            [{"delivery_id":"msg_0123456789abcdef0123456789abcdef","event_id":"evt_0123456789abcdef0123456789abcdef",
            "endpoint_id":"whep_0123456789abcdef","attempt":1,"status":"success","status_code":200,"response_body":"ok","error":null,
            "created_at":"2026-01-01T00:00:00+00:00","delivered_at":"2026-01-01T00:00:00+00:00","duration_ms":12}]
            """#
        ) { call in
            let list = try await call.operations.attempts(ofEndpoint: call.path[id], limit: call.query[attempts], by: call.caller)
            return .json(.array(list.map { WebhookShape.attempt($0, of: call.path[id]) }))
        },

        Route(
            "POST", "/webhooks/endpoints/{endpoint_id}/test", bases: .current, action: .testEndpoint, group: group,
            "Send an event to this endpoint, whatever its filters say", path: [id.shape], body: .object([eventType.shape, data.shape]),
            #"""
            {"status":"sent","event_id":"evt_0123456789abcdef0123456789abcdef","event_type":"system.health.changed","message":"Test event queued"}
            """#
        ) { call in
            let type = call.body[eventType]
            let given = call.body[data]
            let event = try await call.operations.testEndpoint(
                call.path[id], type, data: given.isEmpty ? JSONObject([("test", .bool(true))]) : given, by: call.caller)
            return .json([
                "status": "sent", "event_id": .string(event), "event_type": .string(type), "message": "The event waits for its delivery to this endpoint",
            ])
        },

        Route(
            "GET", "/webhooks/endpoints/{endpoint_id}/dead-letters", bases: .current, action: .showEndpoint, group: group,
            "What deliveries to it have given up, oldest first", path: [id.shape], query: Letters.shapes, Letters.example
        ) { call in try await letters(call, .endpoint(call.path[id])) },

        Route(
            "POST", "/webhooks/endpoints/{endpoint_id}/dead-letters/replay", bases: .current, action: .changeEndpoint, group: group,
            "Send dead letters again, each once", path: [id.shape], body: .object([Letters.numbers.shape]), Letters.replayed
        ) { call in try await replay(call, .endpoint(call.path[id])) },

        Route(
            "POST", "/webhooks/endpoints/{endpoint_id}/dead-letters/remove", bases: .current, action: .changeEndpoint, group: group,
            "Throw dead letters away", path: [id.shape], body: .object([Letters.numbers.shape]), Letters.removed
        ) { call in try await remove(call, .endpoint(call.path[id])) },

        Route(
            "GET", "/projects/{project_id}/agents/{agent_id}/dead-letters", bases: .current, action: .readDeliveries, group: group,
            "What deliveries to an agent's webhook have given up, oldest first", path: [Fields.project.shape, Fields.agent.shape],
            query: Letters.shapes, Letters.example
        ) { call in try await letters(call, agent(call)) },

        Route(
            "POST", "/projects/{project_id}/agents/{agent_id}/dead-letters/replay", bases: .current, action: .replayDeliveries, group: group,
            "Send dead letters again, each once", path: [Fields.project.shape, Fields.agent.shape], body: .object([Letters.numbers.shape]),
            Letters.replayed
        ) { call in try await replay(call, agent(call)) },

        Route(
            "POST", "/projects/{project_id}/agents/{agent_id}/dead-letters/remove", bases: .current, action: .replayDeliveries, group: group,
            "Throw dead letters away", path: [Fields.project.shape, Fields.agent.shape], body: .object([Letters.numbers.shape]), Letters.removed
        ) { call in try await remove(call, agent(call)) },
    ]

    private static func agent(_ call: Call) -> LetterSubject { .agent(call.path[Fields.agent], project: call.path[Fields.project]) }

    private static func letters(_ call: Call, _ subject: LetterSubject) async throws -> APIAnswer {
        let page = try await call.operations.deadLetters(
            subject, after: UInt64(call.query[Letters.after]), limit: call.query[Letters.limit], by: call.caller)
        return .json(.object(WebhookShape.letters(page)))
    }

    private static func replay(_ call: Call, _ subject: LetterSubject) async throws -> APIAnswer {
        let count = try await call.operations.replayLetters(subject, numbers(call), by: call.caller)
        return .json(["status": "replaying", "count": .integer(count)])
    }

    private static func remove(_ call: Call, _ subject: LetterSubject) async throws -> APIAnswer {
        let count = try await call.operations.removeLetters(subject, numbers(call), by: call.caller)
        return .json(["status": "removed", "count": .integer(count)])
    }

    private static func numbers(_ call: Call) throws -> [UInt64] {
        try call.body[Letters.numbers].map { text in
            guard let number = UInt64(text), String(number) == text else {
                throw ContexError.invalid(
                    field: "numbers", kind: "value_error", message: "Value error, numbers should be those that the listing of dead letters gives")
            }
            return number
        }
    }
}
