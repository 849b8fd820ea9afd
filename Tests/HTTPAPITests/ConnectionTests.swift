import Base
import Content
import Foundation
import HTTPAPI
import Logging
import Service
import TestSupport
import Testing

extension Harness {
    /// Serves on a free port while `body` runs on a thread of its own, then stops as at the end of a grace: what runs is cut.
    func serve(_ configure: (inout HTTPAPIConfiguration) -> Void = { _ in }, _ body: @escaping @Sendable (Int) throws -> Void) async throws {
        var configuration = HTTPAPIConfiguration(port: 0)
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = HTTPAPIServer(operations: operations, configuration: configuration, logger: logger)
        let (ports, port) = AsyncStream<Int>.makeStream()
        let running = Task { try await server.run { port.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let bound = try #require(await iterator.next())
        let result: Result<Void, any Error> = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Result { try body(bound) }) }
        }
        running.cancel()
        _ = try? await running.value
        await close()
        try result.get()
    }
}

/// An embedding that takes a minute for one word, and knows whether it was given up.
private final class SlowModel: Sendable {
    let began = DispatchSemaphore(value: 0)
    let givenUp = DispatchSemaphore(value: 0)

    @Sendable func embed(_ texts: [String]) async throws -> [[Float]] {
        if texts.contains(where: { $0.contains("glacier") }) {
            began.signal()
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                givenUp.signal()
                throw error
            }
        }
        return texts.map(Harness.vector)
    }
}

@Suite("A connection", .serialized)
struct ConnectionTests {
    private static func post(_ path: String, _ body: String, more: String = "") -> String {
        "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\(more)\r\n\(body)"
    }
    private static let health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static func publish(_ data: String) -> String { #"{"project_id":"p","data_key":"k","data":"\#(data)"}"# }
    private static let slowQuery = post("/api/v1/projects/p/query", #"{"query":"glacier"}"#)

    // MARK: - Clients who leave, servers that stop

    @Test func nobodyWorksForAClientWhoHasLeft() async throws {
        let model = SlowModel()
        let harness = try Harness(model: .init(embed: model.embed))
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish("stone"))
        try await harness.serve { port in
            var connection: RawConnection? = try RawConnection(port: port)
            connection?.send(Self.slowQuery)
            #expect(model.began.wait(timeout: .now() + 20) == .success)
            connection = nil
            #expect(model.givenUp.wait(timeout: .now() + 20) == .success)
            // Its place is free again, and the server well.
            let next = try RawConnection(port: port)
            next.send(Self.health)
            #expect(try #require(next.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    /// `serve` cancels the server while the query has most of its minute before it.
    @Test func aStopDoesNotWaitForWhatRuns() async throws {
        let model = SlowModel()
        let harness = try Harness(model: .init(embed: model.embed))
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish("stone"))
        let started = ContinuousClock.now
        try await harness.serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.slowQuery)
            #expect(model.began.wait(timeout: .now() + 20) == .success)
        }
        #expect(model.givenUp.wait(timeout: .now()) == .success)
        #expect(ContinuousClock.now - started < .seconds(50))
    }

    @Test func whoEndsSendingStillHears() async throws {
        try await Harness().serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.health)
            connection.endSending()
            #expect(try #require(connection.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    // MARK: - Memory

    /// Of 4 MiB for bodies on their way one address has 2, and one body that may finish over it: a third waits, and is told to come again.
    @Test func bodiesBeyondTheBudgetAreRefused() async throws {
        let harness = try Harness(inflightBytesMax: 16 << 20)
        try await harness.serve({ $0.memoryWait = .milliseconds(300) }) { port in
            let body = Self.publish(String(repeating: "word ", count: 240_000))
            var holding: [RawConnection] = []
            for (count, all) in [(1_900_000, 1_900_000), (600_000, 2_500_000)] {
                let connection = try RawConnection(port: port)
                connection.send(
                    "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n")
                connection.send([UInt8](repeating: 0x20, count: count))
                holding.append(connection)
                for _ in 0..<500 where harness.operations.memory.arriving.held < all { usleep(20_000) }
                #expect(harness.operations.memory.arriving.held >= all)
            }
            let second = try RawConnection(port: port)
            second.send(Self.post("/api/v1/data/publish", body))
            let refused = try #require(second.answer())
            #expect(refused.hasPrefix("HTTP/1.1 503"), "\(refused.prefix(200))")
            #expect(refused.lowercased().contains("\r\nretry-after: 1\r\n"))
            // Small ones have room, from the same address too.
            let small = try RawConnection(port: port)
            small.send(Self.post("/api/v1/data/publish", Self.publish("stone")))
            #expect(try #require(small.answer()).hasPrefix("HTTP/1.1 200"))
            holding = []
            for _ in 0..<500 where harness.operations.memory.arriving.held > 0 { usleep(20_000) }
            second.send(Self.post("/api/v1/data/publish", body))
            #expect(try !#require(second.answer()).hasPrefix("HTTP/1.1 503"))
            for _ in 0..<500 where harness.operations.memory.working.held > 0 { usleep(20_000) }
            #expect(harness.operations.memory.arriving.held == 0)
            #expect(harness.operations.memory.working.held == 0)
        }
    }

