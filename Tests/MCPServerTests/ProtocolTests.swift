import Access
import Base
import Content
import Engine
import MCPMessages
import MCPServer
import Service
import Synchronization
import TestSupport
import Testing

@Suite("Both eras of the protocol")
struct ProtocolTests {
    @Test(arguments: [
        ("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25"), ("2031-01-01", "2025-11-25"),
    ])
    func aHandshakeAgreesOnARevision(_ wanted: String, _ agreed: String) async throws {
        let harness = try MCPHarness()
        let params = JSONObject([("protocolVersion", .string(wanted)), ("capabilities", .object(JSONObject())), ("clientInfo", ["name": "t", "version": "1"])])
        let result = try await harness.request("initialize", params, era: .handshake)["result"]
        #expect(result?["protocolVersion"] == .string(agreed) && result?["serverInfo"]?["name"] == "contex")
        #expect(result?["capabilities"]?["tools"] != nil && result?["instructions"]?.stringValue?.contains("never instructions") == true)
        // Without a session nothing could be told unasked.
        #expect(result?["capabilities"]?["resources"]?["subscribe"] == nil && result?["resultType"] == nil)
        #expect(try await harness.request("ping", era: .handshake)["result"] == .object(JSONObject()))
        await harness.close()
    }

    @Test func aStatelessAnswerSaysWhatItIs() async throws {
        let harness = try MCPHarness()
        let result = try await harness.request("server/discover")["result"]
        #expect(result?["supportedVersions"]?.arrayValue?.first == "2026-07-28" && result?["resultType"] == "complete")
        #expect(result?["capabilities"]?["resources"]?["subscribe"] == .bool(true))
        #expect(result?["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"] == "contex")
        for method in ["server/discover", "tools/list", "prompts/list", "resources/templates/list"] {
            let result = try await harness.request(method)["result"]
            #expect(result?["cacheScope"] == "public" && result?["ttlMs"]?.integerValue ?? 0 > 0 && result?["resultType"] == "complete")
        }
        // What somebody may see is nobody else's.
        let own = try await harness.request("resources/list")["result"]
        #expect(own?["cacheScope"] == "private" && own?["ttlMs"] == .integer(0))
        // One era's methods are not the other's.
        for method in ["initialize", "ping"] { #expect(try await harness.request(method)["error"]?["code"] == .integer(-32601)) }
        for method in ["server/discover", "subscriptions/listen"] {
            #expect(try await harness.request(method, era: .handshake)["error"]?["code"] == .integer(-32601))
        }
        await harness.close()
    }

    private static func status(_ reply: MCPReply) -> Int? { if case .message(_, let status) = reply { status } else { nil } }
    private static func error(_ reply: MCPReply) throws -> JSONValue? {
        guard case .message(let bytes, _) = reply else { return nil }
        return try JSONParser.parse(bytes)["error"]?["code"]
    }

    /// The status of HTTP is that of the fault where every request is complete in itself; before, it was the message's business alone.
    @Test func faultsHaveTheStatusOfTheirEra() async throws {
        let harness = try MCPHarness()
        #expect(Self.status(await harness.reply("nonsense")) == 404)
        #expect(Self.status(await harness.reply("nonsense", era: .handshake)) == 200)
        #expect(Self.status(await harness.reply("tools/call", JSONObject([("name", "nonsense")]))) == 400)
        #expect(Self.status(await harness.reply("tools/list", JSONObject([("cursor", "x")]))) == 400)
        let missing = JSONObject([("uri", "contex://shop/none")])
        #expect(try Self.error(await harness.reply("resources/read", missing)) == .integer(-32602))
        #expect(try Self.error(await harness.reply("resources/read", missing, era: .handshake)) == .integer(-32002))
        await harness.close()
    }

    private static func post(_ harness: MCPHarness, _ text: String, _ headers: RoutingHeaders? = RoutingHeaders(), accept: String? = nil) async -> MCPReply {
        await harness.endpoint.answer(MCPPost(body: Array(text.utf8), caller: MCPHarness.caller(), headers: headers, accept: accept))
    }

    @Test func headersAreHeldToTheirRules() async throws {
        let harness = try MCPHarness()
        let list = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
        // Who says nothing speaks the first revision; one of the era is taken, one that nobody knows is not.
        #expect(Self.status(await Self.post(harness, list)) == 200)
        for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
            #expect(Self.status(await Self.post(harness, list, RoutingHeaders(versions: [version]))) == 200)
        }
        let unknown = await Self.post(harness, list, RoutingHeaders(versions: ["1999-01-01"]))
        #expect(try Self.status(unknown) == 400 && Self.error(unknown) == .integer(-32022))
        // The header of the new era without the words in the message, and the words without the header.
        #expect(try Self.error(await Self.post(harness, list, RoutingHeaders(versions: ["2026-07-28"], methods: ["tools/list"]))) == .integer(-32602))
        let complete =
            #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#
            + #""io.modelcontextprotocol/clientCapabilities":{}}}}"#
        #expect(try Self.error(await Self.post(harness, complete)) == .integer(-32020))
        #expect(Self.status(await Self.post(harness, complete, RoutingHeaders(versions: ["2026-07-28"], methods: ["tools/list"]))) == 200)
        #expect(try Self.error(await Self.post(harness, complete, RoutingHeaders(versions: ["2025-11-25"], methods: ["tools/list"]))) == .integer(-32020))
        await harness.close()
    }

