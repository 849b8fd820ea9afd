internal import Access
internal import Answers
internal import Base
internal import Service

/// Custom roles, permissions of keys, and why something is allowed. docs/permissions.md is this for readers.
extension RouteTable {
    private static let group = "Permissions"
    private static let roleName = Field.text(
        "name", scalarsMin: 1, scalarsMax: AccessLimits.roleNameBytes, "The role's name: lower-case letters, digits, - and _")
    private static let description = Field.optionalText("description", scalarsMax: AccessLimits.accountDescriptionScalars, "What it is for")
    private static let inherits = Field.optionalTexts(
        "inherits", countMax: AccessLimits.parentsPerRole, scalarsMax: AccessLimits.roleNameBytes, "Roles whose permissions are its own too")
    private static let permissions = Field.optionalTexts(
        "permissions", countMax: AccessLimits.permissionsPerHolder, scalarsMax: AccessLimits.permissionBytes,
        "Such as project:my-app:data:publish; ! before one denies")
    private static let needed = Field.texts(
        "permissions", countMax: AccessLimits.permissionsPerHolder, scalarsMax: AccessLimits.permissionBytes,
        "What of its role the key may use; none: all of it")

    private enum Why {
        static let permission = Field.text("permission", scalarsMin: 1, scalarsMax: 64, "publish_data, or as data:publish")
        static let project = Field.optionalName("project_id", "The project")
        static let key = Field.optionalName("data_key", "The key of the data")
        static let holder = Field.optionalText("holder", scalarsMax: 64, "A key's or service account's id; the caller when not given")
        static let address = Field.optionalText("address", scalarsMax: 64, "Where the call would come from; the caller's own when not given")
        static let time = Field.optionalText("time", scalarsMax: 64, "When it would come (ISO 8601); now when not given")
        static let shapes = [permission.shape, project.shape, key.shape, holder.shape, address.shape, time.shape]
    }

    private static let example =
        #"""
        {"name":"deployer","description":null,"inherits":["readonly"],"permissions":["project:my-app:data:publish"],
        "updated_at":"2026-01-01T00:00:00+00:00"}
        """#

    static let roleRoutes: [Route] = [
        Route(
            "GET", "/auth/custom-roles", bases: .current, action: .listCustomRoles, group: group, "The roles that administrators have made",
            "[\(example)]"
        ) { call in .json(.array(try await call.operations.customRoles(by: call.caller).map { .object(RoleShape.role($0)) })) },

        Route(
            "POST", "/auth/custom-roles", bases: .current, action: .putCustomRole, group: group, "Make a role (201)",
            body: .object([roleName.shape, description.shape, inherits.shape, permissions.shape]), example
        ) { call in
            let role = try await call.operations.putRole(
                call.body[roleName], description: call.body[description], inherits: call.body[inherits], permissions: call.body[permissions],
                isNew: true, by: call.caller)
            return .json(.object(RoleShape.role(role)), status: 201)
        },

        Route(
            "GET", "/auth/custom-roles/{name}", bases: .current, action: .listCustomRoles, group: group,
            "A role, with the permissions that it has with those that it inherits", path: [roleName.shape], example
        ) { call in
            let (role, rules) = try await call.operations.customRole(call.path[roleName], by: call.caller)
            return .json(.object(RoleShape.role(role, rules: rules)))
        },

        Route(
            "PATCH", "/auth/custom-roles/{name}", bases: .current, action: .putCustomRole, group: group,
            "Change what is given; who has the role has the change at once", path: [roleName.shape],
            body: .object([description.shape, inherits.shape, permissions.shape]), example
        ) { call in
            let body = call.body
            let role = try await call.operations.changeRole(
                call.path[roleName], description: body.isGiven(description) ? .some(body[description]) : nil,
                inherits: body.isGiven(inherits) ? body[inherits] : nil, permissions: body.isGiven(permissions) ? body[permissions] : nil,
                by: call.caller)
            return .json(.object(RoleShape.role(role)))
        },

        Route(
            "DELETE", "/auth/custom-roles/{name}", bases: .current, action: .removeCustomRole, group: group,
            "Remove a role (204) that nobody has and none inherits from", path: [roleName.shape], "{}"
        ) { call in
            try await call.operations.removeCustomRole(call.path[roleName], by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },

        Route(
            "PUT", "/auth/keys/{key_id}/permissions", bases: .current, action: .setPermissions, group: group,
            "What of its role a key may use; an empty list: all of it", path: [Fields.keyID.shape], body: .object([needed.shape]),
            #"{"key_id":"0123456789abcdef","permissions":["project:my-app:data:publish"]}"#
        ) { call in
            try await call.operations.setPermissions(call.path[Fields.keyID], call.body[needed], by: call.caller)
            return .json([
                "key_id": .string(call.path[Fields.keyID]), "permissions": .array(call.body[needed].map(JSONValue.string)),
            ])
        },

        Route(
            "POST", "/auth/permissions/explain", bases: .current, action: .explainPermission, group: group,
            "Why a call would be allowed or refused, and which rules speak of it", body: .object(Why.shapes),
            #"""
            {"allowed":false,"reason":"role_lacks_permission","explanation":"...","permission":"publish_data","rule":"data:publish",
            "project_id":"my-app","data_key":null,"address":"127.0.0.1","time":"2026-01-01T00:00:00+00:00","holder":"0123456789abcdef",
            "role":"readonly","projects":[],"role_rules":[],"permission_rules":[]}
            """#
        ) { call in
            let body = call.body
            var question = PermissionQuestion(body[Why.permission])
            (question.project, question.dataKey) = (body[Why.project], body[Why.key])
            (question.holder, question.address) = (body[Why.holder], body[Why.address])
            if let text = body[Why.time] {
                guard case .time(let time)? = Moment(text) else {
                    throw ContexError.invalid(field: "time", kind: "value_error", message: "Value error, time must be a time (ISO 8601)")
                }
                question.time = time
            }
            return .json(.object(RoleShape.explanation(try await call.operations.explain(question, by: call.caller))))
        },
    ]
}
