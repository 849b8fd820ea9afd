import Base
import Content
import Engine
import Events
import Foundation
import Needs
import Search
import Synchronization
import TestSupport
import Testing

/// What one request may hold, whoever asks.
@Suite struct BoundTests {
    private static let p = Name(stored: "p")

    /// Counts the texts that were embedded.
    private static func counting(_ embedded: Shared) -> Models {
        Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embed: { texts in
                embedded.count.withLock { $0 += texts.count }
                return texts.map(WordHash.vector)
            }, countTokens: { $0.utf8.count })
    }

    /// A state of the past is made once for all queries of a batch that ask for it: the nodes that are no more are embedded once.
    @Test func theQueriesOfABatchShareAPast() async throws {
        let embedded = Shared()
        let fixture = try Fixture(models: Self.counting(embedded))
        for number in 0..<200 { try await fixture.publish("p", "k\(number)", ["x": .string("old word\(number)")]) }
        let moment = Moment.sequence(Sequence(rawValue: 200))
        for number in 0..<200 { try await fixture.publish("p", "k\(number)", ["x": .string("new")]) }
        embedded.count.withLock { $0 = 0 }
        let requests = (0..<100).map { QueryRequest(project: Self.p, text: "word\($0)", threshold: 0, asOf: moment) }
        let answers = await fixture.database.query(Fixture.tenant, requests)
        #expect(embedded.count.withLock { $0 } == 300)
        for (request, answer) in zip(requests, answers) {
            let alone = try await fixture.database.query(Fixture.tenant, request).matches
            #expect(try answer.get().matches.map(\.nodeKey) == alone.map(\.nodeKey))
            #expect(try answer.get().matches.map(\.similarity) == alone.map(\.similarity))
        }
        // So many moments, and no more.
        let many = (1...Limits.batchMoments + 2).map {
            QueryRequest(project: Self.p, text: "word1", threshold: 0, asOf: .sequence(Sequence(rawValue: UInt64($0))))
        }
        let outcomes = await fixture.database.query(Fixture.tenant, many + [QueryRequest(project: Self.p, text: "new", threshold: 0)])
        #expect(outcomes.prefix(Limits.batchMoments).allSatisfy { (try? $0.get()) != nil })
        for outcome in outcomes[Limits.batchMoments..<many.count] {
            #expect(throws: ContexError.self) { try outcome.get() }
        }
        #expect(try outcomes.last!.get().matches.count == 5)
        await fixture.database.close()
    }

    private final class Shared: Sendable { let count = Mutex(0) }

    /// More queries of the past than may be held at a time wait, and more than may wait are refused.
    @Test func queriesOfThePastTakeTurns() async throws {
        let running = Running()
        let models = Models(
            identity: "hashed words", dimension: WordHash.dimension,
            embed: { texts in
                if texts.contains(where: { $0.contains("old") }) { await running.pass() }
                return texts.map(WordHash.vector)
            }, countTokens: { $0.utf8.count })
        let fixture = try Fixture(models: models)
        try await fixture.publish("p", "k", ["x": .string("first")])
        await running.open()
        try await fixture.publish("p", "k", ["x": .string("old")])
        try await fixture.publish("p", "k", ["x": .string("new")])
        await running.shut()
        let request = QueryRequest(project: Self.p, text: "x", threshold: 0, asOf: .sequence(Sequence(rawValue: 2)))
        let all = Limits.pastStates + Limits.pastWaiting + 3
        let outcomes = await withTaskGroup { group in
            for _ in 0..<all {
                group.addTask {
                    do {
                        return try await fixture.database.query(Fixture.tenant, request).matches.count == 1 ? "found" : "nothing"
                    } catch { return (error as? ContexError)?.category.rawValue ?? "other" }
                }
            }
            var outcomes: [String] = []
            while outcomes.count < all {
                // Those that are refused come first: the others wait for the door.
                guard let outcome = await group.next() else { break }
                outcomes.append(outcome)
                if outcomes.count == 3 { await running.open() }
            }
            return outcomes
        }
        #expect(outcomes.filter { $0 == "unavailable" }.count == 3 && outcomes.filter { $0 == "found" }.count == all - 3)
        #expect(await running.most <= Limits.pastStates)
        // One that gives up leaves its place to others.
        await running.shut()
        let held = (0..<Limits.pastStates).map { _ in Task { try await fixture.database.query(Fixture.tenant, request).matches.count } }
        while await running.standing < Limits.pastStates { try await Task.sleep(for: .milliseconds(1)) }
        let leaving = Task { try await fixture.database.query(Fixture.tenant, request).matches.count }
        try await Task.sleep(for: .milliseconds(20))
        leaving.cancel()
        await #expect(throws: (any Error).self) { try await leaving.value }
        await running.open()
        for task in held { #expect(try await task.value == 1) }
        #expect(try await fixture.database.query(Fixture.tenant, request).matches.count == 1)
        await fixture.database.close()
    }

    /// A door, and how many stand before it.
    private actor Running {
        private var isOpen = true
        private var waiting: [CheckedContinuation<Void, Never>] = []
        private(set) var most = 0
        var standing: Int { waiting.count }

        func pass() async {
            if isOpen { return }
            await withCheckedContinuation { turn in
                waiting.append(turn)
                most = max(most, waiting.count)
            }
        }
        func open() {
            isOpen = true
            for turn in waiting { turn.resume() }
            waiting = []
        }
        func shut() { isOpen = false }
    }

    /// A text of some megabytes, of words that are its own.
    private static func large(_ number: Int) -> JSONValue { ["x": .string("zebra \(number) " + String(repeating: "stripes ", count: 400_000))] }

    @Test func matchesThatAreTooMuchTogetherAreLeftOut() async throws {
        let fixture = try Fixture { $0.threshold = 0 }
        for number in 0..<4 { try await fixture.publish("p", "k\(number)", Self.large(number)) }
        let database = fixture.database
        for diversity in [nil, 0.0] {
            var request = QueryRequest(project: Self.p, text: "zebra", topK: 10, threshold: 0, mode: .keyword)
            request.diversity = diversity
            let answer = try await database.query(Fixture.tenant, request)
            #expect(answer.matches.count == 1 && answer.left > 0)
        }
        let requests = (0..<3).map { QueryRequest(project: Self.p, text: "zebra \($0)", topK: 1, threshold: 0, mode: .keyword) }
        let batch = await database.query(Fixture.tenant, requests)
        #expect(batch.filter { (try? $0.get()) != nil }.count == 1)
        // A registration: all are followed, the context holds what there is room for and names the rest.
        let command = RegisterCommand(project: Self.p, agent: Name(stored: "g"), needs: (0..<20).map { "zebra stripes \($0)" })
        let registration = try await database.register(Fixture.tenant, command)
        #expect(registration.caughtUpEvents == 2 && registration.caughtUpTo?.rawValue == 2 && registration.currentSequence.rawValue == 4)
        #expect(fixture.sink.take().count == 3)
        #expect(try await database.agent(Fixture.tenant, Name(stored: "g"), project: Self.p)[0].nodeKeys.count == 4)
        #expect(try await fixture.closeAndCheck() == [])
    }

    /// The second of two deletes of one group is not told "not found" before it is true: without the commit the key is there.
    @Test func aRefusalWaitsForWhatItRestsOn() async throws {
        let fixture = try Fixture()
        let key = Name(stored: "k")
        try await fixture.publish("p", "k", ["x": "y"])
        signal(SIGXFSZ, SIG_IGN)
        var old = rlimit()
        _ = unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
        // No byte of the store can be written, as on a full disk.
        var none = rlimit(rlim_cur: 1, rlim_max: old.rlim_max)
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &none)
        let outcomes = await withTaskGroup { group in
            for _ in 0..<40 {
                group.addTask { () -> ContexError.Category? in
                    do {
                        _ = try await fixture.database.delete(Fixture.tenant, project: Self.p, key: key)
                        return nil
                    } catch { return (error as? ContexError)?.category }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &old)
        signal(SIGXFSZ, SIG_DFL)
        #expect(outcomes.allSatisfy { $0 != nil && $0 != .notFound }, "\(outcomes.map { $0?.rawValue ?? "deleted" })")
        #expect(try await fixture.database.document(Fixture.tenant, project: Self.p, key: key).data == ["x": "y"])
        _ = try await fixture.database.delete(Fixture.tenant, project: Self.p, key: key)
        #expect(try await fixture.closeAndCheck() == [])
    }
}
