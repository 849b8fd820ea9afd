// Markdown through libcmark, the reference implementation of CommonMark: it finds the blocks, we take their text.
//
// Code blocks and headings give their content. Everything else (paragraphs, lists, quotes, tables, HTML) keeps its
// source text, so that nothing that was written is lost to search. The tree is walked with siblings only: the depth of
// quotes in quotes stays cmark's affair, which keeps it on the heap.

internal import Base
internal import CCmark

public enum MarkdownReader {
    /// A block at the top of the document.
    public enum Block: Sendable, Equatable {
        case heading(String)
        case code(String)
        case paragraph(String)
    }

    /// Whether a text has more lines and marks than `Limits.documentParts`: cmark's tree may have two nodes for each.
    static func isTooLarge(_ text: String) -> Bool {
        var parts = 0
        for byte in text.utf8 where isPart[Int(byte)] { parts += 1 }
        return parts > Limits.documentParts
    }

    /// The bytes at which cmark ends a piece of text.
    private static let isPart: [Bool] = (0..<256).map { "\n\r`\\&<>*_[]!".utf8.contains(UInt8($0)) }

    /// The blocks in order. Any text is Markdown, so this does not fail.
    ///
    /// - Complexity: O(*n*).
    public static func blocks(_ text: String) -> [Block] {
        let bytes = Array(text.utf8)
        let lines = Array(TextLines(bytes))
        let bounded = boundingImages(bytes, lines)
        let document = unsafe bounded.withUnsafeBytes { buffer in
            unsafe cmark_parse_document(buffer.bindMemory(to: CChar.self).baseAddress, buffer.count, CMARK_OPT_DEFAULT)
        }
        defer { unsafe cmark_node_free(document) }
        var blocks: [Block] = []
        var node = unsafe cmark_node_first_child(document)
        while let current = unsafe node {
            switch unsafe cmark_node_get_type(current) {
            case CMARK_NODE_HEADING:
                blocks.append(.heading(unsafe plainText(of: current)))
            case CMARK_NODE_CODE_BLOCK:
                let code = unsafe literal(of: current)
                if !code.isEmpty { blocks.append(.code(code)) }
            case CMARK_NODE_THEMATIC_BREAK:
                break
            default:
                let first = Int(unsafe cmark_node_get_start_line(current)) - 1
                let last = min(Int(unsafe cmark_node_get_end_line(current)), lines.count) - 1
                if first >= 0, first <= last {
                    let source = TextNodes.trimmed(bytes[lines[first].lowerBound..<lines[last].upperBound])
                    if !source.isEmpty { blocks.append(.paragraph(source)) }
                }
            }
            unsafe node = unsafe cmark_node_next(current)
        }
        return blocks
    }

    /// Images that one paragraph may begin. cmark 0.30 walks over all that it has not finished at each link after them
    /// (CVE-2023-22486), so that a megabyte of `![[]()` would take it most of a minute.
    private static let imagesMax = 256

    /// The text with a dot for the bang of further images. Paragraphs are taken from the text as it came, so that only a
    /// heading could show it.
    private static func boundingImages(_ bytes: [UInt8], _ lines: [Range<Int>]) -> [UInt8] {
        var bounded = bytes
        var images = 0
        for line in lines {
            var isBlank = true
            for place in line {
                if !TextNodes.isSpace(bytes[place]) { isBlank = false }
                guard bytes[place] == UInt8(ascii: "["), place > line.lowerBound, bytes[place - 1] == UInt8(ascii: "!") else { continue }
                images += 1
                if images > imagesMax { bounded[place - 1] = UInt8(ascii: ".") }
            }
            if isBlank { images = 0 }
        }
        return bounded
    }

    /// The words of a heading without emphasis marks and link targets.
    private static func plainText(of node: OpaquePointer) -> String {
        var out = ""
        let iterator = unsafe cmark_iter_new(node)
        defer { unsafe cmark_iter_free(iterator) }
        while true {
            let event = unsafe cmark_iter_next(iterator)
            if event == CMARK_EVENT_DONE { return out }
            guard event == CMARK_EVENT_ENTER, let inner = unsafe cmark_iter_get_node(iterator) else { continue }
            switch unsafe cmark_node_get_type(inner) {
            case CMARK_NODE_TEXT, CMARK_NODE_CODE, CMARK_NODE_HTML_INLINE: out += unsafe literal(of: inner)
            case CMARK_NODE_SOFTBREAK, CMARK_NODE_LINEBREAK: out += " "
            default: break
            }
        }
    }

    private static func literal(of node: OpaquePointer) -> String {
        guard let text = unsafe cmark_node_get_literal(node) else { return "" }
        var code = unsafe String(cString: text)
        if code.utf8.last == 0x0A { code = String(code.dropLast()) }
        return code
    }
}
