import Base
import Content
import HTTPAPI
import TestSupport
import Testing

/// Pages over HTTP: an answer that is whole is as it always was, one that is not says so and leads to the rest.
@Suite struct PagingTests {
    private static func publish(_ harness: Harness, _ project: String, _ key: String, _ text: String) async throws {
        let body: JSONValue = ["project_id": .string(project), "data_key": .string(key), "data": ["x": .string(text)]]
        let answer = await harness.send("POST", "/api/v1/data/publish", JSONPrinter.text(body))
        #expect(answer.status == 200, "\(answer.text)")
    }

    /// Follows the links until there is none.
    private static func all(_ harness: Harness, _ target: String) async throws -> [APIAnswer] {
        var (answers, next): ([APIAnswer], String?) = ([], target)
        while let target = next, answers.count < 100 {
            let answer = await harness.send("GET", target)
            #expect(answer.status == 200, "\(target): \(answer.text)")
            answers.append(answer)
            next = answer.header("Link").map { link in
                #expect(link.hasPrefix("<") && link.hasSuffix(">; rel=\"next\""))
                return String(link.dropFirst().prefix { $0 != ">" })
            }
            #expect((next == nil) == (answer.header("X-Next-Cursor") == nil))
        }
        return answers
    }

    @Test func wholeAnswersAreAsTheyWere() async throws {
        let harness = try Harness()
        for key in ["a", "b", "c"] { try await Self.publish(harness, "app", key, "text") }
        let members = [
            "/api/v1/projects/app/events": ["events", "count"], "/api/v1/projects": ["projects", "count"],
            "/api/v1/agents": ["agents", "count", "registrations"],
            "/api/v1/projects/app/agents": ["agents", "count", "registrations"],
            "/api/v1/projects/app/data?include_content=false": ["project_id", "data_keys", "count"],
            "/api/v1/versions/projects/app/data/a/history": ["project_id", "data_key", "versions", "count"],
        ]
        for (target, names) in members {
            let answer = await harness.send("GET", target)
            #expect(try answer.json.objectValue?.keys == names, "\(target)")
            #expect(answer.header("Link") == nil && answer.header("X-Next-Cursor") == nil)
        }
        let nodes = await harness.send("GET", "/api/v1/projects/app/data")
        #expect(try nodes.json.arrayValue?.count == 3 && nodes.header("Link") == nil)
        let expected: JSONValue = [
            "data_key": "a.root", "description": "root | x: text", "data": ["x": "text"], "data_format": "json", "is_structured": .bool(true),
            "toon": "x: text",
        ]
        #expect(try nodes.json.arrayValue?[0] == expected)
        await harness.close()
    }

    @Test func eventsHaveTimes() async throws {
        let harness = try Harness()
        try await Self.publish(harness, "app", "a", "text")
        let event = try #require(try await harness.send("GET", "/api/v1/projects/app/events").json["events"]?.arrayValue?.first)
        #expect(event.objectValue?.keys == ["sequence", "event_type", "data", "timestamp", "position"])
        let time = try #require(event["timestamp"]?.stringValue)
        #expect(Timestamp(printed: time) != nil && time.hasSuffix("+00:00"))
        let version = try await harness.send("GET", "/api/v1/versions/projects/app/data/a/version/1").json
        #expect(version["timestamp"]?.stringValue == time)
        await harness.close()
    }

    @Test func linksLeadThroughEverything() async throws {
        let harness = try Harness()
        for number in 0..<7 { try await Self.publish(harness, "app", "key \(number)&=", "text \(number)") }
        for number in 0..<4 { try await Self.publish(harness, "app", "v", "state \(number)") }
        for project in ["b", "c"] { try await Self.publish(harness, project, "k", "text") }
        for agent in ["x", "y", "z"] {
            let body = #"{"agent_id":"\#(agent)","project_id":"app","data_needs":[]}"#
            #expect(await harness.send("POST", "/api/v1/agents/register", body).status == 200)
        }
        let nodes = try await Self.all(harness, "/api/v1/projects/app/data?limit=3")
        let keys = try nodes.flatMap { try $0.json["data"]!.arrayValue! }.map { $0["data_key"]?.stringValue ?? "" }
        #expect(try nodes.map { try $0.json["has_more"]! } == [.bool(true), .bool(true), .bool(false)])
        #expect(keys == (0..<7).map { "key \($0)&=.root" } + ["v.root"])
        #expect(nodes.count == 3)
        let past = try await Self.all(harness, "/api/v1/projects/app/data?as_of=2&limit=1&include_content=false")
        #expect(try past.map { try $0.json["data_keys"]! } == [.array(["key 0&="]), .array(["key 1&="])])
        #expect(try past.map { try $0.json["has_more"]! } == [.bool(true), .bool(false)])
        func items(_ target: String, _ list: String, _ member: String) async throws -> [[String]] {
            try await Self.all(harness, target).map { try $0.json[list]!.arrayValue!.map { $0[member]?.stringValue ?? $0.stringValue ?? "" } }
        }
        #expect(try await items("/api/v1/projects/app/events?count=4", "events", "sequence") == [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "10", "11"]])
        #expect(try await items("/api/v1/projects/app/events?since=5&limit=4", "events", "sequence") == [["6", "7", "8", "9"], ["10", "11"]])
        #expect(try await items("/api/v1/versions/projects/app/data/v/history?limit=3", "versions", "sequence") == [["11", "10", "9"], ["8"]])
        #expect(try await items("/api/v1/projects?limit=2", "projects", "project_id") == [["app", "b"], ["c"]])
        #expect(try await items("/api/v1/agents?limit=2", "agents", "") == [["x", "y"], ["z"]])
        #expect(try await items("/api/v1/projects/app/agents?limit=1", "agents", "") == [["x"], ["y"], ["z"]])
        await harness.close()
    }

