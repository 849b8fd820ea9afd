internal import Base
internal import CKernels

/// A slot met on the way and its similarity to what is looked for.
struct Candidate {
    var similarity: Float
    var slot: UInt32

    /// Nearer first; equal similarity by number, so that every run takes the same way.
    static func precedes(_ a: Candidate, _ b: Candidate) -> Bool { a.similarity > b.similarity || (a.similarity == b.similarity && a.slot < b.slot) }
}

/// The best candidates so far, best first, and which of them still have to be expanded.
///
/// One sorted array does the work of the paper's two heaps W and C: a candidate that falls off the end of W can no longer
/// be expanded under the paper's stopping rule, so C without W is never needed. A place is one number of 64 bits: the
/// similarity, turned so that smaller is nearer, then the slot, then whether it was expanded. Insertion moves 8 bytes a place;
/// with a few hundred places that is cheaper than a heap's jumps.
@safe
struct CandidatePool {
    private var places: UnsafeMutablePointer<UInt64>
    private(set) var count = 0
    private(set) var capacity: Int
    /// Every place before it is expanded.
    private var firstOpen = 0

    /// Uses the first `capacity` of `places`, which the caller keeps alive.
    init(_ places: UnsafeMutablePointer<UInt64>, capacity: Int) {
        unsafe self.places = places
        self.capacity = capacity
    }

    @inline(__always)
    private static func place(_ similarity: Float, _ slot: UInt32) -> UInt64 {
        // Ascending bits for descending numbers. Adding zero makes one zero of the two.
        let bits = (similarity + 0).bitPattern
        let descending = bits >> 31 == 1 ? bits : ~bits & 0x7FFF_FFFF
        return UInt64(descending) << 32 | UInt64(slot) << 1
    }

    @inline(__always)
    private static func similarity(_ place: UInt64) -> Float {
        let bits = UInt32(truncatingIfNeeded: place >> 32)
        return Float(bitPattern: bits >> 31 == 1 ? bits : ~bits & 0x7FFF_FFFF)
    }

    @inline(__always)
    private static func slot(_ place: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: place & 0xFFFF_FFFF) >> 1 }

    /// Takes the candidate in when it is among the best `capacity`.
    @inline(__always) @discardableResult
    mutating func offer(_ slot: UInt32, _ similarity: Float) -> Bool {
        let new = Self.place(similarity, slot)
        if count == capacity {
            guard unsafe new < places[count - 1] else { return false }
            count -= 1
        }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if unsafe new < places[middle] { high = middle } else { low = middle + 1 }
        }
        unsafe (places + low + 1).update(from: places + low, count: count - low)
        unsafe places[low] = new
        count += 1
        if low < firstOpen { firstOpen = low }
        return true
    }

    /// The best candidate that was not expanded yet; nil when all are.
    @inline(__always)
    mutating func nextOpen() -> Candidate? {
        while firstOpen < count {
            let place = unsafe places[firstOpen]
            if place & 1 == 0 { return Candidate(similarity: Self.similarity(place), slot: Self.slot(place)) }
            firstOpen += 1
        }
        return nil
    }

    /// What `nextOpen` returned last is expanded.
    @inline(__always)
    mutating func markExpanded() { unsafe places[firstOpen] |= 1 }

    var isFull: Bool { count == capacity }

    subscript(_ rank: Int) -> Candidate {
        precondition(rank < count, "rank \(rank) of \(count)")
        let place = unsafe places[rank]
        return Candidate(similarity: Self.similarity(place), slot: Self.slot(place))
    }

    var candidates: [Candidate] { (0..<count).map { self[$0] } }
}

/// Everything that a search writes to: made once, used by one search at a time, kept for the next.
@safe
final class SearchScratch: @unchecked Sendable {
    // Unchecked: only IndexMemory's lock hands it on, to one thread at a time.

    let code: CodeBuffer
    /// The other side of products between stored vectors.
    let expanded: CodeBuffer
    /// A level's lists hold 255 slots at most. There is room for two lists: a walk compares one while it gathers the next.
    static let listMax = 256
    let slots: UnsafeMutablePointer<UInt32>
    let codes: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    let products: UnsafeMutablePointer<Int32>
    private var places: UnsafeMutablePointer<UInt64>
    private var placesCapacity = 0
    /// One bit a slot, all zero between two walks. A byte would be read as fast, and of a million not stay in the second-level cache.
    private var visited: UnsafeMutablePointer<UInt8>
    private var visitedBytes = 0
    /// The slots whose bits are set.
    private var met: [UInt32] = []

    init(padded: Int) {
        code = CodeBuffer(padded: padded)
        expanded = CodeBuffer(padded: padded)
        unsafe slots = .allocate(capacity: 2 * Self.listMax)
        unsafe codes = .allocate(capacity: 2 * Self.listMax)
        unsafe products = .allocate(capacity: 2 * Self.listMax)
        unsafe slots.initialize(repeating: 0, count: 2 * Self.listMax)
        unsafe codes.initialize(repeating: nil, count: 2 * Self.listMax)
        unsafe products.initialize(repeating: 0, count: 2 * Self.listMax)
        unsafe places = .allocate(capacity: 1)
        unsafe visited = .allocate(capacity: 1)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe codes.deallocate()
        unsafe products.deallocate()
        unsafe places.deallocate()
        unsafe visited.deallocate()
    }

    /// Two empty pools; they are good until the next call.
    func pools(_ first: Int, _ second: Int) -> (CandidatePool, CandidatePool) {
        if placesCapacity < first + second + 2 {
            unsafe places.deallocate()
            placesCapacity = 2 * (first + second + 2)
            unsafe places = .allocate(capacity: placesCapacity)
            unsafe places.initialize(repeating: 0, count: placesCapacity)
        }
        return unsafe (CandidatePool(places, capacity: first), CandidatePool(places + first + 1, capacity: second))
    }

    /// Bit i mod 8 of byte i / 8: slot i has been met. None has; whoever sets one says so with `note` before the walk ends with `endVisit`.
    func beginVisit(slots: Int) -> UnsafeMutablePointer<UInt8> {
        if visitedBytes < (slots + 7) / 8 {
            unsafe visited.deallocate()
            visitedBytes = (slots + slots / 4) / 8 + 32
            unsafe visited = .allocate(capacity: visitedBytes)
            unsafe visited.initialize(repeating: 0, count: visitedBytes)
        }
        return unsafe visited
    }

    /// The slots at these places have been met.
    @inline(__always)
    func note(_ places: Range<Int>) {
        unsafe met.append(contentsOf: UnsafeBufferPointer(start: slots + places.lowerBound, count: places.count))
    }

    func endVisit() {
        for slot in met { unsafe visited[Int(slot >> 3)] = 0 }
        met.removeAll(keepingCapacity: true)
    }
}
