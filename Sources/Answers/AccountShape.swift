public import Access
public import Base
internal import BearerTokens
public import Service

/// Service accounts, their keys and tokens, in the original's members.
public enum AccountShape {
    /// - Parameter tenant: whose it is; nil where there are not several.
    public static func account(_ listed: ListedAccount, tenant: String?) -> JSONObject {
        let account = listed.account
        var members = JSONObject([
            ("account_id", .string(account.id.text)), ("name", .string(account.name)), ("description", account.description.map(JSONValue.string) ?? .null),
            ("account_type", .string(account.type.name)), ("tenant_id", tenant.map(JSONValue.string) ?? .null), ("role", .string(account.role)),
            ("allowed_projects", texts(account.projects)), ("scopes", texts(account.scopes)),
            ("keys", .array(account.keys.map { .object(key($0, lastUsed: listed.keyUses[$0.keyID])) })),
            ("created_at", .string(account.createdAt.iso8601)), ("updated_at", .string(account.updatedAt.iso8601)), ("is_active", .bool(account.isActive)),
            ("last_active", time(listed.use.last)), ("total_requests", .integer(listed.use.requests)),
        ])
        if !account.rule.isValid { members["confirmed"] = .bool(false) }
        return members
    }

    public static func key(_ key: AccountKey, lastUsed: Timestamp? = nil) -> JSONObject {
        JSONObject([
            ("key_id", .string(key.keyID.text)), ("created_at", .string(key.createdAt.iso8601)), ("expires_at", time(key.expiresAt)),
            ("last_used", time(lastUsed)), ("description", key.description.map(JSONValue.string) ?? .null),
        ])
    }

    public static func token(_ token: IssuedToken) -> JSONObject {
        JSONObject([
            ("access_token", .string(token.text)), ("token_type", "Bearer"), ("expires_in", .integer(token.claims.expiresAt - token.claims.issuedAt)),
            ("expires_at", .string(Timestamp(rawValue: token.claims.expiresAt * 1_000_000).iso8601)),
        ])
    }

    private static func time(_ time: Timestamp?) -> JSONValue { time.map { .string($0.iso8601) } ?? .null }
    private static func texts(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
}

/// Custom roles, and why something is allowed.
public enum RoleShape {
    public static func role(_ role: CustomRole, rules: [PermissionRule]? = nil) -> JSONObject {
        var members = JSONObject([
            ("name", .string(role.name)), ("description", role.description.map(JSONValue.string) ?? .null),
            ("inherits", .array(role.inherits.map(JSONValue.string))), ("permissions", .array(role.permissions.map(JSONValue.string))),
            ("updated_at", .string(role.updatedAt.iso8601)),
        ])
        if let rules { members["effective_permissions"] = .array(rules.map { .string($0.text) }) }
        return members
    }

    public static func explanation(_ found: PermissionExplanation) -> JSONObject {
        let holder = found.holder
        var members = JSONObject([
            ("allowed", .bool(found.decision == .allowed)), ("reason", .string(reason(found.decision))), ("explanation", .string(sentence(found))),
            ("permission", .string(found.permission.rawValue)),
            ("rule", .string("\(found.permission.resourceAndAction.resource):\(found.permission.resourceAndAction.action)")),
            ("project_id", found.question.project.map(JSONValue.string) ?? .null), ("data_key", found.question.dataKey.map(JSONValue.string) ?? .null),
            ("address", found.question.address.map(JSONValue.string) ?? .null),
            ("time", found.question.time.map { .string($0.iso8601) } ?? .null),
            ("holder", holder.holderID.map(JSONValue.string) ?? .null), ("role", .string(holder.roleName)),
            ("projects", .array(holder.projects.projects.map(JSONValue.string))),
        ])
        members["role_rules"] = rules(found.roleRules)
        members["permission_rules"] = rules(found.permissionRules)
        return members
    }

    private static func rules(_ rules: [(rule: PermissionRule, holds: Bool?)]) -> JSONValue {
        .array(
            rules.map { rule, holds in
                ["permission": .string(rule.text), "effect": rule.isDeny ? "deny" : "allow", "applies": holds.map { .bool($0) } ?? "unknown"]
            })
    }

    private static func reason(_ decision: Principal.Decision) -> String {
        switch decision {
        case .allowed: "allowed"
        case .role: "role_lacks_permission"
        case .deniedByRole: "denied_by_role"
        case .project: "project_out_of_scope"
        case .permissions: "not_in_permissions"
        case .deniedByPermissions: "denied_by_permissions"
        }
    }

    private static func sentence(_ found: PermissionExplanation) -> String {
        let (role, permission) = (found.holder.roleName, found.permission.rawValue)
        let place = found.question.project.map { "in project '\($0)'" } ?? "without a project named"
        return switch found.decision {
        case .allowed: "The role '\(role)' grants \(permission) \(place), and nothing takes it away"
        case .role: "The role '\(role)' does not grant \(permission) \(place), or only under conditions that do not hold or are not known"
        case .deniedByRole: "The role '\(role)' denies \(permission) \(place)"
        case .project: "The role '\(role)' grants \(permission), but not \(place): it is held in other projects"
        case .permissions: "The role '\(role)' grants \(permission), but none of the permissions leaves it \(place)"
        case .deniedByPermissions: "The role '\(role)' grants \(permission), and one of the permissions denies it \(place)"
        }
    }
}
