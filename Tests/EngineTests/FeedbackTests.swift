import Audit
import Base
import Engine
import Events
import Journal
import KeySpace
import LMDB
import Maintenance
import Needs
import TestSupport
import Testing

/// What agents say of their deliveries moves the cuts of their own needs, and nobody else's.
@Suite struct FeedbackTests {
    private static let project = Name(stored: "p")
    private static let need = "zebra crossing"
    private static let others = ["lion", "bank", "river", "kafka", "invoice", "login", "token", "cluster", "disk", "agent"]

    private func fixture(_ folder: TemporaryFolder = TemporaryFolder()) throws -> Fixture {
        try Fixture(folder) {
            $0.threshold = 0.5
            $0.journal = .all
        }
    }

    private func register(_ fixture: Fixture, _ agent: String, _ needs: [String] = [Self.need], least: Double? = nil) async throws {
        var command = RegisterCommand(project: Self.project, agent: Name(stored: agent), needs: needs)
        command.settings.minSimilarity = least
        _ = try await fixture.database.register(Fixture.tenant, command)
    }

    private func inbox(_ fixture: Fixture, _ agent: String) async throws -> [InboxItem] {
        try await fixture.database.inbox(Fixture.tenant, project: Self.project, agent: Name(stored: agent), after: nil, explains: true).items
    }

    @discardableResult
    private func judge(_ fixture: Fixture, _ agent: String, _ sequence: UInt64, _ isUseful: Bool, need: String? = nil) async throws -> Feedback {
        try await fixture.database.judge(
            Fixture.tenant, project: Self.project, agent: Name(stored: agent), sequence: Sequence(rawValue: sequence), need: need, isUseful: isUseful)
    }

    @discardableResult
    private func forget(_ fixture: Fixture, _ agent: String, _ sequence: UInt64? = nil, need: String? = nil) async throws -> Feedback {
        try await fixture.database.forget(
            Fixture.tenant, project: Self.project, agent: Name(stored: agent), sequence: sequence.map { Sequence(rawValue: $0) }, need: need)
    }

    private func learned(_ fixture: Fixture, _ agent: String) async throws -> [LearnedNeed] {
        try #require(try await fixture.database.agent(Fixture.tenant, Name(stored: agent), project: Self.project).first).record.learned
    }

    /// Documents that say the need, all of it or a part among other words.
    private static func text(_ number: Int, _ random: inout SeededRandom) -> String {
        let words = (0..<(number % 7)).map { _ in others.randomElement(using: &random)! }
        return ((number % 2 == 0 ? ["zebra", "crossing"] : ["zebra"]) + words + ["n\(number)"]).joined(separator: " ")
    }

