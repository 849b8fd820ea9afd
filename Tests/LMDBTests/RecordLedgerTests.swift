import Base
import Foundation
import LMDB
import TestSupport
import Testing

/// What a ledger is told of, beside what a transaction has done.
@Suite struct RecordLedgerTests {
    /// Keeps each group's sum under a key that begins with 0xFF.
    private struct Book: RecordLedger {
        static func key(_ group: RecordGroup) -> [UInt8] {
            var key: [UInt8] = [0xFF]
            key.append(bigEndian: group.scope)
            key.append(group.kind)
            return key
        }

        static func sum(_ bytes: [UInt8]) throws -> RecordSum {
            var reader = ByteReader(bytes)
            return RecordSum(count: try reader.u64(), first: try reader.u64(), second: try reader.u64())
        }

        func settle(_ changes: [RecordGroup: RecordSum], bytes: [RecordGroup: Int], in transaction: inout WriteTransaction) throws(LMDBError) {
            for (group, change) in changes {
                var sum = RecordSum.zero
                if let bytes = try transaction.view.copy(Self.key(group)), let known = try? Self.sum(bytes) { sum = known }
                sum += change
                var writer = ByteWriter()
                writer.u64(sum.count)
                writer.u64(sum.first)
                writer.u64(sum.second)
                try transaction.putUncounted(Self.key(group), writer.bytes)
            }
        }
    }

    private static func options() -> Environment.Options {
        var options = Environment.Options(durability: .unsafeNoSync, mapBytes: 1 << 30)
        options.ledger = Book()
        return options
    }

    /// What the records are, and what the book has of them.
    private static func sums(_ env: Environment) throws -> (found: [RecordGroup: RecordSum], kept: [RecordGroup: RecordSum]) {
        var (found, kept): ([RecordGroup: RecordSum], [RecordGroup: RecordSum]) = ([:], [:])
        try env.read { view in
            try view.scan(prefix: []) { key, value in
                let bytes = Array(key)
                if bytes[0] == 0xFF, bytes.count == 10 {
                    let group = RecordGroup(scope: UInt64(firstOf: Array(bytes[1...])), kind: bytes[9])
                    let sum = try Book.sum(Array(value))
                    if sum != .zero { kept[group] = sum }
                } else {
                    found[RecordGroup(key: key), default: .zero] += RecordSum(key: key, value: value)
                }
                return .onward
            }
        }
        return (found, kept)
    }

    @Test func everyChangeIsCountedOnce() throws {
        let folder = TemporaryFolder()
        let env = try Environment(path: folder.path, options: Self.options())
        var random = SeededRandom(seed: testSeed("everyChangeIsCountedOnce"))
        func key() -> [UInt8] {
            var key: [UInt8] = []
            key.append(bigEndian: UInt64.random(in: 0...2, using: &random))
            key.append(UInt8.random(in: 0x20...0x23, using: &random))
            for _ in 0..<Int.random(in: 0...2, using: &random) { key.append(UInt8.random(in: 0...9, using: &random)) }
            // Some are no keys of a scope at all.
            return Int.random(in: 0..<10, using: &random) == 0 ? Array(key.prefix(Int.random(in: 1...8, using: &random))) : key
        }
        var (replaced, removed, given) = (0, 0, 0)
        for _ in 0..<200 {
            var write = try env.beginWrite()
            for _ in 0..<30 {
                let key = key()
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<6:
                    let length = Int.random(in: 0..<8, using: &random) == 0 ? 9_000 : Int.random(in: 0...40, using: &random)
                    if try write.view.get(key) != nil { replaced += 1 }
                    try write.put(key, (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
                case 6..<9: if try write.delete(key) { removed += 1 }
                default: removed += try write.deleteAll(prefix: Array(key.prefix(Int.random(in: 1...key.count, using: &random))))
                }
            }
            if Bool.random(using: &random) { try write.settleRecords() }
            if Int.random(in: 0..<4, using: &random) == 0 {
                given += 1
                _ = consume write
            } else {
                try write.commit()
            }
            let (found, kept) = try Self.sums(env)
            #expect(found == kept)
        }
        #expect(replaced > 100 && removed > 100 && given > 20, "\(replaced) \(removed) \(given)")
    }

    /// A copy brings its sums with it.
    @Test func whatIsAppendedIsNotCounted() throws {
        let folder = TemporaryFolder()
        let env = try Environment(path: folder.path, options: Self.options())
        var write = try env.beginWrite()
        #expect(try write.append([UInt8](repeating: 7, count: 12)[...], [1, 2, 3][...]))
        try write.commit()
        #expect(try Self.sums(env).kept.isEmpty)
    }

    /// Keys, envelopes and lengths: each counts; what is behind the first six bytes of a value does by its length only.
    @Test func aSumTellsRecordsApart() {
        func sum(_ key: [UInt8], _ value: [UInt8]) -> RecordSum { unsafe RecordSum(key: key.span.bytes, value: value.span.bytes) }
        let (key, value): ([UInt8], [UInt8]) = (Array(1...21), Array(100...120))
        let whole = sum(key, value)
        var seen: Set<RecordSum> = [whole]
        for place in key.indices {
            for bit in 0..<8 {
                var other = key
                other[place] ^= 1 << UInt8(bit)
                #expect(seen.insert(sum(other, value)).inserted)
            }
        }
        for place in value.indices {
            var other = value
            other[place] ^= 1
            #expect((sum(key, other) == whole) == (place >= 6))
        }
        for count in 0..<key.count { #expect(seen.insert(sum(Array(key.prefix(count)), value)).inserted) }
        for count in 0..<value.count { #expect(seen.insert(sum(key, Array(value.prefix(count)))).inserted) }
        #expect(seen.insert(sum(key + [0], value)).inserted)
        // The rule of docs/formats/keyspace-v1.md, computed apart from it.
        let known = sum([0, 0, 0, 1, 0, 0, 0, 7, 0x24, 0, 0, 0, 5], [1, 0, 0xAA, 0xBB, 0xCC, 0xDD, 9, 9])
        #expect(known == RecordSum(count: 1, first: 0xC73D_3822_7D85_3E2C, second: 0x4D91_6AEC_0612_A380))
    }
}
