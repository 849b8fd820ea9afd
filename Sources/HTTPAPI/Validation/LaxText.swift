// Numbers and booleans that come as text, read as pydantic reads them: the original accepts `"5"`, `" 5 "`, `"5.0"` and
// `"1_000"` for an integer, `"yes"` for a boolean.

internal import Base

enum LaxText {
    enum IntegerReading: Equatable {
        case value(Int)
        /// A whole number that no machine integer holds; only its sign matters for a bound.
        case beyond(negative: Bool)
        /// Over 4,300 digits, where Python stops.
        case tooManyDigits
        case none
    }

    private static let digitsMax = 4_300

    /// Optional sign, digits with single underscores between them, optionally a fraction of zeros only.
    static func integer(_ text: String) -> IntegerReading {
        var rest = trimmed(text)
        var negative = false
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            negative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        if let point = rest.firstIndex(of: UInt8(ascii: ".")) {
            let fraction = rest[(point + 1)...]
            guard !fraction.isEmpty, fraction.allSatisfy({ $0 == UInt8(ascii: "0") }) else { return .none }
            rest = rest[..<point]
        }
        guard let digits = withoutUnderscores(rest), !digits.isEmpty, digits.allSatisfy(isDigit) else { return .none }
        guard digits.count <= digitsMax else { return .tooManyDigits }
        let number = (negative ? "-" : "") + String(decoding: digits, as: UTF8.self)
        return Int(number).map(IntegerReading.value) ?? .beyond(negative: negative)
    }

    /// Python's `float(text)`: also `inf`, `nan`, `.5`, `5.`, underscores between digits.
    static func number(_ text: String) -> Double? {
        let rest = trimmed(text)
        var body = rest
        if let sign = body.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { body = body.dropFirst() }
        switch String(decoding: body, as: UTF8.self).lowercased() {
        case "inf", "infinity": return rest.first == UInt8(ascii: "-") ? -.infinity : .infinity
        case "nan": return .nan
        default: break
        }
        guard let plain = withoutUnderscores(body), plain.contains(where: isDigit) else { return nil }
        // What is left must be digits, one point, one exponent: Swift's parser would also take hexadecimal.
        guard plain.allSatisfy({ isDigit($0) || ".eE+-".utf8.contains($0) }) else { return nil }
        var digits = String(decoding: plain, as: UTF8.self)
        guard !digits.hasPrefix("+"), !digits.hasPrefix("-") else { return nil }
        if digits.hasPrefix(".") { digits = "0" + digits }
        if let point = digits.firstIndex(of: ".") {
            let next = digits.index(after: point)
            if next == digits.endIndex || digits[next] == "e" || digits[next] == "E" { digits.insert("0", at: next) }
        }
        return Double((rest.first == UInt8(ascii: "-") ? "-" : "") + digits)
    }

    static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "t", "yes", "y", "on", "1": true
        case "false", "f", "no", "n", "off", "0": false
        default: nil
        }
    }

    /// What the original makes of a `since` or `last_seen_sequence`: text that is no integer, or contains `-`, counts as 0.
    static func sequence(_ text: String) -> Sequence {
        guard !text.utf8.contains(UInt8(ascii: "-")), !text.utf8.contains(UInt8(ascii: ".")) else { return .zero }
        return switch integer(text) {
        case .value(let value): Sequence(rawValue: UInt64(value))
        // No log is that long: the caller has seen everything.
        case .beyond, .tooManyDigits: Sequence(rawValue: UInt64(Int.max))
        case .none: .zero
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private static func trimmed(_ text: String) -> ArraySlice<UInt8> {
        var bytes = Array(text.utf8)[...]
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        while let first = bytes.first, isSpace(first) { bytes = bytes.dropFirst() }
        while let last = bytes.last, isSpace(last) { bytes = bytes.dropLast() }
        return bytes
    }

    /// Nil when an underscore does not stand between two digits.
    private static func withoutUnderscores(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        var plain: [UInt8] = []
        plain.reserveCapacity(bytes.count)
        for index in bytes.indices {
            guard bytes[index] == UInt8(ascii: "_") else {
                plain.append(bytes[index])
                continue
            }
            guard index > bytes.startIndex, index + 1 < bytes.endIndex, isDigit(bytes[index - 1]), isDigit(bytes[index + 1]) else { return nil }
        }
        return plain
    }
}
