import Base
import Content
import Embedding
import Engine
import Foundation
import KeySpace
import LMDB
import Search
import TestSupport
import Testing
import Vectors

/// The graph over real vectors: short real texts, the real model, exact search as the oracle.
@Suite(.enabled(if: TestData.hasData && TestData.hasModel))
struct RecallTests {
    /// Titles of the retrieval sets' documents and their queries, each once.
    private static func realTexts() throws -> [String] {
        var texts: [String] = []
        var seen: Set<String> = []
        for (file, field) in [
            ("scifact/corpus.jsonl", "title"), ("cacm/corpus.jsonl", "title"), ("scifact/queries.jsonl", "text"),
            ("bfcl-static/queries.jsonl", "text"), ("cosqa-dev/queries.jsonl", "text"), ("cosqa-dev/corpus.jsonl", "text"),
        ] {
            for line in try TestData.file("retrieval/\(file)").split(separator: UInt8(ascii: "\n")) {
                guard let text = try JSONParser.parse(Array(line))[field]?.stringValue else { continue }
                let short = String(text.prefix(100))
                if !short.isEmpty, seen.insert(short).inserted { texts.append(short) }
            }
        }
        return texts
    }

    @Test func ninetyEightOfAHundredNeighboursAreFoundAmongTenThousand() async throws {
        let texts = try Self.realTexts()
        try #require(texts.count >= 10_100)
        let model = try EmbeddingModel(folder: #require(TestData.model).path)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 2, cacheBytes: 0)
        defer { embedder.shutdown() }
        let vectors = try await embedder.embed(Array(texts.prefix(10_100)))

        let folder = TemporaryFolder()
        let environment = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 4 << 30))
        let index = VectorIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        var transaction = try environment.beginWrite()
        for place in 0..<10_000 { try index.insert(NodeID(rawValue: UInt32(place + 1)), vectors[place], in: &transaction) }
        try transaction.commit()

        let recall = try environment.read { (view: borrowing TransactionView) throws in
            var found = 0
            for query in vectors[10_000...] {
                let exact = Set(try index.exactSearch(query, count: 10, in: view).map(\.node))
                found += try index.search(query, count: 10, in: view).count { exact.contains($0.node) }
            }
            return Double(found) / 1_000
        }
        print("recall@10 over 10,000 real vectors: \(recall)")
        #expect(recall >= 0.98)
    }

    /// The original's own example: on the scale of cosines this need does not reach this node at 0.5. (It gives 0.25 here; the text
    /// that we embed, without the splitter's names and with the data key, is nearer.)
    @Test func theSemanticModeIsTheCosine() async throws {
        let model = try EmbeddingModel(folder: #require(TestData.model).path)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 1, cacheBytes: 1 << 20)
        defer { embedder.shutdown() }
        let fixture = try Fixture(
            models: Models(identity: model.identity, dimension: model.dimension, embed: { try await embedder.embed($0) }, countTokens: { $0.utf8.count / 4 }))
        try await fixture.publish("p", "tech", ["backend": "Python FastAPI", "db": "PostgreSQL"])
        let need = "programming language and database"
        #expect(try await fixture.query("p", need, mode: .semantic, threshold: 0.5).isEmpty)
        let match = try #require(try await fixture.query("p", need, mode: .semantic).first)
        let pair = try await embedder.embed([need, "tech | backend: Python FastAPI | db: PostgreSQL"])
        let cosine = zip(pair[0], pair[1]).reduce(0) { $0 + Double($1.0 * $1.1) }
        #expect(abs(match.similarity - cosine) < 1e-4)
        #expect(match.similarity > 0.3)
        await fixture.database.close()
    }
}
