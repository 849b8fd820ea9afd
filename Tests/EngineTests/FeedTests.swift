import Base
import Engine
import Events
import Inboxes
import Needs
import Synchronization
import TestSupport
import Testing

@Suite struct FeedTests {
    private static let project = Name(stored: "p")
    private static let words = ["lion", "zebra", "postgres", "kafka"]

    /// Of each follower.
    private final class Heard: Sendable {
        let sequences: Mutex<[[UInt64]]>
        init(of followers: Int) { sequences = Mutex([[UInt64]](repeating: [], count: followers)) }
    }

    /// Agents and readers of the log follow while others publish, delete and leave in the middle of a page: each hears what a naive reader of
    /// the whole finds, in order, nothing missing and nothing twice.
    @Test func whoFollowsMissesNothingAndHearsNothingTwice() async throws {
        let seed = testSeed("feeds")
        let fixture = try Fixture { $0.threshold = 0.5 }
        let database = fixture.database
        let agents = Self.words.map { Name(stored: "agent \($0)") }
        for (agent, word) in zip(agents, Self.words) {
            _ = try await database.register(Fixture.tenant, RegisterCommand(project: Self.project, agent: agent, needs: [word]))
        }
        let subjects = agents.map { FeedSubject.agent($0, project: Self.project) } + [.project(Self.project), .project(Self.project)]
        let heard = Heard(of: subjects.count)
        let start = InboxCursor(epoch: 0, sequence: .zero)
        let followers = subjects.enumerated().map { place, subject in
            Task {
                var random = SeededRandom(seed: seed &+ UInt64(place))
                var cursor = start
                while true {
                    let page = try await database.feed(
                        Fixture.tenant, subject, after: cursor, limit: 1 + Int(random.next() % 5), wait: .milliseconds(Int(random.next() % 40)))
                    #expect(page.start == cursor)
                    // The connection breaks before the page has arrived: it comes again.
                    if random.next() % 3 == 0 { continue }
                    heard.sequences.withLock { $0[place] += page.items.map(\.event.sequence.rawValue) }
                    #expect(page.items.allSatisfy { $0.cursor.sequence == $0.event.sequence } && (page.items.last?.cursor ?? page.cursor) == page.cursor)
                    cursor = page.cursor
                    if Task.isCancelled { return }
                }
            }
        }
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let key = "k\(random.next() % 12)"
            if random.next() % 6 == 0 {
                _ = try? await database.delete(Fixture.tenant, project: Self.project, key: Name(stored: key))
            } else {
                let text = (0..<2).map { _ in Self.words[Int(random.next() % 4)] }.joined(separator: " ") + " \(random.next())"
                try await fixture.publish("p", key, .string(text))
            }
        }
        var expected: [[UInt64]] = []
        for subject in subjects {
            expected.append(try await database.feed(Fixture.tenant, subject, after: start, limit: 1_000).items.map(\.event.sequence.rawValue))
        }
        for _ in 0..<500 where heard.sequences.withLock({ $0 }) != expected { try await Task.sleep(for: .milliseconds(20)) }
        for follower in followers { follower.cancel() }
        for follower in followers { _ = await follower.result }
        #expect(heard.sequences.withLock { $0 } == expected)
        #expect(expected.last!.count > 200 && expected.last! == Array(1...UInt64(expected.last!.count)) && expected[0].count > 20)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// Nothing is left out silently; the cursor that a refusal names works.
    @Test func cursorsThatDoNotWorkNameTheOldestThatDoes() async throws {
        let fixture = try Fixture()
        let (database, p, g) = (fixture.database, Self.project, Name(stored: "g"))
        let (agent, log) = (FeedSubject.agent(g, project: p), FeedSubject.project(p))
        func refusal(_ subject: FeedSubject, _ cursor: String) async -> ContexError? {
            await #expect(throws: ContexError.self, "\(cursor)") {
                _ = try await database.feed(Fixture.tenant, subject, after: InboxCursor(cursor))
            }
        }
        // A project that is not there yet is empty, an agent that is not there is none.
        #expect(try await database.feed(Fixture.tenant, log, after: nil).cursor.description == "0-0")
        #expect(try await database.feed(Fixture.tenant, log, after: InboxCursor("0-0")).items.isEmpty)
        #expect(await refusal(log, "0-1")?.code == .cursorInvalid)
        #expect(await refusal(agent, "0-0")?.code == .agentNotFound)

