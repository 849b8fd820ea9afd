import Base
import Search
import TestSupport
import Testing

@Suite struct ScoreSplitTests {
    @Test func twoGroupsArePartedBetweenThem() {
        var random = SeededRandom(seed: testSeed("twoGroupsArePartedBetweenThem"))
        for _ in 0..<50 {
            let low = (0..<Int.random(in: 8...400, using: &random)).map { _ in 0.1 + 0.05 * random.unit() }
            let high = (0..<Int.random(in: 3...30, using: &random)).map { _ in 0.7 + 0.1 * random.unit() }
            let cut = ScoreSplit.threshold((low + high).shuffled(using: &random))
            #expect(cut.map { (0.16...0.7).contains($0) } == true)
        }
    }

    @Test func oneGroupIsNotParted() {
        var random = SeededRandom(seed: testSeed("oneGroupIsNotParted"))
        #expect(ScoreSplit.threshold([]) == nil)
        #expect(ScoreSplit.threshold([0.1, 0.9]) == nil)
        #expect(ScoreSplit.threshold([Double](repeating: 0.4, count: 20)) == nil)
        for _ in 0..<20 {
            // So many that chance does not part them: 0.75 of the variance, give or take 0.005.
            #expect(ScoreSplit.threshold((0..<2_000).map { _ in random.unit() }) == nil)
            #expect(ScoreSplit.threshold((0..<2_000).map { _ in (0..<6).reduce(0) { sum, _ in sum + random.unit() } / 6 }) == nil)
        }
    }
}
