public import Base
internal import Content
public import Engine
internal import Search

/// What a query found, and why.
public enum QueryShape {
    /// Without the format that it goes out in.
    public static func members(_ answer: QueryAnswer) -> JSONObject {
        var members = JSONObject([
            ("query", .string(answer.query)), ("matches", .array(answer.matches.map(match))), ("total_matches", .integer(answer.matches.count)),
        ])
        if answer.ignoresSigns {
            members["syntax"] = .string(QuerySyntax.plain.rawValue)
            members["note"] = "Nothing is as the signs of the query ask: these are the matches of its words"
        }
        if let report = answer.packing { members["packing"] = packing(report) }
        if let filtered = answer.filtered { members["filter"] = ["passing": .integer(filtered.passing), "nodes": .integer(filtered.nodes)] }
        if answer.left > 0 {
            members["truncated"] = .bool(true)
            members["omitted"] = .integer(answer.left)
        }
        if let paging = answer.paging {
            members["has_more"] = .bool(paging.next != nil)
            if let next = paging.next { members["next_cursor"] = .string(next) }
        }
        if !answer.notes.isEmpty { members["notes"] = .array(answer.notes.map(JSONValue.string)) }
        if !answer.explained.isEmpty { members["explained"] = .array(answer.explained.map(explained)) }
        return members
    }

    private static func match(_ match: Match) -> JSONValue {
        var members = JSONObject([
            ("data_key", .string(match.nodeKey)), ("similarity", .double(match.similarity)), ("data", match.data),
            ("description", .string(match.description)), ("token_count", .integer(match.tokenCount)), ("preview", .string(match.preview)),
        ])
        if let tokens = match.tokens { members["tokens"] = .integer(tokens) }
        if match.isPinned { members["pinned"] = .bool(true) }
        if match.isCut { members["truncated"] = .bool(true) }
        if let passage = match.passage { members["passage"] = self.passage(passage) }
        DataShape.add(match.metadata, nil, to: &members)
        if !match.others.isEmpty { members["others"] = .array(match.others.map(self.match)) }
        if let parts = match.explanation { members["explanation"] = explanation(parts) }
        return .object(members)
    }

    /// Where in the node the answer stands (docs/passages.md).
    static func passage(_ passage: MatchPassage) -> JSONValue {
        var members = JSONObject()
        if let range = passage.range {
            members["start"] = .integer(range.lowerBound)
            members["end"] = .integer(range.upperBound)
        }
        if let text = passage.text { members["text"] = .string(text) }
        if let path = passage.path { members["path"] = .string(path) }
        if let last = passage.lastPath { members["last_path"] = .string(last) }
        if !passage.nodeKeys.isEmpty { members["nodes"] = .array(passage.nodeKeys.map(JSONValue.string)) }
        return .object(members)
    }

    private static func packing(_ report: PackingReport) -> JSONValue {
        var members = JSONObject()
        if let maxTokens = report.maxTokens { members["max_tokens"] = .integer(maxTokens) }
        if let tokens = report.tokens { members["tokens"] = .integer(tokens) }
        members["diversity"] = .double(report.diversity)
        members["truncated"] = .bool(report.isTruncated)
        members["omitted"] = .integer(report.omitted.count)
        members["omitted_keys"] = .array(report.omitted.map(JSONValue.string))
        members["duplicates"] = .array(report.duplicates.map { ["data_key": .string($0.nodeKey), "duplicate_of": .string($0.of)] })
        if !report.missingPins.isEmpty { members["pinned_missing"] = .array(report.missingPins.map(JSONValue.string)) }
        return .object(members)
    }

    static func explained(_ key: KeyExplanation) -> JSONValue {
        var members = JSONObject([("data_key", .string(key.key)), ("outcome", .string(key.outcome.rawValue))])
        if let node = key.nodeKey { members["node"] = .string(node) }
        members["nodes"] = .integer(key.nodes)
        if let other = key.duplicateOf { members["duplicate_of"] = .string(other) }
        if let parts = key.explanation { members["explanation"] = explanation(parts) }
        return .object(members)
    }

    private static func explanation(_ parts: Explanation) -> JSONValue {
        func named(_ values: [(name: String, value: Double)]) -> JSONValue { .object(JSONObject(values.map { ($0.name, .double($0.value)) })) }
        func place(_ rank: Int?) -> JSONValue { rank.map { .integer($0) } ?? .null }
        return [
            "mode": .string(parts.mode.rawValue), "fusion": .string(parts.fusion.rawValue), "similarity": .double(parts.similarity),
            "threshold": .double(parts.threshold),
            "rank": place(parts.rank), "cosine": parts.cosine.map(JSONValue.double) ?? .null, "bm25": .double(parts.bm25),
            "bm25_ceiling": .double(parts.bm25Ceiling),
            "terms": .object(JSONObject(parts.terms.map { ($0.term, .double($0.score)) })),
            "vector_rank": place(parts.vectorRank), "text_rank": place(parts.textRank), "weights": named(parts.weights), "parts": named(parts.parts),
        ]
    }
}
