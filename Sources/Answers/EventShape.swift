internal import Base
internal import Content
internal import Engine
public import Events

public enum EventShape {
    /// One event of a list, as text.
    public static func listed(_ event: EventRecord) -> [UInt8] {
        var members = JSONMembers()
        members.add("sequence", .string(event.sequence.description))
        members.add("event_type", .string(event.type))
        members.add("data", text: EventData.visibleText(event))
        members.add("timestamp", .string(event.recordedAt.iso8601))
        members.add("position", .string(event.position.description))
        if !event.metadata.isEmpty { members.add("metadata", text: event.metadata) }
        if let publisher = event.publisher { members.add("published_by", publisher.json) }
        return members.text
    }
}
