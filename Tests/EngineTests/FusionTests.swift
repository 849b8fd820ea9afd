import Base
import Embedding
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import TestSupport
import Testing
import Tokens

@Suite struct FusionTests {
    @Test func risesInBothPartsAndStaysInside() {
        var random = SeededRandom(seed: testSeed("risesInBothPartsAndStaysInside"))
        for _ in 0..<10_000 {
            let ceiling = Float(random.unit() * 60)
            let (cosine, bm25) = (Float(random.unit() * 2 - 1), ceiling * Float(random.unit()))
            let similarity = Fusion.similarity(cosine: cosine, bm25: bm25, ceiling: ceiling)
            #expect(similarity > 0 && similarity < 1)
            #expect(Fusion.similarity(cosine: cosine - 0.02, bm25: bm25, ceiling: ceiling) < similarity)
            if ceiling > 1 { #expect(Fusion.similarity(cosine: cosine, bm25: bm25 * 0.9 - 0.01, ceiling: ceiling) < similarity) }
        }
    }

    /// A query without a term, an empty project, rounding over the ceiling: never NaN, never outside.
    @Test func edges() {
        let cases: [(cosine: Float, bm25: Float, ceiling: Float)] = [
            (0, 0, 0), (1, 0, 0), (-1, 0, 0), (1, 5.001, 5), (1, 1, 0), (0, 0, 1e-30), (0, 1e-30, 1e-30), (1.0001, 60, 60), (1, 1e9, 1e9),
        ]
        for (cosine, bm25, ceiling) in cases {
            let similarity = Fusion.similarity(cosine: cosine, bm25: bm25, ceiling: ceiling)
            #expect(similarity >= 0 && similarity <= 1, "\(cosine) \(bm25) \(ceiling) \(similarity)")
        }
        #expect(Fusion.similarity(cosine: 0.4, bm25: 3, ceiling: 0) == Fusion.similarity(cosine: 0.4, bm25: 0, ceiling: 0))
    }

    /// Needs as agents write them, nodes as small JSON objects give them, and whether one answers the other. All nodes are one
    /// project, so that BM25 has its statistics from 25 small nodes, the hard end of its range.
    static let pairs: [(need: String, node: String, related: Bool)] = [
        ("authentication and user login settings", "auth | method: OAuth2 | provider: Auth0", true),
        ("programming language and database", "tech | backend: Python FastAPI | db: PostgreSQL", true),
        (
            "programming languages and frameworks used",
            "tech_stack | backend: Python FastAPI | frontend: React TypeScript | database: PostgreSQL 15", true
        ),
        ("code style guidelines", "style | indent: four spaces | quotes: double | naming: snake case", true),
        ("how do we format code", "style | indent: four spaces | quotes: double | naming: snake case", true),
        ("which database and cache do we use", "tech | backend: Python FastAPI | db: PostgreSQL 15 | cache: Redis", true),
        ("where do error reports go", "monitoring | errors: Sentry | metrics: Prometheus | dashboards: Grafana", true),
        ("deployment and hosting environment", "infra | cloud: AWS | region: eu-west-1 | orchestrator: Kubernetes", true),
        ("API rate limits", "api limits | requests_per_minute: 100 | burst: 20", true),
        ("payment provider configuration", "billing | processor: Stripe | currency: EUR | webhook: /hooks/stripe", true),
        ("how to run the tests", "testing | framework: pytest | coverage: 85% | command: make test", true),
        ("who is on call this week", "oncall | primary: Maria Lopez | secondary: Jan Novak | week: 2024-W12", true),
        ("email sending settings", "smtp | host: mail.example.com | port: 587 | tls: true", true),
        ("feature flags for the checkout page", "flags checkout | new_summary: true | express_pay: false", true),
        ("database connection pool size", "db | host: localhost | maxConnections: 50 | idleTimeout: 30", true),
        ("logging configuration", "logger | level: debug | output: stdout | format: json", true),
        ("team members and their roles", "people | n: Bob | role: developer", true),
        ("session timeout and token expiry", "auth session | ttl: 3600 | refresh: true", true),
        ("supported languages of the user interface", "i18n | locales: en, de, fr | default: en", true),
        ("backup schedule", "maintenance | nightly_dump: 02:00 UTC | retention_days: 30", true),
        ("authentication and user login settings", "style | indent: four spaces | quotes: double | naming: snake case", false),
        ("authentication and user login settings", "weather | city: Lisbon | temperature: 21 | wind: 12 km/h", false),
        ("programming language and database", "oncall | primary: Maria Lopez | secondary: Jan Novak | week: 2024-W12", false),
        ("the price of fish in Lisbon", "tech | backend: Python FastAPI | db: PostgreSQL | cache: Redis", false),
        ("code style guidelines", "billing | processor: Stripe | currency: EUR | webhook: /hooks/stripe", false),
        ("how do we format code", "infra | cloud: AWS | region: eu-west-1 | orchestrator: Kubernetes", false),
        ("where do error reports go", "people | n: Bob | role: developer", false),
        ("deployment and hosting environment", "style | indent: four spaces | quotes: double | naming: snake case", false),
        ("API rate limits", "people | n: Bob | role: developer", false),
        ("payment provider configuration", "testing | framework: pytest | coverage: 85% | command: make test", false),
        ("how to run the tests", "smtp | host: mail.example.com | port: 587 | tls: true", false),
        ("who is on call this week", "db | host: localhost | maxConnections: 50 | idleTimeout: 30", false),
        ("email sending settings", "monitoring | errors: Sentry | metrics: Prometheus | dashboards: Grafana", false),
        ("backup schedule", "i18n | locales: en, de, fr | default: en", false),
        ("team members and their roles", "infra | cloud: AWS | region: eu-west-1 | orchestrator: Kubernetes", false),
        ("database connection pool size", "menu | starter: tomato soup | main: grilled salmon | dessert: ice cream", false),
        ("logging configuration", "weather | city: Lisbon | temperature: 21 | wind: 12 km/h", false),
        ("weather forecast for tomorrow", "auth | method: OAuth2 | provider: Auth0", false),
        ("supported languages of the user interface", "db | host: localhost | maxConnections: 50 | idleTimeout: 30", false),
        ("session timeout and token expiry", "menu | starter: tomato soup | main: grilled salmon | dessert: ice cream", false),
        ("recipes with chicken", "flags checkout | new_summary: true | express_pay: false", false),
        ("quarterly revenue numbers", "logger | level: debug | output: stdout | format: json", false),
    ]

    @Test(.enabled(if: TestData.hasModel)) func halfIsTheCutForSmallNodes() async throws {
        let model = try EmbeddingModel(folder: TestData.model!.path)
        let embedder = Embedder(model: model, tokenizer: model.tokenizer, threads: 1, cacheBytes: 0)
        defer { embedder.shutdown() }
        let folder = TemporaryFolder()
        let store = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        let nodes = Set(Self.pairs.map(\.node)).sorted()
        var write = try store.beginWrite()
        for (number, node) in nodes.enumerated() { try index.add(NodeID(rawValue: UInt32(number)), AnalyzedText(node), in: &write) }
        try write.commit()

        let needVectors = try await embedder.embed(Self.pairs.map(\.need))
        let nodeVectors = try await embedder.embed(Self.pairs.map(\.node))
        var wrong: [String] = []
        for (place, pair) in Self.pairs.enumerated() {
            let cosine = zip(needVectors[place], nodeVectors[place]).reduce(0) { $0 + $1.0 * $1.1 }
            let weights = try store.read { try index.weights(TextQuery(pair.need), in: $0) }
            let similarity = Fusion.similarity(cosine: cosine, bm25: weights.score(AnalyzedText(pair.node)), ceiling: weights.ceiling)
            if (similarity >= 0.5) != pair.related { wrong.append("\(pair.need) <> \(pair.node): \(similarity), cosine \(cosine)") }
        }
        // What the model cannot see (a list of product names for "programming languages and frameworks used") may stay wrong.
        #expect(wrong.count <= 1, "\(wrong)")
    }
}
