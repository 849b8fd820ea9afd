internal import Attributes
internal import Base
internal import Content
internal import Engine
internal import Search
internal import Service
internal import Wire

extension OperationCalls {
    func query(_ message: WireQuery) async throws -> WireQueryAnswer {
        let answer = try await operations.query(try Self.request(message), by: caller)
        return Self.answer(answer, omitting: WireQuery.Omission(rawValue: message.omit))
    }

    /// A query that cannot be read fails by itself, as one that is refused does.
    func queryBatch(_ message: WireQueryBatch) async throws -> WireQueryAnswers {
        let requests = message.queries.map { query in Result { () throws(ContexError) in try Self.request(query) } }
        var outcomes = try await operations.queryBatch(requests.compactMap { try? $0.get() }, by: caller).makeIterator()
        var answers = WireQueryAnswers()
        answers.outcomes = zip(message.queries, requests).map { query, request in
            var item = WireQueryAnswers.Outcome()
            do throws(ContexError) {
                _ = try request.get()
                guard let outcome = outcomes.next() else { throw ContexError(.bug, "a query without an outcome") }
                item.answer = Self.answer(try outcome.get(), omitting: WireQuery.Omission(rawValue: query.omit))
            } catch {
                item.error = WireError(error)
            }
            return item
        }
        return answers
    }

    private static func request(_ message: WireQuery) throws(ContexError) -> QueryRequest {
        let vector = try Given.vector(message.vector, message.vectorOfHalves, "query_vector")
        let text = message.text ?? ""
        guard !text.isEmpty || vector != nil else {
            throw .invalid(field: "query", kind: "string_too_short", message: "String should have at least 1 character")
        }
        try TextRule.check(text, field: "query", scalarsMax: Limits.queryScalars)
        var request = QueryRequest(project: try Given.name(message.project, "project_id"), text: text, vector: vector)
        request.topK = try Given.integer(message.topK, 1...Limits.maxResults, "top_k") ?? 5
        request.mode = try Given.word(message.mode, "mode")
        // Alone, a vector is asked for in mode semantic.
        let isSemantic = request.mode == .semantic || request.mode == nil && text.isEmpty
        request.threshold = try Given.number(message.threshold, (isSemantic ? -1 : 0)...1, "threshold")
        request.syntax = try Given.word(message.syntax, "syntax") ?? .signs
        request.maxTokens = try Given.integer(message.maxTokens, Limits.contextTokens, "max_tokens")
        request.fusion = try Given.word(message.fusion, "fusion")
        request.weights = try weights(message)
        request.explain = message.explain
        request.format = try Given.word(message.format, "response_format") ?? .json
        request.diversity = try Given.number(message.diversity, 0...1, "diversity")
        try TextRule.check(message.pinned, field: "pinned", countMax: Limits.namedKeys, scalarsMax: Limits.nodeKeyScalars)
        try TextRule.check(message.explainKeys, field: "explain_keys", countMax: Limits.namedKeys, scalarsMax: Limits.nodeKeyScalars)
        (request.pinned, request.explainKeys) = (message.pinned, message.explainKeys)
        request.asOf = try Given.moment(message.asOf, "as_of")
        request.efSearch = try Given.integer(message.efSearch, 1...Limits.efSearch, "ef_search")
        request.recall = try Given.number(message.recall, 0.5...0.999, "recall")
        request.filter = try filter(message.filter)
        request.groupsByDocument = message.groupsByDocument
        request.nodesPerDocument = try Given.integer(message.nodesPerDocument, 1...Limits.nodesPerDocumentShown, "nodes_per_document")
        let limit = try Given.integer(message.limit, 1...Limits.pageMatches, "limit")
        if limit != nil || message.cursor != nil { request.page = PageRequest(limit: limit ?? request.topK, cursor: message.cursor) }
        return request
    }

    private static func weights(_ message: WireQuery) throws(ContexError) -> FusionWeights? {
        guard message.semanticWeight != nil || message.keywordWeight != nil else { return nil }
        guard let weights = FusionWeights(semantic: message.semanticWeight ?? 0, keyword: message.keywordWeight ?? 0) else {
            throw .invalid(field: "weights", kind: "value_error", message: "Value error, weights must be 0 or more, and not all 0")
        }
        return weights
    }

    static func filter(_ json: [UInt8]?) throws(ContexError) -> Filter? {
        guard let json else { return nil }
        let value = try Given.json(json, "filter")
        do throws(PlacedFault) { return try Filter(value) } catch { throw error.contexError }
    }

    // MARK: - Answers

