import Access
import Base
import Content
import Engine
import HTTPAPI
import TestSupport
import Testing

@Suite("Metadata and filters by HTTP")
struct FilterTests {
    private func publish(_ harness: Harness, _ key: String, _ metadata: String, api: String? = nil) async throws {
        let body = #"{"project_id":"app","data_key":"\#(key)","data":{"text":"zebra \#(key)"},"metadata":\#(metadata)}"#
        let answer = await harness.send("POST", "/api/v1/data/publish", body, key: api)
        #expect(answer.status == 200, "\(answer.text)")
    }

    private func keys(_ harness: Harness, _ filter: String, api: String? = nil) async throws -> [String] {
        let body = #"{"query":"zebra","threshold":0,"response_format":"json","filter":\#(filter)}"#
        let answer = await harness.send("POST", "/api/v1/projects/app/query", body, key: api)
        #expect(answer.status == 200, "\(filter): \(answer.text)")
        return try answer.json["matches"]?.arrayValue?.compactMap { $0["data_key"]?.stringValue }.sorted() ?? []
    }

    @Test func whatIsPublishedWithMetadataIsFilteredByIt() async throws {
        let harness = try Harness()
        try await publish(harness, "a", #"{"team":"core","size":3,"due":"2026-01-31"}"#)
        try await publish(harness, "b", #"{"team":"web","size":10,"owner":{"name":"Ada"}}"#)
        let batch = await harness.send(
            "POST", "/api/v1/batch/publish",
            #"[{"project_id":"app","data_key":"c","data":{"text":"zebra c"},"metadata":{"team":"core"}},{"project_id":"app","data_key":"d","data":{"text":"zebra"}}]"#)
        #expect(try batch.json["successful"]?.integerValue == 2)

        #expect(try await keys(harness, "null") == ["a.root", "b.root", "c.root", "d.root"])
        #expect(try await keys(harness, "{}") == ["a.root", "b.root", "c.root", "d.root"])
        #expect(try await keys(harness, #"{"metadata.team":"core"}"#) == ["a.root", "c.root"])
        #expect(try await keys(harness, #"{"metadata.size":{"gte":3,"lt":10}}"#) == ["a.root"])
        #expect(try await keys(harness, #"{"data_key":["b","d","nothing"]}"#) == ["b.root", "d.root"])
        #expect(try await keys(harness, #"{"or":[{"metadata.owner.name":{"prefix":"A"}},{"metadata.due":{"lt":"2026-02-01"}}]}"#) == ["a.root", "b.root"])
        #expect(try await keys(harness, #"{"not":{"metadata.team":{"exists":true}},"updated_after":"2020-01-01","data_format":"json"}"#) == ["d.root"])
        #expect(try await keys(harness, #"{"updated_after":"2200-01-01"}"#) == [])

        // What the original answers stays as it is; more stands at the end, where there is something to say.
        let listed = try await harness.send("GET", "/api/v1/projects/app/data").json
        let plain = ["data_key", "description", "data", "data_format", "is_structured", "toon"]
        #expect(listed.arrayValue?.map { $0.objectValue!.keys } == [plain + ["metadata"], plain + ["metadata"], plain + ["metadata"], plain])
        let explained = try await harness.send(
            "POST", "/api/v1/projects/app/query",
            #"{"query":"zebra","threshold":0,"response_format":"json","explain":true,"filter":{"metadata.team":"web"}}"#).json
        #expect(explained["filter"] == ["passing": .integer(1), "nodes": .integer(4)])
        #expect(explained["matches"]?.arrayValue?.first?["metadata"] == (try JSONParser.parse(text: #"{"team":"web","size":10,"owner":{"name":"Ada"}}"#)))
        let history = try await harness.send("GET", "/api/v1/versions/projects/app/data/a/history").json
        #expect(history["versions"]?.arrayValue?.first?["metadata"]?["team"] == "core")
        let events = try await harness.send("GET", "/api/v1/projects/app/events").json["events"]?.arrayValue ?? []
        #expect(events.map { $0["metadata"]?["team"] } == ["core", "web", "core", nil])
        await harness.close()
    }

    @Test func whoPublishedIsKnown() async throws {
        let harness = try Harness(authentication: true)
        let ada = try await harness.database.createKey(.standard, name: "ada")
        let id = ada.record.keyID.text
        try await harness.database.assignRole(.standard, RoleAssignment(keyID: ada.record.keyID, role: .admin, projects: .all))
        // What a caller says of himself is not believed.
        let body = #"{"project_id":"app","data_key":"a","data":{"text":"zebra"},"published_by":"eve","publisher":"eve"}"#
        #expect(await harness.send("POST", "/api/v1/data/publish", body, key: ada.text).status == 200)
        #expect(try await keys(harness, #"{"published_by":"ada"}"#, api: ada.text) == ["a.root"])
        #expect(try await keys(harness, #"{"published_by":["\#(id)"]}"#, api: ada.text) == ["a.root"])
        #expect(try await keys(harness, #"{"published_by":{"exists":false}}"#, api: ada.text) == [])
        #expect(try await keys(harness, #"{"published_by":"eve"}"#, api: ada.text) == [])
        let listed = try await harness.send("GET", "/api/v1/projects/app/data", key: ada.text).json
        #expect(listed.arrayValue?.first?["published_by"] == ["key_id": .string(id), "name": "ada"])
        await harness.close()
    }

    @Test func mistakesAreNamedByPlace() async throws {
        let harness = try Harness()
        func refused(_ target: String, _ body: String) async throws -> (place: JSONValue?, message: String) {
            let answer = await harness.send("POST", target, body)
            #expect(answer.status == 422, "\(body.prefix(200)): \(answer.status) \(answer.text)")
            let detail = try answer.json["detail"]?.arrayValue?.first
            return (detail?["loc"], detail?["msg"]?.stringValue ?? "")
        }
        func filter(_ filter: String) async throws -> (place: JSONValue?, message: String) {
            try await refused("/api/v1/projects/app/query", #"{"query":"zebra","filter":\#(filter)}"#)
        }
        var (place, message) = try await filter(#"{"and":[{},{},{},{"metadata.x":{"gte":[1]}}]}"#)
        #expect(place == .array(["body", "filter", "and", .integer(3), "metadata.x", "gte"]))
        #expect(message == "Value error, filter.and[3].metadata.x.gte: expected a number, a date or a text, got a list")
        (place, message) = try await filter(#"{"team":"core"}"#)
        #expect(place == .array(["body", "filter", "team"]) && message.contains("filter.team: unknown field"))
        (place, message) = try await filter("[1]")
        #expect(place == .array(["body", "filter"]) && message.contains("expected an object"))
        for levels in [17, 40, 1_000, 100_000] {
            let deep = String(repeating: #"{"not":"#, count: levels) + "{}" + String(repeating: "}", count: levels)
            (place, message) = try await filter(deep)
            #expect(place?.arrayValue?.prefix(2) == ["body", "filter"] && message.contains("deep"), "\(levels) levels: \(message)")
        }
        (place, message) = try await filter(#"{"data_key":[\#((0...10_000).map { "\"\($0)\"" }.joined(separator: ","))]}"#)
        #expect(message.hasSuffix("more than 10000 values in one filter"))

        func metadata(_ metadata: String) async throws -> (place: JSONValue?, message: String) {
            try await refused("/api/v1/data/publish", #"{"project_id":"app","data_key":"k","data":1,"metadata":\#(metadata)}"#)
        }
        (place, message) = try await metadata(#""core""#)
        #expect(place == .array(["body", "metadata"]) && message == "Input should be a valid dictionary")
        (place, message) = try await metadata(#"{"a":[1,{"b":1e999}]}"#)
        #expect(place == .array(["body", "metadata", "a", .integer(1), "b"]) && message.contains("metadata.a[1].b: a number beyond"))
        (place, message) = try await metadata(String(repeating: #"{"a":"#, count: 1_000) + "1" + String(repeating: "}", count: 1_000))
        #expect(place == .array(["body", "metadata"]) && message.contains("deep"))
        (place, message) = try await metadata(#"{"a":"\#(String(repeating: "x", count: 70_000))"}"#)
        #expect(message.contains("more than 65536 bytes"))
        (place, message) = try await refused(
            "/api/v1/batch/publish",
            #"[{"project_id":"app","data_key":"k","data":1},{"project_id":"app","data_key":"k","data":1,"metadata":{"":1}}]"#)
        #expect(place == .array(["body", .integer(1), "metadata"]) && message.contains("a key that is empty"))
        // Depth of another field is what it was.
        let deep = #"{"filter":{},"query":"x","other":"# + String(repeating: "[", count: 1_000) + String(repeating: "]", count: 1_000) + "}"
        #expect(await harness.send("POST", "/api/v1/projects/app/query", deep).status == 400)
        #expect(await harness.send("GET", "/api/v1/projects/app/data?include_content=false").text == #"{"project_id":"app","data_keys":[],"count":0}"#)
        await harness.close()
    }

    @Test func theLanguageIsInTheOpenAPIDocument() async throws {
        let harness = try Harness()
        let schemas = OpenAPIDocument.json(version: "0.2.0")["components"]?["schemas"]
        let examples = try #require(schemas?["QueryRequest"]?["properties"]?["filter"]?["examples"]?.arrayValue)
        #expect(examples.count >= 3)
        // Every example is one.
        for example in examples { _ = try await keys(harness, JSONPrinter.text(example)) }
        for (number, example) in (schemas?["PublishRequest"]?["properties"]?["metadata"]?["examples"]?.arrayValue ?? []).enumerated() {
            try await publish(harness, "k\(number)", JSONPrinter.text(example))
        }
        #expect(try await keys(harness, #"{"metadata.owner.name":"Ada"}"#) == ["k0.root"])
        await harness.close()
    }
}
