// Searching: algorithms 2 (one level) and 5 (the whole graph) of Malkov & Yashunin, "Efficient and robust approximate
// nearest neighbor search using Hierarchical Navigable Small World graphs", IEEE TPAMI 42(4), 2020,
// doi:10.1109/TPAMI.2018.2889473. Where the paper has distances, this has cosines: larger is nearer.
//
// The walk compares codes (VectorCode.swift). A hop reads one links record, gathers the codes of the neighbours that were
// not met yet, and gives them to one kernel call. What the walk found best is compared again by the vectors themselves before
// it is answered.
//
// Most of a hop is waiting for memory: a links record, then some twenty codes at any places. So three hops are under way at a
// time: while the codes of one are compared, those of the next and the links of the one after it are fetched. A candidate is
// chosen before the two hops ahead of it have told what they found; it may not be the nearest then. Nothing is lost by that: the walk ends
// when all that the pool keeps are expanded, in whatever order, and the few that it expands too much only add to what it has seen.

internal import Base
internal import CKernels
internal import KeySpace
public import LMDB

extension VectorIndex {
    /// The nearest nodes, best first; equal cosines by node number (of equal vectors at the end of the list, any). Exact with
    /// fewer than `exactBelow` vectors, and when more than 2,048 are asked for.
    ///
    /// - Parameters:
    ///   - count: how many; fewer come back only when the project has fewer.
    ///   - effort: how hard to look; nil for the index's own `efSearch`.
    /// - Throws: `.damaged` when a record that the graph points to is missing or broken.
    /// - Complexity: about O(efSearch x M0) comparisons of codes and O(log n) steps down from the top level.
    public func search(_ query: [Float], count: Int, effort: SearchEffort? = nil, in view: borrowing TransactionView) throws -> [VectorMatch] {
        try validate(query: query)
        guard count > 0, let state = try state(in: view) else { return [] }
        guard state.count >= parameters.exactBelow, count <= Self.orderedMax else { return try exactSearch(query, count: count, in: view) }
        let memory = memory(of: state, in: view)
        let access = access(memory, state, in: view)
        return try memory.withScratch { (scratch: SearchScratch) throws in
            memory.quantiser.query(query, scratch.code)
            var walk = GraphWalk(access, scratch, memory.quantiser, side: scratch.code)
            let start = try walk.descend(to: 0, in: view)
            let wanted = (effort ?? .candidates(parameters.efSearch)).candidates
            var pool = scratch.pools(min(max(count, wanted), state.count), 0).0
            try walk.fill(&pool, at: 0, from: [start], in: view)
            return try matches(query, pool, count, access, in: view)
        }
    }

    /// Candidates by their codes, compared again by their vectors, best first, each with its twins.
    func matches(
        _ query: [Float], _ pool: CandidatePool, _ count: Int, _ access: GraphAccess, in view: borrowing TransactionView
    ) throws -> [VectorMatch] {
        let compared = compared(query, pool.count, count) { pool[$0].similarity }
        for rank in 0..<compared { access.prefetchSlot(pool[rank].slot) }
        var exact: [Candidate] = []
        exact.reserveCapacity(compared)
        for rank in 0..<compared {
            // The vector after next comes from memory while this one is compared.
            if rank + 2 < compared { unsafe ck_prefetch_bytes(try access.vector(pool[rank + 2].slot, in: view), access.layout.vectorBytes) }
            let candidate = pool[rank]
            exact.append(
                Candidate(similarity: try unsafe VectorBytes.dot(query, access.vector(candidate.slot, in: view)), slot: candidate.slot))
        }
        exact.sort(by: Candidate.precedes)
        var matches: [VectorMatch] = []
        matches.reserveCapacity(count)
        for candidate in exact where matches.count < count {
            let cosine = Self.cosine(candidate.similarity)
            matches.append(VectorMatch(node: try nodeID(candidate.slot, access, in: view), cosine: cosine))
            var next = try unsafe Self.nextTwin(access.links(candidate.slot, in: view))
            while let twin = next, matches.count < count {
                guard twin < access.state.slots else { throw GraphDamage.outOfRange(twin, access.state.slots) }
                matches.append(VectorMatch(node: try nodeID(twin, access, in: view), cosine: cosine))
                next = try unsafe Self.nextTwin(access.links(twin, in: view))
            }
        }
        return Self.sorted(matches)
    }

