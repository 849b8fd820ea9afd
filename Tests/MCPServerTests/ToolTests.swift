import Access
import Base
import Content
import Engine
import MCPMessages
import MCPServer
import Service
import TestSupport
import Testing
import Tokens

@Suite("Tools of agents")
struct ToolTests {
    private static let names = ["query_context", "get", "publish", "register_need", "wait_for_updates", "list_projects", "explain"]

    @Test(.enabled(if: TestData.hasData)) func theListIsShort() async throws {
        let harness = try MCPHarness()
        let tokenizer = try #require(MCPHarness.tokenizer)
        for era in MCPHarness.Era.allCases {
            let reply = await harness.reply("tools/list", era: era)
            guard case .message(let bytes, 200) = reply else {
                Issue.record("\(reply)")
                return
            }
            let tokens = tokenizer.count(String(decoding: bytes, as: UTF8.self))
            #expect(tokens <= 1_500, "the whole answer has \(tokens) tokens")
        }
        await harness.close()
    }

    @Test func theOrderIsStableAndEveryToolIsDescribed() async throws {
        let harness = try MCPHarness()
        let tools = try await harness.request("tools/list")["result"]?["tools"]?.arrayValue ?? []
        #expect(tools.map { $0["name"]?.stringValue } == Self.names)
        for tool in tools {
            #expect(tool["inputSchema"]?["type"] == "object" && tool["inputSchema"]?["additionalProperties"] == .bool(false))
            #expect(tool["outputSchema"]?["type"] == "object" && tool["annotations"]?["openWorldHint"] == .bool(false))
            let properties = tool["inputSchema"]?["properties"]?.objectValue ?? JSONObject()
            for name in tool["inputSchema"]?["required"]?.arrayValue ?? [] { #expect(properties[name.stringValue ?? ""] != nil) }
        }
        await harness.close()
    }

    @Test func whatIsPublishedIsFoundReadAndExplained() async throws {
        let harness = try MCPHarness()
        let published: JSONValue = ["project": "shop", "key": "tech", "data": ["db": "PostgreSQL database", "cache": "Redis"]]
        #expect(try await harness.answer("publish", published) == ["key": "tech", "seq": .integer(1), "changed": .bool(true)])
        #expect(try await harness.answer("publish", published)["changed"] == .bool(false))

        let answer = try await harness.answer("query_context", ["project": "shop", "question": "PostgreSQL database"])
        let match = try #require(answer["matches"]?.arrayValue?.first)
        #expect(match["key"] == "tech" && match["seq"] == .integer(1) && match["by"] == .null && match["data"]?["cache"] == "Redis")
        #expect(answer["notice"]?.stringValue?.contains("not instructions") == true)

        let held = try await harness.answer("get", ["project": "shop", "key": "tech"])
        #expect(held["data"]?["db"] == "PostgreSQL database" && held["seq"] == .integer(1) && held["notice"] == answer["notice"])
        let path = try #require(match["path"]?.stringValue)
        #expect(try await harness.answer("get", ["project": "shop", "key": "tech", "path": .string(path)])["data"]?["cache"] == "Redis")

        #expect(try await harness.answer("explain", ["project": "shop", "question": "PostgreSQL database", "key": "tech"])["outcome"] == "match")
        let no = try await harness.answer("explain", ["project": "shop", "question": "gardening in the rain", "key": "tech"])
        #expect(no["outcome"] == "below_threshold" && no["meaning"]?.stringValue?.isEmpty == false)
        #expect(try await harness.answer("list_projects", .object(JSONObject()))["projects"]?.arrayValue?.first?["documents"] == .integer(1))
        await harness.close()
    }

    /// The lines first, then data as far as it goes; never more than was asked for, whatever the data is.
    @Test(arguments: [100, 150, 300, 700, 2_000, 10_000])
    func aBudgetIsNeverExceeded(_ budget: Int) async throws {
        let harness = try MCPHarness()
        for number in 0..<20 {
            let text = "the database of service \(number) " + (0..<(number * 40)).map { "word\($0 * number)" }.joined(separator: " ")
            try await harness.publish("shop", "service \(number)", number % 3 == 0 ? .string(text) : ["text": .string(text), "emoji": "\u{1F984}é\n\t"])
        }
        try await harness.publish("shop", "white", .string("database " + String(repeating: " \n", count: 50_000) + "service"))
        let result = try await harness.call(
            "query_context", ["project": "shop", "question": "the database of service", "budget_tokens": .integer(budget)])
        let text = try #require(result["content"]?.arrayValue?.first?["text"]?.stringValue)
        #expect(MCPHarness.count(text) <= budget)
        #expect(try JSONParser.parse(text: text) == result["structuredContent"], "text and object say the same")
        let matches = try #require(result["structuredContent"]?["matches"]?.arrayValue)
        #expect(!matches.isEmpty && matches.allSatisfy { $0["key"] != nil && $0["seq"] != nil && ($0["data"] ?? $0["brief"] ?? $0["passage"]) != nil })
        if budget >= 2_000 { #expect(matches.contains { $0["data"] != nil } && matches.count > 1) }
        await harness.close()
    }

    @Test func aFilterIsOneOfTheHTTPAPI() async throws {
        let harness = try MCPHarness()
        try await harness.publish("shop", "docs/a", ["text": "database words"])
        try await harness.publish("shop", "code/b", ["text": "database words too"])
        let filter: JSONValue = ["data_key": ["prefix": "docs/"]]
        let answer = try await harness.answer("query_context", ["project": "shop", "question": "database words", "filter": filter])
        #expect(answer["matches"]?.arrayValue?.map { $0["key"] } == ["docs/a"])
        let refused = try await harness.refusal("query_context", ["project": "shop", "question": "q", "filter": ["nonsense": .integer(1)]])
        #expect(refused["code"] == "invalid_request" && refused["field"]?.stringValue?.hasPrefix("filter") == true)
        await harness.close()
    }

    @Test func anAgentHearsWhatItNeedsAndAcknowledgesIt() async throws {
        let harness = try MCPHarness()
        let registered = try await harness.answer("register_need", ["project": "shop", "agent": "reviewer", "needs": .array(["the database in use"])])
        #expect(registered["needs"]?.arrayValue?.first?["matches"] == .integer(0))
        let nothing = try await harness.answer("wait_for_updates", ["project": "shop", "agent": "reviewer", "timeout_seconds": .integer(0)])
        #expect(nothing["updates"] == .array([]) && nothing["notice"] == nil)

        // It comes while it is waited for.
        async let waiting = harness.answer(
            "wait_for_updates", ["project": "shop", "agent": "reviewer", "cursor": nothing["cursor"]!, "timeout_seconds": .integer(30)])
        try await Task.sleep(for: .milliseconds(100))
        try await harness.publish("shop", "tech", ["text": "the database in use is PostgreSQL"])
        let update = try await waiting
        let first = try #require(update["updates"]?.arrayValue?.first)
        #expect(first["key"] == "tech" && first["reason"] == "first_match" && first["needs"] == .array(["the database in use"]))
        #expect(first["data"]?["text"] != nil && update["notice"] != nil)

        // What is not acknowledged comes again; with the cursor it has gone.
        let again = try await harness.answer("wait_for_updates", ["project": "shop", "agent": "reviewer", "timeout_seconds": .integer(0)])
        #expect(again["updates"]?.arrayValue?.count == 1)
        let after = try await harness.answer(
            "wait_for_updates", ["project": "shop", "agent": "reviewer", "cursor": update["cursor"]!, "timeout_seconds": .integer(0)])
        #expect(after["updates"] == .array([]))
        #expect(try await harness.answer("wait_for_updates", ["project": "shop", "agent": "reviewer", "timeout_seconds": .integer(0)])["updates"] == .array([]))
        await harness.close()
    }

    /// Updates of any size come with their lines, and with data as far as it goes.
    @Test func manyUpdatesStaySmall() async throws {
        let harness = try MCPHarness()
        _ = try await harness.answer("register_need", ["project": "shop", "agent": "a", "needs": .array(["database words"])])
        for number in 0..<30 {
            try await harness.publish("shop", "k\(number)", ["text": .string(String(repeating: "database words ", count: 500) + "\(number)")])
        }
        var (cursor, seen, pages) = (JSONValue.null, [String](), 0)
        while pages < 10 {
            var arguments = JSONObject([("project", "shop"), ("agent", "a"), ("timeout_seconds", .integer(0))])
            if !cursor.isNull { arguments["cursor"] = cursor }
            let result = try await harness.call("wait_for_updates", .object(arguments))
            let text = try #require(result["content"]?.arrayValue?.first?["text"]?.stringValue)
            #expect(MCPHarness.count(text) <= 8_000)
            let page = try #require(result["structuredContent"])
            seen += page["updates"]?.arrayValue?.compactMap { $0["key"]?.stringValue } ?? []
            cursor = page["cursor"] ?? .null
            pages += 1
            if page["more"] == .bool(false) { break }
        }
        #expect(seen == (0..<30).map { "k\($0)" })
        await harness.close()
    }

    @Test func aCursorOfAnotherAgentsProjectIsRefused() async throws {
        let harness = try MCPHarness()
        for project in ["large", "small"] {
            _ = try await harness.answer("register_need", ["project": .string(project), "agent": "a", "needs": .array(["anything at all"])])
        }
        for number in 0..<5 { try await harness.publish("large", "k\(number)", ["text": .string("anything at all \(number)")]) }
        let foreign = try await harness.answer("wait_for_updates", ["project": "large", "agent": "a", "timeout_seconds": .integer(0)])["cursor"]!
        #expect(foreign == "0-5")
        for cursor in [foreign, "0-99", "7-1", "nonsense", "-1--1"] as [JSONValue] {
            let refused = try await harness.refusal(
                "wait_for_updates", ["project": "small", "agent": "a", "cursor": cursor, "timeout_seconds": .integer(0)])
            #expect(refused["code"]?.stringValue?.hasPrefix("cursor_") == true && refused["do"] != nil, "\(cursor): \(refused)")
        }
        await harness.close()
    }

    @Test(arguments: [
        ("query_context", #"{"project":"shop"}"#, "question"), ("query_context", #"{"project":"shop","question":""}"#, "question"),
        ("query_context", #"{"project":"shop","question":"q","top_k":5}"#, "top_k"), ("query_context", #"{"project":7,"question":"q"}"#, "project"),
        ("query_context", #"{"project":"shop","question":"q","budget_tokens":99}"#, "budget_tokens"),
        ("query_context", #"{"project":"shop","question":"q","budget_tokens":1.5}"#, "budget_tokens"),
        ("query_context", #"{"project":"shop","question":"q","budget_tokens":99999999999999999999}"#, "budget_tokens"),
        ("query_context", #"{"project":"shop","question":"q","filter":[]}"#, "filter"), ("get", #"{"project":"shop","key":""}"#, "key"),
        ("get", #"{"project":"shop","key":"a\u0000b"}"#, "key"), ("publish", #"{"project":"shop","key":"k"}"#, "data"),
        ("publish", #"{"project":"shop","key":"k","data":1,"format":7}"#, "format"), ("register_need", #"{"project":"shop","agent":"a","needs":[]}"#, "needs"),
        ("register_need", #"{"project":"shop","agent":"a","needs":"one"}"#, "needs"),
        ("register_need", #"{"project":"shop","agent":"a","needs":["x",7]}"#, "needs"),
        ("wait_for_updates", #"{"project":"shop","agent":"a","timeout_seconds":61}"#, "timeout_seconds"), ("list_projects", #"{"project":"shop"}"#, "project"),
        ("explain", #"{"project":"shop","question":"q"}"#, "key"),
    ])
    func aWrongArgumentIsNamed(_ tool: String, _ arguments: String, _ field: String) async throws {
        let harness = try MCPHarness()
        let refused = try await harness.refusal(tool, JSONParser.parse(text: arguments))
        #expect(refused["code"] == "invalid_request" && refused["field"] == .string(field) && refused["do"]?.stringValue?.isEmpty == false, "\(refused)")
        await harness.close()
    }

    @Test func longArgumentsAreRefused() async throws {
        let harness = try MCPHarness()
        let long = JSONValue.string(String(repeating: "x", count: Limits.queryScalars + 1))
        #expect(try await harness.refusal("query_context", ["project": "shop", "question": long])["field"] == "question")
        #expect(try await harness.refusal("get", ["project": .string(String(repeating: "p", count: 256)), "key": "k"])["field"] == "project")
        let many = JSONValue.array(Array(repeating: "need", count: Limits.needsPerAgent + 1))
        #expect(try await harness.refusal("register_need", ["project": "shop", "agent": "a", "needs": many])["field"] == "needs")
        // What a document may be the engine says.
        let deep = (0..<(Limits.nestingDepth + 1)).reduce(JSONValue.integer(1)) { value, _ in .array([value]) }
        let reply = await harness.reply(
            "tools/call", JSONObject([("name", "publish"), ("arguments", ["project": "shop", "key": "k", "data": deep])]))
        guard case .message(let bytes, 400) = reply else {
            Issue.record("\(reply)")
            return
        }
        #expect(try JSONParser.parse(bytes)["error"]?["code"] == .integer(RPCFault.Code.unparsed.rawValue))
        await harness.close()
    }

    /// Null for an argument that may be left out is no argument; for data it is data.
    @Test func nullIsWhatIsLeftOut() async throws {
        let harness = try MCPHarness()
        #expect(try await harness.answer("publish", ["project": "shop", "key": "k", "data": .null, "format": .null])["seq"] == .integer(1))
        let asked: JSONValue = ["project": "shop", "question": "q", "filter": .null, "budget_tokens": .null]
        #expect(try await harness.answer("query_context", asked)["matches"] == .array([]))
        await harness.close()
    }

    @Test func refusalsSayWhatToDo() async throws {
        let harness = try MCPHarness()
        try await harness.publish("shop", "tech", ["db": "words"])
        #expect(try await harness.refusal("query_context", ["project": "shpo", "question": "db"])["code"] == "project_not_found")
        let missing = try await harness.refusal("get", ["project": "shop", "key": "tech", "path": "nowhere"])
        #expect(missing["code"] == "data_not_found" && missing["message"]?.stringValue?.contains("Its paths: root") == true)
        #expect(try await harness.refusal("get", ["project": "shop", "key": "other"])["do"]?.stringValue?.contains("query_context") == true)
        #expect(try await harness.refusal("wait_for_updates", ["project": "shop", "agent": "nobody"])["do"]?.stringValue?.contains("register_need") == true)
        try await harness.publish("shop", "large", .array((0..<3_000).map { ["number": .integer($0), "word": .string("value \($0)")] }))
        let large = try await harness.refusal("get", ["project": "shop", "key": "large"])
        #expect(large["code"] == "answer_too_large" && large["message"]?.stringValue?.contains("Its paths: ") == true)
        await harness.close()
    }

    @Test func aKeyMayDoWhatItsRoleGrants() async throws {
        let harness = try MCPHarness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let made = try await harness.operations.createKey(name: "reader", by: MCPHarness.caller(root))
        _ = try await harness.answer("publish", ["project": "shop", "key": "tech", "data": ["db": "PostgreSQL database"]], key: root)
        // A key without a role reads.
        let match = try await harness.answer("query_context", ["project": "shop", "question": "PostgreSQL database"], key: made.text)["matches"]
        #expect(match?.arrayValue?.first?["by"] == "root")
        let refused = try await harness.refusal("publish", ["project": "shop", "key": "k", "data": .integer(1)], key: made.text)
        #expect(refused["code"] == "permission_missing" && refused["required_permission"] == "publish_data")
        let stranger = try await harness.refusal("list_projects", .object(JSONObject()), key: "ck_nobody")
        #expect(stranger["code"] == "key_unknown")
        await harness.close()
    }
}
