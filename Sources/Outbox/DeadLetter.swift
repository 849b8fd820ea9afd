public import Base

/// A message that was given up, kept until it is sent again, removed, or too many came after it.
public struct DeadLetter: Sendable, Equatable {
    public let item: DeliveryItem
    /// `webhook-id`: the same when it is sent again.
    public let id: String
    /// Tries that were made.
    public var attempts: UInt32
    public var time: Timestamp
    /// What the receiver answered last; 0: nothing.
    public var status: UInt16
    public var reason: String
    /// Somebody wants it to be sent again.
    public var isQueued = false
    /// For an endpoint: the event itself, which the outbox lets go sooner.
    public let event: OutboxEvent?

    public init(item: DeliveryItem, id: String, attempts: UInt32, time: Timestamp, status: UInt16, reason: String, event: OutboxEvent? = nil) {
        self.item = item
        self.id = id
        self.attempts = attempts
        self.time = time
        self.status = status
        self.reason = reason
        self.event = event
    }

    public func write(to writer: inout ByteWriter) {
        item.write(to: &writer)
        writer.text(id)
        writer.u32(attempts)
        writer.i64(time.rawValue)
        writer.u16(status)
        writer.text(reason)
        writer.bool(isQueued)
        writer.bool(event != nil)
        if let event { event.write(to: &writer) }
    }

    public static func read(_ reader: inout ByteReader) throws -> DeadLetter {
        let item = try DeliveryItem.read(&reader)
        let (id, attempts, time) = (try reader.text(), try reader.u32(), Timestamp(rawValue: try reader.i64()))
        let (status, reason, isQueued) = (try reader.u16(), try reader.text(), try reader.bool())
        var letter = DeadLetter(
            item: item, id: id, attempts: attempts, time: time, status: status, reason: reason,
            event: try reader.bool() ? try OutboxEvent.read(&reader) : nil)
        letter.isQueued = isQueued
        return letter
    }
}