    @Test func keysAndRolesPageToo() async throws {
        let harness = try Harness()
        let bare = await harness.send("GET", "/api/v1/auth/keys")
        #expect(try bare.json == .array([]))
        var ids: [String] = []
        for name in ["a", "b", "c"] {
            let id = try #require(try await harness.send("POST", "/api/v1/auth/keys?name=\(name)").json["key_id"]?.stringValue)
            #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=consumer").status == 200)
            ids.append(id)
        }
        let keys = try await Self.all(harness, "/api/v1/auth/keys?limit=2")
        #expect(try keys.map { try $0.json["keys"]!.arrayValue!.map { $0["name"]?.stringValue } } == [["a", "b"], ["c"]])
        let roles = try await Self.all(harness, "/api/v1/auth/roles?limit=1")
        #expect(try Set(roles.map { try $0.json["roles"]!.arrayValue![0]["key_id"]!.stringValue }) == Set(ids) && roles.count == 3)
        // The last that was given goes: the rest comes all the same.
        let cursor = try #require(await harness.send("GET", "/api/v1/auth/keys?limit=1").header("X-Next-Cursor"))
        #expect(await harness.send("DELETE", "/api/v1/auth/keys/\(ids[0])").status == 200)
        let rest = await harness.send("GET", "/api/v1/auth/keys?cursor=\(cursor)")
        #expect(try rest.json["keys"]!.arrayValue!.map { $0["name"]?.stringValue } == ["b", "c"])
        #expect(await harness.send("GET", "/api/v1/auth/roles?cursor=\(cursor)").status == 422)
        await harness.close()
    }

    @Test func wrongPagesAreRefusedInTheirPlace() async throws {
        let harness = try Harness()
        for key in ["a", "b"] { try await Self.publish(harness, "app", key, "text") }
        for target in ["data", "events", "agents"] {
            for query in ["cursor=nonsense", "limit=0", "limit=\(Limits.pageItems + 1)", "limit=x"] {
                let answer = await harness.send("GET", "/api/v1/projects/app/\(target)?\(query)")
                #expect(answer.status == 422, "\(target) \(query)")
                let place = try answer.json["detail"]?.arrayValue?[0]["loc"]
                #expect(place == .array(["query", .string(String(query.prefix { $0 != "=" }))]), "\(target) \(query): \(answer.text)")
            }
        }
        let cursor = try #require(await harness.send("GET", "/api/v1/projects/app/events?count=1").header("X-Next-Cursor"))
        #expect(await harness.send("GET", "/api/v1/projects/app/data?cursor=\(cursor)").status == 422)
        await harness.close()
    }

