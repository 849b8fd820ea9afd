import Attributes
import Base
import Content
import Engine
import Events
import Foundation
import KeySpace
import LMDB
import Maintenance
import Search
import Synchronization
import TestSupport
import Testing

@Suite struct FilterTests {
    private static let p = Name(stored: "p")

    private static func object(_ text: String) -> JSONObject { try! JSONParser.parse(text: text).objectValue! }

    private func publish(
        _ fixture: Fixture, _ key: String, _ data: JSONValue, _ metadata: String = "{}", by publisher: Publisher? = nil
    ) async throws -> PublishReceipt {
        let command = PublishCommand(
            project: Self.p, key: Name(stored: key), data: data, metadata: Self.object(metadata), publisher: publisher)
        return try await fixture.database.publish(Fixture.tenant, [command])[0].get()
    }

    private func answer(_ fixture: Fixture, _ text: String, _ filter: String, mode: SearchMode? = nil, topK: Int = 100) async throws -> QueryAnswer {
        let filter = try Filter(JSONParser.parse(text: filter))
        return try await fixture.database.query(
            Fixture.tenant, QueryRequest(project: Self.p, text: text, topK: topK, threshold: 0, mode: mode, filter: filter))
    }

    /// Nodes that pass, and all.
    private func passing(_ fixture: Fixture, _ filter: String) async throws -> [Int]? {
        try await answer(fixture, "zebra", filter).filtered.map { [$0.passing, $0.nodes] }
    }

    /// None where the signs of the text leave none.
    private func keys(_ fixture: Fixture, _ text: String, _ filter: String, mode: SearchMode? = nil) async throws -> [String] {
        let answer = try await answer(fixture, text, filter, mode: mode)
        return answer.ignoresSigns ? [] : answer.matches.map(\.documentKey)
    }