    private static func answer(_ answer: QueryAnswer, omitting omission: WireQuery.Omission) -> WireQueryAnswer {
        var message = WireQueryAnswer()
        message.matches = answer.matches.map { match($0, omission) }
        message.ignoresSigns = answer.ignoresSigns
        message.packing = answer.packing.map(packing)
        message.passing = answer.filtered.map { UInt64($0.passing) }
        message.nodes = answer.filtered.map { UInt64($0.nodes) }
        message.left = UInt64(answer.left)
        message.next = answer.paging?.next
        message.notes = answer.notes
        message.explained = answer.explained.map { key in
            var message = WireKeyExplanation()
            (message.key, message.outcome, message.nodeKey, message.nodes) = (key.key, key.outcome.rawValue, key.nodeKey, UInt64(key.nodes))
            (message.duplicateOf, message.explanation) = (key.duplicateOf, key.explanation.map(explanation))
            return message
        }
        return message
    }

    private static func match(_ match: Match, _ omission: WireQuery.Omission) -> WireMatch {
        var message = WireMatch()
        (message.nodeKey, message.documentKey, message.similarity) = (match.nodeKey, match.documentKey, match.similarity)
        if !omission.contains(.data) { message.data = match.dataText }
        if !omission.contains(.description) { message.description = match.description }
        if !omission.contains(.metadata), !match.metadata.isEmpty { message.metadata = JSONPrinter.bytes(.object(match.metadata)) }
        (message.tokenCount, message.tokens) = (UInt64(match.tokenCount), match.tokens.map { UInt64($0) })
        (message.isCut, message.isPinned, message.isPassage) = (match.isCut, match.isPinned, match.isPassage)
        message.passage = match.passage.map { passage in
            var message = WirePassage()
            (message.start, message.end) = (passage.range.map { UInt64($0.lowerBound) }, passage.range.map { UInt64($0.upperBound) })
            (message.text, message.path, message.lastPath, message.nodeKeys) = (passage.text, passage.path, passage.lastPath, passage.nodeKeys)
            return message
        }
        message.others = match.others.map { self.match($0, omission) }
        message.explanation = match.explanation.map(explanation)
        return message
    }

    private static func explanation(_ parts: Explanation) -> WireExplanation {
        func named(_ values: [(name: String, value: Double)]) -> [WireNamedNumber] { values.map { WireNamedNumber($0.name, $0.value) } }
        var message = WireExplanation()
        (message.mode, message.fusion, message.similarity, message.threshold) = (
            parts.mode.rawValue, parts.fusion.rawValue, parts.similarity, parts.threshold
        )
        (message.rank, message.cosine) = (parts.rank.map { UInt64($0) }, parts.cosine)
        (message.bm25, message.bm25Ceiling) = (parts.bm25, parts.bm25Ceiling)
        message.terms = parts.terms.map { WireNamedNumber($0.term, $0.score) }
        (message.vectorRank, message.textRank) = (parts.vectorRank.map { UInt64($0) }, parts.textRank.map { UInt64($0) })
        (message.weights, message.parts) = (named(parts.weights), named(parts.parts))
        return message
    }

    private static func packing(_ report: PackingReport) -> WirePacking {
        var message = WirePacking()
        (message.maxTokens, message.tokens) = (report.maxTokens.map { UInt64($0) }, report.tokens.map { UInt64($0) })
        (message.diversity, message.isTruncated, message.omitted) = (report.diversity, report.isTruncated, report.omitted)
        message.duplicates = report.duplicates.map { duplicate in
            var message = WirePacking.Duplicate()
            (message.nodeKey, message.of) = (duplicate.nodeKey, duplicate.of)
            return message
        }
        message.missingPins = report.missingPins
        return message
    }

    // MARK: - Embeddings

    func embed(_ message: WireEmbed) async throws -> WireEmbeddings {
        guard !message.inputs.isEmpty else {
            throw ContexError.invalid(field: "input", kind: "too_short", message: "List should have at least 1 item after validation, not 0")
        }
        var tokens = 0
        let inputs = try message.inputs.map { input throws(ContexError) -> EmbeddingInput in
            guard let text = input.text else {
                tokens += input.tokens.count
                guard tokens <= Limits.embeddingTokensTotal else {
                    throw .invalid(field: "input", kind: "too_long", message: "Value error, input has more than \(Limits.embeddingTokensTotal) tokens")
                }
                return .tokens(input.tokens.map { Int(min($0, UInt64(Int32.max))) })
            }
            try TextRule.check(text, field: "input", scalarsMax: Limits.queryScalars)
            return .text(text)
        }
        let embeddings = try await operations.embed(inputs, by: caller)
        var answer = WireEmbeddings()
        (answer.model, answer.dimension, answer.tokens) = (embeddings.model, UInt64(embeddings.vectors.first?.count ?? 0), UInt64(embeddings.tokens))
        let numbers = embeddings.vectors.flatMap { $0 }
        if message.wantsHalves, sendsHalves { answer.vectorsOfHalves = numbers } else { answer.vectors = numbers }
        return answer
    }
}
