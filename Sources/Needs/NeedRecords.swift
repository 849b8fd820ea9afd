public import Base

/// What an agent may say about its needs beside their words. Where it says nothing, the server's settings hold.
public struct NeedSettings: Sendable, Equatable {
    public enum Mode: UInt8, Sendable {
        case hybrid = 1
        case semantic = 2
        case keyword = 3
    }

    /// From which similarity on a node matches.
    public var minSimilarity: Double?
    public var mode: Mode?
    /// Of the documents that may match, as JSON.
    public var filter: String?
    /// Nodes of the initial context for each need. It decides nothing later.
    public var topK: Int?

    public static let none = NeedSettings()

    public init(minSimilarity: Double? = nil, mode: Mode? = nil, filter: String? = nil, topK: Int? = nil) {
        self.minSimilarity = minSimilarity
        self.mode = mode
        self.filter = filter
        self.topK = topK
    }

    /// Filters are the same when their bytes are.
    public static func == (a: Self, b: Self) -> Bool {
        a.minSimilarity == b.minSimilarity && a.mode == b.mode && a.filter.map { ExactText($0) } == b.filter.map { ExactText($0) } && a.topK == b.topK
    }

    /// Without what decides nothing when a publish is held against a need.
    var ofMatching: NeedSettings { NeedSettings(minSimilarity: minSimilarity, mode: mode, filter: filter) }

    public func write(to writer: inout ByteWriter) {
        writer.bool(minSimilarity != nil)
        if let minSimilarity { writer.f64(minSimilarity) }
        writer.u8(mode?.rawValue ?? 0)
        writer.bool(filter != nil)
        if let filter { writer.text(filter) }
        writer.varint(UInt64(topK ?? 0))
    }

    public static func read(_ reader: inout ByteReader) throws -> NeedSettings {
        var settings = NeedSettings()
        if try reader.bool() { settings.minSimilarity = try reader.f64() }
        let mode = try reader.u8()
        settings.mode = Mode(rawValue: mode)
        guard mode == 0 || settings.mode != nil else { throw ContexError.damaged("a need has mode \(mode), which this build does not know") }
        if try reader.bool() { settings.filter = try reader.text() }
        let topK = try reader.count()
        settings.topK = topK > 0 ? topK : nil
        return settings
    }
}

/// A word of a need, as the text index takes it.
public struct NeedTerm: Sendable {
    public let text: String
    /// How often the need says it, at least once.
    public let count: Int
    /// It is the name of something: where few texts have it, sharing it is enough.
    public let isExact: Bool

    public init(_ text: String, count: Int, isExact: Bool) {
        self.text = text
        self.count = count
        self.isExact = isExact
    }
}

/// One standing need of an agent: the text and its vector, so that a publish embeds nothing of the needs.
public struct NeedRecord: Sendable, Equatable {
    public let agent: UInt32
    public let index: UInt32
    public let text: String
    /// No numbers for a text that the model cannot read.
    public let vector: [Float]
    /// Distinct.
    public let terms: [NeedTerm]
    public let settings: NeedSettings

    public init(agent: UInt32, index: UInt32, text: String, vector: [Float], terms: [NeedTerm] = [], settings: NeedSettings = .none) {
        self.agent = agent
        self.index = index
        self.text = text
        self.vector = vector
        self.terms = terms
        self.settings = settings
    }

    init(agent: UInt32, index: UInt32, _ need: StandingNeed) {
        self.init(agent: agent, index: index, text: need.text, vector: need.vector, terms: need.terms, settings: need.settings)
    }

    public static func == (a: Self, b: Self) -> Bool { a.agent == b.agent && a.index == b.index && a.standing == b.standing }

    package var standing: StandingNeed { StandingNeed(text: text, vector: vector, terms: terms, settings: settings.ofMatching) }
}

/// What one agent or many ask: equal ones are one record.
public struct StandingNeed: Sendable, Equatable {
    public let text: String
    public let vector: [Float]
    public let terms: [NeedTerm]
    public let settings: NeedSettings

    init(text: String, vector: [Float], terms: [NeedTerm], settings: NeedSettings) {
        self.text = text
        self.vector = vector
        self.terms = terms
        self.settings = settings
    }

    /// Texts are the same when their bytes are.
    public static func == (a: Self, b: Self) -> Bool {
        a.text.utf8.elementsEqual(b.text.utf8) && a.vector == b.vector && a.settings == b.settings
            && a.terms.elementsEqual(b.terms) { ExactText($0.text) == ExactText($1.text) && $0.count == $1.count && $0.isExact == $1.isExact }
    }

    /// The vector comes first: of most needs that are looked at no more is read.
    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: vector.count * 4 + text.utf8.count + 16 * terms.count + 24)
        writer.u8(1)
        writer.varint(UInt64(vector.count))
        writer.floats(vector)
        writer.text(text)
        settings.write(to: &writer)
        writer.varint(UInt64(terms.count))
        for term in terms {
            writer.text(term.text)
            writer.varint(UInt64(term.count) << 1 | (term.isExact ? 1 : 0))
        }
        return writer.bytes
    }

    /// What stands under the number of a need that is gone: the free number after it, and one; 0 for none.
    static func encodeFree(next: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(0)
        writer.u32(next)
        return writer.bytes
    }

    enum Slot {
        case need(StandingNeed)
        case free(next: UInt32)
    }

    static func decode(_ bytes: [UInt8]) throws -> Slot {
        var reader = ByteReader(bytes)
        guard try reader.bool() else {
            let next = try reader.u32()
            try reader.end()
            return .free(next: next)
        }
        let vector = try reader.floats(try reader.count(limit: reader.remaining / 4))
        let text = try reader.text()
        let settings = try NeedSettings.read(&reader)
        var terms: [NeedTerm] = []
        for _ in 0..<(try reader.count(limit: reader.remaining)) {
            let term = try reader.text()
            let said = try reader.count(limit: Int(UInt32.max))
            terms.append(NeedTerm(term, count: said >> 1, isExact: said & 1 == 1))
        }
        try reader.end()
        return .need(StandingNeed(text: text, vector: vector, terms: terms, settings: settings))
    }
}
