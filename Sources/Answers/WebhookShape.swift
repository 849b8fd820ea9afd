public import Base
internal import Content
public import Engine
public import Outbox

/// Webhook endpoints, their events and deliveries. A secret is in one answer only: that of its making.
public enum WebhookShape {
    /// - Parameter tenant: whose it is; nil where there are not several.
    public static func endpoint(
        _ endpoint: WebhookEndpoint, tenant: String?, showsSecret: Bool = false, delivery: DeliveryStatus? = nil
    ) -> JSONObject {
        var members = JSONObject([
            ("endpoint_id", .string(endpoint.id)), ("tenant_id", tenant.map(JSONValue.string) ?? .null), ("name", .string(endpoint.name)),
            ("description", endpoint.description.map(JSONValue.string) ?? .null), ("url", .string(endpoint.url)), ("events", texts(endpoint.events)),
            ("categories", texts(endpoint.categories)), ("project_ids", texts(endpoint.projects)), ("is_active", .bool(endpoint.isActive)),
            ("timeout_seconds", .integer(Int(endpoint.timeoutSeconds))), ("max_retries", .integer(Int(endpoint.retriesMax))),
            ("created_at", .string(endpoint.createdAt.iso8601)), ("updated_at", .string(endpoint.updatedAt.iso8601)),
        ])
        if showsSecret {
            members["secret"] = .string(endpoint.secret)
            // The same, as the libraries of Standard Webhooks take it.
            members["signing_secret"] = .string("whsec_" + base64(Array(endpoint.secret.utf8)))
            if endpoint.previousSecret != nil { members["previous_secret_until"] = .string(endpoint.previousUntil.iso8601) }
        }
        if let delivery { members["delivery"] = .object(AgentShape.delivery(delivery)) }
        return members
    }

    private static func texts(_ list: [String]) -> JSONValue { .array(list.map(JSONValue.string)) }

    private static func base64(_ bytes: [UInt8]) -> String {
        let text = Base64URL.encode(bytes).replacing("-", with: "+").replacing("_", with: "/")
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    public static func attempt(_ attempt: DeliveryAttempt, of endpoint: String) -> JSONValue {
        let end = Timestamp(rawValue: attempt.begun.rawValue + Int64(attempt.milliseconds) * 1_000)
        return [
            "delivery_id": .string(attempt.deliveryID), "event_id": .string(attempt.eventID), "endpoint_id": .string(endpoint),
            "attempt": .integer(Int(attempt.attempt)), "status": .string(attempt.result.word),
            "status_code": attempt.status == 0 ? .null : .integer(Int(attempt.status)),
            "response_body": attempt.status == 0 ? .null : .string(attempt.body), "error": attempt.error.isEmpty ? .null : .string(attempt.error),
            "created_at": .string(attempt.begun.iso8601), "delivered_at": attempt.result == .success ? .string(end.iso8601) : .null,
            "duration_ms": .integer(Int(attempt.milliseconds)),
        ]
    }

    public static func letters(_ page: DeadLetterPage) -> JSONObject {
        JSONObject([
            ("dead_letters", .array(page.letters.map { letter($0.number, $0.letter) })), ("total", .integer(page.total)),
            ("has_more", .bool(page.hasMore)),
        ])
    }

    private static func letter(_ number: UInt64, _ letter: DeadLetter) -> JSONValue {
        var members = JSONObject([
            ("number", .string(String(number))), ("id", .string(letter.id)), ("kind", .string(letter.event?.kind.name ?? letter.item.word)),
        ])
        switch letter.item {
        case .greeting: break
        case .missed(let sequence), .entry(let sequence): members["sequence"] = .string(sequence.description)
        case .event(let event): members["event"] = .string(String(event))
        }
        members["attempts"] = .integer(Int(letter.attempts))
        members["time"] = .string(letter.time.iso8601)
        members["status_code"] = letter.status == 0 ? .null : .integer(Int(letter.status))
        members["reason"] = .string(letter.reason)
        members["replaying"] = .bool(letter.isQueued)
        return .object(members)
    }

    // MARK: - The catalogue

    public static let categories: JSONValue = .array(EventKind.Category.allCases.map { .string($0.rawValue) })
    public static let types: JSONValue = .array(EventKind.allCases.map { .string($0.name) })

    /// - Parameter category: nil: all.
    public static func kinds(of category: String?) -> JSONValue {
        .array(EventKind.allCases.filter { category == nil || $0.category.rawValue == category }.map(kind))
    }

    private static func kind(_ kind: EventKind) -> JSONValue {
        let members = kind.dataMembers
        let schema: JSONValue = [
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": .string(kind.name), "type": "object",
            "properties": .object(JSONObject(members.map { ($0.name, $0.type.schema($0.says)) })),
            "required": .array(members.map { .string($0.name) }),
        ]
        return [
            "event_type": .string(kind.name), "category": .string(kind.category.rawValue), "description": .string(kind.summary),
            "payload_schema": schema, "emitted": .bool(kind.isEmitted),
        ]
    }
}

/// A member of an event's `data`.
private struct DataMember {
    enum Kind {
        case text, sequence, count, flag, texts

