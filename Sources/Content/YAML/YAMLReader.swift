// YAML through Yams (libyaml), which finds the structure; what the scalars mean is decided here, by the core schema of
// YAML 1.2: `no` and `on` are words, `12:30` is no number, and a number keeps its text. `<<` merges, as in YAML 1.1,
// because people use it. Tags that programs give a meaning of their own stay visible: `!Ref Bucket` is the text `!Ref Bucket`,
// `!reference [a, b]` the object `{"!reference": ["a", "b"]}`.
//
// Strangers send YAML too, so there are guards. libyaml stops at 1,000 levels, we at 64. Aliases are expanded against a budget,
// so that a document of a few lines cannot become a billion values. What costs Yams or libyaml more than linear time is refused
// unread (`YAMLGuard`).

public import Base
internal import Yams

public enum YAMLReader {
    /// The document as a JSON value; several documents of one stream as an array of them (without the empty ones that a template leaves),
    /// none as null.
    ///
    /// - Complexity: O(*n*), aliases expanded to at most 8 *n* + 1 MiB.
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        joined(try documents(text, cancellation: cancellation))
    }

    static func joined(_ documents: [JSONValue]) -> JSONValue {
        let documents = documents.count > 1 ? documents.filter { !$0.isNull } : documents
        return documents.count == 1 ? documents[0] : documents.isEmpty ? .null : .array(documents)
    }

    /// Each document of the stream.
    static func documents(_ text: String, cancellation: Cancellation) throws(FormatError) -> [JSONValue] {
        try YAMLGuard.check(text)
        let isShort = text.utf8.count <= Self.shortBytes
        let text = isShort ? Self.padding + text.drop { $0 == "\u{FEFF}" } : text
        var documents: [JSONValue] = []
        var conversion = YAMLConversion(budget: text.utf8.count * 8 + 1 << 20, cancellation: cancellation)
        do {
            let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
            while let root = try parser.nextRoot() { documents.append(try conversion.value(of: root, level: 0)) }
        } catch let error as FormatError {
            throw isShort && error.line > 0 ? FormatError(.yaml, error.reason, line: error.line - 1, error.message) : error
        } catch let error as YamlError {
            let error = failure(error, text)
            throw isShort && error.line > 0 ? FormatError(.yaml, error.reason, line: error.line - 1, error.message) : error
        } catch {
            throw FormatError(.yaml, line: 0, "Not YAML")
        }
        return documents
    }

    /// libyaml reads on from a pointer into the string; a string of up to 15 bytes has no storage that such a pointer
    /// could point into, so a comment makes it longer.
    private static let shortBytes = 15
    private static let padding = "# short document\n"

    private static func failure(_ error: YamlError, _ text: String) -> FormatError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            if beginsWithTab(text, line: mark.line) {
                FormatError(.yaml, line: mark.line, "A tab in the indentation, where YAML takes spaces only")
            } else if problem.hasPrefix("Maximum nesting") {
                // libyaml's own limit and advice are nothing that a publisher can follow.
                FormatError(.yaml, .limit, line: mark.line, "Nested deeper than \(Limits.nestingDepth) levels")
            } else {
                FormatError(.yaml, line: mark.line, problem)
            }
        case .duplicatedKeysInMapping(let duplicates, let context):
            FormatError(.yaml, line: context.mark.line, "A mapping has a key twice: \(duplicates.first ?? "")")
        case .reader(let problem, _, _, _):
            FormatError(.yaml, line: 0, problem)
        default:
            FormatError(.yaml, line: 0, "Not YAML")
        }
    }

    private static func beginsWithTab(_ text: String, line: Int) -> Bool {
        let bytes = Array(text.utf8)
        var number = 0
        for range in TextLines(bytes) {
            number += 1
            if number == line { return bytes[range].prefix { $0 == 0x20 || $0 == 0x09 }.contains(0x09) }
        }
        return false
    }
}

