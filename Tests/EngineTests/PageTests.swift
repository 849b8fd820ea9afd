import Base
import Content
import Engine
import Events
import TestSupport
import Testing

/// Listings and exports in pages: everything exactly once, of one state, whatever happens between two pages.
@Suite struct PageTests {
    private static let p = Name(stored: "p")
    private static let all = ExportSections(events: true, embeddings: true, agents: true)

    private static func fill(_ fixture: Fixture) async throws {
        for number in 0..<9 {
            let data: JSONValue = .array(
                (0...number).map { ["text": .string("row \($0) of \(number) é\u{1F600}"), "n": .integer($0), "e": .array([]), "o": [:]] })
            try await fixture.publish("p", "k\(number)", number == 4 ? .string("One. Two.\nThree.") : data)
        }
        let own = PublishCommand(
            project: p, key: Name(stored: "own"), data: ["v": "vector"], vector: WordHash.vector("own"), metadata: JSONObject([("team", "core")]))
        _ = try await fixture.database.publish(Fixture.tenant, [own])[0].get()
        try await fixture.publish("p", "k2", ["text": "changed"])
        _ = try await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "k3"))
        try await fixture.publish("p", String(repeating: "long ", count: 50), ["text": "of a long key"])
        for agent in ["b", "a"] {
            _ = try await fixture.database.register(Fixture.tenant, RegisterCommand(project: p, agent: Name(stored: agent), needs: ["row", "changed"]))
        }
    }

    /// What somebody does while somebody else pages: changes, deletes and adds, before and behind any place.
    private static func disturb(_ fixture: Fixture, _ round: Int) async throws {
        try await fixture.publish("p", "k\(round % 9)", ["text": .string("disturbed \(round)")])
        try await fixture.publish("p", "new\(round)", ["text": "new"])
        try await fixture.publish("p", "0new\(round)", ["text": "new"])
        _ = try? await fixture.database.delete(Fixture.tenant, project: p, key: Name(stored: "k\((round + 4) % 9)"))
    }

    private static func described(_ nodes: [ListedNode]) -> [String] { nodes.map { "\($0.nodeKey) \(JSONPrinter.text($0.data)) \($0.metadata.count)" } }

    @Test(arguments: [1, 3, 7, 1_000]) func nodesAndKeysComeOnceAndOfOneState(limit: Int) async throws {
        let fixture = try Fixture()
        try await Self.fill(fixture)
        let database = fixture.database
        let expected = Self.described(try await database.listNodes(Fixture.tenant, project: Self.p))
        let expectedKeys = try await database.listKeys(Fixture.tenant, project: Self.p)
        var (nodes, request, round) = ([ListedNode](), PageRequest(limit: limit), 0)
        repeat {
            let page = try await database.nodes(Fixture.tenant, project: Self.p, request) { ($0, $0.dataText.count) }
            #expect(page.items.count == limit || page.next == nil)
            nodes += page.items
            request.cursor = page.next
            round += 1
            try await Self.disturb(fixture, round)
        } while request.cursor != nil
        #expect(Self.described(nodes) == expected)
        var keys: [String] = []
        request = PageRequest(limit: limit)
        let moment = Moment.sequence(Sequence(rawValue: 13))
        repeat {
            let page = try await database.keys(Fixture.tenant, project: Self.p, request, asOf: request.cursor == nil ? moment : nil)
            keys += page.items
            request.cursor = page.next
            try await Self.disturb(fixture, round)
            round += 1
        } while request.cursor != nil
        #expect(keys == expectedKeys)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func bytesBoundAPageAndOneItemIsAlwaysThere() async throws {
        let fixture = try Fixture()
        for number in 0..<5 { try await fixture.publish("p", "k\(number)", ["text": .string(String(repeating: "x", count: 10_000))]) }
        let database = fixture.database
        for (bytes, counts) in [(1, [1, 1, 1, 1, 1]), (15_000, [2, 2, 1]), (100_000, [5])] {
            var (request, found) = (PageRequest(bytesMax: bytes), [Int]())
            repeat {
                let page = try await database.nodes(Fixture.tenant, project: Self.p, request) { ($0.nodeKey, $0.dataText.count) }
                found.append(page.items.count)
                request.cursor = page.next
            } while request.cursor != nil
            #expect(found == counts, "\(bytes)")
        }
        // Of events, what belongs to them counts as well.
        let big = JSONObject((0..<6).map { ("m\($0)", JSONValue.string(String(repeating: "y", count: 10_000))) })
        for number in 0..<4 {
            let command = PublishCommand(project: Self.p, key: Name(stored: "meta"), data: .integer(number), metadata: big)
            _ = try await database.publish(Fixture.tenant, [command])[0].get()
        }
        var (request, sequences) = (PageRequest(bytesMax: 130_000), [[UInt64]]())
        repeat {
            let page = try await database.events(Fixture.tenant, project: Self.p, since: Sequence(rawValue: 5), request) { ($0.sequence.rawValue, 1) }
            sequences.append(page.items)
            request.cursor = page.next
        } while request.cursor != nil
        #expect(sequences == [[6, 7, 8], [9]])
        (request, sequences) = (PageRequest(bytesMax: 130_000), [])
        repeat {
            let page = try await database.history(Fixture.tenant, project: Self.p, key: Name(stored: "meta"), request) { ($0.sequence.rawValue, 1) }
            sequences.append(page.items)
            request.cursor = page.next
        } while request.cursor != nil
        #expect(sequences == [[9, 8], [7, 6]])
        await database.close()
    }

    @Test func eventsVersionsProjectsAndAgents() async throws {
        let fixture = try Fixture()
        try await Self.fill(fixture)
        let database = fixture.database
        func all<Item>(_ limit: Int, _ page: (PageRequest) async throws -> Page<Item>) async throws -> [[Item]] {
            var (pages, request) = ([[Item]](), PageRequest(limit: limit))
            repeat {
                let page = try await page(request)
                pages.append(page.items)
                request.cursor = page.next
            } while request.cursor != nil
            return pages
        }
        let events = try await all(5) { try await database.events(Fixture.tenant, project: Self.p, since: .zero, $0) { ($0.sequence.rawValue, 1) } }
        #expect(events == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13]])
        for round in 0..<4 { try await fixture.publish("p", "v", .integer(round)) }
        let versions = try await all(3) {
            try await database.history(Fixture.tenant, project: Self.p, key: Name(stored: "v"), $0) { ($0.sequence.rawValue, 1) }
        }
        #expect(versions == [[17, 16, 15], [14]])
        for project in ["c", "a", "b"] { try await fixture.publish(project, "k", ["text": "x"]) }
        let projects = try await all(2) { try await database.projects(Fixture.tenant, $0) { $0.text != "b" } }
        #expect(projects.map { $0.map(\.name.text) } == [["a", "c"], ["p"]])
        #expect(projects[1][0].agents == 2 && projects[1][0].documents == 11 && projects[1][0].lastSequence.rawValue == 17)
        for project in ["c", "p"] {
            _ = try await database.register(Fixture.tenant, RegisterCommand(project: Name(stored: project), agent: Name(stored: "z"), needs: []))
        }
        let agents = try await all(2) { try await database.agents(Fixture.tenant, project: nil, $0) { _ in true } }
        #expect(agents.map { $0.map(\.agent.text) } == [["b", "a"], ["z", "z"]])
        #expect(try await database.agents(Fixture.tenant, project: nil, PageRequest()) { $0.text == "c" }.items.map(\.agent.text) == ["z"])
        #expect(try await database.agents(Fixture.tenant, project: Self.p, PageRequest(limit: 1)) { _ in true }.next != nil)
        await database.close()
    }

    @Test func aCursorIsOfItsListing() async throws {
        let fixture = try Fixture()
        try await Self.fill(fixture)
        try await fixture.publish("q", "k", .array([["a": "b"], ["c": "d"]]))
        let database = fixture.database
        let cursor = try #require(try await database.keys(Fixture.tenant, project: Self.p, PageRequest(limit: 1)).next)
        func refusal(_ cursor: String, _ project: String = "p") async -> ContexError? {
            do {
                _ = try await database.keys(Fixture.tenant, project: Name(stored: project), PageRequest(cursor: cursor))
                return nil
            } catch { return error as? ContexError }
        }
        #expect(await refusal(cursor) == nil)
        let nodes = try #require(try await database.nodes(Fixture.tenant, project: Self.p, PageRequest(limit: 1)) { ($0, 1) }.next)
        let damaged = String(cursor.dropLast()) + (cursor.last == "A" ? "B" : "A")
        for wrong in [nodes, damaged, "", "x", "====", String(cursor.dropLast(3)), String(repeating: "A", count: 5_000), cursor + cursor] {
            let refused = await refusal(wrong)
            #expect(refused?.category == .invalid && refused?.field == "cursor", "\(wrong)")
        }
        #expect(await refusal(cursor, "q")?.field == "cursor")
        // The log that it names is no more.
        let events = JSONValue.array((0..<20).map { ["event_id": .string("\($0)"), "data": ["x": .integer($0)]] })
        let log: JSONValue = ["project_id": "p", "version": "1.0", "data": ["events": events]]
        _ = try await database.importDocument(Fixture.tenant, project: Self.p, document: log, overwrite: true, validateOnly: false)
        #expect(await refusal(cursor)?.category == .conflict)
        await database.close()
    }

    @Test(arguments: [1, 500, 1 << 20]) func anExportIsOfOneState(bytesMax: Int) async throws {
        let fixture = try Fixture()
        try await Self.fill(fixture)
        let database = fixture.database
        let whole = try await database.export(Fixture.tenant, project: Self.p, sections: Self.all)
        var (cursor, found, round): (ExportCursor?, [String: [JSONValue]], Int) = (nil, [:], 0)
        repeat {
            let page = try #require(
                try await database.exportPage(Fixture.tenant, project: Self.p, sections: Self.all, after: cursor, bytesMax: bytesMax))
            if bytesMax == 1 { #expect(page.items.count <= 1) }
            found[page.section.rawValue, default: []] += try page.items.map { try JSONParser.parse($0) }
            cursor = page.next
            round += 1
            // Agents are as they are; of the rest nothing may change.
            if round < 40, page.section != .agents { try await Self.disturb(fixture, round) }
        } while cursor != nil
        for section in ["events", "embeddings"] { #expect(found[section] == whole["data"]?[section]?.arrayValue, "\(section)") }
        #expect(found["agents"]?.map { $0["agent_id"] } == ["b", "a"])
        await database.close()
    }

    /// Byte for byte what printing the whole value gives.
    @Test func theTextOfAnExport() async throws {
        let fixture = try Fixture()
        try await Self.fill(fixture)
        let database = fixture.database
        for sections in [Self.all, .init(events: true, embeddings: false, agents: false), .init(events: false, embeddings: false, agents: true)] {
            for project in ["p", "nothing"] {
                for indented in [true, false] {
                    var reader = database.exportReader(Fixture.tenant, project: Name(stored: project), sections: sections, indented: indented)
                    var text: [UInt8] = []
                    while let piece = try await reader.next() { text += piece }
                    let value = try JSONParser.parse(text)
                    #expect(JSONPrinter.bytes(value, style: indented ? .pretty2 : .compact) == text)
                    #expect(value["data"]?.objectValue?.keys == sections.all.map(\.rawValue))
                }
            }
        }
        await database.close()
    }
}
