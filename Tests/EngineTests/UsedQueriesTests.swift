import Base
import Engine
import Search
import Synchronization
import TestSupport
import Testing

@Suite struct UsedQueriesTests {
    private final class Warmed: Sendable {
        private let texts = Mutex<[String]>([])
        func add(_ more: [ScopedText]) { texts.withLock { $0 += more.map(\.text) } }
        var all: [String] { texts.withLock { $0 } }
    }

    private func models(_ warmed: Warmed) -> Models {
        var models = WordHash.models
        models.warm = { warmed.add($0) }
        return models
    }

    @Test func whatIsAskedOftenIsWarmedAfterARestart() async throws {
        let first = try Fixture()
        try await first.publish("p", "k", ["a": "text"])
        for (text, times) in [("often", 5), ("twice", 2), ("once", 1), (String(repeating: "long ", count: 300), 9), ("caf\u{E9}", 3), ("cafe\u{301}", 2)] {
            for _ in 0..<times { _ = try await first.query("p", text) }
        }
        // By words alone nothing is embedded.
        for _ in 0..<9 { _ = try await first.query("p", "words alone", mode: .keyword) }
        #expect(try await first.closeAndCheck() == [])

        let warmed = Warmed()
        let second = try Fixture(first.folder, models: models(warmed))
        #expect(await second.database.warmUsedQueries(Fixture.tenant) == 4)
        #expect(warmed.all.map { Array($0.utf8) } == ["often", "caf\u{E9}", "cafe\u{301}", "twice"].map { Array($0.utf8) })
        // Counting goes on where it was; the new favourite comes first.
        for _ in 0..<6 { _ = try await second.query("p", "new") }
        await second.database.keepUsedQueries()
        await second.database.close()
        let again = Warmed()
        let third = try Fixture(first.folder, models: models(again))
        #expect(await third.database.warmUsedQueries(Fixture.tenant) == 5 && again.all.first == "new")
        await third.database.close()
    }

    @Test func countsStayBounded() async throws {
        let fixture = try Fixture()
        try await fixture.publish("p", "k", ["a": "text"])
        for number in 0..<1_500 {
            _ = try await fixture.query("p", "question \(number)")
            if number % 10 == 0 { _ = try await fixture.query("p", "favourite") }
        }
        await fixture.database.close()
        let warmed = Warmed()
        let second = try Fixture(fixture.folder, models: models(warmed))
        #expect(await second.database.warmUsedQueries(Fixture.tenant) == 1 && warmed.all == ["favourite"])
        await second.database.close()
    }
}
