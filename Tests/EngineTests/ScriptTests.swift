import Base
import Content
import Engine
import Events
import Maintenance
import Needs
import Search
import TestSupport
import Testing

/// Texts that the model cannot read. All of them were one to it: whatever was asked in such a script found whatever was written in any.
@Suite struct ScriptTests {
    private static let project = Name(stored: "p")
    private static let texts: [(key: String, text: String)] = [
        ("1", "Заказ номер семь отгружен со склада в понедельник"), ("2", "Клиент просит вернуть деньги за заказ"),
        ("3", "🚀🎉🎉🚀🎉🎉🚀"), ("4", "The warehouse ships orders on Monday"), ("5", "Ночью сервер базы данных был недоступен"),
    ]

    private func filled(_ models: Models = WordHash.ascii, _ adjust: (inout DatabaseConfiguration) -> Void = { _ in }) async throws -> Fixture {
        let fixture = try Fixture(models: models, adjust)
        for (key, text) in Self.texts { try await fixture.publish("p", key, ["text": .string(text)]) }
        return fixture
    }

    private func answer(_ fixture: Fixture, _ text: String, _ mode: SearchMode? = nil, threshold: Double? = nil) async throws -> QueryAnswer {
        try await fixture.database.query(
            Fixture.tenant, QueryRequest(project: Self.project, text: text, topK: 10, threshold: threshold, mode: mode, explain: true))
    }

