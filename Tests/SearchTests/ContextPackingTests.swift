import Base
import Search
import TestSupport
import Testing

/// The choice itself, on random instances.
@Suite struct ContextPackingTests {
    typealias Candidate = ContextPacking.Candidate

    struct Instance {
        var candidates: [Candidate] = []
        var costs: [Int] = []
        var needs = 1

        /// Costs and relevances of every kind: equal, alike, in proportion, at random, free.
        init(_ random: inout SeededRandom, countMax: Int, needsMax: Int, pinnedMax: Int = 0) {
            needs = 1 + Int(random.next() % UInt64(needsMax))
            let kind = random.next() % 4
            func cost(_ relevance: Double) -> Int {
                switch kind {
                case 0: 100
                case 1: Int(relevance * 300) + Int(random.next() % 3)
                case 2: Int(random.next() % 400)
                default: random.next() % 8 == 0 ? 2_000 : 20 + Int(random.next() % 200)
                }
            }
            for _ in 0..<Int(random.next() % UInt64(pinnedMax + 1)) { add(0, random.unit(), isPinned: true, cost(random.unit())) }
            for need in 0..<needs {
                let relevances = (0..<Int(random.next() % UInt64(countMax + 1))).map { _ in (random.unit() * 64).rounded() / 64 }.sorted(by: >)
                for relevance in relevances { add(need, relevance, isPinned: false, cost(relevance)) }
            }
        }

        private mutating func add(_ need: Int, _ relevance: Double, isPinned: Bool, _ cost: Int) {
            candidates.append(Candidate(need: need, relevance: relevance, twin: candidates.count, isPinned: isPinned))
            costs.append(cost)
        }

        func relevance(_ places: some Swift.Sequence<Int>) -> Double { places.reduce(0) { $0 + candidates[$1].relevance } }
        func cost(_ places: some Swift.Sequence<Int>) -> Int { places.reduce(0) { $0 + costs[$1] } }
    }

    /// The Python original's rule: nothing when all fits; else the best match of each need in order while it fits, then the others, the
    /// most similar first, each that fits the rest.
    static func originalsCut(_ instance: Instance, budget: Int) -> [Int] {
        let all = instance.candidates.indices
        guard instance.cost(all) > budget else { return Array(all) }
        var (rest, kept, needs) = (budget, Set<Int>(), Set<Int>())
        let firsts = all.filter { needs.insert(instance.candidates[$0].need).inserted }
        let others = all.filter { !firsts.contains($0) }.sorted { a, b in
            let (x, y) = (instance.candidates[a].relevance, instance.candidates[b].relevance)
            return x == y ? a < b : x > y
        }
        for place in firsts + others where instance.costs[place] <= rest {
            rest -= instance.costs[place]
            kept.insert(place)
        }
        return kept.sorted()
    }

    private func select(_ packing: ContextPacking, _ instance: Instance, cuts: Bool = false) throws -> ContextPacking.Selection {
        try packing.select(instance.candidates, cuts: cuts) { instance.costs[$0] }
    }

    @Test func fitsAndIsWorthAtLeastTheOriginalsCut() throws {
        var random = SeededRandom(seed: testSeed("fitsAndIsWorthAtLeastTheOriginalsCut"))
        var (better, best) = (0, 0)
        for round in 0..<3_000 {
            let instance = Instance(&random, countMax: 40, needsMax: 4)
            let budget = 200 + Int(random.next() % 4_000)
            let selection = try select(ContextPacking(budget: budget), instance)
            let old = Self.originalsCut(instance, budget: budget)
            #expect(instance.cost(selection.kept) <= budget && selection.tokens == instance.cost(selection.kept), "round \(round)")
            let (ours, theirs) = (instance.relevance(selection.kept), instance.relevance(old))
            #expect(ours >= theirs - 1e-6, "round \(round): \(ours) of \(theirs)")
            #expect(Set(selection.kept + selection.omitted) == Set(instance.candidates.indices), "round \(round)")
            if ours > theirs + 1e-6 { better += 1 }
            if selection.isBest { best += 1 }
        }
        print("worth more than the original's cut in \(better) of 3,000, proved the best in \(best)")
        #expect(better > 300 && best > 2_000)
    }

    /// With the matches of one query and a bound on their number, against the old cut of the best so many.
    @Test func aBoundOnTheNumberHolds() throws {
        var random = SeededRandom(seed: testSeed("aBoundOnTheNumberHolds"))
        for round in 0..<1_000 {
            let instance = Instance(&random, countMax: 60, needsMax: 1)
            let count = 1 + Int(random.next() % 12)
            let budget = 200 + Int(random.next() % 2_000)
            let selection = try select(ContextPacking(budget: budget, countMax: count), instance)
            var first = instance
            first.candidates = Array(instance.candidates.prefix(count))
            let old = Self.originalsCut(first, budget: budget)
            #expect(selection.kept.count <= count && instance.cost(selection.kept) <= budget, "round \(round)")
            #expect(instance.relevance(selection.kept) >= instance.relevance(old) - 1e-6, "round \(round)")
        }
    }

