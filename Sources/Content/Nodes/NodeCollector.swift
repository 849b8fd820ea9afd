// Gathers the nodes of one document: keeps their paths unique, and their number and size bounded.
//
// Names and paths are repeated in every node below them, so that a small document can come to a very large one: each node is measured
// before anything is made for it.

internal import Base

struct NodeCollector {
    private(set) var nodes: [ContentNode] = []
    /// Keys with dots and brackets can spell the path of another node.
    private var paths = UniqueNames(mark: "~")
    private var bytes = 0
    private let inputBytes: Int
    private let cancellation: Cancellation

    /// - Parameter bytes: of the document as it came.
    init(of bytes: Int, _ cancellation: Cancellation) {
        inputBytes = bytes
        self.cancellation = cancellation
    }

    var count: Int { nodes.count }

    mutating func add(_ path: String, _ kind: NodeKind, _ value: JSONValue) throws(ContexError) {
        try cancellation.check()
        guard nodes.count < Limits.nodesPerDocument else {
            throw ContentBounds.invalid("data splits into more than \(Limits.nodesPerDocument) nodes; publish it in parts under several keys")
        }
        let unique = paths.unique(path)
        guard unique.utf8.count <= Limits.pathBytes else { throw Self.pathTooLong(unique) }
        bytes += unique.utf8.count + ContentBounds.bytes(of: value)
        guard bytes <= Limits.expandedBytes(of: inputBytes) else {
            throw ContentBounds.invalid(
                "data of \(inputBytes) bytes comes to more than \(Limits.expandedBytes(of: inputBytes)) bytes in nodes, at \(ContentBounds.shown(unique)): "
                    + "shorten the names that are repeated, or publish it in parts under several keys")
        }
        nodes.append(ContentNode(path: unique, kind: kind, value: value, description: NodeDescription.text(path: path, value: value)))
    }

    static func pathTooLong(_ path: String) -> ContexError {
        ContentBounds.invalid("data has a node whose path is over \(Limits.pathBytes) bytes, at \(ContentBounds.shown(path))")
    }

    /// Puts the last node in front of those from `index` on.
    /// - Complexity: O(nodes behind it); of a document each node is passed once a level.
    mutating func moveLast(to index: Int) {
        nodes.insert(nodes.removeLast(), at: index)
    }
}
