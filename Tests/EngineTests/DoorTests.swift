import Answers
import Base
import Content
import Engine
import Events
import Foundation
import Synchronization
import TestSupport
import Testing
import TOON

/// What comes in by one door must be readable by all others, and what is refused leaves nothing.
@Suite struct DoorTests {
    private let p = Name(stored: "p")
    private let all = ExportSections(events: true, embeddings: true, agents: true)

    private static func nested(_ levels: Int) -> JSONValue { (1..<levels).reduce(.array([])) { value, _ in .array([value]) } }
    private static let deepest = nested(Limits.nestingDepth)
    private static let tooDeep = nested(Limits.nestingDepth + 1)

    /// Everything that reads what is stored, once.
    private func readEverything(_ fixture: Fixture) async throws -> JSONValue {
        let database = fixture.database
        let events = try await database.events(Fixture.tenant, project: p, since: .zero, count: 1_000)
        for event in events { _ = try EventData.visible(event) }
        let nodes = try await database.listNodes(Fixture.tenant, project: p)
        let keys = try await database.listKeys(Fixture.tenant, project: p)
        for key in keys.map({ Name(stored: $0) }) {
            _ = try await database.document(Fixture.tenant, project: p, key: key)
            for version in try await database.history(Fixture.tenant, project: p, key: key, limit: 100) {
                _ = try await database.version(Fixture.tenant, project: p, key: key, sequence: version.sequence)
                _ = try await database.document(Fixture.tenant, project: p, key: key, asOf: .sequence(version.sequence))
            }
        }
        _ = try await database.listNodes(Fixture.tenant, project: p, asOf: .sequence(Sequence(rawValue: UInt64(events.count) - 1)))
        #expect(try await fixture.query("p", "value", topK: 50).count == min(nodes.count, 50))
        _ = fixture.sink.take()
        for format in ["json", "toon"] {
            let command = RegisterCommand(project: p, agent: Name(stored: "agent \(format)"), needs: ["value"], responseFormat: format)
            #expect(try await database.register(Fixture.tenant, command).caughtUpEvents == min(events.count, 100))
            let told = fixture.sink.take().map(NotificationShape.channelText)
            #expect(!told.isEmpty && !told.contains { $0.contains("\"error\"") })
        }
        return try await database.export(Fixture.tenant, project: p, sections: all)
    }