    /// Every set tried: none that fits and has the best of each need is worth more.
    @Test func isTheBestOfAllSets() throws {
        var random = SeededRandom(seed: testSeed("isTheBestOfAllSets"))
        for round in 0..<400 {
            let instance = Instance(&random, countMax: 6, needsMax: 2)
            let all = Array(instance.candidates.indices)
            let budget = 100 + Int(random.next() % 1_000)
            let count = instance.needs > 1 ? .max : 1 + Int(random.next() % 8)
            let selection = try select(ContextPacking(budget: budget, countMax: count), instance)
            var needs: Set<Int> = []
            var (forced, rest): (Set<Int>, Int) = ([], budget)
            for place in all where needs.insert(instance.candidates[place].need).inserted && instance.costs[place] <= rest && forced.count < count {
                rest -= instance.costs[place]
                forced.insert(place)
            }
            var best = 0.0
            for mask in 0..<(1 << all.count) {
                let set = all.filter { mask >> $0 & 1 == 1 }
                guard set.count <= count, forced.isSubset(of: set), instance.cost(set) <= budget else { continue }
                best = max(best, instance.relevance(set))
            }
            if instance.cost(all.prefix(count)) <= budget { best = max(best, instance.relevance(all.prefix(count))) }
            #expect(selection.isBest && abs(instance.relevance(selection.kept) - best) < 1e-6, "round \(round): \(selection) \(best)")
        }
    }

