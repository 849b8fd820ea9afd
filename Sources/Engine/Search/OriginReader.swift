internal import Base
internal import Documents
internal import KeySpace
internal import LMDB

/// What a match says of its document.
struct MatchOrigin {
    let metadata: JSONObject
    /// nil: of a past, or of a match behind another of its document.
    let provenance: Match.Provenance?
    /// That the metadata has in the store.
    var bytes = 0

    static let none = MatchOrigin(metadata: JSONObject(), provenance: nil)
}

/// The origins of the documents that matches are parts of, each read once.
struct OriginReader {
    private let documents: DocumentStore
    private var known: [DocumentID: MatchOrigin] = [:]

    init(_ scope: TenantScope) { documents = DocumentStore(scope: scope) }

    mutating func origin(of document: DocumentID, in view: borrowing TransactionView) throws -> MatchOrigin {
        if let origin = known[document] { return origin }
        guard let stored = try documents.origin(of: document, in: view) else { return .none }
        let origin = MatchOrigin(
            metadata: try EventData.metadata(stored.metadata), provenance: Match.Provenance(sequence: stored.sequence, publisher: stored.publisher),
            bytes: stored.metadata.count)
        known[document] = origin
        return origin
    }
}
