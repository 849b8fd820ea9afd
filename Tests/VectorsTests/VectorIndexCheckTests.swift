import Base
import KeySpace
import LMDB
import TestSupport
import Testing
import Vectors

/// The layout of docs/formats/vectors-v1.md, byte for byte, and the check against damage planted into it.
@Suite struct VectorIndexCheckTests {
    let store: IndexStore
    let index: VectorIndex

    /// Four corners of a square and twice the first again.
    init() throws {
        store = try IndexStore()
        index = VectorIndex(scope: store.scope, dimension: 2, parameters: HNSWParameters(M: 4, M0: 8, efConstruction: 16, exactBelow: 0))
        let corners: [[Float]] = [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0], [1, 0]]
        try store.write { (transaction: inout WriteTransaction) throws in
            for (id, corner) in corners.enumerated() { try index.insert(NodeID(rawValue: UInt32(id + 1)), corner, in: &transaction) }
        }
    }

    func key(_ kind: KeyKind, _ node: UInt32) -> [UInt8] { store.scope.key(kind, node) }

    func payload(_ key: [UInt8]) throws -> [UInt8]? { try store.environment.read { try $0.loadBytes(key) } }

    /// What the check says after `payload` was stored, sealed, under `key`; nil deletes.
    func findings(after payload: [UInt8]?, under key: [UInt8]) throws -> [String] {
        try store.write { (transaction: inout WriteTransaction) throws in
            if let payload { try transaction.store(key, payload) } else { try transaction.delete(key) }
        }
        return try store.findings(index, 1...6)
    }

    @Test func aSoundIndexHasNoFindings() throws {
        #expect(try store.findings(index, 1...6) == [])
        #expect(try store.findings(index, 1...5) != [])
        #expect(try store.findings(index, 1...7) != [])
    }

    /// Golden bytes: a later build must read what this one wrote.
    @Test func recordsAreAsDocumented() throws {
        #expect(try payload(store.scope.key(.vectorState)) == [0, 2, 0, 0, 0, 6, 0, 0, 0, 1, 1, 0, 4, 0, 8, 0, 16])
        #expect(try payload(key(.vector, 3)) == [0, 0, 0x80, 0xBF, 0, 0, 0, 0])
        #expect(try payload(key(.vectorLinks, 1)) == [1, 1, 0, 0, 0, 6, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0])
        #expect(try payload(key(.vectorLinks, 2)) == [0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4])
        #expect(try payload(key(.vectorLinks, 5)) == [255, 0, 0, 0, 0, 0, 0, 0, 0, 6])
        #expect(try payload(key(.vectorLinks, 6)) == [255, 1, 0, 0, 0, 5, 0, 0, 0, 1])
    }

    @Test func removingAMemberLetsItsTwinTakeItsPlace() throws {
        try store.write { (transaction: inout WriteTransaction) throws in try index.remove(NodeID(rawValue: 1), in: &transaction) }
        #expect(try store.findings(index, 2...6) == [])
        try store.write { (transaction: inout WriteTransaction) throws in try index.remove(NodeID(rawValue: 5), in: &transaction) }
        #expect(try store.findings(index, [2, 3, 4, 6]) == [])
        let answer = try store.environment.read { try index.search([1, 0], count: 1, in: $0) }
        #expect(answer == [VectorMatch(node: NodeID(rawValue: 6), cosine: 1)])
    }

    @Test func plantedFaultsAreFound() throws {
        func mutated(_ key: [UInt8], _ change: (inout [UInt8]) -> Void) throws -> [UInt8] {
            var bytes = try #require(try payload(key))
            change(&bytes)
            return bytes
        }
        func expect(_ words: String, _ key: [UInt8], _ change: (inout [UInt8]) -> Void) throws {
            let sound = try #require(try payload(key))
            let found = try findings(after: try mutated(key, change), under: key)
            #expect(found.contains { $0.contains(words) }, "\(words) not in \(found)")
            #expect(try findings(after: sound, under: key) == [])
        }
        let state = store.scope.key(.vectorState)
        let member = key(.vectorLinks, 2)
        try expect("counts 7 nodes", state) { $0[5] = 7 }
        try expect("field outside its range", state) { $0[5] = 0 }
        try expect("entry point 9", state) { $0[9] = 9 }
        try expect("is a twin", state) { $0[9] = 5 }
        try expect("graph's highest", state) { $0[10] = 9 }
        try expect("4 dimensions", state) { $0[1] = 4 }
        try expect("do not fit their layout", member) { $0.removeLast() }
        try expect("no links record", member) { $0[$0.count - 1] = 99 }
        try expect("the node itself", member) { $0[$0.count - 1] = 2 }
        try expect("ascending", member) { $0.replaceSubrange(7..<15, with: Array($0[11..<15]) + Array($0[7..<11])) }
        try expect("not link back", key(.vectorLinks, 3)) { $0.replaceSubrange(6..., with: [0]) }
        try expect("chain of twins", key(.vectorLinks, 6)) { $0[9] = 3 }
        try expect("hang in no member's chain", key(.vectorLinks, 1)) { $0[1] = 0 }
        try expect("squared length", key(.vector, 3)) { $0[3] = 0x3F; $0[2] = 0 }
        try expect("bytes instead of 8", key(.vector, 3)) { $0 += [0] }
        try expect("differs from that", key(.vector, 5)) { $0.swapAt(2, 6); $0.swapAt(3, 7) }
    }

    @Test func missingRecordsAndBrokenSealsAreFound() throws {
        for (kind, words) in [(KeyKind.vector, "has no vector"), (.vectorLinks, "no links record")] {
            let sound = try payload(key(kind, 4))
            #expect(try findings(after: nil, under: key(kind, 4)).contains { $0.contains(words) })
            #expect(try findings(after: sound, under: key(kind, 4)) == [])
            var sealed = try #require(try store.environment.read { try $0.copy(key(kind, 4)) })
            sealed[sealed.count - 1] ^= 1
            try store.write { (transaction: inout WriteTransaction) throws in try transaction.put(key(kind, 4), sealed) }
            #expect(try store.findings(index, 1...6).contains { $0.contains("seal") })
            #expect(throws: ContexError.self) { _ = try store.environment.read { try index.search([0, -1], count: 1, in: $0) } }
            #expect(try findings(after: sound, under: key(kind, 4)) == [])
        }
        let found = try findings(after: nil, under: store.scope.key(.vectorState))
        #expect(found.contains { $0.contains("no state record") })
    }

    /// Two halves that are each sound, without a link between them.
    @Test func aGraphInTwoPiecesIsFound() throws {
        let alone: (UInt32) -> [UInt8] = { [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, UInt8($0)] }
        try store.write { (transaction: inout WriteTransaction) throws in
            for node: UInt32 in [5, 6] { try index.remove(NodeID(rawValue: node), in: &transaction) }
            for (node, other) in [(1, 2), (2, 1), (3, 4), (4, 3)] as [(UInt32, UInt32)] {
                try transaction.store(key(.vectorLinks, node), alone(other))
            }
        }
        #expect(try store.findings(index, 1...4).contains { $0.contains("cannot be reached") })
    }
}
