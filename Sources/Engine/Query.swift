// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold.

public import Base
internal import Content
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

extension Database {
    /// The nodes of a project that answer a text, best first: at most `topK`, all of at least the threshold, cut to
    /// `maxTokens`. An unknown project has none.
    /// - Throws: `.invalid` for an empty or over-long text; `.unavailable`; `.damaged`.
    public func query(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        let mode = request.mode ?? configuration.mode
        let threshold = request.threshold ?? configuration.threshold
        let vector = mode == .keyword ? nil : try await models.embed([request.text])[0]
        if mode != .keyword { queryUse.note(request.text, of: tenant) }
        let dimension = models.dimension
        let matches: [Match] = try await read { view in
            guard let scope = try Self.scope(tenant, request.project, view) else { return [] }
            let search = NodeSearch(scope: scope, dimension: dimension, mode: mode, threshold: threshold, explain: request.explain)
            return try search.matches(request.text, vector: vector, count: request.topK, in: view)
        }
        guard let budget = request.maxTokens else { return QueryAnswer(query: request.text, matches: matches) }
        return QueryAnswer(query: request.text, matches: ContextPacking.cut([(request.text, matches)], tokens: budget)[0].matches)
    }
}

/// The search of one project on one snapshot, for queries and for the needs of a registration.
struct NodeSearch {
    let scope: TenantScope
    let dimension: Int
    let mode: SearchMode
    let threshold: Double
    var explain = false

    /// Candidates that each index is asked for: enough that fusion rarely misses a node that is middling on both sides.
    static func candidateCount(_ count: Int) -> Int { max(100, 4 * count) }

    private struct Candidate {
        let node: NodeID
        var parts: ScoreParts
        let similarity: Float
    }

    func matches(_ text: String, vector: [Float]?, count: Int, in view: borrowing TransactionView) throws -> [Match] {
        let vectors = VectorIndex(scope: scope, dimension: dimension)
        let texts = TextIndex(scope: scope)
        let query = TextQuery(text)
        let weights = try texts.weights(query, in: view)

        var near: [VectorMatch] = []
        var worded: [TextMatch] = []
        switch mode {
        case .semantic:
            near = try vectors.search(vector!, count: count, in: view)
        case .keyword:
            worded = try texts.search(query, count: count, in: view)
        case .hybrid:
            near = try vectors.search(vector!, count: Self.candidateCount(count), in: view)
            worded = try texts.search(query, count: Self.candidateCount(count), in: view)
        }

        // Every candidate of either list gets both true scores.
        var cosines: [NodeID: Float] = Dictionary(uniqueKeysWithValues: near.map { ($0.node, $0.cosine) })
        var scores: [NodeID: Float] = Dictionary(uniqueKeysWithValues: worded.map { ($0.node, $0.score) })
        if mode == .hybrid {
            let withoutCosine = worded.map(\.node).filter { cosines[$0] == nil }
            for (node, cosine) in zip(withoutCosine, try vectors.cosines(vector!, of: withoutCosine, in: view)) { cosines[node] = cosine ?? 0 }
            let withoutScore = near.map(\.node).filter { scores[$0] == nil }
            for (node, score) in zip(withoutScore, try texts.scores(weights, of: withoutScore, in: view)) { scores[node] = score ?? 0 }
        }

        var candidates: [Candidate] = []
        for node in Set(cosines.keys).union(scores.keys) {
            let parts = ScoreParts(cosine: cosines[node] ?? 0, bm25: scores[node] ?? 0, ceiling: weights.ceiling)
            let similarity = parts.similarity(mode)
            if Double(similarity) >= threshold { candidates.append(Candidate(node: node, parts: parts, similarity: similarity)) }
        }
        candidates.sort { $0.similarity == $1.similarity ? $0.node < $1.node : $0.similarity > $1.similarity }

        let documents = DocumentStore(scope: scope)
        return try candidates.prefix(count).map { candidate in
            guard let record = try documents.node(candidate.node, in: view) else {
                throw ContexError.damaged("node \(candidate.node.rawValue) is indexed but is not there: run 'contex check'")
            }
            var explanation: Explanation? = nil
            if explain {
                let text = AnalyzedText(record.description)
                explanation = Explanation(
                    mode: mode, cosine: Double(candidate.parts.cosine), bm25: Double(candidate.parts.bm25),
                    bm25Ceiling: Double(weights.ceiling),
                    terms: weights.explain(text).map { ($0.term, Double($0.score)) },
                    vectorRank: near.firstIndex { $0.node == candidate.node }.map { $0 + 1 },
                    textRank: worded.firstIndex { $0.node == candidate.node }.map { $0 + 1 },
                    weights: FusionWeights.standard.named)
            }
            return Match(candidate.node, record, similarity: Double(candidate.similarity), explanation: explanation)
        }
    }
}

extension Match {
    init(_ node: NodeID, _ record: NodeRecord, similarity: Double, explanation: Explanation?) {
        let data = MatchData.wrapped(EventData.parsed(record.data))
        self.init(
            nodeKey: record.nodeKey, documentKey: record.documentKey, similarity: similarity, data: data, description: record.description,
            tokenCount: record.tokenCount, preview: MatchData.preview(data), explanation: explanation, node: node, document: record.document)
    }
}

/// How a node's data is shown.
enum MatchData {
    /// An object as it is, anything else under `value`.
    static func wrapped(_ value: JSONValue) -> JSONValue {
        if case .object = value { return value }
        return ["value": value]
    }

    /// The first 200 characters of the data in JSON with an indent of two, and `...` when there is more.
    static func preview(_ data: JSONValue) -> String {
        let text = JSONPrinter.text(data, style: .pretty2)
        guard text.unicodeScalars.count > 200 else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(200))) + "..."
    }
}