    /// Two agents ask the same, with a low threshold. One finds nothing useful: from then on it is told exactly of what reaches its own cut, which the
    /// other's deliveries show, and the other is told as before.
    @Test func verdictsMoveTheCutOfOneAgentAlone() async throws {
        var random = SeededRandom(seed: testSeed("verdictsMoveTheCutOfOneAgentAlone"))
        let folder = TemporaryFolder()
        var fixture = try fixture(folder)
        try await register(fixture, "a", least: 0.1)
        try await register(fixture, "b", least: 0.1)
        for number in 0..<32 { try await fixture.publish("p", "k\(number)", .string("zebra crossing n\(number)"), format: "text") }
        let first = try await inbox(fixture, "a")
        #expect(first.count == 32)
        for item in first { try await judge(fixture, "a", item.cursor.sequence.rawValue, false) }
        let own = try #require(try await learned(fixture, "a").first)
        #expect(own.judged == 32 && own.useful == 0 && own.shift >= 2 && own.usual == 0.1)
        let cut = try #require(own.cut)
        #expect(cut > 0.4)
        #expect(try await learned(fixture, "b") == [])
        #expect(try await inbox(fixture, "a").allSatisfy { $0.matches?.map(\.isUseful) == [false] })
        #expect(try await inbox(fixture, "b").allSatisfy { $0.matches?.map(\.isUseful) == [nil] })

        // Also by another process that opens the store.
        await fixture.database.close()
        fixture = try self.fixture(folder)
        let last = try #require(first.last?.cursor)
        for number in 0..<60 { try await fixture.publish("p", "later\(number)", .string(Self.text(number, &random)), format: "text") }
        func fresh(_ agent: String) async throws -> [InboxItem] {
            try await fixture.database.inbox(
                Fixture.tenant, project: Self.project, agent: Name(stored: agent), after: last, limit: 200, explains: true
            ).items
        }
        let (ofOne, ofOther) = (try await fresh("a"), try await fresh("b"))
        let expected = ofOther.filter { ($0.matches?.first?.similarity ?? 0) >= cut }.map(\.event.key)
        #expect(!expected.isEmpty && expected.count < ofOther.count, "\(ofOther.map { $0.matches?.first?.similarity ?? 0 })")
        #expect(ofOne.map(\.event.key) == expected)
        #expect(ofOne.allSatisfy { $0.matches?.first?.threshold == cut } && ofOther.allSatisfy { $0.matches?.first?.threshold == 0.1 })

        // Taken back, it is told of everything again.
        #expect(try await forget(fixture, "a").changed == 32)
        #expect(try await learned(fixture, "a") == [])
        try await fixture.publish("p", "weak", "zebra lion bank river kafka invoice login", format: "text")
        let (again, always) = (try await inbox(fixture, "a").last?.event.key, try await inbox(fixture, "b").last?.event.key)
        #expect(again == always)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// The order does not matter, nor how often something is said; what is said last of a delivery counts.
    @Test func verdictsAreCountedOncePerDelivery() async throws {
        let fixture = try fixture()
        try await register(fixture, "a", least: 0.02)
        for number in 0..<4 { try await fixture.publish("p", "k\(number)", .string("zebra crossing n\(number)"), format: "text") }
        let first = try await judge(fixture, "a", 1, false)
        #expect(first.changed == 1 && first.needs.map(\.judged) == [1])
        let position = try await fixture.database.position()
        let twice = try await judge(fixture, "a", 1, false)
        #expect(twice.changed == 0 && twice.needs == first.needs)
        #expect(try await fixture.database.position().position == position.position, "what changes nothing has no place in the log")
        // In whose name it is said, stands in the audit trail.
        try await Attribution.$current.withValue(inAName) { _ = try await judge(fixture, "a", 3, true) }
        let record = try #require(try await fixture.database.auditPage(Fixture.tenant, AuditQuery()).records.first?.draft)
        #expect(record.kind == .agentUpdated && record.resourceID == "a" && record.details == Array(#"{"delivery":"3","useful":true}"#.utf8))
        let there = try await judge(fixture, "a", 2, false).needs
        #expect(there.map(\.judged) == [3] && there.map(\.useful) == [1])
        // Another opinion, and back.
        #expect(try await judge(fixture, "a", 2, true).needs.map(\.useful) == [2])
        #expect(try await judge(fixture, "a", 2, false).needs == there)
        // Another order.
        try await forget(fixture, "a")
        for (sequence, isUseful) in [(2, false), (3, true), (1, false)] as [(UInt64, Bool)] { try await judge(fixture, "a", sequence, isUseful) }
        #expect(try await learned(fixture, "a") == there)
        // One of them is taken back.
        #expect(try await forget(fixture, "a", 3).changed == 1)
        #expect(try await forget(fixture, "a", 3).changed == 0)
        #expect(try await learned(fixture, "a").map(\.judged) == [2])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func ofSeveralNeedsEachLearnsForItself() async throws {
        let fixture = try fixture()
        try await register(fixture, "a", ["zebra crossing", "lion cage"])
        try await fixture.publish("p", "both", ["one": ["t": "zebra crossing"], "two": ["t": "lion cage"]], format: "json")
        let item = try #require(try await inbox(fixture, "a").last)
        try #require(item.needs.sorted() == ["lion cage", "zebra crossing"], "\(item.needs)")
        let sequence = item.cursor.sequence.rawValue
        #expect(try await judge(fixture, "a", sequence, false, need: "lion cage").needs.map(\.need) == ["lion cage"])
        #expect(try await learned(fixture, "a").map(\.need) == ["lion cage"])
        #expect(try await judge(fixture, "a", sequence, true).changed == 2)
        #expect(try await learned(fixture, "a").map(\.useful) == [1, 1])
        #expect(try await forget(fixture, "a", need: "zebra crossing").changed == 1)
        #expect(try await learned(fixture, "a").map(\.need) == ["lion cage"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func whatWasNeverDeliveredTeachesNothing() async throws {
        let fixture = try fixture()
        let (database, tenant) = (fixture.database, Fixture.tenant)
        try await register(fixture, "a")
        try await register(fixture, "b", ["quite something else"])
        for number in 0..<3 { try await fixture.publish("p", "k\(number)", .string("zebra crossing n\(number)"), format: "text") }
        try await fixture.publish("p", "k1", "lion bank river token", format: "text")
        let items = try await inbox(fixture, "a")
        try #require(items.map(\.cursor.sequence.rawValue) == [1, 2, 3, 4] && items[3].needs == [])
        _ = try await database.acknowledge(tenant, project: Self.project, agent: Name(stored: "a"), upTo: items[0].cursor)
        let before = try await database.position().position

        func refused(_ code: ErrorCode, _ body: () async throws -> Feedback) async {
            let error = await #expect(throws: ContexError.self) { _ = try await body() }
            #expect(error?.code == code, "\(error.map { "\($0)" } ?? "not refused")")
        }
        await refused(.agentNotFound) { try await judge(fixture, "nobody", 2, true) }
        await refused(.agentNotFound) { try await forget(fixture, "nobody") }
        await refused(.agentNotFound) {
            try await database.judge(
                tenant, project: Name(stored: "nowhere"), agent: Name(stored: "a"), sequence: Sequence(rawValue: 2), need: nil, isUseful: true)
        }
        // Acknowledged, not come yet, and another agent's.
        await refused(.deliveryNotFound) { try await judge(fixture, "a", 1, true) }
        await refused(.deliveryNotFound) { try await judge(fixture, "a", 5, true) }
        await refused(.deliveryNotFound) { try await judge(fixture, "a", .max, true) }
        await refused(.deliveryNotFound) { try await judge(fixture, "b", 2, true) }
        // Only that a followed document changed.
        await refused(.invalid) { try await judge(fixture, "a", 4, true) }
        await refused(.invalid) { try await judge(fixture, "a", 2, true, need: "another need") }
        await refused(.invalid) { try await forget(fixture, "a", need: "another need") }
        #expect(try await database.position().position == before)
        #expect(try await learned(fixture, "a") == [])

        // Another registration: of the deliveries before it nothing can be learned.
        try await register(fixture, "a")
        await refused(.conflict) { try await judge(fixture, "a", 2, true) }
        #expect(try await learned(fixture, "a") == [])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// An agent that registers its needs again has learned what it had; of other needs, or under other settings, nothing.
    @Test func aRegistrationKeepsWhatItsNeedsHaveLearned() async throws {
        let folder = TemporaryFolder()
        let fixture = try fixture(folder)
        try await register(fixture, "a", ["lion cage", Self.need])
        for number in 0..<3 { try await fixture.publish("p", "k\(number)", .string("zebra crossing n\(number)"), format: "text") }
        let items = try await inbox(fixture, "a").filter { $0.needs == [Self.need] }
        try #require(!items.isEmpty)
        for item in items { try await judge(fixture, "a", item.cursor.sequence.rawValue, false) }
        let own = try await learned(fixture, "a")
        #expect(own.count == 1 && own[0].cut ?? 0 > 0.5)
        try await register(fixture, "a", [Self.need, "river bank"])
        #expect(try await learned(fixture, "a") == own)
        await fixture.database.close()
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])

        // The needs made anew are those.
        var configuration = DatabaseConfiguration(directory: folder.path)
        (configuration.durability, configuration.mapBytes) = (.unsafeNoSync, 4 << 30)
        _ = try await Reindex.run(configuration: configuration, models: WordHash.models)
        #expect(try IntegrityCheck.run(directory: folder.path).findings == [])
        let again = try self.fixture(folder)
        #expect(try await learned(again, "a") == own)
        try await register(again, "a", [Self.need], least: 0.4)
        #expect(try await learned(again, "a") == [])
        try await register(again, "a", ["river bank"])
        #expect(try await learned(again, "a") == [])
        #expect(try await again.closeAndCheck() == [])
    }

