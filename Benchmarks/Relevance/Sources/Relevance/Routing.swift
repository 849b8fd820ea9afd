import Base
import Content
import Engine
import Foundation
import LMDB
import Needs
import Search
import Synchronization

/// Who is told: every query is a registered need of an agent of its own, the documents are published one by one in the order of the
/// corpus into a real database that starts empty, and each update that an agent gets counts. Every number that a similarity depends on is the
/// engine's own at the moment of that publish. A document is one node, `{"text": ...}` under a key without words.
enum Routing {
    struct Figures {
        var told = 0
        var right = 0
        var relevant = 0

        var precision: Double { told == 0 ? 0 : Double(right) / Double(told) }
        var recall: Double { relevant == 0 ? 0 : Double(right) / Double(relevant) }
        /// Of pairs of need and document.
        var f1: Double { told + relevant == 0 ? 0 : 2 * Double(right) / Double(told + relevant) }
    }

    /// - Parameter mode: hybrid is the calibrated similarity, semantic the plain cosine.
    static func measure(_ set: RelevanceSet, _ vectors: VectorSource, mode: SearchMode) async throws -> Figures {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("routing-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let documentVectors = try await vectors.vectors(of: set.modelTexts, name: "\(set.name).\(set.vectors)")
        let queryVectors = try await vectors.vectors(of: set.queries.map(\.text), name: "\(set.name).queries")
        let data: [JSONValue] = set.documents.map { .object(JSONObject([("text", .string($0))])) }
        var known: [String: [Float]] = [:]
        for (value, vector) in zip(data, documentVectors) { known[SearchText.embedded(key: "7", path: "root", kind: "object", value: value)] = vector }
        for (query, vector) in zip(set.queries, queryVectors) { known[query.text] = vector }
        let table = known

        var configuration = DatabaseConfiguration(directory: folder.path)
        (configuration.durability, configuration.mapBytes, configuration.mode) = (.unsafeNoSync, 8 << 30, mode)
        let models = Models(
            identity: "of the cache", dimension: queryVectors[0].count,
            embed: { texts in
                try texts.map { text in
                    guard let vector = table[text] else { throw ContexError(.bug, "no vector for '\(text.prefix(80))'") }
                    return vector
                }
            }, countTokens: { _ in 1 })
        let database = try Database(configuration: configuration, models: models)
        let sink = Updates()
        database.setSink(sink, for: .redis)
        let project = try Name("routing", field: "project")
        for (place, query) in set.queries.enumerated() {
            _ = try await database.register(.standard, RegisterCommand(project: project, agent: Name("\(place)", field: "agent"), needs: [query.text]))
        }
        for start in stride(from: 0, to: data.count, by: 64) {
            let commands = try (start..<min(start + 64, data.count)).map {
                PublishCommand(project: project, key: try Name("\($0)", field: "key"), data: data[$0])
            }
            for outcome in await database.publish(.standard, commands) { _ = try outcome.get() }
        }
        await database.close()

        var figures = Figures()
        figures.relevant = set.queries.reduce(0) { $0 + $1.grades.count { $0.value > 0 } }
        for (agent, document) in sink.pairs.withLock({ $0 }) {
            figures.told += 1
            if set.queries[agent].grades[document] ?? 0 > 0 { figures.right += 1 }
        }
        return figures
    }

    /// Agent and document of each update.
    private final class Updates: NotificationSink {
        let pairs = Mutex<[(Int, Int)]>([])

        func deliver(_ notification: Engine.Notification) {
            guard case .update(_, let key, _) = notification.message, let agent = Int(notification.agent.name.text), let document = Int(key) else { return }
            pairs.withLock { $0.append((agent, document)) }
        }
    }
}
