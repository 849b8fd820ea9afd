// From published data to nodes.
//
// Data that is not a string is JSON already. A string is read as its hint says; without a hint, or when the hint does
// not fit, by the first of these that accepts and succeeds (http-api.md 8.1, where the original was too eager narrowed):
//
//   json      it parses, scalars too
//   yaml      it loads as mapping or list and looks written as such (see `looksLikeYAML`)
//   toml      it parses and sets something
//   xml       it begins with < and is well-formed
//   csv       two lines or more of equally many fields, two at least, under a header that looks like one
//   code      #! or strong signs of statements, and no fence of Markdown
//   markdown  a line that begins with 1-6 # and a space, a fence, or two lines of a list
//   text      anything

public import Base

public enum ContentSplitter {
    /// Splits what was published under one key. An unknown hint is as good as none.
    ///
    /// - Throws: `.invalid` for what the store does not take: NUL in a text, too many levels, nodes or bytes in all nodes, too long names, paths
    ///   and numbers (`Limits`); `.unavailable` once cancelled.
    /// - Complexity: O(size of the data and of its nodes, which is bounded by it).
    public static func split(_ data: JSONValue, hint: String?, cancellation: Cancellation = .never) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint, cancellation)
        return SplitContent(format: found.format, nodes: try nodes(of: found, cancellation), hintNote: found.hintNote)
    }

    /// The same read and not split: one node at `root`, with the value that a structure has, the list of a table's rows, or the text
    /// as it is.
    ///
    /// - Throws: `.invalid` as `split` does.
    /// - Complexity: O(size of the data).
    public static func whole(_ data: JSONValue, hint: String?, cancellation: Cancellation = .never) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint, cancellation)
        let (kind, value): (NodeKind, JSONValue) =
            switch found.reading {
            case .structure(let value): (value.objectValue == nil ? .primitive : .object, value)
            case .rows(let rows): (.primitive, .array(rows.map(JSONValue.object)))
            case .code(let text): (.codeBlock, .string(text))
            case .markdown(let text), .text(let text): (.paragraph, .string(text))
            }
        var collector = NodeCollector(of: found.inputBytes, cancellation)
        try collector.add("root", kind, value)
        return SplitContent(format: found.format, nodes: collector.nodes, hintNote: found.hintNote)
    }

    /// Checks data that is stored without being split.
    /// - Throws: `.invalid` as `split` does.
    public static func validate(_ data: JSONValue) throws(ContexError) { try ContentBounds.check(data) }

    // MARK: - Reading

    /// A text read in some format, not yet cut into nodes.
    private enum Reading {
        case structure(JSONValue)
        case rows([JSONObject])
        case markdown(String)
        case code(String)
        case text(String)
    }

    /// What data was read as, and what to tell its publisher.
    private struct Found {
        let format: ContentFormat
        let reading: Reading
        let hintNote: String?
        /// Of the data, about.
        let inputBytes: Int
    }

    private static func read(_ data: JSONValue, hint: String?, _ cancellation: Cancellation) throws(ContexError) -> Found {
        try cancellation.check()
        let bytes = try ContentBounds.check(data)
        func found(_ format: ContentFormat, _ reading: Reading, _ note: String? = nil) throws(ContexError) -> Found {
            // The text of a format may spell what its bytes do not hold: NUL, levels.
            if case .structure(let value) = reading { try ContentBounds.check(value) }
            return Found(format: format, reading: reading, hintNote: note, inputBytes: bytes)
        }
        guard case .string(let text) = data else { return Found(format: .json, reading: .structure(data), hintNote: nil, inputBytes: bytes) }
        if text.utf8.allSatisfy(TextNodes.isSpace) { return try found(.text, .text(text)) }
        guard let hint, let wanted = ContentFormat(rawValue: hint.lowercased()) else {
            let (format, reading) = try detect(text, cancellation)
            return try found(format, reading)
        }
        let reading: Reading
        do throws(FormatError) {
            reading = try read(text, as: wanted, cancellation)
        } catch {
            try cancellation.check()
            if error.reason == .limit { throw ContentBounds.invalid("data as \(wanted.rawValue): \(error.description)") }
            let (format, reading) = try detect(text, cancellation)
            return try found(
                format, reading, "The data does not fit data_format '\(wanted.rawValue)': \(error.description). It was read as \(format.rawValue).")
        }
        return try found(wanted, reading)
    }

    private static func read(_ text: String, as format: ContentFormat, _ cancellation: Cancellation) throws(FormatError) -> Reading {
        switch format {
        case .json:
            do throws(JSONParseError) {
                return .structure(try JSONParser.parse(text: text, cancellation: cancellation))
            } catch {
                let reason: FormatError.Reason =
                    switch error.reason {
                    case .tooDeep, .tooLong: .limit
                    case .cancelled: .cancelled
                    default: .syntax
                    }
                throw FormatError(.json, reason, line: 0, error.description)
            }
        case .yaml: return .structure(try YAMLReader.value(text, cancellation: cancellation))
        case .toml: return .structure(try TOMLReader.value(text, cancellation: cancellation))
        case .xml: return .structure(try XMLReader.value(text, cancellation: cancellation))
        case .csv: return .rows(try CSVReader.rows(text, cancellation: cancellation))
        case .markdown:
            guard !MarkdownReader.isTooLarge(text) else {
                throw FormatError(.markdown, .limit, line: 0, "More than \(Limits.documentParts) lines and marks; publish it in parts under several keys")
            }
            return .markdown(text)
        case .code: return .code(text)
        case .text: return .text(text)
        }
    }

    private static func nodes(of found: Found, _ cancellation: Cancellation) throws(ContexError) -> [ContentNode] {
        var collector = NodeCollector(of: found.inputBytes, cancellation)
        switch found.reading {
        case .structure(let value): return try StructureNodes.nodes(of: value, collector)
        case .rows(let rows):
            for (index, row) in rows.enumerated() { try collector.add("row_\(index)", .row, .object(row)) }
            return collector.nodes
        case .markdown(let text): return try MarkdownNodes.nodes(of: text, collector)
        case .code(let text): return try CodeBlocks.nodes(of: text, collector)
        case .text(let text): return try TextNodes.nodes(of: text, collector)
        }
    }

    // MARK: - Detection

    private static func detect(_ text: String, _ cancellation: Cancellation) throws(ContexError) -> (ContentFormat, Reading) {
        do throws(FormatError) {
            return (.json, try read(text, as: .json, cancellation))
        } catch {
            try cancellation.check()
            // So far into its depth, or to one of its numbers, it was JSON and nothing else. (A number alone may be a text of digits.)
            let isContainer = text.utf8.first { !TextNodes.isSpace($0) }.map { "[{".utf8.contains($0) } == true
            if error.reason == .limit, isContainer { throw ContentBounds.invalid("data as json: \(error.description)") }
        }
        let evidence = TextEvidence(text, cancellation)
        try cancellation.check()
        if evidence.mayBeYAML, let documents = try? YAMLReader.documents(text, cancellation: cancellation), evidence.looksLikeYAML(documents) {
            return (.yaml, .structure(documents.count == 1 ? documents[0] : .array(documents)))
        }
        try cancellation.check()
        if evidence.mayBeTOML, let value = try? TOMLReader.value(text, cancellation: cancellation), value.objectValue?.isEmpty == false {
            return (.toml, .structure(value))
        }
        try cancellation.check()
        if evidence.mayBeXML, let value = try? XMLReader.value(text, cancellation: cancellation) { return (.xml, .structure(value)) }
        try cancellation.check()
        if evidence.isCSV, let rows = try? CSVReader.rows(text, cancellation: cancellation) { return (.csv, .rows(rows)) }
        try cancellation.check()
        if evidence.isCode { return (.code, .code(text)) }
        if evidence.isMarkdown, !MarkdownReader.isTooLarge(text) { return (.markdown, .markdown(text)) }
        return (.text, .text(text))
    }
}
