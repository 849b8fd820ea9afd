import Base
import Content
import Engine
import Events
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import Search
import TestSupport
import Testing

@Suite struct RetentionTests {
    private static let project = Name(stored: "p")

    private static func fixture(_ folder: TemporaryFolder = TemporaryFolder(), clock: CountingClock, journal: JournalWindow = .all) throws -> Fixture {
        try Fixture(folder, models: WordHash.ascii) {
            $0.journal = journal
            $0.clock = clock
            $0.threshold = 0.4
        }
    }

    private static func failure(_ body: () async throws -> Void) async -> ContexError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ContexError
        }
    }

    @Test func theHorizonKeepsWhatIsLive() async throws {
        let fixture = try Self.fixture(clock: CountingClock())
        let (database, p) = (fixture.database, Self.project)
        try await fixture.publish("p", "old", "a lion by the river")  // 1
        try await fixture.publish("p", "news", "one")  // 2
        try await fixture.publish("p", "news", "two")  // 3
        try await fixture.publish("p", "gone", "a zebra")  // 4
        _ = try await database.delete(Fixture.tenant, project: p, key: Name(stored: "gone"))  // 5
        try await fixture.publish("p", "news", "three")  // 6
        try await database.trim(Fixture.tenant, p, to: Sequence(rawValue: 5), at: database.currentTime())

        let status = try await database.retention(Fixture.tenant, project: p)
        #expect(status.horizon.rawValue == 5 && status.events == 1 && status.keptEvents == 2)
        // What is live is there, with its event.
        let old = try await database.document(Fixture.tenant, project: p, key: Name(stored: "old"))
        #expect(old.data == "a lion by the river" && old.sequence.rawValue == 1 && old.recordedAt != nil)
        #expect(try await fixture.query("p", "lion").map(\.nodeKey).first?.hasPrefix("old") == true)
        // The log begins at the horizon, and its numbers go on.
        #expect(try await database.events(Fixture.tenant, project: p, since: .zero, count: 100).map(\.sequence.rawValue) == [6])
        #expect(try await fixture.publish("p", "next", "x").sequence.rawValue == 7)
        // The state at the horizon is readable, what was before is refused by name.
        let then = try await database.listKeys(Fixture.tenant, project: p, asOf: .sequence(Sequence(rawValue: 5)))
        #expect(then == ["news", "old"])
        let news = try await database.document(Fixture.tenant, project: p, key: Name(stored: "news"), asOf: .sequence(Sequence(rawValue: 5)))
        #expect(news.data == "two")
        for attempt in [
            await Self.failure { _ = try await database.listKeys(Fixture.tenant, project: p, asOf: .sequence(Sequence(rawValue: 4))) },
            await Self.failure { _ = try await database.events(Fixture.tenant, project: p, since: Sequence(rawValue: 2), count: 9) },
            await Self.failure { _ = try await database.version(Fixture.tenant, project: p, key: Name(stored: "news"), sequence: Sequence(rawValue: 2)) },
            await Self.failure { _ = try await database.feed(Fixture.tenant, .project(p), after: InboxCursor(epoch: 0, sequence: Sequence(rawValue: 3))) },
        ] {
            #expect(attempt?.code == .historyTrimmed && attempt?.oldestCursor == "0-5" && attempt?.message.contains("event 6") == true)
        }
        #expect(try await database.history(Fixture.tenant, project: p, key: Name(stored: "news"), limit: 9).map(\.sequence.rawValue) == [6, 3])
        // The horizon passes what superseded a kept event: that goes.
        try await database.trim(Fixture.tenant, p, to: Sequence(rawValue: 7), at: database.currentTime())
        #expect(try await database.history(Fixture.tenant, project: p, key: Name(stored: "news"), limit: 9).map(\.sequence.rawValue) == [6])
        #expect(try await database.retention(Fixture.tenant, project: p).keptEvents == 3)
        // Nothing is left behind the horizon: paging and exports begin and end there.
        #expect(try await database.events(Fixture.tenant, project: p, since: .zero, count: 100).isEmpty)
        #expect(try await database.listKeys(Fixture.tenant, project: p) == ["news", "next", "old"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func rulesOfAgeAndCount() async throws {
        let clock = CountingClock()
        let fixture = try Self.fixture(clock: clock)
        let (database, p) = (fixture.database, Self.project)
        for number in 0..<5 { try await fixture.publish("p", "k\(number)", .integer(number)) }
        clock.advance(days: 40)
        for number in 0..<7 { try await fixture.publish("p", "k\(number)", .integer(100 + number)) }
        // By default of 30 days and 10,000 events, and only when it is asked for.
        #expect(try await database.retention(Fixture.tenant, project: p).events == 12)
        let dry = try await database.cleanUp(Fixture.tenant, project: p, dryRun: true)
        #expect(dry.byAge == 5 && dry.byCount == 0)
        #expect(try await database.retention(Fixture.tenant, project: p).events == 12)
        #expect(try await database.cleanUp(Fixture.tenant, project: p) == dry)
        #expect(try await database.retention(Fixture.tenant, project: p).events == 7)
        try await database.setRetention(Fixture.tenant, project: p, RetentionSettings(eventsMax: 3))
        let status = try await database.retention(Fixture.tenant, project: p)
        #expect(status.rule == RetentionRule(eventDays: 30, eventsMax: 3, agentDays: 7) && status.settings == RetentionSettings(eventsMax: 3))
        let all = try await database.cleanUp(Fixture.tenant)
        #expect(all.projects == 1 && all.byAge == 0 && all.byCount == 4)
        #expect(try await database.retention(Fixture.tenant, project: p).events == 3)
        // A rule without bounds lets nothing go.
        try await database.setRetention(Fixture.tenant, project: p, RetentionSettings(eventDays: 0, eventsMax: 0))
        clock.advance(days: 400)
        #expect(try await database.cleanUp(Fixture.tenant, project: p).byAge == 0)
        let refused = await Self.failure { try await database.setRetention(Fixture.tenant, project: p, RetentionSettings(eventDays: -1)) }
        #expect(refused?.field == "events_ttl_days")
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func trimmingTakesSteps() async throws {
        let fixture = try Self.fixture(clock: CountingClock())
        let count = 2 * Limits.trimmedAtOnce + 17
        for start in stride(from: 0, to: count, by: 100) {
            let commands = (start..<min(count, start + 100)).map {
                PublishCommand(project: Self.project, key: Name(stored: "k\($0 % 7)"), data: .integer($0))
            }
            for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        }
        let before = try await fixture.database.position().position.rawValue
        try await fixture.database.trim(Fixture.tenant, Self.project, to: Sequence(rawValue: .max), at: fixture.database.currentTime())
        let status = try await fixture.database.retention(Fixture.tenant, project: Self.project)
        #expect(status.events == 0 && status.horizon.rawValue == UInt64(count) && status.keptEvents == 7)
        // Not one transaction that all wait for.
        #expect(try await fixture.database.position().position.rawValue == before + 3)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func inboxesLearnOfIt() async throws {
        let fixture = try Self.fixture(clock: CountingClock())
        let (database, p, agent) = (fixture.database, Self.project, Name(stored: "a"))
        _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: agent, needs: ["lion"]))
        for number in 0..<4 { try await fixture.publish("p", "k", .string("a lion \(number)")) }
        #expect(try await database.inbox(Fixture.tenant, project: p, agent: agent, after: nil).items.count == 4)
        try await database.trim(Fixture.tenant, p, to: Sequence(rawValue: 3), at: database.currentTime())
        let page = try await database.inbox(Fixture.tenant, project: p, agent: agent, after: InboxCursor(epoch: 0, sequence: .zero))
        #expect(page.items.map(\.cursor.sequence.rawValue) == [4] && page.hasGap && page.oldest.sequence.rawValue == 3)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func silentAgentsGo() async throws {
        let clock = CountingClock()
        let folder = TemporaryFolder()
        let first = try Self.fixture(folder, clock: clock)
        for name in ["silent", "reader", "listener"] {
            _ = try await first.database.register(
                Fixture.tenant, RegisterCommand(project: Self.project, agent: Name(stored: name), needs: ["lion"], channel: name))
        }
        clock.advance(days: 30)
        await first.database.close()
        // Of the time before its start a server knows nothing.
        let fixture = try Self.fixture(folder, clock: clock)
        let database = fixture.database
        database.setListening { $0 == "listener" }
        #expect(try await database.cleanUp(Fixture.tenant).agents == 0)
        clock.advance(days: 8)
        _ = try await database.inbox(Fixture.tenant, project: Self.project, agent: Name(stored: "reader"), after: nil)
        #expect(try await database.cleanUp(Fixture.tenant, dryRun: true).agents == 1)
        #expect(try await database.cleanUp(Fixture.tenant).agents == 1)
        #expect(try await database.agents(Fixture.tenant, project: Self.project).map(\.record.name.text).sorted() == ["listener", "reader"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Documents that end

    @Test func aDocumentEndsByItself() async throws {
        let clock = CountingClock()
        let fixture = try Self.fixture(clock: clock)
        let (database, p) = (fixture.database, Self.project)
        func publish(_ key: String, _ text: String, days: Int64?) async throws {
            var command = PublishCommand(project: p, key: Name(stored: key), data: .string(text))
            command.expiresAt = days.map { Timestamp(rawValue: database.currentTime().rawValue + $0 * 86_400_000_000) }
            _ = try await database.publish(Fixture.tenant, [command])[0].get()
        }
        _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "a"), needs: ["lion"]))
        try await publish("short", "a lion for a day", days: 1)
        try await publish("long", "a lion for ten days", days: 10)
        try await publish("ever", "a lion for ever", days: nil)
        #expect(try await database.document(Fixture.tenant, project: p, key: Name(stored: "short")).expiresAt != nil)
        #expect(try await database.deleteExpired(Fixture.tenant) == 0)
        clock.advance(days: 2)
        // Nobody has deleted it yet, and nothing finds it any more.
        #expect(try await database.listKeys(Fixture.tenant, project: p) == ["ever", "long"])
        #expect(await Self.failure { _ = try await database.document(Fixture.tenant, project: p, key: Name(stored: "short")) }?.code == .dataNotFound)
        for mode in [nil, SearchMode.semantic, .keyword] {
            let found = try await fixture.query("p", "lion", mode: mode)
            #expect(found.count == 2 && !found.contains { $0.nodeKey.hasPrefix("short") })
        }
        #expect(try await database.listNodes(Fixture.tenant, project: p).count == 2)
        _ = fixture.sink.take()
        #expect(try await database.deleteExpired(Fixture.tenant) == 1)
        // Its agents are told as of any deletion.
        #expect(fixture.sink.take().contains { if case .deletion(_, "short") = $0.message { true } else { false } })
        #expect(try await database.events(Fixture.tenant, project: p, since: .zero, count: 9).last?.type == "short_deleted")
        // More time, and no end at all.
        try await publish("long", "a lion for ten days", days: 100)
        clock.advance(days: 20)
        #expect(try await database.deleteExpired(Fixture.tenant) == 0)
        try await publish("long", "a lion for ten days", days: nil)
        clock.advance(days: 200)
        #expect(try await database.deleteExpired(Fixture.tenant) == 0)
        #expect(try await database.listKeys(Fixture.tenant, project: p) == ["ever", "long"])
        var past = PublishCommand(project: p, key: Name(stored: "late"), data: "x")
        past.expiresAt = Timestamp(rawValue: 1)
        let refused = await Self.failure { [past] in _ = try await database.publish(Fixture.tenant, [past])[0].get() }
        #expect(refused?.field == "expires_at")
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Bytes

    /// One of each kind of command.
    private static func commands() async throws -> [GoldenRecord] {
        let fixture = try fixture(clock: CountingClock())
        let database = fixture.database
        var command = PublishCommand(project: project, key: Name(stored: "k"), data: "a lion")
        command.expiresAt = Timestamp(rawValue: 1_800_000_000_000_000)
        for data in ["a lion", "a zebra"] {
            command.data = .string(data)
            _ = try await database.publish(Fixture.tenant, [command])[0].get()
        }
        try await database.setRetention(Fixture.tenant, project: project, RetentionSettings(eventDays: 3, eventsMax: 0))
        try await database.trim(Fixture.tenant, project, to: Sequence(rawValue: 1), at: database.currentTime())
        try await database.eraseInSteps(Fixture.tenant, project: project, key: Name(stored: "k"), count: 5, steps: 1)
        try await database.eraseInSteps(Fixture.tenant, project: project, key: nil, count: 5, steps: 1)
        var entries = try await database.journal(after: .zero)
        let reached = try await database.position().position
        _ = try await database.resumeErasures(Fixture.tenant)
        entries += try await database.journal(after: reached)
        await database.close()
        return entries.map { GoldenRecord(key: [$0.command[1]], value: $0.command) }
    }

    @Test func goldenCommandsAreReadAndWritten() async throws {
        let made = try await Self.commands()
        try GoldenRecord.rewriteIfAsked("commands-v1/retention.txt", made)
        let golden = try GoldenRecord.file("commands-v1/retention.txt")
        #expect(golden == made && Set(golden.map(\.key)) == Set([24, 25, 26, 27].map { [$0] }))
        for record in golden { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }

    // MARK: - Against a model

    /// What a project should be, kept in the plainest way.
    private struct Model {
        struct Event {
            var key: String
            var data: JSONValue?
            var isErased = false
        }
        var events: [Event] = []
        var horizon = 0
        var ends: [String: Int64] = [:]

        /// Of the state after an event: what each key held.
        func state(at sequence: Int) -> [String: JSONValue] {
            var state: [String: JSONValue] = [:]
            for event in events.prefix(sequence) where !event.isErased { state[event.key] = event.data }
            return state
        }
    }

    @Test(arguments: [true, false]) func randomHistories(withErasures: Bool) async throws {
        let seed = testSeed("randomHistories")
        var random = SeededRandom(seed: seed)
        let clock = CountingClock()
        let folder = TemporaryFolder()
        var fixture = try Self.fixture(folder, clock: clock)
        let p = Self.project
        var model = Model()
        func verify() async throws {
            let database = fixture.database
            let head = model.events.count
            #expect(try await database.retention(Fixture.tenant, project: p).horizon.rawValue == UInt64(model.horizon))
            let live = model.state(at: head).filter { (model.ends[$0.key] ?? .max) > clock.now().rawValue }
            #expect(try await database.listKeys(Fixture.tenant, project: p) == live.keys.sorted())
            for (key, data) in live { #expect(try await database.document(Fixture.tenant, project: p, key: Name(stored: key)).data == data) }
            let events = try await database.events(Fixture.tenant, project: p, since: .zero, count: 10_000)
            #expect(events.map(\.sequence.rawValue) == Array(UInt64(model.horizon)..<UInt64(head)).map { $0 + 1 })
            for event in events {
                let known = model.events[Int(event.sequence.rawValue) - 1]
                #expect(event.kind == (known.isErased ? .erased : known.data == nil ? .deleted : .published))
                if !known.isErased { #expect(event.key == known.key) }
            }
            let moment = model.horizon + Int(random.below(UInt64(head - model.horizon + 1)))
            if moment < head {
                let then = model.state(at: moment)
                let asOf = Moment.sequence(Sequence(rawValue: UInt64(moment)))
                #expect(try await database.listKeys(Fixture.tenant, project: p, asOf: asOf) == then.keys.sorted(), "as of \(moment)")
                for (key, data) in then {
                    #expect(try await database.document(Fixture.tenant, project: p, key: Name(stored: key), asOf: asOf).data == data, "as of \(moment)")
                }
            }
            if model.horizon > 1 {
                let before = Moment.sequence(Sequence(rawValue: random.below(UInt64(model.horizon))))
                #expect(await Self.failure { _ = try await database.listKeys(Fixture.tenant, project: p, asOf: before) }?.code == .historyTrimmed)
            }
        }
        for step in 0..<300 {
            let database = fixture.database
            let key = "k\(random.below(9))"
            switch random.below(16) {
            case 0..<8:
                let data = JSONValue.string("\(mixtureWords[Int(random.below(11))]) \(step)")
                var command = PublishCommand(project: p, key: Name(stored: key), data: data)
                if random.below(4) == 0 { command.expiresAt = Timestamp(rawValue: clock.now().rawValue + Int64(1 + random.below(20)) * 86_400_000_000) }
                if random.below(6) == 0 { command.vector = (0..<WordHash.dimension).map { _ in Float(random.unit() - 0.5) } }
                _ = try await database.publish(Fixture.tenant, [command])[0].get()
                model.events.append(.init(key: key, data: data))
                model.ends[key] = command.expiresAt?.rawValue
            case 8, 9:
                let isThere = model.state(at: model.events.count)[key] != nil
                let failure = await Self.failure { _ = try await database.delete(Fixture.tenant, project: p, key: Name(stored: key)) }
                #expect((failure == nil) == isThere)
                if isThere { model.events.append(.init(key: key, data: nil)) }
                model.ends[key] = nil
            case 10, 11:
                let target = Int(random.below(UInt64(model.events.count + 1)))
                guard !model.events.isEmpty else { continue }
                try await database.trim(Fixture.tenant, p, to: Sequence(rawValue: UInt64(target)), at: clock.now())
                model.horizon = max(model.horizon, target)
            case 12:
                clock.advance(days: Int64(random.below(6)))
                // In the order of their times.
                let now = clock.now().rawValue
                let due = model.ends.filter { $0.value <= now }.sorted { $0.value < $1.value }
                #expect(try await database.deleteExpired(Fixture.tenant) == due.count)
                for (key, _) in due {
                    model.events.append(.init(key: key, data: nil))
                    model.ends[key] = nil
                }
            case 13 where withErasures:
                let state = model.state(at: model.events.count)
                let wasKnown = model.events.contains { $0.key == key && !$0.isErased }
                let failure = await Self.failure { _ = try await database.erase(Fixture.tenant, project: p, key: Name(stored: key)) }
                #expect((failure == nil) == wasKnown)
                for place in model.events.indices where model.events[place].key == key { model.events[place].isErased = true }
                if state[key] != nil { model.events.append(.init(key: "", data: nil, isErased: true)) }
                model.ends[key] = nil
            case 14:
                await database.close()
                #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
                fixture = try Self.fixture(folder, clock: clock)
            default: _ = try await fixture.query("p", mixtureWords[Int(random.below(11))])
            }
            if step % 5 == 0, !model.events.isEmpty { try await verify() }
        }
        try await verify()
        #expect(try await fixture.closeAndCheck() == [])
        guard !withErasures else { return }
        // The journal still has all: what was trimmed is made and trimmed again.
        let copy = TemporaryFolder()
        var target = DatabaseConfiguration(directory: copy.path)
        (target.durability, target.mapBytes) = (.unsafeNoSync, 4 << 30)
        _ = try await Replay.run(from: folder.path, to: target)
        #expect(try ContentHash.hex(directory: copy.path) == ContentHash.hex(directory: folder.path))
        #expect(try IntegrityCheck.run(directory: copy.path).findings == [])
    }
}
