// Values as Python prints them. The text that is embedded was made by Python's `str` and `repr` in the original, and a
// similarity threshold keeps its meaning only if ours is the same text.

public import Base

public enum PythonNotation {
    /// Which text a number has.
    enum Numbers {
        /// `repr` of the double: 3.10 is 3.1.
        case ofPython
        /// As it stood in the data: a version 3.10 is none of 3.1, and a price of 19.90 is looked for as that.
        case asWritten
    }

    /// `str(value)`: a string as it is, everything else as `repr`.
    public static func str(_ value: JSONValue) -> String {
        if case .string(let text) = value { text } else { repr(value) }
    }

    /// `repr(value)` of the value that Python's `json` would have parsed: `None`, `True`, `'x'`, `{'a': [1, 2.0]}`.
    public static func repr(_ value: JSONValue) -> String {
        var out = ""
        write(value, .ofPython, into: &out)
        return out
    }

    /// Appends `str(value)`: a list of millions would else be as many texts before it is one.
    static func append(_ value: JSONValue, _ numbers: Numbers = .ofPython, to out: inout String) {
        if case .string(let text) = value { out += text } else { write(value, numbers, into: &out) }
    }

    private static func write(_ value: JSONValue, _ numbers: Numbers, into out: inout String) {
        switch value {
        case .null: out += "None"
        case .bool(let flag): out += flag ? "True" : "False"
        case .number(let number): out += numbers == .asWritten ? number.text : self.number(number)
        case .string(let text): quote(text, into: &out)
        case .array(let items):
            out += "["
            for (index, item) in items.enumerated() {
                if index > 0 { out += ", " }
                write(item, numbers, into: &out)
            }
            out += "]"
        case .object(let members):
            out += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { out += ", " }
                quote(member.key, into: &out)
                out += ": "
                write(member.value, numbers, into: &out)
            }
            out += "}"
        }
    }

    /// An integer with all its digits; a number with fraction or exponent as the shortest text of its double.
    static func number(_ number: JSONNumber) -> String {
        let isInteger = !number.text.utf8.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }
        if isInteger { return number.text == "-0" ? "0" : number.text }
        return float(number.double)
    }

    /// Python switches to an exponent below 1e-4 and from 1e16 on (CPython, `float_repr_style` short: format code `r`).
    /// The digits are the shortest that read back the same, which is what Swift prints too.
    static func float(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
        var digits: [UInt8] = []
        var exponent = 0
        var pointAt: Int? = nil
        let text = Array(value.magnitude.description.utf8)
        for (index, byte) in text.enumerated() {
            if byte == UInt8(ascii: ".") { pointAt = digits.count }
            else if byte == UInt8(ascii: "e") { exponent = Int(String(decoding: text[(index + 1)...], as: UTF8.self)) ?? 0; break }
            else { digits.append(byte) }
        }
        // value = 0.d1d2d3... x 10^point
        var point = (pointAt ?? digits.count) + exponent
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(zeros)
        point -= zeros
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }

        var out = value < 0 ? "-" : ""
        func digitText(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
        if point - 1 < -4 || point - 1 >= 16 {
            out += digitText(0..<1)
            if digits.count > 1 { out += "." + digitText(1..<digits.count) }
            let power = abs(point - 1)
            out += (point - 1 < 0 ? "e-" : "e+") + (power < 10 ? "0" : "") + String(power)
        } else if point <= 0 {
            out += "0." + String(repeating: "0", count: -point) + digitText(0..<digits.count)
        } else if digits.count <= point {
            out += digitText(0..<digits.count) + String(repeating: "0", count: point - digits.count) + ".0"
        } else {
            out += digitText(0..<point) + "." + digitText(point..<digits.count)
        }
        return out
    }

    /// Single quotes, unless the text has some and no double ones; what is not printable is escaped.
    private static func quote(_ text: String, into out: inout String) {
        var single = false, double = false
        for byte in text.utf8 {
            if byte == UInt8(ascii: "'") { single = true }
            if byte == UInt8(ascii: "\"") { double = true }
        }
        let mark: Unicode.Scalar = single && !double ? "\"" : "'"
        out.unicodeScalars.append(mark)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case mark:
                out += "\\"
                out.unicodeScalars.append(scalar)
            case " "..."~": out.unicodeScalars.append(scalar)
            default:
                if isPrintable(scalar) {
                    out.unicodeScalars.append(scalar)
                } else {
                    let hexadecimal = String(scalar.value, radix: 16)
                    let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                    out += "\\" + letter + String(repeating: "0", count: width - hexadecimal.count) + hexadecimal
                }
            }
        }
        out.unicodeScalars.append(mark)
    }

    /// Python's `str.isprintable` for one scalar.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: false
        default: true
        }
    }
}
