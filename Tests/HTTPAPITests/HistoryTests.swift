import Base
import Content
import Engine
import Foundation
import HTTPAPI
import TestSupport
import Testing

@Suite("Signs in queries, settings and the past over HTTP")
struct HistoryTests {
    private func publish(_ harness: Harness, _ key: String, _ data: String) async throws {
        let answer = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"app","data_key":"\#(key)","data":\#(data)}"#)
        #expect(answer.status == 200, "\(answer.text)")
    }

    private func query(_ harness: Harness, _ text: String, _ more: String = "") async -> APIAnswer {
        let body = JSONPrinter.text(["query": .string(text), "threshold": .integer(0), "response_format": "json"])
        return await harness.send("POST", "/api/v1/projects/app/query", String(body.dropLast()) + more + "}")
    }

    private func keys(_ answer: APIAnswer) throws -> [String] {
        #expect(answer.status == 200, "\(answer.text)")
        return (try answer.json["matches"]?.arrayValue ?? []).compactMap { $0["data_key"]?.stringValue }.sorted()
    }

    @Test func thePast() async throws {
        let harness = try Harness()
        try await publish(harness, "a", #"{"note":"disk space"}"#)
        try await publish(harness, "b", #"{"note":"free space"}"#)
        try await publish(harness, "a", #"{"note":"network"}"#)
        #expect(await harness.send("DELETE", "/api/v1/projects/app/data/b").status == 200)

        for moment in ["2", #""2""#] { #expect(try keys(await query(harness, "space", #","as_of":\#(moment)"#)) == ["a.root", "b.root"]) }
        #expect(try keys(await query(harness, "space -\"free\"", #","as_of":2"#)) == ["a.root"])
        #expect(try keys(await query(harness, "space", #","as_of":0"#)) == [])
        #expect(try keys(await query(harness, "space", #","as_of":null"#)) == ["a.root"])
        #expect(try keys(await query(harness, "space", #","as_of":4"#)) == ["a.root"])
        let now = SystemClock().now().iso8601
        #expect(try keys(await query(harness, "space", #","as_of":"\#(now)""#)) == ["a.root"])
        #expect(try keys(await query(harness, "space", #","as_of":"2001-01-01""#)) == [])

        let data = "/api/v1/projects/app/data"
        let listed = try await harness.send("GET", data + "?as_of=2").json
        #expect(listed.arrayValue?.map { $0["description"] } == ["root | note: disk space", "root | note: free space"])
        #expect(await harness.send("GET", data + "?as_of=3&include_content=false").text == #"{"project_id":"app","data_keys":["a","b"],"count":2}"#)
        #expect(await harness.send("GET", data + "?as_of=0").text == "[]")
        // The plus of an offset, encoded and as it comes through a form.
        for time in [now.replacing("+", with: "%2B"), now] { #expect(await harness.send("GET", data + "?as_of=\(time)").status == 200, "\(time)") }
        let held = try await harness.send("GET", data + "/a?as_of=1").json
        #expect(held.objectValue?.keys == ["project_id", "data_key", "sequence", "timestamp", "data", "data_format", "nodes"])
        #expect(held["data"] == ["note": "disk space"] && held["sequence"] == "1")
        #expect(try await harness.send("GET", data + "/a").json["data"] == ["note": "network"])
        #expect(await harness.send("GET", data + "/b").status == 404)
        #expect(try await harness.send("GET", data + "/b?as_of=3").json["data"] == ["note": "free space"])
        await harness.close()
    }

    @Test func momentsThatAreRefused() async throws {
        let harness = try Harness()
        try await publish(harness, "a", #"{"note":"disk space"}"#)
        let wrong = ["yesterday", "-1", "1.5", "2026-13-01", "2026-02-30T00:00:00Z", "", "2", "99999999999999999999999", "2999-01-01T00:00:00Z"]
        for moment in wrong {
            let value = JSONPrinter.text(.string(moment))
            let answer = await query(harness, "space", #","as_of":\#(value)"#)
            #expect(answer.status == 422, "\(moment): \(answer.text)")
            #expect(try answer.json["detail"]?.arrayValue?.first?["loc"] == .array(["body", "as_of"]))
            for target in ["/api/v1/projects/app/data?as_of=", "/api/v1/projects/app/data/a?as_of="] {
                let answer = await harness.send("GET", target + moment)
                #expect(answer.status == 422, "\(moment): \(answer.text)")
                #expect(try answer.json["detail"]?.arrayValue?.first?["loc"] == .array(["query", "as_of"]))
            }
        }
        for value in ["true", "[]", "{}", "1.5"] { #expect(await query(harness, "space", #","as_of":\#(value)"#).status == 422, "\(value)") }
        let export = await harness.send("GET", "/api/v1/projects/app/data?as_of=1&include_events=true")
        #expect(export.status == 422 && export.text.contains("as_of"))
        await harness.close()
    }

    @Test func aPastOfTooManyNodes() async throws {
        let harness = try Harness()
        let rows = JSONPrinter.text(.array((0..<11_000).map { ["i": .integer($0)] }))
        for key in ["a", "b"] { try await publish(harness, key, rows) }
        try await publish(harness, "c", #"{"note":"disk"}"#)
        let answer = await query(harness, "disk", #","as_of":2"#)
        #expect(answer.status == 413 && answer.text.contains("as_of") && answer.text.contains("20000"), "\(answer.text)")
        // A listing goes piece by piece.
        #expect(await harness.send("GET", "/api/v1/projects/app/data?as_of=2&limit=2").status == 200)
        #expect(await harness.send("GET", "/api/v1/projects/app/data/a?as_of=2").status == 200)
        await harness.close()
    }

    @Test func settings() async throws {
        let harness = try Harness()
        let place = "/api/v1/projects/app/settings"
        #expect(await harness.send("GET", place).status == 404)
        try await publish(harness, "a", #"{"note":"the cats"}"#)
        #expect(await harness.send("GET", place).text == #"{"project_id":"app","analyzer":"english","analyzer_version":2}"#)
        #expect(try keys(await query(harness, "cat", #","mode":"keyword""#)) == ["a.root"])
        #expect(await harness.send("PUT", place, #"{"analyzer":"code"}"#).text
            == #"{"project_id":"app","analyzer":"code","analyzer_version":2,"nodes_reindexed":1}"#)
        #expect(await harness.send("GET", place).text == #"{"project_id":"app","analyzer":"code","analyzer_version":2}"#)
        #expect(try keys(await query(harness, "cat", #","mode":"keyword""#)) == [])
        #expect(try keys(await query(harness, "the", #","mode":"keyword""#)) == ["a.root"])
        for (body, kind) in [(#"{"analyzer":"klingon"}"#, "enum"), ("{}", "missing"), (#"{"analyzer":null}"#, "enum"), (#"{"analyzer":7}"#, "enum")] {
            let refused = await harness.send("PUT", place, body)
            #expect(refused.status == 422, "\(body)")
            let detail = try refused.json["detail"]?.arrayValue?.first
            #expect(detail?["loc"] == .array(["body", "analyzer"]) && detail?["type"] == .string(kind), "\(body)")
        }
        #expect(await harness.send("GET", place).text.contains("code"))
        await harness.close()
    }

    /// Whatever comes as a query: refused with its place and reason, or an answer.
    @Test(.timeLimit(.minutes(5))) func anyQueryHasAnAnswer() async throws {
        let harness = try Harness()
        for number in 0..<50 { try await publish(harness, "k\(number)", #"{"note":"disk space config\#(number) of a server"}"#) }
        let tooLong = [
            String(repeating: "disk ", count: 200_000), (0..<10_000).map { "word\($0)" }.joined(separator: " "), String(repeating: "x", count: 100_000),
            String(repeating: "\u{301}", count: 40_000), String(repeating: "+", count: 1 << 20),
        ]
        for text in tooLong {
            let answer = await query(harness, text)
            let detail = try answer.json["detail"]?.arrayValue?.first
            #expect(answer.status == 422 && detail?["type"] == "string_too_long" && detail?["loc"] == .array(["body", "query"]))
            #expect(detail?["ctx"]?["max_length"]?.integerValue == Limits.queryScalars)
        }
        let letters = (0..<26).map { String(UnicodeScalar(UInt8(97 + $0))) }
        let texts = [
            (0..<10_000).map { letters[$0 % 26] + "\($0 / 26 % 10)" }.joined(separator: " "), String(repeating: "x", count: 32_768), "the of a", "the",
            "+", "-", "\"", "*", ":", "+ - \" *", "!?", "\"\"", "-\"", letters.map { $0 + "*" }.joined(separator: " "), "a*", "-a*", "+z*",
            String(repeating: "a* ", count: 10_000), String(repeating: "-a* ", count: 8_000), String(repeating: "+w ", count: 10_000),
            String(repeating: "\"a b\" ", count: 5_000), String(repeating: "-\"a server\" ", count: 2_700), String(repeating: "data_key:k* ", count: 2_700),
            "אבג מרחבא \u{202E}disk\u{202C} שלום", "مساحة القرص +خادم", String(repeating: "e\u{301}\u{327}", count: 10_000), "disk\u{200D}space \u{FEFF}",
            String(repeating: "数", count: 32_000), "𝔡𝔦𝔰𝔨 ⅷ ﬁ ǅ", "👩‍👩‍👧‍👦 +👍", "data_key:", ":x", "data_key:\"", "http://x.org/a?b=c", "C++ a - b --help",
        ]
        for text in texts {
            for mode in ["hybrid", "semantic", "keyword"] {
                let answer = await query(harness, text, #","mode":"\#(mode)""#)
                #expect(answer.status == 200, "\(text.prefix(40)) \(mode): \(answer.text.prefix(300))")
                let past = await query(harness, text, #","mode":"\#(mode)","as_of":20"#)
                #expect(past.status == 200, "\(text.prefix(40)) \(mode): \(past.text.prefix(300))")
            }
        }
        // What only excludes, and what only stops.
        #expect(try keys(await query(harness, "-\"config7\"", #","top_k":50"#)).count == 49)
        #expect(try keys(await query(harness, "the of a", #","mode":"keyword""#)) == [])
        #expect(try keys(await query(harness, "!?", #","mode":"keyword""#)) == [])
        #expect(try keys(await query(harness, "+config7")) == ["k7.root"])
        #expect(await query(harness, "").status == 422)
        await harness.close()
    }
}
