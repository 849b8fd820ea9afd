import Answers
import Base
import Content
import Engine
import Events
import Needs
import Synchronization
import TestSupport
import Testing

@Suite struct AgentTests {
    private func register(
        _ fixture: Fixture, _ agent: String, _ needs: [String], project: String = "p", lastSeen: UInt64 = 0
    ) async throws -> Registration {
        try await fixture.database.register(
            Fixture.tenant,
            RegisterCommand(
                project: Name(stored: project), agent: Name(stored: agent), needs: needs, lastSeen: Sequence(rawValue: lastSeen),
                responseFormat: "json"))
    }

    private func kinds(_ notifications: [Notification]) -> [String] {
        notifications.map { notification in
            switch notification.message {
            case .initialContext(let context): "context \(context.needs.map { "\($0.need)=\($0.matches.count)" }.joined(separator: ","))"
            case .event(let event): "event \(event.sequence)"
            case .update(let sequence, let key, _): "update \(sequence) \(key)"
            case .deletion(let sequence, let key): "deletion \(sequence) \(key)"
            }
        }
    }

    @Test func contextThenMissedEventsThenUpdates() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "auth", ["login": ["method": "oauth tokens"], "other": ["x": "y"]])
        try await fixture.publish("p", "food", ["dish": "soup of the day"])
        let registration = try await register(fixture, "a", ["login method oauth tokens", "login method oauth tokens", "zebra crossing"])
        #expect(registration.caughtUpEvents == 2)
        #expect(registration.currentSequence == Sequence(rawValue: 2))
        #expect(registration.matchedNeeds.map(\.need) == ["login method oauth tokens", "zebra crossing"])
        #expect(registration.matchedNeeds.map(\.count) == [1, 0])
        #expect(kinds(fixture.sink.take()) == ["context login method oauth tokens=1,zebra crossing=0", "event 1", "event 2"])

        // A document that it follows, one that matches for the first time, one that is nothing to it.
        try await fixture.publish("p", "auth", ["login": ["method": "oauth tokens"], "other": ["x": "z"]])
        try await fixture.publish("p", "road", ["sign": "zebra crossing"])
        try await fixture.publish("p", "food", ["dish": "bread"])
        #expect(kinds(fixture.sink.take()) == ["update 3 auth", "update 4 road"])

        let status = try #require(try await fixture.database.agent(Fixture.tenant, Name(stored: "a"), project: nil).last)
        #expect(Set(status.nodeKeys) == ["auth.login", "road.root"])
        #expect(status.lastSequence == Sequence(rawValue: 4))

        // It hears that what it followed is gone, or no longer what it needs, once.
        _ = try await fixture.database.delete(Fixture.tenant, project: Name(stored: "p"), key: Name(stored: "road"))
        try await fixture.publish("p", "auth", ["nothing": "here"])
        try await fixture.publish("p", "auth", ["nothing": "at all"])
        #expect(kinds(fixture.sink.take()) == ["deletion 6 road", "update 7 auth"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func catchUpBeginsAfterTheLastSeenAndEndsAtAHundred() async throws {
        let fixture = try Fixture()
        for i in 1...120 { try await fixture.publish("p", "k\(i)", ["n": .integer(i)]) }
        #expect(try await register(fixture, "late", [], lastSeen: 118).caughtUpEvents == 2)
        #expect(kinds(fixture.sink.take()) == ["context ", "event 119", "event 120"])
        #expect(try await register(fixture, "new", []).caughtUpEvents == 100)
        #expect(try await register(fixture, "ahead", [], lastSeen: .max).caughtUpEvents == 0)
    }

    @Test func agentsSurviveAReopeningAndBelongToTheirProject() async throws {
        let folder = TemporaryFolder()
        do {
            let fixture = try Fixture(folder)
            _ = try await register(fixture, "a", ["zebra"], project: "p")
            _ = try await register(fixture, "a", ["lion"], project: "q")
            _ = try await register(fixture, "b", ["lion"], project: "q")
            await fixture.database.close()
        }
        let fixture = try Fixture(folder)
        #expect(try await fixture.database.agents(Fixture.tenant, project: nil).map(\.record.name.text) == ["a", "a", "b"])
        try await fixture.publish("q", "k", ["animal": "lion"])
        #expect(fixture.sink.take().map(\.agent.name.text).sorted() == ["a", "b"])
        try await fixture.publish("p", "k", ["animal": "lion"])
        #expect(fixture.sink.take().isEmpty)

        // Registering again replaces: the old needs are gone.
        _ = try await register(fixture, "a", ["tiger"], project: "q", lastSeen: 9)
        _ = fixture.sink.take()
        try await fixture.publish("q", "k2", ["animal": "lion"])
        #expect(fixture.sink.take().map(\.agent.name.text) == ["b"])

        #expect(try await fixture.database.unregister(Fixture.tenant, Name(stored: "b"), projects: [Name(stored: "q")]) == 1)
        #expect(try await fixture.database.unregister(Fixture.tenant, Name(stored: "b"), projects: [Name(stored: "q")]) == 0)
        try await fixture.publish("q", "k3", ["animal": "lion"])
        #expect(fixture.sink.take().isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func tooManyNeedsAreRefused() async throws {
        let fixture = try Fixture()
        let error = await #expect(throws: ContexError.self) {
            _ = try await register(fixture, "a", (0..<10_000).map { "need \($0)" })
        }
        #expect(error?.category == .invalid)
        #expect(try await fixture.database.agents(Fixture.tenant, project: nil).isEmpty)
    }

    /// A batch is many registrations in a row: order, duplicates and refusals are theirs.
    @Test func aBatchIsRegisteredInItsOrder() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "road", ["sign": "zebra crossing"])
        func command(_ agent: String, _ needs: [String]) -> RegisterCommand {
            RegisterCommand(project: Name(stored: "p"), agent: Name(stored: agent), needs: needs, responseFormat: "json")
        }
        // More than one round, by agents and by needs.
        var commands = (0..<600).map { command("a\($0)", []) }
        commands[300] = command("many", (0..<10_000).map { "need \($0)" })
        commands[301] = command("wide", (0..<900).map { "need \($0)" })
        commands[302] = command("wider", (0..<900).map { "need \($0)" } + ["zebra crossing"])
        commands[10] = command("twice", ["soup"])
        commands[20] = command("twice", ["zebra crossing", "zebra crossing"])
        let outcomes = await fixture.database.register(Fixture.tenant, commands)
        #expect(outcomes.count == commands.count)
        for (place, outcome) in outcomes.enumerated() {
            switch outcome {
            case .success(let registration): #expect(place != 300 && registration.agent == commands[place].agent)
            case .failure(let error): #expect(place == 300 && error.category == .invalid, "\(place): \(error)")
            }
        }
        #expect(try outcomes[20].get().matchedNeeds.map(\.count) == [1])
        #expect(try outcomes[302].get().matchedNeeds.last?.count == 1)
        let agents = try await fixture.database.agents(Fixture.tenant, project: nil).map(\.record.name.text)
        #expect(agents == (0..<600).filter { $0 != 300 && $0 != 10 }.map { commands[$0].agent.text })
        let twice = try #require(try await fixture.database.agent(Fixture.tenant, Name(stored: "twice"), project: nil).last)
        #expect(twice.record.needs == ["zebra crossing"])
        let told = fixture.sink.take().filter { if case .initialContext = $0.message { true } else { false } }
        #expect(told.map(\.agent.name.text) == (0..<600).filter { $0 != 300 }.map { commands[$0].agent.text })
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func theContextIsCutToItsBudget() async throws {
        let fixture = try Fixture { $0.contextTokensMax = 40 }
        for i in 0..<10 {
            try await fixture.publish("p", "k\(i)", ["text": .string("zebra \(String(repeating: "stripe ", count: 8 + i))")])
        }
        _ = try await register(fixture, "a", ["zebra stripe"], lastSeen: .max)
        guard case .initialContext(let context)? = fixture.sink.take().first?.message else {
            Issue.record("no initial context")
            return
        }
        let tokens = context.matches.reduce(0) { $0 + $1.tokenCount }
        #expect(tokens <= 40 && tokens > 0)
    }

    /// Registrations beside publishes: each agent hears of each matching publish exactly once, either in its first context
    /// and catch-up or as an update.
    @Test func nothingIsMissedBetweenContextAndUpdates() async throws {
        let fixture = try Fixture()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for i in 0..<60 { try await fixture.publish("p", "k\(i)", ["animal": "zebra", "n": .integer(i)]) } }
            group.addTask { for i in 0..<10 { _ = try await register(fixture, "a\(i)", ["animal zebra"]) } }
            group.addTask {
                let batch = (0..<300).map { i in
                    RegisterCommand(
                        project: Name(stored: "p"), agent: Name(stored: "b\(i)"), needs: ["animal zebra"], responseFormat: "json")
                }
                for outcome in await fixture.database.register(Fixture.tenant, batch) { _ = try outcome.get() }
            }
            try await group.waitForAll()
        }
        let heard = Dictionary(grouping: fixture.sink.take(), by: \.agent.name.text)
        #expect(heard.count == 310)
        for (agent, notifications) in heard {
            let sequences = notifications.compactMap { notification -> UInt64? in
                switch notification.message {
                case .event(let event): event.sequence.rawValue
                case .update(let sequence, _, _): sequence.rawValue
                default: nil
                }
            }
            #expect(sequences == Array(1...60), "\(agent)")
        }
    }

    // MARK: - Channels

    private func registration(_ project: String, _ agent: String, channel: String? = nil) -> RegisterCommand {
        RegisterCommand(project: Name(stored: project), agent: Name(stored: agent), needs: [], responseFormat: "json", channel: channel)
    }

    /// The first project has the original's name, the next one another; both keep theirs, and what nobody has is free.
    @Test func aChannelBelongsToOneProject() async throws {
        let fixture = try Fixture()
        func channel(_ project: String, _ agent: String, chosen: String? = nil) async throws -> String {
            try await fixture.database.register(Fixture.tenant, registration(project, agent, channel: chosen)).channel
        }
        #expect(try await channel("p", "a") == "agent:a:updates")
        #expect(try await channel("q", "a") == "agent:q:a:updates")
        #expect(try await channel("q", "a", chosen: "") == "agent:q:a:updates")
        // What has a colon cannot take what is another project's.
        #expect(try await channel("r", "q:a") == "agent:r:q:a:updates")
        #expect(try await channel("a:b", "c") == "agent:c:updates")
        #expect(try await channel("z", "c") == "agent:z:c:updates")
        #expect(try await channel("y", "a:b:c") == "agent:a:b:c:updates")
        #expect(try await channel("x", "b:c") == "agent:b:c:updates")
        #expect(try await channel("a", "b:c") == "agent:a:b:c:updates:2")

        // A chosen one: free, the own project's, another's.
        #expect(try await channel("p", "b", chosen: "shared") == "shared")
        #expect(try await channel("p", "c2", chosen: "shared") == "shared")
        #expect(await category { try await channel("q", "b", chosen: "shared") } == .conflict)
        #expect(await category { try await channel("q", "b", chosen: "agent:a:updates") } == .conflict)
        #expect(try await fixture.database.agent(Fixture.tenant, Name(stored: "b"), project: nil).map(\.project.text) == ["p"])

        // It is free when the last agent of its project has left it, and a registration that follows keeps what it had.
        #expect(try await channel("p", "b") == "agent:b:updates")
        #expect(await category { try await channel("q", "b", chosen: "shared") } == .conflict)
        #expect(try await fixture.database.unregister(Fixture.tenant, Name(stored: "c2"), projects: [Name(stored: "p")]) == 1)
        #expect(try await channel("q", "b", chosen: "shared") == "shared")
        #expect(try await fixture.database.unregister(Fixture.tenant, Name(stored: "a"), projects: [Name(stored: "p")]) == 1)
        #expect(try await channel("q", "a") == "agent:q:a:updates")
        #expect(try await channel("s", "a") == "agent:a:updates")
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aBatchAndAnImportKeepToTheOwners() async throws {
        let fixture = try Fixture()
        let outcomes = await fixture.database.register(
            Fixture.tenant, [registration("p", "a"), registration("q", "a"), registration("q", "b", channel: "agent:a:updates"), registration("q", "c")])
        #expect(outcomes.map { try? $0.get().channel } == ["agent:a:updates", "agent:q:a:updates", nil, "agent:c:updates"])

        func document(_ channel: String) -> JSONValue {
            [
                "project_id": "i", "version": "1.0",
                "data": ["agents": .array([["agent_id": "a", "data": ["needs": .array([]), "notification_channel": .string(channel)]]])],
            ]
        }
        func imported(_ channel: String) async throws -> ImportReceipt {
            try await fixture.database.importDocument(
                Fixture.tenant, project: Name(stored: "i"), document: document(channel), overwrite: true, validateOnly: false)
        }
        #expect(await category { try await imported("agent:q:a:updates") } == .badRequest)
        #expect(try await fixture.database.agents(Fixture.tenant, project: Name(stored: "i")).isEmpty)
        // The name that a server had chosen is chosen anew.
        _ = try await imported("agent:a:updates")
        #expect(try await fixture.database.agents(Fixture.tenant, project: Name(stored: "i")).map(\.record.channel) == ["agent:i:a:updates"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// What every delivery would refuse is refused at the registration, and by an import.
    @Test func registrationsThatCannotBeToldAreRefused() async throws {
        let fixture = try Fixture()
        func refusal(_ change: (inout RegisterCommand) -> Void) async -> String? {
            var command = registration("p", "a")
            change(&command)
            do {
                _ = try await fixture.database.register(Fixture.tenant, command)
                return nil
            } catch {
                return (error as? ContexError)?.field
            }
        }
        func webhook(_ url: String?) async -> String? {
            await refusal {
                $0.delivery = .webhook
                $0.webhookURL = url
            }
        }
        for url in [
            nil, "", "gopher://example.com/", "https://u:p@example.com/", "http://127.0.0.1:1/", "http://2130706433/", "http://localhost/",
            "http://a.localhost./",
            "http://10.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://[fd00::1]/", "http://[::ffff:192.168.0.1]/",
        ] as [String?] {
            #expect(await webhook(url) == "webhook_url", "\(url ?? "none")")
        }
        #expect(await webhook("https://example.com/hook") == nil)
        #expect(await webhook("http://93.184.216.34/") == nil)
        #expect(await refusal { $0.webhookURL = "http://127.0.0.1/" } == nil)
        #expect(await refusal { $0.responseFormat = "morse" } == "response_format")
        #expect(await refusal { $0.channel = String(repeating: "é", count: 257) } == "notification_channel")
        #expect(await refusal { $0.webhookSecret = String(repeating: "s", count: 1_025) } == "webhook_secret")
        #expect(await refusal { $0.channel = String(repeating: "é", count: 256) } == nil)

        let agent: JSONValue = [
            "agent_id": "w", "data": ["needs": .array([]), "notification_method": "webhook", "webhook_url": "http://10.0.0.1/"],
        ]
        let document: JSONValue = ["project_id": "i", "version": "1.0", "data": ["agents": .array([agent])]]
        for validateOnly in [true, false] {
            let error = await #expect(throws: ContexError.self) {
                _ = try await fixture.database.importDocument(
                    Fixture.tenant, project: Name(stored: "i"), document: document, overwrite: true, validateOnly: validateOnly)
            }
            #expect(error?.category == .badRequest && error?.message.contains("10.0.0.1") == true)
        }
        let off = try Fixture { $0.webhookTargets = nil }
        let error = await #expect(throws: ContexError.self) {
            var command = registration("p", "a")
            (command.delivery, command.webhookURL) = (.webhook, "https://example.com/")
            _ = try await off.database.register(Fixture.tenant, command)
        }
        #expect(error?.message.contains("switched off") == true)
    }

    /// The full envelope: the project and where the data comes from, beside the members of the original.
    @Test func theFullEnvelopeNamesProjectAndProvenance() async throws {
        let fixture = try Fixture()
        var command = RegisterCommand(project: Name(stored: "p"), agent: Name(stored: "a"), needs: ["zebra crossing", "lion"], responseFormat: "json")
        command.envelope = .full
        _ = try await fixture.database.register(Fixture.tenant, command)
        let publisher = Publisher(keyID: "0123456789abcdef", name: "writer")
        _ = try await fixture.database.publish(
            Fixture.tenant,
            [PublishCommand(project: Name(stored: "p"), key: Name(stored: "road"), data: ["sign": "zebra crossing"], publisher: publisher)])[0].get()
        _ = try await fixture.database.delete(Fixture.tenant, project: Name(stored: "p"), key: Name(stored: "road"))
        let told = fixture.sink.take()
        #expect(kinds(told) == ["context zebra crossing=0,lion=0", "update 1 road", "deletion 2 road"])
        let texts = try told.map { try JSONParser.parse(Array(NotificationShape.channelText($0).utf8)) }
        for text in texts { #expect(text["project_id"] == "p") }
        #expect(texts[0]["provenance"]?["sequence"] == "0")
        let update = try #require(texts[1]["provenance"])
        #expect(update["sequence"] == "1" && update["data_format"] == "json" && update["publisher"]?["name"] == "writer")
        #expect(update["event_time"]?.stringValue != nil)
        #expect(update["matched_needs"]?.arrayValue?.map { $0["need"]?.stringValue } == ["zebra crossing"])
        #expect(update["matched_needs"]?.arrayValue?.first?["similarity"]?.doubleValue ?? 0 >= 0.5)
        #expect(texts[2]["provenance"]?["matched_needs"] == .array([]))
        // Without it, nothing of this.
        command.envelope = .plain
        _ = try await fixture.database.register(Fixture.tenant, command)
        let plain = fixture.sink.take().map(NotificationShape.channelText)
        #expect(!plain.isEmpty && plain.allSatisfy { !$0.contains("provenance") && !$0.contains("project_id") })
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Texts of messages are made when somebody wants them, and what many are told alike is one text.
    @Test func whatManyAreToldIsOneText() async throws {
        final class Ear: ChannelListener {
            let heard = Mutex<[ChannelMessage]>([])
            func receive(_ message: ChannelMessage) { heard.withLock { $0.append(message) } }
        }
        let fixture = try Fixture()
        let (hub, ear) = (ChannelHub(), Ear())
        hub.add(ear)
        fixture.database.setSink(ChannelSink(hub: hub), for: .redis)
        for agent in ["a", "b", "c"] { _ = try await register(fixture, agent, ["zebra crossing"]) }
        try await fixture.publish("p", "road", ["sign": "zebra crossing"])
        let updates = ear.heard.withLock { $0.suffix(3) }
        #expect(Set(updates.map(\.channel)) == ["agent:a:updates", "agent:b:updates", "agent:c:updates"])
        #expect(Set(updates.map { ObjectIdentifier($0.payload) }).count == 1)
        #expect(updates.first?.payload.text.contains(#""data_key": "road""#) == true)
    }
}
