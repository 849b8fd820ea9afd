public import Base

/// Why bytes are not the protocol. The connection that they came on cannot go on: nobody knows where the next frame begins.
public enum WireFault: Error, Sendable, Equatable {
    /// The connection does not begin as one of this protocol does.
    case preface
    /// A frame says that it is longer than was agreed.
    case frameTooLarge(bytes: Int, most: Int)
    case checksum
    /// A payload that is said to be packed is not, gives another size than it says, or grows more than it may.
    case unpackable
    case unknownKind(UInt8)
    case unknownFlags(UInt8)
    /// A frame of this kind has no place here, or not on this stream.
    case misplaced(Frame.Kind)
    /// The frames of a message are together longer than was agreed, or those of too many messages are mixed.
    case messageTooLarge(most: Int)
    case tooManyPartial(most: Int)
    /// A message ends in the middle of a field.
    case truncated
    /// A number of more than 64 bits, a field number that is none, a way of writing that is unknown, text that is not UTF-8.
    case malformed(field: Int)
    /// The field is there, and written in another way than it must be.
    case mismatched(field: Int)
    /// A list has more items than it may have.
    case tooMany(field: Int, most: Int)
    /// Messages in messages.
    case tooDeep

    public var contexError: ContexError {
        switch self {
        case .frameTooLarge(let bytes, let most): ContexError(.bodyTooLarge, "A frame of \(bytes) bytes: at most \(most) are accepted")
        case .messageTooLarge(let most): ContexError(.bodyTooLarge, "The frames of a message are together over \(most) bytes")
        case .tooMany(let field, let most): ContexError(.batchTooLarge, "Field \(field) of the message has more than \(most) items")
        default: ContexError(.protocolBroken, "This is not the protocol: \(self)")
        }
    }
}
