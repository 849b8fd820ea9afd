// Byte pair encoding of one piece: of all adjacent parts, join the two whose union has the lowest rank, the leftmost
// of equals first, until no union is in the vocabulary.
//
// Nearly all pieces are a few bytes, where scanning an array for the lowest rank is fastest. But a piece may be a
// megabyte of one letter, where that scan is quadratic; from `scanBytesMax` on the parts are a linked list and the
// candidates wait in a heap, O(n log n).

/// Scratch space, kept from piece to piece.
struct BytePairMerger {
    private let ranks: ByteTable
    private let singles: [Int32]
    private static let scanBytesMax = 100
    private static let none = UInt32.max

    private var starts: [Int] = []
    private var pairRanks: [UInt32] = []
    private var next: [UInt32] = []
    private var previous: [UInt32] = []
    private var heap = MinimumHeap()

    /// - Parameter singles: the ids of the 256 single bytes.
    init(ranks: ByteTable, singles: [Int32]) {
        self.ranks = ranks
        self.singles = singles
    }

    /// Appends the ids of a piece.
    mutating func encode(_ text: Span<UInt8>, _ piece: Range<Int>, into ids: inout [Int32]) {
        if piece.count == 1 {
            ids.append(singles[Int(text[piece.lowerBound])])
        } else if let whole = ranks.find(text, piece) {
            ids.append(whole)
        } else if piece.count <= Self.scanBytesMax {
            scan(text, piece, into: &ids)
        } else {
            mergeWithHeap(text, piece, into: &ids)
        }
    }

    private func rank(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> UInt32 {
        ranks.find(text, start..<end).map { UInt32(bitPattern: $0) } ?? Self.none
    }

    private func id(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> Int32 {
        if end - start == 1 { return singles[Int(text[start])] }
        guard let id = ranks.find(text, start..<end) else { preconditionFailure("a part that was merged is in the vocabulary") }
        return id
    }

    /// Part i is `starts[i]..<starts[i + 1]`; `pairRanks[i]` is the rank of parts i and i + 1 together.
    private mutating func scan(_ text: Span<UInt8>, _ piece: Range<Int>, into ids: inout [Int32]) {
        starts.removeAll(keepingCapacity: true)
        pairRanks.removeAll(keepingCapacity: true)
        for start in piece {
            starts.append(start)
            pairRanks.append(start + 2 <= piece.upperBound ? rank(text, start, start + 2) : Self.none)
        }
        starts.append(piece.upperBound)
        while true {
            var lowest = Self.none
            var at = 0
            for i in 0..<pairRanks.count where pairRanks[i] < lowest {
                lowest = pairRanks[i]
                at = i
            }
            if lowest == Self.none { break }
            starts.remove(at: at + 1)
            pairRanks.remove(at: at + 1)
            func pairRank(_ i: Int) -> UInt32 { i + 2 < starts.count ? rank(text, starts[i], starts[i + 2]) : Self.none }
            pairRanks[at] = pairRank(at)
            if at > 0 { pairRanks[at - 1] = pairRank(at - 1) }
        }
        for i in 0..<starts.count - 1 { ids.append(id(text, starts[i], starts[i + 1])) }
    }

    /// A part is named by the offset of its first byte. The heap orders (rank, offset); an entry counts only while
    /// `pairRanks` still says the same.
    private mutating func mergeWithHeap(_ text: Span<UInt8>, _ piece: Range<Int>, into ids: inout [Int32]) {
        let base = piece.lowerBound
        let count = piece.count
        precondition(count < Int(UInt32.max), "a piece of \(count) bytes")
        next = (0..<count).map { UInt32($0 + 1) }
        previous = (0..<count).map { $0 == 0 ? Self.none : UInt32($0 - 1) }
        pairRanks = [UInt32](repeating: Self.none, count: count)
        heap.removeAll()

        /// Sets the rank of the pair whose left part begins at `start`.
        func rate(_ start: Int) {
            let right = Int(next[start])
            let value = right < count ? rank(text, base + start, base + Int(next[right])) : Self.none
            pairRanks[start] = value
            if value != Self.none { heap.insert(UInt64(value) << 32 | UInt64(start)) }
        }
        for start in 0..<count { rate(start) }
        while let entry = heap.popMinimum() {
            let start = Int(entry & 0xffff_ffff)
            guard pairRanks[start] == UInt32(entry >> 32) else { continue }
            let right = Int(next[start])
            let after = next[right]
            next[start] = after
            if Int(after) < count { previous[Int(after)] = UInt32(start) }
            pairRanks[right] = Self.none
            rate(start)
            if previous[start] != Self.none { rate(Int(previous[start])) }
        }
        var start = 0
        while start < count {
            ids.append(id(text, base + start, base + Int(next[start])))
            start = Int(next[start])
        }
        next = []
        previous = []
        pairRanks = []
        heap.removeAll()
    }
}

/// A binary heap of plain numbers.
struct MinimumHeap {
    private var items: [UInt64] = []

    mutating func removeAll() { items = [] }

    /// - Complexity: O(log n).
    mutating func insert(_ value: UInt64) {
        items.append(value)
        var at = items.count - 1
        while at > 0 {
            let parent = (at - 1) / 2
            if items[parent] <= value { break }
            items[at] = items[parent]
            at = parent
        }
        items[at] = value
    }

    /// - Complexity: O(log n).
    mutating func popMinimum() -> UInt64? {
        guard let minimum = items.first else { return nil }
        let last = items.removeLast()
        if items.isEmpty { return minimum }
        var at = 0
        while true {
            var child = 2 * at + 1
            if child >= items.count { break }
            if child + 1 < items.count && items[child + 1] < items[child] { child += 1 }
            if items[child] >= last { break }
            items[at] = items[child]
            at = child
        }
        items[at] = last
        return minimum
    }
}
