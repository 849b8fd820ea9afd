import Base
import Foundation
import FullText
import KeySpace
import LMDB
import Testing

/// The dumb twin: every text in a dictionary, every score from the formula.
struct NaiveIndex {
    var texts: [NodeID: String] = [:]
    var analyzed: [NodeID: AnalyzedText] = [:]
    var frequencies: [NodeID: [String: Int]] = [:]

    subscript(node: NodeID) -> String? {
        get { texts[node] }
        set {
            texts[node] = newValue
            analyzed[node] = newValue.map { AnalyzedText($0) }
            frequencies[node] = analyzed[node].map { Dictionary(uniqueKeysWithValues: $0.frequencies.map { ($0.term, $0.count) }) }
        }
    }

    var nodes: [NodeID] { texts.keys.sorted() }
    var totalLength: Int { analyzed.values.reduce(0) { $0 + $1.length } }
    var statistics: TextStatistics {
        TextStatistics(
            documents: texts.count, totalLength: totalLength,
            totalLogLength: analyzed.values.reduce(0) { $0 + Int(Foundation.log2(Double($1.length + 1)) * 65_536) })
    }
    var signatures: [NodeID: TextSignature] { analyzed.mapValues { TextSignature($0) } }

    /// BM25 in double precision, straight from the formula.
    func scores(_ query: String) -> [NodeID: Double] {
        let count = Double(texts.count)
        let average = Double(totalLength) / max(1, count)
        var scores: [NodeID: Double] = [:]
        for term in Analyzer().terms(query) {
            let frequency = Double(frequencies.values.count { $0[term] != nil })
            let idf = Foundation.log(1 + (count - frequency + 0.5) / (frequency + 0.5))
            for (node, text) in frequencies {
                guard let inText = text[term] else { continue }
                let length = Double(analyzed[node]!.length)
                scores[node, default: 0] += idf * Double(inText) / (Double(inText) + 1.2 * (0.25 + 0.75 * length / average))
            }
        }
        return scores
    }

    /// Every text scored alone, then sorted: what a search must give, bit for bit.
    func ranking(_ weights: QueryWeights, count: Int, where filter: (NodeID) -> Bool = { _ in true }) -> [TextMatch] {
        let all = analyzed.map { TextMatch(node: $0.key, score: weights.score($0.value)) }.filter { $0.score > 0 && filter($0.node) }
        return Array(all.sorted { $0.score != $1.score ? $0.score > $1.score : $0.node < $1.node }.prefix(count))
    }
}

extension TextIndex {
    /// Adds a text in place of the one that the twin has, in both.
    func put(_ node: NodeID, _ text: String?, _ naive: inout NaiveIndex, in transaction: inout WriteTransaction) throws {
        try apply([TextChange(node: node, old: naive.analyzed[node], new: text.map { AnalyzedText($0) })], in: &transaction)
        naive[node] = text
    }

    /// The search equals the twin's at several depths, and every way to a score gives the same number.
    func expectEqual(_ naive: NaiveIndex, _ query: String, in view: borrowing TransactionView) throws {
        let query = (text: query, terms: TextQuery(query))
        let weights = try weights(query.terms, in: view)
        let found = try search(query.terms, count: 1_000_000, in: view)
        let exact = naive.scores(query.text)
        #expect(found.count == exact.count)
        for match in found { #expect(abs(Double(match.score) - exact[match.node, default: 0]) <= 1e-5 * exact[match.node, default: 0] + 1e-7) }
        for count in [1, 3, 10, 100, 1_000] {
            #expect(try search(query.terms, count: count, in: view) == naive.ranking(weights, count: count), "'\(query.text)' to \(count)")
        }
        let odd: (NodeID) -> Bool = { $0.rawValue % 3 == 1 }
        #expect(try search(query.terms, count: 10, where: odd, in: view) == naive.ranking(weights, count: 10, where: odd))
        for (term, _, documentFrequency) in weights.terms { #expect(documentFrequency == naive.frequencies.values.count { $0[term] != nil }) }
        #expect(try scores(weights, of: found.map(\.node), in: view) == found.map(\.score))
        let nodes = Array(naive.analyzed.keys)
        // As queries and needs ask: what follows each other in the query lifts, among the 32 best by words.
        let resolved = ResolvedTextQuery(query.terms)
        let whole = try self.weights(resolved, in: view)
        let together = try search(resolved, count: 5, alsoScoring: { _ in nodes }, in: view)
        let best = naive.ranking(weights, count: 32).map { TextMatch(node: $0.node, score: whole.score(naive.analyzed[$0.node]!)) }
        #expect(together.matches == Array(best.sorted { $0.score != $1.score ? $0.score > $1.score : $0.node < $1.node }.prefix(5)))
        #expect(whole.ceiling == weights.ceiling && whole.deviation == weights.deviation && whole.knownShare == weights.knownShare)
        #expect(try scores(whole, of: found.map(\.node), in: view) == found.map { whole.score(naive.analyzed[$0.node]!) })
        let matched = Set(together.matches.map(\.node))
        // Those with an exact word come first.
        let others = nodes.filter { !matched.contains($0) }.map { TextMatch(node: $0, score: whole.score(naive.analyzed[$0]!)) }
        #expect(together.others.sorted { $0.node < $1.node } == others.sorted { $0.node < $1.node })
        for match in found.prefix(20) {
            let text = naive.analyzed[match.node]!
            #expect(weights.score(text) == match.score)
            #expect(abs(weights.explain(text).map(\.score).reduce(0, +) - match.score) <= 1e-5 * match.score)
            #expect(match.score <= weights.ceiling)
        }
    }
}
