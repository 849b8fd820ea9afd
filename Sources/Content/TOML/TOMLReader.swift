// TOML 1.1 (which reads every TOML 1.0 document), by its specification at toml.io; fixtures are toml-test's.
//
// A parser of our own because the library at hand (TOMLKit over toml++) sorts the keys of every table and holds numbers
// as machine words: order and number text, which the rest of Contex keeps, would be lost here.
//
// The only hard part is who may add to which table. A table is defined by a `[header]`, by dotted keys, or in passing as
// the parent of either. The rules are those of Python's tomllib (Lib/tomllib/_parser.py, its flags): a header may define
// a table once; dotted keys may add to a table only in the section that began it; inline values are closed for good.
//
// Dates and times become strings in RFC 3339 form; `inf` and `nan`, which JSON has no number for, the strings `inf`,
// `-inf`, `nan`.

public import Base

public enum TOMLReader {
    /// - Complexity: O(*n*).
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        try value(bytes: Array(text.utf8), cancellation: cancellation)
    }

    public static func value(bytes: [UInt8], cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        guard (try? UTF8Span(validating: bytes.span)) != nil else { throw FormatError(.toml, line: 0, "Bytes that are not UTF-8") }
        var parser = TOMLParser(bytes: bytes, cancellation: cancellation)
        return try parser.document()
    }
}

/// A table while it is filled. Tables live in one array and name each other by index, so that a header can reopen one.
private struct TOMLTable {
    enum Member {
        case value(JSONValue)
        case table(Int)
        case tables([Int])
    }
    var members: [(key: String, member: Member)] = []
    var places: [[UInt8]: Int] = [:]
    let depth: Int
    /// A header defined it.
    var isDefined = false
    /// The section in which dotted keys began or passed it; no other section's may.
    var section: Int? = nil

    func member(_ key: String) -> Member? { places[Array(key.utf8)].map { members[$0].member } }
    mutating func set(_ key: String, _ member: Member) {
        if let place = places[Array(key.utf8)] {
            members[place].member = member
        } else {
            places[Array(key.utf8)] = members.count
            members.append((key, member))
        }
    }
}

private struct TOMLParser {
    private let bytes: [UInt8]
    private let cancellation: Cancellation
    private var position = 0
    private var tables = [TOMLTable(depth: 1)]
    /// The table of the last header, and the number of headers so far.
    private var current = 0
    private var section = 0

    init(bytes: [UInt8], cancellation: Cancellation) {
        self.bytes = bytes
        self.cancellation = cancellation
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    private func failure(_ message: String, _ reason: FormatError.Reason = .syntax) -> FormatError {
        let line = bytes[..<min(position, bytes.count)].reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
        return FormatError(.toml, reason, line: line, message)
    }

    /// The next byte; NUL, which TOML allows nowhere, at the end.
    private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }
    private func peek(_ ahead: Int) -> UInt8 { position + ahead < bytes.count ? bytes[position + ahead] : 0 }
    private mutating func take(_ byte: Character) -> Bool {
        guard next == byte.asciiValue!, position < bytes.count else { return false }
        position += 1
        return true
    }
    private mutating func take(three byte: UInt8) -> Bool {
        guard next == byte, peek(1) == byte, peek(2) == byte else { return false }
        position += 3
        return true
    }

    // MARK: - White space, comments, line ends

    private mutating func skipBlanks() {
        while next == 0x20 || next == 0x09 { position += 1 }
    }

    private mutating func takeLineEnd() -> Bool {
        if next == 0x0A { position += 1; return true }
        if next == 0x0D, peek(1) == 0x0A { position += 2; return true }
        return false
    }

