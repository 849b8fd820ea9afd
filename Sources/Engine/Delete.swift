internal import Attributes
public import Base
internal import Documents
internal import Events
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

extension Database {
    /// Removes a key: its nodes leave every index at once, an event says so, its versions stay readable from the log.
    /// - Parameter publisher: whose key the deletion came with.
    /// - Throws: `.notFound` when the key holds nothing.
    public func delete(_ tenant: TenantID, project: Name, key: Name, by publisher: Publisher? = nil) async throws -> DeleteReceipt {
        let time = now()
        return try await writer.submit { [self] transaction, effects in
            guard let scope = try Self.scope(tenant, project, transaction.view),
                var document = try DocumentStore(scope: scope).document(key, in: transaction.view), document.exists
            else { throw ContexError(.dataNotFound, "Data key '\(key.text.excerpt())' not found") }
            let event = try EventLog(scope: scope).append(
                EventDraft(
                    kind: .deleted, type: "\(key)_deleted", key: key.text, format: "json", recordedAt: time, data: Array("null".utf8),
                    publisher: publisher),
                in: &transaction)
            let documents = DocumentStore(scope: scope)
            for node in document.nodes { try removeNode(node, scope, in: &transaction) }
            try AttributeIndex(scope: scope).replace(try document.attributes, with: nil, in: &transaction)
            document.nodes = []
            document.exists = false
            document.sequence = event.sequence
            document.updatedAt = time
            document.publisher = publisher
            document.metadata = []
            try documents.put(document, in: &transaction)
            try documents.addDeletion(event.sequence, of: document.id, in: &transaction)
            try tellFollowers(
                tenant, scope, project, document: document.id, standing: [], fresh: [], event: Provenance(event),
                message: .deletion(sequence: event.sequence, key: key.text), in: &transaction, &effects)
            return DeleteReceipt(project: project, key: key, sequence: event.sequence)
        }
    }

    /// Takes a node out of the documents and both indexes.
    /// - Parameter keepsVector: leaves the vector to whoever builds the graph anew.
    func removeNode(_ node: NodeID, _ scope: TenantScope, keepsVector: Bool = false, in transaction: inout WriteTransaction) throws {
        if !keepsVector { try VectorIndex(scope: scope, dimension: models.dimension).remove(node, in: &transaction) }
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
