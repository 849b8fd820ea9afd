public import Base
internal import Content
public import Events

/// The data of an event as readers see it.
public enum EventData {
    /// `{"<key>": <data as published>}`; an imported event keeps whatever object it had.
    public static func visible(_ event: EventRecord) -> JSONValue {
        let data = parsed(event.data)
        return event.kind == .imported ? data : .object(JSONObject([(event.key, data)]))
    }

    /// The object that came along with the data; empty when none did.
    public static func metadata(_ bytes: [UInt8]) -> JSONObject { bytes.isEmpty ? JSONObject() : parsed(bytes).objectValue ?? JSONObject() }

    /// What was published.
    public static func parsed(_ bytes: [UInt8]) -> JSONValue {
        do {
            return try JSONParser.parse(bytes)
        } catch {
            // It was printed by us and is sealed: a failure here is a bug of printer or parser.
            preconditionFailure("stored JSON does not parse: \(error)")
        }
    }
}
