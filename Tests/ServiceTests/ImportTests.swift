import Access
import Base
import Engine
import Needs
import Service
import TestSupport
import Testing

/// An import may do what the operations may do that its sections stand for.
@Suite struct ImportTests {
    private let own = Name(stored: "own")

    private func document(agents: [JSONValue]) -> JSONValue {
        [
            "project_id": "own", "version": "1.0",
            "data": ["events": .array([["event_id": "1", "event_type": "t", "data": ["k": "imported"]]]), "agents": .array(agents)],
        ]
    }
    private func agent(_ id: String, _ url: String) -> JSONValue {
        ["agent_id": .string(id), "data": ["needs": .array(["a need"]), "notification_method": "webhook", "webhook_url": .string(url)]]
    }

    private func webhook(_ fixture: Fixture) -> RegisterCommand {
        var registration = fixture.registration("own", "listener")
        registration.delivery = .webhook
        registration.webhookURL = "https://mine.example/"
        registration.webhookSecret = "secret"
        return registration
    }

    @Test func agentsAreRegisteredByThoseWhoMay() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        _ = try await operations.register(webhook(fixture), by: fixture.admin)

        let publisher = try await fixture.caller(.publisher, ["own"])
        for (agents, isRefused) in [([agent("new", "https://theirs.example/")], true), ([agent("listener", "https://theirs.example/")], true), ([], false)] {
            for validateOnly in [true, false] {
                let outcome = await category {
                    try await operations.importDocument(document(agents: agents), project: own, overwrite: true, validateOnly: validateOnly, by: publisher)
                }
                #expect(outcome == (isRefused ? .forbidden : nil))
            }
            let log = try await operations.events(project: own, since: .zero, PageRequest(limit: 9), by: fixture.admin) { ($0, 1) }
            #expect(log.items.isEmpty == isRefused)
        }
        #expect(try await operations.agents(project: own, by: fixture.admin).items.map(\.agent.text) == ["listener"])
        let left = try await operations.agent(Name(stored: "listener"), project: own, by: fixture.admin).record
        #expect(left.webhookURL == "https://mine.example/" && left.webhookSecret == "secret")

        let refused = await #expect(throws: ContexError.self) {
            try await operations.importDocument(
                document(agents: [agent("new", "https://a.example/")]), project: own, overwrite: true, validateOnly: false, by: publisher)
        }
        #expect(refused?.requiredPermission == "register_agent" && refused?.role == "publisher")
        await fixture.database.close()
    }

    @Test func anImportWithoutASecretKeepsTheOneThatIsThere() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        var registration = webhook(fixture)
        _ = try await operations.register(registration, by: fixture.admin)
        _ = try await operations.importDocument(
            document(agents: [agent("listener", "https://mine.example/new"), agent("other", "https://mine.example/")]), project: own, overwrite: true,
            validateOnly: false, by: fixture.admin)
        var agents: [AgentRecord] = []
        for name in ["listener", "other"] { agents.append(try await operations.agent(Name(stored: name), project: own, by: fixture.admin).record) }
        #expect(agents.map(\.webhookURL) == ["https://mine.example/new", "https://mine.example/"])
        #expect(agents.map(\.webhookSecret) == ["secret", nil])
        // A registration says all there is: without a secret there is none.
        registration.webhookSecret = nil
        _ = try await operations.register(registration, by: fixture.admin)
        #expect(try await operations.agent(Name(stored: "listener"), project: own, by: fixture.admin).record.webhookSecret == nil)
        await fixture.database.close()
    }

    @Test func anExportShowsAgentsToThoseWhoMayListThem() async throws {
        let fixture = try await Fixture()
        let operations = fixture.operations
        _ = try await operations.register(fixture.registration("own", "listener"), by: fixture.admin)
        func export(_ caller: Role, agents: Bool) async throws -> ContexError.Category? {
            let caller = try await fixture.caller(caller, ["own"])
            return await category {
                try await operations.export(project: own, sections: ExportSections(events: true, embeddings: true, agents: agents), by: caller)
            }
        }
        #expect(try await export(.publisher, agents: true) == .forbidden)
        #expect(try await export(.publisher, agents: false) == nil)
        #expect(try await export(.readonly, agents: true) == nil)
        await fixture.database.close()
    }
}
