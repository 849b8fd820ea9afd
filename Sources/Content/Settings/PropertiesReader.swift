// Java's .properties, by the documentation of java.util.Properties.load: key and value parted by =, : or white space, lines that go on
// after a backslash, escapes, comments with # or !. The last of equal keys counts.

public import Base

public enum PropertiesReader {
    /// Keys with dots lie together under what is before their last dot: `spring.datasource.url=x` gives `{"spring.datasource": {"url": "x"}}`,
    /// so that what belongs together is found together. All values are texts.
    ///
    /// - Throws: when most lines have no = and no colon: any prose is a list of properties otherwise.
    /// - Complexity: O(*n*).
    public static func value(_ text: String, cancellation: Cancellation = .never) throws(FormatError) -> JSONValue {
        let bytes = Array(text.utf8)
        var top = GroupedMembers()
        var groups: [(name: String, members: GroupedMembers)] = []
        var places: [ExactText: Int] = [:]
        var number = 0, pairs = 0, bare = 0, firstBare = 0
        var logical: [UInt8] = []
        var goesOn = false
        func close() {
            let (name, value, isMarked) = pair(logical)
            if isMarked { pairs += 1 } else { bare += 1 }
            if bare == 1, !isMarked { firstBare = number }
            guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex, name.utf8.index(after: dot) < name.endIndex else {
                return top.set(name, .string(value))
            }
            let group = String(name[..<dot])
            let place = places[ExactText(group)] ?? groups.count
            if place == groups.count {
                places[ExactText(group)] = place
                groups.append((group, GroupedMembers()))
            }
            groups[place].members.set(String(name[name.utf8.index(after: dot)...]), .string(value))
        }
        for range in TextLines(bytes) {
            try cancellation.check(.properties)
            number += 1
            var line = bytes[range].drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0C }
            if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
            if !goesOn, line.isEmpty || line.first == UInt8(ascii: "#") || line.first == UInt8(ascii: "!") { continue }
            goesOn = line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
            logical += goesOn ? line.dropLast() : line
            if goesOn { continue }
            close()
            logical.removeAll(keepingCapacity: true)
        }
        if !logical.isEmpty { close() }
        guard pairs + bare > 0 else { throw FormatError(.properties, line: 1, "Nothing is set") }
        guard pairs >= bare else { throw FormatError(.properties, line: max(firstBare, 1), "Lines without = or :") }
        for group in groups { top.add(group.name, .object(group.members.object)) }
        return .object(top.object)
    }

    private static func pair(_ line: [UInt8]) -> (name: String, value: String, isMarked: Bool) {
        var end = 0
        while end < line.count, !isSpace(line[end]), line[end] != UInt8(ascii: "="), line[end] != UInt8(ascii: ":") {
            end += line[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        end = min(end, line.count)
        var start = end
        while start < line.count, isSpace(line[start]) { start += 1 }
        let isMarked = start < line.count && (line[start] == UInt8(ascii: "=") || line[start] == UInt8(ascii: ":"))
        if isMarked {
            start += 1
            while start < line.count, isSpace(line[start]) { start += 1 }
        }
        return (unescaped(line[..<end]), unescaped(line[start...]), isMarked)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0C }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
        guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
        var units: [UInt16] = []
        var rest = text
        var plain: [UInt8] = []
        var out = ""
        func flush() {
            out += String(decoding: plain, as: UTF8.self) + String(decoding: units, as: UTF16.self)
            plain.removeAll(keepingCapacity: true)
            units.removeAll(keepingCapacity: true)
        }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let letter = rest.popFirst() else {
                if !units.isEmpty { flush() }
                plain.append(byte)
                continue
            }
            // Two escapes of UTF-16 in a row are one character.
            if letter == UInt8(ascii: "u"), rest.count >= 4, let unit = UInt16(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16) {
                if !plain.isEmpty { flush() }
                units.append(unit)
                rest = rest.dropFirst(4)
                continue
            }
            if !units.isEmpty { flush() }
            switch letter {
            case UInt8(ascii: "n"): plain.append(0x0A)
            case UInt8(ascii: "t"): plain.append(0x09)
            case UInt8(ascii: "r"): plain.append(0x0D)
            case UInt8(ascii: "f"): plain.append(0x0C)
            default: plain.append(letter)
            }
        }
        flush()
        return out
    }
}
