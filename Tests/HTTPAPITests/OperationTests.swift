import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import TOON
import TestSupport
import Testing

@Suite("What the routes answer")
struct OperationTests {
    private static let tech = #"{"backend":"Python FastAPI","db":"PostgreSQL"}"#

    private func publish(_ harness: Harness, _ key: String, _ data: String, more: String = "") async throws -> JSONValue {
        let answer = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"app","data_key":"\#(key)","data":\#(data)\#(more)}"#)
        #expect(answer.status == 200, "\(answer.text)")
        return try answer.json
    }

    @Test func publishAndRead() async throws {
        let harness = try Harness()
        let first = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"app","data_key":"tech","data":\#(Self.tech),"metadata":null}"#)
        #expect(first.text == #"{"status":"published","project_id":"app","data_key":"tech","sequence":"1"}"#)
        #expect(try await publish(harness, "tech", Self.tech)["unchanged"] == .bool(true))
        let hinted = try await publish(harness, "note", #""no comma here""#, more: #","data_format":"toml""#)
        #expect(hinted["note"]?.stringValue != nil)
        #expect(hinted["sequence"] == "2")

        let events = await harness.send("GET", "/api/projects/app/events?count=1")
        let head = #"{"events":[{"sequence":"1","event_type":"tech_updated","data":{"tech":\#(Self.tech)},"timestamp":""#
        #expect(events.text.hasPrefix(head), "\(events.text)")
        let nodes = try await harness.send("GET", "/api/v1/projects/app/data").json
        let node = try #require(nodes.arrayValue?.first { $0["data_key"] == "tech.root" })
        #expect(node.objectValue?.keys == ["data_key", "description", "data", "data_format", "is_structured", "toon"])
        #expect(node["toon"] == "backend: Python FastAPI\ndb: PostgreSQL")
        #expect(node["is_structured"] == .bool(true))
        #expect(node["description"] == "root | backend: Python FastAPI | db: PostgreSQL")
        let keys = await harness.send("GET", "/api/v1/projects/app/data?include_content=false")
        #expect(keys.text == #"{"project_id":"app","data_keys":["note","tech"],"count":2}"#)
        #expect(await harness.send("GET", "/api/v1/projects/nowhere/data").text == "[]")
        let projects = try await harness.send("GET", "/api/v1/projects").json
        #expect(projects["count"]?.integerValue == 1)
        #expect(projects["projects"]?.arrayValue?.first?["last_sequence"] == "2")

        #expect(await harness.send("DELETE", "/api/v1/projects/app/data/note").text
            == #"{"status":"deleted","project_id":"app","data_key":"note","sequence":"3"}"#)
        #expect(await harness.send("DELETE", "/api/v1/projects/app/data/note").status == 404)
        #expect(await harness.send("DELETE", "/api/projects/app/data/note").status == 404)
        await harness.close()
    }

    @Test func embeddingsAsOpenAIAnswersThem() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        func ask(_ body: String) async -> APIAnswer {
            await harness.send("POST", "/api/v1/embeddings", body, headers: [("Authorization", "Bearer \(root)")])
        }
        let answer = try await ask(#"{"input":["two words","other"],"model":"text-embedding-3-small"}"#).json
        #expect(answer.objectValue?.keys == ["object", "data", "model", "usage"])
        #expect(answer["model"] == "hashed words" && answer["usage"] == ["prompt_tokens": .integer(3), "total_tokens": .integer(3)])
        let vectors = answer["data"]?.arrayValue?.map { $0["embedding"]?.arrayValue?.compactMap(\.doubleValue).map(Float.init) ?? [] }
        #expect(vectors == [Harness.vector("two words"), Harness.vector("other")])
        #expect(answer["data"]?.arrayValue?.map { $0["index"]?.integerValue } == [0, 1])

        let coded = try await ask(#"{"input":"other","encoding_format":"base64","dimensions":384}"#).json
        let text = try #require(coded["data"]?.arrayValue?.first?["embedding"]?.stringValue)
        let bytes = try #require(Data(base64Encoded: text))
        let numbers = (0..<384).map { place in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[4 * place + $1]) << UInt32(8 * $1) })
        }
        #expect(numbers == Harness.vector("other"))

