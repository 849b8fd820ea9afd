internal import Attributes
internal import Base
internal import Documents
internal import Events
internal import KeySpace
internal import LMDB
internal import Outbox
internal import Search

extension Applier {
    func delete(_ command: Command.Delete, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let scope = try ProjectRegistry(tenant: command.tenant).scope(of: command.project, in: transaction.view),
            var document = try DocumentStore(scope: scope).document(command.key, in: transaction.view), document.exists
        else { throw ContexError(.dataNotFound, "Data key '\(command.key.text.excerpt())' not found") }
        if let time = command.expiredBy {
            guard let end = try DocumentExpiry(scope: scope).time(of: document.id, in: transaction.view), end <= time else {
                throw ContexError(.dataNotFound, "Data key '\(command.key.text.excerpt())' has more time by now")
            }
        }
        let event = try EventLog(scope: scope).append(
            EventDraft(
                kind: .deleted, type: "\(command.key)_deleted", key: command.key.text, format: "json", recordedAt: command.time,
                data: Array("null".utf8), publisher: command.publisher),
            at: work.position, in: &transaction)
        work.grows(command.tenant, command.project)
        try count(events: 1, of: command.tenant, at: command.time, in: &transaction)
        try tellEndpoints(.dataDeleted, command.tenant, command.project, at: command.time, &work.effects, in: &transaction) {
            [
                ("project_id", .string(command.project.text)), ("data_key", .string(command.key.text)),
                ("sequence", .string(event.sequence.description)),
            ]
        }
        let documents = DocumentStore(scope: scope)
        for unit in try documents.units(of: document.nodes, in: transaction.view) { try removeUnit(unit, scope, in: &transaction) }
        try AttributeIndex(scope: scope).replace(try document.attributes, with: nil, in: &transaction)
        (document.nodes, document.passages) = ([], [])
        document.exists = false
        document.sequence = event.sequence
        document.updatedAt = command.time
        document.publisher = command.publisher
        document.metadata = []
        try documents.put(document, in: &transaction)
        try documents.addDeletion(event.sequence, of: document.id, in: &transaction)
        try DocumentExpiry(scope: scope).set(nil, of: document.id, in: &transaction)
        // Nothing is fresh, so the rule of matching does not matter.
        let telling = Telling(
            tenant: command.tenant, scope: scope, project: command.project, document: document.id, standing: [], fresh: [],
            routing: .init(mode: .semantic, threshold: 1), source: Provenance(event), sequence: event.sequence,
            message: .deletion(sequence: event.sequence, key: command.key.text))
        try tell(telling, nil, in: &transaction, &work.effects)
        return .deleted(DeleteReceipt(project: command.project, key: command.key, sequence: event.sequence))
    }
}
