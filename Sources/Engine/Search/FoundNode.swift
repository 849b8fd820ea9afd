// From an entry of the indexes to what an answer shows: the node, and where in it the passage is.
//
// Of a long node the best passage counts: the first of its entries in the ranking, the others say nothing more (NodeFolding). Of nodes that are
// gathered the one is shown in which most of the question stands.

internal import Base
internal import Content
internal import Documents
internal import FullText

/// By what one of several gathered nodes is chosen.
struct NodeChoice: Sendable {
    let weights: QueryWeights
    let analyzer: Analyzer
    /// Of the question's fields; nil: any node will do.
    var fields: QueryFields?

    func best(of unit: IndexedUnit) throws(ContexError) -> Int {
        guard unit.isGathered else { return 0 }
        let texts = try unit.analyzedNodes(analyzer)
        let fitting = fields.map { fields in unit.records.indices.filter { fields.fits(unit.records[$0]) } } ?? Array(unit.records.indices)
        guard let first = fitting.first else { return 0 }
        let best = weights.best(of: fitting.map { texts[$0] })
        return best < fitting.count ? fitting[best] : first
    }
}

struct FoundNode: Sendable {
    let unit: IndexedUnit
    /// Of the entry among those of its unit.
    let offset: Int
    /// Of the node among those of its unit.
    let place: Int
    private(set) var record: NodeRecord
    /// The matches of the same document that stand under this one in the ranking.
    var others: [Other] = []

    struct Other: Sendable {
        let hit: NodeSearch.Hit
        let found: FoundNode
    }

    init(_ unit: IndexedUnit, offset: Int, place: Int) {
        self.unit = unit
        self.offset = offset
        self.place = place
        record = unit.records[place]
    }

    init(_ unit: IndexedUnit, offset: Int, _ choice: NodeChoice) throws(ContexError) {
        self.init(unit, offset: offset, place: try choice.best(of: unit))
    }

    var node: NodeID { NodeID(rawValue: unit.first.rawValue + UInt32(place)) }

    var entry: NodeID { NodeID(rawValue: unit.first.rawValue + UInt32(offset)) }

    /// The passage of a long node, and so many before and behind it, as data of the same shape; nil of any other.
    func reduced(_ value: JSONValue, before: Int = 0, behind: Int = 0) -> JSONValue? {
        guard case .passages(let bounds) = record.extent, offset < bounds.count else { return nil }
        let (first, last) = (bounds[max(0, offset - before)], bounds[min(bounds.count - 1, offset + behind)])
        return PassageBounds(start: first.start, end: last.end).reduced(value).map(MatchData.wrapped)
    }

    /// How many passages a long node has before the one that was found, and behind it.
    var neighbours: (before: Int, behind: Int) {
        guard case .passages(let bounds) = record.extent, offset < bounds.count else { return (0, 0) }
        return (offset, bounds.count - 1 - offset)
    }

    /// About what it holds.
    var byteCount: Int { unit.records.reduce(0) { $0 + $1.byteCount } }

    /// What the text index has of the passage.
    var indexedText: String { get throws(ContexError) { try unit.indexedText(at: offset) } }

    /// The passage, when the node is not one by itself.
    /// - Parameter value: of the node, as it is stored.
    func passage(_ value: JSONValue) throws(ContexError) -> MatchPassage? {
        switch record.extent {
        case .whole: return nil
        case .passages(let bounds):
            guard offset < bounds.count, let shown = ShownPassage(value, kind: record.kind, bounds[offset]) else { return nil }
            return MatchPassage(
                text: shown.text, range: shown.start..<max(shown.start, shown.end), path: shown.path.isEmpty ? nil : shown.path, lastPath: shown.lastPath)
        case .gathered:
            return MatchPassage(text: SearchText.joined(gathered: try unit.values), nodeKeys: unit.records.map(\.nodeKey))
        }
    }

    /// Counts the tokens of the data where a record of the past has none.
    mutating func count(_ countTokens: (String) -> Int) throws(ContexError) {
        guard record.tokenCount == 0 else { return }
        let tokens = countTokens(JSONPrinter.text(MatchData.wrapped(try EventData.parsed(record.data)), style: .python))
        record = NodeRecord(
            document: record.document, documentKey: record.documentKey, path: record.path, kind: record.kind, format: record.format,
            description: record.description, data: record.data, tokenCount: tokens, hasOwnVector: record.hasOwnVector, context: record.context,
            extent: record.extent)
    }
}

/// Takes hits in the order of the ranking and keeps the first of each node, or the first so many of each document.
struct NodeFolding {
    /// Matches of one document at most; nil: any number.
    let ofDocumentMax: Int?
    /// Documents instead of nodes have the places of the ranking: what else is found of one stands inside its first.
    let groups: Bool
    let count: Int
    private(set) var kept: [(hit: NodeSearch.Hit, found: FoundNode)] = []
    private var nodes: Set<NodeID> = []
    private var documents: [ExactText: (place: Int, count: Int)] = [:]
    /// Whether a hit was of a node, or of a document, that had its place already.
    private(set) var hasFolded = false

    init(count: Int, groups: Bool, ofDocumentMax: Int?) {
        self.count = count
        self.groups = groups
        self.ofDocumentMax = ofDocumentMax
    }

    var isFull: Bool { kept.count >= count && !(groups && (ofDocumentMax ?? .max) > 1) }

    /// - Returns: whether the hit has a place of its own.
    @discardableResult
    mutating func take(_ hit: NodeSearch.Hit, _ found: FoundNode) -> Bool {
        guard nodes.insert(found.node).inserted else {
            hasFolded = true
            return false
        }
        guard groups || ofDocumentMax != nil else {
            guard kept.count < count else { return false }
            kept.append((hit, found))
            return true
        }
        let document = ExactText(found.record.documentKey)
        if let known = documents[document] {
            hasFolded = true
            guard known.count < ofDocumentMax ?? .max else { return false }
            if groups {
                documents[document] = (known.place, known.count + 1)
                kept[known.place].found.others.append(.init(hit: hit, found: found))
                return false
            }
        }
        guard kept.count < count else { return false }
        documents[document] = (documents[document]?.place ?? kept.count, (documents[document]?.count ?? 0) + 1)
        kept.append((hit, found))
        return true
    }
}
