import Base
import Content
import Foundation
import HTTPAPI
import Logging
import TestSupport
import Testing

@Suite("On a socket", .serialized)
struct SocketTests {
    private func serve(
        _ configure: (inout HTTPAPIConfiguration) -> Void = { _ in }, _ body: @escaping @Sendable (Int) throws -> Void
    ) async throws {
        try await Harness().serve(configure, body)
    }

    private static let publish = #"{"project_id":"p","data_key":"k","data":1}"#
    private static func post(_ length: Int, more: String = "") -> String {
        "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(length)\r\n\(more)\r\n"
    }

    @Test func oneConnectionManyRequests() async throws {
        try await serve { port in
            let connection = try RawConnection(port: port)
            for _ in 0..<3 {
                connection.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let answer = try #require(connection.answer())
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.hasSuffix("\r\n\r\n" + #"{"status":"healthy","service":"contex","version":"0.2.0"}"#))
                #expect(answer.lowercased().contains("\r\nx-frame-options: deny\r\n"))
            }
            connection.send(Self.post(Self.publish.utf8.count) + Self.publish)
            #expect(try #require(connection.answer()).hasSuffix(#""sequence":"1"}"#))
            connection.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let head = try #require(connection.read { $0.contains("\r\n\r\n") })
            #expect(head.hasPrefix("HTTP/1.1 200") && head.hasSuffix("\r\n\r\n") && head.lowercased().contains("\r\ncontent-length: 57\r\n"))
            connection.send("GET http://localhost/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(try #require(connection.answer()).hasPrefix("HTTP/1.1 200"))
            #expect(connection.answer() == nil)
        }
    }

    /// The client sends its 11 MiB first and listens then: it must still hear why.
    @Test func largeBodies() async throws {
        try await serve { port in
            for more in ["", "Connection: close\r\n"] {
                let known = try RawConnection(port: port)
                #expect(known.send(Self.post(11 << 20, more: more)))
                #expect(known.send([UInt8](repeating: 0x20, count: 11 << 20)))
                let refused = try #require(known.answer())
                #expect(refused.hasPrefix("HTTP/1.1 413"), "\(refused.prefix(100))")
                #expect(refused.contains(#"{"detail":"Request body too large"#))
            }
            let pieces = try RawConnection(port: port)
            pieces.send("POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            let piece = [UInt8]("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 65_536) + [UInt8]("\r\n".utf8)
            for _ in 0..<200 { pieces.send(piece) }
            pieces.send("0\r\n\r\n")
            #expect(try #require(pieces.answer()).hasPrefix("HTTP/1.1 413"))
            let next = try RawConnection(port: port)
            next.send(Self.post(Self.publish.utf8.count) + Self.publish)
            #expect(try #require(next.answer()).hasSuffix(#""sequence":"1"}"#))
        }
    }

    @Test func whoAsksBeforeSendingIsAnswered() async throws {
        try await serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.post(Self.publish.utf8.count, more: "Expect: 100-continue\r\n"))
            #expect(connection.read { $0.contains("\r\n\r\n") } == "HTTP/1.1 100 Continue\r\n\r\n")
            connection.send(Self.publish)
            #expect(try #require(connection.answer()).hasPrefix("HTTP/1.1 200"))
            let large = try RawConnection(port: port)
            large.send(Self.post(11 << 20, more: "Expect: 100-continue\r\n"))
            #expect(try #require(large.answer()).hasPrefix("HTTP/1.1 413"))
        }
    }

