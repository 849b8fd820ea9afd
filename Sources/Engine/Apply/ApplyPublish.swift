// Event, document, nodes, vectors, postings, attributes and whom it concerns, in one transaction.
//
// Units that the key has already, with nodes of equal path, kind, format, description, data and context, keep their numbers, their vectors and
// their postings. Which those are was first read from a snapshot; if another publish of the same key came between, there is a unit
// without vectors here, and the command is stale.

internal import Attributes
internal import Base
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Vectors

extension Applier {
    func publish(_ command: Command.Publish, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        if let delayed = command.delayed, delayed.contains(command) { return .stale }
        let registry = ProjectRegistry(tenant: command.tenant)
        let known = try registry.scope(of: command.project, in: transaction.view)
        var present: DocumentRecord? = nil
        var presentUnits: [[NodeIdentity]: [IndexedUnit]] = [:]
        func receipt(_ sequence: Sequence, changed: Bool) -> Outcome {
            .published(
                PublishReceipt(
                    project: command.project, key: command.key, sequence: sequence, format: command.format, changed: changed, note: command.note))
        }
        if let known {
            let documents = DocumentStore(scope: known)
            present = try documents.document(command.key, in: transaction.view)
            if let present, present.exists, present.fingerprint == command.fingerprint { return receipt(present.sequence, changed: false) }
            presentUnits = try documents.identities(of: present?.nodes ?? [], dimension: dimension, in: transaction.view)
        }
        // Which units stay, and that every other one has its vectors.
        var kept: [IndexedUnit?] = []
        for unit in command.units {
            if let present = presentUnits[unit.nodes.map(\.identity)]?.popLast() {
                kept.append(present)
            } else {
                guard unit.vectors != nil else {
                    command.delayed?.insert(command)
                    return .stale
                }
                kept.append(nil)
            }
        }

        // A rehearsal is a question.
        if work.effects.reached == nil {
            let bytes = command.data.count + command.metadata.count
            try admit(QuotaDemand(events: 1, bytes: bytes), of: command.tenant, at: command.time, in: transaction)
        }
        // From here on the transaction changes.
        let scope = try entering(command.project, command.tenant, at: command.time, &work.effects, in: &transaction)
        let documents = DocumentStore(scope: scope)
        let texts = TextIndex(scope: scope)
        let analyzer = try texts.options(in: transaction.view).analyzer
        let event = try EventLog(scope: scope).append(
            EventDraft(
                kind: .published, type: command.eventType, key: command.key.text, format: command.eventFormat, recordedAt: command.time,
                data: command.data, vector: command.vector, metadata: command.metadata, publisher: command.publisher),
            at: work.position, in: &transaction)
        work.event = (scope, event.sequence)
        try count(events: 1, of: command.tenant, at: command.time, in: &transaction)
        work.grows(command.tenant, command.project)

        let indexing = work.indexing
        let isBulk = try indexing?.isBulk(scope, in: transaction.view) ?? false
        for gone in presentUnits.values.joined().sorted(by: { $0.first < $1.first }) {
            try removeUnit(gone, scope, keepsVectors: isBulk, in: &transaction)
        }
        let id = try present?.id ?? documents.create(command.key, in: &transaction)
        var numbers = try documents.reserveNodes(zip(command.units, kept).reduce(0) { $0 + ($1.1 == nil ? $1.0.numbers : 0) }, in: &transaction)[...]
        var ids: [NodeID] = []
        var passages: [DocumentRecord.PassageRun] = []
        var fresh: [FreshUnit] = []
        var standing: [IndexedUnit] = []
        for (unit, kept) in zip(command.units, kept) {
            let indexed: IndexedUnit
            if let kept {
                indexed = kept
            } else {
                indexed = IndexedUnit(first: numbers.first!, records: unit.records(document: id, key: command.key))
                numbers = numbers.dropFirst(unit.numbers)
                for (node, record) in zip(indexed.nodes, indexed.records) { try documents.put(record, as: node, in: &transaction) }
                fresh.append(try FreshUnit(indexed, vectors: unit.vectors!, unit.analyzed(by: analyzer, of: command, indexed)))
            }
            standing.append(indexed)
            ids += indexed.nodes
            if let run = indexed.run { passages.append(run) }
        }
        let keptTexts = try join(&fresh, of: standing, analyzer, scope, in: transaction.view)
        let terms = indexing == nil ? try index(fresh, scope, in: &transaction) : nil
        let document = DocumentRecord(
            id: id, key: command.key, sequence: event.sequence, exists: true, format: command.format, updatedAt: command.time,
            publisher: command.publisher, metadata: command.metadata, fingerprint: command.fingerprint, nodes: ids,
            passages: passages)
        try documents.put(document, in: &transaction)
        try AttributeIndex(scope: scope).replace(try present?.attributes, with: try document.attributes, in: &transaction)
        try documents.addVersion(event.sequence, of: id, in: &transaction)
        try DocumentExpiry(scope: scope).set(command.expiresAt, of: id, in: &transaction)
        try tellEndpoints(of: event, command, isNew: present?.exists != true, &work.effects, in: &transaction)
        let telling = Telling(
            tenant: command.tenant, scope: scope, project: command.project, document: id, standing: Set(ids), fresh: fresh, kept: keptTexts,
            routing: command.routing, source: Provenance(event), sequence: event.sequence,
            message: .update(sequence: event.sequence, key: command.key.text, data: command.data))
        // Needs are scored by the statistics that the text index has with the new nodes in it.
        if let indexing {
            indexing.add(fresh, scope) { [self] terms, transaction, effects in try tell(telling, terms, in: &transaction, &effects) }
        } else {
            try tell(telling, terms, in: &transaction, &work.effects)
        }
        return receipt(event.sequence, changed: true)
    }

