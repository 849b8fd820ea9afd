// What of the matches goes into a context of so many tokens.
//
// The original takes the best match of each need, then the rest in the order of similarity, each that still fits. That order pays
// for one long match what three short ones would cost. Here the question is asked as it is, which set that fits is worth the
// most, and answered by a search for it (Knapsack.swift):
//
//     pinned candidates, in their order       as far as they fit, below the threshold too
//  -> the best of each need                   so that no need is left without because another is talkative, nor the
//                                             best answer is given up for two middling ones
//  -> the set of the others worth the most    of those that say something new
//
// Worth. Without diversity a candidate is worth its relevance. With diversity d it is worth its marginal relevance (Carbonell and
// Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing summaries", SIGIR 1998), the
// candidates being taken greedily by it, each compared with those before:
//
//     (1 - d) x relevance + d x (1 - greatest cosine with one before)
//
// which is theirs with lambda = 1 - d, raised by d so that it is never negative: the order is the same.
//
// Once only. Of candidates that say the same, word for word, the best stays; with diversity also of those nearer to each other
// than a cosine of 1 - d/5. A project may well hold the same setting under two keys, so who is left out is told, and of whom it is
// a duplicate.
//
// Larger than the budget. When one of the candidates that go first (pinned, best of a need) is larger than the whole budget it is not
// dropped: its head gets what the others leave, at least half of the budget, and is marked as cut.
//
// What is certain: the sum of tokens is at most the budget. Without diversity and without a head to cut, the sum of relevances is at
// least that of the original's order over the same candidates; it is the greatest there is when the search came to its end, which
// `Selection.isBest` tells. Packing what was packed changes nothing. Equal input gives equal output.

/// A choice among candidates, as a value: it reads nothing, counts no tokens and compares no vectors itself.
public struct ContextPacking: Sendable {
    /// Tokens; nil: any number.
    public var budget: Int?
    /// 0...1
    public var diversity: Double
    /// Candidates that may be taken beside the pinned ones.
    public var countMax: Int

    public init(budget: Int?, diversity: Double = 0, countMax: Int = .max) {
        self.budget = budget
        self.diversity = diversity
        self.countMax = countMax
    }

    public struct Candidate: Sendable {
        /// The need that it answers. Candidates are given by need, each need's best first; pinned ones before all.
        public let need: Int
        /// What similarity says of it.
        public let relevance: Double
        /// Candidates of equal numbers say the same.
        public let twin: Int
        public let isPinned: Bool

        public init(need: Int = 0, relevance: Double, twin: Int, isPinned: Bool = false) {
            self.need = need
            self.relevance = relevance
            self.twin = twin
            self.isPinned = isPinned
        }
    }

    /// Places of candidates, ascending everywhere.
    public struct Selection: Sendable, Equatable {
        public var kept: [Int] = []
        /// One of `kept` whose data must be cut to so many tokens.
        public var head: Head?
        /// Those left out because they say what another says.
        public var duplicates: [Duplicate] = []
        /// Those that would be there if the budget were larger.
        public var omitted: [Int] = []
        /// The sum of all kept, the head not counted.
        public var tokens = 0
        public var isBest = true

        public init() {}

        public struct Head: Sendable, Equatable {
            public let place: Int
            public let tokensMax: Int
        }
        public struct Duplicate: Sendable, Equatable {
            public let place: Int
            public let of: Int
        }
    }

    /// Of two that are nearer than this, one is left out.
    private var cosineMax: Double { diversity > 0 ? 1 - diversity / 5 : .infinity }

