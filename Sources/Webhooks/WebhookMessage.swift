internal import Answers
internal import Base
internal import Content
internal import Engine
internal import FoundationEssentials
internal import Hashing
internal import Needs
internal import Outbox
internal import Traces

/// One message, as it is posted: the original's headers and those of Standard Webhooks (github.com/standard-webhooks/standard-webhooks).
struct WebhookMessage {
    let body: [UInt8]
    private(set) var headers: [(name: String, value: String)]

    /// - Parameter time: of the try: what receivers compare with their clocks.
    /// - Complexity: O(size of the data).
    init(_ message: DeliveryMessage, secrets: [String], at time: Timestamp) throws(ContexError) {
        let seconds = String(time.rawValue / 1_000_000)
        var headers: [(name: String, value: String)] = [("webhook-id", message.id), ("webhook-timestamp", seconds)]
        switch message.content {
        case .notification(let notification):
            body = NotificationShape.webhookBody(notification)
            headers.append(("X-Contex-Event", NotificationShape.kind(notification.message)))
            if let secret = secrets.first { headers.append(("X-Contex-Signature", "sha256=" + Self.hexadecimal(body, secret))) }
        case .event(let event, let id):
            body = try Self.body(of: event, id: id)
            headers.append(("X-Contex-Event", event.kind.name))
            headers.append(("X-Contex-Timestamp", event.time.iso8601))
            headers.append(("X-Contex-Delivery-ID", message.id))
            if let secret = secrets.first { headers.append(("X-Contex-Signature", Self.hexadecimal(body, secret))) }
        }
        if !secrets.isEmpty {
            let signed = Array("\(message.id).\(seconds).".utf8) + body
            let signatures = secrets.map { "v1," + Data(HMACSHA256.authenticate(signed, key: Self.key($0)).bytes).base64EncodedString() }
            headers.append(("webhook-signature", signatures.joined(separator: " ")))
        }
        self.headers = headers
    }

    /// Whoever gets it goes on in the trace.
    mutating func add(_ trace: TraceContext) {
        headers.append(("traceparent", trace.parent))
        if !trace.state.isEmpty { headers.append(("tracestate", trace.state)) }
        if !trace.baggage.isEmpty { headers.append(("baggage", trace.baggage)) }
    }

    private static func hexadecimal(_ body: [UInt8], _ secret: String) -> String {
        HMACSHA256.authenticate(body, key: Array(secret.utf8)).hex
    }

    /// A secret in the form of Standard Webhooks, `whsec_` and base64, stands for its bytes; any other text for itself.
    static func key(_ secret: String) -> [UInt8] {
        let prefix = "whsec_"
        guard secret.hasPrefix(prefix), let bytes = Data(base64Encoded: String(secret.dropFirst(prefix.count))), !bytes.isEmpty else {
            return Array(secret.utf8)
        }
        return Array(bytes)
    }

    /// What an endpoint is told: the original's members, in the order of their names.
    private static func body(of event: OutboxEvent, id: String) throws(ContexError) -> [UInt8] {
        let members = JSONObject([
            ("data", sorted(try JSONParser.parse(stored: event.data))), ("event_id", .string(id)), ("event_type", .string(event.kind.name)),
            ("project_id", event.project.isEmpty ? .null : .string(event.project)), ("source", "contex"), ("tenant_id", .null),
            ("timestamp", .string(event.time.iso8601)), ("version", "1.0"),
        ])
        return JSONPrinter.bytes(.object(members))
    }

    private static func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let items): .array(items.map(sorted))
        case .object(let members): .object(JSONObject(members.sorted { $0.key < $1.key }.map { ($0.key, sorted($0.value)) }))
        default: value
        }
    }
}
