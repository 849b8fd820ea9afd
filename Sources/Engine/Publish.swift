// Publish: split and embed outside any transaction, then one transaction for event, document, vectors, postings and needs.
//
// Only what changed is embedded: nodes that the key has already, with equal path, kind, format, description and data, keep
// their number, their vector and their postings. Which those are is first read from a snapshot; if another publish of the
// same key comes between, the command finds a node without a vector, is refused as stale before its first write, and
// comes again with all vectors.

internal import Attributes
public import Base
internal import Content
internal import Documents
internal import Events
internal import FullText
internal import Hashing
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

extension Database {
    /// Publishes in order; each command succeeds or fails by itself.
    ///
    /// - Returns: an outcome each, in order. Failures: `.invalid` (text that cannot be stored, too many nodes),
    ///   `.unavailable`, `.storageFull`, `.damaged`.
    public func publish(_ tenant: TenantID, _ commands: [PublishCommand]) async -> [Result<PublishReceipt, ContexError>] {
        var outcomes: [Result<PublishReceipt, ContexError>?] = Array(repeating: nil, count: commands.count)
        var open = Array(commands.indices)
        // The second round brings every vector, so that it cannot be stale.
        for round in 0..<2 where !open.isEmpty {
            var prepared: [PreparedDocument] = []
            var places: [Int] = []
            for (place, outcome) in zip(open, await prepare(tenant, open.map { commands[$0] }, all: round > 0)) {
                switch outcome {
                case .success(let document):
                    prepared.append(document)
                    places.append(place)
                case .failure(let error): outcomes[place] = .failure(error)
                }
            }
            let results = await writer.submit(
                prepared.map { document in
                    { [self] (transaction, effects) -> Applied in
                        do {
                            return Applied.receipt(try apply(tenant, document, in: &transaction, &effects))
                        } catch is StalePreparation {
                            return Applied.stale
                        }
                    }
                })
            open = []
            for (place, result) in zip(places, results) {
                switch result {
                case .success(.receipt(let receipt)): outcomes[place] = .success(receipt)
                case .success(.stale): open.append(place)
                case .failure(let error): outcomes[place] = .failure(error)
                }
            }
        }
        return outcomes.map { $0 ?? .failure(ContexError(.bug, "a publish with every vector was called stale")) }
    }

    /// Small documents that are split as quickly as a large one is.
    private static let lightCommands = 16

    private enum Applied: Sendable {
        case receipt(PublishReceipt)
        case stale
    }

    // MARK: - Before the transaction

    private func prepare(_ tenant: TenantID, _ commands: [PublishCommand], all: Bool) async -> [Result<PreparedDocument, ContexError>] {
        var documents: [Result<PreparedDocument, ContexError>] = []
        do {
            let (models, time) = (models, now())
            let isHeavy = commands.contains { $0.data.isLarger(than: Limits.lightBytes) } || commands.count > Self.lightCommands
            documents = try await onPool(isHeavy: isHeavy) { [self] cancellation in
                var documents = commands.map { command in
                    Result { () throws(ContexError) in
                        try PreparedDocument(command, dimension: models.dimension, at: time, cancellation: cancellation)
                    }
                }
                // No snapshot is open while data is split or tokens are counted: pages that it holds cannot be written again.
                if !all {
                    try readHere { view in
                        for place in documents.indices {
                            documents[place] = documents[place].flatMap { $0.keepingUnchanged(tenant, dimension: models.dimension, in: view) }
                        }
                    }
                }
                return documents.map { document in
                    document.flatMap { document in
                        Result { () throws(ContexError) in
                            var document = document
                            try document.countTokens(models.countTokens, cancellation)
                            return document
                        }
                    }
                }
            }
            var texts: [ScopedText] = []
            for case .success(let document) in documents { texts += document.textsToEmbed(tenant) }
            var vectors = (try await models.embed(documents: texts))[...]
            for place in documents.indices {
                documents[place] = documents[place].map { $0.taking(vectors: &vectors) }
            }
            return documents
        } catch {
            let failure = ContexError(anyError: error)
            return documents.isEmpty ? commands.map { _ in .failure(failure) } : documents.map { $0.flatMap { _ in .failure(failure) } }
        }
    }

    // MARK: - In the transaction

