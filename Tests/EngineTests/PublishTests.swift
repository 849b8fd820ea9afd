import Base
import Content
import Engine
import Events
import Foundation
import Maintenance
import Needs
import Search
import TestSupport
import Testing

@Suite struct PublishTests {
    @Test func whatIsPublishedIsFoundListedAndLogged() async throws {
        let fixture = try Fixture()
        let receipt = try await fixture.publish("p", "tech", ["backend": "Python", "db": "PostgreSQL"])
        #expect(receipt.sequence == Sequence(rawValue: 1))
        #expect(receipt.changed)
        let matches = try await fixture.query("p", "PostgreSQL db")
        #expect(matches.first?.nodeKey == "tech.root")
        #expect(matches.first?.data == ["backend": "Python", "db": "PostgreSQL"])
        #expect(matches.first?.description == "root | backend: Python | db: PostgreSQL")
        let events = try await fixture.database.events(Fixture.tenant, project: Name(stored: "p"), since: .zero, count: 10)
        #expect(events.map(\.type) == ["tech_updated"])
        #expect(try EventData.visible(events[0]) == ["tech": ["backend": "Python", "db": "PostgreSQL"]])
        #expect(try await fixture.query("elsewhere", "PostgreSQL").isEmpty)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func equalContentChangesNothing() async throws {
        let fixture = try Fixture()
        let first = try await fixture.publish("p", "k", ["a": "one"])
        let again = try await fixture.publish("p", "k", ["a": "one"])
        #expect(again.sequence == first.sequence)
        #expect(!again.changed)
        let other = try await fixture.publish("p", "k", ["a": "two"])
        #expect(other.sequence == Sequence(rawValue: 2))
        let back = try await fixture.publish("p", "k", ["a": "one"])
        #expect(back.sequence == Sequence(rawValue: 3))
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func staleNodesGoAndUnchangedOnesStay() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "list", [JSONValue]([["n": "apple"], ["n": "pear"], ["n": "plum"]]).asArray)
        try await fixture.publish("p", "list", [JSONValue]([["n": "apple"], ["n": "cherry"]]).asArray)
        let listed = try await fixture.database.listNodes(Fixture.tenant, project: Name(stored: "p"))
        #expect(listed.map(\.nodeKey) == ["list.[0]", "list.[1]"])
        #expect(listed.map(\.data) == [["n": "apple"], ["n": "cherry"]])
        #expect(try await fixture.query("p", "plum", mode: .keyword).isEmpty)
        #expect(try await fixture.query("p", "cherry", mode: .keyword).map(\.nodeKey) == ["list.[1]"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aDeletedKeyIsGoneAndItsVersionsAreNot() async throws {
        let fixture = try Fixture()
        let (project, key) = (Name(stored: "p"), Name(stored: "k"))
        try await fixture.publish("p", "k", ["a": "one"])
        try await fixture.publish("p", "k", ["a": "two"])
        let deletion = try await fixture.database.delete(Fixture.tenant, project: project, key: key)
        #expect(deletion.sequence == Sequence(rawValue: 3))
        #expect(try await fixture.query("p", "two").isEmpty)
        #expect(try await fixture.database.listKeys(Fixture.tenant, project: project).isEmpty)
        await #expect(throws: ContexError.self) { _ = try await fixture.database.delete(Fixture.tenant, project: project, key: key) }
        let history = try await fixture.database.history(Fixture.tenant, project: project, key: key, limit: 10)
        #expect(history.map(\.sequence.rawValue) == [2, 1])
        let restored = try await fixture.database.restore(Fixture.tenant, project: project, key: key, sequence: Sequence(rawValue: 1))
        #expect(restored.data == ["a": "one"])
        #expect(restored.receipt.sequence == Sequence(rawValue: 4))
        let last = try await fixture.database.events(Fixture.tenant, project: project, since: Sequence(rawValue: 3), count: 1)
        #expect(last.first?.type == "data.restored.k")
        #expect(try await fixture.query("p", "one").count == 1)
        await #expect(throws: ContexError.self) {
            _ = try await fixture.database.version(Fixture.tenant, project: project, key: key, sequence: Sequence(rawValue: 3))
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func concurrentPublishesToOneProjectGetEverySequenceOnce() async throws {
        let fixture = try Fixture()
        let sequences = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for i in 0..<200 { group.addTask { try await fixture.publish("p", "k\(i % 50)", ["n": .integer(i)]).sequence.rawValue } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sequences.sorted() == Array(1...200))
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Publishes of one key whose preparations saw the same snapshot: the second finds other nodes than it expected, and the third waits for it.
    @Test func aStalePreparationIsPreparedAgain() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "k", ["a": "one"])
        let key = Name(stored: "k")
        let outcomes = await fixture.database.publish(
            Fixture.tenant,
            [
                PublishCommand(project: Name(stored: "p"), key: key, data: ["a": "two"]),
                PublishCommand(project: Name(stored: "p"), key: key, data: ["a": "one"]),
                PublishCommand(project: Name(stored: "p"), key: key, data: ["a": "three"]),
            ])
        #expect(try outcomes.map { try $0.get().sequence.rawValue } == [2, 3, 4])
        #expect(try await fixture.database.listNodes(Fixture.tenant, project: Name(stored: "p")).map(\.data) == [["a": "three"]])
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func whatCannotBeStoredIsRefusedAndLeavesNothing() async throws {
        let fixture = try Fixture()
        var deep = JSONValue.string("x")
        for _ in 0..<80 { deep = .array([deep]) }
        for data: JSONValue in [.string("a\0b"), ["k\0": "v"], deep] {
            let error = await #expect(throws: ContexError.self) { try await fixture.publish("p", "k", data) }
            #expect(error?.category == .invalid)
        }
        #expect(try await fixture.database.projects(Fixture.tenant).isEmpty)
    }