/// Turns Yams's nodes into values and counts what they cost.
private struct YAMLConversion {
    /// Values and bytes of text that may still be made.
    var budget: Int
    let cancellation: Cancellation

    mutating func spend(_ cost: Int) throws(FormatError) {
        budget -= cost
        guard budget >= 0 else { throw FormatError(.yaml, .limit, line: 0, "The aliases expand to far more than the document's size") }
    }

    mutating func value(of node: Node, level: Int) throws(FormatError) -> JSONValue {
        try cancellation.check(.yaml)
        switch node {
        case .scalar(let scalar):
            try spend(1 + scalar.string.utf8.count)
            if let tag = YAMLTag.own(scalar.tag) {
                try spend(tag.utf8.count)
                return .string(scalar.string.isEmpty ? tag : "\(tag) \(scalar.string)")
            }
            let value = YAMLScalar.value(scalar)
            if case .number(let number) = value, number.text.utf8.count > Limits.numberCharacters {
                throw FormatError(.yaml, .limit, line: scalar.mark?.line ?? 0, "A number of more than \(Limits.numberCharacters) characters")
            }
            return value
        case .sequence(let sequence):
            let tag = YAMLTag.own(sequence.tag)
            let level = tag == nil ? level : level + 1
            try checkLevel(level, node)
            try spend(1 + (tag?.utf8.count ?? 0))
            var items: [JSONValue] = []
            for item in sequence { items.append(try value(of: item, level: level + 1)) }
            return tagged(.array(items), tag)
        case .mapping(let mapping):
            let tag = YAMLTag.own(mapping.tag)
            let level = tag == nil ? level : level + 1
            try checkLevel(level, node)
            try spend(1 + (tag?.utf8.count ?? 0))
            return tagged(.object(try object(of: mapping, level: level)), tag)
        case .alias:
            throw FormatError(.yaml, line: node.mark?.line ?? 0, "An alias without its anchor")
        }
    }

    private func tagged(_ value: JSONValue, _ tag: String?) -> JSONValue { tag.map { .object(JSONObject([($0, value)])) } ?? value }

    private func checkLevel(_ level: Int, _ node: Node) throws(FormatError) {
        guard level < Limits.nestingDepth else {
            throw FormatError(.yaml, .limit, line: node.mark?.line ?? 0, "Nested deeper than \(Limits.nestingDepth) levels")
        }
    }

    private mutating func object(of mapping: Node.Mapping, level: Int) throws(FormatError) -> JSONObject {
        var merged = JSONObject()
        var own = JSONObject()
        for pair in mapping {
            if case .scalar(let scalar) = pair.key, scalar.style == .plain, scalar.string == "<<" {
                for object in try mergedObjects(pair.value, level: level) {
                    // The first of several merged mappings wins.
                    for member in object where merged[member.key] == nil { merged[member.key] = member.value }
                }
            } else {
                own[try key(of: pair.key, level: level)] = try value(of: pair.value, level: level + 1)
            }
        }
        if merged.isEmpty { return own }
        for member in own { merged[member.key] = member.value }
        return merged
    }

    private mutating func mergedObjects(_ node: Node, level: Int) throws(FormatError) -> [JSONObject] {
        let value = try value(of: node, level: level + 1)
        let objects = (value.arrayValue ?? [value]).map(\.objectValue)
        guard objects.allSatisfy({ $0 != nil }) else {
            throw FormatError(.yaml, line: node.mark?.line ?? 0, "<< merges mappings only")
        }
        return objects.compactMap(\.self)
    }

