// JSON as programs and people write it: comments and trailing commas (tsconfig.json, the settings of editors), the plain part of JSON5
// (unquoted keys, 'text', 0x1F, .5, +1), NaN and Infinity (Python; they become texts), and several values one after another (a record a
// line; log files; concatenated documents), which become an array.
//
// One pass rewrites it as what RFC 8259 has and notes where each value ends; the parser for that does the rest, with its limits. So
// there is one reader of strings, numbers and depth.

internal import Base

enum JSONDialect {
    /// Objects and arrays only: a text in quotes, or of numbers, is no JSON.
    ///
    /// - Returns: the value; of several an array.
    /// - Throws: with the line of the fault where something before it was of the dialect, else without.
    /// - Complexity: O(*n*).
    static func value(_ text: String, _ cancellation: Cancellation) throws(FormatError) -> JSONValue {
        var rewriting = JSONRewriting(text, cancellation)
        do throws(FormatError) {
            try rewriting.run()
        } catch {
            throw rewriting.isDialect ? error : FormatError(.json, error.reason, line: 0, error.message)
        }
        var values: [JSONValue] = []
        var start = 0
        for end in rewriting.ends {
            do throws(JSONParseError) {
                values.append(try JSONParser.parse(rewriting.out[start..<end], cancellation: cancellation))
            } catch {
                let failure = FormatError(json: error)
                guard failure.reason == .syntax, rewriting.isDialect else { throw failure }
                throw FormatError(.json, line: JSONRewriting.line(of: start + error.offset, in: text, cancellation), error.message)
            }
            start = end
        }
        guard let first = values.first else { throw FormatError(.json, line: 0, "Expecting value") }
        let isContainer = { (value: JSONValue) in value.arrayValue != nil || value.objectValue != nil }
        guard values.allSatisfy(isContainer) else { throw FormatError(.json, line: 0, "Extra data") }
        return values.count == 1 ? first : .array(values)
    }
}

extension FormatError {
    init(json error: JSONParseError) {
        let reason: Reason =
            switch error.reason {
            case .tooDeep, .tooLong: .limit
            case .cancelled: .cancelled
            default: .syntax
            }
        self.init(.json, reason, line: 0, error.description)
    }
}

/// The state of one pass.
private struct JSONRewriting {
    private let bytes: [UInt8]
    private let cancellation: Cancellation
    private var position = 0
    private(set) var out: [UInt8] = []
    /// Where in `out` each value at the top ends.
    private(set) var ends: [Int] = []
    /// For each open container, whether it is an object.
    private var open: [Bool] = []
    /// The last byte that was no white space and no comment; 0 at the beginning and after a value at the top.
    private var last: UInt8 = 0
    /// A comma that is written when something comes after it.
    private var isCommaWaiting = false
    /// Something was read that RFC 8259 does not have.
    private(set) var isDialect = false
    /// Where to stop in `out`.
    private var outputMax = Int.max

    /// The line of the text that was rewritten as this byte.
    static func line(of offset: Int, in text: String, _ cancellation: Cancellation) -> Int {
        var again = JSONRewriting(text, cancellation)
        again.outputMax = offset
        try? again.run()
        return again.line
    }

    init(_ text: String, _ cancellation: Cancellation) {
        self.cancellation = cancellation
        bytes = Array(text.utf8)
        out.reserveCapacity(bytes.count + 16)
    }

    private func failure(_ message: String) -> FormatError {
        FormatError(.json, line: line, message)
    }
    private var line: Int { bytes[..<min(position, bytes.count)].reduce(1) { $1 == 0x0A ? $0 + 1 : $0 } }
    private func peek(_ ahead: Int = 0) -> UInt8 { position + ahead < bytes.count ? bytes[position + ahead] : 0 }

