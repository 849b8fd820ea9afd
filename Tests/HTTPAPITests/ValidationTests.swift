import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import TestSupport
import Testing

@Suite("What is wrong with a request is said in the original's words")
struct ValidationTests {
    /// Every recorded answer of FastAPI, byte for byte.
    @Test func recordedAnswers() async throws {
        let harness = try Harness()
        let file = TestData.checkout.appendingPathComponent("Tests/Recorded/http-validation.tsv")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 180)
        for line in lines {
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            for base in ["/api/v1", "/api"] {
                let answer = await harness.send(columns[0], base + columns[1], columns[0] == "GET" ? nil : columns[2])
                #expect(answer.status == Int(columns[3]), "\(columns[0...2])")
                #expect(answer.text == columns[4], "\(columns[0...2])")
                #expect(answer.header("Content-Type") == "application/json")
            }
        }
        #expect(try await harness.operations.projects(by: .init(apiKey: nil, address: nil, requestID: "t", client: nil)).items.isEmpty)
        await harness.close()
    }

    @Test func bodiesThatPythonGivesUpOn() async throws {
        let harness = try Harness()
        let unparsed = #"{"detail":"There was an error parsing the body"}"#
        let deep = #"{"project_id":"p","data_key":"k","data":"# + String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000) + "}"
        for body in [Array(deep.utf8), [0xFF], Array(#"{"project_id":"p"#.utf8) + [0xC3] + Array(#"","data_key":"k","data":1}"#.utf8)] {
            let request = APIRequest(method: "POST", target: "/api/v1/data/publish", headers: [("Host", "localhost"), ("Content-Type", "application/json")])
            let answer = await harness.handler.answer(request, body: body)
            #expect(answer.status == 400)
            #expect(answer.text == unparsed)
        }
        let surrogate = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"a\ud800b","data":1}"#)
        #expect(surrogate.status == 422)
        await harness.close()
    }

    @Test func namesAndNUL() async throws {
        let harness = try Harness()
        let long = String(repeating: "é", count: 256)
        func error(_ method: String, _ target: String, _ body: String? = nil) async throws -> JSONValue {
            let answer = await harness.send(method, target, body)
            #expect(answer.status == 422, "\(target) \(answer.text)")
            return try #require(try answer.json["detail"]?.arrayValue?.first)
        }
        let tooLong = try await error("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"\#(long)","data":1}"#)
        #expect(
            tooLong == [
                "type": "string_too_long", "loc": .array(["body", "data_key"]), "msg": "String should have at most 255 characters",
                "input": .string(String(repeating: "é", count: 126) + "…"), "ctx": ["max_length": .integer(255)],
            ])
        let path = try await error("GET", "/api/v1/projects/\(String(repeating: "x", count: 8_000))/events")
        #expect(path["loc"] == .array(["path", "project_id"]))
        #expect(await harness.send("GET", "/api/v1/projects/\(String(repeating: "x", count: 100_000))/events").status == 414)
        for (body, field) in [
            (#"{"project_id":"a\u0000b","data_key":"k","data":1}"#, "project_id"), (#"{"project_id":"p","data_key":"\u0000","data":1}"#, "data_key"),
            (#"{"project_id":"p","data_key":"k","data":"a\u0000b"}"#, "data"), (#"{"project_id":"p","data_key":"k","data":[{"a\u0000":1}]}"#, "data"),
            (#"{"project_id":"p","data_key":"k","data":1,"event_type":"\u0000"}"#, "event_type"),
        ] {
            let fault = try await error("POST", "/api/v1/data/publish", body)
            #expect(fault["type"] == "value_error")
            #expect(fault["loc"] == .array(["body", .string(field)]))
            #expect(fault["msg"] == .string("Value error, \(field) must not contain NUL characters"))
        }
        #expect(try await error("GET", "/api/v1/projects/a%00b/events")["type"] == "value_error")
        #expect(await harness.send("GET", "/api/v1/projects/\(String(repeating: "x", count: 255))/events").status == 200)
        await harness.close()
    }

    /// What has no name can be neither read nor deleted.
    @Test func emptyNames() async throws {
        let harness = try Harness()
        for (target, body, field) in [
            ("/api/v1/data/publish", #"{"project_id":"","data_key":"k","data":1}"#, "project_id"),
            ("/api/v1/data/publish", #"{"project_id":"p","data_key":"","data":1}"#, "data_key"),
            ("/api/v1/batch/publish", #"[{"project_id":"p","data_key":"","data":1}]"#, "data_key"),
            ("/api/v1/agents/register", #"{"project_id":"p","agent_id":"","data_needs":[]}"#, "agent_id"),
            ("/api/v1/batch/query", #"[{"project_id":"","query":"q"}]"#, "project_id"),
        ] {
            let answer = await harness.send("POST", target, body)
            #expect(answer.status == 422, "\(target) \(answer.text)")
            let fault = try answer.json["detail"]?.arrayValue?.first
            #expect(fault?["type"] == "string_too_short" && fault?["loc"]?.arrayValue?.last == .string(field) && fault?["input"] == "", "\(answer.text)")
        }
        #expect(await harness.send("POST", "/api/v1/auth/keys?name=").status == 422)
        #expect(await harness.send("GET", "/api/v1/projects").text == #"{"projects":[],"count":0}"#)
        await harness.close()
    }

    @Test func agentsWithTooManyNeedsOrNoAddress() async throws {
        let harness = try Harness()
        let needs = String(repeating: #""need","#, count: 9_999) + #""need""#
        let many = await harness.send("POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":[\#(needs)]}"#)
        #expect(many.status == 422)
        let fault = try many.json["detail"]?.arrayValue?.first
        #expect(fault?["type"] == "too_long")
        #expect(fault?["msg"] == "List should have at most 1000 items after validation, not 10000")
        let silent = await harness.send(
            "POST", "/api/v1/agents/register", #"{"agent_id":"a","project_id":"p","data_needs":[],"notification_method":"webhook"}"#)
        #expect(silent.status == 422)
        #expect(silent.text.contains("webhook_url is required when notification_method='webhook'"))
        #expect(await harness.send("GET", "/api/v1/agents/a").status == 404)
        await harness.close()
    }

    /// What pydantic's `HttpUrl` made of the same texts.
    @Test(arguments: [
        ("http://h", "http://h/"), ("HTTP://H.Example:80/a b?q=é#f", "http://h.example/a%20b?q=%C3%A9#f"),
        ("https://user:pa@h:443", "https://user:pa@h/"), ("http:///x", "http://x/"), ("http://1.2.3", "http://1.2.0.3/"),
        ("http://0x7f.1", "http://127.0.0.1/"), ("http://h:", "http://h/"), ("http:h", "http://h/"), ("  http://h  ", "http://h/"),
        ("http://h/../a/./b", "http://h/a/b"), ("http://h?x", "http://h/?x"), ("http://h#y", "http://h/#y"), (#"http:\\h"#, "http://h/"),
        ("http://%41.com", "http://a.com/"), ("http://a_b", "http://a_b/"), ("https://h:80", "https://h:80/"), ("http://h/%zz", "http://h/%zz"),
        ("http://h:08080/", "http://h:8080/"), ("http://@h", "http://h/"), ("http://u@h", "http://u@h/"), ("http://h/?a='b", "http://h/?a=%27b"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"), ("http://[0:0::0:1]", "http://[::1]/"), ("http://1.2.3.4.", "http://1.2.3.4/"),
    ])
    func addressesInTheirNormalForm(_ given: String, _ expected: String) async throws {
        let harness = try Harness()
        let body: JSONValue = ["agent_id": "a", "project_id": "p", "data_needs": .array([]), "webhook_url": .string(given)]
        #expect(await harness.send("POST", "/api/v1/agents/register", JSONPrinter.text(body)).status == 200)
        #expect(try await harness.send("GET", "/api/v1/agents/a").json["webhook_url"]?.stringValue == expected)
        await harness.close()
    }

    /// Weights that are none, a method that is none, and those that contradict the rest of the request: 422 that names the field.
    @Test(arguments: [
        (#""weights":{"semantic":-0.1,"keyword":1}"#, #"["body","weights","semantic"]"#, "greater_than_equal"),
        (#""weights":{"semantic":0,"keyword":0}"#, #"["body","weights"]"#, "value_error"), (#""weights":{}"#, #"["body","weights"]"#, "value_error"),
        (#""weights":{"keyword":1e999}"#, #"["body","weights","keyword"]"#, "finite_number"),
        (#""weights":{"keyword":"nan"}"#, #"["body","weights","keyword"]"#, "finite_number"),
        (#""weights":{"keyword":"Infinity"}"#, #"["body","weights","keyword"]"#, "finite_number"),
        (#""weights":{"keyword":null}"#, #"["body","weights","keyword"]"#, "float_type"),
        (#""weights":{"keyword":"much"}"#, #"["body","weights","keyword"]"#, "float_parsing"),
        (#""weights":{"semantic":1,"bm25":1}"#, #"["body","weights","bm25"]"#, "extra_forbidden"),
        (#""weights":[0.7,0.3]"#, #"["body","weights"]"#, "model_attributes_type"), (#""weights":0.7"#, #"["body","weights"]"#, "model_attributes_type"),
        (#""fusion":"magic""#, #"["body","fusion"]"#, "enum"), (#""fusion":7"#, #"["body","fusion"]"#, "enum"),
        (#""fusion":"calibrated","weights":{"semantic":1}"#, "weights", "value_error"),
        (#""fusion":"rrf","mode":"semantic""#, "fusion", "value_error"), (#""weights":{"semantic":1},"mode":"keyword""#, "weights", "value_error"),
    ])
    func fusionsThatAreNone(_ given: String, _ place: String, _ kind: String) async throws {
        let harness = try Harness()
        let answer = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"q",\#(given)}"#)
        #expect(answer.status == 422, "\(answer.text)")
        let faults = try #require(try answer.json["detail"]?.arrayValue)
        #expect(faults.contains { JSONPrinter.text($0["loc"] ?? .null).contains(place) && $0["type"]?.stringValue == kind }, "\(answer.text)")
        await harness.close()
    }

    /// Numbers and booleans may come as text, `since` may be anything.
    @Test func laxNumbers() async throws {
        let harness = try Harness()
        for i in 1...4 {
            _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p","data_key":"k\#(i)","data":{"word":"common"}}"#)
        }
        for (field, count) in [(#""2""#, 2), ("2.0", 2), (#"" 3 ""#, 3), ("true", 1), (#""0_1""#, 1), ("2e0", 2)] {
            let answer = await harness.send("POST", "/api/v1/projects/p/query", #"{"query":"common","top_k":\#(field),"threshold":"0","max_results":9}"#)
            #expect(try answer.json["total_matches"]?.integerValue == count, "\(answer.text)")
        }
        for (since, count) in [("2", 2), ("0", 4), ("yesterday", 4), ("-3", 4), ("", 4), ("%203%20", 1), ("99999999999999999999999", 0), ("1_0", 0)] {
            let answer = await harness.send("GET", "/api/v1/projects/p/events?since=\(since)")
            #expect(try answer.json["count"]?.integerValue == count, "\(since)")
        }
        #expect(try await harness.send("GET", "/api/v1/projects/p/events?count=99999999999999999999999").json["count"]?.integerValue == 4)
        #expect(try await harness.send("GET", "/api/v1/projects/p/data?include_content=Off").json["count"]?.integerValue == 4)
        await harness.close()
    }
}
