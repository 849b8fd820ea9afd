// XML with the types of JSON kept in an attribute, so that a value can be read back:
//
//   <response><query>db</query><total type="number">2</total><tags type="array"><item>a</item></tags></response>
//
// An element is a string unless it has elements in it (an object) or a `type`: number, boolean, null, array, object
// (an empty one), json. A key that is no XML name is the `key` of an element `member`. Text with characters that XML 1.0
// cannot hold, escaped or not, is written as a JSON string with `type="json"`; such a key as `json-key`.

internal import Base

enum XMLWriter {
    static func text(_ value: JSONValue) -> String {
        var out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        write(value, name: "response", attribute: "", level: 0, into: &out)
        return out
    }

    private static func write(_ value: JSONValue, name: String, attribute: String, level: Int, into out: inout String) {
        let margin = String(repeating: "  ", count: level)
        out += "\(margin)<\(name)\(attribute)"
        switch value {
        case .null: out += " type=\"null\"/>\n"
        case .bool(let flag): out += " type=\"boolean\">\(flag)</\(name)>\n"
        case .number(let number): out += " type=\"number\">\(number.text)</\(name)>\n"
        case .string(let text):
            if text.isEmpty {
                out += "/>\n"
            } else if isRepresentable(text) {
                out += ">\(escaped(text))</\(name)>\n"
            } else {
                out += " type=\"json\">\(escaped(JSONPrinter.quoted(text, style: .python)))</\(name)>\n"
            }
        case .array(let items):
            if items.isEmpty { out += " type=\"array\"/>\n"; return }
            out += " type=\"array\">\n"
            for item in items { write(item, name: "item", attribute: "", level: level + 1, into: &out) }
            out += "\(margin)</\(name)>\n"
        case .object(let members):
            if members.isEmpty { out += " type=\"object\"/>\n"; return }
            out += ">\n"
            for member in members {
                if XMLName.isPlainName(member.key) {
                    write(member.value, name: member.key, attribute: "", level: level + 1, into: &out)
                } else {
                    let attribute =
                        isRepresentable(member.key)
                        ? " key=\"\(escaped(member.key))\"" : " json-key=\"\(escaped(JSONPrinter.quoted(member.key, style: .python)))\""
                    write(member.value, name: "member", attribute: attribute, level: level + 1, into: &out)
                }
            }
            out += "\(margin)</\(name)>\n"
        }
    }

    private static func isRepresentable(_ text: String) -> Bool { text.unicodeScalars.allSatisfy(XMLName.isCharacter) }

    /// For text and attribute values alike: white space that a reader would normalise is written as numbers.
    private static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "&": out += "&amp;"
            case "\"": out += "&quot;"
            case "\t", "\n", "\r": out += "&#\(scalar.value);"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
