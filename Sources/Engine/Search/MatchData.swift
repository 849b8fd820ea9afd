// How a node is shown as a match.

internal import Base
internal import Content
internal import Documents

extension Match {
    /// - Throws: `.damaged`
    init(_ found: FoundNode, similarity: Double, explanation: Explanation?) throws(ContexError) {
        let value = try EventData.parsed(found.record.data)
        self.init(found, value: value, data: MatchData.wrapped(value), similarity: similarity, explanation: explanation)
        storedText = found.record.data
        passage = try found.passage(value)
        passageData = found.reduced(value)
    }

    /// - Parameters:
    ///   - value: of the record.
    ///   - data: as it is shown: the value, or its head.
    ///   - isCut: whether it is a head: then the description, which says the same, is as short as the preview.
    init(_ found: FoundNode, value: JSONValue, data: JSONValue, similarity: Double, explanation: Explanation?, isCut: Bool = false) {
        let record = found.record
        self.init(
            nodeKey: record.nodeKey, documentKey: record.documentKey, similarity: similarity, data: data,
            description: isCut ? MatchData.beginning(record.description) : record.description, tokenCount: record.tokenCount,
            preview: MatchData.preview(data), explanation: explanation, dataBytes: record.data.count, isCut: isCut, node: found.node,
            entry: found.entry, document: record.document)
    }
}

extension Match {
    /// About the bytes of what its answer says.
    var byteCount: Int { others.reduce(dataBytes + description.utf8.count + 64 + (passage?.text?.utf8.count ?? 0)) { $0 + $1.byteCount } }

    /// Leaves the text of its passage out where data that is the passage says it, or where there are not so many tokens left.
    /// - Returns: the tokens that it has of them.
    mutating func boundPassage(to rest: Int, _ countTokens: (String) -> Int) -> Int {
        guard let text = passage?.text else { return 0 }
        // A text has no more tokens than bytes, and no token more bytes than that.
        let count = isPassage || text.utf8.count / TokenScale.tokenBytesMax > rest ? .max : countTokens(text)
        if count <= rest { return count }
        passage?.text = nil
        return 0
    }

    /// `data` as compact JSON: nothing is printed where all of it is shown.
    public var dataText: [UInt8] {
        guard let storedText else { return JSONPrinter.bytes(data) }
        if storedText.first == UInt8(ascii: "{") { return storedText }
        return Array("{\"value\":".utf8) + storedText + [UInt8(ascii: "}")]
    }

    /// The same match of another need.
    func scored(_ similarity: Double) -> Match {
        var match = with(data, similarity: similarity)
        (match.isPinned, match.isCut) = (false, isCut)
        return match
    }

    /// The same with the head of its data.
    func cut(to head: JSONValue) -> Match {
        var match = with(head, similarity: similarity)
        match.isCut = true
        return match
    }

    /// The same with its passage as its data.
    func cut(toPassage data: JSONValue) -> Match {
        var match = cut(to: data)
        match.isPassage = true
        return match
    }

    private func with(_ shown: JSONValue, similarity: Double) -> Match {
        let isCut = shown != data
        var match = Match(
            nodeKey: nodeKey, documentKey: documentKey, similarity: similarity, data: shown,
            description: isCut ? MatchData.beginning(description) : description, tokenCount: tokenCount,
            preview: isCut ? MatchData.preview(shown) : preview, explanation: explanation, dataBytes: dataBytes, metadata: metadata, node: node,
            entry: entry, document: document)
        match.isPinned = isPinned
        match.provenance = provenance
        match.passage = passage
        match.passageData = passageData
        match.storedText = isCut ? nil : storedText
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
