import Base
import Engine
import Needs
import TestSupport
import Testing

/// A rule holds at every door: a registration alone, in a batch, and as the section of an export document.
@Suite struct CommandRulesTests {
    private static let project = Name(stored: "p")

    private struct Fault: Sendable {
        let field: String
        /// The member of an export's agent, where exports have it.
        var member: (name: String, value: JSONValue)? = nil
        let spoil: @Sendable (inout RegisterCommand) -> Void
    }

    private static let longText = String(repeating: "x", count: Limits.webhookSecretScalars + 1)
    private static let faults: [Fault] = [
        Fault(field: "data_needs", member: ("needs", .array((0...Limits.needsPerAgent).map { .string("\($0)") }))) { command in
            command.needs = (0...Limits.needsPerAgent).map { "\($0)" }
        },
        Fault(field: "data_needs", member: ("needs", .array([.string(String(repeating: "x", count: Limits.queryScalars + 1))]))) { command in
            command.needs = [String(repeating: "x", count: Limits.queryScalars + 1)]
        },
        Fault(field: "data_needs", member: ("needs", .array(["nul \0"]))) { $0.needs = ["nul \0"] },
        Fault(field: "notification_channel", member: ("notification_channel", .string(longText))) { $0.channel = longText },
        Fault(field: "notification_channel", member: ("notification_channel", "nul \0")) { $0.channel = "nul \0" },
        Fault(field: "response_format", member: ("response_format", "morse")) { $0.responseFormat = "morse" },
        Fault(field: "webhook_url", member: ("webhook_url", "gopher://h.example/")) { $0.webhookURL = "gopher://h.example/" },
        Fault(field: "webhook_url", member: ("webhook_url", "http://")) { $0.webhookURL = "http://" },
        Fault(field: "webhook_url", member: ("webhook_url", .string("http://h.example/" + String(repeating: "x", count: Limits.addressScalars)))) {
            $0.webhookURL = "http://h.example/" + String(repeating: "x", count: Limits.addressScalars)
        },
        Fault(field: "webhook_url", member: ("notification_method", "webhook")) { $0.delivery = .webhook },
        Fault(field: "webhook_secret", member: ("webhook_secret", .string(longText))) { $0.webhookSecret = longText },
        Fault(field: "max_tokens") { $0.maxTokens = Limits.contextTokens.upperBound + 1 },
        Fault(field: "diversity") { $0.diversity = 1.5 },
        Fault(field: "diversity") { $0.diversity = .nan },
        Fault(field: "pinned") { $0.pinned = (0...Limits.namedKeys).map { "\($0)" } },
    ]

    private static func command(_ agent: String) -> RegisterCommand {
        RegisterCommand(project: project, agent: Name(stored: agent), needs: ["zebra"])
    }

    @Test func noRegistrationGetsPastTheRules() async throws {
        let fixture = try Fixture()
        for fault in Self.faults {
            var spoiled = Self.command("spoiled")
            fault.spoil(&spoiled)
            let alone = await #expect(throws: ContexError.self) { try await fixture.database.register(Fixture.tenant, spoiled) }
            #expect(alone?.category == .invalid && alone?.field == fault.field, "\(fault.field)")
            let batch = await fixture.database.register(Fixture.tenant, [spoiled, Self.command("sound")])
            #expect(batch.map { (try? $0.get())?.agent.text } == [nil, "sound"], "\(fault.field)")

            guard let member = fault.member else { continue }
            var data = JSONObject([("needs", .array(["zebra"]))])
            data[member.name] = member.value
            let document: JSONValue = [
                "project_id": "p", "version": "1.0",
                "data": [
                    "events": .array([["event_id": "1", "event_type": "t", "data": ["k": "v"]]]),
                    "agents": .array([["agent_id": "spoiled", "data": .object(data)]]),
                ],
            ]
            let imported = await #expect(throws: ContexError.self) {
                try await fixture.database.importDocument(Fixture.tenant, project: Self.project, document: document, overwrite: true, validateOnly: false)
            }
            #expect(imported?.category == .badRequest, "\(member.name)")
        }
        #expect(try await fixture.database.agents(Fixture.tenant, project: nil, PageRequest()) { _ in true }.items.map(\.agent.text) == ["sound"])
        #expect(try await fixture.database.events(Fixture.tenant, project: Self.project, since: .zero, PageRequest(limit: 9)) { ($0, 1) }.items.isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func theURLThatIsStoredIsTheOneThatIsCalled() async throws {
        let fixture = try Fixture()
        var command = Self.command("a")
        command.delivery = .webhook
        command.webhookURL = " HTTP://0x8.8.8.8:80/a/../b"
        _ = try await fixture.database.register(Fixture.tenant, command)
        let stored = try await fixture.database.agent(Fixture.tenant, Name(stored: "a"), project: nil)
        #expect(stored.map(\.record.webhookURL) == ["http://8.8.8.8/b"])
        await fixture.database.close()
    }

    @Test func noPublishGetsPastTheRules() async throws {
        let fixture = try Fixture()
        let long = String(repeating: "x", count: Limits.nameScalars + 1)
        func command(_ spoil: (inout PublishCommand) -> Void) -> PublishCommand {
            var command = PublishCommand(project: Self.project, key: Name(stored: "k"), data: "text")
            spoil(&command)
            return command
        }
        let outcomes = await fixture.database.publish(
            Fixture.tenant,
            [
                command { $0.eventType = long }, command { $0.eventType = "nul \0" }, command { $0.format = long }, command { $0.format = "nul \0" },
                command { $0.format = "no such format" },
            ])
        let fields = outcomes.map { outcome -> String? in if case .failure(let error) = outcome { error.field } else { nil } }
        #expect(fields == ["event_type", "event_type", "data_format", "data_format", nil])
        for event: JSONValue in [["event_id": "1", "event_type": .string(long), "data": "x"], ["event_id": "1", "event_type": "nul \0", "data": "x"]] {
            let error = await #expect(throws: ContexError.self) {
                try await fixture.database.importDocument(
                    Fixture.tenant, project: Name(stored: "q"), document: ["project_id": "q", "data": ["events": .array([event])]], overwrite: false,
                    validateOnly: false)
            }
            #expect(error?.category == .badRequest)
        }
        await fixture.database.close()
    }
}
