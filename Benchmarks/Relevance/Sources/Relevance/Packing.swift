import Base
import Content
import Engine
import Foundation
import Search
import Tokens
import Vectors

/// How much relevance a context of so many tokens carries: the Python original's truncation beside `ContextPacking`, over the same candidates
/// in the same order with the same similarity (hybrid; 200 best, threshold 0, at most 50 matches: the budget alone decides).
///
/// A document is one candidate, `{"title", "text"}`. Relevance is what the judges gave (the sum of grades), not what the search thinks.
struct Packing {
    let tokenizer: CL100KTokenizer

    static let budgets = [1_000, 2_000, 4_000]
    static let matchesMax = 50
    static let poolMax = 200

    /// One way to pack.
    struct Way: Sendable {
        let name: String
        let format: AnswerFormat
        let style: JSONStyle
        /// nil: the original's truncation.
        let packing: (@Sendable (Int) -> ContextPacking)?
        var power = 1.0
    }
    static let ways = [
        Way(name: "original: its order, json.dumps", format: .json, style: .python, packing: nil),
        Way(name: "original's order, JSON as sent", format: .json, style: .compact, packing: nil),
        Way(name: "original's order, TOON", format: .toon, style: .compact, packing: nil),
        Way(name: "Contex, json.dumps", format: .json, style: .python) { ContextPacking(budget: $0, countMax: matchesMax) },
        Way(name: "Contex, JSON", format: .json, style: .compact) { ContextPacking(budget: $0, countMax: matchesMax) },
        Way(name: "Contex, TOON", format: .toon, style: .compact) { ContextPacking(budget: $0, countMax: matchesMax) },
        Way(name: "Contex, TOON, diversity 0.3", format: .toon, style: .compact) { ContextPacking(budget: $0, diversity: 0.3, countMax: matchesMax) },
    ] + [4.0, 16].map { power in
        Way(
            name: "  trial: similarity ^ \(Int(power)), JSON", format: .json, style: .compact,
            packing: { ContextPacking(budget: $0, countMax: matchesMax) }, power: power)
    }

    struct Sums {
        var relevance = 0.0
        var similarity = 0.0
        var tokens = 0
        var matches = 0
        var proved = 0
        var contested = 0
        var over = 0
        var seconds = 0.0
    }

    func run(_ sets: [RelevanceSet], _ vectors: VectorSource) async throws {
        for set in sets {
            var sums = [[Sums]](repeating: [Sums](repeating: Sums(), count: Self.budgets.count), count: Self.ways.count)
            var counts: [String: Int] = [:]
            try await Relevance.forEachQuery(of: set, vectors) { query, found, all in
                let pool = Array(found.best.prefix(Self.poolMax))
                for (place, way) in Self.ways.enumerated() {
                    func tokens(_ document: Int) throws -> Int {
                        let key = "\(way.format) \(way.style) \(document)"
                        if let known = counts[key] { return known }
                        let (title, text) = set.parts[document]
                        var data = JSONObject()
                        if !title.isEmpty { data["title"] = .string(title) }
                        data["text"] = .string(text)
                        let count = tokenizer.count(String(decoding: try way.format.encode(.object(data), jsonStyle: way.style), as: UTF8.self))
                        counts[key] = count
                        return count
                    }
                    // Counted beforehand, so that the time is that of the choice.
                    for document in pool { _ = try tokens(document) }
                    for (column, budget) in Self.budgets.enumerated() {
                        let started = ContinuousClock.now
                        let kept: [Int]
                        if let packing = way.packing?(budget) {
                            let candidates = pool.enumerated().map {
                                ContextPacking.Candidate(relevance: pow(Double(found.hybrid[$1]!), way.power), twin: $0)
                            }
                            let selection = try packing.select(candidates, cuts: false) { try tokens(pool[$0]) } cosine: { a, b in
                                Double(VectorMath.dot(all[pool[a]][...], all[pool[b]]))
                            }
                            kept = selection.kept.map { pool[$0] }
                            if !selection.omitted.isEmpty {
                                sums[place][column].contested += 1
                                if selection.isBest { sums[place][column].proved += 1 }
                            }
                        } else {
                            kept = try Self.originalsTruncation(Array(pool.prefix(Self.matchesMax)), budget: budget, tokens)
                        }
                        sums[place][column].seconds += (ContinuousClock.now - started) / .seconds(1)
                        let used = try kept.reduce(0) { $0 + (try tokens($1)) }
                        if used > budget { sums[place][column].over += 1 }
                        sums[place][column].tokens += used
                        sums[place][column].matches += kept.count
                        sums[place][column].relevance += kept.reduce(0) { $0 + (query.grades[$1] ?? 0) }
                        sums[place][column].similarity += kept.reduce(0) { $0 + Double(found.hybrid[$1]!) }
                    }
                }
            }
            print("\n\(set.name), \(set.queries.count) queries: relevance per 1,000 tokens of the budget")
            print("(per 1,000 sent; matches; similarity; proved best of those cut; ms)")
            for (way, row) in zip(Self.ways, sums) {
                let cells = zip(Self.budgets, row).map { budget, sum in
                    let queries = Double(set.queries.count)
                    precondition(sum.over == 0, "\(sum.over) over the budget of \(budget)")
                    return String(
                        format: "%6d: %.4f (%.3f; %.1f; %.2f; %d/%d; %.2f)", budget, sum.relevance / queries / Double(budget) * 1_000,
                        sum.relevance / Double(max(sum.tokens, 1)) * 1_000, Double(sum.matches) / queries, sum.similarity / queries, sum.proved,
                        sum.contested, sum.seconds / queries * 1_000)
                }
                print(way.name.padding(toLength: 36, withPad: " ", startingAt: 0) + cells.joined(separator: "  "))
            }
        }
    }

    /// Nothing when all fits; else the best match while it fits, then the others, the most similar first, each that fits the rest.
    static func originalsTruncation(_ matches: [Int], budget: Int, _ tokens: (Int) throws -> Int) rethrows -> [Int] {
        var rest = budget
        return try matches.filter { document in
            let cost = try tokens(document)
            guard cost <= rest else { return false }
            rest -= cost
            return true
        }
    }
}
