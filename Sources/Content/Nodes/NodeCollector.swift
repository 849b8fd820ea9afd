// Gathers the nodes of one document: keeps their paths unique and their number bounded.

internal import Base

struct NodeCollector {
    private(set) var nodes: [ContentNode] = []
    private var taken: Set<[UInt8]> = []

    var count: Int { nodes.count }

    /// A path that is taken gets `~2`, `~3` ... : keys with dots and brackets can spell the path of another node.
    mutating func add(_ path: String, _ kind: NodeKind, _ value: JSONValue) throws(ContexError) {
        guard nodes.count < Limits.nodesPerDocument else {
            throw .invalid(
                field: "data", kind: "value_error",
                message: "Value error, data splits into more than \(Limits.nodesPerDocument) nodes; publish it in parts under several keys")
        }
        var unique = path
        var number = 1
        // Compared as bytes: two spellings of one letter (NFC, NFD) are two paths in the store.
        while !taken.insert(Array(unique.utf8)).inserted {
            number += 1
            unique = "\(path)~\(number)"
        }
        nodes.append(ContentNode(path: unique, kind: kind, value: value, description: NodeDescription.text(path: path, value: value)))
    }

    /// Puts the last node in front of those from `index` on.
    mutating func moveLast(to index: Int) {
        nodes.insert(nodes.removeLast(), at: index)
    }
}
