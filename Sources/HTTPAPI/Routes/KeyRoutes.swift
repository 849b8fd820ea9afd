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

    private static let days = Field.optionalInteger("expires_in_days", min: 1, max: 3_650, "Days after which the key is refused; never when not given")
    private static let described = Field.optionalText("description", scalarsMax: AccessLimits.descriptionScalars, "What it is for")
    private static let addressList = Field.optionalText(
        "allowed_addresses", scalarsMax: 4_096, "Networks (CIDR) or addresses that it is valid from, with commas; everywhere when not given")
    private static let expiry = Field.optionalText("expires_at", scalarsMax: 64, "When the key ends (ISO 8601); null: never")
    private static let addresses = Field.optionalTexts(
        "allowed_addresses", countMax: AccessLimits.addressesPerKey, scalarsMax: 64, "Networks (CIDR) or addresses that it is valid from; none: everywhere")
    private static let overlap = Field.integer(
        "overlap_seconds", min: 0, max: AccessLimits.overlapSecondsMax, default: 86_400, "For so long the text that it had is valid still")

    static let keyRoutes: [Route] = [
        Route(
            "POST", "/auth/keys", action: .createKey, group: group, "Make a key; its text is shown this once",
            query: [name.shape, days.shape, described.shape, addressList.shape],
            #"{"api_key":"ck_...","key_id":"0123456789abcdef","name":"robot","key":"ck_...","created_at":"2026-01-01T00:00:00+00:00"}"#
        ) { call in
            var terms = KeyTermsDraft()
            if let days = call.query[days] {
                terms.expiresAt = Timestamp(rawValue: call.server.clock.now().rawValue + Int64(days) * 86_400_000_000)
            }
            terms.addresses = call.query[addressList].map { $0.split(separator: ",").map { String($0.drop { $0 == " " }) } }
            terms.description = call.query[described].map { .some($0) }
            let issued = try await call.operations.createKey(name: call.query[name], terms: terms, by: call.caller)
            return .json(.object(KeyShape.issued(issued)))
        },

        Route(
            "PATCH", "/auth/keys/{key_id}", bases: .current, action: .changeKey, group: group,
            "Change what is given: when the key ends, where it is valid, what it is for", path: [Fields.keyID.shape],
            body: .object([expiry.shape, addresses.shape, described.shape]),
            #"{"key_id":"0123456789abcdef","name":"robot","prefix":"ck_Ab12","expires_at":"2027-01-01T00:00:00+00:00"}"#
        ) { call in
            var draft = KeyTermsDraft()
            if call.body.isGiven(expiry) {
                draft.expiresAt = .some(nil)
                if let text = call.body[expiry] {
                    guard case .time(let time)? = Moment(text) else {
                        throw ContexError.invalid(
                            field: "expires_at", kind: "value_error", message: "Value error, expires_at must be a time (ISO 8601)")
                    }
                    draft.expiresAt = .some(time)
                }
            }
            if call.body.isGiven(addresses) { draft.addresses = call.body[addresses] }
            if call.body.isGiven(described) { draft.description = .some(call.body[described]) }
            let key = try await call.operations.changeKey(call.path[Fields.keyID], draft, by: call.caller)
            return .json(.object(KeyShape.listed(key.record, tenant: call.tenantName, terms: key.terms, lastUsed: key.lastUsed)))
        },

        Route(
            "POST", "/auth/keys/{key_id}/rotate", bases: .current, action: .rotateKey, group: group,
            "Give a key another text, shown this once; id, role and terms stay, and the present text is valid for a while", path: [Fields.keyID.shape],
            body: .object([overlap.shape]),
            #"{"api_key":"ck_...","key_id":"0123456789abcdef","name":"robot","key":"ck_...","former_valid_until":"2026-01-02T00:00:00+00:00"}"#
        ) { call in
            let (issued, key) = try await call.operations.rotateKey(
                call.path[Fields.keyID], overlapSeconds: call.body[overlap], by: call.caller)
            var members = JSONObject([
                ("api_key", .string(issued.text)), ("key_id", .string(key.record.keyID.text)), ("name", .string(key.record.name)),
                ("key", .string(issued.text)), ("created_at", .string(key.record.createdAt.iso8601)),
            ])
            for (name, value) in KeyShape.terms(key.terms) { members[name] = value }
            return .json(.object(members))
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
            let tenant = call.tenantName
            return try call.registry(
                .keys, named: "keys",
                try await call.operations.keys(by: call.caller).map {
                    .object(KeyShape.listed($0.record, tenant: tenant, terms: $0.terms, lastUsed: $0.lastUsed, permissions: $0.permissions))
                })
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
            return .json(KeyShape.role(assignment.keyID.text, assignment.role, assignment.projects))
        },

        Route(
            "GET", "/auth/roles", action: .listRoles, group: group, "The roles that were given", query: Fields.paging,
            #"[{"key_id":"0123456789abcdef","role":"publisher","projects":["app"]}]"#
        ) { call in
            try call.registry(
                .roles, named: "roles",
                try await call.operations.roles(by: call.caller).map { KeyShape.role($0.keyID.text, $0.role, $0.projects) })
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
