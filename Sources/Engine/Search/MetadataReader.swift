internal import Attributes
internal import Base
internal import Documents
internal import KeySpace
internal import LMDB

/// The metadata of the documents that matches are parts of, each read once, none where the project has none.
struct MetadataReader {
    private let documents: DocumentStore
    private let isNeeded: Bool
    private var known: [DocumentID: (metadata: JSONObject, bytes: Int)] = [:]

    init(_ scope: TenantScope, in view: borrowing TransactionView) throws {
        documents = DocumentStore(scope: scope)
        isNeeded = try AttributeIndex(scope: scope).hasMetadata(in: view)
    }

    /// With the bytes that it has in the store.
    mutating func metadata(of document: DocumentID, in view: borrowing TransactionView) throws -> (metadata: JSONObject, bytes: Int) {
        guard isNeeded else { return (JSONObject(), 0) }
        if let metadata = known[document] { return metadata }
        let bytes = try documents.metadata(of: document, in: view)
        let metadata = (try EventData.metadata(bytes), bytes.count)
        known[document] = metadata
        return metadata
    }
}
