// The nodes of a document made again out of the event that it names, as the publish of then made them: for a repair.

package import Base
internal import Content
package import Documents
package import Events

package enum LostNodes {
    /// The records of a document's nodes, in its order, without the places of entries that the model cannot read: whoever embeds them enters those.
    /// - Throws: what a publish of the same throws.
    /// - Complexity: of a publish without its embeddings.
    package static func records(of event: EventRecord, document: DocumentID, dimension: Int, countTokens: (String) -> Int) throws -> [NodeRecord] {
        let key = Name(stored: event.key)
        let command = PublishCommand(
            project: key, key: key, data: try EventData.parsed(event.data), format: event.format, eventType: event.type, vector: event.vector,
            metadata: try EventData.metadata(event.metadata))
        var prepared = try PreparedDocument(
            .standard, command, dimension: event.vector?.count ?? dimension, at: event.recordedAt)
        try prepared.finish(countTokens)
        return prepared.records(of: document)
    }
}

extension PreparedDocument {
    fileprivate func records(of document: DocumentID) -> [NodeRecord] {
        units.flatMap { unit in
            Command.Publish.Unit(
                nodes: zip(unit.nodes, unit.counts).map { Command.Publish.Node(identity: $0, tokenCount: $1) }, passages: unit.passages, vectors: nil
            ).records(document: document, key: command.key)
        }
    }
}
