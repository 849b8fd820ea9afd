public import Base
internal import CKernels
internal import Glibc
internal import KeySpace
public import LMDB

/// Reads everything of an index and says what is wrong with it; a part of `contex check`.
public enum VectorIndexCheck {
    /// One line for each fault, none for a sound index.
    ///
    /// Checked: every seal, size and layout; each expected node has one slot with one vector of unit length, the code that
    /// belongs to it, and one links record, and nothing else has; free slots hold zeros and are all in the list of free ones;
    /// lists ascending, within twice their bound, without the slot itself and without numbers of absent slots; every link at
    /// both ends; each level in one piece; every twin in the chain of a member with the same bytes; count, entry point and
    /// highest level of the state; the sum of the vectors.
    /// - Complexity: O(n x dimension) time, O(n x M0) memory.
    public static func findings(_ index: VectorIndex, expectedNodes: Set<NodeID>, in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let expected = Set(expectedNodes.map(\.rawValue))
        var state: GraphState? = nil
        do {
            state = try index.state(in: view)
        } catch {
            findings.append("state of the vector graph: \(error)")
            return findings
        }
        guard let state else {
            if !expected.isEmpty { findings.append("there is no state record of a vector graph, and \(expected.count) nodes should be in it") }
            for kind in [KeyKind.vector, .vectorLinks, .vectorSlots, .vectorCodes, .vectorNodes, .vectorSum] {
                var count = 0
                try view.scan(prefix: index.scope.key(kind)) { _, _ in
                    count += 1
                    return .onward
                }
                if count > 0 { findings.append("there is no state record of a vector graph, and \(count) records of kind \(kind)") }
            }
            return findings
        }
        let (slots, rows) = try checkSlots(index, state, in: view, &findings)
        let nodes = Set(slots.values)
        if state.count != slots.count { findings.append("the vector graph counts \(state.count) nodes, \(slots.count) slots are in use") }
        for node in expected.subtracting(nodes).sorted() { findings.append("node \(node) has no vector") }
        for node in nodes.subtracting(expected).sorted() { findings.append("there is a vector of node \(node), which does not exist") }
        try checkNodes(index, slots, in: view, &findings)
        try checkVectors(index, state, rows, in: view, &findings)
        let links = try links(of: index, in: view, &findings)
        for slot in Set(slots.keys).subtracting(links.keys).sorted() { findings.append("slot \(slot) is in use and has no links record") }
        for slot in Set(links.keys).subtracting(slots.keys).sorted() { findings.append("slot \(slot) has a links record and is not in use") }
        checkLists(links, state, &findings)
        checkReach(links, state, &findings)
        try checkTwins(links, index, state, in: view, &findings)
        return findings
    }

    // MARK: - Records

    /// The node of every slot in use, and the slot of its row.
    private static func checkSlots(
        _ index: VectorIndex, _ state: GraphState, in view: borrowing TransactionView, _ findings: inout [String]
    ) throws -> (nodes: [UInt32: UInt32], slots: [UInt32: UInt32]) {
        var used: [UInt32: UInt32] = [:]
        var slots: [UInt32: UInt32] = [:]
        var rows: Set<UInt32> = []
        var nextFree: [UInt32: UInt32] = [:]
        var chunks = 0
        try walk(index, .vectorSlots, in: view, &findings) { chunk, payload, findings in
            chunks += 1
            let first = Int(chunk) * ChunkLayout.slots
            let size = SlotsRecord.offset(max(0, min(ChunkLayout.slots, state.slots - first)))
            guard payload.byteCount == size, size > SlotsRecord.bitmapBytes else {
                findings.append("the slots record \(chunk) has \(payload.byteCount) bytes instead of \(size)")
                return
            }
            unsafe payload.withUnsafeBytes { bytes in
                for place in 0..<(size - SlotsRecord.bitmapBytes) / SlotsRecord.entryBytes {
                    let number = unsafe SlotsRecord.number(place, bytes.baseAddress!)
                    let row = unsafe SlotsRecord.row(place, bytes.baseAddress!)
                    if row >= state.slots || !rows.insert(row).inserted {
                        findings.append("slot \(first + place) has row \(row), which \(row >= state.slots ? "there is not" : "another slot has")")
                    }
                    if unsafe SlotsRecord.isUsed(place, bytes.baseAddress!) {
                        used[UInt32(first + place)] = number
                        slots[row] = UInt32(first + place)
                    } else {
                        nextFree[UInt32(first + place)] = number
                    }
                }
            }
        }
        let wanted = (state.slots + ChunkLayout.slots - 1) / ChunkLayout.slots
        if chunks != wanted { findings.append("there are \(chunks) slots records, \(state.slots) slots want \(wanted)") }
        var at = state.firstFree
        while at != GraphState.none {
            guard let next = nextFree.removeValue(forKey: at) else {
                findings.append("the list of free slots names slot \(at), which is in use or named before")
                break
            }
            at = next
        }
        if let first = nextFree.keys.min() { findings.append("\(nextFree.count) free slots are not in the list of free ones, slot \(first) the first") }
        return (used, slots)
    }