    /// Who asks for everything gets what fits into one answer, and is told.
    /// `limit` and `cursor` of a query, in its own route and in batches, in every format.
    @Test func queriesHavePages() async throws {
        let harness = try Harness()
        for number in 0..<70 { try await Self.publish(harness, "app", "k\(number)", "zebra \(number) w\(number % 5)") }
        let target = "/api/v1/projects/app/query"
        func page(_ fields: String) async -> APIAnswer {
            await harness.send("POST", target, #"{"query":"zebra w1","threshold":0,"response_format":"json"\#(fields)}"#)
        }
        let plain = await page("")
        #expect(try plain.json.objectValue?.keys == ["query", "matches", "total_matches"])
        let whole = try await page(#","limit":1000"#).json
        let keys = (whole["matches"]?.arrayValue ?? []).compactMap { $0["data_key"]?.stringValue }
        #expect(keys.count == 70 && whole["has_more"] == .bool(false) && whole["next_cursor"] == nil && whole["total_matches"] == .integer(70))

        var (found, cursor): ([String], String?) = ([], nil)
        repeat {
            let answer = try await page(#","limit":20"# + (cursor.map { #","cursor":"\#($0)""# } ?? "")).json
            found += (answer["matches"]?.arrayValue ?? []).compactMap { $0["data_key"]?.stringValue }
            cursor = answer["next_cursor"]?.stringValue
            #expect(answer["has_more"] == .bool(cursor != nil))
            // Not in the pages that follow.
            try await Self.publish(harness, "app", "later", "zebra w1 \(found.count)")
        } while cursor != nil && found.count < 200
        #expect(found == keys)

        let next = try #require(try await page(#","limit":5"#).json["next_cursor"]?.stringValue)
        // The cursor alone goes on by top_k.
        #expect(try await page(#","top_k":7,"cursor":"\#(next)""#).json["matches"]?.arrayValue?.count == 7)
        let items = [
            #"{"project_id":"app","query":"zebra w1","threshold":0,"cursor":"\#(next)"}"#,
            #"{"project_id":"app","query":"another","threshold":0,"cursor":"\#(next)"}"#,
            #"{"project_id":"app","query":"zebra w1","threshold":0,"limit":3,"response_format":"toon"}"#,
        ]
        let batch = await harness.send("POST", "/api/v1/batch/query", "[\(items.joined(separator: ","))]")
        #expect(try batch.json["successful"] == .integer(2) && batch.json["failed"] == .integer(1))
        #expect(try batch.json["results"]?.arrayValue?[2]["content"]?.stringValue?.contains("next_cursor: ") == true)

        func refused(_ fields: String, _ place: String) async throws {
            let answer = await page(fields)
            #expect(answer.status == 422, "\(answer.text)")
            #expect(try answer.json["detail"]?.arrayValue?.first?["loc"] == .array([.string("body"), .string(place)]))
        }
        try await refused(#","limit":0"#, "limit")
        try await refused(#","limit":1001"#, "limit")
        try await refused(#","top_k":51"#, "top_k")
        try await refused(#","cursor":"x""#, "cursor")
        try await refused(#","cursor":"\#(next)","mode":"keyword""#, "cursor")
        try await refused(#","cursor":"\#(next)","max_tokens":1000"#, "cursor")
        try await refused(#","limit":5,"pinned":["k1"]"#, "limit")
        let listing = try #require(await harness.send("GET", "/api/v1/projects/app/data?limit=3").header("X-Next-Cursor"))
        try await refused(#","cursor":"\#(listing)""#, "cursor")

        let export = await harness.send("GET", "/api/v1/projects/app/data?include_events=true&include_embeddings=true")
        let imported = await harness.send("POST", "/api/v1/projects/app/import?overwrite=true", export.text)
        #expect(imported.status == 200, "\(imported.text)")
        let gone = await page(#","cursor":"\#(next)""#)
        #expect(gone.status == 410 && gone.header("X-Contex-Error") == "matches_gone", "\(gone.text)")
        await harness.close()
    }

    @Test func anAnswerHasABound() async throws {
        let harness = try Harness()
        let text = String(repeating: "some words ", count: 200_000)
        for number in 0..<5 { try await Self.publish(harness, "app", "k\(number)", "\(number) \(text)") }
        for (target, most) in [("data", 2), ("events", 4), ("events?count=1000", 4)] {
            let first = await harness.send("GET", "/api/v1/projects/app/\(target)")
            #expect(first.status == 200 && first.header("X-Next-Cursor") != nil && first.body.count <= 2 * Limits.answerBytes, "\(target)")
            let answers = try await Self.all(harness, "/api/v1/projects/app/\(target)")
            let counts = try answers.map { try ($0.json.arrayValue ?? $0.json["data"]?.arrayValue ?? $0.json["events"]?.arrayValue ?? []).count }
            #expect(counts.allSatisfy { $0 >= 1 && $0 <= most } && counts.reduce(0, +) == 5, "\(target): \(counts)")
        }
        for number in 0..<5 { try await Self.publish(harness, "app", "k0", "\(number) again \(text)") }
        let history = await harness.send("GET", "/api/v1/versions/projects/app/data/k0/history")
        #expect(try history.json["has_more"] == .bool(true) && history.body.count <= 2 * Limits.answerBytes)
        let export = await harness.send("GET", "/api/v1/projects/app/data?include_events=true")
        #expect(try export.json["data"]?["events"]?.arrayValue?.count == 10)
        #expect(await harness.send("GET", "/api/v1/projects/app/data?include_events=true&format=toon").status == 413)
        await harness.close()
    }
}
