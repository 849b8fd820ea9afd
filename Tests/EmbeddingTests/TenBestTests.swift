// What bytes cost a search: documents in int8 against documents in float32, both asked with questions in float32.
import Embedding
import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: TestData.hasData && TestData.hasModel))
struct TenBestTests {
    private struct Line: Decodable {
        let title: String?
        let text: String
    }

    /// A sample of every set, so that the ten best of a question are close to each other in some and far apart in others. All documents and
    /// questions are measured by `Benchmarks/Embedding`, `quality`.
    @Test func bytesKeepTheTenBest() async throws {
        let model = try #require(sharedBytesModel)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
        var (kept, asked) = (0, 0)
        for (set, documentsMax, questionsMax) in [("scifact", 100, 100), ("cacm", 500, 52), ("bfcl-static", 200, 200), ("cosqa-dev", 400, 200)] {
            func texts(_ file: String, _ most: Int) throws -> [String] {
                let lines = try TestData.file("retrieval/\(set)/\(file)").split(separator: 10)
                return try stride(from: 0, to: lines.count, by: max(1, lines.count / most)).prefix(most).map {
                    let line = try JSONDecoder().decode(Line.self, from: Data(lines[$0]))
                    return (line.title.map { $0 + " " } ?? "") + line.text
                }
            }
            let documents = try texts("corpus.jsonl", documentsMax)
            let exact = try await embedder.embed(documents, for: .question, as: .publish)
            let bytes = try await embedder.embed(documents, for: .document, as: .publish)
            for question in try await embedder.embed(try texts("queries.jsonl", questionsMax), as: .publish) {
                func best(_ vectors: [[Float]]) -> Set<Int> {
                    let scores = vectors.map { zip($0, question).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
                    return Set(scores.indices.sorted { (-scores[$0], $0) < (-scores[$1], $1) }.prefix(10))
                }
                kept += best(exact).intersection(best(bytes)).count
                asked += 10
            }
        }
        let part = Double(kept) / Double(asked)
        print("int8 keeps \(part) of \(asked) of float32's ten best")
        #expect(part >= 0.99)
        embedder.shutdown()
    }
}
