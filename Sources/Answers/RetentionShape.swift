public import Audit
public import Base
public import Engine

/// Retention and erasure: what holds, what went, and the receipt.
public enum RetentionShape {
    /// In the original's members, and what it does not know behind them.
    public static func status(_ status: RetentionStatus) -> JSONValue {
        .object(
            JSONObject([
                ("project_id", .string(status.project.text)), ("event_count", .integer(status.events)),
                ("oldest_event", status.oldest.map { .string($0.iso8601) } ?? .null), ("newest_event", status.newest.map { .string($0.iso8601) } ?? .null),
                (
                    "retention_config",
                    .object(
                        JSONObject([
                            ("events_ttl_days", .integer(status.rule.eventDays)), ("agent_inactive_days", .integer(status.rule.agentDays)),
                            ("max_events_per_project", .integer(status.rule.eventsMax)),
                        ]))
                ),
                (
                    "own_config",
                    .object(
                        JSONObject([
                            ("events_ttl_days", status.settings.eventDays.map { .integer($0) } ?? .null),
                            ("agent_inactive_days", status.settings.agentDays.map { .integer($0) } ?? .null),
                            ("max_events_per_project", status.settings.eventsMax.map { .integer($0) } ?? .null),
                        ]))
                ), ("horizon", .string(status.horizon.description)), ("kept_events", .integer(status.keptEvents)),
            ]))
    }

    /// - Parameter project: nil: of all projects.
    public static func cleanup(_ report: CleanupReport, of project: Name?, dryRun: Bool) -> JSONValue {
        var stats: JSONObject
        if let project {
            stats = JSONObject([
                ("project_id", .string(project.text)), ("events_cleaned_by_age", .integer(report.byAge)), ("events_trimmed", .integer(report.byCount)),
            ])
        } else {
            stats = JSONObject([
                ("projects_processed", .integer(report.projects)), ("total_events_cleaned_by_age", .integer(report.byAge)),
                ("total_events_trimmed", .integer(report.byCount)), ("agents_cleaned", .integer(report.agents)),
            ])
        }
        if dryRun { stats["dry_run"] = .bool(true) }
        return ["status": "success", "stats": .object(stats)]
    }

    /// Members of the signed message in its order, then the signature.
    public static func receipt(_ receipt: ErasureReceipt) -> JSONValue {
        var members = JSONObject([
            ("erasure", .string("\(receipt.number)")), ("tenant", .integer(Int(receipt.tenant.rawValue))), ("position", .string("\(receipt.position)")),
            ("erased_at", .string(receipt.time.iso8601)), ("time", .string("\(receipt.time.rawValue)")), ("project_id", .string(receipt.project.text)),
        ])
        if let key = receipt.key { members["data_key"] = .string(key.text) }
        members["events"] = .string("\(receipt.events)")
        members["versions"] = .string("\(receipt.versions)")
        members["records"] = .string("\(receipt.records)")
        members["key_fingerprint"] = receipt.keyFingerprint.map(JSONValue.string) ?? .null
        members["public_key"] = receipt.publicKeyText.map(JSONValue.string) ?? .null
        members["signature"] = receipt.signatureText.map(JSONValue.string) ?? .null
        return ["status": "erased", "receipt": .object(members)]
    }
}
