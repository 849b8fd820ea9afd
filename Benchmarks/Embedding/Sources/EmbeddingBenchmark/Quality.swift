import Embedding
import Foundation

/// What the bytes cost in search: nDCG@10 of an exact dense search on the public relevance sets, and how many of float32's ten best remain.
/// Questions are in float32, as the server has them.
enum Quality {
    private struct Line: Decodable {
        let _id: String
        let title: String?
        let text: String
    }

    static func run(_ sets: [String]) async throws {
        let model = try EmbeddingModel(folder: EmbeddingBenchmark.modelFolder, precision: .int8)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
        defer { embedder.shutdown() }
        for set in sets.isEmpty ? ["scifact", "cacm", "bfcl-static", "cosqa-dev"] : sets {
            let folder = EmbeddingBenchmark.data.appendingPathComponent("retrieval/\(set)")
            func lines(_ file: String) throws -> [Line] {
                try Data(contentsOf: folder.appendingPathComponent(file)).split(separator: 10).map { try JSONDecoder().decode(Line.self, from: $0) }
            }
            let corpus = try lines("corpus.jsonl")
            let places = Dictionary(uniqueKeysWithValues: corpus.enumerated().map { ($1._id, $0) })
            var grades: [String: [Int: Double]] = [:]
            for row in try String(contentsOf: folder.appendingPathComponent("qrels.tsv"), encoding: .utf8).split(separator: "\n").dropFirst() {
                let fields = row.split(separator: "\t").map(String.init)
                guard fields.count == 3, let place = places[fields[1]], let grade = Double(fields[2]) else { continue }
                grades[fields[0], default: [:]][place] = grade
            }
            let queries = try lines("queries.jsonl").filter { grades[$0._id] != nil }
            var rankings: [[[Int]]] = []
            var report = set.padding(toLength: 12, withPad: " ", startingAt: 0)
            let questions = try await vectors(embedder, queries.map(\.text), for: .question)
            for (purpose, name) in [(Embedder.Purpose.question, "float32"), (.document, "int8")] {
                let documents = try await vectors(embedder, corpus.map { ($0.title ?? "") + " " + $0.text }, for: purpose)
                let ranked = questions.map { question -> [Int] in
                    let scores = documents.map { zip($0, question).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
                    return Array(scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(10))
                }
                let sum = zip(queries, ranked).reduce(0.0) { $0 + nDCG($1.1, grades[$1.0._id]!) }
                report += String(format: " %@ %.4f", name, sum / Double(queries.count))
                rankings.append(ranked)
            }
            let kept = zip(rankings[0], rankings[1]).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
            say(report + String(format: "   %.1f %% of the ten best kept", 100 * Double(kept) / Double(10 * queries.count)))
        }
    }

    private static func vectors(_ embedder: Embedder, _ texts: [String], for purpose: Embedder.Purpose) async throws -> [[Float]] {
        var vectors: [[Float]] = []
        for start in stride(from: 0, to: texts.count, by: 256) {
            vectors += try await embedder.embed(Array(texts[start..<min(start + 256, texts.count)]), for: purpose, as: .publish)
        }
        return vectors
    }

    /// trec_eval's ndcg_cut_10.
    private static func nDCG(_ ranking: [Int], _ grades: [Int: Double]) -> Double {
        func sum(_ gains: some Sequence<Double>) -> Double { gains.enumerated().reduce(0) { $0 + $1.element / log2(Double($1.offset) + 2) } }
        let ideal = sum(grades.values.sorted(by: >).prefix(10))
        return ideal > 0 ? sum(ranking.map { grades[$0] ?? 0 }) / ideal : 0
    }
}