        _ = try await database.register(Fixture.tenant, RegisterCommand(project: p, agent: g, needs: ["lion"]))
        for number in 1...3 { try await fixture.publish("p", "k\(number)", .string("lion \(number)")) }
        #expect(try await database.feed(Fixture.tenant, agent, after: nil).items.map(\.cursor.description) == ["0-1", "0-2", "0-3"])
        // A project's begins with what comes.
        #expect(try await database.feed(Fixture.tenant, log, after: nil).cursor.description == "0-3")
        for subject in [agent, log] {
            let beyond = await refusal(subject, "0-4")
            #expect(beyond?.code == .cursorInvalid && beyond?.oldestCursor == "0-0")
            let foreign = await refusal(subject, "7-1")
            #expect(foreign?.code == .cursorStale && foreign?.oldestCursor == "0-0")
        }
        #expect(try await database.expireInboxes(Fixture.tenant, days: -1) == 3)
        let expired = await refusal(agent, "0-1")
        #expect(expired?.code == .cursorExpired && expired?.oldestCursor == "0-3")
        #expect(try await database.feed(Fixture.tenant, agent, after: InboxCursor("0-3")).items.isEmpty)
        // Without a cursor nothing is claimed, and nothing is refused.
        #expect(try await database.feed(Fixture.tenant, agent, after: nil).items.isEmpty)

        // Who waits hears at once that another log took the place of his.
        let exported = try await database.export(Fixture.tenant, project: p, sections: ExportSections(events: true, embeddings: true, agents: false))
        let began = ContinuousClock.now
        let waiting = [agent, log].map { subject in
            Task { try await database.feed(Fixture.tenant, subject, after: InboxCursor("0-3"), wait: .seconds(60)) }
        }
        try await Task.sleep(for: .milliseconds(100))
        _ = try await database.importDocument(Fixture.tenant, project: p, document: exported, overwrite: true, validateOnly: false)
        for task in waiting {
            let outcome = await task.result
            let error = #expect(throws: ContexError.self) { _ = try outcome.get() }
            #expect(error?.code == .cursorStale && error?.oldestCursor == "1-0")
        }
        #expect(ContinuousClock.now - began < .seconds(30))
        #expect(try await database.feed(Fixture.tenant, log, after: InboxCursor("1-0")).items.count == 3)
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func whoseOwnPublishItWasIsTold() async throws {
        let fixture = try Fixture()
        let (database, p, g) = (fixture.database, Self.project, Name(stored: "g"))
        let own = Publisher(keyID: "00000000000000aa", name: "own")
        let other = Publisher(keyID: "00000000000000bb", name: "other")
        var command = RegisterCommand(project: p, agent: g, needs: ["lion"])
        command.registrant = own
        _ = try await database.register(Fixture.tenant, command)
        for (number, publisher) in [other, own, nil, own, other, own].enumerated() {
            var command = PublishCommand(project: p, key: Name(stored: "k\(number)"), data: .string("lion \(number)"))
            command.publisher = publisher
            _ = try await database.publish(Fixture.tenant, [command])[0].get()
        }
        let subject = FeedSubject.agent(g, project: p)
        let all = try await database.feed(Fixture.tenant, subject, after: nil)
        #expect(all.items.map { $0.concern?.isOwn } == [false, true, nil, true, false, true])
        #expect(all.items.map { $0.event.publisher } == [other, own, nil, own, other, own] && all.items[0].concern?.needs == ["lion"])
        let others = try await database.feed(Fixture.tenant, subject, after: nil, suppressesOwn: true)
        #expect(others.items.map(\.event.sequence.rawValue) == [1, 3, 5] && others.cursor.description == "0-6")
        // A page of nothing but one's own leads on, and who waits is not told of it.
        let page = try await database.feed(Fixture.tenant, subject, after: InboxCursor("0-1"), limit: 1, suppressesOwn: true)
        #expect(page.items.isEmpty && page.cursor.description == "0-2" && page.hasMore)
        let waited = try await database.feed(
            Fixture.tenant, subject, after: InboxCursor("0-3"), limit: 1, suppressesOwn: true, wait: .milliseconds(50))
        #expect(waited.items.map(\.event.sequence.rawValue) == [5])
        let nothing = try await database.feed(Fixture.tenant, subject, after: InboxCursor("0-5"), suppressesOwn: true, wait: .milliseconds(50))
        #expect(nothing.items.isEmpty && nothing.cursor.description == "0-6")
        #expect(try await fixture.closeAndCheck() == [])
    }
}
