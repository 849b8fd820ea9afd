import Access
import Addresses
import Audit
import Base
import Engine
import Events
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import Outbox
import Rates
import Synchronization
import TestSupport
import Testing

/// Every record of a store but those of the journal itself, and what a server remembers for itself.
private func content(_ directory: String) throws -> [[UInt8]: [UInt8]] {
    let environment = try Environment(path: DatabaseConfiguration(directory: directory).storePath, options: .init(mode: .reader))
    var records: [[UInt8]: [UInt8]] = [:]
    try environment.read { view in
        try view.scan(prefix: []) { key, value in
            let key = Array(key)
            let kind = KeyKind(rawValue: key[TenantScope.prefixBytes - 1])
            // Of the store and of the tenant, with those that are left out among them.
            if kind == .recordSums, key[4..<8].allSatisfy({ $0 == 0 }) { return .onward }
            if kind != .journalState, kind != .journalEntry, kind != .usedQueries { records[key] = Array(value) }
            return .onward
        }
    }
    return records
}

private func differences(_ a: [[UInt8]: [UInt8]], _ b: [[UInt8]: [UInt8]]) -> [String] {
    Set(a.keys).union(b.keys).filter { a[$0] != b[$0] }.sorted { $0.lexicographicallyPrecedes($1) }.prefix(8).map { key in
        let kind = KeyKind(rawValue: key[TenantScope.prefixBytes - 1])
        return "\(kind.map { "\($0)" } ?? "?") \(key) \(a[key]?.count ?? -1) \(b[key]?.count ?? -1)"
    }
}

@Suite struct JournalTests {
    private static func fixture(_ window: JournalWindow = .all, clock: CountingClock = CountingClock()) throws -> Fixture {
        try Fixture(models: WordHash.ascii) {
            $0.journal = window
            $0.clock = clock
            $0.threshold = 0.4
        }
    }

