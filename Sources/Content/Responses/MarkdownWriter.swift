// Markdown for people and for prompts: plain members as a list, an array of objects as a section with a heading for each,
// anything deeper as nested lists. Text is escaped, so that data cannot add structure; several lines go into a fence.

internal import Base

enum MarkdownWriter {
    static func text(_ value: JSONValue) -> String {
        var out = ""
        guard case .object(let members) = value, !members.isEmpty else {
            if let items = value.objectItems { section(items, heading: "item", level: 2, into: &out) } else { list(value, label: nil, indent: 0, into: &out) }
            return out
        }
        for member in members where member.value.isLeaf { list(member.value, label: member.key, indent: 0, into: &out) }
        for member in members where !member.value.isLeaf {
            if !out.isEmpty { out += "\n" }
            out += "## \(escaped(member.key))\n\n"
            if let items = member.value.objectItems {
                section(items, heading: member.key, level: 3, into: &out)
            } else {
                contents(member.value, indent: 0, into: &out)
            }
        }
        return out
    }

    private static func section(_ items: [JSONObject], heading: String, level: Int, into out: inout String) {
        for (index, item) in items.enumerated() {
            if index > 0 { out += "\n" }
            out += String(repeating: "#", count: level) + " \(escaped(heading)) \(index + 1)\n\n"
            contents(.object(item), indent: 0, into: &out)
        }
    }

    private static func contents(_ value: JSONValue, indent: Int, into out: inout String) {
        switch value {
        case .array(let items) where !items.isEmpty:
            for item in items { list(item, label: nil, indent: indent, into: &out) }
        case .object(let members) where !members.isEmpty:
            for member in members { list(member.value, label: member.key, indent: indent, into: &out) }
        default:
            list(value, label: nil, indent: indent, into: &out)
        }
    }

    /// One entry of a list, with what is below it.
    private static func list(_ value: JSONValue, label: String?, indent: Int, into out: inout String) {
        let margin = String(repeating: " ", count: indent)
        out += margin + "- " + (label.map { "**\(escaped($0))**:" } ?? "")
        let space = label == nil ? "" : " "
        switch value {
        case .string(let text) where text.utf8.contains(0x0A):
            var fence = "```"
            while text.contains(fence) { fence += "`" }
            out += (label == nil ? "\(fence)\n" : "\n\n\(margin)  \(fence)\n")
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) { out += line.isEmpty ? "\n" : "\(margin)  \(line)\n" }
            out += "\(margin)  \(fence)\n"
        case .string(let text): out += "\(space)\(escaped(text))\n"
        case .array, .object:
            if value.isLeaf {
                out += "\(space)\(value.arrayValue == nil ? "{}" : "\\[\\]")\n"
            } else {
                out += "\n"
                contents(value, indent: indent + 2, into: &out)
            }
        default: out += "\(space)\(JSONPrinter.text(value))\n"
        }
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", "\r": out += " "
            case "\\", "`", "*", "_", "[", "]", "<", ">", "#", "~", "|", "&":
                out += "\\"
                out.unicodeScalars.append(scalar)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
