internal import Base
internal import Engine
internal import Service

/// What fits a question.
extension RouteTable {
    private enum Query {
        static let text = Field.text(
            "query", scalarsMin: 1, scalarsMax: Limits.queryScalars,
            "What is looked for, in plain words. In the modes hybrid and keyword \"a phrase\", +must, -not, prefix* and field:value (data_key, "
                + "data_format, kind, path) mean more; whatever is not clearly one of these is a word"
        ).required(without: "query_vector")
        static let vector = Field.optionalVector(
            "query_vector",
            "The asker's own vector, of the model's dimension: alone the mode is semantic, with a query hybrid (its words, this vector)")
        static let topK = Field.integer("top_k", min: 1, max: Limits.topK, default: 5, "Matches at most")
        static let maxResults = Field.optionalInteger(
            "max_results", min: 1, max: Limits.maxResults, "What the Python client sends for top_k; then the answer is JSON")
        static let threshold = Field.optionalNumber("threshold", min: 0, max: 1, "Least similarity; the server's when not given")
        static let maxTokens = Field.optionalInteger("max_tokens", min: 1_000, max: 128_000, "Bound of the answer in tokens of cl100k")
        static let mode = Field.optionalWord("mode", of: SearchMode.allCases.map(\.rawValue), "How matches are scored; the server's when not given")
        static let efSearch = Field.optionalInteger(
            "ef_search", min: 1, max: Limits.efSearch, "Candidates that the search among vectors keeps: more find more and take longer; 128 when not given")
        static let recall = Field.optionalNumber(
            "recall", min: 0.5, max: 0.999, "Instead of ef_search: the share of the true nearest to aim for, a wish and no promise")
        static let explain = Field.flag("explain", default: false, "Show the parts of each similarity")
        static let shapes = [
            text.shape, topK.shape, threshold.shape, maxTokens.shape, Fields.responseFormat.shape, maxResults.shape, mode.shape,
            explain.shape, vector.shape, efSearch.shape, recall.shape, Fields.asOf.shape,
        ]
    }

    static let queryRoutes: [Route] = [
        Route(
            "POST", "/projects/{project_id}/query", action: .query, group: "Query", "The data that fits a question, best first",
            path: [Fields.project.shape], body: .object(Query.shapes),
            or: AnswerFormat.otherContentTypes,
            #"""
            {"query":"which database","matches":[{"data_key":"tech.root","similarity":0.62,"data":{"db":"PostgreSQL"},
            "description":"root | db: PostgreSQL","token_count":8,"preview":"{\n  \"db\": \"PostgreSQL\"\n}"}],"total_matches":1}
            """#
        ) { call in
            let body = call.body
            var request = QueryRequest(project: call.path[Fields.project], text: body[Query.text] ?? "", vector: body[Query.vector])
            request.topK = body[Query.topK]
            if !body.isGiven(Query.topK), let maxResults = body[Query.maxResults] { request.topK = maxResults }
            request.threshold = body[Query.threshold]
            request.maxTokens = body[Query.maxTokens]
            request.mode = body[Query.mode].flatMap(SearchMode.init(rawValue:))
            request.explain = body[Query.explain]
            request.efSearch = body[Query.efSearch]
            request.recall = body[Query.recall]
            request.asOf = body[Fields.asOf]

            let answer = try await call.operations.query(request, by: call.caller)
            let value: JSONValue = [
                "query": .string(answer.query), "matches": .array(answer.matches.map(match)), "total_matches": .integer(answer.matches.count),
            ]
            let format = queryFormat(call)
            return .bytes(try format.encode(value), contentType: format.contentType)
        }
    ]

    /// The original answers TOON unless told otherwise; its own client calls that a broken answer. So whoever asks as the client
    /// asks, with `max_results` or under its name, gets JSON.
    private static func queryFormat(_ call: Call) -> AnswerFormat {
        if !call.body.isGiven(Fields.responseFormat) {
            if call.body.isGiven(Query.maxResults) || call.caller.client?.hasPrefix("contex-python/") == true { return .json }
        }
        return AnswerFormat(rawValue: call.body[Fields.responseFormat]) ?? .toon
    }

    private static func match(_ match: Match) -> JSONValue {
        var members = JSONObject([
            ("data_key", .string(match.nodeKey)), ("similarity", .double(match.similarity)), ("data", match.data),
            ("description", .string(match.description)), ("token_count", .integer(match.tokenCount)), ("preview", .string(match.preview)),
        ])
        if let parts = match.explanation {
            members["explanation"] = [
                "mode": .string(parts.mode.rawValue), "cosine": .double(parts.cosine), "bm25": .double(parts.bm25),
                "bm25_ceiling": .double(parts.bm25Ceiling),
                "terms": .object(JSONObject(parts.terms.map { ($0.term, .double($0.score)) })),
                "vector_rank": parts.vectorRank.map { .integer($0) } ?? .null, "text_rank": parts.textRank.map { .integer($0) } ?? .null,
                "weights": .object(JSONObject(parts.weights.map { ($0.name, .double($0.value)) })),
            ]
        }
        return .object(members)
    }
}
