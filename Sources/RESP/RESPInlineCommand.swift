// A command typed as a line of words. Quotes as in Redis (`sdssplitargs`): "..." with \n \r \t \b \a \xHH and \ before any
// other byte, '...' with \' only; a closing quote ends the word.

enum RESPInlineCommand {
    static func words(_ line: ArraySlice<UInt8>) throws(RESPProtocolError) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var rest = line
        while true {
            while let byte = rest.first, isSpace(byte) { rest = rest.dropFirst() }
            guard !rest.isEmpty else { return words }
            words.append(try word(&rest))
        }
    }

    private static func word(_ rest: inout ArraySlice<UInt8>) throws(RESPProtocolError) -> [UInt8] {
        var word: [UInt8] = []
        while let byte = rest.popFirst(), !isSpace(byte) {
            guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else {
                word.append(byte)
                continue
            }
            try quoted(byte, &rest, &word)
            if let next = rest.first, !isSpace(next) { throw .unbalancedQuotes }
            return word
        }
        return word
    }

    private static func quoted(_ quote: UInt8, _ rest: inout ArraySlice<UInt8>, _ word: inout [UInt8]) throws(RESPProtocolError) {
        while let byte = rest.popFirst() {
            if byte == quote { return }
            guard byte == UInt8(ascii: "\\"), let next = rest.first else {
                word.append(byte)
                continue
            }
            if quote == UInt8(ascii: "'") {
                if next == quote { rest = rest.dropFirst() }
                word.append(next == quote ? quote : byte)
            } else if next == UInt8(ascii: "x"), let value = hexadecimal(rest.dropFirst().prefix(2)) {
                rest = rest.dropFirst(3)
                word.append(value)
            } else {
                rest = rest.dropFirst()
                word.append(escape(next))
            }
        }
        throw .unbalancedQuotes
    }

    private static func escape(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "a"): 0x07
        default: byte
        }
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt8? {
        guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }) else { return nil }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
