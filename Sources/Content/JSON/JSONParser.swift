// RFC 8259, read with a stack of our own instead of recursion: the depth of a stranger's document must cost memory that
// we count, never stack that we do not. Numbers keep their text, members their order, a repeated key its last value.
//
// Foundation's parser loses all three. The fixtures are JSONTestSuite's (nst/JSONTestSuite).

public import Base

/// Why bytes are not JSON, and where.
public struct JSONParseError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Against the grammar.
        case syntax
        /// More levels of arrays and objects than allowed.
        case tooDeep
        /// Bytes inside a string that are not UTF-8.
        case invalidUTF8
        /// `\ud800` without its other half: a string that no UTF-8 text can hold.
        case loneSurrogate
        /// Something other than white space after the value.
        case trailing
        /// Nothing but white space.
        case empty
        /// A number of more characters than allowed, or more arrays and objects.
        case tooLong
        /// Nobody wants the value any more.
        case cancelled
    }
    public let reason: Reason
    /// Bytes from the start of the input.
    public let offset: Int
    /// The words of Python's `json`, which clients of the original know.
    public let message: String

    public init(reason: Reason, offset: Int, message: String) {
        self.reason = reason
        self.offset = offset
        self.message = message
    }
    public var description: String { "\(message) (byte \(offset))" }
}

public enum JSONParser {
    /// Parses one JSON text. A UTF-8 byte order mark before it is passed over.
    ///
    /// - Complexity: O(*n*) for *n* bytes; memory for the value and `maximumDepth` open containers.
    public static func parse(
        _ bytes: some Collection<UInt8>, maximumDepth: Int = Limits.nestingDepth, cancellation: Cancellation = .never
    ) throws(JSONParseError) -> JSONValue {
        let direct = bytes.withContiguousStorageIfAvailable { buffer in
            unsafe parse(span: Span(_unsafeElements: buffer), maximumDepth, cancellation)
        }
        if let direct { return try direct.get() }
        return try parse(span: Array(bytes).span, maximumDepth, cancellation).get()
    }

    public static func parse(text: String, cancellation: Cancellation = .never) throws(JSONParseError) -> JSONValue {
        try parse(Array(text.utf8), cancellation: cancellation)
    }

    /// Parses what the store has: it may have our own levels around what was published.
    /// - Throws: `.damaged`
    public static func parse(stored bytes: [UInt8]) throws(ContexError) -> JSONValue {
        do throws(JSONParseError) {
            return try parse(bytes, maximumDepth: Limits.storedNestingDepth)
        } catch {
            throw .damaged("a stored value is no JSON that this build writes: \(error)")
        }
    }

    private static func parse(span: Span<UInt8>, _ maximumDepth: Int, _ cancellation: Cancellation) -> Result<JSONValue, JSONParseError> {
        var reader = JSONReader(bytes: span, maximumDepth: maximumDepth, cancellation: cancellation)
        do throws(JSONParseError) {
            return .success(try reader.document())
        } catch {
            return .failure(error)
        }
    }
}

/// The state of one parse.
private struct JSONReader: ~Escapable {
    /// An array or object whose end has not come yet.
    struct Open {
        var items: [JSONValue] = []
        var members = JSONObject()
        /// The key whose value is being read; nil in an array.
        var key: String? = nil
        let isObject: Bool
    }

    let bytes: Span<UInt8>
    let maximumDepth: Int
    let cancellation: Cancellation
    var position = 0
    var open: [Open] = []
    /// Arrays and objects that were begun.
    var containers = 0
    /// Where to ask next whether the value is still wanted.
    var askAt = Self.askBytes

    static var askBytes: Int { 64 << 10 }

