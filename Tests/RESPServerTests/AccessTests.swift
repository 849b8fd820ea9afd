// Who may listen, and what they hear.
import Access
import Base
import Engine
import RESP
import RESPServer
import Needs
import Service
import Testing

@Suite struct AccessTests {
    @Test func strangers() async throws {
        let fixture = try await Fixture(authentication: true)
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("SUBSCRIBE", "a") == .error("NOAUTH Authentication required."))
        let refusal = RESPValue.error("WRONGPASS invalid username-password pair or user is disabled.")
        #expect(try await client.ask("AUTH", "ck_wrong") == refusal)
        #expect(try await client.ask("HELLO", "3", "AUTH", "default", "ck_wrong") == refusal)
        #expect(try await client.ask("PING") == .error("NOAUTH Authentication required."))

        let large = try await Client.connect(fixture.port)
        large.send(raw: "*3\r\n$4\r\nAUTH\r\n$20000\r\n")
        #expect(try await large.reply() == .error("ERR Protocol error: unauthenticated bulk length"))
        #expect(try await large.isClosed())
        await fixture.stop()
    }

    @Test func strangersHaveADeadline() async throws {
        let fixture = try await Fixture(authentication: true) { $0.authenticationSeconds = 1 }
        let client = try await Client.connect(fixture.port)
        #expect(try await client.reply() == .error("ERR authentication took longer than 1 s"))
        #expect(try await client.isClosed())
        await fixture.stop()
    }

    /// The deadline leaves a busy machine the time to come with the key before it.
    @Test func keysAreKeptPastTheDeadline() async throws {
        let fixture = try await Fixture(authentication: true) { $0.authenticationSeconds = 4 }
        let key = try await fixture.key(.readonly, projects: [])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", "anybody", key.text) == .ok)
        // A later attempt that fails takes nothing away.
        guard case .error = try await client.ask("AUTH", "wrong") else { throw ClientFailure(description: "no error") }
        #expect(try await client.ask("SUBSCRIBE", "a") == confirmation("subscribe", "a", 1))
        try await Task.sleep(for: .milliseconds(4_300))
        fixture.say("a", "heard")
        #expect(try await client.reply() == two("message", "a", "heard"))
        #expect(try await client.ask("RESET") == .simple("RESET"))
        #expect(try await client.ask("PING") == .error("NOAUTH Authentication required."))
        #expect(try await client.reply() == .error("ERR authentication took longer than 4 s"))
        #expect(try await client.isClosed())
        await fixture.stop()
    }

    @Test func publishersDoNotListen() async throws {
        let fixture = try await Fixture(authentication: true)
        let key = try await fixture.key(.publisher, projects: [])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", key.text) == .ok)
        #expect(try await client.ask("SUBSCRIBE", "a") == .error(
            "NOPERM this user has no permissions to access one of the channels used as arguments"))
        #expect(fixture.server.statistics.subscriptions == 0)
        await fixture.stop()
    }

    /// A channel's name gives no right: whoever listens to another project's hears nothing there.
    @Test func projectsAreApart() async throws {
        let fixture = try await Fixture(authentication: true)
        let admin = fixture.caller(try await fixture.key(.admin, projects: []))
        let mine = try await fixture.key(.consumer, projects: ["mine"])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", mine.text) == .ok)
        client.send("SUBSCRIBE", "agent:a:updates")
        client.send("SUBSCRIBE", "agent:mine:a:updates")
        client.send("PSUBSCRIBE", "agent:*")
        _ = try await client.replies(3)

        for (project, channel) in [("theirs", "agent:a:updates"), ("mine", "agent:mine:a:updates")] {
            let registration = try await fixture.operations.register(
                RegisterCommand(project: Name(stored: project), agent: Name(stored: "a"), needs: ["everything"], responseFormat: "json"),
                by: admin)
            #expect(registration.channel == channel)
        }
        for project in ["theirs", "mine"] {
            _ = try await fixture.operations.publish(
                PublishCommand(project: Name(stored: project), key: Name(stored: "doc"), data: ["owner": .string(project)]), by: admin)
        }
        // The same from another tenant.
        fixture.say("agent:mine:a:updates", "foreign", project: "mine", tenant: TenantID(rawValue: 2))

        let channel = "agent:mine:a:updates"
        let context = #"{"type": "initial_context", "agent_id": "a", "format": "json", "context": {"everything": []}}"#
        let update = #"{"type": "data_update", "sequence": "1", "data_key": "doc", "format": "json", "data": {"owner": "mine"}}"#
        #expect(try await client.replies(4) == [
            two("message", channel, context), two("pmessage", "agent:*", channel, context),
            two("message", channel, update), two("pmessage", "agent:*", channel, update),
        ])
        #expect(try await client.ask("PING") == .array([.text("pong"), .text("")]))
        #expect(fixture.server.statistics.messagesDelivered == 4)
        await fixture.stop()
    }

    /// What others listen to is known to those who may read it.
    @Test func channelsAreListedToThoseWhoMayRead() async throws {
        let fixture = try await Fixture(authentication: true)
        let root = try await fixture.key(.admin, projects: [])
        for (project, agent) in [("theirs", "t"), ("mine", "m")] {
            _ = try await fixture.operations.register(
                RegisterCommand(project: Name(stored: project), agent: Name(stored: agent), needs: []), by: fixture.caller(root))
        }
        let listener = try await Client.connect(fixture.port)
        #expect(try await listener.ask("AUTH", root.text) == .ok)
        listener.send("SUBSCRIBE", "agent:t:updates", "agent:m:updates", "nobody's")
        listener.send("PSUBSCRIBE", "a*", "b*")
        _ = try await listener.replies(5)
        func ask(_ key: IssuedKey) async throws -> [RESPValue] {
            let client = try await Client.connect(fixture.port)
            #expect(try await client.ask("AUTH", key.text) == .ok)
            return [
                try await client.ask("PUBSUB", "CHANNELS"), try await client.ask("PUBSUB", "CHANNELS", "agent:t*"),
                try await client.ask("PUBSUB", "NUMSUB", "agent:t:updates", "agent:m:updates", "nobody's", "x"), try await client.ask("PUBSUB", "NUMPAT"),
            ]
        }
        func list(_ names: String...) -> RESPValue { .array(names.map { .text($0) }) }
        func counts(_ theirs: Int64, _ mine: Int64, _ nobodys: Int64) -> RESPValue {
            .array([
                .text("agent:t:updates"), .integer(theirs), .text("agent:m:updates"), .integer(mine), .text("nobody's"), .integer(nobodys), .text("x"),
                .integer(0),
            ])
        }
        #expect(try await ask(root) == [list("agent:m:updates", "agent:t:updates", "nobody's"), list("agent:t:updates"), counts(1, 1, 1), .integer(2)])
        let mine = try await fixture.key(.readonly, projects: ["mine"])
        #expect(try await ask(mine) == [list("agent:m:updates"), .array([]), counts(0, 1, 0), .integer(0)])
        let answers = try await ask(try await fixture.key(.publisher, projects: []))
        for answer in answers { guard case .error(let text) = answer, text.hasPrefix("NOPERM ") else { throw ClientFailure(description: "\(answer)") } }
        await fixture.stop()
    }

    /// What is refused here is counted and written down like everything else.
    @Test func refusalsReachMeterAndAudit() async throws {
        let fixture = try await Fixture(authentication: true) { $0.bounds.readers.strangersMax = 2 }
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("GET", "x") == .error("ERR unknown command 'GET', with args beginning with: 'x' "))
        #expect(try await client.ask("SUBSCRIBE", "a") == .error("NOAUTH Authentication required."))
        guard case .error = try await client.ask("AUTH", "wrong") else { throw ClientFailure(description: "no error") }
        let key = try await fixture.key(.publisher, projects: [])
        #expect(try await client.ask("AUTH", key.text) == .ok)
        guard case .error = try await client.ask("SUBSCRIBE", "a") else { throw ClientFailure(description: "no error") }
        client.send(raw: "*x\r\n")
        #expect(try await client.reply() == .error("ERR Protocol error: invalid multibulk length"))
        #expect(try await client.isClosed())
        var strangers: [Client] = []
        for _ in 0..<3 { strangers.append(try await Client.connect(fixture.port)) }
        #expect(try await eventually { fixture.journal.refused.count == 6 })
        #expect(fixture.journal.refused.map(\.category) == [.invalid, .unauthenticated, .unauthenticated, .forbidden, .invalid, .limited])
        #expect(fixture.journal.refused.map(\.action) == [nil, nil, nil, .subscribe, nil, nil])
        // Which of the three is one too many is not said: each has an event loop of its own.
        #expect(try await eventually { strangers.contains(where: \.hasEnded) })
        let kept = try #require(strangers.first { !$0.hasEnded })
        // Commands that wait behind a refusal keep their order, and whoever is refused too often is sent away.
        kept.send("AUTH", "wrong")
        kept.send("AUTH", key.text)
        kept.send("PING")
        #expect(try await kept.replies(3).suffix(2) == [.ok, .simple("PONG")])
        fixture.journal.limit(ContexError(.limited, "slower"))
        #expect(try await kept.ask("NONSENSE") == .error("ERR slower"))
        #expect(try await kept.isClosed())
        await fixture.stop()
    }

    /// Two clients that listen to `a`, each with a key of its own, and what revokes the first one's.
    private func listeners(_ fixture: Fixture) async throws -> (clients: [Client], revoke: () async throws -> Void) {
        let admin = fixture.caller(try await fixture.key(.admin, projects: []))
        let keys = [try await fixture.key(.readonly, projects: []), try await fixture.key(.readonly, projects: [])]
        var clients: [Client] = []
        for key in keys {
            let client = try await Client.connect(fixture.port)
            #expect(try await client.ask("AUTH", key.text) == .ok)
            #expect(try await client.ask("SUBSCRIBE", "a") == confirmation("subscribe", "a", 1))
            clients.append(client)
        }
        return (clients, { try await fixture.operations.revokeKey(keys[0].record.keyID.text, by: admin) })
    }

    /// An idle connection learns that its key has ended, too.
    @Test func revokedKeysEndIdleConnections() async throws {
        let fixture = try await Fixture(authentication: true)
        let (clients, revoke) = try await listeners(fixture)
        try await revoke()
        #expect(try await clients[0].reply() == .error("NOAUTH the API key of this connection is no longer valid"))
        #expect(try await clients[0].isClosed())
        #expect(try await clients[1].ask("PING") == .array([.text("pong"), .text("")]))
        #expect(try await eventually { fixture.server.statistics.connections == 1 })
        await fixture.stop()
    }

    /// One stranger cannot take the places of all, and one key not those of others.
    @Test func placesAreShared() async throws {
        let fixture = try await Fixture(authentication: true) {
            $0.bounds.readers.strangersPerAddressMax = 3
            $0.bounds.readers.readersPerPartyMax = 5
        }
        let key = try await fixture.key(.readonly, projects: [])
        var strangers: [Client] = []
        for _ in 0..<3 { strangers.append(try await Client.connect(fixture.port)) }
        #expect(try await eventually { fixture.server.statistics.connections == 3 })
        let fourth = try await Client.connect(fixture.port)
        #expect(try await fourth.reply() == .error("ERR max number of clients reached: too many that have not authenticated"))
        #expect(try await fourth.isClosed())
        #expect(try await strangers[0].ask("AUTH", key.text) == .ok)
        let fifth = try await Client.connect(fixture.port)
        #expect(try await fifth.ask("AUTH", key.text) == .ok)
        await fixture.stop()
    }

    @Test func revokedKeysHearNoMore() async throws {
        let fixture = try await Fixture(authentication: true)
        let (clients, revoke) = try await listeners(fixture)
        fixture.say("a", "1")
        for client in clients { #expect(try await client.reply() == two("message", "a", "1")) }
        try await revoke()
        fixture.say("a", "2")
        #expect(try await clients[1].reply() == two("message", "a", "2"))
        #expect(try await clients[0].reply() == .error("NOAUTH the API key of this connection is no longer valid"))
        #expect(try await clients[0].isClosed())
        #expect(clients[0].waiting.isEmpty)
        await fixture.stop()
    }

    /// Whoever hears nothing asks for nothing more either, not even whether anybody is there.
    @Test func revokedKeysAskNoMore() async throws {
        let fixture = try await Fixture(authentication: true)
        let admin = fixture.caller(try await fixture.key(.admin, projects: []))
        let key = try await fixture.key(.readonly, projects: [])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", key.text) == .ok)
        #expect(try await client.ask("PING") == .simple("PONG"))
        try await fixture.operations.revokeKey(key.record.keyID.text, by: admin)
        #expect(try await client.ask("PING") == .error("NOAUTH the API key of this connection is no longer valid"))
        #expect(try await client.isClosed())
        await fixture.stop()
    }

    /// A role that is taken away leaves the connection in silence.
    @Test func rolesHoldPerMessage() async throws {
        let fixture = try await Fixture(authentication: true)
        let key = try await fixture.key(.readonly, projects: ["p"])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", key.text) == .ok)
        _ = try await client.ask("SUBSCRIBE", "a")
        fixture.say("a", "1")
        #expect(try await client.reply() == two("message", "a", "1"))
        try await fixture.database.assignRole(
            .standard, RoleAssignment(keyID: key.record.keyID, role: .readonly, projects: ProjectScope(["q"])))
        fixture.say("a", "2")
        fixture.say("a", "3", project: "q")
        #expect(try await client.reply() == two("message", "a", "3"))
        await fixture.stop()
    }
}
