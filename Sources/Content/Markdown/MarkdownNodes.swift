// Node paths of Markdown, as the original numbers them: headings among themselves, code blocks and paragraphs by the
// number of nodes before them; in the section under a heading the code comes before the prose.

internal import Base

enum MarkdownNodes {
    /// What stands at the head of the text as data about it (`FrontMatter`) comes first, with the paths of a structure: `root`, `author`.
    /// - Returns: a sentence when such a head cannot be read.
    static func add(document text: String, to collector: inout NodeCollector, _ cancellation: Cancellation) throws(ContexError) -> String? {
        guard let head = FrontMatter.split(text, cancellation) else {
            try add(text, under: "", to: &collector)
            return nil
        }
        switch head.data {
        case .success(let data):
            try ContentBounds.check(.object(data))
            if !data.isEmpty { try StructureNodes.add(.object(data), to: &collector) }
            try add(head.rest, under: "", to: &collector)
            return nil
        case .failure(let error):
            try add(text, under: "", to: &collector)
            return "The front matter is no \(error.format.rawValue.uppercased()): \(error.description). It was read as text."
        }
    }

    /// - Parameter prefix: of the paths.
    static func add(_ text: String, under prefix: String, to collector: inout NodeCollector) throws(ContexError) {
        // Numbers count the nodes of the text, not what stands before it.
        let first = collector.count
        var headings = 0
        var code: [String] = []
        var prose: [String] = []
        func closeSection() throws(ContexError) {
            for text in code { try collector.add("\(prefix)code_block_\(collector.count - first)", .codeBlock, .string(text)) }
            for text in prose { try collector.add("\(prefix)paragraph_\(collector.count - first)", .paragraph, .string(text)) }
            code.removeAll()
            prose.removeAll()
        }
        for block in MarkdownReader.blocks(text) {
            switch block {
            case .heading(let title):
                try closeSection()
                if title.utf8.allSatisfy(TextNodes.isSpace) { continue }
                try collector.add("\(prefix)heading_\(headings)", .heading, .string(title))
                headings += 1
            case .code(let text): code.append(text)
            case .paragraph(let text): prose.append(text)
            }
        }
        try closeSection()
    }
}
