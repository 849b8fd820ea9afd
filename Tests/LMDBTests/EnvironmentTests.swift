import Base
import Foundation
import Glibc
import LMDB
import TestSupport
import Testing

@Suite struct EnvironmentTests {
    func store(_ folder: TemporaryFolder, _ mode: Environment.Options.Mode = .writer) throws -> Environment {
        try Environment(path: folder.path, options: .init(mode: mode, durability: .unsafeNoSync, mapBytes: 1 << 30))
    }

    @Test func putGetDelete() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        var write = try env.beginWrite()
        try write.put([1, 2], [3, 4, 5])
        #expect(try write.view.copy([1, 2]) == [3, 4, 5])
        try write.commit()
        #expect(try env.read { try $0.copy([1, 2]) } == [3, 4, 5])
        var second = try env.beginWrite()
        #expect(try second.delete([1, 2]))
        #expect(try !second.delete([9]))
        try second.commit()
        #expect(try env.read { try $0.copy([1, 2]) } == nil)
    }

    @Test func aDroppedTransactionLeavesNoTrace() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        do {
            var write = try env.beginWrite()
            try write.put([1], [1])
        }
        #expect(try env.read { try $0.copy([1]) } == nil)
    }

    @Test func aSnapshotStaysWhatItWas() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        var write = try env.beginWrite()
        try write.put([1], [1])
        try write.commit()
        let reader = try env.beginRead()
        var second = try env.beginWrite()
        try second.put([1], [2])
        try second.commit()
        #expect(try reader.view.copy([1]) == [1])
        #expect(try env.read { try $0.copy([1]) } == [2])
    }

    /// Random puts, deletes, range deletes and scans in both directions beside a sorted dictionary.
    @Test func agreesWithADictionary() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        var random = SeededRandom(seed: testSeed("agreesWithADictionary"))
        var oracle: [[UInt8]: [UInt8]] = [:]
        func key() -> [UInt8] { (0..<Int.random(in: 1...3, using: &random)).map { _ in UInt8.random(in: 0...5, using: &random) &- 1 } }
        for _ in 0..<60 {
            var write = try env.beginWrite()
            let keep = Bool.random(using: &random) || Bool.random(using: &random)
            let before = oracle
            for _ in 0..<20 {
                let name = key()
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<6:
                    let value = (0..<Int.random(in: 0...300, using: &random)).map { UInt8(truncatingIfNeeded: $0) }
                    try write.put(name, value)
                    oracle[name] = value
                case 6..<9:
                    #expect(try write.delete(name) == (oracle.removeValue(forKey: name) != nil))
                default:
                    let doomed = oracle.keys.filter { $0.starts(with: name) }
                    #expect(try write.deleteAll(prefix: name) == doomed.count)
                    for gone in doomed { oracle[gone] = nil }
                }
            }
            if keep { try write.commit() } else { oracle = before; _ = consume write }
            try env.read { view in
                let prefix = Bool.random(using: &random) ? [] : Array(key().prefix(1))
                let from = Bool.random(using: &random) ? nil : prefix + key()
                for direction in [TransactionView.Direction.ascending, .descending] {
                    var expected = oracle.keys.filter { $0.starts(with: prefix) }.sorted { $0.lexicographicallyPrecedes($1) }
                    if direction == .descending { expected.reverse() }
                    if let from {
                        expected = expected.filter {
                            direction == .ascending ? !$0.lexicographicallyPrecedes(from) : !from.lexicographicallyPrecedes($0)
                        }
                    }
                    var seen: [[UInt8]] = []
                    try view.scan(prefix: prefix, from: from, direction) { found, value in
                        seen.append(Array(found))
                        #expect(oracle[Array(found)] == Array(value))
                        return .onward
                    }
                    #expect(seen == expected)
                }
            }
        }
    }

    @Test func aSecondWriterIsRefusedAndAReaderIsNot() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        var write = try env.beginWrite()
        try write.put([7], [7])
        try write.commit()
        let refusal = #expect(throws: LMDBError.self) { _ = try store(folder) }
        #expect(refusal?.code == .locked)
        #expect(refusal?.description.contains("\(ProcessInfo.processInfo.processIdentifier)") == true)
        let reader = try store(folder, .reader)
        #expect(try reader.read { try $0.copy([7]) } == [7])
    }

    /// A start that was cut off: its file never had its name.
    @Test func whatAStartThatWasCutOffLeavesIsNoStoreAndNoHindrance() throws {
        for left in [[], [UInt8](repeating: 0, count: 8_192), [UInt8](repeating: 0xA5, count: 5_000)] as [[UInt8]] {
            let folder = TemporaryFolder()
            let draft = folder.url.appendingPathComponent("new")
            try FileManager.default.createDirectory(at: draft, withIntermediateDirectories: false)
            try Data(left).write(to: draft.appendingPathComponent("data.mdb"))
            let missing = #expect(throws: LMDBError.self) { _ = try store(folder, .reader) }
            #expect(missing?.code == .noSuchFile)
            let env = try store(folder)
            #expect(try env.read { try $0.entryCount() } == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["data.mdb", "lock.mdb", "writer.lock"])
        }
    }

    /// A store that has its name and lost its pages is damage, also when every byte is zero: nothing says that it was new.
    @Test func aFileOfZerosIsNoNewStore() throws {
        let folder = TemporaryFolder()
        try Data(count: 16 << 20).write(to: folder.url.appendingPathComponent("data.mdb"))
        let refusal = #expect(throws: LMDBError.self) { _ = try store(folder) }
        #expect(refusal?.code == .damagedPages)
    }

    /// Where a full disk would be SIGBUS there are blocks before anything is mapped.
    @Test func theTableOfReadersIsOnTheDiskBeforeItIsMapped() throws {
        let folder = TemporaryFolder()
        let file = folder.path + "/lock.mdb"
        // As LMDB makes it: of some length, and none of it there.
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.truncate(atOffset: 65_536)
        try handle.close()
        let env = try store(folder)
        var status = stat()
        #expect(unsafe stat(file, &status) == 0)
        #expect(status.st_blocks * 512 >= 1_022 * 64, "\(status.st_blocks) blocks")
        #expect(try env.statistics().readers <= 2)
    }

    @Test func aTruncatedFileIsRefusedBeforeItIsMapped() throws {
        let folder = TemporaryFolder()
        do {
            let env = try store(folder)
            var write = try env.beginWrite()
            for i in 0..<2000 { try write.put([UInt8(i >> 8), UInt8(i & 255)], [UInt8](repeating: 1, count: 500)) }
            try write.commit()
        }
        let file = folder.url.appendingPathComponent("data.mdb")
        for bytes in [4096, 10_000, 300_000] {
            let copy = TemporaryFolder()
            try Data(contentsOf: file).prefix(bytes).write(to: copy.url.appendingPathComponent("data.mdb"))
            let refusal = #expect(throws: LMDBError.self) { _ = try store(copy) }
            #expect(refusal?.code == .truncated)
        }
        let noise = TemporaryFolder()
        try Data(repeating: 0x5A, count: 20_000).write(to: noise.url.appendingPathComponent("data.mdb"))
        #expect(throws: LMDBError.self) { _ = try store(noise) }
    }

    @Test func aFullMapRefusesTheWriteAndKeepsTheRest() throws {
        let folder = TemporaryFolder()
        let env = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 20))
        var write = try env.beginWrite()
        try write.put([1], [1])
        try write.commit()
        let refusal = #expect(throws: LMDBError.self) {
            var big = try env.beginWrite()
            for i in 0..<300 { try big.put([2, UInt8(i >> 8), UInt8(i & 255)], [UInt8](repeating: 1, count: 8000)) }
            try big.commit()
        }
        #expect(refusal?.isStorageFull == true)
        #expect(try env.read { try $0.copy([1]) } == [1])
        var again = try env.beginWrite()
        try again.put([3], [3])
        try again.commit()
        #expect(try env.read { try $0.copy([3]) } == [3])
    }

    @Test func successorIsTheLeastGreaterPrefix() {
        #expect(successor(of: [1, 2]) == [1, 3])
        #expect(successor(of: [1, 255]) == [2])
        #expect(successor(of: [255, 255]) == [])
    }

    /// Leaves and pages of long values, counted by their records' places, are all the pages that the table has.
    @Test func placesOfRecordsAddUpToTheTable() throws {
        let folder = TemporaryFolder()
        let env = try store(folder)
        var write = try env.beginWrite()
        // On both sides of what still fits a leaf, and of a second and a third page.
        for (number, length) in [0, 1, 60, 700, 2_000, 2_018, 2_020, 2_040, 4_070, 4_080, 4_090, 8_176, 8_180, 50_000].enumerated() {
            for copy in 0..<40 as Range<UInt8> { try write.put([UInt8(number), copy], [UInt8](repeating: 7, count: length)) }
        }
        try write.commit()
        var (leaves, leafBytes, ownBytes) = (Set<UInt>(), 0, 0)
        try env.read { view in
            try view.scanPlaces { _, _, place in
                leaves.insert(place.leaf)
                leafBytes += place.leafBytes
                ownBytes += place.ownBytes
            }
        }
        let statistics = try env.statistics()
        #expect(leaves.count * 4_096 + ownBytes == statistics.tableBytes - statistics.branchBytes)
        #expect(leafBytes <= leaves.count * 4_080 && leafBytes >= leaves.count * 1_000)
    }
}
