import Base
import HTTPAPI
import Testing

/// What an agent reads when it comes back, by its routes.
@Suite struct InboxRouteTests {
    @Test func whatConcernedAnAgentIsReadAndAcknowledged() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":["zebra crossing"]}"#)
        for n in 1...3 {
            _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k\#(n)","data":{"t":"zebra crossing"}}"#)
        }
        let first = try await harness.send("GET", "/api/v1/agents/a/inbox?limit=2").json
        #expect(first.objectValue?.keys == ["project_id", "agent_id", "entries", "cursor", "has_more", "gap"])
        #expect(first["entries"]?.arrayValue?.map { $0["cursor"] } == ["0-1", "0-2"] && first["cursor"] == "0-2" && first["has_more"] == .bool(true))
        #expect(first["entries"]?.arrayValue?.first?["reason"] == "first_match" && first["gap"] == .bool(false))
        let rest = try await harness.send("GET", "/api/v1/projects/p/agents/a/inbox?cursor=0-2").json
        #expect(rest["entries"]?.arrayValue?.map { $0["data_key"] } == ["k3"] && rest["has_more"] == .bool(false))

        // What is refused changes nothing.
        for (body, status) in [(#"{"cursor":"0-x"}"#, 422), (#"{"cursor":"0-99"}"#, 422), (#"{"cursor":"7-1"}"#, 409), ("{}", 422)] {
            #expect(await harness.send("POST", "/api/v1/agents/a/inbox/ack", body).status == status, "\(body)")
        }
        #expect(await harness.send("GET", "/api/v1/agents/a/inbox?limit=0").status == 422)
        #expect(await harness.send("GET", "/api/v1/agents/a/inbox?cursor=7-1").status == 409)
        #expect(await harness.send("GET", "/api/v1/agents/nobody/inbox").status == 404)
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox").json["entries"]?.arrayValue?.count == 3)

        let removed = try await harness.send("POST", "/api/v1/agents/a/inbox/ack", #"{"cursor":"0-2"}"#).json
        #expect(removed["removed"] == .integer(2))
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox").json["entries"]?.arrayValue?.map { $0["cursor"] } == ["0-3"])
    }
}