    /// The way from node to slot must be that from slot to node.
    private static func checkNodes(
        _ index: VectorIndex, _ slots: [UInt32: UInt32], in view: borrowing TransactionView, _ findings: inout [String]
    ) throws {
        var named = 0
        try walk(index, .vectorNodes, in: view, &findings) { chunk, payload, findings in
            guard payload.byteCount == 4 * ChunkLayout.nodes else {
                findings.append("the nodes record \(chunk) has \(payload.byteCount) bytes instead of \(4 * ChunkLayout.nodes)")
                return
            }
            let bytes = Array(payload)
            for place in 0..<ChunkLayout.nodes {
                let slot = bytes.littleEndian(at: 4 * place)
                guard slot != GraphState.none else { continue }
                named += 1
                let node = chunk &* UInt32(ChunkLayout.nodes) &+ UInt32(place)
                if slots[slot] != node { findings.append("node \(node) names slot \(slot), which \(slots[slot].map { "node \($0) has" } ?? "is not in use")") }
            }
        }
        if named != slots.count { findings.append("\(named) nodes name a slot, \(slots.count) slots are in use") }
    }

    /// Vectors, and the codes that must follow from them. `slots`: by row.
    private static func checkVectors(
        _ index: VectorIndex, _ state: GraphState, _ slots: [UInt32: UInt32], in view: borrowing TransactionView, _ findings: inout [String]
    ) throws {
        let layout = ChunkLayout(dimension: state.dimension, bits: state.bits)
        let quantiser = Quantiser(layout: layout, project: index.scope.project.rawValue)
        let buffer = CodeBuffer(padded: layout.padded)
        var codes: [UInt32: (sum: UInt32, factor: Float)] = [:]
        var sums = [Int64](repeating: 0, count: index.dimension)
        try walk(index, .vector, in: view, &findings) { chunk, payload, findings in
            let first = Int(chunk) * layout.vectors
            let count = max(0, min(layout.vectors, state.slots - first))
            guard payload.byteCount == count * layout.vectorBytes, count > 0 else {
                findings.append("the vectors record \(chunk) has \(payload.byteCount) bytes instead of \(count * layout.vectorBytes)")
                return
            }
            for row in UInt32(first)..<UInt32(first + count) {
                let vector = VectorBytes.decoded(payload, at: (Int(row) - first) * layout.vectorBytes, index.dimension)
                guard let slot = slots[row] else {
                    if !vector.allSatisfy({ $0.bitPattern == 0 }) { findings.append("the row \(row) of a free slot holds a vector") }
                    continue
                }
                let length = VectorBytes.squaredLength(vector)
                guard abs(length - 1) <= VectorIndex.storedTolerance else {
                    findings.append("the vector of slot \(slot) has squared length \(length)")
                    continue
                }
                VectorSum.add(vector, to: &sums)
                var code = [UInt8](repeating: 0, count: layout.codeBytes)
                let factor = unsafe code.withUnsafeMutableBufferPointer { unsafe quantiser.encode(vector, buffer, into: $0.baseAddress!) }
                codes[slot] = (CRC32C.of(code), factor)
            }
        }
        for slot in Set(slots.values).subtracting(codes.keys).sorted() { findings.append("slot \(slot) has no sound vector") }
        do {
            // Of what is sound: a vector that is not is said above.
            if try index.sums(in: view) != sums { findings.append("the sum of the vectors is not that of the sound ones") }
        } catch let error as ContexError {
            findings.append(error.message)
        }
        try walk(index, .vectorCodes, in: view, &findings) { chunk, payload, findings in
            let capacity = ChunkLayout.capacity(chunk: Int(chunk), slots: state.slots)
            let bytes = Array(payload)
            guard bytes.count == layout.codesBytes(capacity: capacity), Int(bytes[0]) << 8 | Int(bytes[1]) == capacity else {
                findings.append("the codes record \(chunk) has \(bytes.count) bytes instead of \(layout.codesBytes(capacity: capacity))")
                return
            }
            for place in 0..<capacity {
                let slot = Int(chunk) * ChunkLayout.slots + place
                guard let wanted = codes.removeValue(forKey: UInt32(slot)) else { continue }
                let offset = layout.codeOffset(slot)
                let factor = Float(bitPattern: bytes.littleEndian(at: offset - ChunkLayout.factorBytes))
                if factor != wanted.factor || CRC32C.of(Array(bytes[offset..<offset + layout.codeBytes])) != wanted.sum {
                    findings.append("the code of slot \(slot) is not that of its vector")
                }
            }
        }
        for slot in codes.keys.sorted() { findings.append("slot \(slot) has no code") }
    }

