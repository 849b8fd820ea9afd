import Base
import Foundation
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

    /// Golden bytes: a later build must read what this one wrote, and write the same.
    @Test func recordsAreAsDocumented() throws {
        let records = try store.everything().map { GoldenRecord(key: $0.key, value: $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        try GoldenRecord.rewriteIfAsked("vectors-v1/square.hex", records)
        #expect(records == (try GoldenRecord.file("vectors-v1/square.hex")))

        #expect(
            try payload(store.scope.key(.vectorState)) == [
                0, 2, 0, 0, 0, 6, 0, 0, 0, 6, 255, 255, 255, 255, 0, 0, 0, 0, 1, 0, 4, 0, 8, 0, 16, 4, 0, 0, 0, 0, 0, 0, 0, 6,
            ])
        #expect(try payload(key(.vector, 0))?[8..<12] == [0, 0xBC, 0, 0])
        #expect(try payload(key(.vectorSlots, 0))?.count == 32 + 48)
        #expect(try payload(key(.vectorSlots, 0))?[0] == 0b0011_1111)
        #expect(try payload(key(.vectorNodes, 0))?[4..<8] == [0, 0, 0, 0])
        #expect(try payload(key(.vectorCodes, 0))?.count == 2 + 16 * (4 + 64))
        // (2, 0): 1 + 0 - 1 + 0 + 1 + 1.
        #expect(try payload(store.scope.key(.vectorSum)) == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(try payload(key(.vectorLinks, 0)) == [1, 1, 5, 0, 0, 0, 3, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0])
        #expect(try payload(key(.vectorLinks, 1)) == [0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])
        #expect(try payload(key(.vectorLinks, 4)) == [255, 0, 0, 0, 0, 0, 5, 0, 0, 0])
        #expect(try payload(key(.vectorLinks, 5)) == [255, 1, 4, 0, 0, 0, 0, 0, 0, 0])
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
        let member = key(.vectorLinks, 1)
        try expect("counts 5 nodes", state) { $0[5] = 5 }
        try expect("field outside its range", state) { $0[5] = 0 }
        try expect("slots records", state) { $0[8] = 1 }
        try expect("list of free slots", state) { $0.replaceSubrange(10..<14, with: [0, 0, 0, 0]) }
        try expect("is a twin", state) { $0[17] = 4 }
        try expect("graph's highest", state) { $0[18] = 9 }
        try expect("4 dimensions", state) { $0[1] = 4 }
        try expect("field outside", state) { $0[25] = 5 }
        try expect("do not fit their layout", member) { $0.removeLast() }
        try expect("no links record", member) { $0[$0.count - 4] = 99 }
        try expect("the slot itself", member) { $0[$0.count - 4] = 1 }
        try expect("ascending", member) { $0.replaceSubrange(7..<15, with: Array($0[11..<15]) + Array($0[7..<11])) }
        try expect("not link back", key(.vectorLinks, 2)) { $0.replaceSubrange(6..., with: [0]) }
        try expect("chain of twins", key(.vectorLinks, 5)) { $0[6] = 2 }
        try expect("hang in no member's chain", key(.vectorLinks, 0)) { $0[1] = 0 }
        let vectors = key(.vector, 0)
        try expect("squared length", vectors) { $0[9] = 0x38 }
        try expect("bytes instead of 24", vectors) { $0 += [0] }
        try expect("differs from that", vectors) { for (a, b) in zip(16..<18, 18..<20) { $0.swapAt(a, b) } }
        try expect("code of slot 4 is not", vectors) { for (a, b) in zip(16..<18, 18..<20) { $0.swapAt(a, b) } }
        let codes = key(.vectorCodes, 0)
        try expect("code of slot 0 is not", codes) { $0[5] ^= 1 }
        try expect("code of slot 1 is not", codes) { $0[2 + 68 + 10] ^= 1 }
        try expect("codes record 0 has", codes) { $0[1] = 32 }
        try expect("has no code", codes) { $0.removeLast() }
        let slots = key(.vectorSlots, 0)
        try expect("not in the list of free", slots) { $0[0] = 0b0001_1111 }
        try expect("node 6 has no vector", slots) { $0[0] = 0b0001_1111 }
        try expect("which does not exist", slots) { $0[32] = 77 }
        try expect("slot 1 has row 0, which another slot has", slots) { $0[44] = 0 }
        try expect("slot 5 has row 6, which there is not", slots) { $0[76] = 6 }
        try expect("slots records are not those", slots) { $0.removeLast() }
        let nodes = key(.vectorNodes, 0)
        try expect("names slot 9", nodes) { $0[8] = 9 }
        try expect("5 nodes name a slot", nodes) { $0.replaceSubrange(8..<12, with: [255, 255, 255, 255]) }
        try expect("nodes record 0 has", nodes) { $0.removeLast() }
        let sum = store.scope.key(.vectorSum)
        try expect("sum of the vectors is not", sum) { $0[9] ^= 1 }
        try expect("sum record", sum) { $0.removeLast() }
    }

    /// Each kind of record without a sound seal, or absent: found by the check, and named by whatever needs it.
    @Test func missingRecordsAndBrokenSealsAreFound() throws {
        for (kind, number, words) in [
            (KeyKind.vector, UInt32(0), "no sound vector"), (.vectorLinks, 1, "no links record"), (.vectorSlots, 0, "slots records"),
            (.vectorCodes, 0, "has no code"), (.vectorNodes, 0, "name a slot"),
        ] {
            let sound = try payload(key(kind, number))
            #expect(try findings(after: nil, under: key(kind, number)).contains { $0.contains(words) })
            #expect(try findings(after: sound, under: key(kind, number)) == [])
            var sealed = try #require(try store.environment.read { try $0.copy(key(kind, number)) })
            sealed[sealed.count - 1] ^= 1
            try store.write { (transaction: inout WriteTransaction) throws in try transaction.put(key(kind, number), sealed) }
            #expect(try store.findings(index, 1...6).contains { $0.contains("seal") })
            let error = #expect(throws: ContexError.self) {
                try store.environment.read { (view: borrowing TransactionView) throws in
                    _ = try index.search([0, 1], count: 4, in: view)
                    _ = try index.cosines([0, 1], of: [NodeID(rawValue: 2)], in: view)
                }
            }
            #expect(error?.category == .damaged)
            #expect(error?.message.contains("contex check") == true)
            #expect(try findings(after: sound, under: key(kind, number)) == [])
        }
        let sum = store.scope.key(.vectorSum)
        let sound = try payload(sum)
        #expect(try findings(after: nil, under: sum).contains { $0.contains("sum is missing") })
        let error = #expect(throws: ContexError.self) { _ = try store.environment.read { try index.mean(in: $0) } }
        #expect(error?.category == .damaged && error?.message.contains("contex check") == true)
        #expect(try findings(after: sound, under: sum) == [])
        let found = try findings(after: nil, under: store.scope.key(.vectorState))
        #expect(found.contains { $0.contains("no state record") })
    }

    /// Two halves that are each sound, without a link between them.
    @Test func aGraphInTwoPiecesIsFound() throws {
        let alone: (UInt32, UInt8) -> [UInt8] = { [$1, 0, 0, 0, 0, 0, 1, UInt8($0), 0, 0, 0] + ($1 == 1 ? [0] : []) }
        try store.write { (transaction: inout WriteTransaction) throws in
            for node: UInt32 in [5, 6] { try index.remove(NodeID(rawValue: node), in: &transaction) }
            for (slot, other, level) in [(0, 1, 1), (1, 0, 0), (2, 3, 0), (3, 2, 0)] as [(UInt32, UInt32, UInt8)] {
                try transaction.store(key(.vectorLinks, slot), alone(other, level))
            }
        }
        #expect(try store.findings(index, 1...4).contains { $0.contains("cannot be reached") })
    }
}
