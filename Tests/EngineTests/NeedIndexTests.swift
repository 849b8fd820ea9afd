import Base
import Content
import Engine
import Foundation
import KeySpace
import LMDB
import Maintenance
import Needs
import Search
import TestSupport
import Testing

/// The index of needs against scoring every need: while invariants are checked the matcher does both and ends the process when they differ.
@Suite struct NeedIndexTests {
    private static let project = Name(stored: "p")

    /// Words as they are used: few often, most seldom; some are names.
    private static let vocabulary: [String] = (0..<160).map { place in
        switch place % 16 {
        case 5: "ERR_\(place)"
        case 9: "v\(place).\(place)"
        default: ["ba", "de", "gu", "ki", "lo", "mu", "na", "po", "ri", "to"][place % 10] + ["nd", "rk", "st", "lm"][place % 4] + "o\(place / 10)x"
        }
    }

    private static func words(_ count: Int, _ random: inout SeededRandom) -> String {
        (0..<count).map { _ in
            let at = random.unit()
            return vocabulary[min(vocabulary.count - 1, Int(at * at * at * Double(vocabulary.count)))]
        }.joined(separator: " ")
    }

    private static func settings(_ random: inout SeededRandom) -> NeedSettings {
        [
            .none, .none, .none, NeedSettings(minSimilarity: 0.3), NeedSettings(minSimilarity: random.unit()), NeedSettings(mode: .keyword),
            NeedSettings(minSimilarity: 0.4, mode: .semantic), NeedSettings(filter: #"{"metadata.team": "core"}"#),
            NeedSettings(minSimilarity: 0.2, mode: .hybrid, filter: #"{"data_key": {"prefix": "k1"}}"#, topK: 2),
        ].randomElement(using: &random)!
    }

    private static func command(_ random: inout SeededRandom) -> PublishCommand {
        let key = Name(stored: "k\(Int.random(in: 0..<150, using: &random))")
        var members: [(String, JSONValue)] = []
        for place in 0..<Int.random(in: 1...3, using: &random) {
            // Some texts are read by no model, some are long and fall into passages.
            let text = switch Int.random(in: 0..<20, using: &random) {
            case 0: "порт " + String(repeating: "базы данных ", count: 3)
            case 1: words(Int.random(in: 300...500, using: &random), &random)
            default: words(Int.random(in: 2...25, using: &random), &random)
            }
            members.append(("m\(place)", .string(text)))
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            // A document of several nodes, of which some stay when it is published again.
            let rows = (0..<Int.random(in: 2...5, using: &random)).map { row -> (String, JSONValue) in
                let text = vocabulary[(row * 7 + Int.random(in: 0..<2, using: &random)) % 160] + " " + vocabulary[row % 3]
                return ("row\(row)", ["says": .string(text), "of": .string(vocabulary[(row * 3) % 12])])
            }
            return PublishCommand(project: project, key: key, data: .object(JSONObject(rows)), format: "json")
        }
        let data: JSONValue = members.count == 1 ? members[0].1 : .object(JSONObject(members))
        var command = PublishCommand(project: project, key: key, data: data, format: members.count == 1 ? "text" : "json")
        if Bool.random(using: &random) { command.metadata = JSONObject([("team", Bool.random(using: &random) ? "core" : "edge")]) }
        return command
    }

    /// How many publishes; more with CONTEX_TEST_PUBLISHES.
    private static let publishes = ProcessInfo.processInfo.environment["CONTEX_TEST_PUBLISHES"].flatMap(Int.init) ?? 3_000

    @Test func theIndexFindsWhatScoringAllNeedsFinds() async throws {
        try #require(Invariants.areChecked, "run with CONTEX_CHECK_INVARIANTS=1: without it nothing is compared")
        var random = SeededRandom(seed: testSeed("theIndexFindsWhatScoringAllNeedsFinds"))
        var (left, told, rounds) = (Self.publishes, 0, 0)
        while left > 0 {
            let folder = TemporaryFolder()
            // Several projects of a few hundred documents are more than one of many: statistics of the first texts move the most.
            for round in 0..<5 where left > 0 {
                let fixture = try Fixture(folder, models: WordHash.ascii) {
                    $0.threshold = [0.5, 0.5, 0.5, 0.3, 0.75, 0].randomElement(using: &random)!
                    $0.mode = [SearchMode.hybrid, .hybrid, .hybrid, .semantic, .keyword].randomElement(using: &random)!
                }
                for _ in 0..<8 where left > 0 {
                    for _ in 0..<Int.random(in: 0...6, using: &random) {
                        let agent = Name(stored: "agent\(Int.random(in: 0..<25, using: &random))")
                        if Int.random(in: 0..<4, using: &random) == 0 {
                            try await fixture.database.unregister(Fixture.tenant, agent, projects: [Self.project])
                            continue
                        }
                        let needs = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                            // Some ask the same.
                            Int.random(in: 0..<3, using: &random) == 0
                                ? Self.vocabulary[Int.random(in: 0..<12, using: &random)] : Self.words(Int.random(in: 1...7, using: &random), &random)
                        }
                        var command = RegisterCommand(project: Self.project, agent: agent, needs: needs)
                        command.settings = Self.settings(&random)
                        _ = try await fixture.database.register(Fixture.tenant, command)
                    }
                    if Int.random(in: 0..<12, using: &random) == 0 {
                        let analyzer = ["english", "simple", "code"].randomElement(using: &random)!
                        _ = try? await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer)
                    }
                    let count = min(left, Int.random(in: 1...60, using: &random))
                    left -= count
                    for outcome in await fixture.database.publish(Fixture.tenant, (0..<count).map { _ in Self.command(&random) }) { _ = try outcome.get() }
                    try await Self.judge(fixture, &random)
                    for _ in 0..<Int.random(in: 0...3, using: &random) {
                        _ = try? await fixture.database.delete(
                            Fixture.tenant, project: Self.project, key: Name(stored: "k\(Int.random(in: 0..<150, using: &random))"))
                    }
                }
                told += fixture.sink.take().count
                rounds += 1
                let findings = try await fixture.closeAndCheck()
                #expect(findings == [], "round \(round)")
            }
        }
        print("\(Self.publishes) publishes in \(rounds) rounds, \(told) messages")
        #expect(told > Self.publishes / 10)
    }