    /// Gives units that have just been written the words of their document, if needs are to be held against them.
    /// - Parameter units: all of the document.
    /// - Returns: the texts of the units that were there before, if their words are among them.
    func join(
        _ fresh: inout [FreshUnit], of units: [IndexedUnit], _ analyzer: Analyzer, _ scope: TenantScope, in view: borrowing TransactionView
    ) throws -> [AnalyzedText] {
        guard !fresh.isEmpty, try NeedStore(scope: scope).needSlots(in: view) > 0 else { return [] }
        let texts = Dictionary(uniqueKeysWithValues: fresh.map { ($0.nodes[0], $0.passages.map(\.text)) })
        var kept: [AnalyzedText] = []
        let whole = try Wholes.words(of: units) { unit in
            if let known = texts[unit.first] { return known }
            let own = try unit.analyzed(analyzer)
            kept += own
            return own
        }
        guard let whole else { return [] }
        let nodes = units.reduce(0) { $0 + $1.records.count }
        let byFirst = Dictionary(uniqueKeysWithValues: units.map { ($0.first, $0) })
        for place in fresh.indices { fresh[place].whole = byFirst[fresh[place].nodes[0]].map { whole.counted(for: $0, nodes: nodes) } }
        return kept
    }

    private func tellEndpoints(
        of event: EventRecord, _ command: Command.Publish, isNew: Bool, _ effects: inout Effects, in transaction: inout WriteTransaction
    ) throws {
        var kinds: [EventKind] = isNew ? [.dataPublished] : [.dataPublished, .dataUpdated]
        kinds.append(.versionCreated)
        if command.eventType == "data.restored.\(command.key)" { kinds.append(.versionRestored) }
        for kind in kinds {
            try tellEndpoints(kind, command.tenant, command.project, at: command.time, &effects, in: &transaction) {
                [
                    ("project_id", .string(command.project.text)), ("data_key", .string(command.key.text)),
                    ("sequence", .string(event.sequence.description)), ("data_format", .string(command.format)),
                ]
            }
        }
    }

    /// Enters the units of one document in both indexes.
    /// - Returns: their terms, by the statistics that the text index has now.
    @discardableResult
    func index(_ units: [FreshUnit], _ scope: TenantScope, in transaction: inout WriteTransaction) throws -> FreshTerms {
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        let passages = units.flatMap(\.passages)
        for passage in passages where !passage.vector.isEmpty { try vectors.insert(passage.entry, passage.vector, in: &transaction) }
        let terms = try TextIndex(scope: scope).apply(passages.map { TextChange(node: $0.entry, new: $0.text) }, in: &transaction)
        return try NeedLevels.raise(terms, scope, in: &transaction)
    }

    /// Takes the nodes of a unit out of the documents and its entries out of both indexes.
    /// - Parameter keepsVectors: leaves the vectors to whoever builds the graph anew.
    func removeUnit(_ unit: IndexedUnit, _ scope: TenantScope, keepsVectors: Bool = false, in transaction: inout WriteTransaction) throws {
        let texts = TextIndex(scope: scope)
        // The index does not keep texts: it is told what it has of the unit.
        let analyzed = try unit.analyzed(try texts.options(in: transaction.view).analyzer)
        for (entry, text) in zip(unit.entries, analyzed) {
            if !keepsVectors { try VectorIndex(scope: scope, dimension: dimension).remove(entry, in: &transaction) }
            try texts.remove(entry, text, in: &transaction)
        }
        for node in unit.nodes { try DocumentStore(scope: scope).removeNode(node, in: &transaction) }
    }
}

extension Command.Publish.Unit {
    /// Numbers that it takes: of its nodes, or of the passages of the one.
    fileprivate var numbers: Int { max(nodes.count, passages.count) }

    /// What the text index takes of the unit: analysed beforehand, unless the project has another analyser by now.
    fileprivate func analyzed(
        by analyzer: Analyzer, of command: Command.Publish, _ unit: IndexedUnit
    ) throws -> (texts: [AnalyzedText], ofNodes: [AnalyzedText]) {
        if !texts.isEmpty, command.analyzer == analyzer { return (texts, nodeTexts) }
        return (try unit.analyzed(analyzer), try unit.analyzedNodes(analyzer))
    }
}
