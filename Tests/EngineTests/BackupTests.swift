import Archives
import Base
import Engine
import Foundation
import Journal
import LMDB
import Maintenance
import TestSupport
import Testing

/// Backups of a store that is opened again and again: its files may be open once in a process.
private final class BackedUp {
    let data = TemporaryFolder()
    let backups = TemporaryFolder()
    let clock = CountingClock()
    var window = JournalWindow.all
    var options = BackupOptions(writer: "test")
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    func serve(_ body: (Fixture) async throws -> Void) async throws {
        let fixture = try Fixture(data, models: WordHash.ascii) {
            $0.journal = window
            $0.clock = clock
            $0.threshold = 0.4
        }
        try await body(fixture)
        await fixture.database.close()
    }

    /// Random commands; says where the store stands then, and what it says.
    @discardableResult
    func run(_ count: Int) async throws -> (place: StorePosition, hash: String) {
        var place = StorePosition.start
        let seed = random.next()
        try await serve { fixture in
            var mixture = Mixture(fixture, seed: seed)
            for _ in 0..<count { try await mixture.step() }
            place = try await fixture.database.position()
        }
        return (place, try ContentHash.hex(directory: data.path))
    }

    @discardableResult
    func backUp(full: Bool = false) throws -> Backup.Report? {
        options.isFull = full
        guard case .made(let report) = try Backup.run(data.path, to: backups.path, options) else { return nil }
        return report
    }
}