    @Test func theDeepestOfEveryDoorIsReadByEveryReader() async throws {
        let fixture = try Fixture()
        let unit = [Float](repeating: 0, count: WordHash.dimension - 1) + [1]
        try await fixture.publish("p", "json", Self.deepest)
        try await fixture.publish("p", "object", ["value": Self.nested(Limits.nestingDepth - 1)])
        for (format, text) in [
            ("json", JSONPrinter.text(Self.deepest)), ("yaml", "a: " + JSONPrinter.text(Self.nested(Limits.nestingDepth - 1))),
            ("toml", "a = " + JSONPrinter.text(Self.nested(Limits.nestingDepth - 1))),
            ("xml", String(repeating: "<a>", count: 64) + "x" + String(repeating: "</a>", count: 64)),
        ] {
            try await fixture.publish("p", format, .string(text), format: format)
            let whole = PublishCommand(project: p, key: Name(stored: "\(format) whole"), data: .string(text), format: format, vector: unit)
            _ = try await fixture.database.publish(Fixture.tenant, [whole])[0].get()
        }
        let whole = PublishCommand(project: p, key: Name(stored: "whole"), data: Self.deepest, vector: unit)
        let receipt = try await fixture.database.publish(Fixture.tenant, [whole])[0].get()
        try await fixture.publish("p", "whole", "changed")
        _ = try await fixture.database.restore(Fixture.tenant, project: p, key: Name(stored: "whole"), sequence: receipt.sequence)
        let exported = try await readEverything(fixture)

        // Through both formats of an export, again and again.
        var document = exported
        for round in 0..<3 {
            let bytes = round == 1 ? Array(TOONEncoder.encode(document).utf8) : JSONPrinter.bytes(document)
            let depth = Limits.nestingDepth + Limits.envelopeLevels
            document = round == 1
                ? try TOONDecoder.decode(utf8: bytes, options: .init(depthMax: depth)) : try JSONParser.parse(bytes, maximumDepth: depth)
            let other = try Fixture()
            _ = try await other.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: false, validateOnly: false)
            document = try await readEverything(other)
            #expect(try await other.closeAndCheck() == [])
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func everyDoorRefusesOneLevelMore() async throws {
        let fixture = try Fixture()
        let number = JSONValue.number(JSONNumber(uncheckedText: String(repeating: "1", count: Limits.numberCharacters + 1)))
        for bad in [Self.tooDeep, ["a": number]] {
            let unit = [Float](repeating: 0, count: WordHash.dimension - 1) + [1]
            let good = PublishCommand(project: p, key: Name(stored: "good"), data: "text")
            let commands = [nil, unit].map { PublishCommand(project: p, key: Name(stored: "bad"), data: bad, vector: $0) }
            let outcomes = await fixture.database.publish(Fixture.tenant, [commands[0], good, commands[1]])
            for place in [0, 2] {
                guard case .failure(let error) = outcomes[place] else { Issue.record("published: \(place)"); continue }
                #expect(error.category == .invalid && error.field == "data")
            }
            _ = try outcomes[1].get()
            let before = try await fixture.database.events(Fixture.tenant, project: p, since: .zero, count: 100).count

            func document(_ events: [JSONValue], _ nodes: [JSONValue]) -> JSONValue {
                ["project_id": "p", "version": "1.0", "data": ["events": .array(events), "embeddings": .array(nodes)]]
            }
            func event(_ data: JSONValue) -> JSONValue { ["event_id": "1", "event_type": "t", "data": data] }
            func node(_ kind: String, _ data: JSONValue) -> JSONValue {
                ["data_key": "k", "node_path": "root", "node_type": .string(kind), "description": "d", "data": data]
            }
            for document in [
                document([event(["k": bad])], []), document([event(["k": "v", "w": bad])], []), document([], [node("object", ["value": bad])]),
                document([], [node("primitive", ["value": bad])]), document([], [node("object", bad)]),
            ] {
                do {
                    _ = try await fixture.database.importDocument(Fixture.tenant, project: p, document: document, overwrite: true, validateOnly: false)
                    Issue.record("imported")
                } catch {
                    #expect((error as? ContexError)?.category == .badRequest, "\(error)")
                }
            }
            #expect(try await fixture.database.events(Fixture.tenant, project: p, since: .zero, count: 100).count == before)
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    // MARK: - Giving up

    /// Counts tokens as it is told: each node of a publish comes by here while it is prepared.
    private final class Gate: Sendable {
        let counted = Atomic(0)
        let onFirst = Mutex<(@Sendable () -> Void)?>(nil)

        func count() -> Int {
            if counted.add(1, ordering: .relaxed).oldValue == 0 { onFirst.withLock { $0.take() }?() }
            return 1
        }

        var models: Models {
            Models(
                identity: WordHash.models.identity, dimension: WordHash.dimension, embedScoped: WordHash.models.embed,
                countTokens: { [self] _ in count() })
        }
    }

    private static let document = JSONValue.array((0..<500).map { .string("item \($0)") })

    @Test func aClientThatLeavesEndsTheWork() async throws {
        let gate = Gate()
        let fixture = try Fixture(models: gate.models)
        let publish = Mutex<Task<PublishReceipt, any Error>?>(nil)
        gate.onFirst.withLock { $0 = { publish.withLock { $0?.cancel() } } }
        let task = publish.withLock { held in
            let task = Task { try await fixture.publish("p", "k", Self.document) }
            held = task
            return task
        }
        do {
            _ = try await task.value
            Issue.record("published")
        } catch {
            #expect((error as? ContexError)?.category == .unavailable, "\(error)")
        }
        #expect(gate.counted.load(ordering: .relaxed) == 1)
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
        // The next is not touched by it.
        #expect(try await fixture.publish("p", "k", Self.document).changed)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aStopEndsTheWork() async throws {
        let gate = Gate()
        let fixture = try Fixture(models: gate.models)
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let isClosing = Atomic(false)
        // The first node waits until the database is being closed.
        gate.onFirst.withLock { $0 = {
            begin.finish()
            while !isClosing.load(ordering: .acquiring) { usleep(1_000) }
            usleep(50_000)
        } }
        async let publish = fixture.publish("p", "k", Self.document)
        for await _ in begun {}
        async let closing: Void = fixture.database.close()
        isClosing.store(true, ordering: .releasing)
        do {
            _ = try await publish
            Issue.record("published")
        } catch {
            #expect((error as? ContexError)?.category == .unavailable, "\(error)")
        }
        await closing
        #expect(gate.counted.load(ordering: .relaxed) < 500)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Pages that a snapshot holds cannot be written again: it must be gone while tokens are counted.
    @Test func noSnapshotIsOpenWhileADocumentIsPrepared() async throws {
        let gate = Gate()
        let fixture = try Fixture(models: gate.models)
        try await fixture.publish("p", "k", Self.document)
        let before = try await fixture.database.status().bytesUsed
        gate.counted.store(0, ordering: .relaxed)
        // While the first node of another publish is counted, one key is written again and again.
        gate.onFirst.withLock { $0 = {
            let done = DispatchSemaphore(value: 0)
            Task.detached {
                for round in 0..<100 { _ = try? await fixture.publish("p", "other", .string("text \(round)")) }
                done.signal()
            }
            done.wait()
        } }
        try await fixture.publish("p", "k", .array([.string("new")] + (Self.document.arrayValue ?? [])))
        let grown = try await fixture.database.status().bytesUsed - before
        #expect(grown < 2 << 20, "\(grown) bytes more")
        #expect(try await fixture.closeAndCheck() == [])
    }
}
