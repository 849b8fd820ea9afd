import Base
import Engine
import Events
import Search
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

    /// Sections that do not fit each other leave a store in which everything refers to something that is there.
    @Test func eventsAloneReplaceTheLogUnderTheDocuments() async throws {
        let fixture = try Fixture()
        for round in 0..<3 { try await fixture.publish("p", "same", ["x": .string("zebra \(round)")]) }
        try await fixture.publish("p", "other", ["x": "lion"])
        try await fixture.publish("p", "gone", ["x": "wolf"])
        _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "gone"))
        let sections = ExportSections(events: true, embeddings: false, agents: false)
        let own = try await fixture.database.export(Fixture.tenant, project: p, sections: sections)
        // Of "same" the last content, of "other" another, of "gone" what it was.
        let events: [JSONValue] = [
            ["event_id": "1", "event_type": "same_updated", "data": ["same": ["x": "zebra 2"]]],
            ["event_id": "2", "event_type": "other_updated", "data": ["other": ["x": "another"]]],
            ["event_id": "3", "event_type": "gone_updated", "data": ["gone": ["x": "wolf"]]],
        ]
        let document: JSONValue = ["project_id": "p", "version": "1.0", "data": ["events": .array(events)]]
        _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: true, validateOnly: false)
        let same = try await fixture.database.document(Fixture.tenant, project: p, key: Name(stored: "same"))
        #expect(same.sequence.rawValue == 1 && same.data == ["x": "zebra 2"])
        let other = try await fixture.database.document(Fixture.tenant, project: p, key: Name(stored: "other"))
        #expect(other.sequence.rawValue == 3 && other.data == nil && other.nodes.map(\.data) == [["x": "lion"]])
        func history(_ key: String) async throws -> [UInt64] {
            try await fixture.database.history(Fixture.tenant, project: p, key: Name(stored: key), limit: 9).map(\.sequence.rawValue)
        }
        let histories = try await [history("same"), history("other"), history("gone")]
        #expect(histories == [[1], [2], [3]])
        // What is as it was is not published again, what is not is.
        #expect(try await !fixture.publish("p", "same", ["x": "zebra 2"]).changed)
        #expect(try await fixture.publish("p", "other", ["x": "lion"]).sequence.rawValue == 4)
        // A log of its own, shorter than what the documents name, and an empty one.
        _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: own, overwrite: true, validateOnly: false)
        #expect(try await fixture.database.listKeys(Fixture.tenant, project: p) == ["other", "same"])
        let empty: JSONValue = ["project_id": "p", "version": "1.0", "data": ["events": .array([])]]
        _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: empty, overwrite: true, validateOnly: false)
        #expect(try await fixture.query("p", "lion").first?.nodeKey == "other.root")
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Nodes that come again are other nodes: whoever followed the old ones follows the new.
    @Test(arguments: [true, false]) func agentsFollowWhatWasImported(overwrite: Bool) async throws {
        let fixture = try Fixture {
            $0.mode = .semantic
            $0.threshold = 0.4
        }
        let name = Name(stored: "g")
        func node(_ key: String, _ text: String) -> JSONValue {
            ["data_key": .string(key), "node_path": "root", "description": .string(text), "data": ["x": .string(text)]]
        }
        func load(_ nodes: [JSONValue]) async throws {
            let document: JSONValue = ["project_id": "p", "version": "1.0", "data": ["embeddings": .array(nodes)]]
            _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: overwrite, validateOnly: false)
        }
        func held() async throws -> [String] { try await fixture.database.agent(Fixture.tenant, name, project: p)[0].nodeKeys }
        try await load([node("a", "zebra"), node("b", "wolf")])
        _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: name, needs: ["zebra"]))
        #expect(try await held() == ["a.root"])
        _ = fixture.sink.take()
        try await load([node("a", "zebra"), node("b", "wolf")])
        #expect(try await held() == ["a.root"])
        try await load([node("a", "wolf"), node("c", "zebra")])
        #expect(try await held() == ["c.root"])
        #expect(fixture.sink.take().isEmpty)
        try await fixture.publish("p", "c", ["x": "zebra too"])
        #expect(fixture.sink.take().count == 1)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func anImportIsNoLargerThanItMayBe() async throws {
        let fixture = try Fixture()
        func refusal(_ data: JSONValue) async -> ContexError? {
            do {
                let document: JSONValue = ["project_id": "p", "version": "1.0", "data": data]
                _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: false, validateOnly: true)
                return nil
            } catch { return error as? ContexError }
        }
        func node(path: String = "root", kind: String = "object", key: String = "k") -> JSONValue {
            ["data_key": .string(key), "node_path": .string(path), "node_type": .string(kind), "description": "d", "data": .integer(1)]
        }
        let long = String(repeating: "x", count: Limits.nodeKeyScalars)
        #expect(await refusal(["embeddings": .array([node(path: String(long.prefix(Limits.pathBytes)))])]) == nil)
        #expect(await refusal(["embeddings": .array([node(path: String(long.prefix(Limits.pathBytes + 1)))])])?.category == .badRequest)
        #expect(await refusal(["embeddings": .array([node(kind: long)])])?.category == .badRequest)
        #expect(await refusal(["events": .array([["event_id": "1", "event_type": .string(long), "data": [:]]])])?.category == .badRequest)
        let event: JSONValue = ["event_id": "1", "data": .integer(1)]
        #expect(await refusal(["events": .array(Array(repeating: event, count: Limits.importEvents + 1))])?.category == .tooLarge)
        #expect(await refusal(["embeddings": .array((0...Limits.importNodes).map { node(key: "k\($0)") })])?.category == .tooLarge)
        await fixture.database.close()
    }
}
