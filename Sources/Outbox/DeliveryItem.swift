public import Base

/// One thing that a lane has to deliver, by where it stands in the store: a lane's items are dealt with in this order.
public enum DeliveryItem: Hashable, Sendable, Comparable {
    /// What an agent is told when it registers.
    case greeting
    /// An event of the project's log that the agent missed before it registered.
    case missed(Sequence)
    /// An entry of the agent's inbox.
    case entry(Sequence)
    /// An event of the tenant's outbox, for an endpoint.
    case event(UInt64)

    /// In stored bytes; never given twice.
    var code: (kind: UInt8, number: UInt64) {
        switch self {
        case .greeting: (1, 0)
        case .missed(let sequence): (2, sequence.rawValue)
        case .entry(let sequence): (3, sequence.rawValue)
        case .event(let number): (4, number)
        }
    }

    public static func < (a: DeliveryItem, b: DeliveryItem) -> Bool { a.code < b.code }

    /// The number of the event or entry; 0 for a greeting.
    public var number: UInt64 { code.number }

    /// As answers say it.
    public var word: String {
        switch self {
        case .greeting: "initial_context"
        case .missed: "event"
        case .entry: "update"
        case .event: "endpoint_event"
        }
    }

    public func write(to writer: inout ByteWriter) {
        writer.u8(code.kind)
        writer.u64(code.number)
    }

    /// - Throws: for a kind that this build does not know.
    public static func read(_ reader: inout ByteReader) throws -> DeliveryItem {
        let (kind, number) = (try reader.u8(), try reader.u64())
        switch kind {
        case 1 where number == 0: return .greeting
        case 2: return .missed(Sequence(rawValue: number))
        case 3: return .entry(Sequence(rawValue: number))
        case 4: return .event(number)
        default: throw ByteError.malformed(at: reader.offset)
        }
    }
}
