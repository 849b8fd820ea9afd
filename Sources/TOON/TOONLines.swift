// The text as lines, one looked at ahead. Comments are dropped here, before anything else sees them (section 5.1); of blank
// lines only the fact is kept, on the line that follows. Nothing is stored per line, so that a text of ten million line
// feeds costs no memory.

/// A line that says something.
struct TOONLine {
    /// From 1.
    let number: Int
    let depth: Int
    /// After the indentation, without the line's end.
    let content: ArraySlice<UInt8>
    let afterBlank: Bool
}

struct TOONLines {
    private let bytes: [UInt8]
    private let options: TOONDecodingOptions
    private var position = 0
    private var number = 0
    private(set) var current: TOONLine?

    init(_ bytes: [UInt8], options: TOONDecodingOptions) throws(TOONError) {
        self.bytes = bytes
        self.options = options
        try advance()
    }

    mutating func advance() throws(TOONError) {
        var afterBlank = false
        while position < bytes.count {
            let start = position
            var end = start
            while end < bytes.count, bytes[end] != ASCII.lineFeed { end += 1 }
            position = end + 1
            number += 1
            if end > start, bytes[end - 1] == ASCII.carriageReturn { end -= 1 }

            var content = start
            while content < end, bytes[content] == ASCII.space { content += 1 }
            if content == end {
                afterBlank = true
            } else if bytes[content] != ASCII.hash {
                current = try line(start: start, content: content, end: end, afterBlank: afterBlank)
                return
            }
        }
        current = nil
    }

    private func line(start: Int, content: Int, end: Int, afterBlank: Bool) throws(TOONError) -> TOONLine {
        let spaces = content - start
        if bytes[content] == ASCII.tab {
            throw TOONError(line: number, message: "tabs are not allowed in the indentation")
        }
        if options.strict, spaces % options.indent != 0 {
            throw TOONError(line: number, message: "\(spaces) spaces of indentation are no multiple of \(options.indent)")
        }
        return TOONLine(number: number, depth: spaces / options.indent, content: bytes[content..<end], afterBlank: afterBlank)
    }
}

// MARK: - Within a line

extension ArraySlice<UInt8> {
    /// Without spaces at either end: U+0020 and nothing else, section 12.
    var trimmed: ArraySlice<UInt8> {
        var start = startIndex
        var end = endIndex
        while start < end, self[start] == ASCII.space { start += 1 }
        while end > start, self[end - 1] == ASCII.space { end -= 1 }
        return self[start..<end]
    }

    /// Where one of two bytes first stands outside quotes.
    func firstUnquoted(_ one: UInt8, or other: UInt8) -> Int? {
        var position = startIndex
        var quoted = false
        while position < endIndex {
            let byte = self[position]
            if byte == ASCII.quote {
                quoted.toggle()
            } else if quoted {
                if byte == ASCII.backslash { position += 1 }
            } else if byte == one || byte == other {
                return position
            }
            position += 1
        }
        return nil
    }

    /// The end of the quoted text that begins here, its closing quote included; nil when there is none.
    var quotedEnd: Int? {
        var position = startIndex + 1
        while position < endIndex {
            if self[position] == ASCII.quote { return position + 1 }
            position += self[position] == ASCII.backslash ? 2 : 1
        }
        return nil
    }

    /// Cells between delimiters outside quotes, trimmed; always at least one.
    func cells(_ delimiter: UInt8) -> [ArraySlice<UInt8>] {
        var cells: [ArraySlice<UInt8>] = []
        var rest = self
        while let at = rest.firstUnquoted(delimiter, or: delimiter) {
            cells.append(rest[..<at].trimmed)
            rest = rest[(at + 1)...]
        }
        cells.append(rest.trimmed)
        return cells
    }

    var text: String { String(decoding: self, as: UTF8.self) }
}
