// Query: candidates from both indexes, every candidate scored by both, one similarity, one threshold.

public import Base
internal import FullText
internal import KeySpace
internal import LMDB
internal import Vectors

extension Database {
    /// The nodes of a project that answer a text, a vector, or both, best first: at most `topK`, all of at least the threshold,
    /// cut to `maxTokens`. An unknown project has none.
    /// - Throws: `.invalid` for a vector that is none of the model's dimension, a mode that the question does not serve, an effort that is
    ///   out of range, and an `asOf` in the future; `.tooLarge` for a past of too many nodes; `.unavailable`; `.damaged`.
    public func query(_ tenant: TenantID, _ request: QueryRequest) async throws -> QueryAnswer {
        let matches = try await matches(tenant, request)
        guard let budget = request.maxTokens else { return QueryAnswer(query: request.text, matches: matches) }
        return QueryAnswer(query: request.text, matches: ContextPacking.cut([(request.text, matches)], tokens: budget)[0].matches)
    }

    private enum Reached: Sendable {
        case present([Match])
        case past(NodeSearch, PastDraft)
    }

    private func matches(_ tenant: TenantID, _ request: QueryRequest) async throws -> [Match] {
        let mode = try request.mode(standard: configuration.mode)
        let effort = try request.effort()
        let threshold = request.threshold ?? configuration.threshold
        let question = try await question(request, mode, of: tenant)
        let dimension = models.dimension
        let reached: Reached = try await read { [self] view in
            let scope = try Self.scope(tenant, request.project, view)
            let past = try request.asOf.flatMap { try pastSequence($0, scope, in: view) }
            guard let scope else { return .present([]) }
            let search = NodeSearch(
                scope: scope, dimension: dimension, mode: mode, threshold: threshold, explain: request.explain, effort: effort)
            guard let past else { return .present(try search.matches(question, count: request.topK, in: view)) }
            return .past(search, try PastDraft(scope, at: past, dimension: dimension, withVectors: mode != .keyword, in: view))
        }
        switch reached {
        case .present(let matches): return matches
        case .past(let search, let draft):
            var nodes = try await onPool { try draft.nodes() }
            if mode != .keyword { nodes = try await embed(nodes) }
            let (past, models) = (nodes, models)
            return try await onPool {
                search.matches(question, count: request.topK, among: PastNodes(past, analyzer: draft.analyzer), models.countTokens)
            }
        }
    }

    /// Embeds what a query asks for, its words without the signs, unless it brings its vector.
    private func question(_ request: QueryRequest, _ mode: SearchMode, of tenant: TenantID) async throws -> Question {
        if let own = request.vector {
            return Question(
                text: request.text, vector: try VectorIndex.unit(own, dimension: models.dimension, field: "query_vector"), hasSyntax: true)
        }
        if mode == .keyword { return Question(text: request.text, vector: nil, hasSyntax: true) }
        // As typed, as the original does it, when the vectors decide alone.
        let plain = mode == .semantic ? request.text : TextSearchQuery(request.text, isField: QueryFields.isField).plainText
        let vector = try await models.embed([plain])[0]
        queryUse.note(plain, of: tenant)
        return Question(text: request.text, vector: vector, hasSyntax: true)
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
