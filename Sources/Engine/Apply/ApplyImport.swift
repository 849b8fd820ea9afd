// An export document becomes a project's state, in one transaction.
//
// Events are numbered anew in the order of the document; types and data stay, times do not. Sections contradict each other no more than
// they must: an event whose content a document has becomes the document's own, and every other event of its key one of its versions; a
// document that no event of the new log accounts for stands from the end of that log on. Agents that were there before follow what
// is there now; they are not told, since nothing was published.
//
// An own vector lives in the event that its document names. A node that comes without such an event, or stays while the log
// is replaced, therefore gets one: the publish of its data with its vector.

internal import Attributes
internal import Base
internal import Documents
internal import Events
internal import FullText
internal import Hashing
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox
internal import Vectors

extension Applier {
    /// - Throws: `.badRequest` with the original's words.
    func importProject(_ command: Command.ImportProject, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let registry = ProjectRegistry(tenant: command.tenant)
        if let known = try registry.scope(of: command.project, in: transaction.view), !command.overwrites,
            try EventLog(scope: known).head(in: transaction.view).sequence > .zero
        {
            throw ContexError(.projectNotEmpty, "Project \(command.project.text.excerpt()) already has data. Use overwrite=True to replace.")
        }
        let bytes = (command.events ?? []).reduce(0) { $0 + $1.data.count } + command.documents.reduce(0) { sum, document in
            document.units.reduce(sum) { $1.nodes.reduce($0) { $0 + $1.data.count } }
        }
        try admit(
            QuotaDemand(events: command.events?.count ?? 0, bytes: bytes), of: command.tenant, at: command.time, in: transaction)
        let scope = try entering(command.project, command.tenant, at: command.time, &work.effects, in: &transaction)
        var run = ImportRun(command, scope, at: work.position)
        if command.overwrites, command.events != nil {
            if !command.hasNodes { run.kept = try ownVectors(scope, in: transaction.view) }
            try JournalText.keepEvents(of: scope, in: &transaction)
            try clearInboxes(scope, in: &transaction)
            try run.log.removeAll(in: &transaction)
            try restartDeliveries(scope, in: &transaction)
            try run.documents.removeAllVersions(in: &transaction)
        }
        try run.appendEvents(in: &transaction)
        if command.overwrites, command.hasNodes {
            try removeAllDocuments(scope, at: run.log.head(in: transaction.view).sequence, in: &transaction)
        }
        var fresh: [(document: DocumentID, units: [FreshUnit])] = []
        for document in command.documents { fresh.append(try enter(document, &run, in: &transaction)) }
        // All at once: the text index writes each block of a word once, not once a document.
        try index(fresh.flatMap(\.units), scope, in: &transaction)
        // Needs are scored by the statistics that the indexes have with all that came.
        for (document, units) in fresh { try noteFollowers(scope, document: document, fresh: units, command.routing, in: &transaction) }
        if command.events != nil { try run.settle(in: &transaction) }
        try count(events: run.appended, of: command.tenant, at: command.time, in: &transaction)
        try tellEndpoints(.projectImported, command.tenant, command.project, at: command.time, &work.effects, in: &transaction) {
            [
                ("project_id", .string(command.project.text)), ("events", .integer(command.events?.count ?? 0)),
                ("documents", .integer(command.documents.count)), ("overwrite", .bool(command.overwrites)),
            ]
        }
        work.grows(command.tenant, command.project, isReplaced: command.overwrites && command.events != nil)
        return .done
    }

    private func enter(
        _ imported: Command.ImportProject.Document, _ run: inout ImportRun, in transaction: inout WriteTransaction
    ) throws -> (document: DocumentID, units: [FreshUnit]) {
        let (command, scope, documents, key) = (run.command, run.scope, run.documents, imported.key)
        let analyzer = try TextIndex(scope: scope).options(in: transaction.view).analyzer
        let present = try documents.document(key, in: transaction.view)
        for unit in try documents.units(of: present?.nodes ?? [], in: transaction.view) { try removeUnit(unit, scope, in: &transaction) }
        let id = try present?.id ?? documents.create(key, in: &transaction)
        var numbers = try documents.reserveNodes(imported.units.reduce(0) { $0 + max($1.nodes.count, $1.passages.count) }, in: &transaction)[...]
        var nodes: [NodeID] = []
        var passages: [DocumentRecord.PassageRun] = []
        var fresh: [FreshUnit] = []
        var units: [IndexedUnit] = []
        for unit in imported.units {
            let indexed = IndexedUnit(first: numbers.first!, records: unit.records(document: id, key: key))
            numbers = numbers.dropFirst(max(unit.nodes.count, unit.passages.count))
            for (node, record) in zip(indexed.nodes, indexed.records) { try documents.put(record, as: node, in: &transaction) }
            nodes += indexed.nodes
            if let run = indexed.run { passages.append(run) }
            units.append(indexed)
            fresh.append(
                try FreshUnit(
                    indexed, vectors: unit.vectors.map(VectorMath.stored), (indexed.analyzed(analyzer), indexed.analyzedNodes(analyzer))))
        }
        var event = run.lastEvents[key]
        let metadata = imported.metadata ?? event?.metadata ?? []
        let first = imported.units.first?.nodes.first
        if let unit = imported.units.first, unit.hasOwnVector, let node = unit.nodes.first, let vector = unit.vectors.first, event?.vector != vector {
            let published = try run.log.append(
                EventDraft(
                    kind: .published, type: "\(key.text)_updated", key: key.text, format: node.format, recordedAt: command.time,
                    data: node.data, vector: vector, metadata: metadata, publisher: command.publisher),
                at: run.position, in: &transaction)
            run.appended += 1
            run.versions[key, default: []].append(published.sequence)
            event = published
        }
        let document = DocumentRecord(
            id: id, key: key, sequence: try event?.sequence ?? run.log.head(in: transaction.view).sequence, exists: true,
            format: first?.format ?? "json", updatedAt: command.time, publisher: command.publisher, metadata: metadata,
            fingerprint: event.map {
                PreparedDocument.fingerprint(format: nil, eventType: $0.type, vector: $0.vector, metadata: metadata, data: $0.data)
            } ?? .zero, nodes: nodes, passages: passages)
        try documents.put(document, in: &transaction)
        try AttributeIndex(scope: scope).replace(try present?.attributes, with: try document.attributes, in: &transaction)
        for version in run.versions[key] ?? [] { try documents.addVersion(version, of: id, in: &transaction) }
        try DocumentExpiry(scope: scope).set(nil, of: id, in: &transaction)
        _ = try join(&fresh, of: units, analyzer, scope, in: transaction.view)
        return (id, fresh)
    }

