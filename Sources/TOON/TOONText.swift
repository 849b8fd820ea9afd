// When a text needs quotes, and what stands between them: sections 7.1 to 7.3.

enum TOONText {
    /// Section 7.2: whatever could be read as something else than this string.
    static func needsQuotes(_ text: UnsafeBufferPointer<UInt8>, delimiter: UInt8) -> Bool {
        guard let first = unsafe text.first, let last = unsafe text.last else { return true }
        if first == ASCII.space || last == ASCII.space || first == ASCII.minus || first == ASCII.hash { return true }
        for unsafe byte in unsafe text {
            if byte < 0x20 || byte == delimiter { return true }
            switch byte {
            case ASCII.colon, ASCII.quote, ASCII.backslash, ASCII.openBracket, ASCII.closeBracket, ASCII.openBrace, ASCII.closeBrace:
                return true
            default: break
            }
        }
        let mayBeNumber = ASCII.isDigit(first) || first == ASCII.plus
        if mayBeNumber, TOONNumber.looksNumeric(unsafe Array(text)[...]) { return true }
        return unsafe text.elementsEqual("true".utf8) || text.elementsEqual("false".utf8) || text.elementsEqual("null".utf8)
    }

    /// Section 7.3: a letter or underscore, then letters, digits, underscores, dots.
    static func isBareKey(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = unsafe text.first, ASCII.isLetter(first) || first == ASCII.underscore else { return false }
        return unsafe text.allSatisfy { ASCII.isLetter($0) || ASCII.isDigit($0) || $0 == ASCII.underscore || $0 == ASCII.dot }
    }

    static func isBareKey(_ text: ArraySlice<UInt8>) -> Bool {
        unsafe text.withUnsafeBufferPointer { unsafe isBareKey($0) }
    }

    static func quote(_ text: UnsafeBufferPointer<UInt8>, into bytes: inout [UInt8]) {
        bytes.append(ASCII.quote)
        for unsafe byte in unsafe text {
            switch byte {
            case ASCII.backslash: bytes += #"\\"#.utf8
            case ASCII.quote: bytes += #"\""#.utf8
            case ASCII.lineFeed: bytes += #"\n"#.utf8
            case ASCII.carriageReturn: bytes += #"\r"#.utf8
            case ASCII.tab: bytes += #"\t"#.utf8
            case 0..<0x20:
                bytes += #"\u00"#.utf8
                bytes.append(hexadecimal[Int(byte >> 4)])
                bytes.append(hexadecimal[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(ASCII.quote)
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)

    /// The text of a quoted token, quotes included in `token`. Section 7.1.
    static func unquote(_ token: ArraySlice<UInt8>, line: Int) throws(TOONError) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(token.count)
        var position = token.startIndex + 1
        while position < token.endIndex {
            let byte = token[position]
            position += 1
            if byte == ASCII.quote {
                guard position == token.endIndex else {
                    throw TOONError(line: line, message: "text follows the closing quote of a string")
                }
                return String(decoding: text, as: UTF8.self)
            }
            guard byte == ASCII.backslash else {
                text.append(byte)
                continue
            }
            guard position < token.endIndex else { break }
            let escape = token[position]
            position += 1
            switch escape {
            case ASCII.backslash, ASCII.quote: text.append(escape)
            case UInt8(ascii: "n"): text.append(ASCII.lineFeed)
            case UInt8(ascii: "r"): text.append(ASCII.carriageReturn)
            case UInt8(ascii: "t"): text.append(ASCII.tab)
            case UInt8(ascii: "u"):
                text += try scalar(token[position...].prefix(4), line: line).utf8
                position += 4
            default:
                throw TOONError(
                    line: line,
                    message: #"invalid escape sequence \"# + String(Unicode.Scalar(escape)) + #"; TOON has \\ \" \n \r \t and \uXXXX"#)
            }
        }
        throw TOONError(line: line, message: "unterminated string: the closing quote is missing")
    }

    private static func scalar(_ digits: ArraySlice<UInt8>, line: Int) throws(TOONError) -> String {
        var value: UInt32 = 0
        for digit in digits {
            guard let nibble = Character(Unicode.Scalar(digit)).hexDigitValue, digit < 0x80 else {
                throw TOONError(line: line, message: #"\u needs four hexadecimal digits"#)
            }
            value = value << 4 | UInt32(nibble)
        }
        guard digits.count == 4 else { throw TOONError(line: line, message: #"\u needs four hexadecimal digits"#) }
        guard let scalar = Unicode.Scalar(value) else {
            throw TOONError(line: line, message: #"\u names half of a surrogate pair; write the character itself"#)
        }
        return String(scalar)
    }
}
