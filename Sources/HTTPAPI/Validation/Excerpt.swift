internal import Base
internal import Content

/// A value as a refusal shows it: as it came while it is short, else the beginning of its JSON as a text.
enum Excerpt {
    static let ellipsis = JSONValue.string("\u{2026}")

    static func of(_ value: JSONValue) -> JSONValue { cut(value) ?? value }

    /// nil for what is short.
    static func cut(_ value: JSONValue) -> JSONValue? {
        var text = ""
        guard !write(value, to: &text) else { return nil }
        if case .string(let own) = value { return .string(own.excerpt()) }
        return .string(text.excerpt())
    }

    /// Bounded by what is shown, not by what came. Recursion is bounded: the parser refused what is nested deeper than its limit.
    /// - Returns: false when the value is longer; the text is then longer than the bound too.
    private static func write(_ value: JSONValue, to text: inout String) -> Bool {
        func isShort() -> Bool { text.utf8.count <= Limits.echoBytes }
        switch value {
        case .null, .bool, .number: text += JSONPrinter.text(value)
        // One byte is at least one byte of JSON.
        case .string(let own): text += JSONPrinter.text(.string(String(own.excerpt(bytes: 2 * Limits.echoBytes))))
        case .array(let items):
            text += "["
            for (place, item) in items.enumerated() {
                if place > 0 { text += "," }
                guard write(item, to: &text) else { return false }
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (place, member) in members.enumerated() {
                if place > 0 { text += "," }
                guard write(.string(member.key), to: &text) else { return false }
                text += ":"
                guard write(member.value, to: &text) else { return false }
            }
            text += "}"
        }
        return isShort()
    }
}
