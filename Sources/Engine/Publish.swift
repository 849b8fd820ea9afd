// Publish: split, count, analyse and embed outside any transaction, then one transaction for event, document, vectors, postings and
// needs (Apply/ApplyPublish.swift).
//
// Only what changed is embedded: units (IndexedUnit) that the key has already, with nodes of equal path, kind, format, description, data and
// context, keep their numbers, their vectors and their postings. Which those are is first read from a snapshot; if another publish of
// the same key comes between, the command lacks a vector, is refused as stale, and comes again with all vectors, and with it what the
// same call publishes under the key after it.

package import Attributes
public import Base
internal import Content
package import Documents
internal import Events
internal import FullText
internal import Hashing
internal import KeySpace
package import LMDB
internal import Measures
internal import Traces
internal import Vectors

extension Database {
    /// Publishes in order; each command succeeds or fails by itself.
    ///
    /// - Returns: an outcome each, in order. Failures: `.invalid` (text that cannot be stored, too many nodes),
    ///   `.unavailable`, `.storageFull`, `.damaged`.
    public func publish(_ tenant: TenantID, _ commands: [PublishCommand]) async -> [Result<PublishReceipt, ContexError>] {
        let watch = Stopwatch()
        var outcomes: [Result<PublishReceipt, ContexError>?] = Array(repeating: nil, count: commands.count)
        var open = Array(commands.indices)
        // The second round brings every vector, so that it cannot be stale.
        for round in 0..<2 where !open.isEmpty {
            var prepared: [Command.Publish] = []
            var places: [Int] = []
            // Nothing overtakes a command of its key that has to come again: the last one decides what the key holds.
            let delayed = DelayedKeys()
            for (place, outcome) in zip(open, await prepare(tenant, open.map { commands[$0] }, all: round > 0)) {
                switch outcome {
                case .success(var document):
                    document.delayed = delayed
                    prepared.append(document)
                    places.append(place)
                case .failure(let error): outcomes[place] = .failure(error)
                }
            }
            let results = await submit(prepared.map(Command.publish))
            open = []
            for (place, result) in zip(places, results) {
                switch result {
                case .success(.published(let receipt)): outcomes[place] = .success(receipt)
                case .success(.stale): open.append(place)
                case .success(let outcome): outcomes[place] = .failure(outcome.mismatch)
                case .failure(let error): outcomes[place] = .failure(error)
                }
            }
        }
        let answers = outcomes.map { $0 ?? .failure(ContexError(.bug, "a publish with every vector was called stale")) }
        measures.published(commands, answers, watch)
        return answers
    }

    /// Small documents that are split as quickly as a large one is.
    private static let lightCommands = 16

    // MARK: - Before the transaction

    func prepare(_ tenant: TenantID, _ commands: [PublishCommand], all: Bool) async -> [Result<Command.Publish, ContexError>] {
        var documents: [Result<PreparedDocument, ContexError>] = []
        do {
            let (models, time) = (models, now())
            let preparing = Stopwatch()
            let isHeavy = commands.contains { $0.data.isLarger(than: Limits.lightBytes) } || commands.count > Self.lightCommands
            documents = try await onPool(isHeavy: isHeavy) { [self] cancellation in
                var documents = commands.map { command in
                    Result { () throws(ContexError) in
                        try PreparedDocument(tenant, command, dimension: models.dimension, at: time, cancellation: cancellation)
                    }
                }
                // No snapshot is open while data is split, counted or analysed: pages that it holds cannot be written again.
                try readHere { view in
                    for place in documents.indices {
                        documents[place] = documents[place].flatMap { $0.meeting(keepingUnchanged: !all, dimension: models.dimension, in: view) }
                    }
                }
                return documents.map { document in
                    document.flatMap { document in
                        Result { () throws(ContexError) in
                            var document = document
                            try document.finish(models.countTokens, cancellation)
                            return document
                        }
                    }
                }
            }
            note(.prepare, preparing)
            var texts: [ScopedText] = []
            for case .success(let document) in documents { texts += document.textsToEmbed }
            let embedding = Stopwatch()
            var vectors = (try await models.embed(documents: texts))[...]
            if !texts.isEmpty { note(.embed, embedding) }
            let routing = Command.Routing(configuration)
            return documents.map { $0.map { $0.command(vectors: &vectors, routing) } }
        } catch {
            let failure = ContexError(anyError: error)
            return documents.isEmpty ? commands.map { _ in .failure(failure) } : documents.map { $0.flatMap { _ in .failure(failure) } }
        }
    }
}

