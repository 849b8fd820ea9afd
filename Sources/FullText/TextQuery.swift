public import Base

/// The distinct terms of a query; a term that the query repeats weighs as often as it stands there, as in Lucene.
///
/// Plain text only: signs separate words. `TextQuerySyntax` reads phrases, `+`, `-` and `*`.
public struct TextQuery: Sendable {
    /// Distinct, in the order of their UTF-8 bytes.
    public let terms: [String]
    /// How often the query says the term at the same place of `terms`.
    public let counts: [Int]

    /// Distinct terms that a query may have; the first of a longer text count. Each costs a look-up in the store.
    public static let termsMax = 1_024
    /// Bytes of a query that are read: what lies beyond, from the end of the last whole scalar on, is left out.
    public static let bytesMax = 65_536

    /// The terms one after another, and where each ends.
    private let bytes: [UInt8]
    private let ends: [Int]

    public init(_ text: String, analyzer: Analyzer = .init()) {
        let list = analyzer.list(Self.bounded(text))
        let all = AnalyzedText(list)
        if all.distinct <= Self.termsMax {
            self.init(all)
        } else {
            self.init(terms: (0..<list.count).map { list.text($0) })
        }
    }

    private init(_ all: AnalyzedText) {
        (bytes, ends, counts) = (all.bytes, all.ends, all.counts.map { Int($0) })
        terms = (0..<all.distinct).map { String(decoding: all.bytes[all.range($0)], as: UTF8.self) }
    }

    init(terms all: [String]) {
        var counts: [ExactText: Int] = [:]
        for term in all {
            let term = ExactText(term)
            if counts.count < Self.termsMax || counts[term] != nil { counts[term, default: 0] += 1 }
        }
        let sorted = counts.sorted { $0.key < $1.key }
        terms = sorted.map { $0.key.text }
        self.counts = sorted.map { $0.value }
        var (bytes, ends): ([UInt8], [Int]) = ([], [])
        for term in terms {
            bytes += term.utf8
            ends.append(bytes.count)
        }
        (self.bytes, self.ends) = (bytes, ends)
    }

    func bytes(_ place: Int) -> ArraySlice<UInt8> { bytes[(place == 0 ? 0 : ends[place - 1])..<ends[place]] }

    static func bounded(_ text: String) -> String {
        if text.utf8.count <= bytesMax { return text }
        var end = text.utf8.index(text.utf8.startIndex, offsetBy: bytesMax)
        while text.utf8[end] & 0xC0 == 0x80 { end = text.utf8.index(before: end) }
        return String(text[..<end])
    }
}

/// One node that a search found.
public struct TextMatch: Sendable, Equatable {
    public let node: NodeID
    public let score: Float

    public init(node: NodeID, score: Float) {
        self.node = node
        self.score = score
    }
}
