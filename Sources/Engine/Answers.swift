// What the engine answers.

internal import Attributes
public import Base
internal import Documents
public import Journal
public import Needs
public import Search

public struct PublishReceipt: Sendable {
    public let project: Name
    public let key: Name
    public let sequence: Sequence
    /// What the data was split as.
    public let format: String
    /// False when key, hint, event type and data were what they are already: nothing was written, and `sequence` is that of
    /// the publish before.
    public let changed: Bool
    /// A sentence when it was not read as what it was named, or not quite as it was written.
    public let note: String?
}

public struct DeleteReceipt: Sendable {
    public let project: Name
    public let key: Name
    public let sequence: Sequence
}

/// A node that answers a query or a need.
public struct Match: Sendable {
    /// `<document key>.<path>`
    public let nodeKey: String
    public let documentKey: String
    /// 0...1, what thresholds are compared with.
    public let similarity: Double
    /// Always an object: other values stand under `value`.
    public let data: JSONValue
    public let description: String
    /// cl100k tokens of the data.
    public let tokenCount: Int
    /// The data in JSON with an indent of two, first 200 characters.
    public let preview: String
    public let explanation: Explanation?
    /// Of the stored JSON.
    let dataBytes: Int
    /// cl100k tokens of the data in the format of the answer, when there was a budget.
    public var tokens: Int?
    /// The data is the head of what is stored: the whole is larger than the budget.
    public var isCut = false
    public var isPinned = false
    /// Of its document; empty when it was published without.
    public var metadata = JSONObject()
    /// Of its document; nil in an answer of the past, and for `others`.
    public var provenance: Provenance?
    /// nil: the node is one passage.
    public var passage: MatchPassage?
    /// `data` is the passage and not the node, for want of tokens.
    public var isPassage = false
    /// Matches of the same document behind this one, when documents have the places.
    public var others: [Match] = []
    /// The passage as data of the same shape; nil when the node is one passage.
    var passageData: JSONValue?
    /// The whole data as it is stored; nil where less of it is shown.
    var storedText: [UInt8]?
    let node: NodeID
    /// Of the indexes, by which it was found.
    let entry: NodeID
    let document: DocumentID
}

extension Match {
    /// Where a document's present content comes from.
    public struct Provenance: Sendable {
        /// The event that brought it.
        public let sequence: Sequence
        /// nil while authentication is off.
        public let publisher: Publisher?
    }

    mutating func take(_ origin: MatchOrigin) { (metadata, provenance) = (origin.metadata, origin.provenance) }
}

/// What of a node answers: part of a long one, or what it says together with its neighbours.
public struct MatchPassage: Sendable {
    /// nil where a budget had no room for it, or the data says the same.
    public var text: String?
    /// In a long node, in Unicode scalars: where the passage begins in the string at `path`, and where it ends in that at `lastPath`.
    public var range: Range<Int>?
    /// Of the string in the data; nil when the data is one string.
    public var path: String?
    /// nil: the same.
    public var lastPath: String?
    /// Of the nodes that the passage is gathered from.
    public var nodeKeys: [String] = []
}

/// The parts of a similarity.
public struct Explanation: Sendable {
    public let mode: SearchMode
    /// Place among all that reach the threshold, 1 is the best; nil for a node that does not, or that neither index gave.
    public let rank: Int?
    public let similarity: Double
    public let threshold: Double
    /// What the similarity is the sum of; in hybrid mode its log-odds, of which it is the logistic function.
    public let parts: [(name: String, value: Double)]
    /// nil when question or node has no vector; hybrid mode then takes the share of the question's words that the node has.
    public let cosine: Double?
    public let bm25: Double
    /// The best BM25 score that any text could reach for this query.
    public let bm25Ceiling: Double
    public let terms: [(term: String, score: Double)]
    /// What ordered the answers; of meaning in hybrid mode only.
    public let fusion: FusionMethod
    /// Place among the candidates by cosine and by BM25, 1 is the best; nil when not among them.
    public let vectorRank: Int?
    public let textRank: Int?
    /// Of the calibrated similarity, whose sigmoid is 0.5 where cosine x `cosine` + text x `text` + `bias` is 0, and of the fusion where it has some.
    public let weights: [(name: String, value: Double)]
}

