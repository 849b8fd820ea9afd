// Questions and what answers them.

internal import Base

public struct WireQuery: WireMessage {
    /// What an answer leaves out, a bit each.
    public struct Omission: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        public static let data = Omission(rawValue: 1)
        public static let description = Omission(rawValue: 2)
        public static let metadata = Omission(rawValue: 4)
    }

    public var project = ""
    public var text: String?
    public var vector: [Float]?
    public var topK: UInt64?
    public var threshold: Double?
    public var syntax: String?
    public var maxTokens: UInt64?
    public var mode: String?
    public var fusion: String?
    public var semanticWeight: Double?
    public var keywordWeight: Double?
    public var explain = false
    public var format: String?
    public var diversity: Double?
    public var pinned: [String] = []
    public var explainKeys: [String] = []
    public var asOf: String?
    public var efSearch: UInt64?
    public var recall: Double?
    public var filter: [UInt8]?
    public var groupsByDocument = false
    public var nodesPerDocument: UInt64?
    public var limit: UInt64?
    public var cursor: String?
    public var vectorOfHalves: [Float]?
    public var omit: UInt64 = 0

    public init() {}
    public init(project: String, text: String) {
        self.project = project
        self.text = text
    }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &project)
        try coder.text(2, &text)
        try coder.floats(3, &vector)
        try coder.number(4, &topK)
        try coder.double(5, &threshold)
        try coder.text(6, &syntax)
        try coder.number(7, &maxTokens)
        try coder.text(8, &mode)
        try coder.text(9, &fusion)
        try coder.double(10, &semanticWeight)
        try coder.double(11, &keywordWeight)
        try coder.flag(12, &explain)
        try coder.text(13, &format)
        try coder.double(14, &diversity)
        try coder.texts(15, &pinned, most: Limits.namedKeys)
        try coder.texts(16, &explainKeys, most: Limits.namedKeys)
        try coder.text(17, &asOf)
        try coder.number(18, &efSearch)
        try coder.double(19, &recall)
        try coder.bytes(20, &filter)
        try coder.flag(21, &groupsByDocument)
        try coder.number(22, &nodesPerDocument)
        try coder.number(23, &limit)
        try coder.text(24, &cursor)
        try coder.halves(25, &vectorOfHalves)
        try coder.number(26, &omit)
    }
}

/// A part of a score.
public struct WireNamedNumber: WireMessage {
    public var name = ""
    public var value = 0.0

    public init() {}
    public init(_ name: String, _ value: Double) {
        self.name = name
        self.value = value
    }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &name)
        try coder.double(2, &value)
    }
}

public struct WireExplanation: WireMessage {
    public var mode = ""
    public var fusion = ""
    public var similarity = 0.0
    public var threshold = 0.0
    public var rank: UInt64?
    public var cosine: Double?
    public var bm25 = 0.0
    public var bm25Ceiling = 0.0
    public var terms: [WireNamedNumber] = []
    public var vectorRank: UInt64?
    public var textRank: UInt64?
    public var weights: [WireNamedNumber] = []
    public var parts: [WireNamedNumber] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &mode)
        try coder.text(2, &fusion)
        try coder.double(3, &similarity)
        try coder.double(4, &threshold)
        try coder.number(5, &rank)
        try coder.double(6, &cosine)
        try coder.double(7, &bm25)
        try coder.double(8, &bm25Ceiling)
        try coder.messages(9, &terms, most: Limits.queryScalars)
        try coder.number(10, &vectorRank)
        try coder.number(11, &textRank)
        try coder.messages(12, &weights, most: 64)
        try coder.messages(13, &parts, most: 64)
    }
}

public struct WirePassage: WireMessage {
    public var start: UInt64?
    public var end: UInt64?
    public var text: String?
    public var path: String?
    public var lastPath: String?
    public var nodeKeys: [String] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &start)
        try coder.number(2, &end)
        try coder.text(3, &text)
        try coder.text(4, &path)
        try coder.text(5, &lastPath)
        try coder.texts(6, &nodeKeys, most: Limits.nodesPerDocument)
    }
}