    /// Everything that one publish changes. Deterministic: time and vectors come with the command.
    /// - Parameter indexing: takes what the indexes are to get, for whoever writes many documents together; nil writes it here.
    /// - Throws: `StalePreparation` before the first write when a vector is missing.
    func apply(
        _ tenant: TenantID, _ prepared: PreparedDocument, indexing: ImportIndexing? = nil, in transaction: inout WriteTransaction,
        _ effects: inout Effects
    ) throws -> PublishReceipt {
        let command = prepared.command
        let registry = ProjectRegistry(tenant: tenant)
        let known = try registry.scope(of: command.project, in: transaction.view)
        var present: DocumentRecord? = nil
        var presentNodes: [NodeIdentity: [NodeID]] = [:]
        if let known {
            let documents = DocumentStore(scope: known)
            present = try documents.document(command.key, in: transaction.view)
            if let present, present.exists, present.fingerprint == prepared.fingerprint {
                return PublishReceipt(
                    project: command.project, key: command.key, sequence: present.sequence, format: prepared.split.format.rawValue, changed: false,
                    note: prepared.split.note)
            }
            presentNodes = try documents.identities(of: present?.nodes ?? [], dimension: models.dimension, in: transaction.view)
        }

        // Which nodes stay, and that every other one has its vector.
        var kept: [NodeID?] = []
        for node in prepared.nodes {
            if let id = presentNodes[node.identity]?.popLast() {
                kept.append(id)
            } else {
                guard node.vector != nil else { throw StalePreparation() }
                kept.append(nil)
            }
        }

        // From here on the transaction changes.
        let time = prepared.recordedAt
        let scope = try registry.scopeCreating(command.project, at: time, in: &transaction)
        let documents = DocumentStore(scope: scope)
        let vectors = VectorIndex(scope: scope, dimension: models.dimension)
        let texts = TextIndex(scope: scope)
        let analyzer = try texts.options(in: transaction.view).analyzer
        let event = try EventLog(scope: scope).append(
            EventDraft(
                kind: .published, type: prepared.eventType, key: command.key.text,
                format: command.format ?? prepared.split.format.rawValue, recordedAt: time, data: prepared.dataBytes,
                vector: prepared.vector, metadata: prepared.metadataBytes, publisher: command.publisher),
            in: &transaction)

        let isBulk = try indexing?.isBulk(scope, in: transaction.view) ?? false
        for gone in presentNodes.values.joined().sorted() {
            try removeNode(gone, scope, keepsVector: isBulk, in: &transaction)
        }
        let id = try present?.id ?? documents.create(command.key, in: &transaction)
        var fresh = try documents.reserveNodes(kept.count { $0 == nil }, in: &transaction)[...]
        var ids: [NodeID] = []
        var freshNodes: [FreshNode] = []
        for (node, keptID) in zip(prepared.nodes, kept) {
            if let keptID {
                ids.append(keptID)
                continue
            }
            let nodeID = fresh.removeFirst()
            ids.append(nodeID)
            let record = node.record(document: id, key: command.key, format: prepared.split.format)
            try documents.put(record, as: nodeID, in: &transaction)
            let vector = node.vector!
            let text = AnalyzedText(node.indexedText(key: command.key), analyzer: analyzer)
            if indexing == nil { try vectors.insert(nodeID, vector, in: &transaction) }
            freshNodes.append(FreshNode(id: nodeID, vector: vector, text: text))
        }
        if indexing == nil { try texts.apply(freshNodes.map { TextChange(node: $0.id, new: $0.text) }, in: &transaction) }
        let document = DocumentRecord(
            id: id, key: command.key, sequence: event.sequence, exists: true, format: prepared.split.format.rawValue, updatedAt: time,
            publisher: command.publisher, metadata: prepared.metadataBytes, fingerprint: prepared.fingerprint, nodes: ids)
        try documents.put(document, in: &transaction)
        try AttributeIndex(scope: scope).replace(try present?.attributes, with: try document.attributes, in: &transaction)
        try documents.addVersion(event.sequence, of: id, in: &transaction)
        let (standing, added) = (Set(ids), freshNodes)
        func tell(_ transaction: inout WriteTransaction, _ effects: inout Effects) throws {
            try tellFollowers(
                tenant, scope, command.project, document: id, standing: standing, fresh: added, event: Provenance(event),
                message: .update(sequence: event.sequence, key: command.key.text, data: command.data), in: &transaction, &effects)
        }
        // Needs are scored by the statistics that the text index has with the new nodes in it.
        if let indexing { indexing.add(added, scope, after: tell) } else { try tell(&transaction, &effects) }
        return PublishReceipt(
            project: command.project, key: command.key, sequence: event.sequence, format: prepared.split.format.rawValue, changed: true,
            note: prepared.split.note)
    }

