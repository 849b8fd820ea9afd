// Audit records as people and machines read them: the original's JSON, and the line formats of those who gather security events.

public import Audit
public import Base
internal import Content

public enum AuditShape {
    /// - Parameter isWhole: with what only an export has.
    public static func record(_ record: AuditRecord, tenant: TenantID, isWhole: Bool = false) -> JSONObject {
        let draft = record.draft
        func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
        var members = JSONObject([
            ("event_id", .string(AuditID.text(tenant: tenant, record.sequence))), ("timestamp", .string(record.time.iso8601)),
            ("event_type", .string(draft.kind.name)), ("severity", .string(draft.severity.rawValue)), ("actor_id", .string(draft.actor.id)),
            ("actor_type", .string(draft.actor.kind.name)), ("actor_ip", text(draft.actor.address)), ("tenant_id", .null),
            ("project_id", text(draft.project)), ("resource_type", text(draft.resourceType)), ("resource_id", text(draft.resourceID)),
            ("action", .string(draft.action)), ("details", details(draft)), ("result", .string(draft.result.name)),
            ("request_id", .string(draft.place.requestID)), ("endpoint", .string(draft.place.endpoint)), ("method", .string(draft.place.method)),
            ("sequence", .integer(Int(clamping: record.sequence))),
        ])
        if isWhole {
            members["actor_user_agent"] = text(draft.actor.client)
            let own = details(draft)
            members["before"] = own["before"] ?? .null
            members["after"] = own["after"] ?? .null
            members["link"] = .string(record.linkText)
        }
        return members
    }

    private static func details(_ draft: AuditDraft) -> JSONValue { (try? JSONParser.parse(stored: draft.details)) ?? .object(JSONObject()) }

    /// ArcSight's Common Event Format, version 0, a line.
    public static func cef(_ record: AuditRecord, tenant: TenantID, version: String) -> String {
        let draft = record.draft
        let level =
            switch draft.severity {
            case .info: 3
            case .warning: 6
            case .error: 8
            case .critical: 10
            }
        let head = ["CEF:0", "Contex", "contex", version, draft.kind.name, draft.action, "\(level)"]
        var fields = [
            ("rt", "\(record.time.rawValue / 1_000)"), ("externalId", AuditID.text(tenant: tenant, record.sequence)), ("suser", draft.actor.id),
            ("outcome", draft.result.name), ("requestMethod", draft.place.method), ("request", draft.place.endpoint),
            ("cs1Label", "requestId"), ("cs1", draft.place.requestID),
        ]
        if let address = draft.actor.address { fields.append(("src", address)) }
        if let client = draft.actor.client { fields.append(("requestClientApplication", client)) }
        if let project = draft.project { fields += [("cs2Label", "project"), ("cs2", project)] }
        if let type = draft.resourceType, let id = draft.resourceID { fields += [("cs3Label", "resource"), ("cs3", type + "/" + id)] }
        fields += [("msg", String(decoding: draft.details, as: UTF8.self))]
        return head.map { escaped($0, ["\\", "|"]) }.joined(separator: "|") + "|"
            + fields.map { "\($0.0)=\(escaped($0.1, ["\\", "="]))" }.joined(separator: " ")
    }

    private static func escaped(_ text: String, _ signs: Set<Character>) -> String {
        var result = ""
        for character in text {
            if character.isNewline {
                result += "\\n"
            } else {
                if signs.contains(character) { result += "\\" }
                result.append(character)
            }
        }
        return result
    }
}
