// Event, document, nodes, vectors, postings, attributes and whom it concerns, in one transaction.
//
// Nodes that the key has already, with equal path, kind, format, description and data, keep their number, their vector and their postings.
// Which those are was first read from a snapshot; if another publish of the same key came between, there is a node without a
// vector here, and the command is stale.

internal import Attributes
internal import Base
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

extension Applier {
    func publish(_ command: Command.Publish, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        if let delayed = command.delayed, delayed.contains(command) { return .stale }
        let registry = ProjectRegistry(tenant: command.tenant)
        let known = try registry.scope(of: command.project, in: transaction.view)
        var present: DocumentRecord? = nil
        var presentNodes: [NodeIdentity: [NodeID]] = [:]
        func receipt(_ sequence: Sequence, changed: Bool) -> Outcome {
            .published(
                PublishReceipt(
                    project: command.project, key: command.key, sequence: sequence, format: command.format, changed: changed, note: command.note))
        }
        if let known {
            let documents = DocumentStore(scope: known)
            present = try documents.document(command.key, in: transaction.view)
            if let present, present.exists, present.fingerprint == command.fingerprint { return receipt(present.sequence, changed: false) }
            presentNodes = try documents.identities(of: present?.nodes ?? [], dimension: dimension, in: transaction.view)
        }
        // Which nodes stay, and that every other one has its vector.
        var kept: [NodeID?] = []
        for node in command.nodes {
            if let id = presentNodes[node.identity]?.popLast() {
                kept.append(id)
            } else {
                guard node.vector != nil else {
                    command.delayed?.insert(command)
                    return .stale
                }
                kept.append(nil)
            }
        }

        // From here on the transaction changes.
        let scope = try registry.scopeCreating(command.project, at: command.time, in: &transaction)
        let documents = DocumentStore(scope: scope)
        let texts = TextIndex(scope: scope)
        let analyzer = try texts.options(in: transaction.view).analyzer
        let event = try EventLog(scope: scope).append(
            EventDraft(
                kind: .published, type: command.eventType, key: command.key.text, format: command.eventFormat, recordedAt: command.time,
                data: command.data, vector: command.vector, metadata: command.metadata, publisher: command.publisher),
            at: work.position, in: &transaction)
        work.event = (scope, event.sequence)

        let indexing = work.indexing
        let isBulk = try indexing?.isBulk(scope, in: transaction.view) ?? false
        for gone in presentNodes.values.joined().sorted() { try removeNode(gone, scope, keepsVector: isBulk, in: &transaction) }
        let id = try present?.id ?? documents.create(command.key, in: &transaction)
        var numbers = try documents.reserveNodes(kept.count { $0 == nil }, in: &transaction)[...]
        var ids: [NodeID] = []
        var fresh: [FreshNode] = []
        for (node, keptID) in zip(command.nodes, kept) {
            if let keptID {
                ids.append(keptID)
                continue
            }
            let nodeID = numbers.removeFirst()
            ids.append(nodeID)
            let record = node.record(document: id, key: command.key)
            try documents.put(record, as: nodeID, in: &transaction)
            let text = try node.text(for: analyzer, of: command, record)
            fresh.append(FreshNode(id: nodeID, vector: node.vector!, text: text))
        }
        if indexing == nil { try index(fresh, scope, in: &transaction) }
        let document = DocumentRecord(
            id: id, key: command.key, sequence: event.sequence, exists: true, format: command.format, updatedAt: command.time,
            publisher: command.publisher, metadata: command.metadata, fingerprint: command.fingerprint, nodes: ids)
        try documents.put(document, in: &transaction)
        try AttributeIndex(scope: scope).replace(try present?.attributes, with: try document.attributes, in: &transaction)
        try documents.addVersion(event.sequence, of: id, in: &transaction)
        let telling = Telling(
            tenant: command.tenant, scope: scope, project: command.project, document: id, standing: Set(ids), fresh: fresh, routing: command.routing,
            source: Provenance(event), sequence: event.sequence, message: .update(sequence: event.sequence, key: command.key.text, data: command.data))
        // Needs are scored by the statistics that the text index has with the new nodes in it.
        if let indexing {
            indexing.add(fresh, scope) { [self] transaction, effects in try tell(telling, in: &transaction, &effects) }
        } else {
            try tell(telling, in: &transaction, &work.effects)
        }
        return receipt(event.sequence, changed: true)
    }

    /// Enters the nodes of one document in both indexes.
    func index(_ nodes: [FreshNode], _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        for node in nodes where !node.vector.isEmpty { try vectors.insert(node.id, node.vector, in: &transaction) }
        try TextIndex(scope: scope).apply(nodes.map { TextChange(node: $0.id, new: $0.text) }, in: &transaction)
    }

    /// Takes a node out of the documents and both indexes.
    /// - Parameter keepsVector: leaves the vector to whoever builds the graph anew.
    func removeNode(_ node: NodeID, _ scope: TenantScope, keepsVector: Bool = false, in transaction: inout WriteTransaction) throws {
        if !keepsVector { try VectorIndex(scope: scope, dimension: dimension).remove(node, in: &transaction) }
        let documents = DocumentStore(scope: scope)
        // The index does not keep texts: it is told what it has of the node.
        if let record = try documents.node(node, in: transaction.view) {
            let texts = TextIndex(scope: scope)
            let text = AnalyzedText(try record.indexedText, analyzer: try texts.options(in: transaction.view).analyzer)
            try texts.remove(node, text, in: &transaction)
        }
        try documents.removeNode(node, in: &transaction)
    }
}

extension Command.Publish.Node {
    /// What the text index takes of the node: analysed beforehand, unless the project has another analyser by now.
    fileprivate func text(for analyzer: Analyzer, of command: Command.Publish, _ record: NodeRecord) throws -> AnalyzedText {
        if let text, command.analyzer == analyzer { return text }
        return AnalyzedText(try record.indexedText, analyzer: analyzer)
    }
}
