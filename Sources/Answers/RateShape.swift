public import Base
internal import Content
public import Rates

/// Rate limits: where a caller stands, and what was set.
public enum RateShape {
    /// What a refusal says beside its text, in the original's words.
    public static func refusal(_ standing: RateStanding, message: String, now: Timestamp) -> JSONObject {
        JSONObject([
            ("error", "rate_limit_exceeded"), ("message", .string(message)), ("limit", .integer(standing.limit)),
            ("reset", .integer(unix(standing, now))), ("detail", .string(message)), ("policy", .string(standing.policy)),
        ])
    }

    /// Headers of an answer that was counted: the original's, and those of draft-ietf-httpapi-ratelimit-headers.
    public static func headers(_ standing: RateStanding, now: Timestamp) -> [(name: String, value: String)] {
        [
            ("X-RateLimit-Limit", "\(standing.limit)"), ("X-RateLimit-Remaining", "\(standing.remaining)"),
            ("X-RateLimit-Reset", "\(unix(standing, now))"),
            ("RateLimit-Policy", "\"\(standing.policy)\";q=\(standing.limit);w=\(standing.windowSeconds)"),
            ("RateLimit", "\"\(standing.policy)\";r=\(standing.remaining);t=\(standing.resetSeconds)"),
        ]
    }

    /// Seconds since 1970 at which all of the allowance is there again.
    private static func unix(_ standing: RateStanding, _ now: Timestamp) -> Int { Int(now.rawValue / 1_000_000) + standing.resetSeconds }

    /// What the SDK reads, of one class; a class without a limit shows the most that one can be.
    public static func status(_ standing: RateStanding?, now: Timestamp) -> JSONObject {
        let limit = standing?.limit ?? RateAllowances.most
        let reset = Timestamp(rawValue: now.rawValue + Int64(standing?.resetSeconds ?? 0) * 1_000_000)
        return JSONObject([
            ("limit", .integer(limit)), ("remaining", .integer(standing?.remaining ?? limit)), ("reset_at", .string(reset.iso8601)),
        ])
    }

    /// As `GET /admin/rate-limits` lists a class.
    public static func listed(_ standing: RateStanding?, now: Timestamp) -> JSONObject {
        let limit = standing?.limit ?? RateAllowances.most
        let remaining = standing?.remaining ?? limit
        return JSONObject([
            ("limit", .integer(limit)), ("remaining", .integer(remaining)),
            ("reset", .integer(standing.map { unix($0, now) } ?? Int(now.rawValue / 1_000_000))), ("allowed", .bool(remaining > 0)),
        ])
    }

    public static func rule(_ rule: RateRule) -> JSONObject {
        JSONObject([
            ("subject", .string(rule.subject.kind)), ("id", rule.subject.id.map(JSONValue.string) ?? .null), ("class", .string(rule.rateClass.name)),
            ("limit", limit(rule.perMinute)),
        ])
    }

    /// A number, or `unlimited`.
    public static func limit(_ perMinute: Int?) -> JSONValue { perMinute.map { .integer($0) } ?? "unlimited" }
}