    /// How many of `found` candidates, best first by their codes, may be among the `count` best: those that do not fall behind the last of
    /// them by more than twice the usual error of a difference of two estimates, and not more than `rerank` beyond them.
    func compared(_ query: [Float], _ found: Int, _ count: Int, _ similarity: (Int) -> Float) -> Int {
        var compared = min(found, count + max(count / 2, parameters.rerank))
        guard compared > count else { return compared }
        // One estimate's error is about 0.1 / sqrt(dimension) times the query's length with 4 bits, and less with 8.
        let error = 0.1 * (VectorBytes.squaredLength(query) / Float(dimension)).squareRoot()
        let least = similarity(count - 1) - 2.5 * error
        while compared > count && similarity(compared - 1) < least { compared -= 1 }
        return compared
    }

    static func nextTwin(_ record: UnsafeRawPointer) -> UInt32? {
        guard unsafe record.load(fromByteOffset: 1, as: UInt8.self) == 1 else { return nil }
        return unsafe UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 2, as: UInt32.self))
    }
}

/// How hard a search looks.
public enum SearchEffort: Sendable, Equatable {
    /// Candidates kept on the way: the paper's efSearch. At least 1; a search keeps never fewer than it answers.
    case candidates(Int)
    /// So many as find this share of the true nearest ten, 0.5...0.9999, among 100,000 embeddings of short texts built with
    /// the default parameters (docs/performance.md). Other data, other counts: a wish, not a promise.
    case recall(Double)

    var candidates: Int {
        switch self {
        case .candidates(let count): max(1, count)
        // Fitted to the curve: 24 candidates miss 5 of 100, 115 miss 1, 220 miss one half.
        case .recall(let share): Int((1.4 * PortableMath.exp(-0.96 * PortableMath.log(1 - min(max(share, 0.5), 0.9999)))).rounded(.up))
        }
    }
}

/// One descent through the graph towards what `side` holds.
struct GraphWalk {
    let access: GraphAccess
    let scratch: SearchScratch
    let quantiser: Quantiser
    /// The query, or an expanded code.
    let side: CodeBuffer

    init(_ access: GraphAccess, _ scratch: SearchScratch, _ quantiser: Quantiser, side: CodeBuffer) {
        self.access = access
        self.scratch = scratch
        self.quantiser = quantiser
        self.side = side
    }

    /// From the entry point down to above `level`: the nearest there.
    mutating func descend(to level: Int, in view: borrowing TransactionView) throws -> Candidate {
        let entry = access.state.entry
        var nearest = Candidate(similarity: try similarity(to: entry, in: view), slot: entry)
        for above in stride(from: access.state.maxLevel, to: level, by: -1) { nearest = try closest(at: above, from: nearest, in: view) }
        return nearest
    }

    func similarity(to slot: UInt32, in view: borrowing TransactionView) throws -> Float {
        guard slot < access.state.slots else { throw GraphDamage.outOfRange(slot, access.state.slots) }
        unsafe scratch.codes[0] = try access.code(slot, in: view)
        products(0..<1)
        return similarity(0)
    }

