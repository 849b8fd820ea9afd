// Token-Oriented Object Notation to a JSON value, specification 4.0. Recursive descent over lines: each function reads the
// lines of one scope, which all have the scope's depth, and returns at the first line that is less deep. A line that is
// deeper than the scope that meets it belongs to nothing and is an error.
//
//   document -> root header | `[]` | one scalar | members
//   member   -> `key: value` | `key:` members one level deeper | header and its contents one level deeper
//   contents -> inline values | rows (table) | entries (keyed table) | `- item` lines
//
// Recursion is bounded by `depthMax` of the options, which every array, object and group of fields counts against.
// Strict mode forbids blank lines between the first and the last line of an array; `openArrays` counts in how many arrays
// the line stands whose first line has gone by.
public import Base

public enum TOONDecoder {
    /// - Throws: `TOONError` with the line for every text that is not TOON.
    /// - Complexity: O(length of the text).
    public static func decode(_ text: String, options: TOONDecodingOptions = .init()) throws(TOONError) -> JSONValue {
        try decode(validated: Array(text.utf8), options: options)
    }

    /// - Throws: `TOONError` also for bytes that are not UTF-8.
    public static func decode(utf8 bytes: [UInt8], options: TOONDecodingOptions = .init()) throws(TOONError) -> JSONValue {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw TOONError(line: 1, message: "the text is not UTF-8")
        }
        return try decode(validated: bytes, options: options)
    }

    private static func decode(validated bytes: [UInt8], options: TOONDecodingOptions) throws(TOONError) -> JSONValue {
        guard bytes.count <= options.bytesMax else {
            throw TOONError(line: 1, message: "the text has \(bytes.count) bytes; at most \(options.bytesMax) are read")
        }
        var parser = Parser(lines: try TOONLines(bytes, options: options), strict: options.strict, depthMax: options.depthMax,
            nameBytesMax: Limits.expandedBytes(of: bytes.count))
        return try parser.document()
    }
}

private struct Parser {
    var lines: TOONLines
    let strict: Bool
    private let depthMax: Int
    private var openArrays = 0
    /// Bytes of the names that rows may still repeat.
    private var nameBytes: Int

    init(lines: TOONLines, strict: Bool, depthMax: Int, nameBytesMax: Int) {
        self.lines = lines
        nameBytes = nameBytesMax
        self.strict = strict
        self.depthMax = depthMax
    }

    // MARK: Lines

    /// The next line when it belongs to the scope of this depth, nil when the scope has ended.
    private func peek(_ depth: Int) throws(TOONError) -> TOONLine? {
        guard let line = lines.current, line.depth >= depth else { return nil }
        guard line.depth == depth else {
            throw TOONError(line: line.number, message: "the line is indented deeper than what it could belong to")
        }
        return line
    }

    private mutating func consume(_ line: TOONLine) throws(TOONError) {
        if strict, openArrays > 0, line.afterBlank {
            throw TOONError(line: line.number, message: "a blank line stands inside an array")
        }
        try lines.advance()
    }

    /// The depth of a scope opened by a line of depth `parent`: one more; outside strict mode as deep as its first line.
    private func scope(under parent: Int) -> Int {
        guard !strict, let line = lines.current, line.depth > parent else { return parent + 1 }
        return line.depth
    }

    private func descend(_ level: Int, line: Int) throws(TOONError) {
        guard level <= depthMax else {
            throw TOONError(line: line, message: "nested deeper than \(depthMax) levels")
        }
    }

    // MARK: Root, section 5

    mutating func document() throws(TOONError) -> JSONValue {
        guard let first = lines.current else { return .object(JSONObject()) }
        if strict, first.depth > 0 {
            throw TOONError(line: first.number, message: "the first line is indented")
        }
        let value = try root(first)
        if let line = lines.current {
            throw TOONError(line: line.number, message: "text follows the end of the root value")
        }
        return value
    }

    private mutating func root(_ first: TOONLine) throws(TOONError) -> JSONValue {
        if first.content.trimmed.elementsEqual("[]".utf8) {
            try consume(first)
            return .array([])
        }
        guard first.content.firstUnquoted(ASCII.colon, or: ASCII.colon) != nil else {
            let value = try scalar(first.content.trimmed, line: first.number)
            try consume(first)
            return value
        }
        if let header = try header(first.content, line: first.number, level: 1), header.key == nil {
            try consume(first)
            return try contents(header, of: first, depth: first.depth, level: 1)
        }
        return .object(try members(depth: first.depth, level: 1))
    }

    // MARK: Objects, section 8

    private mutating func members(
        depth: Int, level: Int, into start: JSONObject = JSONObject()
    ) throws(TOONError) -> JSONObject {
        var object = start
        while let line = try peek(depth) {
            try consume(line)
            try member(line.content, of: line, depth: depth, level: level, into: &object)
        }
        return object
    }