    /// Tells the agents that followed the document, and those whose needs its new nodes match for the first time; then
    /// notes who follows it now: the agents that one of its nodes matches.
    func tellFollowers(
        _ tenant: TenantID, _ scope: TenantScope, _ project: Name, document: DocumentID, standing: Set<NodeID>, fresh: [FreshNode],
        event: Provenance, message: Notification.Message, in transaction: inout WriteTransaction, _ effects: inout Effects
    ) throws {
        let needs = NeedStore(scope: scope)
        let followers = try needs.followers(of: document, in: transaction.view)
        let matched = try matcher.match(
            fresh, scope: scope, mode: configuration.mode, threshold: configuration.threshold, in: transaction.view)
        let told = Set(followers).union(matched.keys).sorted()
        guard !told.isEmpty else { return }
        let names = try matcher.standing(scope, in: transaction.view).names
        for number in told {
            guard let name = names[number], var agent = try needs.agent(name, in: transaction.view) else {
                throw ContexError.damaged("document \(document.rawValue) names agent number \(number) as its follower, which is not there")
            }
            let held = try needs.followedNodes(by: number, document: document, in: transaction.view)
            let fresh = matched[number] ?? []
            let now = held.filter(standing.contains) + fresh.map(\.node)
            if now != held { try needs.setFollow(agent: number, document: document, nodes: now, in: &transaction) }
            if let sequence = event.sequence { agent.lastSequence = sequence }
            try needs.update(agent, in: &transaction)
            var provenance = event
            provenance.matches = Self.matches(fresh, of: agent)
            effects.notifications.append(Notification(tenant: tenant, project: project, agent: agent, message: message, provenance: provenance))
        }
    }

    /// Each need once, with its best node.
    private static func matches(_ found: [NeedMatch], of agent: AgentRecord) -> [(need: String, similarity: Double)] {
        var best: [UInt32: Double] = [:]
        for match in found { best[match.need] = max(best[match.need] ?? 0, match.similarity) }
        return best.sorted { $0.key < $1.key }.compactMap { place, similarity in
            agent.needs.indices.contains(Int(place)) ? (agent.needs[Int(place)], similarity) : nil
        }
    }
}

/// The snapshot that decided what to embed is no longer true.
struct StalePreparation: Error {}

/// What makes two nodes of a document the same.
struct NodeIdentity: Hashable, Sendable {
    let path: String
    let kind: String
    let format: String
    let description: ExactText
    let data: [UInt8]
    /// As it is stored, in bits, so that equal is equal in the store.
    let ownVector: [UInt32]?

    init(path: String, kind: String, format: String, description: String, data: [UInt8], ownVector: [Float]?) {
        self.path = path
        self.kind = kind
        self.format = format
        self.description = ExactText(description)
        self.data = data
        self.ownVector = ownVector?.map(\.bitPattern)
    }

    init(_ node: NodeRecord, ownVector: [Float]?) {
        self.init(
            path: node.path, kind: node.kind, format: node.format, description: node.description, data: node.data, ownVector: ownVector)
    }
}

/// A publish command after splitting, before its transaction.
struct PreparedDocument: Sendable {
    struct Node: Sendable {
        let content: ContentNode
        let identity: NodeIdentity
        var tokenCount = 0
        var isKept = false
        var vector: [Float]? = nil

        var wantsEmbedding: Bool { !isKept && identity.ownVector == nil }
        func embeddedText(key: Name) -> String {
            SearchText.embedded(key: key.text, path: content.path, kind: content.kind.rawValue, value: content.value)
        }

        func indexedText(key: Name) -> String {
            SearchText.indexed(key: key.text, path: content.path, kind: content.kind.rawValue, value: content.value)
        }

        func record(document: DocumentID, key: Name, format: ContentFormat) -> NodeRecord {
            NodeRecord(
                document: document, documentKey: key.text, path: content.path, kind: content.kind.rawValue, format: format.rawValue,
                description: content.description, data: identity.data, tokenCount: tokenCount, hasOwnVector: identity.ownVector != nil)
        }
    }

    let command: PublishCommand
    /// When the command came: the time of its event.
    let recordedAt: Timestamp
    let split: SplitContent
    let dataBytes: [UInt8]
    /// The command's own, of unit length.
    let vector: [Float]?
    /// Empty without metadata.
    let metadataBytes: [UInt8]
    let fingerprint: SHA256Digest
    var nodes: [Node]

    var eventType: String { Self.eventType(command) }

    private static func eventType(_ command: PublishCommand) -> String { command.eventType ?? "\(command.key.text)_updated" }

