internal import Base
internal import Content
internal import TestSupport

extension FuzzTargets {
    static let contents: [FuzzTarget] = [json, jsonDialect, yaml, toml, csv, xml, markdown, settings, split, keys, responses, slowContent]

    static let json = FuzzTarget("json", "what parses is printed in every style so that it parses to the same; errors lie inside the input") { input in
        let value: JSONValue
        do throws(JSONParseError) {
            value = try JSONParser.parse(input)
        } catch {
            try require((0...input.count).contains(error.offset), "error at \(error.offset) of \(input.count) bytes")
            try require(!error.message.isEmpty, "an error without a message")
            return
        }
        try require(depth(value) <= Limits.nestingDepth, "nested \(depth(value)) levels deep")
        for style in [JSONStyle.compact, .python, .pretty2, .pretty2UTF8] {
            try requireReads(JSONPrinter.bytes(value, style: style), as: value, "\(style)")
        }
        let again = JSONPrinter.bytes(value)
        try require(try JSONPrinter.bytes(JSONParser.parse(again)) == again, "printing twice gives other bytes")
    }

    static let yaml = FuzzTarget(
        "yaml", "what is read is valid JSON, written as YAML it reads back to the same",
        seeds: texts("a: 1\nb: [x, 'y', {c: ~}]\n", "&a [*a]", "? a\n: |\n  b\n", "<<: {a: 0x1F}\nb: .5e+3\n---\n- 2026-01-01\n")
    ) { input in
        let value: JSONValue
        do throws(FormatError) {
            value = try YAMLReader.value(String(decoding: input, as: UTF8.self))
        } catch {
            try requireWords(error)
            return
        }
        try requireJSON(value)
        guard depth(value) <= Limits.nestingDepth, !holdsUnwritable(value), !isBeyondYams(value) else { return }
        let text = String(decoding: try ResponseEncoder.encode(value, as: .yaml), as: UTF8.self)
        let back = try YAMLReader.value(text)
        try require(sameButForNumberTexts(back, value), "written as \(text) it reads back as \(JSONPrinter.text(back)), not \(JSONPrinter.text(value))")
    }

    static let toml = FuzzTarget(
        "toml", "what is read is a valid JSON object, written as TOML it reads back to the same",
        seeds: texts("a = 1\n[b.c]\nd = [1, 2.5e3, {x = 'y'}]\n[[e]]\nf = 1979-05-27 07:32:00Z\n", "\"k\\u00e9\" = \"\"\"\n a\\\n  b\"\"\"\"\"\n")
    ) { input in
        let value: JSONValue
        do throws(FormatError) {
            value = try TOMLReader.value(bytes: input)
        } catch {
            try requireWords(error)
            return
        }
        try require(value.objectValue != nil, "a document that is no table")
        try requireJSON(value)
        try require(depth(value) <= Limits.nestingDepth, "nested \(depth(value)) levels deep")
        let written = try ResponseEncoder.encode(value, as: .toml)
        let back = try TOMLReader.value(bytes: written)
        try require(
            sameButForOrder(back, value),
            "written as \(String(decoding: written, as: UTF8.self)) it reads back as \(JSONPrinter.text(back)), not \(JSONPrinter.text(value))")
    }

    static let jsonDialect = FuzzTarget(
        "json-dialect", "what RFC 8259 reads is read the same; what is read besides is valid JSON",
        seeds: texts("// c\n{a: 1, 'b': [.5, +0x1F, NaN,], /* d */}\n", "{\"a\":1}\n{\"b\":2}\n", "\u{FEFF}[1, 2,]\u{1E}{}", "{\"a\\\nb\": '\\x41\\''}")
    ) { input in
        guard let text = String(validating: input, as: UTF8.self) else { return }
        let content: SplitContent
        do throws(ContexError) {
            content = try ContentSplitter.whole(.string(text), hint: "json")
        } catch {
            try require(error.category == .invalid && !error.message.isEmpty, "refused as \(error)")
            return
        }
        if let strict = try? JSONParser.parse(input), content.format == .json { try require(content.nodes.first?.value == strict, "read otherwise") }
        for node in content.nodes { try requireJSON(node.value) }
    }

    static let csv = FuzzTarget(
        "csv", "rows have texts only, all as many as the header has or more, no more of them than separators allow",
        seeds: texts("a,b\n1,\"2\"\"\n3\"\r\n\n,,,\n", "a,a,\n1,2,3,4\n", "sep=;\na;b\n1,5;2\n", "a\tb\n\"x \\\" y\"\t2\n", "a|b|c\n1\n")
    ) { input in
        let rows: [JSONObject]
        do throws(FormatError) {
            rows = try CSVReader.rows(String(decoding: input, as: UTF8.self))
        } catch {
            try requireWords(error)
            return
        }
        try require(rows.count <= input.count, "\(rows.count) rows of \(input.count) bytes")
        let longest = rows.reduce(0) { max($0, $1.count) }
        try require(longest <= input.count + 1, "\(longest) fields of \(input.count) bytes")
        for row in rows {
            for member in row { try require(member.value.stringValue != nil && !member.key.isEmpty, "a field that is no text, or has no name") }
        }
    }

