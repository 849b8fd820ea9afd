import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import TestSupport
import Testing

/// The page that tries the server, and what it asks for.
@Suite(.serialized) struct SandboxTests {
    private static let form = [(name: "Content-Type", value: "application/x-www-form-urlencoded; charset=utf-8")]

    private static func publish(_ harness: Harness, _ key: String, _ data: String, key apiKey: String? = nil) async {
        _ = await harness.send("POST", "/api/v1/data/publish", #"{"project_id":"p & q","data_key":"\#(key)","data":\#(data)}"#, key: apiKey)
    }

    @Test func thePageLoadsNothingFromElsewhere() async throws {
        let harness = try Harness()
        let page = await harness.send("GET", "/sandbox/")
        #expect(page.status == 200 && page.header("Content-Type") == "text/html; charset=utf-8" && page.text.contains("<h1>Contex</h1>"))
        #expect(page.header("Content-Security-Policy")?.hasPrefix("default-src 'self'") == true)
        // Scripts and styles are files of this server: the policy allows no others.
        #expect(!page.text.contains("<style") && !page.text.contains("<script>") && !page.text.contains(" style=") && !page.text.contains("//"))
        var loaded = 0
        for piece in page.text.split(separator: "\"") where piece.hasPrefix("/static/") {
            let file = await harness.send("GET", String(piece))
            #expect(file.status == 200 && !file.text.isEmpty)
            #expect(file.header("Content-Type") == (piece.hasSuffix(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8"))
            loaded += 1
        }
        #expect(loaded == 2)
        #expect(await harness.send("GET", "/static/css/other.css").status == 404)
        await harness.close()
    }

    @Test func aFormAsksAndAPieceOfPageAnswers() async throws {
        let harness = try Harness()
        await Self.publish(harness, "tech", #"{"db":"PostgreSQL <b>16</b> & \"more\""}"#)
        let filled = "project_id=p+%26+q&query=which+db+%3Cscript%3E&top_k=&threshold=0&max_tokens=2000"
        let found = await harness.send("POST", "/sandbox/query", filled, headers: Self.form)
        #expect(found.status == 200 && found.header("Content-Type") == "text/html; charset=utf-8", "\(found.text)")
        #expect(found.text.contains("Results for &quot;which db &lt;script&gt;&quot;") && found.text.contains("1 match, "))
        #expect(found.text.contains("<h3>tech.root <span class=\"score\">") && found.text.contains("TOON") && found.text.contains("JSON"))
        #expect(found.text.contains("PostgreSQL &lt;b&gt;16&lt;/b&gt; &amp; ") && !found.text.contains("<b>") && !found.text.contains("<script"))
        let nothing = await harness.send("POST", "/sandbox/query", #"{"project_id":"nowhere","query":"which db"}"#)
        #expect(nothing.status == 200 && nothing.text.contains("No matches found"))

        let refused: [(body: String, status: Int, place: String)] = [
            ("project_id=p&query=", 422, "query"), ("query=x", 422, "project_id"), ("project_id=p&query=x&top_k=51", 422, "top_k"),
            ("project_id=p&query=x&threshold=2", 422, "threshold"), ("project_id=p&query=x&max_tokens=many", 422, "max_tokens"),
            (String(repeating: "a=b&", count: 200), 400, "more than 100 fields"), ("a=" + String(repeating: "b", count: 600 << 10), 413, "too large"),
        ]
        for (body, status, place) in refused {
            let answer = await harness.send("POST", "/sandbox/query", body, headers: Self.form)
            #expect(answer.status == status && answer.text.contains(place), "\(body.prefix(60)): \(answer.text)")
        }
        let plain = await harness.send("POST", "/sandbox/query", "project_id=p&query=x", headers: [("Content-Type", "text/plain")])
        #expect(plain.status == 415)
        // A form is taken where nothing is changed, and nowhere else.
        #expect(await harness.send("POST", "/api/v1/data/publish", "project_id=p&data_key=k&data=x", headers: Self.form).status == 415)
        await harness.close()
    }

    @Test func whatAProjectHas() async throws {
        let harness = try Harness()
        await Self.publish(harness, "tech", #"{"db":"PostgreSQL","cache":{"kind":"Redis"}}"#)
        await Self.publish(harness, "<style>", #""plain words""#)
        let data = try await harness.send("GET", "/sandbox/projects/p%20%26%20q/data").json
        #expect(
            try data == JSONParser.parse(
                text: #"""
                    {"data":[{"data_key":"<style>","description":"<style> (text)","data":"plain words"},
                    {"data_key":"tech","description":"tech (json)","data":{"db":"PostgreSQL","cache":{"kind":"Redis"}}}]}
                    """#))
        #expect(try await harness.send("GET", "/sandbox/projects/nowhere/data").json == ["data": .array([])])
        let stats = await harness.send("GET", "/sandbox/projects/p%20%26%20q/stats")
        #expect(stats.status == 200 && stats.text.contains("2 keys, ") && stats.text.contains("<td>tech</td>") && stats.text.contains("<td>&lt;style&gt;</td>"))
        #expect(await harness.send("GET", "/sandbox/projects/nowhere/stats").text.contains("0 keys, 0 tokens"))
        await harness.close()
    }

    @Test func whoSubscribesIsAnAgentForAsLong() async throws {
        let harness = try Harness()
        await Self.publish(harness, "first", #"{"t":"zebra crossing"}"#)
        func open(_ session: String, _ needs: String = #"["zebra crossing"]"#) async -> APIAnswer {
            let target = "/sandbox/subscribe?project_id=p%20%26%20q&session_id=\(session)&data_needs=\(needs.utf8.map { "%" + String($0, radix: 16) }.joined())"
            return await harness.handler.answer(APIRequest(method: "GET", target: target, headers: [("Host", "localhost")]), body: [])
        }
        func agents() async throws -> [JSONValue]? { try await harness.send("GET", "/api/v1/agents").json["agents"]?.arrayValue }
        do {
            let answer = await open("s1")
            #expect(answer.status == 200 && answer.header("Content-Type") == "text/event-stream")
            #expect(answer.header("X-Accel-Buffering") == "no" && answer.header("Cache-Control") == "no-cache")
            guard case .stream(let stream) = answer.content else { throw ContexError(.bug, "no stream") }
            let pieces = stream.makeAsyncIterator()
            let first = String(decoding: try #require(try await pieces.next()), as: UTF8.self)
            #expect(first.contains(#"data: {"type":"initial_context","message":"Subscribed to p & q","matched_needs":{"zebra crossing":1}}"# + "\n\n"))
            #expect(try await agents() == ["s1"])
            await Self.publish(harness, "second", #"{"t":"zebra crossing again"}"#)
            var told = ""
            while !told.contains("data: ") { told += String(decoding: try #require(try await pieces.next()), as: UTF8.self) }
            #expect(told.contains(#"data: {"type":"data_update","data_key":"second","sequence":"2","data":{"t":"zebra crossing again"}}"#))
            // An agent that is there already is somebody's, and would end with the visit.
            let taken = await open("s1")
            #expect(taken.status == 409 && taken.header("X-Contex-Error") == "conflict")
            #expect(try await agents() == ["s1"])
        }
        // Nobody holds the stream any more.
        for _ in 0..<500 where try await agents() != [] { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try await agents() == [])
        for needs in ["x", #"{"a":1}"#, "[1]", "[\"\(String(repeating: "n", count: Limits.queryScalars + 1))\"]"] {
            let text = needs.prefix(7_000).replacing("\"", with: "%22")
            let answer = await harness.send("GET", "/sandbox/subscribe?project_id=p&session_id=s&data_needs=" + text)
            #expect(answer.status == 422 && answer.text.contains("data_needs"), "\(needs.prefix(20)): \(answer.text)")
        }
        #expect(try await agents() == [])
        await harness.close()
    }

    /// The original shows every project to everybody (BUG-19).
    @Test func withAuthenticationOnlyThePageIsPublic() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        await Self.publish(harness, "tech", #"{"db":"PostgreSQL"}"#, key: root)
        #expect(await harness.send("GET", "/sandbox/").status == 200)
        #expect(await harness.send("GET", "/static/css/style.css").status == 200)
        for (method, target) in [
            ("POST", "/sandbox/query"), ("GET", "/sandbox/projects/p%20%26%20q/stats"), ("GET", "/sandbox/projects/p%20%26%20q/data"),
            ("GET", "/sandbox/subscribe?project_id=p&session_id=s&data_needs=%5B%22x%22%5D"),
        ] {
            let body = method == "POST" ? "project_id=p+%26+q&query=db" : nil
            #expect(await harness.send(method, target, body, headers: body == nil ? [] : Self.form).status == 401, "\(target)")
            #expect(await harness.send(method, target, body, key: root, headers: body == nil ? [] : Self.form).status == 200, "\(target)")
        }
        // A consumer may be an agent and may remove none: its visit ends all the same.
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=reader", key: root).json
        let (id, key) = (try #require(created["key_id"]?.stringValue), try #require(created["key"]?.stringValue))
        #expect(await harness.send("POST", "/api/v1/auth/roles?key_id=\(id)&role=consumer", "[]", key: root).status == 200)
        #expect(await harness.send("GET", "/sandbox/subscribe?project_id=p&session_id=mine&data_needs=%5B%22x%22%5D", key: key).status == 200)
        func count() async throws -> Int? { try await harness.send("GET", "/api/v1/agents", key: root).json["count"]?.integerValue }
        for _ in 0..<500 where try await count() != 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try await count() == 0)
        await harness.close()
    }
}
