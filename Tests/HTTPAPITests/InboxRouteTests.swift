import Base
import Foundation
import HTTPAPI
import Service
import TestSupport
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
        // Of another inbox: whoever went on with it would miss what comes until then.
        let beyond = await harness.send("GET", "/api/v1/agents/a/inbox?cursor=0-99")
        #expect(beyond.status == 422 && beyond.text.contains("beyond the end of the log"))
        #expect(await harness.send("GET", "/api/v1/agents/a/inbox?cursor=0-18446744073709551615").status == 422)
        #expect(await harness.send("GET", "/api/v1/agents/nobody/inbox").status == 404)
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox").json["entries"]?.arrayValue?.count == 3)

        let removed = try await harness.send("POST", "/api/v1/agents/a/inbox/ack", #"{"cursor":"0-2"}"#).json
        #expect(removed["removed"] == .integer(2))
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox").json["entries"]?.arrayValue?.map { $0["cursor"] } == ["0-3"])
    }

    /// An entry says how its needs matched with the numbers of the moment: what a rehearsal of the same publish said just before, whatever comes after.
    @Test func aDeliveryIsExplained() async throws {
        let harness = try Harness()
        for (agent, more) in [("a", ""), ("b", #","mode":"keyword","min_similarity":0.25"#)] {
            let needs = #"["zebra crossing","ERR_4711 of the signal","nothing of the kind"]"#
            _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"\#(agent)","project_id":"p","data_needs":\#(needs)\#(more)}"#)
        }
        for n in 0..<4 {
            _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"other\#(n)","data":{"t":"apples \#(n) and pears"}}"#)
        }
        let data = #""data_key":"k","data":{"t":"a zebra crossing with ERR_4711"}"#
        let expected = try await harness.send("POST", "/api/v1/projects/p/match", "{\(data)}").json["agents"]?.arrayValue ?? []
        #expect(expected.map { $0["agent_id"] } == ["a", "b"])
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p",\#(data)}"#)
        // Statistics move.
        for n in 0..<4 {
            _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"more\#(n)","data":{"t":"zebra crossing \#(n)"}}"#)
        }
        for agent in expected {
            let path = "/api/v1/agents/\(agent["agent_id"]?.stringValue ?? "")/inbox?limit=1"
            let entry = try await harness.send("GET", path + "&explain=true").json["entries"]?.arrayValue?.first
            #expect(entry?["data_key"] == "k" && entry?["matches"] != nil)
            #expect(entry?["matches"] == agent["matches"])
            #expect(entry?["matches"]?.arrayValue?.allSatisfy { $0["explanation"]?["bm25"]?.doubleValue ?? 0 > 0 } == true)
            #expect(try await harness.send("GET", path).json["entries"]?.arrayValue?.first?["matches"] == nil)
        }
        // A node that is gone has no key any more; the rest stays as it was.
        let sooner = try await harness.send("GET", "/api/v1/agents/a/inbox?explain=true").json["entries"]?.arrayValue?.first?["matches"]
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":{"t":"plums"}}"#)
        let later = try await harness.send("GET", "/api/v1/agents/a/inbox?explain=true").json["entries"]?.arrayValue ?? []
        #expect(later.first?["matches"]?.arrayValue?.map { $0["node_key"] } == [.null])
        #expect(later.first?["matches"]?.arrayValue?.map { $0["explanation"] } == sooner?.arrayValue?.map { $0["explanation"] })
        // What it is told because it follows the document matches nothing.
        #expect(later.last?["reason"] == "update" && later.last?["matches"] == .array([]))
        // Other needs have taken their places: nothing is said of them.
        _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":["apples","pears"]}"#)
        let explained = try await harness.send("GET", "/api/v1/agents/a/inbox?explain=true").json["entries"]?.arrayValue
        #expect(explained?.allSatisfy { $0["matches"] == .array([]) } == true)
        #expect(await harness.send("GET", "/api/v1/agents/a/inbox?explain=perhaps").status == 422)
    }

    /// The server works on four requests at a time here: four who only wait are not in the way of whoever brings what they wait for.
    @Test func whoWaitsForAnInboxHoldsNoPlace() async throws {
        try await Harness().serve({ $0.requestsMax = 4 }) { port in
            func ask(_ connection: RawConnection, _ method: String, _ path: String, _ body: String = "") -> String? {
                let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                connection.send("\(method) /api/v1\(path) HTTP/1.1\r\n\(head)\r\n\(body)")
                return connection.answer()
            }
            // A place is free again a moment after the answer that had it, or after its holder has begun to wait.
            func untilThereIsAPlace(_ ask: () -> String?) -> Bool {
                for _ in 0..<500 {
                    let answer = ask()
                    guard answer?.hasPrefix("HTTP/1.1 503") == true else { return answer?.hasPrefix("HTTP/1.1 200") == true }
                    usleep(20_000)
                }
                return false
            }
            let worker = try RawConnection(port: port)
            let need = #"{"agent_id":"a","project_id":"p","data_needs":["zebra crossing"]}"#
            #expect(ask(worker, "POST", "/agents/register", need)?.hasPrefix("HTTP/1.1 200") == true)
            usleep(100_000)
            var waiting = try (0..<4).map { _ in try RawConnection(port: port) }
            for connection in waiting { connection.send("GET /api/v1/agents/a/inbox?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n") }
            // Until all of them wait: one that came later would find the place of the publishes taken.
            usleep(500_000)
            // What is no business of the agent wakes nobody, and everybody is answered although three wait.
            for n in 0..<20 {
                let other = #"{"project_id":"p","data_key":"other\#(n)","data":{"t":"apples"}}"#
                #expect(untilThereIsAPlace { ask(worker, "POST", "/data/publish", other) })
            }
            // One leaves before anything has come.
            waiting.removeLast()
            let meant = #"{"project_id":"p","data_key":"k","data":{"t":"zebra crossing"}}"#
            #expect(untilThereIsAPlace { ask(worker, "POST", "/data/publish", meant) })
            for connection in waiting {
                let answer = connection.answer() ?? ""
                #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains(#""data_key":"k""#) && answer.contains(#""cursor":"0-21""#), "\(answer)")
            }
            // Nothing comes: the answer is empty when the time is over, and says where to go on.
            let empty = ask(worker, "GET", "/agents/a/inbox?cursor=0-21&wait=1") ?? ""
            #expect(empty.hasPrefix("HTTP/1.1 200") && empty.contains(#""entries":[],"cursor":"0-21""#), "\(empty)")
            for wait in ["61", "-1", "x"] { #expect(ask(worker, "GET", "/agents/a/inbox?wait=\(wait)")?.hasPrefix("HTTP/1.1 422") == true) }
        }
    }

    @Test func whoWaitsIsAnsweredWhenTheServerStops() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":["zebra crossing"]}"#)
        async let waiting = harness.send("GET", "/api/v1/agents/a/inbox?wait=60")
        try await Task.sleep(for: .milliseconds(50))
        harness.operations.endWaits()
        #expect(try await waiting.json["entries"] == .array([]))
        // From here on nobody waits.
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox?wait=60").json["entries"] == .array([]))
    }
}
