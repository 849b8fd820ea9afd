internal import Base
internal import CKernels
internal import KeySpace
internal import LMDB

/// The links that a change of the graph touches: read once, changed here, written together at the end.
///
/// Every link is kept at both of its ends. That is the graph's first invariant (a is in links(b) exactly if b is in
/// links(a), at each level), and because of it a removal knows every record that names the slot.
struct GraphEdit {
    let access: GraphAccess
    let quantiser: Quantiser
    let scratch: SearchScratch
    private(set) var rows: LinkRows
    private(set) var changed: Set<UInt32> = []

    init(_ access: GraphAccess, _ quantiser: Quantiser, _ scratch: SearchScratch, rows: LinkRows) {
        self.access = access
        self.quantiser = quantiser
        self.scratch = scratch
        self.rows = rows
    }

    /// Puts a record in the place of the slot's own, if it has one.
    mutating func set(_ slot: UInt32, _ links: NodeLinks) {
        rows[slot] = links
        changed.insert(slot)
    }

    /// Brings a slot's links here.
    /// - Throws: `.damaged` when they are missing.
    @discardableResult
    mutating func load(_ slot: UInt32, in view: borrowing TransactionView) throws -> NodeLinks {
        if let links = rows[slot] { return links }
        guard slot < access.state.slots else { throw GraphDamage.outOfRange(slot, access.state.slots) }
        let links = try unsafe NodeLinks(verified: access.links(slot, in: view))
        rows[slot] = links
        return links
    }

    /// The neighbours of a loaded slot, ascending; none above its own level.
    func neighbours(of slot: UInt32, at level: Int) -> [UInt32] {
        guard let links = rows[slot], level < links.levels.count else { return [] }
        return links.levels[level]
    }

    func degree(of slot: UInt32, at level: Int) -> Int { neighbours(of: slot, at: level).count }

    func level(of slot: UInt32) -> Int { rows[slot]?.level ?? 0 }

    func isLinked(_ a: UInt32, _ b: UInt32, at level: Int) -> Bool {
        let list = neighbours(of: a, at: level)
        let at = Self.place(of: b, in: list)
        return at < list.count && list[at] == b
    }

    /// A third that both are linked to, so that they stay connected when the link between them goes.
    func haveCommonNeighbour(_ a: UInt32, _ b: UInt32, at level: Int) -> Bool {
        let (left, right) = (neighbours(of: a, at: level), neighbours(of: b, at: level))
        var (i, j) = (0, 0)
        while i < left.count && j < right.count {
            if left[i] == right[j] { return true }
            if left[i] < right[j] { i += 1 } else { j += 1 }
        }
        return false
    }

    /// Links two different loaded slots, at both ends.
    /// - Throws: `.damaged` when one of them is not on this level, which only a wrong list elsewhere can cause.
    mutating func link(_ a: UInt32, _ b: UInt32, at level: Int) throws {
        let wasSound = Invariants.areChecked && isSound(a, b, at: level)
        for (one, other) in [(a, b), (b, a)] {
            try change(one, at: level) { list in
                let at = Self.place(of: other, in: list)
                if at == list.count || list[at] != other { list.insert(other, at: at) }
            }
        }
        if wasSound { Invariants.hold(checkInvariants(of: a, b, at: level, areLinked: true)) }
    }

    mutating func unlink(_ a: UInt32, _ b: UInt32, at level: Int) throws {
        let wasSound = Invariants.areChecked && isSound(a, b, at: level)
        for (one, other) in [(a, b), (b, a)] {
            try change(one, at: level) { list in
                let at = Self.place(of: other, in: list)
                if at < list.count && list[at] == other { list.remove(at: at) }
            }
        }
        if wasSound { Invariants.hold(checkInvariants(of: a, b, at: level, areLinked: false)) }
    }

    mutating func setPreviousTwin(of twin: UInt32, to slot: UInt32, in view: borrowing TransactionView) throws {
        var links = try load(twin, in: view)
        guard links.isTwin else {
            throw ContexError.damaged("slot \(twin) is named as a twin and is a member of the vector graph: stop the server and run 'contex check'")
        }
        links.previousTwin = slot
        set(twin, links)
    }

