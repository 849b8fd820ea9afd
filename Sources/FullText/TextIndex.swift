public import Base
public import KeySpace
public import LMDB

/// How an index analyses and what it keeps: chosen before the first text, kept in its state.
public struct TextIndexOptions: Sendable, Equatable {
    public var analyzer: Analyzer
    /// Whether the order of terms is kept, for phrases: about 1.4 bytes a term of a text. Without it a phrase is found where all its
    /// terms are.
    public var positions: Bool

    public init(analyzer: Analyzer = Analyzer(), positions: Bool = true) {
        self.analyzer = analyzer
        self.positions = positions
    }
}

/// What becomes of one node's text.
public struct TextChange: Sendable {
    public let node: NodeID
    /// What the index has of it: exactly the text that was added; nil when it has none.
    public let old: AnalyzedText?
    /// What it is to have, nil for none.
    public let new: AnalyzedText?

    public init(node: NodeID, old: AnalyzedText? = nil, new: AnalyzedText?) {
        self.node = node
        self.old = old
        self.new = new
    }
}

/// The inverted index of one project, inside the store: changed in the caller's write transaction, read in any view.
///
/// Records: the state of the project (`textState`), the dictionary (`textTerms` and `textRecent`, TermBlock.swift), packed postings (`posting`,
/// PackedBlock.swift), lengths (`textLengths`, LengthTable.swift), the order of terms (`textPositions`, PositionBlock.swift).
/// Texts themselves are not kept: whoever removes one says what it was. Statistics and document frequencies are exact
/// after every call. The same calls give the same bytes.
public struct TextIndex: Sendable {
    let scope: TenantScope

    public init(scope: TenantScope) {
        self.scope = scope
    }

    // MARK: - Changing

    /// Adds the text of a node that has none.
    /// - Throws: `.damaged` when the node has a text.
    /// - Complexity: as `apply`, alone 2 to 4 microseconds a distinct term.
    public func add(_ node: NodeID, _ text: AnalyzedText, in transaction: inout WriteTransaction) throws {
        try apply([TextChange(node: node, new: text)], in: &transaction)
    }

    /// Removes a node's text, which must be the one that was added; false when there is none.
    /// - Throws: `.damaged` when it was another.
    @discardableResult
    public func remove(_ node: NodeID, _ text: AnalyzedText, in transaction: inout WriteTransaction) throws -> Bool {
        guard try length(of: node, in: transaction.view) != nil else { return false }
        try apply([TextChange(node: node, old: text, new: nil)], in: &transaction)
        return true
    }

    /// Many changes at once, each node once: the terms of all are gathered in memory and written in order, so that each record is written
    /// once. From nothing, a whole corpus at a time (a bulk build), it writes the records of the index one after another.
    /// - Returns: the terms of the batch, for whoever has to know next how many texts have them.
    /// - Complexity: O(distinct terms of the batch x log n + their postings); memory for 12 bytes a posting.
    @discardableResult
    public func apply(_ changes: [TextChange], in transaction: inout WriteTransaction) throws -> BatchTerms {
        var writer = try TextWriter(self, changes, in: &transaction)
        return try writer.run(in: &transaction)
    }

    /// Chooses analyser and positions of an index without texts.
    /// - Throws: `.conflict` when it has texts and other options.
    public func configure(_ options: TextIndexOptions, in transaction: inout WriteTransaction) throws {
        var state = try state(in: transaction.view)
        if state.options == options { return }
        guard state.statistics.documents == 0 else {
            throw ContexError(
                .conflict,
                "the text index of this project has \(state.statistics.documents) texts, analysed as '\(state.options.analyzer.kind.name)': "
                    + "only an empty index can be given other options; remove its texts or reindex the project")
        }
        state.options = options
        try store(state, in: &transaction)
    }

    /// Empties the index; its options stay, also when another version of the analyser made it: what comes next is of this build's.
    /// - Complexity: O(records).
    public func removeAll(in transaction: inout WriteTransaction) throws {
        let options = try storedOptions(in: transaction.view)?.options ?? TextIndexOptions()
        for kind in [KeyKind.posting, .textPositions, .textTerms, .textRecent, .textLengths] { try transaction.deleteAll(prefix: scope.key(kind)) }
        try store(State(options: options), in: &transaction)
    }