    private mutating func skipComment() throws(FormatError) {
        guard next == UInt8(ascii: "#"), position < bytes.count else { return }
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            if byte == 0x0A || byte == 0x0D && peek(1) == 0x0A { return }
            guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else { throw failure("A control character in a comment") }
            position += 1
        }
    }

    /// Blanks, comments and line ends, as between the items of an array.
    private mutating func skipLines() throws(FormatError) {
        repeat {
            skipBlanks()
            try skipComment()
        } while takeLineEnd()
    }

    // MARK: - Document

    mutating func document() throws(FormatError) -> JSONValue {
        while true {
            try cancellation.check(.toml)
            try skipLines()
            guard position < bytes.count else { return value(of: 0) }
            if take("[") {
                section += 1
                if take("[") { try arrayHeader() } else { try header() }
            } else {
                try assignment(in: current, section: section)
            }
            skipBlanks()
            try skipComment()
            guard takeLineEnd() || position == bytes.count else { throw failure("Expecting the end of the line") }
        }
    }

    private func value(of index: Int) -> JSONValue {
        var object = JSONObject()
        for (key, member) in tables[index].members {
            switch member {
            case .value(let value): object[key] = value
            case .table(let inner): object[key] = value(of: inner)
            case .tables(let inner): object[key] = .array(inner.map(value(of:)))
            }
        }
        return .object(object)
    }

    private mutating func newTable(depth: Int) throws(FormatError) -> Int {
        guard depth <= Limits.nestingDepth else { throw failure("Nested deeper than \(Limits.nestingDepth) levels", .limit) }
        tables.append(TOMLTable(depth: depth))
        return tables.count - 1
    }

    /// The table that the parents of a header's last key lead to.
    private mutating func parent(_ keys: ArraySlice<String>) throws(FormatError) -> Int {
        var table = 0
        for key in keys {
            switch tables[table].member(key) {
            case nil:
                let inner = try newTable(depth: tables[table].depth + 1)
                tables[table].set(key, .table(inner))
                table = inner
            case .table(let inner): table = inner
            case .tables(let inner): table = inner[inner.count - 1]
            case .value: throw failure("\(key) is already a value, not a table")
            }
        }
        return table
    }

    private mutating func header() throws(FormatError) {
        let keys = try dottedKey()
        guard take("]") else { throw failure("Expecting ] after the name of a table") }
        let parent = try parent(keys.dropLast())
        let key = keys[keys.count - 1]
        switch tables[parent].member(key) {
        case nil:
            current = try newTable(depth: tables[parent].depth + 1)
            tables[parent].set(key, .table(current))
        case .table(let inner) where !tables[inner].isDefined && tables[inner].section == nil:
            current = inner
        default:
            throw failure("Table \(keys.joined(separator: ".")) is already defined")
        }
        tables[current].isDefined = true
    }

    private mutating func arrayHeader() throws(FormatError) {
        let keys = try dottedKey()
        guard take("]"), take("]") else { throw failure("Expecting ]] after the name of an array of tables") }
        let parent = try parent(keys.dropLast())
        let key = keys[keys.count - 1]
        var items: [Int] = []
        switch tables[parent].member(key) {
        case nil: break
        case .tables(let before): items = before
        default: throw failure("\(keys.joined(separator: ".")) is already defined and is no array of tables")
        }
        // One level for the array, one for the table in it.
        current = try newTable(depth: tables[parent].depth + 2)
        tables[current].isDefined = true
        // Taken out before it grows, so that it grows in place.
        tables[parent].set(key, .tables([]))
        items.append(current)
        tables[parent].set(key, .tables(items))
    }

    private mutating func assignment(in table: Int, section: Int) throws(FormatError) {
        let keys = try dottedKey()
        guard take("=") else { throw failure("Expecting = after a key") }
        skipBlanks()
        var table = table
        for key in keys.dropLast() {
            switch tables[table].member(key) {
            case nil:
                let inner = try newTable(depth: tables[table].depth + 1)
                tables[table].set(key, .table(inner))
                table = inner
            case .table(let inner):
                guard !tables[inner].isDefined, tables[inner].section == nil || tables[inner].section == section else {
                    throw failure("\(key) is defined elsewhere; dotted keys cannot add to it here")
                }
                table = inner
            default:
                throw failure("\(key) is already a value, or closed")
            }
            tables[table].section = section
        }
        let key = keys[keys.count - 1]
        guard tables[table].member(key) == nil else { throw failure("Key \(key) is already set") }
        let value = try self.value(depth: tables[table].depth)
        tables[table].set(key, .value(value))
    }

    // MARK: - Keys

    private mutating func dottedKey() throws(FormatError) -> [String] {
        var keys: [String] = []
        repeat {
            skipBlanks()
            keys.append(try key())
            skipBlanks()
        } while take(".")
        return keys
    }

    private mutating func key() throws(FormatError) -> String {
        if next == UInt8(ascii: "\"") || next == UInt8(ascii: "'") {
            guard !(next == peek(1) && next == peek(2)) else { throw failure("A key cannot be a multi-line string") }
            return try string()
        }
        let start = position
        while isBare(next) { position += 1 }
        guard position > start else { throw failure("Expecting a key") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private func isBare(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    // MARK: - Values

    /// - Parameter depth: levels around the value.
    private mutating func value(depth: Int) throws(FormatError) -> JSONValue {
        switch next {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try string())
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "{"): return try inlineTable(depth: depth + 1)
        default: return try scalar()
        }
    }

    private mutating func array(depth: Int) throws(FormatError) -> JSONValue {
        guard depth <= Limits.nestingDepth else { throw failure("Nested deeper than \(Limits.nestingDepth) levels", .limit) }
        position += 1
        var items: [JSONValue] = []
        while true {
            try skipLines()
            if take("]") { return .array(items) }
            try cancellation.check(.toml)
            items.append(try value(depth: depth))
            try skipLines()
            if take("]") { return .array(items) }
            guard take(",") else { throw failure("Expecting , or ] in an array") }
        }
    }

    private mutating func inlineTable(depth: Int) throws(FormatError) -> JSONValue {
        position += 1
        let table = try newTable(depth: depth)
        section += 1
        let own = section
        while true {
            try skipLines()
            if take("}") { break }
            try assignment(in: table, section: own)
            try skipLines()
            if take("}") { break }
            guard take(",") else { throw failure("Expecting , or } in an inline table") }
        }
        // Closed: as a value nothing can be added to it, and its tables are nobody else's.
        let value = value(of: table)
        tables.removeSubrange(table...)
        return value
    }

    private mutating func scalar() throws(FormatError) -> JSONValue {
        let start = position
        while isBare(next) || next == UInt8(ascii: "+") || next == UInt8(ascii: ".") || next == UInt8(ascii: ":") { position += 1 }
        // A date may be parted from its time by one space.
        if position - start == 10, bytes[start + 4] == UInt8(ascii: "-"), next == 0x20, peek(1) &- 0x30 < 10 {
            position += 1
            while isBare(next) || next == UInt8(ascii: "+") || next == UInt8(ascii: ".") || next == UInt8(ascii: ":") { position += 1 }
        }
        let token = bytes[start..<position]
        switch String(decoding: token, as: UTF8.self) {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "inf", "+inf": return .string("inf")
        case "-inf": return .string("-inf")
        case "nan", "+nan", "-nan": return .string("nan")
        case "": throw failure("Expecting a value")
        case let text:
            if let number = TOMLScalar.number(token) {
                guard number.text.utf8.count <= Limits.numberCharacters else {
                    position = start
                    throw failure("A number of more than \(Limits.numberCharacters) characters", .limit)
                }
                return .number(number)
            }
            if let time = TOMLScalar.time(token) { return .string(time) }
            position = start
            throw failure("Not a value: \(text)")
        }
    }

    // MARK: - Strings

    private mutating func string() throws(FormatError) -> String {
        let quote = next
        let isLiteral = quote == UInt8(ascii: "'")
        let isMultiline = take(three: quote)
        if isMultiline { _ = takeLineEnd() } else { position += 1 }
        var out: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case quote where !isMultiline:
                position += 1
                return String(decoding: out, as: UTF8.self)
            case quote:
                var count = 0
                while next == quote, position < bytes.count, count < 5 { position += 1; count += 1 }
                // Up to two quotes may stand before the closing three.
                out.append(contentsOf: repeatElement(quote, count: count >= 3 ? count - 3 : count))
                if count >= 3 { return String(decoding: out, as: UTF8.self) }
            case UInt8(ascii: "\\") where !isLiteral:
                position += 1
                try escape(into: &out, isMultiline: isMultiline)
            case 0x0A where isMultiline, 0x0D where isMultiline && peek(1) == 0x0A:
                _ = takeLineEnd()
                out.append(0x0A)
            case 0x09, 0x20...0x7E, 0x80...:
                out.append(byte)
                position += 1
            default:
                throw failure("A control character or line end in a string")
            }
        }
        throw failure("A string has no closing quote")
    }

    private mutating func escape(into out: inout [UInt8], isMultiline: Bool) throws(FormatError) {
        let letter = next
        position += 1
        switch letter {
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "e"): out.append(0x1B)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(letter)
        case UInt8(ascii: "x"): try scalarEscape(digits: 2, into: &out)
        case UInt8(ascii: "u"): try scalarEscape(digits: 4, into: &out)
        case UInt8(ascii: "U"): try scalarEscape(digits: 8, into: &out)
        case 0x20, 0x09, 0x0A, 0x0D:
            // A backslash at the end of a line swallows all white space up to the next text.
            position -= 1
            skipBlanks()
            guard isMultiline, takeLineEnd() else { throw failure("A backslash before white space that does not end the line") }
            repeat { skipBlanks() } while takeLineEnd()
        default: throw failure("An escape that TOML does not have")
        }
    }

    private mutating func scalarEscape(digits: Int, into out: inout [UInt8]) throws(FormatError) {
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Character(Unicode.Scalar(next)).hexDigitValue else { throw failure("An escape needs \(digits) hexadecimal digits") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        guard let scalar = Unicode.Scalar(code) else { throw failure("An escape that is no Unicode scalar") }
        out.append(contentsOf: UTF8.encode(scalar)!)
    }
}

