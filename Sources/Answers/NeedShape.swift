public import Base
internal import Content
public import Engine
internal import Search

/// Why: whom a document would reach, and what needs would have matched.
public enum NeedShape {
    public static func rehearsal(_ rehearsal: Rehearsal) -> JSONObject {
        JSONObject([
            ("project_id", .string(rehearsal.project.text)), ("data_key", .string(rehearsal.key.text)), ("changed", .bool(rehearsal.changed)),
            ("nodes", .integer(rehearsal.nodes)), ("agents", .array(rehearsal.agents.map(reached))),
        ])
    }

    private static func reached(_ agent: ReachedAgent) -> JSONValue {
        [
            "agent_id": .string(agent.agent.text), "follows": .bool(agent.follows),
            "matches": .array(
                agent.matches.map { .object(members($0.need, $0.nodeKey, $0.similarity, threshold: $0.threshold, $0.mode, $0.parts)) }),
        ]
    }

    /// How the needs of a delivery matched.
    static func matches(_ matches: [InboxItem.Match]) -> JSONValue {
        .array(
            matches.map { found in
                var members = members(found.need, found.nodeKey, found.similarity, threshold: found.threshold, found.mode, found.parts)
                if let isUseful = found.isUseful { members["useful"] = .bool(isUseful) }
                return .object(members)
            })
    }

    private static func members(
        _ need: String, _ nodeKey: String?, _ similarity: Double, threshold: Double, _ mode: SearchMode, _ parts: ScoreParts
    ) -> JSONObject {
        JSONObject([
            ("need", .string(need)), ("node_key", nodeKey.map { .string($0) } ?? .null), ("similarity", .double(similarity)),
            ("min_similarity", .double(threshold)), ("mode", .string(mode.rawValue)), ("explanation", .object(explanation(parts, mode))),
        ])
    }

    public static func trial(_ trial: NeedTrial) -> JSONObject {
        JSONObject([
            ("project_id", .string(trial.project.text)), ("documents", .integer(trial.documents)), ("nodes", .integer(trial.nodes)),
            ("mode", .string(trial.mode.rawValue)), ("min_similarity", .double(trial.threshold)),
            (
                "needs",
                .array(
                    trial.needs.map { need in
                        [
                            "need": .string(need.need), "matched": .integer(need.matched), "matched_documents": .integer(need.matchedDocuments),
                            "histogram": .array(need.histogram.map { .integer($0) }),
                            "suggested_min_similarity": need.suggested.map { .double($0) } ?? .null,
                            "best": .array(
                                need.best.map { node in
                                    [
                                        "node_key": .string(node.nodeKey), "similarity": .double(node.similarity),
                                        "explanation": .object(explanation(node.parts, trial.mode)),
                                    ]
                                }),
                        ]
                    })
            ),
        ])
    }

    /// What a similarity is made of.
    private static func explanation(_ parts: ScoreParts, _ mode: SearchMode) -> JSONObject {
        var members = JSONObject([
            ("cosine", parts.cosine.map { .double(Double($0)) } ?? .null), ("bm25", .double(Double(parts.bm25))),
            ("ceiling", .double(Double(parts.ceiling))),
        ])
        if mode == .hybrid { members["cut"] = .double(Double(parts.cosine == nil ? parts.shareCut : parts.cut)) }
        if let exact = parts.exactWord { members["exact_word"] = .string(exact == .alone ? "alone" : "rare") }
        return members
    }
}
