import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import TestSupport
import Testing

/// Long poll and event streams, by their routes and by sockets.
@Suite(.serialized) struct FeedRouteTests {
    private static let register = #"{"agent_id":"a","project_id":"p","data_needs":["zebra crossing"]}"#
    private static func publish(_ key: String, _ text: String = "zebra crossing") -> String {
        #"{"project_id":"p","data_key":"\#(key)","data":{"t":"\#(text)"}}"#
    }

    private static func prepared(_ harness: Harness, publishes: Int = 3) async {
        _ = await harness.send("POST", "/api/v1/agents/register", register)
        for n in 0..<publishes { _ = await harness.send("POST", "/api/v1/data/publish", publish("k\(n + 1)")) }
    }

    @Test func aLongPollAnswersWithUpdatesAndItsCursorAcknowledges() async throws {
        let harness = try Harness()
        await Self.prepared(harness)
        let first = try await harness.send("GET", "/api/v1/agents/a/updates?cursor=&limit=2").json
        #expect(first.objectValue?.keys == ["updates", "cursor"] && first["cursor"] == "0-2")
        let updates = try #require(first["updates"]?.arrayValue)
        #expect(updates.map { $0["sequence"] } == ["1", "2"])
        let whole = #"""
            {"type":"data_update","sequence":"1","data_key":"k1","format":"json","data":{"t":"zebra crossing"},"cursor":"0-1",
            "reason":"first_match","need":"zebra crossing","needs":["zebra crossing"],"published_by":null,"own":null}
            """#
        #expect(try updates[0] == JSONParser.parse(text: whole))
        // Asked for again it comes again: nobody has said that it has arrived.
        #expect(try await harness.send("GET", "/api/v1/agents/a/updates?limit=2").json == first)
        let rest = try await harness.send("GET", "/api/v1/projects/p/agents/a/updates?cursor=0-2").json
        #expect(rest["updates"]?.arrayValue?.map { $0["data_key"] } == ["k3"] && rest["cursor"] == "0-3")
        #expect(try await harness.send("GET", "/api/v1/agents/a/inbox").json["entries"]?.arrayValue?.map { $0["cursor"] } == ["0-3"])
        _ = await harness.send("DELETE", "/api/v1/projects/p/data/k1")
        let deletion = try await harness.send("GET", "/api/v1/agents/a/updates?cursor=0-3").json["updates"]?.arrayValue?.first
        #expect(deletion?["type"] == "data_deleted" && deletion?["reason"] == "deletion" && deletion?["need"] == .null && deletion?["data"] == nil)

        for (query, status, code) in [
            ("cursor=0-99", 422, "cursor_invalid"), ("cursor=7-1", 409, "cursor_stale"), ("cursor=x", 422, "cursor_invalid"),
            ("timeout=61", 422, "invalid_request"), ("limit=0", 422, "invalid_request"),
        ] {
            let answer = await harness.send("GET", "/api/v1/agents/a/updates?\(query)")
            #expect(answer.status == status && answer.header("X-Contex-Error") == code, "\(query): \(answer.text)")
        }
        #expect(try await harness.send("GET", "/api/v1/agents/a/updates?cursor=7-1").json["oldest_cursor"] == "0-0")
        let beyond = try await harness.send("GET", "/api/v1/agents/a/updates?cursor=0-99").json["detail"]?.arrayValue?.first
        #expect(beyond?["ctx"]?["oldest_cursor"] == "0-0" && beyond?["loc"]?.arrayValue == ["query", "cursor"])
        #expect(await harness.send("GET", "/api/v1/agents/b/updates").status == 404)
        // Old ones go: whoever had not read them hears what works.
        _ = try await harness.database.expireInboxes(.standard, days: -1)
        let expired = await harness.send("GET", "/api/v1/agents/a/updates?cursor=0-2")
        #expect(expired.status == 410 && expired.header("X-Contex-Error") == "cursor_expired")
        #expect(try expired.json["oldest_cursor"] == "0-4")
        #expect(await harness.send("GET", "/api/v1/agents/a/updates?cursor=0-4&timeout=0").text == #"{"updates":[],"cursor":"0-4"}"#)

        // The answer waits, and comes when something does.
        async let waiting = harness.send("GET", "/api/v1/agents/a/updates?cursor=0-4&timeout=60")
        try await Task.sleep(for: .milliseconds(50))
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish("k9"))
        #expect(try await waiting.json["updates"]?.arrayValue?.map { $0["data_key"] } == ["k9"])
        await harness.close()
    }

    @Test func aStreamBeginsWithWhatThereIs() async throws {
        let harness = try Harness()
        await Self.prepared(harness)
        let stream = await harness.send("GET", "/api/v1/agents/a/stream?cursor=0-1")
        #expect(stream.header("Content-Type") == "text/event-stream" && stream.header("Cache-Control") == "no-store")
        let events = stream.text.components(separatedBy: "\n\n")
        #expect(events.first == "retry: 2000\nid: 0-1" && events.count == 4 && events.last == "")
        #expect(events[1].hasPrefix("id: 0-2\ndata: {\"type\":\"data_update\",\"sequence\":\"2\",") && !events[1].dropFirst(8).contains("\n\n"))
        // Where a browser is by now counts more than the address that it had.
        let resumed = await harness.send("GET", "/api/v1/agents/a/stream?cursor=0-1", headers: [("Last-Event-ID", "0-2")])
        #expect(resumed.text.hasPrefix("retry: 2000\nid: 0-2\n\nid: 0-3\ndata: "))
        // A project's begins with what comes, or after its cursor.
        #expect(await harness.send("GET", "/api/v1/projects/p/stream").text == "retry: 2000\nid: 0-3\n\n")
        let log = await harness.send("GET", "/api/v1/projects/p/stream?cursor=0-2").text
        let event = #"{"sequence":"3","event_type":"k3_updated","data_key":"k3","data":{"t":"zebra crossing"},"published_by":null}"#
        #expect(log == "retry: 2000\nid: 0-2\n\nid: 0-3\ndata: \(event)\n\n")
        #expect(await harness.send("GET", "/api/v1/projects/nowhere/stream").text == "retry: 2000\nid: 0-0\n\n")
        for (target, header, status) in [
            ("/agents/a/stream?cursor=1-1", "", 409), ("/projects/p/stream?cursor=0-4", "", 422), ("/projects/p/stream", "zzz", 422),
            ("/agents/nobody/stream", "", 404),
        ] {
            let answer = await harness.send("GET", "/api/v1\(target)", headers: header.isEmpty ? [] : [("Last-Event-ID", header)])
            #expect(answer.status == status, "\(target): \(answer.text)")
        }
        await harness.close()
    }

    /// The text of a stream without the marks of its pieces.
    private static func text(_ raw: String) -> String {
        var rest = raw[(raw.firstRange(of: "\r\n\r\n")?.upperBound ?? raw.startIndex)...]
        var text = ""
        while let line = rest.firstRange(of: "\r\n"), let count = Int(rest[..<line.lowerBound], radix: 16), count > 0 {
            let piece = rest[line.upperBound...].utf8.prefix(count)
            text += String(piece) ?? ""
            rest = rest[piece.endIndex...].dropFirst()
        }
        return text
    }

    private static func ask(_ connection: RawConnection, _ method: String, _ path: String, _ body: String = "") -> String? {
        let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
        connection.send("\(method) /api/v1\(path) HTTP/1.1\r\n\(head)\r\n\(body)")
        return connection.answer()
    }

    /// The server works on two requests at a time here, and bears four streams: they take no place of a request, and leave theirs when they end.
    @Test func streamsTakeNoPlaceOfARequest() async throws {
        let harness = try Harness()
        await Self.prepared(harness)
        try await harness.serve({ configuration in
            configuration.requestsMax = 2
            configuration.streams.readersPerPartyMax = 4
            configuration.streamComment = .milliseconds(200)
        }) { port in
            var streams = try (0..<4).map { _ in try RawConnection(port: port) }
            for (place, stream) in streams.enumerated() {
                stream.send("GET /api/v1/\(place < 2 ? "agents/a" : "projects/p")/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(stream.read { $0.contains("id: 0-") }?.hasPrefix("HTTP/1.1 200") == true)
            }
            let worker = try RawConnection(port: port)
            let fifth = Self.ask(worker, "GET", "/projects/p/stream") ?? ""
            #expect(fifth.hasPrefix("HTTP/1.1 429") && fifth.contains("4 connections"), "\(fifth)")
            for n in 0..<10 { #expect(Self.ask(worker, "POST", "/data/publish", Self.publish("new\(n)"))?.hasPrefix("HTTP/1.1 200") == true) }
            for stream in streams {
                let heard = Self.text("\r\n\r\n" + (stream.read { $0.contains("new9") } ?? ""))
                let ids = heard.split(separator: "\n").filter { $0.hasPrefix("id: ") }.map(String.init)
                #expect(ids.suffix(10) == (4...13).map { "id: 0-\($0)" }, "\(heard)")
                // Nothing to say is said.
                #expect(stream.read { $0.contains(":\n\n") } != nil)
            }
            // Who leaves makes room.
            streams.removeFirst()
            var begun = false
            for _ in 0..<200 where !begun {
                let next = try RawConnection(port: port)
                next.send("GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                begun = next.read { $0.contains("\r\n\r\n") }?.hasPrefix("HTTP/1.1 200") == true
                usleep(20_000)
            }
            #expect(begun)
        }
        // All of it is given back.
        #expect(harness.operations.memory.working.held == 0)
    }

    /// A stream that cannot go on says why, and ends; one of a server that stops ends.
    @Test func aStreamEndsWithAWord() async throws {
        let harness = try Harness()
        await Self.prepared(harness)
        try await harness.serve { port in
            let (agent, log) = (try RawConnection(port: port), try RawConnection(port: port))
            agent.send("GET /api/v1/agents/a/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            log.send("GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for stream in [agent, log] { #expect(stream.read { $0.contains("id: 0-") } != nil) }
            let worker = try RawConnection(port: port)
            let document = #"{"project_id":"p","data":{"events":[{"event_id":"1","data":{"k":1}}]}}"#
            #expect(Self.ask(worker, "POST", "/projects/p/import?overwrite=true", document)?.hasPrefix("HTTP/1.1 200") == true)
            for stream in [agent, log] {
                let end = stream.read { $0.hasSuffix("\r\n0\r\n\r\n") } ?? ""
                #expect(end.contains("event: refused\ndata: {\"code\":\"cursor_stale\",") && end.contains(#""oldest_cursor":"1-0"}"#), "\(end)")
            }
            // The connection is as good as any.
            #expect(Self.ask(log, "GET", "/projects")?.hasPrefix("HTTP/1.1 200") == true)
            log.send("GET /api/v1/projects/p/stream?cursor=1-0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(log.read { $0.contains("id: 1-1") } != nil)
            harness.operations.endWaits()
            #expect(log.read { $0.hasSuffix("0\r\n\r\n") } != nil)
        }
    }

    /// Who does not read is cut when more waits for him than he may have waiting; the others hear everything.
    @Test func aSlowReaderIsCut() async throws {
        let harness = try Harness()
        try await harness.serve({ configuration in
            configuration.streams.unsentBytesPerPartyMax = 1 << 20
            configuration.idleTimeout = .seconds(30)
        }) { port in
            let worker = try RawConnection(port: port)
            let slow = try (0..<6).map { _ in try RawConnection(port: port, receiveBytes: 4_096) }
            let keen = try RawConnection(port: port)
            for stream in slow + [keen] {
                stream.send("GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(stream.read { $0.contains("id: 0-") } != nil)
            }
            let text = String(repeating: "word ", count: 50_000)
            let all = 40 * text.utf8.count
            let reading = Task.detached { keen.readBytes { $0.count > all } }
            for n in 1...40 { #expect(Self.ask(worker, "POST", "/data/publish", Self.publish("k\(n)", text))?.hasPrefix("HTTP/1.1 200") == true) }
            let done = DispatchSemaphore(value: 0)
            Task.detached {
                #expect(await reading.value?.count ?? 0 > all)
                done.signal()
            }
            #expect(done.wait(timeout: .now() + 60) == .success)
            // More than four pieces of a quarter of a megabyte do not wait for one address: some of the six are gone.
            let gone = slow.count { stream in stream.readBytes { $0.count > all }?.count ?? 0 <= all }
            #expect(gone >= 1 && gone < 6, "\(gone) of 6")
        }
    }

    /// The key is looked at again before each page.
    @Test func aRevokedKeyHearsNoMore() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=follower", key: root).json
        let (id, key) = try (#require(created["key_id"]?.stringValue), #require(created["key"]?.stringValue))
        try await harness.serve { port in
            let stream = try RawConnection(port: port)
            stream.send("GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \(key)\r\n\r\n")
            #expect(stream.read { $0.contains("id: 0-0") } != nil)
            let worker = try RawConnection(port: port)
            func ask(_ method: String, _ path: String, _ body: String = "") -> String? {
                let head = "Host: localhost\r\nX-API-Key: \(root)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                worker.send("\(method) /api/v1\(path) HTTP/1.1\r\n\(head)\r\n\(body)")
                return worker.answer()
            }
            // Others of the address have guessed: what became of the key is told all the same.
            let guesser = try RawConnection(port: port)
            for n in 0..<40 {
                guesser.send("GET /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nX-API-Key: guess\(n)\r\n\r\n")
                let answer = guesser.answer() ?? ""
                #expect(answer.hasPrefix("HTTP/1.1 \(n == 39 ? "429" : "4")"), "\(answer)")
            }
            #expect(ask("DELETE", "/auth/keys/\(id)")?.hasPrefix("HTTP/1.1 200") == true)
            #expect(ask("POST", "/data/publish", Self.publish("secret"))?.hasPrefix("HTTP/1.1 200") == true)
            let end = stream.read { $0.hasSuffix("\r\n0\r\n\r\n") } ?? ""
            #expect(end.contains("event: refused") && end.contains("key_unknown") && !end.contains("secret"), "\(end)")
            #expect(harness.operations.failedLogins == 40)
        }
    }
}
