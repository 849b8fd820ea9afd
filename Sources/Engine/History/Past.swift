// The state of a project after an event that is not its last: of one key, or searched. (Listed piece by piece: Pages/StateWalk.swift.)
//
// Nothing is kept for this. What a key held is in the log (its newest event at or before the moment); which event that is, the
// document's marks say in O(log n), so that the log itself is not walked. A document that has not changed since has its nodes in
// the store; of the others the data of the event is split again, as the publish split it. A unit that its document has today as
// well has today's vectors; the rest is embedded through the same cache as everything.
//
//     on a snapshot:  marks -> unchanged nodes and their vectors, data of old events     (bounded: Limits.pastNodes, pastBytes)
//     without one:    split, analyse, embed what is new, score every node, rank          (on the readers' threads)
//
// The scores are those of a project that had stopped at the event: BM25 with the statistics of its nodes alone, analysed as the
// project does now. docs/decisions/0030-as-of.md says what cannot be had this way.

internal import Attributes
internal import Base
internal import Content
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

/// What one snapshot says about a moment before its last event.
struct PastDraft: Sendable {
    /// A document with what is needed to show its nodes.
    struct Document: Sendable {
        let key: Name
        /// The event that gave it this state.
        let sequence: Sequence
        /// What filters can ask of it; without nodes, and without the format of what is still to be split.
        let attributes: DocumentAttributes
        /// Its nodes when they are still there.
        var nodes: [PastNodes.Node] = []
        /// Else the event, to be split, and the units that its document has today, with their vectors.
        var event: EventRecord?
        var present: [[NodeIdentity]: [[[Float]]]] = [:]
    }
    let sequence: Sequence
    let analyzer: Analyzer
    let dimension: Int
    let documents: [Document]

    /// - Parameters:
    ///   - key: only this one.
    ///   - withVectors: what is unchanged brings its vectors.
    /// - Throws: `.tooLarge`
    init(
        _ scope: TenantScope, at sequence: Sequence, key: Name? = nil, dimension: Int, withVectors: Bool, in view: borrowing TransactionView
    ) throws {
        self.sequence = sequence
        self.dimension = dimension
        analyzer = try TextIndex(scope: scope).options(in: view).analyzer
        let store = DocumentStore(scope: scope)
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        var found: [Document] = []
        var (nodeCount, byteCount, reused) = (0, 0, 0)
        func add(_ record: DocumentRecord) throws {
            guard var document = try Self.document(record, at: sequence, scope, in: view) else { return }
            // All that is held: of the text index, of the vectors and of what is split from the events there is about as much again.
            byteCount += (document.event?.byteCount ?? 0) + record.metadata.count
            nodeCount += document.event == nil ? record.nodes.count : 1
            if key == nil { try Self.refuse(sequence, nodes: nodeCount, bytes: byteCount) }
            if document.event != nil {
                // What is not looked up here is embedded again.
                reused += record.nodes.count
                if !withVectors || reused > Limits.pastNodes { return found.append(document) }
            }
            for unit in try store.units(of: record.nodes, in: view) {
                var own: [[Float]] = []
                if withVectors { own = try unit.entries.map { try vectors.vector(of: $0, in: view) ?? [] } }
                if own.count < unit.entries.count { own = [] }
                byteCount += own.reduce(0) { $0 + 4 * $1.count }
                if document.event == nil {
                    for (place, node) in unit.records.enumerated() {
                        byteCount += node.byteCount
                        document.nodes.append(PastNodes.Node(record: node, attributes: document.attributes, vectors: place == 0 ? own : []))
                    }
                    if key == nil { try Self.refuse(sequence, nodes: nodeCount, bytes: byteCount) }
                } else if !own.isEmpty, !unit.records[0].hasOwnVector {
                    // An own vector stands in its event.
                    document.present[unit.records.map { NodeIdentity($0, ownVector: nil) }, default: []].append(own)
                }
            }
            found.append(document)
        }
        if let key {
            if let record = try store.document(key, in: view) { try add(record) }
        } else {
            try store.forEachDocument(deleted: true, in: view) { try add($0) }
        }
        // As the numbers of nodes come from the order of publishes; who was there first decides between equal scores.
        documents = found.sorted { $0.sequence == $1.sequence ? $0.key < $1.key : $0.sequence < $1.sequence }
    }