    /// JSON's keys are texts: a scalar key is its text as written, another one its JSON.
    private mutating func key(of node: Node, level: Int) throws(FormatError) -> String {
        if case .scalar(let scalar) = node {
            try spend(scalar.string.utf8.count)
            return scalar.string
        }
        let value = try value(of: node, level: level + 1)
        // Measured before it is written: each key inside a key doubles the backslashes of those in it.
        guard ContentBounds.bytes(of: value) <= Limits.contentNameBytes else {
            throw FormatError(.yaml, .limit, line: node.mark?.line ?? 0, "A key of more than \(Limits.contentNameBytes) bytes")
        }
        let text = JSONPrinter.text(value, style: .python)
        try spend(text.utf8.count)
        return text
    }
}

enum YAMLTag {
    private static let yamlPrefix = "tag:yaml.org,2002:"
    /// What YAML itself defines and JSON has, or writes as a text.
    private static let known: Set<Substring> = [
        "map", "seq", "str", "null", "bool", "int", "float", "binary", "timestamp", "set", "omap", "pairs", "merge", "value",
    ]

    /// The tag as it was written, when it has a meaning of its own to some program: `!Ref`, `!!python/tuple`. Global ones are addresses,
    /// which say nothing to a reader.
    static func own(_ tag: Tag) -> String? {
        let name = tag.description
        if name.isEmpty || name == "!" { return nil }
        guard name.hasPrefix(yamlPrefix) else { return name.hasPrefix("!") ? name : nil }
        let local = name.dropFirst(yamlPrefix.count)
        return known.contains(local) ? nil : "!!\(local)"
    }
}

/// The core schema of YAML 1.2 (section 10.3.2), with numbers in JSON's grammar.
enum YAMLScalar {
    static func value(_ scalar: Node.Scalar) -> JSONValue {
        let isPlain = scalar.style == .plain || scalar.style == .any
        switch scalar.tag.description {
        case "" where isPlain, Tag.Name.int.rawValue, Tag.Name.float.rawValue, Tag.Name.bool.rawValue, Tag.Name.null.rawValue:
            return value(plain: scalar.string)
        default:
            return .string(scalar.string)
        }
    }

    /// What an unquoted text means.
    static func value(plain text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": .null
        case "true", "True", "TRUE": .bool(true)
        case "false", "False", "FALSE": .bool(false)
        default: number(text).map { .number($0) } ?? .string(text)
        }
    }

    /// Integers with leading zeros stay texts: they are octal in YAML 1.1, decimal in 1.2, and post codes in real life.
    /// So do `.inf` and `.nan`, which JSON has no numbers for.
    private static func number(_ text: String) -> JSONNumber? {
        var rest = text.utf8[...]
        guard let first = rest.first, first &- 0x30 < 10 || "+-.".utf8.contains(first) else { return nil }
        var sign = ""
        if first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            sign = first == UInt8(ascii: "-") ? "-" : ""
            rest.removeFirst()
        } else if first == UInt8(ascii: "0"), let letter = rest.dropFirst().first, letter == UInt8(ascii: "x") || letter == UInt8(ascii: "o") {
            let digits = String(Substring(rest.dropFirst(2)))
            guard digits.utf8.first.map({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) ?? false else { return nil }
            return UInt64(digits, radix: letter == UInt8(ascii: "x") ? 16 : 8).map { JSONNumber($0) }
        }
        func digits() -> String {
            let taken = rest.prefix { $0 &- 0x30 < 10 }
            rest = rest.dropFirst(taken.count)
            return String(Substring(taken))
        }
        let whole = digits()
        var out = sign + (whole.isEmpty ? "0" : whole)
        guard whole.count < 2 || !whole.hasPrefix("0") else { return nil }
        var fraction = ""
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = digits()
            out += "." + (fraction.isEmpty ? "0" : fraction)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            out += "e"
            if let mark = rest.first, mark == UInt8(ascii: "+") || mark == UInt8(ascii: "-") {
                out += mark == UInt8(ascii: "-") ? "-" : "+"
                rest.removeFirst()
            }
            let exponent = digits()
            guard !exponent.isEmpty else { return nil }
            out += exponent
        }
        return rest.isEmpty ? JSONNumber(uncheckedText: out) : nil
    }
}
