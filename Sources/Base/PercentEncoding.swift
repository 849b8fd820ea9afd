/// RFC 3986, section 2.1.
public enum PercentEncoding {
    /// - Returns: nil when the decoded bytes are not UTF-8. A `%` without two digits stands for itself, as in every browser.
    public static func decode(_ text: Substring, plusIsSpace: Bool) -> String? {
        let bytes = decodedBytes(text, plusIsSpace: plusIsSpace)
        return String(validating: bytes, as: UTF8.self)
    }

    /// Bytes that are not UTF-8 become U+FFFD.
    public static func decodeReplacing(_ text: Substring, plusIsSpace: Bool) -> String {
        String(decoding: decodedBytes(text, plusIsSpace: plusIsSpace), as: UTF8.self)
    }

    private static func decodedBytes(_ text: Substring, plusIsSpace: Bool) -> [UInt8] {
        let source = Array(text.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        var position = 0
        while position < source.count {
            let byte = source[position]
            if byte == UInt8(ascii: "%"), position + 2 < source.count, let high = digit(source[position + 1]), let low = digit(source[position + 2]) {
                bytes.append(high << 4 | low)
                position += 3
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
                position += 1
            }
        }
        return bytes
    }

    public static func encode(_ text: String, keeping isKept: (UInt8) -> Bool) -> String {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if isKept(byte) {
                encoded.append(byte)
            } else {
                encoded.append(UInt8(ascii: "%"))
                encoded.append(hexadecimal(byte >> 4))
                encoded.append(hexadecimal(byte & 15))
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte - 0x30 }
        let lower = byte | 0x20
        return lower &- 0x61 < 6 ? lower - 0x61 + 10 : nil
    }
    private static func hexadecimal(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
}
