/// A point of a project's past: the state after an event, or at a time.
public enum Moment: Sendable, Equatable {
    case sequence(Sequence)
    case time(Timestamp)

    /// Digits are a sequence, 0 the state before the first event; anything else must be a time (`Timestamp.init(printed:)`).
    public init?(_ text: String) {
        if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            // No log reaches numbers beyond Int: they are in the future like any other that is too high.
            self = .sequence(Sequence(rawValue: min(UInt64(text) ?? .max, UInt64(Int.max))))
            return
        }
        // In the query of a URL the plus of an offset is a space.
        let bytes = Array(text.utf8).map { $0 == UInt8(ascii: " ") ? UInt8(ascii: "+") : $0 }
        guard let time = Timestamp(printed: text) ?? Timestamp(printed: String(decoding: bytes, as: UTF8.self)) else { return nil }
        self = .time(time)
    }
}
