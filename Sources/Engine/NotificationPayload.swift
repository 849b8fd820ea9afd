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
        let agent = notification.agent
        switch notification.message {
        case .initialContext(let context):
            var members = JSONObject([
                ("type", .string("initial_context")), ("agent_id", .string(agent.name.text)), ("format", .string(agent.responseFormat)),
            ])
            add(context, to: &members)
            return .object(members)
        case .event(let event):
            let members: [(String, JSONValue)] = [
                ("type", .string("event")), ("sequence", .string(event.sequence.description)), ("event_type", .string(event.type)),
            ]
            return .object(JSONObject(members + EventData.told(event)))
        case .update(let sequence, let key, let data):
            return [
                "type": .string("data_update"), "sequence": .string(sequence.description), "data_key": .string(key),
                "format": .string(agent.responseFormat), "data": data,
            ]
        case .deletion(let sequence, let key):
            return ["type": .string("data_deleted"), "sequence": .string(sequence.description), "data_key": .string(key)]
        }
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
