internal import Attributes
internal import Base
internal import Documents
internal import KeySpace
internal import LMDB

/// The metadata of the documents that matches are parts of, each read once, none where the project has none.
struct MetadataReader {
    private let documents: DocumentStore
    private let isNeeded: Bool
    private var known: [DocumentID: JSONObject] = [:]

    init(_ scope: TenantScope, in view: borrowing TransactionView) throws {
        documents = DocumentStore(scope: scope)
        isNeeded = try AttributeIndex(scope: scope).hasMetadata(in: view)
    }

    mutating func metadata(of document: DocumentID, in view: borrowing TransactionView) throws -> JSONObject {
        guard isNeeded else { return JSONObject() }
        if let metadata = known[document] { return metadata }
        let metadata = try EventData.metadata(documents.metadata(of: document, in: view))
        known[document] = metadata
        return metadata
    }
}
