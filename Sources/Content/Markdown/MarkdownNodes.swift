// Node paths of Markdown, as the original numbers them: headings among themselves, code blocks and paragraphs by the
// number of nodes before them; in the section under a heading the code comes before the prose.

internal import Base

enum MarkdownNodes {
    static func nodes(of text: String, _ collector: NodeCollector) throws(ContexError) -> [ContentNode] {
        var collector = collector
        var headings = 0
        var code: [String] = []
        var prose: [String] = []
        func closeSection() throws(ContexError) {
            for text in code { try collector.add("code_block_\(collector.count)", .codeBlock, .string(text)) }
            for text in prose { try collector.add("paragraph_\(collector.count)", .paragraph, .string(text)) }
            code.removeAll()
            prose.removeAll()
        }
        for block in MarkdownReader.blocks(text) {
            switch block {
            case .heading(let title):
                try closeSection()
                try collector.add("heading_\(headings)", .heading, .string(title))
                headings += 1
            case .code(let text): code.append(text)
            case .paragraph(let text): prose.append(text)
            }
        }
        try closeSection()
        return collector.nodes
    }
}
