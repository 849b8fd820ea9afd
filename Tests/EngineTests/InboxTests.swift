import Base
import Engine
import Events
import Inboxes
import Synchronization
import TestSupport
import Testing

@Suite struct InboxTests {
    private static let project = Name(stored: "p")
    private static let words = ["lion", "zebra", "postgres", "kafka", "invoice", "bank", "river", "login", "token", "cluster", "disk", "wal"]

    private struct Told: Equatable, CustomStringConvertible {
        let sequence: UInt64
        let reason: InboxEntry.Reason
        var description: String { "\(sequence) \(reason)" }
    }

    /// One agent as a naive model has it: what it follows, what it must hear, what it has heard, and where it is.
    private struct Agent {
        let name: Name
        let needs: [String]
        var follows: Set<String> = []
        var expected: [Told] = []
        var heard: [Told] = []
        var cursor: InboxCursor?
        var isRegisteredAnew = false
    }

    /// The keys that answer a need, by asking for it.
    private static func answers(_ fixture: Fixture, _ need: String, topK: Int) async throws -> Set<String> {
        let matches = try await fixture.database.query(
            Fixture.tenant, QueryRequest(project: project, text: need, topK: topK, threshold: fixture.database.configuration.threshold)
        ).matches
        return Set(matches.map(\.documentKey))
    }