    private static func target(_ folder: TemporaryFolder) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.durability = .unsafeNoSync
        configuration.mapBytes = 4 << 30
        return configuration
    }

    @Test(arguments: [UInt64.random(in: 1...999_999), 7, 8]) func replayGivesTheSameBytes(seed: UInt64) async throws {
        print("seed \(seed)")
        let fixture = try Self.fixture()
        var mixture = Mixture(fixture, seed: seed)
        for _ in 0..<250 { try await mixture.step() }
        let reached = try await fixture.database.position()
        #expect(try await fixture.closeAndCheck() == [])

        let copy = TemporaryFolder()
        let report = try await Replay.run(from: fixture.folder.path, to: Self.target(copy))
        #expect(report.from == .zero && report.to == reached.position && report.time == reached.time)
        #expect(differences(try content(fixture.folder.path), try content(copy.path)) == [])
        #expect(try IntegrityCheck.run(directory: copy.path).findings == [])
        // Again: nothing is left to do.
        #expect(try await Replay.run(from: fixture.folder.path, to: Self.target(copy)).applied == 0)
    }

    @Test func aFollowerAnswersAsItsLeaderDoesWhileThatIsWrittenTo() async throws {
        // Documents that end by themselves end at one time for both.
        let clock = CountingClock()
        let leader = try Self.fixture(clock: clock)
        let follower = try Fixture(models: WordHash.ascii) { $0.clock = clock }
        let isDone = Mutex(false)
        async let following: Void = {
            while true {
                let last = isDone.withLock { $0 }
                let reached = try await follower.database.position().position
                let entries = try await leader.database.journal(after: reached, count: 7)
                if !entries.isEmpty { try await follower.database.follow(entries) } else if last { return }
                await Task.yield()
            }
        }()
        var mixture = Mixture(leader, seed: 42)
        for _ in 0..<120 { try await mixture.step() }
        isDone.withLock { $0 = true }
        try await following
        clock.advance(days: 2)
        for project in ["p0", "p1", "p2"] {
            for word in mixtureWords {
                let (a, b) = (try await leader.query(project, word), try await follower.query(project, word))
                #expect(a.map(\.nodeKey) == b.map(\.nodeKey) && a.map(\.similarity) == b.map(\.similarity), "\(project) \(word)")
            }
        }
        #expect(try await follower.closeAndCheck() == [])
        await leader.database.close()
        #expect(differences(try content(leader.folder.path), try content(follower.folder.path)) == [])
    }

    @Test func entriesThatDoNotFollowAreRefused() async throws {
        let leader = try Self.fixture()
        for number in 1...4 { try await leader.publish("p", "k", .integer(number)) }
        let entries = try await leader.database.journal(after: .zero)
        #expect(entries.map(\.position.rawValue) == [1, 2, 3, 4])
        let follower = try Fixture()
        let gap = await #expect(throws: ContexError.self) { try await follower.database.follow([entries[1]]) }
        #expect(gap?.category == .conflict && gap?.message.contains("position 2") == true)
        try await follower.database.follow(Array(entries[0...1]))
        let twice = await #expect(throws: ContexError.self) { try await follower.database.follow([entries[1]]) }
        #expect(twice?.category == .conflict)
        #expect(try await follower.database.position().position.rawValue == 2)

        func changed(_ change: (inout [UInt8]) -> Void) -> JournalEntry {
            var bytes = entries[2].command
            change(&bytes)
            return JournalEntry(position: entries[2].position, time: entries[2].time, command: bytes)
        }
        let bad = [("version 9", changed { $0[0] = 9 }), ("kind 200", changed { $0[1] = 200 }), ("cannot be read", changed { $0.removeLast() })]
        for (word, entry) in bad {
            let error = await #expect(throws: ContexError.self) { try await follower.database.follow([entry, entries[3]]) }
            let message = error?.message ?? ""
            #expect(error?.category == .damaged && message.contains("position 3") && message.contains(word), "\(message)")
        }
        #expect(try await follower.database.position().position.rawValue == 2)
        // What a later build adds at the end of a body is skipped.
        let longer = changed { bytes in
            let body = Array(bytes[4...])
            #expect(Int(bytes[2] & 0x7F) | Int(bytes[3]) << 7 == body.count)
            bytes = Array(bytes[..<2]) + [UInt8((body.count + 3) & 0x7F) | 0x80, UInt8((body.count + 3) >> 7)] + body + [1, 2, 3]
        }
        try await follower.database.follow([longer, entries[3]])
        #expect(try await follower.database.position().position.rawValue == 4)
    }

    private static func fourEntries() async throws -> TemporaryFolder {
        let fixture = try Self.fixture()
        for number in 1...4 { try await fixture.publish("p", "k\(number)", ["n": .integer(number), "t": "lion"]) }
        await fixture.database.close()
        return fixture.folder
    }

    private static func key(_ position: UInt64) -> [UInt8] { TenantScope.system.key(.journalEntry, position) }

    /// A damage under a sound seal, and the position at which it must be seen.
    private static let damages: [(name: String, position: Int, change: @Sendable (inout WriteTransaction) throws -> Void)] = [
        ("a flipped bit of the command", 3, { transaction in
            var bytes = try transaction.view.loadBytes(key(3))!
            bytes[bytes.count - 9] ^= 1
            try transaction.store(key(3), bytes)
        }),
        ("a flipped bit of the link", 2, { transaction in
            var bytes = try transaction.view.loadBytes(key(2))!
            bytes[50] ^= 1
            try transaction.store(key(2), bytes)
        }),
        ("a missing entry", 2, { try $0.delete(key(2)) }),
        ("the last entry missing", 4, { try $0.delete(key(4)) }),
        ("an entry twice", 3, { try $0.store(key(3), try $0.view.loadBytes(key(2))!) }),
        ("an entry after the last", 5, { try $0.store(key(5), try $0.view.loadBytes(key(4))!) }),
        ("the event of an entry gone", 1, { transaction in
            try transaction.delete(TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)).key(.event, UInt64(1)))
        }),
    ]

    @Test(arguments: damages.indices) func aDamagedJournalIsRefusedWholly(_ place: Int) async throws {
        let (name, position, change) = Self.damages[place]
        let folder = try await Self.fourEntries()
        do {
            let environment = try Environment(path: DatabaseConfiguration(directory: folder.path).storePath)
            var transaction = try environment.beginWrite()
            try change(&transaction)
            try transaction.commit()
        }
        let copy = TemporaryFolder()
        let error = await #expect(throws: ContexError.self) { try await Replay.run(from: folder.path, to: Self.target(copy)) }
        #expect(error?.category == .damaged && error?.message.contains("position \(position)") == true, "\(name): \(String(describing: error))")
        let database = try Database(configuration: Self.target(copy), models: WordHash.models)
        #expect(try await database.position().position == .zero)
        await database.close()
        #expect(try IntegrityCheck.run(directory: folder.path).findings.contains { $0.contains("position \(position)") }, "\(name)")
    }

    /// One command of each kind that is in a journal; those of keys are random.
    private static func oneOfEach() async throws -> [JournalEntry] {
        let clock = CountingClock()
        let fixture = try fixture(clock: clock)
        let (database, p) = (fixture.database, Name(stored: "p"))
        var command = PublishCommand(project: p, key: Name(stored: "k"), data: ["a": "lion", "b": ["c": .double(3.5)]], format: "json")
        command.metadata = JSONObject([("team", "cats")])
        command.publisher = Publisher(keyID: "00000000000000ff", name: "tester")
        _ = try await database.publish(Fixture.tenant, [command])[0].get()
        command.data = ["a": "lion", "b": ["c": .double(4.5)]]
        _ = try await database.publish(Fixture.tenant, [command])[0].get()
        // A node of several passages, and nodes with one together.
        let long = PublishCommand(project: p, key: Name(stored: "long"), data: ["text": .string(String(repeating: "one lion after another. ", count: 60))])
        let short = PublishCommand(project: p, key: Name(stored: "short"), data: "# Cats\n\nA lion.\n\nA zebra.")
        for outcome in await database.publish(Fixture.tenant, [long, short]) { _ = try outcome.get() }
        command.vector = (0..<WordHash.dimension).map { Float($0 + 1) }
        command.key = Name(stored: "own")
        _ = try await database.publish(Fixture.tenant, [command])[0].get()
        var agent = RegisterCommand(project: p, agent: Name(stored: "g"), needs: ["lion", "zebra"])
        agent.envelope = .full
        agent.registrant = command.publisher
        _ = try await database.register(Fixture.tenant, agent)
        _ = try await database.setAnalyzer(Fixture.tenant, project: p, "simple")
        command.key = Name(stored: "k2")
        command.vector = nil
        _ = try await database.publish(Fixture.tenant, [command])[0].get()
        _ = try await database.acknowledge(Fixture.tenant, project: p, agent: agent.agent, upTo: InboxCursor(epoch: 0, sequence: Sequence(rawValue: 1)))
        _ = try await database.expireInboxes(Fixture.tenant, days: -1)
        _ = try await database.delete(Fixture.tenant, project: p, key: Name(stored: "k"), by: command.publisher)
        _ = try await database.unregister(Fixture.tenant, Name(stored: "g"), projects: [p])
        let exported = try await database.export(Fixture.tenant, project: p, sections: ExportSections(events: true, embeddings: true, agents: false))
        // However often an export looks at the clock.
        clock.set(Timestamp(rawValue: 1_700_000_000_000_012))
        _ = try await database.importDocument(Fixture.tenant, project: p, document: exported, overwrite: true, validateOnly: false)
        let key = try await database.createKey(Fixture.tenant, name: "one", reach: ProjectScope(["p"]), isOpen: true)
        try await database.confirmKey(Fixture.tenant, key.record.keyID)
        try await database.assignRole(Fixture.tenant, RoleAssignment(keyID: key.record.keyID, role: .publisher, projects: .all))
        try await database.removeRole(Fixture.tenant, of: key.record.keyID)
        try await database.revokeKey(Fixture.tenant, key.record.keyID)
        let entries = try await database.journal(after: .zero)
        await database.close()
        return entries
    }

    @Test func goldenCommandsAreReadAndWritten() async throws {
        let made = try await Self.oneOfEach()
        try GoldenRecord.rewriteIfAsked("commands-v1/commands.txt", made.map { GoldenRecord(key: [$0.command[1]], value: $0.command) })
        let golden = try GoldenRecord.file("commands-v1/commands.txt")
        #expect(golden.count == made.count && Set(golden.map(\.key)) == Set([1, 2, 3, 4, 5, 6, 7, 9, 10].map { [$0] }))
        for (record, entry) in zip(golden, made) {
            #expect(try EncodedCommand.canonical(record.value) == record.value)
            #expect(try EncodedCommand.canonical(entry.command) == entry.command)
            // The others are of a key that chance has made.
            if record.key != [6] { #expect(record.value == entry.command, "kind \(record.key)") }
        }
    }

    /// Endpoint, registration, notes, dead letters: all that deliveries change, and the records that it leaves.
    private static func deliveries() async throws -> (commands: [JournalEntry], records: [GoldenRecord]) {
        let fixture = try fixture()
        let (database, p) = (fixture.database, Name(stored: "p"))
        let time = Timestamp(rawValue: 1_700_000_000_000_000)
        let endpoint = WebhookEndpoint(
            number: 0x0123_4567_89AB_CDEF, name: "audit", description: "of everything", url: "https://hooks.example/", events: ["data.published"],
            categories: ["data"], projects: ["p", "q"], isActive: true, timeoutSeconds: 30, retriesMax: 3, createdAt: time, updatedAt: time,
            secret: "secret")
        _ = try await database.create(endpoint, of: Fixture.tenant)
        var patch = EndpointPatch()
        (patch.name, patch.description, patch.events, patch.isActive, patch.retriesMax) = ("all", .some(nil), [], true, 5)
        _ = try await database.update(endpoint.number, of: Fixture.tenant, patch)
        _ = try await database.rotate(endpoint.number, of: Fixture.tenant, to: "other", previousUntil: Timestamp(rawValue: time.rawValue + 86_400_000_000))
        var agent = RegisterCommand(project: p, agent: Name(stored: "g"), needs: ["lion"], delivery: .webhook, webhookURL: "https://hooks.example/g")
        (agent.maxTokens, agent.diversity, agent.pinned) = (2_000, 0.5, ["k"])
        _ = try await database.register(Fixture.tenant, agent)
        _ = try await database.publish(Fixture.tenant, [PublishCommand(project: p, key: Name(stored: "k"), data: "a lion")])[0].get()
        _ = try await database.test(endpoint.number, of: Fixture.tenant, .healthChanged, data: JSONObject([("test", .bool(true))]))
        let source = StoredDeliveries(database, tenant: Fixture.tenant)
        var notes: [DeliveryNote] = []
        for (lane, _) in try await source.lanes() {
            guard let batch = try await source.next(lane, limit: 1, bytesMax: 1) else { continue }
            var note = DeliveryNote(lane.subject, registration: batch.registration, epoch: batch.epoch)
            note.settled = batch.messages[0].item
            note.lastDelivered = time
            note.failure = .init(time: time, reason: "down")
            (note.attempts, note.nextAttempt, note.delivered) = (1, time, 2)
            var event: OutboxEvent?
            if case .event(let of, _) = batch.messages[0].content { event = of }
            let letter = DeadLetter(
                item: batch.messages[0].item, id: batch.messages[0].id, attempts: 3, time: time, status: 503, reason: "down", event: event)
            note.dead = [letter, letter]
            if event != nil {
                note.records = [
                    DeliveryAttempt(
                        deliveryID: letter.id, eventID: "evt_1", attempt: 3, result: .failed, status: 503, body: "no", error: "down", begun: time,
                        milliseconds: 12)
                ]
            }
            notes.append(note)
        }
        try await source.note(notes, of: Fixture.tenant)
        for (lane, _) in try await source.lanes() {
            _ = try await database.replayLetters(lane, [2])
            _ = try await database.removeLetters(lane, [1])
        }
        let lane = DeliveryLane(tenant: Fixture.tenant, .agent(agent.agent, project: p))
        let again = try #require(try await source.next(lane, limit: 1, bytesMax: 1))
        var note = DeliveryNote(lane.subject, registration: again.registration, epoch: again.epoch)
        note.returned = [.init(number: 2, status: 404, reason: "no")]
        try await source.note([note], of: Fixture.tenant)
        let entries = try await database.journal(after: .zero)
        await database.close()
        let kinds: Set<KeyKind> = [.deliveryState, .deadLetter, .webhookEndpoint, .outboxEvent, .outboxState, .deliveryAttempt]
        let records = try content(fixture.folder.path).filter { kinds.contains(KeyKind(rawValue: $0.key[TenantScope.prefixBytes - 1])!) }
        return (entries, records.map { GoldenRecord(key: $0, value: $1) }.sorted { $0.key.lexicographicallyPrecedes($1.key) })
    }

    @Test func goldenDeliveriesAreReadAndWritten() async throws {
        let (made, records) = try await Self.deliveries()
        let commands = made.filter { [3, 11, 12, 13, 14].contains($0.command[1]) }.map { GoldenRecord(key: [$0.command[1]], value: $0.command) }
        try GoldenRecord.rewriteIfAsked("commands-v1/deliveries.txt", commands)
        try GoldenRecord.rewriteIfAsked("outbox-v1/records.txt", records)
        let golden = try GoldenRecord.file("commands-v1/deliveries.txt")
        #expect(golden == commands && Set(golden.map(\.key)) == Set([3, 11, 12, 13, 14].map { [$0] }))
        for record in golden { #expect(try EncodedCommand.canonical(record.value) == record.value) }
        #expect(try GoldenRecord.file("outbox-v1/records.txt") == records)
        #expect(Set(records.map { $0.key[TenantScope.prefixBytes - 1] }) == Set([0x62, 0x63, 0x64, 0x65, 0x66, 0x67]))
    }

    /// Limits, notes, and changes in somebody's name.
    private static func audited() async throws -> [JournalEntry] {
        let fixture = try fixture()
        let (database, p) = (fixture.database, Name(stored: "p"))
        try await database.setRateLimit(Fixture.tenant, RateRule(subject: .key("0123456789abcdef"), rateClass: .publish, perMinute: 7))
        try await database.setRateLimit(Fixture.tenant, RateRule(subject: .project("p"), rateClass: .query, perMinute: nil))
        try await database.removeRateLimit(Fixture.tenant, .project("p"), .query)
        try await database.note(
            Fixture.tenant,
            [
                AuditDraft(
                    kind: .permissionDenied, result: .failure, actor: inAName.actor, place: inAName.place, action: "publish", project: "p",
                    details: Array(#"{"code":"permission_missing"}"#.utf8)),
                AuditDraft(kind: .loginFailed, result: .failure, actor: AuditActor(kind: .anonymous, id: "anonymous"), place: inAName.place, action: "none"),
            ], keptDays: 30)
        try await Attribution.$current.withValue(inAName) {
            _ = try await database.publish(Fixture.tenant, [PublishCommand(project: p, key: Name(stored: "k"), data: "a lion")])[0].get()
            // The same again changes nothing, and is not written down.
            _ = try await database.publish(Fixture.tenant, [PublishCommand(project: p, key: Name(stored: "k"), data: "a lion")])[0].get()
            _ = try await database.publish(Fixture.tenant, [PublishCommand(project: p, key: Name(stored: "k"), data: "a zebra")])[0].get()
            _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "g"), needs: ["lion"]))
            _ = try await database.unregister(Fixture.tenant, Name(stored: "g"), projects: [p])
            _ = try await database.delete(Fixture.tenant, project: p, key: Name(stored: "k"), by: nil)
            try await database.setRateLimit(Fixture.tenant, RateRule(subject: .tenant, rateClass: .other, perMinute: 0))
        }
        let entries = try await database.journal(after: .zero)
        let page = try await database.auditPage(Fixture.tenant, AuditQuery())
        #expect(
            page.records.map(\.draft.kind) == [
                .rateLimitChanged, .dataDeleted, .agentUnregistered, .agentRegistered, .dataUpdated, .dataPublished, .loginFailed, .permissionDenied,
            ])
        #expect(page.records[4].draft.details == Array(#"{"data_format":"text","sequence":"2"}"#.utf8))
        await database.close()
        return entries
    }

    @Test func termsOfKeysAreCommands() async throws {
        let fixture = try Self.fixture()
        let database = fixture.database
        try await Attribution.$current.withValue(inAName) {
            let terms = KeyTerms(expiresAt: Timestamp(rawValue: 2_000_000_000_000_000), description: "for a guest")
            let key = try await database.createKey(Fixture.tenant, name: "guest", terms: terms)
            try await database.setTerms(Fixture.tenant, key.record.keyID, KeyTerms(addresses: [try CIDR("10.0.0.0/8")]))
            _ = try await database.rotateKey(Fixture.tenant, key.record.keyID, overlapSeconds: 60)
            _ = try await database.rotateKey(Fixture.tenant, key.record.keyID, overlapSeconds: 0)
            try await database.revokeKey(Fixture.tenant, key.record.keyID)
        }
        for entry in try await database.journal(after: .zero) { #expect(try EncodedCommand.canonical(entry.command) == entry.command) }
        let page = try await database.auditPage(Fixture.tenant, AuditQuery())
        #expect(page.records.map(\.draft.kind) == [.keyRevoked, .keyRotated, .keyRotated, .keyChanged, .keyCreated])
        await database.close()
    }

    /// The only administrator must not be one that ends by itself.
    @Test func theLastAdministratorDoesNotEnd() async throws {
        let fixture = try Self.fixture()
        let database = fixture.database
        let root = try #require(try await database.bootstrapKey(Fixture.tenant, name: "root", given: nil))
        await #expect { try await database.setTerms(Fixture.tenant, root.record.keyID, KeyTerms(expiresAt: Timestamp(rawValue: .max))) } throws: {
            ($0 as? ContexError)?.code == .lastAdministrator
        }
        try await database.setTerms(Fixture.tenant, root.record.keyID, KeyTerms(description: "the first"))
        await database.close()
    }

    @Test func goldenAuditIsReadAndWritten() async throws {
        let made = try await Self.audited().map { GoldenRecord(key: [$0.command[1]], value: $0.command) }
        try GoldenRecord.rewriteIfAsked("commands-v1/audit.txt", made)
        let golden = try GoldenRecord.file("commands-v1/audit.txt")
        #expect(golden == made && Set(golden.map(\.key)) == Set([15, 16, 17].map { [$0] }))
        for record in golden { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }

    @Test func everyCutAndEveryChangedByteOfACommandIsReadOrRefused() async throws {
        var random = SeededRandom(seed: testSeed("commands"))
        let files = ["commands.txt", "deliveries.txt", "audit.txt", "accounts.txt", "retention.txt", "tenants.txt", "parts.txt", "feedback.txt"]
        for record in try files.flatMap({ try GoldenRecord.file("commands-v1/\($0)") }) {
            for length in 0..<min(record.value.count, 600) {
                #expect(throws: ContexError.self) { try EncodedCommand.canonical(Array(record.value[..<length])) }
            }
            for _ in 0..<300 {
                var bytes = record.value
                bytes[Int(random.below(UInt64(bytes.count)))] ^= UInt8(1 << random.below(8))
                if let read = try? EncodedCommand.canonical(bytes) { #expect(try EncodedCommand.canonical(read) == read) }
            }
        }
    }

    @Test func theWindowIsKept() async throws {
        let clock = CountingClock()
        let fixture = try Self.fixture(.days(2), clock: clock)
        for number in 1...3 { try await fixture.publish("p", "k", .integer(number)) }
        clock.advance(days: 3)
        for number in 4...5 { try await fixture.publish("p", "k", .integer(number)) }
        #expect(try await fixture.database.journal(after: Position(rawValue: 3)).map(\.position.rawValue) == [4, 5])
        let error = await #expect(throws: ContexError.self) { _ = try await fixture.database.journal(after: .zero) }
        #expect(error?.category == .notFound)
        await fixture.database.close()

        let small = try Self.fixture(.bytes(4_000))
        for number in 1...40 { try await small.publish("p", "k\(number)", .string("lion \(number)")) }
        await small.database.close()
        let report = try StoreReport.read(directory: small.folder.path)
        let journal = try #require(report.journal)
        #expect(journal.upperBound.rawValue == 40 && journal.lowerBound.rawValue > 20)
        #expect(report.kinds.first { $0.name == "journalEntry" }.map { $0.bytes <= 6_000 } == true)
        #expect(try IntegrityCheck.run(directory: small.folder.path).findings == [])
        // It does not reach back to an empty folder.
        let copy = TemporaryFolder()
        let refused = await #expect(throws: ContexError.self) { try await Replay.run(from: small.folder.path, to: Self.target(copy)) }
        #expect(refused?.category == .conflict)
    }

    @Test func aJournalThatWasSwitchedOffBeginsAnew() async throws {
        let folder = TemporaryFolder()
        for (window, count) in [(JournalWindow.all, 3), (.off, 2), (.all, 2)] {
            let fixture = try Fixture(folder) { $0.journal = window }
            for _ in 0..<count { try await fixture.publish("p", "k", .double(Double.random(in: 0...1))) }
            await fixture.database.close()
        }
        let report = try StoreReport.read(directory: folder.path)
        #expect(report.position.position.rawValue == 7 && report.journal.map { $0.lowerBound.rawValue } == 6)
    }

    @Test func eventsNameThePositionOfTheirCommand() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "a", .integer(1))
        try await fixture.publish("q", "a", .integer(1))
        try await fixture.publish("p", "a", .integer(1))
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: Name(stored: "p"), agent: Name(stored: "g"), needs: ["lion"]))
        try await fixture.publish("p", "a", .integer(2))
        let events = try await fixture.database.events(Fixture.tenant, project: Name(stored: "p"), since: .zero, count: 10)
        // The third publish changed nothing; the registration did.
        #expect(events.map(\.position.rawValue) == [1, 4])
        let status = try await fixture.database.status()
        #expect(status.position.position.rawValue == 4 && status.position.time == events[1].recordedAt)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
