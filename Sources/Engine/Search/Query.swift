// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold.

public import Base
internal import KeySpace
internal import LMDB
internal import Vectors

extension Database {
    /// The nodes of a project that answer a text, a vector, or both, best first: at most `topK`, all of at least the threshold,
    /// cut to `maxTokens`. An unknown project has none.
    /// - Throws: `.invalid` for a vector that is none of the model's dimension, a mode that the question does not serve, and an
    ///   effort that is out of range; `.unavailable`; `.damaged`.
    public func query(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        let mode = try request.mode(standard: configuration.mode)
        let effort = try request.effort()
        let threshold = request.threshold ?? configuration.threshold
        let vector: [Float]?
        if let own = request.vector {
            vector = try VectorIndex.unit(own, dimension: models.dimension, field: "query_vector")
        } else if mode == .keyword {
            vector = nil
        } else {
            vector = try await models.embed([request.text])[0]
            queryUse.note(request.text, of: tenant)
        }
        let dimension = models.dimension
        let matches: [Match] = try await read { view in
            guard let scope = try Self.scope(tenant, request.project, view) else { return [] }
            let search = NodeSearch(
                scope: scope, dimension: dimension, mode: mode, threshold: threshold, explain: request.explain, effort: effort)
            return try search.matches(Question(text: request.text, vector: vector), count: request.topK, in: view)
        }
        guard let budget = request.maxTokens else { return QueryAnswer(query: request.text, matches: matches) }
        return QueryAnswer(query: request.text, matches: ContextPacking.cut([(request.text, matches)], tokens: budget)[0].matches)
    }
}

extension QueryRequest {
    /// What is scored: a vector has no words, and words alone have no vector of the asker's.
    func mode(standard: SearchMode) throws(ContexError) -> SearchMode {
        guard vector != nil else { return mode ?? standard }
        if mode == .keyword {
            throw .invalid(field: "mode", kind: "value_error", message: "Value error, mode 'keyword' compares words: it has no use for a query_vector")
        }
        if text.isEmpty {
            guard mode != .hybrid else {
                throw .invalid(field: "mode", kind: "value_error", message: "Value error, mode 'hybrid' needs the words of a query beside its query_vector")
            }
            return .semantic
        }
        return mode ?? .hybrid
    }

    func effort() throws(ContexError) -> SearchEffort? {
        switch (efSearch, recall) {
        case (nil, nil): return nil
        case (let candidates?, nil):
            guard (1...Limits.efSearch).contains(candidates) else {
                throw .invalid(field: "ef_search", kind: "value_error", message: "Value error, ef_search must be from 1 to \(Limits.efSearch)")
            }
            return .candidates(candidates)
        case (nil, let share?):
            guard share >= 0.5, share <= 0.999 else {
                throw .invalid(field: "recall", kind: "value_error", message: "Value error, recall must be from 0.5 to 0.999")
            }
            return .recall(share)
        case (_?, _?):
            throw .invalid(field: "recall", kind: "value_error", message: "Value error, recall chooses ef_search: give one of the two")
        }
    }
}
