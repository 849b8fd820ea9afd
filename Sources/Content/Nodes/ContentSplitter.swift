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
    /// - Throws: `.invalid` for NUL in a text, nesting over `Limits.nestingDepth`, or too many nodes.
    /// - Complexity: O(size of the data).
    public static func split(_ data: JSONValue, hint: String?) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint)
        return SplitContent(format: found.format, nodes: try nodes(of: found.reading), hintNote: found.hintNote)
    }

    /// The same read and not split: one node at `root`, with the value that a structure has, the list of a table's rows, or the text
    /// as it is.
    ///
    /// - Throws: `.invalid` as `split` does.
    /// - Complexity: O(size of the data).
    public static func whole(_ data: JSONValue, hint: String?) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint)
        let (kind, value): (NodeKind, JSONValue) =
            switch found.reading {
            case .structure(let value): (value.objectValue == nil ? .primitive : .object, value)
            case .rows(let rows): (.primitive, .array(rows.map(JSONValue.object)))
            case .code(let text): (.codeBlock, .string(text))
            case .markdown(let text), .text(let text): (.paragraph, .string(text))
            }
        var collector = NodeCollector()
        try collector.add("root", kind, value)
        return SplitContent(format: found.format, nodes: collector.nodes, hintNote: found.hintNote)
    }

    /// Checks data that is stored without being split.
    /// - Throws: `.invalid` for NUL in a text or nesting over `Limits.nestingDepth`.
    public static func validate(_ data: JSONValue) throws(ContexError) { try checkData(data, level: 0) }

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
    }

    private static func read(_ data: JSONValue, hint: String?) throws(ContexError) -> Found {
        try checkData(data, level: 0)
        guard case .string(let text) = data else { return Found(format: .json, reading: .structure(data), hintNote: nil) }
        if text.utf8.allSatisfy(TextNodes.isSpace) { return Found(format: .text, reading: .text(text), hintNote: nil) }
        guard let hint, let wanted = ContentFormat(rawValue: hint.lowercased()) else {
            let (format, reading) = try detect(text)
            return Found(format: format, reading: try checked(reading), hintNote: nil)
        }
        let reading: Reading
        do throws(FormatError) {
            reading = try read(text, as: wanted)
        } catch {
            if error.reason == .limit { throw invalid("data as \(wanted.rawValue): \(error.description)") }
            let (format, reading) = try detect(text)
            return Found(
                format: format, reading: try checked(reading),
                hintNote: "The data does not fit data_format '\(wanted.rawValue)': \(error.description). It was read as \(format.rawValue).")
        }
        return Found(format: wanted, reading: try checked(reading), hintNote: nil)
    }

    /// The text of a format may spell NUL where its bytes hold none.
    private static func checked(_ reading: Reading) throws(ContexError) -> Reading {
        if case .structure(let value) = reading { try checkData(value, level: 0, maximumLevel: 2 * Limits.nestingDepth) }
        return reading
    }

    private static func read(_ text: String, as format: ContentFormat) throws(FormatError) -> Reading {
        switch format {
        case .json:
            do throws(JSONParseError) {
                return .structure(try JSONParser.parse(text: text))
            } catch {
                throw FormatError(.json, error.reason == .tooDeep ? .limit : .syntax, line: 0, error.description)
            }
        case .yaml: return .structure(try YAMLReader.value(text))
        case .toml: return .structure(try TOMLReader.value(text))
        case .xml: return .structure(try XMLReader.value(text))
        case .csv: return .rows(try CSVReader.rows(text))
        case .markdown: return .markdown(text)
        case .code: return .code(text)
        case .text: return .text(text)
        }
    }

    private static func nodes(of reading: Reading) throws(ContexError) -> [ContentNode] {
        switch reading {
        case .structure(let value): return try StructureNodes.nodes(of: value)
        case .rows(let rows):
            var collector = NodeCollector()
            for (index, row) in rows.enumerated() { try collector.add("row_\(index)", .row, .object(row)) }
            return collector.nodes
        case .markdown(let text): return try MarkdownNodes.nodes(of: text)
        case .code(let text): return try CodeBlocks.nodes(of: text)
        case .text(let text): return try TextNodes.nodes(of: text)
        }
    }

    // MARK: - Detection

    private static func detect(_ text: String) throws(ContexError) -> (ContentFormat, Reading) {
        do throws(FormatError) {
            return (.json, try read(text, as: .json))
        } catch {
            // So far into its depth it was JSON and nothing else.
            if error.reason == .limit { throw tooDeep }
        }
        let evidence = TextEvidence(text)
        if evidence.mayBeYAML, let documents = try? YAMLReader.documents(text), evidence.looksLikeYAML(documents) {
            return (.yaml, .structure(documents.count == 1 ? documents[0] : .array(documents)))
        }
        if evidence.mayBeTOML, let value = try? TOMLReader.value(text), value.objectValue?.isEmpty == false {
            return (.toml, .structure(value))
        }
        if evidence.mayBeXML, let value = try? XMLReader.value(text) { return (.xml, .structure(value)) }
        if evidence.isCSV, let rows = try? CSVReader.rows(text) { return (.csv, .rows(rows)) }
        if evidence.isCode { return (.code, .code(text)) }
        if evidence.isMarkdown { return (.markdown, .markdown(text)) }
        return (.text, .text(text))
    }

    // MARK: - Limits

    /// What the store refuses: NUL in any text, and depth that would make recursion over the value unsafe. (XML may come
    /// with twice the levels: each element can bring an array of its likes.)
    private static func checkData(_ value: JSONValue, level: Int, maximumLevel: Int = Limits.nestingDepth) throws(ContexError) {
        guard level <= maximumLevel else { throw tooDeep }
        switch value {
        case .string(let text): try checkText(text)
        case .array(let items):
            for item in items { try checkData(item, level: level + 1, maximumLevel: maximumLevel) }
        case .object(let members):
            for member in members {
                try checkText(member.key)
                try checkData(member.value, level: level + 1, maximumLevel: maximumLevel)
            }
        case .null, .bool, .number: break
        }
    }

    private static func checkText(_ text: String) throws(ContexError) {
        if text.utf8.contains(0) { throw invalid("data must not contain NUL characters") }
    }

    private static var tooDeep: ContexError { invalid("data is nested deeper than \(Limits.nestingDepth) levels") }

    private static func invalid(_ message: String) -> ContexError {
        .invalid(field: "data", kind: "value_error", message: "Value error, \(message)")
    }
}
