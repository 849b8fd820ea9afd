import Assembly
import Base
import Content
import ContexClient
import Foundation
import TestSupport
import Testing
import Wire

/// The binary protocol of a whole server.
@Suite(.serialized) struct WireDoorTests {
    private static func client(_ running: TestServer, apiKey: String? = nil, connections: Int = 1, window: Int = 256) throws -> Client {
        let address = try #require(running.server.wire)
        return Client(
            ClientConfiguration(
                host: address.host, port: address.port, apiKey: apiKey, connections: connections, attempts: 8, pauseMax: .milliseconds(200), window: window))
    }

    private static func publish(_ project: String, _ key: String, _ number: Int) -> WirePublish {
        var message = WirePublish()
        (message.project, message.key, message.json) = (project, key, Array("{\"n\":\(number)}".utf8))
        return message
    }

    /// What the published object of an update says.
    private static func number(_ update: WireUpdate) -> Int { (try? JSONParser.parse(update.event?.data ?? []))?["n"]?.integerValue ?? -1 }

    @Test func theScenario() async throws {
        let running = try await TestServer()
        let client = try Self.client(running, connections: 2)
        let findings = try await WireScenario(client: client, project: "play").findings()
        #expect(findings == [])
        await client.close()
        await running.server.stop()
    }

    /// A query over both doors: the same matches, to the byte of their data.
    @Test func answersAreThoseOfHTTP() async throws {
        let running = try await TestServer()
        for number in 0..<6 {
            let data: JSONValue = ["title": .string("note \(number) on databases"), "list": .array([.integer(number), .null, "é"])]
            _ = try await running.publish("same", "doc-\(number)", data)
        }
        _ = try await running.publish("same", "word", "a text on databases, and nothing else")
        let client = try Self.client(running)
        for mode in ["hybrid", "semantic", "keyword"] {
            var query = WireQuery(project: "same", text: "databases")
            (query.mode, query.topK, query.threshold, query.explain) = (mode, 10, 0, true)
            let binary = try await client.query(query)
            let web = try await running.query("same", "databases", [("mode", .string(mode)), ("top_k", .integer(10)), ("explain", .bool(true))]).json
            let matches = try #require(web["matches"]?.arrayValue)
            #expect(binary.matches.count == matches.count && !matches.isEmpty)
            for (mine, other) in zip(binary.matches, matches) {
                #expect(mine.nodeKey == other["data_key"]?.stringValue)
                #expect(JSONValue.double(mine.similarity) == other["similarity"])
                #expect(try JSONParser.parse(mine.data ?? []) == other["data"] && mine.data == JSONPrinter.bytes(other["data"] ?? .null))
                #expect(mine.description == other["description"]?.stringValue && Int(mine.tokenCount) == other["token_count"]?.integerValue)
                #expect(mine.explanation.map { JSONValue.double($0.bm25) } == other["explanation"]?["bm25"])
            }
        }
        await client.close()
        await running.server.stop()
    }

