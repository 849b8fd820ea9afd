/// The distinct terms of some texts in the order of their bytes, and what is known already of how many texts of the project have each.
///
/// Whoever writes texts has each of their terms' entries at hand. What is asked about the same terms next, in the same transaction, is answered by this
/// value instead of by the dictionary (`TextIndex.documentFrequencies(of:_:in:)`).
public struct BatchTerms: Sendable {
    enum Known: Sendable, Equatable {
        case nothing
        /// What the small dictionary says; the large one may know more texts.
        case recent(Int)
        case all(Int)
    }

    private let table: TermTable
    /// Places in `table`, by rank.
    private let order: [Int]
    /// The other way.
    private let ranks: [UInt32]
    /// By place.
    private let documents: [Known]
    /// Whether the large dictionary has anything.
    private let isMerged: Bool

    init(_ table: TermTable, order: [Int], _ documents: [Known], isMerged: Bool) {
        (self.table, self.order, self.documents, self.isMerged) = (table, order, documents, isMerged)
        var ranks = [UInt32](repeating: 0, count: order.count)
        for (rank, place) in order.enumerated() { ranks[place] = UInt32(rank) }
        self.ranks = ranks
    }

    /// Of texts of which nothing is known.
    public init(_ texts: [AnalyzedText]) {
        var table = TermTable()
        for text in texts { for place in 0..<text.distinct { _ = table.place(of: text.bytes, text.range(place)) } }
        self.init(table, order: table.sorted(), [Known](repeating: .nothing, count: table.count), isMerged: true)
    }

    public var count: Int { order.count }

    /// The bytes of a term.
    public func term(_ rank: Int) -> ArraySlice<UInt8> { table.term(order[rank]) }

    public func rank(of term: ArraySlice<UInt8>) -> Int? { table.place(of: term).map { Int(ranks[$0]) } }

    func known(_ rank: Int) -> Known {
        if !isMerged, case .recent(let documents) = documents[order[rank]] { return .all(documents) }
        return documents[order[rank]]
    }

    /// The terms of one of the texts in their order, and how often it has each.
    public func forEachTerm(of text: AnalyzedText, _ body: (_ rank: Int, _ count: Int) -> Void) {
        for place in 0..<text.distinct {
            guard let known = table.place(of: text.bytes[text.range(place)]) else { preconditionFailure("a text of another batch") }
            body(Int(ranks[known]), Int(text.counts[place]))
        }
    }
}
