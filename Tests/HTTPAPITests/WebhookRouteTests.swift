import Access
import Base
import Content
import Engine
import HTTPAPI
import TestSupport
import Testing

private func list(_ texts: String...) -> JSONValue { .array(texts.map(JSONValue.string)) }

/// Webhook endpoints and dead letters over HTTP, in the original's shapes.
@Suite struct WebhookRouteTests {
    private static let base = "/api/v1/webhooks"

    @Test func theCatalogue() async throws {
        let harness = try Harness()
        let types = try await harness.send("GET", Self.base + "/events/types").json.arrayValue ?? []
        #expect(types.count == 31 && types.first == "data.published" && types.last == "system.health.recovered")
        #expect(
            try await harness.send("GET", Self.base + "/events/categories").json
                == list("data", "agent", "context", "project", "security", "service_account", "tenant", "system"))
        let events = try await harness.send("GET", Self.base + "/events").json.arrayValue ?? []
        #expect(events.map { $0["event_type"] } == types.map { $0 })
        #expect(events[0]["payload_schema"]?["required"] == list("project_id", "data_key", "sequence", "data_format"))
        for event in events {
            #expect(event["description"]?.stringValue?.isEmpty == false && event["payload_schema"]?["type"] == "object")
            if event["emitted"] == .bool(true) { #expect(event["payload_schema"]?["required"]?.arrayValue?.isEmpty == false) }
        }
        let data = try await harness.send("GET", Self.base + "/events?category=data").json.arrayValue ?? []
        #expect(data.count == 5 && data.allSatisfy { $0["category"] == "data" })
        await harness.close()
    }

