// Which encoding XML bytes are in (XML 1.0, appendix F), and the same document in UTF-8.

enum XMLEncoding {
    static func utf8(_ bytes: [UInt8]) throws(FormatError) -> [UInt8] {
        if bytes.starts(with: [0xFE, 0xFF]) { return try utf16(bytes.dropFirst(2), bigEndian: true) }
        if bytes.starts(with: [0xFF, 0xFE]) { return try utf16(bytes.dropFirst(2), bigEndian: false) }
        if bytes.starts(with: [0x00, 0x3C]) { return try utf16(bytes[...], bigEndian: true) }
        if bytes.starts(with: [0x3C, 0x00]) { return try utf16(bytes[...], bigEndian: false) }
        switch declaredName(bytes) {
        case "", "UTF-8", "UTF8":
            return try checked(bytes)
        case "US-ASCII", "ASCII":
            guard bytes.allSatisfy({ $0 < 0x80 }) else { throw FormatError(.xml, line: 0, "Bytes that are not US-ASCII") }
            return bytes
        case "ISO-8859-1", "LATIN1":
            return Array(String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })).utf8)
        case let name:
            throw FormatError(.xml, .refused, line: 1, "Encoding \(name) is not read; publish UTF-8")
        }
    }

    private static func checked(_ bytes: [UInt8]) throws(FormatError) -> [UInt8] {
        guard (try? UTF8Span(validating: bytes.span)) != nil else { throw FormatError(.xml, line: 0, "Bytes that are not UTF-8") }
        return bytes
    }

    private static func utf16(_ bytes: ArraySlice<UInt8>, bigEndian: Bool) throws(FormatError) -> [UInt8] {
        guard bytes.count % 2 == 0 else { throw FormatError(.xml, line: 0, "Half a code unit of UTF-16 at the end") }
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count / 2)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let first = UInt16(bytes[index]), second = UInt16(bytes[index + 1])
            units.append(bigEndian ? first << 8 | second : second << 8 | first)
            index += 2
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw FormatError(.xml, line: 0, "Unpaired surrogates in UTF-16") }
        return Array(text.utf8)
    }

    /// The name in `<?xml ... encoding="NAME"`, in capitals; empty when there is none.
    private static func declaredName(_ bytes: [UInt8]) -> String {
        let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let head = bytes[start..<min(bytes.count, start + 200)]
        guard head.starts(with: "<?xml".utf8), let end = head.firstIndex(of: UInt8(ascii: ">")) else { return "" }
        let declaration = String(decoding: head[..<end], as: UTF8.self)
        guard let key = declaration.firstRange(of: "encoding") else { return "" }
        return declaration[key.upperBound...]
            .drop { !"\"'".contains($0) }.dropFirst().prefix { !"\"'".contains($0) }.uppercased()
    }
}
