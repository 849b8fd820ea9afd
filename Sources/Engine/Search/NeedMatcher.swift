// Standing queries: each publish is held against every need of its project, with the score and the threshold of a query.
//
// The index of needs (Needs/NeedTable.swift) leaves those that a fresh passage may reach: of ten thousand a few dozen. They are looked at again with
// their true cosine, and what is still possible then is scored (NeedScorer.swift), so that what is found is what scoring every need would find. While
// invariants are checked, every need is scored beside it (NeedOracle.swift).
//
// Source of the idea: percolation in search engines; Yan and Garcia-Molina, "The SIFT information dissemination system",
// TODS 24(4), 1999. The bound: docs/decisions/0068-needs-index.md.

internal import Attributes
internal import Base
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs
internal import Search
internal import Vectors

/// Why an agent hears of a node.
struct NeedMatch: Equatable {
    /// The place of the need among the agent's: the first of them that the node matches.
    let need: UInt32
    let score: NeedScorer.Score

    var node: NodeID { score.node }
    var similarity: Double { score.similarity }

    static func == (a: Self, b: Self) -> Bool { a.need == b.need && a.node == b.node && a.similarity == b.similarity }
}

package final class NeedMatcher: Sendable {
    private let memory = NeedMemory()

    /// A need that a unit matches.
    struct Found {
        let unit: Int
        let number: UInt32
        let need: StandingNeed
        let score: NeedScorer.Score
    }

    /// The agents whose needs match, and with which nodes, in the order of nodes. Of a node the passage counts that is most like the need.
    /// - Parameters:
    ///   - terms: of the units, by the statistics of now.
    ///   - document: whose units they are.
    func match(
        _ units: [FreshUnit], _ terms: FreshTerms, of document: DocumentID, scope: TenantScope, dimension: Int, routing: Command.Routing,
        in view: borrowing TransactionView
    ) throws -> [UInt32: [NeedMatch]] {
        let store = NeedStore(scope: scope)
        guard !units.isEmpty, try store.needSlots(in: view) > 0 else { return [:] }
        let scorer = try NeedScorer(scope, dimension: dimension, routing, in: view)
        var matched: [UInt32: [NeedMatch]] = [:]
        // Of the unit at hand.
        var first: [UInt32: NeedMatch] = [:]
        var unit = 0
        func close() {
            for (agent, match) in first { matched[agent, default: []].append(match) }
            first = [:]
        }
        for found in try find(units, terms, scorer, in: view) {
            if found.unit != unit {
                close()
                unit = found.unit
            }
            guard try found.need.admits(DocumentStore(scope: scope).document(document, in: view)?.attributes) else { continue }
            for (agent, index) in try store.followers(ofNeed: found.number, in: view) where index < first[agent]?.need ?? .max {
                first[agent] = NeedMatch(need: index, score: found.score)
            }
        }
        close()
        if Invariants.areChecked, try store.needSlots(in: view) <= Self.oracleNeeds {
            let expected = try NeedOracle.match(units, of: document, scorer, in: view)
            Invariants.hold(matched == expected, "the index of needs finds \(matched), scoring all of them \(expected)")
        }
        return matched
    }

    /// Needs that are all scored while invariants are checked.
    private static let oracleNeeds = 4_096

    /// The needs that each unit matches, filters left aside: unit by unit, by number.
    func find(_ units: [FreshUnit], _ terms: FreshTerms, _ scorer: NeedScorer, in view: borrowing TransactionView) throws -> [Found] {
        let store = NeedStore(scope: scorer.scope)
        let rule = try rule(scorer, in: view)
        let gains = TermGains(try TextIndex(scope: scorer.scope).statistics(in: view))
        let candidates = try store.candidates(probes(units, terms, gains), rule, memory, in: view)
        var found: [Found] = []
        var passages = candidates[...]
        for (place, unit) in units.enumerated() {
            let own = passages.prefix(unit.passages.count)
            passages = passages.dropFirst(unit.passages.count)
            for number in try reached(own, unit, terms, gains, scorer, rule, store, in: view) {
                guard let need = try store.need(number, in: view) else {
                    throw ContexError.damaged("the index of needs names number \(number), which is none: run 'contex check'")
                }
                guard let score = try scorer.score(need, scorer.query(need), unit, terms, in: view) else { continue }
                found.append(Found(unit: place, number: number, need: need, score: score))
            }
        }
        return found
    }

    /// Of the candidates of a unit's passages those that are still possible with the true cosine, and by the words that they do share, by number.
    private func reached(
        _ passages: ArraySlice<[NeedCandidate]>, _ unit: FreshUnit, _ terms: FreshTerms, _ gains: TermGains, _ scorer: NeedScorer, _ rule: NeedRule,
        _ store: NeedStore, in view: borrowing TransactionView
    ) throws -> [UInt32] {
        var reached: Set<UInt32> = []
        for (passage, candidates) in zip(unit.passages, passages) {
            for candidate in candidates where !reached.contains(candidate.number) {
                guard let vector = try store.vector(ofNeed: candidate.number, in: view) else { continue }
                let cosine = vector.isEmpty || passage.vector.isEmpty ? 0 : VectorMath.dot(vector[...], passage.vector)
                let cut = scorer.cut(ofVector: vector)
                guard candidate.mayMatch(cosine: cosine, leastCut: cut.least, rule) else { continue }
                if candidate.dependsOnWords, let words = try store.words(ofNeed: candidate.number, in: view) {
                    let shared = SharedWords(words, passage.text, unit.whole, terms, gains)
                    let least = scorer.leastCut(meanCosine: cut.meanCosine, deviation: shared.deviation)
                    guard candidate.mayMatch(cosine: cosine, words: shared.most, leastCut: least, rule) else { continue }
                }
                reached.insert(candidate.number)
            }
        }
        return reached.sorted()
    }

    /// What is known of a need and a text by the words that they share, none of which has to be looked up.
    private struct SharedWords {
        /// The most that they score.
        var most: Float = 0
        /// What the deviation of the need is at least.
        let deviation: Float

        init(
            _ words: [(term: ArraySlice<UInt8>, count: Int)], _ text: AnalyzedText, _ whole: WholeWords?, _ terms: FreshTerms, _ gains: TermGains
        ) {
            var (shared, pairs, variance) = (0, Float(0), Float(0))
            var ofWhole = Float(0)
            for (term, said) in words {
                let count = text.count(of: term)
                let inWhole = whole?.words.count(of: term) ?? count
                guard count + inWhole > 0, let documents = terms.documents(of: term) else { continue }
                ofWhole += Float(said) * gains.share(documents: documents, whole: inWhole, in: whole, length: text.length)
                let gain = gains.gain(documents: documents, count: count, length: text.length)
                variance += Float(said) * Float(said) * gain.variance
                guard count > 0 else { continue }
                shared += 1
                most += Float(said) * gain.share
                pairs += Float(said) * gain.pairs
            }
            if shared > 0 { most = max(most, (most + ofWhole) / 2) }
            // No word stands beside another one alone.
            if shared > 1 { most += pairs }
            deviation = variance.squareRoot() * 0.9999
        }
    }

    /// The passages as the index of needs asks for them.
    private func probes(_ units: [FreshUnit], _ terms: FreshTerms, _ gains: TermGains) -> [NeedProbe] {
        units.flatMap { unit in unit.passages.map { probe($0, unit.whole, terms, gains) } }
    }

    private func probe(_ passage: FreshPassage, _ whole: WholeWords?, _ terms: FreshTerms, _ gains: TermGains) -> NeedProbe {
        var words: [NeedProbe.Word] = []
        terms.forEach(of: whole?.words ?? passage.text) { said, documents, count in
            let own = whole == nil ? count : passage.text.count(of: said.term[...])
            let most = gains.most(documents: documents, count: own, length: passage.text.length, whole: count, in: whole)
            words.append(.init(said.term, most: most, isRare: own > 0 && gains.isRare(documents: documents)))
        }
        return NeedProbe(vector: passage.vector, words: words)
    }

    private func rule(_ scorer: NeedScorer, in view: borrowing TransactionView) throws -> NeedRule {
        let statistics = try TextIndex(scope: scorer.scope).statistics(in: view)
        let calibration = Calibration.standard
        return NeedRule(
            mode: scorer.routing.mode.ofNeeds, threshold: scorer.routing.threshold, cosine: calibration.cosine, text: calibration.text,
            points: calibration.points, coverage: calibration.coverage, textMax: calibration.textMax,
            shareCut: Calibration.shareCut(documents: statistics.documents), logDocuments: TermGains(statistics).logDocuments,
            mean: scorer.mean?.components, leastCut: { scorer.leastCut(meanCosine: $0) })
    }
}

extension StandingNeed {
    /// The words of a need, as its index takes them.
    static func terms(_ text: String, _ analyzer: Analyzer) -> [NeedTerm] {
        TextQuery(text, analyzer: analyzer).words.map { NeedTerm($0.term, count: $0.count, isExact: $0.isExact) }
    }
}
