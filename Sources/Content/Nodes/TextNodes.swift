// The nodes of plain text: its paragraphs, or its sentences when it is a single paragraph. The paragraphs of a log are its entries.

internal import Base

enum TextNodes {
    static func add(_ text: String, to collector: inout NodeCollector) throws(ContexError) {
        let bytes = Array(text.utf8)
        let paragraphs = LogEntries.ranges(in: bytes)?.map { trimmed(bytes[$0]) } ?? paragraphs(of: bytes)
        if paragraphs.count > 1 {
            for (index, paragraph) in paragraphs.enumerated() { try collector.add("paragraph_\(index)", .paragraph, .string(paragraph)) }
        } else if let only = paragraphs.first {
            for (index, sentence) in sentences(of: Array(only.utf8)).enumerated() {
                try collector.add("sentence_\(index)", .sentence, .string(sentence))
            }
        }
    }

    /// Paragraphs are parted by lines that hold nothing but white space.
    static func paragraphs(of bytes: [UInt8]) -> [String] {
        var paragraphs: [String] = []
        var start: Int? = nil
        var end = 0
        for line in TextLines(bytes) {
            if bytes[line].allSatisfy(isSpace) {
                if let begun = start { paragraphs.append(trimmed(bytes[begun..<end])) }
                start = nil
            } else {
                if start == nil { start = line.lowerBound }
                end = line.upperBound
            }
        }
        if let begun = start { paragraphs.append(trimmed(bytes[begun..<end])) }
        return paragraphs
    }

    /// Sentences end with `.`, `!` or `?` before white space. As in the original the mark goes with the white space,
    /// so that only the last sentence keeps its own. Marks of other scripts (`SentenceEnd`) end one wherever they stand, and stay with it.
    static func sentences(of bytes: [UInt8]) -> [String] {
        var sentences: [String] = []
        func close(_ range: Range<Int>) {
            let sentence = trimmed(bytes[range])
            if !sentence.isEmpty { sentences.append(sentence) }
        }
        var start = 0
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            if byte >= 0xC0, let end = SentenceEnd.end(of: bytes, at: at) {
                close(start..<end)
                at = SentenceEnd.pastSpace(bytes, from: end)
                start = at
            } else if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "!") || byte == UInt8(ascii: "?"), at + 1 < bytes.count, isSpace(bytes[at + 1]) {
                close(start..<at)
                at += 1
                while at < bytes.count, isSpace(bytes[at]) { at += 1 }
                start = at
            } else {
                at += 1
            }
        }
        close(start..<bytes.count)
        return sentences
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    static func trimmed(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: trimmedBytes(bytes), as: UTF8.self) }

    static func trimmedBytes(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else { return [] }
        return bytes[first...last]
    }
}

/// The lines of a text as ranges of bytes without their ends (LF, CR or CR LF).
struct TextLines: Swift.Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var position: Int

    init(_ bytes: [UInt8], from start: Int = 0) {
        self.bytes = bytes
        position = start
    }

    mutating func next() -> Range<Int>? {
        guard position < bytes.count else { return nil }
        let start = position
        while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
        let end = position
        if position < bytes.count {
            let carriageReturn = bytes[position] == 0x0D
            position += 1
            if carriageReturn, position < bytes.count, bytes[position] == 0x0A { position += 1 }
        }
        return start..<end
    }
}
