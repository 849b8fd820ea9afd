// Who may listen, and what they hear.
import Access
import Base
import Engine
import RESP
import RESPServer
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

    /// A channel's name gives no right: two projects may use the same one.
    @Test func projectsAreApart() async throws {
        let fixture = try await Fixture(authentication: true)
        let admin = fixture.caller(try await fixture.key(.admin, projects: []))
        let mine = try await fixture.key(.consumer, projects: ["mine"])
        let client = try await Client.connect(fixture.port)
        #expect(try await client.ask("AUTH", mine.text) == .ok)
        client.send("SUBSCRIBE", "agent:a:updates")
        client.send("PSUBSCRIBE", "agent:*")
        _ = try await client.replies(2)

        for project in ["theirs", "mine"] {
            let registration = try await fixture.operations.register(
                RegisterCommand(project: Name(stored: project), agent: Name(stored: "a"), needs: ["everything"], responseFormat: "json"),
                by: admin)
            #expect(registration.channel == "agent:a:updates")
        }
        for project in ["theirs", "mine"] {
            _ = try await fixture.operations.publish(
                PublishCommand(project: Name(stored: project), key: Name(stored: "doc"), data: ["owner": .string(project)]), by: admin)
        }
        // The same from another tenant.
        fixture.say("agent:a:updates", "foreign", project: "mine", tenant: TenantID(rawValue: 2))

        let channel = "agent:a:updates"
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

    @Test func revokedKeysHearNoMore() async throws {
        let fixture = try await Fixture(authentication: true)
        let admin = fixture.caller(try await fixture.key(.admin, projects: []))
        let (revoked, kept) = (try await fixture.key(.readonly, projects: []), try await fixture.key(.readonly, projects: []))
        var clients: [Client] = []
        for key in [revoked, kept] {
            let client = try await Client.connect(fixture.port)
            #expect(try await client.ask("AUTH", key.text) == .ok)
            #expect(try await client.ask("SUBSCRIBE", "a") == confirmation("subscribe", "a", 1))
            clients.append(client)
        }
        fixture.say("a", "1")
        for client in clients { #expect(try await client.reply() == two("message", "a", "1")) }
        try await fixture.operations.revokeKey(revoked.record.keyID.text, by: admin)
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