    @Test func requestsOfOneConnectionRunAtOnce() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        _ = try await client.publish((0..<50).map { Self.publish("many", "key-\($0)", $0) })
        var register = WireRegister()
        (register.project, register.agent, register.needs, register.lastSeen) = ("many", "waiter", ["what never comes"], 50)
        _ = try await client.register(register)
        // The first asked is the last answered.
        let slow = Task {
            var read = WireReadInbox()
            (read.agent, read.project, read.waitMilliseconds) = ("waiter", "many", 1_500)
            let started = ContinuousClock.now
            _ = try await client.inbox(read)
            return ContinuousClock.now - started
        }
        try await Task.sleep(for: .milliseconds(50))
        let started = ContinuousClock.now
        let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<50 {
                group.addTask {
                    let held = try await client.data("key-\(number)", project: "many")
                    return try JSONParser.parse(held.data ?? [])["n"]?.integerValue ?? -1
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(numbers.sorted() == Array(0..<50))
        #expect(ContinuousClock.now - started < .milliseconds(1_400))
        #expect(try await slow.value > .milliseconds(1_000))
        await client.close()
        await running.server.stop()
    }

    @Test func deadlinesAndCancellation() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        _ = try await client.publish(Self.publish("late", "key", 1))
        var register = WireRegister()
        (register.project, register.agent, register.needs, register.lastSeen) = ("late", "waiter", ["what never comes"], 1)
        _ = try await client.register(register)
        let read = {
            var read = WireReadInbox()
            (read.agent, read.project, read.waitMilliseconds) = ("waiter", "late", 30_000)
            return read
        }()
        let started = ContinuousClock.now
        let over = await #expect(throws: ContexError.self) { try await client.inbox(read, deadline: .milliseconds(100)) }
        #expect(over?.code == .deadlineExceeded)
        let task = Task { try await client.inbox(read) }
        try await Task.sleep(for: .milliseconds(50))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // More than a connection may have at once, one after the other given up: each gives its place back.
        for _ in 0..<20 {
            await withTaskGroup { group in
                for _ in 0..<20 { group.addTask { _ = try? await client.inbox(read, deadline: .milliseconds(20)) } }
            }
        }
        #expect(try await client.data("key", project: "late").sequence == 1)
        #expect(ContinuousClock.now - started < .seconds(20))
        await client.close()
        await running.server.stop()
    }

