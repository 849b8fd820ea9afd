// The value of a number as a term: `19.90`, `19.9` and `1.99e1` are written differently and are one number, so beside what is written the
// index has the shortest way to write it. Digits are moved, no arithmetic is done: the term of a number is the same on every machine.

enum NumberText {
    /// Longer ones are names.
    private static let digitsMax = 40

    /// The shortest text of what `bytes` say, in lower-case ASCII: digits, a fraction, an exponent, `_` between groups of three digits. nil when
    /// they are no number, or are that text already.
    static func value(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        guard let first = bytes.first, isDigit(first), bytes.count <= 2 * digitsMax else { return nil }
        var (digits, point, exponent): ([UInt8], Int?, Int) = ([], nil, 0)
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let byte = bytes[at]
            if isDigit(byte) {
                digits.append(byte)
            } else if byte == UInt8(ascii: "."), point == nil, at + 1 < bytes.endIndex, isDigit(bytes[at + 1]) {
                point = digits.count
            } else if byte == UInt8(ascii: "_"), isGroup(bytes[(at + 1)...]) {
                // Python, Java, Swift and others write 1_000 so.
            } else if byte == UInt8(ascii: "e"), let given = Self.exponent(bytes[(at + 1)...]) {
                exponent = given
                break
            } else {
                return nil
            }
            at += 1
        }
        guard digits.count <= digitsMax else { return nil }
        let text = shortest(digits, pointAt: (point ?? digits.count) + exponent)
        return bytes.elementsEqual(text) ? nil : text
    }

    private static func shortest(_ all: [UInt8], pointAt point: Int) -> [UInt8] {
        let zero = UInt8(ascii: "0")
        let leading = all.prefix { $0 == zero }.count
        var digits = Array(all.dropFirst(leading))
        let point = point - leading
        while digits.last == zero { digits.removeLast() }
        if digits.isEmpty { return [zero] }
        let dot = UInt8(ascii: ".")
        if point <= 0 { return [zero, dot] + [UInt8](repeating: zero, count: -point) + digits }
        if point >= digits.count { return digits + [UInt8](repeating: zero, count: point - digits.count) }
        return digits[..<point] + [dot] + digits[point...]
    }

    private static func exponent(_ bytes: ArraySlice<UInt8>) -> Int? {
        var bytes = bytes
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
        guard (1...2).contains(bytes.count), bytes.allSatisfy(isDigit) else { return nil }
        let value = bytes.reduce(0) { $0 * 10 + Int($1 & 15) }
        guard value <= digitsMax else { return nil }
        return isNegative ? -value : value
    }

    /// Three digits, and no fourth.
    static func isGroup(_ bytes: ArraySlice<UInt8>) -> Bool {
        let digits = bytes.prefix(4).prefix(while: isDigit)
        return digits.count == 3
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
}
