import Base
import Content
import Engine
import Foundation
import Journal
import KeySpace
import LMDB
import Maintenance
import Search
import TestSupport
import Testing

/// A damaged store is made sound again as far as what is left of it goes; log, journal and audit trail are what they were, or what is left of them.
@Suite struct RepairTests {
    private typealias Records = [[UInt8]: [UInt8]]

    /// What a repair may make anew, and not to the byte.
    private static let derived: Set<KeyKind> = [
        .vectorModel, .recordSums, .vectorState, .vector, .vectorLinks, .vectorSlots, .vectorCodes, .vectorNodes, .vectorBulk, .vectorSum, .textState, .posting,
        .textPositions, .textTerms, .textLengths, .textRecent, .need, .needState, .agentMatch, .agentMatchByDocument, .agentNeeds, .needFollower, .needByText,
        .needTerm, .needLimits, .needCodes, .attributeNodes, .attributeTimes, .tenantStorage,
    ]

    private static func file(_ folder: TemporaryFolder) -> URL { folder.url.appendingPathComponent("store/data.mdb") }

    private static func kind(_ key: [UInt8]) -> KeyKind? { KeyKind(rawValue: key[TenantScope.prefixBytes - 1]) }

    private static func configuration(_ folder: TemporaryFolder) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.mapBytes = 4 << 30
        configuration.durability = .unsafeNoSync
        return configuration
    }

    /// No ledger hears of it: it is what a disk does.
    private static func environment(_ folder: TemporaryFolder) throws -> Environment {
        try Environment(path: folder.path + "/store", options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
    }

    private static func records(_ folder: TemporaryFolder) throws -> Records {
        let environment = try environment(folder)
        return try environment.read { view in
            var records: Records = [:]
            try view.scan(prefix: []) { key, value in
                records[Array(key)] = Array(value)
                return .onward
            }
            return records
        }
    }

    private static func truth(_ records: Records) -> Records {
        records.filter { (key: [UInt8], _: [UInt8]) -> Bool in
            guard let kind = kind(key) else { return true }
            return !derived.contains(kind)
        }
    }

    private static func without(_ kind: KeyKind, _ records: Records) -> Records {
        records.filter { (key: [UInt8], _: [UInt8]) -> Bool in self.kind(key) != kind }
    }

    private static func truth(_ records: Records, without kind: KeyKind) -> Records { without(kind, truth(records)) }

    private static func plant(_ changes: [(key: [UInt8], value: [UInt8]?)], _ folder: TemporaryFolder) throws {
        let environment = try environment(folder)
        var write = try environment.beginWrite()
        for (key, value) in changes { if let value { try write.put(key, value) } else { try write.delete(key) } }
        try write.commit()
    }

    private static func flipped(_ value: [UInt8]) -> [UInt8] {
        var value = value
        value[value.count / 2] ^= 0x10
        return value
    }

    private static func repair(_ folder: TemporaryFolder) async throws -> Repair.Report {
        try await Repair.run(configuration: configuration(folder), models: { WordHash.models })
    }

    private static func store(_ seed: UInt64, steps: Int = 150) async throws -> TemporaryFolder {
        let folder = TemporaryFolder()
        let fixture = try Fixture(folder) { $0.journal = .all }
        var mixture = Mixture(fixture, seed: seed)
        for _ in 0..<steps { try await mixture.step() }
        for number in 0..<12 { try await fixture.publish("kept", "k\(number % 5)", ["text": .string("lion \(number)")]) }
        #expect(try await fixture.closeAndCheck() == [])
        return folder
    }

    @Test func aSoundStoreIsLeftAlone() async throws {
        let folder = try await Self.store(1, steps: 20)
        let before = try Data(contentsOf: Self.file(folder))
        let report = try await Self.repair(folder)
        #expect(report.found == [] && report.mended == [] && report.left == [] && report.kept == nil)
        #expect(try Data(contentsOf: Self.file(folder)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/store").allSatisfy { $0 != "repair" })
    }

    /// Of each kind of record that is an index: one with a broken seal, one that is gone.
    @Test func indexesAreMadeAnew() async throws {
        let seed = testSeed("indexesAreMadeAnew")
        var random = SeededRandom(seed: seed)
        let folder = try await Self.store(seed)
        let sound = try Self.records(folder)
        let file = try Data(contentsOf: Self.file(folder))
        for kind in Self.derived.sorted(by: { $0.rawValue < $1.rawValue }) where ![.vectorModel, .recordSums, .tenantStorage].contains(kind) {
            let keys = sound.keys.filter { Self.kind($0) == kind }.sorted { $0.lexicographicallyPrecedes($1) }
            guard let key = keys.randomElement(using: &random), let value = sound[key] else { continue }
            for change in [Self.flipped(value), nil] {
                try file.write(to: Self.file(folder))
                try Self.plant([(key, change)], folder)
                let report = try await Self.repair(folder)
                #expect(!report.found.isEmpty && report.left == [] && report.kept != nil, "seed \(seed), \(kind): \(report)")
                #expect(try IntegrityCheck.run(directory: folder.path).findings == [], "seed \(seed), \(kind)")
                #expect(try Self.truth(Self.records(folder)) == Self.truth(sound), "seed \(seed), \(kind)")
            }
        }
        // And it goes on.
        let fixture = try Fixture(folder)
        try await fixture.publish("kept", "k1", ["text": "a zebra after all"])
        #expect(try await fixture.query("kept", "zebra", mode: .keyword).map(\.documentKey) == ["k1"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// What follows from documents and log comes back as it was, to the byte: the sums prove it.
    @Test func documentsGetBackWhatFollowsFromTheLog() async throws {
        let seed = testSeed("documentsGetBackWhatFollowsFromTheLog")
        var random = SeededRandom(seed: seed)
        let folder = try await Self.store(seed, steps: 40)
        let sound = try Self.records(folder)
        let file = try Data(contentsOf: Self.file(folder))
        let name = Name(stored: "kept")
        let entry = try #require(sound[TenantScope(tenant: .standard, project: .tenantLevel).key(.projectName, text: name.text)])
        var number: UInt32 = 0
        for byte in entry.dropFirst(6).prefix(4) { number = number << 8 | UInt32(byte) }
        let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: number))
        for kind in [KeyKind.documentByKey, .documentVersion, .node, .documentState] {
            let keys = sound.keys.filter { $0.starts(with: scope.key(kind)) }.sorted { $0.lexicographicallyPrecedes($1) }
            let some = Array(keys.shuffled(using: &random).prefix(3))
            #expect(!some.isEmpty, "\(kind)")
            for isGone in [false, true] {
                try file.write(to: Self.file(folder))
                try Self.plant(some.map { ($0, isGone ? nil : Self.flipped(sound[$0]!)) }, folder)
                let report = try await Self.repair(folder)
                #expect(report.left == [] && report.mended.contains { $0.hasPrefix("project 'kept': ") }, "seed \(seed), \(kind), gone: \(isGone): \(report)")
                let now = try Self.truth(Self.records(folder))
                let (before, after) = (Self.truth(sound, without: .documentState), Self.without(.documentState, now))
                #expect(before == after, "seed \(seed), \(kind)")
                if kind != .documentState { #expect(now == Self.truth(sound), "seed \(seed), \(kind)") }
                let fixture = try Fixture(folder)
                try await fixture.publish("kept", "k1", ["text": .string("zebra \(kind)")])
                try await fixture.publish("kept", "new", ["text": .string("zebra \(kind)")])
                #expect(try await fixture.closeAndCheck() == [], "seed \(seed), \(kind)")
            }
        }
    }

    /// The log is never made up: what is gone of it is told, and stays gone; nothing else is touched for it.
    @Test func whatIsGoneOfTheLogIsTold() async throws {
        let folder = try await Self.store(3, steps: 30)
        let sound = try Self.records(folder)
        for kind in [KeyKind.event, .journalEntry] {
            let key = try #require(sound.keys.filter { Self.kind($0) == kind }.min { $0.lexicographicallyPrecedes($1) })
            for change in [Self.flipped(sound[key]!), nil] {
                try Self.plant([(key, change)], folder)
                let damaged = try Data(contentsOf: Self.file(folder))
                let report = try await Self.repair(folder)
                #expect(!report.left.isEmpty, "\(kind): \(report)")
                let after = try Data(contentsOf: Self.file(folder))
                #expect(report.kept != nil || after == damaged)
                let now = try Self.records(folder)
                #expect(now[key] == change, "\(kind)")
                for (other, value) in Self.truth(sound) where other != key { #expect(now[other] == value, "\(kind)") }
                try Self.plant([(key, sound[key])], folder)
            }
        }
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
    }

    /// A meta page that cannot be one, and numbers of commits that do not follow each other: the state is that of the last commit.
    @Test func theGoodMetaPageIsTaken() async throws {
        let seed = testSeed("theGoodMetaPageIsTaken")
        var random = SeededRandom(seed: seed)
        let folder = try await Self.store(seed, steps: 40)
        let sound = try Self.records(folder)
        let file = [UInt8](try Data(contentsOf: Self.file(folder)))
        func number(_ page: Int) -> UInt64 {
            var number: UInt64 = 0
            for place in (0..<8).reversed() {
                let byte: UInt8 = file[page * 4_096 + 144 + place]
                number = number << 8 | UInt64(byte)
            }
            return number
        }
        let (newer, older) = number(0) > number(1) ? (0, 1) : (1, 0)
        for _ in 0..<20 {
            // The number of either with a bit too much or too little, or the older page broken.
            var damaged = file
            let bit: UInt8 = 1 << UInt8.random(in: 0...7, using: &random)
            let page: Int
            let offset: Int
            switch Int.random(in: 0..<3, using: &random) {
            case 0: (page, offset) = (newer, 144 + Int.random(in: 1...7, using: &random))
            case 1: (page, offset) = (older, 144 + Int.random(in: 1...7, using: &random))
            default: (page, offset) = (older, Int.random(in: 16..<24, using: &random))
            }
            damaged[page * 4_096 + offset] ^= bit
            try Data(damaged).write(to: Self.file(folder))
            let report = try await Self.repair(folder)
            #expect(report.mended.contains { $0.contains("meta page") } && report.left == [] && report.kept != nil, "seed \(seed): \(report)")
            #expect(try Self.records(folder) == sound, "seed \(seed)")
            #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        }
    }

    /// Pages of zeros, noise, others and turned bits, anywhere: nothing is made up, the process lives, and what says that it is sound is.
    @Test func nothingIsMadeUp() async throws {
        let seed = testSeed("nothingIsMadeUp")
        var random = SeededRandom(seed: seed)
        let folder = try await Self.store(seed, steps: 100)
        let sound = try Self.records(folder)
        let used = try StoreReport.read(directory: folder.path).fileBytes
        let whole = [UInt8](try Data(contentsOf: Self.file(folder)))
        var counts: [String: Int] = [:]
        for trial in 0..<40 {
            var file = whole
            let page = Int.random(in: 0..<used / 4_096, using: &random)
            let range = page * 4_096..<(page + 1) * 4_096
            switch trial % 4 {
            case 0: file.replaceSubrange(range, with: repeatElement(0, count: 4_096))
            case 1: for place in range { file[place] = UInt8.random(in: 0...255, using: &random) }
            case 2:
                let other = Int.random(in: 0..<used / 4_096, using: &random)
                file.replaceSubrange(range, with: whole[other * 4_096..<(other + 1) * 4_096])
            default:
                let bit: UInt8 = 1 << UInt8.random(in: 0...7, using: &random)
                file[Int.random(in: 0..<used, using: &random)] ^= bit
            }
            try Data(file).write(to: Self.file(folder))
            let report: Repair.Report
            do {
                report = try await Self.repair(folder)
            } catch let error as ContexError {
                #expect(error.category == .damaged, "seed \(seed), trial \(trial): \(error)")
                counts["cannot", default: 0] += 1
                continue
            }
            guard report.kept != nil else {
                #expect(report.found.isEmpty || !report.left.isEmpty)
                counts[report.found.isEmpty ? "not in use" : "left", default: 0] += 1
                continue
            }
            if report.mended.contains(where: { $0.contains("before the last commit") || $0.contains("of a later commit") }) {
                counts["a commit less", default: 0] += 1
                continue
            }
            let now = try Self.truth(Self.records(folder))
            for (key, value) in now where sound[key] != value && Self.kind(key) != .documentState {
                let isMadeUp = Seal.holds(key: key[...], value: value[...])
                #expect(!isMadeUp, "seed \(seed), trial \(trial): \(key)")
            }
            counts[report.left.isEmpty ? "sound" : "with losses", default: 0] += 1
            if report.left.isEmpty {
                let (before, after) = (Self.truth(sound, without: .documentState), Self.without(.documentState, now))
                #expect(before == after, "seed \(seed), trial \(trial)")
            }
        }
        print("repairs, seed \(seed): \(counts.sorted { $0.key < $1.key })")
    }

    @Test func aServerKeepsItAway() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "k", ["text": "lion"])
        let folder = fixture.folder
        let error = await #expect(throws: ContexError.self) { try await Self.repair(folder) }
        #expect(error?.code == .folderInUse)
        await fixture.database.close()
        let none = await #expect(throws: ContexError.self) { try await Self.repair(TemporaryFolder()) }
        #expect(none?.code == .storeNotFound)
    }
}
