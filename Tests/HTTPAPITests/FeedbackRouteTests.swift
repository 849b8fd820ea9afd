import Access
import Base
import Engine
import HTTPAPI
import TestSupport
import Testing

/// What agents say of their deliveries, by its routes.
@Suite struct FeedbackRouteTests {
    private static let route = "/api/v1/projects/p/agents/a/feedback"

    private func register(_ harness: Harness, _ agent: String, key: String? = nil) async throws {
        let answer = await harness.send(
            "POST", "/api/v1/agents/register",
            #"{"agent_id":"\#(agent)","project_id":"p","data_needs":["zebra crossing"],"min_similarity":0.1}"#, key: key)
        #expect(answer.status == 200, "\(answer.text)")
    }

    private func publish(_ harness: Harness, _ name: String, key: String? = nil) async throws {
        let answer = await harness.send(
            "POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"\#(name)","data":{"t":"zebra crossing \#(name)"}}"#, key: key)
        #expect(answer.status == 200, "\(answer.text)")
    }

    @Test func aVerdictIsTakenShownAndTakenBack() async throws {
        let harness = try Harness()
        try await register(harness, "a")
        try await register(harness, "b")
        for name in ["one", "two", "three"] { try await publish(harness, name) }
        let answer = try await harness.send("POST", Self.route, #"{"sequence":"2","useful":false}"#).json
        #expect(answer.objectValue?.keys == ["status", "project_id", "agent_id", "changed", "needs"])
        #expect(answer["status"] == "noted" && answer["agent_id"] == "a" && answer["changed"] == .integer(1))
        // By its id alone, and by a number.
        let again = try await harness.send("POST", "/api/v1/agents/a/feedback", #"{"sequence":3,"useful":false,"need":"zebra crossing"}"#).json
        let own = try #require(again["needs"]?.arrayValue?.first)
        #expect(own.objectValue?.keys == ["need", "judged", "useful", "shift", "usual_min_similarity", "min_similarity"])
        #expect(own["judged"] == .integer(2) && own["useful"] == .integer(0) && own["usual_min_similarity"]?.doubleValue == 0.1)
        let (shift, cut) = (try #require(own["shift"]?.doubleValue), try #require(own["min_similarity"]?.doubleValue))
        let odds = PortableMath.log(0.1 / 0.9) + shift
        #expect(shift > 0 && abs(cut - 1 / (1 + PortableMath.exp(-odds))) < 1e-9)

        // The agent shows it, and what it was told says what was said of it.
        let status = try await harness.send("GET", "/api/v1/agents/a").json
        #expect(status["feedback"]?.arrayValue == [own] && status["min_similarity"]?.doubleValue == 0.1)
        #expect(try await harness.send("GET", "/api/v1/agents/b").json["feedback"] == nil)
        let entries = try await harness.send("GET", "/api/v1/agents/a/inbox?explain=true").json["entries"]?.arrayValue ?? []
        #expect(entries.map { $0["matches"]?.arrayValue?.first?["useful"] } == [nil, .bool(false), .bool(false)])
        let match = try await harness.send("POST", "/api/v1/projects/p/match", #"{"data":{"t":"zebra crossing"}}"#).json["agents"]?.arrayValue ?? []
        let cuts = match.map { $0["matches"]?.arrayValue?.first?["min_similarity"]?.doubleValue }
        #expect(match.map { $0["agent_id"] } == ["a", "b"] && cuts == [cut, 0.1])

        #expect(try await harness.send("DELETE", Self.route + "?sequence=2").json["changed"] == .integer(1))
        let forgotten = try await harness.send("DELETE", "/api/v1/agents/a/feedback?need=zebra%20crossing").json
        #expect(forgotten["status"] == "forgotten" && forgotten["changed"] == .integer(1))
        #expect(forgotten["needs"]?.arrayValue?.first?["min_similarity"]?.doubleValue == 0.1)
        #expect(try await harness.send("DELETE", Self.route).json["changed"] == .integer(0))
        #expect(try await harness.send("GET", "/api/v1/agents/a").json["feedback"] == nil)
        await harness.close()
    }

    @Test(arguments: [
        ("{}", 422, "sequence"), (#"{"sequence":"1"}"#, 422, "useful"), (#"{"sequence":0,"useful":true}"#, 422, "sequence"),
        (#"{"sequence":-1,"useful":true}"#, 422, "sequence"), (#"{"sequence":"many","useful":true}"#, 422, "sequence"),
        (#"{"sequence":99999999999999999999999,"useful":true}"#, 404, "delivery_not_found"), (#"{"sequence":1,"useful":"perhaps"}"#, 422, "useful"),
        (#"{"sequence":1,"useful":null}"#, 422, "useful"), (#"{"sequence":1,"useful":true,"need":7}"#, 422, "need"),
        (#"{"sequence":1,"useful":true,"need":"elephants"}"#, 422, "need"), (#"{"sequence":9,"useful":true}"#, 404, "delivery_not_found"),
    ]) func whatIsNotADeliveryIsRefusedAndChangesNothing(_ body: String, _ status: Int, _ word: String) async throws {
        let harness = try Harness()
        try await register(harness, "a")
        try await publish(harness, "one")
        let answer = await harness.send("POST", Self.route, body)
        #expect(answer.status == status && (answer.text + (answer.header("X-Contex-Error") ?? "")).contains(word), "\(answer.status) \(answer.text)")
        #expect(try await harness.send("GET", "/api/v1/agents/a").json["feedback"] == nil)
        await harness.close()
    }

    @Test func whoMayBeTheAgentMayJudge() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        func key(_ role: String, _ project: String) async throws -> String {
            let created = try await harness.send("POST", "/api/v1/auth/keys?name=\(role)", key: root).json
            let id = try #require(created["key_id"]?.stringValue)
            #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=\(role)", #"["\#(project)"]"#, key: root).status == 200)
            return try #require(created["key"]?.stringValue)
        }
        let (consumer, reader, stranger) = (try await key("consumer", "p"), try await key("readonly", "p"), try await key("consumer", "q"))
        try await register(harness, "a", key: consumer)
        try await publish(harness, "one", key: root)
        let body = #"{"sequence":1,"useful":false}"#
        #expect(await harness.send("POST", Self.route, body).status == 401)
        #expect(await harness.send("POST", Self.route, body, key: reader).status == 403)
        #expect(await harness.send("DELETE", Self.route, key: reader).status == 403)
        #expect(await harness.send("POST", Self.route, body, key: stranger).status == 403)
        #expect(await harness.send("POST", "/api/v1/agents/a/feedback", body, key: stranger).status == 404)
        #expect(await harness.send("POST", Self.route, body, key: consumer).status == 200)
        await harness.close()
    }
}