    /// `field:value` in a query and the same as a filter, now and of the past.
    @Test func fieldsOfAQueryAskWhatAFilterAsks() async throws {
        let fixture = try Fixture()
        let ada = Publisher(keyID: "00000000000000aa", name: "ada")
        for number in 0..<40 {
            let team = ["core", "web", "cobalt"][number % 3]
            let metadata = #"{"team":"\#(team)","size":\#(number % 5),"done":\#(number % 2 == 0),"tags":["t\#(number % 4)","x"]}"#
            let data: JSONValue = number % 4 == 0 ? .string("zebra \(number)") : ["text": .string("zebra \(number)")]
            _ = try await publish(fixture, "k\(number)", data, number % 7 == 0 ? "{}" : metadata, by: number % 2 == 0 ? ada : nil)
        }
        let long = String(repeating: "l", count: 300)
        let pairs = [
            ("metadata.team:core", #"{"metadata.team":"core"}"#), ("metadata.team:co*", #"{"metadata.team":{"prefix":"co"}}"#),
            ("-metadata.team:core", #"{"metadata.team":{"ne":"core"}}"#), ("metadata.size:3", #"{"metadata.size":3}"#),
            ("metadata.size:3.0", #"{"metadata.size":3}"#), ("metadata.size:3x", #"{"metadata.size":"3x"}"#),
            ("metadata.done:true", #"{"metadata.done":true}"#), ("metadata.tags:t1 metadata.tags:t2", #"{"metadata.tags":["t1","t2"]}"#),
            ("metadata.team:*", #"{"metadata.team":{"exists":true}}"#), ("-metadata.team:*", #"{"metadata.team":{"exists":false}}"#),
            ("metadata.nothing:1", #"{"metadata.nothing":1}"#), ("published_by:ada", #"{"published_by":"ada"}"#),
            ("-published_by:ada", #"{"published_by":{"ne":"ada"}}"#), ("data_key:k1*", #"{"data_key":{"prefix":"k1"}}"#),
            ("data_key:k1* data_key:k11* data_key:k* data_key:k*", "{}"),
            ("data_key:k11* data_key:k1* data_key:k2", #"{"or":[{"data_key":{"prefix":"k1"}},{"data_key":"k2"}]}"#),
            ("data_key:k1 data_key:k2*", #"{"or":[{"data_key":"k1"},{"data_key":{"prefix":"k2"}}]}"#), ("data_key:*", "{}"), ("-data_key:*", #"{"or":[]}"#),
            ("data_format:json -metadata.team:web", #"{"data_format":"json","metadata.team":{"ne":"web"}}"#), ("metadata.team:\(long)*", #"{"or":[]}"#),
            ("metadata.team:\(long)", #"{"metadata.team":"\#(long)"}"#),
        ]
        let before = try await fixture.database.query(Fixture.tenant, QueryRequest(project: Self.p, text: "zebra", topK: 100, threshold: 0)).matches.count
        #expect(before == 40)
        for mode in [SearchMode.hybrid, .keyword] {
            for (fields, filter) in pairs {
                let expected = try await keys(fixture, "zebra", filter, mode: mode)
                #expect(try await keys(fixture, "zebra \(fields)", "{}", mode: mode) == expected, "\(fields)")
                let past = try await fixture.database.query(
                    Fixture.tenant,
                    QueryRequest(project: Self.p, text: "zebra \(fields)", topK: 100, threshold: 0, mode: mode, asOf: .sequence(.init(rawValue: 40))))
                #expect(Set(past.ignoresSigns ? [] : past.matches.map(\.documentKey)) == Set(expected), "\(fields), as of")
            }
            // What only nodes know, after what the index knows.
            #expect(try await keys(fixture, "zebra kind:object metadata.team:core", "{}", mode: mode).sorted()
                == keys(fixture, "zebra", #"{"metadata.team":"core","data_format":"json"}"#, mode: mode).sorted())
            #expect(try await keys(fixture, "zebra data_key:k1 path:ro*", "{}", mode: mode) == ["k1"])
            #expect(try await keys(fixture, "zebra data_key:k1 -path:ro*", "{}", mode: mode) == [])
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func metadataIsPartOfWhatIsPublished() async throws {
        let embedded = Mutex(0)
        var models = WordHash.models
        models.embedDocuments = { texts in
            embedded.withLock { $0 += texts.count }
            return texts.map { WordHash.vector($0.text) }
        }
        let clock = SteppingClock()
        let fixture = try Fixture(models: models) { $0.clock = clock }
        let (ada, ci) = (Publisher(keyID: "00000000000000aa", name: "ada"), Publisher(keyID: "00000000000000bb", name: "ci"))
        let first = try await publish(fixture, "k", ["text": "zebra one"], #"{"team":"core","size":3}"#, by: ada)
        #expect(embedded.withLock { $0 } == 1)
        // Equal content of another publisher is equal content.
        let again = try await publish(fixture, "k", ["text": "zebra one"], #"{"team":"core","size":3}"#, by: ci)
        #expect(!again.changed && again.sequence == first.sequence)
        #expect(try await keys(fixture, "zebra", #"{"published_by":"ada"}"#) == ["k"])
        // Metadata alone is a change and an event, and nothing is embedded again.
        let other = try await publish(fixture, "k", ["text": "zebra one"], #"{"team":"web","size":3}"#, by: ci)
        #expect(other.changed && other.sequence == first.sequence.next)
        #expect(embedded.withLock { $0 } == 1)
        #expect(try await keys(fixture, "zebra", #"{"metadata.team":"core"}"#, mode: .keyword) == [])
        for mode in SearchMode.allCases {
            #expect(try await keys(fixture, "zebra", #"{"metadata.team":"web","metadata.size":{"gte":3}}"#, mode: mode) == ["k"], "\(mode)")
        }
        #expect(try await keys(fixture, "zebra", #"{"published_by":["00000000000000bb"],"data_key":"k","data_format":"json"}"#) == ["k"])
        #expect(try await keys(fixture, "zebra", #"{"published_by":"ada"}"#) == [])
        // The stepping clock stands at second 1 for the first publish; the third one changed something.
        #expect(try await keys(fixture, "zebra", #"{"updated_after":1000002}"#) == ["k"])
        #expect(try await keys(fixture, "zebra", #"{"updated_before":1000002}"#) == [])

        let events = try await fixture.database.events(Fixture.tenant, project: Self.p, since: .zero, count: 10)
        #expect(try events.map { try EventData.metadata($0.metadata) } == [Self.object(#"{"team":"core","size":3}"#), Self.object(#"{"team":"web","size":3}"#)])
        #expect(events.map(\.publisher) == [ada, ci])
        let listed = try await fixture.database.listNodes(Fixture.tenant, project: Self.p)
        #expect(listed.map(\.metadata) == [Self.object(#"{"team":"web","size":3}"#)] && listed.map(\.publisher) == [ci])
        #expect(try await fixture.query("p", "zebra").first?.metadata == Self.object(#"{"team":"web","size":3}"#))

        // A deleted key passes nothing; a restored one has the metadata of its version.
        _ = try await fixture.database.delete(Fixture.tenant, project: Self.p, key: Name(stored: "k"), by: ada)
        #expect(try await passing(fixture, #"{"metadata.team":{"exists":true}}"#) == [0, 0])
        _ = try await fixture.database.restore(Fixture.tenant, project: Self.p, key: Name(stored: "k"), sequence: first.sequence, by: ci)
        #expect(try await keys(fixture, "zebra", #"{"metadata.team":"core","published_by":"ci"}"#) == ["k"])
        let history = try await fixture.database.history(Fixture.tenant, project: Self.p, key: Name(stored: "k"), limit: 9)
        #expect(history.map { $0.metadata["team"] } == ["core", "web", "core"] && history.map(\.publisher) == [ci, ci, ada])
        let log = try await fixture.database.events(Fixture.tenant, project: Self.p, since: .zero, count: 10)
        #expect(log.map(\.kind) == [.published, .published, .deleted, .published] && log[2].publisher == ada && log[2].metadata.isEmpty)
        // A publish without metadata takes it away.
        _ = try await publish(fixture, "k", ["text": "zebra one"])
        #expect(try await keys(fixture, "zebra", #"{"metadata.team":{"exists":true}}"#) == [])
        #expect(try await keys(fixture, "zebra", #"{"published_by":null}"#) == ["k"])
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Every filtered query gives what the query without the filter gives, less what does not pass.
    @Test func aFilterTakesAwayAndNothingElse() async throws {
        var random = SeededRandom(seed: testSeed("filtered queries"))
        let fixture = try Fixture()
        var metadata: [String: JSONObject] = [:]
        for round in 0..<120 {
            let key = "k\(Int.random(in: 0..<40, using: &random))"
            if Int.random(in: 0..<6, using: &random) == 0, metadata[key] != nil {
                _ = try await fixture.database.delete(Fixture.tenant, project: Self.p, key: Name(stored: key))
                metadata[key] = nil
                continue
            }
            let object = Self.object(
                #"{"team":"\#(["core", "web", "ops"].randomElement(using: &random)!)","size":\#(Int.random(in: 0..<9, using: &random))}"#)
            let words = (0..<3).map { _ in "word\(Int.random(in: 0..<12, using: &random))" }.joined(separator: " ")
            _ = try await publish(fixture, key, ["text": .string(words), "more": ["n": .integer(round % 5)]], JSONPrinter.text(.object(object)))
            metadata[key] = object
        }
        for mode in SearchMode.allCases {
            for _ in 0..<20 {
                let (team, size) = (["core", "web", "ops"].randomElement(using: &random)!, Int.random(in: 0..<9, using: &random))
                let text = "word\(Int.random(in: 0..<12, using: &random)) word\(Int.random(in: 0..<12, using: &random))"
                let whole = try await fixture.query("p", text, mode: mode, topK: 100)
                let expected = whole.filter { match in
                    let object = metadata[match.documentKey]!
                    return object["team"]?.stringValue == team || object["size"]!.integerValue! >= size
                }
                let found = try await answer(fixture, text, #"{"or":[{"metadata.team":"\#(team)"},{"metadata.size":{"gte":\#(size)}}]}"#, mode: mode)
                #expect(found.matches.map(\.nodeKey) == expected.map(\.nodeKey), "\(mode) \(text) \(team) \(size)")
            }
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Of the ten nearest that pass, so many are found, however few pass.
    @Test func filtersKeepRecall() async throws {
        var random = SeededRandom(seed: testSeed("filtered recall"))
        let fixture = try Fixture()
        let count = 12_000
        for start in stride(from: 0, to: count, by: 2_000) {
            let commands = (start..<start + 2_000).map { number in
                let text = (0..<4).map { _ in "w\(Int.random(in: 0..<4_000, using: &random))" }.joined(separator: " ")
                let shares = Self.object(
                    #"{"half":\#(number % 2),"tenth":\#(number % 10),"hundredth":\#(number % 100),"thousandth":\#(number % 1_000)}"#)
                return PublishCommand(project: Self.p, key: Name(stored: "k\(number)"), data: .string(text), format: "text", metadata: shares)
            }
            for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
        }
        // What is embedded says more than the text.
        var vectors = [[Float]](repeating: [], count: count)
        for node in try await fixture.database.listNodes(Fixture.tenant, project: Self.p) {
            vectors[Int(node.documentKey.dropFirst())!] = WordHash.vector(
                SearchText.embedded(key: node.documentKey, path: node.path, kind: node.kind, value: node.data))
        }
        #expect(vectors.allSatisfy { !$0.isEmpty })
        for (name, every) in [("half", 2), ("tenth", 10), ("hundredth", 100), ("thousandth", 1_000)] {
            var (found, wanted) = (0, 0)
            for _ in 0..<40 {
                let text = "w\(Int.random(in: 0..<4_000, using: &random)) w\(Int.random(in: 0..<4_000, using: &random))"
                let query = WordHash.vector(text)
                let passing = stride(from: 1, to: count, by: every)
                let best = passing.map { number in (number, zip(vectors[number], query).reduce(0) { $0 + $1.0 * $1.1 }) }
                    .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }.prefix(10)
                let answer = try await answer(fixture, text, #"{"metadata.\#(name)":1}"#, mode: .semantic, topK: 10)
                #expect(answer.filtered.map { [$0.passing, $0.nodes] } == [count / every, count])
                let keys = Set(answer.matches.map(\.documentKey))
                #expect(keys.allSatisfy { Int($0.dropFirst())! % every == 1 }, "only what passes")
                found += best.count { keys.contains("k\($0.0)") }
                wanted += best.count
            }
            print("recall@10 with one in \(every) passing: \(Double(found) / Double(wanted))")
            #expect(Double(found) >= 0.95 * Double(wanted), "one in \(every)")
        }
        await fixture.database.close()
    }

    /// A past is filtered by what its documents said then.
    @Test func thePastIsFilteredToo() async throws {
        let fixture = try Fixture { $0.clock = SteppingClock() }
        _ = try await publish(fixture, "k", ["text": "zebra one"], #"{"team":"core","size":1}"#, by: Publisher(keyID: "aa", name: "ada"))
        _ = try await publish(fixture, "other", ["text": "zebra two"], #"{"team":"web"}"#)
        _ = try await publish(fixture, "k", ["text": "zebra one"], #"{"team":"web","size":2}"#)
        func past(_ sequence: UInt64, _ filter: String, mode: SearchMode) async throws -> [String] {
            let filter = try Filter(JSONParser.parse(text: filter))
            let request = QueryRequest(
                project: Self.p, text: "zebra", threshold: 0, mode: mode, asOf: .sequence(Sequence(rawValue: sequence)), filter: filter)
            let answer = try await fixture.database.query(Fixture.tenant, request)
            #expect(answer.filtered?.passing == answer.matches.count)
            return answer.matches.map(\.documentKey).sorted()
        }
        for mode in SearchMode.allCases {
            #expect(try await past(2, #"{"metadata.team":"core"}"#, mode: mode) == ["k"], "\(mode)")
            #expect(try await past(2, #"{"metadata.team":"web"}"#, mode: mode) == ["other"], "\(mode)")
            #expect(try await past(2, #"{"published_by":"ada","metadata.size":{"lt":2},"data_format":"json"}"#, mode: mode) == ["k"], "\(mode)")
            #expect(try await past(1, #"{"metadata.team":"web"}"#, mode: mode) == [], "\(mode)")
            #expect(try await past(3, #"{"metadata.team":"web"}"#, mode: mode) == ["k", "other"], "\(mode)")
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func metadataGoesWithAnExport() async throws {
        let fixture = try Fixture()
        let ada = Publisher(keyID: "aa", name: "ada")
        _ = try await publish(fixture, "k", ["a": ["x": "zebra"], "b": ["x": "lion"]], #"{"team":"core","tags":["x","y"]}"#, by: ada)
        _ = try await publish(fixture, "plain", ["a": "zebra"])
        let sections = ExportSections(events: true, embeddings: true, agents: false)
        let exported = try await fixture.database.export(Fixture.tenant, project: Self.p, sections: sections)
        #expect(exported["data"]?["embeddings"]?.arrayValue?.map { $0["metadata"] != nil } == [true, false, false], "on the first node of its key")
        for part in [sections, ExportSections(events: false, embeddings: true, agents: false)] {
            let other = try Fixture()
            let document = try await fixture.database.export(Fixture.tenant, project: Self.p, sections: part)
            _ = try await other.database.importDocument(
                Fixture.tenant, project: Self.p, document: document, overwrite: false, validateOnly: false, by: Publisher(keyID: "bb", name: "bob"))
            #expect(try await keys(other, "zebra", #"{"metadata.tags":"y","published_by":"bob"}"#).sorted() == ["k", "k"])
            #expect(try await keys(other, "zebra", #"{"not":{"metadata.team":{"exists":true}}}"#) == ["plain"])
            // What came by an import is what its publisher would publish again.
            if part.events { #expect(try await publish(other, "k2", ["a": "zebra"], #"{"team":"core"}"#).changed) }
            let nodesOnly = ExportSections(events: false, embeddings: true, agents: false)
            let again = try await other.database.export(Fixture.tenant, project: Self.p, sections: nodesOnly)
            _ = try await other.database.importDocument(Fixture.tenant, project: Self.p, document: again, overwrite: true, validateOnly: false)
            #expect(try await keys(other, "zebra", #"{"metadata.team":"core","published_by":null}"#).contains("k"))
            #expect(try await other.closeAndCheck() == [])
        }
        let broken: JSONValue = [
            "project_id": "q", "version": "1.0",
            "data": ["events": .array([["event_id": "1", "event_type": "t", "data": ["k": "v"], "metadata": ["": "x"]]])],
        ]
        do {
            _ = try await fixture.database.importDocument(Fixture.tenant, project: Name(stored: "q"), document: broken, overwrite: false, validateOnly: false)
            Issue.record("metadata that no filter could name was taken")
        } catch let error as ContexError {
            #expect(error.category == .badRequest && error.message.contains("metadata: a key that is empty"))
        }
        await fixture.database.close()
    }

    @Test func theIndexIsRebuiltFromTheDocuments() async throws {
        let fixture = try Fixture()
        for number in 0..<300 { _ = try await publish(fixture, "k\(number)", ["text": .string("zebra \(number)")], #"{"n":\#(number),"team":"core"}"#) }
        #expect(try await fixture.closeAndCheck() == [])
        do {
            let environment = try LMDB.Environment(
                path: DatabaseConfiguration(directory: fixture.folder.path).storePath, options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
            var transaction = try environment.beginWrite()
            let index = AttributeIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
            try index.removeAll(in: &transaction)
            try index.replace(
                nil,
                with: DocumentAttributes(
                    key: Name(stored: "ghost"), format: "json", updatedAt: Timestamp(rawValue: 1), publisher: nil, metadata: JSONObject(),
                    nodes: [NodeID(rawValue: 9_999)]), in: &transaction)
            try transaction.commit()
        }
        #expect(try !IntegrityCheck.run(directory: fixture.folder.path).findings.isEmpty)
        var configuration = DatabaseConfiguration(directory: fixture.folder.path)
        configuration.mapBytes = 4 << 30
        _ = try await Reindex.run(configuration: configuration, models: WordHash.models)
        #expect(try IntegrityCheck.run(directory: fixture.folder.path).findings == [])
        let again = try Fixture(fixture.folder)
        #expect(try await passing(again, #"{"metadata.n":{"gte":100,"lt":200}}"#) == [100, 300])
        await again.database.close()
    }
}

/// Every look at it is a second later; the first is second 1,000,001.
private final class SteppingClock: WallClock {
    private let seconds = Mutex<Int64>(1_000_000)
    func now() -> Timestamp {
        seconds.withLock { seconds in
            seconds += 1
            return Timestamp(rawValue: seconds * 1_000_000)
        }
    }
}
