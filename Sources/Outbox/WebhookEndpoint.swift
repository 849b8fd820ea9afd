public import Base

/// A receiver that an administrator has entered: it is told of events of the tenant, whatever agents need.
public struct WebhookEndpoint: Sendable, Equatable {
    /// Chosen at random when it was made.
    public let number: UInt64
    public var name: String
    public var description: String?
    public var url: String
    /// As they were given; empty: all. Each of the three has to pass.
    public var events: [String]
    public var categories: [String]
    public var projects: [String]
    public var isActive: Bool
    public var timeoutSeconds: UInt8
    /// Tries of a message; one is made in any case.
    public var retriesMax: UInt8
    public let createdAt: Timestamp
    public var updatedAt: Timestamp
    public var secret: String
    /// What messages are signed with beside it, until then.
    public var previousSecret: String?
    public var previousUntil = Timestamp(rawValue: 0)

    public init(
        number: UInt64, name: String, description: String?, url: String, events: [String], categories: [String], projects: [String], isActive: Bool,
        timeoutSeconds: UInt8, retriesMax: UInt8, createdAt: Timestamp, updatedAt: Timestamp, secret: String
    ) {
        self.number = number
        self.name = name
        self.description = description
        self.url = url
        self.events = events
        self.categories = categories
        self.projects = projects
        self.isActive = isActive
        self.timeoutSeconds = timeoutSeconds
        self.retriesMax = retriesMax
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.secret = secret
    }

    public var id: String { Self.id(of: number) }

    public static func id(of number: UInt64) -> String { prefix + hexadecimal(number) }

    private static let prefix = "whep_"
    private static func hexadecimal(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    /// nil for a text that is no id.
    public static func number(of id: String) -> UInt64? {
        guard id.hasPrefix(prefix), id.utf8.count == prefix.utf8.count + 16, let number = UInt64(id.dropFirst(prefix.count), radix: 16),
            id == prefix + hexadecimal(number)
        else { return nil }
        return number
    }

    /// The kinds that pass its filters.
    public var kinds: UInt32 {
        EventKind.allCases.reduce(0) { set, kind in
            let passes = (events.isEmpty || events.contains(kind.name)) && (categories.isEmpty || categories.contains(kind.category.rawValue))
            return passes ? set | kind.bit : set
        }
    }

    public var filter: EndpointFilter { EndpointFilter(number: number, kinds: kinds, projects: Set(projects.map(ExactText.init))) }

    /// What messages are signed with at a time: the present one first.
    public func secrets(at time: Timestamp) -> [String] {
        [secret] + (previousSecret.map { time < previousUntil ? [$0] : [] } ?? [])
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 256)
        write(to: &writer)
        return writer.bytes
    }

    /// But for its number.
    public func write(to writer: inout ByteWriter) {
        writer.text(name)
        writer.bool(description != nil)
        if let description { writer.text(description) }
        writer.text(url)
        for list in [events, categories, projects] {
            writer.varint(UInt64(list.count))
            for text in list { writer.text(text) }
        }
        writer.bool(isActive)
        writer.u8(timeoutSeconds)
        writer.u8(retriesMax)
        writer.i64(createdAt.rawValue)
        writer.i64(updatedAt.rawValue)
        writer.text(secret)
        writer.bool(previousSecret != nil)
        if let previousSecret {
            writer.text(previousSecret)
            writer.i64(previousUntil.rawValue)
        }
    }

    static func decode(_ bytes: [UInt8], number: UInt64) throws -> WebhookEndpoint {
        var reader = ByteReader(bytes)
        let endpoint = try read(&reader, number: number)
        try reader.end()
        return endpoint
    }

    public static func read(_ reader: inout ByteReader, number: UInt64) throws -> WebhookEndpoint {
        let name = try reader.text()
        let description = try reader.bool() ? try reader.text() : nil
        let url = try reader.text()
        var lists: [[String]] = []
        for _ in 0..<3 {
            var list: [String] = []
            for _ in 0..<(try reader.count(limit: reader.remaining)) { list.append(try reader.text()) }
            lists.append(list)
        }
        let (isActive, timeout, retries) = (try reader.bool(), try reader.u8(), try reader.u8())
        let (created, updated) = (Timestamp(rawValue: try reader.i64()), Timestamp(rawValue: try reader.i64()))
        var endpoint = WebhookEndpoint(
            number: number, name: name, description: description, url: url, events: lists[0], categories: lists[1], projects: lists[2],
            isActive: isActive, timeoutSeconds: timeout, retriesMax: retries, createdAt: created, updatedAt: updated, secret: try reader.text())
        if try reader.bool() {
            endpoint.previousSecret = try reader.text()
            endpoint.previousUntil = Timestamp(rawValue: try reader.i64())
        }
        return endpoint
    }
}

/// What passes the filters of an endpoint, made once for many events.
public struct EndpointFilter: Sendable {
    private let number: UInt64
    private let kinds: UInt32
    private let projects: Set<ExactText>

    fileprivate init(number: UInt64, kinds: UInt32, projects: Set<ExactText>) {
        self.number = number
        self.kinds = kinds
        self.projects = projects
    }

    public func passes(_ event: OutboxEvent) -> Bool {
        if event.endpoint != 0 { return event.endpoint == number }
        return kinds & event.kind.bit != 0 && (projects.isEmpty || projects.contains(ExactText(event.project)))
    }
}
