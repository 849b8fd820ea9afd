internal import Base

/// A node met on the way and its similarity to what is looked for.
struct Candidate {
    var similarity: Float
    var node: UInt32
    /// Its neighbours have been looked at.
    var isExpanded = false

    /// Nearer first; equal similarity by number, so that every run takes the same way.
    static func precedes(_ similarity: Float, _ node: UInt32, _ other: Candidate) -> Bool {
        similarity > other.similarity || (similarity == other.similarity && node < other.node)
    }
}

/// The best candidates so far, best first, and which of them still have to be expanded.
///
/// One sorted array does the work of the paper's two heaps W and C: a candidate that falls off the end of W can no longer
/// be expanded under the paper's stopping rule, so C without W is never needed. Insertion moves 12 bytes a place; with a
/// few hundred places that is cheaper than a heap's jumps.
struct CandidatePool {
    private(set) var items: [Candidate] = []
    let capacity: Int
    /// Every item before it is expanded.
    private var firstOpen = 0

    init(capacity: Int) {
        self.capacity = capacity
        items.reserveCapacity(min(capacity, 4_096) + 1)
    }

    /// Takes the candidate in when it is among the best `capacity`.
    mutating func offer(_ node: UInt32, _ similarity: Float) {
        if items.count == capacity {
            guard let last = items.last, Candidate.precedes(similarity, node, last) else { return }
            items.removeLast()
        }
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if Candidate.precedes(similarity, node, items[middle]) { high = middle } else { low = middle + 1 }
        }
        items.insert(Candidate(similarity: similarity, node: node), at: low)
        if low < firstOpen { firstOpen = low }
    }

    /// The best candidate that was not expanded yet, marked as expanded; nil when all are.
    mutating func nextToExpand() -> UInt32? {
        while firstOpen < items.count {
            if !items[firstOpen].isExpanded {
                items[firstOpen].isExpanded = true
                return items[firstOpen].node
            }
            firstOpen += 1
        }
        return nil
    }

    func matches(_ count: Int) -> [VectorMatch] {
        items.prefix(count).map { VectorMatch(node: NodeID(rawValue: $0.node), cosine: VectorIndex.cosine($0.similarity)) }
    }
}

/// The nodes that a search has met: open addressing with linear probing, at most half full.
struct VisitedSet {
    private var slots: [UInt32]
    private var count = 0
    /// The largest number marks an empty slot, so that node itself is kept here.
    private var hasLargest = false
    private static let empty = UInt32.max

    init(expecting members: Int) {
        var size = 64
        while size < 2 * members { size *= 2 }
        slots = Array(repeating: Self.empty, count: size)
    }

    /// False when it was there already.
    mutating func insert(_ node: UInt32) -> Bool {
        if node == Self.empty {
            defer { hasLargest = true }
            return !hasLargest
        }
        let mask = slots.count - 1
        // Fibonacci hashing: the upper bits of the product depend on all bits of the number.
        var at = Int(truncatingIfNeeded: (UInt64(node) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
        while true {
            let found = slots[at]
            if found == node { return false }
            if found == Self.empty { break }
            at = (at + 1) & mask
        }
        slots[at] = node
        count += 1
        if 2 * count > slots.count { grow() }
        return true
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Self.empty, count: 2 * old.count)
        count = 0
        for node in old where node != Self.empty { _ = insert(node) }
    }
}
