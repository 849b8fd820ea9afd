import Base
import Content
import Engine
import Events
import Foundation
import Needs
import TestSupport
import Testing

/// The document of docs/formats/export-v1.md. Every later build must import it and write the same of what it holds.
@Suite struct GoldenExportTests {
    static let project = Name(stored: "shop")
    static let all = ExportSections(events: true, embeddings: true, agents: true)

    static func golden() throws -> (text: String, value: JSONValue) {
        let data = try Data(contentsOf: TestData.checkout.appendingPathComponent("Tests/Golden/export-v1/export.json"))
        return (String(decoding: data, as: UTF8.self), try JSONParser.parse(data))
    }

    /// Times are those of the import, an agent that is registered again has been told of nothing before, and what it follows is listed in
    /// the order in which the nodes were made.
    static func withoutTimes(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(JSONObject(members.filter { !["export_timestamp", "created_at", "last_seen", "last_sequence"].contains($0.key) }
                .map { ($0.key, $0.key == "data_keys" ? sorted($0.value) : withoutTimes($0.value)) }))
        case .array(let items): .array(items.map(withoutTimes))
        default: value
        }
    }

    private static func sorted(_ keys: JSONValue) -> JSONValue {
        .array((keys.arrayValue ?? []).sorted { $0.stringValue ?? "" < $1.stringValue ?? "" })
    }

    @Test func whatWasExportedIsImported() async throws {
        let golden = try Self.golden()
        let fixture = try Fixture()
        let receipt = try await fixture.database.importDocument(
            Fixture.tenant, project: Self.project, document: golden.value, overwrite: false, validateOnly: false)
        #expect(receipt.warnings == [] && receipt.events == 6 && receipt.embeddings == 7 && receipt.agents == 2)
        #expect(try await fixture.query("shop", "lion").first?.nodeKey == "tech.stack")
        let again = try await fixture.database.export(Fixture.tenant, project: Self.project, sections: Self.all)
        #expect(Self.withoutTimes(again) == Self.withoutTimes(golden.value))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func theSamePublishesGiveTheSameDocument() async throws {
        let fixture = try Fixture()
        try await fixture.publish("shop", "tech", ["stack": ["db": "zebra", "version": .double(1.5)], "owner": "é"])
        try await fixture.publish("shop", "notes", .string("One. Two."), format: "text")
        try await fixture.publish("shop", "old", ["x": .null])
        try await fixture.publish("shop", "tech", ["stack": ["db": "lion", "version": .double(1.5)], "owner": "é"])
        try await fixture.publish("shop", "people", .string("name,age\nZoë,7\n"), format: "csv")
        let own = (0..<WordHash.dimension).map { Float($0 % 5) - 1.5 }
        _ = try await fixture.database.publish(
            Fixture.tenant,
            [PublishCommand(project: Self.project, key: Name(stored: "own"), data: ["x": ["y": "wolf"]], vector: own)])[0].get()
        for (agent, url) in [("ana", nil), ("bob", "https://example.com/hook")] as [(String, String?)] {
            _ = try await fixture.database.register(
                Fixture.tenant,
                RegisterCommand(
                    project: Self.project, agent: Name(stored: agent), needs: ["lion db"], delivery: url == nil ? .redis : .webhook,
                    responseFormat: "json", channel: nil, webhookURL: url))
        }
        let exported = try await fixture.database.export(Fixture.tenant, project: Self.project, sections: Self.all)
        if ProcessInfo.processInfo.environment["CONTEX_TEST_WRITE"] == "1" {
            try Data((JSONPrinter.text(exported, style: .pretty2) + "\n").utf8).write(
                to: TestData.checkout.appendingPathComponent("Tests/Golden/export-v1/export.json"))
        }
        #expect(Self.withoutTimes(exported) == Self.withoutTimes(try Self.golden().value))
    }
}
