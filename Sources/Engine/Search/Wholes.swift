// The whole that a passage is part of, which counts in its score (FullText/WholeWords.swift): its document, when that has several entries in
// the indexes and not too many; else the passage itself.

internal import Base
internal import Content
internal import Documents
internal import FullText
internal import KeySpace
internal import LMDB
internal import Search

enum Wholes {
    /// Numbers of a document that is a whole. One of more is a collection: its words together say next to nothing of one passage.
    static let numbersMax = 64

    /// How many texts a document is to a passage of it.
    static func texts(ofNodeKind kind: String, nodes: Int) -> Int { NodeKind(rawValue: kind)?.isProse == true ? 1 : nodes }

    /// The words of a document of which all units are at hand; nil when it is no whole.
    /// - Parameter analyzed: of each of its units.
    static func words(of units: [IndexedUnit], _ analyzed: (IndexedUnit) throws -> [AnalyzedText]) rethrows -> WholeWords? {
        let numbers = units.reduce(0) { $0 + max($1.records.count, $1.entries.count) }
        guard numbers > 1, numbers <= numbersMax else { return nil }
        return WholeWords(try units.flatMap(analyzed), texts: units.reduce(0) { $0 + $1.records.count })
    }

    /// As `count` of a page, whichever: what one page looks at all do, or the ranking would move between them.
    static let pagedCount = 500

    /// Candidates for which the whole is looked up: those that may become one of the answers.
    static func lookMax(_ count: Int) -> Int { max(64, 2 * count) }
}

extension WholeWords {
    /// As they count for a passage of a unit.
    func counted(for unit: IndexedUnit, nodes: Int) -> WholeWords { counted(asTexts: Wholes.texts(ofNodeKind: unit.records[0].kind, nodes: nodes)) }
}

extension NodeSearch {
    typealias Scored = (node: NodeID, parts: ScoreParts)

    /// The best of the candidates with what their wholes bring, the others as they are.
    func lookingAgain(_ scored: [Scored], _ weights: QueryWeights, count: Int, in view: borrowing TransactionView) throws -> [Scored] {
        guard mode != .semantic, try DocumentStore(scope: scope).hasWholes(in: view) else { return scored }
        let places = Self.best(scored, mode, count: Wholes.lookMax(count))
        return Self.gaining(scored, places, try gains(of: places.map { scored[$0].node }, weights, in: view))
    }

    /// The same among nodes of the past.
    static func lookingAgain(_ scored: [Scored], _ weights: QueryWeights, _ mode: SearchMode, count: Int, among past: PastNodes) -> [Scored] {
        if mode == .semantic { return scored }
        let places = best(scored, mode, count: Wholes.lookMax(count))
        return gaining(scored, places, places.map { past.gain(scored[$0].node, weights) })
    }

    private static func gaining(_ scored: [Scored], _ places: [Int], _ gains: [Float]) -> [Scored] {
        var scored = scored
        for (place, gain) in zip(places, gains) { scored[place].parts = scored[place].parts.gaining(gain) }
        return scored
    }

    /// Those with words of the query, best first, equal ones by number.
    private static func best(_ scored: [Scored], _ mode: SearchMode, count: Int) -> [Int] {
        var found: [(place: Int, similarity: Float)] = []
        for (place, candidate) in scored.enumerated() where candidate.parts.bm25 > 0 { found.append((place, candidate.parts.similarity(mode))) }
        found.sort { $0.similarity != $1.similarity ? $0.similarity > $1.similarity : scored[$0.place].node < scored[$1.place].node }
        return found.prefix(count).map(\.place)
    }

    /// What the wholes of entries add to their scores.
    func gains(of entries: [NodeID], _ weights: QueryWeights, in view: borrowing TransactionView) throws -> [Float] {
        var gains = [Float](repeating: 0, count: entries.count)
        let documents = DocumentStore(scope: scope)
        guard try documents.hasWholes(in: view) else { return gains }
        var wholes: [[NodeID]] = []
        var known: [DocumentID: (whole: Int, nodes: Int)?] = [:]
        var asked: [WholeEntry] = []
        var places: [Int] = []
        for (place, entry) in entries.enumerated() {
            guard let (document, kind) = try documents.owner(of: entry, in: view) else { continue }
            if known[document] == nil {
                let numbers = try documents.numbers(of: document, max: Wholes.numbersMax, in: view)
                known[document] = .some(numbers.map { (wholes.count, $0.nodes) })
                if let numbers { wholes.append(numbers.entries) }
            }
            places.append(place)
            if case .some(.some(let whole)) = known[document] {
                asked.append(WholeEntry(entry: entry, whole: whole.whole, texts: Wholes.texts(ofNodeKind: kind, nodes: whole.nodes)))
            } else {
                asked.append(WholeEntry(entry: entry, whole: wholes.count, texts: 1))
                wholes.append([entry])
            }
        }
        for (place, gain) in zip(places, try TextIndex(scope: scope).gains(weights, of: asked, wholes: wholes, in: view)) { gains[place] = gain }
        return gains
    }
}

extension PastNodes {
    /// What the whole of an entry adds to its score.
    func gain(_ entry: NodeID, _ weights: QueryWeights) -> Float { weights.gain(texts[Self.place(entry)], in: whole(of: entry)) }
}