    // MARK: - Single records

    /// - Complexity: O(log n).
    public func statistics(in view: borrowing TransactionView) throws -> TextStatistics { try state(in: view).statistics }

    /// - Complexity: O(log n).
    public func options(in view: borrowing TransactionView) throws -> TextIndexOptions { try state(in: view).options }

    /// Terms of a node's text with repeats, nil when it has none.
    /// - Complexity: O(log n).
    public func length(of node: NodeID, in view: borrowing TransactionView) throws -> Int? {
        guard let record = try view.load(scope.key(.textLengths, node.rawValue / UInt32(LengthRecord.nodes))) else { return nil }
        return try unsafe record.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            return try LengthView(&reader).length(of: node.rawValue).map(Int.init)
        }
    }

    struct State: Equatable {
        var options = TextIndexOptions()
        var statistics = TextStatistics.none
        var levels = DictionaryLevels()
    }

    func state(in view: borrowing TransactionView) throws -> State {
        guard let (options, version, rest) = try storedOptions(in: view) else { return State() }
        guard version == Analyzer.version else {
            throw ContexError.damaged(
                "the text index was made by analyser \(options.analyzer.kind) of version \(version), this build has version \(Analyzer.version): "
                    + "run 'contex reindex'")
        }
        do {
            var reader = ByteReader(rest)
            let statistics = TextStatistics(
                documents: try reader.count(), totalLength: try reader.count(limit: Int.max), beginnings: try reader.count(),
                totalLogLength: try reader.count(limit: Int.max))
            var levels = DictionaryLevels()
            levels.termsBytes = try reader.count(limit: DictionaryLevels.bytesMax)
            levels.recentBytes = try reader.count(limit: DictionaryLevels.bytesMax)
            levels.termsLast = try reader.u32()
            levels.mergeFrom = Array(try reader.blob())
            try reader.end()
            return State(options: options, statistics: statistics, levels: levels)
        } catch {
            throw ContexError.damaged("the state of the text index does not fit its layout (\(error)): run 'contex reindex'")
        }
    }

    /// How the index says that it was made, of whatever version; and the rest of its state.
    private func storedOptions(in view: borrowing TransactionView) throws -> (options: TextIndexOptions, version: UInt8, rest: [UInt8])? {
        guard let bytes = try view.loadBytes(scope.key(.textState)) else { return nil }
        guard bytes.count >= 3, let kind = Analyzer.Kind(rawValue: bytes[0]), bytes[2] <= 1 else {
            throw ContexError.damaged("the state of the text index names no analyser of this build: use the build that wrote it")
        }
        return (TextIndexOptions(analyzer: Analyzer(kind), positions: bytes[2] == 1), bytes[1], Array(bytes.dropFirst(3)))
    }

    func store(_ state: State, in transaction: inout WriteTransaction) throws {
        let key = scope.key(.textState)
        if state == State() {
            try transaction.delete(key)
            return
        }
        var writer = ByteWriter(capacity: 48)
        writer.u8(state.options.analyzer.kind.rawValue)
        writer.u8(Analyzer.version)
        writer.bool(state.options.positions)
        writer.varint(UInt64(state.statistics.documents))
        writer.varint(UInt64(state.statistics.totalLength))
        writer.varint(UInt64(state.statistics.beginnings))
        writer.varint(UInt64(state.statistics.totalLogLength))
        writer.varint(UInt64(state.levels.termsBytes))
        writer.varint(UInt64(state.levels.recentBytes))
        writer.u32(state.levels.termsLast)
        writer.blob(state.levels.mergeFrom)
        try transaction.store(key, writer.bytes)
    }

    // MARK: - Keys

    /// What begins the keys of a term's blocks: no term holds a zero byte.
    func termPrefix(_ term: ArraySlice<UInt8>) -> [UInt8] {
        var key = scope.key(.posting)
        key += term
        key.append(0)
        return key
    }

    func segmentKey(_ termPrefix: [UInt8], first: UInt32) -> [UInt8] {
        var key = termPrefix
        key.append(bigEndian: first)
        return key
    }

    static func contradiction(_ what: String) -> ContexError {
        .damaged("the text index contradicts itself (\(what)): stop the server and run 'contex check', then 'contex reindex'")
    }
}
