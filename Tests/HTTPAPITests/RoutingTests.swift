import Access
import Base
import Content
import Engine
import HTTPAPI
import Service
import TestSupport
import Testing

@Suite("Paths, methods, keys and headers")
struct RoutingTests {
    @Test func unknownPathsMethodsAndSlashes() async throws {
        let harness = try Harness()
        func expect(_ method: String, _ target: String, _ status: Int, header: (String, String)? = nil, _ text: String? = nil) async {
            let answer = await harness.send(method, target)
            #expect(answer.status == status, "\(method) \(target)")
            if let header { #expect(answer.header(header.0) == header.1, "\(method) \(target)") }
            if let text { #expect(answer.text == text) }
        }
        await expect("GET", "/api/v1/nothing/here", 404, #"{"detail":"Not Found"}"#)
        await expect("GET", "/favicon.ico", 404)
        await expect("GET", "/api/versions/projects/p/data/k/history", 404)
        await expect("GET", "/api/v1/projects//events", 404)
        await expect("GET", "//api/v1/agents", 404)
        await expect("GET", "/api/v1/data/publish", 405, header: ("Allow", "POST, OPTIONS"), #"{"detail":"Method Not Allowed"}"#)
        await expect("PUT", "/health", 405, header: ("Allow", "GET, HEAD, OPTIONS"))
        await expect("PATCH", "/api/v1/agents/a", 405, header: ("Allow", "GET, HEAD, DELETE, OPTIONS"))
        await expect("OPTIONS", "/api/v1/agents", 204, header: ("Allow", "GET, HEAD, OPTIONS"), "")
        await expect("OPTIONS", "*", 204)
        await expect("OPTIONS", "/api/v1/nothing", 404)
        await expect("GET", "*", 404)
        await expect("GET", "http://localhost:9/health?x", 200)
        await expect("GET", "HTTP://[::1]/health", 200)
        await expect("GET", "http://localhost", 307, header: ("Location", "/sandbox"))
        await expect("GET", "http://localhost?x", 307, header: ("Location", "/sandbox"))
        await expect("GET", "http://elsewhere:9/health?x", 421)
        for target in ["http:///health", "http://user@localhost/health", "ftp://localhost/health"] { await expect("GET", target, 400) }
        await expect("GET", "/api/v1", 307, header: ("Location", "/api/v1/"))
        await expect("POST", "/api/v1/data/publish/?x=1", 307, header: ("Location", "/api/v1/data/publish?x=1"))
        await expect("POST", "/api/v1/data/publish/?x=a\r\nb: c\u{0}", 307, header: ("Location", "/api/v1/data/publish?x=a%0D%0Ab:%20c%00"))
        await expect("GET", "/", 307, header: ("Location", "/sandbox"))
        await expect("GET", "/sandbox", 307, header: ("Location", "/sandbox/"))
        await expect("GET", "/sandbox/", 200, header: ("Content-Type", "text/html; charset=utf-8"))
        await expect("GET", "/api/", 200, #"{"service":"Contex","status":"running","version":"0.2.0"}"#)
        await expect("GET", "/health", 200, #"{"status":"healthy","service":"contex","version":"0.2.0"}"#)
        await harness.close()
    }

    /// Ids are free text; in a path they come percent-encoded, slashes and all.
    @Test(arguments: ["tech stack", "a/b", "a.b.c", "日本語", "..", ".", "%2F", "a?b#c", "+", "é", "e\u{301}", "{data_key}", "history"])
    func freeTextInPaths(_ name: String) async throws {
        let harness = try Harness()
        let encoded = name.utf8.map { "%" + (($0 < 16 ? "0" : "") + String($0, radix: 16)) }.joined()
        let body: JSONValue = ["project_id": .string(name), "data_key": .string(name), "data": ["a": .integer(1)]]
        #expect(await harness.send("POST", "/api/v1/data/publish", JSONPrinter.text(body)).status == 200)
        let events = await harness.send("GET", "/api/v1/projects/\(encoded)/events")
        #expect(try events.json["events"]?.arrayValue?.first?["data"] == .object(JSONObject([(name, ["a": .integer(1)])])))
        let history = await harness.send("GET", "/api/v1/versions/projects/\(encoded)/data/\(encoded)/history")
        #expect(try history.json["count"]?.integerValue == 1)
        let deleted = await harness.send("DELETE", "/api/v1/projects/\(encoded)/data/\(encoded)")
        #expect(deleted.status == 200)
        #expect(try deleted.json["data_key"] == .string(name))
        await harness.close()
    }

    static let security: [(String, String)] = [
        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("X-XSS-Protection", "1; mode=block"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("Permissions-Policy", "geolocation=(), microphone=(), camera=(), payment=(), usb=()"),
    ]

    @Test func everyAnswerCarriesItsHeaders() async throws {
        let harness = try Harness(authentication: true) { $0.corsOrigins = ["https://page.example"] }
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        for (target, key, status) in [
            ("/health", nil, 200), ("/nothing", nil, 401), ("/api/v1/agents", nil, 401), ("/api/agents", "wrong", 401),
            ("/api/v1/agents", root, 200), ("/nothing", root, 404), ("/docs", root, 200), ("/api/v1/data/publish", root, 405),
        ] as [(String, String?, Int)] {
            let answer = await harness.send("GET", target, key: key, headers: [("Origin", "https://page.example")])
            #expect(answer.status == status, "\(target)")
            for (name, value) in Self.security { #expect(answer.header(name) == value, "\(target)") }
            #expect(answer.header("Content-Security-Policy")?.contains("frame-ancestors 'none'") == true)
            #expect(answer.header("Access-Control-Allow-Origin") == "https://page.example")
            #expect(answer.header("Access-Control-Allow-Credentials") == "true")
            #expect(answer.header("X-Request-ID")?.utf8.count == 32)
            #expect(answer.header("Cache-Control") == "no-store")
            #expect(answer.header("X-API-Version") == (target.hasPrefix("/api/v1") ? "v1" : target.hasPrefix("/api/") ? "legacy" : nil))
            #expect((answer.header("X-API-Deprecation") != nil) == (answer.header("X-API-Version") == "legacy"))
            #expect(answer.header("Strict-Transport-Security") == nil)
        }
        let secure = await harness.send("GET", "/health", headers: [("X-Forwarded-Proto", "https"), ("X-Request-ID", "abc-1")])
        #expect(secure.header("Strict-Transport-Security") != nil)
        #expect(secure.header("X-Request-ID") == "abc-1")
        #expect(await harness.send("GET", "/health", headers: [("X-Request-ID", "a b\"c")]).header("X-Request-ID") != "a b\"c")
        await harness.close()
    }

    @Test func refusalsComeInOrder() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let reader = try #require(try await harness.send("POST", "/api/v1/auth/keys?name=reader", key: root).json["key"]?.stringValue)
        #expect(await harness.send("GET", "/api/v1/nothing").text == #"{"detail":"Missing API Key"}"#)
        #expect(await harness.send("GET", "/api/v1/agents", key: "ck_wrong").text == #"{"detail":"Invalid API Key"}"#)
        for base in ["/api/v1", "/api"] {
            // The role speaks before the body is looked at.
            let refused = await harness.send("POST", base + "/data/publish", "{broken", key: reader)
            #expect(refused.status == 403)
            #expect(
                refused.text
                    == #"{"error":"forbidden","message":"Your role 'readonly' does not have permission to perform this action","#
                        + #""required_permission":"publish_data","your_role":"readonly"}"#
            )
        }
        #expect(await harness.send("POST", "/api/v1/data/publish", "{broken", key: root).status == 422)
        let large = APIRequest(method: "POST", target: "/api/v1/data/publish", headers: [("Host", "localhost"), ("Content-Length", "11000000")])
        #expect(await harness.handler.answer(large).status == 413)
        await harness.close()
    }

    @Test func browsersMayAskFirst() async throws {
        let harness = try Harness(authentication: true) { $0.corsOrigins = ["https://page.example"] }
        func ask(_ origin: String) async -> APIAnswer {
            await harness.send(
                "OPTIONS", "/api/v1/data/publish",
                headers: [
                    ("Origin", origin), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x-api-key,content-type"),
                ])
        }
        let allowed = await ask("https://page.example")
        #expect(allowed.status == 200)
        #expect(allowed.text == "OK")
        #expect(allowed.header("Access-Control-Allow-Origin") == "https://page.example")
        #expect(allowed.header("Access-Control-Allow-Headers") == "x-api-key,content-type")
        #expect(allowed.header("Access-Control-Allow-Methods")?.contains("DELETE") == true)
        let refused = await ask("https://other.example")
        #expect(refused.status == 400)
        #expect(refused.header("Access-Control-Allow-Origin") == nil)
        await harness.close()
    }

    @Test func bodiesOverTheLimit() async throws {
        let harness = try Harness { $0.bodyBytesMax = 1_000 }
        let body = #"{"project_id":"p","data_key":"k","data":"\#(String(repeating: "x", count: 1_000))"}"#
        let answer = await harness.send("POST", "/api/v1/data/publish", body)
        #expect(answer.status == 413)
        #expect(try answer.json["detail"]?.stringValue == "Request body too large: at most 1000 bytes are accepted")
        #expect(await harness.send("GET", "/api/v1/projects/p/events").text == #"{"events":[],"count":0}"#)
        await harness.close()
    }
}
