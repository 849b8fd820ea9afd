internal import Base
internal import Engine
internal import Events
internal import Service

/// The log of a project.
extension RouteTable {
    private enum EventQuery {
        static let since = Field.text("since", default: "0", "Only events after this one; text that is no number means the start")
        static let count = Field.integer("count", min: 0, max: nil, default: 100, "Events at most")
    }

    static let eventRoutes: [Route] = [
        Route(
            "GET", "/projects/{project_id}/events", action: .readEvents, group: "Events", "The events of a project, oldest first",
            path: [Fields.project.shape], query: [EventQuery.since.shape, EventQuery.count.shape],
            #"{"events":[{"sequence":"1","event_type":"tech_updated","data":{"tech":{"db":"PostgreSQL"}}}],"count":1}"#
        ) { call in
            let events = try await call.operations.events(
                project: call.path[Fields.project], since: LaxText.sequence(call.query[EventQuery.since]), count: call.query[EventQuery.count],
                by: call.caller)
            return .json([
                "events": .array(
                    try events.map { event in
                        var members = JSONObject([
                            ("sequence", .string(event.sequence.description)), ("event_type", .string(event.type)), ("data", try EventData.visible(event)),
                        ])
                        add(try EventData.metadata(event.metadata), event.publisher, to: &members)
                        return .object(members)
                    }), "count": .integer(events.count),
            ])
        }
    ]
}