    @Test func whatAThousandAgentsCatchUpWithIsWhatConcernedThem() async throws {
        var random = SeededRandom(seed: testSeed("inboxes"))
        let fixture = try Fixture { $0.threshold = 0.5 }
        let needs = Self.words.map { "\($0)" } + ["lion river", "postgres disk", "kafka cluster token"]
        var agents: [Agent] = []
        for number in 0..<1_000 {
            let own = Set((0..<(1 + Int(random.next() % 2))).map { _ in needs[Int(random.next() % UInt64(needs.count))] }).sorted()
            agents.append(Agent(name: Name(stored: "agent \(number)"), needs: own))
        }
        let registered = await fixture.database.register(
            Fixture.tenant, agents.map { RegisterCommand(project: Self.project, agent: $0.name, needs: $0.needs) })
        for outcome in registered { _ = try outcome.get() }

        func read(_ place: Int) async throws {
            let limit = 1 + Int(random.next() % 7)
            let page = try await fixture.database.inbox(
                Fixture.tenant, project: Self.project, agent: agents[place].name, after: agents[place].cursor, limit: limit)
            #expect(!page.hasGap && page.items.count <= limit)
            agents[place].heard += page.items.map { Told(sequence: $0.cursor.sequence.rawValue, reason: $0.reason) }
            for item in page.items {
                #expect(item.event.sequence == item.cursor.sequence)
                // Of an earlier registration nothing is said.
                let isNamed = !item.needs.isEmpty || agents[place].isRegisteredAnew
                #expect(item.reason != .firstMatch || isNamed && Set(item.needs).isSubset(of: agents[place].needs))
            }
            agents[place].cursor = page.cursor
        }

        for _ in 0..<250 {
            let key = "k\(random.next() % 20)"
            if random.next() % 6 == 0 {
                guard let gone = try? await fixture.database.delete(Fixture.tenant, project: Self.project, key: Name(stored: key)) else { continue }
                for place in agents.indices where agents[place].follows.remove(key) != nil {
                    agents[place].expected.append(Told(sequence: gone.sequence.rawValue, reason: .deletion))
                }
            } else {
                let text = (0..<3).map { _ in Self.words[Int(random.next() % UInt64(Self.words.count))] }.joined(separator: " ")
                let receipt = try await fixture.publish("p", key, .string(text))
                guard receipt.changed else { continue }
                var matched: Set<String> = []
                for need in needs where try await Self.answers(fixture, need, topK: 100).contains(key) { matched.insert(need) }
                for place in agents.indices {
                    let matches = agents[place].needs.contains(where: matched.contains)
                    let followed = agents[place].follows.contains(key)
                    if matches || followed {
                        agents[place].expected.append(Told(sequence: receipt.sequence.rawValue, reason: followed ? .update : .firstMatch))
                    }
                    if matches { agents[place].follows.insert(key) } else { agents[place].follows.remove(key) }
                }
            }
            // Some are there, most are not; some say what they have, and some come back under their old id.
            for _ in 0..<30 {
                let place = Int(random.next() % 1_000)
                switch random.next() % 8 {
                case 0:
                    guard let cursor = agents[place].cursor else { continue }
                    _ = try await fixture.database.acknowledge(Fixture.tenant, project: Self.project, agent: agents[place].name, upTo: cursor)
                case 1:
                    _ = try await fixture.database.register(
                        Fixture.tenant, RegisterCommand(project: Self.project, agent: agents[place].name, needs: agents[place].needs))
                    agents[place].follows = []
                    agents[place].isRegisteredAnew = true
                    for need in agents[place].needs {
                        agents[place].follows.formUnion(try await Self.answers(fixture, need, topK: fixture.database.configuration.matchesMax))
                    }
                default: try await read(place)
                }
            }
        }
        for place in agents.indices {
            while agents[place].heard.count < agents[place].expected.count {
                let before = agents[place].heard.count
                try await read(place)
                guard agents[place].heard.count > before else { break }
            }
            try await read(place)
            #expect(agents[place].heard == agents[place].expected, "\(agents[place].name)")
        }
        #expect(agents.contains { $0.expected.count > 20 })
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aCursorIsOfItsEpochAndGapsAreTold() async throws {
        let fixture = try Fixture()
        let (database, p, g) = (fixture.database, Self.project, Name(stored: "g"))
        _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: g, needs: ["lion"]))
        for number in 1...3 { try await fixture.publish("p", "k\(number)", .string("lion \(number)")) }
        let page = try await database.inbox(Fixture.tenant, project: p, agent: g, after: nil, limit: 2)
        #expect(page.items.map(\.cursor.description) == ["0-1", "0-2"] && page.hasMore && page.items.map(\.needs) == [["lion"], ["lion"]])
        #expect(page.cursor.description == "0-2")
        #expect(try await database.acknowledge(Fixture.tenant, project: p, agent: g, upTo: page.cursor) == 2)
        #expect(try await database.acknowledge(Fixture.tenant, project: p, agent: g, upTo: page.cursor) == 0)
        #expect(try await database.inbox(Fixture.tenant, project: p, agent: g, after: nil).items.map(\.cursor.description) == ["0-3"])
        let beyond = await #expect(throws: ContexError.self) {
            _ = try await database.acknowledge(Fixture.tenant, project: p, agent: g, upTo: InboxCursor("0-4"))
        }
        #expect(beyond?.category == .invalid)
        for text in ["", "0", "0-", "-1", "0-+1", "00-1", "0-01", "0-1-2", "x-1", "0-99999999999999999999"] {
            #expect(throws: ContexError.self, "\(text)") { _ = try InboxCursor(text) }
        }

        // Old entries go; whoever had not read them hears of it.
        #expect(try await database.expireInboxes(Fixture.tenant, days: -1) == 1)
        #expect(try await database.inbox(Fixture.tenant, project: p, agent: g, after: page.cursor).hasGap)
        #expect(try await !database.inbox(Fixture.tenant, project: p, agent: g, after: InboxCursor("0-3")).hasGap)

        // Needs of an earlier registration are not told as those of this one; the entries stay.
        try await fixture.publish("p", "k4", .string("lion 4"))
        _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: g, needs: ["zebra"]))
        let later = try await database.inbox(Fixture.tenant, project: p, agent: g, after: page.cursor)
        #expect(later.items.map(\.cursor.description) == ["0-4"] && later.items[0].needs == [])

        let exported = try await database.export(Fixture.tenant, project: p, sections: ExportSections(events: true, embeddings: true, agents: false))
        _ = try await database.importDocument(Fixture.tenant, project: p, document: exported, overwrite: true, validateOnly: false)
        let replaced = await #expect(throws: ContexError.self) {
            _ = try await database.inbox(Fixture.tenant, project: p, agent: g, after: later.cursor)
        }
        #expect(replaced?.category == .conflict)
        #expect(try await database.inbox(Fixture.tenant, project: p, agent: g, after: nil).cursor.epoch == 1)
        _ = try await database.unregister(Fixture.tenant, g, projects: [p])
        let unknown = await #expect(throws: ContexError.self) { _ = try await database.inbox(Fixture.tenant, project: p, agent: g, after: nil) }
        #expect(unknown?.category == .notFound)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