    /// - Throws: `.invalid` for data that cannot be stored and for an own vector that is none of `dimension`; `.unavailable` once cancelled.
    init(_ command: PublishCommand, dimension: Int, at time: Timestamp, cancellation: Cancellation = .never) throws(ContexError) {
        try command.check()
        self.command = command
        recordedAt = time
        do throws(PlacedFault) { try Metadata.check(command.metadata) } catch { throw error.contexError }
        var own: [Float]? = nil
        if let vector = command.vector { own = try VectorIndex.unit(vector, dimension: dimension, field: "vector") }
        vector = own
        let key = command.key.text
        let split =
            own == nil
            ? try ContentSplitter.split(command.data, hint: command.format, key: key, cancellation: cancellation)
            : try ContentSplitter.whole(command.data, hint: command.format, key: key, cancellation: cancellation)
        self.split = split
        dataBytes = JSONPrinter.bytes(command.data)
        metadataBytes = Self.bytes(ofMetadata: command.metadata)
        fingerprint = Self.fingerprint(
            format: command.format, eventType: Self.eventType(command), vector: own, metadata: metadataBytes, data: dataBytes)
        // The log has it as it came, the index what it stores of it.
        let stored = own.map(VectorMath.stored)
        nodes = split.nodes.map { node in
            Node(
                content: node,
                identity: NodeIdentity(
                    path: node.path, kind: node.kind.rawValue, format: split.format.rawValue, description: node.description,
                    data: JSONPrinter.bytes(node.value), ownVector: stored), vector: stored)
        }
    }

    static func bytes(ofMetadata metadata: JSONObject) -> [UInt8] { metadata.isEmpty ? [] : JSONPrinter.bytes(.object(metadata)) }

    static func fingerprint(format: String?, eventType: String, vector: [Float]?, metadata: [UInt8], data: [UInt8]) -> SHA256Digest {
        var head = ByteWriter()
        head.bool(format != nil)
        head.text(format ?? "")
        head.text(eventType)
        head.varint(UInt64(vector?.count ?? 0))
        head.floats(vector ?? [])
        head.blob(metadata)
        return SHA256.digest(head.bytes, data)
    }

    /// With the nodes marked that the key has already.
    fileprivate func keepingUnchanged(_ tenant: TenantID, dimension: Int, in view: borrowing TransactionView) -> Result<PreparedDocument, ContexError> {
        do {
            var document = self
            try document.keepUnchanged(tenant, dimension: dimension, in: view)
            return .success(document)
        } catch {
            return .failure(ContexError(anyError: error))
        }
    }

    /// Marks the nodes that the key has already: they need no vector.
    mutating func keepUnchanged(_ tenant: TenantID, dimension: Int, in view: borrowing TransactionView) throws {
        guard let scope = try ProjectRegistry(tenant: tenant).scope(of: command.project, in: view) else { return }
        let documents = DocumentStore(scope: scope)
        guard let present = try documents.document(command.key, in: view), present.exists else { return }
        if present.fingerprint == fingerprint {
            for place in nodes.indices { nodes[place].isKept = true }
            return
        }
        var identities = try documents.identities(of: present.nodes, dimension: dimension, in: view).mapValues(\.count)
        for place in nodes.indices {
            if let count = identities[nodes[place].identity], count > 0 {
                identities[nodes[place].identity] = count - 1
                nodes[place].isKept = true
            }
        }
    }

    /// - Throws: `.unavailable` once cancelled.
    mutating func countTokens(_ count: (String) -> Int, _ cancellation: Cancellation = .never) throws(ContexError) {
        for place in nodes.indices where !nodes[place].isKept {
            try cancellation.check()
            nodes[place].tokenCount = count(JSONPrinter.text(MatchData.wrapped(nodes[place].content.value), style: .python))
        }
    }

    /// Texts of the nodes that want a vector, in order.
    func textsToEmbed(_ tenant: TenantID) -> [ScopedText] {
        let scope = ModelScope.project(command.project, of: tenant)
        return nodes.filter(\.wantsEmbedding).map { ScopedText($0.embeddedText(key: command.key), in: scope) }
    }

    /// With the vectors of the nodes that want one, from the front of `vectors`, as an index stores them.
    func taking(vectors: inout ArraySlice<[Float]>) -> PreparedDocument {
        var copy = self
        for place in nodes.indices where nodes[place].wantsEmbedding { copy.nodes[place].vector = VectorMath.stored(vectors.removeFirst()) }
        return copy
    }
}

extension DocumentRecord {
    /// What the attribute index has of a document; a deleted one has no nodes and so nothing there.
    var attributes: DocumentAttributes {
        get throws(ContexError) {
            DocumentAttributes(
                key: key, format: format, updatedAt: updatedAt, publisher: publisher, metadata: try EventData.metadata(metadata), nodes: nodes)
        }
    }
}

extension DocumentStore {
    func identities(of nodes: [NodeID], dimension: Int, in view: borrowing TransactionView) throws -> [NodeIdentity: [NodeID]] {
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        var found: [NodeIdentity: [NodeID]] = [:]
        // Reversed, so that popLast gives them in the order of the document.
        for id in nodes.reversed() {
            guard let node = try node(id, in: view) else { throw ContexError.damaged("node \(id.rawValue) is listed by its document but is not there") }
            found[NodeIdentity(node, ownVector: node.hasOwnVector ? try vectors.vector(of: id, in: view) : nil), default: []].append(id)
        }
        return found
    }
}
