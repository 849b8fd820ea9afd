internal import Access
internal import Answers
internal import Base
internal import Engine
internal import Service

/// API keys and the roles that they have.
extension RouteTable {
    private static let group = "Keys and roles"
    private static let name = Field.text("name", scalarsMin: 1, scalarsMax: Limits.nameScalars, "What people call the key")
    // Required, but a caller may put them into the body instead: the original's documents say so.
    private static let keyIDInQuery = Field.optionalText("key_id", "The key that gets the role")
    private static let roleInQuery = Field.optionalText("role", "admin, publisher, consumer or readonly")

    static let keyRoutes: [Route] = [
        Route(
            "POST", "/auth/keys", action: .createKey, group: group, "Make a key; its text is shown this once", query: [name.shape],
            #"{"api_key":"ck_...","key_id":"0123456789abcdef","name":"robot","key":"ck_...","created_at":"2026-01-01T00:00:00+00:00"}"#
        ) { call in
            let issued = try await call.operations.createKey(name: call.query[name], by: call.caller)
            return .json(.object(KeyShape.issued(issued)))
        },

        Route(
            "GET", "/auth/keys", action: .listKeys, group: group,
            "The keys that reach no further than the caller's, without their texts; confirmed: false for one that was made, or given its "
                + "role, while authentication was off", query: Fields.paging,
            #"""
            [{"key_id":"0123456789abcdef","name":"robot","prefix":"ck_Ab12","scopes":[],"created_at":"2026-01-01T00:00:00+00:00",
            "tenant_id":null}]
            """#
        ) { call in
            try call.registry(
                .keys, named: "keys",
                try await call.operations.keys(by: call.caller).map { .object(KeyShape.listed($0)) })
        },

        Route(
            "POST", "/auth/keys/{key_id}/confirm", bases: .current, action: .confirmKey, group: group,
            "Make a key valid that was made, or given its role, while authentication was off", path: [Fields.keyID.shape],
            #"{"status":"confirmed","key_id":"0123456789abcdef"}"#
        ) { call in
            try await call.operations.confirmKey(call.path[Fields.keyID], by: call.caller)
            return .json(["status": "confirmed", "key_id": .string(call.path[Fields.keyID])])
        },

        Route(
            "DELETE", "/auth/keys/{key_id}", action: .revokeKey, group: group, "Revoke a key; it stops at once, and its role goes too",
            path: [Fields.keyID.shape], #"{"status":"revoked","key_id":"0123456789abcdef"}"#
        ) { call in
            try await call.operations.revokeKey(call.path[Fields.keyID], by: call.caller)
            return .json(["status": "revoked", "key_id": .string(call.path[Fields.keyID])])
        },

        Route(
            "POST", "/auth/roles", action: .assignRole, group: group, "Give a key a role, in some projects or in all",
            query: [keyIDInQuery.shape, roleInQuery.shape],
            body: .optionalJSON(summary: "A list of project ids, none for all; or an object with key_id, role and projects"),
            #"{"key_id":"0123456789abcdef","role":"publisher","projects":["app"]}"#
        ) { call in
            let wanted = try WantedRole(query: call.query, body: call.bodyContent.json)
            let assignment = try await call.operations.assignRole(
                keyID: wanted.keyID, role: wanted.role, projects: wanted.projects, by: call.caller)
            return .json(KeyShape.role(assignment.keyID.text, assignment.role, assignment.projects.projects))
        },

        Route(
            "GET", "/auth/roles", action: .listRoles, group: group, "The roles that were given", query: Fields.paging,
            #"[{"key_id":"0123456789abcdef","role":"publisher","projects":["app"]}]"#
        ) { call in
            try call.registry(
                .roles, named: "roles",
                try await call.operations.roles(by: call.caller).map { KeyShape.role($0.keyID.text, $0.role, $0.projects.projects) })
        },

        Route(
            "GET", "/auth/roles/{key_id}", action: .showRole, group: group, "The role of a key; readonly when none was given",
            path: [Fields.keyID.shape], #"{"key_id":"0123456789abcdef","role":"publisher","projects":["app"]}"#
        ) { call in
            let (role, projects) = try await call.operations.role(of: call.path[Fields.keyID], by: call.caller)
            return .json(KeyShape.role(call.path[Fields.keyID], role, projects))
        },

        Route(
            "DELETE", "/auth/roles/{key_id}", action: .removeRole, group: group, "Take a role away; the key is readonly again",
            path: [Fields.keyID.shape], #"{"status":"revoked","key_id":"0123456789abcdef"}"#
        ) { call in
            try await call.operations.removeRole(of: call.path[Fields.keyID], by: call.caller)
            return .json(["status": "revoked", "key_id": .string(call.path[Fields.keyID])])
        },

        Route(
            "GET", "/auth/permissions", action: .listPermissions, group: group, "What each role may do",
            #"{"roles":{"admin":{"permissions":["publish_data"]}},"all_permissions":["publish_data"]}"#
        ) { call in
            let roles = try await call.operations.permissions(by: call.caller)
            return .json(KeyShape.permissions(roles))
        },
    ]

    /// Key, role and projects, from the query with a list in the body, or all from an object in the body.
    private struct WantedRole {
        let keyID: String
        let role: String
        let projects: [String]

        init(query: FieldValues, body: JSONValue?) throws {
            var errors: [ValidationError] = []
            func text(_ field: Field<String?>, in errors: inout [ValidationError]) -> String {
                if let text = query[field] { return text }
                guard let given = body?[field.shape.name] else {
                    errors.append(.missing(at: [.name("query"), .name(field.shape.name)], input: .null))
                    return ""
                }
                return FieldRule.text.check(given, at: [.name("body"), .name(field.shape.name)], into: &errors)?.stringValue ?? ""
            }
            keyID = text(keyIDInQuery, in: &errors)
            role = text(roleInQuery, in: &errors)

            let body = body ?? .null
            var place: [Step] = [.name("body")]
            var list = body
            if body.objectValue != nil {
                place.append(.name("projects"))
                list = body["projects"] ?? .null
            }
            let rule = FieldRule.texts(countMax: AccessLimits.projectsPerRole, scalarsMax: Limits.nameScalars)
            projects = list.isNull ? [] : (rule.check(list, at: place, into: &errors)?.arrayValue ?? []).compactMap(\.stringValue)
            guard errors.isEmpty else { throw ValidationFailure(errors) }
        }
    }
}
