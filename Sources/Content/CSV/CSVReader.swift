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
    /// - Complexity: O(*n*), as names are repeated in each row within `Limits.expandedBytes`.
    public static func rows(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> [JSONObject] {
        let records = try records(text, cancellation)
        guard let header = records.first else { throw FormatError(.csv, line: 1, "No header line") }
        var names = UniqueNames(mark: "_")
        var columns: [String] = []
        /// Bytes of the names of the first columns: place -> all before it.
        var nameBytes = [0]
        func addColumn(_ name: String) throws(FormatError) {
            guard columns.count < Limits.tableColumns else {
                throw FormatError(.csv, .limit, line: header.line, "More than \(Limits.tableColumns) columns")
            }
            guard name.utf8.count <= Limits.contentNameBytes else {
                throw FormatError(.csv, .limit, line: header.line, "The name of column \(columns.count + 1) has more than \(Limits.contentNameBytes) bytes")
            }
            columns.append(names.unique(name.isEmpty ? "column_\(columns.count + 1)" : name))
            nameBytes.append(nameBytes[columns.count - 1] + columns[columns.count - 1].utf8.count + 6)
        }
        for field in header.fields { try addColumn(field) }
        let bytesMax = Limits.expandedBytes(of: text.utf8.count)
        var bytes = text.utf8.count
        var rows: [JSONObject] = []
        for record in records.dropFirst() {
            try cancellation.check(.csv)
            while columns.count < record.fields.count { try addColumn("") }
            bytes += nameBytes[record.fields.count]
            guard bytes <= bytesMax else {
                throw FormatError(.csv, .limit, line: record.line, "With the names of their columns the rows come to more than \(bytesMax) bytes")
            }
            rows.append(JSONObject(zip(columns, record.fields).map { ($0, .string($1)) }))
        }
        return rows
    }

    /// - Throws: for a quoted field that never ends, for text after its closing quote, and for more than `Limits.tableCells` fields.
    static func records(_ text: String, _ cancellation: Cancellation = .never) throws(FormatError) -> [Record] {
        let bytes = Array(text.utf8)
        var position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        var records: [Record] = []
        var record = Record(line: 1)
        var field: [UInt8] = []
        var isQuoted = false
        var fields = 0

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
                fields += 1
                try cancellation.check(.csv)
                guard fields <= Limits.tableCells else {
                    throw FormatError(.csv, .limit, line: line, "More than \(Limits.tableCells) fields in all; publish it in parts under several keys")
                }
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
