// Headers of arrays and keyed objects, section 6: `key[3|]{a|b{c|d}}:`. A hand-written parser of that grammar, one byte of
// lookahead, over the content of one line.
import Base

/// A field of a header; a group when it has fields of its own.
struct TOONField {
    let name: String
    let group: [TOONField]?
}

struct TOONHeader {
    /// Nil for a header without a key: at the root and in list items.
    let key: String?
    let length: Int
    let delimiter: UInt8
    /// `[2:]`: the rows begin with a key and the whole is an object.
    let keyed: Bool
    let fields: [TOONField]?
    /// Cells that a row must have.
    let leaves: Int
    /// Bytes of the names of all fields, which each row repeats.
    let nameBytes: Int
    /// What follows the colon, trimmed.
    let inline: ArraySlice<UInt8>
}

struct TOONHeaderParser {
    private var rest: ArraySlice<UInt8>
    private let line: Int
    private let strict: Bool
    private let depthMax: Int
    private var delimiter = ASCII.comma
    private var leaves = 0
    private var nameBytes = 0

    /// - Parameter rest: from the opening bracket on.
    private init(_ rest: ArraySlice<UInt8>, line: Int, strict: Bool, depthMax: Int) {
        self.rest = rest
        self.line = line
        self.strict = strict
        self.depthMax = depthMax
    }

    /// The header whose bracket opens at the start of `rest`.
    /// - Parameter depthMax: levels of groups that may still be opened.
    static func header(
        key: String?, _ rest: ArraySlice<UInt8>, line: Int, strict: Bool, depthMax: Int
    ) throws(TOONError) -> TOONHeader {
        var parser = TOONHeaderParser(rest, line: line, strict: strict, depthMax: depthMax)
        return try parser.header(key: key)
    }

    private func failure(_ message: String) -> TOONError { TOONError(line: line, message: message) }

    private mutating func accept(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func header(key: String?) throws(TOONError) -> TOONHeader {
        _ = accept(ASCII.openBracket)
        let length = try length()
        let keyed = accept(ASCII.colon)
        if accept(ASCII.tab) {
            delimiter = ASCII.tab
        } else if accept(ASCII.pipe) {
            delimiter = ASCII.pipe
        }
        guard accept(ASCII.closeBracket) else {
            throw failure("the bracket of a header holds a length and nothing but ':', tab or '|' after it")
        }
        var fields: [TOONField]?
        if accept(ASCII.openBrace) { fields = try group(depth: 1) }
        guard accept(ASCII.colon) else { throw failure("missing colon after the header") }
        let inline = rest.trimmed
        if keyed, fields == nil { throw failure("a keyed header needs the names of its fields in braces") }
        if fields != nil, !inline.isEmpty { throw failure("values follow a header with fields; its rows stand on lines of their own") }
        return TOONHeader(
            key: key, length: length, delimiter: delimiter, keyed: keyed, fields: fields, leaves: leaves,
            nameBytes: nameBytes, inline: inline)
    }

    private mutating func length() throws(TOONError) -> Int {
        let digits = rest.prefix { ASCII.isDigit($0) }
        rest = rest[digits.endIndex...]
        guard let first = digits.first, digits.count == 1 || first != ASCII.zero, let length = Int(digits.text) else {
            throw failure("the length in a header's bracket must be a whole number without leading zeros")
        }
        return length
    }

    /// The fields up to the closing brace.
    private mutating func group(depth: Int) throws(TOONError) -> [TOONField] {
        guard depth <= depthMax else { throw failure("nested deeper than \(Limits.nestingDepth) levels") }
        var fields: [TOONField] = []
        var names: Set<[UInt8]> = []
        while true {
            let name = try name()
            nameBytes += name.utf8.count + 6
            if strict, !names.insert(Array(name.utf8)).inserted { throw failure("field \(TOONError.shown(name)) is named twice") }
            if accept(ASCII.openBrace) {
                fields.append(TOONField(name: name, group: try group(depth: depth + 1)))
                skipSpaces()
            } else {
                leaves += 1
                fields.append(TOONField(name: name, group: nil))
            }
            if accept(ASCII.closeBrace) { return fields }
            guard accept(delimiter) else {
                throw failure("fields must be separated by the delimiter of the header's bracket and closed by '}'")
            }
        }
    }

    private mutating func name() throws(TOONError) -> String {
        skipSpaces()
        defer { skipSpaces() }
        if rest.first == ASCII.quote {
            guard let end = rest.quotedEnd else { throw failure("unterminated string: the closing quote is missing") }
            let token = rest[..<end]
            rest = rest[end...]
            return try TOONText.unquote(token, line: line)
        }
        let token = rest.prefix { byte in
            switch byte {
            case ASCII.comma, ASCII.tab, ASCII.pipe, ASCII.colon, ASCII.quote, ASCII.openBracket, ASCII.closeBracket,
                ASCII.openBrace, ASCII.closeBrace: false
            default: true
            }
        }
        rest = rest[token.endIndex...]
        let name = token.trimmed
        guard !name.isEmpty else { throw failure("a field in the header has no name") }
        return name.text
    }

    private mutating func skipSpaces() {
        while accept(ASCII.space) {}
    }
}
