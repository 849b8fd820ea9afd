// What would cost Yams or libyaml more time than its length is worth, found by looking at the bytes and refused before they are parsed.
//
//   keys that hold aliases   Yams hashes the keys of every mapping, an alias in a key with all that it stands for, which doubles as
//                            often as somebody likes. With up to 12 aliases a document grows at most 81-fold (3^(12/3), three aliases on
//                            each of four levels); with more, no key may be anything but a text.
//   keys inside keys         are hashed once a level.
//   flow collections         that lie deep in each other (`YAMLFlowDepth`): each token of libyaml's costs a look at all levels.
//   %TAG                     gives a prefix a short name; libyaml copies the prefix at each use.
//
// YAML can only be told from its text by reading it as YAML. So the signs below err to the safe side: a sign in a quoted text counts. But
// they are looked for where they can be signs, since real files with many aliases hold `${HOME}:/data` and `(foo)?`.

internal import Base

enum YAMLGuard {
    private static let aliasesMax = 12
    private static let tagBytesMax = 128

    /// - Complexity: O(*n*).
    static func check(_ text: String) throws(FormatError) {
        let bytes = Array(text.utf8)
        var scan = Scan()
        var flow = YAMLFlowDepth()
        for index in bytes.indices {
            let byte = bytes[index]
            if byte == 0 { throw FormatError(.yaml, line: scan.line, "NUL is not a character of YAML") }
            scan.read(byte, at: index, in: bytes)
            flow.read(byte, at: index, in: bytes)
            guard flow.depth <= Limits.nestingDepth + Limits.envelopeLevels else {
                throw FormatError(.yaml, .limit, line: scan.line, "Nested deeper than \(Limits.nestingDepth) levels")
            }
            guard scan.keysInKeys <= Limits.nestingDepth else {
                throw FormatError(.yaml, .limit, line: scan.line, "More than \(Limits.nestingDepth) keys that are no text inside each other, perhaps")
            }
            // Brackets and indentation alone end with a bound of depth: each value more has a comma or a line.
            guard scan.parts <= Limits.documentParts else {
                throw FormatError(.yaml, .limit, line: 0, "More than \(Limits.documentParts) values; publish it in parts under several keys")
            }
            if scan.isDirective, index - scan.lineStart > tagBytesMax {
                throw FormatError(.yaml, .limit, line: scan.line, "A %TAG directive of more than \(tagBytesMax) bytes")
            }
        }
        if scan.aliases > aliasesMax, let line = scan.keyLine {
            throw FormatError(.yaml, .limit, line: line, "More than \(aliasesMax) aliases beside a key that is not plain text")
        }
    }

    private struct Scan {
        var line = 1
        var lineStart = 0
        /// Commas and lines.
        var parts = 0
        /// The last byte of the line that is no blank, 0 before the first; a bracket that begins nothing, as in `${x}` or `"{{`, is none.
        private var previous: UInt8 = 0
        /// An anchor or a tag stands on the line: what follows it may begin a node.
        private var hasProperty = false
        /// Flow collections that began on this line. (libyaml wants a key without `?` to be on one line with its colon.)
        private var brackets = 0
        var isDirective = false

        var aliases = 0
        /// Where a key that is no text may be.
        var keyLine: Int? = nil
        /// Keys that may stand in another one.
        var keysInKeys = 0
        private var lastKeyColumn = -1

        mutating func read(_ byte: UInt8, at index: Int, in bytes: [UInt8]) {
            switch byte {
            case 0x0A, 0x0D:
                if byte == 0x0A || index + 1 == bytes.count || bytes[index + 1] != 0x0A {
                    line += 1
                    parts += 1
                }
                (lineStart, previous, hasProperty, brackets, isDirective) = (index + 1, 0, false, 0, false)
                return
            case 0x20, 0x09: return
            case UInt8(ascii: ","): parts += 1
            case UInt8(ascii: "%") where index == lineStart: isDirective = true
            case UInt8(ascii: "&"), UInt8(ascii: "!"): hasProperty = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                guard mayBeginNode else {
                    previous = UInt8(ascii: "$")
                    return
                }
                brackets += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if brackets > 0, isColon(after: index + 1, in: bytes) {
                    note()
                    keysInKeys = max(keysInKeys, brackets)
                }
            case UInt8(ascii: "*") where mayBeginNode:
                var end = index + 1
                while end < bytes.count, Self.isName(bytes[end]) { end += 1 }
                if end > index + 1 {
                    aliases += 1
                    if isColon(after: end, in: bytes) { note() }
                }
            case UInt8(ascii: "?") where mayBeginNode:
                note()
                if previous != 0 || index - lineStart != lastKeyColumn { keysInKeys += 1 }
                lastKeyColumn = index - lineStart
            default: break
            }
            previous = byte
        }

        private mutating func note() { keyLine = keyLine ?? line }

        /// Whether what comes next may be the first byte of a node or an indicator, as far as the line tells. Bytes of other characters may
        /// be line ends to libyaml (U+0085, U+2028).
        private var mayBeginNode: Bool { previous == 0 || previous >= 0x80 || hasProperty || "-?:,[{".utf8.contains(previous) }

        private func isColon(after end: Int, in bytes: [UInt8]) -> Bool {
            bytes[end...].first { $0 != 0x20 && $0 != 0x09 } == UInt8(ascii: ":")
        }

        private static func isName(_ byte: UInt8) -> Bool {
            byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
    }
}
