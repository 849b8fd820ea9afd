/// Values to bytes.
public enum RESPEncoder {
    /// Appends the value. In version 2 a map becomes an array of keys and values in turn, set and push an array, double,
    /// big number and verbatim text a bulk string, a boolean 1 or 0, a blob error an error of one line.
    /// - Complexity: O(size of the value).
    public static func encode(_ value: RESPValue, version: RESPVersion, into bytes: inout [UInt8]) {
        let three = version == .three
        switch value {
        case .simple(let text): line("+", text, &bytes)
        case .error(let text): line("-", text, &bytes)
        case .integer(let number): line(":", String(number), &bytes)
        case .bulk(let content): blob("$", content, &bytes)
        case .null: bytes += (three ? "_\r\n" : "$-1\r\n").utf8
        case .nullArray: bytes += (three ? "_\r\n" : "*-1\r\n").utf8
        case .array(let elements): aggregate("*", elements, version, &bytes)
        case .set(let elements): aggregate(three ? "~" : "*", elements, version, &bytes)
        case .push(let elements): aggregate(three ? ">" : "*", elements, version, &bytes)
        case .map(let entries):
            line(three ? "%" : "*", String(three ? entries.count : 2 * entries.count), &bytes)
            for entry in entries {
                encode(entry.key, version: version, into: &bytes)
                encode(entry.value, version: version, into: &bytes)
            }
        case .double(let number):
            if three { line(",", text(number), &bytes) } else { blob("$", text(number).utf8, &bytes) }
        case .boolean(let flag):
            bytes += (three ? (flag ? "#t\r\n" : "#f\r\n") : (flag ? ":1\r\n" : ":0\r\n")).utf8
        case .bigNumber(let digits):
            if three { line("(", digits, &bytes) } else { blob("$", digits.utf8, &bytes) }
        case .verbatim(let format, let content):
            if three { blob("=", Array((format + ":").utf8) + content, &bytes) } else { blob("$", content, &bytes) }
        case .blobError(let text):
            if three { blob("!", text.utf8, &bytes) } else { line("-", text, &bytes) }
        }
    }

    public static func encode(_ value: RESPValue, version: RESPVersion) -> [UInt8] {
        var bytes: [UInt8] = []
        encode(value, version: version, into: &bytes)
        return bytes
    }

    /// A message of a channel up to its payload: what follows is the payload, and a line end.
    /// - Parameter pattern: the one that matched, nil for a subscription of the channel itself.
    public static func encodeHead(
        pattern: [UInt8]?, channel: [UInt8], payloadBytes: Int, version: RESPVersion, into bytes: inout [UInt8]
    ) {
        line(version == .three ? ">" : "*", pattern == nil ? "3" : "4", &bytes)
        blob("$", (pattern == nil ? "message" : "pmessage").utf8, &bytes)
        if let pattern { blob("$", pattern, &bytes) }
        blob("$", channel, &bytes)
        line("$", String(payloadBytes), &bytes)
    }

    /// A command as clients send it: an array of bulk strings.
    public static func command(_ arguments: [[UInt8]]) -> [UInt8] {
        encode(.array(arguments.map { .bulk($0) }), version: .two)
    }

    /// A line break inside would end the value early, so it becomes a space, as in Redis.
    private static func line(_ type: String, _ text: String, _ bytes: inout [UInt8]) {
        bytes += type.utf8
        for byte in text.utf8 { bytes.append(byte == 0x0D || byte == 0x0A ? 0x20 : byte) }
        bytes += "\r\n".utf8
    }

    private static func blob(_ type: String, _ content: some Collection<UInt8>, _ bytes: inout [UInt8]) {
        line(type, String(content.count), &bytes)
        bytes += content
        bytes += "\r\n".utf8
    }

    private static func aggregate(_ type: String, _ elements: [RESPValue], _ version: RESPVersion, _ bytes: inout [UInt8]) {
        line(type, String(elements.count), &bytes)
        for element in elements { encode(element, version: version, into: &bytes) }
    }

    private static func text(_ number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        let text = number.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
