/// Why the bytes of a peer are not the protocol. After it nothing more can be read from the connection.
public enum RESPProtocolError: Error, Sendable, Equatable {
    case invalidMultibulkLength
    case unauthenticatedMultibulkLength
    case invalidBulkLength
    case unauthenticatedBulkLength
    case expectedBulk(got: UInt8)
    case missingLineEnd
    case unbalancedQuotes
    case inlineTooBig
    case multibulkCountTooBig
    case bulkCountTooBig
    case commandTooBig
    /// Replies only.
    case malformedReply(String)

    /// In the words that Redis uses, where it has words.
    public var message: String {
        switch self {
        case .invalidMultibulkLength: "Protocol error: invalid multibulk length"
        case .unauthenticatedMultibulkLength: "Protocol error: unauthenticated multibulk length"
        case .invalidBulkLength: "Protocol error: invalid bulk length"
        case .unauthenticatedBulkLength: "Protocol error: unauthenticated bulk length"
        case .expectedBulk(let byte): "Protocol error: expected '$', got '\(Self.shown(byte))'"
        case .missingLineEnd: "Protocol error: expected a line end after a bulk string"
        case .unbalancedQuotes: "Protocol error: unbalanced quotes in request"
        case .inlineTooBig: "Protocol error: too big inline request"
        case .multibulkCountTooBig: "Protocol error: too big mbulk count string"
        case .bulkCountTooBig: "Protocol error: too big bulk count string"
        case .commandTooBig: "Protocol error: too big command"
        case .malformedReply(let what): "Protocol error: \(what)"
        }
    }

    /// What the server says before it closes the connection.
    public var reply: RESPValue { .error("ERR " + message) }

    private static func shown(_ byte: UInt8) -> String {
        switch byte {
        case 0x0D, 0x0A: " "
        case 0x20..<0x7F: String(Unicode.Scalar(byte))
        default: #"\x"# + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }
}
