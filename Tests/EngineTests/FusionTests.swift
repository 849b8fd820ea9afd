import Base
import Embedding
import Engine
import Foundation
import FullText
import KeySpace
import LMDB
import Needs
import Search
import TestSupport
import Testing
import Tokens
import Vectors

@Suite struct FusionTests {
    /// The cut of a query is one number whatever the project holds, inside its bounds, and no less than what is known before look-ups.
    @Test func theCutStaysInItsBounds() throws {
        let folder = TemporaryFolder()
        let store = try Environment(path: folder.path, options: .init(durability: .unsafeNoSync, mapBytes: 1 << 30))
        let index = TextIndex(scope: TenantScope(tenant: .standard, project: ProjectID(rawValue: 1)))
        let bounds = Calibration.standard.bounds
        var random = SeededRandom(seed: testSeed("theCutStaysInItsBounds"))
        let queries = ["", "the", "w1", "w1 w2 w1", "unknown", "w3 unknown w3 words", String(repeating: "w5 ", count: 3_000)]
        for round in 0..<40 {
            for text in queries {
                let weights = try store.read { try index.weights(TextQuery(text), in: $0) }
                let cuts = [-1, 0, 0.3, 1].map { CalibratedScore(weights.features, meanCosine: $0).cut }
                #expect(cuts.allSatisfy(bounds.contains), "\(round) texts, '\(text.prefix(20))': \(cuts)")
                // Nearer to everything is a higher cut; but one text is not held against itself, and a subject that all share not without end.
                #expect(cuts == cuts.sorted() && cuts[0] == cuts[1] && cuts[3] - cuts[1] <= Calibration.standard.meanCosine * 0.2 + 1e-4)
                if round <= 1 { #expect(cuts[3] - cuts[1] <= Calibration.standard.meanCosine / 21 + 1e-4) }
            }
            var write = try store.beginWrite()
            let words = (0..<(1 << Int(random.unit() * 13))).map { _ in "w\(Int(random.unit() * 200))" }
            try index.add(NodeID(rawValue: UInt32(round)), AnalyzedText(words.joined(separator: " ")), in: &write)
            try write.commit()
        }
    }

    // MARK: - Methods

    /// The method orders, the threshold and the similarity stay the calibrated ones.
    @Test func methodsChangeTheOrderAlone() async throws {
        let fixture = try Fixture()
        for number in 0..<40 { try await fixture.publish("p", "k\(number)", ["word": .string("common w\(number % 7) v\(number % 5) u\(number)")]) }
        func ask(_ fusion: FusionMethod?, _ weights: FusionWeights? = nil, threshold: Double = 0) async throws -> [Match] {
            try await fixture.database.query(
                Fixture.tenant,
                QueryRequest(project: Name(stored: "p"), text: "w3 v2 u17", topK: 40, threshold: threshold, fusion: fusion, weights: weights)
            ).matches
        }
        let plain = try await ask(nil)
        let similarities = Dictionary(uniqueKeysWithValues: plain.map { ($0.nodeKey, $0.similarity) })
        #expect(plain.map(\.similarity) == plain.map(\.similarity).sorted(by: >) && plain.count == 40)
        let keyword = try await fixture.query("p", "w3 v2 u17", mode: .keyword, topK: 40).map(\.nodeKey)
        for method in [FusionMethod.rrf, .convex] {
            let found = try await ask(method)
            #expect(found.count == 40 && found.allSatisfy { similarities[$0.nodeKey] == $0.similarity }, "\(method)")
            #expect(found.first?.nodeKey == plain.first?.nodeKey)
            // All weight on one side is that side's order.
            let words = try await ask(method, FusionWeights(semantic: 0, keyword: 1)).map(\.nodeKey)
            #expect(Array(words.prefix(keyword.count)) == keyword, "\(method)")
            let threshold = plain[10].similarity
            #expect(try await ask(method, threshold: threshold).allSatisfy { $0.similarity >= threshold })
        }
        let words = FusionWeights(semantic: 0, keyword: 1)
        let (alone, convex) = (try await ask(nil, words).map(\.nodeKey), try await ask(.convex, words).map(\.nodeKey))
        #expect(alone == convex)
        #expect(try await fixture.closeAndCheck().isEmpty)
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

    /// Who is told of a fresh node is who would find it by a query at that moment, whatever came, changed and went before.
    @Test func needsAreToldByTheSimilarityOfAQuery() async throws {
        let fixture = try Fixture()
        var random = SeededRandom(seed: testSeed("needsAreToldByTheSimilarityOfAQuery"))
        func words(_ count: Int) -> String { (0..<count).map { _ in "w\(Int(random.unit() * random.unit() * 40))" }.joined(separator: " ") }
        let project = Name(stored: "p")
        let needs = (0..<25).map { _ in words(1 + Int(random.unit() * 6)) }
        for (place, need) in needs.enumerated() {
            _ = try await fixture.database.register(
                Fixture.tenant, RegisterCommand(project: project, agent: Name(stored: "\(place)"), needs: [need]))
        }
        var (told, untold) = (0, 0)
        for step in 0..<90 {
            if step % 5 == 4 {
                // The texts and vectors of what goes must leave the statistics and the mean.
                _ = try await fixture.database.delete(Fixture.tenant, project: project, key: Name(stored: "k\(step - 2)"))
                try await fixture.publish("p", "k\(step - 4)", .string(words(20)))
            }
            _ = fixture.sink.take()
            try await fixture.publish("p", "k\(step)", .string(words(1 + Int(random.unit() * 30))))
            let names = Set(fixture.sink.take().map(\.agent.name.text))
            for (place, need) in needs.enumerated() {
                let match = try await fixture.query("p", need, topK: 100).first { $0.documentKey == "k\(step)" }
                let similarity = match?.similarity ?? 0
                #expect(names.contains("\(place)") == (similarity >= 0.5), "step \(step), '\(need)': \(similarity)")
                if similarity >= 0.5 { told += 1 } else { untold += 1 }
            }
        }
        #expect(told > 100 && untold > 100, "\(told) and \(untold)")
        #expect(try await fixture.closeAndCheck().isEmpty)
    }

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
        let mean = VectorMean(try await embedder.embed(nodes), dimension: model.dimension)
        var wrong: [String] = []
        for (place, pair) in Self.pairs.enumerated() {
            let cosine = zip(needVectors[place], nodeVectors[place]).reduce(0) { $0 + $1.0 * $1.1 }
            let weights = try store.read { try index.weights(TextQuery(pair.need), in: $0) }
            let score = CalibratedScore(weights.features, meanCosine: mean.cosine(needVectors[place][...]))
            let similarity = score.similarity(cosine: cosine, bm25: weights.score(AnalyzedText(pair.node)))
            if (similarity >= 0.5) != pair.related { wrong.append("\(pair.need) <> \(pair.node): \(similarity), cosine \(cosine)") }
        }
        // What the model cannot see (a list of product names for "programming languages and frameworks used") may stay wrong.
        #expect(wrong.count <= 1, "\(wrong)")
    }
}
