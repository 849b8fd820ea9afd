// Source code without a parser for its language: how it is recognised, and where it is cut.

internal import Base

enum CodeBlocks {
    /// Blocks begin at a line in the first column that follows a blank line and opens something (not a closing bracket),
    /// so that a function stays whole however many blank lines it holds.
    static func add(_ text: String, to collector: inout NodeCollector) throws(ContexError) {
        let bytes = Array(text.utf8)
        var start: Int? = nil
        var end = 0
        var afterBlank = true
        func close() throws(ContexError) {
            if let begun = start {
                try collector.add("block_\(collector.count)", .codeBlock, .string(String(decoding: bytes[begun..<end], as: UTF8.self)))
            }
            start = nil
        }
        for line in TextLines(bytes) {
            guard let first = bytes[line].first(where: { !TextNodes.isSpace($0) }) else {
                afterBlank = true
                continue
            }
            let isOutermost = first == bytes[line.lowerBound] && !")]}".utf8.contains(first)
            if afterBlank && isOutermost { try close() }
            if start == nil { start = line.lowerBound }
            end = line.upperBound
            afterBlank = false
        }
        try close()
    }

    /// Strong evidence only, since prose must not be taken for code: a `#!` line, or at least two lines that begin as
    /// statements do or end as they do, and they are a third of all lines. A thousand lines are enough to tell.
    static func looksLikeCode(_ bytes: [UInt8]) -> Bool {
        if bytes.starts(with: "#!".utf8), bytes.dropFirst(2).first(where: { $0 != 0x20 && $0 != 0x09 }) == UInt8(ascii: "/") { return true }
        var lines = 0, evidence = 0, openings = 0
        for range in TextLines(bytes) where lines < 1_000 {
            // Nobody writes statements of this length; it also bounds what one line can cost.
            guard range.count <= 400 else {
                lines += 1
                continue
            }
            let line = TextNodes.trimmed(bytes[range])
            if line.isEmpty { continue }
            lines += 1
            if isOpening(line) {
                openings += 1
                evidence += 1
            } else if line == "}" || ["return ", "//"].contains(where: line.hasPrefix) || [";", "{", "):"].contains(where: line.hasSuffix) {
                evidence += 1
            }
        }
        return openings > 0 && evidence >= 2 && evidence * 3 >= lines
    }

    /// A line that declares: a keyword of declaration, and a bracket or an equals sign, or an import of a single name.
    static func isOpening(_ line: String) -> Bool {
        var words = line.split(separator: " ", omittingEmptySubsequences: true)
        while words.count > 1, modifiers.contains(words[0]) { words.removeFirst() }
        guard let first = words.first else { return false }
        if first.hasPrefix("#include") || first.hasPrefix("@") && words.count == 1 { return true }
        if imports.contains(first) { return words.count == 2 || words.contains("import") || words.contains("from") || line.hasSuffix(";") }
        guard declarations.contains(first), words.count > 1 else { return false }
        return line.utf8.contains { "({=:".utf8.contains($0) }
    }

    private static let modifiers: Set<Substring> = [
        "public", "private", "protected", "internal", "static", "final", "abstract", "export", "default", "async", "override", "pub",
        "open", "unsafe", "inline", "virtual",
    ]
    private static let imports: Set<Substring> = ["import", "from", "use", "using", "package", "require"]
    private static let declarations: Set<Substring> = [
        "def", "class", "func", "fn", "function", "struct", "enum", "interface", "trait", "impl", "type", "const", "let", "var", "val",
        "void", "int", "namespace", "protocol", "extension", "module",
    ]
}
