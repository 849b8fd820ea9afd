// Plain text for people: `key: value` lines, indented by two spaces a level. A string is itself. Not meant to be read back.

internal import Base

enum PlainTextWriter {
    static func text(_ value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        var out = ""
        write(value, indent: 0, into: &out)
        return out
    }

    private static func write(_ value: JSONValue, indent: Int, into out: inout String) {
        let margin = String(repeating: " ", count: indent)
        switch value {
        case .array(let items) where !items.isEmpty:
            for item in items { entry(item, label: "-", margin: margin, indent: indent, into: &out) }
        case .object(let members) where !members.isEmpty:
            for member in members { entry(member.value, label: "\(member.key):", margin: margin, indent: indent, into: &out) }
        default:
            out += margin + leaf(value, margin: margin) + "\n"
        }
    }

    private static func entry(_ value: JSONValue, label: String, margin: String, indent: Int, into out: inout String) {
        if value.isLeaf {
            out += "\(margin)\(label) \(leaf(value, margin: margin + "  "))\n"
        } else {
            out += "\(margin)\(label)\n"
            write(value, indent: indent + 2, into: &out)
        }
    }

    private static func leaf(_ value: JSONValue, margin: String) -> String {
        guard case .string(let text) = value else { return JSONPrinter.text(value) }
        return text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n\(margin)")
    }
}
