// A frame: docs/protocol.md.
//
//     length (4)  kind (1)  flags (1)  stream (4)  payload (length)  CRC-32C (4)
//
// Numbers are big-endian. The sum is over everything before it, so that a length that was damaged is found too, sooner or later.

internal import Base

public struct Frame: Sendable, Equatable {
    /// Never given twice. Of 64 and more no reader may ask what they are: they are for trials between two who know each other.
    public enum Kind: UInt8, Sendable, CaseIterable {
        case hello = 1, welcome = 2, ping = 3, pong = 4, request = 5, answer = 6, error = 7, updates = 8, credit = 9, cancel = 10, goodbye = 11

        /// What can be longer than a frame.
        var mayGoOn: Bool { self == .request || self == .answer || self == .updates }
        /// Speaks of the connection and not of a stream.
        var isOfConnection: Bool {
            switch self {
            case .hello, .welcome, .ping, .pong, .goodbye: true
            default: false
            }
        }
    }

    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The message goes on in the next frame of this stream.
        public static let more = Flags(rawValue: 1)
        /// Of an answer: the stream stays open, updates follow.
        public static let open = Flags(rawValue: 2)
        /// The payload is packed: where both sides have agreed on it.
        public static let packed = Flags(rawValue: 4)
        static let known: Flags = [.more, .open]
    }

    public var kind: Kind
    public var flags: Flags
    /// 0: the connection itself.
    public var stream: UInt32
    public var payload: [UInt8]

    public init(_ kind: Kind, _ flags: Flags = [], stream: UInt32 = 0, payload: [UInt8] = []) {
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    /// What a client sends before its first frame. The digit is the version of how frames are laid out.
    public static let preface = Array("CONTEX/1".utf8)
    static let headBytes = 10
    static let tailBytes = 4
    /// Bytes of a frame beside its payload.
    public static let overhead = headBytes + tailBytes

    public func append(to bytes: inout [UInt8]) { Self.append(kind, flags, stream: stream, payload[...], to: &bytes) }

    public static func append(_ kind: Kind, _ flags: Flags = [], stream: UInt32, _ payload: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(bigEndian: UInt32(payload.count))
        bytes.append(kind.rawValue)
        bytes.append(flags.rawValue)
        bytes.append(bigEndian: stream)
        bytes += payload
        bytes.append(bigEndian: sum(bytes, start..<bytes.count))
    }

    /// A message in as many frames as it needs.
    public static func append(
        message: [UInt8], _ kind: Kind, _ flags: Flags = [], stream: UInt32, pieceBytes: Int, to bytes: inout [UInt8]
    ) {
        var rest = message[...]
        repeat {
            let piece = rest.prefix(pieceBytes)
            rest = rest.dropFirst(piece.count)
            append(kind, rest.isEmpty ? flags : flags.union(.more), stream: stream, piece, to: &bytes)
        } while !rest.isEmpty
    }

    static func sum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        var sum = CRC32C()
        unsafe bytes.withUnsafeBytes { unsafe sum.update(UnsafeRawBufferPointer(rebasing: $0[range])) }
        return sum.value
    }
}