    /// Random publishes, deletes and reopenings beside a dictionary.
    @Test func agreesWithADictionary() async throws {
        var random = SeededRandom(seed: testSeed("agreesWithADictionary"))
        let folder = TemporaryFolder()
        var fixture = try Fixture(folder)
        var oracle: [String: [String: JSONValue]] = ["p": [:], "q": [:]]
        var sequences: [String: UInt64] = ["p": 0, "q": 0]
        let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
        for _ in 0..<300 {
            let project = Bool.random(using: &random) ? "p" : "q"
            let key = "k\(Int.random(in: 0..<12, using: &random))"
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<14:
                let items = (0..<Int.random(in: 1...4, using: &random)).map { _ in JSONValue.string(words.randomElement(using: &random)!) }
                let data: JSONValue = ["w": .array(items), "sub": ["x": items[0]]]
                let receipt = try await fixture.publish(project, key, data)
                #expect(receipt.changed == (oracle[project]![key] != data))
                if receipt.changed { sequences[project]! += 1 }
                oracle[project]![key] = data
            case 14..<19:
                let exists = oracle[project]!.removeValue(forKey: key) != nil
                let outcome = try? await fixture.database.delete(Fixture.tenant, project: Name(stored: project), key: Name(stored: key))
                #expect((outcome != nil) == exists)
                if exists { sequences[project]! += 1 }
            default:
                await fixture.database.close()
                fixture = try Fixture(folder)
            }
            let keys = try await fixture.database.listKeys(Fixture.tenant, project: Name(stored: project))
            #expect(keys == oracle[project]!.keys.sorted())
        }
        for (project, documents) in oracle {
            let events = try await fixture.database.events(Fixture.tenant, project: Name(stored: project), since: .zero, count: .max)
            #expect(events.map(\.sequence.rawValue) == Array(1...sequences[project]!))
            for word in words {
                let expected = Set(documents.filter { "\($0.value)".contains("\"\(word)\"") }.keys)
                let found = try await fixture.query(project, word, mode: .keyword, topK: 100)
                #expect(Set(found.map(\.documentKey)) == expected, "\(project) \(word)")
            }
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func theFirstOfTwoDatabasesOnAFolderWins() async throws {
        let fixture = try Fixture()
        let error = #expect(throws: ContexError.self) { _ = try Fixture(fixture.folder) }
        #expect(error?.category == .conflict)
        try await fixture.publish("p", "k", ["a": "one"])
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
    }

    @Test func aFullStoreRefusesWritesAndGoesOnReading() async throws {
        let fixture = try Fixture { $0.mapBytes = 2 << 20 }
        try await fixture.publish("p", "small", ["a": "findable"])
        var refusal: ContexError? = nil
        for i in 0..<400 where refusal == nil {
            do {
                try await fixture.publish("p", "big\(i)", ["text": .string(String(repeating: "filler \(i) ", count: 2_000))])
            } catch { refusal = error as? ContexError }
        }
        #expect(refusal?.category == .storageFull)
        #expect(try await fixture.query("p", "findable", mode: .keyword).count == 1)
    }
}

extension [JSONValue] {
    var asArray: JSONValue { .array(self) }
}
