import Base
import HTTPAPI
import TestSupport
import Testing

/// Settings of needs, whom a document would reach, and what needs would have matched, by their routes.
@Suite struct NeedRouteTests {
    private static let match = "/api/v1/projects/p/match"
    private static let trial = "/api/v1/projects/p/needs/test"

    private func register(_ harness: Harness, _ agent: String, _ more: String = "") async throws {
        let answer = await harness.send(
            "POST", "/api/v1/agents/register", #"{"agent_id":"\#(agent)","project_id":"p","data_needs":["zebra crossing"]\#(more)}"#)
        #expect(answer.status == 200, "\(answer.text)")
    }

    private func publish(_ harness: Harness, _ key: String, _ text: String, _ more: String = "") async throws {
        let answer = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"\#(key)","data":{"t":"\#(text)"}\#(more)}"#)
        #expect(answer.status == 200, "\(answer.text)")
    }

    private func entries(_ harness: Harness, _ agent: String) async throws -> [String] {
        let inbox = try await harness.send("GET", "/api/v1/projects/p/agents/\(agent)/inbox").json
        return inbox["entries"]?.arrayValue?.compactMap { $0["data_key"]?.stringValue } ?? []
    }

    @Test func settingsAreTakenShownExportedAndImported() async throws {
        let harness = try Harness()
        try await register(harness, "plain")
        try await register(harness, "strict", #","min_similarity":1,"mode":"keyword""#)
        try await register(harness, "core", #","filter":{"metadata.team":"core"},"top_k":2,"min_similarity":0.25"#)
        let core = try await harness.send("GET", "/api/v1/projects/p/agents/core").json
        #expect(core["filter"]?["metadata.team"] == "core" && core["top_k"] == .integer(2) && core["min_similarity"]?.doubleValue == 0.25)
        #expect(core["mode"] == nil)
        let strict = try await harness.send("GET", "/api/v1/agents/strict/status").json
        #expect(strict["mode"] == "keyword" && strict["min_similarity"]?.doubleValue == 1 && strict["filter"] == nil)
        #expect(try await harness.send("GET", "/api/v1/agents/plain").json["min_similarity"] == nil)

        try await publish(harness, "a", "zebra crossing")
        try await publish(harness, "b", "zebra crossing again", #","metadata":{"team":"core"}"#)
        #expect(try await entries(harness, "plain") == ["a", "b"])
        #expect(try await entries(harness, "core") == ["b"])
        #expect(try await entries(harness, "strict") == [])

        // As it goes out it comes in again.
        let export = await harness.send("GET", "/api/v1/projects/p/data?include_agents=true")
        let other = try Harness()
        let imported = await other.send("POST", "/api/v1/projects/p/import", export.text)
        #expect(imported.status == 200, "\(imported.text)")
        let copy = try await other.send("GET", "/api/v1/projects/p/agents/core").json
        await other.close()
        #expect(copy["filter"] == core["filter"] && copy["top_k"] == core["top_k"] && copy["min_similarity"] == core["min_similarity"])
        await harness.close()
    }

    @Test(arguments: [
        (#""min_similarity":1.5"#, "min_similarity"), (#""min_similarity":"much""#, "min_similarity"), (#""mode":"rrf""#, "mode"),
        (#""top_k":0"#, "top_k"), (#""filter":{"metadata.x":{"near":1}}"#, "near"), (#""filter":7"#, "filter"),
    ]) func whatIsOutOfRangeIsRefusedAndChangesNothing(_ member: String, _ field: String) async throws {
        let harness = try Harness()
        try await register(harness, "a")
        let answer = await harness.send(
            "POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":["other"],\#(member)}"#)
        #expect(answer.status == 422 && answer.text.contains(field), "\(answer.text)")
        #expect(try await harness.send("GET", "/api/v1/agents/a").json["needs"]?.arrayValue == [.string("zebra crossing")])
        await harness.close()
    }

    // MARK: - Whom a document would reach

    @Test func aRehearsalSaysWhomAPublishReachesAndLeavesNothing() async throws {
        let harness = try Harness()
        try await register(harness, "a")
        try await register(harness, "core", #","filter":{"metadata.team":"core"}"#)
        try await publish(harness, "k", "elephants in the garden")
        let before = await harness.send("GET", "/api/v1/projects/p/data").text
        let head = try await harness.send("GET", "/api/v1/projects").json

        let answer = try await harness.send("POST", Self.match, #"{"data":{"t":"zebra crossing"}}"#).json
        #expect(answer.objectValue?.keys == ["project_id", "data_key", "changed", "nodes", "agents"])
        #expect(answer["changed"] == .bool(true) && answer["nodes"] == .integer(1))
        let agents = try #require(answer["agents"]?.arrayValue)
        #expect(agents.map { $0["agent_id"] } == ["a"] && agents[0]["follows"] == .bool(false))
        let found = try #require(agents[0]["matches"]?.arrayValue?.first)
        #expect(found["need"] == "zebra crossing" && found["node_key"] == "document.root" && found["mode"] == "hybrid")
        #expect(found["min_similarity"]?.doubleValue == 0.5)
        // The parts give the similarity that is told.
        let (similarity, parts) = (try #require(found["similarity"]?.doubleValue), try #require(found["explanation"]))
        func number(_ name: String) throws -> Double { try #require(parts[name]?.doubleValue) }
        let evidence = try number("bm25") / 30 + 0.35 * number("bm25") / number("ceiling")
        let odds = try 8 * number("cosine") + 6.65 * evidence / (1 + evidence / 2.2) - number("cut")
        let plain = 1 / (1 + PortableMath.exp(-odds))
        #expect(abs((parts["exact_word"] == nil ? plain : 1 / (2 - plain)) - similarity) < 1e-5 && similarity >= 0.5)
        let both = try await harness.send("POST", Self.match, #"{"data":{"t":"zebra crossing"},"metadata":{"team":"core"}}"#).json
        #expect(both["agents"]?.arrayValue?.map { $0["agent_id"] } == ["a", "core"])

        // Nothing of it stays: no data, no event, no entry in an inbox, and the real publish is told just that.
        #expect(await harness.send("GET", "/api/v1/projects/p/data").text == before)
        #expect(try await harness.send("GET", "/api/v1/projects").json == head)
        #expect(try await entries(harness, "a") == [])
        try await publish(harness, "document", "zebra crossing")
        #expect(try await entries(harness, "a") == ["document"])
        let same = try await harness.send("POST", Self.match, #"{"data":{"t":"zebra crossing"}}"#).json
        #expect(same["changed"] == .bool(false) && same["agents"]?.arrayValue == [])
        // Who follows a document is told of any change of it.
        let other = try await harness.send("POST", Self.match, #"{"data":{"t":"a clock"}}"#).json
        #expect(other["agents"]?.arrayValue?.map { $0["follows"] } == [.bool(true)])

        for body in ["{}", #"{"data":{"t":"x"},"vector":[1]}"#, #"{"data":{"t":"x"},"data_key":""}"#, #"{"data":{"t":"x"},"metadata":7}"#] {
            #expect(await harness.send("POST", Self.match, body).status == 422, "\(body)")
        }
        // A project that there is not has nobody to reach, and there is none of it afterwards.
        #expect(try await harness.send("POST", "/api/v1/projects/nowhere/match", #"{"data":1}"#).json["agents"]?.arrayValue == [])
        #expect(try await harness.send("GET", "/api/v1/projects").json["count"] == .integer(1))
        await harness.close()
    }

    // MARK: - What needs would have matched

    @Test func aTrialOfNeedsShowsHowTheirScoresLie() async throws {
        let harness = try Harness()
        for number in 0..<30 { try await publish(harness, "k\(number)", "elephants and gardens \(number)", #","metadata":{"n":\#(number)}"#) }
        for number in 0..<3 { try await publish(harness, "z\(number)", "zebra crossing at \(number)") }
        let answer = try await harness.send("POST", Self.trial, #"{"needs":["zebra crossing","nothing of all that"]}"#).json
        #expect(answer["documents"] == .integer(33) && answer["nodes"] == .integer(33) && answer["mode"] == "hybrid")
        let needs = try #require(answer["needs"]?.arrayValue)
        #expect(needs.map { $0["need"] } == ["zebra crossing", "nothing of all that"])
        #expect(needs[0]["matched"] == .integer(3) && needs[0]["matched_documents"] == .integer(3) && needs[1]["matched"] == .integer(0))
        for need in needs { #expect(need["histogram"]?.arrayValue?.compactMap(\.integerValue).reduce(0, +) == 33) }
        #expect(needs[0]["best"]?.arrayValue?.prefix(3).allSatisfy { $0["node_key"]?.stringValue?.hasPrefix("z") == true } == true)
        let suggested = try #require(needs[0]["suggested_min_similarity"]?.doubleValue)
        let similarities = needs[0]["best"]?.arrayValue?.compactMap { $0["similarity"]?.doubleValue } ?? []
        #expect(similarities.count == 10 && similarities.count { $0 >= suggested } == 3)

        // Fewer events, a filter, another threshold.
        let last = try await harness.send("POST", Self.trial, #"{"needs":["zebra crossing"],"events":2}"#).json
        #expect(last["documents"] == .integer(2) && last["needs"]?.arrayValue?[0]["matched"] == .integer(2))
        let filtered = try await harness.send(
            "POST", Self.trial, #"{"needs":["elephants"],"filter":{"metadata.n":{"lt":5}},"min_similarity":0,"mode":"semantic"}"#).json
        #expect(filtered["documents"] == .integer(5) && filtered["needs"]?.arrayValue?[0]["matched"]?.integerValue ?? 9 <= 5)
        #expect(filtered["min_similarity"]?.doubleValue == 0 && filtered["mode"] == "semantic")

        #expect(await harness.send("POST", "/api/v1/projects/nowhere/needs/test", #"{"needs":["x"]}"#).status == 404)
        let many = (0...20).map { #""need \#($0)""# }.joined(separator: ",")
        for body in ["{}", #"{"needs":["x"],"events":0}"#, #"{"needs":["x"],"min_similarity":2}"#, #"{"needs":[\#(many)]}"#] {
            #expect(await harness.send("POST", Self.trial, body).status == 422, "\(body)")
        }
        await harness.close()
    }
}
