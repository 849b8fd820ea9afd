public import Base
public import KeySpace
public import LMDB

/// The inverted index of one project, inside the store: changed in the caller's write transaction, read in any view.
///
/// Records: the statistics of the project (`textState`), the terms and postings (`posting`, see PostingBlock.swift), and of
/// each node what was indexed (`textDocument`), so that a removal knows its terms and one node can be scored alone.
/// Statistics and document frequencies are exact after every call. The same calls give the same bytes.
public struct TextIndex: Sendable {
    let scope: TenantScope

    public init(scope: TenantScope) {
        self.scope = scope
    }

    // MARK: - Changing

    /// Adds the text of a node, in place of what the node had before.
    /// - Complexity: O(distinct terms x log n), 3 to 4 microseconds a term.
    public func add(_ node: NodeID, _ text: AnalyzedText, in transaction: inout WriteTransaction) throws {
        try remove(node, in: &transaction)
        for (term, count) in text.frequencies {
            let posting = Posting(node: node.rawValue, frequency: UInt32(count), length: UInt32(text.length))
            try insert(posting, term, in: &transaction)
        }
        try transaction.store(scope.key(.textDocument, node.rawValue), text.bytes)
        let before = try statistics(in: transaction.view)
        try store(TextStatistics(documents: before.documents + 1, totalLength: before.totalLength + text.length), in: &transaction)
    }

    /// Removes a node's text; false when there was none.
    /// - Complexity: O(distinct terms x log n).
    @discardableResult
    public func remove(_ node: NodeID, in transaction: inout WriteTransaction) throws -> Bool {
        guard let text = try analyzedText(of: node, in: transaction.view) else { return false }
        for (term, _) in text.frequencies { try withdraw(node.rawValue, term, in: &transaction) }
        try transaction.delete(scope.key(.textDocument, node.rawValue))
        let before = try statistics(in: transaction.view)
        guard before.documents > 0, before.totalLength >= text.length else { throw Self.contradiction("the statistics are below their parts") }
        try store(TextStatistics(documents: before.documents - 1, totalLength: before.totalLength - text.length), in: &transaction)
        return true
    }

    /// Empties the index.
    /// - Complexity: O(records).
    public func removeAll(in transaction: inout WriteTransaction) throws {
        for kind in [KeyKind.textState, .posting, .textDocument] { try transaction.deleteAll(prefix: scope.key(kind)) }
    }

    // MARK: - Single records

    /// - Complexity: O(log n).
    public func statistics(in view: borrowing TransactionView) throws -> TextStatistics {
        guard let bytes = try view.loadBytes(scope.key(.textState)) else { return TextStatistics(documents: 0, totalLength: 0) }
        var reader = ByteReader(bytes)
        let statistics = TextStatistics(documents: try reader.count(), totalLength: try reader.count(limit: Int.max))
        try reader.end()
        return statistics
    }

    /// What the index holds of a node, nil when it holds nothing.
    /// - Complexity: O(log n + distinct terms).
    public func analyzedText(of node: NodeID, in view: borrowing TransactionView) throws -> AnalyzedText? {
        try view.loadBytes(scope.key(.textDocument, node.rawValue)).map { try AnalyzedText(bytes: $0) }
    }

    private func store(_ statistics: TextStatistics, in transaction: inout WriteTransaction) throws {
        let key = scope.key(.textState)
        if statistics == TextStatistics(documents: 0, totalLength: 0) {
            try transaction.delete(key)
            return
        }
        var writer = ByteWriter(capacity: 16)
        writer.varint(UInt64(statistics.documents))
        writer.varint(UInt64(statistics.totalLength))
        try transaction.store(key, writer.bytes)
    }

    static func contradiction(_ what: String) -> ContexError {
        .damaged("the text index contradicts itself (\(what)): stop the server and run 'contex check', then 'contex reindex'")
    }
}
