/// The two versions of the protocol. A connection begins with 2 and changes with HELLO.
public enum RESPVersion: Int, Sendable {
    case two = 2
    case three = 3
}

/// A value of the Redis serialization protocol, in the types of version 3. Version 2 has fewer; `RESPEncoder` says what
/// each becomes there.
public indirect enum RESPValue: Sendable, Equatable {
    /// A short text without line ends, `+OK`.
    case simple(String)
    /// Code and text of an error, `-ERR text`.
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    /// Version 2's null in place of an array; in version 3 the same as `null`.
    case nullArray
    case array([RESPValue])
    case map([Entry])
    case set([RESPValue])
    case double(Double)
    case boolean(Bool)
    /// An integer of any size, as its decimal text.
    case bigNumber(String)
    /// Text with a format of three letters, `txt` or `mkd`.
    case verbatim(format: String, [UInt8])
    /// What the server sends unasked.
    case push([RESPValue])
    /// An error whose text may hold anything.
    case blobError(String)

    public struct Entry: Sendable, Equatable {
        public let key: RESPValue
        public let value: RESPValue
        public init(key: RESPValue, value: RESPValue) {
            self.key = key
            self.value = value
        }
    }

    public static func text(_ text: String) -> RESPValue { .bulk(Array(text.utf8)) }
    public static let ok = RESPValue.simple("OK")

    /// What a subscriber of the channel receives.
    public static func message(channel: [UInt8], payload: [UInt8]) -> RESPValue {
        .push([.text("message"), .bulk(channel), .bulk(payload)])
    }
    /// What a subscriber of a pattern that the channel matches receives.
    public static func patternMessage(pattern: [UInt8], channel: [UInt8], payload: [UInt8]) -> RESPValue {
        .push([.text("pmessage"), .bulk(pattern), .bulk(channel), .bulk(payload)])
    }
}