    /// One member; `content` is the line's, or what follows the hyphen on it.
    private mutating func member(
        _ content: ArraySlice<UInt8>, of line: TOONLine, depth: Int, level: Int, into object: inout JSONObject
    ) throws(TOONError) {
        if let header = try header(content, line: line.number, level: level + 1) {
            guard let key = header.key else {
                throw TOONError(line: line.number, message: "a header without a key stands only at the root or in a list item")
            }
            try insert(key, try contents(header, of: line, depth: depth, level: level + 1), line: line, into: &object)
            return
        }
        let (key, token) = try pair(content, line: line.number)
        let value: JSONValue
        if token.isEmpty {
            try descend(level + 1, line: line.number)
            value = .object(try members(depth: scope(under: depth), level: level + 1))
        } else if token.elementsEqual("[]".utf8) {
            try descend(level + 1, line: line.number)
            value = .array([])
        } else {
            value = try scalar(token, line: line.number)
        }
        try insert(key, value, line: line, into: &object)
    }

    private func insert(
        _ key: String, _ value: JSONValue, line: TOONLine, into object: inout JSONObject
    ) throws(TOONError) {
        if strict, object[key] != nil {
            throw TOONError(line: line.number, message: "key \(TOONError.shown(key)) stands twice in one object")
        }
        object[key] = value
    }

    /// `key: value` as key and trimmed value.
    private func pair(_ content: ArraySlice<UInt8>, line: Int) throws(TOONError) -> (String, ArraySlice<UInt8>) {
        let missing = TOONError(line: line, message: "missing colon after the key")
        if content.first == ASCII.quote {
            guard let end = content.quotedEnd else {
                throw TOONError(line: line, message: "unterminated string: the closing quote is missing")
            }
            let rest = content[end...].trimmed
            guard rest.first == ASCII.colon else { throw missing }
            return (try TOONText.unquote(content[..<end], line: line), rest.dropFirst().trimmed)
        }
        guard let colon = content.firstUnquoted(ASCII.colon, or: ASCII.colon) else { throw missing }
        return (content[..<colon].trimmed.text, content[(colon + 1)...].trimmed)
    }

    /// The header that the content is, nil when it is `key: value`. Outside strict mode a malformed header is a key, too.
    private func header(_ content: ArraySlice<UInt8>, line: Int, level: Int) throws(TOONError) -> TOONHeader? {
        let bracket: Int
        let key: String?
        if content.first == ASCII.quote {
            guard let end = content.quotedEnd, end < content.endIndex, content[end] == ASCII.openBracket else { return nil }
            bracket = end
            key = try TOONText.unquote(content[..<end], line: line)
        } else {
            guard let at = content.firstUnquoted(ASCII.openBracket, or: ASCII.colon), content[at] == ASCII.openBracket,
                content[at...].contains(ASCII.colon)
            else { return nil }
            if let before = content[..<at].last, before == ASCII.space || before == ASCII.tab {
                guard strict else { return nil }
                throw TOONError(line: line, message: "white space stands between a key and its bracket")
            }
            bracket = at
            key = at == content.startIndex ? nil : content[..<at].text
        }
        try descend(level, line: line)
        do throws(TOONError) {
            return try TOONHeaderParser.header(
                key: key, content[bracket...], line: line, strict: strict, depthMax: depthMax - level)
        } catch {
            if strict { throw error }
            return nil
        }
    }

    // MARK: What a header announces, section 9

    private mutating func contents(
        _ header: TOONHeader, of line: TOONLine, depth: Int, level: Int
    ) throws(TOONError) -> JSONValue {
        if let fields = header.fields {
            return header.keyed
                ? .object(try entries(header, fields, of: line, depth: depth, level: level))
                : .array(try rows(header, fields, of: line, depth: depth))
        }
        if header.inline.isEmpty {
            return .array(try items(header, of: line, depth: depth, level: level))
        }
        var values: [JSONValue] = []
        for cell in header.inline.cells(header.delimiter) { values.append(try scalar(cell, line: line.number)) }
        try count(values.count, of: header, "values", line: line)
        return .array(values)
    }

    private func count(_ found: Int, of header: TOONHeader, _ what: String, line: TOONLine) throws(TOONError) {
        if strict, found != header.length {
            throw TOONError(line: line.number, message: "the header announces \(header.length) \(what), \(found) follow")
        }
    }

    private mutating func repeatNames(of header: TOONHeader, line: TOONLine) throws(TOONError) {
        nameBytes -= header.nameBytes
        guard nameBytes >= 0 else { throw TOONError(line: line.number, message: "the names in headers come to too many bytes in the rows below them") }
    }

    private mutating func rows(
        _ header: TOONHeader, _ fields: [TOONField], of opening: TOONLine, depth: Int
    ) throws(TOONError) -> [JSONValue] {
        let depth = scope(under: depth)
        var rows: [JSONValue] = []
        while let line = try peek(depth) {
            // Section 9.3: a line whose first colon comes before its first delimiter is no row.
            if let at = line.content.firstUnquoted(header.delimiter, or: ASCII.colon), line.content[at] == ASCII.colon { break }
            try consume(line)
            if rows.isEmpty { openArrays += 1 }
            try repeatNames(of: header, line: line)
            rows.append(.object(try row(line.content, header, fields, line: line.number)))
        }
        if !rows.isEmpty { openArrays -= 1 }
        try count(rows.count, of: header, "rows", line: opening)
        return rows
    }

