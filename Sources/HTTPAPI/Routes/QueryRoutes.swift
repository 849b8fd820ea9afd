internal import Answers
internal import Base
internal import Engine
internal import Search
internal import Service

/// What fits a question.
extension RouteTable {
    private enum Query {
        static let text = Field.text(
            "query", scalarsMin: 1, scalarsMax: Limits.queryScalars,
            "What is looked for, in plain words. In the modes hybrid and keyword texts with \"a phrase\" come first, +\"a phrase\" must be there, "
                + "-\"a phrase\" must not, prefix* begins so and field:value (data_key, data_format, published_by, metadata.<path>, kind, path) is of "
                + "that document; whatever can be prose or a command line is words"
        ).required(without: "query_vector")
        static let syntax = Field.word(
            "syntax", of: QuerySyntax.allCases.map(\.rawValue), default: QuerySyntax.signs.rawValue, "plain: no sign means anything, all is words")
        static let vector = Field.optionalVector(
            "query_vector",
            "The asker's own vector, of the model's dimension: alone the mode is semantic, with a query hybrid (its words, this vector)")
        static let topK = Field.integer("top_k", min: 1, max: Limits.topK, default: 5, "Matches at most")
        static let maxResults = Field.optionalInteger(
            "max_results", min: 1, max: Limits.maxResults, "What the Python client sends for top_k; then the answer is JSON")
        static let limit = Field.optionalInteger(
            "limit", min: 1, max: Limits.pageMatches,
            "Instead of top_k: matches of a page. The answer then says has_more, and gives next_cursor to the page behind it")
        static let cursor = Field.optionalText(
            "cursor", scalarsMax: 1_000,
            "The next_cursor of the page before, as it is, with the same query: all pages are of the state that the first was of, of at most "
                + "\(Limits.pagedMatches) matches")
        static let threshold = Field.optionalNumber(
            "threshold", min: 0, max: 1, "Least similarity; the server's when not given. In mode semantic, where it is a cosine, from -1 on"
        ).widened(to: .number(min: -1, max: 1)) { given in
            // Alone, a vector is asked for in that mode.
            func isGiven(_ name: String) -> Bool { given(name).map { !$0.isNull } ?? false }
            return isGiven("mode") ? given("mode") == "semantic" : isGiven("query_vector") && !isGiven("query")
        }
        static let mode = Field.optionalWord("mode", of: SearchMode.allCases.map(\.rawValue), "How matches are scored; the server's when not given")
        static let efSearch = Field.optionalInteger(
            "ef_search", min: 1, max: Limits.efSearch, "Candidates that the search among vectors keeps: more find more and take longer; 128 when not given")
        static let recall = Field.optionalNumber(
            "recall", min: 0.5, max: 0.999, "Instead of ef_search: the share of the true nearest to aim for, a wish and no promise")
        static let fusion = Field.optionalWord(
            "fusion", of: FusionMethod.allCases.map(\.rawValue),
            "What orders the matches of hybrid mode: their similarity, a convex combination of both scores (the default with weights), or their ranks. "
                + "Similarity and threshold stay calibrated")
        static let weights = Field.optionalShares(
            "weights", of: ["semantic", "keyword"],
            "How much each side counts in fusion convex (default 0.7 and 0.3) or rrf (0.5 and 0.5); only the ratio matters, a side not named counts 0")
        static let explain = Field.flag("explain", default: false, "Show the parts of each similarity")
        static let explainKeys = Field.optionalTexts(
            "explain_keys", countMax: Limits.namedKeys, scalarsMax: Limits.nodeKeyScalars,
            "Keys of documents or nodes: the answer says of each whether it is a match, and if not, why")
        static let filter = Field.filter("filter", "Only data that passes is searched: conditions on metadata and on what is known of each key")
        static let groupBy = Field.optionalWord(
            "group_by", of: ["document"],
            "document: each place of the answer is a document, with its best node as the match and the next ones in `others`")
        static let nodesPerDocument = Field.optionalInteger(
            "nodes_per_document", min: 1, max: Limits.nodesPerDocumentShown,
            "Nodes of one document at most; with group_by \(Limits.nodesPerGroup) when not given, else any number")
        static let batchFormat = Field.word(
            "response_format", of: AnswerFormat.names, default: "json", "What the result is written in; another than json comes as the text `content`")
        static let shapes = shapes(Fields.responseFormat)
        static let batchShapes = [Fields.project.shape] + shapes(batchFormat)

        private static func shapes(_ format: Field<String>) -> [FieldShape] {
            [
                text.shape, syntax.shape, topK.shape, threshold.shape, Fields.maxTokens.shape, format.shape, maxResults.shape, mode.shape, fusion.shape,
                weights.shape, explain.shape,
                vector.shape, efSearch.shape, recall.shape, Fields.asOf.shape, Fields.diversity.shape, Fields.pinned.shape, explainKeys.shape,
                filter.shape, groupBy.shape, nodesPerDocument.shape, limit.shape, cursor.shape,
            ]
        }

