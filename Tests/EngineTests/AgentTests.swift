import Base
import Engine
import Events
import Needs
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
        #expect(status.record.lastSequence == Sequence(rawValue: 4))

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
}
