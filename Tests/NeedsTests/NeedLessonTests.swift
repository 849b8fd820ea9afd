import Base
import KeySpace
import LMDB
import Needs
import TestSupport
import Testing

/// How a need's cut follows from what was said of its deliveries.
@Suite struct NeedLessonTests {
    private static func agent(_ needs: [String] = ["one", "two"], least: Double? = nil) -> AgentRecord {
        AgentRecord(
            name: Name(stored: "a"), number: 1, inbox: 1, needs: needs, delivery: .redis, responseFormat: "json", channel: "c", webhookURL: nil,
            webhookSecret: nil, settings: NeedSettings(minSimilarity: least), lastSequence: .zero, registeredAt: Timestamp(rawValue: 1))
    }

    private static func verdict(_ sequence: UInt64, _ isUseful: Bool, _ similarity: Float = 0.6) -> NeedLesson.Verdict {
        .init(sequence: Sequence(rawValue: sequence), similarity: similarity, isUseful: isUseful)
    }

    /// The formula of docs/needs.md, by hand.
    private static func shift(_ verdicts: [(similarity: Float, isUseful: Bool)], usual: Double) -> Double {
        func odds(_ similarity: Double) -> Double {
            let kept = min(max(similarity, 0.01), 0.99)
            return PortableMath.log(kept / (1 - kept))
        }
        let useful = verdicts.count { $0.isUseful }
        let costs = (-10...20).map { place in
            let wrong = verdicts.count { $0.isUseful != (odds(Double($0.similarity)) - odds(usual) >= Double(place) / 8) }
            return (place: place, cost: Double(16 * wrong + place * place) - Double(verdicts.count - useful - 4 * useful) * Double(place))
        }
        let least = costs.map(\.cost).min()!
        return Double(costs.filter { $0.cost == least }.map(\.place).min { (abs($0), $0) < (abs($1), $1) }!) / 8
    }

    @Test func theShiftIsTheOneThatCostsLeastWhateverTheOrder() throws {
        var random = SeededRandom(seed: testSeed("theShiftIsTheOneThatCostsLeast"))
        var seen: Set<Double> = []
        for _ in 0..<2_000 {
            let usual = [0, 0.05, 0.3, 0.5, 0.5, 0.8, 1].randomElement(using: &random)!
            let middle = Float(random.unit())
            let bias = random.unit()
            let verdicts = (0..<Int.random(in: 1...NeedLesson.verdictsMax, using: &random)).map { _ in
                (similarity: min(1, max(0, middle + Float(random.unit() - 0.5) / 2)), isUseful: random.unit() < bias)
            }
            var agents = [Self.agent(least: usual), Self.agent(least: usual)]
            for (place, order) in [Array(verdicts.indices), verdicts.indices.shuffled(using: &random)].enumerated() {
                for number in order {
                    let verdict = Self.verdict(UInt64(number) + 1, verdicts[number].isUseful, verdicts[number].similarity)
                    #expect(try agents[place].learn(verdict, of: 0, usual: 0.5))
                }
            }
            let lesson = try #require(agents[0].lessons.first)
            #expect(agents[0].lessons == agents[1].lessons && lesson.usual == usual)
            #expect(lesson.shift == Self.shift(verdicts, usual: usual), "\(verdicts) usual \(usual)")
            #expect(NeedLesson.bounds.contains(lesson.shift))
            let kept = min(max(usual, 0.01), 0.99)
            let odds = PortableMath.log(kept / (1 - kept)) + lesson.shift
            #expect(lesson.cut.map { abs($0 - 1 / (1 + PortableMath.exp(-odds))) < 1e-12 && $0 > 0 && $0 < 1 } ?? (lesson.shift == 0))
            seen.insert(lesson.shift)
        }
        #expect(seen.count > 20, "\(seen.sorted())")
    }

