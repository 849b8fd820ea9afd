import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import TestSupport
import Testing

@Suite("What a refusal says to programs")
struct ErrorTests {
    private static let publish = #"{"project_id":"p","data_key":"k","data":{"a":"b"}}"#
    private static let problem = [(name: "Accept", value: "application/problem+json")]

    /// Whatever refuses, wherever on the way: each answer has the code, with the code's status, and its body only when asked.
    @Test func everyAnswerHasItsCode() async throws {
        let harness = try Harness { $0.bodyBytesMax = 1_000 }
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish)
        for project in ["p", "q"] {
            _ = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"twice","project_id":"\#(project)","data_needs":["a"]}"#)
        }
        for (method, target, body, headers, code) in [
            ("GET", "/api/v1/nothing", nil, [], .pathUnknown), ("PUT", "/api/v1/projects", nil, [], .methodNotAllowed),
            ("GET", "/health", nil, [("Host", "evil.test")], .hostUnknown), ("GET", "/health", nil, [("Host", "a b")], .badRequest),
            ("GET", "/api/v1/projects", nil, [("Origin", "https://evil.test")], .originRefused),
            ("GET", "/api/v1/" + String(repeating: "a", count: Limits.targetBytes), nil, [], .targetTooLong),
            ("POST", "/api/v1/data/publish", Self.publish, [("Content-Encoding", "br")], .codingUnsupported),
            ("POST", "/api/v1/data/publish", Self.publish, [("Content-Encoding", "gzip")], .bodyUnreadable),
            ("POST", "/api/v1/data/publish", Self.publish, [("Content-Type", "text/plain")], .mediaTypeUnsupported),
            ("POST", "/api/v1/data/publish", Self.publish, [("Transfer-Encoding", "gzip")], .transferCodingUnsupported),
            ("POST", "/api/v1/data/publish", String(repeating: " ", count: 1_001), [], .bodyTooLarge), ("POST", "/api/v1/data/publish", "{", [], .invalid),
            ("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":1,"vector":[1]}"#, [], .vectorRefused),
            ("GET", "/api/v1/projects/p/data/none", nil, [], .dataNotFound), ("GET", "/api/v1/projects/no/settings", nil, [], .projectNotFound),
            ("GET", "/api/v1/projects/p/data?cursor=x&limit=1", nil, [], .cursorInvalid), ("GET", "/api/v1/agents/none", nil, [], .agentNotFound),
            ("GET", "/api/v1/agents/twice", nil, [], .agentAmbiguous), ("DELETE", "/api/v1/auth/keys/0011223344556677", nil, [], .keyNotFound),
            ("POST", "/api/v1/projects/p/import", #"{"data":{"project_id":"other"}}"#, [], .importRefused),
            (
                "POST", "/api/v1/agents/register",
                #"{"agent_id":"w","project_id":"p","data_needs":["a"],"notification_method":"webhook","webhook_url":"http://10.0.0.1/"}"#, [], .webhookRefused
            ),
        ] as [(String, String, String?, [(name: String, value: String)], ErrorCode)] {
            let plain = await harness.send(method, target, body, headers: headers)
            let place = "\(method) \(target.prefix(60)) \(plain.text.prefix(300))"
            #expect(plain.header("X-Contex-Error") == code.rawValue && plain.status == code.httpStatus, "\(place)")
            #expect(plain.header("Content-Type") == "application/json", "\(place)")
            let asked = await harness.send(method, target, body, headers: headers + Self.problem)
            #expect(asked.status == plain.status && asked.header("X-Contex-Error") == code.rawValue, "\(place)")
            #expect(asked.header("Content-Type") == "application/problem+json" && asked.headers.count == plain.headers.count, "\(place)")
            let json = try asked.json
            #expect(json["type"]?.stringValue == "urn:contex:error:\(code.rawValue)" && json["code"]?.stringValue == code.rawValue, "\(place)")
            #expect(json["title"]?.stringValue == code.meaning && json["status"]?.integerValue == code.httpStatus, "\(place)")
            #expect(json["detail"]?.stringValue?.isEmpty == false && json["request_id"]?.stringValue == asked.header("X-Request-ID"), "\(place)")
            if case .string(let detail)? = try plain.json["detail"] { #expect(json["detail"]?.stringValue == detail, "\(place)") }
            if case .array(let faults)? = try plain.json["detail"] { #expect(json["errors"]?.arrayValue == faults, "\(place)") }
            if code == .agentAmbiguous { #expect(try json["candidates"] == plain.json["candidates"]) }
        }
        let fine = await harness.send("GET", "/api/v1/projects", headers: Self.problem)
        #expect(fine.status == 200 && fine.header("X-Contex-Error") == nil && fine.header("Content-Type") == "application/json")
        await harness.close()
    }

    @Test func refusalsOfKeysHaveTheirs() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let made = await harness.send("POST", "/api/v1/auth/keys?name=limited", key: root)
        let key = try #require(try made.json["api_key"]?.stringValue)
        for (presented, code) in [(nil, .keyMissing), ("ck_no", .keyUnknown), (key, .forbidden)] as [(String?, ErrorCode)] {
            let answer = await harness.send("GET", "/api/v1/auth/keys", key: presented)
            #expect(answer.status == code.httpStatus && answer.header("X-Contex-Error") == code.rawValue, "\(answer.text)")
            let problem = try await harness.send("GET", "/api/v1/auth/keys", key: presented, headers: Self.problem).json
            #expect(problem["code"]?.stringValue == code.rawValue)
            if code == .forbidden {
                #expect(try problem["required_permission"] == answer.json["required_permission"] && problem["required_permission"] != .null)
                #expect(try problem["your_role"] == answer.json["your_role"])
            }
        }
        await harness.close()
    }

    @Test(arguments: [
        ("application/problem+json", true), ("application/json, application/problem+json", true), ("Application/Problem+JSON; q=0.5", true),
        ("text/html, application/problem+json;q=0.9, */*;q=0.8", true), ("application/json;q=0.5, application/problem+json;q=0.5", true),
        ("application/json, application/problem+json;q=0.5", false), ("application/problem+json;q=0", false), ("application/json", false), ("*/*", false),
        ("application/*", false), ("application/problem+jsonx", false), ("", false), (";;,,=", false), ("application/problem+json;q=x", false),
    ])
    func whoAsksForAProblem(_ accept: String, _ isProblem: Bool) async throws {
        let harness = try Harness()
        let answer = await harness.send("GET", "/api/v1/nothing", headers: [("Accept", accept)])
        #expect(answer.header("Content-Type") == (isProblem ? "application/problem+json" : "application/json"))
        // OpenAI's shape is the default of its route, not more.
        let embeddings = try await harness.send("POST", "/v1/embeddings", "{}", headers: [("Accept", accept)]).json
        #expect((embeddings["code"] == "path_unknown") == isProblem && (embeddings["error"] == nil) == isProblem)
        await harness.close()
    }
}
