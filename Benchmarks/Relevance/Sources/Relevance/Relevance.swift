import Base
import Embedding
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import Tokens

/// Ranks the documents of each set for each of its judged queries in four ways and prints the mean nDCG@10 beside the
/// figures that others reached (BM25: Lucene; dense: sentence-transformers, exact; RRF of two lists of 100; convex combination).
///
/// Hybrid is `Fusion.similarity` on the union of the 100 best of both sides, each with both true scores, as the engine does it.
@main
enum Relevance {
    static let reference: [(name: String, figures: [Double])] = [
        ("scifact", [0.6828, 0.6451, 0.7180, 0.7342]), ("cacm", [0.4802, 0.4442, 0.5551, 0.5612]),
        ("bfcl-static", [0.8538, 0.7874, 0.8439, 0.8656]), ("cosqa-dev", [0.3828, 0.6031, 0.5261, 0.5759]),
    ]
    static let candidates = 100

    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let arguments = CommandLine.arguments.dropFirst()
        guard let data = environment["CONTEX_TEST_DATA"], let modelFolder = environment["CONTEX_MODEL_DIR"], !arguments.contains("--help") else {
            print("CONTEX_TEST_DATA=folder with retrieval/ CONTEX_MODEL_DIR=folder [CONTEX_VECTOR_CACHE=folder] Relevance [packing] [set ...]")
            return
        }
        let model = try EmbeddingModel(folder: modelFolder)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
        let vectors = VectorSource(embedder: embedder, cache: environment["CONTEX_VECTOR_CACHE"])
        let chosen = reference.filter { set in arguments.allSatisfy { $0 == "packing" } || arguments.contains(set.name) }
        func load(_ name: String) throws -> RelevanceSet {
            try RelevanceSet(name: name, folder: URL(fileURLWithPath: data).appendingPathComponent("retrieval/\(name)"))
        }
        defer { embedder.shutdown() }
        if arguments.contains("packing") {
            let ranks = try Data(contentsOf: URL(fileURLWithPath: modelFolder).appendingPathComponent("cl100k_base.tiktoken"))
            try await Packing(tokenizer: CL100KTokenizer(ranks: Array(ranks))).run(chosen.map { try load($0.name) }, vectors)
            return
        }
        print("nDCG@10 (reference)   BM25            dense           RRF             hybrid (convex combination)")
        var sums = [Double](repeating: 0, count: 4)
        for (name, figures) in chosen {
            let found = try await measure(try load(name), vectors)
            print(row(name, found, figures))
            for place in sums.indices { sums[place] += found[place] }
        }
        let means = (0..<4).map { place in chosen.reduce(0) { $0 + $1.figures[place] } / Double(chosen.count) }
        print(row("mean", sums.map { $0 / Double(chosen.count) }, means))
    }

    static func row(_ name: String, _ found: [Double], _ reference: [Double]) -> String {
        name.padding(toLength: 22, withPad: " ", startingAt: 0)
            + zip(found, reference).map { String(format: "%.4f (%.4f)", $0, $1) }.joined(separator: " ")
    }

    /// What both sides find for a query.
    struct Found {
        let near: [Int]
        let worded: [Int]
        /// Of both, by `Fusion`.
        let hybrid: [Int: Float]
        var best: [Int] { hybrid.keys.sorted { (-hybrid[$0]!, $0) < (-hybrid[$1]!, $1) } }
    }

    /// Mean nDCG@10 of BM25, dense, RRF, hybrid.
    static func measure(_ set: RelevanceSet, _ vectors: VectorSource) async throws -> [Double] {
        var sums = [Double](repeating: 0, count: 4)
        try await forEachQuery(of: set, vectors) { query, found, _ in
            var ranks: [Int: Double] = [:]
            for list in [found.near, found.worded] {
                for (rank, document) in list.enumerated() { ranks[document, default: 0] += 1 / Double(61 + rank) }
            }
            let rankings = [found.worded, found.near, ranks.keys.sorted { (-ranks[$0]!, $0) < (-ranks[$1]!, $1) }, found.best]
            for (place, ranking) in rankings.enumerated() { sums[place] += nDCG(ranking, query.grades) }
        }
        return sums.map { $0 / Double(set.queries.count) }
    }

    /// - Parameter body: gets the query, what was found for it, and the vectors of all documents.
    static func forEachQuery(
        of set: RelevanceSet, _ vectors: VectorSource, _ body: (RelevanceSet.Query, Found, [[Float]]) throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("relevance-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try LMDB.Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 32))
        let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        var write = try store.beginWrite()
        for (number, text) in set.documents.enumerated() { try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText(text), in: &write) }
        try write.commit()

        let documents = try await vectors.vectors(of: set.documents, name: "\(set.name).corpus")
        let queries = try await vectors.vectors(of: set.queries.map(\.text), name: "\(set.name).queries")
        for (query, vector) in zip(set.queries, queries) {
            let cosines = documents.map { dot($0, vector) }
            let near = Array(cosines.indices.sorted { (-cosines[$0], $0) < (-cosines[$1], $1) }.prefix(candidates))
            let text = TextQuery(query.text)
            let (worded, weights, scores) = try store.read { view in
                let worded = try index.search(text, count: candidates, in: view).map { Int($0.node.rawValue) }
                let weights = try index.weights(text, in: view)
                let union = Set(worded + near).sorted()
                let scores = try index.scores(weights, of: union.map { NodeID(rawValue: UInt32($0)) }, in: view)
                return (worded, weights, Dictionary(uniqueKeysWithValues: zip(union, scores.map { $0 ?? 0 })))
            }
            let hybrid = scores.reduce(into: [Int: Float]()) { result, entry in
                result[entry.key] = Fusion.similarity(cosine: cosines[entry.key], bm25: entry.value, ceiling: weights.ceiling)
            }
            try body(query, Found(near: near, worded: worded, hybrid: hybrid), documents)
        }
    }

    static func dot(_ a: [Float], _ b: [Float]) -> Float {
        var sums = SIMD16<Float>.zero
        for start in stride(from: 0, to: a.count, by: 16) {
            var (x, y) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
            for lane in 0..<16 { (x[lane], y[lane]) = (a[start + lane], b[start + lane]) }
            sums += x * y
        }
        return sums.sum()
    }
}

/// Embeds texts, or reads what an earlier run embedded (little-endian float32, a row each).
struct VectorSource {
    let embedder: Embedder
    let cache: String?

    func vectors(of texts: [String], name: String) async throws -> [[Float]] {
        let file = cache.map { URL(fileURLWithPath: $0).appendingPathComponent("\(name).f32") }
        if let file, let stored = try? Data(contentsOf: file), stored.count % (4 * texts.count) == 0 {
            let numbers = stored.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            let dimension = numbers.count / texts.count
            return texts.indices.map { Array(numbers[$0 * dimension..<($0 + 1) * dimension]) }
        }
        var vectors: [[Float]] = []
        for start in stride(from: 0, to: texts.count, by: 256) {
            vectors += try await embedder.embed(Array(texts[start..<min(start + 256, texts.count)]))
        }
        if let file { try vectors.flatMap { $0 }.withUnsafeBytes { try Data($0).write(to: file) } }
        return vectors
    }
}