@Suite struct BackupTests {
    /// A folder name that is not there yet.
    private struct Target {
        let folder = TemporaryFolder()
        var path: String { folder.path + "/restored" }
        /// Nothing of a restore is there.
        var isUntouched: Bool { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) == [] }
    }

    private static func restore(
        _ backups: String, _ moment: RestoreMoment = .latest, secret: BackupSecret? = nil, to target: Target = Target()
    ) throws -> Restore.Report {
        let report = try Restore.run(from: backups, to: target.path, moment, secret: secret, mapBytes: 4 << 30)
        #expect(try ContentHash.hex(directory: target.path) == report.contentHash)
        return report
    }

    /// The journal of a store that is closed.
    private static func entries(of directory: String) async throws -> [JournalEntry] {
        var entries: [JournalEntry] = []
        let copy = TemporaryFolder()
        try FileManager.default.removeItem(atPath: copy.path)
        try FileManager.default.copyItem(atPath: directory, toPath: copy.path)
        let source = try Fixture(copy, models: WordHash.ascii) { $0.journal = .all }
        while true {
            let more = try await source.database.journal(after: entries.last?.position ?? .zero)
            if more.isEmpty { break }
            entries += more
        }
        await source.database.close()
        return entries
    }

    /// What a store says after so many commands, by applying them to nothing.
    private static func hash(_ entries: [JournalEntry], at position: Position) async throws -> String {
        let follower = try Fixture(models: WordHash.ascii)
        try await follower.database.follow(entries.filter { $0.position <= position })
        await follower.database.close()
        return try ContentHash.hex(directory: follower.folder.path)
    }

    @Test(arguments: [UInt64.random(in: 1...999_999), 7]) func aRestoreSaysWhatTheStoreSaid(seed: UInt64) async throws {
        print("seed \(seed)")
        let store = BackedUp(seed: seed)
        var random = SeededRandom(seed: seed)
        var states: [(place: StorePosition, hash: String)] = []
        for round in 0..<7 {
            states.append(try await store.run(10 + Int(random.below(40))))
            let report = try store.backUp(full: round == 4)
            if round > 0, states[round].place == states[round - 1].place {
                #expect(report == nil || round == 4)
                continue
            }
            #expect(report?.manifest.isFull == (round == 0 || round == 4) && report?.manifest.to.position == states[round].place.position)
        }
        #expect(try store.backUp() == nil, "nothing has changed")
        let verified = try BackupVerification.run(store.backups.path, secret: nil)
        #expect(verified.findings == [] && verified.backups >= 6 && verified.commands > 0)

        let last = try Self.restore(store.backups.path)
        #expect(last.position == states[6].place.position && last.time == states[6].place.time && last.contentHash == states[6].hash)
        let entries = try await Self.entries(of: store.data.path)
        for (number, (place, hash)) in states.enumerated() {
            #expect(try Self.restore(store.backups.path, .position(place.position)).contentHash == hash, "position \(place.position)")
            // Until the first command of a later time. Of two that were proposed at once, the later position may have the earlier time.
            let (full, last) = (states[number < 4 ? 0 : 4].place.position, states[number < 4 ? 3 : 6].place.position)
            let taken = entries.filter { $0.position > full && $0.position <= last }.prefix { $0.time <= place.time }
            let then = try Self.restore(store.backups.path, .time(place.time))
            let times = entries.filter { $0.position.rawValue + 3 > place.position.rawValue }.prefix(6).map { "\($0.position) \($0.time.rawValue % 100_000)" }
            #expect(then.position == taken.last?.position ?? full, "\(place.position) \(place.time.rawValue % 100_000) of \(times)")
            #expect(then.contentHash == (try await Self.hash(entries, at: then.position)), "time of \(place.position)")
        }
        // Anywhere between.
        for number in 0..<4 {
            // A full backup has one state: those between the increment before it and itself are in none.
            let (first, last) = number % 2 == 0 ? (0, 3) : (4, 6)
            let (low, high) = (states[first].place.position.rawValue, states[last].place.position.rawValue)
            let position = Position(rawValue: low + random.below(high - low + 1))
            let report = try Self.restore(store.backups.path, .position(position))
            #expect(report.position == position)
            #expect(report.contentHash == (try await Self.hash(entries, at: position)), "position \(position)")
        }
    }

    /// A restored store goes on: its journal is linked to what was, and its backups follow those before.
    @Test func aRestoredStoreGoesOn() async throws {
        let store = BackedUp(seed: 3)
        try await store.run(20)
        try store.backUp()
        try await store.run(20)
        try store.backUp()
        let target = Target()
        let report = try Self.restore(store.backups.path, to: target)
        try await Self.publish(in: target.path, store, 5)
        let more = try Backup.run(target.path, to: store.backups.path, store.options)
        guard case .made(let made) = more else { return #expect(Bool(false), "nothing was made") }
        #expect(!made.manifest.isFull && made.manifest.to.position.rawValue == report.position.rawValue + 5)
        #expect(try Self.restore(store.backups.path).contentHash == ContentHash.hex(directory: target.path))

        // The one that it was restored from has another future now: it cannot go on in this folder.
        try await store.run(30)
        let error = #expect(throws: ContexError.self) { try store.backUp() }
        #expect(error?.code == .conflict && error?.message.contains("another past") == true, "\(String(describing: error))")
        #expect(try store.backUp(full: true)?.manifest.isFull == true)
        #expect(try Self.restore(store.backups.path).contentHash == ContentHash.hex(directory: store.data.path))
    }

    private static func publish(in folder: String, _ store: BackedUp, _ count: Int) async throws {
        var configuration = DatabaseConfiguration(directory: folder)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        configuration.journal = .all
        configuration.clock = store.clock
        // The pepper of the origin.
        try? FileManager.default.copyItem(atPath: store.data.path + "/pepper", toPath: folder + "/pepper")
        let database = try Database(configuration: configuration, models: WordHash.ascii)
        for number in 0..<count {
            let command = PublishCommand(project: Name(stored: "p0"), key: Name(stored: "restored \(number)"), data: .string("lion \(number)"))
            _ = try await database.publish(Fixture.tenant, [command])[0].get()
        }
        await database.close()
    }

    @Test func aJournalThatDoesNotReachBackIsSaid() async throws {
        let store = BackedUp(seed: 4)
        store.window = .off
        try await store.run(10)
        #expect(try store.backUp()?.manifest.link == nil)
        try await store.run(10)
        let none = #expect(throws: ContexError.self) { try store.backUp() }
        #expect(none?.code == .journalShort && none?.message.contains("--full") == true)

        store.window = .bytes(3_000)
        try await store.serve { for number in 1...20 { try await $0.publish("p", "k\(number)", .string("lion \(number)")) } }
        #expect(try store.backUp(full: true)?.manifest.link != nil)
        // Two more are within the window.
        try await store.serve { for number in 1...2 { try await $0.publish("p", "l\(number)", .string("zebra \(number)")) } }
        #expect(try store.backUp()?.manifest.items == 2)
        try await store.serve { for number in 1...60 { try await $0.publish("p", "m\(number)", .string("zebra \(number)")) } }
        let names = try FileManager.default.contentsOfDirectory(atPath: store.backups.path).sorted()
        let short = #expect(throws: ContexError.self) { try store.backUp() }
        #expect(short?.code == .journalShort && short?.message.contains("--full") == true, "\(String(describing: short))")
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.backups.path).sorted() == names)
        #expect(try store.backUp(full: true)?.manifest.isFull == true)
        #expect(try Self.restore(store.backups.path).contentHash == ContentHash.hex(directory: store.data.path))
    }

    @Test func whatAKilledBackupLeftIsNoBackup() async throws {
        let store = BackedUp(seed: 5)
        try await store.run(15)
        let partial = store.backups.path + "/partial-00ff"
        try FileManager.default.createDirectory(atPath: partial, withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: partial + "/data-00001"))
        #expect(try BackupFolder(store.backups.path).unfinished == ["partial-00ff"])
        let nothing = #expect(throws: ContexError.self) { try Self.restore(store.backups.path) }
        #expect(nothing?.code == .notFound)
        #expect(try store.backUp()?.removed == ["partial-00ff"])
        #expect(!FileManager.default.fileExists(atPath: partial))
        #expect(try BackupVerification.run(store.backups.path, secret: nil).findings == [])
    }

    @Test func theFolderToRestoreIntoMustBeNew() async throws {
        let store = BackedUp(seed: 6)
        let (_, hash) = try await store.run(15)
        try store.backUp()
        let target = Target()
        try FileManager.default.createDirectory(atPath: target.path, withIntermediateDirectories: true)
        #expect(try Self.restore(store.backups.path, to: target).contentHash == hash)
        let again = #expect(throws: ContexError.self) { try Self.restore(store.backups.path, to: target) }
        #expect(again?.code == .folderNotEmpty)
        #expect(try ContentHash.hex(directory: target.path) == hash)
        let file = Target()
        try Data().write(to: URL(fileURLWithPath: file.path))
        #expect(throws: ContexError.self) { try Self.restore(store.backups.path, to: file) }
        #expect(throws: ContexError.self) { try Restore.run(from: store.backups.path, to: "/", .latest) }
        // What a killed one left is in nobody's way.
        let killed = Target()
        let draft = killed.folder.path + "/.restored.restoring"
        try FileManager.default.createDirectory(atPath: draft + "/store", withIntermediateDirectories: true)
        try Data([1]).write(to: URL(fileURLWithPath: draft + "/store/data.mdb"))
        #expect(try Self.restore(store.backups.path, to: killed).contentHash == hash)
        #expect(try FileManager.default.contentsOfDirectory(atPath: killed.folder.path) == ["restored"])
    }

    @Test func momentsThatNoBackupHas() async throws {
        let store = BackedUp(seed: 8)
        let (first, _) = try await store.run(20)
        try store.backUp()
        try await store.run(20)
        try store.backUp()
        let early = Position(rawValue: first.position.rawValue - 1)
        for moment in [RestoreMoment.position(early), .position(Position(rawValue: 9_999)), .time(Timestamp(rawValue: 1)), .time(Timestamp(rawValue: .max))] {
            let target = Target()
            let error = #expect(throws: ContexError.self) { try Self.restore(store.backups.path, moment, to: target) }
            #expect(error?.code == .notFound && error?.message.contains("\(first.position) to ") == true, "\(String(describing: error))")
            #expect(target.isUntouched)
        }
    }

    @Test func oldChainsGoAsAWhole() async throws {
        let store = BackedUp(seed: 10)
        for round in 0..<3 {
            try await store.run(6)
            try store.backUp(full: true)
            try await store.serve { try await $0.publish("p0", "round", .integer(round)) }
            try store.backUp()
        }
        let none = BackupRetention(daily: 0, weekly: 0, monthly: 0)
        let old = ["00000001-full", "00000002-increment", "00000003-full", "00000004-increment"]
        let dry = try BackupPruning.run(store.backups.path, none, isDryRun: true)
        #expect(dry.removed == old && dry.freedBytes > 0)
        #expect(try BackupFolder(store.backups.path).backups.count == 6)
        // All of one day: the newest has it.
        #expect(try BackupPruning.run(store.backups.path, .init(daily: 3, weekly: 3, monthly: 3), isDryRun: true).removed == old)
        // One that nobody can read is left alone, and what follows it.
        try FileManager.default.removeItem(atPath: store.backups.path + "/00000001-full/manifest")
        let report = try BackupPruning.run(store.backups.path, none)
        #expect(report.removed == Array(old[2...]) && report.undecided == Array(old[..<2]) && report.kept == ["00000005-full", "00000006-increment"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.backups.path).sorted() == old[..<2] + report.kept)
        #expect(try Self.restore(store.backups.path).contentHash == ContentHash.hex(directory: store.data.path))
        #expect(throws: ContexError.self) { try BackupPruning.run(store.backups.path + "/none", none) }
    }

    /// A chain a day for 100 days from 2026-01-01 on, the last state of each an hour before midnight.
    @Test func whatIsKeptOfAHundredDays() {
        let day: Int64 = 86_400_000_000
        let start: Int64 = 1_767_225_600_000_000
        let spans = (0..<100).map { (Timestamp(rawValue: start + Int64($0) * day), Timestamp(rawValue: start + Int64($0) * day + day * 23 / 24)) }
        func kept(_ daily: Int, _ weekly: Int, _ monthly: Int) -> [Int] {
            BackupPruning.kept(spans, .init(daily: daily, weekly: weekly, monthly: monthly)).sorted()
        }
        #expect(kept(0, 0, 0) == [99] && kept(3, 0, 0) == [97, 98, 99] && kept(1_000, 0, 0) == Array(0..<100))
        // The last day is Friday, 10 April; Sundays before it are 5 April and 29 March.
        #expect(kept(0, 3, 0) == [87, 94, 99])
        // Ends of January, February and March.
        #expect(kept(0, 0, 4) == [30, 58, 89, 99])
        #expect(kept(2, 2, 2) == [89, 94, 98, 99])
        // One chain over all of it has every day.
        let long = [(spans[0].0, spans[98].1), spans[99]]
        #expect(BackupPruning.kept(long, .init(daily: 1, weekly: 0, monthly: 0)) == [1])
        #expect(BackupPruning.kept(long, .init(daily: 2, weekly: 0, monthly: 0)) == [0, 1])
        #expect(BackupPruning.kept([], .init(daily: 2, weekly: 0, monthly: 0)) == [])
    }

    @Test func heldForLongItSaysSo() async throws {
        let store = BackedUp(seed: 9)
        try await store.serve { fixture in
            for number in 0..<40 {
                let rows = (0..<40).map { JSONValue.string("row \(number) \($0)") }
                try await fixture.publish("p", "k\(number)", .array(rows))
            }
        }
        store.options.holdSeconds = -1
        store.options.isFull = true
        nonisolated(unsafe) var said: [String] = []
        guard case .made(let report) = try Backup.run(store.data.path, to: store.backups.path, store.options, alarm: { unsafe said.append($0) }) else {
            return #expect(Bool(false), "nothing was made")
        }
        #expect(report.manifest.items > 2_048, "too few records for a look at the clock: \(report.manifest.items)")
        unsafe #expect(said.count == 1 && said[0].contains("held"), "\(said)")
        store.options.growthMax = -1
        let error = #expect(throws: ContexError.self) { try Backup.run(store.data.path, to: store.backups.path, store.options) }
        #expect(error?.code == .unavailable && error?.message.contains("--growth-max") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.backups.path) == ["00000001-full"])
    }
}
