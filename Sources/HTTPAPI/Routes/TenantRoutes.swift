internal import Answers
internal import Base
internal import Content
internal import Service
internal import Tenants

/// Tenants, as the original has them. docs/tenants.md is this for readers.
extension RouteTable {
    private static let group = "Tenants"
    private static let plans = Plan.allCases.map(\.name)
    private static let id = Field.text("tenant_id", scalarsMax: 255, "The tenant's id")
    private static let newID = Field.text(
        "tenant_id", scalarsMin: Limits.tenantIDCharacters.lowerBound, scalarsMax: Limits.tenantIDCharacters.upperBound,
        "What it is called: a-z, 0-9, - and _, a letter or digit first")
    private static let newName = Field.text("name", scalarsMin: 1, scalarsMax: Limits.tenantNameScalars, "Its name for people")
    private static let name = Field.optionalText("name", scalarsMax: Limits.tenantNameScalars, "Its name for people")
    private static let newPlan = Field.word("plan", of: plans, default: Plan.free.name, "What it may use: free, starter, pro or enterprise")
    private static let plan = Field.optionalWord("plan", of: plans, "Another plan, with its quotas")
    private static let owner = Field.optionalText("owner_email", scalarsMax: Limits.tenantOwnerScalars, "Whom to write to")
    private static let quotas = Field.optionalAnything("quotas", "An object of quotas that differ from the plan's: max_projects ... webhook_enabled")
    private static let settings = Field.optionalAnything("settings", "An object for whoever runs the tenant; merged member by member, null takes one away")
    private static let metadata = Field.optionalAnything("metadata", "An object for whoever runs the tenant")
    private static let isActive = Field.flag("is_active", default: true, "Whether its keys are valid")
    private static let force = Field.flag("force", default: false, "Also with projects and keys: all of it is erased")
    private static let limit = Field.integer("limit", min: 1, max: 1_000, default: 100, "Tenants at most")
    private static let offset = Field.integer("offset", min: 0, max: Limits.tenants, default: 0, "Tenants to pass over first")
    private static let quotaExample =
        #"""
        {"max_projects":3,"max_agents_per_project":10,"max_api_keys":5,"max_events_per_month":10000,"max_storage_mb":100,
        "max_requests_per_minute":100,"webhook_enabled":true}
        """#
    private static let example =
        #"""
        {"tenant_id":"acme","name":"Acme","plan":"starter","quotas":\#(quotaExample),"settings":{},"metadata":{},
        "created_at":"2026-01-01T00:00:00+00:00","updated_at":null,"is_active":true,"owner_email":null}
        """#
    private static let usageExample =
        #"""
        {"tenant_id":"acme","usage":{"projects_count":1,"agents_count":2,"api_keys_count":1,"events_this_month":12,"storage_used_mb":0.4,
        "storage_used_bytes":419430,"webhook_endpoints_count":0,"month":"2026-01","month_ends_at":"2026-02-01T00:00:00+00:00",
        "last_updated":"2026-01-01T00:00:00+00:00"},"quotas":\#(quotaExample),
        "usage_percentage":{"projects":33.33,"api_keys":20.0,"events":0.12,"storage":0.4}}
        """#

    static let tenantRoutes: [Route] = [
        Route(
            "POST", "/tenants", bases: .current, action: .createTenant, group: group, "Make a tenant (201)",
            body: .object([newID.shape, newName.shape, newPlan.shape, owner.shape, quotas.shape, settings.shape, metadata.shape]), example
        ) { call in
            let body = call.body
            let draft = try TenantDraft(
                name: body[newID], title: body[newName], plan: Plan(name: body[newPlan])!, quotas: object(quotas, body) ?? JSONObject(),
                owner: body[owner], settings: object(settings, body) ?? JSONObject(), metadata: object(metadata, body) ?? JSONObject())
            return .json(.object(TenantShape.tenant(try await call.operations.createTenant(draft, by: call.caller))), status: 201)
        },

        Route(
            "GET", "/tenants", bases: .current, action: .listTenants, group: group, "The tenants, newest first",
            query: [plan.shape, isActive.shape, limit.shape, offset.shape], #"{"tenants":[\#(example)],"total":1}"#
        ) { call in
            let wanted = call.query.isGiven(isActive) ? call.query[isActive] : nil
            let tenants = try await call.operations.tenants(
                plan: call.query[plan].flatMap { Plan(name: $0) }, isActive: wanted, limit: call.query[limit], offset: call.query[offset], by: call.caller)
            return .json(["tenants": .array(tenants.map { .object(TenantShape.tenant($0)) }), "total": .integer(tenants.count)])
        },

        Route(
            "GET", "/tenants/{tenant_id}", bases: .current, action: .showTenant, group: group, "A tenant; its own administrators may see it too",
            path: [id.shape], example
        ) { call in
            .json(.object(TenantShape.tenant(try await call.operations.tenant(call.path[id], by: call.caller))))
        },

        Route(
            "PATCH", "/tenants/{tenant_id}", bases: .current, action: .changeTenant, group: group,
            "Change what is given; another plan brings its quotas, unless some are given", path: [id.shape],
            body: .object([name.shape, plan.shape, quotas.shape, settings.shape, isActive.shape]), example
        ) { call in
            let body = call.body
            let patch = try TenantPatch(
                title: body[name], plan: body[plan].flatMap { Plan(name: $0) }, quotas: object(quotas, body), settings: object(settings, body),
                isActive: body.isGiven(isActive) ? body[isActive] : nil)
            return .json(.object(TenantShape.tenant(try await call.operations.updateTenant(call.path[id], patch, by: call.caller))))
        },

        Route(
            "DELETE", "/tenants/{tenant_id}", bases: .current, action: .removeTenant, group: group, "Remove a tenant (204); what it has is erased",
            path: [id.shape], query: [force.shape], "{}"
        ) { call in
            try await call.operations.removeTenant(call.path[id], isForced: call.query[force], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },

        Route(
            "GET", "/tenants/{tenant_id}/usage", bases: .current, action: .showTenant, group: group,
            "What a tenant has used, counted to this moment; its own administrators may see it too", path: [id.shape], usageExample
        ) { call in
            .json(.object(TenantShape.usage(try await call.operations.usage(ofTenant: call.path[id], by: call.caller))))
        },

        Route(
            "POST", "/tenants/{tenant_id}/reset-monthly-usage", bases: .current, action: .resetTenantUsage, group: group,
            "Count the month's events from nothing again (204)", path: [id.shape], "{}"
        ) { call in
            try await call.operations.resetUsage(ofTenant: call.path[id], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },

        Route(
            "GET", "/tenants/{tenant_id}/projects", bases: .current, action: .listTenantProjects, group: group,
            "A tenant's projects, by name; its own administrators may see them too", path: [id.shape], #"["app"]"#
        ) { call in
            .json(.array(try await call.operations.projects(ofTenant: call.path[id], by: call.caller).map { .string($0.text) }))
        },

        Route(
            "POST", "/tenants/{tenant_id}/projects/{project_id}", bases: .current, action: .addTenantProject, group: group,
            "Enter a project (201): it is empty until something is published", path: [id.shape, Fields.project.shape],
            #"{"project_key":"acme:project:app"}"#
        ) { call in
            try await call.operations.addProject(call.path[Fields.project], toTenant: call.path[id], by: call.caller)
            return .json(["project_key": .string("\(call.path[id]):project:\(call.path[Fields.project])")], status: 201)
        },

        Route(
            "DELETE", "/tenants/{tenant_id}/projects/{project_id}", bases: .current, action: .removeTenantProject, group: group,
            "Take a project out that nothing is in (204)", path: [id.shape, Fields.project.shape], "{}"
        ) { call in
            try await call.operations.removeProject(call.path[Fields.project], fromTenant: call.path[id], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },
    ]

    /// nil when it is not given.
    private static func object(_ field: Field<JSONValue>, _ values: FieldValues) throws -> JSONObject? {
        let value = values[field]
        if value.isNull { return nil }
        guard let object = value.objectValue else {
            throw ContexError.invalid(field: field.shape.name, kind: "dict_type", message: "Input should be a valid dictionary")
        }
        return object
    }
}