    private mutating func entries(
        _ header: TOONHeader, _ fields: [TOONField], of opening: TOONLine, depth: Int, level: Int
    ) throws(TOONError) -> JSONObject {
        let depth = scope(under: depth)
        var entries = JSONObject()
        var found = 0
        while let line = try peek(depth) {
            try consume(line)
            if found == 0 { openArrays += 1 }
            found += 1
            let (key, cells) = try pair(line.content, line: line.number)
            guard !cells.isEmpty else {
                throw TOONError(line: line.number, message: "the entry has no cells, the header names \(header.leaves) fields")
            }
            try repeatNames(of: header, line: line)
            try insert(key, .object(try row(cells, header, fields, line: line.number)), line: line, into: &entries)
        }
        if found > 0 { openArrays -= 1 }
        try count(found, of: header, "entries", line: opening)
        return entries
    }

    private func row(
        _ content: ArraySlice<UInt8>, _ header: TOONHeader, _ fields: [TOONField], line: Int
    ) throws(TOONError) -> JSONObject {
        let cells = content.cells(header.delimiter)
        guard cells.count == header.leaves else {
            throw TOONError(line: line, message: "the row has \(cells.count) cells, the header names \(header.leaves) fields")
        }
        var rest = cells[...]
        return try object(fields, &rest, line: line)
    }

    private func object(
        _ fields: [TOONField], _ cells: inout ArraySlice<ArraySlice<UInt8>>, line: Int
    ) throws(TOONError) -> JSONObject {
        var object = JSONObject()
        for field in fields {
            if let group = field.group {
                object[field.name] = .object(try self.object(group, &cells, line: line))
            } else {
                object[field.name] = try scalar(cells.removeFirst(), line: line)
            }
        }
        return object
    }

    // MARK: Lists, sections 9.4 and 10

    private mutating func items(
        _ header: TOONHeader, of opening: TOONLine, depth: Int, level: Int
    ) throws(TOONError) -> [JSONValue] {
        let depth = scope(under: depth)
        var items: [JSONValue] = []
        while let line = try peek(depth) {
            let content = line.content
            guard content.first == ASCII.minus, content.count == 1 || content[content.startIndex + 1] == ASCII.space else {
                throw TOONError(line: line.number, message: "an item of a list must begin with '- '")
            }
            try consume(line)
            if items.isEmpty { openArrays += 1 }
            items.append(try item(content.dropFirst().trimmed, of: line, depth: depth, level: level + 1))
        }
        if !items.isEmpty { openArrays -= 1 }
        try count(items.count, of: header, "items", line: opening)
        return items
    }

    /// An item; `depth` is that of its hyphen, and its further members stand one level deeper.
    private mutating func item(
        _ content: ArraySlice<UInt8>, of line: TOONLine, depth: Int, level: Int
    ) throws(TOONError) -> JSONValue {
        if content.isEmpty {
            try descend(level, line: line.number)
            return .object(strict ? JSONObject() : try members(depth: scope(under: depth), level: level))
        }
        if content.elementsEqual("[]".utf8) {
            try descend(level, line: line.number)
            return .array([])
        }
        guard content.firstUnquoted(ASCII.colon, or: ASCII.colon) != nil else {
            return try scalar(content, line: line.number)
        }
        try descend(level, line: line.number)
        if content.first == ASCII.openBracket, let header = try header(content, line: line.number, level: level) {
            guard header.fields == nil else {
                throw TOONError(line: line.number, message: "a table without a key stands only at the root, not in a list item")
            }
            return try contents(header, of: line, depth: depth, level: level)
        }
        var object = JSONObject()
        try member(content, of: line, depth: depth + 1, level: level, into: &object)
        return .object(try members(depth: depth + 1, level: level, into: object))
    }

    // MARK: Scalars, section 4

    private func scalar(_ token: ArraySlice<UInt8>, line: Int) throws(TOONError) -> JSONValue {
        guard let first = token.first else { return .string("") }
        if first == ASCII.quote { return .string(try TOONText.unquote(token, line: line)) }
        if first == ASCII.minus || ASCII.isDigit(first), TOONNumber.isNumber(token) {
            guard token.count <= Limits.numberCharacters else {
                throw TOONError(line: line, message: "a number of more than \(Limits.numberCharacters) characters")
            }
            return .number(JSONNumber(uncheckedText: token.text))
        }
        if token.elementsEqual("true".utf8) { return .bool(true) }
        if token.elementsEqual("false".utf8) { return .bool(false) }
        if token.elementsEqual("null".utf8) { return .null }
        return .string(token.text)
    }
}
