/// Where a passage of a long node begins and ends: a place among the leaves of its value (the strings, numbers and truth values in it, in the
/// order of the document; a text is one leaf), and a byte in the text of that leaf.
public struct PassageBounds: Hashable, Sendable {
    public struct Place: Hashable, Sendable, Comparable {
        public let leaf: Int
        /// Of the leaf's text in UTF-8, on a whole character.
        public let byte: Int

        public init(leaf: Int, byte: Int) {
            self.leaf = leaf
            self.byte = byte
        }

        public static func < (a: Self, b: Self) -> Bool { (a.leaf, a.byte) < (b.leaf, b.byte) }
    }

    public let start: Place
    /// Behind the last byte.
    public let end: Place

    public init(start: Place, end: Place) {
        self.start = start
        self.end = end
    }

    public init(leaf: Int, _ bytes: Range<Int>) {
        self.init(start: Place(leaf: leaf, byte: bytes.lowerBound), end: Place(leaf: leaf, byte: bytes.upperBound))
    }
}

/// How a node stands in the indexes, whose entries have the numbers of nodes.
public enum NodeExtent: Hashable, Sendable {
    /// One entry, under the node's own number.
    case whole
    /// A long node: an entry for each of two passages or more, under its own number and those that follow it.
    case passages([PassageBounds])
    /// One of `count` neighbours with consecutive numbers that are too short to be found alone: they have one entry, under the number of the first.
    case gathered(place: Int, count: Int)

    /// Numbers that the node takes.
    public var numbers: Int {
        if case .passages(let bounds) = self { return bounds.count }
        return 1
    }
}
