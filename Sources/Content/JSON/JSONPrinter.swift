// Writing JSON. Numbers are written with the text that they came with, in every style.

public import Base

/// How JSON is laid out.
public enum JSONStyle: Sendable {
    /// `,` and `:`, UTF-8: answers on the wire.
    case compact
    /// `, ` and `: `, everything outside printable ASCII escaped, as Python's `json.dumps` does by default: what token
    /// counts are taken of, and what the Redis channel carries.
    case python
    /// Two spaces a level, everything outside printable ASCII escaped: `json.dumps(value, indent=2)`, the preview of a match.
    case pretty2
    /// Two spaces a level, UTF-8.
    case pretty2UTF8

    var escapesNonASCII: Bool { self == .python || self == .pretty2 }
    public var isPretty: Bool { self == .pretty2 || self == .pretty2UTF8 }
}

public enum JSONPrinter {
    /// - Complexity: O(size of the value and its text).
    public static func bytes(_ value: JSONValue, style: JSONStyle = .compact) -> [UInt8] {
        var printer = Printer(style: style)
        printer.write(value, level: 0)
        return printer.bytes
    }

    public static func text(_ value: JSONValue, style: JSONStyle = .compact) -> String {
        String(decoding: bytes(value, style: style), as: UTF8.self)
    }

    /// A string with its quotes, for printers of other formats that quote as JSON does.
    static func quoted(_ text: String, style: JSONStyle = .compact) -> String {
        var printer = Printer(style: style)
        printer.write(text)
        return String(decoding: printer.bytes, as: UTF8.self)
    }

    private struct Printer {
        let style: JSONStyle
        var bytes: [UInt8] = []

        /// Recursion is bounded by the depth that the value's maker allowed (`Limits.nestingDepth`).
        mutating func write(_ value: JSONValue, level: Int) {
            switch value {
            case .null: bytes.append(contentsOf: "null".utf8)
            case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
            case .number(let number): bytes.append(contentsOf: number.text.utf8)
            case .string(let text): write(text)
            case .array(let items):
                bytes.append(UInt8(ascii: "["))
                for (index, item) in items.enumerated() {
                    separate(index, level: level)
                    write(item, level: level + 1)
                }
                close(UInt8(ascii: "]"), isEmpty: items.isEmpty, level: level)
            case .object(let members):
                bytes.append(UInt8(ascii: "{"))
                for (index, member) in members.enumerated() {
                    separate(index, level: level)
                    write(member.key)
                    bytes.append(UInt8(ascii: ":"))
                    if style != .compact { bytes.append(UInt8(ascii: " ")) }
                    write(member.value, level: level + 1)
                }
                close(UInt8(ascii: "}"), isEmpty: members.isEmpty, level: level)
            }
        }

        private mutating func separate(_ index: Int, level: Int) {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            if style.isPretty {
                newline(level: level + 1)
            } else if index > 0, style == .python {
                bytes.append(UInt8(ascii: " "))
            }
        }
        private mutating func close(_ bracket: UInt8, isEmpty: Bool, level: Int) {
            if style.isPretty, !isEmpty { newline(level: level) }
            bytes.append(bracket)
        }
        private mutating func newline(level: Int) {
            bytes.append(0x0A)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
        }

        mutating func write(_ text: String) {
            bytes.append(UInt8(ascii: "\""))
            if style.escapesNonASCII {
                for unit in text.utf16 {
                    if unit >= 0x7F { escape(unit) } else { write(ascii: UInt8(unit)) }
                }
            } else {
                for byte in text.utf8 { write(ascii: byte) }
            }
            bytes.append(UInt8(ascii: "\""))
        }

        /// A byte of ASCII, or one of a longer UTF-8 sequence, which goes through unchanged.
        @inline(__always)
        private mutating func write(ascii byte: UInt8) {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x20...: bytes.append(byte)
            case 0x08: bytes.append(contentsOf: "\\b".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0C: bytes.append(contentsOf: "\\f".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            default: escape(UInt16(byte))
            }
        }

        private mutating func escape(_ unit: UInt16) { JSONPrinter.escape(unit, into: &bytes) }
    }
}