    /// nil when the key held nothing.
    static func document(
        _ record: DocumentRecord, at sequence: Sequence, _ scope: TenantScope, in view: borrowing TransactionView
    ) throws -> Document? {
        // Nothing has happened to it since.
        if record.sequence <= sequence { return record.exists ? Document(key: record.key, sequence: record.sequence, attributes: try record.attributes) : nil }
        let store = DocumentStore(scope: scope)
        switch try store.mark(of: record.id, at: sequence, in: view) {
        case .deletion: return nil
        case .content(let version):
            guard let event = try EventLog(scope: scope).event(version, in: view) else {
                throw ContexError.damaged("a version of '\(record.key)' names event \(version), which is not there: run 'contex check'")
            }
            let attributes = DocumentAttributes(
                key: record.key, format: "", updatedAt: event.recordedAt, publisher: event.publisher, metadata: try EventData.metadata(event.metadata),
                nodes: [])
            return Document(key: record.key, sequence: version, attributes: attributes, event: event)
        // Later than that, or imported without its events and changed since: what it held then is gone.
        case nil: return nil
        }
    }

    private static func refuse(_ sequence: Sequence, nodes: Int, bytes: Int) throws(ContexError) {
        if nodes > Limits.pastNodes {
            throw ContexError(
                .answerTooLarge,
                "as_of: the project had more than \(Limits.pastNodes) nodes at event \(sequence), the most that are looked at of the past; "
                    + "it can be listed, and single keys can be read")
        }
        if bytes > Limits.pastBytes {
            throw ContexError(
                .answerTooLarge,
                "as_of: the project held more than \(Limits.pastBytes >> 20) MiB at event \(sequence) with metadata and vectors, the most that is "
                    + "looked at of the past; it can be listed, and single keys can be read")
        }
    }

    /// Splits what must be split.
    /// - Throws: `.tooLarge`, what the splitter throws, `.unavailable` once cancelled.
    func nodes(_ cancellation: Cancellation) throws -> [PastNodes.Node] {
        var nodes: [PastNodes.Node] = []
        for document in documents {
            if let event = document.event {
                nodes += try Self.split(document, event, dimension: dimension, cancellation)
            } else {
                nodes += document.nodes
            }
            if documents.count > 1 { try Self.refuse(sequence, nodes: nodes.count, bytes: 0) }
        }
        return nodes
    }

    static func split(_ document: Document, _ event: EventRecord, dimension: Int, _ cancellation: Cancellation) throws -> [PastNodes.Node] {
        let data = try EventData.parsed(event.data)
        let key = document.key.text
        let split =
            event.vector == nil
            ? try ContentSplitter.split(data, hint: event.format, key: key, cancellation: cancellation)
            : try ContentSplitter.whole(data, hint: event.format, key: key, cancellation: cancellation)
        // Of another model's dimension it is of no use: the text is embedded, as a rebuild of the indexes does it.
        let own = event.vector?.count == dimension ? event.vector : nil
        var present = document.present
        var attributes = document.attributes
        attributes.format = split.format.rawValue
        let (nodes, format) = (split.nodes, split.format.rawValue)
        let units = PassageUnits.units(of: nodes.map { .init(kind: $0.kind.rawValue, value: $0.value) }, isWhole: event.vector != nil)
        return units.flatMap { unit in
            let records = nodes[unit.nodes].enumerated().map { place, node in
                NodeRecord(
                    document: DocumentID(rawValue: 0), documentKey: key, path: node.path, kind: node.kind.rawValue, format: format,
                    description: node.description, data: JSONPrinter.bytes(node.value), tokenCount: 0, hasOwnVector: event.vector != nil,
                    context: unit.context, extent: .init(of: place, in: unit.nodes.count, unit.passages))
            }
            let vectors = own.map { [$0] } ?? present[records.map { NodeIdentity($0, ownVector: nil) }]?.popLast() ?? []
            return records.enumerated().map { PastNodes.Node(record: $1, attributes: attributes, vectors: $0 == 0 ? vectors : []) }
        }
    }
}

/// The units of a past state, whose entries are numbered by place, as their nodes are.
struct PastNodes: Sendable {
    struct Node: Sendable {
        let record: NodeRecord
        /// Of its document.
        let attributes: DocumentAttributes
        /// Of the entries of its unit, when it is the first node of it; empty until they are embedded. No numbers of a text that the model cannot read.
        var vectors: [[Float]]
    }
    /// As an index has it.
    struct Unit: Sendable {
        /// Numbered by the place of its nodes.
        let indexed: IndexedUnit
        let attributes: DocumentAttributes
        /// Places of its entries.
        let entries: Range<Int>