    private static func links(of index: VectorIndex, in view: borrowing TransactionView, _ findings: inout [String]) throws -> [UInt32: NodeLinks] {
        var links: [UInt32: NodeLinks] = [:]
        try walk(index, .vectorLinks, in: view, &findings) { slot, payload, findings in
            do {
                links[slot] = try NodeLinks(decoding: payload)
            } catch {
                findings.append("the links of slot \(slot) do not fit their layout: \(error)")
            }
        }
        return links
    }

    /// Every record of a kind whose seal is sound; the others become findings.
    private static func walk(
        _ index: VectorIndex, _ kind: KeyKind, in view: borrowing TransactionView, _ findings: inout [String],
        _ body: (_ number: UInt32, _ payload: RawSpan, _ findings: inout [String]) throws -> Void
    ) throws {
        try view.scan(prefix: index.scope.key(kind)) { keySpan, value in
            let key = Array(keySpan)
            guard key.count == TenantScope.prefixBytes + 4 else {
                findings.append("a key of \(key.count) bytes among the keys of kind \(kind)")
                return .onward
            }
            do {
                try body(UInt32(lastOf: key), try Seal.open(key: key, value: value, version: 1), &findings)
            } catch let error as ContexError {
                findings.append(error.message)
            }
            return .onward
        }
    }

    // MARK: - The graph

    private static func checkLists(_ links: [UInt32: NodeLinks], _ state: GraphState, _ findings: inout [String]) {
        for slot in links.keys.sorted() {
            guard let record = links[slot] else { continue }
            if record.level > state.maxLevel { findings.append("slot \(slot) is on level \(record.level), above the graph's highest \(state.maxLevel)") }
            for (level, list) in record.levels.enumerated() {
                let place = "the links of slot \(slot) at level \(level)"
                if list.count > 2 * state.linksMax(at: level) { findings.append("\(place) are \(list.count), the bound is \(state.linksMax(at: level))") }
                if zip(list, list.dropFirst()).contains(where: { $0 >= $1 }) { findings.append("\(place) are not in ascending order") }
                for neighbour in list {
                    guard neighbour != slot, let other = links[neighbour] else {
                        findings.append("\(place) name slot \(neighbour), which \(neighbour == slot ? "is the slot itself" : "has no links record")")
                        continue
                    }
                    guard level < other.levels.count, other.levels[level].contains(slot) else {
                        findings.append("\(place) name slot \(neighbour), which does not link back")
                        continue
                    }
                }
            }
        }
    }

    private static func checkReach(_ links: [UInt32: NodeLinks], _ state: GraphState, _ findings: inout [String]) {
        guard let entry = links[state.entry] else {
            findings.append("the entry point \(state.entry) of the vector graph has no links record")
            return
        }
        if entry.level != state.maxLevel {
            findings.append("the entry point \(state.entry) is on level \(entry.level), the graph's highest is \(state.maxLevel)")
        }
        guard !entry.isTwin else {
            findings.append("the entry point \(state.entry) of the vector graph is a twin, not a member")
            return
        }
        for level in 0...entry.level {
            var reached: Set<UInt32> = [state.entry]
            var open = [state.entry]
            while let slot = open.popLast() {
                guard let record = links[slot], level < record.levels.count else { continue }
                for neighbour in record.levels[level] where links[neighbour] != nil && reached.insert(neighbour).inserted { open.append(neighbour) }
            }
            let missed = links.filter { $0.value.level >= level && !reached.contains($0.key) }.map(\.key).sorted()
            if let first = missed.first { findings.append("\(missed.count) members cannot be reached at level \(level), slot \(first) the first") }
        }
    }

    private static func checkTwins(
        _ links: [UInt32: NodeLinks], _ index: VectorIndex, _ state: GraphState, in view: borrowing TransactionView, _ findings: inout [String]
    ) throws {
        let access = index.access(index.memory(of: state, in: view), state, in: view)
        func sameVectors(_ a: UInt32, _ b: UInt32) throws -> Bool {
            guard max(a, b) < state.slots else { return false }
            do {
                return try unsafe memcmp(access.vector(a, in: view), access.vector(b, in: view), access.layout.vectorBytes) == 0
            } catch is ContexError {
                return false
            }
        }
        var hanging = Set(links.filter(\.value.isTwin).keys)
        for member in links.keys.sorted() {
            guard let record = links[member], !record.isTwin, record.nextTwin != nil else { continue }
            var previous = member
            var next = record.nextTwin
            while let twin = next {
                guard let link = links[twin], link.isTwin, link.previousTwin == previous, hanging.remove(twin) != nil else {
                    findings.append("the chain of twins of slot \(member) is broken after slot \(previous)")
                    break
                }
                if try !sameVectors(member, twin) {
                    findings.append("the vector of slot \(twin) differs from that of slot \(member), whose twin it is")
                }
                (previous, next) = (twin, link.nextTwin)
            }
        }
        if let first = hanging.min() { findings.append("\(hanging.count) twins hang in no member's chain, slot \(first) the first") }
    }
}