extension Database {
    private func note(_ stage: PublishStage, _ watch: Stopwatch) {
        let time = watch.nanoseconds
        measures.publishStages.record(time, for: stage)
        OpenSpan.current?.note(stage.rawValue, from: watch.begun, to: watch.begun + time)
    }
}

/// What makes two nodes of a document the same.
struct NodeIdentity: Hashable, Sendable {
    let path: String
    let kind: String
    let format: String
    let description: ExactText
    let data: [UInt8]
    let context: ExactText
    /// As it is stored, in bits, so that equal is equal in the store.
    let ownVector: [UInt32]?

    init(path: String, kind: String, format: String, description: String, data: [UInt8], context: String, ownVector: [Float]?) {
        self.path = path
        self.kind = kind
        self.format = format
        self.description = ExactText(description)
        self.data = data
        self.context = ExactText(context)
        self.ownVector = ownVector?.map(\.bitPattern)
    }

    init(_ node: NodeRecord, ownVector: [Float]?) {
        self.init(
            path: node.path, kind: node.kind, format: node.format, description: node.description, data: node.data, context: node.context,
            ownVector: ownVector)
    }
}

/// A publish on its way to a command: split, and what its key has already marked.
package struct PreparedDocument: Sendable {
    struct Unit: Sendable {
        let nodes: [NodeIdentity]
        /// Of the one node; empty when it has one.
        let passages: [PassageBounds]
        /// Until `finish`.
        fileprivate var content: ArraySlice<ContentNode>
        fileprivate var tokenCounts: [Int] = []
        fileprivate var isKept = false
        /// Of each passage.
        fileprivate var texts: [AnalyzedText] = []
        fileprivate var nodeTexts: [AnalyzedText] = []
        /// What the model is to embed, of each passage; empty when the unit is there already, or came with its vector.
        fileprivate var textsToEmbed: [String] = []

        /// Tokens of each node, once they are counted.
        var counts: [Int] { tokenCounts.isEmpty ? nodes.map { _ in 0 } : tokenCounts }
    }

    let tenant: TenantID
    package let command: PublishCommand
    /// When the command came: the time of its event.
    let recordedAt: Timestamp
    let format: ContentFormat
    let note: String?
    let dataBytes: [UInt8]
    /// The command's own, of unit length.
    let vector: [Float]?
    /// Empty without metadata.
    let metadataBytes: [UInt8]
    let fingerprint: SHA256Digest
    private(set) var units: [Unit]
    /// Of the project when the document met it.
    private var analyzer = Analyzer()

    private static func eventType(_ command: PublishCommand) -> String { command.eventType ?? "\(command.key.text)_updated" }

    /// - Throws: `.invalid` for data that cannot be stored and for an own vector that is none of `dimension`; `.unavailable` once cancelled.
    package init(
        _ tenant: TenantID, _ command: PublishCommand, dimension: Int, at time: Timestamp, cancellation: Cancellation = .never
    ) throws(ContexError) {
        try command.check()
        self.tenant = tenant
        self.command = command
        recordedAt = time
        if let end = command.expiresAt, end <= time {
            throw .invalid(field: "expires_at", kind: "value_error", message: "Value error, expires_at is in the past: it is \(time.iso8601)")
        }
        do throws(PlacedFault) { try Metadata.check(command.metadata) } catch { throw error.contexError }
        var own: [Float]? = nil
        if let vector = command.vector { own = try VectorIndex.unit(vector, dimension: dimension, field: "vector") }
        vector = own
        let key = command.key.text
        let split =
            own == nil
            ? try ContentSplitter.split(command.data, hint: command.format, key: key, cancellation: cancellation)
            : try ContentSplitter.whole(command.data, hint: command.format, key: key, cancellation: cancellation)
        format = split.format
        note = split.note
        dataBytes = JSONPrinter.bytes(command.data)
        metadataBytes = Self.bytes(ofMetadata: command.metadata)
        fingerprint = Self.fingerprint(
            format: command.format, eventType: Self.eventType(command), vector: own, metadata: metadataBytes, data: dataBytes, expiresAt: command.expiresAt)
        // The log has it as it came, the index what it stores of it.
        let stored = own.map(VectorMath.stored)
        let (nodes, format) = (split.nodes, split.format.rawValue)
        try cancellation.check()
        units = PassageUnits.units(of: nodes.map { .init(kind: $0.kind.rawValue, value: $0.value) }, isWhole: stored != nil).map { unit in
            Unit(
                nodes: nodes[unit.nodes].map { node in
                    NodeIdentity(
                        path: node.path, kind: node.kind.rawValue, format: format, description: node.description, data: JSONPrinter.bytes(node.value),
                        context: unit.context, ownVector: stored)
                }, passages: unit.passages, content: nodes[unit.nodes])
        }
    }

    static func bytes(ofMetadata metadata: JSONObject) -> [UInt8] { metadata.isEmpty ? [] : JSONPrinter.bytes(.object(metadata)) }

    /// - Parameter expiresAt: another end is another publish, of the same content.
    static func fingerprint(
        format: String?, eventType: String, vector: [Float]?, metadata: [UInt8], data: [UInt8], expiresAt: Timestamp? = nil
    ) -> SHA256Digest {
        var head = ByteWriter()
        head.bool(format != nil)
        head.text(format ?? "")
        head.text(eventType)
        head.varint(UInt64(vector?.count ?? 0))
        head.floats(vector ?? [])
        head.blob(metadata)
        // Behind everything, and nothing without: as it was before documents could end.
        if let expiresAt { head.i64(expiresAt.rawValue) }
        return SHA256.digest(head.bytes, data)
    }

    fileprivate func meeting(
        keepingUnchanged: Bool, dimension: Int, in view: borrowing TransactionView
    ) -> Result<PreparedDocument, ContexError> {
        do {
            var document = self
            try document.meet(keepingUnchanged: keepingUnchanged, dimension: dimension, in: view)
            return .success(document)
        } catch {
            return .failure(ContexError(anyError: error))
        }
    }

    /// Looks at what the project has: its analyser and, unless all nodes are to have their vectors, the nodes that stay.
    package mutating func meet(keepingUnchanged: Bool = true, dimension: Int, in view: borrowing TransactionView) throws {
        guard let scope = try ProjectRegistry(tenant: tenant).scope(of: command.project, in: view) else { return }
        analyzer = try TextIndex(scope: scope).options(in: view).analyzer
        let documents = DocumentStore(scope: scope)
        guard keepingUnchanged, let present = try documents.document(command.key, in: view), present.exists else { return }
        if present.fingerprint == fingerprint {
            for place in units.indices { units[place].isKept = true }
            return
        }
        var identities = try documents.identities(of: present.nodes, dimension: dimension, in: view).mapValues(\.count)
        for place in units.indices {
            if let count = identities[units[place].nodes], count > 0 {
                identities[units[place].nodes] = count - 1
                units[place].isKept = true
            }
        }
    }

    /// Counts and analyses the units that are new, and lets the parsed data go.
    /// - Throws: `.unavailable` once cancelled.
    package mutating func finish(_ countTokens: (String) -> Int, _ cancellation: Cancellation = .never) throws(ContexError) {
        for place in units.indices {
            let content = units[place].content
            units[place].content = []
            guard !units[place].isKept else { continue }
            try cancellation.check()
            units[place].tokenCounts = content.map { countTokens(JSONPrinter.text(MatchData.wrapped($0.value), style: .python)) }
            let (texts, nodeTexts, textsToEmbed) = texts(of: content, units[place])
            (units[place].texts, units[place].nodeTexts) = (texts, nodeTexts)
            if vector == nil { units[place].textsToEmbed = textsToEmbed }
        }
    }

    private func texts(of content: ArraySlice<ContentNode>, _ unit: Unit) -> (texts: [AnalyzedText], ofNodes: [AnalyzedText], toEmbed: [String]) {
        let (key, context) = (command.key.text, unit.nodes[0].context.text)
        let goesOn = content.first.map { PassageUnits.goesOn(path: $0.path, kind: $0.kind.rawValue) } ?? false
        if content.count > 1 {
            let values = content.map(\.value)
            return (
                [AnalyzedText(SearchText.indexed(key: key, context: context, gathered: values), analyzer: analyzer, goesOn: goesOn)],
                values.map { AnalyzedText(SearchText.joined(gathered: [$0]), analyzer: analyzer) },
                [SearchText.embedded(key: key, context: context, gathered: values)]
            )
        }
        guard let node = content.first else { return ([], [], []) }
        let (path, kind, value) = (node.path, node.kind.rawValue, node.value)
        let (indexed, embedded) = (
            SearchText.indexed(key: key, context: context, path: path, kind: kind, value: value, passages: unit.passages),
            SearchText.embedded(key: key, context: context, path: path, kind: kind, value: value, passages: unit.passages)
        )
        return (AnalyzedText.passages(indexed, analyzer: analyzer, goesOn: goesOn), [], embedded)
    }

    /// Passages that the key does not have already.
    package var newPassages: Int { units.reduce(0) { $0 + ($1.isKept ? 0 : max(1, $1.passages.count)) } }

    /// Texts of the passages that want a vector, in order.
    package var textsToEmbed: [ScopedText] {
        let scope = ModelScope.project(command.project, of: tenant)
        return units.flatMap { unit in unit.textsToEmbed.map { ScopedText($0, in: scope) } }
    }

    /// With the vectors of the passages that want one, from the front of `vectors`, as an index stores them.
    package func command(vectors: inout ArraySlice<[Float]>, _ routing: Command.Routing) -> Command.Publish {
        let own = vector.map(VectorMath.stored)
        return Command.Publish(
            tenant: tenant, project: command.project, key: command.key, eventType: Self.eventType(command),
            eventFormat: command.format ?? format.rawValue, format: format.rawValue, data: dataBytes, vector: vector, metadata: metadataBytes,
            publisher: command.publisher, fingerprint: fingerprint,
            units: units.map { unit in
                var found: [[Float]]?
                if !unit.isKept { found = own.map { [$0] } ?? (0..<max(1, unit.passages.count)).map { _ in VectorMath.stored(vectors.removeFirst()) } }
                return Command.Publish.Unit(
                    nodes: zip(unit.nodes, unit.counts).map {
                        Command.Publish.Node(identity: $0, tokenCount: $1)
                    }, passages: unit.passages, vectors: found, texts: unit.texts, nodeTexts: unit.nodeTexts)
            },
            routing: routing, time: recordedAt, expiresAt: command.expiresAt, analyzer: analyzer, note: note)
    }
}

extension DocumentRecord {
    /// What the attribute index has of a document; a deleted one has no nodes and so nothing there.
    package var attributes: DocumentAttributes {
        get throws(ContexError) {
            DocumentAttributes(
                key: key, format: format, updatedAt: updatedAt, publisher: publisher, metadata: try EventData.metadata(metadata), nodes: nodes,
                furtherPassages: furtherPassages)
        }
    }
}

extension DocumentStore {
    /// The units of a document, by what makes them the same.
    func identities(of nodes: [NodeID], dimension: Int, in view: borrowing TransactionView) throws -> [[NodeIdentity]: [IndexedUnit]] {
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        var found: [[NodeIdentity]: [IndexedUnit]] = [:]
        // Reversed, so that popLast gives them in the order of the document.
        for unit in try units(of: nodes, in: view).reversed() {
            let identities = try unit.records.map { node in
                NodeIdentity(node, ownVector: node.hasOwnVector ? try vectors.vector(of: unit.first, in: view) : nil)
            }
            found[identities, default: []].append(unit)
        }
        return found
    }
}
