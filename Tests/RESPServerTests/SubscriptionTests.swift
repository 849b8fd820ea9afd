// Messages from the hub to sockets.
import Base
import Engine
import RESP
import RESPServer
import Testing

@Suite struct SubscriptionTests {
    @Test func versionTwo() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("SUBSCRIBE", "news") == confirmation("subscribe", "news", 1))
        #expect(try await client.ask("PSUBSCRIBE", "n?w*") == confirmation("psubscribe", "n?w*", 2))
        fixture.say("news", "one")
        fixture.say("other", "unheard")
        fixture.say("now", "two")
        #expect(try await client.replies(3) == [
            two("message", "news", "one"), two("pmessage", "n?w*", "news", "one"), two("pmessage", "n?w*", "now", "two"),
        ])
        #expect(fixture.server.statistics == statistics(connections: 1, subscriptions: 2, messagesDelivered: 3))
        #expect(try await client.ask("PUBLISH", "news", "x") == .error(
            "ERR Can't execute 'publish': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"))
        #expect(try await client.ask("QUIT") == .ok)
        #expect(try await client.isClosed())
        #expect(try await eventually { fixture.server.statistics == statistics(connections: 0, subscriptions: 0, messagesDelivered: 3) })
        await fixture.stop()
    }

    @Test func versionThree() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        guard case .map(let greeting) = try await client.ask("HELLO", "3") else { throw ClientFailure(description: "no map") }
        #expect(greeting.first { $0.key == .text("proto") }?.value == .integer(3))
        #expect(try await client.ask("PSUBSCRIBE", "a:*") == .push([.text("psubscribe"), .text("a:*"), .integer(1)]))
        fixture.say("a:1", "payload\r\nof two lines")
        #expect(try await client.reply() == three("pmessage", "a:*", "a:1", "payload\r\nof two lines"))
        // Version 3 tells replies from messages, so every command stays open.
        guard case .error(let refusal) = try await client.ask("PUBLISH", "a:1", "x") else { throw ClientFailure(description: "no error") }
        #expect(refusal.hasPrefix("ERR PUBLISH is refused"))
        #expect(try await client.ask("ECHO", "still there") == .text("still there"))
        await fixture.stop()
    }

    @Test func nothingAfterUnsubscribing() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        client.send("SUBSCRIBE", "a", "b", "a")
        client.send("PSUBSCRIBE", "*")
        client.send("PUNSUBSCRIBE", "*")
        client.send("UNSUBSCRIBE", "a")
        #expect(try await client.replies(6).last == confirmation("unsubscribe", "a", 1))
        fixture.say("a", "unheard")
        fixture.say("b", "heard")
        #expect(try await client.reply() == two("message", "b", "heard"))
        #expect(fixture.server.statistics.subscriptions == 1)
        #expect(try await client.ask("RESET") == .simple("RESET"))
        fixture.say("b", "unheard")
        #expect(try await client.ask("PING") == .simple("PONG"))
        #expect(fixture.server.statistics == statistics(connections: 1, subscriptions: 0, messagesDelivered: 1))
        await fixture.stop()
    }

    /// Names that are the same text to Swift and different bytes to Redis.
    @Test func channelsAreBytes() async throws {
        let fixture = try await Fixture()
        let client = try await Client.connect(fixture.port)
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        #expect(composed == decomposed)
        client.send(bytes: RESPEncoder.command([bytes("SUBSCRIBE"), bytes(composed), bytes(decomposed), [0xFF]]))
        _ = try await client.replies(3)
        fixture.say(decomposed, "1")
        fixture.say("\u{FFFD}", "the replacement of a broken byte")
        #expect(try await client.reply() == .message(channel: bytes(decomposed), payload: bytes("1")).inVersionTwo)
        client.send(bytes: RESPEncoder.command([bytes("UNSUBSCRIBE"), bytes(decomposed)]))
        #expect(try await client.reply() == .array([.text("unsubscribe"), .bulk(bytes(decomposed)), .integer(2)]))
        fixture.say(decomposed, "unheard")
        fixture.say(composed, "2")
        #expect(try await client.reply() == .message(channel: bytes(composed), payload: bytes("2")).inVersionTwo)
        await fixture.stop()
    }

    /// What one thread publishes arrives in its order, whatever the ways it comes on.
    @Test func order() async throws {
        let fixture = try await Fixture()
        let count = 5_000
        let readers = try await [Client.connect(fixture.port), Client.connect(fixture.port)]
        for reader in readers {
            reader.send("SUBSCRIBE", "even", "odd")
            _ = try await reader.replies(2)
        }
        let follower = try await Client.connect(fixture.port)
        _ = try await follower.ask("PSUBSCRIBE", "*")
        for number in 0..<count { fixture.say(number % 2 == 0 ? "even" : "odd", "\(number)") }
        for reader in readers {
            let expected = (0..<count).map { two("message", $0 % 2 == 0 ? "even" : "odd", "\($0)") }
            #expect(try await reader.replies(count) == expected)
        }
        #expect(try await follower.replies(count) == (0..<count).map { two("pmessage", "*", $0 % 2 == 0 ? "even" : "odd", "\($0)") })
        #expect(fixture.server.statistics.messagesDelivered == 3 * count)
        await fixture.stop()
    }

    @Test func largeMessages() async throws {
        let fixture = try await Fixture { $0.bounds.readers.unsentBytesPerReaderMax = 1 << 20 }
        let client = try await Client.connect(fixture.port)
        _ = try await client.ask("SUBSCRIBE", "a")
        let payload = String(repeating: "0123456789abcdef", count: 12 << 16)
        // Over the bound by itself: tried, since nothing else is unsent.
        fixture.say("a", payload)
        #expect(try await client.reply() == two("message", "a", payload))
        #expect(fixture.server.statistics.slowReadersCut == 0)
        await fixture.stop()
    }

    @Test func slowReadersAreCut() async throws {
        let fixture = try await Fixture { $0.bounds.readers.unsentBytesPerReaderMax = 1 << 20 }
        let reader = try await Client.connect(fixture.port)
        _ = try await reader.ask("SUBSCRIBE", "a")
        let sleeper = try await Client.connect(fixture.port, reads: false)
        sleeper.send("SUBSCRIBE", "a")
        #expect(try await eventually { fixture.server.statistics.subscriptions == 2 })
        let payload = String(repeating: "x", count: 100_000)
        var sent = 0
        // The kernel's buffers take some megabytes before anything is unsent here.
        while fixture.server.statistics.slowReadersCut == 0, sent < 1_000 {
            fixture.say("a", "\(sent)" + payload)
            sent += 1
            #expect(try await reader.reply() == two("message", "a", "\(sent - 1)" + payload))
        }
        #expect(fixture.server.statistics.slowReadersCut == 1)
        #expect(try await eventually { fixture.server.statistics.connections == 1 })
        #expect(fixture.server.statistics.subscriptions == 1)
        fixture.say("a", "on it goes")
        #expect(try await reader.reply() == two("message", "a", "on it goes"))
        await fixture.stop()
    }

    /// Sixty subscribers that never read: what they are all told is one text, and with different texts the slowest are cut.
    @Test func subscribersThatNeverReadShareABudget() async throws {
        let fixture = try await Fixture { $0.bounds.readers.unsentBytesMax = 24 << 20 }
        var sleepers: [Client] = []
        for number in 0..<60 {
            let sleeper = try await Client.connect(fixture.port, reads: false)
            sleeper.send("SUBSCRIBE", "all", "own:\(number)")
            sleepers.append(sleeper)
        }
        #expect(try await eventually { fixture.server.statistics.subscriptions == 120 })
        let payload = String(repeating: "x", count: 4 << 20)
        for _ in 0..<4 { fixture.say("all", payload) }
        #expect(fixture.server.statistics.unsentBytes <= 4 * ((4 << 20) + 2) && fixture.server.statistics.slowReadersCut == 0)
        for number in 0..<60 {
            fixture.say("own:\(number)", payload)
            #expect(fixture.server.statistics.unsentBytes <= 24 << 20)
        }
        #expect(fixture.server.statistics.slowReadersCut > 30)
        // Whoever reads is not concerned.
        let reader = try await Client.connect(fixture.port)
        _ = try await reader.ask("SUBSCRIBE", "a")
        fixture.say("a", "heard")
        #expect(try await reader.reply() == two("message", "a", "heard"))
        await fixture.stop()
    }

    @Test func manyConnections() async throws {
        let fixture = try await Fixture { $0.bounds.readers.readersMax = 200 }
        var clients: [Client] = []
        for number in 0..<200 {
            let client = try await Client.connect(fixture.port)
            client.send("SUBSCRIBE", "all", "own:\(number)")
            clients.append(client)
        }
        for client in clients { _ = try await client.replies(2) }
        let refused = try await Client.connect(fixture.port)
        #expect(try await refused.reply() == .error("ERR max number of clients reached"))
        #expect(try await refused.isClosed())
        #expect(fixture.server.statistics == statistics(connections: 200, subscriptions: 400))
        fixture.say("all", "a")
        for number in clients.indices { fixture.say("own:\(number)", "b") }
        for (number, client) in clients.enumerated() {
            #expect(try await client.replies(2) == [two("message", "all", "a"), two("message", "own:\(number)", "b")])
        }
        for client in clients { await client.close() }
        #expect(try await eventually { fixture.server.statistics == statistics(connections: 0, subscriptions: 0, messagesDelivered: 400) })
        let next = try await Client.connect(fixture.port)
        #expect(try await next.ask("PING") == .simple("PONG"))
        await fixture.stop()
    }
}

func statistics(connections: Int, subscriptions: Int, messagesDelivered: Int = 0, slowReadersCut: Int = 0) -> RESPServerStatistics {
    RESPServerStatistics(
        connections: connections, subscriptions: subscriptions, messagesDelivered: messagesDelivered, slowReadersCut: slowReadersCut, unsentBytes: 0)
}

extension RESPValue {
    /// What version 2's reader sees of it.
    var inVersionTwo: RESPValue { if case .push(let parts) = self { .array(parts) } else { self } }
}