    /// Leaves a slot out of what will be written; its record is the caller's to delete.
    mutating func forget(_ slot: UInt32) {
        rows[slot] = nil
        changed.remove(slot)
    }

    /// Writes every changed list, in the order of the slots, and says so to `access`.
    mutating func write(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        var key = NumberKey(scope, .vectorLinks)
        for slot in changed.sorted() {
            guard let links = rows[slot] else { continue }
            key.point(to: slot)
            let payload = links.encoded()
            try transaction.store(key.bytes, payload)
            access.replaceLinks(slot, payload)
        }
        changed.removeAll(keepingCapacity: true)
    }

    /// Shows every changed list to the walks of `access`, and writes nothing.
    mutating func publish() {
        for slot in changed { if let links = rows[slot] { access.replaceLinks(slot, links.encoded()) } }
        changed.removeAll(keepingCapacity: true)
    }

    private mutating func change(_ slot: UInt32, at level: Int, _ body: (inout [UInt32]) -> Void) throws {
        guard let levels = rows[slot]?.levels.count, level < levels else {
            throw ContexError.damaged("slot \(slot) is linked at level \(level), above its own: stop the server and run 'contex check'")
        }
        body(&rows[slot]!.levels[level])
        changed.insert(slot)
    }

    /// Whether the lists of two slots are as they should be. They come from the disk: damage there is no fault of a change.
    private func isSound(_ a: UInt32, _ b: UInt32, at level: Int) -> Bool {
        a != b && [a, b].allSatisfy { slot in
            let list = neighbours(of: slot, at: level)
            return !list.contains(slot) && zip(list, list.dropFirst()).allSatisfy { $0 < $1 }
        }
    }

    /// What a change must leave: both ends say the same, lists ascend, nobody is his own neighbour. Each finding is a sentence; for tests.
    func checkInvariants(of a: UInt32, _ b: UInt32, at level: Int, areLinked: Bool) -> [String] {
        var faults: [String] = []
        for (one, other) in [(a, b), (b, a)] {
            let list = neighbours(of: one, at: level)
            if zip(list, list.dropFirst()).contains(where: { $0 >= $1 }) { faults.append("the neighbours of slot \(one) do not ascend") }
            if list.contains(one) { faults.append("slot \(one) is its own neighbour") }
            if list.contains(other) != areLinked { faults.append("slots \(one) and \(other) are \(areLinked ? "not " : "")linked at level \(level)") }
            if !changed.contains(one) { faults.append("slot \(one) was changed and will not be written") }
        }
        return faults
    }

    /// Where `slot` is in the ascending list, or belongs.
    private static func place(of slot: UInt32, in list: [UInt32]) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle] < slot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Similarity of stored vectors

    /// How near each of `others` is to a slot, in order.
    func similarities(of slot: UInt32, to others: [UInt32], in view: borrowing TransactionView) throws -> [Float] {
        let side = scratch.expanded
        let own = try unsafe access.code(slot, in: view)
        unsafe quantiser.expand(own, factor: GraphAccess.factor(own), side)
        var answer: [Float] = []
        answer.reserveCapacity(others.count)
        for start in stride(from: 0, to: others.count, by: SearchScratch.listMax) {
            let count = min(SearchScratch.listMax, others.count - start)
            for place in 0..<count {
                let code = try unsafe access.code(others[start + place], in: view)
                unsafe ck_prefetch_bytes(code, access.layout.codeBytes)
                unsafe scratch.codes[place] = code
            }
            unsafe ck_codes_products(
                quantiser.level, Int32(access.layout.bits), side.query, access.layout.padded, scratch.codes, count, scratch.products)
            for place in 0..<count {
                answer.append(unsafe GraphAccess.factor(scratch.codes[place]!) * side.scale * (Float(scratch.products[place]) - side.offset))
            }
        }
        return answer
    }

    /// The slots by nearness to `base`.
    func ranking(of slots: [UInt32], around base: UInt32, in view: borrowing TransactionView) throws -> [Candidate] {
        let similarities = try similarities(of: base, to: slots, in: view)
        var ranked: [Candidate] = []
        ranked.reserveCapacity(slots.count)
        for (slot, similarity) in zip(slots, similarities) { ranked.append(Candidate(similarity: similarity, slot: slot)) }
        ranked.sort(by: Candidate.precedes)
        return ranked
    }
}
