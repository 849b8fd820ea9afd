// How a node is shown as a match.

internal import Base
internal import Content
internal import Documents

extension Match {
    /// - Throws: `.damaged`
    init(_ node: NodeID, _ record: NodeRecord, similarity: Double, explanation: Explanation?) throws(ContexError) {
        self.init(node, record, data: MatchData.wrapped(try EventData.parsed(record.data)), similarity: similarity, explanation: explanation)
    }

    /// - Parameters:
    ///   - data: of the record, or its head.
    ///   - isCut: whether it is a head: then the description, which says the same, is as short as the preview.
    init(_ node: NodeID, _ record: NodeRecord, data: JSONValue, similarity: Double, explanation: Explanation?, isCut: Bool = false) {
        self.init(
            nodeKey: record.nodeKey, documentKey: record.documentKey, similarity: similarity, data: data,
            description: isCut ? MatchData.beginning(record.description) : record.description, tokenCount: record.tokenCount,
            preview: MatchData.preview(data), explanation: explanation, dataBytes: record.data.count, isCut: isCut, node: node, document: record.document)
    }
}

extension Match {
    /// About the bytes of what its answer says.
    var byteCount: Int { dataBytes + description.utf8.count + 64 }

    /// The same match of another need.
    func scored(_ similarity: Double) -> Match {
        Match(
            nodeKey: nodeKey, documentKey: documentKey, similarity: similarity, data: data, description: description, tokenCount: tokenCount,
            preview: preview, explanation: explanation, dataBytes: dataBytes, isCut: isCut, metadata: metadata, node: node, document: document)
    }

    /// The same with the head of its data.
    func cut(to head: JSONValue) -> Match {
        var match = Match(
            nodeKey: nodeKey, documentKey: documentKey, similarity: similarity, data: head, description: MatchData.beginning(description),
            tokenCount: tokenCount, preview: MatchData.preview(head), explanation: explanation, dataBytes: dataBytes, isCut: true, node: node,
            document: document)
        match.isPinned = isPinned
        match.metadata = metadata
        return match
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
        beginning(JSONPrinter.text(data, style: .pretty2))
    }

    static func beginning(_ text: String) -> String {
        guard text.unicodeScalars.count > 200 else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))) + "..."
    }
}
