public import Base
internal import Engine

/// Cuts bytes that come in pieces into lines, in bounded memory.
public struct ImportLines {
    /// Bytes of a line: what a request may have.
    public static let lineBytesMax = Limits.bodyBytes

    /// A line without its end. Empty ones, and those of blanks, are counted and not given.
    public struct Line: Sendable {
        /// From 1 on.
        public let number: Int
        public let bytes: [UInt8]
    }

    private let read: () throws -> [UInt8]
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// Lines that were read.
    public private(set) var count = 0
    /// Bytes of them, ends included.
    public private(set) var bytes = 0

    /// - Parameter read: the next piece of the input; nothing at its end. It may block.
    public init(_ read: @escaping () throws -> [UInt8]) { self.read = read }

    /// The next line that is not blank; nil at the end.
    /// - Throws: `.tooLarge` for a line over the limit; what `read` throws.
    public mutating func next() throws -> Line? {
        while let line = try nextRaw() {
            if !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return Line(number: count, bytes: line) }
        }
        return nil
    }

    /// A line as the object that publishes it, with `project` where it names none.
    /// - Throws: `.invalid` with the member that is wrong, `.badRequest` for what is no JSON object.
    public static func checked(_ line: Line, project: Name?) throws(ContexError) -> JSONValue {
        var members = try ImportLine.members(line.bytes)
        let command = try ImportLine.command(members, project: project)
        members["project_id"] = .string(command.project.text)
        return .object(members)
    }

    private static var tooLong: ContexError { ContexError(.tooLarge, "the line has more than \(lineBytesMax) bytes") }

    private mutating func nextRaw() throws -> [UInt8]? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                guard end - position <= Self.lineBytesMax else { throw Self.tooLong }
                defer { position = end + 1 }
                count += 1
                bytes += end + 1 - position
                return Array(buffer[position..<end])
            }
            guard buffer.count - position <= Self.lineBytesMax else { throw Self.tooLong }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                count += 1
                bytes += buffer.count - position
                return Array(buffer[position...])
            }
            buffer.removeFirst(position)
            searched = buffer.count
            position = 0
            let piece = try read()
            isAtEnd = piece.isEmpty
            buffer += piece
        }
    }
}
