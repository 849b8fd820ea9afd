public import Base

/// One try to deliver an event to an endpoint, as its history shows it.
public struct DeliveryAttempt: Sendable, Equatable {
    public enum Result: UInt8, Sendable {
        case success = 1
        /// Nobody will try again by himself.
        case failed = 2
        case retrying = 3

        public var word: String {
            switch self {
            case .success: "success"
            case .failed: "failed"
            case .retrying: "retrying"
            }
        }
    }

    public let deliveryID: String
    public let eventID: String
    /// From 1 on.
    public let attempt: UInt32
    public let result: Result
    /// 0: there was no answer.
    public let status: UInt16
    /// The beginning of the answer's body.
    public let body: String
    public let error: String
    public let begun: Timestamp
    public let milliseconds: UInt32

    public init(
        deliveryID: String, eventID: String, attempt: UInt32, result: Result, status: UInt16, body: String, error: String, begun: Timestamp,
        milliseconds: UInt32
    ) {
        self.deliveryID = deliveryID
        self.eventID = eventID
        self.attempt = attempt
        self.result = result
        self.status = status
        self.body = body
        self.error = error
        self.begun = begun
        self.milliseconds = milliseconds
    }

    public func write(to writer: inout ByteWriter) {
        writer.text(deliveryID)
        writer.text(eventID)
        writer.u32(attempt)
        writer.u8(result.rawValue)
        writer.u16(status)
        writer.text(body)
        writer.text(error)
        writer.i64(begun.rawValue)
        writer.u32(milliseconds)
    }

    public static func read(_ reader: inout ByteReader) throws -> DeliveryAttempt {
        let (delivery, event, attempt) = (try reader.text(), try reader.text(), try reader.u32())
        guard let result = Result(rawValue: try reader.u8()) else { throw ByteError.malformed(at: reader.offset) }
        return DeliveryAttempt(
            deliveryID: delivery, eventID: event, attempt: attempt, result: result, status: try reader.u16(), body: try reader.text(),
            error: try reader.text(), begun: Timestamp(rawValue: try reader.i64()), milliseconds: try reader.u32())
    }
}
