// Files of environment variables (.env), as docker, dotenv in its languages and shells read them: NAME=value, `export` before it or
// not, values in quotes over several lines, comments. The last of equal names counts.

public import Base

public enum EnvironmentReader {
    /// The variables as one object of texts; a name without = (docker passes it on) is null.
    ///
    /// - Throws: for a line that is neither a variable nor a comment.
    /// - Complexity: O(*n*).
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        let bytes = Array(text.utf8)
        var members = GroupedMembers()
        var position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        func isEnd(_ at: Int) -> Bool { at >= bytes.count || bytes[at] == 0x0A || bytes[at] == 0x0D }
        func skipBlanks() { while position < bytes.count, bytes[position] == 0x20 || bytes[position] == 0x09 { position += 1 } }
        func skipLine() { while !isEnd(position) { position += 1 } }
        func name() -> String {
            let start = position
            while position < bytes.count, isName(bytes[position]) { position += 1 }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
        while position < bytes.count {
            try cancellation.check(.env)
            skipBlanks()
            if isEnd(position) {
                if position < bytes.count, bytes[position] == 0x0A || position + 1 == bytes.count || bytes[position + 1] != 0x0A { line += 1 }
                position += 1
                continue
            }
            if bytes[position] == UInt8(ascii: "#") {
                skipLine()
                continue
            }
            var key = name()
            if key == "export", position < bytes.count, bytes[position] == 0x20 {
                skipBlanks()
                key = name()
            }
            guard let first = key.utf8.first, !(first &- 0x30 < 10) else { throw FormatError(.env, line: line, "Expecting NAME=value") }
            skipBlanks()
            if isEnd(position) {
                members.set(key, .null)
                continue
            }
            guard bytes[position] == UInt8(ascii: "=") else { throw FormatError(.env, line: line, "Expecting = after \(key.prefix(100))") }
            position += 1
            skipBlanks()
            if position < bytes.count, "\"'`".utf8.contains(bytes[position]), let quoted = quoted(bytes, from: position) {
                members.set(key, .string(quoted.value))
                line += bytes[position..<quoted.end].count { $0 == 0x0A }
                position = quoted.end
                skipLine()
                continue
            }
            let start = position
            skipLine()
            members.set(key, .string(TextNodes.trimmed(uncommented(bytes[start..<position]))))
        }
        guard !members.isEmpty else { throw FormatError(.env, line: 1, "Nothing is set") }
        return .object(members.object)
    }

    private static func isName(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || "_.-".utf8.contains(byte)
    }

    /// The text in quotes and where it ends; nil when it does not, or when something other than a comment follows on its line.
    private static func quoted(_ bytes: [UInt8], from start: Int) -> (value: String, end: Int)? {
        let quote = bytes[start]
        var value: [UInt8] = []
        var at = start + 1
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == quote {
                let next = bytes[at...].first { $0 != 0x20 && $0 != 0x09 }
                guard next == nil || next == UInt8(ascii: "#") || next == 0x0A || next == 0x0D else { return nil }
                return (String(decoding: value, as: UTF8.self), at)
            }
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), at < bytes.count {
                switch bytes[at] {
                case UInt8(ascii: "n"): value.append(0x0A)
                case UInt8(ascii: "r"): value.append(0x0D)
                case UInt8(ascii: "t"): value.append(0x09)
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "$"): value.append(bytes[at])
                default: value += [byte, bytes[at]]
                }
                at += 1
                continue
            }
            value.append(byte)
        }
        return nil
    }

    /// Without ` # comment`.
    private static func uncommented(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let mark = value.indices.first { value[$0] == UInt8(ascii: "#") && $0 > value.startIndex && (value[$0 - 1] == 0x20 || value[$0 - 1] == 0x09) }
        return mark.map { value[..<$0] } ?? value
    }
}