        var records: [NodeRecord] { indexed.records }
    }
    let units: [Unit]
    let nodeCount: Int
    /// Of each entry: its vector, nil when it has none, and the place of its unit.
    let vectors: [[Float]?]
    private let owners: [Int]
    private let unitsOfNodes: [Int]
    /// Of each unit, the units of its document.
    private let ofDocument: [Range<Int>]
    let texts: TextCollection
    let analyzer: Analyzer

    /// - Throws: `.damaged`
    init(_ nodes: [Node], analyzer: Analyzer) throws(ContexError) {
        self.analyzer = analyzer
        nodeCount = nodes.count
        var units: [Unit] = []
        var (vectors, owners, unitsOfNodes, analyzed): ([[Float]?], [Int], [Int], [AnalyzedText]) = ([], [], [], [])
        for unit in try IndexedUnit.units(of: nodes.enumerated().map { (NodeID(rawValue: UInt32($0)), $1.record) }) {
            let first = nodes[Int(unit.first.rawValue)]
            let count = unit.records[0].extent.numbers
            unitsOfNodes += unit.records.map { _ in units.count }
            owners += repeatElement(units.count, count: count)
            units.append(Unit(indexed: unit, attributes: first.attributes, entries: vectors.count..<vectors.count + count))
            // As an index stores them.
            let stored = first.vectors.map(VectorMath.stored)
            vectors += stored.count == count ? stored.map { $0.isEmpty ? nil : $0 } : [[Float]?](repeating: nil, count: count)
            analyzed += try unit.analyzed(analyzer)
        }
        (self.units, self.vectors, self.owners, self.unitsOfNodes) = (units, vectors, owners, unitsOfNodes)
        var ofDocument: [Range<Int>] = []
        while ofDocument.count < units.count {
            let first = ofDocument.count
            let key = ExactText(units[first].records[0].documentKey)
            let end = units[first...].firstIndex { ExactText($0.records[0].documentKey) != key } ?? units.count
            ofDocument += repeatElement(first..<end, count: end - first)
        }
        self.ofDocument = ofDocument
        texts = TextCollection(analyzed)
    }

    static func id(_ place: Int) -> NodeID { NodeID(rawValue: UInt32(place)) }
    static func place(_ id: NodeID) -> Int { Int(id.rawValue) }

    var entryCount: Int { vectors.count }

    /// The unit of an entry.
    func unit(of entry: NodeID) -> Unit { units[owners[Self.place(entry)]] }
    /// The unit of a node.
    func unit(ofNode node: NodeID) -> Unit { units[unitsOfNodes[Self.place(node)]] }

    /// The words of the document of an entry; nil when it is no whole.
    func whole(of entry: NodeID) -> WholeWords? {
        let unit = owners[Self.place(entry)]
        let units = self.units[ofDocument[unit]]
        var place = units.first?.entries.lowerBound ?? 0
        return Wholes.words(of: units.map(\.indexed)) { other in
            defer { place += other.entries.count }
            return (place..<place + other.entries.count).map { texts[$0] }
        }?.counted(for: self.units[unit].indexed, nodes: units.reduce(0) { $0 + $1.records.count })
    }

    /// Every node with its number.
    var nodes: [(id: NodeID, record: NodeRecord)] { units.flatMap { zip($0.indexed.nodes, $0.records).map { ($0, $1) } } }

    /// As `VectorIndex` gives it; nil for an entry without a vector.
    func cosine(_ query: [Float], _ entry: NodeID) -> Float? {
        guard let vector = vectors[Self.place(entry)] else { return nil }
        return min(1, max(-1, VectorMath.dot(query[...], vector)))
    }

    /// As `VectorMean` of an index has it, of all entries.
    /// - Complexity: O(entries x dimension).
    func meanCosine(_ query: [Float]) -> Float { VectorMean(vectors.lazy.compactMap { $0 }, dimension: query.count).cosine(query[...]) }