    /// - Parameters:
    ///   - tokens: of a candidate; asked at most once for each, and only while there is a budget and it may be taken.
    ///   - cosine: of two candidates' vectors; asked only with diversity.
    ///   - cuts: false: a candidate larger than the budget is left out like any other.
    /// - Complexity: O(n log n); with diversity O(n x n) cosines; a budget that not everything fits costs one search of Knapsack.
    public func select(
        _ candidates: [Candidate], cuts: Bool = true, tokens: (Int) throws -> Int, cosine: (Int, Int) -> Double = { _, _ in 0 }
    ) throws -> Selection {
        var selection = Selection()
        let unique = withoutDuplicates(candidates, cosine, &selection)
        let pinned = unique.filter { candidates[$0].isPinned }
        let (order, worth) = ranked(unique.filter { !candidates[$0].isPinned }, after: pinned, candidates, cosine)
        let first = order.prefix(countMax)
        guard let budget else {
            selection.kept = (pinned + first).sorted()
            return selection
        }

        var counted = [Int?](repeating: nil, count: candidates.count)
        func cost(_ place: Int) throws -> Int {
            if let known = counted[place] { return known }
            let count = try tokens(place)
            counted[place] = count
            return count
        }
        var sum = 0
        for place in pinned + first where sum <= budget { sum += min(try cost(place), budget + 1) }
        if sum <= budget {
            selection.kept = (pinned + first).sorted()
            selection.tokens = sum
            return selection
        }

        // What goes first: pinned, then the best of each need.
        var needs: Set<Int> = []
        let leading = pinned + unique.filter { !candidates[$0].isPinned && needs.insert(candidates[$0].need).inserted }
        var rest = budget
        var head: Int?
        if cuts {
            for place in leading where try cost(place) > budget {
                head = place
                rest = budget / 2
                break
            }
        }
        var kept: Set<Int> = []
        var places = countMax
        if let head, !candidates[head].isPinned { places -= 1 }
        for place in leading where place != head {
            guard try cost(place) <= rest, candidates[place].isPinned || places > 0 else { continue }
            rest -= try cost(place)
            if !candidates[place].isPinned { places -= 1 }
            kept.insert(place)
        }
        let open = order.filter { !kept.contains($0) && $0 != head }
        let search = Knapsack(try open.map { Knapsack.Thing(value: worth[$0], weight: try cost($0)) }, capacity: rest, countMax: places)
        for place in search.taken {
            kept.insert(open[place])
            rest -= try cost(open[place])
        }
        if let head {
            rest += budget - budget / 2
            selection.head = .init(place: head, tokensMax: rest)
            kept.insert(head)
        }
        selection.kept = kept.sorted()
        selection.tokens = budget - rest
        selection.omitted = (pinned + first).filter { !kept.contains($0) }.sorted()
        selection.isBest = search.isBest
        return selection
    }

    /// The same, and what is kept of a candidate that is larger than the budget; when nothing of it can be, it is left out like any other.
    /// - Parameter head: of a candidate in at most so many tokens, nil when not even its beginning fits.
    public func select<Head>(
        _ candidates: [Candidate], tokens: (Int) throws -> Int, cosine: (Int, Int) -> Double,
        head: (_ place: Int, _ tokensMax: Int) throws -> Head?
    ) throws -> (selection: Selection, head: Head?) {
        let selection = try select(candidates, cuts: true, tokens: tokens, cosine: cosine)
        guard let cut = selection.head else { return (selection, nil) }
        if let head = try head(cut.place, cut.tokensMax) { return (selection, head) }
        return (try select(candidates, cuts: false, tokens: tokens, cosine: cosine), nil)
    }

    /// The candidates that say something new within their need and beside the pinned ones.
    private func withoutDuplicates(_ candidates: [Candidate], _ cosine: (Int, Int) -> Double, _ selection: inout Selection) -> [Int] {
        struct Saying: Hashable {
            let need: Int?
            let twin: Int
        }
        var said: [Saying: Int] = [:]
        var unique: [Int] = []
        for (place, candidate) in candidates.enumerated() {
            // What is pinned was asked for by its name.
            if candidate.isPinned {
                said[Saying(need: nil, twin: candidate.twin)] = place
                unique.append(place)
                continue
            }
            let own = Saying(need: candidate.need, twin: candidate.twin)
            var duplicated = said[own] ?? said[Saying(need: nil, twin: candidate.twin)]
            if duplicated == nil, cosineMax.isFinite {
                duplicated = unique.first { other in
                    (candidates[other].isPinned || candidates[other].need == candidate.need) && cosine(place, other) >= cosineMax
                }
            }
            if let duplicated {
                selection.duplicates.append(.init(place: place, of: duplicated))
            } else {
                said[own] = place
                unique.append(place)
            }
        }
        return unique
    }

    /// In the order in which they would be taken if all fitted, and what each is worth.
    private func ranked(
        _ places: [Int], after pinned: [Int], _ candidates: [Candidate], _ cosine: (Int, Int) -> Double
    ) -> (order: [Int], worth: [Double]) {
        var worth = candidates.map { max(0, $0.relevance) }
        guard diversity > 0 else { return (places, worth) }
        var order: [Int] = []
        var start = places.startIndex
        while start < places.endIndex {
            let need = candidates[places[start]].need
            let end = places[start...].firstIndex { candidates[$0].need != need } ?? places.endIndex
            var open = Array(places[start..<end])
            var nearest = open.map { place in pinned.reduce(0.0) { max($0, cosine(place, $1)) } }
            while !open.isEmpty {
                func marginal(_ index: Int) -> Double {
                    (1 - diversity) * max(0, candidates[open[index]].relevance) + diversity * (1 - min(1, nearest[index]))
                }
                var best = 0
                for index in open.indices.dropFirst() where marginal(index) > marginal(best) { best = index }
                let taken = open[best]
                worth[taken] = marginal(best)
                order.append(taken)
                open.remove(at: best)
                nearest.remove(at: best)
                for index in open.indices { nearest[index] = max(nearest[index], cosine(open[index], taken)) }
            }
            start = end
        }
        return (order, worth)
    }
}
