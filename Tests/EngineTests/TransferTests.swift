import Base
import Engine
import Events
import TestSupport
import Testing

@Suite struct TransferTests {
    private let p = Name(stored: "p")
    private let all = ExportSections(events: true, embeddings: true, agents: true)

    @Test func anExportComesBackAsItWas() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "a", ["x": ["y": "zebra"], "s": "side"])
        try await fixture.publish("p", "b", .string("One. Two."), format: "text")
        try await fixture.publish("p", "a", ["x": ["y": "lion"]])
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: "g"), needs: ["lion"]))
        let exported = try await fixture.database.export(Fixture.tenant, project: p, sections: all)

        let other = try Fixture()
        let receipt = try await other.database.importDocument(
            Fixture.tenant, project: p, document: exported, overwrite: false, validateOnly: false)
        #expect(receipt.events == 3 && receipt.embeddings == 3 && receipt.agents == 1)
        let again = try await other.database.export(Fixture.tenant, project: p, sections: all)
        func section(_ document: JSONValue, _ name: String) -> [JSONValue] { document["data"]?[name]?.arrayValue ?? [] }
        func withoutTimes(_ items: [JSONValue]) -> [JSONValue] {
            items.map { item in
                guard case .object(var object) = item else { return item }
                object["created_at"] = nil
                object["last_seen"] = nil
                return .object(object)
            }
        }
        for name in ["events", "embeddings"] { #expect(withoutTimes(section(again, name)) == withoutTimes(section(exported, name)), "\(name)") }
        #expect(section(again, "agents").map { $0["agent_id"] } == ["g"])
        #expect(try await other.query("p", "lion").first?.nodeKey == "a.x")
        #expect(try await other.database.history(Fixture.tenant, project: p, key: Name(stored: "a"), limit: 9).map(\.sequence.rawValue) == [3, 1])
        #expect(try await other.closeAndCheck() == [])
    }

    @Test func overwriteReplacesOnlyTheSectionsThatAreThere() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "old", ["x": "zebra"])
        let events: JSONValue = [
            "project_id": "p", "version": "1.0", "data": ["events": .array([["event_id": "7", "event_type": "t", "data": ["k": "v", "w": "x"]]])],
        ]
        await #expect(throws: ContexError.self) {
            _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: events, overwrite: false, validateOnly: false)
        }
        _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: events, overwrite: true, validateOnly: false)
        let log = try await fixture.database.events(Fixture.tenant, project: p, since: .zero, count: 10)
        #expect(try log.map { try EventData.visible($0) } == [["k": "v", "w": "x"]])
        #expect(log.map(\.type) == ["t"])
        #expect(try await fixture.query("p", "zebra").count == 1)
        #expect(try await fixture.closeAndCheck() == [])
    }

    private static func node(_ path: String) -> JSONValue {
        ["data_key": "k", "node_path": .string(path), "description": "text", "data": ["a": "b"]]
    }

    @Test func whatIsWrongIsRefusedBeforeAnythingIsWritten() async throws {
        let fixture = try Fixture()
        let wrong: [JSONValue] = [
            .null, .array([]), ["data": [:]], ["project_id": "p"], ["project_id": "other", "data": [:]],
            ["project_id": "p", "data": ["events": "no list"]], ["project_id": "p", "data": ["events": .array([["event_id": "1"]])]],
            ["project_id": "p", "data": ["embeddings": .array([["data_key": "k"]])]],
            ["project_id": "p", "data": ["events": .array([["event_id": "1", "data": "nul \0"]])]],
            ["project_id": "p", "data": ["events": .array([["event_id": "1", "event_type": "nul \0", "data": [:]]])]],
            ["project_id": "p", "data": ["embeddings": .array([Self.node("a"), Self.node("a")])]],
            ["project_id": "p", "data": ["embeddings": .array([Self.node("nul \0")])]],
            ["project_id": "p", "data": ["agents": .array([["agent_id": "a", "data": ["needs": .array(["nul \0"])]]])]],
            [
                "project_id": "p",
                "data": [
                    "events": .array([["event_id": "1", "data": [:]]]),
                    "agents": .array([["agent_id": "a", "data": ["needs": .array((0...Limits.needsPerAgent).map { .string("\($0)") })]]]),
                ],
            ],
        ]
        for document in wrong {
            let error = await #expect(throws: ContexError.self) {
                _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: true, validateOnly: false)
            }
            #expect(error?.category == .badRequest)
        }
        let fine: JSONValue = ["project_id": "p", "data": ["events": .array([["event_id": "1", "data": [:]]])]]
        let receipt = try await fixture.database.importDocument(Fixture.tenant, project: p, document: fine, overwrite: false, validateOnly: true)
        #expect(receipt.warnings == ["Missing version field"])
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
    }
}
