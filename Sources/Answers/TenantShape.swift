public import Base
internal import Content
public import Engine
public import Tenants

/// Tenants, in the original's shape.
public enum TenantShape {
    public static func tenant(_ tenant: TenantRecord) -> JSONObject {
        JSONObject([
            ("tenant_id", .string(tenant.name.text)), ("name", .string(tenant.title)), ("plan", .string(tenant.plan.name)),
            ("quotas", .object(tenant.quotas.json)), ("settings", object(tenant.settings)), ("metadata", object(tenant.metadata)),
            ("created_at", .string(tenant.createdAt.iso8601)), ("updated_at", tenant.updatedAt.map { .string($0.iso8601) } ?? .null),
            ("is_active", .bool(tenant.isActive)), ("owner_email", tenant.owner.map(JSONValue.string) ?? .null),
        ])
    }

    private static func object(_ text: String) -> JSONValue { (try? JSONParser.parse(Array(text.utf8))) ?? .object(JSONObject()) }

    public static func usage(_ report: TenantReport) -> JSONObject {
        func percent(_ resource: Resource) -> JSONValue {
            guard let standing = report.standings.first(where: { $0.resource == resource.rawValue }) else { return .null }
            guard standing.limit > 0 else { return .double(standing.used > 0 ? 100 : 0) }
            return .double((Double(standing.used) / Double(standing.limit) * 10_000).rounded() / 100)
        }
        let megabytes = (Double(report.storageBytes) / Double(Quotas.megabyte) * 1_000).rounded() / 1_000
        return JSONObject([
            ("tenant_id", .string(report.tenant.name.text)),
            (
                "usage",
                [
                    "projects_count": .integer(report.projects), "agents_count": .integer(report.agents), "api_keys_count": .integer(report.keys),
                    "events_this_month": .integer(report.events), "storage_used_mb": .double(megabytes), "storage_used_bytes": .integer(report.storageBytes),
                    "webhook_endpoints_count": .integer(report.endpoints), "month": .string(report.month.description),
                    "month_ends_at": .string(report.month.next.begin.iso8601),
                    "last_updated": report.countedAt.map { .string($0.iso8601) } ?? .null,
                ]
            ), ("quotas", .object(report.tenant.quotas.json)),
            (
                "usage_percentage",
                ["projects": percent(.projects), "api_keys": percent(.keys), "events": percent(.events), "storage": percent(.storage)]
            ),
        ])
    }

    /// What a refusal says beside its text.
    public static func refusal(_ quota: QuotaStanding) -> JSONObject {
        JSONObject([
            ("error_code", "QUOTA_EXCEEDED"), ("resource", .string(quota.resource)), ("used", .integer(quota.used)), ("limit", .integer(quota.limit)),
            ("reset", quota.resetAt.map { .string($0.iso8601) } ?? .null),
        ])
    }

    /// The header of an answer whose tenant has nearly used up a quota.
    public static func warning(_ quota: QuotaStanding) -> (name: String, value: String) {
        ("X-Quota-Warning", "\(quota.resource);used=\(quota.used);limit=\(quota.limit);percent=\(quota.percent)")
    }
}
