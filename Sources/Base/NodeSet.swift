/// A set of nodes of one project: a bit for each number, in chunks of 8,192 of which only those with members are there.
///
/// 100,000 nodes are 12.5 kB, so that union, intersection and difference of whole projects are a few microseconds. A member at the end of all
/// numbers, which a project reaches in years and a damaged record at once, costs 4 MB, not 512.
public struct NodeSet: Sendable, Equatable {
    /// Bit `n % 64` of word `n / 64 % 128` of chunk `n / 8192` is node `n`; an empty chunk has no members, and one that has words may have none.
    @usableFromInline var chunks: [[UInt64]] = []
    @usableFromInline static let chunkWords = 128

    public init() {}
    public init(_ nodes: some Swift.Sequence<NodeID>) { for node in nodes { insert(node) } }

    @inlinable public func contains(_ node: NodeID) -> Bool {
        let (word, chunk) = (Int(node.rawValue / 64) % Self.chunkWords, Int(node.rawValue / 64) / Self.chunkWords)
        return chunk < chunks.count && !chunks[chunk].isEmpty && chunks[chunk][word] & (1 << UInt64(node.rawValue % 64)) != 0
    }
    public mutating func insert(_ node: NodeID) { formUnion(1 << UInt64(node.rawValue % 64), at: Int(node.rawValue / 64)) }

    /// Adds the members that a word stands for.
    public mutating func formUnion(_ word: UInt64, at place: Int) {
        let chunk = place / Self.chunkWords
        if chunk >= chunks.count { chunks.append(contentsOf: repeatElement([], count: chunk + 1 - chunks.count)) }
        if chunks[chunk].isEmpty { chunks[chunk] = [UInt64](repeating: 0, count: Self.chunkWords) }
        chunks[chunk][place % Self.chunkWords] |= word
    }

    /// - Complexity: O(chunks with members + largest number / 8192), as all that follow.
    public mutating func formUnion(_ other: NodeSet) {
        if chunks.count < other.chunks.count { chunks.append(contentsOf: repeatElement([], count: other.chunks.count - chunks.count)) }
        for chunk in other.chunks.indices where !other.chunks[chunk].isEmpty {
            if chunks[chunk].isEmpty {
                chunks[chunk] = other.chunks[chunk]
            } else {
                for word in 0..<Self.chunkWords { chunks[chunk][word] |= other.chunks[chunk][word] }
            }
        }
    }
    public mutating func formIntersection(_ other: NodeSet) {
        if chunks.count > other.chunks.count { chunks.removeLast(chunks.count - other.chunks.count) }
        for chunk in chunks.indices where !chunks[chunk].isEmpty {
            if other.chunks[chunk].isEmpty {
                chunks[chunk] = []
            } else {
                for word in 0..<Self.chunkWords { chunks[chunk][word] &= other.chunks[chunk][word] }
            }
        }
    }
    public mutating func subtract(_ other: NodeSet) {
        for chunk in 0..<min(chunks.count, other.chunks.count) where !chunks[chunk].isEmpty && !other.chunks[chunk].isEmpty {
            for word in 0..<Self.chunkWords { chunks[chunk][word] &= ~other.chunks[chunk][word] }
        }
    }

    public var isEmpty: Bool { chunks.allSatisfy { $0.allSatisfy { $0 == 0 } } }
    public var count: Int { chunks.reduce(0) { $1.reduce($0) { $0 + $1.nonzeroBitCount } } }

    /// In rising order.
    public var members: [NodeID] {
        var members: [NodeID] = []
        for (chunk, words) in chunks.enumerated() {
            for (place, word) in words.enumerated() {
                var rest = word
                while rest != 0 {
                    members.append(NodeID(rawValue: UInt32(truncatingIfNeeded: (chunk * Self.chunkWords + place) * 64 + rest.trailingZeroBitCount)))
                    rest &= rest - 1
                }
            }
        }
        return members
    }

    public static func == (a: Self, b: Self) -> Bool {
        func words(_ set: NodeSet, _ chunk: Int) -> [UInt64] { chunk < set.chunks.count ? set.chunks[chunk] : [] }
        return (0..<max(a.chunks.count, b.chunks.count)).allSatisfy { chunk in
            let (a, b) = (words(a, chunk), words(b, chunk))
            return a.isEmpty || b.isEmpty ? (a + b).allSatisfy { $0 == 0 } : a == b
        }
    }
}