        func schema(_ says: String) -> JSONValue {
            switch self {
            case .text: ["type": "string", "description": .string(says)]
            case .sequence: ["type": "string", "pattern": "^[0-9]+$", "description": .string(says)]
            case .count: ["type": "integer", "minimum": .integer(0), "description": .string(says)]
            case .flag: ["type": "boolean", "description": .string(says)]
            case .texts: ["type": "array", "items": ["type": "string"], "description": .string(says)]
            }
        }
    }
    let name: String
    let type: Kind
    let says: String

    static let project = DataMember(name: "project_id", type: .text, says: "The project")
    static let agent = DataMember(name: "agent_id", type: .text, says: "The agent's id in its project")
    static let key = DataMember(name: "data_key", type: .text, says: "The key of the data")
    static let sequence = DataMember(name: "sequence", type: .sequence, says: "The event of the project's log")
    static let keyID = DataMember(name: "key_id", type: .text, says: "The API key's public name")
}

extension EventKind {
    /// Those that this server never tells of have no members that could be relied on.
    fileprivate var dataMembers: [DataMember] {
        switch self {
        case .dataPublished, .dataUpdated, .versionCreated, .versionRestored:
            [.project, .key, .sequence, DataMember(name: "data_format", type: .text, says: "What the data was read as")]
        case .dataDeleted: [.project, .key, .sequence]
        case .agentRegistered:
            [
                .project, .agent, DataMember(name: "data_needs", type: .texts, says: "The agent's needs"),
                DataMember(name: "matched_needs_count", type: .count, says: "How many of them match something"),
            ]
        case .agentUnregistered: [.project, .agent]
        case .contextMatched:
            [.project, .agent, .key, .sequence, DataMember(name: "needs", type: .texts, says: "The needs that the data matches for the first time")]
        case .projectCreated: [.project]
        case .projectImported:
            [
                .project, DataMember(name: "events", type: .count, says: "Events that came with it"),
                DataMember(name: "documents", type: .count, says: "Documents that came with it"),
                DataMember(name: "overwrite", type: .flag, says: "Whether it took the place of what was there"),
            ]
        case .keyCreated: [.keyID, DataMember(name: "name", type: .text, says: "What people call the key")]
        case .keyRevoked: [.keyID]
        default: []
        }
    }

    fileprivate var summary: String {
        switch self {
        case .dataPublished: "Data was published under a key"
        case .dataUpdated: "Data took the place of what a key had"
        case .dataDeleted: "A key was deleted"
        case .versionCreated: "A key has a new version"
        case .versionRestored: "An earlier version of a key was published again"
        case .agentRegistered: "An agent was registered, or registered anew"
        case .agentUnregistered: "An agent was removed"
        case .agentSubscribed: "Somebody listens to an agent's channel"
        case .agentUnsubscribed: "Nobody listens to an agent's channel any more"
        case .contextQueried: "Context was queried"
        case .contextMatched: "Data matches needs of an agent that did not follow it"
        case .projectCreated: "A project has its first data or agent"
        case .projectExported: "A project was exported"
        case .projectImported: "An export document was imported into a project"
        case .projectDeleted: "A project was deleted"
        case .keyCreated: "An API key was made"
        case .keyRevoked: "An API key was revoked"
        case .authFailed: "Somebody came with an API key that is nobody's"
        case .rateLimited: "Somebody had more requests than his share"
        case .permissionDenied: "A role did not allow an operation"
        case .serviceAccountCreated: "A service account was made"
        case .serviceAccountKeyRotated: "A service account has another key"
        case .serviceAccountDeleted: "A service account was deleted"
        case .tenantCreated: "A tenant was made"
        case .tenantUpdated: "A tenant was changed"
        case .tenantSuspended: "A tenant was suspended"
        case .quotaWarning: "A tenant has nearly used up a quota"
        case .quotaExceeded: "A tenant has used up a quota"
        case .healthChanged: "The health of the server changed"
        case .healthDegraded: "The health of the server got worse"
        case .healthRecovered: "The server is healthy again"
        }
    }
}
