import Access
import Base
import Engine
import Needs
import Service
import TestSupport
import Testing

/// Every operation goes through the same steps: authenticate, authorise, meter, run, audit.
@Suite struct OperationTests {
    @Test func aRefusalEndsTheStepsAndIsWrittenDown() async throws {
        let fixture = try await Fixture()
        let (operations, journal) = (fixture.operations, fixture.journal)
        let reader = try await fixture.caller(.readonly)

        #expect(await category { try await operations.publish(fixture.command("p"), by: fixture.caller(nil)) } == .unauthenticated)
        #expect(await category { try await operations.publish(fixture.command("p"), by: fixture.caller("ck_wrong")) } == .unauthenticated)
        #expect(await category { try await operations.publish(fixture.command("p"), by: reader) } == .forbidden)
        #expect(journal.metered.isEmpty)
        journal.refuse(with: ContexError(.limited, "slower"))
        #expect(await category { try await operations.publish(fixture.command("p"), by: fixture.admin) } == .limited)
        journal.refuse(with: nil)
        let events = try await operations.events(project: Name(stored: "p"), since: .zero, PageRequest(limit: 10), by: fixture.admin) { ($0, 1) }
        #expect(events.items.isEmpty)
        #expect(try await operations.publish(fixture.command("p"), by: fixture.admin).sequence.rawValue == 1)

        #expect(journal.metered == [.publish, .readEvents, .publish])
        typealias Entry = Journal.Entry
        #expect(
            journal.audited == [
                Entry(action: .publish, who: nil, project: "p", failure: .unauthenticated),
                Entry(action: .publish, who: nil, project: "p", failure: .unauthenticated),
                Entry(action: .publish, who: "readonly of []", project: "p", failure: .forbidden),
                Entry(action: .publish, who: "root", project: "p", failure: .limited),
                Entry(action: .readEvents, who: "root", project: "p", failure: nil),
                Entry(action: .publish, who: "root", project: "p", failure: nil),
            ])
        await fixture.database.close()
    }

    /// What an edge refuses before an operation could run is counted and written down too, and the meter may refuse it first.
    @Test func refusalsOfTheEdgesAreCountedAndWrittenDown() async throws {
        let fixture = try await Fixture()
        let (operations, journal) = (fixture.operations, fixture.journal)
        let unreadable = ContexError(.invalid, "a body that is no JSON")
        #expect(await operations.refuse(.publish, project: Name(stored: "p"), by: fixture.admin, unreadable).category == .invalid)
        #expect(await operations.refuse(nil, by: fixture.caller("ck_wrong"), .notFound("no such path")).category == .notFound)
        journal.refuse(with: ContexError(.limited, "slower"))
        #expect(await operations.refuse(nil, by: fixture.caller(nil), .notFound("no such path")).category == .limited)
        #expect(journal.metered == [.publish, nil, nil])
        typealias Entry = Journal.Entry
        #expect(
            journal.audited == [
                Entry(action: .publish, who: "root", project: "p", failure: .invalid),
                Entry(action: nil, who: nil, project: nil, failure: .notFound),
                Entry(action: nil, who: nil, project: nil, failure: .limited),
            ])
        await fixture.database.close()
    }

    @Test func withoutAuthenticationEveryoneIsTheAnonymousAdministrator() async throws {
        let fixture = try await Fixture(authentication: false)
        for key in [nil, "ck_wrong"] {
            _ = try await fixture.operations.publish(fixture.command("p", key ?? "none"), by: fixture.caller(key))
            _ = try await fixture.operations.keys(by: fixture.caller(key))
        }
        #expect(Set(fixture.journal.audited.map(\.who)) == ["anonymous"])
        await fixture.database.close()
    }

    @Test func itemsOfABatchAreJudgedOneByOne() async throws {
        let fixture = try await Fixture()
        let (operations, publisher) = (fixture.operations, try await fixture.caller(.publisher, ["own"]))
        let published = try await operations.publishBatch(
            [fixture.command("own", "a"), fixture.command("foreign", "b"), fixture.command("own", "c")], by: publisher)
        #expect(published.map { (try? $0.get())?.sequence.rawValue } == [1, nil, 2])
        guard case .failure(let refusal) = published[1] else { return #expect(Bool(false)) }
        #expect(refusal.category == .forbidden)
        let foreign = try await operations.events(project: Name(stored: "foreign"), since: .zero, PageRequest(limit: 9), by: fixture.admin) { ($0, 1) }
        #expect(foreign.items.isEmpty)

        let consumer = try await fixture.caller(.consumer, ["own"])
        let registered = try await operations.registerBatch(
            [fixture.registration("foreign", "a"), fixture.registration("own", "b")], by: consumer)
        #expect(registered.map { (try? $0.get())?.agent.text } == [nil, "b"])
        #expect(try await operations.agents(project: nil, by: fixture.admin).items.map(\.agent.text) == ["b"])

        let tooMany = Array(repeating: fixture.command("own"), count: Limits.batchItems + 1)
        #expect(await category { try await operations.publishBatch(tooMany, by: publisher) } == .tooLarge)
        await fixture.database.close()
    }

    @Test func whatLiesOutsideOfTheScopeIsNotThere() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        for project in ["own", "foreign"] {
            _ = try await operations.publish(fixture.command(project), by: fixture.admin)
            _ = try await operations.register(fixture.registration(project, "agent"), by: fixture.admin)
        }
        _ = try await operations.register(fixture.registration("foreign", "hidden"), by: fixture.admin)
        let consumer = try await fixture.caller(.consumer, ["own"])
        let name = { (text: String) in Name(stored: text) }

        #expect(try await operations.projects(by: consumer).items.map(\.name.text) == ["own"])
        #expect(try await operations.projects(by: fixture.admin).items.map(\.name.text) == ["foreign", "own"])
        #expect(try await operations.agents(project: nil, by: consumer).items.map(\.project.text) == ["own"])
        #expect(try await operations.agent(name("agent"), project: nil, by: consumer).project.text == "own")
        #expect(await category { try await operations.agent(name("hidden"), project: nil, by: consumer) } == .notFound)
        #expect(await category { try await operations.agent(name("agent"), project: name("foreign"), by: consumer) } == .forbidden)
        // By id alone the one registration that the caller sees, and none when there are several.
        let error = await #expect(throws: ContexError.self) { _ = try await operations.agent(name("agent"), project: nil, by: fixture.admin) }
        #expect(error?.category == .conflict && error?.candidates == ["own", "foreign"])
        #expect(await category { try await operations.unregister(name("agent"), project: nil, by: fixture.admin) } == .conflict)
        #expect(try await operations.agent(name("agent"), project: name("foreign"), by: fixture.admin).project.text == "foreign")
        #expect(try await operations.unregister(name("hidden"), project: nil, by: consumer) == 0)
        #expect(try await operations.unregister(name("agent"), project: nil, by: consumer) == 1)
        #expect(try await operations.agents(project: nil, by: fixture.admin).items.map(\.project.text) == ["foreign", "foreign"])
        await fixture.database.close()
    }

    /// Whose key registered an agent is noted, and without that key nobody calls its webhook.
    @Test func aWebhookLivesAsLongAsItsKey() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let consumer = try await fixture.caller(.consumer, ["own"])
        var command = fixture.registration("own", "agent")
        (command.delivery, command.webhookURL) = (.webhook, "https://example.com/hook")
        command.registrant = Publisher(keyID: "0000000000000000", name: "claimed")
        _ = try await operations.register(command, by: consumer)
        func status() async throws -> AgentStatus { try await operations.agent(Name(stored: "agent"), project: nil, by: fixture.admin) }
        func mayBeTold() async throws -> Bool { fixture.database.mayBeTold(try await status().record, of: Name(stored: "own")) }
        let key = try #require(try await operations.keys(by: fixture.admin).first { $0.record.name.hasPrefix("consumer") }).record.keyID
        #expect(try await status().record.registrant?.keyID == key.text)
        #expect(try await mayBeTold())
        #expect(try await !status().isStopped)
        // A role that may not register agents there does not let it go on either.
        for (role, projects, may) in [(Role.consumer, ["other"], false), (.readonly, ["own"], false), (.admin, ["own"], true)] {
            _ = try await operations.assignRole(keyID: key.text, role: role.rawValue, projects: projects, by: fixture.admin)
            #expect(try await mayBeTold() == may, "\(role) of \(projects)")
        }
        try await operations.revokeKey(key.text, by: fixture.admin)
        #expect(try await !mayBeTold())
        #expect(try await status().isStopped)
        _ = try await operations.register(command, by: fixture.admin)
        #expect(try await mayBeTold())
        #expect(try await !status().isStopped)
        await fixture.database.close()
    }

    @Test func whoMayHearAMessageIsAskedForEachMessage() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        func mayReceive(_ project: String, by caller: Caller, tenant: TenantID = .standard) -> Bool {
            operations.mayReceive(of: Name(stored: project), tenant: tenant, by: caller)
        }
        let reader = try await fixture.caller(.readonly, ["own"])
        #expect(mayReceive("own", by: reader))
        #expect(!mayReceive("foreign", by: reader))
        #expect(!mayReceive("own", by: reader, tenant: TenantID(rawValue: TenantID.standard.rawValue + 1)))
        #expect(!mayReceive("own", by: try await fixture.caller(.publisher)))
        #expect(!mayReceive("own", by: fixture.caller(nil)))

        let id = try #require(try await operations.keys(by: fixture.admin).first { $0.record.name == "readonly of [\"own\"]" }).record.keyID
        try await operations.revokeKey("\(id)", by: fixture.admin)
        #expect(!mayReceive("own", by: reader))
        #expect(await category { try await operations.projects(by: reader) } == .unauthenticated)
        await fixture.database.close()
    }

    @Test func anAdministratorOfSomeProjectsCannotReachBeyondThem() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let chief = try await fixture.caller(.admin, ["own", "second"])
        let own = try #require(try await operations.keys(by: fixture.admin).first { $0.record.name.hasPrefix("admin of") }).record.keyID
        let root = "\(fixture.root.record.keyID)"

        // A key without a role would read everything: what a limited administrator creates is limited from the start.
        let created = try await operations.createKey(name: "created", by: chief)
        let id = "\(created.record.keyID)"
        #expect(try await operations.role(of: id, by: chief) == (Role.readonly.rawValue, ["own", "second"]))
        _ = try await operations.publish(fixture.command("foreign"), by: fixture.admin)
        let page = PageRequest()
        #expect(await category { try await operations.listKeysOfData(project: Name(stored: "foreign"), page, by: fixture.caller(created.text)) } == .forbidden)

        #expect(try await operations.assignRole(keyID: id, role: "publisher", projects: ["own"], by: chief).role == "publisher")
        for projects in [[], ["foreign"], ["own", "foreign"]] {
            #expect(await category { try await operations.assignRole(keyID: id, role: "admin", projects: projects, by: chief) } == .forbidden)
        }
        #expect(await category { try await operations.assignRole(keyID: "\(own)", role: "admin", projects: [], by: chief) } == .forbidden)
        // What reaches beyond them is answered as what is not there, whatever is asked.
        for key in [root, "0000000000000001"] {
            #expect(await category { try await operations.assignRole(keyID: key, role: "readonly", projects: ["own"], by: chief) } == .notFound)
            #expect(await category { try await operations.assignRole(keyID: key, role: "readonly", projects: [], by: chief) } == .forbidden)
            #expect(await category { try await operations.revokeKey(key, by: chief) } == .notFound)
            #expect(await category { try await operations.confirmKey(key, by: chief) } == .notFound)
            #expect(await category { try await operations.removeRole(of: key, by: chief) } == .forbidden)
            #expect(try await operations.role(of: key, by: chief) == (Role.readonly.rawValue, []))
        }
        // Nor is it in a list: neither the keys of all projects, nor those of others, nor the ones that reach into both.
        _ = try await fixture.caller(.consumer, ["second"])
        for projects in [["foreign"], ["own", "foreign"]] { _ = try await fixture.caller(.publisher, projects) }
        let visible = ["admin of [\"own\", \"second\"]", "created", "consumer of [\"second\"]"]
        #expect(try await operations.keys(by: chief).map(\.record.name) == visible)
        #expect(try await operations.roles(by: chief).map(\.role) == ["admin", "publisher", "consumer"])
        #expect(try await operations.keys(by: fixture.admin).count == 6)
        #expect(await category { try await operations.removeRole(of: id, by: chief) } == .forbidden)
        #expect(try await operations.role(of: id, by: chief) == (Role.publisher.rawValue, ["own"]))
        try await operations.revokeKey(id, by: chief)
        #expect(await category { try await operations.revokeKey(id, by: fixture.admin) } == .notFound)
        await fixture.database.close()
    }

    @Test func theLastAdministratorOfAllProjectsStays() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        let root = "\(fixture.root.record.keyID)"
        // An administrator of some projects cannot issue keys for the others: he is no replacement.
        _ = try await fixture.caller(.admin, ["own"])
        func tryAll() async -> [ContexError.Category?] {
            [
                await category { try await operations.revokeKey(root, by: fixture.admin) },
                await category { try await operations.removeRole(of: root, by: fixture.admin) },
                await category { try await operations.assignRole(keyID: root, role: "readonly", projects: [], by: fixture.admin) },
                await category { try await operations.assignRole(keyID: root, role: "admin", projects: ["own"], by: fixture.admin) },
            ]
        }
        #expect(await tryAll() == Array(repeating: .conflict, count: 4))
        #expect(try await operations.role(of: root, by: fixture.admin) == (Role.admin.rawValue, []))

        let second = try await fixture.caller(.admin)
        try await operations.revokeKey(root, by: second)
        #expect(await category { try await operations.keys(by: fixture.admin) } == .unauthenticated)
        #expect(try await operations.keys(by: second).count == 2)
        await fixture.database.close()
    }

    @Test func healthIsARealReadAndARealEmbedding() async throws {
        let well = try await Fixture()
        let health = try await well.operations.health(by: well.admin)
        let parts = ["store", "writer", "vector_index", "text_index", "embedding_model", "notifier", "memory", "integrity"]
        #expect(health.status == .healthy && health.isReady && health.modes.isEmpty && health.components.map(\.name) == parts)
        #expect(
            health.components[0].details.map(\.name)
                == ["latency_ms", "bytes_used", "entries", "projects", "pending_writes", "position", "position_time", "reopenings"])
        // Figures of the whole server are for those who may see all of it.
        for caller in [try await well.caller(.admin, ["own"]), try await well.caller(.readonly), try await well.caller(.consumer, ["own"])] {
            let told = try await well.operations.health(by: caller)
            #expect(told.status == .healthy && told.components.map(\.name) == parts)
            #expect(told.components.flatMap { $0.details.map(\.name) } == ["embedding_dim"])
        }
        await well.database.close()

        struct Broken: Error {}
        let ill = try await Fixture(embed: { _ in throw Broken() })
        let report = try await ill.operations.health(by: ill.admin)
        #expect(report.status == .unhealthy && report.components.first { $0.name == "embedding_model" }?.status == .unhealthy)
        #expect(!report.isReady && report.components.first { $0.name == "embedding_model" }?.message?.contains("Broken") == true)
        let told = try await ill.operations.health(by: try await ill.caller(.readonly))
        #expect(told.status == .unhealthy && told.components.allSatisfy { $0.message == nil })
        await ill.database.close()
    }
}
