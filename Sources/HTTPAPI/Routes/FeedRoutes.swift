internal import Answers
internal import Base
internal import Engine
internal import Service

/// Following: what comes is told as it comes (docs/streams.md).
extension RouteTable {
    private enum Following {
        static let cursor = Field.optionalText(
            "cursor", scalarsMax: 64, "Goes on after this place: the cursor of an answer, or the id of an event")
        static let agentCursor = Field.optionalText(
            "cursor", scalarsMax: 64,
            "Goes on after this place, and acknowledges all up to it. Without one: from the registration on, as far as it is not acknowledged")
        static let limit = Field.integer("limit", min: 1, max: Limits.inboxPageMax, default: Limits.inboxPage, "Updates at most")
        static let timeout = Field.integer(
            "timeout", min: 0, max: Limits.inboxWaitSeconds, default: 25, "Seconds that the answer waits for something to come when there is nothing")
        static let suppressOwn = Field.flag("suppress_own", default: false, "Without what came with the key that the agent is registered with")
        static let updates = [agentCursor.shape, timeout.shape, limit.shape, suppressOwn.shape]
        static let stream = [cursor.shape, suppressOwn.shape]

        static let updatesExample = #"""
            {"updates":[{"type":"data_update","sequence":"4","data_key":"tech","format":"json","data":{"db":"PostgreSQL"},"cursor":"0-4",
            "reason":"first_match","need":"the database in use","needs":["the database in use"],
            "published_by":{"key_id":"0123456789abcdef","name":"ci"},"own":false}],"cursor":"0-4"}
            """#
        static let agentExample = #"""
            {"type":"data_update","sequence":"4","data_key":"tech","format":"json","data":{"db":"PostgreSQL"},"cursor":"0-4",
            "reason":"first_match","need":"the database in use","needs":["the database in use"],"published_by":null,"own":null}
            """#
        static let projectExample = #"""
            {"sequence":"4","event_type":"tech_updated","data_key":"tech","data":{"db":"PostgreSQL"},"published_by":null}
            """#
    }

    private static let group = "Following"
    private static let projectMeant = Field.optionalName("project_id", "The project whose agent is meant")

    static let feedRoutes: [Route] = [
        Route(
            "GET", "/agents/{agent_id}/updates", bases: .current, action: .readInbox, group: group,
            "What concerned an agent after the cursor, oldest first; waits for it when there is nothing", path: [Fields.agent.shape],
            query: [projectMeant.shape] + Following.updates, Following.updatesExample
        ) { call in try await updates(call, project: call.query[projectMeant]) },

        Route(
            "GET", "/projects/{project_id}/agents/{agent_id}/updates", bases: .current, action: .readInbox, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape], query: Following.updates, Following.updatesExample
        ) { call in try await updates(call, project: call.path[Fields.project]) },

        Route(
            "GET", "/agents/{agent_id}/stream", bases: .current, action: .readInbox, group: group,
            "What concerns an agent, as server-sent events: goes on after Last-Event-ID, or the cursor", path: [Fields.agent.shape],
            query: [projectMeant.shape] + Following.stream, answers: EventStream.contentType, Following.agentExample
        ) { call in try await stream(call, project: call.query[projectMeant]) },

        Route(
            "GET", "/projects/{project_id}/agents/{agent_id}/stream", bases: .current, action: .readInbox, group: group,
            "The same of an agent of a project", path: [Fields.project.shape, Fields.agent.shape], query: Following.stream,
            answers: EventStream.contentType, Following.agentExample
        ) { call in try await stream(call, project: call.path[Fields.project]) },

        Route(
            "GET", "/projects/{project_id}/stream", bases: .current, action: .followEvents, group: group,
            "The events of a project, as server-sent events: goes on after Last-Event-ID, or the cursor; without one from now on",
            path: [Fields.project.shape], query: [Following.cursor.shape], answers: EventStream.contentType, Following.projectExample
        ) { call in
            try await stream(call) { try await call.operations.feed(of: call.path[Fields.project], by: call.caller) }
        },

        Route(
            "GET", "/ws", bases: .current, action: .openSocket, group: group,
            "A WebSocket of the subprotocol contex.v1: subscriptions to agents and projects, updates, acknowledgements (docs/streams.md)",
            answers: Route.becomesSocket, #"{"type":"subscribe","id":"a","agent_id":"coder","project_id":"app","cursor":"0-4"}"#
        ) { call in
            try await call.operations.openSocket(by: call.caller)
            return try SocketOpening(call).answer
        },
    ]

    private static func updates(_ call: Call, project: Name?) async throws -> APIAnswer {
        try await inQuery {
            // An empty one is none: the place from which a client begins that has kept none.
            let cursor = try call.query[Following.agentCursor].flatMap { $0.isEmpty ? nil : try InboxCursor($0) }
            let agent = call.path[Fields.agent]
            let feed = try await call.operations.feed(of: agent, project: project, suppressesOwn: call.query[Following.suppressOwn], by: call.caller)
            let page = try await feed.page(
                after: cursor, limit: call.query[Following.limit], wait: .seconds(call.query[Following.timeout]),
                hold: { [place = call.place] waiting in
                    guard let place else { return await waiting() }
                    await place.lent(waiting)
                })
            // It has come back with the cursor, so it has what stood before it. Whether or not that can be written down, it gets what follows.
            if let cursor, cursor.sequence > .zero {
                _ = try? await call.operations.acknowledge(agent, project: feed.subject.project, upTo: cursor, by: call.caller)
            }
            return .bytes(FeedShape.updates(page, of: feed.subject.project), contentType: "application/json")
        }
    }

    private static func stream(_ call: Call, project: Name?) async throws -> APIAnswer {
        try await stream(call) {
            try await call.operations.feed(of: call.path[Fields.agent], project: project, suppressesOwn: call.query[Following.suppressOwn], by: call.caller)
        }
    }

    private static func stream(_ call: Call, _ open: () async throws -> Feed) async throws -> APIAnswer {
        try await inQuery {
            // A browser that comes back sends the address that it had, and where it is by now.
            let last = call.request.header("Last-Event-ID").flatMap { $0.isEmpty ? nil : $0 }
            let asked = call.query[Following.cursor].flatMap { $0.isEmpty ? nil : $0 }
            let cursor = try last.map { try InboxCursor($0, field: "Last-Event-ID") } ?? asked.map { try InboxCursor($0) }
            let feed = try await open()
            return try await EventStream.answer(feed, after: cursor, in: try call.streamPlace(), comment: call.streamComment)
        }
    }
}
