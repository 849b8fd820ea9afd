// Top-k: MaxScore (Turtle and Flood, "Query evaluation: strategies and optimizations", 1995) over windows of node numbers, with
// block maxima (Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011), in the form that Lucene
// has since 9.9 (`MaxScoreBulkScorer`).
//
// The nodes are gone through in windows of 4,096. In each, a term has a bound: the greatest share that a block which
// reaches into the window allows. Terms are ordered by it. As many of the lowest as together cannot lift a text over the
// worst of the best so far are not *essential*: a text that has only these is none of the results. The essential
// ones are added up, block by block, into an array of 4,096 sums; every sum that could still get over the worst with the help of
// the others is a candidate, and only for candidates the others are looked up, the greatest bound first, until the rest can
// no longer help. (Where looking up would cost more than adding, the others are added too.) When no term is essential the window is passed
// over, and nothing of it is unpacked.
//
// Sums are integers (BM25.swift), so the order of adding does not show in them. Candidates come in rising order, so that of two equal
// scores the later node never displaces the earlier: a candidate must be over the worst.
//
// Why not block-max WAND: it moves from text to text, and with three to six terms it must sort its cursors at every step.
// Adding up is 0.6 to 0.9 ns a posting (a share is looked up by frequency and length), and candidates are few once ten good texts are known.

internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

struct TextSearch: ~Copyable {
    static let window = SearchMemory.window

    private let index: TextIndex
    private let norm: LengthNorm
    private let memory: SearchMemory
    private let positions: PositionReader
    private var best: BestMatches
    /// Terms that count.
    var scored: [PostingCursor] = []
    /// Of each group at least one term must be in a text.
    var required: [[PostingCursor]] = []
    /// No text may have all terms of one of these; with a phrase, one after another.
    var excluded: [(terms: [PostingCursor], phrase: [UInt64]?)] = []
    /// Runs of terms that must stand one after another in a text; all of them are required.
    var phrases: [[UInt64]] = []

    init(_ index: TextIndex, _ norm: LengthNorm, count: Int, _ memory: SearchMemory) {
        self.index = index
        self.norm = norm
        self.memory = memory
        positions = PositionReader(index.scope)
        best = BestMatches(count: count)
    }

    /// What a term can do in the current window.
    private struct Bound: BitwiseCopyable {
        var cursor: PostingCursor
        var reach: PostingCursor.Reach
    }

    /// Few essential postings become candidates, but looking one up costs as much as adding many postings: a term with no more postings in the
    /// window than the essential ones is added with them. (0, 1/2, 1, 2, 4 times as many tried: 95, 92, 78, 75, 74 microseconds a query on
    /// short texts, 110, 101, 91, 94, 100 on long ones.)
    /// What looking up a candidate costs, in postings that are added.
    private static let lookUpCost = 10

    mutating func run(_ weights: QueryWeights, where filter: ((NodeID) throws -> Bool)?, in view: borrowing TransactionView) throws -> [TextMatch] {
        if scored.isEmpty { return [] }
        let (memory, total) = (memory, scored.count)
        let cursors = unsafe memory.allocate(PostingCursor.self, total)
        for place in 0..<total { unsafe (cursors + place).initialize(to: scored[place]) }
        let bounds = unsafe memory.allocate(Bound.self, total)
        var lengths = LengthWindow(index, memory)
        var position: UInt32? = scored.map(\.firstNode).min()
        while let node = position {
            let start = node & ~UInt32(Self.window - 1)
            let end = start | UInt32(Self.window - 1)
            var entered = 0
            for place in 0..<total {
                let cursor = unsafe cursors[place]
                guard let reach = cursor.enter(start, end) else { continue }
                var at = entered
                while at > 0, unsafe bounds[at - 1].reach.bound > reach.bound {
                    unsafe bounds[at] = bounds[at - 1]
                    at -= 1
                }
                unsafe bounds[at] = Bound(cursor: cursor, reach: reach)
                entered += 1
            }
            let threshold = Int64(best.threshold)
            // Sums of up to 2^30 and a little: in 64 bits nothing runs over.
            var (rest, others) = (Int64(0), 0)
            while others < entered, unsafe rest + Int64(bounds[others].reach.bound) <= threshold {
                rest += unsafe Int64(bounds[others].reach.bound)
                others += 1
            }
            if others < entered, entersRequired(start, end) {
                var postings = 0
                for place in others..<entered { postings += unsafe bounds[place].reach.postings }
                while others > 0, unsafe bounds[others - 1].reach.postings <= postings {
                    others -= 1
                    rest -= unsafe Int64(bounds[others].reach.bound)
                    postings += unsafe bounds[others].reach.postings
                }
                try lengths.move(to: start, in: view)
                for place in others..<entered {
                    unsafe try bounds[place].cursor.addShares(lengths.window, end, sums: memory.sums, memory)
                }
                for group in excluded {
                    for cursor in group.terms { _ = cursor.enter(start, end) }
                }
                var found = unsafe ck_take_over(kernelLevel, memory.sums, Int32(max(0, threshold - rest)), memory.places, memory.taken)
                guard found == 0 || !lengths.isEmpty else { throw TextIndex.contradiction("the lengths of nodes from \(start) on are missing") }
                var isDirty = false
                // The others, the greatest bound first: what each adds to the candidates, of which those stay that can still get over the worst.
                while others > 0, found > 0 {
                    others -= 1
                    let other = unsafe bounds[others]
                    rest -= Int64(other.reach.bound)
                    if found * Self.lookUpCost < other.reach.postings {
                        found = try lookUp(other.cursor, found, needed: threshold - rest, lengths)
                    } else {
                        for candidate in 0..<found { unsafe memory.sums[Int(memory.places[candidate])] = memory.taken[candidate] }
                        unsafe try other.cursor.addShares(lengths.window, end, sums: memory.sums, memory)
                        isDirty = true
                        found = keep(found, needed: threshold - rest)
                    }
                }
                if isDirty { unsafe memory.sums.update(repeating: 0, count: Self.window) }
                for candidate in 0..<found {
                    let sum = unsafe memory.taken[candidate]
                    guard sum > best.threshold else { continue }
                    let node = unsafe start + memory.places[candidate]
                    guard try admits(node, lengths, in: view), try filter?(NodeID(rawValue: node)) ?? true else { continue }
                    best.offer(node, sum)
                }
            }
            guard end < UInt32.max else { break }
            position = try next(after: end)
        }
        return best.sorted().map { TextMatch(node: NodeID(rawValue: $0.node), score: $0.sum / weights.scale) }
    }

