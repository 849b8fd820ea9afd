public import Access
public import Base
internal import Content

/// API keys and roles. The text of a key is in one answer only: that of its making.
public enum KeyShape {
    public static func issued(_ key: IssuedKey) -> JSONObject {
        var members = JSONObject([
            ("api_key", .string(key.text)), ("key_id", .string(key.record.keyID.text)), ("name", .string(key.record.name)),
            ("key", .string(key.text)), ("created_at", .string(key.record.createdAt.iso8601)),
        ])
        if !key.record.rule.isValid {
            members["confirmed"] = .bool(false)
            members["note"] = .string(
                "Made while authentication is off: once it is on, the key is valid when it is confirmed (contex keys confirm \(key.record.keyID))")
        }
        return members
    }

    /// - Parameters:
    ///   - tenant: whose it is; nil where there are not several.
    ///   - lastUsed: since the server's start; nil: not yet.
    public static func listed(
        _ record: KeyRecord, tenant: String?, terms: KeyTerms = KeyTerms(), lastUsed: Timestamp? = nil, permissions: [String] = []
    ) -> JSONObject {
        var members = JSONObject([
            ("key_id", .string(record.keyID.text)), ("name", .string(record.name)), ("prefix", .string(record.prefix)),
            ("scopes", .array(permissions.map(JSONValue.string))), ("created_at", .string(record.createdAt.iso8601)),
            ("tenant_id", tenant.map(JSONValue.string) ?? .null),
        ])
        if !record.rule.isValid { members["confirmed"] = .bool(false) }
        for (name, value) in Self.terms(terms) { members[name] = value }
        if let lastUsed { members["last_used_at"] = .string(lastUsed.iso8601) }
        return members
    }

    /// Only what is set.
    public static func terms(_ terms: KeyTerms) -> JSONObject {
        var members = JSONObject()
        if let end = terms.expiresAt { members["expires_at"] = .string(end.iso8601) }
        if !terms.addresses.isEmpty { members["allowed_addresses"] = .array(terms.addressTexts.map(JSONValue.string)) }
        if let text = terms.description { members["description"] = .string(text) }
        if let former = terms.former { members["former_valid_until"] = .string(former.until.iso8601) }
        return members
    }

    public static func role(_ keyID: String, _ role: String, _ projects: [String]) -> JSONValue {
        ["key_id": .string(keyID), "role": .string(role), "projects": .array(projects.map(JSONValue.string))]
    }

    public static func permissions(_ roles: [(role: Role, permissions: [Permission])]) -> JSONValue {
        [
            "roles": .object(
                JSONObject(
                    roles.map { role, permissions in
                        (role.rawValue, ["permissions": .array(permissions.map { .string($0.rawValue) })])
                    })),
            "all_permissions": .array(Permission.allCases.map { .string($0.rawValue) }),
        ]
    }
}