    mutating func run() throws(FormatError) {
        while position < bytes.count, out.count <= outputMax {
            if skipSpace() { continue }
            try cancellation.check(.json)
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "/"): try skipComment()
            case UInt8(ascii: ","):
                guard !isCommaWaiting, !open.isEmpty, !"[{:".utf8.contains(last) else { throw failure("Expecting value") }
                isCommaWaiting = true
                last = byte
                position += 1
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                write([byte])
                open.append(byte == UInt8(ascii: "{"))
                position += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if isCommaWaiting { isDialect = true }
                isCommaWaiting = false
                guard open.popLast() == (byte == UInt8(ascii: "}")) else { throw failure("Expecting ',' delimiter") }
                write([byte])
                position += 1
                closeAtTop()
            case UInt8(ascii: ":"):
                guard !open.isEmpty else { throw failure("Extra data") }
                write([byte])
                position += 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                try string(quote: byte)
                closeAtTop()
            default:
                try word()
                closeAtTop()
            }
        }
        guard open.isEmpty else { throw failure("Expecting ',' delimiter") }
    }

    private mutating func write(_ token: some Collection<UInt8>) {
        if isCommaWaiting { out.append(UInt8(ascii: ",")) }
        isCommaWaiting = false
        out.append(contentsOf: token)
        last = out[out.count - 1]
    }

    private mutating func closeAtTop() {
        guard open.isEmpty else { return }
        ends.append(out.count)
        last = 0
    }

    /// White space of JSON5, byte order marks, and the record separator of RFC 7464, all of which become nothing.
    private mutating func skipSpace() -> Bool {
        switch peek() {
        case 0x09...0x0D, 0x20, 0x1E: position += 1
        case 0xC2 where peek(1) == 0xA0: position += 2
        case 0xEF where peek(1) == 0xBB && peek(2) == 0xBF: position += 3
        case 0xE2 where peek(1) == 0x80 && (peek(2) == 0xA8 || peek(2) == 0xA9): position += 3
        default: return false
        }
        return true
    }

    private mutating func skipComment() throws(FormatError) {
        if peek(1) == UInt8(ascii: "/") || peek(1) == UInt8(ascii: "*") { isDialect = true }
        switch peek(1) {
        case UInt8(ascii: "/"):
            while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
        case UInt8(ascii: "*"):
            position += 2
            while !(peek() == UInt8(ascii: "*") && peek(1) == UInt8(ascii: "/")) {
                guard position < bytes.count else { throw failure("A comment has no end") }
                position += 1
            }
            position += 2
        default: throw failure("Expecting value")
        }
    }

    // MARK: - Strings

    /// Written with double quotes and JSON's escapes; a tab may stand in it as it is.
    private mutating func string(quote: UInt8) throws(FormatError) {
        let start = position
        if quote == UInt8(ascii: "'"), !open.isEmpty { isDialect = true }
        var token: [UInt8] = [UInt8(ascii: "\"")]
        position += 1
        while true {
            guard position < bytes.count else {
                position = start
                throw failure("Unterminated string")
            }
            let byte = bytes[position]
            position += 1
            switch byte {
            case quote:
                token.append(UInt8(ascii: "\""))
                return write(token)
            case UInt8(ascii: "\""): token.append(contentsOf: "\\\"".utf8)
            case 0x09: token.append(contentsOf: "\\t".utf8)
            case UInt8(ascii: "\\"): escape(into: &token)
            default: token.append(byte)
            }
        }
    }

    private mutating func escape(into token: inout [UInt8]) {
        let letter = peek()
        position += 1
        switch letter {
        case UInt8(ascii: "'"): token.append(letter)
        case UInt8(ascii: "v"): token.append(contentsOf: "\\u000b".utf8)
        case UInt8(ascii: "x"): token.append(contentsOf: "\\u00".utf8)
        // A line that goes on.
        case 0x0A: break
        case 0x0D: if peek() == 0x0A { position += 1 }
        default: token.append(contentsOf: [UInt8(ascii: "\\"), letter])
        }
    }

    // MARK: - Numbers, names, words

    private mutating func word() throws(FormatError) {
        let start = position
        while position < bytes.count, isWord(bytes[position]) { position += 1 }
        guard position > start else { throw failure("Expecting value") }
        let word = bytes[start..<position]
        let isKey = open.last == true && last != UInt8(ascii: ":")
        if isKey {
            guard !(word[start] &- 0x30 < 10), !word.contains(where: { "+-.".utf8.contains($0) }) else {
                throw failure("Expecting property name enclosed in double quotes")
            }
            if bytes[position...].first(where: { !TextNodes.isSpace($0) }) == UInt8(ascii: ":") { isDialect = true }
            return write([UInt8(ascii: "\"")] + word + [UInt8(ascii: "\"")])
        }
        // Of two words in a row the parser would see one.
        guard last == 0 || isCommaWaiting || "[:".utf8.contains(last) else { throw failure("Expecting ',' delimiter") }
        // No longer text becomes one: equality of texts is that of their normal forms, which a million combining marks make slow.
        switch word.count <= Self.wordBytesMax ? String(decoding: word, as: UTF8.self) : "" {
        case "true", "false", "null": write(word)
        case "NaN", "+NaN", "-NaN": write("\"NaN\"".utf8)
        case "Infinity", "+Infinity": write("\"Infinity\"".utf8)
        case "-Infinity": write("\"-Infinity\"".utf8)
        case let text:
            guard let number = Self.number(text) else { throw failure("Expecting value") }
            write(number.utf8)
        }
    }

    /// As long as a number may be, with its sign.
    private static let wordBytesMax = Limits.numberCharacters + 1

    private func isWord(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || "_$+-.".utf8.contains(byte) || byte >= 0x80
    }

    /// Without a plus sign, with digits on both sides of the point, and in decimal. What else is wrong with it the parser says.
    private static func number(_ text: String) -> String? {
        var rest = text.utf8[...]
        let sign = rest.first == UInt8(ascii: "-") ? "-" : ""
        if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") { rest.removeFirst() }
        guard let first = rest.first, first &- 0x30 < 10 || first == UInt8(ascii: ".") else { return nil }
        if first == UInt8(ascii: "0"), let letter = rest.dropFirst().first, letter | 0x20 == UInt8(ascii: "x") {
            let digits = rest.dropFirst(2)
            guard let digit = digits.first, digit != UInt8(ascii: "+"), let value = UInt64(Substring(digits), radix: 16) else { return nil }
            return sign + String(value)
        }
        let whole = rest.prefix { $0 &- 0x30 < 10 }
        rest = rest.dropFirst(whole.count)
        guard rest.first == UInt8(ascii: ".") else { return sign + String(Substring(whole)) + String(Substring(rest)) }
        rest.removeFirst()
        let fraction = rest.prefix { $0 &- 0x30 < 10 }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let tail = String(Substring(rest.dropFirst(fraction.count)))
        return sign + (whole.isEmpty ? "0" : String(Substring(whole))) + "." + (fraction.isEmpty ? "0" : String(Substring(fraction))) + tail
    }
}
