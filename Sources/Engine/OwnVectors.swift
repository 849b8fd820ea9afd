// Vectors that publishers brought. A document that has one is a single node; the vector is in the event that the document's record
// names, the node's record says that it is there (docs/decisions/0026-own-vectors.md).

internal import Base
package import Documents
internal import Events
internal import KeySpace
package import LMDB

extension EventLog {
    /// The vector that a node's publisher brought, of whatever dimension; nil for a node whose text is embedded.
    /// - Throws: `.damaged` when the log does not have it.
    /// - Complexity: O(log n).
    package func ownVector(of node: NodeRecord, in view: borrowing TransactionView) throws -> [Float]? {
        guard node.hasOwnVector else { return nil }
        guard let document = try DocumentStore(scope: scope).document(node.document, in: view), let event = try event(document.sequence, in: view),
            let vector = event.vector
        else { throw ContexError.damaged("'\(node.nodeKey)' has a vector of its own, but the event of its document does not") }
        return vector
    }
}