    static let settings = FuzzTarget(
        "settings", "ini, properties and env give an object of texts and flags, valid as JSON, no larger than the text",
        seeds: texts(
            "\u{0}[a \"b\"]\n\tc = d\n\t e\n; f\ng\n[a]\nc = \"x\"\n", "\u{1}a.b.c = 1\\\n  2\n! c\nd\\u00e9:e\n",
            "\u{2}export A=\"b\\n\n\" # c\nD='e'\nF\n")
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte() % 3
        let text = reader.text
        let value: JSONValue
        do throws(FormatError) {
            value = switch choice {
            case 0: try INIReader.value(text)
            case 1: try PropertiesReader.value(text)
            default: try EnvironmentReader.value(text)
            }
        } catch {
            try requireWords(error)
            return
        }
        try require(value.objectValue != nil && depth(value) <= 4, "no object, or one of \(depth(value)) levels")
        try requireJSON(value)
        // An empty name or a flag is some bytes of JSON; a byte that is no UTF-8 is three.
        try require(JSONPrinter.bytes(value).count <= 16 * text.utf8.count + 64, "\(JSONPrinter.bytes(value).count) bytes out of \(text.utf8.count)")
    }

    static let xml = FuzzTarget(
        "xml", "what is read is valid JSON, nothing grows out of entities; text and bytes give the same",
        seeds: texts("<?xml version='1.0' encoding='UTF-8'?>\n<a x='1' xmlns:p='u'><p:b>t&amp;&#x41;</p:b><![CDATA[<]]><!-- c --><?p i?></a>")
    ) { input in
        let element: XMLElement
        do throws(FormatError) {
            element = try XMLReader.element(bytes: input)
        } catch {
            try requireWords(error)
            return
        }
        var characters = 0
        func count(_ element: XMLElement, level: Int) throws {
            try require(level <= Limits.nestingDepth, "elements nested \(level) deep")
            characters += element.name.utf8.count + element.attributes.reduce(0) { $0 + $1.value.utf8.count }
            for part in element.content {
                switch part {
                case .element(let inner): try count(inner, level: level + 1)
                case .text(let text): characters += text.utf8.count
                }
            }
        }
        try count(element, level: 1)
        // ISO-8859-1 doubles, UTF-16 grows by half; a reference is always longer than what it means.
        try require(characters <= 2 * input.count, "\(characters) bytes of text out of \(input.count)")
        if let text = String(validating: input, as: UTF8.self), let value = try? XMLReader.value(text) {
            try require(depth(value) <= Limits.nestingDepth, "nested \(depth(value)) levels deep")
            try requireJSON(value)
        }
    }

    static let markdown = FuzzTarget(
        "markdown", "blocks hold no more text than the source, and none is empty of it",
        seeds: texts("# A *b*\n\ntext [l](u)\n\n```swift\nlet a\n```\n> q\n> > r\n\n- i\n    1. j\n\n***\n<div>\n", "a\n=\n\n\tcode\n")
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        for block in MarkdownReader.blocks(text) {
            let (size, what): (Int, String) =
                switch block {
                case .heading(let title): (title.utf8.count, "heading")
                case .code(let code): (code.utf8.count, "code")
                case .paragraph(let source): (source.utf8.count, "paragraph")
                }
            // An entity such as &nGt; can be shorter than the scalars it stands for; NUL becomes U+FFFD, a tab up to 4 spaces.
            try require(size <= 4 * text.utf8.count + 8, "a \(what) of \(size) bytes out of \(text.utf8.count)")
            if case .paragraph(let source) = block { try require(!source.isEmpty, "an empty paragraph") }
        }
    }

    private static let hints: [String?] = [nil] + ContentFormat.allCases.map(\.rawValue) + ["JSON", "unknown", ""]

