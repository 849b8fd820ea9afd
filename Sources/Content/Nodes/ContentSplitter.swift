// From published data to nodes.
//
// Data that is not a string is JSON already. A string is read as its hint says, else as the name of its key says (`KeyHint`), else, or
// when that does not fit, by the first of these that accepts and succeeds (http-api.md 8.1, where the original was too eager narrowed):
//
//   json      it parses, scalars too; else as programs write it (`JSONDialect`), objects and arrays only
//   (log      a log is text, whatever its lines look like)
//   yaml      it loads as mapping or list and looks written as such (see `looksLikeYAML`)
//   toml      it parses and sets something
//   xml       it begins with < and is well-formed
//   csv       two lines or more of equally many fields, two at least, under a header that looks like one
//   ini       it looks like settings, parses and has a section with a key; env, properties: variables, dotted keys only
//   code      #! or strong signs of statements or settings, and no fence of Markdown
//   markdown  a line that begins with 1-6 # and a space, a fence, or two lines of a list
//   text      anything
//
// A stored format read again as a hint gives the same nodes: past versions are split anew. So nothing but the text decides how a format is read.

public import Base

public enum ContentSplitter {
    /// Splits what was published under one key. An unknown hint is as good as none.
    ///
    /// - Parameter key: the data key, or the name of a file: what its ending says counts where the hint says nothing.
    /// - Throws: `.invalid` for what the store does not take: NUL in a text, too many levels, nodes or bytes in all nodes, too long names, paths
    ///   and numbers (`Limits`); `.unavailable` once cancelled.
    /// - Complexity: O(size of the data and of its nodes, which is bounded by it).
    public static func split(
        _ data: JSONValue, hint: String?, key: String? = nil, cancellation: Cancellation = .never
    ) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint, key: key, cancellation)
        var collector = NodeCollector(of: found.inputBytes, cancellation)
        var note = found.note
        switch found.reading {
        case .structure(let value) where NotebookNodes.isNotebook(value): try NotebookNodes.add(value, to: &collector)
        case .structure(let value): try StructureNodes.add(value, to: &collector)
        case .rows(let rows): for (index, row) in rows.enumerated() { try collector.add("row_\(index)", .row, .object(row)) }
        case .markdown(let text): note = try MarkdownNodes.add(document: text, to: &collector, cancellation) ?? note
        case .code(let text): try CodeBlocks.add(text, to: &collector)
        case .text(let text): try TextNodes.add(text, to: &collector)
        }
        return SplitContent(format: found.format, nodes: collector.nodes, note: note)
    }

    /// The same read and not split: one node at `root`, with the value that a structure has, the list of a table's rows, or the text
    /// as it is.
    ///
    /// - Throws: `.invalid` as `split` does.
    /// - Complexity: O(size of the data).
    public static func whole(
        _ data: JSONValue, hint: String?, key: String? = nil, cancellation: Cancellation = .never
    ) throws(ContexError) -> SplitContent {
        let found = try read(data, hint: hint, key: key, cancellation)
        let (kind, value): (NodeKind, JSONValue) =
            switch found.reading {
            case .structure(let value): (value.objectValue == nil ? .primitive : .object, value)
            case .rows(let rows): (.primitive, .array(rows.map(JSONValue.object)))
            case .code(let text): (.codeBlock, .string(text))
            case .markdown(let text), .text(let text): (.paragraph, .string(text))
            }
        var collector = NodeCollector(of: found.inputBytes, cancellation)
        try collector.add("root", kind, value)
        return SplitContent(format: found.format, nodes: collector.nodes, note: found.note)
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
        let note: String?
        /// Of the data, about.
        let inputBytes: Int
    }

    /// A format that data is named as, and the words for where it is named so.
    private struct Claim {
        let format: ContentFormat
        let words: String
    }

    private static func read(_ data: JSONValue, hint: String?, key: String?, _ cancellation: Cancellation) throws(ContexError) -> Found {
        try cancellation.check()
        let bytes = try ContentBounds.check(data)
        func found(_ format: ContentFormat, _ reading: Reading, _ note: String? = nil) throws(ContexError) -> Found {
            // The text of a format may spell what its bytes do not hold: NUL, levels.
            if case .structure(let value) = reading { try ContentBounds.check(value) }
            return Found(format: format, reading: reading, note: note, inputBytes: bytes)
        }
        guard case .string(let data) = data else { return Found(format: .json, reading: .structure(data), note: nil, inputBytes: bytes) }
        let text = data.unicodeScalars.first == "\u{FEFF}" ? String(data.unicodeScalars.dropFirst()) : data
        if text.utf8.allSatisfy(TextNodes.isSpace) { return try found(.text, .text(text)) }
        let keyHint = key.flatMap(KeyHint.of)
        var claims: [Claim] = []
        if let hint, let format = ContentFormat(named: hint) { claims.append(Claim(format: format, words: "data_format '\(hint)'")) }
        if case .format(let format) = keyHint, claims.first?.format != format {
            claims.append(Claim(format: format, words: "its key, which names it \(format.rawValue)"))
        }
        var misfit: String? = nil
        func note(_ format: ContentFormat) -> String? { misfit.map { "\($0) It was read as \(format.rawValue)." } }
        for claim in claims {
            let result: (reading: Reading, note: String?)
            do throws(FormatError) {
                result = try read(text, as: claim.format, cancellation)
            } catch {
                try cancellation.check()
                if error.reason == .limit { throw ContentBounds.invalid("data as \(claim.format.rawValue): \(error.description)") }
                misfit = misfit ?? "The data does not fit \(claim.words): \(error.description)."
                if error.reason == .nothingSet { return try found(.code, .code(text), note(.code)) }
                continue
            }
            return try found(claim.format, result.reading, note(claim.format) ?? result.note)
        }
        // What was named a notation is no prose, however much its comments look like headings. (JSON is what clients say of anything.)
        let isProse = keyHint != .settings && claims.allSatisfy { $0.format == .json }
        let (format, reading, ownNote) = try detect(text, mayBeProse: isProse, cancellation)
        return try found(format, reading, note(format) ?? ownNote)
    }

    private static func read(
        _ text: String, as format: ContentFormat, _ cancellation: Cancellation
    ) throws(FormatError) -> (reading: Reading, note: String?) {
        func settings(_ value: JSONValue) throws(FormatError) -> (reading: Reading, note: String?) {
            try CommentedOut.check(value, of: text, as: format, cancellation)
            return (.structure(value), nil)
        }
        switch format {
        case .json: return (.structure(try json(text, isNamed: true, cancellation)), nil)
        case .yaml: return try settings(YAMLReader.value(text, cancellation: cancellation))
        case .toml: return try settings(TOMLReader.value(text, cancellation: cancellation))
        case .xml: return (.structure(try XMLReader.value(text, cancellation: cancellation)), nil)
        case .ini: return try settings(INIReader.value(text, cancellation: cancellation))
        case .properties: return try settings(PropertiesReader.value(text, cancellation: cancellation))
        case .env: return try settings(EnvironmentReader.value(text, cancellation: cancellation))
        case .csv:
            let (rows, note) = try TableText(text, cancellation).rows(cancellation)
            return (.rows(rows), note)
        case .markdown:
            guard !MarkdownReader.isTooLarge(text) else {
                throw FormatError(.markdown, .limit, line: 0, "More than \(Limits.documentParts) lines and marks; publish it in parts under several keys")
            }
            return (.markdown(text), nil)
        case .code: return (.code(text), nil)
        case .text: return (.text(text), nil)
        }
    }

    /// As RFC 8259 has it, else as programs write it; what the first says of a text that is neither is what a reader expects to
    /// hear, unless it was the second up to the fault.
    /// - Parameter isNamed: somebody says that it is JSON.
    private static func json(_ text: String, isNamed: Bool, _ cancellation: Cancellation) throws(FormatError) -> JSONValue {
        do throws(JSONParseError) {
            return try JSONParser.parse(text: text, cancellation: cancellation)
        } catch {
            let failure = FormatError(json: error)
            if failure.reason == .cancelled { throw failure }
            // So far into its depth, or to one of its numbers, it was JSON and nothing else. (A number alone may be a text of digits.)
            let isContainer = text.utf8.first { !TextNodes.isSpace($0) }.map { "[{".utf8.contains($0) } == true
            if failure.reason == .limit {
                throw isContainer || isNamed ? failure : FormatError(.json, line: 0, failure.message)
            }
            do throws(FormatError) {
                return try JSONDialect.value(text, cancellation)
            } catch {
                // A line is known where the text was JSON as programs write it up to there.
                throw error.reason == .syntax && error.line == 0 ? failure : error
            }
        }
    }

    // MARK: - Detection

    private static func detect(
        _ text: String, mayBeProse: Bool, _ cancellation: Cancellation
    ) throws(ContexError) -> (ContentFormat, Reading, note: String?) {
        do throws(FormatError) {
            return (.json, .structure(try json(text, isNamed: false, cancellation)), nil)
        } catch {
            try cancellation.check()
            if error.reason == .limit { throw ContentBounds.invalid("data as json: \(error.description)") }
        }
        let evidence = TextEvidence(text, cancellation)
        try cancellation.check()
        if evidence.isLog { return (.text, .text(text), nil) }
        /// What is settings in a notation or, when they all stand in comments, code.
        func settings(_ value: JSONValue, _ format: ContentFormat) throws(ContexError) -> (ContentFormat, Reading, note: String?) {
            do throws(FormatError) {
                try CommentedOut.check(value, of: text, as: format, cancellation)
                return (format, .structure(value), nil)
            } catch {
                try cancellation.check()
                return (.code, .code(text), "It looks like \(format.rawValue). \(error.description). It was read as code.")
            }
        }
        if evidence.mayBeYAML, let documents = try? YAMLReader.documents(text, cancellation: cancellation), evidence.looksLikeYAML(documents) {
            return try settings(YAMLReader.joined(documents), .yaml)
        }
        try cancellation.check()
        if evidence.mayBeTOML, let value = try? TOMLReader.value(text, cancellation: cancellation), value.objectValue?.isEmpty == false {
            return try settings(value, .toml)
        }
        try cancellation.check()
        if evidence.mayBeXML, let value = try? XMLReader.value(text, cancellation: cancellation) { return (.xml, .structure(value), nil) }
        try cancellation.check()
        if let table = evidence.table, let (rows, note) = try? table.rows(cancellation) { return (.csv, .rows(rows), note) }
        try cancellation.check()
        if let format = evidence.settings {
            do throws(FormatError) {
                return (format, try read(text, as: format, cancellation).reading, nil)
            } catch {
                try cancellation.check()
                return (.code, .code(text), "It looks like \(format.rawValue) and does not fit as a whole: \(error.description). It was read as code.")
            }
        }
        try cancellation.check()
        if evidence.isCode || evidence.isSettings || evidence.isOnlyComments && !mayBeProse { return (.code, .code(text), nil) }
        if evidence.isMarkdown, !mayBeProse || !MarkdownReader.isTooLarge(text) {
            return mayBeProse ? (.markdown, .markdown(text), nil) : (.code, .code(text), nil)
        }
        return (.text, .text(text), nil)
    }
}
