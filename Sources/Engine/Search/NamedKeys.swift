// What a key in a request means: a document, or one of its nodes.

internal import Base
internal import Documents
internal import KeySpace
internal import LMDB

/// Looks keys up on one snapshot; the paths of a document's nodes are read once.
struct NamedKeys {
    private let documents: DocumentStore
    private var paths: [DocumentID: [ExactText: NodeID]] = [:]

    init(_ scope: TenantScope) { documents = DocumentStore(scope: scope) }

    /// The nodes of a document in its order, or the one node of that key. A key may be both, since both may hold dots: then it is the document.
    /// - Complexity: O(nodes of the documents whose keys the key begins with).
    mutating func nodes(_ key: String, in view: borrowing TransactionView) throws -> [NodeID] {
        if let document = try document(key[...], in: view) { return document.nodes }
        for dot in key.utf8.indices where key.utf8[dot] == UInt8(ascii: ".") {
            guard let document = try document(key[..<dot], in: view) else { continue }
            let path = ExactText(String(key[key.utf8.index(after: dot)...]))
            if let node = try nodesByPath(document, in: view)[path] { return [node] }
        }
        return []
    }

    private func document(_ key: Substring, in view: borrowing TransactionView) throws -> DocumentRecord? {
        guard key.utf8.count <= 4 * Limits.nameScalars, let name = try? Name(String(key), field: "data_key") else { return nil }
        do {
            let document = try documents.document(name, in: view)
            return document?.exists == true ? document : nil
        } catch let error as ContexError where error.category == .invalid {
            // Its place belongs to another long key: nothing was ever stored under this one.
            return nil
        }
    }

    private mutating func nodesByPath(_ document: DocumentRecord, in view: borrowing TransactionView) throws -> [ExactText: NodeID] {
        if let known = paths[document.id] { return known }
        var nodes: [ExactText: NodeID] = [:]
        for node in document.nodes {
            guard let record = try documents.node(node, in: view) else {
                throw ContexError.damaged("node \(node.rawValue) is listed by its document but is not there: run 'contex check'")
            }
            nodes[ExactText(record.path)] = node
        }
        paths[document.id] = nodes
        return nodes
    }
}
