public import Base
internal import Content
internal import Events
internal import Needs
internal import TOON

/// The text of a notification on a Redis channel: the original's objects, in TOON when the agent asked for it, else JSON as
/// Python's `json.dumps` prints it.
public enum NotificationPayload {
    public static func text(_ notification: Notification) -> String {
        let object = object(notification)
        // Missed events were always JSON, whatever the agent's format.
        if case .event = notification.message { return JSONPrinter.text(object, style: .python) }
        return notification.agent.responseFormat == "toon" ? TOONEncoder.encode(object) : JSONPrinter.text(object, style: .python)
    }

    static func object(_ notification: Notification) -> JSONValue {
        var members = members(notification)
        addEnvelope(of: notification, to: &members)
        return .object(members)
    }

    private static func members(_ notification: Notification) -> JSONObject {
        let agent = notification.agent
        switch notification.message {
        case .initialContext(let context):
            var members = JSONObject([
                ("type", .string("initial_context")), ("agent_id", .string(agent.name.text)), ("format", .string(agent.responseFormat)),
            ])
            add(context, to: &members)
            return members
        case .event(let event):
            let members: [(String, JSONValue)] = [
                ("type", .string("event")), ("sequence", .string(event.sequence.description)), ("event_type", .string(event.type)),
            ]
            return JSONObject(members + EventData.told(event))
        case .update(let sequence, let key, let data):
            let members: [(String, JSONValue)] = [
                ("type", .string("data_update")), ("sequence", .string(sequence.description)), ("data_key", .string(key)),
                ("format", .string(agent.responseFormat)),
            ]
            return JSONObject(members + EventData.told(sequence, data))
        case .deletion(let sequence, let key):
            return JSONObject([("type", .string("data_deleted")), ("sequence", .string(sequence.description)), ("data_key", .string(key))])
        }
    }

    /// Project and provenance, for an agent that asked for the full envelope.
    public static func addEnvelope(of notification: Notification, to members: inout JSONObject) {
        guard notification.agent.envelope == .full else { return }
        members["project_id"] = .string(notification.project.text)
        let source = notification.provenance
        var provenance = JSONObject()
        if let sequence = source.sequence { provenance["sequence"] = .string(sequence.description) }
        if let time = source.recordedAt {
            provenance["event_time"] = .string(time.iso8601)
            provenance["publisher"] = source.publisher?.json ?? .null
            provenance["data_format"] = source.format.map(JSONValue.string) ?? .null
            provenance["matched_needs"] = .array(
                source.matches.map { ["need": .string($0.need), "similarity": .double($0.similarity)] })
        }
        members["provenance"] = .object(provenance)
    }

    /// `context` as the original sends it; beside it what was pinned, and what there was no room for, when there is any.
    public static func add(_ context: InitialContext, to members: inout JSONObject) {
        members["context"] = needs(context.needs)
        if !context.pinned.isEmpty { members["pinned"] = .array(context.pinned.map(match)) }
        guard context.isTruncated else { return }
        members["truncated"] = .bool(true)
        members["omitted"] = .integer(context.omitted.count)
        members["omitted_keys"] = .array(context.omitted.map(JSONValue.string))
    }

    /// Token count and preview are there and null.
    private static func match(_ match: Match) -> JSONValue {
        var members = JSONObject([
            ("data_key", .string(match.nodeKey)), ("similarity", .double(match.similarity)), ("data", match.data),
            ("description", .string(match.description)), ("token_count", .null), ("preview", .null),
        ])
        if match.isCut { members["truncated"] = .bool(true) }
        return .object(members)
    }

    private static func needs(_ needs: [(need: String, matches: [Match])]) -> JSONValue {
        .object(
            JSONObject(
                needs.map { need, matches in
                    (
                        need,
                        .array(matches.map(match))
                    )
                }))
    }
}