    static let split = FuzzTarget(
        "split", "bounded nodes with distinct paths and valid values, the same each time; refusals are invalid data",
        seeds: { hints.indices.map { [UInt8($0)] + Array("{\"a\": [1, {\"b\": \"c\"}], \"d\": null}".utf8) } }
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let hint = hints[choice % hints.count]
        // Half of the time the data is what the bytes mean in JSON, as in a request's body.
        var data = JSONValue.string(reader.text)
        if choice >= 128, let value = try? JSONParser.parse(reader.rest) { data = value }
        let content: SplitContent
        do throws(ContexError) {
            content = try ContentSplitter.split(data, hint: hint)
        } catch {
            try require(error.category == .invalid && error.field == "data" && !error.message.isEmpty, "refused as \(error)")
            return
        }
        try require(content.nodes.count <= Limits.nodesPerDocument, "\(content.nodes.count) nodes")
        try require(Set(content.nodes.map { Array($0.path.utf8) }).count == content.nodes.count, "two nodes of one path")
        for node in content.nodes {
            try require(!node.path.isEmpty && node.path.utf8.count <= Limits.pathBytes, "a node with a path of \(node.path.utf8.count) bytes")
            try require(depth(node.value) <= Limits.nestingDepth, "a node of \(depth(node.value)) levels")
            try require(!node.path.utf8.contains(0) && !node.description.utf8.contains(0), "NUL in node \(node.path)")
            try requireJSON(node.data)
            _ = PythonNotation.repr(node.value)
        }
        let sizes = content.nodes.map { $0.path.utf8.count + JSONPrinter.bytes($0.value).count }
        // A character can be escaped: six bytes for one.
        try require(sizes.reduce(0, +) <= 6 * Limits.expandedBytes(of: JSONPrinter.bytes(data).count), "\(sizes.reduce(0, +)) bytes in nodes")
        try require(try ContentSplitter.split(data, hint: hint) == content, "another result the second time")
    }

    /// Looks for slow inputs: three bytes choose the hint and a part of the rest, which is repeated.
    static let slowContent = FuzzTarget(
        "slow-content", "a part that is repeated four times as often costs about four times as much",
        seeds: {
            [
                ("csv", "a,", "a\n1\n"), ("json", "{\"k\":1,", "\"k\":1}"), ("yaml", "- &a x\n", "- *a\n"), ("toml", "[[a]]\nb=1\n", ""),
                ("xml", "<r>&amp;", "</r>"), ("markdown", "[a](*b_", ""), ("text", "a. \t", "b"), ("code", "a\n\n", "}"),
            ].map { hint, part, end in [UInt8(hints.firstIndex(of: hint)!), 0, UInt8(part.utf8.count)] + Array((part + end).utf8) }
        }
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let hint = hints[choice % hints.count]
        let bytes = RepeatedPart(&reader)
        func split(_ count: Int) -> () throws -> Void {
            let text = bytes.repeated(to: count)
            var data = JSONValue.string(String(decoding: text, as: UTF8.self))
            if choice >= 128, let value = try? JSONParser.parse(text) { data = value }
            return {
                guard let content = try? ContentSplitter.split(data, hint: hint) else { return }
                for node in content.nodes {
                    _ = SearchText.embedded(key: "k", path: node.path, kind: node.kind.rawValue, value: node.value)
                    _ = SearchText.indexed(key: "k", path: node.path, kind: node.kind.rawValue, value: node.value)
                }
            }
        }
        let excess = try WorkTime.excess(factor: 4, floor: 0.1, small: split(16 << 10), large: split(64 << 10))
        try require(excess == nil, "\(excess ?? "")")
    }

    private static let names = [
        "a.json", "a.ndjson", "a.ipynb", "a.yaml", "a.toml", "a.csv", "a.tsv", "a.svg", "a.md", "a.txt", "a.log", "a.ini", "a.properties", ".env", "a.conf",
        "Dockerfile", "a.py", "a", "",
    ]

    static let keys = FuzzTarget(
        "keys", "what a key names is read, and read again the same by the format that is stored",
        seeds: { names.indices.map { [UInt8($0)] + Array("---\na: 1\n---\n# b\n[c]\nd=e,f\n".utf8) } }
    ) { input in
        var reader = InputReader(input)
        let key = names[reader.byte() % names.count]
        let data = JSONValue.string(reader.text)
        guard let content = try? ContentSplitter.split(data, hint: nil, key: key) else { return }
        let again = try ContentSplitter.split(data, hint: content.format.rawValue, key: key)
        try require(again.format == content.format, "read again as \(again.format), not \(content.format)")
        try require(again.nodes == content.nodes, "read again to other nodes")
    }

