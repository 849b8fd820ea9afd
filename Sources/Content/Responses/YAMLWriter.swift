// YAML in block style that means the same to readers of YAML 1.1 and 1.2: a text is written without quotes only if no
// schema of either takes it for something else, and numbers with an exponent get the point and sign that 1.1 wants.

internal import Base

enum YAMLWriter {
    static func text(_ value: JSONValue) -> String {
        var out = ""
        write(value, indent: 0, into: &out)
        return out
    }

    /// Writes a value where its first line may begin, and ends the line.
    private static func write(_ value: JSONValue, indent: Int, into out: inout String) {
        let margin = String(repeating: " ", count: indent)
        switch value {
        case .array(let items) where !items.isEmpty:
            for (index, item) in items.enumerated() {
                if index > 0 { out += margin }
                out += "- "
                write(item, indent: indent + 2, into: &out)
            }
        case .object(let members) where !members.isEmpty:
            for (index, member) in members.enumerated() {
                if index > 0 { out += margin }
                let key = scalar(member.key)
                if key.utf8.count <= 128 {
                    out += key + ":"
                } else {
                    // libyaml looks for a colon only in the next 1,024 characters.
                    out += "? \(key)\n\(margin):"
                }
                if member.value.isLeaf {
                    out += " "
                    write(member.value, indent: indent + 2, into: &out)
                } else {
                    out += "\n\(margin)  "
                    write(member.value, indent: indent + 2, into: &out)
                }
            }
        case .array: out += "[]\n"
        case .object: out += "{}\n"
        case .null: out += "null\n"
        case .bool(let flag): out += flag ? "true\n" : "false\n"
        case .number(let number): out += self.number(number.text) + "\n"
        case .string(let text):
            if let lines = literalLines(text) {
                // The indentation is measured from the parent; two spaces inside it, also at the top.
                let margin = String(repeating: " ", count: max(indent, 2))
                out += text.utf8.last == 0x0A ? "|\n" : "|-\n"
                for line in lines { out += line.isEmpty ? "\n" : margin + line + "\n" }
            } else {
                out += scalar(text) + "\n"
            }
        }
    }

    static func number(_ text: String) -> String {
        guard let mark = text.firstIndex(where: { $0 == "e" || $0 == "E" }) else { return text == "-0" ? "0" : text }
        let mantissa = text[..<mark]
        let exponent = text[text.index(after: mark)...]
        return mantissa + (mantissa.contains(".") ? "" : ".0") + "e" + (exponent.first == "-" || exponent.first == "+" ? "" : "+") + exponent
    }

    /// A key or a text on one line.
    static func scalar(_ text: String) -> String {
        isPlain(text) ? text : quoted(text)
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, first == "_" || first.properties.isAlphabetic, text.utf8.last != 0x20 else { return false }
        guard text.unicodeScalars.allSatisfy({ $0.properties.isAlphabetic || "0"..."9" ~= $0 || "_ ./@+-".unicodeScalars.contains($0) }) else { return false }
        return !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased())
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": out += "\\x" + hexadecimal(scalar, width: 2)
            case "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}": out += "\\u" + hexadecimal(scalar, width: 4)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar, width: Int) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: width - digits.count) + digits
    }

    /// The lines of a text that a literal block (`|`) can hold unchanged: more than one, none that begins or ends with white
    /// space, no characters that need escapes, at most one line end after the last.
    private static func literalLines(_ text: String) -> [Substring]? {
        guard text.utf8.contains(0x0A), text.utf8.first != 0x0A else { return nil }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", " "..."~", "\u{A0}"..."\u{2027}", "\u{202A}"..."\u{D7FF}", "\u{E000}"..."\u{FEFE}", "\u{FF00}"..."\u{FFFD}", "\u{10000}"...: continue
            default: return nil
            }
        }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        guard let last = lines.last, !last.isEmpty else { return nil }
        return lines.allSatisfy { $0.first != " " && $0.last != " " } ? lines : nil
    }
}
