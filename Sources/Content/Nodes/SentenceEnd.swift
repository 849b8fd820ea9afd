/// Where readers of scripts other than Latin see the end of a sentence: at a mark that is used for nothing else, with the quotes and brackets
/// that close behind it, space or not (UAX 29, SB8a to SB11, for the marks that it calls STerm). Thai ends none with a mark.
enum SentenceEnd {
    /// Armenian, Arabic and Urdu, Hindi and its kin, Tibetan, Burmese, Amharic, Khmer, Mongolian; the doubled marks; Chinese and Japanese in full and
    /// half width.
    private static let marks: Set<UInt32> = [
        0x589, 0x61F, 0x6D4, 0x964, 0x965, 0xF0D, 0xF0E, 0x104A, 0x104B, 0x1362, 0x1367, 0x1368, 0x17D4, 0x17D5, 0x1803, 0x1809, 0x203C, 0x203D, 0x2047,
        0x2048, 0x2049, 0x3002, 0xFF01, 0xFF1F, 0xFF61,
    ]
    /// Ends one unless a number or a name goes on behind it.
    private static let fullWidthStop: UInt32 = 0xFF0E
    private static let closing: Set<UInt32> = [
        0x22, 0x27, 0x29, 0x5D, 0xBB, 0x2019, 0x201D, 0x203A, 0x3009, 0x300B, 0x300D, 0x300F, 0x3011, 0x3015, 0x3017, 0x301E, 0xFF02, 0xFF07, 0xFF09, 0xFF3D,
        0xFF63,
    ]

    /// The end of the sentence that the mark at `place` ends, nil when none does.
    static func end(of bytes: [UInt8], at place: Int) -> Int? {
        guard let (mark, next) = scalar(bytes, place) else { return nil }
        if mark == fullWidthStop {
            if let (after, _) = scalar(bytes, next), isWord(after) { return nil }
        } else if !marks.contains(mark) {
            return nil
        }
        var end = next
        while let (value, next) = scalar(bytes, end) {
            guard marks.contains(value) || closing.contains(value) || value == 0x21 || value == 0x3F else { break }
            end = next
        }
        return end
    }

    static func pastSpace(_ bytes: [UInt8], from place: Int) -> Int {
        var at = place
        while let (value, next) = scalar(bytes, at), value < 0x80 && TextNodes.isSpace(UInt8(value)) || value == 0xA0 || value == 0x3000 { at = next }
        return at
    }

    private static func isWord(_ value: UInt32) -> Bool {
        switch value {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0xFF10...0xFF19, 0xFF21...0xFF3A, 0xFF41...0xFF5A: true
        default: false
        }
    }

    /// The scalar that begins at `place` and where the next one does; nil at the end.
    private static func scalar(_ bytes: [UInt8], _ place: Int) -> (value: UInt32, next: Int)? {
        guard place < bytes.count else { return nil }
        let byte = bytes[place]
        if byte < 0x80 { return (UInt32(byte), place + 1) }
        let count = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
        guard place + count <= bytes.count else { return nil }
        var value = UInt32(byte) & (0x7F >> UInt32(count))
        for next in bytes[place + 1..<place + count] { value = value << 6 | UInt32(next & 0x3F) }
        return (value, place + count)
    }
}