    /// What an entry stands for, with the tokens of its data counted, which only answers need.
    func found(_ entry: NodeID, _ choice: NodeChoice, _ countTokens: (String) -> Int) throws(ContexError) -> FoundNode {
        let unit = unit(of: entry)
        var found = try FoundNode(unit.indexed, offset: Self.place(entry) - unit.entries.lowerBound, choice)
        try found.count(countTokens)
        return found
    }
}

extension Database {
    /// The event that a moment means on this snapshot.
    ///
    /// Of a time: the last event recorded at or before it. Events are recorded with the time at which their request came, in the order
    /// of commits, so that neighbours may differ by the length of a request; among those any cut is as good as another.
    /// - Returns: nil when it is the last one: the present.
    /// - Throws: `.invalid` for what is in the future.
    /// - Complexity: O(log n) events.
    func pastSequence(_ moment: Moment, _ scope: TenantScope?, in view: borrowing TransactionView) throws -> Sequence? {
        let log = scope.map { EventLog(scope: $0) }
        let head = try log?.head(in: view).sequence ?? .zero
        let horizon = try log?.horizon(in: view) ?? .none
        func refuse() throws -> ContexError { horizon.refusal("as_of", epoch: try log?.head(in: view).epoch ?? 0) }
        switch moment {
        case .sequence(let sequence):
            guard sequence <= head else {
                throw ContexError.invalid(
                    field: "as_of", kind: "value_error", message: "Value error, as_of is in the future: the log of the project ends at event \(head)")
            }
            guard sequence >= horizon.sequence else { throw try refuse() }
            return sequence == head ? nil : sequence
        case .time(let time):
            guard time <= now() else {
                throw ContexError.invalid(field: "as_of", kind: "value_error", message: "Value error, as_of is in the future: it is \(now().iso8601)")
            }
            // Recorded at or before: `low`. After: `high`.
            guard horizon.sequence == .zero || time >= horizon.recordedAt else { throw try refuse() }
            var (low, high) = (horizon.sequence.rawValue, head.rawValue + 1)
            while high - low > 1 {
                let middle = low + (high - low) / 2
                guard let recorded = try log?.recordedAt(Sequence(rawValue: middle), in: view) else {
                    throw ContexError.damaged("event \(middle) is missing: run 'contex check'")
                }
                if recorded <= time { low = middle } else { high = middle }
            }
            return low == head.rawValue ? nil : Sequence(rawValue: low)
        }
    }

    /// A state of the past for as long as `body` needs it, one of `Limits.pastStates` that the whole server holds at a time.
    /// - Throws: `.tooLarge` for too many nodes; `.unavailable` when too many wait for their turn.
    func withPast<T: Sendable>(
        _ scope: TenantScope, at sequence: Sequence, withVectors: Bool, embeddingFor embeddingScope: ModelScope, _ body: @Sendable (PastNodes) async throws -> T
    ) async throws -> T {
        let dimension = models.dimension
        return try await pastGate.run {
            let draft = try await read { try PastDraft(scope, at: sequence, dimension: dimension, withVectors: withVectors, in: $0) }
            var nodes = try await onPool(isHeavy: true) { try draft.nodes($0) }
            if withVectors { nodes = try await embed(nodes, in: embeddingScope) }
            let embedded = nodes
            return try await body(try await onHeavyPool { try PastNodes(embedded, analyzer: draft.analyzer) })
        }
    }

    /// Embeds what has no vector yet, in batches, so that the cache and others' queries get their turn between them.
    func embed(_ nodes: [PastNodes.Node], in scope: ModelScope) async throws -> [PastNodes.Node] {
        var nodes = nodes
        let units = try IndexedUnit.units(of: nodes.enumerated().map { (NodeID(rawValue: UInt32($0)), $1.record) })
        let open = units.filter { nodes[Int($0.first.rawValue)].vectors.isEmpty }
        for start in stride(from: 0, to: open.count, by: Self.pastBatch) {
            let batch = open[start..<min(start + Self.pastBatch, open.count)]
            let texts = try batch.map { try $0.embeddedTexts }
            var vectors = try await models.embed(documents: texts.flatMap { $0 }, in: scope)[...]
            for (unit, texts) in zip(batch, texts) {
                nodes[Int(unit.first.rawValue)].vectors = Array(vectors.prefix(texts.count))
                vectors = vectors.dropFirst(texts.count)
            }
        }
        return nodes
    }

    private static let pastBatch = 256
}
