// What a query's signs demand of the nodes that answer it (docs/query-syntax.md), for both indexes: the text index takes part of it
// itself, the vector index is given the nodes that are left.

internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

/// The nodes that may answer: the meet of any number of selections.
struct Admission: Sendable {
    /// nil: all that are not in `except`.
    private var only: NodeSet?
    private var except = NodeSet()

    mutating func meet(_ selection: TextSelection) {
        switch selection {
        case .all: break
        case .only(let nodes): meet(NodeSet(nodes))
        case .except(let nodes): except.formUnion(NodeSet(nodes))
        }
    }

    mutating func meet(_ nodes: NodeSet) {
        if only == nil { only = nodes } else { only?.formIntersection(nodes) }
    }

    mutating func meet(_ other: Admission) {
        if let only = other.only { meet(only) }
        except.formUnion(other.except)
    }

    var admitsAll: Bool { only == nil && except.isEmpty }

    func admits(_ node: NodeID) -> Bool { (only?.contains(node) ?? true) && !except.contains(node) }

    /// For the vector index.
    var filter: NodeFilter {
        if var only {
            only.subtract(except)
            return NodeFilter(only)
        }
        let except = except
        return NodeFilter { !except.contains($0) }
    }
}

/// The fields that a query may name with `field:value`; another name is two plain words.
enum QueryFields {
    /// The key under which the data was published.
    static let dataKey = "data_key"
    /// What the data was split as: json, csv, markdown ...
    static let dataFormat = "data_format"
    /// What kind of part a node is, and its place in its document.
    static let (kind, path) = ("kind", "path")

    static func isField(_ name: String) -> Bool { [dataKey, dataFormat, kind, path].contains { ExactText($0) == ExactText(name) } }

    /// What a query's `field:value` terms leave. Values of one field are alternatives, fields must all fit, `-` excludes; a `*` at the end of
    /// a value stands for any rest.
    /// - Complexity: O(nodes of the keys) when only keys are named without a `*`, else O(nodes of the project).
    static func admission(_ terms: [TextSearchQuery.FieldTerm], scope: TenantScope, in view: borrowing TransactionView) throws -> Admission {
        var admission = Admission()
        if terms.isEmpty { return admission }
        let documents = DocumentStore(scope: scope)
        if terms.allSatisfy({ $0.field == dataKey && !$0.value.hasSuffix("*") }) {
            for isExcluded in [false, true] {
                let keys = terms.filter { $0.isExcluded == isExcluded }.compactMap { try? Name($0.value, field: dataKey) }
                guard terms.contains(where: { $0.isExcluded == isExcluded }) else { continue }
                var nodes: [NodeID] = []
                for key in keys { nodes += try documents.document(key, in: view)?.nodes ?? [] }
                admission.meet(isExcluded ? .except(nodes) : .only(nodes))
            }
            return admission
        }
        var nodes: [NodeID] = []
        try documents.forEachNode(in: view) { id, node in if fits(node, terms) { nodes.append(id) } }
        admission.meet(.only(nodes))
        return admission
    }

    static func fits(_ node: NodeRecord, _ terms: [TextSearchQuery.FieldTerm]) -> Bool {
        for name in [dataKey, dataFormat, kind, path] {
            let ofField = terms.filter { $0.field == name }
            if ofField.isEmpty { continue }
            let value =
                switch name {
                case dataKey: node.documentKey
                case dataFormat: node.format
                case kind: node.kind
                default: node.path
                }
            let wanted = ofField.filter { !$0.isExcluded }
            if !wanted.isEmpty, !wanted.contains(where: { Self.fits(value, $0.value) }) { return false }
            if ofField.contains(where: { $0.isExcluded && Self.fits(value, $0.value) }) { return false }
        }
        return true
    }

    private static func fits(_ value: String, _ pattern: String) -> Bool {
        if pattern.utf8.last == UInt8(ascii: "*") { return value.utf8.starts(with: pattern.utf8.dropLast()) }
        return ExactText(value) == ExactText(pattern)
    }
}
