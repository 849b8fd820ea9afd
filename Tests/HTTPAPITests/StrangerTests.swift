import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import Synchronization
import TestSupport
import Testing

@Suite("What a web page and other strangers may not do")
struct StrangerTests {
    private static let publish = #"{"project_id":"p","data_key":"k","data":1}"#

    private func isEmpty(_ harness: Harness) async -> Bool {
        await harness.send("GET", "/api/v1/projects/p/events").text == #"{"events":[],"count":0}"#
    }

    // MARK: - Host

    @Test(arguments: [
        ("localhost", 200), ("localhost:8001", 200), ("LocalHost.:1", 200), ("app.localhost:8001", 200), ("127.0.0.1:8001", 200), ("127.9.8.7", 200),
        ("[::1]:8001", 200), ("[0:0:0:0:0:0:0:1]", 200), ("[::ffff:127.0.0.1]", 200), ("localhost:", 200), ("evil.test", 421), ("evil.test:8001", 421),
        ("localhost.evil.test", 421), ("notlocalhost", 421), ("127.0.0.1.evil.test", 421), ("10.0.0.1", 421), ("0.0.0.0:8001", 421), ("[::2]", 421),
        ("0x7f.1", 421), ("", 400), ("a b", 400), ("localhost:x", 400), ("localhost:70000", 400), ("localhost:1:2", 400), ("[::1", 400), ("[evil]", 400),
        ("user@localhost", 400), ("localhost/x", 400), ("[fe80::1%25eth0]", 400), ("ünï", 400),
    ])
    func hostsOfALoopbackServer(_ host: String, _ status: Int) async throws {
        let harness = try Harness()
        #expect(await harness.send("GET", "/health", headers: [("Host", host)]).status == status)
        let answer = await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: [("Host", host)])
        #expect(answer.status == status, "\(answer.text)")
        #expect(await isEmpty(harness) == (status != 200))
        await harness.close()
    }

    @Test func missingAndDoubleHosts() async throws {
        let harness = try Harness()
        for names in [[], [("Host", "localhost"), ("host", "localhost")], [("Host", "localhost"), ("Host", "evil.test")]] as [[(String, String)]] {
            let headers = names.map { (name: $0.0, value: $0.1) }
            let answer = await harness.handler.answer(APIRequest(method: "GET", target: "/health", headers: headers))
            #expect(answer.status == 400)
            #expect(answer.header("X-Frame-Options") == "DENY" && answer.header("Cache-Control") == "no-store")
        }
        await harness.close()
    }

    @Test func hostsThatTheOperatorAllows() async throws {
        func statuses(authentication: Bool = false, _ hosts: [String], _ configure: @escaping (inout HTTPAPIConfiguration) -> Void) async throws -> [Int] {
            let harness = try Harness(authentication: authentication, configure: configure)
            var statuses: [Int] = []
            for host in hosts { statuses.append(await harness.send("GET", "/health", headers: [("Host", host)]).status) }
            await harness.close()
            return statuses
        }
        let hosts = ["contex.example", "a.b.example", "b.example", "10.0.0.1:80", "[2001:db8::1]", "localhost", "evil.test"]
        #expect(
            try await statuses(hosts) { $0.allowedHosts = ["Contex.Example", "*.b.example", "10.0.0.1", "2001:db8::1"] } == [200, 200, 421, 200, 200, 200, 421])
        #expect(try await statuses(hosts) { $0.host = "0.0.0.0" } == [421, 421, 421, 200, 200, 200, 421])
        #expect(try await statuses(hosts) { $0.host = "10.0.0.1" } == [421, 421, 421, 200, 421, 200, 421])
        #expect(try await statuses(hosts) { $0.allowedHosts = ["*"] } == [Int](repeating: 200, count: 7))
        // Behind a key a name opens nothing; a list holds all the same.
        #expect(try await statuses(authentication: true, hosts) { _ in } == [Int](repeating: 200, count: 7))
        #expect(try await statuses(authentication: true, hosts) { $0.allowedHosts = ["b.example"] } == [421, 421, 200, 421, 421, 200, 421])
    }

    // MARK: - Pages

    /// What browsers say of the page that asks, and whether it is answered by a server that allows `https://friend.example`.
    @Test(arguments: [
        ([], true), ([("Origin", "http://localhost:8001")], true), ([("Origin", "http://localhost:3000")], false), ([("Origin", "http://localhost")], false),
        ([("Origin", "https://evil.example")], false), ([("Origin", "null")], false), ([("Origin", "")], false), ([("Origin", "http://127.0.0.1:8001")], false),
        ([("Origin", "https://friend.example")], true), ([("Origin", "HTTPS://Friend.example")], true), ([("Origin", "https://friend.example.evil")], false),
        ([("Sec-Fetch-Site", "same-origin")], true), ([("Sec-Fetch-Site", "none")], true), ([("Sec-Fetch-Site", "cross-site")], false),
        ([("Sec-Fetch-Site", "same-site")], false), ([("Sec-Fetch-Site", "cross-site"), ("Origin", "https://friend.example")], true),
    ] as [([(name: String, value: String)], Bool)])
    func pagesOfOthers(_ headers: [(name: String, value: String)], _ isAnswered: Bool) async throws {
        let harness = try Harness { $0.corsOrigins = ["https://friend.example"] }
        let answer = await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: headers)
        #expect(answer.status == (isAnswered ? 200 : 403), "\(answer.text)")
        #expect(await isEmpty(harness) == !isAnswered)
        for (method, target) in [
            ("GET", "/api/v1/projects"), ("GET", "/health"), ("DELETE", "/api/v1/projects/p/data/k"), ("POST", "/api/v1/auth/keys?name=n"),
        ] {
            let answer = await harness.send(method, target, headers: headers)
            #expect((answer.status == 200) == isAnswered, "\(method) \(target): \(answer.status)")
            let named = answer.header("Access-Control-Allow-Origin")
            #expect(named == (headers.contains { $0.value.lowercased() == "https://friend.example" } ? headers.last?.value : nil))
        }
        await harness.close()
    }

    @Test func aDefaultServerAllowsNoPage() async throws {
        let harness = try Harness()
        let asked = await harness.send(
            "OPTIONS", "/api/v1/data/publish", headers: [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")])
        #expect(asked.status == 400)
        #expect(asked.header("Access-Control-Allow-Origin") == nil && asked.header("Access-Control-Allow-Methods") == nil)
        #expect(await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: [("Origin", "https://evil.example")]).status == 403)
        #expect(await isEmpty(harness))
        // Whoever follows a link from elsewhere may read what it leads to.
        let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
        #expect(await harness.send("GET", "/docs", headers: link).status == 200)
        #expect(await harness.send("POST", "/api/v1/auth/keys?name=x", headers: link).status == 403)
        #expect(await harness.send("GET", "/docs", headers: link.dropLast() + [("Sec-Fetch-Dest", "iframe")]).status == 403)
        await harness.close()
    }

    @Test func aStarGoesWithoutCredentials() async throws {
        let harness = try Harness { $0.corsOrigins = ["*", "https://friend.example"] }
        let any = await harness.send("GET", "/health", headers: [("Origin", "https://any.example")])
        #expect(any.status == 200)
        #expect(any.header("Access-Control-Allow-Origin") == "*" && any.header("Access-Control-Allow-Credentials") == nil)
        let named = await harness.send("GET", "/health", headers: [("Origin", "https://friend.example")])
        #expect(named.header("Access-Control-Allow-Origin") == "https://friend.example" && named.header("Access-Control-Allow-Credentials") == "true")
        await harness.close()
    }

    // MARK: - Content types

    @Test(arguments: ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream", "", nil])
    func bodiesThatDoNotSayThatTheyAreJSON(_ type: String?) async throws {
        let harness = try Harness()
        for (target, body) in [
            ("/api/v1/data/publish", Self.publish), ("/api/v1/batch/publish", "[\(Self.publish)]"),
            ("/api/v1/batch/register", #"[{"project_id":"p","agent_id":"a","data_needs":[]}]"#),
            ("/api/v1/auth/roles?key_id=0123456789abcdef&role=admin", "[]"), ("/api/v1/projects/p/query", #"{"query":"q"}"#),
        ] {
            for length in [[], [("Content-Length", String(body.utf8.count))]] {
                let request = APIRequest(
                    method: "POST", target: target, headers: [("Host", "localhost")] + length + (type.map { [("Content-Type", $0)] } ?? []))
                let answer = await harness.handler.answer(request, body: Array(body.utf8))
                #expect(answer.status == 415, "\(target)")
                #expect(answer.text.contains("set Content-Type: application/json"))
                #expect(answer.header("Accept") == "application/json")
            }
        }
        let document = APIRequest(
            method: "POST", target: "/api/v1/projects/p/import", headers: [("Host", "localhost")] + (type.map { [("Content-Type", $0)] } ?? []))
        #expect(await harness.handler.answer(document, body: Array("{}".utf8)).status == (type == "application/octet-stream" ? 400 : 415))
        #expect(await isEmpty(harness))
        await harness.close()
    }

    @Test func bodiesThatSayIt() async throws {
        let harness = try Harness()
        for type in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json", "application/json ;x"] {
            #expect(await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: [("Content-Type", type)]).status == 200)
        }
        // Without a body there is nothing to say.
        #expect(await harness.send("POST", "/api/v1/versions/projects/p/data/k/restore/1").status == 200)
        #expect(await harness.send("POST", "/api/v1/auth/keys?name=curl").status == 200)
        #expect(await harness.send("DELETE", "/api/v1/projects/p/data/k").status == 200)
        await harness.close()
    }

    // MARK: - Codings

    @Test func packedBodies() async throws {
        let harness = try Harness()
        func send(_ coding: String, _ body: [UInt8], length: Bool = false) async -> APIAnswer {
            let more = length ? [("Content-Length", "\(body.count)")] : []
            return await harness.handler.answer(
                APIRequest(
                    method: "POST", target: "/api/v1/data/publish",
                    headers: [("Host", "localhost"), ("Content-Type", "application/json"), ("Content-Encoding", coding)] + more), body: body)
        }
        // {"project_id":"p","data_key":"k","data":1}
        let gzip = Array(Data(base64Encoded: "H4sIAAAAAAACA6tWKijKz0pNLonPTFGyUipQ0lFKSSxJjM9OrQRys6FcJSvDWgDjoQnGKgAAAA==")!)
        let zlib = Array(Data(base64Encoded: "eJyrVioAAAIvAQA=")!)
        for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] { #expect(await send(coding, gzip).status == 200, "\(coding)") }
        #expect(await send("identity", Array(Self.publish.utf8)).status == 200)
        #expect(await send("deflate", zlib).status == 400)
        #expect(await send("gzip", Array(gzip.dropLast(9))).status == 400)
        #expect(await send("gzip", Array(Self.publish.utf8)).status == 400)
        #expect(await send("gzip", []).status == 422)
        for coding in ["br", "zstd", "gzip, gzip", "compress", "\"", "gzip;q=1"] {
            let answer = await send(coding, gzip, length: true)
            #expect(answer.status == 415, "\(coding)")
            #expect(answer.header("Accept-Encoding") == "gzip, deflate")
        }
        // An equal publish is no event.
        #expect(try await harness.send("GET", "/api/v1/projects/p/events").json["count"]?.integerValue == 1)
        let other = await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: [("Transfer-Encoding", "gzip, chunked")])
        #expect(other.status == 501)
        await harness.close()
    }

    // MARK: - Echoes

    /// However much is wrong and however long it is, the refusal is short.
    @Test func refusalsEchoLittle() async throws {
        let harness = try Harness()
        let long = String(repeating: "wrong<script>", count: 10_000)
        let list = "[" + [String](repeating: "7", count: 5_000).joined(separator: ",") + "]"
        let members = "{" + (0..<5_000).map { "\"k\($0)\":1" }.joined(separator: ",") + "}"
        let requests: [(String, String, String?)] = [
            ("POST", "/api/v1/data/publish", #"{"project_id":"\#(long)","data_key":"k","data":1}"#), ("POST", "/api/v1/data/publish", "[\"\(long)\"]"),
            ("POST", "/api/v1/data/publish", "{\"\(long)\":1}"), ("POST", "/api/v1/batch/publish", list), ("POST", "/api/v1/batch/publish", members),
            ("POST", "/api/v1/batch/register", list), ("POST", "/api/v1/projects/p/query", #"{"query":"q","weights":\#(members)}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","weights":{"\#(long)":1}}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","mode":"\#(long)"}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","pinned":\#(list)}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","as_of":"\#(long)"}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","filter":{"\#(long)":1}}"#),
            ("POST", "/api/v1/projects/p/query", #"{"query":"q","filter":"\#(long)"}"#),
            ("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":1,"metadata":{"\#(long)":1}}"#),
            ("POST", "/api/v1/projects/p/import", #"{"project_id":"\#(long)","version":"1.0","data":{"events":[]}}"#),
            ("POST", "/api/v1/projects/p/import", #"{"project_id":"p","version":"1.0","data":{"events":["\#(long)"]}}"#),
            ("POST", "/api/v1/agents/register", #"{"project_id":"p","agent_id":"a","data_needs":[],"webhook_url":"\#(long)"}"#),
            ("POST", "/api/v1/embeddings", #"{"input":["a"],"encoding_format":"\#(long)"}"#),
            ("GET", "/api/v1/projects/p/data?include_events=true&format=\(long.prefix(7_000))", nil), ("GET", "/\(long.prefix(8_000))", nil),
            ("GET", "/\(long)", nil), ("GET", "/api/v1/versions/projects/p/data/k/version/\(long.prefix(8_000))", nil),
            ("POST", "/api/v1/auth/roles?key_id=0123456789abcdef&role=\(long.prefix(8_000))", "[]"), ("GET", "/api/v1/auth/roles?\(long)", nil),
            ("GET", "/api/v1/agents/\(long.prefix(8_000))", nil),
        ]
        for (method, target, body) in requests {
            let answer = await harness.send(method, target, body)
            let name = "\(method) \(target.prefix(60)) \(body?.prefix(60) ?? "")"
            #expect((400..<500).contains(answer.status) || target.hasSuffix("batch/register"), "\(name): \(answer.status)")
            #expect(answer.body.count < (target.hasSuffix("batch/register") ? 1 << 20 : 64 << 10), "\(name): \(answer.body.count) bytes")
            // No echo is longer than the bound.
            let stretch = answer.text.components(separatedBy: "wrong<script>").count
            #expect(stretch * 13 <= Limits.echoBytes + 13 * 20, "\(name): \(answer.text.prefix(400))")
        }
        for (name, value) in [("Host", long), ("Origin", long), ("Content-Encoding", long), ("Content-Type", long), ("Transfer-Encoding", long)] {
            let answer = await harness.send("POST", "/api/v1/data/publish", Self.publish, headers: [(name, value)])
            #expect((400..<502).contains(answer.status) && answer.body.count < 1_000, "\(name)")
        }
        await harness.close()
    }

    // MARK: - HEAD

    @Test func everyGETHasItsHEAD() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish)
        for route in RouteTable.all where route.method == "GET" {
            for prefix in route.bases.prefixes {
                var path = prefix + route.path
                let names = ["project_id": "p", "sequence": "1"]
                for field in route.pathFields { path = path.replacing("{\(field.name)}", with: names[field.name] ?? "k") }
                let headers = [("X-Request-ID", "same")]
                let (whole, head) = (await harness.send("GET", path, headers: headers), await harness.send("HEAD", path, headers: headers))
                // What has no end has no length; the connection ends it behind its head.
                if whole.header("Content-Type") == "text/event-stream" {
                    #expect(head.status == whole.status && head.headers.map(\.name) == whole.headers.map(\.name), "\(path)")
                    continue
                }
                #expect(head.status == whole.status && head.body.isEmpty, "\(path)")
                // What tells the time may be shorter or longer the next time.
                if !path.contains("health"), !path.contains("metrics") { #expect(head.header("Content-Length") == "\(whole.body.count)", "\(path)") }
                let (a, b) = (whole.headers.map(\.name), head.headers.map(\.name).filter { $0 != "Content-Length" })
                #expect(a == b, "\(path)")
            }
        }
        #expect(await harness.send("HEAD", "/api/v1/data/publish").status == 405)
        await harness.close()
    }

    // MARK: - Meter and audit

    private final class Ledger: Meter, AuditTrail {
        let lines = Mutex<[String]>([])
        func admit(_ action: Action?, cost: Int, principal: Principal?, project: Name?, caller: Caller) async throws {
            lines.withLock { $0.append("meter \(action?.rawValue ?? "-")") }
        }
        func record(_ action: Action?, principal: Principal?, project: Name?, caller: Caller, failure: ContexError?) async {
            let who = principal == nil ? "nobody" : "known"
            lines.withLock { $0.append("audit \(action?.rawValue ?? "-") \(who) \(project?.text ?? "-") \(failure?.category.rawValue ?? "done")") }
        }
        func take() -> [String] { lines.withLock { lines in defer { lines = [] }; return lines } }
    }

    @Test func everyRefusalIsCountedAndWrittenDownOnce() async throws {
        let ledger = Ledger()
        let harness = try Harness(authentication: true, audit: ledger, meter: ledger) { $0.bodyBytesMax = 10_000 }
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let cases: [(String, String, String?, String?, [(name: String, value: String)], String)] = [
            ("GET", "/api/v1/nothing", nil, root, [], "- known - notFound"), ("GET", "/api/v1/agents", nil, nil, [], "listAgents nobody - unauthenticated"),
            ("GET", "/api/v1/nothing", nil, nil, [], "- nobody - unauthenticated"), ("PUT", "/api/v1/agents", nil, root, [], "- known - badRequest"),
            ("POST", "/api/v1/data/publish", "{", root, [], "publish known - invalid"),
            ("POST", "/api/v1/data/publish", "{}", root, [], "publish known - invalid"),
            ("POST", "/api/v1/data/publish", String(repeating: " ", count: 10_001), root, [], "publish known - tooLarge"),
            ("POST", "/api/v1/data/publish", "{}", root, [("Content-Type", "text/plain")], "publish known - invalid"),
            ("GET", "/api/v1/agents", nil, root, [("Origin", "https://evil.example")], "listAgents known - forbidden"),
            ("GET", "/api/v1/projects/p/events?count=-1", nil, root, [], "readEvents known p invalid"),
            ("POST", "/api/v1/projects/p/import", "[]", root, [], "importData known p badRequest"),
            // The operation's own.
            ("GET", "/api/v1/agents/a", nil, root, [], "showAgent known - notFound"),
            ("GET", "/api/v1/projects/p/data?as_of=7", nil, root, [], "listData known p invalid"),
        ]
        for (method, target, body, key, headers, expected) in cases {
            _ = ledger.take()
            _ = await harness.send(method, target, body, key: key, headers: headers)
            let action = expected.prefix { $0 != " " }
            #expect(ledger.take() == ["meter \(action)", "audit \(expected)"], "\(method) \(target)")
        }
        await harness.close()
    }
}
