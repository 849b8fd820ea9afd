// Top-k: MaxScore (Turtle and Flood, "Query evaluation: strategies and optimizations", 1995) over windows of node numbers, with
// block maxima (Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011), in the form that Lucene
// has since 9.9 (`MaxScoreBulkScorer`).
//
// The nodes are gone through in windows of 4,096. In each, a term has a bound: the greatest share that a block which
// reaches into the window allows. Terms are ordered by it. As many of the lowest as together cannot lift a text over the
// worst of the best so far are not *essential*: a text that has only these is none of the results. The essential
// ones are added up, block by block, into an array of 4,096 sums; every sum that could still get over the worst with the help of
// the others is a candidate, and only for candidates the others are looked up, the greatest bound first, until the rest can
// no longer help. When no term is essential the window is passed over, and nothing of it is unpacked.
//
// Sums are integers (BM25.swift), so the order of adding does not show in them. Candidates come in rising order, so that of two equal
// scores the later node never displaces the earlier: a candidate must be over the worst.
//
// Why not block-max WAND: it moves from text to text, and with three to six terms it must sort its cursors at every step.
// Adding up is 1 ns a posting in vector registers, and candidates are few once ten good texts are known.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

struct TextSearch {
    static let window = Int(CK_POSTINGS_WINDOW)

    private let index: TextIndex
    private let norm: LengthNorm
    private var best: BestMatches
    /// Terms that count.
    var scored: [PostingCursor] = []
    /// Of each group at least one term must be in a text.
    var required: [[PostingCursor]] = []
    /// No text may have all terms of one of these; with a phrase, one after another.
    var excluded: [(terms: [PostingCursor], phrase: [UInt64]?)] = []
    /// Runs of terms that must stand one after another in a text; all of them are required.
    var phrases: [[UInt64]] = []

    init(_ index: TextIndex, _ norm: LengthNorm, count: Int) {
        self.index = index
        self.norm = norm
        best = BestMatches(count: count)
    }

    private struct Bound {
        var bound: Int32
        var place: Int
    }

    mutating func run(_ weights: QueryWeights, where filter: ((NodeID) throws -> Bool)?, in view: borrowing TransactionView) throws -> [TextMatch] {
        if scored.isEmpty { return [] }
        let scratch = Scratch(base: norm.base)
        var lengths: LengthView?
        var lengthsChunk = -1
        var bounds: [Bound] = []
        bounds.reserveCapacity(scored.count)
        var position: UInt32? = scored.map(\.firstNode).min()
        while let node = position {
            let start = node & ~UInt32(Self.window - 1)
            let end = start | UInt32(Self.window - 1)
            bounds.removeAll(keepingCapacity: true)
            for place in scored.indices {
                if let bound = scored[place].enter(start, end) { bounds.append(Bound(bound: bound, place: place)) }
            }
            bounds.sort { $0.bound < $1.bound }
            let threshold = best.threshold
            // Sums of up to 2^30 and a little: in 64 bits nothing runs over.
            var (rest, essential) = (Int64(0), 0)
            while essential < bounds.count, rest + Int64(bounds[essential].bound) <= Int64(threshold) {
                rest += Int64(bounds[essential].bound)
                essential += 1
            }
            if essential < bounds.count, entersRequired(start, end) {
                let chunk = Int(start) / LengthRecord.nodes
                if chunk != lengthsChunk {
                    lengths = try lengthView(UInt32(chunk), in: view)
                    lengthsChunk = chunk
                }
                // A block may reach over a stretch of nodes without texts.
                if let lengths { scratch.fillNorms(lengths, norm, from: Int(start) % LengthRecord.nodes) }
                for place in essential..<bounds.count {
                    unsafe try scored[bounds[place].place].addShares(start, end, norms: scratch.norms, sums: scratch.sums)
                }
                for group in excluded {
                    for cursor in group.terms { _ = cursor.enter(start, end) }
                }
                let limit = Int32(clamping: max(0, Int64(threshold) - rest))
                let found = unsafe ck_take_over(kernelLevel, scratch.sums, limit, scratch.places, scratch.taken)
                for candidate in 0..<found {
                    guard let lengths else { throw TextIndex.contradiction("the lengths of nodes from \(start) on are missing") }
                    let place = unsafe Int(scratch.places[candidate])
                    let node = start + UInt32(place)
                    var sum = unsafe scratch.taken[candidate]
                    var open = rest
                    var other = essential - 1
                    var isOut = Int64(sum) + open <= Int64(best.threshold)
                    while !isOut, other >= 0 {
                        let bound = bounds[other]
                        open -= Int64(bound.bound)
                        let cursor = scored[bound.place]
                        let needed = Int64(best.threshold) - Int64(sum) - open
                        guard let count = try cursor.find(node, over: needed) else {
                            isOut = true
                            break
                        }
                        if count > 0 { sum &+= norm.share(cursor.weight, count: count, length: lengths.length(of: node) ?? 0) }
                        isOut = Int64(sum) + open <= Int64(best.threshold)
                        other -= 1
                    }
                    guard !isOut, sum > best.threshold, try admits(node, lengths, in: view), try filter?(NodeID(rawValue: node)) ?? true else { continue }
                    best.offer(node, sum)
                }
            }
            guard end < UInt32.max else { break }
            position = try next(after: end)
        }
        return best.sorted().map { TextMatch(node: NodeID(rawValue: $0.node), score: weights.score($0.sum)) }
    }