public struct WireMatch: WireMessage {
    public var nodeKey = ""
    public var documentKey = ""
    public var similarity = 0.0
    /// JSON: an object as it is stored, anything else as `{"value": ...}`.
    public var data: [UInt8]?
    public var description: String?
    public var tokenCount: UInt64 = 0
    public var tokens: UInt64?
    public var isCut = false
    public var isPinned = false
    public var isPassage = false
    public var passage: WirePassage?
    public var metadata: [UInt8]?
    public var others: [WireMatch] = []
    public var explanation: WireExplanation?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &nodeKey)
        try coder.text(2, &documentKey)
        try coder.double(3, &similarity)
        try coder.bytes(4, &data)
        try coder.text(5, &description)
        try coder.number(6, &tokenCount)
        try coder.number(7, &tokens)
        try coder.flag(8, &isCut)
        try coder.flag(9, &isPinned)
        try coder.flag(10, &isPassage)
        try coder.message(11, &passage)
        try coder.bytes(12, &metadata)
        try coder.messages(13, &others, most: Limits.nodesPerDocumentShown)
        try coder.message(14, &explanation)
    }
}

public struct WirePacking: WireMessage {
    public struct Duplicate: WireMessage {
        public var nodeKey = ""
        public var of = ""

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &nodeKey)
            try coder.text(2, &of)
        }
    }
    public var maxTokens: UInt64?
    public var tokens: UInt64?
    public var diversity = 0.0
    public var isTruncated = false
    public var omitted: [String] = []
    public var duplicates: [Duplicate] = []
    public var missingPins: [String] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.number(1, &maxTokens)
        try coder.number(2, &tokens)
        try coder.double(3, &diversity)
        try coder.flag(4, &isTruncated)
        try coder.texts(5, &omitted, most: Limits.pagedMatches)
        try coder.messages(6, &duplicates, most: Limits.pagedMatches)
        try coder.texts(7, &missingPins, most: Limits.namedKeys)
    }
}

/// What became of a key.
public struct WireKeyExplanation: WireMessage {
    public var key = ""
    public var outcome = ""
    public var nodeKey: String?
    public var nodes: UInt64 = 0
    public var duplicateOf: String?
    public var explanation: WireExplanation?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &key)
        try coder.text(2, &outcome)
        try coder.text(3, &nodeKey)
        try coder.number(4, &nodes)
        try coder.text(5, &duplicateOf)
        try coder.message(6, &explanation)
    }
}

public struct WireQueryAnswer: WireMessage {
    public var matches: [WireMatch] = []
    /// Nothing was as the signs of the query ask: these are the matches of its words.
    public var ignoresSigns = false
    public var packing: WirePacking?
    /// With a filter: nodes that passed it, of so many.
    public var passing: UInt64?
    public var nodes: UInt64?
    /// Matches that were left out because the answer would have been too large.
    public var left: UInt64 = 0
    public var next: String?
    public var notes: [String] = []
    public var explained: [WireKeyExplanation] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.messages(1, &matches, most: Limits.pagedMatches)
        try coder.flag(2, &ignoresSigns)
        try coder.message(3, &packing)
        try coder.number(4, &passing)
        try coder.number(5, &nodes)
        try coder.number(6, &left)
        try coder.text(7, &next)
        try coder.texts(8, &notes, most: 64)
        try coder.messages(9, &explained, most: Limits.namedKeys)
    }
}

public struct WireQueryBatch: WireMessage {
    public var queries: [WireQuery] = []

    public init() {}
    public init(_ queries: [WireQuery]) { self.queries = queries }

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.messages(1, &queries, most: Limits.batchQueries) }
}

public struct WireQueryAnswers: WireMessage {
    public struct Outcome: WireMessage {
        public var answer: WireQueryAnswer?
        public var error: WireError?

        public init() {}

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.message(1, &answer)
            try coder.message(2, &error)
        }
    }
    /// One each, in order.
    public var outcomes: [Outcome] = []

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) { try coder.messages(1, &outcomes, most: Limits.batchQueries) }
}

public struct WireEmbed: WireMessage {
    public struct Input: WireMessage {
        /// One of both.
        public var text: String?
        public var tokens: [UInt64] = []

        public init() {}
        public init(_ text: String) { self.text = text }

        public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
            try coder.text(1, &text)
            try coder.numbers(2, &tokens, most: Limits.embeddingTokens)
        }
    }
    public var inputs: [Input] = []
    public var wantsHalves = false

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.messages(1, &inputs, most: Limits.embeddingTexts)
        try coder.flag(2, &wantsHalves)
    }
}

public struct WireEmbeddings: WireMessage {
    public var model = ""
    public var dimension: UInt64 = 0
    /// One after the other, in order.
    public var vectors: [Float]?
    public var tokens: UInt64 = 0
    public var vectorsOfHalves: [Float]?

    public init() {}

    public mutating func fields(_ coder: inout some FieldCoder) throws(WireFault) {
        try coder.text(1, &model)
        try coder.number(2, &dimension)
        try coder.floats(3, &vectors)
        try coder.number(4, &tokens)
        try coder.halves(5, &vectorsOfHalves)
    }
}
