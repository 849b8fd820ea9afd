import Attributes
import Base
import Content
import Engine
import Search
import TestSupport
import Testing

/// Pages of a query: all of one state, whatever is written between them.
@Suite struct MatchPageTests {
    private static let project = Name(stored: "p")

    private static func text(_ number: Int) -> String { "zebra w\(number % 3) w\(number % 7) w\(number % 11) u\(number)" }

    private func filled(_ count: Int, models: Models = WordHash.models) async throws -> Fixture {
        let fixture = try Fixture(models: models)
        let commands = (0..<count).map { number in
            PublishCommand(project: Self.project, key: Name(stored: "k\(number)"), data: ["text": .string(Self.text(number))])
        }
        for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        return fixture
    }

    private func request(_ mode: SearchMode? = nil, text: String = "zebra w1 w5", fusion: FusionMethod? = nil) -> QueryRequest {
        QueryRequest(project: Self.project, text: text, threshold: 0, mode: mode, fusion: fusion)
    }

    private func page(_ fixture: Fixture, _ request: QueryRequest, limit: Int, _ cursor: String? = nil) async throws -> QueryAnswer {
        var request = request
        request.page = PageRequest(limit: limit, cursor: cursor)
        return try await fixture.database.query(Fixture.tenant, request)
    }

    /// All pages, with what happens between them.
    private func all(
        _ fixture: Fixture, _ request: QueryRequest, limit: Int, between: (Int) async throws -> Void = { _ in }
    ) async throws -> [(key: String, similarity: Double)] {
        var (found, cursor, pages): ([(String, Double)], String?, Int) = ([], nil, 0)
        repeat {
            let answer = try await page(fixture, request, limit: limit, cursor)
            #expect(answer.matches.count <= limit && (answer.paging?.next == nil || answer.matches.count == limit) && answer.left == 0)
            found += answer.matches.map { ($0.nodeKey, $0.similarity) }
            cursor = answer.paging?.next
            pages += 1
            if cursor != nil { try await between(pages) }
        } while cursor != nil && pages < 1_000
        return found
    }

