import Base
import Embedding
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import Search
import Tokens
import Vectors

/// `ranking` (the default) ranks the documents of each set for each of its judged queries and prints the mean nDCG@10 beside the
/// figures that others reached (BM25: Lucene; dense: sentence-transformers, exact; RRF of two lists of 100; convex combination). The hybrid
/// columns fuse the union of the 100 best of both sides, each with both true scores, as the engine does it.
///
/// `routing` registers the queries as needs, publishes the documents and prints who was told (Routing). `nodes` publishes bfcl-static as the JSON that it
/// is and asks the database (Nodes). `packing` measures contexts under a budget (Packing). `export` writes what tools/calibrate reads (Export).
@main
enum Relevance {
    static let reference: [(name: String, figures: [Double])] = [
        ("scifact", [0.6828, 0.6451, 0.7180, 0.7342, 0.7342]), ("cacm", [0.4802, 0.4442, 0.5551, 0.5612, 0.5612]),
        ("bfcl-static", [0.8538, 0.7874, 0.8439, 0.8656, 0.8656]), ("cosqa-dev", [0.3828, 0.6031, 0.5261, 0.5759, 0.5759]),
    ]
    static let candidates = 100

    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        var arguments = Array(CommandLine.arguments.dropFirst())
        guard let data = environment["CONTEX_TEST_DATA"], let modelFolder = environment["CONTEX_MODEL_DIR"], !arguments.contains("--help") else {
            print(
                """
                CONTEX_TEST_DATA=folder with retrieval/ CONTEX_MODEL_DIR=folder [CONTEX_VECTOR_CACHE=folder] Relevance
                    [ranking] [set ...]     nDCG@10 of every method
                    routing [set ...]       F1 of who is told, calibrated similarity against plain cosine, both at 0.5
                    nodes                   bfcl-static through the whole database
                    packing [set ...]       relevance of a context of so many tokens
                    export FOLDER           terms and vectors of the sets for tools/calibrate
                """)
            return
        }
        let command = arguments.first.flatMap { ["ranking", "routing", "nodes", "packing", "export"].contains($0) ? arguments.removeFirst() : nil } ?? "ranking"
        let model = try EmbeddingModel(folder: modelFolder)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
        defer { embedder.shutdown() }
        let vectors = VectorSource(embedder: embedder, cache: environment["CONTEX_VECTOR_CACHE"])
        func set(_ name: String, judgements: String = "qrels.tsv") throws -> RelevanceSet {
            try RelevanceSet(
                name: name, folder: URL(fileURLWithPath: data).appendingPathComponent("retrieval/\(name)"), judgements: judgements)
        }
        let chosen = reference.filter { arguments.isEmpty || command == "export" || arguments.contains($0.name) }
        switch command {
        case "export":
            guard let folder = arguments.first else { throw ContexError.badRequest("export needs a folder") }
            for (name, _) in chosen { try await Export.write(set(name), vectors, as: name, to: folder) }
            try await Export.write(set("scifact", judgements: "qrels-train.tsv"), vectors, as: "scifact-train", to: folder)
            try await Export.write(pairs: folder + "/pairs.tsv", vectors, to: folder)
        case "packing":
            let ranks = try Data(contentsOf: URL(fileURLWithPath: modelFolder).appendingPathComponent("cl100k_base.tiktoken"))
            try await Packing(tokenizer: CL100KTokenizer(ranks: Array(ranks))).run(chosen.map { try set($0.name) }, vectors)
        case "nodes": try await Nodes.run(set("bfcl-static"), embedder)
        case "routing": try await routing(chosen.map { try set($0.name) }, vectors)
        default: try await ranking(chosen.map { (try set($0.name), $0.figures) }, vectors)
        }
    }

    static func ranking(_ sets: [(RelevanceSet, [Double])], _ vectors: VectorSource) async throws {
        print("nDCG@10 (reference)   BM25            dense           RRF             convex .7       hybrid (convex combination)")
        var sums = [Double](repeating: 0, count: 5)
        for (set, figures) in sets {
            let found = try await measure(set, vectors)
            print(row(set.name, found, figures))
            for place in sums.indices { sums[place] += found[place] }
        }
        let count = Double(sets.count)
        print(row("mean", sums.map { $0 / count }, sums.indices.map { place in sets.reduce(0) { $0 + $1.1[place] } / count }))
    }

    static func routing(_ sets: [RelevanceSet], _ vectors: VectorSource) async throws {
        print("told at 0.5           needs x documents  relevant   calibrated: told  precision recall F1       cosine: told  precision recall F1")
        var sums = (0.0, 0.0)
        for set in sets {
            let calibrated = try await Routing.measure(set, vectors, mode: .hybrid)
            let cosine = try await Routing.measure(set, vectors, mode: .semantic)
            func columns(_ figures: Routing.Figures) -> String {
                String(format: "%16d   %.4f    %.4f %.4f", figures.told, figures.precision, figures.recall, figures.f1)
            }
            print(
                set.name.padding(toLength: 22, withPad: " ", startingAt: 0)
                    + String(format: "%5d x %-6d %12d", set.queries.count, set.documents.count, calibrated.relevant) + columns(calibrated) + columns(cosine))
            sums = (sums.0 + calibrated.f1, sums.1 + cosine.f1)
        }
        let count = Double(sets.count)
        print(String(format: "mean F1: calibrated %.4f, cosine %.4f, ratio %.3f", sums.0 / count, sums.1 / count, sums.0 / sums.1))
    }

    static func row(_ name: String, _ found: [Double], _ reference: [Double]) -> String {
        name.padding(toLength: 22, withPad: " ", startingAt: 0)
            + zip(found, reference).map { String(format: "%.4f (%.4f)", $0, $1) }.joined(separator: " ")
    }

    /// What both sides find for a query.
    struct Found {
        let near: [Int]
        let worded: [Int]
        /// Of both, their scores and the calibrated similarity.
        let parts: [NodeID: ScoreParts]
        let hybrid: [Int: Float]

        var best: [Int] { hybrid.keys.sorted { (-hybrid[$0]!, $0) < (-hybrid[$1]!, $1) } }

        func fused(_ method: FusionMethod) -> [Int] {
            func nodes(_ list: [Int]) -> [NodeID] { list.map { NodeID(rawValue: UInt32($0)) } }
            guard let order = Fusion(method).order(nearest: nodes(near), lexical: nodes(worded), parts: parts) else { return best }
            return order.keys.sorted { (-order[$0]!, $0.rawValue) < (-order[$1]!, $1.rawValue) }.map { Int($0.rawValue) }
        }
    }

    /// Mean nDCG@10 of BM25, dense, RRF, convex combination, calibrated similarity.
    static func measure(_ set: RelevanceSet, _ vectors: VectorSource) async throws -> [Double] {
        var sums = [Double](repeating: 0, count: 5)
        try await forEachQuery(of: set, vectors) { query, found, _ in
            for (place, ranking) in [found.worded, found.near, found.fused(.rrf), found.fused(.convex), found.best].enumerated() {
                sums[place] += nDCG(ranking, query.grades)
            }
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

        let documents = try await vectors.vectors(of: set.modelTexts, name: "\(set.name).\(set.vectors)")
        let queries = try await vectors.vectors(of: set.queries.map(\.text), name: "\(set.name).queries")
        let mean = VectorMean(documents, dimension: documents[0].count)
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
            let score = CalibratedScore(weights.features, meanCosine: mean.cosine(vector[...]))
            var (parts, hybrid): ([NodeID: ScoreParts], [Int: Float]) = ([:], [:])
            for (document, bm25) in scores {
                parts[NodeID(rawValue: UInt32(document))] = ScoreParts(
                    cosine: cosines[document], bm25: bm25, ceiling: score.ceiling, cut: score.cut)
                hybrid[document] = score.similarity(cosine: cosines[document], bm25: bm25)
            }
            try body(query, Found(near: near, worded: worded, parts: parts, hybrid: hybrid), documents)
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
        let vectors = try await embed(texts)
        if let file { try vectors.flatMap { $0 }.withUnsafeBytes { try Data($0).write(to: file) } }
        return vectors
    }

    func embed(_ texts: [String]) async throws -> [[Float]] {
        var vectors: [[Float]] = []
        for start in stride(from: 0, to: texts.count, by: 256) {
            vectors += try await embedder.embed(Array(texts[start..<min(start + 256, texts.count)]))
        }
        return vectors
    }
}
