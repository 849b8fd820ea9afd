public import Base

/// A registered agent of one project.
public struct AgentRecord: Sendable, Equatable {
    public enum Delivery: UInt8, Sendable { case redis = 1, webhook = 2 }
    /// What its messages carry beside the original's members.
    public enum Envelope: UInt8, Sendable {
        /// Nothing: byte for byte the original's.
        case plain = 1
        /// The project, and where the data comes from.
        case full = 2
    }

    public let name: Name
    /// Within the project; a re-registration takes a new one.
    public let number: UInt32
    /// The number of its inbox, within the project; a re-registration keeps it.
    public let inbox: UInt32
    /// Distinct, in the order given.
    public var needs: [String]
    public var delivery: Delivery
    public var responseFormat: String
    public var channel: String
    public var webhookURL: String?
    public var webhookSecret: String?
    public var envelope: Envelope
    /// Of all its needs.
    public var settings: NeedSettings
    /// What it said of its deliveries, by rising place of the need.
    public internal(set) var lessons: [NeedLesson] = []
    /// Whose key registered it: without that key nothing is delivered to the webhook. nil while authentication is off.
    public var registrant: Publisher?
    /// The end of the log when it was registered: what it was told of since is in its inbox.
    public let lastSequence: Sequence
    public var registeredAt: Timestamp

    public init(
        name: Name, number: UInt32, inbox: UInt32, needs: [String], delivery: Delivery, responseFormat: String, channel: String, webhookURL: String?,
        webhookSecret: String?, envelope: Envelope = .plain, settings: NeedSettings = .none, registrant: Publisher? = nil, lastSequence: Sequence,
        registeredAt: Timestamp
    ) {
        self.name = name
        self.number = number
        self.inbox = inbox
        self.needs = needs
        self.delivery = delivery
        self.responseFormat = responseFormat
        self.channel = channel
        self.webhookURL = webhookURL
        self.webhookSecret = webhookSecret
        self.envelope = envelope
        self.settings = settings
        self.registrant = registrant
        self.lastSequence = lastSequence
        self.registeredAt = registeredAt
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: 256)
        writer.text(name.text)
        writer.u32(number)
        writer.u32(inbox)
        writer.u8(delivery.rawValue)
        writer.text(responseFormat)
        writer.text(channel)
        writer.bool(webhookURL != nil)
        if let webhookURL { writer.text(webhookURL) }
        writer.bool(webhookSecret != nil)
        if let webhookSecret { writer.text(webhookSecret) }
        writer.u8(envelope.rawValue)
        writer.publisher(registrant)
        writer.u64(lastSequence.rawValue)
        writer.i64(registeredAt.rawValue)
        writer.varint(UInt64(needs.count))
        for need in needs { writer.text(need) }
        // Nothing for an agent that says nothing, as records were before there were settings.
        if settings != .none || !lessons.isEmpty { settings.write(to: &writer) }
        if !lessons.isEmpty { NeedLesson.write(lessons, to: &writer) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws -> AgentRecord {
        var reader = ByteReader(bytes)
        let name = Name(stored: try reader.text())
        let (number, inbox) = (try reader.u32(), try reader.u32())
        guard let delivery = Delivery(rawValue: try reader.u8()) else {
            throw ContexError.damaged("agent '\(name)' has a way of delivery that this build does not know")
        }
        let responseFormat = try reader.text()
        let channel = try reader.text()
        let webhookURL = try reader.bool() ? try reader.text() : nil
        let webhookSecret = try reader.bool() ? try reader.text() : nil
        guard let envelope = Envelope(rawValue: try reader.u8()) else {
            throw ContexError.damaged("agent '\(name)' has an envelope that this build does not know")
        }
        let registrant = try reader.publisher()
        let lastSequence = Sequence(rawValue: try reader.u64())
        let registeredAt = Timestamp(rawValue: try reader.i64())
        var needs: [String] = []
        for _ in 0..<(try reader.count(limit: reader.remaining)) { needs.append(try reader.text()) }
        let settings = reader.remaining > 0 ? try NeedSettings.read(&reader) : .none
        let lessons = reader.remaining > 0 ? try NeedLesson.read(&reader) : []
        try reader.end()
        var agent = AgentRecord(
            name: name, number: number, inbox: inbox, needs: needs, delivery: delivery, responseFormat: responseFormat, channel: channel,
            webhookURL: webhookURL, webhookSecret: webhookSecret, envelope: envelope, settings: settings, registrant: registrant,
            lastSequence: lastSequence, registeredAt: registeredAt)
        agent.lessons = lessons
        return agent
    }
}