    private func refusal(_ body: () async throws -> some Any) async -> ContexError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? ContexError }
    }

    @Test(arguments: SearchMode.allCases) func pagesAreTheWholeAnswer(_ mode: SearchMode) async throws {
        let fixture = try await filled(230)
        for fusion in mode == .hybrid ? FusionMethod.allCases.map(Optional.some) : [nil] {
            let whole = try await page(fixture, request(mode, fusion: fusion), limit: 1_000)
            // Cosines below 0 are no match.
            let isAll = mode == .semantic ? whole.matches.count > 50 : whole.matches.count == 230
            #expect(isAll && whole.paging != nil && whole.paging?.next == nil)
            for limit in [7, 60, 115, 230] {
                let found = try await all(fixture, request(mode, fusion: fusion), limit: limit)
                #expect(found.map(\.key) == whole.matches.map(\.nodeKey), "\(mode) \(String(describing: fusion)) \(limit)")
            }
        }
        // Who asks for no pages gets none.
        #expect(try await fixture.database.query(Fixture.tenant, request(mode)).paging == nil)
    }

    /// What the words of a document bring a passage from far behind must bring it on every page.
    @Test(arguments: [SearchMode.hybrid, .keyword]) func pagesOfDocumentsOfSeveralNodesAreTheWholeAnswer(_ mode: SearchMode) async throws {
        let fixture = try Fixture(models: WordHash.models)
        let commands = (0..<160).map { number in
            PublishCommand(
                project: Self.project, key: Name(stored: "k\(number)"),
                data: ["head": ["title": .string("w5 w\(number % 9) t\(number)")], "body": ["text": .string(Self.text(number))]])
        }
        for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        let whole = try await page(fixture, request(mode), limit: 1_000)
        #expect(whole.matches.count >= 160)
        for limit in [7, 40, 111] {
            let found = try await all(fixture, request(mode), limit: limit)
            #expect(found.map(\.key) == whole.matches.map(\.nodeKey), "\(mode) \(limit)")
            #expect(found.map(\.similarity) == whole.matches.map(\.similarity), "\(mode) \(limit)")
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test(arguments: SearchMode.allCases) func whatIsWrittenBetweenPagesIsNotInThem(_ mode: SearchMode) async throws {
        let fixture = try await filled(120)
        let before = try await all(fixture, request(mode), limit: 1_000)
        var random = SeededRandom(seed: testSeed("whatIsWrittenBetweenPagesIsNotInThem"))
        let found = try await all(fixture, request(mode), limit: 13) { _ in
            for _ in 0..<5 {
                let key = "k\(Int.random(in: 0..<140, using: &random))"
                switch Int.random(in: 0..<3, using: &random) {
                case 0: _ = try? await fixture.database.delete(Fixture.tenant, project: Self.project, key: Name(stored: key))
                case 1: try await fixture.publish("p", key, ["text": "zebra zebra w1 w5"])
                default: try await fixture.publish("p", key, ["text": .string("changed \(Int.random(in: 0..<99, using: &random))"), "more": ["zebra": "w1"]])
                }
            }
        }
        #expect(found.map(\.key) == before.map(\.key))
        #expect(found.map(\.similarity) == before.map(\.similarity))
        #expect(try await all(fixture, request(mode), limit: 13).map(\.key) != before.map(\.key))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func pagesOfThePastStayThere() async throws {
        let fixture = try await filled(40)
        var then = request()
        then.asOf = .sequence(Sequence(rawValue: 30))
        let before = try await all(fixture, then, limit: 9)
        #expect(before.count == 30)
        let found = try await all(fixture, then, limit: 9) { try await fixture.publish("p", "new\($0)", ["text": "zebra w1 w5"]) }
        #expect(found.map(\.key) == before.map(\.key))
    }

    @Test func cursorsLeadNowhereElse() async throws {
        let fixture = try await filled(30)
        try await fixture.publish("q", "k", ["text": "zebra"])
        let cursor = try #require(try await page(fixture, request(), limit: 10).paging?.next)
        #expect(try await page(fixture, request(), limit: 3, cursor).matches.count == 3)

        var others: [QueryRequest] = [request(text: "zebra w1"), request(.keyword), request(fusion: .rrf)]
        var (project, filtered, threshold, past) = (request(), request(), request(), request())
        project.project = Name(stored: "q")
        filtered.filter = .and([])
        threshold.threshold = 0.1
        past.asOf = .sequence(Sequence(rawValue: 4))
        others += [project, filtered, threshold, past]
        project.project = Name(stored: "nothing here")
        others.append(project)
        for other in others {
            let refused = await refusal { try await page(fixture, other, limit: 3, cursor) }
            #expect(refused?.code == .cursorInvalid && refused?.field == "cursor", "\(other): \(String(describing: refused))")
        }
        for place in cursor.indices {
            var damaged = cursor
            damaged.replaceSubrange(place...place, with: cursor[place] == "A" ? "B" : "A")
            #expect(await refusal { try await page(fixture, request(), limit: 3, damaged) }?.code == .cursorInvalid)
        }
        for text in ["", "x", cursor + "A", String(cursor.dropLast()), String(repeating: "A", count: 900)] {
            #expect(await refusal { try await page(fixture, request(), limit: 3, text) }?.code == .cursorInvalid)
        }
        let listing = try #require(try await fixture.database.keys(Fixture.tenant, project: Self.project, PageRequest(limit: 3), asOf: nil).next)
        #expect(await refusal { try await page(fixture, request(), limit: 3, listing) }?.code == .cursorInvalid)
        // In a batch each by itself.
        var (good, bad) = (request(), request(.keyword))
        good.page = PageRequest(limit: 10, cursor: cursor)
        bad.page = good.page
        let batch = await fixture.database.query(Fixture.tenant, [good, bad])
        #expect(try batch[0].get().matches.count == 10)
        #expect(throws: ContexError.self) { try batch[1].get() }
    }

    @Test func whatChoosesHasNoPages() async throws {
        let fixture = try await filled(5)
        var requests = [request(), request(), request(), request()]
        requests[0].maxTokens = 1_000
        requests[1].diversity = 0.5
        requests[2].pinned = ["k1"]
        requests[3].explainKeys = ["k1"]
        for other in requests { #expect(await refusal { try await page(fixture, other, limit: 3) }?.field == "limit") }
    }

    @Test func aStateThatIsGoneIsSaidToBe() async throws {
        let fixture = try await filled(30)
        func cursor() async throws -> String { try #require(try await page(fixture, request(), limit: 10).paging?.next) }
        let exported = try await fixture.database.export(
            Fixture.tenant, project: Self.project, sections: ExportSections(events: true, embeddings: true, agents: true))
        // The log is another one.
        var old = try await cursor()
        _ = try await fixture.database.importDocument(Fixture.tenant, project: Self.project, document: exported, overwrite: true, validateOnly: false)
        #expect(await refusal { try await page(fixture, request(), limit: 3, old) }?.code == .matchesGone)
        // Another analyser has other terms.
        old = try await cursor()
        _ = try await fixture.database.setAnalyzer(Fixture.tenant, project: Self.project, "simple")
        #expect(await refusal { try await page(fixture, request(), limit: 3, old) }?.code == .matchesGone)
        // Nodes that an import brings are no event.
        let nodes = try await fixture.database.export(
            Fixture.tenant, project: Self.project, sections: ExportSections(events: false, embeddings: true, agents: false))
        old = try await cursor()
        _ = try await fixture.database.importDocument(Fixture.tenant, project: Self.project, document: nodes, overwrite: true, validateOnly: false)
        let gone = await refusal { try await page(fixture, request(), limit: 3, old) }
        #expect(gone?.code == .matchesGone && gone?.code.httpStatus == 410 && gone?.message.contains("without a cursor") == true)
    }

    /// Its past is not read, but while nothing is written its pages are.
    @Test func aLargeProjectHasPagesWhileNothingIsWritten() async throws {
        let fixture = try Fixture(models: WordHash.ascii)
        let rows = (0..<12_000).map { "непонятное слово\($0)" }
        for part in 0..<2 { try await fixture.publish("p", "k\(part)", .array(rows.map { ["text": .string($0 + "я\(part)")] })) }
        let first = try await page(fixture, request(text: "непонятное"), limit: 1_000)
        let cursor = try #require(first.paging?.next)
        let second = try await page(fixture, request(text: "непонятное"), limit: 1_000, cursor)
        #expect(second.matches.count == 1_000 && Set(second.matches.map(\.nodeKey)).isDisjoint(with: first.matches.map(\.nodeKey)))
        // No more than are ranked.
        #expect(try await all(fixture, request(text: "непонятное"), limit: 1_000).count == Limits.pagedMatches)
        try await fixture.publish("p", "new", ["text": "непонятное"])
        #expect(await refusal { try await page(fixture, request(text: "непонятное"), limit: 9, cursor) }?.code == .matchesGone)
    }
}
