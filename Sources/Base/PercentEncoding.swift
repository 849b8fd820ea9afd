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
            if let escaped = escaped(source, at: position) {
                bytes.append(escaped)
                position += 3
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
                position += 1
            }
        }
        return bytes
    }

    /// RFC 3986, section 2.3: what needs no encoding anywhere.
    public static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        // - . _ ~ 0...9 A...Z a...z
        case 0x2D, 0x2E, 0x5F, 0x7E, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    /// - Parameters:
    ///   - keepingEscapes: a `%` with two digits stays as it is; one without is encoded all the same.
    ///   - isKept: bytes that stand for themselves.
    public static func encode(_ text: String, keepingEscapes: Bool = false, keeping isKept: (UInt8) -> Bool = PercentEncoding.isUnreserved) -> String {
        let source = Array(text.utf8)
        var encoded: [UInt8] = []
        encoded.reserveCapacity(source.count)
        for (place, byte) in source.enumerated() {
            if isKept(byte) || (keepingEscapes && escaped(source, at: place) != nil) {
                encoded.append(byte)
            } else {
                encoded.append(UInt8(ascii: "%"))
                encoded.append(hexadecimal(byte >> 4))
                encoded.append(hexadecimal(byte & 15))
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// The byte that an escape stands for, nil where none begins.
    private static func escaped(_ bytes: [UInt8], at place: Int) -> UInt8? {
        guard bytes[place] == UInt8(ascii: "%"), place + 2 < bytes.count, let high = digit(bytes[place + 1]), let low = digit(bytes[place + 2])
        else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte - 0x30 }
        let lower = byte | 0x20
        return lower &- 0x61 < 6 ? lower - 0x61 + 10 : nil
    }
    private static func hexadecimal(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
}
