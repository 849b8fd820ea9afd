// What the indexes have of a node: the entry of a short one, those of a long one's passages, or the one that it has together with its
// neighbours. The texts are not stored but made again from the records.

package import Base
internal import Content
package import Documents
package import FullText
internal import KeySpace
internal import LMDB

package struct IndexedUnit: Sendable {
    /// Of the first record; its entries have this number and those that follow it.
    package let first: NodeID
    /// One, or several that are gathered, with consecutive numbers.
    package let records: [NodeRecord]

    package init(first: NodeID, records: [NodeRecord]) {
        self.first = first
        self.records = records
    }

    package var nodes: [NodeID] { records.indices.map { NodeID(rawValue: first.rawValue + UInt32($0)) } }

    /// Numbers of its entries in the indexes.
    package var entries: [NodeID] { (0..<UInt32(records[0].extent.numbers)).map { NodeID(rawValue: first.rawValue + $0) } }

    /// Those of them that have a vector.
    package var entriesWithVectors: [NodeID] {
        let unread = Set(records[0].unread)
        return entries.enumerated().filter { !unread.contains($0.offset) }.map(\.element)
    }

    /// What the document's record says of a long node.
    package var run: DocumentRecord.PassageRun? {
        if case .passages(let bounds) = records[0].extent { return .init(node: first, count: bounds.count) }
        return nil
    }

    var isGathered: Bool { records.count > 1 }

    /// Of each entry.
    package var embeddedTexts: [String] {
        get throws(ContexError) {
            let (record, context) = (records[0], records[0].context)
            if isGathered { return [SearchText.embedded(key: record.documentKey, context: context, gathered: try values)] }
            let value = try EventData.parsed(record.data)
            return SearchText.embedded(
                key: record.documentKey, context: context, path: record.path, kind: record.kind, value: value, passages: bounds(of: record))
        }
    }

    /// What the text index has of each entry: it must be told the same text to give it up.
    var indexedTexts: [String] { get throws(ContexError) { try indexedTexts(bounds(of: records[0])[...]) } }

    /// Of one entry.
    func indexedText(at offset: Int) throws(ContexError) -> String {
        let bounds = bounds(of: records[0])
        return try indexedTexts(bounds.isEmpty ? [] : bounds[offset...offset])[0]
    }

    private func indexedTexts(_ bounds: ArraySlice<PassageBounds>) throws(ContexError) -> [String] {
        let (record, context) = (records[0], records[0].context)
        if isGathered { return [SearchText.indexed(key: record.documentKey, context: context, gathered: try values)] }
        return SearchText.indexed(
            key: record.documentKey, context: context, path: record.path, kind: record.kind, value: try EventData.parsed(record.data), passages: bounds)
    }

    package func analyzed(_ analyzer: Analyzer) throws(ContexError) -> [AnalyzedText] {
        AnalyzedText.passages(
            try indexedTexts, analyzer: analyzer, goesOn: PassageUnits.goesOn(path: records[0].path, kind: records[0].kind))
    }

    /// The text of each gathered node; none of any other unit.
    func analyzedNodes(_ analyzer: Analyzer) throws(ContexError) -> [AnalyzedText] {
        isGathered ? try values.map { AnalyzedText(SearchText.joined(gathered: [$0]), analyzer: analyzer) } : []
    }

    var values: [JSONValue] {
        get throws(ContexError) {
            var values: [JSONValue] = []
            for record in records { values.append(try EventData.parsed(record.data)) }
            return values
        }
    }

    /// What is wrong with the bounds of its passages: each must hold something, and begin behind the one before.
    package func findings() throws(ContexError) -> [String] {
        guard case .passages(let bounds) = records[0].extent else { return [] }
        let leaves = PassageLeaf.all(of: try EventData.parsed(records[0].data), kind: records[0].kind)
        var findings: [String] = []
        if bounds.contains(where: { $0.isEmpty(among: leaves) }) {
            findings.append("'\(records[0].nodeKey)' has a passage of nothing")
        }
        if zip(bounds, bounds.dropFirst()).contains(where: { $0.start >= $1.start || $0.end >= $1.end }) {
            findings.append("'\(records[0].nodeKey)' has passages out of order")
        }
        return findings
    }

    private func bounds(of record: NodeRecord) -> [PassageBounds] {
        if case .passages(let bounds) = record.extent { return bounds }
        return []
    }

    /// Nodes in their order, unit by unit.
    package static func units(of nodes: [(id: NodeID, record: NodeRecord)]) throws(ContexError) -> [IndexedUnit] {
        var units: [IndexedUnit] = []
        var place = 0
        while place < nodes.count {
            let first = nodes[place]
            var count = 1
            if case .gathered(let own, let all) = first.record.extent {
                count = all
                guard own == 0, place + all <= nodes.count else { throw broken(first.record) }
                for number in 1..<all {
                    guard nodes[place + number].id.rawValue == first.id.rawValue + UInt32(number),
                        nodes[place + number].record.extent == .gathered(place: number, count: all)
                    else { throw broken(first.record) }
                }
            }
            units.append(IndexedUnit(first: first.id, records: nodes[place..<place + count].map(\.record)))
            place += count
        }
        return units
    }

    private static func broken(_ record: NodeRecord) -> ContexError {
        .damaged("'\(record.nodeKey)' is gathered with nodes that do not stand beside it: run 'contex check'")
    }
}

extension DocumentStore {
    /// The units of a document's nodes, which are in its order.
    func units(of nodes: [NodeID], in view: borrowing TransactionView) throws -> [IndexedUnit] {
        var records: [(id: NodeID, record: NodeRecord)] = []
        for id in nodes {
            guard let record = try node(id, in: view) else {
                throw ContexError.damaged("node \(id.rawValue) is listed by its document but is not there: run 'contex check'")
            }
            records.append((id, record))
        }
        return try IndexedUnit.units(of: records)
    }

    /// The unit that an entry of the indexes is of.
    func unit(of entry: NodeID, in view: borrowing TransactionView) throws -> IndexedUnit {
        guard let (id, record) = try node(of: entry, in: view) else {
            throw ContexError.damaged("node \(entry.rawValue) is indexed but is not there: run 'contex check'")
        }
        return try unit(of: id, record, in: view)
    }

    /// The unit that a node belongs to.
    func unit(of node: NodeID, _ record: NodeRecord, in view: borrowing TransactionView) throws -> IndexedUnit {
        guard case .gathered(let place, let count) = record.extent else { return IndexedUnit(first: node, records: [record]) }
        guard UInt32(place) < node.rawValue else { throw ContexError.damaged("'\(record.nodeKey)' has a number that is none: run 'contex check'") }
        let first = NodeID(rawValue: node.rawValue - UInt32(place))
        return try units(of: (0..<UInt32(count)).map { NodeID(rawValue: first.rawValue + $0) }, in: view)[0]
    }
}