public struct QueryAnswer: Sendable {
    public let query: String
    public let matches: [Match]
    /// Nil when nothing was asked for that chooses among the matches.
    public var packing: PackingReport?
    /// Of each key of `explainKeys`, in order.
    public var explained: [KeyExplanation] = []
    /// With a filter: how many nodes of how many it let the search see.
    public var filtered: Filtered?
    /// Matches that were left out because with them the answer would be larger than `Limits.answerBytes`.
    public var left = 0
    /// Of a query that asks for pages.
    public var paging: Paging?
    /// What was not quite done as it was asked, a sentence each.
    public var notes: [String] = []
    /// Nothing was as the signs of the query ask: these are the matches of its words.
    public var ignoresSigns = false
    /// Of one that was not part of a batch, and not known before.
    public var plan: QueryPlan?
    /// Of one that is kept.
    var text: AnswerText?
    /// Until when it is what it is, if nothing is changed; nil: for ever.
    var lastsUntil: Timestamp?

    public struct Paging: Sendable, Equatable {
        /// Leads to the matches behind these; nil: there are none.
        public let next: String?
    }

    public struct Filtered: Sendable, Equatable {
        public let passing: Int
        public let nodes: Int
    }
}

/// What packing did to an answer.
public struct PackingReport: Sendable {
    /// nil: no budget.
    public let maxTokens: Int?
    /// cl100k tokens of the data of all matches in the format of the answer; nil without a budget.
    public let tokens: Int?
    public let diversity: Double
    /// Keys of nodes that would be in the answer if the budget were larger, best first.
    public let omitted: [String]
    /// Nodes that would be in the answer if another did not say the same.
    public let duplicates: [(nodeKey: String, of: String)]
    /// Pinned keys that the project does not have.
    public let missingPins: [String]
    /// Whether the set is known to be worth the most of all that fit.
    public let isBest: Bool
    /// Something is not there, or not whole, for want of tokens.
    public let isTruncated: Bool
}

/// What became of one key.
public struct KeyExplanation: Sendable {
    public enum Outcome: String, Sendable, CaseIterable {
        /// It is among the matches.
        case match
        /// The project has no such document or node.
        case notThere = "not_there"
        /// The query's signs or fields leave it out: a word that must be there, or must not, or another document.
        case filteredOut = "filtered_out"
        case belowThreshold = "below_threshold"
        /// At least as similar as the threshold, but others are more so.
        case beyondTopK = "beyond_top_k"
        /// As similar, by its true score, but neither index gave it among its best, so it was not ranked.
        case notACandidate = "not_a_candidate"
        /// Left out for want of tokens.
        case maxTokens = "max_tokens"
        /// Says the same as a match.
        case duplicate
        /// Others add more to what is there already.
        case diversity
    }
    public let key: String
    public let outcome: Outcome
    /// The node, of a document the one most like the query.
    public let nodeKey: String?
    /// How many nodes the key names.
    public let nodes: Int
    public let duplicateOf: String?
    public let explanation: Explanation?
}

public struct Registration: Sendable {
    public let project: Name
    public let agent: Name
    public let caughtUpEvents: Int
    /// The last event that was sent as missed, when more were missed than are sent at once: the rest is in the events after it.
    public let caughtUpTo: Sequence?
    public let currentSequence: Sequence
    /// Distinct needs in the order given, with their number of matches.
    public let matchedNeeds: [(need: String, count: Int)]
    public let channel: String
}

/// Texts as the built-in model sees them.
public struct Embeddings: Sendable {
    /// The model's identity, as the store has it.
    public let model: String
    /// Unit vectors, one a text, in order.
    public let vectors: [[Float]]
    /// cl100k tokens of all texts.
    public let tokens: Int
}

/// A registration as listings have it.
public struct ListedAgent: Sendable {
    public let agent: Name
    public let project: Name
    public let registeredAt: Timestamp
}

