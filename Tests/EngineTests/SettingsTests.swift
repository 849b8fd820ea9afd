import Base
import Content
import Engine
import FullText
import Maintenance
import Search
import TestSupport
import Testing

/// The analyser of a project: chosen before, changed while it is served, changed by a rebuild.
@Suite struct SettingsTests {
    private static let project = Name(stored: "p")
    private static let data: [(key: String, data: JSONValue)] = [
        ("a", ["note": "the cats are running"]), ("b", ["note": "a cat ran"]), ("c", ["code": "func getUserNames() -> [Cats]"]), ("d", ["note": "the the the"]),
    ]

    private func keys(_ fixture: Fixture, _ text: String) async throws -> [String] {
        try await fixture.query("p", text, mode: .keyword).map(\.documentKey).sorted()
    }

    private func expect(_ analyzer: String, _ fixture: Fixture) async throws {
        let settings = try await fixture.database.settings(Fixture.tenant, project: Self.project)
        #expect(settings.analyzer == analyzer && settings.analyzerVersion == Int(Analyzer.version))
        switch analyzer {
        case "english":
            #expect(try await keys(fixture, "cats") == ["a", "b", "c"])
            #expect(try await keys(fixture, "the") == [])
            #expect(try await keys(fixture, "names") == ["c"])
        case "simple":
            #expect(try await keys(fixture, "cats") == ["a", "c"])
            #expect(try await keys(fixture, "the") == ["a", "d"])
            #expect(try await keys(fixture, "names") == [])
        default:
            #expect(try await keys(fixture, "cats") == ["a", "c"])
            #expect(try await keys(fixture, "the") == ["a", "d"])
            #expect(try await keys(fixture, "names") == ["c"])
        }
    }

    @Test(arguments: ["english", "simple", "code"]) func chosenBeforeTheFirstPublish(analyzer: String) async throws {
        let fixture = try Fixture()
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
        #expect(try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer).nodes == 0)
        for (key, data) in Self.data { try await fixture.publish("p", key, data) }
        try await expect(analyzer, fixture)
        _ = try await fixture.database.delete(Fixture.tenant, project: Self.project, key: Name(stored: "d"))
        try await fixture.publish("p", "d", ["note": "the the the"])
        try await expect(analyzer, fixture)
        #expect(try await fixture.closeAndCheck() == [])
        let again = try Fixture(fixture.folder)
        try await expect(analyzer, again)
        await again.database.close()
    }

    @Test func changedWhileItIsServed() async throws {
        let fixture = try Fixture { $0.mode = .keyword; $0.threshold = 0.05 }
        for (key, data) in Self.data { try await fixture.publish("p", key, data) }
        _ = try await fixture.database.register(
            Fixture.tenant, RegisterCommand(project: Self.project, agent: Name(stored: "x"), needs: ["horses"]))
        _ = fixture.sink.take()
        for analyzer in ["simple", "code", "english", "code"] {
            #expect(try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer).nodes == Self.data.count)
            #expect(try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, analyzer).nodes == 0)
            try await expect(analyzer, fixture)
            // A need's words go through the same mill as the texts.
            try await fixture.publish("p", "h", ["note": .string("a horse in \(analyzer)")])
            #expect(fixture.sink.take().count == (analyzer == "english" ? 1 : 0), "\(analyzer)")
            try await fixture.publish("p", "h", ["note": .string("horses in \(analyzer)")])
            #expect(fixture.sink.take().count == 1, "\(analyzer)")
            _ = try await fixture.database.delete(Fixture.tenant, project: Self.project, key: Name(stored: "h"))
            _ = fixture.sink.take()
        }
        var refused: ContexError?
        do { _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, "klingon") } catch { refused = error as? ContexError }
        #expect(refused?.category == .invalid && refused?.field == "analyzer")
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Everything after a change is as if the project had had the analyser from the start.
    @Test func aChangeIsARebuild() async throws {
        var random = SeededRandom(seed: testSeed("aChangeIsARebuild"))
        let (changed, fresh) = (try Fixture(), try Fixture())
        _ = try await fresh.database.setAnalyzer(Fixture.tenant, project: Self.project, "code")
        for number in 0..<400 {
            let words = (0..<Int.random(in: 1...10, using: &random)).map { _ in "wordsOf\(Int(random.unit() * random.unit() * 50))" }.joined(separator: " the ")
            for fixture in [changed, fresh] { try await fixture.publish("p", "k\(number)", ["note": .string(words)]) }
        }
        #expect(try await changed.database.setAnalyzer(Fixture.tenant, project: Self.project, "code").nodes == 400)
        for number in 0..<50 {
            for mode in [SearchMode.hybrid, .keyword] {
                let text = "the wordsOf\(number) words"
                let (a, b) = (try await changed.query("p", text, mode: mode), try await fresh.query("p", text, mode: mode))
                #expect(a.map(\.nodeKey) == b.map(\.nodeKey) && a.map(\.similarity) == b.map(\.similarity))
            }
        }
        for fixture in [changed, fresh] { #expect(try await fixture.closeAndCheck() == []) }
    }

    @Test func aProjectThatNeverWasHasNone() async throws {
        let fixture = try Fixture()
        let error = await #expect(throws: ContexError.self) { try await fixture.database.settings(Fixture.tenant, project: Self.project) }
        #expect(error?.category == .notFound)
        // To choose is to enter it.
        _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, "code")
        #expect(try await fixture.database.settings(Fixture.tenant, project: Self.project).analyzer == "code")
        await fixture.database.close()
    }

    @Test func changedByARebuild() async throws {
        let first = try Fixture()
        for (key, data) in Self.data { try await first.publish("p", key, data) }
        try await first.publish("q", "k", ["note": "the cats"])
        await first.database.close()
        var configuration = DatabaseConfiguration(directory: first.folder.path)
        configuration.mapBytes = 4 << 30
        let change = try Reindex.AnalyzerChange(project: Self.project, analyzer: "simple")
        #expect(try await Reindex.run(configuration: configuration, models: WordHash.models, change: change).nodes == 5)
        let second = try Fixture(first.folder)
        try await expect("simple", second)
        #expect(try await second.database.settings(Fixture.tenant, project: Name(stored: "q")).analyzer == "english")
        #expect(try await second.closeAndCheck() == [])
        // A rebuild without a change keeps what is chosen.
        #expect(try await Reindex.run(configuration: configuration, models: WordHash.models).nodes == 5)
        let third = try Fixture(first.folder)
        try await expect("simple", third)
        await third.database.close()
        #expect(throws: ContexError.self) { try Reindex.AnalyzerChange(project: Self.project, analyzer: "klingon") }
        await #expect(throws: ContexError.self) {
            try await Reindex.run(
                configuration: configuration, models: WordHash.models, change: .init(project: Name(stored: "nowhere"), analyzer: "code"))
        }
    }
}
