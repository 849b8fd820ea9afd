// A filter over one snapshot: bits in, bits out.

public import Base
internal import KeySpace
public import LMDB

extension AttributeIndex {
    /// The nodes that pass a filter.
    /// - Parameter recordsMax: that it may read; `.max` for a filter that somebody relies on already, who cannot be told that the project has outgrown it.
    /// - Throws: `.invalid` naming the condition at which more records were read; `.damaged`.
    /// - Complexity: O(records of the values that the conditions name) + O(conditions x nodes / 64).
    public func nodes(passing filter: Filter, recordsMax: Int = Limits.filterRecords, in view: borrowing TransactionView) throws -> NodeSet {
        var evaluation = FilterEvaluation(index: self, recordsMax: recordsMax)
        return try evaluation.nodes(filter, in: view)
    }

    /// Every node of the project, and every further passage.
    public func nodes(in view: borrowing TransactionView) throws -> NodeSet {
        var evaluation = FilterEvaluation(index: self)
        return try evaluation.everyNode(in: view)
    }

    /// The passages of long nodes but the first of each: what is no node among the numbers that a filter lets pass.
    public func furtherPassages(in view: borrowing TransactionView) throws -> NodeSet {
        var evaluation = FilterEvaluation(index: self)
        return try evaluation.furtherPassages(in: view)
    }
}

extension Filter {
    /// Whether a document passes, without an index.
    /// - Complexity: O(its entries x conditions).
    public func passes(_ document: DocumentAttributes) -> Bool { passes(document.entries(), document.updatedAt) }

    private func passes(_ entries: [[UInt8]], _ time: Timestamp) -> Bool {
        switch self {
        case .and(let filters): filters.allSatisfy { $0.passes(entries, time) }
        case .or(let filters): filters.contains { $0.passes(entries, time) }
        case .not(let filter): !filter.passes(entries, time)
        case .condition(let condition):
            if case .range(let range) = condition.test, condition.field == .updatedAt {
                range.moments.contains(time.rawValue)
            } else {
                condition.stretches.contains { stretch in entries.contains { stretch.contains($0) } }
            }
        }
    }
}

/// Entries of the index that follow each other.
private struct EntryStretch {
    let prefix: [UInt8]
    var from: [UInt8]?
    /// The first that is no more in it.
    var end: [UInt8]?

    func contains(_ entry: [UInt8]) -> Bool {
        entry.starts(with: prefix) && from.map { !entry.lexicographicallyPrecedes($0) } ?? true && end.map { entry.lexicographicallyPrecedes($0) } ?? true
    }
}

extension Filter.Condition {
    /// Where what passes lies in the index; not for `.updatedAt`.
    fileprivate var stretches: [EntryStretch] {
        switch test {
        case .oneOf(let values): return values.map { EntryStretch(prefix: AttributeKey.key(field, $0)) }
        case .exists: return [EntryStretch(prefix: AttributeKey.exists(field))]
        case .prefix(let text): return [EntryStretch(prefix: AttributeKey.prefix(field) + [AttributeKey.Kind.text.rawValue] + Array(text.utf8))]
        case .range(let range):
            guard let kind = (range.lower ?? range.upper).map({ AttributeKey.Kind($0.value) }) else { return [] }
            var stretch = EntryStretch(prefix: AttributeKey.prefix(field) + [kind.rawValue])
            // Keys of a value begin with its encoding, and the successor of that is behind all of them.
            if let lower = range.lower {
                let key = AttributeKey.key(field, lower.value)
                stretch.from = lower.isIncluded ? key : successor(of: key)
            }
            if let upper = range.upper {
                let key = AttributeKey.key(field, upper.value)
                stretch.end = upper.isIncluded ? successor(of: key) : key
            }
            return [stretch]
        }
    }
}

extension AttributeRange {
    /// Of dates: microseconds, whole ones, so that an end that is left out is the next one.
    fileprivate var moments: ClosedRange<Int64> {
        func moment(_ bound: Bound, _ step: Int64) -> Int64 {
            guard case .date(let time) = bound.value else { return 0 }
            return bound.isIncluded ? time.rawValue : time.rawValue + step
        }
        let first = lower.map { moment($0, 1) } ?? TimeColumn.none + 1
        let last = upper.map { moment($0, -1) } ?? Int64.max
        // Moments lie in the years 1 to 9999, so that this is no moment.
        return first <= last ? first...last : Int64.max...Int64.max
    }
}