    @Test func wordsAloneFindWhatTheModelCannotRead() async throws {
        let fixture = try await filled()
        let found = try await answer(fixture, "Когда отгружен заказ номер семь")
        #expect(found.matches.first?.documentKey == "1" && found.matches.allSatisfy { $0.documentKey != "3" && $0.documentKey != "5" })
        #expect(found.matches.allSatisfy { $0.explanation?.cosine == nil && $0.explanation?.parts.first?.name == "words" })
        #expect(found.notes.count == 1 && found.notes[0].contains("words alone"))
        // At the lowest threshold too: only what shares a word.
        let all = try await answer(fixture, "Когда отгружен заказ", threshold: 0)
        #expect(Set(all.matches.map(\.documentKey)) == ["1", "2"])
        #expect(zip(all.matches, all.matches.dropFirst()).allSatisfy { $0.similarity >= $1.similarity })
        for threshold in [0, 0.5] { #expect(try await answer(fixture, "Погода завтра", threshold: threshold).matches.isEmpty) }
        #expect(try await answer(fixture, "🚀🎉", threshold: 0).matches.isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func nothingIsNearWithoutAVector() async throws {
        let fixture = try await filled()
        let found = try await answer(fixture, "отгружен заказ", .semantic, threshold: 0)
        #expect(found.matches.isEmpty && found.notes.count == 1 && found.notes[0].contains("hybrid"))
        // What the model reads is near to what it reads, and to nothing else.
        let readable = try await answer(fixture, "the warehouse ships", .semantic, threshold: 0)
        #expect(readable.matches.map(\.documentKey) == ["4"] && readable.notes.isEmpty)
        #expect(try await answer(fixture, "отгружен", .keyword, threshold: 0).matches.map(\.documentKey) == ["1"])
        #expect(try await answer(fixture, "отгружен", .keyword, threshold: 0).notes.isEmpty)
    }

    @Test(arguments: FusionMethod.allCases) func everyFusionTakesTextsWithoutAVector(_ method: FusionMethod) async throws {
        let fixture = try await filled()
        var request = QueryRequest(project: Self.project, text: "warehouse orders склада", topK: 10, threshold: 0, mode: .hybrid)
        request.fusion = method
        let found = try await fixture.database.query(Fixture.tenant, request).matches
        #expect(Set(found.map(\.documentKey)) == ["1", "4"] && found.allSatisfy { $0.similarity.isFinite })
    }

    @Test func optionsOfAQueryKnowTextsWithoutAVector() async throws {
        let fixture = try await filled()
        for text in ["отгружен заказ", "warehouse заказ"] {
            var request = QueryRequest(project: Self.project, text: text, topK: 3, threshold: 0)
            request.diversity = 0.5
            request.pinned = ["5"]
            request.explainKeys = ["3", "1"]
            request.maxTokens = 1_000
            let found = try await fixture.database.query(Fixture.tenant, request)
            #expect(found.matches.first?.documentKey == "5" && found.matches.contains { $0.documentKey == "1" })
            #expect(found.explained.map(\.key) == ["3", "1"] && found.explained[0].explanation?.cosine == nil)
            let batch = try #require(try await fixture.database.query(Fixture.tenant, [request]).first?.get())
            #expect(batch.matches.map(\.nodeKey) == found.matches.map(\.nodeKey) && batch.notes == found.notes)
        }
    }

    /// A trial scores a need as it would be scored when it is registered.
    @Test func trialsKnowNeedsWithoutAVector() async throws {
        let fixture = try await filled()
        let request = NeedTrialRequest(project: Self.project, needs: ["отгружен заказ", "warehouse orders"], events: 100)
        let trial = try await fixture.database.tryNeeds(Fixture.tenant, request)
        #expect(trial.documents == 5 && trial.needs[0].best.allSatisfy { $0.parts.cosine == nil })
        #expect(trial.needs[0].best.first?.nodeKey == "1.text" || trial.needs[0].best.first?.nodeKey == "1.root")
        #expect(trial.needs[1].best.contains { $0.parts.cosine != nil })
        // The newest event is always read, and no other when it has more than there is room for.
        var bounded = request
        bounded.bytesMax = 1
        let newest = try await fixture.database.tryNeeds(Fixture.tenant, bounded)
        #expect(newest.documents == 1 && newest.needs[0].best.map(\.nodeKey).allSatisfy { $0.hasPrefix("5.") })
    }

    /// Written differently, a number is one; and as it is written it comes first.
    @Test func numbersFindEachOther() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "json", .object(JSONObject([("price", .number(JSONNumber(uncheckedText: "19.90")))])))
        try await fixture.publish("p", "text", ["price": "19.90"])
        try await fixture.publish("p", "short", .object(JSONObject([("price", .number(JSONNumber(uncheckedText: "19.9")))])))
        try await fixture.publish("p", "other", ["price": "29.90"])
        for question in ["19.90", "\"19.90\"", "19.9"] {
            let found = try await fixture.query("p", question, mode: .keyword)
            #expect(Set(found.map(\.documentKey)).isSuperset(of: question == "\"19.90\"" ? ["json", "text"] : ["json", "text", "short"]), "\(question)")
        }
        try await fixture.publish("q", "new", .string("python: 3.10\nname: new\n"), format: "yaml")
        try await fixture.publish("q", "old", .string("python: 3.1\nname: old\n"), format: "yaml")
        #expect(try await fixture.query("q", "python 3.10", mode: .keyword).first?.documentKey == "new")
        #expect(try await fixture.query("q", "python 3.1", mode: .keyword).first?.documentKey == "old")
        #expect(try await fixture.query("q", "+\"3.10\"", mode: .keyword).map(\.documentKey) == ["new"])
    }

    @Test(arguments: [("แมว", "ฉันเห็นแมวสองตัวที่ตลาด"), ("水", "飲料水の供給"), ("ﾃﾞｰﾀ", "データベース"), ("كتاب", "كِتَابٌ جديد"), ("物", "买东西和动物")])
    func wordsInsideOfARunAreFound(word: String, text: String) async throws {
        let fixture = try await filled()
        try await fixture.publish("p", "wanted", ["text": .string(text)])
        for mode in [SearchMode.keyword, .hybrid] { #expect(try await fixture.query("p", word, mode: mode).first?.documentKey == "wanted", "\(mode)") }
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Needs are told by words, and of nothing else.
    @Test func needsAreToldByWords() async throws {
        let fixture = try Fixture(models: WordHash.ascii)
        try await fixture.publish("p", "old", ["text": "Возврат: деньги за заказ вернули клиенту"])
        let registered = try await fixture.database.register(
            Fixture.tenant,
            RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["возврат деньги заказ", "orders of the warehouse"]))
        #expect(registered.matchedNeeds.map(\.count) == [1, 0])
        _ = fixture.sink.take()
        func told(_ text: String) async throws -> [String] {
            try await fixture.publish("p", text, ["text": .string(text)])
            return fixture.sink.take().flatMap { $0.provenance.matches.map(\.need) }
        }
        #expect(try await told("Сервер базы данных недоступен") == [])
        #expect(try await told("🚀🎉") == [])
        #expect(try await told("Клиент просит деньги: возврат за заказ") == ["возврат деньги заказ"])
        #expect(try await told("Orders of the warehouse") == ["orders of the warehouse"])
        #expect(try await fixture.closeAndCheck() == [])
        // Read again from the store.
        let again = try Fixture(fixture.folder, models: WordHash.ascii)
        try await again.publish("p", "k", ["text": "возврат, деньги, заказ"])
        #expect(again.sink.take().flatMap { $0.provenance.matches.map(\.need) } == ["возврат деньги заказ"])
    }

    @Test func semanticRoutingTellsNobodyOfWhatHasNoVector() async throws {
        let fixture = try Fixture(models: WordHash.ascii) {
            $0.mode = .semantic
            $0.threshold = 0
        }
        _ = try await fixture.database.register(
            Fixture.tenant, RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["деньги", "orders"]))
        _ = fixture.sink.take()
        try await fixture.publish("p", "k", ["text": "Сервер базы данных недоступен: деньги"])
        #expect(fixture.sink.take().isEmpty)
    }

    /// A rebuild with a model that reads more, and one with a model that reads less.
    @Test func aRebuildGivesAndTakesVectors() async throws {
        let fixture = try await filled()
        _ = try await fixture.database.register(
            Fixture.tenant, RegisterCommand(project: Self.project, agent: Name(stored: "a"), needs: ["недоступен сервер"]))
        #expect(try await fixture.closeAndCheck() == [])
        var configuration = DatabaseConfiguration(directory: fixture.folder.path)
        configuration.mapBytes = 4 << 30
        #expect(try await Reindex.run(configuration: configuration, models: WordHash.models).nodes == 5)
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
        let reading = try Fixture(fixture.folder)
        #expect(try await answer(reading, "сервер базы данных", .semantic, threshold: 0).matches.first?.documentKey == "5")
        await reading.database.close()
        _ = try await Reindex.run(configuration: configuration, models: WordHash.ascii)
        let back = try Fixture(fixture.folder, models: WordHash.ascii)
        #expect(try await answer(back, "сервер базы данных", .semantic, threshold: 0).matches.isEmpty)
        // The record is as if it had been published so, and a publish of the same nodes keeps them.
        try await back.publish("p", "5", ["text": .string(Self.texts[4].text), "more": ["text": "ещё непонятное"]])
        #expect(try await back.closeAndCheck() == [])
    }

    @Test func anExportComesBackWithoutVectors() async throws {
        let source = try await filled()
        let exported = try await source.database.export(
            Fixture.tenant, project: Self.project, sections: ExportSections(events: true, embeddings: true, agents: true))
        let target = try Fixture(models: WordHash.ascii)
        _ = try await target.database.importDocument(Fixture.tenant, project: Self.project, document: exported, overwrite: false, validateOnly: false)
        #expect(try await answer(target, "отгружен заказ", .semantic, threshold: 0).matches.isEmpty)
        #expect(try await answer(target, "отгружен заказ", threshold: 0).matches.map(\.documentKey).sorted() == ["1", "2"])
        #expect(try await target.closeAndCheck() == [])
    }

    /// The route answers a vector for every text, as the API that it is like does.
    @Test func anEmbeddingIsAnsweredForEveryText() async throws {
        let fixture = try Fixture(models: WordHash.ascii)
        let vectors = try await fixture.database.embed(["Заказ", "order"], in: .server).vectors
        #expect(vectors.map(\.count) == [WordHash.dimension, WordHash.dimension])
    }
}
