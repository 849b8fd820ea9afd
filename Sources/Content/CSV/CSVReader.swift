// Tables as text. By RFC 4180 as Python's `csv` reads it: a quote inside an unquoted field is a plain character, blank lines are passed
// over, any of LF, CR LF and CR ends a record. What stands between the fields is found out (`TableText`), since half the world writes
// semicolons or tabs. The fixtures are csv-spectrum's, and what common programs write (FormatSampleTests).

public import Base

public enum CSVReader {
    /// The rows as objects: column name -> text. The first record names the columns; a nameless column is `column_<n>`, a repeated
    /// name gets `_2`, `_3`. A short row is empty in its last columns, what a long one has beyond them stands under `column_<n>`.
    ///
    /// - Complexity: O(*n*), as names are repeated in each row within `Limits.expandedBytes`.
    public static func rows(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> [JSONObject] {
        try TableText(text, cancellation).rows(cancellation).rows
    }
}

/// A text cut into records of fields, the header among them.
struct TableText {
    /// A record and the line on which it begins.
    struct Record {
        var fields: [String] = []
        var line: Int
    }

    let separator: UInt8
    let records: [Record]
    /// Lines of comments in front of the table, which are no part of it.
    private let comments: [String]
    /// The first record is the header because it stands under comments, not because it looks like one.
    let isHeaderUnsure: Bool
    private let inputBytes: Int

    /// - Throws: for a quoted field that never ends, for text after its closing quote, and for more than `Limits.tableCells` fields.
    init(_ text: String, _ cancellation: Cancellation) throws(FormatError) {
        let bytes = Array(text.utf8)
        inputBytes = bytes.count
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        if let named = TableSeparator.named(in: bytes, from: start) {
            (separator, start, line) = (named.separator, named.end, 2)
        } else if let table = try Self.underComments(bytes, from: start, cancellation) {
            (separator, records, comments, isHeaderUnsure) = (0x09, table.records, table.comments, table.isHeaderUnsure)
            return
        } else {
            separator = TableSeparator.chosen(for: bytes, from: start)
        }
        (comments, isHeaderUnsure) = ([], false)
        do throws(FormatError) {
            records = try Self.records(bytes, from: start, line: line, separator: separator, escapes: false, cancellation)
        } catch {
            // MySQL and its kin write \" for a quote, which RFC 4180 reads as the end of the field with text after it.
            guard error.reason == .syntax, bytes.contains(UInt8(ascii: "\\")),
                let escaped = try? Self.records(bytes, from: start, line: line, separator: separator, escapes: true, cancellation)
            else { throw error }
            records = escaped
        }
    }

    /// A table with tabs under lines that begin with #, as databases of time zones and genomes have it. Its header is the last of these lines when
    /// that names as many columns as the longest row has, else the first row, when all are equally long.
    ///
    /// - Returns: nil for a table without comments, or with a single one that is the header as it is.
    private static func underComments(
        _ bytes: [UInt8], from start: Int, _ cancellation: Cancellation
    ) throws(FormatError) -> (records: [Record], comments: [String], isHeaderUnsure: Bool)? {
        var comments: [Range<Int>] = []
        var line = 0
        var begin = bytes.count
        for range in TextLines(bytes, from: start) {
            line += 1
            guard let first = bytes[range].first(where: { !TextNodes.isSpace($0) }) else { continue }
            guard first == UInt8(ascii: "#") else {
                begin = range.lowerBound
                break
            }
            comments.append(range)
        }
        guard let last = comments.last, begin < bytes.count, TableSeparator.chosen(for: bytes, from: begin) == 0x09 else { return nil }
        // What is no table shall be refused for the whole of it.
        guard let rows = try? records(bytes, from: begin, line: line, separator: 0x09, escapes: false, cancellation) else {
            try cancellation.check(.csv)
            return nil
        }
        guard let width = rows.map(\.fields.count).max(), width >= 2, rows.allSatisfy({ $0.fields.count >= 2 }) else { return nil }
        if comments.count == 1, bytes[last].count(where: { $0 == 0x09 }) == width - 1 { return nil }
        let named = TextNodes.trimmedBytes(bytes[last].drop { $0 == UInt8(ascii: "#") || TextNodes.isSpace($0) })
            .split(separator: 0x09).map(TextNodes.trimmed).filter { !$0.isEmpty }
        if named.count == width {
            let others = comments.dropLast()
            return ([Record(fields: named, line: line - 1)] + rows, texts(others, of: bytes), false)
        }
        guard rows.allSatisfy({ $0.fields.count == width }) else { return nil }
        return (rows, texts(comments[...], of: bytes), true)
    }

    private static func texts(_ lines: ArraySlice<Range<Int>>, of bytes: [UInt8]) -> [String] {
        lines.map { TextNodes.trimmed(bytes[$0].drop { $0 == UInt8(ascii: "#") || TextNodes.isSpace($0) }) }.filter { !$0.isEmpty }
    }

    // MARK: - Rows