private struct FilterEvaluation {
    let index: AttributeIndex
    private var every: NodeSet?
    private var records = 0
    private let recordsMax: Int

    init(index: AttributeIndex, recordsMax: Int = .max) {
        self.index = index
        self.recordsMax = recordsMax
    }

    /// Recursion is bounded by `Limits.filterDepth`.
    mutating func nodes(_ filter: Filter, in view: borrowing TransactionView) throws -> NodeSet {
        switch filter {
        case .condition(let condition):
            var found = NodeSet()
            try add(condition, to: &found, in: view)
            return found
        case .and(let filters):
            var found: NodeSet?
            for filter in filters {
                guard let present = found else {
                    found = try nodes(filter, in: view)
                    continue
                }
                if present.isEmpty { return present }
                if case .not(let inner) = filter {
                    found?.subtract(try nodes(inner, in: view))
                } else {
                    found?.formIntersection(try nodes(filter, in: view))
                }
            }
            return try found ?? everyNode(in: view)
        case .or(let filters):
            var found = NodeSet()
            for filter in filters {
                if case .condition(let condition) = filter {
                    try add(condition, to: &found, in: view)
                } else {
                    found.formUnion(try nodes(filter, in: view))
                }
            }
            return found
        case .not(let filter):
            var found = try everyNode(in: view)
            found.subtract(try nodes(filter, in: view))
            return found
        }
    }

    mutating func everyNode(in view: borrowing TransactionView) throws -> NodeSet {
        if let every { return every }
        var found = NodeSet()
        try add(index.key(AttributeKey.every), to: &found, at: [], in: view)
        every = found
        return found
    }

    mutating func furtherPassages(in view: borrowing TransactionView) throws -> NodeSet {
        var found = NodeSet()
        try add(index.key(AttributeKey.furtherPassages), to: &found, at: [], in: view)
        return found
    }

    private mutating func add(_ condition: Filter.Condition, to found: inout NodeSet, in view: borrowing TransactionView) throws {
        if case .range(let range) = condition.test, condition.field == .updatedAt {
            return try addTimes(range.moments, to: &found, at: condition.place, in: view)
        }
        for stretch in condition.stretches {
            try add(
                index.key(stretch.prefix), from: stretch.from.map(index.key), before: stretch.end.map(index.key), to: &found, at: condition.place,
                in: view)
        }
    }

    /// The nodes of every record under a prefix.
    private mutating func add(
        _ prefix: [UInt8], from: [UInt8]? = nil, before end: [UInt8]? = nil, to found: inout NodeSet, at place: [PlacedFault.Step],
        in view: borrowing TransactionView
    ) throws {
        try view.scan(prefix: prefix, from: from) { keySpan, value in
            let key = Array(keySpan)
            if let end, !key.lexicographicallyPrecedes(end) { return .stop }
            try count(at: place)
            try NodeChunk.add(try Seal.open(key: key, value: value, version: 1), chunk: AttributeIndex.chunk(ofKey: key), to: &found)
            return .onward
        }
    }

    private mutating func addTimes(
        _ moments: ClosedRange<Int64>, to found: inout NodeSet, at place: [PlacedFault.Step], in view: borrowing TransactionView
    ) throws {
        let (first, last) = (moments.lowerBound, moments.upperBound)
        try view.scanRecords(prefix: index.scope.key(.attributeTimes)) { key, payload in
            try count(at: place)
            let base = Int(AttributeIndex.chunk(ofKey: key)) * (TimeColumn.nodes / 64)
            var words: (UInt64, UInt64) = (0, 0)
            try TimeColumn.read(payload) { node, time in
                let isIn: UInt64 = time >= first && time <= last ? 1 : 0
                if node < 64 { words.0 |= isIn << UInt64(node) } else { words.1 |= isIn << UInt64(node - 64) }
            }
            if words.0 != 0 { found.formUnion(words.0, at: base) }
            if words.1 != 0 { found.formUnion(words.1, at: base + 1) }
            return .onward
        }
    }

    private mutating func count(at place: [PlacedFault.Step]) throws {
        records += 1
        guard records <= recordsMax else {
            throw PlacedFault(place, "the filter reads more than \(recordsMax) records of the index: narrow its ranges and prefixes").contexError
        }
    }
}