    @Test func endpointsFromBeginningToEnd() async throws {
        let harness = try Harness()
        let created = await harness.send(
            "POST", Self.base + "/endpoints",
            #"{"name":"audit","url":"https://hooks.example/contex","events":["data.published"],"categories":["data"],"project_ids":["p"]}"#)
        #expect(created.status == 201)
        let endpoint = try created.json
        #expect(
            endpoint.objectValue?.keys == [
                "endpoint_id", "tenant_id", "name", "description", "url", "events", "categories", "project_ids", "is_active", "timeout_seconds",
                "max_retries", "created_at", "updated_at", "secret", "signing_secret",
            ])
        #expect(endpoint["timeout_seconds"] == .integer(30) && endpoint["max_retries"] == .integer(3) && endpoint["is_active"] == .bool(true))
        #expect(endpoint["secret"]?.stringValue?.utf8.count == 43 && endpoint["signing_secret"]?.stringValue?.hasPrefix("whsec_") == true)
        let id = try #require(endpoint["endpoint_id"]?.stringValue)
        #expect(id.hasPrefix("whep_") && id.utf8.count == 21)
        let place = Self.base + "/endpoints/" + id

        var shown = try await harness.send("GET", place).json
        #expect(shown["secret"] == nil && shown["delivery"]?["breaker"] == "closed" && shown["events"] == list("data.published"))
        #expect(try await harness.send("GET", Self.base + "/endpoints").json.arrayValue?.count == 1)
        #expect(try await harness.send("GET", Self.base + "/endpoints?is_active=false").json == .array([]))

        shown = try await harness.send(
            "PATCH", place, #"{"name":"other","description":"why","events":[],"is_active":false,"max_retries":0,"timeout_seconds":5}"#).json
        #expect(shown["name"] == "other" && shown["description"] == "why" && shown["events"] == .array([]) && shown["is_active"] == .bool(false))
        #expect(shown["max_retries"] == .integer(0) && shown["categories"] == list("data") && shown["url"] == endpoint["url"])
        shown = try await harness.send("PATCH", place, #"{"description":null,"is_active":true}"#).json
        #expect(shown["description"] == .null && shown["is_active"] == .bool(true) && shown["name"] == "other")

        let rotated = try await harness.send("POST", place + "/rotate-secret").json
        #expect(rotated["secret"]?.stringValue?.utf8.count == 43 && rotated["secret"] != endpoint["secret"] && rotated["previous_secret_until"] != nil)

        let test = try await harness.send("POST", place + "/test", "{}").json
        #expect(test["status"] == "sent" && test["event_type"] == "system.health.changed" && test["event_id"]?.stringValue?.hasPrefix("evt_") == true)
        #expect(try await harness.send("POST", place + "/test", #"{"event_type":"data.published","data":{"a":1}}"#).json["event_type"] == "data.published")
        #expect(try await harness.send("GET", place).json["delivery"]?["pending"] == .integer(2))
        #expect(try await harness.send("GET", place + "/deliveries").json == .array([]))
        #expect(
            try await harness.send("GET", place + "/dead-letters").json
                == ["dead_letters": .array([]), "total": .integer(0), "has_more": .bool(false)])
        #expect(try await harness.send("POST", place + "/dead-letters/replay", "{}").json == ["status": "replaying", "count": .integer(0)])
        #expect(await harness.send("POST", place + "/dead-letters/remove", #"{"numbers":["7"]}"#).status == 404)

        let deleted = await harness.send("DELETE", place)
        #expect(deleted.status == 204 && deleted.text.isEmpty)
        let gone = await harness.send("GET", place)
        #expect(gone.status == 404)
        #expect(try gone.json["detail"] == .string("Endpoint '\(id)' not found"))
        await harness.close()
    }

    @Test func whatIsRefused() async throws {
        let harness = try Harness()
        let bodies = [
            #"{}"#, #"{"name":"","url":"https://x.example/"}"#, #"{"name":"a","url":"http://127.0.0.1/"}"#, #"{"name":"a","url":"ftp://x.example/"}"#,
            #"{"name":"a","url":"https://u:p@x.example/"}"#, #"{"name":"a","url":"https://x.example/","events":["nothing"]}"#,
            #"{"name":"a","url":"https://x.example/","categories":["nothing"]}"#, #"{"name":"a","url":"https://x.example/","timeout_seconds":4}"#,
            #"{"name":"a","url":"https://x.example/","max_retries":6}"#, #"{"name":"a","url":"https://x.example/","project_ids":[""]}"#,
            #"{"name":"\#(String(repeating: "x", count: 129))","url":"https://x.example/"}"#,
        ]
        for body in bodies { #expect(await harness.send("POST", Self.base + "/endpoints", body).status == 422, "\(body)") }
        #expect(try await harness.send("GET", Self.base + "/endpoints").json == .array([]))
        for id in ["whep_0000000000000000", "whep_1", "nothing", "whep_00000000000000zz"] {
            for (method, more) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret"), ("GET", "/deliveries"), ("POST", "/test"),
                                   ("GET", "/dead-letters"), ("POST", "/dead-letters/replay")] {
                let answer = await harness.send(method, Self.base + "/endpoints/\(id)\(more)", method == "GET" || method == "DELETE" ? nil : "{}")
                #expect(answer.status == 404, "\(method) \(id)\(more): \(answer.text)")
            }
        }
        // An agent that is told on its channel has no deliveries.
        _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":[]}"#)
        let agent = "/api/v1/projects/p/agents/a/dead-letters"
        #expect(await harness.send("GET", agent).status == 404)
        #expect(await harness.send("POST", agent + "/replay", #"{"numbers":["x"]}"#).status == 422)
        #expect(await harness.send("GET", "/api/v1/projects/p/agents/nobody/dead-letters").status == 404)
        await harness.close()
    }

    /// A key with some projects makes endpoints of these, and sees no others.
    @Test func endpointsStayWithinTheReachOfAKey() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let made = try await harness.send("POST", "/api/v1/auth/keys?name=own", key: root).json
        let (id, key) = (try #require(made["key_id"]?.stringValue), try #require(made["key"]?.stringValue))
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=admin", #"["p"]"#, key: root).status == 200)
        let mine = try await harness.send("POST", Self.base + "/endpoints", #"{"name":"mine","url":"https://x.example/"}"#, key: key).json
        #expect(mine["project_ids"] == list("p"))
        let beyond = await harness.send("POST", Self.base + "/endpoints", #"{"name":"a","url":"https://x.example/","project_ids":["q"]}"#, key: key)
        #expect(beyond.status == 403)
        let all = try await harness.send("POST", Self.base + "/endpoints", #"{"name":"all","url":"https://x.example/"}"#, key: root).json
        #expect(all["project_ids"] == .array([]))
        let place = Self.base + "/endpoints/\(all["endpoint_id"]?.stringValue ?? "")"
        for (method, more, body) in [("GET", "", nil), ("PATCH", "", "{}"), ("DELETE", "", nil), ("POST", "/test", "{}")] as [(String, String, String?)] {
            #expect(await harness.send(method, place + more, body, key: key).status == 404)
        }
        #expect(try await harness.send("GET", Self.base + "/endpoints", key: key).json.arrayValue?.map { $0["name"] } == ["mine"])
        #expect(try await harness.send("GET", Self.base + "/endpoints", key: root).json.arrayValue?.count == 2)
        let own = Self.base + "/endpoints/\(mine["endpoint_id"]?.stringValue ?? "")"
        #expect(await harness.send("PATCH", own, #"{"project_ids":["q"]}"#, key: key).status == 403)
        #expect(try await harness.send("PATCH", own, #"{"project_ids":[]}"#, key: key).json["project_ids"] == list("p"))
        await harness.close()
    }
}
