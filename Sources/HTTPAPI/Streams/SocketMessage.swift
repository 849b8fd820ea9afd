// The messages of the WebSocket subprotocol contex.v1 (docs/streams.md): JSON objects, each with a `type`.

internal import Answers
public import Base
internal import Content
public import Engine

/// What a client says.
public enum SocketRequest: Sendable, Equatable {
    /// Whom a subscription is about.
    public enum Subject: Sendable, Equatable {
        /// - Parameter project: nil when the agent's name says which.
        case agent(Name, project: Name?)
        case project(Name)
    }

    case subscribe(id: String, Subject, after: InboxCursor?, suppressesOwn: Bool)
    case unsubscribe(id: String)
    /// Everything up to the cursor is dealt with.
    case ack(id: String, InboxCursor)
    case ping

    /// Scalars of the name that a client gives a subscription.
    public static let idScalarsMax = 64

    /// - Throws: `.invalid`, with a sentence for whoever wrote the client.
    public init(_ bytes: [UInt8]) throws(ContexError) {
        let value: JSONValue
        do throws(JSONParseError) { value = try JSONParser.parse(bytes, maximumDepth: 4) } catch {
            throw ContexError(.invalid, "A message is a JSON object: \(error.message)")
        }
        guard let members = value.objectValue else { throw ContexError(.invalid, "A message is a JSON object") }
        switch try Self.text("type", of: members) {
        case "subscribe":
            // An empty cursor is none: a client's that has kept none.
            let text = try Self.optionalText("cursor", of: members) ?? ""
            let cursor: InboxCursor? = text.isEmpty ? nil : try InboxCursor(text)
            self = .subscribe(
                id: try Self.id(of: members), try Self.subject(of: members), after: cursor, suppressesOwn: try Self.flag("suppress_own", of: members))
        case "unsubscribe": self = .unsubscribe(id: try Self.id(of: members))
        case "ack": self = .ack(id: try Self.id(of: members), try InboxCursor(try Self.text("cursor", of: members)))
        case "ping": self = .ping
        case let other: throw ContexError(.invalid, "There are messages subscribe, unsubscribe, ack and ping, not \(other.excerpt())", field: "type")
        }
    }

    /// The subscription that the message is about, as far as it can be read: a refusal names it.
    public static func id(in bytes: [UInt8]) -> String? {
        guard let members = (try? JSONParser.parse(bytes, maximumDepth: 4))?.objectValue else { return nil }
        return try? id(of: members)
    }

    private static func id(of members: JSONObject) throws(ContexError) -> String {
        let id = try text("id", of: members)
        guard (1...idScalarsMax).contains(id.unicodeScalars.count) else {
            throw ContexError(.invalid, "id has 1 to \(idScalarsMax) characters", field: "id")
        }
        return id
    }

    private static func subject(of members: JSONObject) throws(ContexError) -> Subject {
        let project = try optionalText("project_id", of: members)
        let name: Name?
        if let project { name = try Name(project, field: "project_id") } else { name = nil }
        if let agent = try optionalText("agent_id", of: members) { return .agent(try Name(agent, field: "agent_id"), project: name) }
        guard let name else { throw ContexError(.invalid, "A subscription names an agent_id, or a project_id for the events of a project") }
        return .project(name)
    }

    private static func text(_ name: String, of members: JSONObject) throws(ContexError) -> String {
        guard let text = try optionalText(name, of: members) else { throw ContexError(.invalid, "\(name) is missing", field: name) }
        return text
    }

    private static func optionalText(_ name: String, of members: JSONObject) throws(ContexError) -> String? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let text = value.stringValue else { throw ContexError(.invalid, "\(name) is a text", field: name) }
        return text
    }

    private static func flag(_ name: String, of members: JSONObject) throws(ContexError) -> Bool {
        switch members[name] {
        case nil, .null: return false
        case .bool(let flag): return flag
        default: throw ContexError(.invalid, "\(name) is true or false", field: name)
        }
    }
}

/// What the server says.
enum SocketReply {
    static func subscribed(_ id: String, at cursor: InboxCursor) -> [UInt8] { members("subscribed", id, cursor).text }
    static func unsubscribed(_ id: String) -> [UInt8] { members("unsubscribed", id).text }
    static func pong() -> [UInt8] { members("pong").text }

    static func update(_ id: String, _ item: FeedItem, of project: Name) -> [UInt8] {
        var members = members("update", id, item.cursor)
        members.add("update", text: FeedShape.item(item, of: project))
        return members.text
    }

    static func acked(_ id: String, upTo cursor: InboxCursor, removed: Int) -> [UInt8] {
        var members = members("acked", id, cursor)
        members.add("removed", .integer(removed))
        return members.text
    }

    /// - Parameter id: of the subscription that it is about, which is over when it was open.
    static func error(_ id: String?, _ error: ContexError) -> [UInt8] {
        var members = members("error", id)
        for (name, value) in FeedShape.refusal(error) { members.add(name, value) }
        return members.text
    }

    private static func members(_ type: String, _ id: String? = nil, _ cursor: InboxCursor? = nil) -> JSONMembers {
        var members = JSONMembers()
        members.add("type", .string(type))
        if let id { members.add("id", .string(id)) }
        if let cursor { members.add("cursor", .string(cursor.description)) }
        return members
    }
}
