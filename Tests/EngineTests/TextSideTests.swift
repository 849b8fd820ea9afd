import Base
import Content
import Engine
import Search
import TestSupport
import Testing

/// A hybrid query whose halves two threads share answers what one thread answers.
@Suite struct TextSideTests {
    private static func text(_ random: inout SeededRandom) -> String {
        (0..<Int.random(in: 1...12, using: &random)).map { _ in "w\(Int(random.unit() * random.unit() * 300))" }.joined(separator: " ")
    }

    @Test func twoThreadsAnswerWhatOneAnswers() async throws {
        var random = SeededRandom(seed: testSeed("twoThreadsAnswerWhatOneAnswers"))
        let (alone, shared) = (try Fixture { $0.threads = 1 }, try Fixture { $0.threads = 4 })
        for number in 0..<1_500 {
            let text = Self.text(&random)
            for fixture in [alone, shared] { try await fixture.publish("p", "k\(number)", ["text": .string(text)]) }
        }
        for number in 0..<300 {
            let text = Self.text(&random) + (number % 5 == 0 ? " -w1" : number % 5 == 1 ? " w2*" : "")
            let fusion: FusionMethod? = [nil, .convex, .rrf][number % 3]
            let request = QueryRequest(project: Name(stored: "p"), text: text, topK: 1 + number % 20, threshold: 0, mode: .hybrid, fusion: fusion)
            let (one, two) = (try await alone.database.query(Fixture.tenant, request), try await shared.database.query(Fixture.tenant, request))
            #expect(one.matches.map(\.nodeKey) == two.matches.map(\.nodeKey), "\(text)")
            #expect(one.matches.map(\.similarity) == two.matches.map(\.similarity), "\(text)")
        }
        #expect(try await alone.closeAndCheck() == [])
        #expect(try await shared.closeAndCheck() == [])
    }

    /// Commits come between the snapshots of the two threads, queries fill the pool and leave it idle again: nobody waits for ever, and every
    /// score belongs to the text that is answered with it.
    @Test func writersComeInBetween() async throws {
        let fixture = try Fixture { $0.threads = 3 }
        @Sendable func text(_ number: Int, _ round: Int) -> JSONValue {
            let words = Array(repeating: "common", count: 1 + (number + round) % 3) + (0..<(number + round) % 7).map { "other\($0)" }
            return ["text": .string(words.joined(separator: " "))]
        }
        for number in 0..<50 { try await fixture.publish("p", "k\(number)", text(number, 0)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for round in 1...60 {
                    let commands = (0..<50).map { number in
                        PublishCommand(project: Name(stored: "p"), key: Name(stored: "k\(number)"), data: text(number, round))
                    }
                    for outcome in await fixture.database.publish(Fixture.tenant, commands) { _ = try outcome.get() }
                }
            }
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<150 {
                        let request = QueryRequest(
                            project: Name(stored: "p"), text: "common other3", topK: 50, threshold: 0, mode: .hybrid, explain: true)
                        let found = try await fixture.database.query(Fixture.tenant, request).matches
                        #expect(found.count == 50)
                        for match in found {
                            let explanation = try #require(match.explanation)
                            #expect(abs(explanation.terms.reduce(0) { $0 + $1.score } - explanation.bm25) < 1e-5)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await fixture.closeAndCheck() == [])
    }

    @Test func aQueryThatCannotBeAnsweredFreesWhoeverHelps() async throws {
        let fixture = try Fixture { $0.threads = 2 }
        try await fixture.publish("p", "k", ["text": "something"])
        for _ in 0..<200 {
            #expect(try await fixture.query("nowhere", "something", mode: .hybrid).isEmpty)
            #expect(try await fixture.query("p", "something", mode: .hybrid).count == 1)
        }
        #expect(try await fixture.closeAndCheck() == [])
    }
}
