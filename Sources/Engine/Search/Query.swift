// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold.

public import Base
internal import KeySpace
internal import LMDB

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
            return try search.matches(Question(text: request.text, vector: vector), count: request.topK, in: view)
        }
        guard let budget = request.maxTokens else { return QueryAnswer(query: request.text, matches: matches) }
        return QueryAnswer(query: request.text, matches: ContextPacking.cut([(request.text, matches)], tokens: budget)[0].matches)
    }
}
