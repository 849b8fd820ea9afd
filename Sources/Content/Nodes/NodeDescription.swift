// The text by which a node is found: `<property names of its path> | <content>`, as the original wrote it.

internal import Base

enum NodeDescription {
    /// `people[0].address` and `{"city": "Ulm", "zip": 89073}` give `people address | city: Ulm | zip: 89073`.
    static func text(path: String, value: JSONValue) -> String {
        var out = ""
        append(path: path, value: value, to: &out)
        return out
    }

    /// The same behind what a text has already. Written piece by piece into the one text that is wanted: the parts of a large value are never
    /// in memory beside it.
    static func append(path: String, value: JSONValue, numbers: PythonNotation.Numbers = .ofPython, to out: inout String) {
        let names = propertyNames(path)
        out += names
        var isFirst = names.isEmpty
        func separate() {
            if !isFirst { out += " | " }
            isFirst = false
        }
        switch value {
        case .object(let members):
            for member in members {
                separate()
                out += member.key
                out += ": "
                PythonNotation.append(member.value, numbers, to: &out)
            }
        case .array(let items):
            separate()
            for (place, item) in items.enumerated() {
                if place > 0 { out += ", " }
                PythonNotation.append(item, numbers, to: &out)
            }
        default:
            separate()
            PythonNotation.append(value, numbers, to: &out)
        }
    }

    /// The path without its indices, the dots turned to spaces.
    static func propertyNames(_ path: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(path.utf8)
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "[") {
                var end = at + 1
                while end < bytes.count, bytes[end] &- 0x30 < 10 { end += 1 }
                if end > at + 1, end < bytes.count, bytes[end] == UInt8(ascii: "]") {
                    at = end + 1
                    continue
                }
            }
            out.append(bytes[at] == UInt8(ascii: ".") ? UInt8(ascii: " ") : bytes[at])
            at += 1
        }
        while out.last == UInt8(ascii: " ") { out.removeLast() }
        return String(decoding: out.drop { $0 == UInt8(ascii: " ") }, as: UTF8.self)
    }
}
