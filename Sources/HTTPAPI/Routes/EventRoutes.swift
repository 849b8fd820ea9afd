internal import Answers
internal import Base
internal import Content
internal import Engine
internal import Events
internal import Service

/// The log of a project.
extension RouteTable {
    private enum EventQuery {
        static let since = Field.text("since", default: "0", "Only events after this one; text that is no number means the start")
        static let count = Field.integer("count", min: 0, max: nil, default: 100, "Events at most; limit is the same by another name")
    }

    static let eventRoutes: [Route] = [
        Route(
            "GET", "/projects/{project_id}/events", action: .readEvents, group: "Events", "The events of a project, oldest first",
            path: [Fields.project.shape], query: [EventQuery.since.shape, EventQuery.count.shape] + Fields.paging,
            #"""
            {"events":[{"sequence":"1","event_type":"tech_updated","data":{"tech":{"db":"PostgreSQL"}},
            "timestamp":"2026-01-01T00:00:00+00:00"}],"count":1}
            """#
        ) { call in
            var request = call.page
            request.limit = request.limit ?? call.query[EventQuery.count]
            let (wanted, since) = (request, LaxText.sequence(call.query[EventQuery.since]))
            let page = try await inQuery {
                try await call.operations.events(project: call.path[Fields.project], since: since, wanted, by: call.caller) { event in
                    let item = EventShape.listed(event)
                    return (item, item.count)
                }
            }
            var answer = JSONMembers()
            answer.add("events", text: JSONMembers.list(page.items))
            answer.add("count", .integer(page.items.count))
            return call.object(answer, next: page.next)
        }
    ]
}
