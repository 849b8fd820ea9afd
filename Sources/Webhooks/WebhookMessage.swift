internal import Base
internal import Content
internal import Engine
internal import Events
internal import Hashing
internal import Needs

/// What is posted for a notification: always JSON, whatever the agent's format.
struct WebhookMessage {
    let event: String
    let body: [UInt8]
    /// Of the exact body, when the agent has a secret: `sha256=<hex>`.
    let signature: String?

    /// - Complexity: O(size of the data).
    init(_ notification: Notification) {
        let agent = JSONValue.string(notification.agent.name.text)
        var members: JSONObject
        switch notification.message {
        case .initialContext(let context):
            event = "initial_context"
            members = JSONObject([("type", .string(event)), ("agent_id", agent)])
            NotificationPayload.add(context, to: &members)
        case .event(let record):
            event = "event"
            let described: [(String, JSONValue)] = [
                ("type", .string(event)), ("agent_id", agent), ("sequence", .string(record.sequence.description)),
                ("event_type", .string(record.type)),
            ]
            members = JSONObject(described + EventData.told(record))
        case .update(let sequence, let key, let data):
            event = "data_update"
            let described: [(String, JSONValue)] = [
                ("type", .string(event)), ("agent_id", agent), ("sequence", .string(sequence.description)), ("data_key", .string(key)),
            ]
            members = JSONObject(described + EventData.told(sequence, data))
        case .deletion(let sequence, let key):
            event = "data_deleted"
            members = JSONObject([
                ("type", .string(event)), ("agent_id", agent), ("sequence", .string(sequence.description)), ("data_key", .string(key)),
            ])
        }
        NotificationPayload.addEnvelope(of: notification, to: &members)
        let body = JSONPrinter.bytes(.object(members))
        self.body = body
        signature = notification.agent.webhookSecret.map { "sha256=" + HMACSHA256.authenticate(body, key: Array($0.utf8)).hex }
    }
}

extension Notification {
    /// About the bytes that its data holds in memory, for the bound of the queue. Cheaper than printing it.
    /// - Complexity: O(values).
    var weight: Int {
        let data =
            switch message {
            case .initialContext(let context): context.matches.reduce(0) { $0 + Self.weight($1.data) }
            case .event(let record): record.byteCount
            case .update(_, _, let data): data.count
            case .deletion: 0
            }
        return 512 + data
    }

    private static func weight(_ value: JSONValue) -> Int {
        switch value {
        case .null, .bool: 16
        case .number(let number): 16 + number.text.utf8.count
        case .string(let text): 16 + text.utf8.count
        case .array(let items): items.reduce(32) { $0 + weight($1) }
        case .object(let members): members.reduce(32) { $0 + 16 + $1.key.utf8.count + weight($1.value) }
        }
    }
}
