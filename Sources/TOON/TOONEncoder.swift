// A JSON value as Token-Oriented Object Notation, specification 4.0 (toon-format/spec). One walk over the value; at every
// array and object the densest form that fits is taken, in this order:
//
//   array of primitives             key[3]: a,b,c
//   array of uniform objects        key[2]{id,name}:        then a row per element
//   object of uniform objects       key[2:]{age,city}:      then `entry: cells` per member (two members or more)
//   any other array                 key[2]:                 then `- item` per element
//   any other object                key:                    then its members
//
// "Uniform" is section 9.3: the same keys everywhere, every column all primitives or again uniform objects, which become
// groups in the header, `customer{name,country}`. Output is deterministic, LF between lines, none at the end.
public import Base

public enum TOONEncoder {
    /// - Complexity: O(size of the value); the test for uniformity reads each element once more per nesting level.
    public static func encode(_ value: JSONValue, options: TOONEncodingOptions = .init()) -> String {
        var writer = Writer(options: options)
        writer.root(value)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// A column of a table: a leaf when it has no fields of its own.
private struct Column {
    let name: String
    let fields: [Column]
}

private struct Writer {
    var bytes: [UInt8] = []
    let indent: Int
    let delimiter: UInt8
    let numbers: TOONEncodingOptions.Numbers

    init(options: TOONEncodingOptions) {
        indent = options.indent
        numbers = options.numbers
        delimiter = options.delimiter.rawValue
    }

    // MARK: Lines

    /// Begins a line. A list item's first member stands on the hyphen's line, one level above its own.
    private mutating func line(_ depth: Int, hyphen: Bool = false) {
        if !bytes.isEmpty { bytes.append(ASCII.lineFeed) }
        let level = hyphen ? depth - 1 : depth
        bytes.append(contentsOf: repeatElement(ASCII.space, count: level * indent))
        if hyphen { bytes += [ASCII.minus, ASCII.space] }
    }

    // MARK: Structure

    mutating func root(_ value: JSONValue) {
        switch value {
        case .object(let object):
            if let columns = keyedColumns(object) {
                keyed(object, columns, depth: 0)
            } else {
                members(object, depth: 0)
            }
        case .array(let elements):
            if elements.isEmpty {
                bytes += "[]".utf8
            } else {
                array(elements, depth: 0, table: true)
            }
        default:
            primitive(value)
        }
    }

    private mutating func members(_ object: JSONObject, depth: Int) {
        for (key, value) in object { member(key, value, depth: depth, hyphen: false) }
    }

    private mutating func member(_ key: String, _ value: JSONValue, depth: Int, hyphen: Bool) {
        line(depth, hyphen: hyphen)
        self.key(key)
        switch value {
        case .object(let object):
            if let columns = keyedColumns(object) {
                keyed(object, columns, depth: depth)
            } else {
                bytes.append(ASCII.colon)
                members(object, depth: depth + 1)
            }
        case .array(let elements):
            if elements.isEmpty {
                bytes += ": []".utf8
            } else {
                array(elements, depth: depth, table: true)
            }
        default:
            bytes += [ASCII.colon, ASCII.space]
            primitive(value)
        }
    }

    /// From the bracket on; what follows the header's line is one level deeper than `depth`.
    private mutating func array(_ elements: [JSONValue], depth: Int, table: Bool) {
        if elements.allSatisfy(\.isPrimitive) {
            bracket(elements.count)
            bytes.append(ASCII.colon)
            var separator = ASCII.space
            for element in elements {
                bytes.append(separator)
                primitive(element)
                separator = delimiter
            }
        } else if table, let columns = columns(of: elements) {
            bracket(elements.count)
            header(columns)
            bytes.append(ASCII.colon)
            for case .object(let row) in elements {
                line(depth + 1)
                cells(row, columns)
            }
        } else {
            bracket(elements.count)
            bytes.append(ASCII.colon)
            for element in elements { item(element, depth: depth + 1) }
        }
    }

    private mutating func item(_ value: JSONValue, depth: Int) {
        switch value {
        case .object(let object):
            if object.isEmpty {
                line(depth)
                bytes.append(ASCII.minus)
            }
            var hyphen = true
            for (key, value) in object {
                member(key, value, depth: depth + 1, hyphen: hyphen)
                hyphen = false
            }
        case .array(let elements):
            line(depth + 1, hyphen: true)
            array(elements, depth: depth, table: false)
        default:
            line(depth + 1, hyphen: true)
            primitive(value)
        }
    }

    private mutating func keyed(_ object: JSONObject, _ columns: [Column], depth: Int) {
        bracket(object.count, keyed: true)
        header(columns)
        bytes.append(ASCII.colon)
        for (key, value) in object {
            guard case .object(let row) = value else { continue }
            line(depth + 1)
            self.key(key)
            bytes += [ASCII.colon, ASCII.space]
            cells(row, columns)
        }
    }

    // MARK: Headers and rows

    private mutating func bracket(_ count: Int, keyed: Bool = false) {
        bytes.append(ASCII.openBracket)
        bytes += String(count).utf8
        if keyed { bytes.append(ASCII.colon) }
        if delimiter != ASCII.comma { bytes.append(delimiter) }
        bytes.append(ASCII.closeBracket)
    }

    private mutating func header(_ columns: [Column]) {
        bytes.append(ASCII.openBrace)
        for (position, column) in columns.enumerated() {
            if position > 0 { bytes.append(delimiter) }
            key(column.name)
            if !column.fields.isEmpty { header(column.fields) }
        }
        bytes.append(ASCII.closeBrace)
    }

    private mutating func cells(_ row: JSONObject, _ columns: [Column]) {
        for (position, column) in columns.enumerated() {
            if position > 0 { bytes.append(delimiter) }
            let value = Self.value(row, column.name, near: position)
            if case .object(let nested) = value {
                cells(nested, column.fields)
            } else {
                primitive(value ?? .null)
            }
        }
    }

    /// The member of this name; rows of one table mostly keep one order, so its place is tried first.
    private static func value(_ row: JSONObject, _ name: String, near position: Int) -> JSONValue? {
        position < row.count && ExactText(row[position].key) == ExactText(name) ? row[position].value : row[name]
    }

    /// Section 9.5: only two members or more, since one would read no better than the nested form.
    private func keyedColumns(_ object: JSONObject) -> [Column]? {
        object.count >= 2 ? columns(of: object.lazy.map(\.value)) : nil
    }

    /// The columns of uniform objects, nil when they are not uniform.
    private func columns(of values: some Collection<JSONValue>) -> [Column]? {
        guard case .object(let first)? = values.first, !first.isEmpty else { return nil }
        for value in values {
            guard case .object(let object) = value, object.count == first.count else { return nil }
        }
        var columns: [Column] = []
        for (position, (name, sample)) in first.enumerated() {
            var column: [JSONValue] = []
            column.reserveCapacity(values.count)
            for case .object(let object) in values {
                guard let value = Self.value(object, name, near: position), value.isPrimitive == sample.isPrimitive
                else { return nil }
                if !sample.isPrimitive { column.append(value) }
            }
            if sample.isPrimitive {
                columns.append(Column(name: name, fields: []))
            } else if let fields = self.columns(of: column) {
                columns.append(Column(name: name, fields: fields))
            } else {
                return nil
            }
        }
        return columns
    }

    // MARK: Primitives, section 7

    private mutating func primitive(_ value: JSONValue) {
        switch value {
        case .null: bytes += "null".utf8
        case .bool(let flag): bytes += (flag ? "true" : "false").utf8
        // JSON's grammar of numbers is TOON's (section 4), so every text is read back as the number that it is.
        case .number(let number): numbers == .canonical ? bytes += TOONNumber.canonical(Array(number.text.utf8)) : bytes.append(contentsOf: number.text.utf8)
        case .string(var text):
            text.withUTF8 { buffer in
                if unsafe TOONText.needsQuotes(buffer, delimiter: delimiter) {
                    unsafe TOONText.quote(buffer, into: &bytes)
                } else {
                    unsafe bytes.append(contentsOf: buffer)
                }
            }
        case .array, .object:
            preconditionFailure("an array or object is no primitive")
        }
    }

    private mutating func key(_ name: String) {
        var name = name
        name.withUTF8 { buffer in
            if unsafe TOONText.isBareKey(buffer) {
                unsafe bytes.append(contentsOf: buffer)
            } else {
                unsafe TOONText.quote(buffer, into: &bytes)
            }
        }
    }
}

extension JSONValue {
    fileprivate var isPrimitive: Bool {
        switch self {
        case .array, .object: false
        default: true
        }
    }
}