        // Tokens: Harness makes a word of each, "t" and its number.
        for (body, texts) in [
            ("[1,2]", ["t1 t2"]), ("[[1,2],[3]]", ["t1 t2", "t3"]), (#"["plain",[3]]"#, ["plain", "t3"]), (#""plain""#, ["plain"]), (#"["a"]"#, ["a"]),
        ] {
            let answer = try await ask(#"{"input":\#(body),"user":"somebody"}"#).json
            let vectors = answer["data"]?.arrayValue?.map { $0["embedding"]?.arrayValue?.compactMap(\.doubleValue).map(Float.init) ?? [] }
            #expect(vectors == texts.map(Harness.vector), "\(body)")
        }

        func list(_ item: String, _ count: Int) -> String { [String](repeating: item, count: count).joined(separator: ",") }
        func many(_ item: String, _ count: Int) -> String { "{\"input\":[\(list(item, count))]}" }
        for (body, message, field) in [
            ("{}", "input: Field required", "input"), (#"{"input":""}"#, "input: String should have at least 1 character", "input"),
            (#"{"input":[]}"#, "input: List should have at least 1 item after validation, not 0", "input"),
            (#"{"input":["a",""]}"#, "input.1: String should have at least 1 character", "input"),
            (#"{"input":[[]]}"#, "input.0: List should have at least 1 item after validation, not 0", "input"),
            (#"{"input":[[1.5]]}"#, "input.0.0: Input should be a valid integer", "input"),
            (#"{"input":[1,"a"]}"#, "input.1: Input should be a valid integer", "input"),
            (#"{"input":[[1],[-5]]}"#, "input: Value error, input 1 holds a number that is no token of cl100k_base", "input"),
            (#"{"input":7}"#, "input: Input should be a valid string, list of strings, list of tokens or list of those", "input"),
            (#"{"input":"a","dimensions":12}"#, "dimensions: Value error, the built-in model has 384 dimensions, others cannot be had", "dimensions"),
            (many("\"a\"", Limits.embeddingTexts + 1), "input: List should have at most 2048 items", "input"),
            (many("1", Limits.embeddingTokens + 1), "input: List should have at most 8192 items", "input"),
            (many("[\(list("1", 8_192))]", 37), "input: Value error, 303104 tokens, at most 300000 are taken at once", "input"),
            ("{\"input\":\"\(String(repeating: "a", count: Limits.queryScalars + 1))\"}", "input: String should have at most 32768 characters", "input"),
            (#"{"input":"a","encoding_format":"int8"}"#, "encoding_format: Input should be 'float' or 'base64'", "encoding_format"),
            (#"{"input":"a\u0000"}"#, "input: Value error, input must not contain NUL characters", "input"), ("{", "1: JSON decode error", nil),
        ] as [(String, String, String?)] {
            let refused = await ask(body)
            #expect(refused.status == 422, "\(body.prefix(100))")
            let error = try #require(try refused.json["error"])
            #expect(error.objectValue?.keys == ["message", "type", "param", "code"])
            #expect(error["message"]?.stringValue?.hasPrefix(message) == true, "\(refused.text)")
            #expect(error["type"] == "invalid_request_error" && error["param"] == field.map(JSONValue.string) ?? .null && error["code"] == .null)
        }
        // In the same shape wherever on the way it was refused, also where no such route is.
        for (method, target, key, status, code) in [
            ("POST", "/api/v1/embeddings", "ck_no", 401, "invalid_api_key"), ("GET", "/api/v1/embeddings", root, 405, nil),
            ("POST", "/v1/embeddings", root, 404, "unknown_url"),
            ("POST", "/embeddings", "ck_no", 401, "invalid_api_key"),
        ] as [(String, String, String, Int, String?)] {
            let refused = await harness.send(method, target, #"{"input":"a"}"#, key: key)
            #expect(refused.status == status)
            #expect(try refused.json["error"]?["code"] == code.map(JSONValue.string) ?? .null, "\(refused.text)")
            #expect(try refused.json["error"]?["message"]?.stringValue?.isEmpty == false)
        }
        let large = await ask("{\"input\":\"" + String(repeating: "a", count: 11 << 20) + "\"}")
        #expect(large.status == 413)
        #expect(try large.json["error"]?["message"]?.stringValue?.hasPrefix("Request body too large") == true)
        #expect(await harness.send("POST", "/api/v1/embeddings", #"{"input":"a"}"#, headers: [("Authorization", "Basic \(root)")]).status == 401)
        await harness.close()
    }

    /// An item that is none is one that failed.
    @Test func registrationsAreJudgedOneByOne() async throws {
        let harness = try Harness()
        let items = [
            #"{"project_id":"p","agent_id":"good","data_needs":["words"]}"#, #"{"project_id":"p","agent_id":"bare"}"#, "7",
            #"{"project_id":"p","agent_id":"hook","data_needs":[],"notification_method":"webhook"}"#, #"{"project_id":"","agent_id":"a","data_needs":[]}"#,
            #"{"project_id":"p","agent_id":["x"],"data_needs":"y"}"#, #"{"project_id":"p","agent_id":"also good","data_needs":[]}"#,
        ]
        for base in ["/api/v1", "/api"] {
            let answer = await harness.send("POST", base + "/batch/register", "[\(items.joined(separator: ","))]")
            #expect(answer.status == 200, "\(answer.text)")
            let json = try answer.json
            #expect(json.objectValue?.keys == ["status", "total", "successful", "failed", "duration_ms", "results"])
            #expect(json["total"] == .integer(7) && json["successful"] == .integer(2) && json["failed"] == .integer(5))
            let results = try #require(json["results"]?.arrayValue)
            #expect(results.map { $0["status"]?.stringValue } == ["success", "failed", "failed", "failed", "failed", "failed", "success"])
            #expect(results.map { $0["agent_id"] ?? .null } == ["good", "bare", .null, "hook", "a", .array(["x"]), "also good"])
            #expect(
                results.map { $0["error"]?.stringValue ?? "" } == [
                    "", "data_needs: Field required", "Input should be a valid dictionary or object to extract fields from",
                    "webhook_url: Value error, webhook_url is required when notification_method='webhook'",
                    "project_id: String should have at least 1 character",
                    "agent_id: Input should be a valid string; data_needs: Input should be a valid list", "",
                ])
            #expect(results[0].objectValue?.keys == ["status", "agent_id", "project_id", "matched_needs", "notification_channel"])
            #expect(results[1].objectValue?.keys == ["status", "agent_id", "project_id", "error", "code"])
            #expect(results.map { $0["code"]?.stringValue } == [nil] + Array(repeating: "invalid_request", count: 5) + [nil])
            #expect(try await harness.send("GET", "/api/v1/agents").json["count"] == .integer(2))
        }
        #expect(await harness.send("POST", "/api/v1/batch/register", "[]").text.contains(#""total":0,"successful":0,"failed":0"#))
        #expect(await harness.send("POST", "/api/v1/batch/register", "{}").status == 422)
        #expect(await harness.send("POST", "/api/v1/batch/register", "").status == 422)
        await harness.close()
    }

    @Test func batches() async throws {
        let harness = try Harness()
        let answer = try await harness.send(
            "POST", "/api/v1/batch/publish", #"[{"project_id":"a","data_key":"k","data":1},{"project_id":"b","data_key":"k","data":[1,2]}]"#
        ).json
        #expect(answer.objectValue?.keys == ["status", "total", "successful", "failed", "duration_ms", "results"])
        #expect(answer["successful"]?.integerValue == 2)
        #expect(answer["results"]?.arrayValue?.first == ["status": "success", "project_id": "a", "data_key": "k", "sequence": "1"])
        // What was not read as it was named says so, in a batch too: by hint, and by key.
        let named = try await harness.send(
            "POST", "/api/v1/batch/publish",
            #"[{"project_id":"a","data_key":"x","data":"some words","data_format":"xml"},{"project_id":"a","data_key":"t.csv","data":"a,b\n1"}]"#
        ).json["results"]?.arrayValue
        #expect(named?.first?["format"] == "text" && named?.first?["note"]?.stringValue?.contains("data_format 'xml'") == true)
        #expect(named?.last?["format"] == "csv" && named?.last?["note"]?.stringValue?.contains("1 row has fewer") == true)
        let empty = try await harness.send("POST", "/api/v1/batch/publish", "[]").json
        #expect(empty["total"]?.integerValue == 0)
        let agents = try await harness.send(
            "POST", "/api/v1/batch/register", #"[{"agent_id":"x","project_id":"a","data_needs":["need"]}]"#
        ).json
        #expect(
            agents["results"]?.arrayValue?.first == [
                "status": "success", "agent_id": "x", "project_id": "a", "matched_needs": ["need": .integer(0)],
                "notification_channel": "agent:x:updates",
            ])
        await harness.close()
    }

    @Test func queriesInEveryFormat() async throws {
        let harness = try Harness()
        _ = try await publish(harness, "tech", Self.tech)
        func query(_ body: String, headers: [(name: String, value: String)] = []) async -> APIAnswer {
            await harness.send("POST", "/api/v1/projects/app/query", body, headers: headers)
        }
        let json = await query(#"{"query":"root backend Python FastAPI db PostgreSQL","response_format":"json"}"#)
        #expect(json.header("Content-Type") == "application/json")
        let value = try json.json
        #expect(value.objectValue?.keys == ["query", "matches", "total_matches"])
        let match = try #require(value["matches"]?.arrayValue?.first)
        #expect(match.objectValue?.keys == ["data_key", "similarity", "data", "description", "token_count", "preview"])
        #expect(match["data_key"] == "tech.root")
        #expect(match["preview"] == "{\n  \"backend\": \"Python FastAPI\",\n  \"db\": \"PostgreSQL\"\n}")

        let toon = await query(#"{"query":"root backend Python FastAPI db PostgreSQL"}"#)
        #expect(toon.header("Content-Type") == "text/plain; charset=utf-8")
        #expect(try TOONDecoder.decode(toon.text)["total_matches"]?.integerValue == 1)
        // As the Python client asks.
        let client = await query(
            #"{"project_id":"app","query":"Python FastAPI PostgreSQL","max_results":100,"threshold":null}"#,
            headers: [("User-Agent", "contex-python/0.2.0")])
        #expect(client.header("Content-Type") == "application/json")
        #expect(await query(#"{"query":"q"}"#, headers: [("User-Agent", "contex-python/0.2.0")]).header("Content-Type") == "application/json")
        #expect(await query(#"{"query":"q","max_results":101}"#).status == 422)

        for (format, type) in [
            ("yaml", "application/x-yaml"), ("toml", "application/toml"), ("csv", "text/csv; charset=utf-8"), ("xml", "application/xml"),
            ("markdown", "text/markdown; charset=utf-8"), ("text", "text/plain; charset=utf-8"),
        ] {
            let answer = await query(#"{"query":"Python FastAPI PostgreSQL","response_format":"\#(format)"}"#)
            #expect(answer.status == 200)
            #expect(answer.header("Content-Type") == type)
            #expect(!answer.text.isEmpty)
            #expect(!answer.text.hasPrefix("{"), "\(format) is JSON: \(answer.text)")
        }
        let explained = try await query(#"{"query":"Python FastAPI","response_format":"json","explain":"yes","mode":"hybrid","threshold":0}"#).json
        let parts = try #require(explained["matches"]?.arrayValue?.first?["explanation"])
        #expect(parts["mode"] == "hybrid")
        #expect(parts["cosine"]?.doubleValue ?? 0 > 0)
        #expect(parts["fusion"] == "calibrated")
        #expect(await query(#"{"query":"q","mode":"magic"}"#).status == 422)
        for (given, method) in [
            (#""fusion":"rrf""#, "rrf"), (#""weights":{"semantic":0.7,"keyword":0.3}"#, "convex"), (#""weights":{"keyword":"2"},"fusion":"rrf""#, "rrf"),
            (#""weights":null,"fusion":null"#, "calibrated"),
        ] {
            let answer = await query(#"{"query":"Python FastAPI","response_format":"json","explain":true,"threshold":0,\#(given)}"#)
            #expect(try answer.json["matches"]?.arrayValue?.first?["explanation"]?["fusion"]?.stringValue == method, "\(given): \(answer.text)")
        }
        #expect(await harness.send("POST", "/api/v1/projects/nowhere/query", #"{"query":"q","max_results":3}"#).text
            == #"{"query":"q","matches":[],"total_matches":0}"#)
        await harness.close()
    }

    @Test func agentsByIdAndByProject() async throws {
        let harness = try Harness()
        _ = try await publish(harness, "tech", Self.tech)
        let registered = await harness.send(
            "POST", "/api/v1/agents/register",
            #"{"agent_id":"coder","project_id":"app","data_needs":["Python FastAPI PostgreSQL","fish"],"response_format":"json","webhook_secret":"s"}"#)
        #expect(
            registered.text
                == #"{"status":"registered","agent_id":"coder","project_id":"app","caught_up_events":1,"#
                    + #""current_sequence":"1","matched_needs":{"Python FastAPI PostgreSQL":1,"fish":0},"notification_channel":"agent:coder:updates"}"#
        )
        let listed = #"{"agents":["coder"],"count":1,"registrations":[{"agent_id":"coder","project_id":"app"}]}"#
        for base in ["/api/v1", "/api"] {
            #expect(await harness.send("GET", base + "/agents").text == listed)
        }
        let agent = try await harness.send("GET", "/api/v1/agents/coder").json
        #expect(
            agent.objectValue?.keys == [
                "project_id", "needs", "notification_method", "response_format", "channel", "webhook_url", "webhook_secret", "data_keys",
                "last_sequence",
            ])
        #expect(agent["webhook_secret"] == "********")
        #expect(agent["data_keys"] == .array(["tech.root"]))
        #expect(agent["last_sequence"] == "1")
        let status = try await harness.send("GET", "/api/v1/agents/coder/status").json
        #expect(status["status"] == "registered")
        #expect(status["agent_id"] == "coder")
        #expect(await harness.send("GET", "/api/v1/projects/app/agents").text == listed)
        #expect(await harness.send("GET", "/api/v1/projects/other/agents").text == #"{"agents":[],"count":0,"registrations":[]}"#)
        #expect(await harness.send("GET", "/api/v1/projects/other/agents/coder").text == #"{"detail":"Agent not found"}"#)
        #expect(await harness.send("DELETE", "/api/v1/projects/other/agents/coder").status == 200)
        #expect(await harness.send("GET", "/api/v1/projects/app/agents/coder").status == 200)
        for _ in 0..<2 {
            #expect(await harness.send("DELETE", "/api/v1/agents/coder").text == #"{"status":"unregistered","agent_id":"coder"}"#)
        }
        #expect(await harness.send("GET", "/api/v1/agents/coder/status").status == 404)
        await harness.close()
    }

    /// An id alone means one registration, or the answer names those that it may mean.
    @Test func idsThatMeanSeveralAgents() async throws {
        let harness = try Harness()
        func register(_ project: String, _ more: String = "") async throws -> String? {
            let body = #"{"agent_id":"a b","project_id":"\#(project)","data_needs":[]\#(more)}"#
            return try await harness.send("POST", "/api/v1/agents/register", body).json["notification_channel"]?.stringValue
        }
        #expect(try await register("p") == "agent:a b:updates")
        #expect(try await register("q") == "agent:q:a b:updates")
        let taken = await harness.send(
            "POST", "/api/v1/agents/register", #"{"agent_id":"x","project_id":"r","data_needs":[],"notification_channel":"agent:a b:updates"}"#)
        #expect(taken.status == 409 && taken.text.contains("belongs to another project"))
        for (method, path) in [("GET", ""), ("GET", "/status"), ("DELETE", "")] {
            let several = await harness.send(method, "/api/v1/agents/a%20b\(path)")
            #expect(several.status == 409)
            #expect(try several.json["candidates"] == .array([["project_id": "p"], ["project_id": "q"]]))
            #expect(try several.json["detail"]?.stringValue?.contains("?project_id=") == true)
        }
        #expect(try await harness.send("GET", "/api/v1/agents/a%20b?project_id=q").json["channel"] == "agent:q:a b:updates")
        #expect(try await harness.send("GET", "/api/v1/agents/a%20b/status?project_id=p").json["project_id"] == "p")
        #expect(await harness.send("GET", "/api/v1/agents/a%20b?project_id=z").status == 404)
        #expect(await harness.send("DELETE", "/api/v1/agents/a%20b?project_id=p").status == 200)
        #expect(try await harness.send("GET", "/api/v1/agents/a%20b").json["project_id"] == "q")
        await harness.close()
    }

    /// How a webhook is doing stands in the agent's status; what could never be delivered is refused; nobody is told a secret.
    @Test func webhooksAndTheirSecrets() async throws {
        let harness = try Harness()
        func register(_ url: String, _ more: String) async -> APIAnswer {
            await harness.send(
                "POST", "/api/v1/agents/register",
                #"{"agent_id":"w","project_id":"p","notification_method":"webhook","webhook_url":"\#(url)","webhook_secret":"hush-hush"\#(more)}"#)
        }
        let answer = await register("https://example.com/hook", #","data_needs":[],"envelope":"full""#)
        #expect(answer.status == 200 && answer.text.contains(#""notification_channel":"agent:w:updates""#))
        let agent = await harness.send("GET", "/api/v1/agents/w")
        #expect(try agent.json["envelope"] == "full")
        #expect(
            try agent.json["delivery"] == [
                "state": "active", "delivered": .integer(0), "last_delivered_at": .null, "last_error": .null,
                // The initial context: nobody carries it here.
                "pending": .integer(1), "given_up": .integer(0), "dead_letters": .integer(0), "attempts": .integer(0), "next_attempt_at": .null,
                "breaker": "closed",
            ])
        let faults = [
            await register("http://127.0.0.1:9/", #","data_needs":[]"#), await register("https://u:p@example.com/", #","data_needs":[]"#),
            await register("http://10.1.2.3/", #","data_needs":[]"#), await register("https://example.com/", ""),
            await register("https://example.com/", #","data_needs":[],"envelope":"half""#),
            await harness.send(
                "POST", "/api/v1/agents/register",
                #"{"agent_id":"w","project_id":"p","data_needs":[],"webhook_secret":"\#(String(repeating: "hush-hush", count: 200))"}"#),
        ]
        for fault in faults { #expect(fault.status == 422, "\(fault.text)") }
        for text in faults.map(\.text) + [answer.text, agent.text] { #expect(!text.contains("hush"), "\(text)") }
        await harness.close()
    }

    @Test func versions() async throws {
        let harness = try Harness()
        _ = try await publish(harness, "tech", Self.tech)
        _ = try await publish(harness, "tech", #"{"db":"LMDB"}"#)
        let place = "/api/v1/versions/projects/app/data/tech"
        let history = try await harness.send("GET", place + "/history").json
        #expect(history.objectValue?.keys == ["project_id", "data_key", "versions", "count"])
        #expect(history["versions"]?.arrayValue?.map { $0["sequence"]?.stringValue } == ["2", "1"])
        #expect(
            history["versions"]?.arrayValue?.first?.objectValue?.keys == [
                "sequence", "timestamp", "data", "data_format", "description", "event_type",
            ])
        let version = try await harness.send("GET", place + "/version/1").json
        #expect(version.objectValue?.keys == ["project_id", "data_key", "sequence", "timestamp", "data", "data_format", "description"])
        for missing in ["7", "0", "x", "-1", "99999999999999999999"] {
            let answer = await harness.send("GET", place + "/version/\(missing)")
            #expect(answer.status == 404)
            #expect(answer.text == #"{"detail":"Version \#(missing) not found for tech"}"#)
        }
        let difference = await harness.send("GET", place + "/diff?from_sequence=1&to_sequence=2")
        #expect(
            difference.text
                == #"{"project_id":"app","data_key":"tech","from_sequence":"1","to_sequence":"2","#
                    + #""from_data":\#(Self.tech),"to_data":{"db":"LMDB"},"changed":true}"#
        )
        let restored = await harness.send("POST", place + "/restore/1")
        #expect(restored.text == #"{"project_id":"app","data_key":"tech","restored_from":"1","new_sequence":"3","data":\#(Self.tech)}"#)
        #expect(try await harness.send("GET", "/api/v1/projects/app/events?since=2").json["events"]?.arrayValue?.first?["event_type"]
            == "data.restored.tech")
        await harness.close()
    }

    @Test(arguments: ["json", "toon"]) func exportAndImport(_ format: String) async throws {
        let harness = try Harness()
        _ = try await publish(harness, "tech", Self.tech)
        _ = try await publish(harness, "list", "[1,[2,{\"a\":null}]]")
        let export = await harness.send(
            "GET", "/api/v1/projects/app/data?include_events=true&include_embeddings=1&include_agents=yes&format=\(format)")
        #expect(export.status == 200)
        let document = export.text.replacing(
            format == "json" ? #""project_id": "app""# : "project_id: app", with: format == "json" ? #""project_id": "copy""# : "project_id: copy")
        let target = "/api/v1/projects/copy/import?format=\(format)"
        let checked = await harness.send("POST", target + "&validate_only=true", document, headers: [("Content-Type", "application/\(format)")])
        #expect(try checked.json["validation"] == ["valid": .bool(true), "errors": .array([]), "warnings": .array([]), "project_id": "copy"])
        #expect(await harness.send("GET", "/api/v1/projects/copy/events").text == #"{"events":[],"count":0}"#)
        let imported = await harness.send("POST", target, document, headers: [("Content-Type", "application/\(format)")])
        #expect(imported.status == 200, "\(imported.text)")
        #expect(try imported.json["stats"]?["events_imported"]?.integerValue == 2)
        let (original, copy) = await (
            harness.send("GET", "/api/v1/projects/app/events"), harness.send("GET", "/api/v1/projects/copy/events")
        )
        // Times are those of the import.
        func events(_ answer: APIAnswer) throws -> [[JSONValue?]] {
            try #require(answer.json["events"]?.arrayValue).map { [$0["sequence"], $0["event_type"], $0["data"]] }
        }
        #expect(try events(original) == events(copy))
        let again = await harness.send("POST", target, document)
        #expect(again.status == 400)
        #expect(again.text == #"{"detail":"Project copy already has data. Use overwrite=True to replace."}"#)
        let elsewhere = await harness.send("POST", "/api/v1/projects/third/import?format=\(format)", document)
        #expect(elsewhere.status == 400)
        #expect(elsewhere.text.contains("Project ID mismatch"))
        #expect(await harness.send("GET", "/api/v1/projects/third/events").text == #"{"events":[],"count":0}"#)
        await harness.close()
    }

    @Test func importsThatAreNone() async throws {
        let harness = try Harness()
        for (query, body) in [("", "{"), ("", "[]"), ("", ""), ("?format=zzz", "{}"), ("?format=toon", "a[3]: 1"), ("", #"{"project_id":"p"}"#)] {
            #expect(await harness.send("POST", "/api/v1/projects/p/import" + query, body).status == 400, "\(query) \(body)")
        }
        #expect(await harness.send("POST", "/api/v1/projects/p/import", #"{"project_id":"p"}"#).text == #"{"detail":"Data validation failed"}"#)
        for (data, word) in [
            (#"{"events":1}"#, "data.events"), (#"{"events":[{"data":1}]}"#, "event_id"), (#"{"embeddings":[{"data_key":"k"}]}"#, "node_path"),
            (#"{"agents":[{"data":{}}]}"#, "agent_id"),
            (#"{"embeddings":[{"data_key":"k","node_path":"root","data":1,"description":"d","metadata":[]}]}"#, "metadata"),
            (#"{"embeddings":[{"data_key":"k","node_path":"root","data":1,"description":"d","vector":"x"}]}"#, "vector"),
        ] {
            let told = await harness.send("POST", "/api/v1/projects/p/import", #"{"project_id":"p","data":\#(data)}"#)
            #expect(told.status == 400 && told.text.contains("Data validation failed: ") && told.text.contains(word), "\(data): \(told.text)")
        }
        let unknown = await harness.send("GET", "/api/v1/projects/p/data?include_agents=true&format=zzz")
        #expect(unknown.status == 400)
        #expect(unknown.text == #"{"detail":"Unsupported format: zzz"}"#)
        #expect(await harness.send("GET", "/api/v1/projects/p/data?format=zzz").text == "[]")
        await harness.close()
    }

    @Test func keysAndRoles() async throws {
        let harness = try Harness()
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=robot").json
        #expect(created.objectValue?.keys == ["api_key", "key_id", "name", "key", "created_at", "confirmed", "note"])
        #expect(created["api_key"] == created["key"])
        let id = try #require(created["key_id"]?.stringValue)
        let listed = try await harness.send("GET", "/api/v1/auth/keys").json
        let record = try #require(listed.arrayValue?.first)
        #expect(record.objectValue?.keys == ["key_id", "name", "prefix", "scopes", "created_at", "tenant_id", "confirmed"])
        #expect(record["prefix"]?.stringValue == created["key"]?.stringValue.map { String($0.prefix(7)) })

        #expect(await harness.send("GET", "/api/v1/auth/roles/\(id)").text == #"{"key_id":"\#(id)","role":"readonly","projects":[]}"#)
        #expect(await harness.send("DELETE", "/api/v1/auth/roles/\(id)").text == #"{"detail":"Role not found"}"#)
        let publisher = #"{"key_id":"\#(id)","role":"publisher","projects":["app"]}"#
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=publisher", #"["app"]"#).text == publisher)
        #expect(await harness.send("POST", "/api/v1/auth/roles", publisher).text == publisher)
        #expect(await harness.send("GET", "/api/v1/auth/roles").text == "[\(publisher)]")
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=consumer").text
            == #"{"key_id":"\#(id)","role":"consumer","projects":[]}"#)
        let emperor = await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=emperor")
        #expect(emperor.status == 400)
        #expect(emperor.text == #"{"detail":"Invalid role. Must be one of: ['admin', 'publisher', 'consumer', 'readonly']"}"#)
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=0123456789abcdef&role=admin").status == 404)
        #expect(await harness.send("DELETE", "/api/v1/auth/roles/\(id)").text == #"{"status":"revoked","key_id":"\#(id)"}"#)
        #expect(await harness.send("DELETE", "/api/v1/auth/keys/\(id)").text == #"{"status":"revoked","key_id":"\#(id)"}"#)
        #expect(await harness.send("DELETE", "/api/v1/auth/keys/\(id)").text == #"{"detail":"Key not found"}"#)
        let permissions = try await harness.send("GET", "/api/v1/auth/permissions").json
        #expect(permissions["all_permissions"]?.arrayValue?.count == 13)
        #expect(permissions["roles"]?["admin"]?["permissions"]?.arrayValue?.count == 13)
        #expect(permissions["roles"]?["publisher"]?["permissions"]?.arrayValue?.count == 3)
        await harness.close()
    }

    @Test func health() async throws {
        let harness = try Harness()
        let health = try await harness.send("GET", "/api/v1/health").json
        #expect(health.objectValue?.keys == ["status", "timestamp", "uptime_seconds", "version", "components", "degraded_modes"])
        #expect(health["status"] == "healthy")
        for (_, component) in try #require(health["components"]?.objectValue) {
            #expect(component["status"] == "healthy")
            #expect(component["timestamp"]?.stringValue?.hasSuffix("+00:00") == true)
        }
        let ready = try await harness.send("GET", "/api/health/ready").json
        #expect(ready["ready"] == .bool(true))
        #expect(ready["checks"]?["store"] == .bool(true))
        let live = try await harness.send("GET", "/api/v1/health/live").json
        #expect(live["alive"] == .bool(true))
        #expect(live["uptime_seconds"]?.doubleValue ?? -1 >= 0)
        await harness.close()
    }
}