    /// Behind a proxy all clients have one address: what is large of it takes the half of that address, and a small request has its room all the same.
    /// (Each piece of a large body is as small as a small request; it was taken for one.)
    @Test func neighboursOfLargeBodiesHaveRoom() async throws {
        let harness = try Harness(inflightBytesMax: 64 << 20)
        try await harness.serve({ $0.memoryWait = .seconds(30) }) { port in
            var holding: [RawConnection] = []
            for _ in 0..<8 {
                let connection = try RawConnection(port: port)
                connection.send(
                    "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n")
                holding.append(connection)
            }
            // As much as the server reads of each: those that wait for memory are not read, so theirs is not sent to the end.
            let senders = DispatchGroup()
            for connection in holding {
                senders.enter()
                Thread.detachNewThread {
                    connection.send([UInt8](repeating: 0x20, count: 4_000_000))
                    senders.leave()
                }
            }
            for _ in 0..<500 where harness.operations.memory.arriving.waitingCount == 0 { usleep(20_000) }
            #expect(harness.operations.memory.arriving.waitingCount > 0)
            for _ in 0..<5 {
                let small = try RawConnection(port: port)
                small.send(Self.post("/api/v1/data/publish", Self.publish("stone")))
                #expect(small.answer()?.hasPrefix("HTTP/1.1 200") == true)
            }
            for connection in holding { connection.endAll() }
            senders.wait()
        }
    }

    /// 49 bytes of JSON and a million blanks in 1,047: what they come to is asked for before they are unpacked.
    @Test func packedBodiesAskForWhatTheyComeTo() async throws {
        let blanks = String(repeating: "A", count: 1290)
        let (head, end) = ("H4sIAAAAAAACA+3HwQ1AQBRAwVbkn1WgmY2wBzZB2IuI3jnowszpvSu2fZ3zUNM0RhdbtDH2tU8ln++Wb9886rrkuBs", "OC3HkP92elwQg8A")
        let packed = Array(Data(base64Encoded: head + blanks + end)!)
        let harness = try Harness()
        let gate = harness.operations.memory.working
        let share = MemoryLease(of: gate, address: "127.0.0.1", key: nil)
        let all = (Limits.inflightBytes - Limits.inflightBytes / 4) / 2
        try await gate.take(all - (4 << 20), for: share)
        try await harness.serve({ $0.memoryWait = .milliseconds(300) }) { port in
            let connection = try RawConnection(port: port)
            let fields = "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            let request = Array("\(fields)Content-Length: \(packed.count)\r\n\r\n".utf8) + packed
            connection.send(request)
            let refused = try #require(connection.answer())
            #expect(refused.hasPrefix("HTTP/1.1 503") && refused.lowercased().contains("\r\nretry-after: 1\r\n"), "\(refused.prefix(200))")
            share.shrink(to: 0)
            connection.send(request)
            #expect(try #require(connection.answer()).hasPrefix("HTTP/1.1 200"))
        }
    }

