internal import Answers
internal import Base
internal import Engine
internal import Service

/// How long things are kept, and what takes them away for good. docs/retention.md is this for readers.
extension RouteTable {
    private static let group = "Retention"
    private static let dryRun = Field.flag("dry_run", default: false, "Only say what would go")
    private static let eventDays = Field.optionalInteger(
        "events_ttl_days", min: 0, max: Limits.retentionDays, "Days after which events go; 0: never; null: as the server has it")
    private static let agentDays = Field.optionalInteger(
        "agent_inactive_days", min: 0, max: Limits.retentionDays,
        "Days after which an agent that nobody heard of is removed; 0: never; null: as the server has it")
    private static let eventsMax = Field.optionalInteger(
        "max_events_per_project", min: 0, max: Limits.retentionEvents, "Events that are kept, the newest; 0: all; null: as the server has it")
    private static let confirmation = Field.optionalText("confirm", scalarsMax: Limits.nameScalars, "The name of the project once more")
    private static let statusExample = #"""
        {"project_id":"app","event_count":2,"oldest_event":"2026-01-01T00:00:00+00:00","newest_event":"2026-01-01T00:00:01+00:00",
        "retention_config":{"events_ttl_days":30,"agent_inactive_days":7,"max_events_per_project":10000}}
        """#

    static let retentionRoutes: [Route] = [
        Route(
            "POST", "/admin/cleanup", action: .cleanUp, group: group,
            "Trim the log of every project as its rule says, and remove agents that nobody has heard of", query: [dryRun.shape],
            #"""
            {"status":"success","stats":{"projects_processed":1,"total_events_cleaned_by_age":0,"total_events_trimmed":0,"agents_cleaned":0}}
            """#
        ) { call in
            let isDry = call.query[dryRun]
            let report = try await call.operations.cleanUp(project: nil, dryRun: isDry, by: call.caller)
            return .json(RetentionShape.cleanup(report, of: nil, dryRun: isDry))
        },

        Route(
            "POST", "/admin/cleanup/{project_id}", action: .cleanUp, group: group, "Trim the log of one project as its rule says",
            path: [Fields.project.shape], query: [dryRun.shape],
            #"{"status":"success","stats":{"project_id":"app","events_cleaned_by_age":0,"events_trimmed":0}}"#
        ) { call in
            let (project, isDry) = (call.path[Fields.project], call.query[dryRun])
            let report = try await call.operations.cleanUp(project: project, dryRun: isDry, by: call.caller)
            return .json(RetentionShape.cleanup(report, of: project, dryRun: isDry))
        },

        Route(
            "GET", "/admin/retention/{project_id}", action: .showRetention, group: group, "What a project's log holds, and by which rule it is trimmed",
            path: [Fields.project.shape], statusExample
        ) { call in
            .json(RetentionShape.status(try await call.operations.retention(project: call.path[Fields.project], by: call.caller)))
        },

        Route(
            "PUT", "/admin/retention/{project_id}", action: .setRetention, group: group,
            "Say by which rule a project is trimmed; what is not given is as the server has it", path: [Fields.project.shape],
            body: .object([eventDays.shape, agentDays.shape, eventsMax.shape]), statusExample
        ) { call in
            let settings = RetentionSettings(
                eventDays: call.body[eventDays], eventsMax: call.body[eventsMax], agentDays: call.body[agentDays])
            return .json(
                RetentionShape.status(try await call.operations.setRetention(settings, project: call.path[Fields.project], by: call.caller)))
        },

        Route(
            "POST", "/admin/check/{project_id}", bases: .current, action: .checkProject, group: group,
            "Look at all that a project has on the disk: one that is sound leaves the quarantine", path: [Fields.project.shape],
            #"{"project_id":"app","status":"sound","records":412,"findings":[]}"#
        ) { call in
            let project = call.path[Fields.project]
            let (look, isQuarantined) = try await call.operations.check(project: project, by: call.caller)
            return .json(HealthShape.look(look, at: project, isQuarantined: isQuarantined))
        },

        Route(
            "DELETE", "/projects/{project_id}", bases: .current, action: .eraseProject, group: group,
            "Erase a project with all that it ever held; the answer is a signed receipt", path: [Fields.project.shape], query: [confirmation.shape],
            #"""
            {"status":"erased","receipt":{"erasure":"41","position":"44","erased_at":"2026-01-01T00:00:00+00:00","project_id":"app","events":"2",
            "versions":"1","records":"31","key_fingerprint":"9f86d081...","signature":"5ac1..."}}
            """#
        ) { call in
            let receipt = try await inQuery {
                try await call.operations.erase(project: call.path[Fields.project], confirmation: call.query[confirmation], by: call.caller)
            }
            return .json(RetentionShape.receipt(receipt))
        },
    ]
}