    /// - Returns: the rows, and a sentence about those that are not as long as the header.
    func rows(_ cancellation: Cancellation) throws(FormatError) -> (rows: [JSONObject], note: String?) {
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
        let width = columns.count
        guard width * (records.count - 1) <= Limits.tableCells else {
            throw FormatError(
                .csv, .limit, line: header.line,
                "\(width) columns in \(records.count - 1) rows are more than \(Limits.tableCells) fields; publish it in parts under several keys")
        }
        let bytesMax = Limits.expandedBytes(of: inputBytes)
        var bytes = inputBytes
        var short = 0, long = 0, firstRagged = 0
        var rows: [JSONObject] = []
        for record in records.dropFirst() {
            try cancellation.check(.csv)
            while columns.count < record.fields.count { try addColumn("") }
            bytes += nameBytes[max(width, record.fields.count)]
            guard bytes <= bytesMax else {
                throw FormatError(.csv, .limit, line: record.line, "With the names of their columns the rows come to more than \(bytesMax) bytes")
            }
            var row = JSONObject(zip(columns, record.fields).map { ($0, .string($1)) })
            for column in columns[..<width].dropFirst(record.fields.count) { row[column] = .string("") }
            rows.append(row)
            if record.fields.count == width { continue }
            if firstRagged == 0 { firstRagged = record.line }
            if record.fields.count < width { short += 1 } else { long += 1 }
        }
        let notes = [commentsNote, Self.note(width: width, short: short, long: long, line: firstRagged)].compactMap { $0 }
        return (rows, notes.isEmpty ? nil : notes.joined(separator: " "))
    }

    private var commentsNote: String? {
        guard !comments.isEmpty else { return nil }
        return "The comments in front of the table were passed over: \(ContentBounds.shown(comments.joined(separator: " ")))."
    }

    private static func note(width: Int, short: Int, long: Int, line: Int) -> String? {
        guard short + long > 0 else { return nil }
        var parts: [String] = []
        if short > 0 { parts.append("\(short) \(short == 1 ? "row has" : "rows have") fewer, what is missing is empty") }
        if long > 0 { parts.append("\(long) \(long == 1 ? "row has" : "rows have") more, the rest is named column_\(width + 1) and so on") }
        return "Not every row has the \(width) fields of the header (the first on line \(line)): \(parts.joined(separator: "; "))."
    }

    // MARK: - Records

    /// - Parameter escapes: in a quoted field a backslash keeps the quote, the backslash or the line end after it.
    private static func records(
        _ bytes: [UInt8], from start: Int, line: Int, separator: UInt8, escapes: Bool, _ cancellation: Cancellation
    ) throws(FormatError) -> [Record] {
        var position = start
        var line = line
        var records: [Record] = []
        var record = Record(line: line)
        var field: [UInt8] = []
        var isQuoted = false
        var isBlankSoFar = true
        var cells = 0

        func isEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
        func closeField() throws(FormatError) {
            cells += 1
            guard cells <= Limits.tableCells else {
                throw FormatError(.csv, .limit, line: line, "More than \(Limits.tableCells) fields in all; publish it in parts under several keys")
            }
            try cancellation.check(.csv)
            record.fields.append(String(decoding: field, as: UTF8.self))
            field.removeAll(keepingCapacity: true)
            isBlankSoFar = true
        }
        func closeRecord() throws(FormatError) {
            let isBlank = record.fields.isEmpty && field.isEmpty && !isQuoted
            if !isBlank {
                try closeField()
                records.append(record)
            }
            isQuoted = false
            record = Record(line: line)
        }

        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            // Some programs line their columns up with blanks before the quote.
            case UInt8(ascii: "\"") where !isQuoted && isBlankSoFar:
                isQuoted = true
                field.removeAll(keepingCapacity: true)
                let start = line
                position += 1
                while true {
                    guard position < bytes.count else { throw FormatError(.csv, line: start, "A quoted field has no closing quote") }
                    let byte = bytes[position]
                    position += 1
                    if byte == UInt8(ascii: "\"") {
                        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { break }
                        position += 1
                    } else if escapes, byte == UInt8(ascii: "\\"), position < bytes.count, isEscaped(bytes[position]) {
                        field.append(bytes[position])
                        if bytes[position] == 0x0A { line += 1 }
                        position += 1
                        continue
                    } else if byte == 0x0A {
                        line += 1
                    }
                    field.append(byte)
                }
                while position < bytes.count, bytes[position] == 0x20, separator != 0x20 { position += 1 }
                if position < bytes.count, bytes[position] != separator, !isEnd(bytes[position]) {
                    throw FormatError(.csv, line: line, "Text after the closing quote of a field")
                }
            case separator:
                try closeField()
                isQuoted = false
                position += 1
            case 0x0A, 0x0D:
                position += 1
                if byte == 0x0D, position < bytes.count, bytes[position] == 0x0A { position += 1 }
                line += 1
                try closeRecord()
            default:
                field.append(byte)
                if byte != 0x20 { isBlankSoFar = false }
                position += 1
            }
        }
        try closeRecord()
        return records
    }

    private static func isEscaped(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x0A }
}
