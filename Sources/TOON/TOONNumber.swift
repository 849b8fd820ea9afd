// Numbers are handled as decimal text from end to end, so a number of any size or precision passes through unchanged in
// value: no host float is involved. Section 2 (canonical form) and section 4 (grammar) of the specification.
public import Base

/// The canonical text of numbers.
public enum TOONNumber {
    /// The same value as TOON writes it: plain digits without superfluous zeros when 1e-6 <= |n| < 1e21 or n = 0,
    /// `d.ddde+x` outside that range.
    /// - Complexity: O(length of the text).
    public static func canonical(_ number: JSONNumber) -> JSONNumber {
        JSONNumber(uncheckedText: String(decoding: canonical(Array(number.text.utf8)), as: UTF8.self))
    }

    static func canonical(_ text: [UInt8]) -> [UInt8] {
        // One near the bound is left as it was written: its canonical form may be a few characters longer, and would be over it.
        if isPlainInteger(text) || text.count > Limits.numberCharacters - 32 { return text }
        var digits: [UInt8] = []
        var exponent = 0
        var position = 0
        let negative = text.first == ASCII.minus
        if negative { position = 1 }
        var fractional = false
        scan: while position < text.count {
            let byte = text[position]
            switch byte {
            case ASCII.zero...ASCII.nine:
                if !(digits.isEmpty && byte == ASCII.zero) { digits.append(byte) }
                if fractional { exponent -= 1 }
            case ASCII.dot:
                fractional = true
            default:
                break scan
            }
            position += 1
        }
        while digits.last == ASCII.zero {
            digits.removeLast()
            exponent += 1
        }
        if digits.isEmpty { return [ASCII.zero] }
        if position < text.count {
            let written = text[(position + 1)...]
            // An exponent of more digits than any real number needs is left as it was written.
            guard written.count <= 15, let value = Int(String(decoding: written, as: UTF8.self)) else { return text }
            exponent += value
        }
        // The value is 0.DIGITS times ten to the power of `point`.
        let point = digits.count + exponent
        var result: [UInt8] = negative ? [ASCII.minus] : []
        if point < -5 || point > 21 {
            result.append(digits[0])
            if digits.count > 1 {
                result.append(ASCII.dot)
                result += digits[1...]
            }
            result.append(ASCII.lowerE)
            if point > 0 { result.append(ASCII.plus) }
            result += String(point - 1).utf8
        } else if point <= 0 {
            result += [ASCII.zero, ASCII.dot]
            result += repeatElement(ASCII.zero, count: -point)
            result += digits
        } else if point >= digits.count {
            result += digits
            result += repeatElement(ASCII.zero, count: point - digits.count)
        } else {
            result += digits[..<point]
            result.append(ASCII.dot)
            result += digits[point...]
        }
        return result
    }

    /// Most numbers: an integer of at most 18 digits, which is canonical as it stands.
    private static func isPlainInteger(_ text: [UInt8]) -> Bool {
        let digits = text.first == ASCII.minus ? text[1...] : text[...]
        guard let first = digits.first, digits.count <= 18 else { return false }
        if first == ASCII.zero { return text.count == 1 }
        return digits.allSatisfy { ASCII.isDigit($0) }
    }

    /// Section 4: `-?digits(.digits)?(e[+-]?digits)?` without leading zeros. Anything else is a string.
    static func isNumber(_ token: ArraySlice<UInt8>) -> Bool { matches(token, lenient: false) }

    /// Section 7.2: what an encoder must quote; also `+1` and `05`.
    static func looksNumeric(_ token: ArraySlice<UInt8>) -> Bool { matches(token, lenient: true) }

    private static func matches(_ token: ArraySlice<UInt8>, lenient: Bool) -> Bool {
        var position = token.startIndex
        func digits() -> Int {
            let start = position
            while position < token.endIndex, ASCII.isDigit(token[position]) { position += 1 }
            return position - start
        }
        func accept(_ byte: UInt8) -> Bool {
            guard position < token.endIndex, token[position] == byte else { return false }
            position += 1
            return true
        }
        if !accept(ASCII.minus), lenient { _ = accept(ASCII.plus) }
        let first = position
        let whole = digits()
        guard whole > 0 else { return false }
        if !lenient, whole > 1, token[first] == ASCII.zero { return false }
        if accept(ASCII.dot), digits() == 0 { return false }
        if accept(ASCII.lowerE) || accept(ASCII.upperE) {
            if !accept(ASCII.minus) { _ = accept(ASCII.plus) }
            if digits() == 0 { return false }
        }
        return position == token.endIndex
    }
}

/// The bytes that TOON gives a meaning.
enum ASCII {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let plus: UInt8 = 0x2B
    static let comma: UInt8 = 0x2C
    static let minus: UInt8 = 0x2D
    static let dot: UInt8 = 0x2E
    static let zero: UInt8 = 0x30
    static let nine: UInt8 = 0x39
    static let colon: UInt8 = 0x3A
    static let upperE: UInt8 = 0x45
    static let openBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let closeBracket: UInt8 = 0x5D
    static let underscore: UInt8 = 0x5F
    static let lowerE: UInt8 = 0x65
    static let openBrace: UInt8 = 0x7B
    static let pipe: UInt8 = 0x7C
    static let closeBrace: UInt8 = 0x7D

    static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
}
