// CSV by RFC 4180, as Python's `csv` reads it: a quote inside an unquoted field is a plain character, blank lines are
// passed over, any of LF, CR LF and CR ends a record. The fixtures are csv-spectrum's.

public import Base

public enum CSVReader {
    /// A record and the line on which it begins.
    struct Record {
        var fields: [String] = []
        var line: Int
    }

    /// The rows as objects: column name -> text. The first record names the columns; a nameless column is
    /// `column_<n>`, a repeated name gets `_2`, `_3`. A short row lacks its last columns.
    ///
    /// - Complexity: O(*n*).
    public static func rows(_ text: String) throws(FormatError) -> [JSONObject] {
        let records = try records(text)
        guard let header = records.first else { throw FormatError(.csv, line: 1, "No header line") }
        var columns = columnNames(header.fields)
        return records.dropFirst().map { record in
            while columns.count < record.fields.count { columns.append("column_\(columns.count + 1)") }
            return JSONObject(zip(columns, record.fields).map { ($0, .string($1)) })
        }
    }

    private static func columnNames(_ fields: [String]) -> [String] {
        var seen = JSONObject()
        var names: [String] = []
        for (index, field) in fields.enumerated() {
            let base = field.isEmpty ? "column_\(index + 1)" : field
            var name = base
            var number = 1
            while seen[name] != nil {
                number += 1
                name = "\(base)_\(number)"
            }
            seen[name] = .null
            names.append(name)
        }
        return names
    }

    /// - Throws: for a quoted field that never ends, and for text after its closing quote.
    static func records(_ text: String) throws(FormatError) -> [Record] {
        let bytes = Array(text.utf8)
        var position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        var records: [Record] = []
        var record = Record(line: 1)
        var field: [UInt8] = []
        var isQuoted = false

        func isEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
        func closeField() {
            record.fields.append(String(decoding: field, as: UTF8.self))
            field.removeAll(keepingCapacity: true)
        }
        func closeRecord() {
            let isBlank = record.fields.isEmpty && field.isEmpty && !isQuoted
            if !isBlank {
                closeField()
                records.append(record)
            }
            isQuoted = false
            record = Record(line: line)
        }

        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\"") where field.isEmpty && !isQuoted:
                isQuoted = true
                let start = line
                position += 1
                while true {
                    guard position < bytes.count else { throw FormatError(.csv, line: start, "A quoted field has no closing quote") }
                    let byte = bytes[position]
                    position += 1
                    if byte == UInt8(ascii: "\"") {
                        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { break }
                        position += 1
                    } else if byte == 0x0A {
                        line += 1
                    }
                    field.append(byte)
                }
                if position < bytes.count, bytes[position] != UInt8(ascii: ","), !isEnd(bytes[position]) {
                    throw FormatError(.csv, line: line, "Text after the closing quote of a field")
                }
            case UInt8(ascii: ","):
                closeField()
                isQuoted = false
                position += 1
            case 0x0A, 0x0D:
                position += 1
                if byte == 0x0D, position < bytes.count, bytes[position] == 0x0A { position += 1 }
                line += 1
                closeRecord()
            default:
                field.append(byte)
                position += 1
            }
        }
        closeRecord()
        return records
    }
}
