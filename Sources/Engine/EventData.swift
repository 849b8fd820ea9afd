public import Base
internal import Content
public import Events

/// The data of an event as readers see it.
public enum EventData {
    /// `{"<key>": <data as published>}`; an imported event keeps whatever object it had.
    /// - Throws: `.damaged`
    public static func visible(_ event: EventRecord) throws(ContexError) -> JSONValue {
        let data = try parsed(event.data)
        return event.kind.hasWholeObject ? data : .object(JSONObject([(event.key, data)]))
    }

    /// The same as text.
    public static func visibleText(_ event: EventRecord) -> [UInt8] {
        if event.kind.hasWholeObject { return event.data }
        var members = JSONMembers()
        members.add(event.key, text: event.data)
        return members.text
    }

    /// The object that came along with the data; empty when none did.
    /// - Throws: `.damaged`
    public static func metadata(_ bytes: [UInt8]) throws(ContexError) -> JSONObject {
        if bytes.isEmpty { return JSONObject() }
        guard let metadata = try parsed(bytes).objectValue else { throw .damaged("stored metadata is no object") }
        return metadata
    }

    /// What was published.
    /// - Throws: `.damaged`: what doors admit this reads, and seals tell what the disk has changed; so it is a bug, or an older build's.
    public static func parsed(_ bytes: [UInt8]) throws(ContexError) -> JSONValue { try JSONParser.parse(stored: bytes) }

    /// What a message says of data that was published: itself, or that the store cannot give it.
    public static func told(_ sequence: Sequence, _ data: [UInt8]) -> [(String, JSONValue)] {
        do throws(ContexError) {
            return [("data", try parsed(data))]
        } catch {
            return [("data", .null), ("error", .string("event \(sequence): \(error.message)"))]
        }
    }

    /// What a message says of an event: its `data`, or that the store cannot give it.
    public static func told(_ event: EventRecord) -> [(String, JSONValue)] {
        do throws(ContexError) {
            return [("data", try visible(event))]
        } catch {
            return [("data", .null), ("error", .string("event \(event.sequence): \(error.message)"))]
        }
    }
}
