// What the engine is asked, as every adapter asks it.

public import Attributes
public import Base
public import Needs
public import Search

/// Data for one key of a project.
public struct PublishCommand: Sendable {
    public var project: Name
    public var key: Name
    public var data: JSONValue
    /// What the publisher says the data is; a hint that does not fit is not an error.
    public var format: String?
    /// The event's name, `<key>_updated` by default.
    public var eventType: String?
    /// The publisher's own, of any length but zero: the data is then one node with this vector, and nothing is embedded.
    public var vector: [Float]?
    /// What filters can ask of the document; replaces what it had. No metadata and an empty object are the same.
    public var metadata: JSONObject
    /// Whose key it came with; nil while authentication is off.
    public var publisher: Publisher?
    /// When the document ends by itself; nil: never, also when it was to end before.
    public var expiresAt: Timestamp?

    public init(
        project: Name, key: Name, data: JSONValue, format: String? = nil, eventType: String? = nil, vector: [Float]? = nil,
        metadata: JSONObject = JSONObject(), publisher: Publisher? = nil
    ) {
        self.project = project
        self.key = key
        self.data = data
        self.format = format
        self.eventType = eventType
        self.vector = vector
        self.metadata = metadata
        self.publisher = publisher
    }
}

/// What the signs in a query are.
public enum QuerySyntax: String, Sendable, CaseIterable {
    /// What docs/query-syntax.md says.
    case signs
    /// Text.
    case plain
}

public struct QueryRequest: Sendable {
    public var project: Name
    /// Empty when there is only a vector.
    public var text: String
    /// The asker's own, of any length but zero, instead of that of the text.
    public var vector: [Float]?
    /// 1...100
    public var topK: Int
    /// 0...1, in mode `.semantic` -1...1; nil takes the server's.
    public var threshold: Double?
    public var syntax = QuerySyntax.signs
    /// Bound of the answer in cl100k tokens; nil leaves it whole.
    public var maxTokens: Int?
    /// nil takes the server's.
    public var mode: SearchMode?
    /// Orders the answers of hybrid mode; nil: `convex` when there are weights, else `calibrated`.
    public var fusion: FusionMethod?
    /// nil: those of the method.
    public var weights: FusionWeights?
    /// Asks for the parts of each score.
    public var explain: Bool
    /// What tokens are counted in.
    public var format = AnswerFormat.json
    /// 0...1: how much it counts that a match says something new; nil: not at all, and duplicates stay unless there is a budget.
    public var diversity: Double?
    /// Keys of documents or nodes that come first whatever their similarity, beside the `topK`.
    public var pinned: [String] = []
    /// Keys of documents or nodes of which the answer says what became of them.
    public var explainKeys: [String] = []
    /// Answers as the project was then; nil: now.
    public var asOf: Moment?
    /// Candidates that the walk through the vectors keeps, 1...`Limits.efSearch`; nil leaves it to the index.
    public var efSearch: Int?
    /// Instead of it: the share of the true nearest to aim for, 0.5...0.999.
    public var recall: Double?
    /// Only nodes that pass are searched; nil: all.
    public var filter: Filter?
    /// Pages of matches instead of the `topK` best; its bytes are not asked for.
    public var page: PageRequest?
    /// Documents have the places of the answer: the best node of each, the others inside.
    public var groupsByDocument = false
    /// Matches of one document at most, 1...`Limits.nodesPerDocumentShown`; nil: any number, and with groups `Limits.nodesPerGroup`.
    public var nodesPerDocument: Int?

    public init(
        project: Name, text: String, vector: [Float]? = nil, topK: Int = 5, threshold: Double? = nil, maxTokens: Int? = nil,
        mode: SearchMode? = nil, fusion: FusionMethod? = nil, weights: FusionWeights? = nil, explain: Bool = false, asOf: Moment? = nil,
        filter: Filter? = nil
    ) {
        self.project = project
        self.text = text
        self.vector = vector
        self.topK = topK
        self.threshold = threshold
        self.maxTokens = maxTokens
        self.mode = mode
        self.fusion = fusion
        self.weights = weights
        self.explain = explain
        self.asOf = asOf
        self.filter = filter
    }
}

public struct RegisterCommand: Sendable {
    public var project: Name
    public var agent: Name
    public var needs: [String]
    /// Events after this one are sent as missed.
    public var lastSeen: Sequence
    public var delivery: AgentRecord.Delivery
    public var responseFormat: String
    /// nil or empty: the server chooses, `agent:<agent>:updates` when that is no other project's.
    public var channel: String?
    public var webhookURL: String?
    public var webhookSecret: String?
    public var envelope = AgentRecord.Envelope.plain
    /// Whose key it came with; nil while authentication is off.
    public var registrant: Publisher?
    /// Without a secret of its own the registration takes over the one that the agent has: an export carries none.
    public var keepsSecret = false
    /// Bound of the initial context in cl100k tokens; the server's is never exceeded.
    public var maxTokens: Int?
    /// 0...1, as in a query.
    public var diversity: Double?
    /// Keys of documents or nodes that come first in the initial context, whatever their similarity.
    public var pinned: [String] = []
    /// Of all its needs.
    public var settings = NeedSettings.none

    public init(
        project: Name, agent: Name, needs: [String], lastSeen: Sequence = .zero, delivery: AgentRecord.Delivery = .redis,
        responseFormat: String = "toon", channel: String? = nil, webhookURL: String? = nil, webhookSecret: String? = nil
    ) {
        self.project = project
        self.agent = agent
        self.needs = needs
        self.lastSeen = lastSeen
        self.delivery = delivery
        self.responseFormat = responseFormat
        self.channel = channel
        self.webhookURL = webhookURL
        self.webhookSecret = webhookSecret
    }
}
