internal import Answers
internal import Base
internal import Engine
internal import Events
internal import Hashing
internal import Needs

/// What is posted for a notification.
struct WebhookMessage {
    let event: String
    let body: [UInt8]
    /// Of the exact body, when the agent has a secret: `sha256=<hex>`.
    let signature: String?

    /// - Complexity: O(size of the data).
    init(_ notification: Notification) {
        event = NotificationShape.kind(notification.message)
        let body = NotificationShape.webhookBody(notification)
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