    /// Other events will have the sequences of those of which something was said.
    @Test func anImportOfOtherEventsForgets() async throws {
        let fixture = try fixture()
        try await register(fixture, "a", least: 0.02)
        for number in 0..<3 { try await fixture.publish("p", "k\(number)", .string("zebra crossing n\(number)"), format: "text") }
        for item in try await inbox(fixture, "a") { try await judge(fixture, "a", item.cursor.sequence.rawValue, false) }
        #expect(try await learned(fixture, "a").map(\.judged) == [3])
        let sections = ExportSections(events: true, embeddings: false, agents: false)
        let document = try await fixture.database.export(Fixture.tenant, project: Self.project, sections: sections)
        _ = try await fixture.database.importDocument(
            Fixture.tenant, project: Self.project, document: document, overwrite: true, validateOnly: false)
        #expect(try await learned(fixture, "a") == [])
        let before = try await inbox(fixture, "a").count
        try await fixture.publish("p", "weak", "zebra lion bank", format: "text")
        #expect(try await inbox(fixture, "a").count == before + 1)
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Commands

    /// Kind 28 as docs/formats/commands-v1.md has it, written here by hand: the golden file is this.
    private static func command(_ body: (inout ByteWriter) -> Void) -> GoldenRecord {
        var fields = ByteWriter()
        fields.u32(1)
        fields.i64(1_800_000_000_000_000)
        fields.text("app")
        fields.text("coder")
        fields.f64(0.5)
        body(&fields)
        var whole = ByteWriter()
        whole.u8(1)
        whole.u8(28)
        whole.blob(fields.bytes)
        return GoldenRecord(key: [28], value: whole.bytes)
    }

    private static func need(_ text: String?, _ writer: inout ByteWriter) {
        writer.bool(text != nil)
        if let text { writer.text(text) }
    }

    private static let made: [GoldenRecord] = [
        command { writer in
            writer.u8(1)
            writer.u64(7)
            need(nil, &writer)
            writer.bool(true)
        },
        command { writer in
            writer.u8(1)
            writer.u64(0x0102_0304_0506_0708)
            need("die Datenbank, die läuft", &writer)
            writer.bool(false)
        },
        command { writer in
            writer.u8(2)
            writer.bool(false)
            need(nil, &writer)
        },
        command { writer in
            writer.u8(2)
            writer.bool(true)
            writer.u64(7)
            need("the database in use", &writer)
        },
    ]

    @Test func goldenFeedbackIsRead() throws {
        try GoldenRecord.rewriteIfAsked("commands-v1/feedback.txt", Self.made)
        #expect(try GoldenRecord.file("commands-v1/feedback.txt") == Self.made)
        for record in Self.made { #expect(try EncodedCommand.canonical(record.value) == record.value) }
    }
}
