import Foundation
import FullText

/// A set as numbers, for tools that know nothing of analysers and models: terms as the engine's analyser makes them (a line a text), vectors
/// (little-endian float32, a row a text), and the judgements as rows of query, document and grade by their places.
enum Export {
    static func write(_ set: RelevanceSet, _ vectors: VectorSource, as name: String, to folder: String) async throws {
        let queries = set.queries.map(\.text)
        let rows = set.queries.enumerated().flatMap { place, query in query.grades.sorted { $0.key < $1.key }.map { (place, $0.key, $0.value) } }
        try write(
            name, to: folder, documents: set.documents, queries: queries, grades: rows,
            documentVectors: try await vectors.vectors(of: set.modelTexts, name: "\(set.name).\(set.vectors)"),
            queryVectors: try await vectors.vectors(of: queries, name: "\(name).queries"))
    }

    /// Rows of need, node and true or false.
    static func write(pairs file: String, _ vectors: VectorSource, to folder: String) async throws {
        let pairs = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
        let (needs, nodes) = (Set(pairs.map { $0[0] }).sorted(), Set(pairs.map { $0[1] }).sorted())
        let rows = pairs.map { (needs.firstIndex(of: $0[0])!, nodes.firstIndex(of: $0[1])!, $0[2] == "true" ? 1.0 : 0) }
        try write(
            "small", to: folder, documents: nodes, queries: needs, grades: rows, documentVectors: try await vectors.embed(nodes),
            queryVectors: try await vectors.embed(needs))
    }

    private static func write(
        _ name: String, to folder: String, documents: [String], queries: [String], grades: [(Int, Int, Double)], documentVectors: [[Float]],
        queryVectors: [[Float]]
    ) throws {
        let folder = URL(fileURLWithPath: folder)
        let analyzer = Analyzer()
        for (kind, texts) in [("documents", documents), ("queries", queries)] {
            let lines = texts.map { analyzer.terms($0).joined(separator: " ") }
            try lines.joined(separator: "\n").write(to: folder.appendingPathComponent("\(name).\(kind).terms"), atomically: true, encoding: .utf8)
        }
        for (kind, list) in [("documents", documentVectors), ("queries", queryVectors)] {
            try list.flatMap { $0 }.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent("\(name).\(kind).f32")) }
        }
        let rows = grades.map { "\($0.0)\t\($0.1)\t\($0.2)" }
        try rows.joined(separator: "\n").write(to: folder.appendingPathComponent("\(name).grades.tsv"), atomically: true, encoding: .utf8)
    }
}
