internal import Answers
internal import Base
internal import Content
internal import Rates
internal import Service

/// Rate limits: what a caller has left, and what an administrator sets. docs/limits.md is this for readers.
extension RouteTable {
    private static let group = "Rate limits"
    private static let classes = RateClass.allCases.map(\.name)
    private static let statusClass = Field.word("class", of: classes, default: RateClass.query.name, "The class of operations that is meant")
    private static let project = Field.optionalName("project_id", "The project, for classes that count each project by itself")
    private static let subject = Field.word("subject", of: ["tenant", "project", "key"], default: nil, "Whose limit: everybody's, a project's, a key's")
    private static let subjectID = Field.optionalText("id", scalarsMax: Limits.nameScalars, "The project's name, or the key's public name")
    private static let ofClass = Field.word("class", of: classes, default: nil, "The class of operations")
    private static let limit = Field.anything("limit", "Requests a minute, from 0 to \(RateAllowances.most); null or \"unlimited\": without a limit")
    private static let ruleExample = #"{"subject":"key","id":"0123456789abcdef","class":"publish","limit":1000}"#

    /// The classes under the names that the original's administrators know.
    private static let paths: [(path: String, rateClass: RateClass)] = [
        ("/api/publish", .publish), ("/api/register", .register), ("/api/query", .query), ("/auth/", .administration), ("/admin/", .administration),
    ]

    static let rateRoutes: [Route] = [
        Route(
            "GET", "/rate-limit/status", bases: .current, action: .showRateLimits, group: group, "What the caller has left of a class",
            query: [statusClass.shape, project.shape],
            #"{"limit":200,"remaining":199,"reset_at":"2026-01-01T00:00:01+00:00","limits":{"query":{"limit":200,"remaining":199}}}"#
        ) { call in
            let standings = try await call.operations.rateStandings(project: call.query[project], by: call.caller)
            let now = call.server.clock.now()
            let wanted = RateClass(name: call.query[statusClass])
            var body = RateShape.status(standings.first { $0.rateClass == wanted }?.standing, now: now)
            body["limits"] = .object(JSONObject(standings.map { ($0.rateClass.name, .object(RateShape.status($0.standing, now: now))) }))
            return .json(.object(body))
        },

        Route(
            "GET", "/admin/rate-limits", action: .showRateLimits, group: group, "What the caller has left, in the original's shape",
            query: [project.shape],
            #"{"api_key_prefix":"ck_Ab12","limits":{"/api/publish":{"limit":100,"remaining":100,"reset":1767225600,"allowed":true}}}"#
        ) { call in
            let standings = try await call.operations.rateStandings(project: call.query[project], by: call.caller)
            let now = call.server.clock.now()
            let limits = paths.map { path, rateClass in
                (path, JSONValue.object(RateShape.listed(standings.first { $0.rateClass == rateClass }?.standing, now: now)))
            }
            return .json([
                "api_key_prefix": .string(String((call.caller.apiKey ?? "anonymous").prefix(7))), "limits": .object(JSONObject(limits)),
            ])
        },

        Route(
            "GET", "/admin/rate-limits/rules", bases: .current, action: .setRateLimits, group: group, "The server's own limits, and those that were set",
            #"{"defaults":{"publish":100},"rules":[\#(ruleExample)],"enabled":true}"#
        ) { call in
            let (standard, rules) = try await call.operations.rateRules(by: call.caller)
            let defaults = RateClass.allCases.map { ($0.name, RateShape.limit(standard[$0])) }
            return .json([
                "defaults": .object(JSONObject(defaults)), "rules": .array(rules.map { .object(RateShape.rule($0)) }),
                "enabled": .bool(call.operations.limitsRates),
            ])
        },

        Route(
            "PUT", "/admin/rate-limits/rules", bases: .current, action: .setRateLimits, group: group,
            "Set a limit; of several that fit, the key's goes before the project's, and that before the tenant's",
            body: .object([subject.shape, subjectID.shape, ofClass.shape, limit.shape]), ruleExample
        ) { call in
            let (subject, rateClass) = try wanted(call.body, in: "body")
            let perMinute: Int?
            switch call.body[limit] {
            case .null, "unlimited": perMinute = nil
            case let value:
                guard let number = value.integerValue else {
                    throw ContexError.invalid(
                        field: "limit", kind: "int_type", message: "Input should be a valid integer, null or \"unlimited\"")
                }
                perMinute = number
            }
            let rule = RateRule(subject: subject, rateClass: rateClass, perMinute: perMinute)
            try await call.operations.setRateLimit(rule, by: call.caller)
            return .json(.object(RateShape.rule(rule)))
        },

        Route(
            "DELETE", "/admin/rate-limits/rules", bases: .current, action: .setRateLimits, group: group,
            "Take a limit back (204): the next wider one holds again", query: [subject.shape, subjectID.shape, ofClass.shape], "{}"
        ) { call in
            let (subject, rateClass) = try wanted(call.query, in: "query")
            try await call.operations.removeRateLimit(subject, rateClass, by: call.caller)
            return APIAnswer(status: 204, headers: [])
        },
    ]

    private static func wanted(_ values: FieldValues, in place: String) throws -> (RateSubject, RateClass) {
        guard let found = RateSubject(kind: values[subject], id: values[subjectID]) else {
            let message = values[subjectID] == nil ? "Value error, a limit of a project or key needs its id" : "Value error, the tenant's limit has no id"
            throw ValidationFailure([.value(message, at: [.name(place), .name("id")], input: values[subjectID].map(JSONValue.string) ?? .null)])
        }
        // `FieldRule.word` has made sure that it is one.
        return (found, RateClass(name: values[ofClass])!)
    }
}
