// Answers in the formats that a client may ask for. Each is the format that its name says: the YAML loads back to the
// same value, the TOML to the same but for nulls, XML and CSV by the rules written in their files.

public import Base

public enum ResponseEncoder {
    /// Encodes any value in any format. `code` is written as indented JSON, the one notation of values that is code; so are the formats
    /// of settings files, which are only read.
    ///
    /// - Complexity: O(size of the value).
    public static func encode(_ value: JSONValue, as format: ContentFormat) throws(ContexError) -> [UInt8] {
        guard depth(of: value, isUnder: 2 * Limits.nestingDepth) else {
            throw ContexError(.bug, "A response is nested deeper than \(2 * Limits.nestingDepth) levels")
        }
        switch format {
        case .json: return JSONPrinter.bytes(value)
        case .code, .ini, .properties, .env: return JSONPrinter.bytes(value, style: .pretty2UTF8)
        case .yaml: return Array(YAMLWriter.text(value).utf8)
        case .toml: return Array(TOMLWriter.text(value).utf8)
        case .csv: return Array(CSVWriter.text(value).utf8)
        case .xml: return Array(XMLWriter.text(value).utf8)
        case .markdown: return Array(MarkdownWriter.text(value).utf8)
        case .text: return Array(PlainTextWriter.text(value).utf8)
        }
    }

    private static func depth(of value: JSONValue, isUnder limit: Int) -> Bool {
        guard limit > 0 else { return false }
        return switch value {
        case .array(let items): items.allSatisfy { depth(of: $0, isUnder: limit - 1) }
        case .object(let members): members.allSatisfy { depth(of: $0.value, isUnder: limit - 1) }
        default: true
        }
    }
}

extension JSONValue {
    /// A value that has no lines of its own below it in an indented notation: a scalar, or an empty container.
    var isLeaf: Bool {
        switch self {
        case .array(let items): items.isEmpty
        case .object(let members): members.isEmpty
        default: true
        }
    }
    /// The objects of a non-empty array that holds nothing else.
    var objectItems: [JSONObject]? {
        guard case .array(let items) = self, !items.isEmpty else { return nil }
        let objects = items.compactMap(\.objectValue)
        return objects.count == items.count ? objects : nil
    }
}