    /// The lowest node after a window where something may lie.
    private func next(after end: UInt32) throws -> UInt32? {
        var lowest: UInt32?
        for cursor in scored {
            guard let node = try cursor.next(after: end) else { continue }
            lowest = min(lowest ?? .max, node)
            if node == end + 1 { break }
        }
        return lowest
    }

    private func entersRequired(_ start: UInt32, _ end: UInt32) -> Bool {
        for group in required {
            var isThere = false
            for cursor in group where cursor.enter(start, end) != nil { isThere = true }
            if !isThere { return false }
        }
        return true
    }

    /// What the query demands beside a score.
    private func admits(_ node: UInt32, _ lengths: LengthView, in view: borrowing TransactionView) throws -> Bool {
        for group in required {
            var isThere = false
            for cursor in group where try cursor.find(node) ?? 0 > 0 {
                isThere = true
                break
            }
            if !isThere { return false }
        }
        for phrase in phrases where try !stands(phrase, node, lengths, in: view) { return false }
        for group in excluded {
            var hasAll = true
            for cursor in group.terms where try cursor.find(node) ?? 0 == 0 {
                hasAll = false
                break
            }
            guard hasAll else { continue }
            guard let phrase = group.phrase, try !stands(phrase, node, lengths, in: view) else { return false }
        }
        return true
    }

    /// Whether the terms of a phrase, all of them in a node's text, stand there one after another.
    private func stands(_ phrase: [UInt64], _ node: UInt32, _ lengths: LengthView, in view: borrowing TransactionView) throws -> Bool {
        guard let record = try view.load(index.scope.key(.textPositions, node)) else {
            if phrase.count > Int(lengths.length(of: node) ?? 0) { return false }
            throw TextIndex.contradiction("the order of terms of node \(node) is missing")
        }
        return try PositionRecord.holds(phrase, length: Int(lengths.length(of: node) ?? 0), record)
    }

    private func lengthView(_ chunk: UInt32, in view: borrowing TransactionView) throws -> LengthView? {
        guard let record = try view.load(index.scope.key(.textLengths, chunk)) else { return nil }
        // The pointer stays good beyond the closure: the page is mapped and unchanged as long as the view.
        return try unsafe record.withUnsafeBytes { buffer in
            var reader = unsafe RecordReader(buffer)
            return try LengthView(&reader)
        }
    }
}

/// The arrays of one search.
@safe
private final class Scratch {
    let norms: UnsafeMutablePointer<Float>
    let sums: UnsafeMutablePointer<Int32>
    let places: UnsafeMutablePointer<UInt32>
    let taken: UnsafeMutablePointer<Int32>

    init(base: Float) {
        unsafe norms = .allocate(capacity: TextSearch.window)
        unsafe sums = .allocate(capacity: TextSearch.window)
        unsafe places = .allocate(capacity: TextSearch.window)
        unsafe taken = .allocate(capacity: TextSearch.window)
        unsafe norms.initialize(repeating: base, count: TextSearch.window)
        unsafe sums.initialize(repeating: 0, count: TextSearch.window)
    }

    deinit {
        unsafe norms.deallocate()
        unsafe sums.deallocate()
        unsafe places.deallocate()
        unsafe taken.deallocate()
    }

    /// The length norms of the window that begins at place `from` of its chunk. Nodes outside of the record keep what was there: they have no postings.
    @inline(__always)
    func fillNorms(_ lengths: LengthView, _ norm: LengthNorm, from: Int) {
        let first = max(from, lengths.first)
        let end = min(from + TextSearch.window, lengths.first + lengths.count)
        guard first < end else { return }
        // Inside the record (first, end), and inside the window's array.
        unsafe ck_norms(
            kernelLevel, lengths.start + (first - lengths.first) * lengths.width, UInt32(lengths.width), end - first, norm.base, norm.slope,
            norms + (first - from))
    }
}

/// The best so far: a binary heap with the worst on top.
private struct BestMatches {
    struct Match {
        var node: UInt32
        var sum: Int32
    }

    private let count: Int
    private var heap: [Match] = []
    /// A later node must have more than this.
    private(set) var threshold: Int32 = 0

    init(count: Int) {
        self.count = count
        heap.reserveCapacity(min(count, 4_096))
    }

    /// Scores are told as Float: two sums that are one Float are equal.
    private static func isWorse(_ a: Match, _ b: Match) -> Bool {
        let (x, y) = (Float(a.sum), Float(b.sum))
        return x != y ? x < y : a.node > b.node
    }

    /// - Precondition: nodes come in rising order.
    mutating func offer(_ node: UInt32, _ sum: Int32) {
        let match = Match(node: node, sum: sum)
        if heap.count < count {
            heap.append(match)
            var child = heap.count - 1
            while child > 0, Self.isWorse(heap[child], heap[(child - 1) / 2]) {
                heap.swapAt(child, (child - 1) / 2)
                child = (child - 1) / 2
            }
            if heap.count < count { return }
        } else {
            if Self.isWorse(match, heap[0]) { return }
            heap[0] = match
            var parent = 0
            while true {
                var worst = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && Self.isWorse(heap[child], heap[worst]) { worst = child }
                if worst == parent { break }
                heap.swapAt(parent, worst)
                parent = worst
            }
        }
        // A Float made of an integer is one, and at most 2^30 and a little unless a record is damaged.
        threshold = Int32(clamping: Int64(Float(heap[0].sum)))
    }

    func sorted() -> [Match] { heap.sorted { Self.isWorse($1, $0) } }
}
