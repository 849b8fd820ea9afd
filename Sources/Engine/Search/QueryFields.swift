// What a query's signs demand of the nodes that answer it (docs/query-syntax.md), for both indexes: the text index takes part of it
// itself, the vector index is given the nodes that are left.

internal import Attributes
internal import Base
internal import Content
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Search
internal import Vectors

extension Admission {
    mutating func meet(_ selection: TextSelection) {
        switch selection {
        case .all: break
        case .only(let nodes): meet(NodeSet(nodes))
        case .except(let nodes): exclude(NodeSet(nodes))
        }
    }

    /// For the vector index.
    var filter: NodeFilter {
        let except = except
        if var only {
            only.subtract(except)
            return NodeFilter(only)
        }
        return NodeFilter { !except.contains($0) }
    }
}

/// The `field:value` terms of a query. What a filter can ask for they ask as a filter would, of the index; what only a node knows, its kind and
/// path, is asked of each node that is left. Another name is two plain words.
struct QueryFields: Sendable {
    /// Values of one field are alternatives, fields must all fit, `-` excludes.
    private struct Wanted {
        var values: [String] = []
        var excluded: [String] = []
    }

    /// Of documents.
    private let filter: Filter?
    /// Of nodes, by name.
    private let ofNodes: [(read: @Sendable (NodeRecord) -> String, wanted: Wanted)]

    private static let (kind, path, metadata) = ("kind", "path", "metadata.")
    private static let builtIn: [String: AttributeField] = ["data_key": .dataKey, "data_format": .dataFormat, "published_by": .publishedBy]

    /// Whether a query can mean a field. `kind:Deployment` is two words: no node is of that kind.
    static func isField(_ name: String, _ value: String) -> Bool {
        if name == kind { return value.utf8.last == UInt8(ascii: "*") || NodeKind(rawValue: value) != nil }
        return name == path || attribute(name) != nil
    }

    private static func attribute(_ name: String) -> AttributeField? {
        guard name.hasPrefix(metadata) else { return builtIn[name] }
        let path = String(name.dropFirst(metadata.count))
        return path.isEmpty || path.utf8.count > Limits.metadataPathBytes ? nil : .metadata(path: path)
    }

    init(_ terms: [TextSearchQuery.FieldTerm]) {
        var wanted: [String: Wanted] = [:]
        for term in terms {
            var known = wanted[term.field] ?? Wanted()
            if term.isExcluded { known.excluded.append(term.value) } else { known.values.append(term.value) }
            wanted[term.field] = known
        }
        var filters: [Filter] = []
        for (name, wanted) in wanted.sorted(by: { $0.key < $1.key }) {
            guard let attribute = Self.attribute(name) else { continue }
            if !wanted.values.isEmpty { filters.append(Self.anyOf(wanted.values, attribute)) }
            if !wanted.excluded.isEmpty { filters.append(.not(Self.anyOf(wanted.excluded, attribute))) }
        }
        filter = filters.isEmpty ? nil : .and(filters)
        var ofNodes: [(read: @Sendable (NodeRecord) -> String, wanted: Wanted)] = []
        if let wanted = wanted[Self.kind] { ofNodes.append(({ $0.kind }, wanted)) }
        if let wanted = wanted[Self.path] { ofNodes.append(({ $0.path }, wanted)) }
        self.ofNodes = ofNodes
    }

    /// - Parameter values: each with a `*` at the end, for any rest, or without.
    private static func anyOf(_ values: [String], _ field: AttributeField) -> Filter {
        var (exact, filters, prefixes): ([AttributeValue], [Filter], [String]) = ([], [], [])
        func add(_ test: Filter.Test) { filters.append(.condition(Filter.Condition(field: field, test: test, place: [.name("query")]))) }
        for value in Set(values.map { ExactText($0) }).sorted().map(\.text) {
            if value == "*" {
                // Every document has a key and a format; what else may be missing.
                if case .dataKey = field { return .and([]) }
                if case .dataFormat = field { return .and([]) }
                add(.exists)
            } else if value.hasSuffix("*") {
                let prefix = String(value.dropLast())
                // No longer ones are in the index.
                guard prefix.utf8.count <= Limits.filterOrderedTextBytes else { continue }
                prefixes.append(prefix)
            } else {
                exact.append(.text(ExactText(value)))
                // Metadata has numbers, truth values and nulls as well, which a query can only spell.
                if case .metadata = field, let other = try? JSONParser.parse(Array(value.utf8)), let other = AttributeValue(other) { exact.append(other) }
            }
        }
        // In the order of bytes a prefix comes just before what it covers, which is not asked for again.
        var last: String?
        for prefix in prefixes.map({ ExactText($0) }).sorted().map(\.text) {
            if let last, prefix.utf8.starts(with: last.utf8) { continue }
            add(.prefix(prefix))
            last = prefix
        }
        if !exact.isEmpty { add(.oneOf(exact)) }
        return .or(filters)
    }

    /// What the terms leave of a project.
    /// - Complexity: as the filter; with `kind` or `path` a look at each node that it leaves.
    func admission(_ scope: TenantScope, in view: borrowing TransactionView) throws -> Admission {
        var admission = Admission()
        let index = AttributeIndex(scope: scope)
        var left: NodeSet?
        if let filter { left = try index.nodes(passing: filter, in: view) }
        if !ofNodes.isEmpty {
            let documents = DocumentStore(scope: scope)
            var fitting = NodeSet()
            // With one of gathered nodes fits the passage that they have together.
            func add(_ id: NodeID, _ node: NodeRecord) {
                guard fits(node) else { return }
                if case .gathered(let place, _) = node.extent {
                    fitting.insert(NodeID(rawValue: id.rawValue - min(UInt32(place), id.rawValue)))
                } else {
                    for further in 0..<UInt32(node.extent.numbers) { fitting.insert(NodeID(rawValue: id.rawValue + further)) }
                }
            }
            if let left, try left.count < index.nodes(in: view).count / 8 {
                // A number without a record is a further passage, and comes with its node.
                for number in left.members { if let node = try documents.node(number, in: view) { add(number, node) } }
            } else {
                try documents.forEachNode(in: view) { id, node in if left?.contains(id) ?? true { add(id, node) } }
            }
            left = fitting
        }
        if let left { admission.meet(left) }
        return admission
    }

    /// Whether a node of the past is left.
    func admit(_ record: NodeRecord, _ attributes: DocumentAttributes) -> Bool { (filter?.passes(attributes) ?? true) && fits(record) }

    /// Whether a node is one that the terms leave of its document.
    func fits(_ record: NodeRecord) -> Bool {
        ofNodes.allSatisfy { read, wanted in
            let value = read(record)
            if !wanted.values.isEmpty, !wanted.values.contains(where: { Self.fits(value, $0) }) { return false }
            return !wanted.excluded.contains { Self.fits(value, $0) }
        }
    }

    private static func fits(_ value: String, _ pattern: String) -> Bool {
        if pattern.utf8.last == UInt8(ascii: "*") { return value.utf8.starts(with: pattern.utf8.dropLast()) }
        return ExactText(value) == ExactText(pattern)
    }
}