    @Test func nothingIsSentWithoutCredit() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        _ = try await client.publish((0..<10).map { Self.publish("slow", "key-\($0)", $0) })
        let address = try #require(running.server.wire)
        let told = try await offPool { () -> [[Int]] in
            let peer = try WirePeer(address)
            var follow = WireFollowEvents()
            (follow.project, follow.fromStart) = ("slow", true)
            peer.request(.followEvents, follow, stream: 1)
            let opened = try peer.next()
            guard opened.kind == .answer, opened.flags == .open, try WireOpened(decoding: opened.payload).cursor == "0-0" else { return [] }
            var told: [[Int]] = []
            func read(_ count: Int) throws {
                var numbers: [Int] = []
                while numbers.count < count {
                    let frame = try peer.next()
                    guard frame.kind == .updates else { throw WirePeer.Missing(description: "\(frame)") }
                    numbers += try WireUpdates(decoding: frame.payload).updates.map(Self.number)
                }
                told.append(numbers)
            }
            // Nothing but the answer to the ping.
            peer.send(Frame(.ping, payload: [7]))
            guard try peer.next() == Frame(.pong, payload: [7]), !peer.raw.hasMore(within: 200) else { return told }
            peer.send(Frame(.credit, stream: 1, payload: WireCredit(updates: 3).encoded))
            try read(3)
            guard !peer.raw.hasMore(within: 200) else { return told }
            peer.send(Frame(.credit, stream: 1, payload: WireCredit(updates: .max).encoded))
            try read(7)
            peer.send(Frame(.cancel, stream: 1))
            guard peer.refusal(try peer.next()) == "request_cancelled" else { return told }
            // Of a stream that has ended nobody hears anything.
            peer.send(Frame(.credit, stream: 1, payload: WireCredit(updates: 1).encoded), Frame(.cancel, stream: 1), Frame(.ping))
            guard try peer.next() == Frame(.pong) else { return told }
            told.append([])
            return told
        }
        #expect(told == [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9], []])
        await client.close()
        await running.server.stop()
    }

    /// Each ends the connection with a reason on stream 0, and the server serves on.
    @Test func whatIsNotTheProtocol() async throws {
        let running = try await TestServer { $0.bodyBytesMax = 100_000 }
        let address = try #require(running.server.wire)
        func framed(_ frame: Frame) -> [UInt8] {
            var bytes: [UInt8] = []
            frame.append(to: &bytes)
            return bytes
        }
        func request(_ stream: UInt32, _ flags: Frame.Flags = [], _ count: Int = 0) -> [UInt8] {
            framed(Frame(.request, flags, stream: stream, payload: [UInt8](repeating: 0, count: count)))
        }
        var badSum = framed(Frame(.ping, payload: [1, 2, 3]))
        badSum[badSum.count - 1] ^= 1
        var unknownKind = framed(Frame(.ping))
        unknownKind[4] = 200
        let hello = WirePeer.hello()
        let cases: [(String, [UInt8], String)] = [
            ("HTTP", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), "protocol_broken"),
            ("another layout", Array("CONTEX/2".utf8), "protocol_broken"),
            ("no HELLO", Frame.preface + framed(Frame(.ping)), "protocol_broken"), ("HELLO twice", hello + hello.dropFirst(8), "protocol_broken"),
            ("an older version", WirePeer.hello(versions: 0...0), "version_unsupported"),
            ("a later one", WirePeer.hello(versions: 2...9), "version_unsupported"),
            ("HELLO that is no message", Frame.preface + framed(Frame(.hello, payload: [0xFF])), "protocol_broken"),
            ("a long HELLO", Frame.preface + framed(Frame(.hello, payload: [UInt8](repeating: 0, count: 9_000))), "body_too_large"),
            ("a wrong sum", hello + badSum, "protocol_broken"), ("an unknown kind", hello + unknownKind, "protocol_broken"),
            ("a server's frame", hello + framed(Frame(.answer, stream: 1)), "protocol_broken"),
            ("an endless length", hello + [0xFF, 0xFF, 0xFF, 0xFF, 5, 0, 0, 0, 0, 1], "body_too_large"),
            ("a stream again", hello + request(2) + request(2), "protocol_broken"), ("a stream of before", hello + request(2) + request(1), "protocol_broken"),
            ("credit for a stream to come", hello + framed(Frame(.credit, stream: 9)), "protocol_broken"),
            ("cancel of a stream to come", hello + framed(Frame(.cancel, stream: 9)), "protocol_broken"),
            ("a long ping", hello + framed(Frame(.ping, payload: [UInt8](repeating: 1, count: 65))), "body_too_large"),
            ("a long message", hello + request(1, .more, 60_000) + request(1, .more, 60_000), "body_too_large"),
            ("too many parts", hello + (1...17).flatMap { request($0, .more, 1) }, "protocol_broken"),
        ]
        for (name, bytes, code) in cases {
            let refusal = try await offPool { () -> String in
                let peer = try WirePeer(address, greets: false)
                peer.raw.send(bytes)
                let frames = peer.rest()
                guard let last = frames.last, last.stream == 0 else { return "\(frames)" }
                return peer.refusal(last)
            }
            #expect(refusal == code, "\(name)")
        }
        // Half of anything waits for the rest, and a connection that ends there is no fault.
        for count in 0..<hello.count {
            try await offPool {
                let peer = try WirePeer(address, greets: false)
                peer.raw.send(Array(hello.prefix(count)))
            }
        }
        // What is a frame and no request is refused by itself.
        let refusals = try await offPool { () -> [String] in
            let peer = try WirePeer(address)
            var unknown = WireRequest()
            unknown.operation = 999
            peer.send(Frame(.request, stream: 1, payload: [0xFF]))
            var found = [peer.refusal(try peer.next())]
            peer.send(Frame(.request, stream: 2, payload: unknown.encoded))
            found.append(peer.refusal(try peer.next()))
            peer.send(Frame(.request, stream: 3, payload: WireRequest(.query, body: [0x0B]).encoded))
            found.append(peer.refusal(try peer.next()))
            peer.request(.health, WireNothing(), stream: .max)
            found.append(peer.refusal(try peer.next()))
            return found
        }
        #expect(refusals == ["protocol_broken", "operation_unknown", "protocol_broken", "answer"])
        #expect(try await running.call("GET", "/health").status == 200)
        await running.server.stop()
    }

    @Test func thousandsOfStreams() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        _ = try await client.publish(Self.publish("crowd", "key", 1))
        let address = try #require(running.server.wire)
        let (refused, cancelled, answered) = try await offPool { () -> (Int, Int, String) in
            let peer = try WirePeer(address)
            let count: UInt32 = 3_000
            var follow = WireFollowEvents()
            (follow.project, follow.credit) = ("crowd", 1)
            for stream in 1...count { peer.request(.followEvents, follow, stream: stream) }
            var (refused, opened) = (0, 0)
            while refused + opened < Int(count) {
                let frame = try peer.next()
                if frame.kind == .error { refused += 1 } else if frame.flags == .open { opened += 1 }
            }
            guard opened == 256 else { return (refused, 0, "\(opened) open") }
            for stream in 1...count { peer.send(Frame(.cancel, stream: stream)) }
            var cancelled = 0
            while cancelled < opened { if peer.refusal(try peer.next()) == "request_cancelled" { cancelled += 1 } }
            // The places are free again, once the tasks have ended.
            for attempt in 1...100 {
                peer.request(.followEvents, follow, stream: count + UInt32(attempt))
                if try peer.next().flags == .open { return (refused, cancelled, "open") }
            }
            return (refused, cancelled, "none is open again")
        }
        #expect(refused == 3_000 - 256 && cancelled == 256 && answered == "open")
        await client.close()
        await running.server.stop()
    }

    /// Large answers go out in pieces: a small one that is asked for later overtakes them.
    @Test func smallAnswersOvertakeLargeOnes() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        var large = WirePublish()
        (large.project, large.key) = ("wide", "large")
        large.text = String(repeating: "words and words and words ", count: 150_000)
        large.format = "text"
        // With a vector of its own it is one node, and nobody computes.
        large.vector = [1] + [Float](repeating: 0, count: 383)
        _ = try await client.publish(large)
        let address = try #require(running.server.wire)
        let order = try await offPool { () -> [UInt32] in
            let peer = try WirePeer(address, receiveBytes: 64 << 10)
            peer.request(.showData, WireDataKey(project: "wide", key: "large"), stream: 1)
            // It is on its way, and stuck: nobody reads.
            Thread.sleep(forTimeInterval: 1)
            peer.request(.health, WireNothing(), stream: 2)
            Thread.sleep(forTimeInterval: 0.5)
            return [try peer.next().stream, try peer.next().stream]
        }
        #expect(order == [2, 1])
        await client.close()
        await running.server.stop()
    }

    /// Answers that are not read have half of their memory for one address: what comes over it is refused, and the others arrive whole.
    @Test func answersThatAreNotReadHaveAShare() async throws {
        let running = try await TestServer { $0.inflightBytesMax = 32 << 20 }
        let client = try Self.client(running)
        var large = WirePublish()
        (large.project, large.key) = ("wide", "large")
        large.text = String(repeating: "words and words and words ", count: 60_000)
        large.format = "text"
        large.vector = [1] + [Float](repeating: 0, count: 383)
        _ = try await client.publish(large)
        let address = try #require(running.server.wire)
        let (whole, refusals) = try await offPool { () -> (Int, [String]) in
            let peer = try WirePeer(address, receiveBytes: 64 << 10)
            for stream in 1...UInt32(20) { peer.request(.showData, WireDataKey(project: "wide", key: "large"), stream: stream) }
            // All of them are answered, and nobody reads.
            Thread.sleep(forTimeInterval: 2)
            var (whole, refusals): (Int, [String]) = (0, [])
            for _ in 0..<20 {
                let frame = try peer.next()
                if frame.kind == .answer, frame.payload.count > 1 << 20 { whole += 1 } else { refusals.append(peer.refusal(frame)) }
            }
            return (whole, refusals)
        }
        #expect(whole >= 1 && whole + refusals.count == 20 && refusals.count >= 8, "\(whole) \(refusals)")
        #expect(refusals.allSatisfy { $0 == "server_busy" })
        await client.close()
        await running.server.stop()
    }

    @Test func keys() async throws {
        let key = "ck_" + String(repeating: "a1B2c3D4", count: 6)
        let running = try await TestServer {
            $0.authenticationRequired = true
            $0.bootstrapKey = key
        }
        for (given, code) in [(nil, ErrorCode.keyMissing), ("nobody's", .keyUnknown)] {
            let stranger = try Self.client(running, apiKey: given)
            let refused = await #expect(throws: ContexError.self) { try await stranger.ping() }
            #expect(refused?.code == code)
            await stranger.close()
        }
        let root = try Self.client(running, apiKey: key)
        _ = try await root.publish(Self.publish("kept", "key", 1))
        let made = try await running.call("POST", "/api/v1/auth/keys?name=other", headers: ["X-API-Key": key]).json
        let (other, id) = (try #require(made["api_key"]?.stringValue), try #require(made["key_id"]?.stringValue))
        let reader = try Self.client(running, apiKey: other)
        _ = try await reader.ping()
        // What its role does not allow is refused with the permission that is missing.
        let refused = await #expect(throws: ContexError.self) { try await reader.publish(Self.publish("kept", "key", 2)) }
        #expect(refused == nil || refused?.category == .forbidden && refused?.requiredPermission != nil)
        let address = try #require(running.server.wire)
        let (revoked, heard) = try await (
            running.call("DELETE", "/api/v1/auth/keys/\(id)", headers: ["X-API-Key": key]).status, { () async throws -> String in
                await #expect(throws: ContexError.self) {
                    for _ in 0..<200 {
                        _ = try await reader.ping()
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
                return try await offPool {
                    let peer = try WirePeer(address, greets: false)
                    peer.raw.send(WirePeer.hello(apiKey: other))
                    return peer.refusal(try peer.next())
                }
            }()
        )
        #expect((200..<300).contains(revoked) && heard == "key_unknown")
        #expect(try await root.data("key", project: "kept").sequence >= 1)
        for client in [root, reader] { await client.close() }
        await running.server.stop()
    }

    /// The server goes and comes again, on the same port and folder, while somebody follows: no update is missing, none out of order, none twice.
    @Test func aSubscriptionGoesOnBehindARestart() async throws {
        let first = try await TestServer()
        let port = try #require(first.server.wire).port
        let client = try Self.client(first, window: 8)
        let total = 60
        let following = Task {
            var numbers: [Int] = []
            for try await update in client.events(of: "lasting", fromStart: true) {
                numbers.append(Self.number(update))
                if numbers.count == total { break }
            }
            return numbers
        }
        var running = first
        for number in 0..<total {
            if number == 20 || number == 40 {
                let folder = running.folder
                await running.server.stop()
                running = try await TestServer(folder: folder) { $0.wirePort = port }
            }
            _ = try await running.call(
                "POST", "/api/v1/data/publish", ["project_id": "lasting", "data_key": .string("key-\(number % 7)"), "data": ["n": .integer(number)]])
        }
        #expect(try await following.value == Array(0..<total))
        await client.close()
        await running.server.stop()
    }

    @Test func aStopEndsSubscriptionsAndFinishesRequests() async throws {
        let running = try await TestServer()
        let client = try Self.client(running)
        _ = try await client.publish(Self.publish("ending", "key", 1))
        let address = try #require(running.server.wire)
        let peer = Task {
            try await offPool { () -> [String] in
                let peer = try WirePeer(address)
                var follow = WireFollowEvents()
                (follow.project, follow.credit) = ("ending", 10)
                peer.request(.followEvents, follow, stream: 1)
                return peer.rest().map { $0.kind == .error ? peer.refusal($0) : "\($0.kind)" }
            }
        }
        try await Task.sleep(for: .milliseconds(300))
        let started = ContinuousClock.now
        await running.server.stop()
        #expect(ContinuousClock.now - started < .seconds(5))
        // A subscription may hear of the stop before its connection does.
        #expect(try await peer.value.sorted() == ["answer", "goodbye", "server_stopping"])
        await client.close()
    }
}
