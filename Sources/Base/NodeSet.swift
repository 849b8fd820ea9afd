/// A set of nodes of one project: a bit for each number up to the largest member.
///
/// 100,000 nodes are 12.5 kB, so that union, intersection and difference of whole projects are a few microseconds.
public struct NodeSet: Sendable, Equatable {
    /// Bit `n % 64` of word `n / 64` is node `n`; there may be empty words at the end.
    public private(set) var words: [UInt64] = []

    public init() {}
    public init(_ nodes: some Swift.Sequence<NodeID>) { for node in nodes { insert(node) } }

    @inlinable public func contains(_ node: NodeID) -> Bool {
        let word = Int(node.rawValue / 64)
        return word < words.count && words[word] & (1 << UInt64(node.rawValue % 64)) != 0
    }
    public mutating func insert(_ node: NodeID) { formUnion(1 << UInt64(node.rawValue % 64), at: Int(node.rawValue / 64)) }

    /// Adds the members that a word stands for.
    public mutating func formUnion(_ word: UInt64, at place: Int) {
        if place >= words.count { words.append(contentsOf: repeatElement(0, count: place + 1 - words.count)) }
        words[place] |= word
    }

    /// - Complexity: O(largest number / 64), as all that follow.
    public mutating func formUnion(_ other: NodeSet) {
        if words.count < other.words.count { words.append(contentsOf: repeatElement(0, count: other.words.count - words.count)) }
        for place in other.words.indices { words[place] |= other.words[place] }
    }
    public mutating func formIntersection(_ other: NodeSet) {
        if words.count > other.words.count { words.removeLast(words.count - other.words.count) }
        for place in words.indices { words[place] &= other.words[place] }
    }
    public mutating func subtract(_ other: NodeSet) {
        for place in 0..<min(words.count, other.words.count) { words[place] &= ~other.words[place] }
    }

    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// In rising order.
    public var members: [NodeID] {
        var members: [NodeID] = []
        for (place, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                members.append(NodeID(rawValue: UInt32(truncatingIfNeeded: place * 64 + rest.trailingZeroBitCount)))
                rest &= rest - 1
            }
        }
        return members
    }

    public static func == (a: Self, b: Self) -> Bool {
        let (short, long) = a.words.count <= b.words.count ? (a.words, b.words) : (b.words, a.words)
        return long.starts(with: short) && long.dropFirst(short.count).allSatisfy { $0 == 0 }
    }
}
