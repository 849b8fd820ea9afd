// JSON put together from JSON: what the store keeps as text goes into an answer as text. A list of 10 MB of numbers as a value takes
// thirty times its bytes, and an answer holds many such texts.

public import Base

/// An object, member by member, in compact style.
public struct JSONMembers: Sendable {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    public init() {}

    public mutating func add(_ name: String, _ value: JSONValue) { add(name, text: JSONPrinter.bytes(value)) }

    /// - Parameter text: one JSON value in compact style, which is not looked at.
    public mutating func add(_ name: String, text: some Collection<UInt8>) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        bytes += JSONPrinter.bytes(.string(name))
        bytes.append(UInt8(ascii: ":"))
        bytes += text
    }

    /// The whole object.
    public var text: [UInt8] { bytes + [UInt8(ascii: "}")] }

    /// A list of values in compact style.
    public static func list(_ items: some Collection<[UInt8]>) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        bytes.reserveCapacity(items.reduce(2) { $0 + $1.count + 1 })
        for (place, item) in items.enumerated() {
            if place > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += item
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}

extension JSONPrinter {
    /// A compact text laid out anew, as `bytes(_:style:)` lays out its value, without the value being made.
    ///
    /// - Parameters:
    ///   - compact: one JSON value as `.compact` prints it.
    ///   - level: how deep it stands in what it becomes a part of.
    /// - Complexity: O(bytes).
    public static func laidOut(compact: [UInt8], style: JSONStyle, level: Int = 0) -> [UInt8] {
        guard style != .compact else { return compact }
        var layout = Layout(style: style, level: level)
        layout.write(compact)
        return layout.bytes
    }

    private struct Layout {
        let style: JSONStyle
        var level: Int
        var bytes: [UInt8] = []

        mutating func write(_ text: [UInt8]) {
            bytes.reserveCapacity(text.count + text.count / 4)
            var place = 0
            while place < text.count {
                let byte = text[place]
                place += 1
                switch byte {
                case UInt8(ascii: "\""):
                    let begin = place
                    while place < text.count, text[place] != UInt8(ascii: "\"") { place += text[place] == UInt8(ascii: "\\") ? 2 : 1 }
                    place = min(place, text.count)
                    string(text[begin..<place])
                    place += 1
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    bytes.append(byte)
                    if place < text.count, text[place] == byte + 2 {
                        bytes.append(text[place])
                        place += 1
                    } else {
                        level += 1
                        newline()
                    }
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    level -= 1
                    newline()
                    bytes.append(byte)
                case UInt8(ascii: ","):
                    bytes.append(byte)
                    if style.isPretty { newline() } else { bytes.append(UInt8(ascii: " ")) }
                case UInt8(ascii: ":"):
                    bytes.append(byte)
                    bytes.append(UInt8(ascii: " "))
                default: bytes.append(byte)
                }
            }
        }

        private mutating func newline() {
            guard style.isPretty else { return }
            bytes.append(0x0A)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * max(0, level)))
        }

        /// What stands between two quotes, its escapes as they are.
        private mutating func string(_ text: ArraySlice<UInt8>) {
            bytes.append(UInt8(ascii: "\""))
            if !style.escapesNonASCII || text.allSatisfy({ $0 < 0x7F }) {
                bytes += text
            } else {
                for unit in String(decoding: text, as: UTF8.self).utf16 {
                    if unit < 0x7F { bytes.append(UInt8(unit)) } else { JSONPrinter.escape(unit, into: &bytes) }
                }
            }
            bytes.append(UInt8(ascii: "\""))
        }
    }

    /// `\u` and four digits.
    static func escape(_ unit: UInt16, into bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift in [12, 8, 4, 0] as [UInt16] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 15)
            bytes.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
        }
    }
}