    @Test func anAnswerIsOfAKindThatTheClientTakes() async throws {
        let harness = try MCPHarness()
        let list = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
        for accept in ["application/json", "application/json, text/event-stream", "*/*", "text/html, application/*;q=0.5", nil] {
            #expect(Self.status(await Self.post(harness, list, accept: accept)) == 200, "\(accept ?? "none")")
        }
        guard case .notAcceptable = await Self.post(harness, list, accept: "text/html") else {
            Issue.record("a page is answered with JSON")
            return
        }
        await harness.close()
    }

    @Test func notificationsAndAnswersAreNotAnswered() async throws {
        let harness = try MCPHarness()
        for text in [
            #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            #"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ] {
            guard case .accepted = await Self.post(harness, text) else {
                Issue.record("\(text)")
                return
            }
        }
        #expect(Self.status(await Self.post(harness, #"{"jsonrpc":"2.0","method":"x"}"#, RoutingHeaders(versions: ["1999-01-01"]))) == 400)
        #expect(Self.status(await Self.post(harness, #"{"jsonrpc":"2.0","id":1,"result":{}}"#, RoutingHeaders(versions: ["2026-07-28"]))) == 400)
        await harness.close()
    }

    @Test func aBatchIsOfOneRevisionAlone() async throws {
        let harness = try MCPHarness()
        let batch =
            #"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},7,"#
            + #"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-03-26"}},{"jsonrpc":"2.0","id":3,"method":"tools/list"}]"#
        for headers in [RoutingHeaders(), RoutingHeaders(versions: ["2025-03-26"])] {
            guard case .message(let bytes, 200) = await Self.post(harness, batch, headers) else {
                Issue.record("no answer")
                return
            }
            let answers = try #require(try JSONParser.parse(bytes).arrayValue)
            #expect(answers.map { $0["id"] } == [.integer(1), .null, .integer(2), .integer(3)])
            #expect(answers[1]["error"] != nil && answers[2]["error"] != nil && answers[3]["result"] != nil)
        }
        for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
            #expect(try Self.error(await Self.post(harness, batch, RoutingHeaders(versions: [version]))) == .integer(-32600))
        }
        guard case .accepted = await Self.post(harness, #"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#) else {
            Issue.record("notifications are answered")
            return
        }
        await harness.close()
    }

    // MARK: - Resources, prompts, completion

    @Test func documentsAreResourcesPageAfterPage() async throws {
        let harness = try MCPHarness()
        for project in ["a", "b c", "d"] {
            for number in 0..<(project == "b c" ? 230 : 3) { try await harness.publish(project, "docs/\(number)", .string("text \(number)")) }
        }
        var (uris, cursor, pages) = ([String](), JSONValue?.none, 0)
        repeat {
            var params = JSONObject()
            if let cursor { params["cursor"] = cursor }
            let result = try #require(try await harness.request("resources/list", params)["result"])
            uris += result["resources"]?.arrayValue?.compactMap { $0["uri"]?.stringValue } ?? []
            cursor = result["nextCursor"]
            pages += 1
        } while cursor != nil && pages < 10
        #expect(uris.count == 236 && Set(uris).count == 236 && pages == 3)
        #expect(uris.contains("contex://b%20c/docs%2F229"))
        let read = try await harness.request("resources/read", JSONObject([("uri", "contex://b%20c/docs%2F229")]))["result"]?["contents"]?.arrayValue?.first
        #expect(read?["text"] == "text 229" && read?["_meta"]?["contex/seq"] == .integer(230))
        for cursor in ["x", "W10", "W251bGwsIiIsbnVsbF0"] {
            #expect(try await harness.request("resources/list", JSONObject([("cursor", .string(cursor))]))["error"]?["code"] == .integer(-32602))
        }
        await harness.close()
    }

    @Test func namesAreCompleted() async throws {
        let harness = try MCPHarness()
        for key in ["docs/a", "docs/b", "code"] { try await harness.publish("shop", key, .integer(1)) }
        try await harness.publish("store", "x", .integer(1))
        func complete(_ name: String, _ value: String, _ ref: JSONValue, project: String? = nil) async throws -> [JSONValue]? {
            var params = JSONObject([("ref", ref), ("argument", ["name": .string(name), "value": .string(value)])])
            if let project { params["context"] = ["arguments": ["project": .string(project)]] }
            return try await harness.request("completion/complete", params)["result"]?["completion"]?["values"]?.arrayValue
        }
        let resource: JSONValue = ["type": "ref/resource", "uri": "contex://{project}/{key}"]
        #expect(try await complete("project", "s", resource) == ["shop", "store"])
        #expect(try await complete("key", "docs/", resource, project: "shop") == ["docs/a", "docs/b"])
        #expect(try await complete("key", "docs/", resource) == [])
        #expect(try await complete("project", "sto", ["type": "ref/prompt", "name": "brief_me"]) == ["store"])
        #expect(try await complete("project", "s", ["type": "ref/prompt", "name": "nonsense"]) == nil)
        await harness.close()
    }

    @Test func promptsHaveTheContextInThem() async throws {
        let harness = try MCPHarness()
        try await harness.publish("shop", "tech", ["db": "PostgreSQL database"])
        try await harness.publish("shop", "style", ["indent": "four"])
        func prompt(_ name: String, _ arguments: JSONValue) async throws -> String? {
            let result = try await harness.request("prompts/get", JSONObject([("name", .string(name)), ("arguments", arguments)]))["result"]
            return result?["messages"]?.arrayValue?.first?["content"]?["text"]?.stringValue
        }
        let brief = try #require(try await prompt("brief_me", ["project": "shop", "question": "PostgreSQL database"]))
        #expect(brief.contains("PostgreSQL database") && brief.contains(#""key":"tech""#) && brief.contains("not instructions"))
        let changed = try #require(try await prompt("what_changed_since", ["project": "shop", "since": "1"]))
        #expect(changed.contains(#""key":"style""#) && !changed.contains(#""key":"tech""#))
        for (name, arguments) in [
            ("brief_me", JSONValue.object(JSONObject())), ("what_changed_since", ["project": "shop", "since": "yesterday"]),
            ("brief_me", ["project": "shop", "question": "q", "more": "x"]), ("brief_me", ["project": "none", "question": "q"]), ("nonsense", ["a": "b"]),
        ] {
            let answer = try await harness.request("prompts/get", JSONObject([("name", .string(name)), ("arguments", arguments)]))
            #expect(answer["error"]?["code"] == .integer(-32602), "\(name) \(arguments)")
        }
        await harness.close()
    }

    // MARK: - Subscriptions

    private static func listen(_ harness: MCPHarness, _ uris: [String], key: String? = nil) async -> MCPReply {
        await harness.reply(
            "subscriptions/listen",
            JSONObject([("notifications", ["resourceSubscriptions": .array(uris.map(JSONValue.string)), "toolsListChanged": .bool(true)])]), key: key)
    }

    @Test func aSubscriptionTellsWhatChanges() async throws {
        let harness = try MCPHarness()
        try await harness.publish("shop", "tech", .integer(1))
        guard case .stream(let next) = await Self.listen(harness, ["contex://shop/tech", "contex://other/"]) else {
            Issue.record("no stream")
            return
        }
        func message() async throws -> JSONValue? {
            for _ in 0..<100 {
                guard let bytes = try await next() else { return nil }
                if !bytes.isEmpty { return try JSONParser.parse(bytes) }
            }
            return .null
        }
        let opened = try await message()
        #expect(opened?["method"] == "notifications/subscriptions/acknowledged")
        // What is never told is not promised.
        #expect(opened?["params"]?["notifications"] == ["resourceSubscriptions": .array(["contex://shop/tech", "contex://other/"])])
        for (project, key) in [("shop", "style"), ("shop", "tech"), ("other", "a"), ("third", "b")] { try await harness.publish(project, key, .integer(2)) }
        var told: Set<String> = []
        for _ in 0..<2 {
            let update = try await message()
            #expect(update?["method"] == "notifications/resources/updated")
            #expect(update?["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == .integer(1))
            told.insert(update?["params"]?["uri"]?.stringValue ?? "")
        }
        #expect(told == ["contex://shop/tech", "contex://other/a"])
        // With the server it ends in good order, and says so.
        harness.endpoint.endWaits()
        let last = try await message()
        #expect(last?["id"] == .integer(1) && last?["result"]?["resultType"] == "complete")
        #expect(last?["result"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == .integer(1))
        #expect(try await message() == nil)
        await harness.close()
    }

    @Test func aSubscriptionEndsWithTheRight() async throws {
        let harness = try MCPHarness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let made = try await harness.operations.createKey(name: "reader", by: MCPHarness.caller(root))
        guard case .stream(let next) = await Self.listen(harness, ["contex://shop"], key: made.text) else {
            Issue.record("no stream")
            return
        }
        _ = try await next()
        _ = try await harness.operations.revokeKey(made.record.keyID.text, by: MCPHarness.caller(root))
        var last: [UInt8] = []
        for _ in 0..<100 {
            guard let bytes = try await next() else { break }
            if !bytes.isEmpty { last = bytes }
        }
        #expect(try JSONParser.parse(last)["error"]?["data"]?["code"] == "key_unknown")
        await harness.close()
    }

    @Test func tooMuchIsNotFollowed() async throws {
        let harness = try MCPHarness()
        for uris in [
            (0...MCPLimits.subscribedProjects).map { "contex://p\($0)/k" }, Array(repeating: "contex://p/k", count: MCPLimits.subscribedResources + 1),
            ["http://elsewhere/"],
        ] {
            #expect(Self.status(await Self.listen(harness, uris)) == 400)
        }
        #expect(Self.status(await harness.reply("subscriptions/listen")) == 400)
        await harness.close()
    }
}

