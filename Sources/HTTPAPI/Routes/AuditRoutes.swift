internal import Answers
internal import Audit
internal import Base
internal import Content
internal import Service
internal import Synchronization

/// The audit trail. docs/audit.md is this for readers.
extension RouteTable {
    private static let group = "Audit"
    private static let id = Field.text("event_id", scalarsMax: 64, "The record's id")
    private static let actor = Field.optionalText("actor_id", scalarsMax: 256, "Only what this key did: its public name, or anonymous")
    private static let kind = Field.optionalText("event_type", scalarsMax: 64, "Only records of this type")
    private static let project = Field.optionalName("project_id", "Only what concerns this project")
    private static let resourceType = Field.optionalText(
        "resource_type", scalarsMax: 64, "With resource_id: only what concerns this resource (data, agent, api_key ...)")
    private static let resourceID = Field.optionalText("resource_id", scalarsMax: Limits.nameScalars, "Of the resource")
    private static let start = Field.optionalText("start_time", scalarsMax: 64, "Only from this time on (ISO 8601)")
    private static let end = Field.optionalText("end_time", scalarsMax: 64, "Only before this time (ISO 8601)")
    private static let tenant = Field.optionalText(
        "tenant_id", scalarsMax: 64, "Taken for the original's sake: the trail is that of the tenant that asks (X-Tenant-ID)")
    private static let limit = Field.integer("limit", min: 1, max: 1_000, default: 100, "Records at most")
    private static let offset = Field.integer("offset", min: 0, max: 100_000, default: 0, "Records to pass over first; `before` goes further")
    private static let before = Field.optionalInteger("before", min: 1, max: nil, "Only records with a smaller sequence: next_before of the answer before")
    private static let exportDays = Field.integer("days", min: 1, max: 365, default: 30, "Of the last so many days, when no times are given")
    private static let summaryDays = Field.integer("days", min: 1, max: 90, default: 7, "Of the last so many days")
    private static let format = Field.word("format", of: ["json", "ndjson", "cef"], default: "json", "One document of 10,000 records at most, or all as lines")
    private static let filters = [tenant.shape, actor.shape, kind.shape, project.shape, resourceType.shape, resourceID.shape, start.shape, end.shape]
    private static let example =
        #"""
        {"event_id":"00000001-0000-8000-8000-000000000001","timestamp":"2026-01-01T00:00:00+00:00","event_type":"data.published",
        "severity":"info","actor_id":"0123456789abcdef","actor_type":"api_key","actor_ip":"127.0.0.1","tenant_id":null,"project_id":"app",
        "resource_type":"data","resource_id":"config","action":"publish","details":{"data_format":"json","sequence":"1"},"result":"success",
        "request_id":"...","endpoint":"/api/v1/data/publish","method":"POST","sequence":1}
        """#
    /// Of one document.
    private static let exportMax = 10_000

    static let auditRoutes: [Route] = [
        Route(
            "GET", "/audit/events", bases: .current, action: .readAudit, group: group, "Who did what, newest first",
            query: filters + [limit.shape, offset.shape, before.shape], #"{"events":[\#(example)],"total":1,"limit":100,"offset":0,"next_before":null}"#
        ) { call in
            var query = try query(call)
            query.limit = call.query[limit]
            query.offset = call.query[offset]
            query.before = call.query[before].map { UInt64($0) }
            let page = try await call.operations.auditPage(query, by: call.caller)
            let trail = call.operations.tenant(of: call.caller)
            return .json([
                "events": .array(page.records.map { .object(AuditShape.record($0, tenant: trail)) }), "total": .integer(page.records.count),
                "limit": .integer(query.limit), "offset": .integer(query.offset), "next_before": page.next.map { .integer(Int(clamping: $0)) } ?? .null,
            ])
        },

        Route(
            "GET", "/audit/events/types", bases: .current, action: .listEventKinds, group: group, "The types of records", #"["data.published"]"#
        ) { call in
            try await call.operations.eventKinds(by: call.caller)
            return .json(.array(AuditKind.allCases.map { .string($0.name) }))
        },

        Route(
            "GET", "/audit/events/{event_id}", bases: .current, action: .readAudit, group: group, "A record", path: [id.shape], example
        ) { call in
            let record = try await call.operations.auditRecord(call.path[id], by: call.caller)
            let trail = call.operations.tenant(of: call.caller)
            return .json(.object(AuditShape.record(record, tenant: trail, isWhole: true)))
        },

        Route(
            "GET", "/audit/export", bases: .current, action: .readAudit, group: group, "The trail for those who gather security events",
            query: filters + [exportDays.shape, format.shape], or: ["application/x-ndjson", "text/plain"],
            #"{"events":[],"export_timestamp":"2026-01-01T00:00:00+00:00","filters":{"tenant_id":null,"start_time":null,"end_time":null},"total_events":0}"#
        ) { call in
            var query = try query(call)
            let now = call.server.clock.now()
            if query.from == nil, query.until == nil { query.from = Timestamp(rawValue: now.rawValue - Int64(call.query[exportDays]) * 86_400_000_000) }
            guard call.query[format] == "json" else { return try await lines(query, call) }
            var records: [AuditRecord] = []
            repeat {
                query.limit = min(1_000, exportMax - records.count)
                let page = try await call.operations.auditPage(query, by: call.caller)
                records += page.records
                query.before = page.next
            } while query.before != nil && records.count < exportMax
            let trail = call.operations.tenant(of: call.caller)
            return .json([
                "events": .array(records.map { .object(AuditShape.record($0, tenant: trail, isWhole: true)) }),
                "export_timestamp": .string(now.iso8601),
                "filters": [
                    "tenant_id": call.query[tenant].map(JSONValue.string) ?? .null, "start_time": call.query[start].map(JSONValue.string) ?? .null,
                    "end_time": call.query[end].map(JSONValue.string) ?? .null,
                ], "total_events": .integer(records.count), "has_more": .bool(query.before != nil),
            ])
        },

        Route(
            "GET", "/audit/summary", bases: .current, action: .readAudit, group: group, "How many records of each type, severity and result",
            query: [tenant.shape, summaryDays.shape],
            #"{"period_days":7,"total_events":1,"events_by_type":{"data.published":1},"events_by_severity":{},"events_by_result":{}}"#
        ) { call in
            let now = call.server.clock.now()
            let start = Timestamp(rawValue: now.rawValue - Int64(call.query[summaryDays]) * 86_400_000_000)
            let tally = try await call.operations.auditTally(from: start, by: call.caller)
            return .json([
                "period_days": .integer(call.query[summaryDays]), "total_events": .integer(tally.total),
                "events_by_type": .object(JSONObject(AuditKind.allCases.compactMap { kind in tally.kinds[kind].map { (kind.name, .integer($0)) } })),
                "events_by_severity": .object(JSONObject(AuditSeverity.allCases.map { ($0.rawValue, .integer(tally.severities[$0] ?? 0)) })),
                "events_by_result": [
                    "success": .integer(tally.results[.success] ?? 0), "failure": .integer(tally.results[.failure] ?? 0), "partial": .integer(0),
                ], "start_time": .string(start.iso8601), "end_time": .string(now.iso8601),
            ])
        },

        Route(
            "GET", "/audit/verify", bases: .current, action: .readAudit, group: group,
            "Whether the chain of records is whole: 500 and data_damaged with the place where it is not",
            #"{"status":"intact","records":1,"first":1,"last":1,"link":"..."}"#
        ) { call in
            guard let state = try await call.operations.verifyAudit(by: call.caller) else {
                return .json(["status": "empty", "records": .integer(0), "first": .null, "last": .null, "link": .null])
            }
            return .json([
                "status": "intact", "records": .integer(Int(clamping: state.last - state.first + 1)), "first": .integer(Int(clamping: state.first)),
                "last": .integer(Int(clamping: state.last)), "link": .string(state.linkText),
            ])
        },
    ]

    /// A page after the other, as the reader takes them.
    private static func lines(_ query: AuditQuery, _ call: Call) async throws -> APIAnswer {
        let isCEF = call.query[format] == "cef"
        let trail = call.operations.tenant(of: call.caller)
        let next = Mutex<AuditQuery?>(query)
        return try await .stream(contentType: isCEF ? "text/plain; charset=utf-8" : "application/x-ndjson") {
            guard var query = next.withLock({ $0 }) else { return nil }
            query.limit = 500
            let page = try await call.operations.auditPage(query, by: call.caller)
            query.before = page.next
            next.withLock { $0 = page.next == nil ? nil : query }
            var text = ""
            for record in page.records {
                text +=
                    isCEF
                    ? AuditShape.cef(record, tenant: trail, version: call.server.version)
                    : JSONPrinter.text(.object(AuditShape.record(record, tenant: trail, isWhole: true)))
                text += "\n"
            }
            return Array(text.utf8)
        }
    }

    private static func query(_ call: Call) throws -> AuditQuery {
        var query = AuditQuery()
        query.actor = call.query[actor]
        query.project = call.query[project]?.text
        if let name = call.query[kind] {
            guard let found = AuditKind(name: name) else { throw ContexError.badRequest("Invalid event_type: \(name.excerpt())") }
            query.kind = found
        }
        switch (call.query[resourceType], call.query[resourceID]) {
        case (let type?, let id?): query.resource = (type, id)
        case (nil, nil): break
        default:
            throw ValidationFailure([
                .value("Value error, resource_type and resource_id go together", at: [.name("query"), .name("resource_id")], input: .null)
            ])
        }
        query.from = try time(start, call)
        query.until = try time(end, call)
        return query
    }

    private static func time(_ field: Field<String?>, _ call: Call) throws -> Timestamp? {
        guard let text = call.query[field] else { return nil }
        guard case .time(let time)? = Moment(text) else {
            throw ValidationFailure([
                .value("Value error, \(field.shape.name) must be a time (ISO 8601)", at: [.name("query"), .name(field.shape.name)], input: .string(text))
            ])
        }
        return time
    }
}
