// The candidates of both sides as one list, each with both its scores; without a vector there is no cosine.

public import Base

public struct ScoreTable: Sendable {
    /// In the order in which they were first noted.
    public private(set) var scored: [(node: NodeID, parts: ScoreParts)] = []
    private var places: NodePlaces
    private let none: ScoreParts

    /// - Parameters:
    ///   - nodesMax: no more scores are noted, repeats counted.
    ///   - ceiling, cut, shareCut: of the query, as in `ScoreParts`.
    public init(nodesMax: Int, ceiling: Float, cut: Float, shareCut: Float = Calibration.shareCut(documents: 1)) {
        scored.reserveCapacity(nodesMax)
        places = NodePlaces(nodesMax: nodesMax)
        none = ScoreParts(cosine: nil, bm25: 0, ceiling: ceiling, cut: cut, shareCut: shareCut)
    }

    public mutating func note(_ node: NodeID, cosine: Float) { scored[place(of: node)].parts.cosine = cosine }

    public mutating func note(_ node: NodeID, bm25: Float) {
        let place = place(of: node)
        scored[place].parts.bm25 = bm25
        // A prefix may bring more than the ceiling counts for it.
        scored[place].parts.ceiling = max(none.ceiling, bm25)
    }

    /// Of a node that has a score.
    public mutating func note(_ node: NodeID, _ word: ExactWord) { scored[place(of: node)].parts.exactWord = word }

    private mutating func place(of node: NodeID) -> Int {
        let place = places.place(of: node, orElse: scored.count)
        if place == scored.count { scored.append((node, none)) }
        return place
    }
}

/// Where the nodes of a list are in it. A hash table with open addressing for a few hundred nodes: a dictionary takes ten times as long.
struct NodePlaces {
    /// Node and place + 1; 0 is free.
    private var entries: [UInt64]

    init(nodesMax: Int) { entries = [UInt64](repeating: 0, count: 1 << (Int.bitWidth - (2 * nodesMax | 1).leadingZeroBitCount)) }

    /// The place of a node; one that has none gets the other.
    mutating func place(of node: NodeID, orElse other: Int) -> Int {
        let mask = entries.count - 1
        // Fibonacci hashing: nodes of one document follow each other.
        var at = Int(truncatingIfNeeded: UInt64(node.rawValue) &* 0x9E37_79B9_7F4A_7C15 >> 40) & mask
        while entries[at] != 0 {
            if entries[at] >> 32 == node.rawValue { return Int(UInt32(truncatingIfNeeded: entries[at])) - 1 }
            at = (at + 1) & mask
        }
        entries[at] = UInt64(node.rawValue) << 32 | UInt64(other + 1)
        return other
    }
}