    /// Adds a term's shares to the sums of the candidates; those stay that are then over `needed`. Returns how many.
    @inline(__always)
    private func lookUp(_ cursor: PostingCursor, _ found: Int, needed: Int64, _ lengths: borrowing LengthWindow) throws -> Int {
        let (places, taken, start) = unsafe (memory.places, memory.taken, lengths.window.start)
        let scale = cursor.scale
        var kept = 0
        for candidate in 0..<found {
            var sum = unsafe taken[candidate]
            let place = unsafe places[candidate]
            guard let count = try cursor.find(start + place, over: needed - Int64(sum)) else { continue }
            if count > 0 { sum &+= LengthNorm.share(scale, count: count, length: lengths.length(place)) }
            if Int64(sum) <= needed { continue }
            unsafe taken[kept] = sum
            unsafe places[kept] = place
            kept += 1
        }
        return kept
    }

    /// Takes the sums of the candidates anew; those stay that are over `needed`. Returns how many.
    @inline(__always)
    private func keep(_ found: Int, needed: Int64) -> Int {
        var kept = 0
        for candidate in 0..<found {
            let place = unsafe memory.places[candidate]
            let sum = unsafe memory.sums[Int(place)]
            unsafe memory.taken[kept] = sum
            unsafe memory.places[kept] = place
            kept += Int64(sum) > needed ? 1 : 0
        }
        return kept
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
    private func admits(_ node: UInt32, _ lengths: borrowing LengthWindow, in view: borrowing TransactionView) throws -> Bool {
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
    private func stands(_ phrase: [UInt64], _ node: UInt32, _ lengths: borrowing LengthWindow, in view: borrowing TransactionView) throws -> Bool {
        try unsafe positions.stands(phrase, node, length: Int(lengths.length(node - lengths.window.start)), in: view)
    }
}

/// The best so far: a binary heap with the worst on top.
private struct BestMatches {
    /// A match as one number, greater when it is better: the bits of its sum as a Float, which rise with it since it is not negative, then those
    /// of its node, reversed. (Scores are told as Float: two sums that are one Float are equal.)
    struct Match {
        let order: UInt64

        init(order: UInt64) { self.order = order }
        init(_ node: UInt32, _ sum: Int32) { order = UInt64(Float(sum).bitPattern) << 32 | UInt64(~node) }

        var node: UInt32 { ~UInt32(truncatingIfNeeded: order) }
        var sum: Float { Float(bitPattern: UInt32(truncatingIfNeeded: order >> 32)) }
    }

    private let count: Int
    private var heap: [UInt64] = []
    /// A later node must have more than this.
    private(set) var threshold: Int32 = 0

    init(count: Int) {
        self.count = count
        heap.reserveCapacity(min(count, 4_096))
    }

    /// - Precondition: nodes come in rising order, and `sum` is over `threshold`.
    mutating func offer(_ node: UInt32, _ sum: Int32) {
        let match = Match(node, sum).order
        if heap.count < count {
            heap.append(match)
            var child = heap.count - 1
            while child > 0, match < heap[(child - 1) / 2] {
                heap[child] = heap[(child - 1) / 2]
                child = (child - 1) / 2
            }
            heap[child] = match
            if heap.count < count { return }
        } else {
            if match < heap[0] { return }
            let end = heap.count
            var parent = 0
            while 2 * parent + 1 < end {
                var child = 2 * parent + 1
                if child + 1 < end, heap[child + 1] < heap[child] { child += 1 }
                if match <= heap[child] { break }
                heap[parent] = heap[child]
                parent = child
            }
            heap[parent] = match
        }
        // A Float made of an integer is one, and at most 2^30 and a little unless a record is damaged.
        threshold = Int32(clamping: Int64(worst.sum))
    }

    private var worst: Match { Match(order: heap[0]) }

    func sorted() -> [Match] { heap.sorted(by: >).map { Match(order: $0) } }
}
