internal import Base
internal import Content
public import Engine
internal import Events
internal import Needs
internal import TOON

/// What an agent is told, on whatever way: the original's objects. A channel and a webhook say the same, but for three members: the channel
/// says the format that the agent asked for (and uses it), the webhook says whom it is for.
public enum NotificationShape {
    private enum Way { case channel, webhook }

    /// The text of a message on a Redis channel, in TOON when the agent asked for it, else JSON as Python's `json.dumps` prints it.
    /// - Complexity: O(size of the data).
    public static func channelText(_ notification: Notification) -> String {
        let object = JSONValue.object(members(notification, .channel))
        // Missed events were always JSON, whatever the agent's format.
        if case .event = notification.message { return JSONPrinter.text(object, style: .python) }
        return notification.agent.responseFormat == "toon" ? TOONEncoder.encode(object) : JSONPrinter.text(object, style: .python)
    }

    /// The body of a webhook: always compact JSON, whatever the agent's format.
    /// - Complexity: O(size of the data).
    public static func webhookBody(_ notification: Notification) -> [UInt8] { JSONPrinter.bytes(.object(members(notification, .webhook))) }

    /// The type of a message: its member `type`, and the event that a webhook's head names.
    public static func kind(_ message: Notification.Message) -> String {
        switch message {
        case .initialContext: "initial_context"
        case .event: "event"
        case .update: kind(isDeletion: false)
        case .deletion: kind(isDeletion: true)
        }
    }

    static func kind(isDeletion: Bool) -> String { isDeletion ? "data_deleted" : "data_update" }

    private static func members(_ notification: Notification, _ way: Way) -> JSONObject {
        let agent = notification.agent
        let (name, format) = (JSONValue.string(agent.name.text), JSONValue.string(agent.responseFormat))
        var members = JSONObject([("type", .string(kind(notification.message)))])
        if way == .webhook { members["agent_id"] = name }
        switch notification.message {
        case .initialContext(let context):
            if way == .channel {
                members["agent_id"] = name
                members["format"] = format
            }
            add(context, to: &members)
        case .event(let event):
            members["sequence"] = .string(event.sequence.description)
            members["event_type"] = .string(event.type)
            for (name, value) in EventData.told(event) { members[name] = value }
        case .update(let sequence, let key, let data):
            members["sequence"] = .string(sequence.description)
            members["data_key"] = .string(key)
            if way == .channel { members["format"] = format }
            for (name, value) in EventData.told(sequence, data) { members[name] = value }
        case .deletion(let sequence, let key):
            members["sequence"] = .string(sequence.description)
            members["data_key"] = .string(key)
        }
        addEnvelope(of: notification, to: &members)
        return members
    }

    /// Project and provenance, for an agent that asked for the full envelope.
    private static func addEnvelope(of notification: Notification, to members: inout JSONObject) {
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
    private static func add(_ context: InitialContext, to members: inout JSONObject) {
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
        if let passage = match.passage { members["passage"] = QueryShape.passage(passage) }
        return .object(members)
    }

    private static func needs(_ needs: [(need: String, matches: [Match])]) -> JSONValue {
        .object(JSONObject(needs.map { need, matches in (need, .array(matches.map(match))) }))
    }
}