    @_lifetime(copy bytes)
    init(bytes: Span<UInt8>, maximumDepth: Int, cancellation: Cancellation) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        self.cancellation = cancellation
    }

    func failure(_ message: String, at offset: Int? = nil, _ reason: JSONParseError.Reason = .syntax) -> JSONParseError {
        JSONParseError(reason: reason, offset: offset ?? position, message: message)
    }

    /// The next byte, 0 at the end: no token begins with NUL, so the end needs no case of its own.
    var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

    @_lifetime(self: copy self)
    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    @_lifetime(self: copy self)
    mutating func document() throws(JSONParseError) -> JSONValue {
        if bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF { position = 3 }
        skipSpace()
        guard position < bytes.count else { throw failure("Expecting value", .empty) }
        let value = try self.value()
        skipSpace()
        guard position == bytes.count else { throw failure("Extra data", .trailing) }
        return value
    }

    /// One value with everything in it. Each round of the outer loop begins where a value must begin; the inner loop
    /// hands a finished value to the container around it, which may finish that one too.
    @_lifetime(self: copy self)
    mutating func value() throws(JSONParseError) -> JSONValue {
        while true {
            var finished: JSONValue
            if position >= askAt {
                guard !cancellation.isCancelled else { throw failure("Given up", .cancelled) }
                askAt = position + Self.askBytes
            }
            switch next {
            case UInt8(ascii: "{"):
                try enter(object: true)
                if next == UInt8(ascii: "}") {
                    position += 1
                    open.removeLast()
                    finished = .object(JSONObject())
                } else {
                    try key()
                    continue
                }
            case UInt8(ascii: "["):
                try enter(object: false)
                if next == UInt8(ascii: "]") {
                    position += 1
                    open.removeLast()
                    finished = .array([])
                } else {
                    continue
                }
            case UInt8(ascii: "\""): finished = .string(try string())
            case UInt8(ascii: "-"), 0x30...0x39: finished = .number(try number())
            case UInt8(ascii: "t"): finished = try word("true", .bool(true))
            case UInt8(ascii: "f"): finished = try word("false", .bool(false))
            case UInt8(ascii: "n"): finished = try word("null", .null)
            default: throw failure("Expecting value")
            }

            closing: while true {
                guard !open.isEmpty else { return finished }
                let top = open.count - 1
                skipSpace()
                let separator = next
                if open[top].isObject {
                    open[top].members[open[top].key!] = finished
                    if separator == UInt8(ascii: ",") {
                        position += 1
                        skipSpace()
                        try key()
                        break closing
                    }
                    guard separator == UInt8(ascii: "}") else { throw failure("Expecting ',' delimiter") }
                    finished = .object(open.removeLast().members)
                } else {
                    open[top].items.append(finished)
                    if separator == UInt8(ascii: ",") {
                        position += 1
                        skipSpace()
                        break closing
                    }
                    guard separator == UInt8(ascii: "]") else { throw failure("Expecting ',' delimiter") }
                    finished = .array(open.removeLast().items)
                }
                position += 1
            }
        }
    }

    @_lifetime(self: copy self)
    mutating func enter(object: Bool) throws(JSONParseError) {
        guard open.count < maximumDepth else {
            throw failure("Nested deeper than \(maximumDepth) levels", .tooDeep)
        }
        containers += 1
        guard containers <= Limits.jsonContainers else { throw failure("More than \(Limits.jsonContainers) arrays and objects", .tooLong) }
        open.append(Open(isObject: object))
        position += 1
        skipSpace()
    }

    /// A member's key and colon, up to where its value begins.
    @_lifetime(self: copy self)
    mutating func key() throws(JSONParseError) {
        guard next == UInt8(ascii: "\"") else { throw failure("Expecting property name enclosed in double quotes") }
        let key = try string()
        skipSpace()
        guard next == UInt8(ascii: ":") else { throw failure("Expecting ':' delimiter") }
        position += 1
        skipSpace()
        open[open.count - 1].key = key
    }

    @_lifetime(self: copy self)
    mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONParseError) -> JSONValue {
        let start = position
        let count = word.utf8CodeUnitCount
        guard bytes.count - start >= count else { throw failure("Expecting value", at: start) }
        for i in 0..<count {
            guard unsafe bytes[start + i] == word.utf8Start[i] else { throw failure("Expecting value", at: start) }
        }
        position += count
        return value
    }

    @_lifetime(self: copy self)
    mutating func number() throws(JSONParseError) -> JSONNumber {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        if next == UInt8(ascii: "0") {
            position += 1
        } else {
            guard digits() else { throw failure("Expecting value", at: start) }
        }
        if next == UInt8(ascii: ".") {
            position += 1
            guard digits() else { throw failure("Expecting a digit after the decimal point") }
        }
        if next | 0x20 == UInt8(ascii: "e") {
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            guard digits() else { throw failure("Expecting a digit in the exponent") }
        }
        guard position - start <= Limits.numberCharacters else {
            throw failure("A number of more than \(Limits.numberCharacters) characters", at: start, .tooLong)
        }
        return JSONNumber(uncheckedText: try text(start..<position))
    }

    @_lifetime(self: copy self)
    mutating func digits() -> Bool {
        let start = position
        while position < bytes.count, bytes[position] &- 0x30 < 10 { position += 1 }
        return position > start
    }

    func text(_ range: Range<Int>) throws(JSONParseError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes.extracting(range)))
        } catch {
            throw failure("Invalid UTF-8 in a string", at: range.lowerBound + error.byteOffsets.lowerBound, .invalidUTF8)
        }
    }

    @_lifetime(self: copy self)
    mutating func string() throws(JSONParseError) -> String {
        let start = position
        position += 1
        let first = position
        // Most strings have no escape: one pass to find the end, one copy.
        while true {
            guard position < bytes.count else { throw failure("Unterminated string starting at", at: start) }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return try text(first..<position - 1)
            }
            if byte == UInt8(ascii: "\\") { break }
            guard byte >= 0x20 else { throw failure("Invalid control character at") }
            position += 1
        }
        var decoded: [UInt8] = []
        for i in first..<position { decoded.append(bytes[i]) }
        while true {
            guard position < bytes.count else { throw failure("Unterminated string starting at", at: start) }
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                do {
                    return String(copying: try UTF8Span(validating: decoded.span))
                } catch {
                    throw failure("Invalid UTF-8 in a string", at: start, .invalidUTF8)
                }
            case UInt8(ascii: "\\"):
                try escape(into: &decoded, stringStart: start)
            case 0..<0x20:
                throw failure("Invalid control character at")
            default:
                decoded.append(byte)
                position += 1
            }
        }
    }

    @_lifetime(self: copy self)
    mutating func escape(into decoded: inout [UInt8], stringStart: Int) throws(JSONParseError) {
        let start = position
        position += 1
        guard position < bytes.count else { throw failure("Unterminated string starting at", at: stringStart) }
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): decoded.append(letter)
        case UInt8(ascii: "b"): decoded.append(0x08)
        case UInt8(ascii: "f"): decoded.append(0x0C)
        case UInt8(ascii: "n"): decoded.append(0x0A)
        case UInt8(ascii: "r"): decoded.append(0x0D)
        case UInt8(ascii: "t"): decoded.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal(at: start)
            if (0xD800..<0xE000).contains(code) {
                guard code < 0xDC00, next == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u") else {
                    throw failure("Unpaired surrogate escape", at: start, .loneSurrogate)
                }
                position += 2
                let low = try hexadecimal(at: position - 2)
                guard (0xDC00..<0xE000).contains(low) else { throw failure("Unpaired surrogate escape", at: start, .loneSurrogate) }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            // Every code that comes here is a scalar: surrogates were paired or refused above.
            decoded.append(contentsOf: UTF8.encode(Unicode.Scalar(code)!)!)
        default:
            throw failure("Invalid \\escape", at: start)
        }
    }

    @_lifetime(self: copy self)
    mutating func hexadecimal(at start: Int) throws(JSONParseError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch next {
            case let byte where byte &- 0x30 < 10: digit = byte - 0x30
            case let byte where (byte | 0x20) &- 0x61 < 6: digit = (byte | 0x20) - 0x61 + 10
            // Python points at the letter.
            default: throw failure("Invalid \\uXXXX escape", at: start + 1)
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }
}
