// TOML 1.0. It has no null and no value but a table at the top: members and items that are null are left out, and a
// comment says how many; a value that is no object stands under `value`. Integers beyond 64 bits and numbers beyond a
// double are written as text. In every table the plain values come before the inner tables, as TOML wants it.

internal import Base

enum TOMLWriter {
    static func text(_ value: JSONValue) -> String {
        let nulls = countNulls(value)
        var out = nulls == 0 ? "" : "# TOML has no null: \(nulls) null \(nulls == 1 ? "value is" : "values are") left out.\n"
        let root = value.objectValue ?? JSONObject([("value", value)])
        write(root, path: "", into: &out)
        return out
    }

    private static func countNulls(_ value: JSONValue) -> Int {
        switch value {
        case .null: 1
        case .array(let items): items.reduce(0) { $0 + countNulls($1) }
        case .object(let members): members.reduce(0) { $0 + countNulls($1.value) }
        default: 0
        }
    }

    private static func write(_ table: JSONObject, path: String, into out: inout String) {
        var inner: [(path: String, value: JSONValue)] = []
        for member in table {
            let key = key(member.key)
            switch member.value {
            case .null: continue
            case .object: inner.append((path.isEmpty ? key : "\(path).\(key)", member.value))
            case let value where value.objectItems != nil: inner.append((path.isEmpty ? key : "\(path).\(key)", value))
            default: out += "\(key) = \(inline(member.value))\n"
            }
        }
        for (path, value) in inner {
            if let items = value.objectItems {
                for item in items {
                    out += out.isEmpty ? "[[\(path)]]\n" : "\n[[\(path)]]\n"
                    write(item, path: path, into: &out)
                }
            } else if case .object(let table) = value {
                out += out.isEmpty ? "[\(path)]\n" : "\n[\(path)]\n"
                write(table, path: path, into: &out)
            }
        }
    }

    private static func inline(_ value: JSONValue) -> String {
        switch value {
        case .null: return "\"\""
        case .bool(let flag): return flag ? "true" : "false"
        case .number(let number): return self.number(number)
        case .string(let text): return quoted(text)
        case .array(let items):
            return "[" + items.filter { !$0.isNull }.map(inline).joined(separator: ", ") + "]"
        case .object(let members):
            let pairs = members.filter { !$0.value.isNull }.map { "\(key($0.key)) = \(inline($0.value))" }
            return pairs.isEmpty ? "{}" : "{ " + pairs.joined(separator: ", ") + " }"
        }
    }

    private static func number(_ number: JSONNumber) -> String {
        if number.text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }) {
            return number.double.isFinite ? number.text : quoted(number.text)
        }
        return Int64(number.text) != nil ? number.text : quoted(number.text)
    }

    private static func key(_ key: String) -> String {
        let isBare = !key.isEmpty && key.utf8.allSatisfy { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
        return isBare ? key : quoted(key)
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{8}": out += "\\b"
            case "\t": out += "\\t"
            case "\n": out += "\\n"
            case "\u{C}": out += "\\f"
            case "\r": out += "\\r"
            case "\u{0}"..."\u{1F}", "\u{7F}":
                let digits = String(scalar.value, radix: 16, uppercase: true)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
