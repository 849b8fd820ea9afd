public import Base
internal import Content
public import Engine
internal import Events
internal import Inboxes
internal import Needs

/// What those who follow are told, on whatever way: text, in which the data stands as the store has it.
public enum FeedShape {
    /// The updates of an agent that a page has, and where to go on.
    public static func updates(_ page: FeedPage, of project: Name) -> [UInt8] {
        var answer = JSONMembers()
        answer.add("updates", text: JSONMembers.list(page.items.map { item($0, of: project) }))
        answer.add("cursor", .string(page.cursor.description))
        return answer.text
    }

    public static func item(_ item: FeedItem, of project: Name) -> [UInt8] {
        guard let concern = item.concern else { return event(item.event) }
        return update(item, concern, of: project)
    }

    /// An agent's update: the message of its channel (`NotificationShape`), and why it comes.
    private static func update(_ item: FeedItem, _ concern: FeedItem.Concern, of project: Name) -> [UInt8] {
        let event = item.event
        var members = JSONMembers()
        // Of what was erased since it is only known that it is gone.
        let isDeletion = concern.reason == .deletion || event.kind == .erased
        members.add("type", .string(NotificationShape.kind(isDeletion: isDeletion)))
        members.add("sequence", .string(event.sequence.description))
        members.add("data_key", .string(event.key))
        if !isDeletion {
            members.add("format", "json")
            members.add("data", text: event.data)
        }
        if concern.envelope == .full {
            members.add("project_id", .string(project.text))
            members.add(
                "provenance",
                [
                    "sequence": .string(event.sequence.description), "event_time": .string(event.recordedAt.iso8601),
                    "publisher": event.publisher?.json ?? .null, "data_format": .string(event.format),
                    "matched_needs": .array(concern.needs.map { ["need": .string($0)] }),
                ])
        }
        members.add("cursor", .string(item.cursor.description))
        members.add("reason", .string(concern.reason.word))
        members.add("need", concern.needs.first.map(JSONValue.string) ?? .null)
        members.add("needs", .array(concern.needs.map(JSONValue.string)))
        members.add("published_by", event.publisher?.json ?? .null)
        members.add("own", concern.isOwn.map(JSONValue.bool) ?? .null)
        return members.text
    }

    /// An update as the sandbox's stream tells it.
    public static func visited(_ item: FeedItem) -> [UInt8] {
        let event = item.event
        let isDeletion = item.concern?.reason == .deletion
        var members = JSONMembers()
        members.add("type", .string(NotificationShape.kind(isDeletion: isDeletion)))
        members.add("data_key", .string(event.key))
        members.add("sequence", .string(event.sequence.description))
        if !isDeletion { members.add("data", text: event.data) }
        return members.text
    }

    /// An event of a project. The data of one that an import has taken over is the whole object that it came as.
    private static func event(_ event: EventRecord) -> [UInt8] {
        var members = JSONMembers()
        members.add("sequence", .string(event.sequence.description))
        members.add("event_type", .string(event.type))
        members.add("data_key", event.kind.hasWholeObject ? .null : .string(event.key))
        members.add("data", text: event.data)
        members.add("published_by", event.publisher?.json ?? .null)
        return members.text
    }

    /// A refusal in the middle of what is followed: as `X-Contex-Error` and `detail` say it of an answer.
    public static func refusal(_ error: ContexError) -> JSONObject {
        var members = JSONObject([("code", .string(error.code.rawValue)), ("detail", .string(error.message.excerpt(bytes: 4 * Limits.echoBytes)))])
        if let oldest = error.oldestCursor { members["oldest_cursor"] = .string(oldest) }
        return members
    }
}