    @Test func packingAgainChangesNothing() throws {
        var random = SeededRandom(seed: testSeed("packingAgainChangesNothing"))
        for round in 0..<500 {
            let instance = Instance(&random, countMax: 20, needsMax: 3, pinnedMax: 3)
            let vectors = instance.candidates.map { _ in (0..<8).map { _ in Float(random.unit() - 0.5) } }
            func cosine(_ a: Int, _ b: Int) -> Double {
                let (x, y) = (vectors[a], vectors[b])
                let (product, lengths) = (zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }, x.reduce(0) { $0 + $1 * $1 } * y.reduce(0) { $0 + $1 * $1 })
                return Double(product / lengths.squareRoot())
            }
            let packing = ContextPacking(
                budget: round % 5 == 0 ? nil : 100 + Int(random.next() % 2_000), diversity: Double(random.next() % 5) / 4,
                countMax: 1 + Int(random.next() % 20))
            let selection = try packing.select(instance.candidates, cuts: false, tokens: { instance.costs[$0] }, cosine: cosine)
            #expect(try packing.select(instance.candidates, cuts: false, tokens: { instance.costs[$0] }, cosine: cosine) == selection)
            let kept = selection.kept
            let again = try packing.select(
                kept.map { instance.candidates[$0] }, cuts: false, tokens: { instance.costs[kept[$0]] }, cosine: { cosine(kept[$0], kept[$1]) })
            #expect(again.kept == Array(kept.indices) && again.omitted.isEmpty && again.duplicates.isEmpty, "round \(round)")
            // Of those that are pinned each that fits beside the ones before it.
            var rest = packing.budget ?? .max
            let pinned = instance.candidates.indices.filter { instance.candidates[$0].isPinned }
            let expected = pinned.filter { place in
                guard instance.costs[place] <= rest else { return false }
                rest -= instance.costs[place]
                return true
            }
            #expect(Array(kept.prefix(expected.count)) == expected && kept.count { instance.candidates[$0].isPinned } == expected.count, "round \(round)")
            #expect(kept == kept.sorted() && kept.count - expected.count <= packing.countMax)
        }
    }

    /// Dumb MMR: at each step the candidate of the greatest marginal relevance.
    @Test func diversityTakesWhatMaximalMarginalRelevanceTakes() throws {
        var random = SeededRandom(seed: testSeed("diversityTakesWhatMaximalMarginalRelevanceTakes"))
        for round in 0..<300 {
            let instance = Instance(&random, countMax: 15, needsMax: 1)
            let all = Array(instance.candidates.indices)
            // Below the cosine from which on one is a duplicate of the other.
            let cosines = all.map { _ in all.map { _ in random.unit() * 0.75 } }
            func cosine(_ a: Int, _ b: Int) -> Double { cosines[min(a, b)][max(a, b)] }
            let (diversity, count) = (0.1 + random.unit() * 0.9, 1 + Int(random.next() % 8))
            var (taken, open) = ([Int](), all)
            while taken.count < count, !open.isEmpty {
                func marginal(_ place: Int) -> Double {
                    (1 - diversity) * instance.candidates[place].relevance - diversity * (taken.map { cosine(place, $0) }.max() ?? 0)
                }
                let best = open.max { (marginal($0), $1) < (marginal($1), $0) }!
                taken.append(best)
                open.removeAll { $0 == best }
            }
            let selection = try ContextPacking(budget: nil, diversity: diversity, countMax: count)
                .select(instance.candidates, tokens: { _ in 1 }, cosine: cosine)
            #expect(selection.kept == taken.sorted(), "round \(round)")
        }
    }

    @Test func whatIsSaidTwiceComesOnce() throws {
        let candidates = [
            Candidate(relevance: 0.2, twin: 7, isPinned: true), Candidate(relevance: 0.9, twin: 1), Candidate(relevance: 0.8, twin: 1),
            Candidate(relevance: 0.7, twin: 3), Candidate(relevance: 0.6, twin: 7), Candidate(need: 1, relevance: 0.5, twin: 1),
        ]
        let near: [Set<Int>] = [[1, 3]]
        func select(_ diversity: Double) throws -> ContextPacking.Selection {
            try ContextPacking(budget: 1_000, diversity: diversity).select(candidates) { _ in 1 } cosine: { near.contains([$0, $1]) ? 0.95 : 0 }
        }
        let exact = try select(0)
        #expect(exact.kept == [0, 1, 3, 5])
        #expect(exact.duplicates.map(\.place) == [2, 4] && exact.duplicates.map(\.of) == [1, 0])
        #expect(exact.omitted.isEmpty && exact.tokens == 4)
        // 1 - 0.2/5 = 0.96, 1 - 0.5/5 = 0.9
        #expect(try select(0.2).kept == [0, 1, 3, 5])
        #expect(try select(0.5).duplicates.map(\.place) == [2, 3, 4])
    }

    @Test func theHeadOfTheBestGetsAtLeastHalf() throws {
        let candidates = (0..<4).map { Candidate(relevance: 0.9 - Double($0) / 10, twin: $0) }
        let costs = [5_000, 300, 300, 300]
        let selection = try ContextPacking(budget: 1_000).select(candidates) { costs[$0] }
        #expect(selection.kept == [0, 1] && selection.omitted == [2, 3] && selection.tokens == 300)
        #expect(selection.head?.place == 0 && selection.head?.tokensMax == 700)
        #expect(try ContextPacking(budget: 1_000).select(candidates, cuts: false) { costs[$0] }.kept == [1, 2, 3])
        #expect(try ContextPacking(budget: 1_000).select([candidates[0]]) { _ in 5_000 }.head?.tokensMax == 1_000)
        #expect(try ContextPacking(budget: 1_000).select([]) { _ in 5_000 }.kept == [])
    }

    @Test func whatHasNoHeadIsLeftOut() throws {
        let candidates = (0..<4).map { Candidate(relevance: 0.9 - Double($0) / 10, twin: $0) }
        let costs = [5_000, 300, 300, 300]
        func select(_ budget: Int, _ head: (Int, Int) -> String?) throws -> (selection: ContextPacking.Selection, head: String?) {
            try ContextPacking(budget: budget).select(candidates, tokens: { costs[$0] }, cosine: { _, _ in 0 }, head: head)
        }
        let cut = try select(1_000) { "\($0) in \($1)" }
        #expect(cut.head == "0 in 700" && cut.selection.kept == [0, 1] && cut.selection.head?.place == 0)
        let left = try select(1_000) { _, _ in nil }
        #expect(left.head == nil && left.selection.kept == [1, 2, 3] && left.selection.head == nil && left.selection.omitted == [0])
        var wasAsked = false
        let whole = try select(6_000) { _, _ in
            wasAsked = true
            return ""
        }
        #expect(whole.head == nil && whole.selection.kept == [0, 1, 2, 3] && !wasAsked)
    }

    /// No token is counted that decides nothing.
    @Test func countsLazily() throws {
        let candidates = (0..<20).map { Candidate(relevance: 0.9 - Double($0) / 100, twin: $0) }
        func asked(_ budget: Int?, cost: Int) throws -> [Int] {
            var asked: [Int] = []
            _ = try ContextPacking(budget: budget, countMax: 5).select(candidates) { place in
                asked.append(place)
                return cost
            }
            return asked
        }
        #expect(try asked(nil, cost: 10) == [])
        #expect(try asked(50, cost: 10) == [0, 1, 2, 3, 4])
        let all = try asked(49, cost: 10)
        #expect(Set(all).count == all.count && all.count == 20)
    }
}
