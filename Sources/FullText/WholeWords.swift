// A passage is found by its own words and, at half their worth, by those of the whole that it is part of: of a long node, or of a document of
// several nodes. What a question says of the subject stands in the title or in the first paragraph, and not again where the answer stands.
//
//     score = phrases + max(own, (own + whole) / 2)        own, whole: BM25 of the passage's and of the whole's terms
//
// What is no part of anything is its own whole: among long texts the usual length of a whole is greater than that of a passage, and a short text
// would fall behind for want of more of it. Never less than the passage alone: what says everything by itself loses nothing in a long text.
// Source of the idea: passages with their document's score (Callan, "Passage-level evidence in document retrieval", SIGIR 1994). Figures:
// docs/decisions/0083-words-of-the-whole.md.
//
// The whole has the idf of passages, since the two are added; its length counts beside the usual length of a text, and where it is several texts
// (records of a list, sections of settings) the length of one of them counts.

public import Base
internal import CKernels
public import LMDB

/// The words of a whole, for texts in memory.
public struct WholeWords: Sendable {
    public let words: AnalyzedText
    /// How many texts it is: prose and the passages of a node are one, however long.
    let texts: Int

    /// - Parameter passages: all of them.
    public init(_ passages: [AnalyzedText], texts: Int) {
        words = AnalyzedText(wordsOf: passages)
        self.texts = max(1, texts)
    }

    /// The same of a passage of other kind.
    public func counted(asTexts texts: Int) -> WholeWords { WholeWords(words, max(1, texts)) }

    private init(_ words: AnalyzedText, _ texts: Int) { (self.words, self.texts) = (words, texts) }

    var length: UInt32 { UInt32(clamping: words.length / texts) }
}

/// A passage that is to be scored with its whole: its place among those that were asked about.
public struct WholeEntry: Sendable {
    public let entry: NodeID
    /// Place among the wholes.
    public let whole: Int
    /// As `WholeWords.texts`.
    public let texts: Int

    public init(entry: NodeID, whole: Int, texts: Int) {
        self.entry = entry
        self.whole = whole
        self.texts = max(1, texts)
    }
}

extension AnalyzedText {
    /// How often some texts together have each term; nothing of their order.
    /// - Complexity: O(terms x log terms).
    init(wordsOf texts: [AnalyzedText]) {
        var table = TermTable()
        var counts: [UInt32] = []
        for text in texts {
            for place in 0..<text.distinct {
                let known = table.place(of: text.bytes, text.range(place))
                if known == counts.count { counts.append(0) }
                counts[known] &+= text.counts[place]
            }
        }
        var (bytes, ends, sorted): ([UInt8], [Int], [UInt32]) = ([], [], [])
        for place in table.sorted() {
            bytes += table.term(place)
            ends.append(bytes.count)
            sorted.append(counts[place])
        }
        self.init(length: texts.reduce(0) { $0 + $1.length }, bytes: bytes, ends: ends, counts: sorted)
    }
}

extension TextStatistics {
    /// Mean terms of a text with all that goes on from it.
    var averageWhole: Double { beginnings == 0 ? 0 : Double(totalLength) / Double(beginnings) }
}

extension QueryWeights {
    fileprivate var normOfWholes: LengthNorm { LengthNorm(averageLength: statistics.averageWhole) }

    /// What a whole adds to the score of a passage by words; nothing to one that has none of them itself.
    fileprivate func gain(own: Int32, whole: Int32) -> Float { own > 0 && whole > own ? score(whole &- own) / 2 : 0 }

    /// What its whole adds to the score of a text.
    /// - Parameter whole: nil: the text itself.
    /// - Complexity: O(query terms x log terms of the whole).
    public func gain(_ text: AnalyzedText, in whole: WholeWords?) -> Float {
        var (own, sum) = (Int32(0), Int32(0))
        let norm = normOfWholes
        let words = whole?.words ?? text
        let length = whole?.length ?? UInt32(text.length)
        for (index, entry) in terms.enumerated() {
            let frequency = words.frequency(of: entry.term)
            guard frequency > 0 else { continue }
            sum &+= norm.share(weights[index], count: UInt32(frequency), length: length)
            let count = text.frequency(of: entry.term)
            if count > 0 { own &+= lengthNorm.share(weights[index], count: UInt32(count), length: UInt32(text.length)) }
        }
        return gain(own: own, whole: sum)
    }
}

extension TextIndex {
    /// What their wholes add to the scores of passages, as `QueryWeights.gain`.
    /// - Parameter wholes: the entries of each, rising; numbers without a text count as nothing.
    /// - Complexity: O(terms x (their blocks + entries)).
    public func gains(_ weights: QueryWeights, of passages: [WholeEntry], wholes: [[NodeID]], in view: borrowing TransactionView) throws -> [Float] {
        if passages.isEmpty { return [] }
        return try SearchMemory.lend { memory in
            var owners: [(entry: NodeID, whole: Int)] = []
            for (place, entries) in wholes.enumerated() { for entry in entries { owners.append((entry, place)) } }
            owners.sort { $0.entry < $1.entry }
            let entries = owners.map(\.entry)
            let lengths = try self.lengths(of: entries, Array(entries.indices), in: view)
            var wholeLengths = [Int](repeating: 0, count: wholes.count)
            for (place, owner) in owners.enumerated() { wholeLengths[owner.whole] += Int(lengths[place] ?? 0) }

            let places = Dictionary(passages.enumerated().map { ($1.entry, $0) }, uniquingKeysWith: { first, _ in first })
            let asked = entries.map { places[$0] ?? -1 }
            var own = [Int32](repeating: 0, count: passages.count)
            var sums = own
            let norm = weights.normOfWholes
            let lengthsOfWholes = passages.map { UInt32(clamping: wholeLengths[$0.whole] / $0.texts) }
            var reader = try TermReader(self, state(in: view), in: view)
            var counts = [UInt32](repeating: 0, count: wholes.count)
            for (place, term) in weights.terms.enumerated() where term.documentFrequency > 0 {
                let bytes = Array(term.term.utf8)
                guard let found = try reader.find(bytes[...]) else { continue }
                let cursor = try reader.open(bytes[...], found, weight: weights.weights[place], weights.lengthNorm, memory)
                for whole in counts.indices { counts[whole] = 0 }
                for (at, owner) in owners.enumerated() {
                    guard let length = lengths[at], let count = try cursor.find(owner.entry.rawValue), count > 0 else { continue }
                    counts[owner.whole] &+= count
                    if asked[at] >= 0 { own[asked[at]] &+= LengthNorm.share(cursor.scale, count: count, length: length) }
                }
                for (at, passage) in passages.enumerated() where counts[passage.whole] > 0 {
                    sums[at] &+= norm.share(weights.weights[place], count: counts[passage.whole], length: lengthsOfWholes[at])
                }
            }
            return passages.indices.map { weights.gain(own: own[$0], whole: sums[$0]) }
        }
    }
}
