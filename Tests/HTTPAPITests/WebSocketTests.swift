import Access
import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import TestSupport
import Testing

/// The subprotocol contex.v1, frame by frame. A client that is not ours speaks it in Tests/Conformance/test_streams.py.
@Suite(.serialized) struct WebSocketTests {
    private static let register = #"{"agent_id":"a","project_id":"p","data_needs":["zebra crossing"]}"#
    private static func publish(_ key: String) -> String { #"{"project_id":"p","data_key":"\#(key)","data":{"t":"zebra crossing"}}"# }

    /// A client of one socket.
    private final class Client {
        struct Frame: Equatable {
            let opcode: UInt8
            let bytes: [UInt8]
        }
        static let opening =
            "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, contex.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        let connection: RawConnection
        let head: String
        private var bytes: [UInt8] = []

        init(port: Int, more: String = "") throws {
            connection = try RawConnection(port: port)
            connection.send(Self.opening + more + "\r\n")
            head = connection.read { $0.hasSuffix("\r\n\r\n") } ?? ""
        }

        func send(_ payload: [UInt8], opcode: UInt8 = 1, isFinal: Bool = true, isMasked: Bool = true) {
            let mask: [UInt8] = [1, 2, 3, 4]
            var frame = [(isFinal ? 0x80 : 0) | opcode]
            let flag: UInt8 = isMasked ? 0x80 : 0
            switch payload.count {
            case ..<126: frame.append(flag | UInt8(payload.count))
            case ..<65_536: frame += [flag | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
            default: frame += [flag | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
            }
            if isMasked { frame += mask }
            frame += isMasked ? payload.enumerated().map { $0.element ^ mask[$0.offset % 4] } : payload
            connection.send(frame)
        }
        func send(_ text: String) { send(Array(text.utf8)) }

        /// The next frame; nil at the end.
        func next() -> Frame? {
            func parsed() -> Frame? {
                guard bytes.count >= 2 else { return nil }
                var (count, start) = (Int(bytes[1] & 0x7F), 2)
                if count > 125 {
                    let width = count == 126 ? 2 : 8
                    guard bytes.count >= 2 + width else { return nil }
                    count = bytes[2..<2 + width].reduce(0) { $0 << 8 | Int($1) }
                    start += width
                }
                guard bytes.count >= start + count else { return nil }
                defer { bytes.removeFirst(start + count) }
                return Frame(opcode: bytes[0] & 0x0F, bytes: Array(bytes[start..<start + count]))
            }
            while true {
                if let frame = parsed() { return frame }
                guard let more = connection.readBytes(until: { _ in true }) else { return nil }
                bytes += more
            }
        }

        /// The next message, pings passed over.
        func message() -> JSONValue? {
            while let frame = next() {
                if frame.opcode == 1 { return try? JSONParser.parse(frame.bytes) }
                if frame.opcode != 9 { return nil }
            }
            return nil
        }

        /// The code that the server closes with.
        func closing() -> Int? {
            while let frame = next() { if frame.opcode == 8 { return frame.bytes.count < 2 ? 0 : Int(frame.bytes[0]) << 8 | Int(frame.bytes[1]) } }
            return nil
        }
    }

    @Test func subscriptionsUpdatesAndAcknowledgements() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/agents/register", Self.register)
        for n in 1...3 { _ = await harness.send("POST", "/api/v1/data/publish", Self.publish("k\(n)")) }
        try await harness.serve({ $0.requestsMax = 1 }) { port in
            let client = try Client(port: port)
            #expect(client.head.hasPrefix("HTTP/1.1 101 "))
            for line in ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: contex.v1", "Upgrade: websocket"] {
                #expect(client.head.contains(line + "\r\n"), "\(client.head)")
            }
            client.send(#"{"type":"subscribe","id":"s","agent_id":"a","cursor":"0-1"}"#)
            #expect(client.message() == ["type": "subscribed", "id": "s", "cursor": "0-1"])
            for n in 2...3 {
                let update = client.message()
                #expect(update?["type"] == "update" && update?["id"] == "s" && update?["cursor"] == .string("0-\(n)"))
                #expect(update?["update"]?["data_key"] == .string("k\(n)") && update?["update"]?["need"] == "zebra crossing")
            }
            client.send(#"{"type":"ack","id":"s","cursor":"0-3"}"#)
            #expect(client.message() == ["type": "acked", "id": "s", "cursor": "0-3", "removed": .integer(3)])
            client.send(#"{"type":"subscribe","id":"log","project_id":"p"}"#)
            #expect(client.message() == ["type": "subscribed", "id": "log", "cursor": "0-3"])
            // The only place of a request is free.
            let worker = try RawConnection(port: port)
            let body = Self.publish("k4")
            let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)"
            worker.send("POST /api/v1/data/publish HTTP/1.1\r\n\(head)\r\n\r\n\(body)")
            #expect(worker.answer()?.hasPrefix("HTTP/1.1 200") == true)
            let both = [client.message(), client.message()]
            #expect(Set(both.map { $0?["id"]?.stringValue }) == ["s", "log"] && both.allSatisfy { $0?["cursor"] == "0-4" })
            client.send(#"{"type":"unsubscribe","id":"s"}"#)
            #expect(client.message() == ["type": "unsubscribed", "id": "s"])
            client.send(#"{"type":"ping"}"#)
            #expect(client.message() == ["type": "pong"])

            // What is refused says why; the connection goes on.
            for (request, code) in [
                ("zebra", "invalid_request"), ("[]", "invalid_request"), (#"{"type":"jump"}"#, "invalid_request"), ("{}", "invalid_request"),
                (#"{"type":"subscribe","id":"x"}"#, "invalid_request"), (#"{"type":"subscribe","project_id":"p"}"#, "invalid_request"),
                (#"{"type":"subscribe","id":"log","project_id":"p"}"#, "invalid_request"),
                (#"{"type":"subscribe","id":"x","project_id":"p","cursor":"0-99"}"#, "cursor_invalid"),
                (#"{"type":"subscribe","id":"x","project_id":"p","cursor":"9-9"}"#, "cursor_stale"),
                (#"{"type":"subscribe","id":"x","agent_id":"nobody"}"#, "agent_not_found"), (#"{"type":"ack","id":"s","cursor":"0-3"}"#, "invalid_request"),
                (#"{"type":"ack","id":"log","cursor":"0-3"}"#, "invalid_request"), (#"{"type":"unsubscribe","id":"s"}"#, "invalid_request"),
            ] {
                client.send(request)
                let error = client.message()
                #expect(error?["type"] == "error" && error?["code"] == .string(code), "\(request): \(String(describing: error))")
                if code == "cursor_stale" { #expect(error?["oldest_cursor"] == "0-0" && error?["id"] == "x") }
            }
            // A message in fragments, with a ping between them.
            client.send(Array(#"{"type":"#.utf8), isFinal: false)
            client.send([7], opcode: 9)
            client.send(Array(#""ping"}"#.utf8), opcode: 0)
            #expect(client.next() == Client.Frame(opcode: 10, bytes: [7]) && client.message() == ["type": "pong"])
            for n in 0..<(Limits.subscriptionsPerSocket - 1) {
                client.send(#"{"type":"subscribe","id":"n\#(n)","project_id":"q"}"#)
                #expect(client.message()?["type"] == "subscribed")
            }
            client.send(#"{"type":"subscribe","id":"more","project_id":"q"}"#)
            #expect(client.message()?["code"] == "limit_reached")
            client.send([3, 232, 98], opcode: 8)
            #expect(client.closing() == 1_000 && client.next() == nil)
        }
        #expect(harness.operations.memory.working.held == 0)
    }

    @Test func whatIsNoWebSocketIsRefused() async throws {
        let harness = try Harness()
        let good = [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Protocol", "contex.v1"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        #expect(await harness.send("GET", "/api/v1/ws", headers: good).status == 101)
        for (name, value) in [
            ("Upgrade", "h2c"), ("Connection", "close"), ("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Protocol", "contex.v2"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"), ("Sec-WebSocket-Key", "dGhl\u{e9}HNhbXBsZSBub25jZQ=="),
        ] {
            for headers in [good.filter { $0.0 != name }, good.filter { $0.0 != name } + [(name, value)]] {
                let answer = await harness.send("GET", "/api/v1/ws", headers: headers)
                #expect(answer.status == 426 && answer.header("Upgrade") == "websocket", "\(name) \(value)")
                #expect(answer.header("X-Contex-Error") == "upgrade_required")
            }
        }
        // The page of another origin opens none, whatever it asks for.
        #expect(await harness.send("GET", "/api/v1/ws", headers: good + [("Origin", "https://elsewhere.example")]).status == 403)
        await harness.close()
        let guarded = try Harness(authentication: true)
        #expect(await guarded.send("GET", "/api/v1/ws", headers: good).status == 401)
        await guarded.close()
    }

    @Test func brokenFramesAreClosedWithTheirCode() async throws {
        try await Harness().serve({ $0.streamComment = .milliseconds(100) }) { port in
            for (code, send) in [
                (1_002, { $0.send(Array("{}".utf8), isMasked: false) }),
                (1_002, { $0.send(Array("{}".utf8), opcode: 0) }),
                (1_002, { client in
                    client.send(Array("{".utf8), isFinal: false)
                    client.send(Array("{}".utf8))
                }),
                (1_003, { $0.send([1, 2, 3], opcode: 2) }),
                (1_009, { $0.send([UInt8](repeating: 0x20, count: Limits.socketMessageBytes + 1)) }),
                (1_009, { client in
                    client.send([UInt8](repeating: 0x20, count: Limits.socketMessageBytes), isFinal: false)
                    client.send([0x20], opcode: 0)
                }),
                (1_002, { $0.connection.send([0xC1, 0x80, 1, 2, 3, 4]) }),
                (1_002, { $0.connection.send([0x83, 0x80, 1, 2, 3, 4]) }),
            ] as [(Int, (Client) -> Void)] {
                let client = try Client(port: port)
                send(client)
                #expect(client.closing() == code)
            }
            // Who says nothing is asked whether he is there, and is gone after a while.
            let silent = try Client(port: port)
            var pings = 0
            while let frame = silent.next(), frame.opcode == 9 { pings += 1 }
            #expect((1...5).contains(pings))
            // An opening that is refused ends the connection: nothing is read after it.
            let refused = try RawConnection(port: port)
            refused.send("GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            let answer = refused.answer()?.lowercased() ?? ""
            #expect(answer.hasPrefix("http/1.1 426") && answer.contains("connection: close"), "\(answer)")
            #expect(refused.read { _ in true } == nil)
        }
    }

    @Test func aStopAndARevokedKeyCloseIt() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=follower", key: root).json
        let (id, key) = try (#require(created["key_id"]?.stringValue), #require(created["key"]?.stringValue))
        try await harness.serve({ $0.streamComment = .milliseconds(100) }) { port in
            let client = try Client(port: port, more: "X-API-Key: \(key)\r\n")
            client.send(#"{"type":"subscribe","id":"log","project_id":"p"}"#)
            #expect(client.message()?["type"] == "subscribed")
            // A reader's key is no agent's.
            client.send(#"{"type":"subscribe","id":"a","agent_id":"a","project_id":"p"}"#)
            #expect(client.message()?["code"] == "permission_missing")
            let worker = try RawConnection(port: port)
            worker.send("DELETE /api/v1/auth/keys/\(id) HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \(root)\r\n\r\n")
            #expect(worker.answer()?.hasPrefix("HTTP/1.1 200") == true)
            #expect(client.closing() == 1_008)
        }
    }

    /// Requests with a key that was revoked are no failed logins, however many come.
    @Test func aRevokedKeyAsksNoMore() async throws {
        let harness = try Harness(authentication: true)
        let root = try #require(try await harness.database.bootstrapKey(.standard, name: "root", given: nil)).text
        let created = try await harness.send("POST", "/api/v1/auth/keys?name=follower", key: root).json
        let (id, key) = try (#require(created["key_id"]?.stringValue), #require(created["key"]?.stringValue))
        // Before the next ping would find it out.
        try await harness.serve({ $0.streamComment = .seconds(30) }) { port in
            let client = try Client(port: port, more: "X-API-Key: \(key)\r\n")
            client.send(#"{"type":"ping"}"#)
            #expect(client.message()?["type"] == "pong")
            let worker = try RawConnection(port: port)
            worker.send("DELETE /api/v1/auth/keys/\(id) HTTP/1.1\r\nHost: localhost\r\nX-API-Key: \(root)\r\n\r\n")
            #expect(worker.answer()?.hasPrefix("HTTP/1.1 200") == true)
            for n in 0..<5 { client.send(#"{"type":"subscribe","id":"s\#(n)","project_id":"p"}"#) }
            #expect(client.closing() == 1_008)
            #expect(harness.operations.failedLogins == 0)
        }
    }

    @Test func messagesAreReadAsTheyAreMeant() throws {
        let (a, p) = (Name(stored: "a"), Name(stored: "p"))
        func read(_ text: String) throws -> SocketRequest { try SocketRequest(Array(text.utf8)) }
        #expect(
            try read(#"{"type":"subscribe","id":"i","agent_id":"a","project_id":"p","cursor":"1-2","suppress_own":true,"more":[1]}"#)
                == .subscribe(id: "i", .agent(a, project: p), after: try InboxCursor("1-2"), suppressesOwn: true))
        #expect(
            try read(#"{"type":"subscribe","id":"i","agent_id":"a","project_id":null,"cursor":""}"#)
                == .subscribe(id: "i", .agent(a, project: nil), after: nil, suppressesOwn: false))
        #expect(try read(#"{"type":"subscribe","id":"i","project_id":"p"}"#) == .subscribe(id: "i", .project(p), after: nil, suppressesOwn: false))
        #expect(try read(#"{"type":"ack","id":"i","cursor":"0-0"}"#) == .ack(id: "i", try InboxCursor("0-0")))
        for text in [
            "", "{", "1", #"{"type":1}"#, #"{"type":"subscribe","id":""}"#, #"{"type":"subscribe","id":"i","project_id":7}"#,
            #"{"type":"subscribe","id":"i","project_id":"","agent_id":""}"#, #"{"type":"subscribe","id":"i","project_id":"p","suppress_own":"yes"}"#,
            #"{"type":"ack","id":"i"}"#, #"{"type":"ack","id":"i","cursor":"x"}"#, #"{"type":"ping","a":[[[[1]]]]}"#,
            #"{"type":"unsubscribe","id":"\#(String(repeating: "i", count: 65))"}"#,
        ] { #expect(throws: ContexError.self, "\(text)") { _ = try read(text) } }
    }
}
