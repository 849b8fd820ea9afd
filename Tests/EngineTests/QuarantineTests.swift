import Base
import Content
import Engine
import Foundation
import Journal
import KeySpace
import LMDB
import Maintenance
import Search
import Synchronization
import TestSupport
import Testing

/// What is damaged of one project keeps that one apart, and no other.
@Suite struct QuarantineTests {
    private static let (p, q) = (Name(stored: "p"), Name(stored: "q"))
    private static let scope = TenantScope(tenant: .standard, project: ProjectID(rawValue: 1))

    private static func store() async throws -> TemporaryFolder {
        let fixture = try Fixture()
        for number in 0..<400 { try await fixture.publish("p", "k\(number % 120)", ["text": .string("lion \(number)")]) }
        for number in 0..<200 { try await fixture.publish("q", "other\(number % 50)", ["text": .string("zebra \(number)")]) }
        #expect(try await fixture.closeAndCheck() == [])
        return fixture.folder
    }

    /// No ledger hears of it: it is what a disk does.
    private static func plant(_ key: [UInt8], _ folder: TemporaryFolder, _ change: ([UInt8]) -> [UInt8]?) throws -> [UInt8] {
        let environment = try Environment(path: folder.path + "/store", options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
        var write = try environment.beginWrite()
        let value = try #require(try write.view.copy(key))
        if let changed = change(value) { try write.put(key, changed) } else { try write.delete(key) }
        try write.commit()
        return value
    }

    private static func flipped(_ value: [UInt8]) -> [UInt8] {
        var value = value
        value[value.count - 1] ^= 1
        return value
    }

    private static func scrubber(_ database: Database) -> Scrubber {
        Scrubber(database, interval: .seconds(3_600), bytesPerSecond: 1 << 30) { _ in }
    }

    private static func failure(_ body: () async throws -> some Any) async -> ContexError? {
        do {
            _ = try await body()
            return nil
        } catch { return ContexError(anyError: error) }
    }

    @Test func whatIsMetKeepsTheProjectApart() async throws {
        let folder = try await Self.store()
        let key = Self.scope.key(.event, UInt64(7))
        _ = try Self.plant(key, folder, Self.flipped)
        let fixture = try Fixture(folder)
        let database = fixture.database
        let (p, q) = (Self.p, Self.q)
        // Until somebody meets it, it is not known.
        #expect(database.quarantine.isEmpty)
        let met = await Self.failure {
            try await database.guarding(Fixture.tenant, p) { try await database.events(Fixture.tenant, project: p, since: .zero, count: .max) }
        }
        #expect(met?.code == .damaged && met?.project == "p")
        #expect(database.quarantine.entries.map(\.project) == [p])
        let position = try await database.position().position
        #expect(await Self.failure { try await fixture.publish("p", "new", ["text": "lion"]) }?.code == .quarantined)
        #expect(await Self.failure { try await database.delete(Fixture.tenant, project: p, key: Name(stored: "k1")) }?.code == .quarantined)
        #expect(await Self.failure { try await database.guarding(Fixture.tenant, p) { try await fixture.query("p", "lion") } }?.code == .quarantined)
        #expect(try await database.position().position == position)
        // The other one goes on, and the listing has both.
        try await fixture.publish("q", "new", ["text": "a zebra more"])
        #expect(try await fixture.query("q", "more", mode: .keyword).map(\.documentKey) == ["new"])
        let listed = try await database.projects(Fixture.tenant)
        #expect(listed.map(\.isQuarantined) == [true, false])
        #expect(listed.last?.documents == 51)
        #expect(database.quarantine.refusal(Fixture.tenant, q) == nil)
        // A look finds it again, and a start knows nothing of it.
        let look = try await Self.scrubber(database).look(Fixture.tenant, p)
        #expect(look.findings.count == 1)
        #expect(look.findings.first?.contains("seal") == true)
        #expect(database.quarantine.holds(Fixture.tenant, p))
        await database.close()
        let again = try Fixture(folder)
        #expect(again.database.quarantine.isEmpty)
        await again.database.close()
    }

    /// A write that meets damage is answered with it; what comes after it is refused before it begins.
    @Test func aWriteThatMeetsItIsTheLastOne() async throws {
        let folder = try await Self.store()
        _ = try Self.plant(Self.scope.key(.logState), folder, Self.flipped)
        let fixture = try Fixture(folder)
        let damaged = await Self.failure { try await fixture.publish("p", "new", ["text": "lion"]) }
        #expect(damaged?.code == .damaged && damaged?.project == "p")
        #expect(await Self.failure { try await fixture.publish("p", "new", ["text": "lion"]) }?.code == .quarantined)
        try await fixture.publish("q", "new", ["text": "zebra"])
        await fixture.database.close()
    }

    @Test func aSoundProjectLeaves() async throws {
        let folder = try await Self.store()
        let fixture = try Fixture(folder)
        let (database, p) = (fixture.database, Self.p)
        database.quarantine.enter(Fixture.tenant, p, reason: "by mistake", at: database.currentTime())
        #expect(await Self.failure { try await fixture.publish("p", "new", ["text": "lion"]) }?.code == .quarantined)
        let look = try await Self.scrubber(database).look(Fixture.tenant, p)
        #expect(look.findings == [])
        #expect(look.records > 500)
        #expect(database.quarantine.isEmpty)
        try await fixture.publish("p", "new", ["text": "lion"])
        #expect(await Self.failure { try await Self.scrubber(database).look(Fixture.tenant, Name(stored: "none")) }?.code == .projectNotFound)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// What comes in by a mistake of ours is let go by a look that nobody asked for.
    @Test func aMistakeIsTakenBack() async throws {
        let fixture = try Fixture(try await Self.store())
        let database = fixture.database
        let scrubber = Self.scrubber(database)
        let task = Task { await scrubber.run(passes: false, after: .zero) }
        database.quarantine.enter(Fixture.tenant, Self.p, reason: "by mistake", at: database.currentTime())
        for _ in 0..<600 where !database.quarantine.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        #expect(database.quarantine.isEmpty)
        // Once: what comes in again soon is kept until somebody looks.
        database.quarantine.enter(Fixture.tenant, Self.p, reason: "again", at: database.currentTime())
        try await Task.sleep(for: .milliseconds(600))
        #expect(database.quarantine.holds(Fixture.tenant, Self.p))
        task.cancel()
        await task.value
        await database.close()
    }

    /// A bit in a value, a record that is gone, one that is an older one: a pass finds each, and whose it is.
    @Test func aPassFindsWhatIsDamaged() async throws {
        let folder = try await Self.store()
        func found(_ key: [UInt8], _ change: ([UInt8]) -> [UInt8]?) async throws -> [String] {
            let sound = try Self.plant(key, folder, change)
            let fixture = try Fixture(folder)
            let scrubber = Self.scrubber(fixture.database)
            try await scrubber.pass()
            let (now, entries) = (scrubber.now, fixture.database.quarantine.entries)
            #expect(now.passes == 1)
            #expect(now.lastPass != nil)
            #expect(now.share == 1)
            #expect(!now.isRunning)
            #expect(now.records > 1_000)
            #expect(now.bytes > 50_000)
            #expect(now.findings >= entries.count)
            #expect(now.scopesUnsettled == 0)
            await fixture.database.close()
            let environment = try Environment(path: folder.path + "/store", options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
            var write = try environment.beginWrite()
            try write.put(key, sound)
            try write.commit()
            var places: [String] = entries.map(\.project.text)
            for _ in now.elsewhere { places.append("elsewhere") }
            return places
        }
        for kind in [KeyKind.event, .node, .vectorLinks, .textState, .documentByKey] {
            let fixture = try Fixture(folder)
            let key = try fixture.database.readHere { view in
                var key: [UInt8]?
                try view.scan(prefix: Self.scope.key(kind)) { span, _ in
                    key = Array(span)
                    return .stop
                }
                return key
            }
            await fixture.database.close()
            guard let key else { continue }
            #expect(try await found(key, Self.flipped) == ["p"], "\(kind)")
            #expect(try await found(key) { _ in nil } == ["p"], "\(kind)")
        }
        // What is no project's is told, and keeps nobody apart.
        #expect(try await found(Self.scope.registry.key(.tenantState), Self.flipped) == ["elsewhere"])
        let sound = try Fixture(folder)
        let scrubber = Self.scrubber(sound.database)
        try await scrubber.pass()
        #expect(scrubber.now.findings == 0 && sound.database.quarantine.isEmpty)
        #expect(try await sound.closeAndCheck() == [])
    }

    /// Beside a writer that does not rest nothing is found that is not there.
    @Test func aPassBesideAWriterFindsNothing() async throws {
        let fixture = try Fixture(try await Self.store())
        let scrubber = Self.scrubber(fixture.database)
        let isDone = Mutex(false)
        let writing = Task {
            var number = 0
            while !isDone.withLock({ $0 }) {
                try await fixture.publish(number % 2 == 0 ? "p" : "q", "k\(number % 90)", ["text": .string("lion again \(number)")])
                number += 1
            }
            return number
        }
        for _ in 0..<5 { try await scrubber.pass() }
        isDone.withLock { $0 = true }
        #expect(try await writing.value > 0)
        #expect(scrubber.now.findings == 0)
        #expect(scrubber.now.elsewhere == [])
        #expect(fixture.database.quarantine.isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