/// An agent as it is registered.
public struct AgentStatus: Sendable {
    public let project: Name
    public let record: AgentRecord
    /// The nodes that match its needs.
    public let nodeKeys: [String]
    /// The last event that it was told about, or the end of the log when it was registered.
    public let lastSequence: Sequence
    /// How its webhook is doing; nil for others.
    public internal(set) var delivery: DeliveryStatus?
    /// The key that registered it holds no longer, or not here: nothing is sent to its webhook until it is registered anew.
    public internal(set) var isStopped = false

    init(project: Name, record: AgentRecord, nodeKeys: [String], lastSequence: Sequence) {
        self.project = project
        self.record = record
        self.nodeKeys = nodeKeys
        self.lastSequence = lastSequence
    }
}

/// A node as the listing of a project shows it.
public struct ListedNode: Sendable {
    public let nodeKey: String
    public let documentKey: String
    public let path: String
    public let kind: String
    public let description: String
    /// JSON as stored: not wrapped.
    public let dataText: [UInt8]
    /// cl100k tokens of the data.
    public let tokenCount: Int
    public let format: String
    /// Whether its publisher brought the vector.
    public let hasOwnVector: Bool
    /// Of its document; empty when it was published without.
    public let metadata: JSONObject
    public let publisher: Publisher?

    /// - Throws: `.damaged`
    public func parsedData() throws(ContexError) -> JSONValue { try EventData.parsed(dataText) }
}

extension ListedNode {
    init(_ node: NodeRecord, of document: DocumentAttributes) {
        self.init(
            nodeKey: node.nodeKey, documentKey: node.documentKey, path: node.path, kind: node.kind, description: node.description,
            dataText: node.data, tokenCount: node.tokenCount, format: node.format, hasOwnVector: node.hasOwnVector, metadata: document.metadata,
            publisher: document.publisher)
    }
}

/// What a key holds or held.
public struct HeldDocument: Sendable {
    public let key: Name
    /// The event that gave it this content; of imported data without its event the one at which the import found the log.
    public let sequence: Sequence
    /// nil for imported data without its event, as `data` is.
    public let recordedAt: Timestamp?
    /// JSON as it was published.
    public let dataText: [UInt8]?
    /// What it was split as.
    public let format: String
    public let nodes: [ListedNode]
    /// Empty when it was published without.
    public let metadata: JSONObject
    public let publisher: Publisher?
    /// When it ends by itself; nil: never, and for a state of the past.
    public let expiresAt: Timestamp?
}

/// One state that a key had.
public struct DocumentVersion: Sendable {
    public let sequence: Sequence
    public let recordedAt: Timestamp
    /// JSON as it was published.
    public let dataText: [UInt8]
    public let format: String
    public let description: String
    public let eventType: String
    /// The vector that its publisher brought.
    public let ownVector: [Float]?
    /// Empty when it was published without.
    public let metadata: JSONObject
    public let publisher: Publisher?

    /// - Throws: `.damaged`
    public func parsedData() throws(ContexError) -> JSONValue { try EventData.parsed(dataText) }
}

public struct VersionDifference: Sendable {
    public let from: DocumentVersion
    public let to: DocumentVersion
    /// Equal data is equal text: all of it was printed by one printer.
    public var changed: Bool { from.dataText != to.dataText || from.ownVector != to.ownVector }

    public init(from: DocumentVersion, to: DocumentVersion) {
        self.from = from
        self.to = to
    }
}

public struct ImportReceipt: Sendable {
    public let events: Int
    public let embeddings: Int
    public let agents: Int
    public let warnings: [String]
}

public struct ProjectSummary: Sendable {
    public let name: Name
    public let documents: Int
    public let nodes: Int
    public let agents: Int
    public let lastSequence: Sequence
    public let createdAt: Timestamp
    /// Its data is damaged here: how much there is of it was not looked at.
    public var isQuarantined = false
}

/// The health of the store and what it holds.
public struct StoreStatus: Sendable {
    public let bytesUsed: Int
    public let entries: Int
    public let projects: Int
    public let pendingWrites: Int
    /// How many commands have changed the store, and when the last one was proposed.
    public let position: StorePosition
    /// Why the disk takes nothing at present; nil when it does.
    public let trouble: String?
}