    /// An old client waits for the end of the connection to know the end of the answer; so does one that asks for it in its own spelling.
    @Test func connectionsThatEnd() async throws {
        try await serve { port in
            for head in [
                "GET /health HTTP/1.0\r\n\r\n", "GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
                "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n",
                "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: te, close\r\n\r\n",
                "GET /nothing HTTP/1.0\r\n\r\n",
            ] {
                let connection = try RawConnection(port: port)
                connection.send(head)
                let answer = try #require(connection.answer())
                #expect(answer.lowercased().contains("\r\nconnection: close\r\n"), "\(head)")
                #expect(connection.answer() == nil, "\(head)")
            }
            let old = try RawConnection(port: port)
            old.send(Self.post(Self.publish.utf8.count, more: "Expect: 100-continue\r\n").replacing("HTTP/1.1", with: "HTTP/1.0") + Self.publish)
            #expect(try #require(old.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    /// The headers of safety stand on these as on all others.
    @Test func refusalsOfTheSocketItself() async throws {
        try await serve { port in
            let chunked = "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            let get = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
            for (bytes, status) in [
                ("GET /health HTTP/1.1\r\n\r\n", 400), ("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
                ("GET /health HTTP/1.1\r\nHost:\r\n\r\n", 400), ("GET /health HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421),
                ("GET http://evil.test/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
                (Self.post(1).replacing("Length: 1\r\n", with: "Length: \(UInt64.max)\r\n"), 413),
                (chunked + "zz\r\n", 400), (chunked + "5\r\n{}   x\r\n", 400),
                (chunked + "\(String(format: "%x", Self.publish.utf8.count))\r\n\(Self.publish)\r\nzz\r\n\r\n", 400),
                (get + "Bad Header\r\n\r\n", 400), ("\u{0}\u{1}\r\n\r\n", 400), ("GET /a b c HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
                (get + "X: \(String(repeating: "y", count: 40_000))\r\n\r\n", 431),
                ("GET /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
                (get + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400), (get + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ] {
                let connection = try RawConnection(port: port)
                connection.send(bytes)
                let answer = connection.answer() ?? "nothing"
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(bytes.prefix(80)): \(answer.prefix(200))")
                for header in ["x-content-type-options: nosniff", "cache-control: no-store", "x-frame-options: deny"] {
                    #expect(answer.lowercased().contains("\r\n\(header)\r\n"), "\(bytes.prefix(80)): \(answer)")
                }
                #expect(answer.contains("{\"detail\":"), "\(bytes.prefix(80))")
            }
            // Requests that came whole before the one that is broken are answered, and nothing of a broken one happens.
            let pipeline = try RawConnection(port: port)
            pipeline.send(get + "\r\n" + get + "\r\n" + "\u{0}\u{1}\r\n\r\n")
            let answers = try #require(pipeline.read { $0.components(separatedBy: "HTTP/1.1 ").count > 3 })
            #expect(answers.components(separatedBy: "HTTP/1.1 200").count == 3 && answers.components(separatedBy: "HTTP/1.1 400").count == 2)
            let next = try RawConnection(port: port)
            next.send("GET /api/v1/projects/p/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try #require(next.answer()).hasSuffix(#"{"events":[],"count":0}"#))
        }
    }

    @Test func whatIsNoHTTP() async throws {
        try await serve { port in
            for bytes in [
                "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
                "GET /health HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "y", count: 200_000))\r\n\r\n",
                "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                "GET /\(String(repeating: "a", count: 200_000)) HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET /health HTTP/1.1\r\nHost: localhost\r\n" + (0..<200).map { "X-\($0): y\r\n" }.joined() + "\r\n",
                "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            ] {
                let connection = try RawConnection(port: port)
                connection.send(bytes)
                let answer = connection.answer()
                #expect(answer == nil || answer!.hasPrefix("HTTP/1.1 4"), "\(bytes.prefix(40)): \(answer ?? "")")
            }
            let next = try RawConnection(port: port)
            next.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try #require(next.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func idleConnectionsAreClosed() async throws {
        try await serve({ $0.idleTimeout = .milliseconds(200) }) { port in
            let silent = try RawConnection(port: port)
            #expect(silent.answer() == nil)
            let slow = try RawConnection(port: port)
            slow.send(Self.post(1_000) + "{")
            #expect(slow.answer().map { !$0.hasPrefix("HTTP/1.1 2") } ?? true)
        }
    }

    /// A byte every now and then keeps a connection from being idle, not from being closed.
    @Test func bodiesThatDripAreCut() async throws {
        try await serve({ $0.idleTimeout = .milliseconds(500) }) { port in
            for path in ["/api/v1/data/publish", "/nothing"] {
                let slow = try RawConnection(port: port)
                slow.send("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
                var sent = 0
                while sent < 999, slow.send(" ") {
                    sent += 1
                    usleep(50_000)
                }
                #expect(sent < 999, "\(path)")
            }
            let steady = try RawConnection(port: port)
            steady.send(Self.post(Self.publish.utf8.count) + Self.publish)
            #expect(try #require(steady.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func connectionsOfOneAddress() async throws {
        try await serve({ $0.connectionsPerAddressMax = 2 }) { port in
            func ask(_ connection: RawConnection) -> String? {
                connection.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return connection.answer()
            }
            var open = [try RawConnection(port: port), try RawConnection(port: port)]
            for connection in open { #expect(ask(connection) != nil) }
            // One too many is told so before it asks, and closed.
            let turnedAway = try RawConnection(port: port)
            let told = turnedAway.answer() ?? ""
            #expect(told.hasPrefix("HTTP/1.1 429 ") && told.contains("X-Contex-Error: limit_reached") && told.contains("Too many connections"), "\(told)")
            #expect(turnedAway.answer() == nil)
            open = []
            // The server learns of the end when it comes.
            var answer: String? = nil
            for _ in 0..<100 where answer?.hasPrefix("HTTP/1.1 200") != true {
                usleep(20_000)
                answer = ask(try RawConnection(port: port))
            }
            #expect(answer?.hasPrefix("HTTP/1.1 200") == true)
        }
    }

    @Test func moreRequestsThanTheServerWorksOn() async throws {
        try await serve({ $0.requestsMax = 0 }) { port in
            let connection = try RawConnection(port: port)
            connection.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let answer = try #require(connection.answer())
            #expect(answer.hasPrefix("HTTP/1.1 503"))
            #expect(answer.lowercased().contains("\r\nretry-after: 1\r\n"))
        }
    }

    @Test func aPortThatIsTaken() async throws {
        try await serve { port in
            let done = DispatchSemaphore(value: 0)
            Task {
                let harness = try Harness()
                let server = HTTPAPIServer(
                    operations: harness.operations, configuration: HTTPAPIConfiguration(port: port), logger: Logger(label: "test"))
                await #expect(throws: (any Error).self) { try await server.run() }
                await harness.close()
                done.signal()
            }
            done.wait()
        }
    }
}
