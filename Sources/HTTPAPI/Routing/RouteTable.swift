// The table. A route that is not in it does not exist: not for the router, not for the documents, not for the tests.

internal import Base
internal import Engine

public enum RouteTable {
    /// In the order of the documents; of two routes that fit, the first answers.
    public static let all: [Route] =
        serverRoutes + dataRoutes + settingsRoutes + queryRoutes + embeddingRoutes + agentRoutes + feedRoutes + needRoutes + feedbackRoutes + eventRoutes
        + versionRoutes + keyRoutes + accountRoutes + roleRoutes + rateRoutes + tenantRoutes + retentionRoutes + auditRoutes + webhookRoutes
        + mcpRoutes + observingRoutes + sandboxRoutes + documentationRoutes
}

/// Fields that several routes share.
enum Fields {
    static let project = Field.name("project_id", "The project")
    static let key = Field.name("data_key", "The key of the data in its project")
    static let agent = Field.name("agent_id", "The agent's name in its project")
    static let keyID = Field.text("key_id", "The key's public name, 16 hexadecimal digits")
    static let role = Field.text("role", "admin, publisher, consumer or readonly")
    static let asOf = Field.optionalMoment(
        "as_of",
        "As the project was after this event (0: before the first), or at this time (ISO 8601, UTC when it names no offset); now when not given. "
            + "A query looks at most at \(Limits.pastNodes) nodes of a past state (413)")
    static let format = Field.text("format", default: "json", "json, yaml, toml, csv, xml, markdown, toon or text")
    static let responseFormat = Field.word("response_format", of: AnswerFormat.names, default: "toon", "What the answer is written in")
    static let maxTokens = Field.optionalInteger(
        "max_tokens", min: Limits.contextTokens.lowerBound, max: Limits.contextTokens.upperBound,
        "Bound of the data of all matches, in cl100k tokens of the format it is sent in: the set that fits and is worth the most is sent")
    static let diversity = Field.optionalNumber(
        "diversity", min: 0, max: 1, "How much it counts that a match says something new (MMR); near duplicates come once")
    static let pinned = Field.optionalTexts(
        "pinned", countMax: Limits.namedKeys, scalarsMax: Limits.nodeKeyScalars, "Keys of documents or nodes that come first, whatever their similarity")
}
