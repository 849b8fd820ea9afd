// The sink against real receivers on loopback.
import Addresses
import Base
import Content
import Engine
import Events
import Hashing
import Logging
import NIOCore
import NIOPosix
import Needs
import Synchronization
import Testing
import Webhooks

private func notification(_ url: String?, agent: String = "a", secret: String? = nil, _ message: Notification.Message) -> Notification {
    Notification(
        tenant: .standard, project: Name(stored: "p"),
        agent: AgentRecord(
            name: Name(stored: agent), number: 1, inbox: 1, needs: [], delivery: .webhook, responseFormat: "toon", channel: "c", webhookURL: url,
            webhookSecret: secret, lastSequence: .zero, registeredAt: Timestamp(rawValue: 0)),
        message: message)
}

private func update(_ url: String?, _ number: Int, agent: String = "a") -> Notification {
    notification(url, agent: agent, .update(sequence: Sequence(rawValue: UInt64(number)), key: "k", data: Array("{\"n\":\(number)}".utf8)))
}

private func sink(
    allow: AddressPolicy = .loopback, timeout: Duration = .seconds(5), attempts: Int = 3, breaker: CircuitBreaker.Settings = .init(),
    limits: DeliveryLimits = DeliveryLimits(), drainTime: Duration = .seconds(10), resolver: (any NameResolver)? = nil,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, mayBeTold: @escaping @Sendable (Notification) -> Bool = { _ in true }
) -> WebhookSink {
    WebhookSink(
        configuration: WebhookConfiguration(
            allow: allow, timeout: timeout, retry: RetryPolicy(attempts: attempts, firstWait: .milliseconds(20)), breaker: breaker, limits: limits,
            drainTime: drainTime),
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger, resolver: resolver, mayBeTold: mayBeTold)
}

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

@Suite struct WebhookSinkTests {
    @Test func bodiesHeadersAndSignature() async throws {
        let receiver = try await Receiver()
        let sink = sink()
        let secret = "ein Geheimnis mit ü"
        let data: JSONValue = ["tech": .array([.double(1.5), .string("é\n\"")])]
        let event = EventRecord(
            sequence: Sequence(rawValue: 7), position: Position(rawValue: 7), kind: .published, type: "tech_updated", key: "tech", format: "json",
            recordedAt: Timestamp(rawValue: 0), data: JSONPrinter.bytes(data), hash: .zero)
        sink.deliver(notification(receiver.url + "?x=1", secret: secret, .initialContext(InitialContext(needs: [("need", []), ("other", [])]))))
        sink.deliver(notification(receiver.url + "?x=1", secret: secret, .event(event)))
        sink.deliver(notification(receiver.url + "?x=1", secret: secret, .update(sequence: Sequence(rawValue: 8), key: "tech", data: JSONPrinter.bytes(data))))
        sink.deliver(notification(receiver.url + "?x=1", .deletion(sequence: Sequence(rawValue: 9), key: "tech")))
        #expect(await eventually { sink.statistics.sent == 4 })
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
        for (index, request) in requests.enumerated() {
            #expect(request.line == "POST /hook?x=1 HTTP/1.1")
            #expect(request.headers["content-type"] == "application/json" && request.headers["user-agent"] == "Contex-Webhook/0.2.0")
            #expect(request.headers["host"] == "127.0.0.1:\(receiver.port)")
            let expected = "sha256=" + HMACSHA256.authenticate(request.body, key: Array(secret.utf8)).hex
            #expect(request.headers["x-contex-signature"] == (index < 3 ? expected : nil))
        }
        await sink.shutdown()
        await receiver.close()
    }

