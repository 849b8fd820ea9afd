// JSON that was published inside a string, as programs do it that keep it in a column: to the model it is told in words, like JSON that was published
// as such (SearchText). By its signs alone and without a parser, so that a part of it, the passage of a long one, can be told too.

enum JSONInText {
    /// Whether a string is an object or a list of objects or strings, to all appearances.
    /// - Complexity: O(spaces at its ends).
    static func holds(_ text: String) -> Bool {
        let bytes = text.utf8
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let start = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.last(where: { !isSpace($0) }) else { return false }
        guard let next = bytes[bytes.index(after: start)...].first(where: { !isSpace($0) }) else { return false }
        switch bytes[start] {
        case UInt8(ascii: "{"): return last == UInt8(ascii: "}") && next == UInt8(ascii: "\"")
        case UInt8(ascii: "["): return last == UInt8(ascii: "]") && (next == UInt8(ascii: "{") || next == UInt8(ascii: "\""))
        default: return false
        }
    }

    /// Its words: `{"zipCode": "89073", "flats": [2, 4]}` as `zip code: 89073. flats: 2, 4`.
    /// - Complexity: O(length).
    static func words(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var at = 0
        /// The last sign that was no space.
        var before: UInt8 = 0
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"): break
            case UInt8(ascii: "\""):
                if let end = nameEnd(bytes, at + 1) {
                    out += SearchText.words(ofIdentifier: String(decoding: bytes[at + 1..<end], as: UTF8.self)).utf8
                    at = end
                }
            case UInt8(ascii: "\\") where at + 1 < bytes.count:
                at += 1
                if isBlank(bytes[at]) { space(&out) } else { out.append(bytes[at]) }
            case UInt8(ascii: ",") where parts(bytes, at, before): stop(&out)
            case UInt8(ascii: ":") where before == UInt8(ascii: "\""):
                out.append(byte)
                space(&out)
            case 0x20, 0x09...0x0D: space(&out)
            default: out.append(byte)
            }
            if byte != 0x20, !(0x09...0x0D).contains(byte) { before = byte }
            at += 1
        }
        while out.last == 0x20 { out.removeLast() }
        return String(decoding: out, as: UTF8.self)
    }

    /// Signs that are not told: what an estimate of tokens leaves out.
    static func isSign(_ byte: UInt8) -> Bool { "{}[]\"".utf8.contains(byte) }

    /// Of a short string without spaces that begins here; nil behind one that has ended.
    private static func nameEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard start < bytes.count, isNameStart(bytes[start]) else { return nil }
        var end = start
        while end < bytes.count, end - start <= 128, bytes[end] != UInt8(ascii: "\"") {
            guard bytes[end] > 0x20, bytes[end] != UInt8(ascii: "\\") else { return nil }
            end += 1
        }
        return end > start && end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end : nil
    }

    private static func isNameStart(_ byte: UInt8) -> Bool {
        byte | 0x20 &- 0x61 < 26 || byte &- 0x30 < 10 || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    /// Whether a comma stands between members or strings, and not in a sentence or between numbers.
    private static func parts(_ bytes: [UInt8], _ comma: Int, _ before: UInt8) -> Bool {
        guard let next = bytes[(comma + 1)...].first(where: { $0 != 0x20 && !(0x09...0x0D).contains($0) }) else { return isSign(before) }
        return isSign(next)
    }

    private static func isBlank(_ escape: UInt8) -> Bool { "nrt".utf8.contains(escape) }

    private static func space(_ out: inout [UInt8]) { if let last = out.last, last != 0x20 { out.append(0x20) } }

    private static func stop(_ out: inout [UInt8]) {
        while out.last == 0x20 { out.removeLast() }
        guard let last = out.last else { return }
        if !".!?:".utf8.contains(last) { out.append(UInt8(ascii: ".")) }
        out.append(0x20)
    }
}