    /// With one candidate kept: from neighbour to nearer neighbour.
    private mutating func closest(at level: Int, from start: Candidate, in view: borrowing TransactionView) throws -> Candidate {
        var nearest = start
        while true {
            let (list, count) = try unsafe Self.list(access.links(nearest.slot, in: view), at: level, of: nearest.slot)
            var met = 0
            for place in 0..<count {
                let slot = unsafe UInt32(littleEndian: list.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self))
                guard slot < access.state.slots else { throw GraphDamage.outOfRange(slot, access.state.slots) }
                met = try gather(slot, met, in: view)
            }
            products(0..<met)
            let before = nearest.slot
            for place in 0..<met {
                let found = unsafe Candidate(similarity: similarity(place), slot: scratch.slots[place])
                if Candidate.precedes(found, nearest) { nearest = found }
            }
            if nearest.slot == before { return nearest }
        }
    }

    /// Algorithm 2: fills the pool with the best slots of one level, reached from `start`.
    mutating func fill(_ pool: inout CandidatePool, at level: Int, from start: [Candidate], in view: borrowing TransactionView) throws {
        try fill(&pool, at: level, from: start, in: view) { _, _, _ in } isDone: { _ in false }
    }

    /// The same, and tells `met` of every slot on the way; ends early when `isDone` says so of the next candidate's similarity.
    @inline(__always)
    mutating func fill(
        _ pool: inout CandidatePool, at level: Int, from start: [Candidate], in view: borrowing TransactionView,
        met tell: (UInt32, Float, borrowing TransactionView) throws -> Void, isDone: (Float) -> Bool
    ) throws {
        let slots = access.state.slots
        let visited = unsafe scratch.beginVisit(slots: slots)
        defer { scratch.endVisit() }
        for candidate in start {
            unsafe visited[Int(candidate.slot >> 3)] |= 1 << UInt8(candidate.slot & 7)
            unsafe scratch.slots[0] = candidate.slot
            scratch.note(0..<1)
            pool.offer(candidate.slot, candidate.similarity)
        }
        /// Whose links are on their way; where the codes are noted that are gathered next; the codes that are on their way.
        var chosen: UInt32?
        var gathering = 0
        var coming = 0..<0
        while true {
            let expanded = chosen
            var met = gathering
            if let expanded {
                let (list, count) = try unsafe Self.list(access.links(expanded, in: view), at: level, of: expanded)
                for place in 0..<count {
                    let neighbour = unsafe UInt32(littleEndian: list.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self))
                    guard neighbour < slots else {
                        scratch.note(gathering..<met)
                        throw GraphDamage.outOfRange(neighbour, slots)
                    }
                    // Without a branch: which were met cannot be predicted, and each wrong guess would wait for this byte.
                    let (byte, bit) = unsafe (visited[Int(neighbour >> 3)], UInt8(1) &<< UInt8(neighbour & 7))
                    unsafe scratch.slots[met] = neighbour
                    met &+= byte & bit == 0 ? 1 : 0
                    unsafe visited[Int(neighbour >> 3)] = byte | bit
                }
                scratch.note(gathering..<met)
                for place in gathering..<met { _ = unsafe try gather(scratch.slots[place], place, in: view) }
            }
            chosen = nil
            if let next = pool.nextOpen(), !isDone(next.similarity) {
                pool.markExpanded()
                chosen = next.slot
                if let record = unsafe access.knownLinks(next.slot) { unsafe ck_prefetch_bytes(record, 140) }
            } else if expanded == nil, coming.isEmpty {
                return
            }
            products(coming)
            for place in coming {
                let (slot, similarity) = unsafe (scratch.slots[place], similarity(place))
                if pool.offer(slot, similarity) { access.table.prefetch(Int(slot)) }
                try tell(slot, similarity, view)
            }
            (coming, gathering) = (gathering..<met, SearchScratch.listMax - gathering)
        }
    }

    /// Puts the first `count` that were gathered into the pool.
    func offer(_ count: Int, to pool: inout CandidatePool) {
        products(0..<count)
        for place in 0..<count { unsafe pool.offer(scratch.slots[place], similarity(place)) }
    }

    /// Notes a slot's code at place `met` of the scratch and begins to fetch it.
    @inline(__always)
    func gather(_ slot: UInt32, _ met: Int, in view: borrowing TransactionView) throws -> Int {
        let code = try unsafe access.code(slot, in: view)
        unsafe ck_prefetch_bytes(code - ChunkLayout.factorBytes, access.layout.codeBytes + ChunkLayout.factorBytes)
        unsafe scratch.slots[met] = slot
        unsafe scratch.codes[met] = code
        return met + 1
    }

    @inline(__always)
    private func products(_ places: Range<Int>) {
        let (layout, first) = (access.layout, places.lowerBound)
        unsafe ck_codes_products(
            quantiser.level, Int32(layout.bits), side.query, layout.padded, scratch.codes + first, places.count, scratch.products + first)
    }

    /// Of the code at a place that `products` has done.
    @inline(__always)
    private func similarity(_ place: Int) -> Float {
        unsafe GraphAccess.factor(scratch.codes[place]!) * side.scale * (Float(scratch.products[place]) - side.offset)
    }

    /// Where the list of `level` begins in a verified links record, and its count.
    @inline(__always)
    static func list(_ record: UnsafeRawPointer, at level: Int, of slot: UInt32) throws -> (UnsafeRawPointer, Int) {
        let mark = unsafe record.load(as: UInt8.self)
        guard mark != NodeLinks.twinMark, level <= Int(mark) else { throw GraphDamage.notAMember(slot, level) }
        var at = unsafe record + NodeLinks.headBytes
        for _ in 0..<level { unsafe at += 1 + 4 * Int(at.load(as: UInt8.self)) }
        return unsafe (at + 1, Int(at.load(as: UInt8.self)))
    }
}