    /// Some agents say of some deliveries whether they were useful: their cuts move, and nobody else's.
    private static func judge(_ fixture: Fixture, _ random: inout SeededRandom) async throws {
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let agent = Name(stored: "agent\(Int.random(in: 0..<25, using: &random))")
            guard let page = try? await fixture.database.inbox(Fixture.tenant, project: project, agent: agent, after: nil, limit: 40) else { continue }
            let isUseful = Bool.random(using: &random)
            for item in page.items where !item.needs.isEmpty {
                _ = try await fixture.database.judge(
                    Fixture.tenant, project: project, agent: agent, sequence: item.cursor.sequence, need: nil, isUseful: isUseful)
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                _ = try await fixture.database.forget(Fixture.tenant, project: project, agent: agent, sequence: nil, need: nil)
            }
        }
    }

    /// Many agents that ask the same are told all, and the store has their need once.
    @Test func equalNeedsAreOneNeedWithFollowers() async throws {
        let fixture = try Fixture()
        let commands = (0..<300).map { number in
            RegisterCommand(project: Self.project, agent: Name(stored: "a\(number)"), needs: ["the port of the database", "who is on call"])
        }
        for outcome in await fixture.database.register(Fixture.tenant, commands) { _ = try outcome.get() }
        _ = fixture.sink.take()
        try await fixture.publish("p", "port", "the port of the database is 5432", format: "text")
        #expect(Set(fixture.sink.take().map(\.agent.name.text)) == Set((0..<300).map { "a\($0)" }))
        try await fixture.database.unregister(Fixture.tenant, Name(stored: "a7"), projects: [Self.project])
        try await fixture.publish("p", "port", "the port of the database is 5433", format: "text")
        #expect(fixture.sink.take().count == 299)
        #expect(try await fixture.closeAndCheck() == [])
        let environment = try Environment(path: DatabaseConfiguration(directory: fixture.folder.path).storePath)
        let store = NeedStore(scope: TenantScope(tenant: Fixture.tenant, project: ProjectID(rawValue: 1)))
        #expect(try environment.read { try store.needSlots(in: $0) } == 2)
    }

    /// A registration whose filter reads too much is refused; one that was let in stays good in a project that has outgrown its filter, when the needs
    /// are made anew.
    @Test func aFilterThatHasOutgrownItsLimitKeepsItsNeeds() async throws {
        let fixture = try Fixture()
        var command = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["the port of the database"])
        command.settings = NeedSettings(filter: #"{"metadata.size": {"gte": 3}}"#)
        _ = try await fixture.database.register(Fixture.tenant, command)
        for number in 0..<5 {
            var publish = PublishCommand(
                project: Self.project, key: Name(stored: "k\(number)"), data: .string("the port of the database is \(number)"), format: "text")
            publish.metadata = JSONObject([("size", .integer(number))])
            _ = try await fixture.database.publish(Fixture.tenant, [publish])[0].get()
        }
        #expect(try await fixture.closeAndCheck() == [])
        let configuration = DatabaseConfiguration(directory: fixture.folder.path)
        let environment = try Environment(path: configuration.storePath)
        let search = NeedSearch(
            tenant: Fixture.tenant, project: Self.project, needs: command.needs, vectors: [[]], dimension: WordHash.models.dimension, configuration,
            own: command.settings, packing: nil)
        #expect(throws: ContexError.self) { _ = try environment.read { try search.run(filterRecordsMax: 1, in: $0) } }
        #expect(throws: Never.self) { _ = try environment.read { try search.run(filterRecordsMax: .max, in: $0) } }
    }

    /// The same commands give the same bytes, and an index made anew finds the same as one that has grown.
    @Test func aRebuiltIndexIsSoundAndFindsTheSame() async throws {
        var random = SeededRandom(seed: testSeed("aRebuiltIndexIsSoundAndFindsTheSame"))
        let fixture = try Fixture()
        for number in 0..<40 {
            var command = RegisterCommand(
                project: Self.project, agent: Name(stored: "a\(number % 30)"), needs: [Self.words(3, &random), Self.words(5, &random)])
            command.settings = Self.settings(&random)
            _ = try await fixture.database.register(Fixture.tenant, command)
            for outcome in await fixture.database.publish(Fixture.tenant, (0..<5).map { _ in Self.command(&random) }) { _ = try outcome.get() }
        }
        let before = try await fixture.database.agents(Fixture.tenant, project: Self.project)
        #expect(try await fixture.closeAndCheck() == [])
        var configuration = DatabaseConfiguration(directory: fixture.folder.path)
        configuration.durability = .unsafeNoSync
        _ = try await Reindex.run(configuration: configuration, models: WordHash.models)
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
        let again = try Fixture(fixture.folder)
        let after = try await again.database.agents(Fixture.tenant, project: Self.project)
        #expect(after.map(\.record) == before.map(\.record))
        for outcome in await again.database.publish(Fixture.tenant, (0..<50).map { _ in Self.command(&random) }) { _ = try outcome.get() }
        #expect(try await again.closeAndCheck() == [])
    }

    // MARK: - Settings

    @Test func settingsAreKeptAndDecideWhoIsTold() async throws {
        let fixture = try Fixture()
        func register(_ agent: String, _ settings: NeedSettings) async throws {
            var command = RegisterCommand(project: Self.project, agent: Name(stored: agent), needs: ["database port settings"])
            command.settings = settings
            _ = try await fixture.database.register(Fixture.tenant, command)
        }
        try await register("plain", .none)
        try await register("eager", NeedSettings(minSimilarity: 0))
        try await register("strict", NeedSettings(minSimilarity: 1))
        try await register("core", NeedSettings(filter: #"{"metadata.team": "core"}"#))
        try await register("never", NeedSettings(filter: #"{"metadata.team": "nobody"}"#))
        try await register("words", NeedSettings(minSimilarity: 0.9, mode: .keyword))
        _ = fixture.sink.take()
        func publish(_ key: String, _ text: String, team: String?) async throws -> Set<String> {
            var command = PublishCommand(project: Self.project, key: Name(stored: key), data: .string(text), format: "text")
            if let team { command.metadata = JSONObject([("team", .string(team))]) }
            _ = try await fixture.database.publish(Fixture.tenant, [command])[0].get()
            return Set(fixture.sink.take().map(\.agent.name.text))
        }
        #expect(try await publish("a", "database port settings", team: nil) == ["plain", "eager"])
        #expect(try await publish("b", "database port settings", team: "core") == ["plain", "eager", "core"])
        #expect(try await publish("c", "elephants in the garden", team: "core") == ["eager"])
        let shown = try await fixture.database.agent(Fixture.tenant, Name(stored: "core"), project: nil)[0].record.settings
        #expect(shown == NeedSettings(filter: #"{"metadata.team": "core"}"#))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func settingsOutOfRangeAreRefused() async throws {
        let fixture = try Fixture()
        for (settings, field) in [
            (NeedSettings(minSimilarity: 1.5), "min_similarity"), (NeedSettings(minSimilarity: -0.1), "min_similarity"),
            (NeedSettings(minSimilarity: .nan), "min_similarity"), (NeedSettings(topK: Limits.topK + 1), "top_k"), (NeedSettings(topK: 0), "top_k"),
            (NeedSettings(filter: "{"), "filter"), (NeedSettings(filter: #"{"metadata.x": {"near": 1}}"#), "metadata.x.near"),
            (NeedSettings(filter: #"{"data_key": ""# + String(repeating: "x", count: Limits.metadataBytes) + #""}"#), "filter"),
        ] {
            var command = RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["x"])
            command.settings = settings
            var error: ContexError?
            do { _ = try await fixture.database.register(Fixture.tenant, command) } catch let refusal as ContexError { error = refusal }
            #expect(error?.category == .invalid && error?.field?.contains(field) == true, "\(settings): \(String(describing: error))")
        }
        #expect(try await fixture.database.agents(Fixture.tenant, project: nil).isEmpty)
        await fixture.database.close()
    }
}