    @Test func whatIsSaidMovesTheCutItsWay() throws {
        func lesson(_ verdicts: [(Float, Bool)]) throws -> NeedLesson {
            var agent = Self.agent()
            for (number, verdict) in verdicts.enumerated() { _ = try agent.learn(Self.verdict(UInt64(number) + 1, verdict.1, verdict.0), of: 0, usual: 0.5) }
            return try #require(agent.lessons.first)
        }
        #expect(try lesson([(0.6, true)]).shift == -0.25 && lesson([(0.6, false)]).shift == 0.5)
        // Two kinds that a cut parts: it lies between them.
        let parted = try lesson([(0.55, false), (0.56, false), (0.58, false), (0.8, true), (0.9, true)])
        #expect(parted.cut.map { $0 > 0.58 && $0 < 0.8 } == true)
        // Ever the same answer ends at a bound.
        #expect(try lesson((0..<32).map { _ in (0.6, true) }).shift == NeedLesson.bounds.lowerBound)
        #expect(try lesson((0..<32).map { _ in (0.95, false) }).shift == 2)
    }

    @Test func verdictsAreKeptInOrderOncePerDeliveryAndTheNewest() throws {
        var random = SeededRandom(seed: testSeed("verdictsAreKeptInOrder"))
        var agent = Self.agent()
        var expected: [UInt64: Bool] = [:]
        for _ in 0..<400 {
            let (sequence, isUseful) = (1 + random.next() % 60, Bool.random(using: &random))
            if Int.random(in: 0..<5, using: &random) == 0 {
                #expect(agent.forget(need: 0, sequence: Sequence(rawValue: sequence)) == (expected.removeValue(forKey: sequence) == nil ? 0 : 1))
            } else {
                let isNew = expected[sequence] != isUseful
                expected[sequence] = isUseful
                if expected.count > NeedLesson.verdictsMax { expected.removeValue(forKey: expected.keys.min()!) }
                // One that is older than all that are kept is gone at once.
                #expect(try agent.learn(Self.verdict(sequence, isUseful), of: 0, usual: 0.5) == (isNew && expected[sequence] != nil))
            }
            let kept = agent.lessons.first?.verdicts ?? []
            #expect(kept.map(\.sequence.rawValue) == expected.keys.sorted() && kept.allSatisfy { expected[$0.sequence.rawValue] == $0.isUseful })
        }
    }

    @Test func needsThatLearnAreBounded() throws {
        var agent = Self.agent((0..<100).map { "need \($0)" })
        for need in (0..<UInt32(NeedLesson.needsMax)).shuffled() { #expect(try agent.learn(Self.verdict(1, true), of: need, usual: 0.5)) }
        let error = #expect(throws: ContexError.self) { try agent.learn(Self.verdict(1, true), of: 90, usual: 0.5) }
        #expect(error?.code == .limited)
        #expect(try agent.learn(Self.verdict(2, true), of: 3, usual: 0.5))
        #expect(agent.lessons.map(\.need) == (0..<UInt32(NeedLesson.needsMax)).map { $0 })
        #expect(agent.forget(need: 3, sequence: nil) == 2)
        #expect(try agent.learn(Self.verdict(1, true), of: 90, usual: 0.5))
    }

    @Test func whatIsInheritedBelongsToTheSameWordsAndSettings() throws {
        var before = Self.agent(["one", "e\u{301}", "three"], least: 0.25)
        for need in 0..<UInt32(3) { _ = try before.learn(Self.verdict(UInt64(need) + 1, false), of: need, usual: 0.5) }
        var after = Self.agent(["three", "é", "one", "four"], least: 0.25)
        after.inherit(before)
        #expect(after.lessons.map(\.need) == [0, 2] && after.lessons.map { $0.verdicts[0].sequence.rawValue } == [3, 1])
        var other = Self.agent(["one"], least: 0.26)
        other.inherit(before)
        #expect(other.lessons == [])
    }

    /// Records with lessons are read as they were written; those without are what they were before there were any.
    @Test func recordsKeepLessons() throws {
        let store = try TestStore()
        let needs = NeedStore(scope: store.scope)
        var random = SeededRandom(seed: testSeed("recordsKeepLessons"))
        for round in 0..<40 {
            var agent = NeedStoreTests.agent(Name(stored: "a\(round)"), UInt32(round + 1), needs: ["one", "two", "three"], &random)
            for _ in 0..<Int.random(in: 0...50, using: &random) {
                let verdict = Self.verdict(random.next() >> Int.random(in: 0..<60, using: &random), Bool.random(using: &random), Float(random.unit()))
                _ = try agent.learn(verdict, of: UInt32.random(in: 0..<3, using: &random), usual: random.unit())
            }
            try store.write { try needs.update(agent, in: &$0) }
            #expect(try store.environment.read { try needs.agent(agent.name, in: $0) } == agent)
        }
    }
}
