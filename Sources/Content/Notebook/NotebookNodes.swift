// A Jupyter notebook (nbformat 4: JSON with a list of cells) by its cells: what was written as Markdown is Markdown, code is code, and of
// the output of a cell the beginning of its text is kept. Pictures and the bookkeeping of the notebook are no nodes.

internal import Base

enum NotebookNodes {
    static func isNotebook(_ value: JSONValue) -> Bool {
        guard value["nbformat"]?.integerValue != nil, let cells = value["cells"]?.arrayValue else { return false }
        return cells.allSatisfy { $0["cell_type"]?.stringValue != nil }
    }

    static func add(_ notebook: JSONValue, to collector: inout NodeCollector) throws(ContexError) {
        var about = JSONObject()
        let metadata = notebook["metadata"]
        for (name, value) in [
            ("title", metadata?["title"]), ("kernel", metadata?["kernelspec"]?["display_name"]), ("language", metadata?["language_info"]?["name"]),
        ] {
            if let value, value.stringValue != nil { about[name] = value }
        }
        if !about.isEmpty { try collector.add("root", .object, .object(about)) }
        for (index, cell) in (notebook["cells"]?.arrayValue ?? []).enumerated() {
            let source = text(cell["source"])
            let path = "cells[\(index)]"
            switch cell["cell_type"]?.stringValue {
            case "markdown":
                guard !MarkdownReader.isTooLarge(source) else {
                    throw ContentBounds.invalid("data has a cell of more than \(Limits.documentParts) lines and marks, at \(path)")
                }
                try MarkdownNodes.add(source, under: "\(path).", to: &collector)
            case "code": if !isBlank(source) { try collector.add("\(path).code", .codeBlock, .string(source)) }
            default: if !isBlank(source) { try collector.add("\(path).text", .paragraph, .string(source)) }
            }
            let output = output(of: cell)
            if !isBlank(output) { try collector.add("\(path).output", .paragraph, .string(output)) }
        }
    }

    private static func isBlank(_ text: String) -> Bool { text.utf8.allSatisfy(TextNodes.isSpace) }

    /// A text, or its lines as a list.
    private static func text(_ value: JSONValue?) -> String {
        if let text = value?.stringValue { return text }
        return (value?.arrayValue ?? []).compactMap(\.stringValue).joined()
    }

    /// What was printed, results as text, and the name of an error, together no more than `Limits.notebookOutputBytes`.
    private static func output(of cell: JSONValue) -> String {
        var out = ""
        for output in cell["outputs"]?.arrayValue ?? [] {
            let part: String
            switch output["output_type"]?.stringValue {
            case "error": part = "\(text(output["ename"])): \(text(output["evalue"]))"
            case "stream": part = text(output["text"])
            default: part = text(output["data"]?["text/plain"])
            }
            if let last = out.utf8.last, !TextNodes.isSpace(last) { out += "\n" }
            out += part
            guard out.utf8.count <= Limits.notebookOutputBytes else {
                let kept = out.utf8.prefix(Limits.notebookOutputBytes)
                return String(decoding: kept, as: UTF8.self) + " …"
            }
        }
        return out
    }
}
