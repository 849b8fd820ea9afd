import Base
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing

/// What the words of a whole add to the score of a passage: by the index, by texts in memory, and by the formula.
@Suite struct WholeWordsTests {
    let folder = TemporaryFolder()
    let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 7)))

    @Test func agreesWithTheFormula() throws {
        var random = SeededRandom(seed: testSeed("wholesAgreeWithTheFormula"))
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        var write = try environment.beginWrite()
        // Wholes of one to nine passages, some without a text, with gaps between their numbers.
        var texts: [UInt32: AnalyzedText] = [:]
        var wholes: [[UInt32]] = []
        var next: UInt32 = 1
        for _ in 0..<300 {
            var own: [UInt32] = []
            for place in 0..<Int.random(in: 1...9, using: &random) {
                next += UInt32.random(in: 1...3, using: &random)
                own.append(next)
                if random.unit() < 0.05 { continue }
                texts[next] = AnalyzedText(TextIndexTests.text(&random), goesOn: place > 0)
            }
            wholes.append(own)
        }
        try index.apply(texts.map { TextChange(node: NodeID(rawValue: $0), new: $1) }, in: &write)
        let statistics = try index.statistics(in: write.view)
        for _ in 0..<40 {
            let query = TextIndexTests.text(&random) + " w0 nowhere"
            let weights = try index.weights(TextQuery(query), in: write.view)
            let chosen = wholes.indices.filter { _ in random.unit() < 0.2 }
            var asked: [WholeEntry] = []
            for (place, whole) in chosen.enumerated() {
                for entry in wholes[whole] where random.unit() < 0.6 {
                    asked.append(WholeEntry(entry: NodeID(rawValue: entry), whole: place, texts: Int.random(in: 1...4, using: &random)))
                }
            }
            asked.shuffle(using: &random)
            let gains = try index.gains(
                weights, of: asked, wholes: chosen.map { wholes[$0].map { NodeID(rawValue: $0) } }, in: write.view)
            #expect(gains.count == asked.count)
            for (passage, gain) in zip(asked, gains) {
                let entries = wholes[chosen[passage.whole]]
                let words = WholeWords(entries.compactMap { texts[$0] }, texts: passage.texts)
                let own = texts[passage.entry.rawValue]
                #expect(gain == own.map { weights.gain($0, in: words) } ?? 0)
                #expect(abs(Double(gain) - Self.gain(query, weights, own, entries.compactMap { texts[$0] }, passage.texts, statistics)) < 1e-3)
            }
        }
        try write.commit()
    }

    /// By the book, in double precision.
    private static func gain(
        _ query: String, _ weights: QueryWeights, _ own: AnalyzedText?, _ all: [AnalyzedText], _ texts: Int, _ statistics: TextStatistics
    ) -> Double {
        guard let own else { return 0 }
        let idfs = Dictionary(uniqueKeysWithValues: weights.terms.map { ($0.term, Double($0.idf)) })
        func score(_ counts: [String: Int], _ length: Int, _ average: Double) -> Double {
            Analyzer().terms(query).reduce(0) { sum, term in
                let count = Double(counts[term] ?? 0)
                return sum + (idfs[term] ?? 0) * count / (count + 1.2 * (0.25 + 0.75 * Double(length) / average))
            }
        }
        func counts(_ texts: [AnalyzedText]) -> [String: Int] {
            texts.reduce(into: [:]) { counts, text in for (term, count) in text.frequencies { counts[term, default: 0] += count } }
        }
        let passage = score(counts([own]), own.length, statistics.averageLength)
        let length = all.reduce(0) { $0 + $1.length } / texts
        let whole = score(counts(all), length, Double(statistics.totalLength) / Double(statistics.beginnings))
        return passage > 0 && whole > passage ? (whole - passage) / 2 : 0
    }
}
