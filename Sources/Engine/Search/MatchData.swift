// How a node is shown as a match.

internal import Base
internal import Content
internal import Documents

extension Match {
    init(_ node: NodeID, _ record: NodeRecord, similarity: Double, explanation: Explanation?) {
        let data = MatchData.wrapped(EventData.parsed(record.data))
        self.init(
            nodeKey: record.nodeKey, documentKey: record.documentKey, similarity: similarity, data: data, description: record.description,
            tokenCount: record.tokenCount, preview: MatchData.preview(data), explanation: explanation, node: node, document: record.document)
    }
}

/// How a node's data is shown.
enum MatchData {
    /// An object as it is, anything else under `value`.
    static func wrapped(_ value: JSONValue) -> JSONValue {
        if case .object = value { return value }
        return ["value": value]
    }

    /// The first 200 characters of the data in JSON with an indent of two, and `...` when there is more.
    static func preview(_ data: JSONValue) -> String {
        let text = JSONPrinter.text(data, style: .pretty2)
        guard text.unicodeScalars.count > 200 else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))) + "..."
    }
}