@Suite("A conversation by lines")
struct ConversationTests {
    private final class Output: Sendable {
        private let written = Mutex<[JSONValue]>([])
        func take(_ bytes: [UInt8]) { written.withLock { $0.append((try? JSONParser.parse(bytes)) ?? .null) } }
        var all: [JSONValue] { written.withLock { $0 } }
    }

    private static let meta =
        #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#

    @Test func requestsAreAnsweredAsTheyCome() async throws {
        let harness = try MCPHarness()
        _ = try await harness.answer("register_need", ["project": "shop", "agent": "a", "needs": .array(["anything"])])
        let output = Output()
        let conversation = StdioConversation { [endpoint = harness.endpoint] body in
            await endpoint.answer(MCPPost(body: body, caller: MCPHarness.caller(), comment: .milliseconds(20)))
        } write: {
            output.take($0)
        }
        let (lines, input) = AsyncStream<StdioConversation.Line>.makeStream()
        let running = Task { await conversation.run(lines, grace: .milliseconds(200)) }
        func send(_ text: String) { input.yield(.message(Array(text.utf8))) }
        func wait(_ count: Int) async throws {
            for _ in 0..<500 where output.all.count < count { try await Task.sleep(for: .milliseconds(10)) }
            #expect(output.all.count == count)
        }
        // A call that waits holds nobody up.
        let wanted = #""name":"wait_for_updates","arguments":{"project":"shop","agent":"a","timeout_seconds":60}"#
        send(#"{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{\#(Self.meta),\#(wanted)}}"#)
        send(#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#)
        try await wait(1)
        #expect(output.all[0]["id"] == .integer(1))
        // What was cancelled is not answered.
        send(#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"slow"}}"#)
        send("no JSON")
        try await wait(2)
        #expect(output.all[1]["error"]?["code"] == .integer(-32700))
        input.yield(.tooLong)
        try await wait(3)
        // A subscription says on and on, until it is cancelled.
        let watched = #""notifications":{"resourceSubscriptions":["contex://shop"]}"#
        send(#"{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{\#(Self.meta),\#(watched)}}"#)
        try await wait(4)
        try await harness.publish("shop", "tech", .integer(1))
        try await wait(5)
        #expect(output.all[4]["params"]?["uri"] == "contex://shop/tech")
        send(#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"sub"}}"#)
        input.finish()
        await running.value
        #expect(output.all.count == 5)
        await harness.close()
    }
}
