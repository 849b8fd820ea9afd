// CSV by RFC 4180. A table is an array of objects, or the only such array in an object (the matches of a query): a row
// for each, a column for each key in the order of first sight, nested values as JSON, null and absent as an empty field.
// Anything else becomes two columns, `path` and `value`, a row for each leaf.

internal import Base

enum CSVWriter {
    static func text(_ value: JSONValue) -> String {
        if let rows = table(value) {
            var columns = JSONObject()
            for row in rows { for member in row { columns[member.key] = .null } }
            if !columns.isEmpty {
                let lines = rows.map { row in columns.keys.map { cell(row[$0] ?? .null) } }
                return text([columns.keys] + lines)
            }
        }
        var lines = [["path", "value"]]
        leaves(value, path: "", into: &lines)
        return text(lines)
    }

    private static func table(_ value: JSONValue) -> [JSONObject]? {
        if let items = value.objectItems { return items }
        guard case .object(let members) = value else { return nil }
        let tables = members.compactMap { $0.value.objectItems }
        return tables.count == 1 ? tables[0] : nil
    }

    private static func leaves(_ value: JSONValue, path: String, into lines: inout [[String]]) {
        switch value {
        case .array(let items) where !items.isEmpty:
            for (index, item) in items.enumerated() { leaves(item, path: "\(path)[\(index)]", into: &lines) }
        case .object(let members) where !members.isEmpty:
            for member in members { leaves(member.value, path: path.isEmpty ? member.key : "\(path).\(member.key)", into: &lines) }
        default:
            lines.append([path.isEmpty ? "value" : path, cell(value)])
        }
    }

    private static func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        default: JSONPrinter.text(value)
        }
    }

    private static func text(_ lines: [[String]]) -> String {
        var out = ""
        for line in lines {
            // A single empty field would be a blank line, which readers pass over.
            out += line == [""] ? "\"\"" : line.map(field).joined(separator: ",")
            out += "\r\n"
        }
        return out
    }

    private static func field(_ text: String) -> String {
        let bytes = text.utf8
        // The separators of other tables too: readers guess (ours, spreadsheets).
        let isSpecial = bytes.contains { ",;\t|\"\n\r".utf8.contains($0) }
        // Some readers trim white space, and a byte order mark at the start would be taken for the file's own.
        let isFragile = bytes.first == 0x20 || bytes.last == 0x20 || bytes.first == 0xEF
        guard isSpecial || isFragile else { return text }
        var out = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { out += "\"" }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }
}