    @Test func oneAgentInOrderOverOneConnection() async throws {
        let receiver = try await Receiver()
        let sink = sink()
        for number in 0..<30 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { sink.statistics.sent == 30 })
        let numbers = try receiver.requests.map { try JSONParser.parse($0.body)["sequence"]!.stringValue! }
        #expect(numbers == (0..<30).map(String.init))
        #expect(receiver.connections == 1)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func orderHoldsThroughRetries() async throws {
        // Every second request fails: the order of the accepted ones must hold all the same.
        let accepted = AcceptedNumbers()
        let receiver = try await Receiver { number, request in
            if number % 2 == 0 { return .status(503) }
            accepted.append(try! JSONParser.parse(request.body)["sequence"]!.stringValue!)
            return .status(200)
        }
        let sink = sink()
        for number in 0..<10 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { sink.statistics.sent == 10 })
        #expect(accepted.numbers == (0..<10).map(String.init) && sink.statistics.retried == 10)
        await sink.shutdown()
        await receiver.close()
    }

    /// A status that does not exist once ended the process, inside the HTTP client.
    @Test(arguments: [
        "000 X\r\nContent-Length: 2\r\n\r\nok", "099 X\r\nContent-Length: 0\r\n\r\n", "042 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "100 X\r\n\r\nHTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", "101 X\r\n\r\nHTTP/1.1 200 X\r\n\r\n",
    ])
    func answersThatAreNone(_ answer: String) async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .text("HTTP/1.1 \(answer)") : .status(200) }
        let sink = sink()
        for number in 0..<3 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { sink.statistics.waiting == 0 })
        #expect(receiver.requests.count >= 3 && sink.statistics.sent + sink.statistics.failed + sink.statistics.rejected == 3)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func agentsGoInParallelWithinTheShareOfAHost() async throws {
        let receiver = try await Receiver(delay: .milliseconds(100))
        let sink = sink(limits: DeliveryLimits(concurrency: 8, concurrencyPerHost: 3))
        for agent in 0..<9 { sink.deliver(update(receiver.url, 1, agent: "agent \(agent)")) }
        #expect(await eventually { sink.statistics.sent == 9 })
        #expect(receiver.runningMax == 3)
        await sink.shutdown()
        await receiver.close()
    }

    @Test(arguments: [
        ([500, 503, 200], 3, 1), ([500, 500, 500, 200], 3, 0), ([200], 1, 1), ([204], 1, 1), ([404, 200], 1, 0), ([429, 200], 2, 1),
        ([408, 425, 200], 3, 1),
    ])
    func tries(_ statuses: [Int], _ requests: Int, _ sent: Int) async throws {
        let receiver = try await Receiver { number, _ in .status(statuses[min(number, statuses.count - 1)]) }
        let sink = sink()
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.waiting == 0 })
        #expect(receiver.requests.count == requests && Set(receiver.requests.map(\.body)).count == 1)
        #expect(sink.statistics.sent == sent && sink.statistics.failed + sink.statistics.rejected == 1 - sent && sink.statistics.retried == requests - 1)
        await sink.shutdown()
        await receiver.close()
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func redirectsAreNotFollowed(_ status: Int) async throws {
        let target = try await Receiver()
        let receiver = try await Receiver { _, _ in .text("HTTP/1.1 \(status) X\r\nLocation: \(target.url)\r\nContent-Length: 0\r\n\r\n") }
        let sink = sink()
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.rejected == 1 })
        #expect(receiver.requests.count == 1 && target.connections == 0)
        await sink.shutdown()
        await receiver.close()
        await target.close()
    }

    @Test func silentReceiversTimeOutAndAreTriedAgain() async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .silence : .status(200) }
        let sink = sink(timeout: .milliseconds(300))
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        #expect(receiver.requests.count == 2 && sink.statistics.retried == 1)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func brokenConnectionsAreTriedAgain() async throws {
        let receiver = try await Receiver { number, _ in number == 0 ? .close : number == 1 ? .text("nonsense\r\n\r\n") : .status(200) }
        let sink = sink()
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        #expect(receiver.requests.count == 3)
        await sink.shutdown()
        await receiver.close()
    }

    /// The status is what counts; an answer without an end takes neither time nor memory beyond the bounds.
    @Test func endlessAnswersAreNotRead() async throws {
        let receiver = try await Receiver { number, _ in
            number == 0
                ? .text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + String(repeating: "x", count: 100_000))
                : .text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it")
        }
        let sink = sink(timeout: .milliseconds(500))
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        sink.deliver(update(receiver.url, 2))
        sink.deliver(update(receiver.url, 3))
        #expect(await eventually { sink.statistics.sent == 3 })
        await sink.shutdown()
        await receiver.close()
    }

    @Test func refusedConnectionsFail() async throws {
        let receiver = try await Receiver()
        let url = receiver.url
        await receiver.close()
        let sink = sink()
        let start = ContinuousClock.now
        sink.deliver(update(url, 1))
        #expect(await eventually { sink.statistics.failed == 1 })
        #expect(sink.statistics.retried == 2 && ContinuousClock.now - start < .seconds(4))
        await sink.shutdown()
    }

    @Test(arguments: ["http://127.0.0.1", "http://localhost", "http://2130706433", "http://127.1", "http://[::ffff:127.0.0.1]", "http://0"])
    func privateAddressesAreNotConnectedTo(_ origin: String) async throws {
        let receiver = try await Receiver()
        let sink = sink(allow: .publicOnly)
        sink.deliver(update("\(origin):\(receiver.port)/", 1))
        #expect(await eventually { sink.statistics.refused == 1 })
        #expect(receiver.connections == 0 && sink.statistics.retried == 0)
        await sink.shutdown()
        await receiver.close()
    }

    @Test(arguments: ["http://localhost", "http://127.1", "http://LOCALHOST.", "http://0x7f.0.0.1"])
    func allowedAddressesAreCalled(_ origin: String) async throws {
        let receiver = try await Receiver()
        let sink = sink()
        sink.deliver(update("\(origin):\(receiver.port)/", 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        #expect(receiver.requests.count == 1)
        await sink.shutdown()
        await receiver.close()
    }

    /// The name exists in no DNS: the delivery arrives only because the connection goes to the address that was checked.
    @Test func theConnectionGoesToTheCheckedAddress() async throws {
        let receiver = try await Receiver()
        let resolver = TableResolver(["hooks.example.invalid": ["10.0.0.1", "127.0.0.1", "169.254.169.254"]])
        let sink = sink(resolver: resolver)
        sink.deliver(update("http://hooks.example.invalid:\(receiver.port)/x", 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        #expect(receiver.requests.map { $0.headers["host"] } == ["hooks.example.invalid:\(receiver.port)"] && resolver.questions == 1)
        await sink.shutdown()
        await receiver.close()
    }

    /// Of several permitted addresses the next is tried at once when nobody listens at the first.
    @Test func theNextAddressIsTried() async throws {
        let receiver = try await Receiver()
        let sink = sink(attempts: 1, resolver: TableResolver(["two.example": ["127.0.0.2", "127.0.0.1"]]))
        sink.deliver(update("http://two.example:\(receiver.port)/x", 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        await sink.shutdown()
        await receiver.close()
    }

    /// With TLS the checked address is called and the certificate asked for by name; a receiver that cannot show it fails.
    @Test func theNameIsWhatTLSAsksFor() async throws {
        let receiver = try await Receiver()
        let sink = sink(timeout: .seconds(1), attempts: 1, resolver: TableResolver(["hooks.example.invalid": ["127.0.0.1"]]))
        sink.deliver(update("https://hooks.example.invalid:\(receiver.port)/x", 1))
        #expect(await eventually { sink.statistics.failed == 1 })
        let hello = receiver.firstBytes
        #expect(hello.first == 0x16 && hello.firstRange(of: Array("hooks.example.invalid".utf8)) != nil)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func namesWithoutAddressAreTriedAgainThenFail() async throws {
        let sink = sink(resolver: TableResolver(["empty.example": []]))
        sink.deliver(update("http://nowhere.example/", 1))
        #expect(await eventually { sink.statistics.failed == 1 })
        #expect(sink.statistics.retried == 2)
        sink.deliver(update("http://empty.example/", 1))
        sink.deliver(update(nil, 2))
        sink.deliver(update("gopher://x/", 3))
        #expect(await eventually { sink.statistics.refused == 3 })
        await sink.shutdown()
    }

    private static let agent = Name(stored: "a")
    private static let project = Name(stored: "p")
    private func status(_ sink: WebhookSink) -> DeliveryStatus? { sink.status(of: Self.agent, tenant: .standard, project: Self.project) }

    /// What came while the receiver was down is there when it is back: of each key the newest state.
    @Test func nothingIsLostWhileTheBreakerIsOpen() async throws {
        let isUp = Mutex(false)
        let receiver = try await Receiver { _, _ in .status(isUp.withLock { $0 } ? 200 : 500) }
        let log = LogBook()
        let sink = sink(attempts: 1, breaker: .init(failuresToOpen: 1, openTime: .milliseconds(300)), logger: log.logger)
        sink.deliver(update(receiver.url, 0))
        #expect(await eventually { status(sink)?.breaker != .closed })
        isUp.withLock { $0 = true }
        for number in 1..<8 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { status(sink)?.pending == 0 })
        let numbers = try receiver.requests.map { try JSONParser.parse($0.body)["sequence"]!.stringValue! }
        #expect(numbers.first == "0" && numbers.last == "7")
        let told = try #require(status(sink))
        #expect(told.replaced + told.delivered == 8 && told.givenUp == 0 && told.lastDelivered != nil && sink.statistics.failed == 0)
        #expect(told.lastFailure?.reason == "the receiver answered status 500")
        #expect(log.lines.contains { $0.hasPrefix("webhook waits until its receiver is back") })
        #expect(log.lines.contains { $0.hasPrefix("webhook waits: ") } == (told.replaced > 0))
        // Another URL of the same receiver is another breaker.
        await sink.shutdown()
        await receiver.close()
    }

    @Test func theBreakerIsOfOneAddress() async throws {
        let receiver = try await Receiver { _, request in .status(request.line.contains("other") ? 200 : 500) }
        let sink = sink(attempts: 1, breaker: .init(failuresToOpen: 2))
        for number in 0..<8 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { status(sink)?.breaker == .open })
        #expect(receiver.requests.count == 2 && sink.statistics.failed == 1)
        sink.deliver(update(receiver.url + "/other", 9, agent: "b"))
        #expect(await eventually { sink.statistics.sent == 1 })
        // Stopping does not wait for the trial.
        let start = ContinuousClock.now
        await sink.shutdown()
        #expect(ContinuousClock.now - start < .seconds(8) && sink.statistics.waiting == 0 && sink.statistics.dropped > 0)
        await receiver.close()
    }

    /// A receiver that says when to come again is not called before.
    @Test func retryAfterIsHonoured() async throws {
        let receiver = try await Receiver { number, _ in
            number == 0 ? .text("HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n") : .status(200)
        }
        let sink = sink()
        let start = ContinuousClock.now
        sink.deliver(update(receiver.url, 1))
        #expect(await eventually { sink.statistics.sent == 1 })
        // Without the header it would be some 20 ms.
        #expect(receiver.requests.count == 2 && ContinuousClock.now - start >= .seconds(1))
        await sink.shutdown()
        await receiver.close()
    }

    @Test func refusedMessagesAreNamedAndOthersGoOn() async throws {
        let receiver = try await Receiver { number, _ in .status(number < 7 ? 404 : 200) }
        let log = LogBook()
        let sink = sink(logger: log.logger)
        for number in 0..<8 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { sink.statistics.sent == 1 })
        let told = try #require(status(sink))
        #expect(told.givenUp == 7 && told.delivered == 1 && told.breaker == .closed && sink.statistics.rejected == 7)
        #expect(log.lines.count { $0 == "webhook given up, the receiver does not take it: the receiver answered status 404" } == 7)
        await sink.shutdown()
        await receiver.close()
    }

    /// The key that registered the agent ends: nothing goes out any more, neither what comes nor what waits.
    @Test func nobodyIsToldForAKeyThatEnded() async throws {
        let holds = Mutex(true)
        let receiver = try await Receiver { number, _ in
            if number == 0 { holds.withLock { $0 = false } }
            return .status(503)
        }
        let log = LogBook()
        let sink = sink(logger: log.logger, mayBeTold: { _ in holds.withLock { $0 } })
        sink.deliver(update(receiver.url, 0))
        #expect(await eventually { sink.statistics.refused == 1 })
        sink.deliver(update(receiver.url, 1))
        #expect(receiver.requests.count == 1 && sink.statistics.refused == 2 && sink.statistics.waiting == 0)
        #expect(status(sink)?.givenUp == 2 && status(sink)?.lastFailure?.reason.contains("revoked") == true)
        #expect(log.lines.contains { $0.contains("revoked") })
        await sink.shutdown()
        await receiver.close()
    }

    @Test func aFullQueueSaysSo() async throws {
        let receiver = try await Receiver { _, _ in .silence }
        let log = LogBook()
        let sink = sink(limits: DeliveryLimits(queuePerAgentMax: 2), drainTime: .milliseconds(100), logger: log.logger)
        // Events that were missed are no states: each stands for itself.
        let event = EventRecord(
            sequence: Sequence(rawValue: 7), position: Position(rawValue: 7), kind: .published, type: "t", key: "k", format: "json",
            recordedAt: Timestamp(rawValue: 0), data: Array("1".utf8), hash: .zero)
        for _ in 0..<12 { sink.deliver(notification(receiver.url, .event(event))) }
        #expect(sink.statistics.dropped == 10 && status(sink)?.givenUp == 10 && status(sink)?.pending == 2)
        // Of ten lines in a row the 1st, 2nd, 4th and 8th.
        #expect(log.lines.count { $0.hasPrefix("webhook dropped: ") } == 4)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func aFullQueueRefusesWithoutBlocking() async throws {
        let receiver = try await Receiver { _, _ in .silence }
        let sink = sink(limits: DeliveryLimits(queueMax: 50), drainTime: .milliseconds(100))
        let start = ContinuousClock.now
        for number in 0..<10_000 { sink.deliver(update(receiver.url, number, agent: "agent \(number % 100)")) }
        let took = ContinuousClock.now - start
        #expect(took < .seconds(2))
        print("webhooks: deliver into a full queue \(took / 10_000) each")
        #expect(sink.statistics.dropped + sink.statistics.replaced == 9_950 && sink.statistics.waiting == 50)
        await sink.shutdown()
        #expect(sink.statistics.waiting == 0 && sink.statistics.running == 0)
        await receiver.close()
    }

    @Test func shutdownFinishesWhatWaits() async throws {
        let receiver = try await Receiver(delay: .milliseconds(10)) { number, _ in .status(number == 0 ? 500 : 200) }
        let sink = sink()
        for number in 0..<10 { sink.deliver(update(receiver.url, number)) }
        await sink.shutdown()
        #expect(sink.statistics.sent == 10 && receiver.requests.count == 11)
        sink.deliver(update(receiver.url, 10))
        #expect(sink.statistics.dropped == 1)
        await sink.shutdown()
        await receiver.close()
    }

    @Test func shutdownHasAnEnd() async throws {
        let receiver = try await Receiver { _, _ in .silence }
        let sink = sink(timeout: .seconds(60), drainTime: .milliseconds(200))
        for number in 0..<10 { sink.deliver(update(receiver.url, number)) }
        #expect(await eventually { receiver.requests.count == 1 })
        let start = ContinuousClock.now
        await sink.shutdown()
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(sink.statistics.dropped == 9 && sink.statistics.failed == 1)
        await receiver.close()
    }
}

private final class AcceptedNumbers: Sendable {
    private let list = Mutex<[String]>([])
    var numbers: [String] { list.withLock { $0 } }
    func append(_ number: String) { list.withLock { $0.append(number) } }
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