/// Numbers, dates and times of TOML.
private enum TOMLScalar {
    /// In JSON's grammar: decimal, without underscores and plus sign.
    static func number(_ token: ArraySlice<UInt8>) -> JSONNumber? {
        var rest = token
        let hasSign = rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-")
        let sign = rest.first == UInt8(ascii: "-") ? "-" : ""
        if hasSign { rest.removeFirst() }
        if rest.count > 2, rest.first == UInt8(ascii: "0"), !hasSign {
            let radix: Int? =
                switch rest.dropFirst().first {
                case UInt8(ascii: "x"): 16
                case UInt8(ascii: "o"): 8
                case UInt8(ascii: "b"): 2
                default: nil
                }
            if let radix {
                guard let digits = digits(rest.dropFirst(2), radix: radix), let value = Int64(digits, radix: radix) else { return nil }
                return JSONNumber(value)
            }
        }
        let mark = rest.firstIndex { $0 | 0x20 == UInt8(ascii: "e") }
        let mantissa = rest[..<(mark ?? rest.endIndex)]
        let point = mantissa.firstIndex(of: UInt8(ascii: "."))
        guard let whole = digits(mantissa[..<(point ?? mantissa.endIndex)], radix: 10), whole == "0" || !whole.hasPrefix("0") else { return nil }
        guard mark != nil || point != nil else {
            // Integers are of 64 bits.
            return Int64(sign + whole).map { JSONNumber($0) }
        }
        var text = sign + whole
        if let point {
            guard let fraction = digits(mantissa[(point + 1)...], radix: 10) else { return nil }
            text += "." + fraction
        }
        if let mark {
            var exponent = rest[(mark + 1)...]
            text += "e"
            if let first = exponent.first, first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
                text += first == UInt8(ascii: "-") ? "-" : "+"
                exponent.removeFirst()
            }
            guard let digits = digits(exponent, radix: 10) else { return nil }
            text += digits
        }
        return JSONNumber(uncheckedText: text)
    }

    /// Digits with single underscores between them, without these.
    private static func digits(_ text: ArraySlice<UInt8>, radix: Int) -> String? {
        var out = ""
        var mayUnderscore = false
        for byte in text {
            if byte == UInt8(ascii: "_") {
                guard mayUnderscore else { return nil }
                mayUnderscore = false
            } else {
                let scalar = Unicode.Scalar(byte)
                guard let digit = Character(scalar).hexDigitValue, digit < radix else { return nil }
                out.unicodeScalars.append(scalar)
                mayUnderscore = true
            }
        }
        return mayUnderscore ? out : nil
    }

    /// A date, a time, or both, in RFC 3339's spelling (`T`, `Z`, seconds written out).
    static func time(_ token: ArraySlice<UInt8>) -> String? {
        var reader = TimeReader(rest: token)
        if token.count >= 10, token[token.startIndex + 4] == UInt8(ascii: "-") {
            guard let date = reader.date() else { return nil }
            if reader.rest.isEmpty { return date }
            guard reader.take("T") || reader.take("t") || reader.take(" "), let time = reader.time(), let zone = reader.zone(), reader.rest.isEmpty
            else { return nil }
            return date + "T" + time + zone
        }
        guard let time = reader.time(), reader.rest.isEmpty else { return nil }
        return time
    }

    private struct TimeReader {
        var rest: ArraySlice<UInt8>

        mutating func take(_ character: Character) -> Bool {
            guard rest.first == character.asciiValue else { return false }
            rest.removeFirst()
            return true
        }
        mutating func number(_ width: Int, _ range: ClosedRange<Int>) -> Int? {
            guard rest.count >= width, rest.prefix(width).allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
            let value = rest.prefix(width).reduce(0) { $0 * 10 + Int($1 - 0x30) }
            rest.removeFirst(width)
            return range.contains(value) ? value : nil
        }
        mutating func date() -> String? {
            guard let year = number(4, 0...9999), take("-"), let month = number(2, 1...12), take("-"), let day = number(2, 1...31) else { return nil }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            guard day <= [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] else { return nil }
            return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2)
        }
        mutating func time() -> String? {
            guard let hour = number(2, 0...23), take(":"), let minute = number(2, 0...59) else { return nil }
            var out = padded(hour, 2) + ":" + padded(minute, 2) + ":"
            guard take(":") else { return out + "00" }
            guard let second = number(2, 0...60) else { return nil }
            out += padded(second, 2)
            if take(".") {
                let digits = rest.prefix { $0 &- 0x30 < 10 }
                guard !digits.isEmpty else { return nil }
                out += "." + String(decoding: digits, as: UTF8.self)
                rest.removeFirst(digits.count)
            }
            return out
        }
        /// Empty for a local time.
        mutating func zone() -> String? {
            if rest.isEmpty { return "" }
            if take("Z") || take("z") { return "Z" }
            let sign = rest.first == UInt8(ascii: "-") ? "-" : "+"
            guard take("+") || take("-"), let hour = number(2, 0...23), take(":"), let minute = number(2, 0...59) else { return nil }
            return sign + padded(hour, 2) + ":" + padded(minute, 2)
        }
        private func padded(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
    }
}
