import Base
import Embedding
import Engine
import Foundation
import LMDB
import Search

/// Documents published as JSON under their title, split into nodes and embedded as any publish is, then asked for through the database.
/// A document is as good as its best node.
enum Nodes {
    static func run(_ set: RelevanceSet, _ embedder: Embedder) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nodes-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        var configuration = DatabaseConfiguration(directory: folder.path)
        (configuration.durability, configuration.mapBytes) = (.unsafeNoSync, 8 << 30)
        let models = Models(identity: "built in", dimension: 384, embed: { try await embedder.embed($0) }, countTokens: { _ in 1 })
        let database = try Database(configuration: configuration, models: models)
        let project = try Name("nodes", field: "project")
        var places: [String: Int] = [:]
        for start in stride(from: 0, to: set.published.count, by: 64) {
            let commands = try (start..<min(start + 64, set.published.count)).map { place in
                places[set.published[place].key] = place
                return PublishCommand(project: project, key: try Name(set.published[place].key, field: "key"), data: set.published[place].data)
            }
            for outcome in await database.publish(.standard, commands) { _ = try outcome.get() }
        }
        for mode in [SearchMode.keyword, .semantic, .hybrid] {
            var sum = 0.0
            for query in set.queries {
                let request = QueryRequest(project: project, text: query.text, topK: 100, threshold: mode == .semantic ? -1 : 0, mode: mode)
                var seen: Set<String> = []
                let keys = try await database.query(.standard, request).matches.map(\.documentKey).filter { seen.insert($0).inserted }
                let ranking = keys.compactMap { places[$0] }
                sum += nDCG(ranking, query.grades)
            }
            print(String(format: "\(set.name) as nodes, \(mode.rawValue): nDCG@10 %.4f", sum / Double(set.queries.count)))
        }
        await database.close()
    }
}