        static func request(_ body: FieldValues, project: Name, format: AnswerFormat) -> QueryRequest {
            var request = QueryRequest(project: project, text: body[text] ?? "", vector: body[vector])
            request.syntax = QuerySyntax(rawValue: body[syntax]) ?? .signs
            request.topK = body[topK]
            if !body.isGiven(topK), let maxResults = body[maxResults] { request.topK = maxResults }
            request.threshold = body[threshold]
            request.maxTokens = body[Fields.maxTokens]
            request.mode = body[mode].flatMap(SearchMode.init(rawValue:))
            request.fusion = body[fusion].flatMap(FusionMethod.init(rawValue:))
            // The field has made sure that they are weights.
            request.weights = body[weights].flatMap { FusionWeights(semantic: $0["semantic"] ?? 0, keyword: $0["keyword"] ?? 0) }
            request.explain = body[explain]
            request.efSearch = body[efSearch]
            request.recall = body[recall]
            request.asOf = body[Fields.asOf]
            request.format = format
            request.diversity = body[Fields.diversity]
            request.pinned = body[Fields.pinned]
            request.explainKeys = body[explainKeys]
            request.filter = body[filter]
            if body[limit] != nil || body[cursor] != nil { request.page = PageRequest(limit: body[limit] ?? request.topK, cursor: body[cursor]) }
            request.groupsByDocument = body[groupBy] != nil
            request.nodesPerDocument = body[nodesPerDocument]
            return request
        }
    }

    static let queryRoutes: [Route] = [
        Route(
            "POST", "/projects/{project_id}/query", action: .query, group: "Query", "The data that fits a question, best first",
            path: [Fields.project.shape], body: .object(Query.shapes),
            or: AnswerFormat.otherContentTypes,
            #"""
            {"query":"which database","matches":[{"data_key":"tech.root","similarity":0.62,"data":{"db":"PostgreSQL"},
            "description":"root | db: PostgreSQL","token_count":8,"preview":"{\n  \"db\": \"PostgreSQL\"\n}","tokens":6}],"total_matches":1,
            "packing":{"max_tokens":1000,"tokens":6,"diversity":0.0,"truncated":true,"omitted":1,"omitted_keys":["manual.paragraph_3"],
            "duplicates":[{"data_key":"old.root","duplicate_of":"tech.root"}]},
            "explained":[{"data_key":"style","outcome":"below_threshold","node":"style.root","nodes":1,"explanation":{"mode":"hybrid",
            "similarity":0.12,"threshold":0.5,"rank":null,"cosine":0.05,"bm25":0.0,"bm25_ceiling":2.1,"terms":{},"vector_rank":9,"text_rank":null,
            "weights":{"cosine":8.0,"text":6.8,"bias":-2.4},"parts":{"cosine":0.4,"text":0.0,"bias":-2.4}}}]}
            """#
        ) { call in
            let format = queryFormat(call)
            let request = Query.request(call.body, project: call.path[Fields.project], format: format)
            let answer = try await call.operations.query(request, by: call.caller)
            let text = try answer.written(as: format) { try format.encode(.object(QueryShape.members(answer))) }
            return .bytes(text, contentType: format.contentType)
        },

        Route(
            "POST", "/batch/query", bases: .current, action: .queryBatch, group: "Query",
            "Many questions at once, of one moment; each succeeds or fails by itself",
            body: .objects(Query.batchShapes, countMax: Limits.batchQueries),
            #"""
            {"status":"completed","total":1,"successful":1,"failed":0,"duration_ms":2.5,"results":[{"status":"success","project_id":"app",
            "query":"which database","matches":[{"data_key":"tech.root","similarity":0.62,"data":{"db":"PostgreSQL"},
            "description":"root | db: PostgreSQL","token_count":8,"preview":"{\n  \"db\": \"PostgreSQL\"\n}"}],"total_matches":1}]}
            """#
        ) { call in
            let requests = call.bodyContent.items.map { item in
                Query.request(item, project: item[Fields.project], format: AnswerFormat(rawValue: item[Query.batchFormat]) ?? .json)
            }
            return try await batch(requests) { requests in
                try await call.operations.queryBatch(requests, by: call.caller)
            } success: { request, answer in
                var result = JSONObject([("status", "success"), ("project_id", .string(request.project.text))])
                let members = QueryShape.members(answer)
                if request.format == .json {
                    for (name, value) in members { result[name] = value }
                } else {
                    result["query"] = .string(answer.query)
                    result["response_format"] = .string(request.format.rawValue)
                    result["content"] = .string(String(decoding: try request.format.encode(.object(members)), as: UTF8.self))
                    result["total_matches"] = .integer(answer.matches.count)
                }
                return .object(result)
            } failure: { request in
                JSONObject([("status", "failed"), ("project_id", .string(request.project.text)), ("query", .string(request.text))])
            }
        },
    ]

    /// The original answers TOON unless told otherwise; its own client calls that a broken answer. So whoever asks as the client
    /// asks, with `max_results` or under its name, gets JSON.
    private static func queryFormat(_ call: Call) -> AnswerFormat {
        if !call.body.isGiven(Fields.responseFormat) {
            if call.body.isGiven(Query.maxResults) || call.caller.client?.hasPrefix("contex-python/") == true { return .json }
        }
        return AnswerFormat(rawValue: call.body[Fields.responseFormat]) ?? .toon
    }
}