    /// Whoever has found one of the addresses finds the others: nobody is answered before all are bound.
    @Test func nobodyIsAnsweredBeforeTheListenerMay() async throws {
        let harness = try Harness()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = HTTPAPIServer(operations: harness.operations, configuration: HTTPAPIConfiguration(port: 0), logger: logger)
        let (ports, port) = AsyncStream<Int>.makeStream()
        let (opened, open) = AsyncStream<Void>.makeStream()
        let running = Task {
            try await server.run {
                port.yield($0)
                for await _ in opened {}
            }
        }
        var iterator = ports.makeAsyncIterator()
        let bound = try #require(await iterator.next())
        let (early, late): (Bool, String?) = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                guard let connection = try? RawConnection(port: bound) else { return continuation.resume(returning: (true, nil)) }
                connection.send(Self.health)
                let early = connection.hasMore(within: 300)
                open.finish()
                continuation.resume(returning: (early, connection.answer()))
            }
        }
        #expect(!early && late?.hasPrefix("HTTP/1.1 200") == true)
        running.cancel()
        _ = try? await running.value
        await harness.close()
    }

    /// A large answer is held as long as its reader reads, and no longer.
    @Test func whoStopsReadingIsCut() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish(String(repeating: "word ", count: 900_000)))
        try await harness.serve({ $0.idleTimeout = .milliseconds(500) }) { port in
            let connection = try RawConnection(port: port, receiveBytes: 4_096)
            connection.send("GET /api/v1/projects/p/data/k HTTP/1.1\r\nHost: localhost\r\n\r\n")
            var hasHeld = false
            for _ in 0..<1_000 {
                let held = harness.operations.memory.answering.held
                // What the work has held is free again.
                if held > 8 << 20, harness.operations.memory.working.held == 0 { hasHeld = true }
                if hasHeld, held == 0 { break }
                usleep(10_000)
            }
            #expect(hasHeld && harness.operations.memory.answering.held == 0)
            let text = connection.answer() ?? ""
            let length = text.lowercased().firstRange(of: "content-length: ").map { text[$0.upperBound...].prefix { $0.isNumber } }
            #expect(text.utf8.count < Int(length ?? "") ?? .max)
        }
    }

    private static let showing = "GET /api/v1/projects/p/data/k HTTP/1.1\r\nHost: localhost\r\n\r\n"

    /// The server works on two requests at a time here, and two answers wait for clients who do not read: nobody else has to.
    @Test func whoDoesNotReadHoldsNoPlace() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish(String(repeating: "word ", count: 900_000)))
        try await harness.serve({ $0.requestsMax = 2 }) { port in
            var holding: [RawConnection] = []
            for count in 1...2 {
                let connection = try RawConnection(port: port, receiveBytes: 4_096)
                // Until the answer is there, it is worked on.
                connection.send(Self.showing)
                for _ in 0..<1_000 where harness.operations.memory.answering.held < count * (4 << 20) { usleep(10_000) }
                #expect(harness.operations.memory.answering.held >= count * (4 << 20))
                holding.append(connection)
            }
            usleep(200_000)
            for _ in 0..<5 {
                let other = try RawConnection(port: port)
                other.send(Self.health)
                #expect(other.answer()?.hasPrefix("HTTP/1.1 200") == true)
                usleep(20_000)
            }
            withExtendedLifetime(holding) {}
        }
    }

    /// Heads whose bodies do not come: the server works on two requests at a time here, and on none of these.
    @Test func whoseBodyDoesNotComeHoldsNoPlace() async throws {
        let harness = try Harness()
        try await harness.serve({ $0.requestsMax = 2 }) { port in
            let holding = try (0..<4).map { _ in try RawConnection(port: port) }
            for connection in holding {
                connection.send("POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            }
            usleep(300_000)
            for _ in 0..<5 {
                let other = try RawConnection(port: port)
                other.send(Self.health)
                #expect(other.answer()?.hasPrefix("HTTP/1.1 200") == true)
                usleep(20_000)
            }
            withExtendedLifetime(holding) {}
        }
    }

    /// Answers that wait have half of their memory for one address; what comes then is refused, what is small or says what was changed is not.
    @Test func answersThatWaitHaveAShare() async throws {
        let harness = try Harness()
        // More than the kernel keeps for a connection.
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish(String(repeating: "word ", count: 900_000)))
        let size = await harness.send("GET", "/api/v1/projects/p/data/k").body.count
        let gate = harness.operations.memory.answering
        #expect(size > 4 << 20 && size < gate.total / 4)
        try await harness.serve { port in
            var holding: [RawConnection] = []
            var refused = ""
            for _ in 0..<gate.total / size where refused.isEmpty {
                let before = gate.held
                let connection = try RawConnection(port: port, receiveBytes: 4_096)
                connection.send(Self.showing)
                holding.append(connection)
                #expect(connection.hasMore(within: 20_000))
                usleep(50_000)
                if gate.held == before { refused = connection.answer() ?? "nothing" }
            }
            #expect(refused.hasPrefix("HTTP/1.1 503") && refused.contains("wait for their readers"), "\(refused.prefix(300))")
            #expect(gate.held <= gate.total / 2 && gate.held > gate.total / 2 - size)
            let other = try RawConnection(port: port)
            other.send(Self.post("/api/v1/data/publish", Self.publish("stone")))
            #expect(other.answer()?.hasPrefix("HTTP/1.1 200") == true)
            other.send(Self.health)
            #expect(other.answer()?.hasPrefix("HTTP/1.1 200") == true)
            // Who leaves makes room.
            holding = []
            for _ in 0..<1_000 where gate.held > 0 { usleep(10_000) }
            #expect(gate.held == 0)
        }
    }

    /// Sooner than a connection that is idle.
    @Test func whoTakesNothingIsCutBeforeWhoIsIdle() async throws {
        let harness = try Harness()
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish(String(repeating: "word ", count: 900_000)))
        try await harness.serve({ $0.stallTimeout = .milliseconds(500) }) { port in
            let idle = try RawConnection(port: port)
            let connection = try RawConnection(port: port, receiveBytes: 4_096)
            connection.send(Self.showing)
            let gate = harness.operations.memory.answering
            for _ in 0..<1_000 where gate.held == 0 { usleep(5_000) }
            #expect(gate.held > 0)
            let start = ContinuousClock.now
            for _ in 0..<2_000 where gate.held > 0 { usleep(10_000) }
            #expect(gate.held == 0 && ContinuousClock.now - start < .seconds(20))
            idle.send(Self.health)
            #expect(idle.answer()?.hasPrefix("HTTP/1.1 200") == true)
            withExtendedLifetime(connection) {}
        }
    }

    @Test func largeAnswersArriveWhole() async throws {
        let harness = try Harness()
        let data = String(repeating: "word ", count: 300_000)
        _ = await harness.send("POST", "/api/v1/data/publish", Self.publish(data))
        let expected = await harness.send("GET", "/api/v1/projects/p/data/k").body
        try await harness.serve { port in
            let connection = try RawConnection(port: port)
            for _ in 0..<2 {
                connection.send("GET /api/v1/projects/p/data/k HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let answer = try #require(connection.answer())
                let head = try #require(answer.firstRange(of: "\r\n\r\n"))
                #expect(Array(answer[head.upperBound...].utf8) == expected)
            }
        }
    }

    private static let export = "GET /api/v1/projects/p/data?include_events=true&include_embeddings=true HTTP/1.1\r\nHost: localhost\r\n\r\n"

    /// 24 documents of 250 kB: some 12 MB in an export.
    private static func fill(_ harness: Harness) async {
        let text = String(repeating: "word ", count: 50_000)
        for n in 0..<24 {
            let body = #"{"project_id":"p","data_key":"k\#(n)","data":{"n":\#(n),"text":"\#(text)"}}"#
            _ = await harness.send("POST", "/api/v1/data/publish", body)
        }
    }

    @Test func exportsAreSentInPieces() async throws {
        let harness = try Harness()
        await Self.fill(harness)
        let expected = await harness.send("GET", "/api/v1/projects/p/data?include_events=true&include_embeddings=true").body
        #expect(expected.count > 8 << 20)
        try await harness.serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.export)
            let answer = Array(try #require(connection.read { $0.hasSuffix("\r\n0\r\n\r\n") }).utf8)
            // No more is held than a few pieces of it.
            #expect(harness.operations.memory.working.held < 8 << 20)
            let body = try #require(Self.joined(answer))
            // They differ in the time of their making, which has fewer digits when the last of them are zeros.
            #expect(abs(body.count - expected.count) <= 8 && body.suffix(8 << 20) == expected.suffix(8 << 20))
        }
    }

    /// The log is replaced while a slow client reads: what it has is no export, and it must learn so.
    @Test func anAnswerThatCannotBeFinishedBreaks() async throws {
        let harness = try Harness()
        await Self.fill(harness)
        try await harness.serve { port in
            let slow = try RawConnection(port: port, receiveBytes: 4_096)
            slow.send(Self.export)
            #expect(slow.read { $0.utf8.count > 1_000 } != nil)
            let other = try RawConnection(port: port)
            let document = #"{"project_id":"p","version":"1.0","data":{"events":[{"event_id":"1","event_type":"t","data":{"a":1}}]}}"#
            other.send(Self.post("/api/v1/projects/p/import?overwrite=true", document))
            #expect(try #require(other.answer()).hasPrefix("HTTP/1.1 200"))
            let rest = slow.read { $0.hasSuffix("\r\n0\r\n\r\n") } ?? ""
            #expect(!rest.hasSuffix("\r\n0\r\n\r\n"))
        }
    }

    /// The body of an answer that came in chunks.
    private static func joined(_ answer: [UInt8]) -> [UInt8]? {
        guard let head = answer.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        guard String(decoding: answer[..<head.lowerBound], as: UTF8.self).lowercased().contains("transfer-encoding: chunked") else { return nil }
        var (body, rest): ([UInt8], ArraySlice<UInt8>) = ([], answer[head.upperBound...])
        while let line = rest.firstIndex(of: 0x0D), let count = Int(String(decoding: rest[..<line], as: UTF8.self), radix: 16) {
            if count == 0 { return body }
            let start = line + 2
            guard rest.endIndex >= start + count + 2 else { return nil }
            body += rest[start..<start + count]
            rest = rest[(start + count + 2)...]
        }
        return nil
    }

    // MARK: - HTTP as it is spoken

    @Test func oldClientsAreClosed() async throws {
        try await Harness().serve { port in
            for more in ["", "Connection: keep-alive\r\n"] {
                let connection = try RawConnection(port: port)
                connection.send("GET /health HTTP/1.0\r\nHost: localhost\r\n\(more)\r\n")
                let answer = try #require(connection.answer())
                #expect(answer.contains(" 200 OK\r\n") && answer.lowercased().contains("\r\nconnection: close\r\n"), "\(answer)")
                #expect(connection.answer() == nil)
            }
        }
    }

    @Test func whatIsNotHTTPHearsWhy() async throws {
        try await Harness().serve { port in
            for (bytes, status) in [
                ("POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
                (
                    "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "5\r\n{\"a\":\r\nffffffffffffffffff\r\n", "400"
                ),
                ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "y", count: 200_000))\r\n\r\n", "431"),
                ("GET /health HTTP/1.1\r\nHost: localhost\r\n" + (0..<200).map { "X-\($0): y\r\n" }.joined() + "\r\n", "431"),
                ("not http at all\r\n\r\n", "400"),
            ] {
                let connection = try RawConnection(port: port)
                connection.send(bytes)
                let answer = try #require(connection.answer(), "\(bytes.prefix(60))")
                #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(bytes.prefix(60)): \(answer)")
                #expect(answer.contains(#"{"detail":""#) && answer.lowercased().contains("\r\nconnection: close\r\n"))
                #expect(connection.answer() == nil)
            }
        }
    }

    @Test func nobodyIsAskedForABodyThatIsRefused() async throws {
        try await Harness(authentication: true).serve { port in
            let connection = try RawConnection(port: port)
            connection.send(
                "POST /api/v1/data/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
            #expect(try #require(connection.answer()).hasPrefix("HTTP/1.1 401"))
            #expect(connection.answer() == nil)
        }
    }

    /// Requests that are sent without waiting are answered in their order.
    @Test func requestsSentAheadAreAnsweredInOrder() async throws {
        try await Harness().serve { port in
            let connection = try RawConnection(port: port)
            let body = Self.publish("stone")
            let last = "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            connection.send(Self.health + Self.post("/api/v1/data/publish", body) + Self.health + last)
            let all = try #require(connection.read { _ in false })
            let statuses = all.components(separatedBy: "HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
            #expect(statuses == ["200", "200", "200", "404"], "\(all)")
            #expect(all.firstRange(of: #""sequence":"1""#) != nil)
        }
    }

    @Test func answersSayWhen() async throws {
        try await Harness().serve { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.health)
            let answer = try #require(connection.answer())
            let field = try #require(answer.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix("date: ") })
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = TimeZone(identifier: "GMT")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            let date = try #require(format.date(from: String(field.dropFirst(6))), "\(field)")
            #expect(format.string(from: date) == field.dropFirst(6))
            #expect(abs(date.timeIntervalSinceNow) < 600)
        }
    }
}
