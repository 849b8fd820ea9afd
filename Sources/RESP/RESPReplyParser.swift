// Replies of a server, for clients and tests. Aggregates are kept on a stack of our own, so depth costs no call stack, and
// what has come of a reply is never read again.

public struct RESPReplyParser: Sendable {
    private enum Kind { case array, map, set, push, attribute }
    private struct Frame {
        let kind: Kind
        var missing: Int
        var elements: [RESPValue] = []
    }

    private let bulkBytesMax: Int
    private let elementsMax: Int
    private let depthMax: Int
    private var buffer = RESPBuffer()
    private var frames: [Frame] = []
    private var elements = 0
    private var blob: (type: UInt8, length: Int)?
    private var failure: RESPProtocolError?

    public init(bulkBytesMax: Int = 64 << 20, elementsMax: Int = 1 << 20, depthMax: Int = 32) {
        self.bulkBytesMax = bulkBytesMax
        self.elementsMax = elementsMax
        self.depthMax = depthMax
    }

    public mutating func feed(_ bytes: some Collection<UInt8>) { buffer.append(bytes) }

    /// The next whole reply, nil when more bytes are needed. Attributes are read and dropped.
    public mutating func next() throws(RESPProtocolError) -> RESPValue? {
        if let failure { throw failure }
        do throws(RESPProtocolError) {
            while true {
                guard let value = try element() else { return nil }
                if let whole = close(value) {
                    elements = 0
                    return whole
                }
            }
        } catch {
            failure = error
            throw error
        }
    }

    /// Puts a value into the innermost open aggregate; the outermost value when that closes it.
    private mutating func close(_ value: RESPValue) -> RESPValue? {
        var value = value
        while var frame = frames.popLast() {
            frame.elements.append(value)
            frame.missing -= 1
            if frame.missing > 0 {
                frames.append(frame)
                return nil
            }
            guard let whole = Self.aggregate(frame.kind, frame.elements) else { return nil }
            value = whole
        }
        return value
    }

    private static func aggregate(_ kind: Kind, _ elements: [RESPValue]) -> RESPValue? {
        switch kind {
        case .array: .array(elements)
        case .set: .set(elements)
        case .push: .push(elements)
        case .map:
            .map(stride(from: 0, to: elements.count, by: 2).map { .init(key: elements[$0], value: elements[$0 + 1]) })
        case .attribute: nil
        }
    }

    /// The next value that is complete in itself; opens aggregates on the way.
    private mutating func element() throws(RESPProtocolError) -> RESPValue? {
        while true {
            if let (type, length) = blob {
                guard let content = try buffer.counted(length) else { return nil }
                blob = nil
                return try Self.blob(type, content)
            }
            guard let line = buffer.line() else {
                if buffer.count > 64 << 10 { throw .malformedReply("too long a line") }
                return nil
            }
            guard let content = RESPBuffer.content(line), let type = content.first else {
                throw .malformedReply("a line does not end with CR LF")
            }
            elements += 1
            guard elements <= elementsMax else { throw .malformedReply("more than \(elementsMax) elements") }
            if let value = try open(type, content.dropFirst()) { return value }
        }
    }

    /// The value of a line, nil when it only begins one.
    private mutating func open(_ type: UInt8, _ rest: ArraySlice<UInt8>) throws(RESPProtocolError) -> RESPValue? {
        let text = String(decoding: rest, as: UTF8.self)
        switch type {
        case UInt8(ascii: "+"): return .simple(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"): return .integer(try integer(rest))
        case UInt8(ascii: "_"): return .null
        case UInt8(ascii: "#"):
            guard text == "t" || text == "f" else { throw .malformedReply("a boolean is t or f") }
            return .boolean(text == "t")
        case UInt8(ascii: ","):
            guard let number = Double(text) else { throw .malformedReply("not a double") }
            return .double(number)
        case UInt8(ascii: "("): return .bigNumber(text)
        case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
            let length = try integer(rest)
            if length == -1, type == UInt8(ascii: "$") { return .null }
            guard length >= 0, length <= bulkBytesMax else { throw .invalidBulkLength }
            blob = (type, Int(length))
            return nil
        case UInt8(ascii: "*"):
            if text == "-1" { return .nullArray }
            return try open(.array, rest, each: 1)
        case UInt8(ascii: "~"): return try open(.set, rest, each: 1)
        case UInt8(ascii: ">"): return try open(.push, rest, each: 1)
        case UInt8(ascii: "%"): return try open(.map, rest, each: 2)
        case UInt8(ascii: "|"): return try open(.attribute, rest, each: 2)
        default: throw .malformedReply("no value begins with byte \(type)")
        }
    }

    private mutating func open(_ kind: Kind, _ rest: ArraySlice<UInt8>, each: Int) throws(RESPProtocolError) -> RESPValue? {
        let count = try integer(rest)
        guard count >= 0, count <= elementsMax else { throw .invalidMultibulkLength }
        if count == 0 { return Self.aggregate(kind, []) }
        guard frames.count < depthMax else { throw .malformedReply("nested deeper than \(depthMax) levels") }
        frames.append(Frame(kind: kind, missing: Int(count) * each))
        return nil
    }

    private func integer(_ text: ArraySlice<UInt8>) throws(RESPProtocolError) -> Int64 {
        guard let number = RESPBuffer.integer(text) else { throw .malformedReply("not an integer") }
        return number
    }

    private static func blob(_ type: UInt8, _ content: [UInt8]) throws(RESPProtocolError) -> RESPValue {
        switch type {
        case UInt8(ascii: "$"): return .bulk(content)
        case UInt8(ascii: "!"): return .blobError(String(decoding: content, as: UTF8.self))
        default:
            guard content.count >= 4, content[3] == UInt8(ascii: ":"), content[..<3].allSatisfy({ $0 < 0x80 }) else {
                throw .malformedReply("verbatim text without a format")
            }
            return .verbatim(format: String(decoding: content[..<3], as: UTF8.self), Array(content[4...]))
        }
    }
}
