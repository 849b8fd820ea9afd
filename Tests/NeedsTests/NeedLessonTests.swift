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

    private static func lesson(useful: Int, useless: Int, least: Double? = nil, usual: Double = 0.5) throws -> NeedLesson {
        var agent = agent(least: least)
        for number in 0..<UInt64(useful + useless) { _ = try agent.learn(verdict(number + 1, number < useful), of: 0, usual: usual) }
        return try #require(agent.lessons.first)
    }

    @Test func theShiftIsBoundedAndRisesWithWhatIsNotUseful() throws {
        for total in 1...NeedLesson.verdictsMax {
            var last = Double.infinity
            for useful in 0...total {
                let lesson = try Self.lesson(useful: useful, useless: total - useful)
                #expect(lesson.verdicts.count == total && lesson.useful == useful)
                #expect(NeedLesson.bounds.contains(lesson.shift) && lesson.shift <= last)
                #expect((lesson.shift * 8).rounded() == lesson.shift * 8)
                last = lesson.shift
                // A shift of log-odds, whatever the need had before; none says nothing.
                for usual in [0, 0.02, 0.5, 0.83, 1] {
                    let own = try Self.lesson(useful: useful, useless: total - useful, least: usual)
                    #expect(own.shift == lesson.shift && own.usual == usual)
                    let kept = min(max(usual, 0.01), 0.99)
                    let odds = PortableMath.log(kept / (1 - kept)) + own.shift
                    #expect(own.cut.map { abs($0 - 1 / (1 + PortableMath.exp(-odds))) < 1e-12 } ?? (own.shift == 0))
                    #expect(own.cut.map { $0 > 0 && $0 < 1 } ?? true)
                }
            }
        }
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
