public import Base
internal import KeySpace
public import LMDB

/// Reads everything of an index and says what is wrong with it; a part of `contex check`.
public enum VectorIndexCheck {
    /// One line for each fault, none for a sound index.
    ///
    /// Checked: every seal and layout; each expected node has one vector of unit length and one links record, and nothing
    /// else has; lists ascending, within twice their bound, without the node itself and without numbers of absent nodes; every
    /// link at both ends; each level in one piece; every twin in the chain of a member with the same bytes; count, entry point
    /// and highest level of the state.
    /// - Complexity: O(n x dimension) time, O(n x M0) memory.
    public static func findings(_ index: VectorIndex, expectedNodes: Set<NodeID>, in view: borrowing TransactionView) throws -> [String] {
        var findings: [String] = []
        let expected = Set(expectedNodes.map(\.rawValue))
        let vectors = try vectors(of: index, in: view, &findings)
        let links = try links(of: index, in: view, &findings)
        for node in expected.subtracting(vectors).sorted() { findings.append("node \(node) has no vector") }
        for node in vectors.subtracting(expected).sorted() { findings.append("there is a vector of node \(node), which does not exist") }
        for node in vectors.subtracting(links.keys).sorted() { findings.append("node \(node) has a vector and no links record") }
        for node in Set(links.keys).subtracting(vectors).sorted() { findings.append("node \(node) has a links record and no vector") }

        var state: GraphState? = nil
        do {
            state = try index.state(in: view)
        } catch {
            findings.append("state of the vector graph: \(error)")
            return findings
        }
        guard let state else {
            if !vectors.isEmpty || !links.isEmpty { findings.append("the vector graph has \(vectors.count) vectors and no state record") }
            return findings
        }
        if state.count != vectors.count { findings.append("the vector graph counts \(state.count) nodes, there are \(vectors.count) vectors") }
        checkLists(links, state, &findings)
        checkReach(links, state, &findings)
        try checkTwins(links, index, in: view, &findings)
        return findings
    }

    // MARK: - Records

    private static func vectors(of index: VectorIndex, in view: borrowing TransactionView, _ findings: inout [String]) throws -> Set<UInt32> {
        var nodes: Set<UInt32> = []
        try walk(index, .vector, in: view, &findings) { node, payload, findings in
            nodes.insert(node)
            guard payload.byteCount == 4 * index.dimension else {
                findings.append("the vector of node \(node) has \(payload.byteCount) bytes instead of \(4 * index.dimension)")
                return
            }
            var reader = ByteReader(Array(payload))
            let length = VectorBytes.squaredLength(try reader.floats(index.dimension))
            if !(abs(length - 1) <= VectorIndex.unitTolerance) { findings.append("the vector of node \(node) has squared length \(length)") }
        }
        return nodes
    }

    private static func links(of index: VectorIndex, in view: borrowing TransactionView, _ findings: inout [String]) throws -> [UInt32: NodeLinks] {
        var links: [UInt32: NodeLinks] = [:]
        try walk(index, .vectorLinks, in: view, &findings) { node, payload, findings in
            do {
                links[node] = try NodeLinks(decoding: payload)
            } catch {
                findings.append("the links of node \(node) do not fit their layout: \(error)")
            }
        }
        return links
    }

    /// Every record of a kind whose seal is sound; the others become findings.
    private static func walk(
        _ index: VectorIndex, _ kind: KeyKind, in view: borrowing TransactionView, _ findings: inout [String],
        _ body: (_ node: UInt32, _ payload: RawSpan, _ findings: inout [String]) throws -> Void
    ) throws {
        try view.scan(prefix: index.scope.key(kind)) { keySpan, value in
            let key = Array(keySpan)
            guard key.count == TenantScope.prefixBytes + 4 else {
                findings.append("a key of \(key.count) bytes among the keys of kind \(kind)")
                return .onward
            }
            do {
                try body(UInt32(nodeOfKey: key), try Seal.open(key: key, value: value, version: 1), &findings)
            } catch let error as ContexError {
                findings.append(error.message)
            }
            return .onward
        }
    }

    // MARK: - The graph

    private static func checkLists(_ links: [UInt32: NodeLinks], _ state: GraphState, _ findings: inout [String]) {
        for node in links.keys.sorted() {
            guard let record = links[node] else { continue }
            if record.level > state.maxLevel { findings.append("node \(node) is on level \(record.level), above the graph's highest \(state.maxLevel)") }
            for (level, list) in record.levels.enumerated() {
                let place = "the links of node \(node) at level \(level)"
                if list.count > 2 * state.linksMax(at: level) { findings.append("\(place) are \(list.count), the bound is \(state.linksMax(at: level))") }
                if zip(list, list.dropFirst()).contains(where: { $0 >= $1 }) { findings.append("\(place) are not in ascending order") }
                for neighbour in list {
                    guard neighbour != node, let other = links[neighbour] else {
                        findings.append("\(place) name node \(neighbour), which \(neighbour == node ? "is the node itself" : "has no links record")")
                        continue
                    }
                    guard level < other.levels.count, other.levels[level].contains(node) else {
                        findings.append("\(place) name node \(neighbour), which does not link back")
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
            while let node = open.popLast() {
                guard let record = links[node], level < record.levels.count else { continue }
                for neighbour in record.levels[level] where links[neighbour] != nil && reached.insert(neighbour).inserted { open.append(neighbour) }
            }
            let missed = links.filter { $0.value.level >= level && !reached.contains($0.key) }.map(\.key).sorted()
            if let first = missed.first { findings.append("\(missed.count) nodes cannot be reached at level \(level), node \(first) the first") }
        }
    }

    private static func checkTwins(
        _ links: [UInt32: NodeLinks], _ index: VectorIndex, in view: borrowing TransactionView, _ findings: inout [String]
    ) throws {
        var hanging = Set(links.filter(\.value.isTwin).keys)
        for member in links.keys.sorted() {
            guard let record = links[member], !record.isTwin, record.nextTwin != nil else { continue }
            let bytes = try view.copy(index.scope.key(.vector, member))?.dropFirst(Seal.headerBytes)
            var previous = member
            var next = record.nextTwin
            while let twin = next {
                guard let link = links[twin], link.isTwin, link.previousTwin == previous, hanging.remove(twin) != nil else {
                    findings.append("the chain of twins of node \(member) is broken after node \(previous)")
                    break
                }
                if try view.copy(index.scope.key(.vector, twin))?.dropFirst(Seal.headerBytes) != bytes {
                    findings.append("the vector of node \(twin) differs from that of node \(member), whose twin it is")
                }
                (previous, next) = (twin, link.nextTwin)
            }
        }
        if let first = hanging.min() { findings.append("\(hanging.count) twins hang in no member's chain, node \(first) the first") }
    }
}
