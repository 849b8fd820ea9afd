// The carrier against real receivers on loopback.
import Addresses
import Base
import Content
import Engine
import Events
import Foundation
import Hashing
import Logging
import NIOCore
import NIOPosix
import Needs
import Outbox
import Synchronization
import Testing
import Webhooks

/// Answers from a table, and counts the questions.
private final class TableResolver: NameResolver {
    private let table: [String: [String]]
    private let asked = Mutex(0)
    init(_ table: [String: [String]]) { self.table = table }
    var questions: Int { asked.withLock { $0 } }
    func addresses(of name: String, within timeout: Duration) async throws -> [IPAddress] {
        asked.withLock { $0 += 1 }
        guard let addresses = table[name] else { throw ResolutionError("no such name") }
        return addresses.map { IPAddress($0)! }
    }
}

private func sequences(_ receiver: Receiver) throws -> [Int] {
    try receiver.requests.map { Int(try JSONParser.parse($0.body)["sequence"]!.stringValue!)! }
}

@Suite struct WebhookCarrierTests {
    @Test func bodiesHeadersAndSignatures() async throws {
        let receiver = try await Receiver()
        let post = Post()
        let secret = "ein Geheimnis mit ü"
        let data: JSONValue = ["tech": .array([.double(1.5), .string("é\n\"")])]
        let event = EventRecord(
            sequence: Sequence(rawValue: 7), position: Position(rawValue: 7), kind: .published, type: "tech_updated", key: "tech", format: "json",
            recordedAt: Timestamp(rawValue: 0), data: JSONPrinter.bytes(data), hash: .zero)
        let (eight, nine) = (Sequence(rawValue: 8), Sequence(rawValue: 9))
        let url = receiver.url + "?x=1"
        post.send(url, .greeting, .initialContext(InitialContext(needs: [("need", []), ("other", [])])), secrets: [secret])
        post.send(url, .missed(event.sequence), .event(event), secrets: [secret])
        post.send(url, .entry(eight), .update(sequence: eight, key: "tech", data: JSONPrinter.bytes(data)), secrets: [secret])
        #expect(await eventually { post.carrier.statistics.sent == 3 })
        post.send(url, .entry(nine), .deletion(sequence: nine, key: "tech"))
        #expect(await eventually { post.carrier.statistics.sent == 4 })
        let requests = receiver.requests
        let bodies = requests.map { String(decoding: $0.body, as: UTF8.self) }
        #expect(
            bodies == [
                #"{"type":"initial_context","agent_id":"a","context":{"need":[],"other":[]}}"#,
                #"{"type":"event","agent_id":"a","sequence":"7","event_type":"tech_updated","data":{"tech":{"tech":[1.5,"é\n\""]}}}"#,
                #"{"type":"data_update","agent_id":"a","sequence":"8","data_key":"tech","data":{"tech":[1.5,"é\n\""]}}"#,
                #"{"type":"data_deleted","agent_id":"a","sequence":"9","data_key":"tech"}"#,
            ])
        #expect(requests.map { $0.headers["x-contex-event"] } == ["initial_context", "event", "data_update", "data_deleted"])
        #expect(requests.map { $0.headers["webhook-id"] } == ["msg_a_initial_context_0", "msg_a_event_7", "msg_a_update_8", "msg_a_update_9"])
        for (index, request) in requests.enumerated() {
            #expect(request.line == "POST /hook?x=1 HTTP/1.1")
            #expect(request.headers["content-type"] == "application/json" && request.headers["user-agent"] == "Contex-Webhook/0.2.0")
            #expect(request.headers["host"] == "127.0.0.1:\(receiver.port)")
            let seconds = try #require(request.headers["webhook-timestamp"])
            #expect(abs((Double(seconds) ?? 0) - Date().timeIntervalSince1970) < 60)
            let expected = "sha256=" + HMACSHA256.authenticate(request.body, key: Array(secret.utf8)).hex
            #expect(request.headers["x-contex-signature"] == (index < 3 ? expected : nil))
            let signed = Array("\(request.headers["webhook-id"]!).\(seconds).".utf8) + request.body
            let standard = "v1," + Data(HMACSHA256.authenticate(signed, key: Array(secret.utf8)).bytes).base64EncodedString()
            #expect(request.headers["webhook-signature"] == (index < 3 ? standard : nil))
        }
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// The key of a secret in the form of Standard Webhooks is what its base64 stands for; while a secret is changed both sign.
    @Test func secretsOfStandardWebhooks() async throws {
        let receiver = try await Receiver()
        let post = Post()
        let (first, second) = ("whsec_" + Data("the new one".utf8).base64EncodedString(), "the old one")
        let one = Sequence(rawValue: 1)
        post.send(receiver.url, .entry(one), .deletion(sequence: one, key: "k"), secrets: [first, second])
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        let request = receiver.requests[0]
        let signed = Array("\(request.headers["webhook-id"]!).\(request.headers["webhook-timestamp"]!).".utf8) + request.body
        let signatures = ["the new one", "the old one"].map { "v1," + Data(HMACSHA256.authenticate(signed, key: Array($0.utf8)).bytes).base64EncodedString() }
        #expect(request.headers["webhook-signature"] == signatures.joined(separator: " "))
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func oneAgentInOrderOverOneConnection() async throws {
        let receiver = try await Receiver()
        let post = Post()
        post.source.change(Post.lane()) { $0.target = DeliveryTarget(url: receiver.url, secrets: []) }
        for number in 1...30 { post.update(receiver.url, number) }
        #expect(await eventually { post.source.pending == 0 })
        #expect(try sequences(receiver) == Array(1...30))
        #expect(receiver.connections <= 3 && post["a"]?.delivered == 30)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func orderHoldsThroughRetries() async throws {
        // Every second request fails: the order of the accepted ones must hold all the same, and each has one id.
        let accepted = Mutex<[String]>([])
        let receiver = try await Receiver { number, request in
            if number % 2 == 0 { return .status(503) }
            accepted.withLock { $0.append(request.headers["webhook-id"] ?? "") }
            return .status(200)
        }
        let post = Post()
        for number in 1...10 { post.update(receiver.url, number) }
        #expect(await eventually { post.source.pending == 0 })
        #expect(accepted.withLock { $0 } == (1...10).map { "msg_a_update_\($0)" } && post.carrier.statistics.retried == 10)
        for id in Set(receiver.requests.map { $0.headers["webhook-id"] }) {
            #expect(Set(receiver.requests.filter { $0.headers["webhook-id"] == id }.map(\.body)).count == 1)
        }
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// A status that does not exist once ended the process, inside the HTTP client.
    @Test(arguments: [
        "000 X\r\nContent-Length: 2\r\n\r\nok", "099 X\r\nContent-Length: 0\r\n\r\n", "042 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "100 X\r\n\r\nHTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", "101 X\r\n\r\nHTTP/1.1 200 X\r\n\r\n",
    ])
    func answersThatAreNone(_ answer: String) async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .text("HTTP/1.1 \(answer)") : .status(200) }
        let post = Post()
        for number in 1...3 { post.update(receiver.url, number) }
        #expect(await eventually { post.source.pending == 0 })
        #expect(receiver.requests.count >= 3 && post["a"].map { $0.delivered + $0.dead.count } == 3)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func agentsGoInParallelWithinTheShareOfAHost() async throws {
        let receiver = try await Receiver(delay: .milliseconds(100))
        let post = Post(limits: DeliveryLimits(concurrency: 8, concurrencyPerHost: 3))
        for agent in 0..<9 { post.update(receiver.url, 1, agent: "agent \(agent)") }
        #expect(await eventually { post.carrier.statistics.sent == 9 })
        #expect(receiver.runningMax == 3)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test(arguments: [
        ([500, 503, 200], 3, 1), ([500, 500, 500, 200], 3, 0), ([200], 1, 1), ([204], 1, 1), ([404, 200], 1, 0), ([429, 200], 2, 1),
        ([408, 425, 200], 3, 1),
    ])
    func tries(_ statuses: [Int], _ requests: Int, _ sent: Int) async throws {
        let receiver = try await Receiver { number, _ in .status(statuses[min(number, statuses.count - 1)]) }
        let post = Post()
        post.update(receiver.url, 1)
        #expect(await eventually { post.source.pending == 0 })
        #expect(receiver.requests.count == requests && Set(receiver.requests.map(\.body)).count == 1)
        #expect(Set(receiver.requests.map { $0.headers["webhook-id"] }).count == 1)
        let lane = try #require(post["a"])
        #expect(lane.delivered == sent && lane.dead.count == 1 - sent && post.carrier.statistics.retried == requests - 1 && lane.attempts == 0)
        if let letter = lane.dead.first {
            #expect(letter.id == "msg_a_update_1" && Int(letter.attempts) == requests && Int(letter.status) == statuses[requests - 1])
            #expect(letter.reason == "the receiver answered status \(letter.status)")
        }
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func redirectsAreNotFollowed(_ status: Int) async throws {
        let target = try await Receiver()
        let receiver = try await Receiver { _, _ in .text("HTTP/1.1 \(status) X\r\nLocation: \(target.url)\r\nContent-Length: 0\r\n\r\n") }
        let post = Post()
        post.update(receiver.url, 1)
        #expect(await eventually { post["a"]?.dead.count == 1 })
        #expect(receiver.requests.count == 1 && target.connections == 0)
        await post.carrier.shutdown()
        await receiver.close()
        await target.close()
    }

    /// What a receiver that is gone has not taken is a dead letter; what comes after stays where it is.
    @Test func aReceiverThatIsGoneIsCalledNoMore() async throws {
        let receiver = try await Receiver { number, _ in .status(number == 1 ? 410 : 200) }
        let post = Post()
        for number in 1...4 { post.update(receiver.url, number) }
        #expect(await eventually { post["a"]?.isDisabled == true })
        post.update(receiver.url, 5)
        try await Task.sleep(for: .milliseconds(100))
        #expect(receiver.requests.count == 2 && post["a"]?.dead.map(\.status) == [410] && post["a"]?.messages.count == 3)
        // Registered anew it goes on.
        post.source.change(Post.lane()) { $0.isDisabled = false }
        post.carrier.ring(Post.lane(), isFresh: true)
        #expect(await eventually { post.source.pending == 0 })
        #expect(try sequences(receiver) == [1, 2, 3, 4, 5])
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func silentReceiversTimeOutAndAreTriedAgain() async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .silence : .status(200) }
        let post = Post(timeout: .milliseconds(300))
        post.update(receiver.url, 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        #expect(receiver.requests.count == 2 && post.carrier.statistics.retried == 1)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func brokenConnectionsAreTriedAgain() async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .close : number == 1 ? .text("nonsense\r\n\r\n") : .status(200) }
        let post = Post()
        post.update(receiver.url, 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        #expect(receiver.requests.count == 3)
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// The status is what counts; an answer without an end takes neither time nor memory beyond the bounds.
    @Test func endlessAnswersAreNotRead() async throws {
        let receiver = try await Receiver { number, _ in
            number == 0
                ? .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + String(repeating: "x", count: 100_000))
                : .text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it")
        }
        let post = Post(timeout: .milliseconds(500))
        post.update(receiver.url, 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        post.update(receiver.url, 2)
        post.update(receiver.url, 3)
        #expect(await eventually { post.carrier.statistics.sent == 3 })
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func refusedConnectionsFail() async throws {
        let receiver = try await Receiver()
        let url = receiver.url
        await receiver.close()
        let post = Post()
        post.update(url, 1)
        #expect(await eventually { post["a"]?.dead.count == 1 })
        #expect(post.carrier.statistics.retried == 2 && post.carrier.statistics.failed == 1 && post["a"]?.dead[0].attempts == 3)
        await post.carrier.shutdown()
    }

    @Test(arguments: ["http://127.0.0.1", "http://localhost", "http://2130706433", "http://127.1", "http://[::ffff:127.0.0.1]", "http://0"])
    func privateAddressesAreNotConnectedTo(_ origin: String) async throws {
        let receiver = try await Receiver()
        let post = Post(allow: .publicOnly)
        post.update("\(origin):\(receiver.port)/", 1)
        #expect(await eventually { post["a"]?.dead.count == 1 })
        #expect(receiver.connections == 0 && post.carrier.statistics.retried == 0 && post["a"]?.dead[0].reason.contains("CONTEX_WEBHOOK_ALLOW") == true)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test(arguments: ["http://localhost", "http://127.1", "http://LOCALHOST.", "http://0x7f.0.0.1"])
    func allowedAddressesAreCalled(_ origin: String) async throws {
        let receiver = try await Receiver()
        let post = Post()
        post.update("\(origin):\(receiver.port)/", 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        #expect(receiver.requests.count == 1)
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// The name exists in no DNS: the delivery arrives only because the connection goes to the address that was checked.
    @Test func theConnectionGoesToTheCheckedAddress() async throws {
        let receiver = try await Receiver()
        let resolver = TableResolver(["hooks.example.invalid": ["10.0.0.1", "127.0.0.1", "169.254.169.254"]])
        let post = Post(resolver: resolver)
        post.update("http://hooks.example.invalid:\(receiver.port)/x", 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        #expect(receiver.requests.map { $0.headers["host"] } == ["hooks.example.invalid:\(receiver.port)"] && resolver.questions == 1)
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// Of several permitted addresses the next is tried at once when nobody listens at the first.
    @Test func theNextAddressIsTried() async throws {
        let receiver = try await Receiver()
        let post = Post(attempts: 1, resolver: TableResolver(["two.example": ["127.0.0.2", "127.0.0.1"]]))
        post.update("http://two.example:\(receiver.port)/x", 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// With TLS the checked address is called and the certificate asked for by name; a receiver that cannot show it fails.
    @Test func theNameIsWhatTLSAsksFor() async throws {
        let receiver = try await Receiver()
        let post = Post(timeout: .seconds(1), attempts: 1, resolver: TableResolver(["hooks.example.invalid": ["127.0.0.1"]]))
        post.update("https://hooks.example.invalid:\(receiver.port)/x", 1)
        #expect(await eventually { post["a"]?.dead.count == 1 })
        let hello = receiver.firstBytes
        #expect(hello.first == 0x16 && hello.firstRange(of: Array("hooks.example.invalid".utf8)) != nil)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func namesWithoutAddressAreTriedAgainThenFail() async throws {
        let post = Post(resolver: TableResolver(["empty.example": []]))
        post.update("http://nowhere.example/", 1, agent: "a")
        post.update("http://empty.example/", 1, agent: "b")
        post.update(nil, 2, agent: "c")
        post.update("gopher://x/", 3, agent: "d")
        #expect(await eventually { ["a", "b", "c", "d"].allSatisfy { post[$0]?.dead.count == 1 } })
        #expect(post.carrier.statistics.retried == 2 && post.carrier.statistics.failed == 1 && post.carrier.statistics.refused == 3)
        await post.carrier.shutdown()
    }

    /// What came while the receiver was down is there when it is back, all of it and in order.
    @Test func nothingIsLostWhileTheBreakerIsOpen() async throws {
        let isUp = Mutex(false)
        let receiver = try await Receiver { _, _ in .status(isUp.withLock { $0 } ? 200 : 500) }
        let post = Post(attempts: 5, breaker: .init(failuresToOpen: 2, openTime: .milliseconds(300)))
        post.update(receiver.url, 1)
        #expect(await eventually { post.carrier.breaker(of: receiver.url) == .open })
        #expect(receiver.requests.count == 2 && post.carrier.statistics.openBreakers == 1 && post.carrier.health.openBreakers == 1)
        isUp.withLock { $0 = true }
        for number in 2...8 { post.update(receiver.url, number) }
        #expect(await eventually { post.source.pending == 0 })
        #expect(try sequences(receiver).suffix(8) == Array(1...8)[...])
        #expect(post["a"]?.delivered == 8 && post["a"]?.dead.isEmpty == true && post["a"]?.failure == "the receiver answered status 500")
        #expect(post.carrier.breaker(of: receiver.url) == .closed && post.carrier.statistics.waiting == 0)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func theBreakerIsOfOneAddress() async throws {
        let receiver = try await Receiver { _, request in .status(request.line.contains("other") ? 200 : 500) }
        let post = Post(attempts: 1, breaker: .init(failuresToOpen: 2))
        for number in 1...8 { post.update(receiver.url, number) }
        #expect(await eventually { post.carrier.breaker(of: receiver.url) == .open })
        #expect(await eventually { post["a"]?.messages.count == 6 })
        #expect(receiver.requests.count == 2 && post["a"]?.dead.count == 2)
        post.update(receiver.url + "/other", 9, agent: "b")
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        // Stopping does not wait for the trial.
        let start = ContinuousClock.now
        await post.carrier.shutdown()
        #expect(ContinuousClock.now - start < .seconds(8) && post["a"]?.messages.count == 6)
        await receiver.close()
    }

    /// A receiver that says when to come again is not called before.
    @Test func retryAfterIsHonoured() async throws {
        let receiver = try await Receiver { number, _ in
            number == 0 ? .text("HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n") : .status(200)
        }
        let post = Post()
        let start = ContinuousClock.now
        post.update(receiver.url, 1)
        #expect(await eventually { post.carrier.statistics.sent == 1 })
        // Without the header it would be some 20 ms.
        #expect(receiver.requests.count == 2 && ContinuousClock.now - start >= .seconds(1))
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func refusedMessagesAreNamedAndOthersGoOn() async throws {
        let receiver = try await Receiver { number, _ in .status(number < 7 ? 404 : 200) }
        let log = LogBook()
        let post = Post(logger: log.logger)
        for number in 1...8 { post.update(receiver.url, number) }
        #expect(await eventually { post.source.pending == 0 })
        #expect(post["a"]?.dead.map(\.item) == (1...7).map { .entry(Sequence(rawValue: $0)) } && post["a"]?.delivered == 1)
        #expect(post.carrier.breaker(of: receiver.url) == .closed && post.carrier.statistics.rejected == 7)
        #expect(log.lines.count { $0 == "webhook given up, the receiver does not take it: the receiver answered status 404" } == 7)
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// A dead letter that somebody wants again goes out once, under its id, before what is new; what is not taken is a dead letter again.
    @Test func deadLettersAreSentAgain() async throws {
        let receiver = try await Receiver { number, _ in .status(number == 0 ? 500 : 200) }
        let post = Post()
        let old = Sequence(rawValue: 1)
        post.source.change(Post.lane()) { lane in
            lane.target = DeliveryTarget(url: receiver.url, secrets: [], project: Post.project)
            let agent = AgentRecord(
                name: Name(stored: "a"), number: 1, inbox: 1, needs: [], delivery: .webhook, responseFormat: "json", channel: "c",
                webhookURL: receiver.url, webhookSecret: nil, lastSequence: .zero, registeredAt: Timestamp(rawValue: 0))
            for letter in [3, 4] as [UInt64] {
                let notification = Notification(
                    tenant: .standard, project: Post.project, agent: agent, message: .deletion(sequence: Sequence(rawValue: letter), key: "k"))
                lane.queued.append(DeliveryMessage(item: .entry(old), letter: letter, id: "msg_old_\(letter)", content: .notification(notification)))
            }
        }
        post.update(receiver.url, 9)
        #expect(await eventually { post.source.pending == 0 })
        #expect(receiver.requests.map { $0.headers["webhook-id"] } == ["msg_old_3", "msg_old_4", "msg_a_update_9"])
        #expect(post["a"]?.returned.map(\.number) == [3] && post["a"]?.delivered == 2 && post["a"]?.dead.isEmpty == true)
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// The key that registered the agent ends: nothing goes out any more, neither what comes nor what waits, until it holds again.
    @Test func nobodyIsToldForAKeyThatEnded() async throws {
        let holds = Mutex(true)
        let receiver = try await Receiver { number, _ in
            if number == 0 { holds.withLock { $0 = false } }
            return .status(number == 0 ? 503 : 200)
        }
        let post = Post(mayBeTold: { _ in holds.withLock { $0 } })
        post.update(receiver.url, 1)
        #expect(await eventually { post["a"]?.attempts == 1 })
        post.update(receiver.url, 2)
        try await Task.sleep(for: .milliseconds(200))
        #expect(receiver.requests.count == 1 && post.source.pending == 2)
        holds.withLock { $0 = true }
        post.carrier.keysChanged()
        #expect(await eventually { post.source.pending == 0 })
        #expect(try sequences(receiver) == [1, 1, 2])
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// Notes that cannot be written wait, and so do their lanes: what comes next is not sent before.
    @Test func aStoreThatCannotBeWrittenIsWaitedFor() async throws {
        let receiver = try await Receiver()
        let post = Post()
        post.source.fail(1)
        post.update(receiver.url, 1)
        #expect(await eventually { receiver.requests.count == 1 })
        post.update(receiver.url, 2)
        #expect(await eventually { post.source.pending == 0 })
        #expect(try sequences(receiver) == [1, 2])
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// Many receivers of one publish are few commands.
    @Test func notesAreGathered() async throws {
        let receiver = try await Receiver(delay: .milliseconds(20))
        let post = Post()
        for agent in 0..<200 { post.update(receiver.url, 1, agent: "agent \(agent)") }
        #expect(await eventually { post.source.pending == 0 })
        #expect(post.carrier.statistics.sent == 200 && post.source.notes < 150)
        print("webhooks: \(post.source.notes) notes of 200 deliveries")
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// Tries that are under way end and are written down; the rest stays.
    @Test func shutdownFinishesWhatIsUnderWay() async throws {
        let receiver = try await Receiver(delay: .milliseconds(100))
        let post = Post()
        for number in 1...10 { post.update(receiver.url, number) }
        #expect(await eventually { receiver.requests.count >= 1 })
        await post.carrier.shutdown()
        let lane = try #require(post["a"])
        #expect(lane.delivered == receiver.requests.count && lane.delivered + lane.messages.count == 10 && lane.delivered < 10)
        post.update(receiver.url, 11)
        try await Task.sleep(for: .milliseconds(50))
        #expect(post["a"]?.delivered == lane.delivered)
        await post.carrier.shutdown()
        await receiver.close()
    }

    @Test func shutdownHasAnEnd() async throws {
        let receiver = try await Receiver { _, _ in .silence }
        let post = Post(timeout: .seconds(60), drainTime: .milliseconds(200))
        for number in 1...10 { post.update(receiver.url, number) }
        #expect(await eventually { receiver.requests.count == 1 })
        let start = ContinuousClock.now
        await post.carrier.shutdown()
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(post["a"]?.messages.count == 10 && post["a"]?.attempts == 0)
        await receiver.close()
    }

    /// What a start finds is delivered without a ring.
    @Test func aStartGoesOn() async throws {
        let receiver = try await Receiver()
        let first = Post()
        await first.carrier.shutdown()
        for number in 1...3 { first.update(receiver.url, number) }
        let carrier = WebhookCarrier(
            configuration: WebhookConfiguration(allow: .loopback), source: first.source, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await carrier.start()
        #expect(await eventually { first.source.pending == 0 })
        #expect(try sequences(receiver) == [1, 2, 3])
        await carrier.shutdown()
        await receiver.close()
    }

    /// Endpoints: the original's body and headers, their own time and tries, and a history.
    @Test func endpointsAreToldOfEvents() async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .status(500) : .text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") }
        let post = Post()
        let lane = DeliveryLane(tenant: .standard, .endpoint(7))
        let time = Timestamp(rawValue: 1_700_000_000_000_000)
        let event = OutboxEvent(
            number: 3, kind: .dataPublished, time: time, project: "p", data: Array(#"{"sequence":"1","data_key":"k","deep":{"b":1,"a":2}}"#.utf8))
        post.source.change(lane) { state in
            state.target = DeliveryTarget(url: receiver.url, secrets: ["secret"])
            state.target.attemptsMax = 2
            state.messages = [DeliveryMessage(item: .event(3), id: "msg_1", content: .event(event, id: "evt_1"))]
        }
        post.carrier.ring(lane, isFresh: false)
        #expect(await eventually { post.source.pending == 0 })
        let request = try #require(receiver.requests.last)
        let body = #"{"data":{"data_key":"k","deep":{"a":2,"b":1},"sequence":"1"},"event_id":"evt_1","event_type":"data.published","#
            + #""project_id":"p","source":"contex","tenant_id":null,"timestamp":"2023-11-14T22:13:20+00:00","version":"1.0"}"#
        #expect(String(decoding: request.body, as: UTF8.self) == body)
        #expect(request.headers["x-contex-event"] == "data.published" && request.headers["x-contex-delivery-id"] == "msg_1")
        #expect(request.headers["x-contex-timestamp"] == "2023-11-14T22:13:20+00:00" && request.headers["webhook-id"] == "msg_1")
        #expect(request.headers["x-contex-signature"] == HMACSHA256.authenticate(request.body, key: Array("secret".utf8)).hex)
        let records = try #require(post.source[lane]).records
        #expect(records.map(\.result) == [.retrying, .success] && records.map(\.status) == [500, 200] && records.map(\.attempt) == [1, 2])
        #expect(records.map(\.body) == ["ok", "hello"] && records.map(\.eventID) == ["evt_1", "evt_1"] && records[1].error == "")
        await post.carrier.shutdown()
        await receiver.close()
    }

    /// Receivers of all kinds, each with a hundred messages: each message is delivered or a dead letter, in order, under one id.
    @Test(arguments: ["slow", "redirect", "reject", "busy", "fail", "reset", "half", "huge", "flip", "mixed"])
    func everyMessageIsDeliveredOrDead(_ kind: String) async throws {
        let count = 100
        let receiver = try await Receiver(delay: kind == "slow" ? .milliseconds(5) : .zero) { number, _ in
            switch kind {
            case "slow": .status(200)
            case "redirect": .text("HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
            case "reject": .status(400)
            case "busy": number % 2 == 0 ? .text("HTTP/1.1 429 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n") : .status(200)
            case "fail": .status(500)
            case "reset": number % 3 == 0 ? .status(200) : .close
            case "half": number % 2 == 0 ? .text("HTTP/1.1 200 OK\r\nContent-Len") : .status(200)
            case "huge": .text("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 100_000))
            case "flip": number % 7 == 0 ? .status(503) : number % 11 == 0 ? .status(404) : .status(200)
            default: [.status(200), .status(500), .close, .status(404), .text("HTTP/1.1 200 OK\r\n")][(number * 7 + number / 5) % 5]
            }
        }
        let post = Post(
            timeout: .milliseconds(300), attempts: 2, ladder: [.milliseconds(2)], breaker: .init(failuresToOpen: 4, openTime: .milliseconds(5)))
        for number in 1...count { post.update(receiver.url, number) }
        #expect(await eventually(within: .seconds(90)) { post.source.pending == 0 })
        let lane = try #require(post["a"])
        #expect(lane.delivered + lane.dead.count == count)
        let dead = Set(lane.dead.map(\.id))
        #expect(dead.count == lane.dead.count)
        // In order, each under its own id, and one that was given up is not delivered as well.
        let ids = receiver.requests.map { $0.headers["webhook-id"]! }
        var seen: [String] = []
        for id in ids where seen.last != id { seen.append(id) }
        #expect(seen == (1...count).map { "msg_a_update_\($0)" })
        await post.carrier.shutdown()
        await receiver.close()
    }
}

/// What was logged.
private final class LogBook: Sendable {
    private struct Handler: LogHandler {
        let book: LogBook
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { book.list.withLock { $0.append("\(event.message)") } }
    }
    private let list = Mutex<[String]>([])
    var lines: [String] { list.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(book: self) } }
}