    /// The documents with a vector of their own, each with the event that has it.
    private func ownVectors(_ scope: TenantScope, in view: borrowing TransactionView) throws -> [(document: DocumentRecord, event: EventRecord)] {
        let (documents, log) = (DocumentStore(scope: scope), EventLog(scope: scope))
        var found: [(document: DocumentRecord, event: EventRecord)] = []
        try documents.forEachDocument(in: view) { document in
            guard let node = try document.nodes.first.flatMap({ try documents.node($0, in: view) }), node.hasOwnVector else { return }
            guard let event = try log.event(document.sequence, in: view) else {
                throw ContexError.damaged("'\(document.key)' names event \(document.sequence), which is not there")
            }
            found.append((document, event))
        }
        return found
    }

    /// Empties documents and indexes of a project; the log, the agents and the numbers given so far stay.
    /// - Parameter sequence: of the last event: they are gone from there on.
    private func removeAllDocuments(_ scope: TenantScope, at sequence: Sequence, in transaction: inout WriteTransaction) throws {
        let documents = DocumentStore(scope: scope)
        var present: [DocumentRecord] = []
        try documents.forEachDocument(in: transaction.view) { present.append($0) }
        let needs = NeedStore(scope: scope)
        for var document in present {
            for follower in try needs.followers(of: document.id, in: transaction.view) {
                try needs.setFollow(agent: follower, document: document.id, nodes: [], in: &transaction)
            }
            for node in document.nodes { try documents.removeNode(node, in: &transaction) }
            (document.nodes, document.passages) = ([], [])
            document.exists = false
            document.sequence = sequence
            document.metadata = []
            try documents.put(document, in: &transaction)
            try DocumentExpiry(scope: scope).set(nil, of: document.id, in: &transaction)
        }
        try VectorIndex(scope: scope, dimension: dimension).removeAll(in: &transaction)
        try TextIndex(scope: scope).removeAll(in: &transaction)
        try AttributeIndex(scope: scope).removeAll(in: &transaction)
    }
}

/// One import on its way through the transaction.
private struct ImportRun {
    let command: Command.ImportProject
    let scope: TenantScope
    let position: Position
    /// The documents with a vector of their own whose events were replaced, each with the event that had it.
    var kept: [(document: DocumentRecord, event: EventRecord)] = []
    /// Of each key the last publish that came, and the sequences of all.
    var lastEvents: [Name: EventRecord] = [:]
    var versions: [Name: [Sequence]] = [:]
    /// Events that the log has got.
    var appended = 0

    var log: EventLog { EventLog(scope: scope) }
    var documents: DocumentStore { DocumentStore(scope: scope) }

    init(_ command: Command.ImportProject, _ scope: TenantScope, at position: Position) {
        self.command = command
        self.scope = scope
        self.position = position
    }

    mutating func appendEvents(in transaction: inout WriteTransaction) throws {
        for imported in command.events ?? [] {
            let draft = EventDraft(
                kind: imported.key == nil ? .imported : .published, type: imported.type, key: imported.key?.text ?? "", format: "json",
                recordedAt: command.time, data: imported.data, vector: imported.key == nil ? nil : imported.vector, metadata: imported.metadata,
                publisher: command.publisher)
            let event = try log.append(draft, at: position, in: &transaction)
            appended += 1
            if let key = imported.key {
                lastEvents[key] = event
                versions[key, default: []].append(event.sequence)
            }
        }
        for (var document, event) in kept {
            document.sequence = try log.append(event.draft, at: position, in: &transaction).sequence
            appended += 1
            try documents.put(document, in: &transaction)
            try documents.addVersion(document.sequence, of: document.id, in: &transaction)
        }
    }

    /// Gives the documents that the import did not bring their place in the log that it brought.
    func settle(in transaction: inout WriteTransaction) throws {
        let settled = Set(command.documents.map(\.key) + kept.map(\.document.key))
        let head = try log.head(in: transaction.view).sequence
        var present: [DocumentRecord] = []
        try documents.forEachDocument(deleted: true, in: transaction.view) { if !settled.contains($0.key) { present.append($0) } }
        for var document in present {
            document.sequence = head
            let known = document.fingerprint
            document.fingerprint = .zero
            if document.exists, let event = lastEvents[document.key] {
                // Whether the hint was given or found is not told by an export.
                for format in [nil, document.format] as [String?] where known == PreparedDocument.fingerprint(
                    format: format, eventType: event.type, vector: event.vector, metadata: event.metadata, data: event.data)
                {
                    document.sequence = event.sequence
                    document.fingerprint = known
                }
            }
            try documents.put(document, in: &transaction)
            for version in versions[document.key] ?? [] { try documents.addVersion(version, of: document.id, in: &transaction) }
        }
    }
}
