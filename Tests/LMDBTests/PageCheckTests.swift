import Base
import Foundation
import LMDB
import Synchronization
import TestSupport
import Testing

/// A store is damaged in every way that comes to mind, and either its pages are refused before LMDB reads them, or it reads what was written,
/// or a value's sum tells. That this process is there at the end is a part of what is tested.
@Suite struct PageCheckTests {
    private typealias Records = [[UInt8]: [UInt8]]

    private static func options(_ mode: Environment.Options.Mode = .writer) -> Environment.Options {
        .init(mode: mode, durability: .unsafeNoSync, mapBytes: 1 << 30)
    }

    /// A value with a sum over it and its key, as the seals of the store have it.
    private static func sealed(_ key: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        var sum: [UInt8] = []
        sum.append(bigEndian: CRC32C.of(key + payload))
        return sum + payload
    }

    private static func isSealed(_ key: [UInt8], _ value: [UInt8]) -> Bool { value == sealed(key, Array(value.dropFirst(4))) }

    private static func bytes(_ count: Int, _ random: inout SeededRandom) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// One commit of puts and deletes; values on leaves, on one page and on several.
    private static func commit(_ env: Environment, _ records: inout Records, _ count: Int, deleting: Int, _ random: inout SeededRandom) throws {
        var write = try env.beginWrite()
        for key in records.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }).shuffled(using: &random).prefix(deleting) {
            try write.delete(key)
            records[key] = nil
        }
        for _ in 0..<count {
            let key = bytes(Int.random(in: 2...300, using: &random), &random)
            let length = Int.random(in: 0..<20, using: &random) == 0 ? Int.random(in: 2_000...40_000, using: &random) : Int.random(in: 0...900, using: &random)
            // Twice in one transaction: a run is kept that is longer than its value.
            if length > 20_000 { try write.put(key, [UInt8](repeating: 0, count: length + 9_000)) }
            let value = sealed(key, bytes(length, &random))
            try write.put(key, value)
            records[key] = value
        }
        try write.commit()
    }

    private struct Store {
        let file: [UInt8]
        let records: Records
        let depth: Int
    }

    /// Three levels and a list of free pages with a run of its own.
    private static func store(_ random: inout SeededRandom) throws -> Store {
        let folder = TemporaryFolder()
        var records: Records = [:]
        let (depth, used): (Int, Int) = try {
            let env = try Environment(path: folder.path, options: options())
            try commit(env, &records, 1_500, deleting: 0, &random)
            try commit(env, &records, 10, deleting: 900, &random)
            for _ in 0..<5 { try commit(env, &records, 20, deleting: 20, &random) }
            let statistics = try env.statistics()
            return (statistics.depth, statistics.bytesUsed)
        }()
        let file = try Data(contentsOf: folder.url.appendingPathComponent("data.mdb"))
        return Store(file: Array(file.prefix(used)), records: records, depth: depth)
    }

    private enum Outcome: Equatable {
        case refused([PageFinding])
        case refusedAtOpen
        case same
        case sealsTell
        case wrong
    }

    private static func outcome(_ file: [UInt8], _ records: Records, in folder: TemporaryFolder) throws -> Outcome {
        try Data(file).write(to: folder.url.appendingPathComponent("data.mdb"))
        do {
            let env = try Environment(path: folder.path, options: options(.reader))
            return try env.readVerified { view in
                var found: Records = [:]
                try view.scan(prefix: []) { key, value in
                    found[Array(key)] = Array(value)
                    return .onward
                }
                if found == records { return .same }
                return found.allSatisfy({ isSealed($0.key, $0.value) }) ? .wrong : .sealsTell
            }
        } catch let error as DamagedPages {
            return .refused(error.findings)
        } catch is LMDBError {
            return .refusedAtOpen
        }
    }

    /// After each of many commits: emptied, filled, long values, long lists of free pages.
    @Test func aSoundStoreHasNoFindings() throws {
        var random = SeededRandom(seed: testSeed("aSoundStoreHasNoFindings"))
        let folder = TemporaryFolder()
        let env = try Environment(path: folder.path, options: Self.options())
        var records: Records = [:]
        func verify() throws {
            let found = try env.readVerified { view in try view.entryCount() }
            #expect(found == records.count)
        }
        try verify()
        for round in 0..<120 {
            let all = records.count
            let deleting = round % 30 == 29 ? all : Int.random(in: 0...all / 2, using: &random)
            try Self.commit(env, &records, round % 30 == 29 ? 0 : Int.random(in: 0...200, using: &random), deleting: deleting, &random)
            try verify()
        }
    }

    @Test func everyPageOfZerosIsFoundOrWasNotInUse() throws {
        var random = SeededRandom(seed: testSeed("everyPageOfZerosIsFoundOrWasNotInUse"))
        let store = try Self.store(&random)
        #expect(store.depth >= 3)
        let folder = TemporaryFolder()
        var counts: [String: Int] = [:]
        for page in 0..<store.file.count / 4_096 {
            var file = store.file
            file.replaceSubrange(page * 4_096..<(page + 1) * 4_096, with: repeatElement(0, count: 4_096))
            switch try Self.outcome(file, store.records, in: folder) {
            case .refused(let findings):
                // Its own number leads to it, but for a page of a list of free pages behind the first.
                #expect(findings.contains { $0.page == UInt64(page) || [.free].contains($0.tree) }, "page \(page): \(findings)")
                counts["found", default: 0] += 1
            case .refusedAtOpen: counts["at open", default: 0] += 1
            case .same: counts["free", default: 0] += 1
            case .sealsTell: counts["seals", default: 0] += 1
            case .wrong: Issue.record("page \(page) of zeros: other records, and every seal is whole")
            }
        }
        for (outcome, least) in ["found": 100, "at open": 4, "free": 1, "seals": 1] { #expect(counts[outcome, default: 0] >= least, "\(counts)") }
    }

    @Test func whateverIsDamagedIsFoundOrDoesNoHarm() throws {
        let seed = testSeed("whateverIsDamagedIsFoundOrDoesNoHarm")
        var random = SeededRandom(seed: seed)
        let store = try Self.store(&random)
        let folder = TemporaryFolder()
        #expect(try Self.outcome(store.file, store.records, in: folder) == .same)
        let pages = store.file.count / 4_096
        var found = 0
        for number in 0..<600 {
            var file = store.file
            let page = number % 10 == 0 ? Int.random(in: 0...1, using: &random) : Int.random(in: 0..<pages, using: &random)
            let start = page * 4_096
            let kind = number % 8
            func flip(_ range: Range<Int>) { file[start + Int.random(in: range, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random) }
            switch kind {
            case 0: file.replaceSubrange(start..<start + 4_096, with: Self.bytes(4_096, &random))
            case 1: flip(0..<16)
            case 2: flip(16..<80)
            case 3: flip(16..<168)
            case 4:
                // Of a node's own fields, if this page has nodes.
                let offset = Int(file[start + 16]) | Int(file[start + 17]) << 8
                if offset < 4_088 { flip(offset..<offset + 8) } else { flip(0..<4_096) }
            case 5: file.removeSubrange(Int.random(in: 0..<file.count, using: &random)...)
            case 6:
                let other = Int.random(in: 0..<pages, using: &random) * 4_096
                let copy = Array(file[other..<other + 4_096])
                file.replaceSubrange(start..<start + 4_096, with: copy)
            default: for _ in 0..<8 { flip(0..<4_096) }
            }
            switch try Self.outcome(file, store.records, in: folder) {
            case .refused, .refusedAtOpen, .sealsTell: found += 1
            case .same: break
            case .wrong: Issue.record("seed \(seed), case \(number), kind \(kind), page \(page): other records, and every seal is whole")
            }
        }
        #expect(found > 120, "\(found) of 600")
    }

    @Test func anEmptyFileIsNoStoreToAReader() throws {
        let folder = TemporaryFolder()
        try Data().write(to: folder.url.appendingPathComponent("data.mdb"))
        let refusal = #expect(throws: LMDBError.self) { _ = try Environment(path: folder.path, options: Self.options(.reader)) }
        #expect(refusal?.code == .noSuchFile)
        // A writer makes one of it, as of a folder without a file.
        #expect(try Environment(path: folder.path, options: Self.options()).readVerified { view in try view.entryCount() } == 0)
    }

    /// Commit N + 1 is in the file, and N in the lock file: there a writer was killed, while somebody else had the store open.
    @Test func aStoreIsVerifiedBehindAWriterThatWasKilled() throws {
        for commits in 1...4 {
            let folder = TemporaryFolder()
            let file = folder.url.appendingPathComponent("data.mdb")
            var random = SeededRandom(seed: testSeed("aStoreIsVerifiedBehindAWriterThatWasKilled") &+ UInt64(commits))
            var records: Records = [:]
            try {
                let env = try Environment(path: folder.path, options: Self.options())
                for _ in 0..<commits { try Self.commit(env, &records, 60, deleting: 5, &random) }
            }()
            // What the killed one's last commit leaves: pages that were free or behind the end, and the other meta page.
            let other = TemporaryFolder()
            let copy = other.url.appendingPathComponent("data.mdb")
            try Data(contentsOf: file).write(to: copy)
            var after = records
            try {
                let env = try Environment(path: other.path, options: Self.options())
                try Self.commit(env, &after, 40, deleting: 10, &random)
            }()
            let env = try Environment(path: folder.path, options: Self.options(.reader))
            let handle = try FileHandle(forWritingTo: file)
            try handle.write(contentsOf: Data(contentsOf: copy))
            try handle.close()
            let begun = ContinuousClock.now
            let (found, commit) = try env.readVerified { view in
                var found: Records = [:]
                try view.scan(prefix: []) { key, value in
                    found[Array(key)] = Array(value)
                    return .onward
                }
                return (found, view.lastCommit)
            }
            #expect(found == records && commit == UInt64(commits))
            #expect(ContinuousClock.now - begun < .seconds(1))
        }
    }

    /// F3: a write of a meta page that was torn at a sector leaves the commit, or the one before, or is refused; in none of them a record is another.
    @Test func everyTornMetaPageIsOneOfTwoStatesOrRefused() throws {
        var random = SeededRandom(seed: testSeed("everyTornMetaPageIsOneOfTwoStatesOrRefused"))
        let folder = TemporaryFolder()
        let file = folder.url.appendingPathComponent("data.mdb")
        var states: [(file: [UInt8], records: Records)] = []
        var records: Records = [:]
        for round in 0..<4 {
            try {
                let env = try Environment(path: folder.path, options: Self.options())
                try Self.commit(env, &records, 150, deleting: round * 20, &random)
            }()
            states.append((Array(try Data(contentsOf: file)), records))
        }
        let target = TemporaryFolder()
        var (old, new, refused) = (0, 0, 0)
        for (before, after) in zip(states, states.dropFirst()) {
            for page in 0..<2 {
                for sector in 0...8 {
                    for isLowWritten in [true, false] {
                        // All pages of the commit are there; of this meta page the sectors before, or from, the tear.
                        var torn = after.file
                        let range = isLowWritten ? sector * 512..<4_096 : 0..<sector * 512
                        for place in range { torn[page * 4_096 + place] = before.file[page * 4_096 + place] }
                        switch try Self.outcome(torn, after.records, in: target) {
                        case .same: new += 1
                        case .refused, .refusedAtOpen: refused += 1
                        case .sealsTell: Issue.record("page \(page), sector \(sector): a record with a broken sum")
                        case .wrong:
                            #expect(try Self.outcome(torn, before.records, in: target) == .same, "page \(page), sector \(sector)")
                            old += 1
                        }
                    }
                }
            }
        }
        // The page that a commit does not write is the same before and after it; of the other one all that counts is in the first sector.
        #expect(old > 0 && new > 0 && old + new + refused == 108, "\(old) old, \(new) new, \(refused) refused")
        print("F3: 108 torn meta pages: \(new) of the commit, \(old) of the one before, \(refused) refused")
    }

    /// F6
    @Test func aFileOfAnyLengthIsWholeOrRefused() throws {
        let seed = testSeed("aFileOfAnyLengthIsWholeOrRefused")
        var random = SeededRandom(seed: seed)
        let store = try Self.store(&random)
        let folder = TemporaryFolder()
        var refused = 0
        for round in 0..<100 {
            let length = round < 10 ? round * 1_000 : Int.random(in: 0..<store.file.count, using: &random)
            switch try Self.outcome(Array(store.file.prefix(length)), store.records, in: folder) {
            case .refused, .refusedAtOpen: refused += 1
            case let outcome: Issue.record("seed \(seed), \(length) of \(store.file.count) bytes: \(outcome)")
            }
        }
        #expect(refused == 100)
    }

    private final class Writing: Sendable {
        let isOver = Atomic(false)
        let commits = Mutex<Result<Int, any Error>?>(nil)
    }

    /// The snapshot that is verified is that of its reader, whatever is committed meanwhile.
    @Test func aStoreIsVerifiedBesideItsWriter() throws {
        let folder = TemporaryFolder()
        let env = try Environment(path: folder.path, options: Self.options())
        let seed = testSeed("aStoreIsVerifiedBesideItsWriter")
        let writing = Writing()
        Thread.detachNewThread {
            let result = Result<Int, any Error> {
                var random = SeededRandom(seed: seed)
                var records: Records = [:]
                var commits = 0
                while !writing.isOver.load(ordering: .acquiring) {
                    let all = records.count
                    try Self.commit(env, &records, Int.random(in: 0...12, using: &random), deleting: all / 20, &random)
                    commits += 1
                }
                return commits
            }
            writing.commits.withLock { $0 = result }
        }
        var states = Set<TransactionView.State>()
        // Until it has been done on many states, so that commits came between; a writer that has failed makes no more of them.
        while states.count < 100, writing.commits.withLock({ $0 == nil }) {
            let state = try env.readVerified { view in
                try view.scan(prefix: []) { key, value in
                    #expect(Self.isSealed(Array(key), Array(value)))
                    return .onward
                }
                return view.state
            }
            states.insert(state)
        }
        writing.isOver.store(true, ordering: .releasing)
        while writing.commits.withLock({ $0 == nil }) { Thread.sleep(forTimeInterval: 0.001) }
        #expect(try writing.commits.withLock { try $0!.get() } >= 99)
        #expect(states.count == 100)
    }
}