    static let responses = FuzzTarget(
        "responses", "any value is written in every format; JSON, YAML, XML and CSV are read back by our own readers",
        seeds: texts(#"{"matches":[{"data_key":"a.b","similarity":0.5,"data":{"x":[1,null,"y\nz"]}}],"total":1}"#, ##"["- a: |", "#b", "\t", "1e3", "~"]"##)
    ) { input in
        guard let value = try? JSONParser.parse(input) else { return }
        for format in ContentFormat.allCases {
            let bytes = try ResponseEncoder.encode(value, as: format)
            let text = String(decoding: bytes, as: UTF8.self)
            switch format {
            case .json, .code, .ini, .properties, .env: try requireReads(bytes, as: value, "\(format)")
            case .yaml:
                if holdsUnwritable(value) || isBeyondYams(value) { continue }
                let back = try YAMLReader.value(text)
                try require(sameButForNumberTexts(back, value), "as YAML \(text)")
            case .toml:
                let back = try TOMLReader.value(bytes: bytes)
                if value.objectValue != nil, !holdsNull(value), !holdsUnwritable(value) {
                    try require(sameButForOrder(back, value), "as TOML \(text)")
                }
            case .xml: if !holdsUnwritable(value) { _ = try XMLReader.element(bytes: bytes) }
            case .csv: if !bytes.isEmpty { _ = try CSVReader.rows(text) }
            case .markdown, .text: break
            }
        }
    }
}

// MARK: - Properties of values

/// Levels of containers.
func depth(_ value: JSONValue) -> Int {
    switch value {
    case .array(let items): 1 + (items.map(depth).max() ?? 0)
    case .object(let members): 1 + (members.map { depth($0.value) }.max() ?? 0)
    default: 0
    }
}

func requireReads(_ bytes: [UInt8], as value: JSONValue, _ what: String) throws {
    let back: JSONValue
    do throws(JSONParseError) {
        // As the server reads what it has stored.
        back = try JSONParser.parse(bytes, maximumDepth: Limits.storedNestingDepth)
    } catch {
        throw FuzzFinding("\(what): \(String(decoding: bytes, as: UTF8.self)) is not JSON: \(error)")
    }
    try require(back == value, "\(what): \(String(decoding: bytes, as: UTF8.self)) reads back as another value")
}

/// A value of another format must be one of JSON: its numbers are spelled as JSON spells them.
func requireJSON(_ value: JSONValue) throws { try requireReads(JSONPrinter.bytes(value), as: value, "as JSON") }

func requireWords(_ error: FormatError) throws { try require(!error.message.isEmpty && error.line >= 0, "an error without words: \(error)") }

private func holds(_ value: JSONValue, _ isIt: (JSONValue) -> Bool) -> Bool {
    if isIt(value) { return true }
    return switch value {
    case .array(let items): items.contains { holds($0, isIt) }
    case .object(let members): members.contains { holds(.string($0.key), isIt) || holds($0.value, isIt) }
    default: false
    }
}

func holdsNull(_ value: JSONValue) -> Bool { holds(value) { $0.isNull } }

/// NUL, which is refused before a value is stored, so that no answer holds it.
func holdsUnwritable(_ value: JSONValue) -> Bool {
    holds(value) { $0.stringValue?.utf8.contains(0) ?? false }
}

/// What Yams does not hand on (docs/decisions/0011): of two keys that Swift's `String` holds for one, `\u{e9}` and `e\u{301}`, it
/// refuses the mapping, and of a text that begins with U+FEFF it drops that.
func isBeyondYams(_ value: JSONValue) -> Bool {
    holds(value) { part in
        if let text = part.stringValue { return text.unicodeScalars.first == "\u{FEFF}" }
        return part.objectValue.map { Set($0.keys).count != $0.count } ?? false
    }
}

/// YAML spells some numbers otherwise (1e3 is 1.0e+3), with the same meaning.
func sameButForNumberTexts(_ a: JSONValue, _ b: JSONValue) -> Bool {
    switch (a, b) {
    case (.number(let x), .number(let y)): x == y || x.double == y.double
    case (.array(let x), .array(let y)): x.count == y.count && zip(x, y).allSatisfy(sameButForNumberTexts)
    case (.object(let x), .object(let y)):
        x.count == y.count && zip(x, y).allSatisfy { $0.key.utf8.elementsEqual($1.key.utf8) && sameButForNumberTexts($0.value, $1.value) }
    default: a == b
    }
}

/// TOML has the plain members of a table before its tables, and a text where a number is beyond 64 bits.
func sameButForOrder(_ a: JSONValue, _ b: JSONValue) -> Bool {
    switch (a, b) {
    case (.string(let x), .number(let y)): x == y.text && (y.double.isInfinite || y.integer == nil)
    case (.array(let x), .array(let y)): x.count == y.count && zip(x, y).allSatisfy(sameButForOrder)
    case (.object(let x), .object(let y)):
        x.count == y.count && x.allSatisfy { member in y[member.key].map { sameButForOrder(member.value, $0) } ?? false }
    default: sameButForNumberTexts(a, b)
    }
}
